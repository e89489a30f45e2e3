"""New groups under live load: they have every topic and group before a client hears of them.

`make soak` makes 5,000 topics (ROCKETMQ_TOPICS).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable

import pytest

from e2e.deployed_operator import Operator
from e2e.load import Load, Setting, start_load
from e2e.messages import start_pod
from e2e.metadata import Metadata, exported, masters, mqadmin
from e2e.resources import BROKER, NAME_SERVICE, apply, changed, name_servers, sample
from e2e.versions import NEW
from e2e.waiting import wait_ready, within
from fakes.clusters import condition
from fakes.witness import Object, Place

RESOURCES = [NAME_SERVICE, BROKER]
TOPICS = int(os.environ.get("ROCKETMQ_TOPICS", "1000"))
GROUPS = TOPICS // 10
ADMIN = "admin"
COPIED_S = 420.0
ROUTED_S = 240.0
LATELY_S = 4.0
RESTARTED_S = 240.0
TOPIC_NOT_EXIST, GROUP_NOT_EXIST = 17, 26
NOTHING_BY_ITSELF = {"autoCreateTopicEnable": "false", "autoCreateSubscriptionGroup": "false"}
"""What a new broker was not given it answers with an error; it does not make it up."""


def _topic(number: int) -> Object:
    """Queue numbers, permissions, order and kinds of messages differ from topic to topic."""
    return {
        "topicName": f"topic-{number}",
        "readQueueNums": 1 + number % 8,
        "writeQueueNums": 1 + number % 8,
        "perm": 6 if number % 50 else 4,
        "order": number % 7 == 0,
        "attributes": {} if number % 9 else {"+message.type": "DELAY"},
    }


def _group(number: int) -> Object:
    return {
        "groupName": f"group-{number}",
        "consumeEnable": number % 20 != 0,
        "retryMaxTimes": number % 16,
        "retryQueueNums": 1 + number % 3,
    }


@pytest.fixture(scope="module")
def place(make_namespace: Callable[..., Place], operator: Operator) -> Place:
    return make_namespace("scale-out", restricted=True)


def _one_group(resource: Object) -> Object:
    if resource["kind"] == "NameService":
        return changed(resource, size=1)
    return changed(resource, size=1, replicaPerGroup=0, config=NOTHING_BY_ITSELF)


@pytest.fixture(scope="module")
def ready(place: Place, tmp_path_factory: pytest.TempPathFactory) -> None:
    """One group with many topics and groups, and a pod with mqadmin."""
    apply(place, map(_one_group, sample("storageclass")))
    wait_ready(place, RESOURCES)
    start_pod(place, ADMIN, NEW)
    (master,) = masters(place)
    for command, many in (
        ("updateTopicList", [_topic(number) for number in range(TOPICS)]),
        ("updateSubGroupList", [_group(number) for number in range(GROUPS)]),
    ):
        file = tmp_path_factory.mktemp("many") / f"{command}.json"
        file.write_text(json.dumps(many), encoding="utf-8")
        place.kubectl("cp", str(file), f"{ADMIN}:/tmp/{file.name}")
        mqadmin(place, ADMIN, command, "-b", master, "-f", f"/tmp/{file.name}")


def _export(place: Place, number: int) -> Metadata:
    return exported(place, ADMIN, masters(place)[number])


def _settled(place: Place) -> None:
    resource = place.get(*BROKER)
    assert condition(resource)["status"] == "True", condition(resource)
    assert condition(resource)["observedGeneration"] == resource["metadata"]["generation"]
    assert resource["status"]["step"] == "", resource["status"]["step"]
    assert resource["status"].get("scaleOut", []) == []


def _wait_sent_to(load: Load, groups: set[str]) -> None:
    def sent() -> None:
        assert load.sent_to(time.time() - LATELY_S) == groups

    within(ROUTED_S, sent)


def test_two_new_groups_serve_every_topic_from_their_first_moment(
    place: Place, ready: None, tell: Callable[[str], None]
) -> None:
    setting = Setting(topic="growing", retries=0, poll_s=5, with_groups=True)
    with start_load(place, name_servers(place), setting) as load:
        begun = time.monotonic()
        place.patch(*BROKER, {"spec": {"size": 3}})
        within(COPIED_S, lambda: _settled(place))
        took_s = time.monotonic() - begun
        _wait_sent_to(load, {"broker-0", "broker-1", "broker-2"})
        verdict = load.stop()
        refusals = load.refusals(TOPIC_NOT_EXIST, GROUP_NOT_EXIST)
    tell(f"1 to 3 groups with {TOPICS} topics and {GROUPS} groups in {took_s:.0f} s: {verdict}")
    assert verdict.lost == verdict.erased == frozenset(), verdict
    assert refusals == ""
    assert [kind for kind in verdict.errors if kind.endswith(f" {TOPIC_NOT_EXIST}")] == []
    source = _export(place, 0)
    assert len(source.topics) > TOPICS
    assert len(source.groups) > GROUPS
    for number in (1, 2):
        copy = _export(place, number)
        assert _differing(source.topics, copy.topics) == {}
        assert _differing(source.groups, copy.groups) == {}


def _differing(
    wanted: dict[str, Object], found: dict[str, Object]
) -> dict[str, tuple[Object | None, Object | None]]:
    return {
        name: (wanted.get(name), found.get(name))
        for name in wanted.keys() | found.keys()
        if wanted.get(name) != found.get(name)
    }


def test_a_group_that_has_opened_keeps_its_own_topics_when_it_restarts(
    place: Place, ready: None
) -> None:
    own = masters(place)[1]
    topic = ("updateTopic", "-b", own, "-r", "2", "-w", "2", "-t")
    mqadmin(place, ADMIN, *topic, "made-since")
    mqadmin(place, ADMIN, *topic, "topic-1")
    mqadmin(place, ADMIN, "updateTopic", "-b", masters(place)[0], "-t", "made-elsewhere")
    before = _export(place, 1)
    assert before.topics["topic-1"]["readQueueNums"] == 2
    uid = place.get("Pod", "broker-1-master-0")["metadata"]["uid"]
    place.delete("Pod", "broker-1-master-0")

    def again() -> None:
        assert place.get("Pod", "broker-1-master-0")["metadata"]["uid"] != uid
        _settled(place)

    within(RESTARTED_S, again)
    after = _export(place, 1)
    assert (_differing(before.topics, after.topics), before.groups == after.groups) == ({}, True)
    assert "made-since" in after.topics
    assert "made-elsewhere" not in after.topics
