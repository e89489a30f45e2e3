from __future__ import annotations

import asyncio

import pytest

from controller.client.config import ConfigError
from controller.metrics import Metrics
from reconcilers.election import election, namespace_of_lease
from reconcilers.settings import Settings


@pytest.mark.parametrize(
    ("chosen", "own", "expected"),
    [
        pytest.param(Settings(), "pods", "pods", id="in a pod"),
        pytest.param(Settings(), "", None, id="on a desk"),
        pytest.param(Settings(lease_namespace="x"), "pods", "x", id="in a pod, told where"),
        pytest.param(Settings(kubeconfig="/k"), "pods", None, id="for another cluster, maybe"),
        pytest.param(Settings(kubeconfig="/k", lease_namespace="x"), "", "x", id="told where"),
        pytest.param(Settings(leader_elect=False, lease_namespace="x"), "pods", None, id="off"),
        pytest.param(Settings(leader_elect=True, kubeconfig="/k"), "pods", "pods", id="on"),
    ],
)
def test_where_the_lease_is(chosen: Settings, own: str, expected: str | None) -> None:
    assert namespace_of_lease(chosen, own) == expected


def test_an_election_without_a_place_is_refused() -> None:
    with pytest.raises(ConfigError, match="--lease-namespace"):
        namespace_of_lease(Settings(leader_elect=True), "")


async def test_without_an_election_everything_may_be_written_and_nobody_campaigns() -> None:
    metrics = Metrics()
    async with asyncio.timeout(5), election(Settings(leader_elect=False), metrics) as elected:
        elected.require()
        assert elected.components(lambda _event: None) == ()
    assert "leader_election_master_status{" not in str(list(metrics.registry.collect()))
