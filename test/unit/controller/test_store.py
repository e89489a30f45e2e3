from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from controller.objects import Change, Key, ObjectMeta, Snapshot
from controller.store import StoreWriter


def thing(name: str, version: int = 1, namespace: str = "shop", **labels: str) -> Snapshot:
    metadata = ObjectMeta(
        name=name, namespace=namespace, resource_version=str(version), labels=labels
    )
    return Snapshot(metadata, b"{}")


def by_color(obj: Snapshot) -> Iterable[str]:
    color = obj.metadata.labels.get("color")
    return color.split("-") if color else ()


def key(name: str, namespace: str = "shop") -> Key:
    return Key(namespace, name)


def test_a_new_store_is_empty_and_not_synced() -> None:
    store = StoreWriter[Snapshot]().store
    assert (len(store), store.list(), store.synced, store.get(key("a"))) == (0, [], False, None)


def test_an_added_object_is_a_change_from_nothing() -> None:
    writer, a = StoreWriter[Snapshot](), thing("a")
    assert writer.put(a) == Change(key("a"), None, a, initial=False)
    assert writer.store.get(key("a")) is a


def test_a_modified_object_is_a_change_from_the_old_one() -> None:
    writer, old, new = StoreWriter[Snapshot](), thing("a", 1), thing("a", 2)
    writer.put(old)
    assert writer.put(new) == Change(key("a"), old, new)


def test_an_event_seen_twice_is_no_change() -> None:
    writer = StoreWriter[Snapshot]()
    writer.put(thing("a", 1))
    assert writer.put(thing("a", 1)) is None


def test_objects_without_a_version_are_never_taken_for_the_same() -> None:
    writer = StoreWriter[Snapshot]()
    old, new = Snapshot(ObjectMeta(name="a"), b"1"), Snapshot(ObjectMeta(name="a"), b"2")
    writer.put(old)
    assert writer.put(new) == Change(Key("", "a"), old, new)


def test_a_deleted_object_is_a_change_to_nothing_and_only_once() -> None:
    writer, a = StoreWriter[Snapshot](), thing("a")
    writer.put(a)
    assert writer.remove(key("a")) == Change(key("a"), a, None)
    assert writer.remove(key("a")) is None
    assert len(writer.store) == 0


def test_the_first_list_syncs_the_store_and_its_changes_are_initial() -> None:
    writer, a = StoreWriter[Snapshot](), thing("a")
    assert writer.replace([a]) == [Change(key("a"), None, a, initial=True)]
    assert writer.store.synced


def test_an_empty_first_list_syncs_the_store_as_well() -> None:
    writer = StoreWriter[Snapshot]()
    assert writer.replace([]) == []
    assert writer.store.synced


def test_a_relist_gives_deletions_for_what_is_missing_and_nothing_for_what_is_unchanged() -> None:
    writer = StoreWriter[Snapshot]()
    gone, same, old, new, born = (
        thing("gone"),
        thing("same"),
        thing("moved", 1),
        thing("moved", 5),
        thing("born", 6),
    )
    writer.replace([gone, same, old])
    assert writer.replace([thing("same"), new, born]) == [
        Change(key("gone"), gone, None),
        Change(key("moved"), old, new),
        Change(key("born"), None, born),
    ]
    assert writer.store.get(key("same")) is same


def test_lists_are_ordered_by_namespace_and_name() -> None:
    writer = StoreWriter[Snapshot]()
    writer.replace([thing("b"), thing("a"), thing("c", namespace="bank")])
    assert [str(o.metadata.key) for o in writer.store.list()] == ["bank/c", "shop/a", "shop/b"]
    assert [str(o.metadata.key) for o in writer.store.list("shop")] == ["shop/a", "shop/b"]
    assert writer.store.list("nowhere") == []


def test_an_object_is_found_under_each_value_of_an_index_and_no_longer_under_old_ones() -> None:
    writer = StoreWriter({"color": by_color})
    writer.put(thing("a", 1, color="red-blue"))
    writer.put(thing("a", 2, color="blue-green"))
    found = {c: len(writer.store.by_index("color", c)) for c in ("red", "blue", "green")}
    assert found == {"red": 0, "blue": 1, "green": 1}


