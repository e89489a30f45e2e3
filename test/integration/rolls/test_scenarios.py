"""Scenarios of docs/scenarios.md, by their number there, and rows of docs/compared.md that no other
file shows: what fails or is deleted in the middle of a roll, servers that answer with errors,
drains, drift, name servers that come back elsewhere, or made anew, or not at all.
"""

from __future__ import annotations

import asyncio

import pytest

from fakes.clusters import condition, name_service, wait_condition
from fakes.kubelet import Behaviour, Kubelet
from fakes.operator_process import OperatorProcess
from fakes.rocketmq_world import World
from fakes.rolling_cluster import PODS, edit, settled, starts
from fakes.waiting import eventually, holds
from fakes.witness import Place, Refused, path_of
from rocketmq.admin import Admin
from rocketmq.codes import RequestCode, ResponseCode
from rocketmq.pool import ClientSettings, Pool

MASTER_0, REPLICA_0, MASTER_1, REPLICA_1 = PODS
BYTES_PER_S = 10_000.0
QUIET_S = 3.0
PUT_BACK_S = 5.0
TOO_MANY_REQUESTS = 429
WELL = Behaviour()
ONCE = dict.fromkeys(PODS, 1)
TWICE = dict.fromkeys(PODS, 2)


def assert_that(holds_true: object) -> None:
    assert holds_true


def waits(place: Place, words: str) -> None:
    """Wait until the step says so."""

    def check() -> None:
        step = place.get("Broker", "broker")["status"]["step"]
        assert words in step, step

    eventually(check)


def degraded(place: Place, operator: OperatorProcess, reason: str, pod: str) -> None:
    """Wait until condition, Event and metric say that somebody has to act on this pod."""
    told = wait_condition(place, "Broker", "broker", ("True", reason), of="Degraded")
    assert pod in condition(told, "Degraded")["message"]

    def everywhere() -> None:
        events = [one for one in place.list("Event") if one["reason"] == reason]
        assert any(one["type"] == "Warning" and pod in one["note"] for one in events)
        which = f'kind="Broker",name="broker",namespace="{place.name}"'
        name = f'rocketmq_operator_condition{{condition="Degraded",{which}}}'
        assert operator.metrics()[name] == 1

    eventually(everywhere)


# 10: a broker that does not come back


def test_a_configuration_that_no_broker_starts_with_stops_after_one_pod_and_a_corrected_one_heals(
    loaded: World, place: Place, operator: OperatorProcess
) -> None:
    edit(place, config={"messageDelayLevel": "soon"})
    degraded(place, operator, "PodCrashing", REPLICA_0)
    others = (MASTER_0, MASTER_1, REPLICA_1)
    holds(lambda: assert_that([loaded.starts(one) for one in others] == [1, 1, 1]), for_s=QUIET_S)
    edit(place, config={"messageDelayLevel": "1s 5s"})
    settled(place)
    # One that could not start is not counted as started. It may start before it is replaced: the
    # corrected ConfigMap is mounted in it too.
    assert starts(loaded) | {REPLICA_0: 2} == TWICE
    assert loaded.starts(REPLICA_0) in {2, 3}
    assert [loaded.lost_bytes(group) for group in ("broker-0", "broker-1")] == [0, 0]


def test_a_master_that_crashes_in_the_middle_of_a_roll_ends_it_until_the_spec_is_corrected(
    loaded: World, place: Place, operator: OperatorProcess, kubelet: Kubelet
) -> None:
    since = loaded.now()
    edit(place, config={"defaultTopicQueueNums": "6"})
    eventually(lambda: assert_that("stopped" in [one.what for one in loaded.events(MASTER_0)]))
    kubelet.behave(place.name, MASTER_0, Behaviour(mood="crash-loop"))
    degraded(place, operator, "PodCrashing", MASTER_0)
    others = (REPLICA_0, MASTER_1, REPLICA_1)
    holds(lambda: assert_that([loaded.starts(one) for one in others] == [2, 1, 1]), for_s=QUIET_S)
    assert loaded.broker(MASTER_1).settings["brokerPermission"] == "6"
    kubelet.behave(place.name, MASTER_0, WELL)
    edit(place, config={"defaultTopicQueueNums": "7"})
    settled(place)
    assert [loaded.starts(one) for one in (MASTER_1, REPLICA_1)] == [2, 2]
    assert loaded.max_down(since=since) == 1
    assert loaded.lost_bytes("broker-0") == 0


# 11: admin calls that fail, registrations that are missing


