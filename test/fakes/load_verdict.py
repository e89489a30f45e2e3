"""What a load proves: which acknowledged messages were lost, and how long nothing went. Pure.

It is computed from what the clients wrote down, and is refused where that cannot be trusted: a
verdict of "nothing lost" must not come from a client that died, stopped early or sent nothing.
A send that failed counts for nothing: its message may be stored or not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import pairwise

import msgspec

from fakes.load_journal import (
    PLAIN,
    SEND_OK,
    Ack,
    Corrupt,
    End,
    Failure,
    Line,
    Receipt,
    Stopped,
    Undone,
)
from fakes.queue_lives import lives

_SHOWN = 10
EARLY_MS = 2500
"""A timer of RocketMQ 5 goes off at a whole second, up to two before its time."""


class EvidenceError(AssertionError):
    """The journals do not show what a verdict needs."""


class Journals(msgspec.Struct, frozen=True):
    """What the clients of a load wrote."""

    produced: Sequence[Line]
    consumed: Sequence[Line]
    """By the consumer that ran beside the producer."""
    stored: Sequence[Line] | None
    """By a group that read the whole topic from its start when the producer had ended.

    None: nobody did, for a broker that held consumed messages is gone on purpose.
    """
    others: Mapping[str, Sequence[Line]] = {}
    """By further groups that are to get every message, such as slow ones."""

    def readers(self) -> dict[str, Sequence[Line]]:
        """Every journal of receptions by the name of its group."""
        stored = {} if self.stored is None else {"stored": self.stored}
        return {"consumed": self.consumed, **stored, **self.others}


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
    """Answered with SEND_OK and in no broker at the end; the consumer may have had it before.

    Empty when nobody looked.
    """
    missed: Mapping[str, frozenset[int]]
    """Answered, however well, and never received by a further group; without groups that got all.
    """
    revived: frozenset[int]
    """Rolled back by their sender, and received all the same."""
    early: frozenset[int]
    """Received before the time that their sender gave them."""
    acked_by_kind: Mapping[str, int]
    """SEND_OK by kind, where it is not plain."""
    duplicates: int
    """Receptions beyond the first of a message: redelivered, or stored twice by a retry."""
    reordered: int
    """Messages received after a later one of their queue, or of their sender in that queue."""
    out_of_turn: int
    """Messages received after a later one of their sender, whatever the queue.

    To be expected unless a sender keeps to one queue (an ordered load).
    """
    longest_send_gap_s: float
    """The longest time, since the first, in which no send was answered."""
    longest_receive_gap_s: float
    """The longest time between two receptions."""
    duration_s: float
    """From the first answered send until the producer stopped."""
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
            f"erased {_some(self.erased)}{self._special()}; longest gap "
            f"{self.longest_send_gap_s:.1f} s sending, {self.longest_receive_gap_s:.1f} s receiving"
        )

    def _special(self) -> str:
        """What only some loads have."""
        parts = [f"{name} missed {_some(missed)}" for name, missed in self.missed.items()]
        if self.acked_by_kind:
            parts.append(f"kinds {dict(self.acked_by_kind)}, revived {_some(self.revived)}")
            parts.append(f"early {_some(self.early)}")
        return "".join(f", {part}" for part in parts)


def verdict(journals: Journals) -> Verdict:
    """The verdict on a load that has ended; EvidenceError when the journals cannot carry one."""
    acks = [line for line in journals.produced if isinstance(line, Ack)]
    failures = [line for line in journals.produced if isinstance(line, Failure)]
    receipts = list(_receipts(journals.consumed))
    _check(journals, acks, failures)
    good = {ack.sequence: ack for ack in acks if ack.status == SEND_OK}
    weak = {ack.sequence for ack in acks if ack.status != SEND_OK}
    received = {receipt.sequence for receipt in receipts}
    undone = {line.sequence for line in journals.produced if isinstance(line, Undone)}
    everywhere = [one for journal in journals.readers().values() for one in _receipts(journal)]
    answered = [ack.at_ms for ack in acks]
    ended = _stopped_ms(journals.produced)
    return Verdict(
        sent=len(acks) + len(failures) + len(undone),
        acked=len(good),
        unconfirmed=Counter(ack.status for ack in acks if ack.status != SEND_OK),
        failed=len(failures),
        errors=Counter(failure.kind for failure in failures),
        received=len(received),
        lost=frozenset(good.keys() - received),
        lost_unconfirmed=frozenset(weak - received),
        erased=frozenset(good.keys() - _stored(journals, good)),
        missed=_missed(journals, good.keys() | weak),
        revived=frozenset(undone & {one.sequence for one in everywhere}),
        early=_early(acks, everywhere),
        acked_by_kind=Counter(ack.kind for ack in good.values() if ack.kind != PLAIN),
        duplicates=len(receipts) - len(received),
        reordered=_reordered(receipts, good),
        out_of_turn=_out_of_turn(receipts, good),
        longest_send_gap_s=_longest_gap_s([*answered, ended]),
        longest_receive_gap_s=_longest_gap_s([receipt.at_ms for receipt in receipts]),
        duration_s=(ended - min(answered)) / 1000,
        acked_by_broker=Counter(ack.broker for ack in good.values()),
    )


def awaited(journals: Journals) -> frozenset[int]:
    """The acknowledged messages, however well, that one of the readers has not got so far."""
    acked = {line.sequence for line in journals.produced if isinstance(line, Ack)}
    got = (_sequences(journal) for journal in journals.readers().values())
    return frozenset(acked - frozenset.intersection(*map(frozenset, got)))


def _check(journals: Journals, acks: Sequence[Ack], failures: Sequence[Failure]) -> None:
    readers = journals.readers()
    for name, journal in {"produced": journals.produced, **readers}.items():
        _check_whole(name, journal)
    undone = [line for line in journals.produced if isinstance(line, Undone)]
    lines: list[Ack | Failure | Undone] = [*acks, *failures, *undone]
    attempts = Counter(line.sequence for line in lines)
    if twice := {sequence for sequence, count in attempts.items() if count > 1}:
        raise EvidenceError(f"numbers were given twice: {_some(twice)}")
    if not any(ack.status == SEND_OK for ack in acks):
        raise EvidenceError(f"of {len(attempts)} messages none was acknowledged: that is no load")
    read = set().union(*map(_sequences, readers.values()))
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


def _stopped_ms(produced: Sequence[Line]) -> int:
    stops = (line.at_ms for line in produced if isinstance(line, Stopped))
    return next(stops, produced[-1].at_ms)


def _stored(journals: Journals, good: Mapping[int, Ack]) -> set[int]:
    return set(good) if journals.stored is None else _sequences(journals.stored)


def _missed(journals: Journals, acked: Set[int]) -> dict[str, frozenset[int]]:
    """The groups that did not get everything, and what they did not get."""
    missed = {
        name: frozenset(acked - _sequences(journal)) for name, journal in journals.others.items()
    }
    return {name: some for name, some in missed.items() if some}


def _early(acks: Iterable[Ack], receipts: Iterable[Receipt]) -> frozenset[int]:
    due = {ack.sequence: ack.due_ms - EARLY_MS for ack in acks if ack.due_ms}
    return frozenset(one.sequence for one in receipts if one.at_ms < due.get(one.sequence, 0))


def _receipts(journal: Iterable[Line]) -> Iterator[Receipt]:
    return (line for line in journal if isinstance(line, Receipt))


def _sequences(journal: Iterable[Line]) -> set[int]:
    return {receipt.sequence for receipt in _receipts(journal)}


def _reordered(receipts: Sequence[Receipt], acks: Mapping[int, Ack]) -> int:
    """First receptions of messages, at the place that was acknowledged, that come too late.

    Other copies are left out: an attempt that timed out is stored when it likes. The offsets of a
    queue that was made anew are no earlier ones.
    """
    places = (((one.broker, one.queue), one.offset, one.sequence) for one in receipts)
    life = list(lives(places))
    offsets: dict[tuple[str, int, int], int] = {}
    sequences: dict[tuple[str, int, int], int] = {}
    late = 0
    for index, receipt in _first_receptions(receipts, acks):
        queue = (receipt.broker, receipt.queue, life[index])
        shard = (receipt.broker, receipt.queue, receipt.shard)
        if receipt.offset < offsets.get(queue, -1) or receipt.sequence < sequences.get(shard, -1):
            late += 1
        offsets[queue] = max(receipt.offset, offsets.get(queue, -1))
        sequences[shard] = max(receipt.sequence, sequences.get(shard, -1))
    return late


def _out_of_turn(receipts: Iterable[Receipt], acks: Mapping[int, Ack]) -> int:
    newest: dict[int, int] = {}
    late = 0
    for _, receipt in _first_receptions(receipts, acks):
        late += receipt.sequence < newest.get(receipt.shard, -1)
        newest[receipt.shard] = max(receipt.sequence, newest.get(receipt.shard, -1))
    return late


def _first_receptions(
    receipts: Iterable[Receipt], acks: Mapping[int, Ack]
) -> Iterator[tuple[int, Receipt]]:
    """Of plain messages, each at the place that was acknowledged, and which reception it is."""
    seen: set[int] = set()
    for index, receipt in enumerate(receipts):
        ack = acks.get(receipt.sequence)
        if ack is None or ack.kind != PLAIN or receipt.sequence in seen:
            continue
        if _place(ack) == (receipt.broker, receipt.queue, receipt.offset):
            seen.add(receipt.sequence)
            yield index, receipt


def _place(ack: Ack) -> tuple[str, int, int]:
    return ack.broker, ack.queue, ack.offset


def _longest_gap_s(times_ms: Iterable[int]) -> float:
    gaps = (later - earlier for earlier, later in pairwise(sorted(times_ms)))
    return max(gaps, default=0) / 1000


def _some(sequences: Iterable[int]) -> str:
    ordered = sorted(sequences)
    more = ", ..." if len(ordered) > _SHOWN else ""
    return f"{len(ordered)}{f' ({str(ordered[:_SHOWN])[1:-1]}{more})' if ordered else ''}"
