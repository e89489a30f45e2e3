from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fakes.control_plane import ControlPlane, kubeconfig
from fakes.fault_proxy import Answer, CutMidLine, Delay, FaultProxy, Freeze, asking, fault_proxy
from fakes.installation import token
from fakes.witness import Place, Refused, Witness

READER = "proxy-reader"


@pytest.fixture(scope="module")
def reader_token(witness: Witness) -> str:
    """A token that may read and write ConfigMaps and pods: the proxy sees no client certificate."""
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": READER, "namespace": "default"},
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": READER},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"kind": "ServiceAccount", "name": READER, "namespace": "default"}],
    }
    witness.apply(account)
    witness.apply(binding)
    return token(witness, "default", READER)


@pytest.fixture
def proxy(control_plane: ControlPlane) -> Iterator[FaultProxy]:
    with fault_proxy(control_plane.server, control_plane.authority) as running:
        yield running


@pytest.fixture
def through(proxy: FaultProxy, reader_token: str, tmp_path: Path) -> Iterator[Witness]:
    """A client that asks the proxy."""
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(kubeconfig(proxy.url, reader_token, None)))
    witness = Witness(path)
    yield witness
    witness.close()


class Stream:
    """A watch at the level of bytes: what arrives, and whether the line is still open."""

    def __init__(self, proxy: FaultProxy, token: str, path: str) -> None:
        address = urlsplit(proxy.url)
        self._socket = socket.create_connection((address.hostname, address.port), 5)
        request = f"GET {path} HTTP/1.1\r\nHost: proxy\r\nAuthorization: Bearer {token}\r\n\r\n"
        self._socket.sendall(request.encode())

    def read_until(self, wanted: bytes) -> bytes:
        """Everything up to the arrival of these bytes."""
        seen = b""
        while wanted not in seen:
            chunk = self._socket.recv(65536)
            assert chunk, f"ended after {seen[-200:]!r}"
            seen += chunk
        return seen

    def silent(self, seconds: float) -> bool:
        """Whether nothing comes in this time, not even an end."""
        self._socket.settimeout(seconds)
        try:
            self._socket.recv(65536)
        except TimeoutError:
            return True
        return False

    def rest(self) -> bytes:
        """What comes until the line breaks; raises TimeoutError when it does not."""
        seen = b""
        try:
            while chunk := self._socket.recv(65536):
                seen += chunk
        except ConnectionResetError:
            pass
        return seen

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


@pytest.fixture
def stream(proxy: FaultProxy, reader_token: str, place: Place) -> Iterator[Stream]:
    """A watch on the ConfigMaps of a namespace; it has told of the one that every namespace has."""
    path = f"/api/v1/namespaces/{place.name}/configmaps?watch=1"
    opened = Stream(proxy, reader_token, path)
    opened.read_until(b"kube-root-ca.crt")  # made in every namespace
    yield opened
    opened.close()


def config_map(name: str) -> dict[str, object]:
    metadata = {"name": name}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "b"}}


def test_without_faults_requests_and_watches_pass_unchanged(
    proxy: FaultProxy, through: Witness, stream: Stream, place: Place
) -> None:
    through.create({**config_map("one"), "metadata": {"name": "one", "namespace": place.name}})
    assert through.get("ConfigMap", place.name, "one") == place.get("ConfigMap", "one")
    stream.read_until(b'"name":"one"')
    with pytest.raises(Refused, match="not found"):
        through.request("GET", f"/api/v1/namespaces/{place.name}/configmaps/none")
    assert [one.verb for one in proxy.seen] == ["watch", "create", "get", "get"]


def test_an_answer_can_be_an_error_with_a_delay_to_keep(
    proxy: FaultProxy, through: Witness, place: Place
) -> None:
    proxy.inject(Answer(410, "Expired"), asking("list", path="/configmaps"), times=1)
    with pytest.raises(Refused, match="410"):
        through.list("ConfigMap", place.name)
    assert isinstance(through.list("ConfigMap", place.name), list)
    proxy.inject(Delay(0.3), asking("get"))
    began = time.monotonic()
    through.find("ConfigMap", place.name, "none")
    assert time.monotonic() - began >= 0.3


def test_a_request_to_slow_down_says_for_how_long(
    proxy: FaultProxy, reader_token: str, place: Place
) -> None:
    proxy.inject(Answer(429, "TooManyRequests", retry_after_s=7), asking("list"))
    asked = Stream(proxy, reader_token, f"/api/v1/namespaces/{place.name}/configmaps")
    assert b"Retry-After: 7\r\n" in asked.read_until(b"\r\n\r\n")
    asked.close()


def test_a_frozen_watch_neither_speaks_nor_ends(
    proxy: FaultProxy, stream: Stream, place: Place
) -> None:
    proxy.inject(Freeze(), asking("watch"))
    place.create(config_map("unseen"))
    assert stream.silent(0.5)
    proxy.heal()
    place.create(config_map("unseen-too"))
    assert stream.silent(0.5)


def test_a_watch_breaks_in_the_middle_of_a_line(
    proxy: FaultProxy, stream: Stream, place: Place
) -> None:
    proxy.inject(CutMidLine(), asking("watch"))
    place.create(config_map("half"))
    half = stream.rest()
    assert b'{"type":"ADDED"' in half
    assert b"}\n" not in half[half.index(b"ADDED") :]


def test_every_open_watch_can_be_cut_at_once(proxy: FaultProxy, stream: Stream) -> None:
    proxy.cut_watches()
    assert b"\n\r\n0\r\n" not in stream.rest()
