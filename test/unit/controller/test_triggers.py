from __future__ import annotations

import msgspec
import pytest

from controller.objects import Change, Key, ObjectMeta, OwnerReference, Snapshot, Undecodable
from controller.triggers import controlling_owner, itself, mapped

GROUP = "rocketmq.apache.org"
KEY = Key("shop", "orders")


def owner(
    name: str, kind: str = "Broker", group: str = GROUP, *, controller: bool = True
) -> OwnerReference:
    version = f"{group}/v1alpha1" if group else "v1"
    return OwnerReference(api_version=version, kind=kind, name=name, uid="u", controller=controller)


def thing(**metadata: object) -> Snapshot:
    defaults = ObjectMeta(
        name="orders", namespace="shop", uid="1", resource_version="1", generation=1
    )
    return Snapshot(msgspec.structs.replace(defaults, **metadata), b"{}")


def change(
    old: Snapshot | Undecodable | None, new: Snapshot | Undecodable | None
) -> Change[Snapshot | Undecodable]:
    return Change(KEY, old, new)


@pytest.mark.parametrize("pair", [(None, thing()), (thing(), None)])
def test_creation_and_deletion_concern_the_object_itself(
    pair: tuple[Snapshot | None, Snapshot | None],
) -> None:
    assert list(itself(change(*pair))) == [KEY]


def test_a_change_of_status_alone_concerns_the_object_itself() -> None:
    assert list(itself(change(thing(), thing(resource_version="2")))) == [KEY]


def test_becoming_readable_concerns_the_object_itself() -> None:
    unreadable = Undecodable(thing().metadata, "Expected `int`")
    assert list(itself(change(unreadable, thing(resource_version="2")))) == [KEY]


@pytest.mark.parametrize(
    ("owners", "keys"),
    [
        ((), []),
        ((owner("b"),), [Key("shop", "b")]),
        ((owner("b", controller=False),), []),
        ((owner("b", kind="NameService"),), []),
        ((owner("b", group="example.org"),), []),
        ((owner("a", controller=False), owner("b")), [Key("shop", "b")]),
    ],
)
def test_only_the_controlling_owner_of_the_kind_is_concerned(
    owners: tuple[OwnerReference, ...], keys: list[Key]
) -> None:
    trigger = controlling_owner(GROUP, "Broker")
    assert list(trigger(change(None, thing(owner_references=owners)))) == keys


def test_an_owner_is_recognised_whatever_the_version_of_its_kind() -> None:
    reference = msgspec.structs.replace(owner("b"), api_version=f"{GROUP}/v2")
    trigger = controlling_owner(GROUP, "Broker")
    assert list(trigger(change(None, thing(owner_references=(reference,))))) == [Key("shop", "b")]


def test_an_owner_of_the_core_group_has_an_empty_group() -> None:
    trigger = controlling_owner("", "Node")
    node = thing(owner_references=(owner("n", kind="Node", group=""),))
    assert list(trigger(change(node, None))) == [Key("shop", "n")]


def test_the_owners_before_and_after_are_concerned() -> None:
    old, new = thing(owner_references=(owner("a"),)), thing(owner_references=(owner("b"),))
    trigger = controlling_owner(GROUP, "Broker")
    assert list(trigger(change(old, new))) == [Key("shop", "a"), Key("shop", "b")]


def test_a_key_found_for_old_and_new_is_given_once() -> None:
    def keys_of(obj: Snapshot) -> list[Key]:
        return [Key("shop", value) for value in obj.metadata.labels.values()]

    old, new = thing(labels={"x": "a", "y": "b"}), thing(labels={"x": "b", "y": "c"})
    assert [k.name for k in mapped(keys_of)(change(old, new))] == ["a", "b", "c"]
