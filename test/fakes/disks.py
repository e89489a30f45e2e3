"""Volumes without disks: a storage class, and the work of its provisioner and resizer by hand.

The API server and the controller manager are real: they bind claims to the volumes made here and
refuse what a class does not allow. What a CSI driver's sidecars and the kubelet would report of a
growth is written on the claims as they would write it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from fakes.waiting import eventually
from fakes.witness import MERGE_PATCH, Object, Place, path_of

DRIVER = "disks.example.org"


class Disks:
    """One class, and the volumes of one namespace."""

    def __init__(self, place: Place) -> None:
        self.storage_class = f"disks-{place.name}"
        self._place = place

    def make_class(self, *, expandable: bool) -> None:
        """Make the class, or let it (not) grow volumes from now on."""
        self._place.witness.apply(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {"name": self.storage_class},
                "provisioner": DRIVER,
                "allowVolumeExpansion": expandable,
            }
        )

    def provide(self, *names: str) -> None:
        """Make a volume for each of these claims, as soon as they exist, and wait for it."""
        for name in names:
            claim = eventually(lambda name=name: self._place.get("PersistentVolumeClaim", name))
            self._place.witness.create(self._volume(claim))
        for name in names:
            eventually(lambda name=name: self._bound(name))

    def _volume(self, claim: Object) -> Object:
        metadata = claim["metadata"]
        reference = {key: metadata[key] for key in ("name", "namespace", "uid")}
        spec = {
            "accessModes": claim["spec"]["accessModes"],
            "capacity": claim["spec"]["resources"]["requests"],
            "storageClassName": self.storage_class,
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **reference},
            "csi": {"driver": DRIVER, "volumeHandle": metadata["uid"]},
        }
        head = {"name": self._name(metadata["name"])}
        return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": head, "spec": spec}

    def _name(self, claim: str) -> str:
        return f"{self._place.name}-{claim}"

    def _bound(self, name: str) -> None:
        assert self.claim(name)["status"]["phase"] == "Bound"

    def claim(self, name: str) -> Object:
        """The claim as it is now."""
        return self._place.get("PersistentVolumeClaim", name)

    def asked(self, name: str) -> str:
        """The size that the claim asks for."""
        size: str = self.claim(name)["spec"]["resources"]["requests"]["storage"]
        return size

    def grow(self, name: str) -> None:
        """The driver has given the claim what it asks for, and the kubelet has grown the files."""
        size = {"storage": self.asked(name)}
        volume = path_of("PersistentVolume", name=self._name(name))
        capacity = {"spec": {"capacity": size}}
        self._place.witness.request("PATCH", volume, body=capacity, content_type=MERGE_PATCH)
        self._report(name, {"capacity": size, "conditions": []})

    def tell(self, name: str, condition: str, message: str) -> None:
        """The driver's sidecar sets this condition."""
        told = {
            "type": condition,
            "status": "True",
            "message": message,
            "lastTransitionTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        self._report(name, {"conditions": [told]})

    def lose(self, name: str) -> None:
        """The volume is gone."""
        volume = self._name(name)
        finalizers: Object = {"metadata": {"finalizers": None}}
        self._place.witness.delete("PersistentVolume", "", volume)
        self._place.witness.patch("PersistentVolume", "", volume, finalizers)

    def remove(self) -> None:
        """Remove the class and what is left of the volumes."""
        self._place.witness.delete("StorageClass", "", self.storage_class)
        for volume in self._place.witness.list("PersistentVolume"):
            if volume["metadata"]["name"].startswith(f"{self._place.name}-"):
                self._place.witness.delete("PersistentVolume", "", volume["metadata"]["name"])

    def _report(self, name: str, status: Object) -> None:
        path = path_of("PersistentVolumeClaim", self._place.name, name, "status")
        body = {"status": status}
        self._place.witness.request("PATCH", path, body=body, content_type=MERGE_PATCH)


@contextmanager
def disks(place: Place, *, expandable: bool = True) -> Iterator[Disks]:
    """The disks of a namespace."""
    made = Disks(place)
    made.make_class(expandable=expandable)
    try:
        yield made
    finally:
        made.remove()
