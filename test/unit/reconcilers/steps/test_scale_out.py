from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from controller.objects import ObjectMeta
from fakes.gate_facts import NOW, Seen, a_broker, broker_facts, moved, outdated, seen, steps
from reconcilers.api.kube import ClaimStatus, PersistentVolumeClaim
from reconcilers.facts import Metadata, Silence
from reconcilers.steps.broker import BUSY_S, decide
from reconcilers.steps.decision import CopyMetadata, Decision, Open
from reconcilers.steps.scale_out import metadata_pods, missing_groups, missing_topics
from rocketmq.messages.groups import SubscriptionGroup
from rocketmq.messages.topics import TopicConfig

M0, M1, M2 = (f"broker-{number}-master-0" for number in range(3))
CLOSED = seen(permission="1", log_end=0)
EMPTY = Metadata()
FULL = Metadata(
    topics={"orders": TopicConfig("orders", perm=4), "bills": TopicConfig("bills")},
    groups={"clerks": SubscriptionGroup("clerks")},
)


def decided(
    servers: Mapping[str, Seen],
    *,
    size: int = 2,
    metadata: Mapping[str, Metadata | Silence] | None = None,
    claims: Mapping[str, PersistentVolumeClaim] | None = None,
    surplus: Mapping[str, Seen] | None = None,
    common_config: str | None = None,
    **spec: Any,
) -> Decision:
    cr = a_broker(size, 0, **spec)
    facts = broker_facts(
        cr,
        servers,
        surplus=surplus,
        metadata=metadata or {},
        claims=claims or {},
        common_config=common_config,
    )
    return decide(cr, facts, NOW)


def pods_asked(servers: Mapping[str, Seen], size: int = 2, **spec: Any) -> tuple[str, ...]:
    cr = a_broker(size, 0, **spec)
    return metadata_pods(cr, broker_facts(cr, servers))


# What is done


def test_a_new_group_gets_what_is_missing_and_is_opened_at_the_next_look() -> None:
    first = decided({M1: CLOSED}, metadata={M0: FULL, M1: EMPTY})
    assert first.steps == (
        CopyMetadata(
            pod=M1,
            uid=f"uid of {M1}",
            address=f"ip-of-{M1}:10911",
            source=M0,
            topics=tuple((topic, None) for topic in FULL.topics.values()),
            groups=tuple((group, None) for group in FULL.groups.values()),
        ),
    )
    row = first.opening[0]
    assert (row.topics, row.topics_missing, row.groups_missing) == (2, 2, 1)
    then = decided({M1: CLOSED}, metadata={M0: FULL, M1: FULL})
    assert [(type(step), step.pod) for step in then.steps] == [(Open, M1)]
    assert isinstance(then.steps[0], Open)
    assert then.steps[0].permission == "6"
    assert "the 2 topics and 1 groups of" in then.steps[0].why


def test_one_record_that_is_missing_keeps_it_closed() -> None:
    fewer = Metadata(topics={"orders": FULL.topics["orders"]}, groups=FULL.groups)
    decision = decided({M1: CLOSED}, metadata={M0: FULL, M1: fewer})
    assert steps(decision) == [("CopyMetadata", M1)]
    assert isinstance(decision.steps[0], CopyMetadata)
    assert decision.steps[0].topics == ((FULL.topics["bills"], None),)


def test_what_differs_is_replaced_and_what_only_the_new_one_has_is_left_to_it() -> None:
    mine = Metadata(
        topics=dict(FULL.topics) | {"bills": TopicConfig("bills", perm=2), "x": TopicConfig("x")},
        groups=FULL.groups,
    )
    decision = decided({M1: CLOSED}, metadata={M0: FULL, M1: mine})
    assert isinstance(decision.steps[0], CopyMetadata)
    assert decision.steps[0].topics == ((FULL.topics["bills"], mine.topics["bills"]),)


def test_an_open_group_is_given_nothing_whatever_it_lacks() -> None:
    decision = decided({}, metadata={M0: FULL, M1: EMPTY})
    assert (decision.steps, decision.opening) == ((), ())


