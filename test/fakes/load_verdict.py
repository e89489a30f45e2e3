"""What a load proves: which acknowledged messages were lost, and how long nothing went. Pure.

It is computed from what the clients wrote down, and is refused where that cannot be trusted: a
verdict of "nothing lost" must not come from a client that died, stopped early or sent nothing.
A send that failed counts for nothing: its message may be stored or not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

import msgspec

from fakes.load_journal import SEND_OK, Ack, Corrupt, End, Failure, Line, Receipt

_SHOWN = 10


class EvidenceError(AssertionError):
    """The journals do not show what a verdict needs."""


class Journals(msgspec.Struct, frozen=True):
    """What the three clients of a load wrote."""

    produced: Sequence[Line]
    consumed: Sequence[Line]
    """By the consumer that ran beside the producer."""
    stored: Sequence[Line]
    """By a group that read the whole topic from its start when the producer had ended."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the messages of a load. Sets are of sequence numbers, durations in seconds."""

    sent: int
    """Every attempt: `acked`, those of `unconfirmed`, and `failed`."""
    acked: int
    """Answered with SEND_OK."""
    unconfirmed: Mapping[str, int]
    """Stored by the master, but not as the replication mode asks for; by SendStatus."""
    failed: int
    errors: Mapping[str, int]
    """The failed ones by kind."""
    received: int
    """Different messages that the consumer got, acknowledged or not."""
    lost: frozenset[int]
    """Answered with SEND_OK and never received."""
    lost_unconfirmed: frozenset[int]
    """Answered otherwise, and never received."""
    erased: frozenset[int]
    """Answered with SEND_OK and in no broker at the end; the consumer may have had it before."""
    duplicates: int
    """Receptions beyond the first of a message: redelivered, or stored twice by a retry."""
    reordered: int
    """Messages received after a later one of their queue, or of their sender in that queue."""
    longest_send_gap_s: float
    """The longest time, since the first, in which no send was answered."""
    longest_receive_gap_s: float
    """The longest time between two receptions."""
    duration_s: float
    """From the first answered send to the producer's end."""
    acked_by_broker: Mapping[str, int]
    """SEND_OK by broker name: groups that are not in it were not under load."""

    def __str__(self) -> str:
        """One paragraph for a report."""
        return (
            f"{self.sent} sent in {self.duration_s:.1f} s: {self.acked} acknowledged "
            f"{dict(self.acked_by_broker)}, unconfirmed {dict(self.unconfirmed)}, "
            f"failed {self.failed} {dict(self.errors)}; {self.received} received, "
            f"{self.duplicates} duplicates, {self.reordered} out of order; "
            f"lost {_some(self.lost)}, of the unconfirmed {_some(self.lost_unconfirmed)}, "
            f"erased {_some(self.erased)}; longest gap {self.longest_send_gap_s:.1f} s sending, "
            f"{self.longest_receive_gap_s:.1f} s receiving"
        )


def verdict(journals: Journals) -> Verdict:
    """The verdict on a load that has ended; EvidenceError when the journals cannot carry one."""
    acks = [line for line in journals.produced if isinstance(line, Ack)]
    failures = [line for line in journals.produced if isinstance(line, Failure)]
    receipts = list(_receipts(journals.consumed))
    _check(journals, acks, failures)
    good = {ack.sequence: ack for ack in acks if ack.status == SEND_OK}
    weak = {ack.sequence for ack in acks if ack.status != SEND_OK}
    received = {receipt.sequence for receipt in receipts}
    answered = [ack.at_ms for ack in acks]
    ended = journals.produced[-1].at_ms
    return Verdict(
        sent=len(acks) + len(failures),
        acked=len(good),
        unconfirmed=Counter(ack.status for ack in acks if ack.status != SEND_OK),
        failed=len(failures),
        errors=Counter(failure.kind for failure in failures),
        received=len(received),
        lost=frozenset(good.keys() - received),
        lost_unconfirmed=frozenset(weak - received),
        erased=frozenset(good.keys() - _sequences(journals.stored)),
        duplicates=len(receipts) - len(received),
        reordered=_reordered(receipts, good),
        longest_send_gap_s=_longest_gap_s([*answered, ended]),
        longest_receive_gap_s=_longest_gap_s([receipt.at_ms for receipt in receipts]),
        duration_s=(ended - min(answered)) / 1000,
        acked_by_broker=Counter(ack.broker for ack in good.values()),
    )


