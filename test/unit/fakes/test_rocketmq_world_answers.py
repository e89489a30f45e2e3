"""The answers are read with our own messages, which are tested against real servers."""

from __future__ import annotations

from typing import Any, TypeVar

import pytest

from fakes.rocketmq_world_answers import answer
from fakes.rocketmq_world_model import Broker, Entry, Faults, Model, NameServer, Server, Timing
from fakes.rocketmq_world_settings import Definition, changed_settings, default_settings
from rocketmq.calls import Response
from rocketmq.codes import MQVersion, RequestCode
from rocketmq.frames import Frame
from rocketmq.messages import brokers as broker_messages
from rocketmq.messages import name_servers as name_server_messages
from rocketmq.messages.operation import Operation
from rocketmq.messages.settings import Server as SettingsOf
from rocketmq.messages.settings import get_settings, update_settings
from rocketmq.routes import TopicRoute

T = TypeVar("T")

V4, V5 = MQVersion.V4_9_7, MQVersion.V5_3_3
NOW = 1000.0
ENTRIES = {
    ("b-0", 0): Entry("b", "m:10911", 6, NOW),
    ("b-0", 1): Entry("b", "r:10911", 6, NOW),
    ("b-1", 0): Entry("b", "n:10911", 4, NOW),
}


def name_server(version: MQVersion = V5) -> NameServer:
    at = Definition(
        kind="name-server",
        pod="ns-0",
        hosts=frozenset({"ns-0"}),
        version=version,
        settings={"listenPort": "9876"},
    )
    return NameServer(at, table=dict(ENTRIES))


def brokers(version: MQVersion = V5) -> tuple[Model, Broker, Broker]:
    """A master with 1000 bytes and its connected replica with 900."""
    model = Model(Timing())
    found = []
    for id_, end in ((0, 1000), (1, 900)):
        identity = {"brokerName": "b-0", "brokerId": str(id_), "brokerIP1": f"127.16.0.{id_}"}
        at = Definition(
            kind="broker",
            pod=f"b-{id_}",
            hosts=frozenset({f"127.16.0.{id_}"}),
            version=version,
            settings=changed_settings(default_settings(version), identity),
            storage=f"b-{id_}",
        )
        broker = model.start(at, Faults(), NOW)
        assert isinstance(broker, Broker)
        broker.log.end = end
        found.append(broker)
    master, replica = found
    replica.connected, replica.master = True, master.address
    return model, master, replica


def asked(operation: Operation[Any], server: Server, model: Model | None = None) -> Frame:
    """The response to an operation of our client's."""
    request = Frame(
        operation.request.code,
        7,
        ext_fields=operation.request.ext_fields,
        body=operation.request.body,
    )
    found = answer(model or Model(Timing()), server, request, NOW + 10)
    assert found is not None
    assert (found.is_response, found.opaque) == (True, 7)
    assert found.version == server.definition.version
    return found


def read(operation: Operation[T], frame: Frame) -> T:
    response = Response(frame.code, frame.remark, frame.ext_fields, frame.body, frame.version)
    return operation.answer(response)


@pytest.mark.parametrize("version", [V4, V5])
def test_cluster_info_has_ids_without_quotes(version: MQVersion) -> None:
    operation = name_server_messages.cluster_info()
    frame = asked(operation, name_server(version))
    assert b'{0:"m:10911",1:"r:10911"}' in frame.body
    found = read(operation, frame)
    assert found.clusters == ("b",)
    assert [one.broker_addrs for one in found.broker_sets("b")] == [
        {0: "m:10911", 1: "r:10911"},
        {0: "n:10911"},
    ]


def test_a_blank_name_server_answers_with_two_empty_tables() -> None:
    server = name_server()
    server.faults = Faults(blank=True)
    frame = asked(name_server_messages.cluster_info(), server)
    assert frame.body == b'{"brokerAddrTable":{},"clusterAddrTable":{}}'
    assert asked(name_server_messages.topic_route("t"), server).code == 17


@pytest.mark.parametrize("version", [MQVersion.V4_8_0, MQVersion.V4_9_2, V4, V5])
def test_a_route_shows_the_permissions_until_they_are_wiped(version: MQVersion) -> None:
    server = name_server(version)
    route = name_server_messages.topic_route("t")
    assert _permissions(read(route, asked(route, server))) == {"b-0": 6, "b-1": 4}
    wipe = name_server_messages.wipe_write_permission("b-0")
    assert read(wipe, asked(wipe, server)) == 1
    assert _permissions(read(route, asked(route, server))) == {"b-0": 4, "b-1": 4}
    nobody = name_server_messages.wipe_write_permission("b-9")
    assert read(nobody, asked(nobody, server)) == 0


