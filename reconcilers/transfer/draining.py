"""When nothing of a topic is left on one side. Pure.

Four things have to be true, and still be true at a second look: clients had time to see that the
topic is closed and no more was stored since; no group that counts has anything left in any queue
or retry topic; what brokers held back at the first look (delayed messages) has been delivered; no
timer or transaction is open.

What is held back cannot be told apart by topic. But when nothing is left to be seen, nothing is in
a consumer's hands either: it sends back what failed before it commits. So of this topic all that is
held back at the next look is before the marks taken then; and what is held back later was given to
a consumer in between, so the topic or a retry topic has grown. Then it begins anew.

A look asks for what is held back first, and for the queues last: what was delivered in between is
in one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

import msgspec

from controller.conditions import rfc3339
from reconcilers.api.topic_transfer import TopicTransfer
from reconcilers.api.transfer_record import MarkRow, StoredRow, TransferProgress, TransferRecord
from reconcilers.rounding import rounded
from reconcilers.transfer.clock import seconds_since
from reconcilers.transfer.facts import Hidden, SideFacts
from reconcilers.transfer.lags import GroupLag, group_lags, left, retried, stored, unread
from reconcilers.transfer.outcome import Move, Wait

SECOND_LOOK_S = 10.0
"""Longer than a message is in nobody's hands while a broker moves it."""

LOOK_S = 5.0
"""Consumers commit every five seconds."""

NOBODYS = "*"
"""In spec.ignoreGroups: messages of a topic that no group ever consumed."""

_NAMED = 3
_OFFLINE = " (offline: start a consumer, or name it in spec.ignoreGroups)"


def asks_for_hidden(cr: TopicTransfer) -> bool:
    """Whether it is time to ask for what brokers hold back: it costs them some calls more."""
    return bool(cr.status.progress.empty_since)


def drain(
    cr: TopicTransfer, record: TransferRecord, side: SideFacts, now: datetime
) -> Move | Wait | None:
    """What to write or wait for; None: nothing is left, and this was the second look."""
    progress = cr.status.progress
    if side.silences:
        return Wait(words=silence_words(side.silences))
    moved = _movement(cr, record, side, now)
    if moved is not None:
        return moved
    words = _visible(cr, record, side)
    if words:
        if progress.empty_since:
            return Move(progress=_anew(progress), words=words)
        return Wait(words=words, again_after_s=LOOK_S)
    refresh_s = cr.spec.route_refresh_seconds
    still_s = seconds_since(progress.still_since, now)
    if still_s < refresh_s:
        return Wait(
            words=f"clients get {refresh_s} s to see that the topic is closed on {side.cluster}",
            again_after_s=max(1.0, min(LOOK_S, refresh_s - still_s)),
        )
    return _held_back(cr, record, side, now)


def _movement(
    cr: TopicTransfer, record: TransferRecord, side: SideFacts, now: datetime
) -> Move | None:
    """More was stored since the last look, or less: a broker that lost something."""
    progress = cr.status.progress
    known = {row.broker: row for row in progress.stored}
    found = tuple(_stored_rows(cr, record, side))
    changed = [row for row in found if known.get(row.broker) != row]
    if not changed:
        return None
    messages = any(
        row.broker not in known or known[row.broker].messages != row.messages for row in changed
    )
    rows = {**known, **{row.broker: row for row in found}}
    after = msgspec.structs.replace(
        _anew(progress),
        stored=tuple(rows[name] for name in sorted(rows)),
        still_since=rfc3339(now) if messages or not progress.still_since else progress.still_since,
    )
    return Move(progress=after, words=f"messages are still stored or retried on {side.cluster}")


def _stored_rows(cr: TopicTransfer, record: TransferRecord, side: SideFacts) -> Iterator[StoredRow]:
    for name, look in sorted(side.holders().items()):
        yield StoredRow(
            broker=name,
            messages=stored(cr.spec.topic, look),
            retries=retried(cr, record, look),
        )


def _anew(progress: TransferProgress) -> TransferProgress:
    return msgspec.structs.replace(
        progress, empty_since="", marked_at="", marks=(), half_seen=False
    )


def _visible(cr: TopicTransfer, record: TransferRecord, side: SideFacts) -> str:
    """What groups have left, in words."""
    lags = group_lags(cr, record, side)
    if left(lags):
        return f"to be consumed on {side.cluster}: {_lag_words(lags)}"
    nobodys = unread(lags, side, cr.spec.topic)
    if nobodys and NOBODYS not in cr.spec.ignore_groups:
        return (
            f"about {rounded(nobodys)} messages on {side.cluster} that no group ever consumed: "
            "consume them, or give them up with '*' in spec.ignoreGroups"
        )
    return ""


