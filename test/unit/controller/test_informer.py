"""The informer against a scripted transport, in virtual time."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from controller.client.client import KubeClient
from controller.errors import (
    ApiError,
    ForbiddenError,
    GoneError,
    NotFoundError,
    ThrottledError,
    UnreachableError,
    error_for,
)
from controller.informer import Informer, typed
from controller.listwatch import Failure
from controller.objects import Change, Key, ObjectMeta, Snapshot, Undecodable
from fakes.scripted_watch import (
    FOREVER,
    PODS,
    Script,
    ScriptedTransport,
    Watched,
    bookmark,
    event,
    expired,
    listed,
    pod,
)

pytestmark = pytest.mark.looptime


async def test_the_list_is_cached_and_the_watch_goes_on_from_it() -> None:
    watched = Watched(
        listed(10, pod("a", 3), pod("b", 4)),
        [
            event("MODIFIED", pod("a", 11)),
            event("ADDED", pod("c", 12)),
            event("DELETED", pod("b", 13)),
            FOREVER,
        ],
    )
    await watched.run()
    assert watched.versions == {"a": "11", "c": "12"}
    assert watched.heard == [
        ("+", "a", True),
        ("+", "b", True),
        ("~", "a", False),
        ("+", "c", False),
        ("-", "b", False),
    ]
    assert watched.asked == [(0.0, "list", "0"), (0.0, "watch", "10")]


async def test_listed_and_watched_objects_both_name_their_kind() -> None:
    watched = Watched(listed(10, pod("a", 3)), [FOREVER])
    await watched.run()
    [obj] = watched.informer.store.list()
    assert obj.manifest() == {"apiVersion": "v1", "kind": "Pod", **pod("a", 3)}


async def test_a_watch_that_ends_goes_on_from_the_last_event_or_bookmark_without_a_list() -> None:
    watched = Watched(
        listed(10),
        [event("ADDED", pod("a", 11)), 60.0, bookmark(20), 30.0],
        [FOREVER],
    )
    await watched.run(100.0)
    assert watched.asked == [(0.0, "list", "0"), (0.0, "watch", "10"), (90.0, "watch", "20")]
    assert watched.informer.statistics().watch_restarts == 1


@pytest.mark.parametrize("gone", [[expired()], GoneError("too old", status=410)])
async def test_an_expired_watch_is_one_list_at_the_last_version_with_deletes_synthesised(
    gone: ApiError | Script,
) -> None:
    watched = Watched(
        listed(10, pod("a", 3), pod("b", 4), pod("c", 5)),
        [bookmark(15), 10.0],
        gone,
        listed(30, pod("b", 4), pod("c", 21), pod("d", 22)),
        [FOREVER],
    )
    await watched.run(20.0)
    assert watched.versions == {"b": "4", "c": "21", "d": "22"}
    assert watched.heard[3:] == [("-", "a", False), ("~", "c", False), ("+", "d", False)]
    assert watched.asked[2:] == [
        (10.0, "watch", "15"),
        (10.8, "list", "15"),
        (10.8, "watch", "30"),
    ]
    relists = watched.informer.statistics().relists
    assert relists == {**dict.fromkeys(relists, 0), "expired": 1}


async def test_a_list_whose_version_is_gone_too_becomes_a_quorum_read_in_pages() -> None:
    watched = Watched(
        listed(10, pod("a", 3)),
        [expired()],
        GoneError("too old", status=410),
        listed(30, pod("b", 20), continue_="more"),
        listed(30, pod("c", 21)),
        [FOREVER],
    )
    await watched.run(20.0)
    assert watched.versions == {"b": "20", "c": "21"}
    assert [verb_version for _, *verb_version in watched.asked[2:]] == [
        ["list", "10"],
        ["list", ""],
        ["list", ""],
        ["watch", "30"],
    ]


async def test_a_list_that_breaks_between_pages_changes_nothing() -> None:
    watched = Watched(listed(10, pod("a", 3), continue_="more"), UnreachableError("cut"), [FOREVER])
    await watched.run()
    assert (watched.versions, watched.heard) == ({}, [])
    assert not watched.informer.store.synced


async def test_a_silent_watch_is_given_up_after_75_seconds_and_made_again() -> None:
    watched = Watched(listed(10), [40.0, bookmark(12), 1000.0], [FOREVER])
    await watched.run(200.0)
    assert watched.asked[1:] == [(0.0, "watch", "10"), (115.8, "watch", "12")]
    assert watched.informer.statistics().silent_watches == 1


async def test_a_watch_that_is_cut_in_mid_line_goes_on_from_the_last_whole_one() -> None:
    watched = Watched(
        listed(10),
        [event("ADDED", pod("a", 11)), 5.0, UnreachableError("cut in the middle of a line")],
        [event("ADDED", pod("b", 12)), FOREVER],
    )
    await watched.run(10.0)
    assert watched.versions == {"a": "11", "b": "12"}
    assert watched.asked[1:] == [(0.0, "watch", "10"), (5.8, "watch", "11")]


@pytest.mark.parametrize(
    "garbage", [b"<html>", event("ADDED", {"metadata": {}}), b'{"type":"ADDED"}', b'{"type":"BO']
)
async def test_a_line_that_makes_no_sense_leads_to_a_list(garbage: bytes) -> None:
    watched = Watched(
        listed(10),
        [event("ADDED", pod("a", 11)), garbage, event("ADDED", pod("b", 13))],
        listed(20, pod("a", 11), pod("b", 13)),
        [FOREVER],
    )
    await watched.run(5.0)
    assert watched.versions == {"a": "11", "b": "13"}
    assert watched.asked[2:] == [(0.8, "list", "11"), (0.8, "watch", "20")]
    assert watched.informer.statistics().relists[Failure.MALFORMED.value] == 1


async def test_a_list_item_that_is_no_object_is_no_list() -> None:
    watched = Watched(listed(10, {"metadata": {}}), listed(11, pod("a", 3)), [FOREVER])
    await watched.run(5.0)
    assert watched.versions == {"a": "3"}


async def test_an_outage_of_ten_minutes_costs_few_requests_and_no_list() -> None:
    outage: list[ApiError] = [UnreachableError("refused")] * 300
    watched = Watched(listed(10, pod("a", 3)), [30.0, UnreachableError("cut")], *outage)
    await watched.run(600.0)
    requests = watched.asked[2:]
    assert {verb for _, verb, _ in requests} == {"watch"}
    assert len(requests) < 0.25 * 570
    assert watched.versions == {"a": "3"}
    assert watched.informer.statistics().last_error == "UnreachableError: refused"


async def test_errors_of_the_server_grow_the_wait_and_retry_after_is_honoured() -> None:
    watched = Watched(
        listed(10),
        error_for(500, b"etcd"),
        error_for(503, b""),
        ThrottledError("slow down", status=429, retry_after_s=20.0),
        [FOREVER],
    )
    await watched.run(60.0)
    assert watched.asked[1:] == [
        (0.0, "watch", "10"),
        (0.8, "watch", "10"),
        (2.4, "watch", "10"),
        (22.4, "watch", "10"),
    ]
    assert watched.informer.statistics().last_error == ""


@pytest.mark.parametrize("refusal", [NotFoundError("no CRD"), ForbiddenError("no grant")])
async def test_a_kind_that_is_not_served_yet_is_waited_for(refusal: ApiError) -> None:
    watched = Watched(refusal, refusal, listed(10, pod("a", 3)), [FOREVER])
    await watched.run(1.0)
    assert str(refusal) in watched.informer.statistics().last_error
    assert not watched.informer.store.synced
    await watched.run(5.0)
    assert watched.informer.statistics().last_error == ""
    assert watched.versions == {"a": "3"}


async def test_a_kind_that_is_no_longer_served_keeps_its_cache_until_a_list_works() -> None:
    watched = Watched(
        listed(10, pod("a", 3)), NotFoundError("no CRD"), NotFoundError("no CRD"), listed(20)
    )
    await watched.run(1.0)
    assert watched.versions == {"a": "3"}
    await watched.run(5.0)
    assert watched.versions == {}
    assert watched.heard == [("+", "a", True), ("-", "a", False)]


async def test_watches_that_end_at_once_do_not_make_a_busy_loop() -> None:
    empty: list[Script] = [[]] * 1000
    watched = Watched(listed(10), *empty)
    await watched.run(60.0)
    assert len(watched.asked) < 12


async def test_a_line_of_megabytes_is_an_event_like_any_other() -> None:
    huge = pod("a", 11)
    huge["data"] = "x" * 5_000_000
    watched = Watched(listed(10), [event("ADDED", huge), FOREVER])
    await watched.run()
    assert watched.versions == {"a": "11"}


async def test_an_event_type_of_the_future_is_passed_over() -> None:
    watched = Watched(listed(10), [event("PONDERED", {}), event("ADDED", pod("a", 11)), FOREVER])
    await watched.run()
    assert watched.versions == {"a": "11"}
    assert len(watched.asked) == 2


async def test_the_same_event_twice_is_heard_once() -> None:
    watched = Watched(listed(10), [event("ADDED", pod("a", 11))] * 2 + [FOREVER])
    await watched.run()
    assert watched.heard == [("+", "a", False)]


async def test_a_late_listener_hears_of_everything_that_is_cached() -> None:
    watched = Watched(listed(10, pod("a", 3)), [event("ADDED", pod("b", 11)), FOREVER])
    await watched.run()
    late: list[Change[Snapshot]] = []
    watched.informer.add_listener(late.append)
    assert [(str(c.key), c.old, c.initial) for c in late] == [
        ("shop/a", None, True),
        ("shop/b", None, True),
    ]


async def test_a_listener_finds_the_change_in_the_store_already() -> None:
    watched = Watched(listed(10, pod("a", 3)), [event("DELETED", pod("a", 11)), FOREVER])
    found: list[bool] = []
    store = watched.informer.store
    watched.informer.add_listener(lambda change: found.append(store.get(change.key) is change.new))
    await watched.run()
    assert found == [True, True]


async def test_an_exception_of_a_listener_ends_the_informer() -> None:
    watched = Watched(listed(10, pod("a", 3)))

    def broken(change: Change[Snapshot]) -> None:
        raise LookupError(change.key.name)

    watched.informer.add_listener(broken)
    with pytest.raises(LookupError, match="a"):
        await watched.informer.run()


class Spec(msgspec.Struct, frozen=True):
    size: int


class Sized(msgspec.Struct, frozen=True):
    metadata: ObjectMeta
    spec: Spec


async def test_an_object_that_does_not_fit_its_type_is_cached_with_the_reason() -> None:
    bad, good = {**pod("a", 3), "spec": {"size": "two"}}, {**pod("a", 11), "spec": {"size": 2}}
    transport = ScriptedTransport(listed(10, bad), [5.0, event("MODIFIED", good), FOREVER])
    informer = Informer(
        KubeClient(transport, field_manager="operator"),
        PODS,
        typed(Sized),
        indexers={"name": lambda obj: [obj.metadata.name]},
    )
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.0):
            await informer.run()
    obj = informer.store.get(Key("shop", "a"))
    assert isinstance(obj, Undecodable)
    assert obj.error == "Expected `int`, got `str` - at `$.spec.size`"
    assert informer.store.by_index("name", "a") == [obj]


async def test_statistics_tell_the_state_and_start_at_zero() -> None:
    watched = Watched(listed(10, pod("a", 3)), [5.0, bookmark(11), FOREVER])
    before = watched.informer.statistics()
    assert (before.synced, before.objects, before.last_activity) == (False, 0, 0.0)
    assert before.relists == {failure.value: 0 for failure in Failure}
    await watched.run(20.0)
    after = watched.informer.statistics()
    assert (after.synced, after.objects, after.last_activity) == (True, 1, 5.0)
    assert after.relists == before.relists
