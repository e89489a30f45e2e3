"""Masters of the gate's world whose store is new: what they have, get, and when they are opened."""

from __future__ import annotations

from collections.abc import Iterable

from fakes.gate_server import Server
from reconcilers.facts import Metadata, Silence
from reconcilers.steps.decision import CopyMetadata, Open
from rocketmq.messages.topics import TopicConfig


def metadata(server: Server, now: float) -> Metadata | Silence:
    """What the broker says that it has: one topic stands for all."""
    if not server.serves or now < server.silent_until:
        return Silence("no answer")
    return Metadata(topics={"t": TopicConfig("t")} if server.has_topics else {})


def give(step: CopyMetadata | Open, server: Server, masters: Iterable[Server]) -> None:
    """Do the step, unless another pod of the name has come since."""
    if step.uid != f"{server.name}/{server.uid}" or not server.serves:
        return
    assert server.closed, f"{server.name} is open"
    if isinstance(step, CopyMetadata):
        server.has_topics = True
        return
    known = any(one.has_topics and not one.closed for one in masters)
    assert server.has_topics or not known, f"{server.name} is opened without topics"
    server.permission, server.closed = int(step.permission), False