def awaited(journals: Journals) -> frozenset[int]:
    """The acknowledged messages, however well, that one of the two readers has not got so far."""
    acked = {line.sequence for line in journals.produced if isinstance(line, Ack)}
    return frozenset(acked - (_sequences(journals.consumed) & _sequences(journals.stored)))


def _check(journals: Journals, acks: Sequence[Ack], failures: Sequence[Failure]) -> None:
    for name in ("produced", "consumed", "stored"):
        _check_whole(name, getattr(journals, name))
    lines: list[Ack | Failure] = [*acks, *failures]
    attempts = Counter(line.sequence for line in lines)
    if twice := {sequence for sequence, count in attempts.items() if count > 1}:
        raise EvidenceError(f"numbers were given twice: {_some(twice)}")
    if not any(ack.status == SEND_OK for ack in acks):
        raise EvidenceError(f"of {len(attempts)} messages none was acknowledged: that is no load")
    read = _sequences(journals.consumed) | _sequences(journals.stored)
    if unknown := read - attempts.keys():
        raise EvidenceError(f"messages were received that nobody sent: {_some(unknown)}")


def _check_whole(name: str, journal: Sequence[Line]) -> None:
    last = journal[-1] if journal else None
    if not isinstance(last, End):
        raise EvidenceError(f"the journal of what was {name} has no end: did its client die?")
    if last.lines != len(journal) - 1:
        raise EvidenceError(f"{name}: {len(journal) - 1} lines of {last.lines}")
    if not last.told:
        raise EvidenceError(f"{name}: the client came to its time limit before it was told to end")
    for line in journal:
        if isinstance(line, Corrupt):
            raise EvidenceError(f"{name}: a message is not what was sent: {line.text}")


def _receipts(journal: Iterable[Line]) -> Iterator[Receipt]:
    return (line for line in journal if isinstance(line, Receipt))


def _sequences(journal: Iterable[Line]) -> set[int]:
    return {receipt.sequence for receipt in _receipts(journal)}


def _reordered(receipts: Iterable[Receipt], acks: Mapping[int, Ack]) -> int:
    """First receptions of messages, at the place that was acknowledged, that come too late.

    Other copies are left out: an attempt that timed out is stored when it likes.
    """
    seen: set[int] = set()
    offsets: dict[tuple[str, int], int] = {}
    sequences: dict[tuple[str, int, int], int] = {}
    late = 0
    for receipt in receipts:
        ack = acks.get(receipt.sequence)
        queue = (receipt.broker, receipt.queue)
        if ack is None or receipt.sequence in seen or _place(ack) != (*queue, receipt.offset):
            continue
        seen.add(receipt.sequence)
        shard = (*queue, receipt.shard)
        if receipt.offset < offsets.get(queue, -1) or receipt.sequence < sequences.get(shard, -1):
            late += 1
        offsets[queue] = max(receipt.offset, offsets.get(queue, -1))
        sequences[shard] = max(receipt.sequence, sequences.get(shard, -1))
    return late


def _place(ack: Ack) -> tuple[str, int, int]:
    return ack.broker, ack.queue, ack.offset


def _longest_gap_s(times_ms: Iterable[int]) -> float:
    gaps = (later - earlier for earlier, later in pairwise(sorted(times_ms)))
    return max(gaps, default=0) / 1000


def _some(sequences: Iterable[int]) -> str:
    ordered = sorted(sequences)
    more = ", ..." if len(ordered) > _SHOWN else ""
    return f"{len(ordered)}{f' ({str(ordered[:_SHOWN])[1:-1]}{more})' if ordered else ''}"
