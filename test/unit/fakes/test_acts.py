from __future__ import annotations

from itertools import islice, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.acts import FEWEST, MOST, State, acts


@given(st.integers())
@settings(max_examples=30)
def test_each_act_begins_where_the_one_before_has_ended(seed: int) -> None:
    series = list(islice(acts(seed), 60))
    assert series[0].before == State()
    assert all(one.after == next_.before for one, next_ in pairwise(series))
    assert [one.number for one in series] == list(range(60))


@given(st.integers())
@settings(max_examples=30)
def test_no_act_asks_for_what_is_so_already(seed: int) -> None:
    for act in islice(acts(seed), 60):
        assert FEWEST <= act.after.size <= MOST
        assert (act.after.size > act.before.size) == (act.kind == "grow")
        assert (act.after.size < act.before.size) == (act.kind == "shrink")
        assert (act.after.home != act.before.home) == (act.kind == "move")
        assert act.kind != "waver" or act.size < act.before.size
        assert act.kind != "rest" or act.fault


def test_the_same_seed_gives_the_same_series_with_every_act_and_fault_in_it() -> None:
    series = list(islice(acts(6), 100))
    assert series == list(islice(acts(6), 100))
    assert series != list(islice(acts(7), 100))
    assert {one.kind for one in series} == {"move", "cancel", "grow", "shrink", "waver", "rest"}
    assert len({one.fault for one in series}) == 6
    assert str(series[0]).startswith("0: ")
