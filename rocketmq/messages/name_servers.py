"""Name servers: clusters, routes, write permissions, key-value pairs (dossier 2.1). Pure.

Name servers know nothing of each other: what changes something must go to every one of them.
"""

from __future__ import annotations

import msgspec

from rocketmq.calls import Request, Response
from rocketmq.codes import RequestCode, ResponseCode
from rocketmq.messages.operation import Operation, body_as, field_number, header, in_body, nothing
from rocketmq.messages.values import TopicNames
from rocketmq.routes import BrokerData, ClusterInfo, TopicRoute

ORDER_TOPIC_NAMESPACE = "ORDER_TOPIC_CONFIG"
"""Where the queue counts of ordered topics are kept, as `broker-a:4;broker-b:4`."""


class _BrokerMembers(msgspec.Struct, frozen=True, rename="camel"):
    broker_member_group: BrokerData | None = None


class _Pairs(msgspec.Struct, frozen=True):
    table: dict[str, str] = {}


def cluster_info() -> Operation[ClusterInfo]:
    """GET_BROKER_CLUSTER_INFO 106."""
    return Operation(Request(RequestCode.GET_BROKER_CLUSTER_INFO), in_body(ClusterInfo))


def topic_route(topic: str) -> Operation[TopicRoute]:
    """GET_ROUTEINFO_BY_TOPIC 105, in standard JSON where the server knows how (4.9.4)."""
    fields = header(topic=topic, acceptStandardJsonOnly=True)
    return Operation(Request(RequestCode.GET_ROUTEINFO_BY_TOPIC, fields), in_body(TopicRoute))


def topics() -> Operation[tuple[str, ...]]:
    """GET_ALL_TOPIC_LIST_FROM_NAMESERVER 206."""
    return Operation(Request(RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER), topic_names)


def topics_of_cluster(cluster: str) -> Operation[tuple[str, ...]]:
    """GET_TOPICS_BY_CLUSTER 224."""
    request = Request(RequestCode.GET_TOPICS_BY_CLUSTER, header(cluster=cluster))
    return Operation(request, topic_names)


def system_topics() -> Operation[tuple[str, ...]]:
    """GET_SYSTEM_TOPIC_LIST_FROM_NS 304."""
    return Operation(Request(RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_NS), topic_names)


def wipe_write_permission(broker_name: str) -> Operation[int]:
    """WIPE_WRITE_PERM_OF_BROKER 205."""
    request = Request(RequestCode.WIPE_WRITE_PERM_OF_BROKER, header(brokerName=broker_name))
    return Operation(request, lambda response: field_number(response, "wipeTopicCount"))


def add_write_permission(broker_name: str) -> Operation[int]:
    """ADD_WRITE_PERM_OF_BROKER 327."""
    request = Request(RequestCode.ADD_WRITE_PERM_OF_BROKER, header(brokerName=broker_name))
    return Operation(request, lambda response: field_number(response, "addTopicCount"))


def delete_topic(topic: str, cluster: str | None) -> Operation[None]:
    """DELETE_TOPIC_IN_NAMESRV 216."""
    fields = header(topic=topic, clusterName=cluster)
    return Operation(Request(RequestCode.DELETE_TOPIC_IN_NAMESRV, fields), nothing)


def broker_members(cluster: str, broker_name: str) -> Operation[BrokerData | None]:
    """GET_BROKER_MEMBER_GROUP 901."""
    fields = header(clusterName=cluster, brokerName=broker_name)

    def answer(response: Response) -> BrokerData | None:
        return body_as(_BrokerMembers, response.body).broker_member_group

    return Operation(Request(RequestCode.GET_BROKER_MEMBER_GROUP, fields), answer)


def server_version() -> Operation[int]:
    """The server's MQVersion ordinal, as every answer has it: asked by GET_KV_CONFIG 101."""
    request = Request(RequestCode.GET_KV_CONFIG, header(namespace="", key=""))
    found_or_not = frozenset({ResponseCode.QUERY_NOT_FOUND})
    return Operation(request, lambda response: response.version, allow=found_or_not)


def put_pair(namespace: str, key: str, value: str) -> Operation[None]:
    """PUT_KV_CONFIG 100."""
    fields = header(namespace=namespace, key=key, value=value)
    return Operation(Request(RequestCode.PUT_KV_CONFIG, fields), nothing)


def pair(namespace: str, key: str) -> Operation[str | None]:
    """GET_KV_CONFIG 101."""

    def answer(response: Response) -> str | None:
        return response.ext_fields.get("value")

    request = Request(RequestCode.GET_KV_CONFIG, header(namespace=namespace, key=key))
    return Operation(request, answer, allow=frozenset({ResponseCode.QUERY_NOT_FOUND}))


def delete_pair(namespace: str, key: str) -> Operation[None]:
    """DELETE_KV_CONFIG 102."""
    request = Request(RequestCode.DELETE_KV_CONFIG, header(namespace=namespace, key=key))
    return Operation(request, nothing)


def pairs(namespace: str) -> Operation[dict[str, str]]:
    """GET_KVLIST_BY_NAMESPACE 219."""

    def answer(response: Response) -> dict[str, str]:
        return body_as(_Pairs, response.body).table if response.body else {}

    request = Request(RequestCode.GET_KVLIST_BY_NAMESPACE, header(namespace=namespace))
    return Operation(request, answer, allow=frozenset({ResponseCode.QUERY_NOT_FOUND}))


def topic_names(response: Response) -> tuple[str, ...]:
    """The topics that a body lists."""
    return body_as(TopicNames, response.body).topic_list
