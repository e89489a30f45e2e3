from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.objects import ObjectMeta, ObjectRef, Resource
from controller.written import ASK_AFTER_S, WrittenVersions

PODS = Resource("", "v1", "pods", "Pod")
REF = ObjectRef(PODS, "shop", "a")
OTHER = ObjectRef(PODS, "shop", "b")


def seen(version: str, uid: str = "u", *, dying: bool = False) -> ObjectMeta:
    return ObjectMeta(
        name="a",
        uid=uid,
        resource_version=version,
        deletion_timestamp="2026-01-01T00:00:00Z" if dying else None,
    )


def is_behind(written: WrittenVersions, cached: ObjectMeta | None) -> bool:
    return bool(written.behind(lambda _ref: cached))


@pytest.mark.parametrize(
    ("cached", "behind"),
    [
        (None, True),
        (seen("9"), True),
        (seen("9", "predecessor"), True),
        (seen("10"), False),
        (seen("11"), False),
        (seen("11", "successor"), False),
        (seen("not-a-number"), False),
    ],
)
def test_a_write_is_awaited_until_its_version_is_shown(
    cached: ObjectMeta | None, behind: bool
) -> None:
    written = WrittenVersions()
    written.note_write(REF, "10", now=0.0)
    assert is_behind(written, cached) is behind


@pytest.mark.parametrize(
    ("cached", "version", "behind"),
    [
        (seen("9"), "", True),
        (seen("9"), "9", True),
        (seen("11", dying=True), "9", False),
        (seen("11", "successor"), "9", False),
        (seen("8", "predecessor"), "9", True),
        (None, "9", True),  # it may have been made since the cache was as it is
        (None, "", False),
    ],
)
def test_a_deletion_is_awaited_until_the_object_goes(
    cached: ObjectMeta | None, version: str, behind: bool
) -> None:
    written = WrittenVersions()
    written.note_delete(REF, "u", now=0.0, version=version)
    assert is_behind(written, cached) is behind


def test_a_write_that_was_shown_is_forgotten() -> None:
    written = WrittenVersions()
    written.note_write(REF, "10", now=0.0)
    assert not is_behind(written, seen("10"))
    assert repr(written) == "<WrittenVersions: 0 noted>"


def test_every_object_is_awaited_by_itself() -> None:
    written = WrittenVersions()
    written.note_write(REF, "10", now=0.0)
    written.note_write(OTHER, "12", now=0.0)
    cached = {REF: seen("10"), OTHER: seen("11")}
    assert written.behind(cached.get) == (OTHER,)
    cached[OTHER] = seen("12")
    assert written.behind(cached.get) == ()


def test_what_was_deleted_before_the_cache_showed_it_may_still_be_shown_as_it_was() -> None:
    written = WrittenVersions()
    written.note_write(REF, "10", now=0.0)
    written.note_delete(REF, "u", now=1.0)
    assert is_behind(written, None)
    written.settle(REF, live=None, cached=None, now=ASK_AFTER_S)
    assert not is_behind(written, None)
    assert is_behind(written, seen("10"))
    assert not is_behind(written, seen("11", dying=True))


def test_the_server_is_asked_only_for_what_is_awaited_for_long() -> None:
    written, nothing = WrittenVersions(), dict[ObjectRef, ObjectMeta]()
    written.note_write(REF, "10", now=0.0)
    written.note_write(OTHER, "11", now=2.0)
    assert written.to_ask(nothing.get, ASK_AFTER_S - 0.1) == ()
    assert written.to_ask(nothing.get, ASK_AFTER_S) == (REF,)
    written.settle(REF, live=seen("10"), cached=None, now=ASK_AFTER_S)
    assert is_behind(written, None)
    assert written.to_ask(nothing.get, ASK_AFTER_S + 1) == ()
    assert written.to_ask(nothing.get, 2 * ASK_AFTER_S) == (REF, OTHER)
    written.settle(REF, live=None, cached=None, now=2 * ASK_AFTER_S)
    assert written.to_ask(nothing.get, 4 * ASK_AFTER_S) == (OTHER,)


