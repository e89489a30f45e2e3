from __future__ import annotations

import inspect

import pytest

from rocketmq import errors
from rocketmq.codes import ResponseCode, response_name
from rocketmq.errors import ConnectError, ConnectionLostError, ResponseError, for_code


@pytest.mark.parametrize("code", ResponseCode)
def test_every_code_has_an_error_that_says_where_and_what(code: ResponseCode) -> None:
    error = for_code(code, "the remark", "10.0.0.1:10911")

    assert isinstance(error, ResponseError)
    assert (error.code, error.remark, error.address) == (code, "the remark", "10.0.0.1:10911")
    assert str(error) == f"10.0.0.1:10911: {response_name(code)}: the remark"


@pytest.mark.parametrize(
    ("code", "error", "retriable"),
    [
        (1, errors.ServerFaultError, False),
        (2, errors.BusyError, True),
        (3, errors.UnsupportedError, False),
        (10, errors.NotDurableError, False),
        (11, errors.NotDurableError, False),
        (12, errors.NotDurableError, False),
        (14, errors.ServiceNotAvailableError, True),
        (16, errors.NoPermissionError, False),
        (17, errors.TopicNotExistError, False),
        (22, errors.QueryNotFoundError, False),
        (26, errors.SubscriptionGroupNotExistError, False),
        (29, errors.InvalidParameterError, False),
        (206, errors.ConsumerNotOnlineError, False),
        (215, errors.FlowControlError, True),
        (2004, errors.MasterNotAvailableError, True),
        (2007, errors.NotLeaderError, True),
        (2008, errors.BrokerMetadataNotExistError, False),
        (2009, errors.InvalidCleanBrokerMetadataError, False),
        (2010, errors.BrokerNeedToBeRegisteredError, False),
        (2011, errors.MasterStillExistError, False),
        (2012, errors.ElectMasterFailedError, True),
        (2016, errors.ControllerError, False),
        (3001, errors.UserNotExistError, False),
        (3002, errors.PolicyNotExistError, False),
        (604, errors.ResponseError, False),
        (4711, errors.ResponseError, False),
    ],
)
def test_classes_of_codes(code: int, error: type[ResponseError], retriable: bool) -> None:
    made = for_code(code, "", "a:1")

    assert type(made) is error
    assert made.retriable is retriable


def test_each_class_of_a_response_is_some_codes_class() -> None:
    classes = {
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, ResponseError)
    }

    assert classes == {type(for_code(code, "")) for code in [*ResponseCode, 4711]}


def test_a_refusal_by_the_old_acl_is_told_by_its_remark() -> None:
    remark = "org.apache.rocketmq.acl.common.AclException: No accessKey is configured"
    error = for_code(1, remark)

    assert type(error) is errors.NoPermissionError
    assert error.code == 1
    assert type(for_code(2, remark)) is errors.BusyError
    assert type(for_code(1, f"x {remark}")) is errors.ServerFaultError


def test_an_error_without_address_or_remark_reads_well() -> None:
    assert str(for_code(4711, "")) == "4711: no remark"
    assert str(ConnectError("no")) == "no"
    assert ConnectionLostError("gone", address="a:1", sent=False).reason == "gone"
