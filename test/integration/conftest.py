"""A real API server with pods that a fake kubelet runs; the operator with exactly its own rights.

One control plane serves all tests of a process (`make integration` shares them among several) and
each test has a namespace of its own. The operator is shared by the tests of a file (`operator`) or,
where its life is what the test is about, started by the test (`operators.start`); two at a time
would be two writers, so that is refused.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml

from fakes.audit_log import AuditLog
from fakes.control_plane import ControlPlane, kubectl_in
from fakes.control_plane import control_plane as running_control_plane
from fakes.installation import OPERATOR, install_crds, operator_token, rights
from fakes.kubelet import Kubelet
from fakes.kubelet import kubelet as running_kubelet
from fakes.operator_process import LogLine, OperatorProcess, Operators
from fakes.rights_used import RightsUsed
from fakes.rocketmq_world import World, rocketmq_world
from fakes.rocketmq_world_model import Timing
from fakes.rolling_cluster import made, put_under_load
from fakes.witness import Place, Witness

_FAILED = pytest.StashKey[bool]()
_RIGHTS_USED = pytest.StashKey[RightsUsed]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "allows_errors: the operator may log errors, for the test makes it fail"
    )
    whole_operator = Path(__file__).parent.joinpath("operator").glob("test_*.py")
    config.stash[_RIGHTS_USED] = RightsUsed(
        config, whole_operator, [rights("role.yaml"), rights("leader_election_role.yaml")]
    )
    config.pluginmanager.register(config.stash[_RIGHTS_USED], "rights-used")
    # Without this, SIGTERM would end pytest before anything is taken down.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_keyboard_interrupt() -> None:
    # Once is enough: a second signal would end the taking down half-way.
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[_FAILED] = item.stash.get(_FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def control_plane(pytestconfig: pytest.Config) -> Iterator[ControlPlane]:
    with running_control_plane(f"integration-{os.getpid()}") as plane:
        yield plane
        calls = AuditLog(plane.audit_log).calls(user=OPERATOR)
        pytestconfig.stash[_RIGHTS_USED].record(calls)


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
def custom_resources(witness: Witness) -> None:
    """The CRDs are installed."""
    install_crds(witness)


@pytest.fixture
def place(
    request: pytest.FixtureRequest, control_plane: ControlPlane, witness: Witness, kubelet: Kubelet
) -> Iterator[Place]:
    """A namespace of this test alone; it goes in the background when the test is over."""
    with _namespace(request, control_plane, witness) as made:
        yield made


@pytest.fixture
def timing() -> Timing:
    """How fast the `world` is; a module may have a fixture of its own."""
    return Timing()


@pytest.fixture
def worlds(
    control_plane: ControlPlane, kubelet: Kubelet, timing: Timing
) -> Iterator[Callable[[Place], World]]:
    """A simulated RocketMQ in the pods of each namespace that the test names."""
    with ExitStack() as stack:

        def begin(place: Place) -> World:
            witness = Witness(control_plane.kubeconfig, "rocketmq-world")
            stack.callback(witness.close)
            return stack.enter_context(rocketmq_world(place.name, kubelet, witness, timing))

        yield begin


@pytest.fixture
def world(place: Place, worlds: Callable[[Place], World]) -> World:
    """A simulated RocketMQ in the pods of `place`."""
    return worlds(place)


@pytest.fixture
def loaded(world: World, place: Place, operator: OperatorProcess) -> World:
    """The same with a rolling_cluster that is complete and under load."""
    made(place)
    put_under_load(world)
    return world


@pytest.fixture
def other_place(
    request: pytest.FixtureRequest, control_plane: ControlPlane, witness: Witness, kubelet: Kubelet
) -> Iterator[Place]:
    """A second namespace."""
    with _namespace(request, control_plane, witness) as made:
        yield made


@pytest.fixture
def places(
    request: pytest.FixtureRequest, control_plane: ControlPlane, witness: Witness, kubelet: Kubelet
) -> Iterator[Callable[[], Place]]:
    """As many namespaces as the test asks for."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(_namespace(request, control_plane, witness))


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
    # Else their controller makes every pod again that the namespace's takes away, until it is told.
    witness.delete("StatefulSet", name, "")


def _objects(place: Place) -> str:
    kinds = ["StatefulSet", "Pod", "Service", "ConfigMap"]
    if place.witness.find("CustomResourceDefinition", "", "brokers.rocketmq.apache.org"):
        kinds += ["NameService", "Broker", "TopicTransfer"]
    found = [
        {key: item.get(key) for key in ("metadata", "status")} | {"kind": kind}
        for kind in kinds
        for item in place.list(kind)
    ]
    for item in found:
        item["metadata"].pop("managedFields", None)
    return yaml.safe_dump_all(found)


@pytest.fixture(scope="session")
def _operators(
    control_plane: ControlPlane, witness: Witness, tmp_path_factory: pytest.TempPathFactory
) -> Operators:
    folder = tmp_path_factory.mktemp("operator")
    return Operators(control_plane, operator_token(witness), folder)


@pytest.fixture
def operators(
    request: pytest.FixtureRequest, _operators: Operators, custom_resources: None, audit: AuditLog
) -> Iterator[Operators]:
    """For tests about the operator's own life: they start it, and say what may be in its log."""
    mark = audit.mark()
    yield _operators
    started = _operators.end()
    if request.node.stash.get(_FAILED, False):
        for number, one in enumerate(started, 1):
            request.node.add_report_section("teardown", f"operator log {number}", one.tail())
    _assert_behaved(request, audit, mark, [line for one in started for line in one.errors()])


@pytest.fixture(scope="module")
def _shared_operator(_operators: Operators, custom_resources: None) -> Iterator[OperatorProcess]:
    yield _operators.start()
    _operators.end()


@pytest.fixture
def operator(
    request: pytest.FixtureRequest, _shared_operator: OperatorProcess, audit: AuditLog
) -> Iterator[OperatorProcess]:
    """The operator of this file's tests."""
    log_mark, audit_mark = _shared_operator.log_mark(), audit.mark()
    yield _shared_operator
    if request.node.stash.get(_FAILED, False):
        tail = _shared_operator.tail(since=log_mark)
        request.node.add_report_section("teardown", "operator log", tail)
    assert _shared_operator.exit_code is None, f"it ended\n{_shared_operator.tail()}"
    _assert_behaved(request, audit, audit_mark, _shared_operator.errors(log_mark))


def _assert_behaved(
    request: pytest.FixtureRequest, audit: AuditLog, since: int, errors: list[LogLine]
) -> None:
    """No test may make the operator overstep its rights, nor (without the mark) log an error."""
    refused = [str(one) for one in audit.calls(since, user=OPERATOR) if one.forbidden]
    assert refused == []
    if request.node.get_closest_marker("allows_errors") is None:
        assert errors == []
