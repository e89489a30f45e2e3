"""Bodies are those that real servers sent."""

from __future__ import annotations

import pytest

from fakes.rocketmq_caller import answer
from rocketmq.codes import MQVersion
from rocketmq.errors import ProtocolError
from rocketmq.messages import brokers


def test_runtime_figures_of_both_generations() -> None:
    body = (
        b'{"table":{"brokerVersionDesc":"V4_9_7","bootTimestamp":"5","putTps":"1.5 0.0 0.0",'
        b'"%s":"2.5 0 0","commitLogMaxOffset":"9","commitLogDiskRatio":"0.29"}}'
    )
    for name in (b"getTransferedTps", b"getTransferredTps"):
        info = brokers.runtime_info().answer(answer(body % name))
        assert (info.version, info.boot_time_ms) == ("V4_9_7", 5)
        assert info.version_ordinal == MQVersion.V4_9_7
        assert (info.put_tps, info.get_tps) == (1.5, 2.5)
        assert info.commit_log_disk_ratio == pytest.approx(0.29)
    with pytest.raises(ProtocolError, match="commitLogMinOffset"):
        _ = info.commit_log_min_offset
    odd = brokers.runtime_info().answer(
        answer(b'{"table":{"brokerVersionDesc":"z","commitLogMaxOffset":"x","putTps":"y"}}')
    )
    with pytest.raises(ProtocolError, match="commitLogMaxOffset"):
        _ = odd.commit_log_max_offset
    with pytest.raises(ProtocolError, match="brokerVersionDesc"):
        _ = odd.version_ordinal
    with pytest.raises(ProtocolError, match="putTps"):
        _ = odd.put_tps


def test_replication_from_both_ends() -> None:
    master = (
        b'{"haClientRuntimeInfo":{"masterAddr":null},"haConnectionInfo":[{"addr":"10.0.0.2:40240",'
        b'"diff":0,"inSync":true,"slaveAckOffset":1913,"transferFromWhere":1913,'
        b'"transferredByteInSecond":0}],"inSyncSlaveNums":1,"master":true,'
        b'"masterCommitLogMaxOffset":1913}'
    )
    status = brokers.ha_status().answer(answer(master))
    assert status.master
    assert [one.slave_ack_offset for one in status.ha_connection_info] == [1913]


def test_epochs_reach_to_the_end_of_time() -> None:
    body = (
        b'{"brokerId":0,"brokerName":"broker-a","clusterName":"C5","epochList":[{"endOffset":1737,'
        b'"epoch":1,"startOffset":0},{"endOffset":9223372036854775807,"epoch":2,'
        b'"startOffset":1737}],"maxOffset":1913}'
    )
    epochs = brokers.epochs().answer(answer(body))
    assert [one.epoch for one in epochs.epoch_list] == [1, 2]
    assert epochs.epoch_list[-1].end_offset == (1 << 63) - 1