@pytest.mark.parametrize("own", ["0", "4"])
def test_a_users_own_permission_is_no_sign_of_a_new_group(own: str) -> None:
    servers = {M1: seen(permission=own)}
    assert pods_asked(servers) == ()
    assert decided(servers, metadata={M0: FULL, M1: EMPTY}).opening == ()


@pytest.mark.parametrize(
    ("spec", "common", "permission"),
    [
        ({}, None, "6"),
        ({}, "brokerPermission=4", "4"),
        ({"config": {"brokerPermission": "2"}}, "brokerPermission=4", "2"),
        ({"config": {"brokerPermission": "1"}}, None, "0"),
        ({"config": {"brokerPermission": "all"}}, None, "6"),
        ({}, "brokerPermission=\\u12", "6"),
    ],
)
def test_it_is_opened_as_far_as_the_user_wants(
    spec: dict[str, Any], common: str | None, permission: str
) -> None:
    metadata = {M0: FULL, M1: FULL}
    step = decided({M1: CLOSED}, metadata=metadata, common_config=common, **spec).steps[0]
    assert isinstance(step, Open)
    assert step.permission == permission


def test_one_is_written_to_at_a_time_and_those_that_have_all_are_opened() -> None:
    servers = {M1: CLOSED, M2: CLOSED, "broker-3-master-0": CLOSED}
    metadata = {M0: FULL, M1: EMPTY, M2: FULL, "broker-3-master-0": EMPTY}
    decision = decided(servers, size=4, metadata=metadata)
    assert steps(decision) == [("Open", M2), ("CopyMetadata", M1)]
    assert len(decision.opening) == 3


def test_the_tables_of_a_few_are_read_at_a_time() -> None:
    servers = {f"broker-{number}-master-0": CLOSED for number in range(1, 6)}
    assert pods_asked(servers, 6) == (M0, M1, M2, "broker-3-master-0")
    metadata: dict[str, Metadata | Silence] = {M0: FULL, M1: FULL, M2: FULL}
    decision = decided(servers, size=6, metadata=metadata | {"broker-3-master-0": FULL})
    assert [step.pod for step in decision.steps] == [M1, M2, "broker-3-master-0"]
    assert decision.message.endswith("; 2 more groups are closed")
    assert "its turn comes after" in decision.waiting["broker-4-master-0"]


def test_static_topics_are_named_and_not_missed() -> None:
    source = msgspec.structs.replace(FULL, static=("mapped",))
    step = decided({M1: CLOSED}, metadata={M0: source, M1: FULL}).steps[0]
    assert isinstance(step, Open)
    assert step.why.endswith("but none of its 1 static topics (mapped)")


# Whom it copies


@pytest.mark.parametrize(
    ("servers", "spec", "source"),
    [
        ({M2: CLOSED}, {}, M0),
        ({M0: CLOSED}, {}, M1),
        ({M2: CLOSED, M0: seen(state="starting")}, {}, M1),
        ({M2: CLOSED, M0: seen(silent=True)}, {}, M1),
        ({M2: CLOSED, M0: seen(state="terminating")}, {}, M1),
        ({M2: CLOSED, M0: seen(permission="4")}, {}, M1),
        ({M2: CLOSED, M0: seen(**moved(10))}, {}, M1),
        ({M2: CLOSED, M0: seen(**moved(10)), M1: seen(silent=True)}, {}, M0),
        ({M2: CLOSED, M0: CLOSED}, {}, M1),
        ({M2: CLOSED}, {"scalePodName": M1}, M1),
        # The named one itself has nobody but the others.
        ({M0: CLOSED}, {"scalePodName": M0}, M1),
    ],
)
def test_it_copies_the_named_master_or_the_healthiest(
    servers: dict[str, Seen], spec: dict[str, Any], source: str
) -> None:
    assert pods_asked(servers, 3, **spec)[0] == source