def test_an_unknown_index_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(KeyError):
        StoreWriter[Snapshot]().store.by_index("color", "red")


def test_empty_index_entries_are_dropped() -> None:
    writer = StoreWriter({"color": by_color})
    for number in range(10):
        writer.put(thing("a", number, color=f"c{number}"))
    writer.remove(key("a"))
    assert all(not index._entries for index in writer._cache.indexes.values())


def test_a_replaced_list_is_not_kept_alive() -> None:
    class Tracked(Snapshot, frozen=True, weakref=True):
        pass

    writer = StoreWriter[Snapshot]({"color": by_color})
    old = Tracked(thing("a", 1, color="red").metadata, b"")
    watched = weakref.ref(old)
    writer.replace([old])
    writer.replace([thing("a", 2)])
    del old
    gc.collect()
    assert watched() is None


async def test_waiting_for_the_sync_ends_with_the_first_list() -> None:
    writer = StoreWriter[Snapshot]()
    async with asyncio.TaskGroup() as group:
        waiter = group.create_task(writer.store.wait_synced())
        await asyncio.sleep(0)
        assert not waiter.done()
        writer.replace([])
    assert waiter.done()


names = st.sampled_from("abcdef")
namespaces = st.sampled_from(["bank", "shop"])
colors = st.sampled_from(["", "red", "blue", "red-blue"])
seeds = st.tuples(names, namespaces, colors)


class StoreMachine(RuleBasedStateMachine):
    """Against a plain dict, with every Change replayed over another dict."""

    def __init__(self) -> None:
        super().__init__()
        self.writer = StoreWriter({"color": by_color})
        self.model: dict[Key, Snapshot] = {}
        self.replayed: dict[Key, Snapshot] = {}
        self.version = 0

    def make(self, seed: tuple[str, str, str]) -> Snapshot:
        self.version += 1
        name, namespace, color = seed
        labels = {"color": color} if color else {}
        return thing(name, self.version, namespace, **labels)

    def replay(self, change: Change[Snapshot] | None) -> None:
        if change is None:
            return
        assert self.replayed.get(change.key) == change.old
        assert change.old != change.new
        if change.new is None:
            del self.replayed[change.key]
        else:
            self.replayed[change.key] = change.new

    @rule(seed=seeds)
    def put(self, seed: tuple[str, str, str]) -> None:
        obj = self.make(seed)
        self.model[obj.metadata.key] = obj
        self.replay(self.writer.put(obj))

    @rule(name=names, namespace=namespaces)
    def put_again(self, name: str, namespace: str) -> None:
        obj = self.model.get(Key(namespace, name))
        if obj is not None:
            assert self.writer.put(obj) is None

    @rule(name=names, namespace=namespaces)
    def remove(self, name: str, namespace: str) -> None:
        self.model.pop(Key(namespace, name), None)
        self.replay(self.writer.remove(Key(namespace, name)))

    @rule(seed=st.lists(seeds, max_size=5), kept=st.sets(st.tuples(namespaces, names)))
    def relist(self, seed: list[tuple[str, str, str]], kept: set[tuple[str, str]]) -> None:
        model = {k: o for k, o in self.model.items() if (k.namespace, k.name) in kept}
        model.update((o.metadata.key, o) for o in map(self.make, seed))
        self.model = model
        initial = not self.writer.store.synced
        for change in self.writer.replace(model.values()):
            assert change.initial is initial
            self.replay(change)

    @invariant()
    def the_store_is_the_model(self) -> None:
        store = self.writer.store
        assert {o.metadata.key: o for o in store.list()} == self.model == self.replayed
        assert len(store) == len(self.model)
        assert all(store.get(k) == o for k, o in self.model.items())

    @invariant()
    def indexes_are_what_computing_them_gives(self) -> None:
        for name, indexer in self.writer._cache.indexers.items():
            computed: dict[str, dict[Key, Snapshot]] = {}
            for k, obj in self.model.items():
                for value in indexer(obj):
                    computed.setdefault(value, {})[k] = obj
            assert self.writer._cache.indexes[name]._entries == computed


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(max_examples=60, stateful_step_count=25)
