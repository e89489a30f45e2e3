"""RocketMQ's controllers: who leads, which replicas are in sync, elections (dossier 2.5). Pure.

All but the metadata and the settings must be asked of the leading controller. For 5.1.1 and later:
before that, replicas had addresses for ids.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from rocketmq.calls import Request, Response
from rocketmq.codes import RequestCode
from rocketmq.messages.operation import (
    Operation,
    body_as,
    field_number,
    field_text,
    header,
    in_body,
    nothing,
)
from rocketmq.routes import BrokerData

TIMEOUT_S = 3.0
"""What the Java tools give a controller (dossier, 3)."""

ANY_BROKER = -1
"""In an election: the controller chooses."""


class ControllerMetadata(msgspec.Struct, frozen=True):
    """The controllers of a group; `leader_address` is None while there is no leader."""

    group: str
    leader_id: str | None
    leader_address: str | None
    is_leader: bool
    peers: dict[str, str]


class Replica(msgspec.Struct, frozen=True, rename="camel"):
    """A member of a broker set; `broker_id` is the controller's number for it."""

    broker_name: str
    broker_id: int
    broker_address: str = ""
    alive: bool = False


class ReplicaSet(msgspec.Struct, frozen=True, rename="camel"):
    """A broker set as the controllers know it; the master fields are None without a master."""

    master_broker_id: int | None = None
    master_address: str | None = None
    master_epoch: int | None = None
    sync_state_set_epoch: int | None = None
    in_sync_replicas: tuple[Replica, ...] = ()
    not_in_sync_replicas: tuple[Replica, ...] = ()


class _ReplicaSets(msgspec.Struct, frozen=True, rename="camel"):
    replicas_info_table: dict[str, ReplicaSet] = {}


class SyncStateSet(msgspec.Struct, frozen=True, rename="camel"):
    """The ids that are in sync with the master, and how often that set changed."""

    sync_state_set: frozenset[int] = frozenset()
    sync_state_set_epoch: int = 0


class MasterInfo(msgspec.Struct, frozen=True):
    """Who is the master of a broker set, and who is in sync with it; None without a master."""

    broker_id: int | None
    address: str | None
    epoch: int
    in_sync: SyncStateSet


class _Elected(msgspec.Struct, frozen=True, rename="camel"):
    broker_member_group: BrokerData | None = None
    sync_state_set: frozenset[int] = frozenset()


class Elected(msgspec.Struct, frozen=True):
    """The master after an election."""

    broker_id: int
    address: str
    epoch: int
    sync_state_set_epoch: int
    in_sync: frozenset[int]
    members: BrokerData | None


def metadata() -> Operation[ControllerMetadata]:
    """CONTROLLER_GET_METADATA_INFO 1005."""
    return Operation(Request(RequestCode.CONTROLLER_GET_METADATA_INFO), _metadata, TIMEOUT_S)


def sync_states(broker_names: Collection[str]) -> Operation[dict[str, ReplicaSet]]:
    """CONTROLLER_GET_SYNC_STATE_DATA 1006."""
    read = in_body(_ReplicaSets)
    body = msgspec.json.encode(sorted(broker_names))
    request = Request(RequestCode.CONTROLLER_GET_SYNC_STATE_DATA, {}, body)
    return Operation(request, lambda response: read(response).replicas_info_table, TIMEOUT_S)


def master_info(broker_name: str) -> Operation[MasterInfo]:
    """CONTROLLER_GET_REPLICA_INFO 1004."""
    request = Request(RequestCode.CONTROLLER_GET_REPLICA_INFO, header(brokerName=broker_name))

    def answer(response: Response) -> MasterInfo:
        fields = response.ext_fields
        return MasterInfo(
            field_number(response, "masterBrokerId") if "masterBrokerId" in fields else None,
            fields.get("masterAddress"),
            field_number(response, "masterEpoch", default=0),
            body_as(SyncStateSet, response.body),
        )

    return Operation(request, answer, TIMEOUT_S)


def elect_master(cluster: str, broker_name: str, broker_id: int) -> Operation[Elected]:
    """CONTROLLER_ELECT_MASTER 1002."""
    fields = header(
        clusterName=cluster,
        brokerName=broker_name,
        brokerId=broker_id,
        designateElect=broker_id != ANY_BROKER,
    )

    def answer(response: Response) -> Elected:
        told = body_as(_Elected, response.body)
        return Elected(
            field_number(response, "masterBrokerId"),
            field_text(response, "masterAddress"),
            field_number(response, "masterEpoch"),
            field_number(response, "syncStateSetEpoch"),
            told.sync_state_set,
            told.broker_member_group,
        )

    return Operation(Request(RequestCode.CONTROLLER_ELECT_MASTER, fields), answer, TIMEOUT_S)


def clean_broker_data(
    cluster: str, broker_name: str, broker_ids: Collection[int]
) -> Operation[None]:
    """CLEAN_BROKER_DATA 1011."""
    fields = header(
        clusterName=cluster,
        brokerName=broker_name,
        brokerControllerIdsToClean=";".join(str(one) for one in sorted(broker_ids)),
        isCleanLivingBroker=False,
    )
    return Operation(Request(RequestCode.CLEAN_BROKER_DATA, fields), nothing, TIMEOUT_S)


def _metadata(response: Response) -> ControllerMetadata:
    fields = response.ext_fields
    peers = (peer.partition(":") for peer in fields.get("peers", "").split(";") if peer)
    return ControllerMetadata(
        group=field_text(response, "group"),
        leader_id=fields.get("controllerLeaderId") or None,
        leader_address=fields.get("controllerLeaderAddress") or None,
        is_leader=fields.get("isLeader") == "true",
        peers={name: address for name, _, address in peers},
    )
