"""Claims: what an edit may do to them, how they grow, and what is said when they cannot."""

from __future__ import annotations

from typing import Any

import pytest

from fakes.clusters import broker, claims, name_service
from fakes.witness import Object, Place, Refused


def template(size: object = "1Gi", *, name: str = "data", **spec: Any) -> list[Object]:
    """The volumeClaimTemplates of a spec."""
    claim = claims(name)[0]["spec"] | {"resources": {"requests": {"storage": size}}} | spec
    return [{"metadata": {"name": name}, "spec": claim}]


def with_claims(kind: str, **claim: Any) -> Object:
    make = broker if kind == "Broker" else name_service
    return make(storageMode="StorageClass", volumeClaimTemplates=template(**claim))


BETA: Object = {"annotations": {"volume.beta.kubernetes.io/storage-class": "fast"}}


@pytest.mark.parametrize("kind", ["Broker", "NameService"])
@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({"size": "2Gi"}, {"size": "1Gi"}, "the size cannot be lowered"),
        ({"size": "1Gi"}, {"size": "1G"}, "the size cannot be lowered"),
        ({"size": 2000}, {"size": 1999}, "the size cannot be lowered"),
        ({}, {"storageClassName": "fast"}, "the storage class cannot be changed"),
        (
            {"storageClassName": "fast"},
            {"storageClassName": "slow"},
            "the storage class cannot be changed",
        ),
        ({}, {"accessModes": ["ReadWriteMany"]}, "accessModes cannot be changed"),
        ({}, {"name": "other"}, "metadata.name cannot be changed"),
    ],
)
def test_what_no_existing_volume_could_follow_is_refused_with_what_to_do_instead(
    kind: str, before: Object, after: Object, words: str, custom_resources: None, place: Place
) -> None:
    place.apply(with_claims(kind, **before))
    with pytest.raises(Refused) as refused:
        place.apply(with_claims(kind, **after))
    assert refused.value.status == 422
    assert words in refused.value.message
    assert f"create another {kind}" in refused.value.message


@pytest.mark.parametrize("size", ["0", 0, "-1Gi"])
def test_a_size_of_nothing_is_refused(size: object, custom_resources: None, place: Place) -> None:
    with pytest.raises(Refused, match="more than 0"):
        place.create(with_claims("Broker", size=size))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"size": "1Gi"}, {"size": "1024Mi"}),
        ({"size": "1Gi"}, {"size": "2Gi"}),
        ({"size": "1Gi"}, {"size": 2 << 30}),
        ({}, {"accessModes": ["ReadWriteOnce"]}),
        ({"volumeMode": "Filesystem"}, {"volumeMode": "Filesystem", "size": "1.5Gi"}),
    ],
)
def test_what_existing_volumes_can_follow_is_accepted(
    before: Object, after: Object, custom_resources: None, place: Place
) -> None:
    place.apply(with_claims("Broker", **before))
    place.apply(with_claims("Broker", **after))


def test_the_class_may_be_written_in_the_manuals_old_form_or_in_todays(
    custom_resources: None, place: Place
) -> None:
    old = with_claims("Broker")
    old["spec"]["volumeClaimTemplates"][0]["metadata"] |= BETA
    place.apply(old)
    place.apply(with_claims("Broker", storageClassName="fast"))
    with pytest.raises(Refused, match="the storage class cannot be changed"):
        place.apply(with_claims("Broker", storageClassName="slow"))


def test_without_claims_the_template_may_be_anything(custom_resources: None, place: Place) -> None:
    for size in ("2Gi", "1Gi"):
        place.apply(broker(volumeClaimTemplates=template(size, name=f"v{size[0]}")))
