"""A topic world on loopback: its servers answer any client of the remoting protocol.

The addresses of its servers must be of loopback. It lives in a thread of its own, some of its
seconds to each real one.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import TypeVar

from fakes.rocketmq_world_listener import Line, Listener
from fakes.topic_world import TopicWorld
from rocketmq.calls import Request
from rocketmq.frames import Frame

T = TypeVar("T")

_RESPONSE = 1
_BEAT_S = 0.05


class ServedWorld:
    """A handle on the world for other threads: `do` has something done in it."""

    def __init__(self, world: TopicWorld) -> None:
        self._world = world
        self._lock = threading.Lock()

    def do(self, action: Callable[[TopicWorld], T]) -> T:
        """Look at the world, or change it, while it stands still."""
        with self._lock:
            return action(self._world)


@contextmanager
def served(world: TopicWorld, *, speed: int = 20) -> Iterator[ServedWorld]:
    """The world's servers listen until the block is left."""
    handle = ServedWorld(world)
    ready, stop = threading.Event(), threading.Event()
    thread = threading.Thread(
        target=lambda: asyncio.run(_serve(handle, ready, stop, speed)), name="topic world"
    )
    thread.start()
    try:
        if not ready.wait(10):
            raise TimeoutError("the topic world does not listen")
        yield handle
    finally:
        stop.set()
        thread.join()


async def _serve(
    handle: ServedWorld, ready: threading.Event, stop: threading.Event, speed: int
) -> None:
    async with AsyncExitStack() as stack:
        for address in handle.do(lambda world: [*world.name_servers, *world.brokers]):
            listener = Listener(_handler(handle, address))
            host, _, port = address.rpartition(":")
            await listener.open(host, int(port))
            stack.push_async_callback(listener.close)
        ready.set()
        owed = 0.0
        while not stop.is_set():
            await asyncio.sleep(_BEAT_S)
            owed += _BEAT_S * speed
            if owed >= 1.0:
                seconds = int(owed)
                owed -= seconds
                handle.do(lambda world, by=seconds: world.advance(by))


def _handler(handle: ServedWorld, address: str) -> Callable[[Line, Frame], None]:
    def answer(line: Line, frame: Frame) -> None:
        request = Request(frame.code, dict(frame.ext_fields), frame.body)
        found = handle.do(lambda world: world.answered(address, request))
        if not frame.is_one_way:
            line.send(
                Frame(
                    found.code,
                    frame.opaque,
                    flag=_RESPONSE,
                    version=found.version,
                    remark=found.remark,
                    ext_fields=dict(found.ext_fields),
                    body=found.body,
                )
            )

    return answer
