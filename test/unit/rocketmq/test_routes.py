from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rocketmq.routes import (
    BrokerData,
    ClusterInfo,
    Disagreement,
    QueueData,
    TopicRoute,
    disagreements,
    merged,
    merged_routes,
)


def _info(**sets: dict[int, str]) -> ClusterInfo:
    """Broker sets of one cluster, C1."""
    table = {name: BrokerData(name, "C1", addresses) for name, addresses in sets.items()}
    return ClusterInfo(table, {"C1": tuple(sets)} if sets else {})


_VIEWS = st.builds(
    lambda sets: _info(**sets),
    st.dictionaries(
        st.sampled_from("abc"),
        st.dictionaries(st.integers(0, 2), st.sampled_from(["x:1", "y:1"]), min_size=1),
        max_size=3,
    ),
)


def test_masters_and_replicas_are_told_apart() -> None:
    info = _info(a={0: "a0", 2: "a2", 1: "a1"}, b={1: "b1"})
    assert info.masters("C1") == ("a0",)
    assert info.replicas("C1") == ("a1", "a2", "b1")
    assert info.addresses() == ("a0", "a1", "a2", "b1")
    assert info.without_master("C1") == ("b",)
    assert info.readers() == ("a0", "b1")
    assert info.broker_sets("other") == ()


def test_a_cluster_that_names_a_set_nobody_knows_does_not_break() -> None:
    info = ClusterInfo({}, {"C1": ("gone",)})
    assert info.broker_sets("C1") == ()


def test_a_merged_view_has_what_any_name_server_knows() -> None:
    view = merged([_info(a={0: "a0"}), _info(a={1: "a1"}, b={0: "b0"}), _info()])
    assert view.addresses("C1") == ("a0", "a1", "b0")


def test_where_name_servers_differ_is_told_address_by_address() -> None:
    views = {"n0": _info(a={0: "a0", 1: "a1"}), "n1": _info(a={0: "moved", 1: "a1"}), "n2": _info()}
    assert disagreements(views) == (
        Disagreement("a", 0, {"n0": "a0", "n1": "moved", "n2": None}),
        Disagreement("a", 1, {"n0": "a1", "n1": "a1", "n2": None}),
    )
    assert disagreements({"n0": views["n0"]}) == ()


def test_merged_routes_have_every_address_and_the_first_word_on_queues() -> None:
    first = TopicRoute((BrokerData("a", "C1", {0: "a0"}),), (QueueData("a", 4, 4, 4),))
    second = TopicRoute(
        (BrokerData("a", "C1", {0: "old", 1: "a1"}), BrokerData("b", "C1", {0: "b0"})),
        (QueueData("a", 4, 4, 6), QueueData("b", 1, 1, 6)),
        "a:4",
    )
    route = merged_routes([first, second])
    assert route.broker_datas[0].broker_addrs == {0: "a0", 1: "a1"}
    assert {one.broker_name: one.perm for one in route.queue_datas} == {"a": 4, "b": 6}
    assert route.order_topic_conf == "a:4"
    assert merged_routes([]) == TopicRoute()


@given(st.lists(_VIEWS, min_size=1, max_size=3))
def test_merging_loses_no_broker_and_the_first_view_counts(views: list[ClusterInfo]) -> None:
    view = merged(views)
    for one in views:
        for name, known in one.broker_addr_table.items():
            assert set(known.broker_addrs) <= set(view.broker_addr_table[name].broker_addrs)
            assert name in view.cluster_addr_table["C1"]
    for name, known in views[0].broker_addr_table.items():
        merged_set = view.broker_addr_table[name].broker_addrs
        assert known.broker_addrs.items() <= merged_set.items()


@given(_VIEWS)
def test_equal_views_do_not_disagree(view: ClusterInfo) -> None:
    assert disagreements({"n0": view, "n1": view}) == ()
    assert merged([view, view]).addresses() == view.addresses()
