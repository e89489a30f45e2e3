"""A real API server with pods that a fake kubelet runs; the operator with exactly its own rights.

One control plane serves the whole run and each test has a namespace of its own. The operator is
shared by the tests of a file (`operator`) or, where its life is what the test is about, started by
the test (`operators.start`); two at a time would be two writers, so that is refused.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from fakes.audit_log import AuditLog
from fakes.control_plane import ROOT, ControlPlane, kubeconfig, kubectl_in
from fakes.control_plane import control_plane as running_control_plane
from fakes.kubelet import Kubelet
from fakes.kubelet import kubelet as running_kubelet
from fakes.operator_process import OperatorProcess
from fakes.waiting import eventually
from fakes.witness import Object, Place, Witness

ACCOUNT = "rocketmq-operator"
OPERATOR = f"system:serviceaccount:{ACCOUNT}:{ACCOUNT}"
"""The user that the audit log shows for the operator."""

_FAILED = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "allows_errors: the operator may log errors, for the test makes it fail"
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[_FAILED] = item.stash.get(_FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    # Without this, SIGTERM would end pytest before anything is taken down.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    with running_control_plane(f"integration-{os.getpid()}") as plane:
        yield plane
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def kubelet(control_plane: ControlPlane) -> Iterator[Kubelet]:
    with running_kubelet(control_plane.kubeconfig) as running:
        yield running


@pytest.fixture(scope="session")
def witness(control_plane: ControlPlane) -> Iterator[Witness]:
    witness = Witness(control_plane.kubeconfig)
    yield witness
    witness.close()


@pytest.fixture(scope="session")
def audit(control_plane: ControlPlane) -> AuditLog:
    return AuditLog(control_plane.audit_log)


@pytest.fixture(scope="session")
def apply_crds(witness: Witness) -> Callable[[], None]:
    """Installs what manifests/crds has, and waits until it is served."""

    def apply() -> None:
        names = [witness.apply(crd)["metadata"]["name"] for crd in crds()]
        for name in names:
            eventually(lambda name=name: _assert_served(witness, name))

    return apply


@pytest.fixture(scope="session")
def custom_resources(apply_crds: Callable[[], None]) -> None:
    """The CRDs are installed."""
    apply_crds()


def crds() -> list[Object]:
    """The manifests of the CRDs."""
    paths = sorted((ROOT / "manifests" / "crds").glob("rocketmq.apache.org_*.yaml"))
    return [yaml.safe_load(path.read_text(encoding="utf-8")) for path in paths]


def _assert_served(witness: Witness, name: str) -> None:
    crd = witness.get("CustomResourceDefinition", "", name)
    conditions = {one["type"]: one["status"] for one in crd.get("status", {}).get("conditions", ())}
    assert conditions.get("Established") == "True", f"{name}: {conditions}"
    group, version = crd["spec"]["group"], crd["spec"]["versions"][0]["name"]
    served = witness.request("GET", f"/apis/{group}/{version}")["resources"]
    assert crd["spec"]["names"]["plural"] in {one["name"] for one in served}


@pytest.fixture(scope="session")
def token(witness: Witness) -> str:
    """A token of the operator's account, which has the rights of manifests/rbac and no others."""
    for manifest in (
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACCOUNT}},
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": ACCOUNT, "namespace": ACCOUNT},
        },
        rbac("role.yaml"),
        rbac("role_binding.yaml"),
    ):
        witness.apply(manifest)
    path = f"/api/v1/namespaces/{ACCOUNT}/serviceaccounts/{ACCOUNT}/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
    answer = witness.request("POST", path, body={**request, "spec": {"expirationSeconds": 7200}})
    return str(answer["status"]["token"])


def rbac(file: str) -> Object:
    """One of the manifests of the operator's rights."""
    text = (ROOT / "manifests" / "rbac" / file).read_text(encoding="utf-8")
    manifest: Object = yaml.safe_load(text)
    return manifest


@pytest.fixture
def place(
    request: pytest.FixtureRequest, control_plane: ControlPlane, witness: Witness, kubelet: Kubelet
) -> Iterator[Place]:
    """A namespace of this test alone; it goes in the background when the test is over."""
    with _namespace(request, control_plane, witness) as made:
        yield made


@pytest.fixture
def other_place(
    request: pytest.FixtureRequest, control_plane: ControlPlane, witness: Witness, kubelet: Kubelet
) -> Iterator[Place]:
    """A second namespace."""
    with _namespace(request, control_plane, witness) as made:
        yield made


