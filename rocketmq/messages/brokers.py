"""State of a broker: figures, replication, epochs (dossier 2.2). Pure."""

from __future__ import annotations

import msgspec

from rocketmq.calls import Request
from rocketmq.codes import RequestCode, version_ordinal
from rocketmq.errors import ProtocolError
from rocketmq.messages.operation import Operation, header, in_body, nothing


class RuntimeInfo(msgspec.Struct, frozen=True):
    """What a broker says of itself; the keys differ between versions, so `table` has them all."""

    table: dict[str, str] = {}

    @property
    def version(self) -> str:
        """`V5_3_3`."""
        return self._text("brokerVersionDesc")

    @property
    def version_ordinal(self) -> int:
        """The MQVersion ordinal, from the description: 5.5 gives no `brokerVersion` any more."""
        ordinal = version_ordinal(self.version)
        if ordinal is None:
            raise ProtocolError(f"brokerVersionDesc is no version: {self.version!r}")
        return ordinal

    @property
    def boot_time_ms(self) -> int:
        """When the process started: it changes when a broker restarts."""
        return self._number("bootTimestamp")

    @property
    def commit_log_min_offset(self) -> int:
        """The first byte that is still there; -1 before the first message."""
        return self._number("commitLogMinOffset")

    @property
    def commit_log_max_offset(self) -> int:
        """The end of the log: a replica that has the same as its master has caught up."""
        return self._number("commitLogMaxOffset")

    @property
    def dispatch_behind_bytes(self) -> int:
        """What is stored but not yet in the consume queues."""
        return self._number("dispatchBehindBytes")

    @property
    def put_tps(self) -> float:
        """Messages stored a second, in the last ten seconds."""
        return self._rate("putTps")

    @property
    def get_tps(self) -> float:
        """Messages given to consumers a second; 4.x spells the key differently."""
        key = "getTransferredTps"
        return self._rate(key if key in self.table else "getTransferedTps")

    @property
    def commit_log_disk_ratio(self) -> float:
        """How full the disk is, 0 to 1: over 0.9 a broker takes no messages."""
        return self._decimal("commitLogDiskRatio", self._text("commitLogDiskRatio"))

    @property
    def messages_today(self) -> int:
        """Messages stored since midnight."""
        now, morning = self._number("msgPutTotalTodayNow"), self._number("msgPutTotalTodayMorning")
        return now - morning

    def _text(self, key: str) -> str:
        if key not in self.table:
            raise ProtocolError(f"the broker's runtime info has no {key}")
        return self.table[key]

    def _number(self, key: str) -> int:
        try:
            return int(self._text(key))
        except ValueError:
            raise ProtocolError(f"{key} is no whole number: {self._text(key)!r}") from None

    def _rate(self, key: str) -> float:
        windows = self.table.get(key, "").split()
        return self._decimal(key, windows[0]) if windows else 0.0

    def _decimal(self, key: str, text: str) -> float:
        try:
            return float(text)
        except ValueError:
            raise ProtocolError(f"{key} is no number: {text!r}") from None


class ReplicaProgress(msgspec.Struct, frozen=True, rename="camel"):
    """A slave as its master sees it; `addr` is the slave's end of the line, no broker address."""

    addr: str
    diff: int = 0
    in_sync: bool = False
    slave_ack_offset: int = 0
    transfer_from_where: int = 0
    transferred_byte_in_second: int = 0


class ReplicaState(msgspec.Struct, frozen=True, rename="camel"):
    """A slave as it sees itself; all zero on a master."""

    master_addr: str | None = None
    master_flush_offset: int = 0
    max_offset: int = 0
    last_read_timestamp: int = 0
    last_write_timestamp: int = 0
    transferred_byte_in_second: int = 0


class HaStatus(msgspec.Struct, frozen=True, rename="camel"):
    """Replication of a broker (5.x): `ha_connection_info` on a master, `ha_client_runtime_info`
    on a slave."""

    master: bool
    master_commit_log_max_offset: int = 0
    in_sync_slave_nums: int = 0
    ha_connection_info: tuple[ReplicaProgress, ...] = ()
    ha_client_runtime_info: ReplicaState = ReplicaState()


class Epoch(msgspec.Struct, frozen=True, rename="camel"):
    """One master's term and the part of the log that it wrote."""

    epoch: int
    start_offset: int
    end_offset: int


class Epochs(msgspec.Struct, frozen=True, rename="camel"):
    """The terms that a broker in controller mode has in its log."""

    cluster_name: str = ""
    broker_name: str = ""
    broker_id: int = 0
    epoch_list: tuple[Epoch, ...] = ()
    max_offset: int = 0


def runtime_info() -> Operation[RuntimeInfo]:
    """GET_BROKER_RUNTIME_INFO 28."""
    return Operation(Request(RequestCode.GET_BROKER_RUNTIME_INFO), in_body(RuntimeInfo))


def ha_status() -> Operation[HaStatus]:
    """GET_BROKER_HA_STATUS 907, from 5.0."""
    return Operation(Request(RequestCode.GET_BROKER_HA_STATUS), in_body(HaStatus))


def epochs() -> Operation[Epochs]:
    """GET_BROKER_EPOCH_CACHE 1007, from 5.0."""
    return Operation(Request(RequestCode.GET_BROKER_EPOCH_CACHE), in_body(Epochs))


def reset_master_flush_offset(offset: int) -> Operation[None]:
    """RESET_MASTER_FLUSH_OFFSET 908, from 5.0."""
    fields = header(masterFlushOffset=offset)
    return Operation(Request(RequestCode.RESET_MASTER_FLUSH_OFFSET, fields), nothing)
