from __future__ import annotations

import pytest

from rocketmq.codes import (
    READS,
    MQVersion,
    RequestCode,
    request_name,
    response_name,
    version_name,
    version_ordinal,
)


@pytest.mark.parametrize(
    ("ordinal", "name"),
    [
        (313, "4.5.0"),
        (395, "4.9.1"),
        (409, "4.9.8"),
        (412, "5.0.0-SNAPSHOT"),
        (479, "5.3.3"),
        (480, "5.3.4-SNAPSHOT"),
        (611, "5.9.9"),
    ],
)
def test_ordinals_read_as_versions(ordinal: int, name: str) -> None:
    assert version_name(ordinal) == name


@pytest.mark.parametrize("version", MQVersion)
def test_the_named_versions_follow_the_rule_of_the_ordinals(version: MQVersion) -> None:
    assert "V" + version_name(version).replace(".", "_") == version.name


@pytest.mark.parametrize("version", MQVersion)
def test_a_description_gives_the_ordinal_back(version: MQVersion) -> None:
    assert version_ordinal(version.name) == version
    assert version_ordinal(f"{version.name}_SNAPSHOT") == version - 1


@pytest.mark.parametrize("text", ["", "5.3.3", "V5_3", "V5_3_33", "V5_3_3_BETA", "HIGHER_VERSION"])
def test_what_describes_no_version_has_no_ordinal(text: str) -> None:
    assert version_ordinal(text) is None


def test_codes_without_a_name_are_numbers() -> None:
    assert (request_name(26), request_name(9)) == ("GET_BROKER_CONFIG (26)", "9")
    assert response_name(210) == "POLLING_TIMEOUT or DELETE_ACL_CONFIG_FAILED (210)"


def test_what_is_repeated_changes_nothing() -> None:
    assert {code.name.split("_")[0] for code in READS} <= {
        "GET",
        "QUERY",
        "SEARCH",
        "VIEW",
        "AUTH",
        "CONTROLLER",
    }
    assert {
        code.name.split("_")[1] for code in READS if code.name.startswith(("AUTH", "CONTR"))
    } == {
        "GET",
        "LIST",
    }
    # Not all that only reads is there: a pull may commit, and long polls are no reads to repeat.
    assert RequestCode.PULL_MESSAGE not in READS
