from __future__ import annotations

import pytest

from fakes.rocketmq_caller import Script, ScriptedCaller, answer, by_code
from rocketmq.admin import Admin
from rocketmq.calls import Request, Response
from rocketmq.clusters import Clusters, NoMasterError, NoNameServerError
from rocketmq.codes import RequestCode
from rocketmq.errors import ConnectError, TopicNotExistError
from rocketmq.messages.groups import SubscriptionGroup
from rocketmq.messages.topics import TopicConfig

_RUNTIME = {RequestCode.GET_BROKER_RUNTIME_INFO: answer(b'{"table":{"brokerVersion":"479"}}')}


def _clusters_body(**sets: dict[int, str]) -> bytes:
    tables = ",".join(
        f'"{name}":{{"brokerAddrs":{{{",".join(f"{i}:{a!r}" for i, a in addrs.items())}}},'
        f'"brokerName":"{name}","cluster":"C1"}}'
        for name, addrs in sets.items()
    ).replace("'", '"')
    names = ",".join(f'"{name}"' for name in sets)
    return (f'{{"brokerAddrTable":{{{tables}}},"clusterAddrTable":{{"C1":[{names}]}}}}').encode()


def _name_server(body: bytes, **more: Response) -> Script:
    answers: dict[int, Response | Script] = {RequestCode.GET_BROKER_CLUSTER_INFO: answer(body)}
    return by_code(answers | {int(RequestCode[name]): one for name, one in more.items()})


def _clusters(servers: dict[str, Script], *name_servers: str) -> tuple[Clusters, ScriptedCaller]:
    caller = ScriptedCaller(servers)
    return Clusters(Admin(caller), name_servers), caller


async def test_a_view_has_every_server_s_word_and_silence() -> None:
    body = _clusters_body(a={0: "a0:1", 1: "a1:1"})
    clusters, _ = _clusters(
        {
            "n0:1": _name_server(body),
            "n1:1": _name_server(_clusters_body()),
            "a0:1": by_code(_RUNTIME),
        },
        "n0:1",
        "n1:1",
        "n2:1",
    )
    view = await clusters.view()
    assert set(view.name_servers.errors) == {"n2:1"}
    assert set(view.brokers.values) == {"a0:1"}
    assert isinstance(view.brokers.errors["a1:1"], ConnectError)
    assert [(one.broker_name, one.broker_id) for one in view.disagreements] == [("a", 0), ("a", 1)]


async def test_without_a_name_server_nothing_is_known() -> None:
    for name_servers in ((), ("n0:1", "n1:1")):
        clusters, _ = _clusters({}, *name_servers)
        with pytest.raises(NoNameServerError) as caught:
            await clusters.view()
        assert set(caught.value.errors) == set(name_servers)


async def test_a_write_goes_to_masters_and_a_set_without_one_is_an_error() -> None:
    body = _clusters_body(a={0: "a0:1", 1: "a1:1"}, b={1: "b1:1"})
    taken = {
        RequestCode.UPDATE_AND_CREATE_TOPIC: answer(),
        RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP: answer(),
        RequestCode.DELETE_SUBSCRIPTIONGROUP: answer(),
    }
    clusters, caller = _clusters({"n0:1": _name_server(body), "a0:1": by_code(taken)}, "n0:1")
    for done in (
        await clusters.save_topic("C1", TopicConfig("t1")),
        await clusters.save_group("C1", SubscriptionGroup("g1")),
        await clusters.delete_group("C1", "g1", with_offsets=True),
    ):
        assert done.values == {"a0:1": None}
        assert isinstance(done.errors["b"], NoMasterError)
    assert {address for address, _ in caller.requests} == {"n0:1", "a0:1"}


async def test_attributes_are_compared_with_each_broker_s_own_record() -> None:
    body = _clusters_body(a={0: "a0:1"}, b={0: "b0:1"})
    script = by_code({RequestCode.UPDATE_AND_CREATE_TOPIC: answer()})
    clusters, caller = _clusters(
        {"n0:1": _name_server(body), "a0:1": script, "b0:1": script}, "n0:1"
    )
    config = TopicConfig("t1", attributes={"queue.type": "SimpleCQ"})
    await clusters.save_topic("C1", config, replaced={"a0:1": config})
    sent = {
        address: request.ext_fields.get("attributes") for address, request in caller.requests[1:]
    }
    assert sent == {"a0:1": None, "b0:1": "+queue.type=SimpleCQ"}