def test_a_leaving_master_is_copied_where_no_other_has_topics() -> None:
    leaving = {M1: seen()}
    decision = decided({M0: CLOSED}, size=1, surplus=leaving, metadata={M0: EMPTY, M1: FULL})
    assert [row.source for row in decision.opening] == [M1]


@pytest.mark.parametrize(
    ("servers", "named", "why", "held"),
    [
        ({}, "nobody", "spec.scalePodName nobody is no master of this Broker", True),
        ({M1: seen(silent=True)}, M1, f"{M1} does not answer", False),
        ({M1: seen(state="missing")}, M1, f"{M1} does not exist", False),
        ({M1: seen(state="starting")}, M1, f"{M1} is not ready yet", False),
        ({M1: CLOSED}, M1, f"{M1} is closed itself", False),
    ],
)
def test_while_the_named_master_cannot_be_copied_it_waits_and_says_so(
    servers: dict[str, Seen], named: str, why: str, held: bool
) -> None:
    metadata = {M0: FULL, M1: EMPTY}
    both = decided({M2: CLOSED, **servers}, size=3, metadata=metadata, scalePodName=named)
    row = next(row for row in both.opening if row.pod == M2)
    assert why in row.message
    assert row.held is held
    assert row.message == both.waiting[M2]
    assert M2 not in [step.pod for step in both.steps]
    assert both.again_after_s is not None
    assert both.again_after_s <= BUSY_S


def test_a_master_of_no_wanted_group_is_no_name_for_a_source() -> None:
    decision = decided({M1: CLOSED}, scalePodName="broker-0-replica-1-0")
    assert (decision.phase, decision.steps) == ("held", ())


@pytest.mark.parametrize("silent", [M0, M1])
def test_without_the_tables_of_both_nothing_is_done(silent: str) -> None:
    metadata: dict[str, Metadata | Silence] = {M0: FULL, M1: FULL}
    metadata[silent] = Silence("no answer within 15 s")
    decision = decided({M1: CLOSED}, metadata=metadata)
    assert decision.steps == ()
    assert f"the topics of {silent} are not known: no answer within 15 s" in decision.message
    del metadata[silent]
    assert decided({M1: CLOSED}, metadata=metadata).steps == ()


# Where nobody is open


def claim(phase: str) -> PersistentVolumeClaim:
    return PersistentVolumeClaim(metadata=ObjectMeta(name="c"), status=ClaimStatus(phase=phase))


TEMPLATE = {"metadata": {"name": "d"}, "spec": {"resources": {"requests": {"storage": "1Gi"}}}}
CLAIMS = {"storageMode": "StorageClass", "hostPath": "", "volumeClaimTemplates": [TEMPLATE]}
EMPTY_DIR = {"storageMode": "EmptyDir", "hostPath": ""}


def test_a_cluster_that_is_being_made_opens_at_once() -> None:
    servers = {M0: CLOSED, M1: CLOSED}
    assert pods_asked(servers) == ()
    decision = decided(servers, scalePodName=M0)
    assert steps(decision) == [("Open", M0), ("Open", M1)]


@pytest.mark.parametrize(
    ("other", "spec", "phase", "opens"),
    [
        (seen(state="starting"), {}, "", False),
        (seen(state="missing"), {}, "", False),
        (seen(state="unscheduled"), {}, "", False),
        (seen(state="starting"), CLAIMS, "Bound", False),
        (seen(state="unscheduled"), CLAIMS, "Bound", False),
        (seen(state="unscheduled"), CLAIMS, "Pending", True),
        (seen(state="unscheduled"), CLAIMS, "Lost", False),
        # Nobody looks for claims of pods that do not exist: it may be another operator's.
        (seen(state="missing"), CLAIMS, "", False),
        (seen(state="unscheduled"), EMPTY_DIR, "", True),
        (seen(state="missing"), EMPTY_DIR, "", True),
        (seen(state="starting"), EMPTY_DIR, "", False),
        (seen(state="crashing"), EMPTY_DIR, "", False),
        (seen(silent=True), EMPTY_DIR, "", False),
        (seen(state="terminating"), EMPTY_DIR, "", False),
    ],
)
def test_it_opens_without_topics_only_if_nobody_can_have_any(
    other: Seen, spec: dict[str, Any], phase: str, opens: bool
) -> None:
    claims = {M1: claim(phase)} if phase else {}
    decision = decided({M0: CLOSED, M1: other}, claims=claims, **spec)
    found = [step for step in decision.steps if isinstance(step, Open)]
    assert bool(found) is opens
    if not opens:
        assert f"the topics that {M1} may have are not known" in decision.message