@pytest.mark.parametrize(
    ("live", "cached", "behind"),
    [
        (None, None, False),  # somebody deleted it
        (seen("3"), seen("3"), False),  # a restored backup of etcd turned the versions back
        (seen("10"), None, True),
        (seen("12"), seen("9"), True),
        (None, seen("9"), True),
        (seen("12", "successor"), seen("9"), True),
    ],
)
def test_a_write_is_awaited_no_longer_where_cache_and_server_agree(
    live: ObjectMeta | None, cached: ObjectMeta | None, behind: bool
) -> None:
    written = WrittenVersions()
    written.note_write(REF, "10", now=0.0)
    written.settle(REF, live=live, cached=cached, now=ASK_AFTER_S)
    assert is_behind(written, cached) is behind


class World:
    """One name on an API server, a cache that sees its states in order and late, and us."""

    def __init__(self) -> None:
        self.states: list[ObjectMeta | None] = [None]
        self.cached = 0
        self.written = WrittenVersions()
        self.ours = 0
        """The state that our last write made."""
        self.deleted = ""
        self.now = 0.0

    @property
    def live(self) -> ObjectMeta | None:
        return self.states[-1]

    @property
    def shown(self) -> ObjectMeta | None:
        return self.states[self.cached]

    def do(self, action: str) -> None:
        match action.split():
            case ["we", "write"]:
                made = self._write()
                self.ours, self.deleted = len(self.states) - 1, ""
                self.written.note_write(REF, made.resource_version, now=self.now)
            case ["we", what]:
                if self.live:
                    uid, version = self.live.uid, self.live.resource_version
                    known = self.shown is not None and self.shown.uid == uid
                    self._go(what)
                    self.ours, self.deleted = len(self.states) - 1, uid
                    self.written.note_delete(
                        REF, uid, now=self.now, version="" if known else version
                    )
            case ["others", "write"]:
                self._write()
            case ["others", what]:
                self._go(what)
            case ["event"]:
                self.cached = min(self.cached + 1, len(self.states) - 1)
            case ["wait"]:
                self.now += ASK_AFTER_S

    def is_behind(self) -> bool:
        for ref in self.written.to_ask(lambda _ref: self.shown, self.now):
            self.written.settle(ref, live=self.live, cached=self.shown, now=self.now)
        return is_behind(self.written, self.shown)

    @property
    def is_current(self) -> bool:
        """The cache shows a state since our last write, or what we deleted as going."""
        going = self.shown is not None and self.shown.deletion_timestamp is not None
        ours = self.shown is not None and self.shown.uid == self.deleted
        return self.shown in self.states[self.ours :] or (going and ours)

    def _write(self) -> ObjectMeta:
        version = str(100 + len(self.states))
        uid = self.live.uid if self.live else f"uid-{version}"
        dying = self.live is not None and self.live.deletion_timestamp is not None
        self.states.append(seen(version, uid, dying=dying))
        assert self.live is not None
        return self.live

    def _go(self, what: str) -> None:
        if what == "delete" or self.live is None:
            self.states.append(None)
        else:
            self.states.append(seen(str(100 + len(self.states)), self.live.uid, dying=True))


ACTIONS = [f"{who} {what}" for who in ("we", "others") for what in ("write", "mark", "delete")]


@given(st.lists(st.sampled_from([*ACTIONS, "event", "event", "event", "wait"]), max_size=40))
def test_nothing_older_than_our_last_write_is_acted_upon_and_nothing_waits_for_ever(
    actions: list[str],
) -> None:
    world = World()
    for action in actions:
        world.do(action)
        assert world.is_behind() or world.is_current
    world.cached = len(world.states) - 1
    world.now += ASK_AFTER_S
    assert not world.is_behind()