async def test_a_topic_is_deleted_in_brokers_before_its_routes() -> None:
    body = _clusters_body(a={0: "a0:1"})
    servers = {
        "n0:1": _name_server(body, DELETE_TOPIC_IN_NAMESRV=answer()),
        "a0:1": by_code({RequestCode.DELETE_TOPIC_IN_BROKER: answer()}),
    }
    clusters, caller = _clusters(servers, "n0:1", "n1:1")
    done = await clusters.delete_topic("C1", "t1")
    assert done.values == {"a0:1": None, "n0:1": None}
    assert set(done.errors) == {"n1:1"}
    assert [address for address, _ in caller.requests].index("a0:1") < [
        request.code for _, request in caller.requests
    ].index(RequestCode.DELETE_TOPIC_IN_NAMESRV)


async def test_a_route_is_joined_and_missing_only_if_all_that_answer_say_so() -> None:
    queue = b'{"brokerName":"%s","perm":6,"readQueueNums":1,"writeQueueNums":1,"topicSysFlag":0}'
    broker = b'{"brokerName":"%s","cluster":"C1","brokerAddrs":{0:"x:1"}}'
    route = b'{"brokerDatas":[' + broker + b'],"queueDatas":['
    first = answer(route % b"a" + queue % b"a" + b"]}")
    second = answer(route % b"b" + queue % b"b" + b"]}")
    missing = answer(code=17, remark="No topic route info")
    servers = {
        "n0:1": _name_server(b"", GET_ROUTEINFO_BY_TOPIC=first),
        "n1:1": _name_server(b"", GET_ROUTEINFO_BY_TOPIC=second),
        "n2:1": _name_server(b"", GET_ROUTEINFO_BY_TOPIC=missing),
    }
    clusters, _ = _clusters(servers, "n0:1", "n1:1", "n2:1", "n3:1")
    route_found = await clusters.topic_route("t1")
    assert {one.broker_name for one in route_found.queue_datas} == {"a", "b"}
    only_missing, _ = _clusters(servers, "n2:1", "n3:1")
    with pytest.raises(TopicNotExistError):
        await only_missing.topic_route("t1")
    nobody, _ = _clusters(servers, "n3:1")
    with pytest.raises(NoNameServerError):
        await nobody.topic_route("t1")


async def test_progress_is_summed_over_sets_and_tells_who_is_missing() -> None:
    body = _clusters_body(a={0: "a0:1"}, b={1: "b1:1"}, c={0: "c0:1"})

    def stats(name: str) -> Script:
        table = (
            f'{{"consumeTps":1.0,"offsetTable":{{{{"brokerName":"{name}","queueId":0,"topic":"t"}}:'
            '{"brokerOffset":5,"consumerOffset":2,"lastTimestamp":0}}}'
        )
        return by_code({RequestCode.GET_CONSUME_STATS: answer(table.encode())})

    servers = {"n0:1": _name_server(body), "a0:1": stats("a"), "b1:1": stats("b")}
    clusters, _ = _clusters(servers, "n0:1")
    progress = await clusters.progress("g")
    assert (progress.stats.lag, progress.stats.consume_tps) == (6, 2.0)
    assert set(progress.errors) == {"c0:1"}


async def test_permissions_are_told_to_every_name_server() -> None:
    def wiped(request: Request) -> Response:
        return answer(
            wipeTopicCount="3", addTopicCount="3", offset=request.ext_fields["brokerName"]
        )

    told = by_code(
        {
            RequestCode.WIPE_WRITE_PERM_OF_BROKER: wiped,
            RequestCode.ADD_WRITE_PERM_OF_BROKER: wiped,
            RequestCode.GET_KV_CONFIG: answer(code=22),
        }
    )
    clusters, _ = _clusters({"n0:1": told, "n1:1": told}, "n0:1", "n1:1", "n2:1")
    for done in (
        await clusters.wipe_write_permission("broker-a"),
        await clusters.add_write_permission("broker-a"),
    ):
        assert done.values == {"n0:1": 3, "n1:1": 3}
        assert set(done.errors) == {"n2:1"}
