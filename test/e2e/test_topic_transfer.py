"""A topic moves from one cluster to another one under live load, or everything is as it was.

`make soak` moves topics of the older version, too (ROCKETMQ_EVERY_VERSION); without a node,
`make transfers` always does.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from e2e.cluster import RealCluster
from e2e.deployed_operator import Operator
from e2e.load import Load, Setting, start_load
from e2e.messages import start_pod
from e2e.metadata import Metadata, committed, exported, masters
from e2e.resources import BROKER, NAME_SERVICE, apply, changed, name_servers, sample, sample_path
from e2e.shutdown import BrokerFiles
from e2e.versions import NEW, OLD, image
from e2e.waiting import wait_ready, within
from fakes.waiting import pause
from fakes.witness import Object, Place

RESOURCES = [NAME_SERVICE, BROKER]
VERSIONS = (NEW, OLD) if os.environ.get("ROCKETMQ_EVERY_VERSION") else (NEW,)
ADMIN = "admin"
MANUAL = ("TopicTransfer", "topictransfer")
"""The manual's example: TopicTest from `broker-0` to `broker-1`."""
DONE_S = 600.0
BEGUN_S = 240.0
LATELY_S = 4.0
OFFSETS_S = 12.0
"""A broker writes its offsets every five seconds."""


def _two_clusters(version: str) -> Callable[[Object], Object]:
    """Each group is a cluster of its own."""

    def small(resource: Object) -> Object:
        if resource["kind"] == "NameService":
            return changed(resource, size=1, nameServiceImage=image(version))
        return changed(
            resource,
            size=2,
            replicaPerGroup=0,
            clusterPerGroup=True,
            brokerImage=image(version),
        )

    return small


@pytest.fixture(scope="module", params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    value: str = request.param
    return value


@pytest.fixture(scope="module")
def place(make_namespace: Callable[..., Place], operator: Operator, version: str) -> Place:
    return make_namespace(f"transfer-{version.partition('.')[0]}", restricted=True)


@pytest.fixture(scope="module")
def ready(place: Place, version: str) -> None:
    apply(place, map(_two_clusters(version), sample("storageclass")))
    wait_ready(place, RESOURCES)
    start_pod(place, ADMIN, version)


@pytest.fixture(scope="module")
def files(cluster: RealCluster, place: Place, ready: None) -> list[BrokerFiles]:
    return [
        BrokerFiles(cluster.volume(place, f"broker-storage-{name}-0"), name)
        for name in ("broker-0-master", "broker-1-master")
    ]


def _exports(place: Place) -> list[Metadata]:
    """Topics, those of retries too, and groups of both clusters."""
    return [exported(place, ADMIN, address, retry=True) for address in masters(place)]


def _wait_phase(place: Place, name: str, phase: str) -> Object:
    def reached() -> Object:
        status: Object = place.get("TopicTransfer", name)["status"]
        assert status["phase"] == phase, status
        return status

    return within(DONE_S, reached)


def _transfer(name: str, topic: str, **spec: object) -> Object:
    clusters = {"sourceCluster": "broker-0", "targetCluster": "broker-1"}
    return {
        "apiVersion": "rocketmq.apache.org/v1alpha1",
        "kind": "TopicTransfer",
        "metadata": {"name": name},
        "spec": {"topic": topic, **clusters, "routeRefreshSeconds": 10, **spec},
    }


def _wait_sent_to(load: Load, group: str) -> None:
    def sent() -> None:
        assert load.sent_to(time.time() - LATELY_S) == {group}

    within(BEGUN_S, sent)


def _setting(topic: str, version: str, **more: Any) -> Setting:
    return Setting(topic=topic, cluster="broker-0", version=version, audited=False, **more)


def test_the_manuals_example_moves_the_topic_and_its_groups(
    place: Place, ready: None, version: str, tell: Callable[[str], None]
) -> None:
    """For the newer version as written, by the stock library's own intervals."""
    as_written = version == NEW
    setting = _setting("TopicTest", version, poll_s=0 if as_written else 5)
    with start_load(place, name_servers(place), setting) as load:
        load.read_along("latest", from_last=True)
        before = _exports(place)
        begun = time.monotonic()
        if as_written:
            place.kubectl("apply", "-f", str(sample_path("topictransfer_cr")))
        else:
            place.create(_transfer(MANUAL[1], "TopicTest"))
        _wait_phase(place, MANUAL[1], "Succeeded")
        took_s = time.monotonic() - begun
        _wait_sent_to(load, "broker-1")
        verdict = load.stop()
        groups = load.groups()
    tell(f"{version}, the manual's example in {took_s:.0f} s: {verdict}")
    assert verdict.lost == verdict.lost_unconfirmed == frozenset(), verdict
    # Even the group that begins with the newest message got all: the topic was young.
    assert (verdict.missed, verdict.reordered) == ({}, 0)
    source, target = _exports(place)
    assert "TopicTest" in before[0].topics.keys() - before[1].topics.keys()
    assert "TopicTest" in target.topics.keys() - source.topics.keys()
    assert target.topics["TopicTest"] == before[0].topics["TopicTest"]
    for group in groups:
        assert target.groups[group] == before[0].groups[group]


def test_a_cancelled_transfer_leaves_everything_as_it_was(
    place: Place,
    ready: None,
    version: str,
    files: list[BrokerFiles],
    tell: Callable[[str], None],
) -> None:
    setting = _setting("kept", version, poll_s=5)
    with start_load(place, name_servers(place), setting) as load:
        away = load.read_along("away")
        away.leave()
        before, offsets = _exports(place), _still(files, "kept", away.group)
        place.create(_transfer("cancelled", "kept"))
        # The group that is away keeps it from going on.
        _wait_sent_to(load, "broker-1")
        place.patch("TopicTransfer", "cancelled", {"spec": {"cancel": True}})
        _wait_sent_to(load, "broker-0")
        away.come()
        _wait_phase(place, "cancelled", "RolledBack")
        verdict = load.stop()
    tell(f"{version}, cancelled half-way: {verdict}")
    assert verdict.lost == verdict.lost_unconfirmed == frozenset(), verdict
    assert verdict.missed == {}
    assert verdict.reordered == 0
    assert _exports(place) == before
    assert _still(files, "kept", away.group).keys() == offsets.keys()


def _still(files: list[BrokerFiles], topic: str, group: str) -> dict[str, dict[str, int]]:
    """What this group has committed in the topic, by broker.

    Zeros say the same as nothing: 4.x deletes no offsets of a group that stays.
    """
    pause(OFFSETS_S)
    found = {one.store.name: committed(one).get(f"{topic}@{group}") for one in files}
    return {name: offsets for name, offsets in found.items() if offsets and any(offsets.values())}


def test_the_order_of_messages_is_kept_where_it_is_asked_for(
    place: Place, ready: None, version: str, tell: Callable[[str], None]
) -> None:
    setting = _setting("in-order", version, poll_s=5, ordered=True)
    with start_load(place, name_servers(place), setting) as load:
        place.create(_transfer("in-order", "in-order", ordered=True))
        _wait_phase(place, "in-order", "Succeeded")
        _wait_sent_to(load, "broker-1")
        verdict = load.stop()
    tell(f"{version}, in order: {verdict}")
    assert verdict.lost == verdict.lost_unconfirmed == frozenset(), verdict
    assert verdict.reordered == verdict.out_of_turn == 0
