"""One line's conversation without the line: numbers requests and finds the answers. Pure.

A response to a number that nobody waits for (any more) is dropped. What the peer asks on its own is
ignored when it waits for no answer and refused otherwise; its numbers are its own and may equal
ours.
"""

from __future__ import annotations

import msgspec

from rocketmq.calls import Request, Response
from rocketmq.codes import ResponseCode
from rocketmq.frames import FRAME_LIMIT_BYTES, Frame, FrameReader, request_frame, response_frame

_NUMBERS = 2**31


class Answer(msgspec.Struct, frozen=True):
    """The response to the request sent under this number."""

    opaque: int
    response: Response


class Refusal(msgspec.Struct, frozen=True):
    """The peer asked for something that a client of this kind does not do: send it this."""

    data: bytes


class Session:
    """Bytes to send for requests, events from the bytes received."""

    def __init__(
        self, *, frame_limit_bytes: int = FRAME_LIMIT_BYTES, first_opaque: int = 1
    ) -> None:
        self._frames = FrameReader(frame_limit_bytes)
        self._pending: set[int] = set()
        self._next = first_opaque
        self.frames_received = 0

    @property
    def pending(self) -> int:
        """How many requests wait for an answer."""
        return len(self._pending)

    @property
    def answer_begun(self) -> bool:
        """A part of a frame has come."""
        return self._frames.unfinished

    def send(self, request: Request) -> tuple[int, bytes]:
        """The number under which the answer will come, and the bytes to send."""
        opaque = self._number()
        data = request_frame(request.code, opaque, request.ext_fields, request.body)
        self._pending.add(opaque)
        return opaque, data

    def send_one_way(self, request: Request) -> bytes:
        """The bytes of a request that nobody answers."""
        return request_frame(
            request.code, self._number(), request.ext_fields, request.body, one_way=True
        )

    def forget(self, opaque: int) -> None:
        """Nobody waits for this answer any more; unknown numbers are fine."""
        self._pending.discard(opaque)

    def receive_data(self, data: bytes) -> None:
        """Take what the line gave; then `next_event` until None."""
        self._frames.receive_data(data)

    def next_event(self) -> Answer | Refusal | None:
        """The next thing to act on, None when there is none. Raises ProtocolError."""
        while (frame := self._frames.next_frame()) is not None:
            self.frames_received += 1
            event = self._answer(frame) if frame.is_response else _refusal(frame)
            if event is not None:
                return event
        return None

    def _answer(self, frame: Frame) -> Answer | None:
        if frame.opaque not in self._pending:
            return None
        self._pending.remove(frame.opaque)
        response = Response(frame.code, frame.remark, frame.ext_fields, frame.body, frame.version)
        return Answer(frame.opaque, response)

    def _number(self) -> int:
        while self._next in self._pending:
            self._next = (self._next + 1) % _NUMBERS
        opaque = self._next
        self._next = (opaque + 1) % _NUMBERS
        return opaque


def _refusal(frame: Frame) -> Refusal | None:
    if frame.is_one_way:
        return None
    code = ResponseCode.REQUEST_CODE_NOT_SUPPORTED
    return Refusal(response_frame(code, frame.opaque, f"request type {frame.code} not supported"))