@pytest.mark.parametrize("pod", [MASTER_1, REPLICA_1])
def test_a_broker_that_answers_with_errors_closes_the_gate_until_it_is_well(
    pod: str, loaded: World, place: Place
) -> None:
    busy = (ResponseCode.SYSTEM_ERROR, "the store is busy")
    loaded.fault(pod, answers={RequestCode.GET_BROKER_RUNTIME_INFO: busy})
    edit(place, config={"defaultTopicQueueNums": "6"})
    waits(place, f"{pod} does not answer")
    holds(lambda: assert_that(starts(loaded) == ONCE), for_s=QUIET_S)
    loaded.heal()
    settled(place)
    assert starts(loaded) == TWICE


def test_a_broker_that_no_name_server_lists_closes_the_gate_until_it_is_registered(
    loaded: World, place: Place
) -> None:
    loaded.fault(REPLICA_1, registers=False)
    eventually(lambda: assert_that(not loaded.broker(REPLICA_1).listed_by))
    edit(place, config={"defaultTopicQueueNums": "6"})
    waits(place, REPLICA_1)
    holds(lambda: assert_that(starts(loaded) == ONCE), for_s=QUIET_S)
    loaded.heal()
    settled(place)
    assert starts(loaded) == TWICE


# 12: nodes that are drained


def evict(place: Place, pod: str) -> None:
    """What `kubectl drain` asks for. Raises Refused while the budget does not allow it."""
    head = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
    place.witness.request("POST", path_of("Pod", place.name, pod, "eviction"), body=head)


def drain(place: Place, pod: str) -> None:
    """As `kubectl drain`, which asks again: the budget's count comes a moment after the pods."""
    eventually(lambda: assert_that(_is_evicted(place, pod)))


def _is_evicted(place: Place, pod: str) -> bool:
    try:
        evict(place, pod)
    except Refused as refused:
        if refused.status != TOO_MANY_REQUESTS:
            raise
        return False
    return True


def test_a_drain_takes_one_of_a_group_and_the_roll_waits_for_it(
    loaded: World, place: Place, kubelet: Kubelet
) -> None:
    since = loaded.now()
    kubelet.behave(place.name, MASTER_1, Behaviour(mood="unready"))
    drain(place, MASTER_1)
    eventually(lambda: assert_that(loaded.starts(MASTER_1) == 2))
    edit(place, config={"defaultTopicQueueNums": "6"})
    waits(place, MASTER_1)
    before = starts(loaded)
    with pytest.raises(Refused) as refused:
        evict(place, REPLICA_1)
    assert refused.value.status == TOO_MANY_REQUESTS, "two of one group at a time"
    holds(lambda: assert_that(starts(loaded) == before), for_s=QUIET_S)
    kubelet.behave(place.name, MASTER_1, WELL)
    settled(place)
    assert loaded.max_down(since=since) == 1


# 21: drift


def test_a_template_that_somebody_edits_is_put_back_and_nothing_restarts(
    loaded: World, place: Place
) -> None:
    wanted = place.get("StatefulSet", MASTER_0.removesuffix("-0"))["spec"]["template"]["spec"]
    theirs = [{**one, "image": "apache/rocketmq:4.9.7"} for one in wanted["containers"]]
    change = {"spec": {"template": {"spec": {"containers": theirs}}}}
    place.patch("StatefulSet", "broker-0-master", change)

    def put_back() -> None:
        now = place.get("StatefulSet", "broker-0-master")["spec"]["template"]["spec"]
        assert now["containers"] == wanted["containers"]

    eventually(put_back, within_s=PUT_BACK_S)
    settled(place)
    holds(lambda: assert_that(starts(loaded) == ONCE), for_s=QUIET_S)


def test_settings_that_somebody_changes_in_a_running_broker_are_put_back(
    loaded: World, place: Place
) -> None:
    name_servers = loaded.broker(MASTER_0).settings["namesrvAddr"]
    theirs = {"fileReservedTime": "1", "namesrvAddr": name_servers.split(";")[0]}
    before = len(loaded.calls(RequestCode.UPDATE_BROKER_CONFIG, pod=MASTER_0))
    _tell(place, MASTER_0, theirs)
    # Brokers are asked every minute when nothing happens, and at any change.
    place.patch("Broker", "broker", {"metadata": {"annotations": {"look": "now"}}})

    def put_back() -> None:
        told = loaded.calls(RequestCode.UPDATE_BROKER_CONFIG, pod=MASTER_0)[before:]
        assert len(told) > 1, "only they have told it anything"
        now = loaded.broker(MASTER_0).settings
        assert (now["fileReservedTime"], now["namesrvAddr"]) == ("72", name_servers)

    eventually(put_back)
    settled(place)
    assert starts(loaded) == ONCE


def _tell(place: Place, pod: str, settings: dict[str, str]) -> None:
    """As mqadmin does."""
    address = f"{place.get('Pod', pod)['status']['podIP']}:10911"

    async def tell() -> None:
        async with Pool(ClientSettings()) as pool:
            await Admin(pool).brokers.update_settings(address, settings)

    asyncio.run(tell())


# 22: name servers


