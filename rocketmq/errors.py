"""What can go wrong with a call, as types; `retriable` says whether waiting alone can help. Pure.

Each message names the server's address, and a server's refusal its own sentence (the remark).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import ClassVar

from rocketmq.codes import ResponseCode, response_name


class RocketmqError(Exception):
    """A call did not succeed: the `reason`, and the server's `address` ("" where none is known)."""

    retriable: ClassVar[bool] = False

    def __init__(self, message: str, *, address: str = "") -> None:
        super().__init__(f"{address}: {message}" if address else message)
        self.reason = message
        self.address = address


class ConnectError(RocketmqError):
    """No line to the server: refused, no route, unknown name, TLS not agreed. Nothing was sent."""

    retriable = True


class ConnectionLostError(RocketmqError):
    """The line broke before the answer; the server may have done what was asked.

    `sent` is False when it certainly has not, because no byte of the request had left;
    `answer_begun` is True when a part of some answer had come.
    """

    retriable = True

    def __init__(
        self, message: str, *, address: str = "", sent: bool, answer_begun: bool = False
    ) -> None:
        super().__init__(message, address=address)
        self.sent = sent
        self.answer_begun = answer_begun


class NoAnswerError(RocketmqError):
    """The time of the call ran out; the server may do, or have done, what was asked."""

    retriable = True


class ProtocolError(RocketmqError):
    """The peer broke the protocol: impossible lengths, an unreadable header or body."""


class ResponseError(RocketmqError):
    """The server answered with another code than SUCCESS: `code`, and its sentence in `remark`."""

    def __init__(self, code: int, remark: str, *, address: str = "") -> None:
        super().__init__(f"{response_name(code)}: {remark or 'no remark'}", address=address)
        self.code = code
        self.remark = remark


class ServerFaultError(ResponseError):
    """The catch-all of the servers: refused values, exceptions, some things not found."""


class BusyError(ResponseError):
    """Thread pools or the store are full, or a 5.x slave was asked to store."""

    retriable = True


class FlowControlError(BusyError):
    """The broker slows its clients down."""


class UnsupportedError(ResponseError):
    """This server, in its version, does not know the request code."""


class NotDurableError(ResponseError):
    """The message IS stored, but not yet on disk or on a slave as was asked; sending it again
    makes a duplicate."""


class MessageIllegalError(ResponseError):
    """The message breaks a limit: too long, or its properties are."""


class ServiceNotAvailableError(ResponseError):
    """The store takes nothing now: disk full, shutting down, or a 4.x slave."""

    retriable = True


class NoPermissionError(ResponseError):
    """Refused: by ACL, a black-listed key, or a permission of topic, group or broker."""


class TopicNotExistError(ResponseError):
    """No such topic on this server."""


class QueryNotFoundError(ResponseError):
    """No such entry: a KV key, or an offset never committed."""


class SubscriptionNotExistError(ResponseError):
    """The group has told the broker of no subscription."""


class SubscriptionGroupNotExistError(ResponseError):
    """No such subscription group on this broker."""


class InvalidParameterError(ResponseError):
    """A value is refused (from 5.3.2; ServerFaultError before)."""


class ConsumerNotOnlineError(ResponseError):
    """No consumer of the group is connected."""


class BrokerNotExistError(ResponseError):
    """The container holds no such broker (5.x; 4.9 uses the number for an ACL failure)."""


class GoAwayError(ResponseError):
    """The server shuts down; another line will serve."""

    retriable = True


class ControllerError(ResponseError):
    """The controller refused; subclasses for the codes that ask for different answers."""


class NotLeaderError(ControllerError):
    """This controller does not lead: read the metadata again, then ask the leader."""

    retriable = True


class MasterNotAvailableError(ControllerError):
    """No replica may become master now."""

    retriable = True


class BrokerNotAliveError(ControllerError):
    """The controller hears no heartbeat of the broker."""

    retriable = True


class BrokerMetadataNotExistError(ControllerError):
    """The controller knows no such broker set."""


class InvalidCleanBrokerMetadataError(ControllerError):
    """What should be cleaned is alive, or has a master, or is unknown."""


class BrokerNeedToBeRegisteredError(ControllerError):
    """The broker set never registered with this controller."""


class MasterStillExistError(ControllerError):
    """The master is that already, or still valid: nothing was changed."""


class ElectMasterFailedError(ControllerError):
    """The designated replica is not alive or not in the sync-state set."""

    retriable = True


