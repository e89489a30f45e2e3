"""A real cluster for each process of the run, the operator in it, a namespace for each file.

A RocketMQ cluster takes half a minute to start: the tests of a file share one and build upon each
other, so their order is that of the file, whatever plug-ins think of it. `make e2e` shares the
files between two processes (`--dist loadfile`), the longest first: with clusters of their own they
have nothing in common but this machine. ROCKETMQ_E2E_KEEP=1 leaves the cluster (called `e2e`, or
`e2e-gw0` and so on) behind and finds it again at the next run.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from e2e.cluster import RealCluster, cluster_tool, make_place, real_cluster, remove_places
from e2e.deployed_operator import NAMESPACE, USER, Operator, operator_in
from e2e.report import sections
from e2e.versions import NEW, OLD
from fakes.audit_log import AuditLog
from fakes.witness import Place, Witness

KEEP = os.environ.get("ROCKETMQ_E2E_KEEP", "") not in ("", "0")
TEST_S = 900.0
"""The longest time of one test. Fixtures are not counted: a cold cache compiles Kubernetes."""

LONGEST = (
    "test_rolls",
    "test_topic_transfer",
    "test_scale_in",
    "test_scale_out",
    "test_scaling",
    "test_empty_master",
    "test_storage",
    "test_load_client",
    "test_first_manual",
    "test_old_version",
    "test_samples",
)
"""Begun first, in this order: a long file that begins last leaves one process idle."""
LAST = "test_installation"
"""Takes the operator away from under everybody: nothing follows it in the process that has it."""

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
"""The process of this run; empty when there is one."""
FIGURE = "figure"


def pytest_configure(config: pytest.Config) -> None:
    if not WORKER:
        config.pluginmanager.register(_Figures(config), "e2e-figures")
        signal.signal(signal.SIGTERM, _end_all)


def _end_all(*_: object) -> None:
    """Let the processes that share the tests take their clusters down, too: nobody tells them."""
    for children in Path("/proc/self/task").glob("*/children"):
        for process in children.read_text(encoding="ascii").split():
            os.kill(int(process), signal.SIGTERM)
    raise KeyboardInterrupt


class _Figures:
    """Shows each figure when its test is over: a process that shares the tests has no terminal."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            terminal = self._config.pluginmanager.get_plugin("terminalreporter")
            for name, text in report.user_properties:
                if terminal is not None and name == FIGURE:
                    terminal.write_line(f"\n{text}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place_in_run)
    for item in items:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TEST_S, func_only=True))


def _place_in_run(item: pytest.Item) -> tuple[bool, int, str, str, int]:
    """A file that is run for several versions is run for one after the other."""
    name = item.path.stem
    rank = LONGEST.index(name) if name in LONGEST else len(LONGEST)
    version = item.callspec.id if hasattr(item, "callspec") else ""
    return name == LAST, rank, str(item.path), version, item.location[1] or 0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the state of the cluster with the first failure of a test or of its fixtures."""
    report = yield
    arguments = getattr(item, "funcargs", {})
    place, operator = arguments.get("place"), arguments.get("operator")
    if report.failed and isinstance(place, Place) and isinstance(operator, Operator):
        report.sections.extend(sections(place, operator))
    return report


@pytest.fixture(scope="session")
def cluster() -> Iterator[RealCluster]:
    """The cluster, with the images of both RocketMQ versions and their clients."""
    images = [f"{kind}:{version}" for version in (NEW, OLD) for kind in ("rocketmq", "client")]
    name = "-".join(["e2e", *([WORKER] if WORKER else []), *([] if KEEP else [str(os.getpid())])])
    # Without this, SIGTERM would end pytest before anything is taken down.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    with real_cluster(name, images, keep=KEEP) as running:
        yield running
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def witness(cluster: RealCluster) -> Iterator[Witness]:
    """The official client."""
    witness = Witness(cluster.kubeconfig)
    remove_places(witness)
    yield witness
    witness.close()


@pytest.fixture(scope="session")
def audit(cluster: RealCluster) -> AuditLog:
    """What was asked of the API server."""
    return AuditLog(cluster.audit_log)


@pytest.fixture(scope="session")
def operator(cluster: RealCluster, witness: Witness) -> Operator:
    """The operator of the working tree, installed by the script that users have."""
    image, archive = cluster_tool("image", "working-tree").split()
    cluster.load(archive)
    operator = operator_in(cluster, witness, image, NAMESPACE)
    operator.script("deploy")
    operator.wait_ready()
    return operator


@pytest.fixture(scope="module", autouse=True)
def _within_its_rights(
    request: pytest.FixtureRequest, operator: Operator, audit: AuditLog
) -> Iterator[None]:
    """Whatever the tests of a file did, the operator asked for nothing that is forbidden to it.

    Nor did those of its pods log an error that are there at the end. The file that removes its
    rights from under it is left out.
    """
    mark = audit.mark()
    yield
    if request.path.stem != LAST:
        assert [str(one) for one in audit.calls(mark, user=USER) if one.forbidden] == []
        assert operator.errors() == []


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Shows a figure in the run's output, whether the test passes or not."""
    return lambda text: request.node.user_properties.append((FIGURE, text))


@pytest.fixture(scope="module")
def node_data(cluster: RealCluster) -> Iterator[Path]:
    """The directory of the manuals' HostPaths on the node: empty at first, and removed later."""
    path = cluster.on_node("/data/rocketmq")
    shutil.rmtree(path, ignore_errors=True)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def make_namespace(
    request: pytest.FixtureRequest, cluster: RealCluster, witness: Witness
) -> Iterator[Callable[..., Place]]:
    """Makes namespaces of this file; they go in the background when its last test is over.

    Those of a file with a failure stay when the cluster does, until the next run.
    """
    failed_before = request.session.testsfailed
    made: list[Place] = []

    def make(name: str, *, restricted: bool = False) -> Place:
        place = make_place(cluster, witness, f"{name}-{int(time.time())}", restricted=restricted)
        made.append(place)
        return place

    yield make
    if not (KEEP and request.session.testsfailed > failed_before):
        for place in made:
            witness.delete("Namespace", "", place.name)