def _lag_words(lags: tuple[GroupLag, ...]) -> str:
    waiting = [one for one in lags if one.counts and one.messages]
    named = "; ".join(
        f"about {rounded(one.messages)} by {one.name}{'' if one.online else _OFFLINE}"
        for one in waiting[:_NAMED]
    )
    more = len(waiting) - _NAMED
    return f"{named}; and by {more} more groups" if more > 0 else named


def _held_back(
    cr: TopicTransfer, record: TransferRecord, side: SideFacts, now: datetime
) -> Move | Wait | None:
    progress = cr.status.progress
    if not progress.empty_since:
        after = msgspec.structs.replace(progress, empty_since=rfc3339(now))
        return Move(progress=after, words=f"nothing is left to be seen on {side.cluster}")
    hidden = {
        name: look.hidden for name, look in side.looks.items() if _concerns(record, side, name)
    }
    known = {name: one for name, one in hidden.items() if one is not None}
    if len(known) < len(hidden):
        return Wait(words=f"{side.cluster} is asked for delayed messages", again_after_s=1.0)
    half = sum(one.half for one in known.values())
    if not progress.marked_at:
        after = msgspec.structs.replace(
            progress, marked_at=rfc3339(now), marks=tuple(_marks(known)), half_seen=not half
        )
        return Move(progress=after, words=f"{side.cluster} is asked for delayed messages")
    if not half and not progress.half_seen:
        after = msgspec.structs.replace(progress, half_seen=True)
        return Move(progress=after, words=f"no transaction is open on {side.cluster}")
    return _until_delivered(progress, known, side.cluster, now)


def _until_delivered(
    progress: TransferProgress, hidden: Mapping[str, Hidden], cluster: str, now: datetime
) -> Wait | None:
    marked_s = seconds_since(progress.marked_at, now)
    words = _hidden_words(progress, hidden, marked_s)
    if words:
        return Wait(words=f"{cluster} holds back {words}", again_after_s=LOOK_S)
    if marked_s < SECOND_LOOK_S:
        return Wait(
            words=f"{cluster} is looked at once more",
            again_after_s=max(1.0, SECOND_LOOK_S - marked_s),
        )
    return None


def _concerns(record: TransferRecord, side: SideFacts, broker: str) -> bool:
    """Whether a broker may hold back messages of the topic: it has it, or had it."""
    rows = (*record.source, *record.target)
    held = {row.broker for row in rows if row.config}
    return broker in held or broker in side.holders()


def _marks(hidden: Mapping[str, Hidden]) -> Iterator[MarkRow]:
    for broker, one in sorted(hidden.items()):
        for level, (delivered, end) in sorted(one.delays.items()):
            if delivered < end:
                yield MarkRow(broker=broker, level=level, end=end)


def _hidden_words(progress: TransferProgress, hidden: Mapping[str, Hidden], marked_s: float) -> str:
    pending = sum(
        max(0, mark.end - hidden[mark.broker].delays.get(mark.level, (0, 0))[0])
        for mark in progress.marks
        if mark.broker in hidden
    )
    timed = sum(one.timed for one in hidden.values())
    undispatched = sum(one.undispatched for one in hidden.values())
    given_up_s = max((one.half_given_up_s for one in hidden.values()), default=0.0)
    open_half = not progress.half_seen and marked_s < given_up_s
    found = [
        f"about {rounded(pending)} delayed messages, which may be of this topic" if pending else "",
        f"about {rounded(timed)} timer or popped messages, which may be of this topic"
        if timed
        else "",
        f"transactions, which may be of this topic (given up after {given_up_s:.0f} s)"
        if open_half
        else "",
        "messages that are in no queue yet" if undispatched else "",
    ]
    return "; ".join(filter(None, found))


def silence_words(silences: tuple[str, ...]) -> str:
    """Who did not answer."""
    more = len(silences) - _NAMED
    named = "; ".join(silences[:_NAMED])
    return f"no answer from {named}" + (f" and {more} more" if more > 0 else "")


def only(side: SideFacts, brokers: frozenset[str]) -> SideFacts:
    """A side without other brokers."""
    kept = {name: one for name, one in side.brokers.items() if name in brokers}
    return msgspec.structs.replace(side, brokers=kept)