class JRaftInternalError(ControllerError):
    """The raft group of the controllers could not decide."""

    retriable = True


class UserNotExistError(ResponseError):
    """No such user (ACL 2.0)."""


class PolicyNotExistError(ResponseError):
    """The user has no such policy (ACL 2.0)."""


_BY_CODE: MappingProxyType[int, type[ResponseError]] = MappingProxyType(
    {
        ResponseCode.SYSTEM_ERROR: ServerFaultError,
        ResponseCode.SYSTEM_BUSY: BusyError,
        ResponseCode.FLOW_CONTROL: FlowControlError,
        ResponseCode.REQUEST_CODE_NOT_SUPPORTED: UnsupportedError,
        ResponseCode.FLUSH_DISK_TIMEOUT: NotDurableError,
        ResponseCode.SLAVE_NOT_AVAILABLE: NotDurableError,
        ResponseCode.FLUSH_SLAVE_TIMEOUT: NotDurableError,
        ResponseCode.MESSAGE_ILLEGAL: MessageIllegalError,
        ResponseCode.SERVICE_NOT_AVAILABLE: ServiceNotAvailableError,
        ResponseCode.NO_PERMISSION: NoPermissionError,
        ResponseCode.TOPIC_NOT_EXIST: TopicNotExistError,
        ResponseCode.QUERY_NOT_FOUND: QueryNotFoundError,
        ResponseCode.SUBSCRIPTION_NOT_EXIST: SubscriptionNotExistError,
        ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST: SubscriptionGroupNotExistError,
        ResponseCode.INVALID_PARAMETER: InvalidParameterError,
        ResponseCode.CONSUMER_NOT_ONLINE: ConsumerNotOnlineError,
        ResponseCode.BROKER_NOT_EXIST: BrokerNotExistError,
        ResponseCode.GO_AWAY: GoAwayError,
        ResponseCode.CONTROLLER_FENCED_MASTER_EPOCH: ControllerError,
        ResponseCode.CONTROLLER_FENCED_SYNC_STATE_SET_EPOCH: ControllerError,
        ResponseCode.CONTROLLER_INVALID_MASTER: ControllerError,
        ResponseCode.CONTROLLER_INVALID_REPLICAS: ControllerError,
        ResponseCode.CONTROLLER_INVALID_REQUEST: ControllerError,
        ResponseCode.CONTROLLER_ALTER_SYNC_STATE_SET_FAILED: ControllerError,
        ResponseCode.CONTROLLER_BROKER_ID_INVALID: ControllerError,
        ResponseCode.CONTROLLER_BROKER_LIVE_INFO_NOT_EXISTS: ControllerError,
        ResponseCode.CONTROLLER_NOT_LEADER: NotLeaderError,
        ResponseCode.CONTROLLER_MASTER_NOT_AVAILABLE: MasterNotAvailableError,
        ResponseCode.CONTROLLER_BROKER_NOT_ALIVE: BrokerNotAliveError,
        ResponseCode.CONTROLLER_BROKER_METADATA_NOT_EXIST: BrokerMetadataNotExistError,
        ResponseCode.CONTROLLER_INVALID_CLEAN_BROKER_METADATA: InvalidCleanBrokerMetadataError,
        ResponseCode.CONTROLLER_BROKER_NEED_TO_BE_REGISTERED: BrokerNeedToBeRegisteredError,
        ResponseCode.CONTROLLER_MASTER_STILL_EXIST: MasterStillExistError,
        ResponseCode.CONTROLLER_ELECT_MASTER_FAILED: ElectMasterFailedError,
        ResponseCode.CONTROLLER_JRAFT_INTERNAL_ERROR: JRaftInternalError,
        ResponseCode.USER_NOT_EXIST: UserNotExistError,
        ResponseCode.POLICY_NOT_EXIST: PolicyNotExistError,
    }
)

_ACL_1_REFUSAL = "org.apache.rocketmq.acl."
"""How the remark of every refusal by ACL 1.0 begins: an exception's class, under SYSTEM_ERROR."""


def for_code(code: int, remark: str, address: str = "") -> ResponseError:
    """The error of a response with this code; ResponseError itself where no class is kept."""
    if code == ResponseCode.SYSTEM_ERROR and remark.startswith(_ACL_1_REFUSAL):
        return NoPermissionError(code, remark, address=address)
    return _BY_CODE.get(code, ResponseError)(code, remark, address=address)
