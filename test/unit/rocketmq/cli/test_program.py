from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from rocketmq.acl import Credentials
from rocketmq.cli.arguments import addresses, pair, parser
from rocketmq.cli.changes import UsageError, is_secret
from rocketmq.cli.program import ACTIONS, credentials, main


def test_addresses_stand_between_semicolons_or_commas() -> None:
    assert addresses(" a:1; b:2,,c:3;") == ("a:1", "b:2", "c:3")
    assert addresses("") == ()


def test_a_pair_keeps_what_follows_the_first_equals_sign() -> None:
    assert pair("a=b=c") == ("a", "b=c")
    assert pair("a=") == ("a", "")
    for wrong in ("a", "=b"):
        with pytest.raises(argparse.ArgumentTypeError):
            pair(wrong)


@pytest.mark.parametrize("variable", ["ROCKETMQ_NAME_SERVERS", "NAMESRV_ADDR"])
def test_name_servers_come_from_the_environment_or_the_option(variable: str) -> None:
    asked = parser({variable: "a:1;b:2"})
    assert asked.parse_args(["cluster"]).name_servers == ("a:1", "b:2")
    assert asked.parse_args(["-n", "c:3", "cluster"]).name_servers == ("c:3",)


def test_every_command_of_the_parser_has_an_action() -> None:
    words = {
        ("cluster", ""): ["cluster"],
        ("topic", "list"): ["topic", "list"],
        ("topic", "route"): ["topic", "route", "t"],
        ("topic", "stats"): ["topic", "stats", "t"],
        ("topic", "show"): ["topic", "show", "t"],
        ("topic", "save"): ["topic", "save", "t", "--cluster", "c", "--perm", "4"],
        ("topic", "delete"): ["topic", "delete", "t", "--cluster", "c"],
        ("group", "list"): ["group", "list", "--all"],
        ("group", "show"): ["group", "show", "g"],
        ("group", "clients"): ["group", "clients", "g"],
        ("group", "save"): ["group", "save", "g", "--cluster", "c", "--no-consume"],
        ("group", "delete"): ["group", "delete", "g", "--cluster", "c"],
        ("lag", ""): ["lag", "g", "--topic", "t"],
        ("config", "get"): ["config", "get", "a:1", "key"],
        ("config", "set"): ["config", "set", "a:1", "key=value"],
        ("send", ""): ["send", "t", "text", "--tag", "a"],
        ("pull", ""): ["pull", "t", "--limit", "1"],
    }
    asked = parser({})
    for action, line in words.items():
        options = asked.parse_args(line)
        assert (options.command, getattr(options, "action", "")) == action
    assert set(words) == set(ACTIONS)


def test_a_permission_beyond_six_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parser({}).parse_args(["topic", "save", "t", "--cluster", "c", "--perm", "9"])
    assert "between 0 and 6" in capsys.readouterr().err


def test_without_name_servers_the_command_line_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["cluster"], {})
    assert "ROCKETMQ_NAME_SERVERS" in capsys.readouterr().err


def test_credentials_come_from_a_file_before_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "account"
    file.write_text("accessKey: from-file\nsecretKey=s\\u0020t\n", encoding="utf-8")
    environment = {"ROCKETMQ_ACCESS_KEY": "from-env", "ROCKETMQ_SECRET_KEY": "x"}
    assert credentials(file, environment) == Credentials("from-file", "s t")
    assert credentials(None, environment) == Credentials("from-env", "x")
    assert credentials(None, {}) is None


def test_half_an_account_is_refused_and_not_echoed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "account"
    file.write_text("secretKey=do-not-show\n", encoding="utf-8")
    with pytest.raises(UsageError, match="accessKey") as caught:
        credentials(file, {})
    assert "do-not-show" not in str(caught.value)
    assert main(["-n", "a:1", "--credentials-file", str(file), "cluster"], {}) == 1
    told = capsys.readouterr()
    assert "do-not-show" not in told.err + told.out


def test_certificates_without_tls_are_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-n", "a:1", "--ca-file", "/none", "cluster"], {}) == 1
    assert "--tls" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "secret"),
    [
        ("innerClientAuthenticationCredentials", True),
        ("initAuthenticationUser", True),
        ("tls.server.keyPassword", True),
        ("secretKey", True),
        ("brokerName", False),
        ("aclEnable", False),
    ],
)
def test_settings_that_hold_secrets_are_known(key: str, secret: bool) -> None:
    assert is_secret(key) is secret
