"""Edits of clusters that run: those that use every right; the others are in rolls."""

from __future__ import annotations

from fakes.audit_log import AuditLog
from fakes.clusters import apply_all, condition
from fakes.installation import OPERATOR
from fakes.kubelet import Behaviour, Kubelet
from fakes.rocketmq_world import World
from fakes.rolling_cluster import (
    NEW,
    ORDER,
    PODS,
    QUIET_S,
    assert_equal,
    cluster,
    edit,
    settled,
    starts,
)
from fakes.waiting import eventually, holds
from fakes.witness import Place


def test_replicas_go_before_their_masters_and_one_broker_at_a_time(
    loaded: World, place: Place
) -> None:
    since = loaded.now()
    edit(place, config={"defaultTopicQueueNums": "6"})
    settled(place)
    assert starts(loaded) == dict.fromkeys(PODS, 2)
    restarts = [one.pod for one in loaded.outages(since=since)]
    assert restarts == ORDER
    assert loaded.max_down(since=since) == 1
    for group in ("broker-0", "broker-1"):
        assert loaded.lost_bytes(group) == 0
        assert loaded.producer(group).failed == 0, "a master stopped while it was written to"
    permissions = {loaded.broker(pod).settings["brokerPermission"] for pod in PODS}
    assert permissions == {"6"}
    reasons = [one["reason"] for one in place.list("Event") if one["regarding"]["name"] == "broker"]
    assert {"RestartingPod", "WritesMoved"} <= set(reasons)


def test_an_annotation_and_the_same_spec_again_restart_nothing_and_write_nothing(
    loaded: World, place: Place, audit: AuditLog
) -> None:
    before = starts(loaded)
    audit.settled(user=OPERATOR, namespace=place.name)
    mark = audit.mark()
    place.patch("Broker", "broker", {"metadata": {"annotations": {"team": "payments"}}})
    apply_all(place, cluster())
    holds(lambda: assert_equal(starts(loaded), before), for_s=QUIET_S)
    writes = audit.writes(mark, user=OPERATOR, namespace=place.name)
    assert [str(one) for one in writes] == []


def test_a_broken_image_stops_after_one_pod_and_a_corrected_one_heals(
    loaded: World, place: Place, kubelet: Kubelet
) -> None:
    kubelet.behave(place.name, ORDER[0], Behaviour(mood="no-image"))
    edit(place, brokerImage="apache/rocketmq:5.3.9")

    def told() -> None:
        seen = condition(place.get("Broker", "broker"), "Degraded")
        assert (seen["status"], seen["reason"]) == ("True", "ImageNotPulled"), seen

    eventually(told)
    others = [pod for pod in PODS if pod != ORDER[0]]
    holds(lambda: assert_equal([loaded.starts(pod) for pod in others], [1, 1, 1]), for_s=QUIET_S)
    kubelet.behave(place.name, ORDER[0], Behaviour())
    edit(place, brokerImage=NEW)
    settled(place)
    assert [loaded.starts(pod) for pod in others] == [1, 1, 1], "they had this image all the time"
