"""What name servers of the topic world answer. Pure.

Those before 5.0 really answer nothing to a code that they do not know; here they refuse it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from fakes.topic_world_model import NameServer, Queues
from fakes.topic_world_replies import Answer, missing, ok, unknown, with_body
from rocketmq.calls import Request
from rocketmq.codes import MQVersion, RequestCode, ResponseCode
from rocketmq.routes import READ, WRITE


def _topics(server: NameServer, _: Request) -> Answer:
    return with_body({"topicList": sorted(server.topics)})


def _topics_of_cluster(server: NameServer, request: Request) -> Answer:
    names = _names_of(server, request.ext_fields["cluster"])
    found = sorted(topic for topic, route in server.topics.items() if set(route) & names)
    return with_body({"topicList": found})


def _system_topics(server: NameServer, _: Request) -> Answer:
    clusters = {one.cluster for ones in server.sets.values() for one in ones.values()}
    return with_body({"topicList": sorted(clusters | set(server.sets))})


def _delete_topic(server: NameServer, request: Request) -> Answer:
    server.delete_topic(request.ext_fields["topic"], request.ext_fields.get("clusterName"))
    return ok()


def _wipe(server: NameServer, request: Request) -> Answer:
    name = request.ext_fields["brokerName"]
    return _permission(server, name, "wipeTopicCount", lambda perm: perm & ~WRITE)


def _add(server: NameServer, request: Request) -> Answer:
    if server.version < MQVersion.V4_9_2:
        return unknown(request.code)
    name = request.ext_fields["brokerName"]
    return _permission(server, name, "addTopicCount", lambda _: READ | WRITE)


def _put_pair(server: NameServer, request: Request) -> Answer:
    fields = request.ext_fields
    server.pairs.setdefault(fields["namespace"], {})[fields["key"]] = fields["value"]
    return ok()


def _delete_pair(server: NameServer, request: Request) -> Answer:
    fields = request.ext_fields
    server.pairs.get(fields["namespace"], {}).pop(fields["key"], None)
    return ok()


def _pair(server: NameServer, request: Request) -> Answer:
    fields = request.ext_fields
    found = server.pairs.get(fields["namespace"], {}).get(fields["key"])
    return missing("no config item") if found is None else ok(value=found)


def _pairs(server: NameServer, request: Request) -> Answer:
    found = server.pairs.get(request.ext_fields["namespace"])
    return with_body({"table": found}) if found else missing("no config item")


def _permission(server: NameServer, name: str, field: str, change: Callable[[int], int]) -> Answer:
    count = 0
    for route in server.topics.values():
        if name in route:
            route[name] = msgspec.structs.replace(route[name], perm=change(route[name].perm))
            count += 1
    return ok(**{field: str(count)})


def _cluster_info(server: NameServer, _: Request) -> Answer:
    clusters: dict[str, list[str]] = {}
    for name, ones in sorted(server.sets.items()):
        for cluster in {one.cluster for one in ones.values()}:
            clusters.setdefault(cluster, []).append(name)
    table = {name: _set(server, name) for name in sorted(server.sets)}
    text = ",".join(f"{json.dumps(name)}:{data}" for name, data in table.items())
    body = f'{{"brokerAddrTable":{{{text}}},"clusterAddrTable":{json.dumps(clusters)}}}'
    return Answer(body=body.encode())


def _set(server: NameServer, name: str) -> str:
    ones = sorted(server.sets[name].items())
    addresses = ",".join(f"{id_}:{json.dumps(one.address)}" for id_, one in ones)
    cluster = json.dumps(next(one.cluster for _, one in ones))
    acting = ',"enableActingMaster":false' if server.five else ""
    return (
        f'{{"brokerAddrs":{{{addresses}}},"brokerName":{json.dumps(name)},"cluster":{cluster}'
        f"{acting}}}"
    )


def _route(server: NameServer, request: Request) -> Answer:
    topic = request.ext_fields["topic"]
    route = {name: one for name, one in server.topics.get(topic, {}).items() if name in server.sets}
    if not route:
        remark = f"No topic route info in name server for the topic: {topic}"
        return Answer(code=ResponseCode.TOPIC_NOT_EXIST, remark=remark)
    sets = ",".join(_set(server, name) for name in sorted(route))
    queues = json.dumps([_queue_data(name, one) for name, one in sorted(route.items())])
    body = f'{{"brokerDatas":[{sets}],"filterServerTable":{{}},"queueDatas":{queues}}}'
    return Answer(body=body.encode())


def _queue_data(name: str, queues: Queues) -> dict[str, Any]:
    return {
        "brokerName": name,
        "perm": queues.perm,
        "readQueueNums": queues.read,
        "topicSysFlag": queues.flags,
        "writeQueueNums": queues.write,
    }


def _names_of(server: NameServer, cluster: str) -> set[str]:
    return {
        name
        for name, ones in server.sets.items()
        if cluster in {one.cluster for one in ones.values()}
    }


NAME_SERVER_ANSWERS: Mapping[int, Callable[[NameServer, Request], Answer]] = MappingProxyType(
    {
        RequestCode.GET_BROKER_CLUSTER_INFO: _cluster_info,
        RequestCode.GET_ROUTEINFO_BY_TOPIC: _route,
        RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER: _topics,
        RequestCode.GET_TOPICS_BY_CLUSTER: _topics_of_cluster,
        RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_NS: _system_topics,
        RequestCode.DELETE_TOPIC_IN_NAMESRV: _delete_topic,
        RequestCode.WIPE_WRITE_PERM_OF_BROKER: _wipe,
        RequestCode.ADD_WRITE_PERM_OF_BROKER: _add,
        RequestCode.PUT_KV_CONFIG: _put_pair,
        RequestCode.GET_KV_CONFIG: _pair,
        RequestCode.DELETE_KV_CONFIG: _delete_pair,
        RequestCode.GET_KVLIST_BY_NAMESPACE: _pairs,
    }
)
"""By request code: what a name server answers."""
