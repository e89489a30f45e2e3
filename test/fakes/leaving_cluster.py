"""A cluster of three groups that tests scale in under load."""

from __future__ import annotations

from fakes.rocketmq_world import World
from fakes.rolling_cluster import BYTES_PER_S, made, settled
from fakes.waiting import eventually
from fakes.witness import Object, Place

GROUPS = ("broker-0", "broker-1", "broker-2")
MASTERS = tuple(f"{group}-master-0" for group in GROUPS)
LEAVES_S = 90.0


def begin(world: World, place: Place, *, replicas: int = 0) -> None:
    """Three groups that are written to and consumed."""
    made(place, size=3, replicaPerGroup=replicas)
    for group in GROUPS:
        world.hold(group)
        world.load(group, BYTES_PER_S)


def rows(place: Place) -> dict[str, Object]:
    """What the status says of groups that leave, by group."""
    status = place.get("Broker", "broker")["status"]
    return {row["group"]: row for row in status.get("scaleIn", ())}


def gone(world: World, place: Place, *groups: str) -> None:
    """Wait until these groups have left, with nothing that somebody had yet to be given."""

    def check() -> None:
        there = {one["metadata"]["name"] for one in place.list("StatefulSet")}
        step = place.get("Broker", "broker")["status"].get("step")
        assert not [name for name in there if name.startswith(groups)], step
        assert not [pod for pod in world.running() if pod.startswith(groups)]

    eventually(check, within_s=LEAVES_S)
    settled(place)
    assert {group: world.left(group) for group in groups} == dict.fromkeys(groups, 0)
    assert all(world.producer(group).failed == 0 for group in groups)
