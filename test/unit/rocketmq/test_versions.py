from __future__ import annotations

import pytest

from rocketmq.codes import MQVersion, RequestCode
from rocketmq.versions import GATES, supports


@pytest.mark.parametrize(
    ("code", "since", "before"),
    [
        (RequestCode.ADD_WRITE_PERM_OF_BROKER, MQVersion.V4_9_2, MQVersion.V4_9_1),
        (RequestCode.GET_BROKER_HA_STATUS, MQVersion.V5_0_0, MQVersion.V4_9_8),
        (RequestCode.AUTH_CREATE_USER, MQVersion.V5_3_0, MQVersion.V5_2_0),
    ],
)
def test_an_operation_exists_from_a_version_on(
    code: RequestCode, since: MQVersion, before: MQVersion
) -> None:
    assert supports(since, code)
    assert supports(MQVersion.V5_5_0, code)
    assert not supports(before, code)


def test_accounts_of_the_first_generation_end_with_5_3_2() -> None:
    code = RequestCode.UPDATE_AND_CREATE_ACL_CONFIG
    assert supports(MQVersion.V4_9_7, code)
    assert supports(MQVersion.V5_3_2, code)
    assert not supports(MQVersion.V5_3_3, code)


def test_an_operation_without_a_gate_is_everywhere() -> None:
    assert RequestCode.GET_BROKER_CONFIG not in GATES
    assert supports(MQVersion.V4_5_0, RequestCode.GET_BROKER_CONFIG)
