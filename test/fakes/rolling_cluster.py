"""A cluster of two groups with a replica each that tests edit while it runs."""

from __future__ import annotations

from typing import Any

from fakes.clusters import apply_all, broker, claims, condition, name_service
from fakes.rocketmq_world import World
from fakes.waiting import eventually
from fakes.witness import Object, Place

RESOURCES = (("NameService", "name-service"), ("Broker", "broker"))
PODS = ("broker-0-master-0", "broker-0-replica-1-0", "broker-1-master-0", "broker-1-replica-1-0")
ORDER = ["broker-0-replica-1-0", "broker-0-master-0", "broker-1-replica-1-0", "broker-1-master-0"]
"""In which they are restarted."""
NEW = "apache/rocketmq:5.3.3"
ROLL_S = 90.0
AFTER_DEATH_S = 240.0
"""An API server whose caller dies in the middle of an eviction may have noted it on the budget, and
not have deleted the pod: then the budget allows no other one for two minutes."""
QUIET_S = 3.0
BYTES_PER_S = 10_000.0


def storage(name: str) -> Object:
    """The fields of a spec with one claim of this name."""
    return {"storageMode": "StorageClass", "volumeClaimTemplates": claims(name)}


def cluster(**spec: Any) -> list[Object]:
    """A NameService of two and the Broker."""
    basics = {"size": 2, "replicaPerGroup": 1, "routeRefreshSeconds": 1}
    return [name_service(size=2), broker(**(basics | storage("broker-storage") | spec))]


def settled(place: Place, *, within_s: float = ROLL_S) -> None:
    """Wait until both are Ready by their present spec and no pod waits for a restart."""

    def check() -> None:
        for kind, name in RESOURCES:
            found = place.get(kind, name)
            for one in ("Ready", "UpToDate"):
                seen = condition(found, one)
                assert seen["observedGeneration"] == found["metadata"]["generation"], seen
                assert seen["status"] == "True", seen
            assert found["status"]["step"] == "", found["status"]["step"]

    eventually(check, within_s=within_s)


def made(place: Place, **spec: Any) -> None:
    """The cluster, complete."""
    apply_all(place, cluster(**spec))
    settled(place)


def edit(place: Place, **spec: Any) -> None:
    """Change fields of the Broker's spec."""
    place.patch("Broker", "broker", {"spec": spec})


def starts(world: World) -> dict[str, int]:
    """How often each broker was started."""
    return {pod: world.starts(pod) for pod in PODS}


def put_under_load(world: World) -> None:
    """From now on producers send to both groups; outages before it was complete do not count."""
    for group in ("broker-0", "broker-1"):
        world.load(group, BYTES_PER_S)


def assert_equal(now: object, before: object) -> None:
    """For what is asked again and again."""
    assert now == before
