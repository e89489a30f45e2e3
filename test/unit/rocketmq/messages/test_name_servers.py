"""Bodies are those that real servers sent."""

from __future__ import annotations

import pytest

from fakes.rocketmq_caller import answer
from rocketmq.codes import RequestCode
from rocketmq.messages import name_servers
from rocketmq.routes import BrokerData, QueueData

_CLUSTERS = (
    b'{"brokerAddrTable":{"broker-a":{"brokerAddrs":{0:"10.0.0.1:10911",1:"10.0.0.2:10911"},'
    b'"brokerName":"broker-a","cluster":"C1","enableActingMaster":false}},'
    b'"clusterAddrTable":{"C1":["broker-a"]}}'
)
_QUEUES = b'"brokerName":"broker-a","perm":6,"readQueueNums":4,"writeQueueNums":3'
_ROUTE = (
    b'{"brokerDatas":[{"brokerAddrs":{"0":"10.0.0.1:10911"},"brokerName":"broker-a",'
    b'"cluster":"C1"}],"filterServerTable":{},"queueDatas":[{' + _QUEUES + b',"%s":1}]}'
)


def test_cluster_info_reads_bare_keys() -> None:
    info = name_servers.cluster_info().answer(answer(_CLUSTERS))
    assert info.broker_addr_table["broker-a"].master == "10.0.0.1:10911"
    assert info.broker_addr_table["broker-a"].replicas == ("10.0.0.2:10911",)
    assert info.clusters == ("C1",)


@pytest.mark.parametrize("name", [b"topicSysFlag", b"topicSynFlag"])
def test_a_route_reads_under_the_old_and_the_new_name_of_its_flags(name: bytes) -> None:
    route = name_servers.topic_route("t1").answer(answer(_ROUTE % name))
    (queues,) = route.queue_datas
    assert queues.sys_flag == 1
    assert (queues.read_queue_nums, queues.write_queue_nums) == (4, 3)
    assert (queues.readable, queues.writable) == (True, True)
    assert route.masters == ("10.0.0.1:10911",)
    assert route.order_topic_conf is None


def test_a_route_is_asked_for_in_standard_json() -> None:
    request = name_servers.topic_route("t1").request
    assert request.code == RequestCode.GET_ROUTEINFO_BY_TOPIC
    assert request.ext_fields == {"topic": "t1", "acceptStandardJsonOnly": "true"}


def test_a_topic_is_deleted_everywhere_or_in_one_cluster() -> None:
    assert name_servers.delete_topic("t1", None).request.ext_fields == {"topic": "t1"}
    fields = name_servers.delete_topic("t1", "C1").request.ext_fields
    assert fields == {"topic": "t1", "clusterName": "C1"}


def test_wiping_tells_how_many_topics_changed() -> None:
    wipe = name_servers.wipe_write_permission("broker-a")
    assert wipe.answer(answer(wipeTopicCount="10")) == 10


def test_members_are_read_out_of_their_wrapping() -> None:
    body = (
        b'{"brokerMemberGroup":{"brokerAddrs":{0:"a:1",1:"b:1"},'
        b'"brokerName":"broker-a","cluster":"C5"}}'
    )
    members = name_servers.broker_members("C5", "broker-a").answer(answer(body))
    assert members == BrokerData("broker-a", "C5", {0: "a:1", 1: "b:1"})


def test_a_missing_pair_is_none_and_not_an_error() -> None:
    operation = name_servers.pair("ns", "key")
    assert 22 in operation.allow
    assert operation.answer(answer(code=22)) is None
    assert operation.answer(answer(value="v")) == "v"
    assert name_servers.pairs("ns").answer(answer(code=22)) == {}
    assert name_servers.pairs("ns").answer(answer(b'{"table":{"a":"b"}}')) == {"a": "b"}


def test_a_queue_without_permissions_is_neither_readable_nor_writable() -> None:
    queues = QueueData("b", 1, 1, perm=0)
    assert (queues.readable, queues.writable) == (False, False)