def test_a_paused_resource_opens_nobody() -> None:
    paused = {"rocketmq.apache.org/paused": "true"}
    decision = decided({M0: CLOSED}, size=1, annotations=paused)
    assert (decision.phase, decision.steps) == ("paused", ())


@pytest.mark.parametrize("state", ["missing", "starting", "terminating"])
def test_a_closed_master_that_is_not_there_is_given_nothing(state: Any) -> None:
    servers = {M1: seen(permission="1", state=state)}
    assert decided(servers, metadata={M0: FULL, M1: EMPTY}).opening == ()


def test_a_group_that_is_not_wanted_any_more_is_not_opened() -> None:
    decision = decided({}, size=1, surplus={M1: CLOSED}, metadata={M0: FULL, M1: FULL})
    assert decision.opening == ()


# What the gate makes of it


def test_a_closed_group_is_nowhere_for_producers_yet() -> None:
    decision = decided({M0: outdated(), M1: CLOSED}, metadata={M0: FULL, M1: EMPTY})
    assert steps(decision) == [("CopyMetadata", M1)]
    assert f"no other group is known to take the writes of {M0}" in decision.message


def test_a_closed_master_restarts_without_sending_anybody_away() -> None:
    decision = decided({M1: outdated(permission="1")}, metadata={M0: FULL, M1: EMPTY})
    assert steps(decision) == [("Restart", M1)]


# What is the same


@pytest.mark.parametrize(
    ("there", "old", "missing"),
    [
        (TopicConfig("t", order=True, attributes={"a": "1"}), False, False),
        (TopicConfig("t", attributes={"a": "1"}), False, True),
        (TopicConfig("t", order=True), False, True),
        (TopicConfig("t"), True, False),
        (TopicConfig("t", perm=4), True, True),
        (None, True, True),
    ],
)
def test_topics_are_the_same_as_far_as_the_version_keeps_them(
    there: TopicConfig | None, old: bool, missing: bool
) -> None:
    theirs = Metadata(topics={"t": TopicConfig("t", order=True, attributes={"a": "1"})})
    ours = Metadata(topics={"t": there} if there else {})
    assert bool(missing_topics(theirs, ours, old=old)) is missing


FIVE = SubscriptionGroup("g", consume_timeout_minute=20, group_sys_flag=0, attributes={})
FOUR = SubscriptionGroup("g")


@pytest.mark.parametrize(
    ("group", "there", "old", "missing"),
    [
        (FIVE, FIVE, False, False),
        (FIVE, msgspec.structs.replace(FIVE, consume_timeout_minute=15), False, True),
        (FIVE, msgspec.structs.replace(FIVE, attributes=None, group_sys_flag=None), False, False),
        (FIVE, FOUR, True, False),
        (FIVE, FOUR, False, True),
        (FOUR, FIVE, False, False),
        (FOUR, msgspec.structs.replace(FIVE, consume_enable=False), False, True),
        (FOUR, msgspec.structs.replace(FOUR, retry_max_times=3), True, True),
    ],
)
def test_groups_are_the_same_as_far_as_both_versions_have_them(
    group: SubscriptionGroup, there: SubscriptionGroup, old: bool, missing: bool
) -> None:
    theirs, ours = Metadata(groups={"g": group}), Metadata(groups={"g": there})
    assert bool(missing_groups(theirs, ours, old=old)) is missing
