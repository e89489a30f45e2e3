"""A kubeconfig whose user is an exec plugin: a real process that hands out tokens."""

from __future__ import annotations

import stat
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from controller.client import config
from controller.client.config import ConfigError, load_config

PLUGIN = """#!{python}
import json, pathlib
counter = pathlib.Path({counter!r})
number = int(counter.read_text()) + 1
counter.write_text(str(number))
status = {{"token": "token-" + str(number), "expirationTimestamp": {expiry!r}}}
kind = {{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}}
print(json.dumps({{**kind, "status": status}}))
"""


@pytest.fixture
def kubeconfig(tmp_path: Path) -> str:
    counter, plugin, path = tmp_path / "counter", tmp_path / "plugin", tmp_path / "config"
    counter.write_text("0")
    expiry = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    plugin.write_text(PLUGIN.format(python=sys.executable, counter=str(counter), expiry=expiry))
    plugin.chmod(stat.S_IRWXU)
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin)}}
    content = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://api.example/"}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_bytes(msgspec.json.encode(content))
    return str(path)


async def test_a_plugin_is_asked_once_and_again_when_its_token_is_refused(
    kubeconfig: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = await load_config(kubeconfig, environ={})
    assert loaded.server == "http://api.example"
    assert await loaded.credentials.authorization() == "Bearer token-1"
    monkeypatch.setattr(config, "MAX_AGE_S", 0.0)
    assert await loaded.credentials.authorization() == "Bearer token-1"
    monkeypatch.setattr(config, "MIN_AGE_S", 0.0)
    loaded.credentials.expire()
    assert await loaded.credentials.authorization() == "Bearer token-2"


async def test_a_plugin_that_cannot_be_run_is_an_error(kubeconfig: str, tmp_path: Path) -> None:
    (tmp_path / "plugin").unlink()
    with pytest.raises(ConfigError, match="FileNotFoundError"):
        await load_config(kubeconfig, environ={})
