"""Addresses for the pods and nodes of one test run, all of them this host's.

The whole of 127.0.0.0/8 is local, so a server in a fake pod can listen on the pod's own address and
be reached there without any configuration. A run claims one /16 of it for as long as it lasts.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

_FIRST, _LAST = 16, 253
_CLAIM_PORT = 21127


class PodNetwork(msgspec.Struct, frozen=True):
    """A /16: pods in front, nodes behind; numbers count from 0."""

    prefix: str

    def pod(self, number: int) -> str:
        """The address of a pod; there are some 64,000."""
        assert number < 255 << 8, "no address is left"
        return f"{self.prefix}.{number >> 8}.{number & 255}"

    def node(self, number: int) -> str:
        """The address of a node."""
        return f"{self.prefix}.255.{number + 1}"


@contextmanager
def pod_network(first: int) -> Iterator[PodNetwork]:
    """A network that no other run on this host uses; the search begins at a number of the caller's.

    A socket says that it is taken: it goes with the process, however that ends.
    """
    for offset in range(_LAST - _FIRST + 1):
        prefix = f"127.{_FIRST + (first + offset) % (_LAST - _FIRST + 1)}"
        with socket.socket() as claim:
            try:
                claim.bind((f"{prefix}.255.255", _CLAIM_PORT))
            except OSError:
                continue
            yield PodNetwork(prefix)
            return
    raise OSError("every network of this host's loopback is taken")
