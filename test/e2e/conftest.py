"""One real cluster for the whole run, the operator in it, and a namespace for each file of tests.

A RocketMQ cluster takes half a minute to start: the tests of a file share one and build upon each
other, so their order is that of the file, whatever plug-ins think of it. ROCKETMQ_E2E_KEEP=1 leaves
the cluster (called `e2e`) behind and finds it again at the next run.
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
from e2e.deployed_operator import NAMESPACE, Operator, operator_in
from e2e.report import sections
from e2e.versions import NEW, OLD
from fakes.audit_log import AuditLog
from fakes.witness import Place, Witness

KEEP = os.environ.get("ROCKETMQ_E2E_KEEP", "") not in ("", "0")
TEST_S = 900.0
"""The longest time of one test. Fixtures are not counted: a cold cache compiles Kubernetes."""

LAST = "test_installation"
"""Takes the operator away from under everybody."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place_in_run)
    for item in items:
        item.add_marker(pytest.mark.timeout(TEST_S, func_only=True))


def _place_in_run(item: pytest.Item) -> tuple[bool, str, int]:
    return item.path.stem == LAST, str(item.path), item.location[1] or 0


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
    name = "e2e" if KEEP else f"e2e-{os.getpid()}"
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