def _permissions(route: TopicRoute) -> dict[str, int]:
    return {one.broker_name: one.perm for one in route.queue_datas}


def test_write_permission_comes_back_from_4_9_2_on() -> None:
    operation = name_server_messages.add_write_permission("b-0")
    server = name_server()
    server.wiped.add("b-0")
    assert read(operation, asked(operation, server)) == 1
    assert server.wiped == set()
    old = name_server(MQVersion.V4_9_1)
    request = Frame(RequestCode.ADD_WRITE_PERM_OF_BROKER, 1)
    assert answer(Model(Timing()), old, request, NOW) is None


def test_an_unknown_code_is_refused_except_by_old_name_servers() -> None:
    request = Frame(9999, 1)
    model, master, _ = brokers(V4)
    assert [
        found and found.code
        for found in (
            answer(model, name_server(V4), request, NOW),
            answer(model, name_server(V5), request, NOW),
            answer(model, master, request, NOW),
        )
    ] == [None, 3, 3]


@pytest.mark.parametrize("version", [V4, V5])
def test_runtime_info(version: MQVersion) -> None:
    model, master, _ = brokers(version)
    operation = broker_messages.runtime_info()
    found = read(operation, asked(operation, master, model))
    assert (found.version, found.boot_time_ms) == (version.name, int(NOW * 1000))
    assert (found.commit_log_min_offset, found.commit_log_max_offset) == (0, 1000)
    assert found.commit_log_disk_ratio < 0.9
    assert found.get_tps == 0


def test_a_4_9_broker_has_no_figures_at_first() -> None:
    model, master, _ = brokers(V4)
    frame = answer(model, master, Frame(RequestCode.GET_BROKER_RUNTIME_INFO, 1), NOW)
    assert frame is not None
    assert frame.code == 1


def test_settings_are_read_changed_and_counted() -> None:
    model, master, _ = brokers()
    operation = get_settings(SettingsOf.BROKER)
    before = read(operation, asked(operation, master, model))
    assert before.version is not None
    assert before.version.counter == 0
    change = update_settings(SettingsOf.BROKER, {"fileReservedTime": "48", "nonsense": "1"})
    assert asked(change, master, model).code == 0
    found = read(operation, asked(operation, master, model))
    assert found.values["fileReservedTime"] == "48"
    assert "nonsense" not in found.values
    assert "controllerAddr" not in found.values  # it has no value
    assert found.version is not None
    assert found.version.counter == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"brokerConfigPath=/x", 16), (b"a=\\u1", 1), (b"", 0)],
    ids=["black list", "no properties", "nothing"],
)
def test_changes_that_are_refused(body: bytes, code: int) -> None:
    model, master, _ = brokers()
    request = Frame(RequestCode.UPDATE_BROKER_CONFIG, 1, body=body)
    frame = answer(model, master, request, NOW)
    assert frame is not None
    assert (frame.code, master.settings_changes) == (code, 0)


def test_replication_as_both_sides_see_it() -> None:
    model, master, replica = brokers()
    operation = broker_messages.ha_status()
    of_master = read(operation, asked(operation, master, model))
    assert (of_master.master, of_master.in_sync_slave_nums) == (True, 1)
    (line,) = of_master.ha_connection_info
    assert (line.diff, line.slave_ack_offset, line.in_sync) == (100, 900, True)
    of_replica = read(operation, asked(operation, replica, model))
    state = of_replica.ha_client_runtime_info
    assert (of_replica.master, state.max_offset, state.master_addr) == (
        False,
        900,
        "127.16.0.0:10912",
    )


def test_faults_come_before_answers() -> None:
    model, master, _ = brokers()
    request = Frame(RequestCode.GET_BROKER_CONFIG, 1)
    master.faults = Faults(answers={RequestCode.GET_BROKER_CONFIG: (2, "busy")})
    found = answer(model, master, request, NOW)
    assert found is not None
    assert (found.code, found.remark, found.body) == (2, "busy", b"")
    master.faults = Faults(hung=True)
    assert answer(model, master, request, NOW) is None
