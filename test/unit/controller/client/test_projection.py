from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.client.projection import snapshot, typed
from controller.objects import ObjectMeta, Undecodable


class Spec(msgspec.Struct, frozen=True):
    size: int


class Thing(msgspec.Struct, frozen=True):
    metadata: ObjectMeta
    spec: Spec


POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "a",
        "namespace": "shop",
        "resourceVersion": "7",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {}}}],
        "selfLink": "kept",
    },
    "spec": {"containers": [{"name": "broker"}]},
}


def test_a_snapshot_keeps_everything_but_managed_fields() -> None:
    kept = snapshot(msgspec.json.encode(POD))
    assert kept.metadata == ObjectMeta(
        name="a", namespace="shop", resource_version="7", creation_timestamp="2026-01-01T00:00:00Z"
    )
    expected = {
        **POD,
        "metadata": {k: v for k, v in POD["metadata"].items() if k != "managedFields"},
    }
    assert kept.manifest() == expected


def test_of_two_equal_fields_a_snapshot_keeps_the_last_one_only() -> None:
    kept = snapshot(b'{"kind":"A","metadata":{"name":"a"},"kind":"B"}')
    assert kept.body.count(b"kind") == 1
    assert kept.manifest()["kind"] == "B"


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"metadata":null}',
        b'{"metadata":{}}',
        b'{"metadata":{"name":1}}',
    ],
)
def test_what_is_no_object_is_a_decode_error(garbage: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        snapshot(garbage)
    with pytest.raises(msgspec.DecodeError):
        typed(Thing)(garbage)


def test_an_object_that_fits_its_type_is_decoded_to_it() -> None:
    raw = b'{"metadata":{"name":"a","managedFields":[1]},"spec":{"size":2,"later":3}}'
    assert typed(Thing)(raw) == Thing(ObjectMeta(name="a"), Spec(2))


def test_an_object_that_does_not_fit_its_type_keeps_its_metadata_and_the_reason() -> None:
    raw = b'{"metadata":{"name":"a","namespace":"shop"},"spec":{"size":"two"}}'
    metadata = ObjectMeta(name="a", namespace="shop")
    reason = "Expected `int`, got `str` - at `$.spec.size`"
    assert typed(Thing)(raw) == Undecodable(metadata, reason)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
extras = st.dictionaries(st.text(max_size=5).map("x-{}".format), values, max_size=4)


@settings(max_examples=100)
@given(fields=extras, more=extras, managed=st.none() | values)
def test_whatever_else_an_object_has_is_kept_as_it_is(
    fields: dict[str, object], more: dict[str, object], managed: object
) -> None:
    metadata = {"name": "a", **more}
    raw = {"metadata": {**metadata, "managedFields": managed}, **fields}
    assert snapshot(msgspec.json.encode(raw)).manifest() == {"metadata": metadata, **fields}
