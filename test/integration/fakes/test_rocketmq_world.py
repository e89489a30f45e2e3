"""The simulated RocketMQ as the operator meets it: through pods, sockets and our own client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from fakes.kubelet import Behaviour, Kubelet
from fakes.rocketmq_world import World
from fakes.rocketmq_world_manifests import NEW, broker, broker_files, name_servers
from fakes.waiting import eventually, holds, pause
from fakes.witness import Object, Place
from rocketmq.admin import Admin
from rocketmq.calls import Caller, Request
from rocketmq.codes import RequestCode
from rocketmq.errors import (
    BusyError,
    ConnectError,
    ConnectionLostError,
    NoAnswerError,
    ServerFaultError,
    UnsupportedError,
)
from rocketmq.messages.brokers import RuntimeInfo
from rocketmq.pool import ClientSettings, Pool
from rocketmq.routes import ClusterInfo

T = TypeVar("T")

OLD = "apache/rocketmq:4.9.2"
MASTER, REPLICA = "broker-0-master-0", "broker-0-replica-1-0"


def group(place: Place, *, image: str = NEW, count: int = 1) -> None:
    """Name servers, a master and a replica, all ready."""
    broker_files(place, name_servers(place, count))
    broker(place, image=image)
    broker(place, replica=True, image=image)
    for pod in (MASTER, REPLICA, *(f"ns-{number}" for number in range(count))):
        wait_ready(place, pod)
    change(place, MASTER, brokerPermission="6")  # its store is new


def is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def wait_ready(place: Place, pod: str, wanted: bool = True) -> Object:
    def check() -> Object:
        found = place.get("Pod", pod)
        assert is_ready(found) is wanted
        return found

    return eventually(check)


def ask(
    place: Place, pod: str, question: Callable[[Admin, str], Awaitable[T]], port: int = 10911
) -> T:
    address = f"{place.get('Pod', pod)['status']['podIP']}:{port}"

    async def run() -> T:
        async with Pool(ClientSettings()) as pool:
            return await question(Admin(pool), address)

    return asyncio.run(run())


def cluster_info(place: Place, pod: str = "ns-0") -> ClusterInfo:
    return ask(place, pod, lambda admin, at: admin.name_servers.cluster_info(at), 9876)


def runtime(place: Place, pod: str) -> RuntimeInfo:
    return ask(place, pod, lambda admin, at: admin.brokers.runtime_info(at))


def settings(place: Place, pod: str) -> dict[str, str]:
    return ask(place, pod, lambda admin, at: admin.brokers.settings(at)).values


def change(place: Place, pod: str, **changes: str) -> dict[str, str | None]:
    return ask(place, pod, lambda admin, at: admin.brokers.update_settings(at, changes)).not_taken


def test_brokers_register_and_answer_under_the_addresses_of_their_pods(
    place: Place, world: World
) -> None:
    group(place)
    (found,) = cluster_info(place).broker_sets("broker")
    assert found.broker_addrs == {
        0: f"{MASTER}.broker.{place.name}.svc:10911",
        1: f"{REPLICA}.broker.{place.name}.svc:10911",
    }
    assert runtime(place, MASTER).version == "V5_3_3"
    assert settings(place, REPLICA)["brokerRole"] == "SLAVE"
    assert [one.what for one in world.events(MASTER)] == ["started", "serving"]
    codes = {one.code for one in world.calls(pod="ns-0")}
    assert codes == {RequestCode.GET_BROKER_CLUSTER_INFO}


def test_settings_are_pushed_read_back_and_gone_after_a_restart(place: Place, world: World) -> None:
    group(place)
    assert change(place, MASTER, fileReservedTime="48", brokerPermission="4") == {}
    assert settings(place, MASTER)["fileReservedTime"] == "48"
    assert change(place, MASTER, fileReservedTime="soon", noSuchKey="1") == {
        "fileReservedTime": "48",
        "noSuchKey": None,
    }
    place.delete("Pod", MASTER)
    eventually(lambda: _started(world, MASTER, 2))
    wait_ready(place, MASTER)
    assert settings(place, MASTER)["fileReservedTime"] == "72"
    assert settings(place, MASTER)["brokerPermission"] == "1"  # its store went with the pod


def _started(world: World, pod: str, times: int) -> None:
    assert world.starts(pod) == times


def test_the_configuration_is_that_of_the_config_map_at_the_start_of_the_pod(
    place: Place, world: World
) -> None:
    addresses = name_servers(place)
    broker_files(place, addresses, user="flushDiskType=SYNC_FLUSH\nlistenPort=1\n")
    broker(place)
    wait_ready(place, MASTER)
    found = world.broker(MASTER).settings
    assert (found["flushDiskType"], found["listenPort"]) == ("SYNC_FLUSH", "10911")
    broker_files(place, addresses, user="fileReservedTime=12\n")
    assert world.broker(MASTER).settings["fileReservedTime"] == "72"
    world.crash(MASTER)
    assert world.broker(MASTER).settings["fileReservedTime"] == "12"


@pytest.mark.parametrize(
    ("image", "followed"), [(OLD, False), ("apache/rocketmq:4.9.7", True), (NEW, True)]
)
def test_a_pushed_list_of_name_servers_is_followed_from_4_9_4_on(
    image: str, followed: bool, place: Place, world: World
) -> None:
    addresses = name_servers(place, 2).split(";")
    broker_files(place, addresses[0])
    broker(place, image=image)
    wait_ready(place, MASTER)
    assert change(place, MASTER, namesrvAddr=";".join(addresses)) == {}
    wanted = tuple(addresses) if followed else (addresses[0],)
    if followed:
        eventually(lambda: _registers_with(world, wanted))
    else:  # longer than a newer one takes to look
        holds(lambda: _registers_with(world, wanted), for_s=0.6)


def _registers_with(world: World, wanted: tuple[str, ...]) -> None:
    found = world.broker(MASTER)
    assert found.name_servers == wanted
    assert len(found.listed_by) == len(wanted)


def test_a_replica_follows_its_master_and_907_tells_from_5_0(place: Place, world: World) -> None:
    group(place)
    assert world.produce("broker-0", 1000)
    eventually(lambda: _same_log(place, 1000))
    status = ask(place, MASTER, lambda admin, at: admin.brokers.ha_status(at))
    assert status.master
    assert [one.slave_ack_offset for one in status.ha_connection_info] == [1000]


def _same_log(place: Place, end: int) -> None:
    assert [runtime(place, pod).commit_log_max_offset for pod in (MASTER, REPLICA)] == [end, end]


def test_4_9_does_not_know_907_nor_its_figures_at_once(place: Place, world: World) -> None:
    group(place, image="apache/rocketmq:4.9.7")
    assert eventually(lambda: _version(place)) == "V4_9_7"
    with pytest.raises(UnsupportedError):
        ask(place, MASTER, lambda admin, at: admin.brokers.ha_status(at))


def _version(place: Place) -> str:
    try:
        return runtime(place, MASTER).version
    except ServerFaultError as error:
        raise AssertionError from error


def test_faults_are_seen_by_clients_and_by_the_kubelet(place: Place, world: World) -> None:
    group(place)
    world.fault(MASTER, hung=True)
    with pytest.raises(NoAnswerError):
        ask(place, MASTER, lambda admin, at: _impatient(admin.brokers.caller, at))
    wait_ready(place, MASTER, False)
    eventually(lambda: _listed(world, {1}))
    world.heal()
    wait_ready(place, MASTER)
    assert set(world.listed("ns-0")["broker-0"]) == {0, 1}

    world.fault(MASTER, refusing=True)
    with pytest.raises(ConnectError):
        runtime(place, MASTER)
    world.heal(MASTER)
    assert runtime(place, MASTER).version

    world.fault(MASTER, answers={RequestCode.GET_BROKER_CONFIG: (2, "[TIMEOUT_CLEAN_QUEUE]")})
    with pytest.raises(BusyError):
        settings(place, MASTER)
    world.fault(MASTER, answers={}, takes_settings=False)
    assert change(place, MASTER, fileReservedTime="48") == {"fileReservedTime": "72"}
    assert world.starts(MASTER) == 1


async def _impatient(caller: Caller, address: str) -> None:
    request = Request(RequestCode.GET_BROKER_RUNTIME_INFO)
    await caller.call(address, request, timeout_s=0.3)


def _listed(world: World, ids: set[int]) -> None:
    assert set(world.listed("ns-0").get("broker-0", ())) == ids


def test_a_blank_name_server_knows_nobody_and_a_broker_listed_nowhere_is_not_ready(
    place: Place, world: World
) -> None:
    group(place)
    world.fault("ns-0", blank=True)
    assert cluster_info(place).broker_sets() == ()
    wait_ready(place, MASTER, False)
    world.heal()
    wait_ready(place, MASTER)
    assert is_ready(place.get("Pod", "ns-0"))


def test_a_pod_that_goes_is_unlisted_and_counted_until_its_successor_serves(
    place: Place, world: World
) -> None:
    group(place)
    assert world.max_down("broker-0") == 0
    place.delete("Pod", REPLICA)
    eventually(lambda: _started(world, REPLICA, 2))
    wait_ready(place, REPLICA)
    (outage,) = world.outages("broker-0")
    assert (outage.pod, world.max_down("broker-0")) == (REPLICA, 1)
    place.delete("Pod", REPLICA)
    place.delete("Pod", MASTER)
    eventually(lambda: _started(world, MASTER, 2))
    wait_ready(place, MASTER)
    assert world.max_down("broker-0") == 2
    assert world.max_down("broker-0", without={REPLICA}) == 1


def test_a_master_that_lost_its_log_breaks_the_replication(place: Place, world: World) -> None:
    group(place)
    world.produce("broker-0", 1000)
    eventually(lambda: _same_log(place, 1000))
    place.delete("Pod", MASTER)
    eventually(lambda: _started(world, MASTER, 2))
    eventually(lambda: _broken(world))
    assert world.lost_bytes("broker-0") == 0  # the replica has them, out of reach
    place.delete("Pod", REPLICA)
    eventually(lambda: _started(world, REPLICA, 2))
    assert world.lost_bytes("broker-0") == 1000


def _broken(world: World) -> None:
    assert world.broker(REPLICA).broken


def test_a_claim_keeps_the_log_of_a_broker_until_the_claim_is_lost(
    place: Place, world: World
) -> None:
    broker_files(place, name_servers(place))
    broker(place, lasting=True)
    wait_ready(place, MASTER)
    world.produce("broker-0", 1000)
    place.delete("Pod", MASTER)
    eventually(lambda: _started(world, MASTER, 2))
    assert world.broker(MASTER).log_end == 1000
    world.lose_storage(MASTER)
    place.delete("Pod", MASTER)
    eventually(lambda: _started(world, MASTER, 3))
    assert (world.broker(MASTER).log_end, world.lost_bytes("broker-0")) == (0, 1000)


@pytest.mark.parametrize("effect", [True, False])
def test_something_happens_at_the_nth_admin_call_before_or_after_its_effect(
    effect: bool, place: Place, world: World
) -> None:
    group(place)
    seen: list[str] = []

    def action() -> None:
        seen.append(world.broker(MASTER).settings["fileReservedTime"])

    world.at_call(1, action, effect=effect, codes={RequestCode.UPDATE_BROKER_CONFIG})
    if effect:
        assert change(place, MASTER, fileReservedTime="48") == {}
    else:
        with pytest.raises(ConnectionLostError):
            change(place, MASTER, fileReservedTime="48")
    assert seen == ["48" if effect else "72"]
    assert change(place, MASTER, fileReservedTime="36") == {}
    assert len(seen) == 1


def test_an_image_or_a_configuration_that_cannot_start_says_so_and_heals(
    place: Place, world: World
) -> None:
    addresses = name_servers(place)
    broker_files(place, addresses, user="messageDelayLevel=soon\n")
    broker(place)
    eventually(lambda: _waiting(place, "CrashLoopBackOff"))
    broker_files(place, addresses)
    wait_ready(place, MASTER)
    broker(place, image="apache/rocketmq:5.99.0")
    place.delete("Pod", MASTER)
    eventually(lambda: _waiting(place, "ImagePullBackOff"))
    told = [one.what for one in world.events(MASTER)]
    assert told[0] == "crashed"  # more than once, if the files came late
    assert [what for what in told if what != "crashed"] == ["started", "serving", "stopped"]


def _waiting(place: Place, reason: str) -> None:
    (container,) = place.get("Pod", MASTER)["status"]["containerStatuses"]
    assert container["state"].get("waiting", {}).get("reason") == reason


def test_moods_of_the_kubelet_stop_what_runs_in_a_pod(
    place: Place, world: World, kubelet: Kubelet
) -> None:
    group(place)
    kubelet.behave(place.name, MASTER, Behaviour("crash-loop"))
    eventually(lambda: _waiting(place, "CrashLoopBackOff"))
    assert MASTER not in world.running()
    kubelet.behave(place.name, MASTER, Behaviour())
    wait_ready(place, MASTER)


def test_a_pod_deleted_by_force_takes_its_server_along(place: Place, world: World) -> None:
    group(place)
    place.delete("StatefulSet", "broker-0-replica-1", propagationPolicy="Orphan")
    place.delete("Pod", REPLICA, gracePeriodSeconds=0)
    eventually(lambda: _not_running(world, REPLICA))
    eventually(lambda: _listed(world, {0}))


def _not_running(world: World, pod: str) -> None:
    assert pod not in world.running()


def test_a_producer_follows_the_routes_so_that_permission_4_stops_it(
    place: Place, world: World
) -> None:
    group(place)
    world.load("broker-0", 100_000)
    eventually(lambda: _sent(world))
    assert change(place, MASTER, brokerPermission="4") == {}
    eventually(lambda: _stands_still(world))
    place.delete("Pod", MASTER)
    eventually(lambda: _started(world, MASTER, 2))
    assert world.producer("broker-0").failed == 0


def _sent(world: World) -> None:
    assert world.producer("broker-0").sent > 0
    assert world.broker(MASTER).log_end > 0


def _stands_still(world: World) -> None:
    before = world.broker(MASTER).log_end
    pause(0.3)
    assert world.broker(MASTER).log_end == before


def test_worlds_of_two_namespaces_with_equal_names_do_not_meet(
    place: Place, other_place: Place, worlds: Callable[[Place], World]
) -> None:
    one, other = worlds(place), worlds(other_place)
    group(place)
    group(other_place)
    one.fault(MASTER, hung=True)
    wait_ready(place, MASTER, False)
    assert is_ready(other_place.get("Pod", MASTER))
    place.delete("Pod", MASTER)
    eventually(lambda: _started(one, MASTER, 2))
    assert other.starts(MASTER) == 1


def test_a_name_server_outside_kubernetes_is_one_as_well(place: Place, world: World) -> None:
    broker_files(place, world.add_name_server("apache/rocketmq:4.9.7"))
    broker(place)
    wait_ready(place, MASTER)
    assert set(world.listed("external-1")) == {"broker-0"}
    world.fault("external-1", refusing=True)
    wait_ready(place, MASTER, False)
