"""What is told of masters that let no client in yet."""

from __future__ import annotations

from typing import Any

import msgspec

from controller.apply import Outcome
from fakes.gate_facts import NOW, a_broker, broker_facts, seen
from reconcilers.api.broker import BrokerStatus, ScaleOutRow
from reconcilers.facts import Metadata
from reconcilers.status.broker import CLOSED_WORDS, broker_status
from reconcilers.steps.broker import decide
from reconcilers.steps.decision import Progress
from rocketmq.messages.topics import TopicConfig

M0, M1 = "broker-0-master-0", "broker-1-master-0"
FULL = Metadata(topics={name: TopicConfig(name) for name in ("a", "b")})
HALF = Metadata(topics={"a": TopicConfig("a")})


def status(
    *, decided: bool = True, before: BrokerStatus | None = None, **spec: Any
) -> BrokerStatus:
    cr = a_broker(2, 0, **spec)
    if before is not None:
        cr = msgspec.structs.replace(cr, status=before)
    metadata = {M0: FULL, M1: HALF}
    facts = broker_facts(cr, {M1: seen(permission="1")}, metadata=metadata)
    progress = Progress(decide(cr, facts, NOW)) if decided else None
    return broker_status(cr, facts, Outcome(()), progress, NOW)


def conditions(found: BrokerStatus) -> dict[str, tuple[str, str]]:
    return {one.type: (one.status, one.reason) for one in found.conditions}


def test_a_closed_group_is_not_ready_and_it_is_told_how_far_it_is() -> None:
    found = status()
    assert found.scale_out == (
        ScaleOutRow(
            group="broker-1",
            source=M0,
            topics=2,
            topics_missing=1,
            message=f"{M1} gets the topics and groups of {M0}",
        ),
    )
    assert (found.brokers_total, found.brokers_ready) == (2, 1)
    assert (found.brokers[1].ready, found.brokers[1].reason) == (False, CLOSED_WORDS)
    told = conditions(found)
    assert told["Ready"] == ("False", "PodsNotReady")
    assert told["Progressing"] == ("True", "OpeningGroups")
    assert told["Degraded"] == ("False", "Healthy")
    assert "gets the topics" in found.step


def test_what_somebody_has_to_correct_makes_it_degraded() -> None:
    found = status(scalePodName="nobody")
    assert conditions(found)["Degraded"] == ("True", "GroupClosed")
    assert "nobody is no master" in found.brokers[1].waiting_for


def test_what_was_told_stays_while_nothing_is_decided() -> None:
    before = status()
    assert status(decided=False, before=before).scale_out == before.scale_out
