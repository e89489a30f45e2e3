"""How a server's JVM divides the memory limit of its container. Pure.

The sum of all parts stays below the limit, for the kernel kills a container that goes over it and
a killed broker recovers its whole store. What a broker's parts leave free is page cache: its
mapped files live there. GC logs (/dev/shm, at most 64 MiB) count as native memory.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Role = Literal["broker", "name-server"]

MIB = 1024 * 1024
GIB = 1024 * MIB

ASSUMED_LIMIT_BYTES: dict[Role, int] = {"broker": 2 * GIB, "name-server": 1 * GIB}
"""What is divided when the container has no limit."""

MINIMUM_LIMIT_BYTES: dict[Role, int] = {"broker": 384 * MIB, "name-server": 256 * MIB}
"""Below it a server would start and then die under the first load."""


_ENCODERS = 320
"""MiB of direct memory beside which a 5.x broker needs no more for messages of the default size:
each of its threads that store one (to send, to deliver delayed or timed ones, to check
transactions, to revive popped ones: 41) keeps a buffer of maxMessageSize + 64 KiB."""


class JvmMemory(msgspec.Struct, frozen=True, kw_only=True):
    """The parts, in bytes; `stack_bytes` and `native_bytes` are set aside, the rest is enforced."""

    heap_bytes: int
    direct_bytes: int
    metaspace_bytes: int
    code_cache_bytes: int
    stack_bytes: int
    native_bytes: int

    @property
    def total_bytes(self) -> int:
        """The most that the process should come to, page cache not counted."""
        return (
            self.heap_bytes
            + self.direct_bytes
            + self.metaspace_bytes
            + self.code_cache_bytes
            + self.stack_bytes
            + self.native_bytes
        )

    @property
    def heap_options(self) -> tuple[str, ...]:
        """The heap. The young generation may be a quarter to 60 %, whatever -Xmn came before."""
        heap = self.heap_bytes // MIB
        return (
            f"-Xms{heap}m",
            f"-Xmx{heap}m",
            f"-XX:NewSize={heap // 4}m",
            f"-XX:MaxNewSize={heap * 6 // 10}m",
            f"-XX:G1HeapRegionSize={_region_mib(heap)}m",
        )

    @property
    def other_options(self) -> tuple[str, ...]:
        """What is not heap."""
        return (
            f"-XX:MaxDirectMemorySize={self.direct_bytes // MIB}m",
            f"-XX:MaxMetaspaceSize={self.metaspace_bytes // MIB}m",
            f"-XX:ReservedCodeCacheSize={self.code_cache_bytes // MIB}m",
            "-Xss512k",
        )


def jvm_memory(limit_bytes: int | None, role: Role) -> JvmMemory | None:
    """The parts for a container with this limit; None if it is under the role's minimum."""
    limit = ASSUMED_LIMIT_BYTES[role] if limit_bytes is None else limit_bytes
    if limit < MINIMUM_LIMIT_BYTES[role]:
        return None
    return _broker(limit // MIB) if role == "broker" else _name_server(limit // MIB)


def _broker(limit: int) -> JvmMemory:
    metaspace = _between(96, limit // 8, 192)
    code_cache = _between(48, limit // 16, 240)
    stacks = _between(48, limit // 16, 256)
    native = _between(48, limit // 16, 512)
    rest = limit - metaspace - code_cache - stacks - native
    return JvmMemory(
        # The stock scripts' 8 GiB: a larger heap serves a broker less than page cache does.
        heap_bytes=min(rest // 2, 8 * 1024) * MIB,
        direct_bytes=max(rest // 4, min(_ENCODERS, rest * 2 // 5)) * MIB,
        metaspace_bytes=metaspace * MIB,
        code_cache_bytes=code_cache * MIB,
        stack_bytes=stacks * MIB,
        native_bytes=native * MIB,
    )


def _name_server(limit: int) -> JvmMemory:
    metaspace = _between(64, limit // 8, 128)
    code_cache = _between(32, limit // 16, 128)
    stacks = _between(24, limit // 16, 64)
    native = _between(32, limit // 16, 256)
    rest = limit - metaspace - code_cache - stacks - native
    return JvmMemory(
        heap_bytes=min(rest * 3 // 5, 4 * 1024) * MIB,
        direct_bytes=min(rest // 5, 1024) * MIB,
        metaspace_bytes=metaspace * MIB,
        code_cache_bytes=code_cache * MIB,
        stack_bytes=stacks * MIB,
        native_bytes=native * MIB,
    )


def _between(least: int, wanted: int, most: int) -> int:
    return max(least, min(wanted, most))


def _region_mib(heap_mib: int) -> int:
    # The stock scripts' 16m fits their 8 GiB; a small heap would have a handful of regions.
    return 1 << _between(0, (max(heap_mib, 1) // 128).bit_length() - 1, 4)