_NUMBERS = itertools.count(1)


@contextmanager
def _namespace(
    request: pytest.FixtureRequest, plane: ControlPlane, witness: Witness
) -> Iterator[Place]:
    name = f"t{next(_NUMBERS)}"
    metadata = {"name": name, "annotations": {"test": request.node.name}}
    witness.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    place = Place(witness, name, kubectl_in(plane, name))
    yield place
    if request.node.stash.get(_FAILED, False):
        request.node.add_report_section("teardown", f"objects of {name}", _objects(place))
    witness.delete("Namespace", "", name)


def _objects(place: Place) -> str:
    kinds = ["StatefulSet", "Pod", "Service", "ConfigMap"]
    if place.witness.find("CustomResourceDefinition", "", "brokers.rocketmq.apache.org"):
        kinds += ["NameService", "Broker"]
    found = [
        {key: item.get(key) for key in ("metadata", "status")} | {"kind": kind}
        for kind in kinds
        for item in place.list(kind)
    ]
    for item in found:
        item["metadata"].pop("managedFields", None)
    return yaml.safe_dump_all(found)


class Operators:
    """Starts operators, one at a time, and ends what is left of them."""

    def __init__(self, plane: ControlPlane, token: str, folder: Path) -> None:
        self._plane = plane
        self._token = token
        self._folder = folder
        self._numbers = itertools.count(1)
        self._running: OperatorProcess | None = None

    def start(
        self, *arguments: str, server: str | None = None, wait: bool = True
    ) -> OperatorProcess:
        """An operator that is ready (or not, without `wait`); it asks `server`, or directly."""
        assert self._running is None or self._running.exit_code is not None, "one runs already"
        number = next(self._numbers)
        authority = None if server else self._plane.authority
        path = self._folder / f"operator-{number}.kubeconfig"
        config = kubeconfig(server or self._plane.server, self._token, authority)
        path.write_text(json.dumps(config), encoding="utf-8")
        log = self._folder / f"operator-{number}.log"
        self._running = OperatorProcess(path, log, *arguments)
        if wait:
            self._running.wait_ready()
        return self._running

    def end(self) -> None:
        """End the one that runs: it must do so in time and with status 0."""
        running, self._running = self._running, None
        if running is not None and running.exit_code is None:
            code = running.terminate()
            assert code == 0, f"the operator ended with {code}\n{running.tail()}"

    def log(self) -> str:
        """The last lines of the one that runs or ran last."""
        return self._running.tail() if self._running else ""


@pytest.fixture(scope="session")
def _operators(
    control_plane: ControlPlane, token: str, tmp_path_factory: pytest.TempPathFactory
) -> Operators:
    return Operators(control_plane, token, tmp_path_factory.mktemp("operator"))


@pytest.fixture
def operators(
    request: pytest.FixtureRequest, _operators: Operators, custom_resources: None
) -> Iterator[Operators]:
    """For tests about the operator's own life: they start it, and say what may be in its log."""
    yield _operators
    if request.node.stash.get(_FAILED, False):
        request.node.add_report_section("teardown", "operator log", _operators.log())
    _operators.end()


@pytest.fixture(scope="module")
def _shared_operator(_operators: Operators, custom_resources: None) -> Iterator[OperatorProcess]:
    yield _operators.start()
    _operators.end()


@pytest.fixture
def operator(
    request: pytest.FixtureRequest, _shared_operator: OperatorProcess, audit: AuditLog
) -> Iterator[OperatorProcess]:
    """The operator of this file's tests; no test may make it log an error, nor be refused rights.

    A test that does so on purpose has the mark `allows_errors`.
    """
    log_mark, audit_mark = _shared_operator.log_mark(), audit.mark()
    yield _shared_operator
    if request.node.stash.get(_FAILED, False):
        tail = _shared_operator.tail(since=log_mark)
        request.node.add_report_section("teardown", "operator log", tail)
    assert _shared_operator.exit_code is None, f"it ended\n{_shared_operator.tail()}"
    refused = [one for one in audit.calls(audit_mark, user=OPERATOR) if one.code in (401, 403)]
    assert not refused, [str(one) for one in refused]
    if request.node.get_closest_marker("allows_errors") is None:
        assert _shared_operator.errors(log_mark) == []