def test_a_name_server_that_comes_back_elsewhere_moves_no_broker(
    loaded: World, place: Place, kubelet: Kubelet
) -> None:
    def lists() -> set[str]:
        return {loaded.broker(pod).settings["namesrvAddr"] for pod in PODS}

    before, at = lists(), place.get("Pod", "name-service-1")["status"]["podIP"]
    assert before == {
        ";".join(
            f"name-service-{number}.name-service-headless.{place.name}.svc:9876"
            for number in range(2)
        )
    }
    told = len(loaded.calls(RequestCode.UPDATE_BROKER_CONFIG))
    kubelet.behave(place.name, "name-service-1", Behaviour(mood="unready"))
    place.delete("Pod", "name-service-1")
    eventually(lambda: assert_that(place.get("Pod", "name-service-1")["status"]["podIP"] != at))
    edit(place, config={"defaultTopicQueueNums": "6"})
    waits(place, "name-service-1")
    holds(lambda: assert_that((starts(loaded), lists()) == (ONCE, before)), for_s=QUIET_S)
    assert len(loaded.calls(RequestCode.UPDATE_BROKER_CONFIG)) == told
    kubelet.behave(place.name, "name-service-1", WELL)
    settled(place)
    assert starts(loaded) == TWICE
    assert lists() == before


def test_while_all_name_servers_are_lost_no_broker_is_touched(loaded: World, place: Place) -> None:
    lists = {loaded.broker(pod).settings["namesrvAddr"] for pod in PODS}
    for name_server in ("name-service-0", "name-service-1"):
        loaded.fault(name_server, hung=True)
    edit(place, config={"defaultTopicQueueNums": "6"})
    waits(place, "waits: ")
    told = len(loaded.calls(RequestCode.UPDATE_BROKER_CONFIG))
    holds(lambda: assert_that(starts(loaded) == ONCE), for_s=QUIET_S)
    assert {loaded.broker(pod).settings["namesrvAddr"] for pod in PODS} == lists
    assert len(loaded.calls(RequestCode.UPDATE_BROKER_CONFIG)) == told
    loaded.heal()
    settled(place)
    assert starts(loaded) == TWICE


# docs/compared.md


def test_a_name_service_that_is_deleted_and_made_again_moves_no_broker(
    loaded: World, place: Place
) -> None:
    place.kubectl("delete", "nameservice/name-service", "--wait=true")
    eventually(lambda: assert_that(place.names("Pod") == set(PODS)))
    edit(place, config={"fileReservedTime": "48", "defaultTopicQueueNums": "6"})
    wait_condition(place, "Broker", "broker", ("False", ""))
    holds(lambda: assert_that(starts(loaded) == ONCE), for_s=QUIET_S)
    place.apply(name_service(size=2))
    settled(place)
    assert starts(loaded) == TWICE, "the edit alone is worth a restart"
    assert {len(loaded.broker(pod).name_servers) for pod in PODS} == {2}


def test_what_the_spec_says_of_pods_reaches_all_of_them_by_one_roll(
    loaded: World, place: Place
) -> None:
    since = loaded.now()
    term = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"noisy": "yes"}}}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    verbatim = {
        "affinity": affinity,
        "imagePullSecrets": [{"name": "registry"}],
        "nodeSelector": {"disk": "fast"},
        "terminationGracePeriodSeconds": 90,
    }
    toleration = {"key": "dedicated", "operator": "Exists"}
    edit(
        place,
        **verbatim,
        env=[{"name": "TEAM", "value": "payments"}],
        podAnnotations={"team": "payments"},
        resources={"limits": {"memory": "4Gi"}},
        tolerations=[toleration],
    )
    settled(place)
    assert starts(loaded) == TWICE
    assert loaded.max_down(since=since) == 1
    for name in PODS:
        pod = place.get("Pod", name)
        spec, (container,) = pod["spec"], pod["spec"]["containers"]
        assert {field: spec[field] for field in verbatim} == verbatim
        assert toleration in spec["tolerations"]
        assert {"name": "TEAM", "value": "payments"} in container["env"]
        assert container["resources"]["limits"] == {"memory": "4Gi"}
        assert pod["metadata"]["annotations"]["team"] == "payments"


def test_a_resource_that_is_deleted_in_the_middle_of_a_roll_goes_at_once(
    loaded: World, place: Place
) -> None:
    edit(place, config={"defaultTopicQueueNums": "6"})
    eventually(lambda: assert_that(loaded.starts(REPLICA_0) == 2))
    place.delete("Broker", "broker")
    name_servers = {"name-service-0", "name-service-1"}
    eventually(lambda: assert_that(place.names("Pod") == name_servers))
    holds(lambda: assert_that(place.names("Pod") == name_servers), for_s=1.0)
    assert 1 in starts(loaded).values(), "the roll was not over"
