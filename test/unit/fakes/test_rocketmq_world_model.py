from __future__ import annotations

import pytest

from fakes.rocketmq_world_model import Broker, Faults, Load, Model, NameServer, Timing
from fakes.rocketmq_world_settings import Definition, changed_settings, default_settings
from fakes.rocketmq_world_tables import Tables
from rocketmq.codes import MQVersion

TIMING = Timing()
GROUP, MASTER, REPLICA = "c-0", "c-0-master-0", "c-0-replica-1-0"
STEP_S = 0.05


class Course:
    """A model and its time."""

    def __init__(self) -> None:
        self.model = Model(TIMING)
        self.now = 100.0

    def name_server(self, pod: str) -> NameServer:
        """One that begins."""
        found = self.model.start(
            Definition(
                kind="name-server",
                pod=pod,
                hosts=frozenset({pod}),
                version=MQVersion.V5_3_3,
                settings={"listenPort": "9876"},
            ),
            Faults(),
            self.now,
        )
        assert isinstance(found, NameServer)
        return found

    def broker(
        self,
        pod: str = MASTER,
        version: MQVersion = MQVersion.V5_3_3,
        name_servers: str = "ns-0:9876",
        **settings: str,
    ) -> Broker:
        """One that begins; its storage has the name of its pod."""
        replica = "replica" in pod
        identity = {
            "brokerClusterName": "c",
            "brokerName": GROUP,
            "brokerId": "1" if replica else "0",
            "brokerRole": "SLAVE" if replica else "ASYNC_MASTER",
            "brokerIP1": pod,
            "namesrvAddr": name_servers,
            **settings,
        }
        found = self.model.start(
            Definition(
                kind="broker",
                pod=pod,
                hosts=frozenset({pod}),
                version=version,
                settings=changed_settings(default_settings(version), identity),
                storage=pod,
            ),
            Faults(),
            self.now,
        )
        assert isinstance(found, Broker)
        return found

    def pair(self) -> tuple[Broker, Broker]:
        """A master that was opened and its replica, connected."""
        pair = self.broker(), self.broker(REPLICA)
        self.model.change_settings(pair[0], {"brokerPermission": "6"}, self.now)
        self.go(1)
        return pair

    def go(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self.now < end:
            self.now += STEP_S
            self.model.tick(self.now)


@pytest.fixture
def course() -> Course:
    return Course()


def ids(server: NameServer) -> set[int]:
    return {id_ for _, id_ in server.known}


def test_a_broker_registers_with_each_name_server_that_answers(course: Course) -> None:
    first, hung = course.name_server("ns-0"), course.name_server("ns-1")
    hung.faults = Faults(hung=True)
    broker = course.broker(name_servers="ns-0:9876;ns-1:9876;ns-9:9876")
    course.go(STEP_S)
    assert (ids(first), ids(hung)) == ({0}, set())
    assert course.model.serving(broker)


def test_a_name_server_that_starts_is_empty_until_brokers_register_again(course: Course) -> None:
    course.name_server("ns-0")
    course.broker()
    course.go(STEP_S)
    course.model.end("ns-0")
    again = course.name_server("ns-0")
    assert ids(again) == set()
    course.go(TIMING.register_s + STEP_S)
    assert ids(again) == {0}


def test_a_broker_that_ends_is_unlisted_at_once_and_a_hung_one_after_its_expiry(
    course: Course,
) -> None:
    server = course.name_server("ns-0")
    _master, replica = course.pair()
    course.model.end(MASTER)
    assert ids(server) == {1}
    replica.faults = Faults(hung=True)
    course.go(TIMING.expiry_s - 2 * STEP_S - TIMING.register_s)
    assert ids(server) == {1}
    course.go(TIMING.register_s + 4 * STEP_S)
    assert ids(server) == set()


def test_a_machine_that_stood_still_makes_nobody_expire(course: Course) -> None:
    server = course.name_server("ns-0")
    course.pair()
    course.now += 10 * TIMING.expiry_s
    course.model.tick(course.now)
    assert ids(server) == {0, 1}


def test_a_removed_name_server_keeps_a_broker_until_it_expires(course: Course) -> None:
    first, second = course.name_server("ns-0"), course.name_server("ns-1")
    broker = course.broker(name_servers="ns-0:9876;ns-1:9876")
    course.go(1)
    course.model.change_settings(broker, {"namesrvAddr": "ns-1:9876"}, course.now)
    assert (ids(first), ids(second)) == ({0}, {0})
    course.go(TIMING.reread_s + STEP_S)
    assert ids(first) == {0}
    course.go(TIMING.expiry_s + STEP_S)
    assert (ids(first), ids(second)) == (set(), {0})


@pytest.mark.parametrize(
    ("version", "started_with", "follows"),
    [
        (MQVersion.V4_9_2, "ns-0:9876", False),
        (MQVersion.V4_9_4, "ns-0:9876", True),
        (MQVersion.V5_3_3, "", False),
    ],
)
def test_who_follows_a_changed_list_of_name_servers(
    version: MQVersion, started_with: str, follows: bool, course: Course
) -> None:
    second = course.name_server("ns-1")
    broker = course.broker(version=version, name_servers=started_with)
    course.model.change_settings(broker, {"namesrvAddr": "ns-1:9876"}, course.now)
    course.go(TIMING.reread_s + TIMING.register_s + STEP_S)
    assert (ids(second) == {0}) is follows
    assert broker.settings["namesrvAddr"] == "ns-1:9876"


def test_the_permission_is_registered_at_once_and_other_settings_are_not(course: Course) -> None:
    server = course.name_server("ns-0")
    broker = course.broker()
    course.go(STEP_S)
    course.model.change_settings(broker, {"brokerPermission": "4"}, course.now)
    assert server.table[GROUP, 0].permission == 4


def test_a_replica_is_ready_when_it_was_connected_once_and_stays_so(course: Course) -> None:
    course.name_server("ns-0")
    replica = course.broker(REPLICA)
    course.go(1)
    assert not course.model.serving(replica)
    course.broker()
    course.go(1)
    assert course.model.serving(replica)
    course.model.end(MASTER)
    course.go(1)
    assert not replica.connected
    assert course.model.serving(replica)


def test_a_replica_has_what_its_master_has_a_little_later(course: Course) -> None:
    course.name_server("ns-0")
    master, replica = course.pair()
    assert course.model.produce(GROUP, 1000)
    assert (master.log.end, replica.log.end) == (1000, 0)
    course.go(TIMING.replicate_s + 2 * STEP_S)
    assert replica.log.end == 1000
    replica.faults = Faults(replicates=False)
    course.model.produce(GROUP, 1000)
    course.go(1)
    assert (replica.log.end, replica.connected) == (1000, True)


def test_storages_outlast_brokers_unless_they_are_lost(course: Course) -> None:
    course.name_server("ns-0")
    course.pair()
    course.model.produce(GROUP, 1000)
    course.go(1)
    course.model.end(MASTER)
    assert course.broker().log.end == 1000
    course.model.end(MASTER)
    course.model.forget(MASTER)
    assert course.broker().log.end == 0
    assert course.model.lost_bytes(GROUP) == 0
    course.model.end(REPLICA)
    course.model.forget(REPLICA)
    assert course.model.lost_bytes(GROUP) == 1000


@pytest.mark.parametrize("written_since", [0, 5000])
def test_an_empty_master_breaks_the_replication_whatever_is_written_to_it(
    written_since: int, course: Course
) -> None:
    course.name_server("ns-0")
    _master, replica = course.pair()
    course.model.produce(GROUP, 1000)
    course.go(1)
    course.model.end(MASTER)
    course.model.forget(MASTER)
    course.broker()
    course.model.produce(GROUP, written_since)
    course.go(1)
    assert (replica.broken, replica.connected, replica.log.end) == (True, False, 1000)
    course.model.end(REPLICA)
    course.model.forget(REPLICA)
    wiped = course.broker(REPLICA)
    course.go(1)
    assert (wiped.broken, wiped.connected, wiped.log.end) == (False, True, written_since)


@pytest.mark.parametrize(("role", "acknowledged"), [("ASYNC_MASTER", 1000), ("SYNC_MASTER", 0)])
def test_a_sync_master_acknowledges_what_a_replica_has(
    role: str, acknowledged: int, course: Course
) -> None:
    course.name_server("ns-0")
    course.broker(brokerRole=role)
    course.model.produce(GROUP, 1000)
    assert list(course.model.acknowledged.values()) == [acknowledged]
    course.broker(REPLICA)
    course.go(1)
    assert list(course.model.acknowledged.values()) == [1000]


def test_a_producer_stops_when_its_route_says_so_not_before(course: Course) -> None:
    course.name_server("ns-0")
    master, _ = course.pair()
    load = course.model.loads.setdefault(GROUP, _load())
    course.go(1)
    assert load.sent == pytest.approx(1000, rel=0.3)
    load.route_at = course.now + TIMING.route_s
    course.model.change_settings(master, {"brokerPermission": "4"}, course.now)
    before = load.sent
    course.go(TIMING.route_s)
    assert load.sent > before
    course.go(STEP_S)
    before = load.sent
    course.go(1)
    assert (load.sent, load.failed, load.route) == (before, 0, None)


def test_a_producer_fails_at_a_master_that_goes_without_warning(course: Course) -> None:
    course.name_server("ns-0")
    course.pair()
    load = course.model.loads.setdefault(GROUP, _load())
    course.go(1)
    load.route_at = course.now + TIMING.route_s
    course.model.end(MASTER)
    course.go(TIMING.route_s)
    assert load.failed > 0


def _load() -> Load:
    return Load(bytes_per_s=1000)


def test_a_master_with_a_new_store_is_closed_until_it_is_opened_whatever_restarts(
    course: Course,
) -> None:
    master, replica = course.broker(), course.broker(REPLICA)
    assert (master.settings["brokerPermission"], master.closed) == ("1", True)
    assert (replica.settings["brokerPermission"], replica.closed) == ("6", False)
    course.model.end(MASTER)
    again = course.broker()
    assert again.settings["brokerPermission"] == "1"
    course.model.change_settings(again, {"brokerPermission": "6"}, course.now)
    course.model.end(MASTER)
    assert course.broker().settings["brokerPermission"] == "6"
    course.model.end(MASTER)
    course.model.forget(MASTER)
    assert course.broker().settings["brokerPermission"] == "1"


def test_a_group_that_is_to_go_takes_no_writes_and_is_closed_when_it_comes_back() -> None:
    tables = Tables(marker="new")
    assert tables.start_permission("6", leaving=True) == "1"
    tables.note("6", leaving=False)
    assert tables.start_permission("6", leaving=True) == "4"
    assert tables.start_permission("6", leaving=False) == "1"
    tables.note("6", leaving=False)
    assert tables.start_permission("6", leaving=False) == "6"
    tables.note("4", leaving=True)
    assert tables.start_permission("6", leaving=False) == "1"
