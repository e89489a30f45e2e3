"""What is to be done next: one of three things. Pure."""

from __future__ import annotations

import msgspec

from reconcilers.api.topic_transfer import Phase, Stage
from reconcilers.api.transfer_record import TransferProgress, TransferRecord
from reconcilers.transfer.effects import Effect


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """Write this to the status, and look again: what is None stays."""

    progress: TransferProgress
    phase: Phase | None = None
    stage: Stage | None = None
    record: TransferRecord | None = None
    reason: str | None = None
    words: str = ""


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """Do these, and look again."""

    effects: tuple[Effect, ...]
    words: str
    again_after_s: float = 1.0
    after: TransferProgress | None = None
    """What is written when all of them were done: where it counts that they were tried."""


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """Look again later."""

    words: str
    again_after_s: float = 5.0
    problem: str = ""
    """Reason of a condition: somebody has to do something."""


Outcome = Move | Act | Wait
