"""Addresses of local clusters: any number side by side, and none that the host uses."""

from ipaddress import IPv4Network
from itertools import combinations, pairwise

import pytest
from base.errors import ClusterError
from local.addresses import COUNT, Plan, choose_plan, parse_routes


def networks(plan: Plan) -> tuple[IPv4Network, ...]:
    return plan.link, plan.services, plan.pods


def test_no_two_networks_of_all_plans_overlap() -> None:
    everything = sorted(n for index in range(COUNT) for n in networks(Plan(index)))
    assert len(everything) == 3 * COUNT
    assert not any(one.overlaps(other) for one, other in pairwise(everything))


def test_the_addresses_of_a_cluster_lie_in_its_networks() -> None:
    plan = Plan(3)
    assert (str(plan.host), str(plan.node)) == ("10.213.3.1", "10.213.3.2")
    assert (str(plan.services), str(plan.api_service)) == ("10.216.12.0/22", "10.216.12.1")
    assert str(plan.dns_service) == "10.216.12.10"
    assert str(plan.pods) == "10.220.12.0/22"


def test_interface_names_differ_and_fit_the_kernel() -> None:
    names = [Plan(index).interface for index in range(COUNT)]
    assert len(set(names)) == COUNT
    assert max(map(len, names)) <= 15


def test_the_first_free_number_is_chosen() -> None:
    assert choose_plan([], []).index == 0
    assert choose_plan([0, 1, 3], []).index == 2


@pytest.mark.parametrize("busy", ["10.213.0.2/32", "10.216.0.0/24", "10.220.1.0/24"])
def test_a_number_whose_addresses_the_host_routes_is_passed_over(busy: str) -> None:
    assert choose_plan([], [IPv4Network(busy)]).index == 1


def test_a_host_that_routes_everything_is_told_so() -> None:
    with pytest.raises(ClusterError, match="no free addresses"):
        choose_plan([], [IPv4Network("10.0.0.0/8")])


def test_routes_are_read_without_the_default() -> None:
    routes: list[dict[str, object]] = [
        {"dst": "default"},
        {"dst": "10.213.0.0/30"},
        {"dst": "10.213.0.1"},
        {"dst": "ff00::/8"},
        {},
    ]
    assert parse_routes(routes) == [IPv4Network("10.213.0.0/30"), IPv4Network("10.213.0.1/32")]


def test_plans_of_different_clusters_share_nothing() -> None:
    for one, other in combinations([Plan(0), Plan(1), Plan(255)], 2):
        assert not set(networks(one)) & set(networks(other))
