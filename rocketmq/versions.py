"""Which version of RocketMQ knows which operation (dossier, 2.0). Pure.

Only operations that some supported version lacks are listed. A server that lacks one answers
REQUEST_CODE_NOT_SUPPORTED; but a name server before 5.0 answers nothing at all.
"""

from __future__ import annotations

from types import MappingProxyType

import msgspec

from rocketmq.codes import MQVersion, RequestCode

_FIRST, _LAST = 0, 1 << 16


class Gate(msgspec.Struct, frozen=True):
    """The first and the last version that has an operation, as MQVersion ordinals."""

    since: int = _FIRST
    until: int = _LAST

    def open(self, version: int) -> bool:
        """Whether a server of this version has the operation."""
        return self.since <= version <= self.until


_ACL_1 = Gate(until=MQVersion.V5_3_2)
_ACL_2 = Gate(since=MQVersion.V5_3_0)
_FIVE = Gate(since=MQVersion.V5_0_0)

GATES = MappingProxyType(
    {
        RequestCode.GET_ALL_PRODUCER_INFO: Gate(since=MQVersion.V4_9_0),
        RequestCode.ADD_WRITE_PERM_OF_BROKER: Gate(since=MQVersion.V4_9_2),
        RequestCode.UPDATE_AND_CREATE_TOPIC_LIST: Gate(since=MQVersion.V5_3_0),
        RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST: Gate(since=MQVersion.V5_3_1),
        RequestCode.GET_TOPIC_CONFIG: _FIVE,
        RequestCode.GET_BROKER_MEMBER_GROUP: _FIVE,
        RequestCode.GET_BROKER_HA_STATUS: _FIVE,
        RequestCode.RESET_MASTER_FLUSH_OFFSET: _FIVE,
        RequestCode.GET_BROKER_EPOCH_CACHE: _FIVE,
        RequestCode.CONTROLLER_GET_METADATA_INFO: _FIVE,
        RequestCode.CONTROLLER_GET_SYNC_STATE_DATA: _FIVE,
        RequestCode.CONTROLLER_GET_REPLICA_INFO: _FIVE,
        RequestCode.CONTROLLER_ELECT_MASTER: _FIVE,
        RequestCode.CLEAN_BROKER_DATA: _FIVE,
        RequestCode.GET_CONTROLLER_CONFIG: _FIVE,
        RequestCode.UPDATE_CONTROLLER_CONFIG: _FIVE,
        RequestCode.UPDATE_AND_CREATE_ACL_CONFIG: _ACL_1,
        RequestCode.DELETE_ACL_CONFIG: _ACL_1,
        RequestCode.GET_BROKER_CLUSTER_ACL_INFO: _ACL_1,
        RequestCode.UPDATE_GLOBAL_WHITE_ADDRS_CONFIG: _ACL_1,
        RequestCode.AUTH_CREATE_USER: _ACL_2,
        RequestCode.AUTH_UPDATE_USER: _ACL_2,
        RequestCode.AUTH_DELETE_USER: _ACL_2,
        RequestCode.AUTH_GET_USER: _ACL_2,
        RequestCode.AUTH_LIST_USER: _ACL_2,
        RequestCode.AUTH_CREATE_ACL: _ACL_2,
        RequestCode.AUTH_UPDATE_ACL: _ACL_2,
        RequestCode.AUTH_DELETE_ACL: _ACL_2,
        RequestCode.AUTH_GET_ACL: _ACL_2,
        RequestCode.AUTH_LIST_ACL: _ACL_2,
    }
)


def supports(version: int, code: int) -> bool:
    """Whether a server of this version (an MQVersion ordinal) knows the operation."""
    gate = GATES.get(RequestCode(code))
    return gate is None or gate.open(version)
