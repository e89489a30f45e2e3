"""What becomes of a call to the topic world instead of an answer. Pure."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from rocketmq.calls import Request
from rocketmq.errors import ConnectError, ConnectionLostError, NoAnswerError


class Died(BaseException):
    """The process that administers ended at a call; nothing of it may catch this."""


class Fault(Enum):
    """What becomes of a call instead of an answer."""

    REFUSED = auto()
    """No line: nothing was done."""
    CUT = auto()
    """The line broke on the way there: nothing was done."""
    LOST = auto()
    """It was done, and the answer is lost."""
    SILENT = auto()
    """Time ran out: nothing was done."""
    DIES = auto()
    """The administrator ends before it is done."""
    DIED = auto()
    """The administrator ends when it was done."""


Faults = Callable[[int, str, Request], Fault | None]
"""By the number of the call (from 0 on), the address and the request."""


def no_faults(_number: int, _address: str, _request: Request) -> None:
    """Every call is answered."""


def at(number: int, fault: Fault) -> Faults:
    """The n-th call from the world's beginning on."""
    return lambda called, _address, _request: fault if called == number else None


def error_of(fault: Fault, address: str) -> Exception:
    """What the caller is told."""
    match fault:
        case Fault.REFUSED:
            return ConnectError("connection refused", address=address)
        case Fault.SILENT:
            return NoAnswerError("no answer within 5 s", address=address)
        case _:
            return ConnectionLostError("the line broke", address=address, sent=True)
