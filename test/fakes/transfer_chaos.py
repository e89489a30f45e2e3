"""A random transfer: other clients, other servers, other troubles for each seed.

Everything that is done comes from the seed. Troubles end after a while, for a transfer that is to
end needs servers; until then anything may happen, also to the operator.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from typing import Any

import msgspec

from fakes.topic_world import Fault
from fakes.topic_world_clients import FIRST, LAST, Consumer
from fakes.topic_world_clusters import NAMES, TOPIC, V4, V5, consumer, producer, two_clusters
from fakes.topic_world_export import export, lost
from fakes.topic_world_model import Stored
from fakes.transfer_run import TransferRun
from reconcilers.api.topic_transfer import TopicTransfer
from rocketmq.calls import Request
from rocketmq.messages.groups import SubscriptionGroup
from rocketmq.messages.topics import TopicConfig

TROUBLED_S = 700.0
WITHIN_S = 2 * 3600.0
_API_VERBS = ("", "", "", "", "before", "after", "lost", "refused")


class Chaos:
    """One seed's world, clients, transfer and troubles."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - to be played again
        flip = self.flip
        self.world = two_clusters(
            self.random.choice([V4, V5]),
            auto_topics=flip(0.7),
            auto_groups=flip(0.8),
            cold=flip(0.3),
        )
        self.consumers: list[Consumer] = []
        self._clients()
        self._halves: list[tuple[Any, Stored]] = []
        self.healed: list[Callable[[], None]] = []
        self.world.advance(40)
        if flip(0.2):
            for master in self.world.masters("b"):
                master.groups["payers"] = SubscriptionGroup("payers", retry_max_times=3)
        self.before = {cluster: export(self.world, cluster) for cluster in "ab"}
        self.run = TransferRun(self.world)
        spec: dict[str, Any] = {"routeRefreshSeconds": 60}
        if flip(0.4):
            spec["ordered"] = flip(0.6)
        if flip(0.1):
            spec["deadlineSeconds"] = self.random.randrange(30, 600)
        self.run.apply(**spec)
        self.cancel_at = self.moment(0.4)
        self.delete_at = self.moment(0.15)

    def flip(self, chance: float) -> bool:
        """Whether something is so."""
        return self.random.random() < chance

    def moment(self, chance: float) -> float:
        """A time in the troubled part, or never."""
        if not self.flip(chance):
            return float("inf")
        return self.world.now + self.random.uniform(0, TROUBLED_S / 2)

    def _clients(self) -> None:
        world, rng = self.world, self.random
        for master in world.masters("a"):
            master.save_topic(TopicConfig("refunds", 2, 2))
        world.settle()
        for group in ("payers", "auditors", "mailers")[: rng.randrange(1, 4)]:
            topics = ("orders", "refunds") if self.flip(0.3) else ("orders",)
            for instance in range(rng.randrange(1, 3)):
                self.consumers.append(
                    consumer(
                        world,
                        group,
                        client_id=f"{group}@{instance}",
                        topics=topics,
                        from_where=rng.choice([FIRST, LAST]),
                        rate=rng.choice([1, 5, 50]),
                        fails=self._fails(rng.choice([0, 0, 3])),
                        refresh_s=rng.choice([10.0, 30.0]),
                    )
                )
        for master in world.masters("a"):  # where brokers make no groups, people do
            for group in {one.group for one in self.consumers}:
                master.groups.setdefault(group, SubscriptionGroup(group))
        world.advance(40)  # who begins at the end has begun before there is anything
        for number in range(rng.randrange(1, 3)):
            keys = ("x", "y", "z") if self.flip(0.3) else ()
            level = rng.choice([0, 0, 2, 4])
            rate = rng.choice([1, 2])
            producer(world, name=f"shop-{number}", keys=keys, level=level, rate=rate)

    def _fails(self, percent: int) -> Callable[[Stored], bool]:
        return lambda message: zlib.crc32(f"{message.id} {message.tries}".encode()) % 100 < percent

    async def play(self) -> TopicTransfer | None:
        """Live through it; the transfer as it is in the end, None if it was deleted."""
        world, run = self.world, self.run
        end = world.now + TROUBLED_S
        cr: TopicTransfer | None = run.get()
        while world.now < end and cr is not None:
            self._trouble()
            self._wishes()
            debt = await run.reconcile()
            world.advance(max(1, round(debt)))
            cr = run.get()
        self._heal()
        self._wishes(late=True)
        if run.get() is not None:
            cr = await run.run(within_s=WITHIN_S)
        for one in world.producers:
            one.until = world.now
        world.advance(600)
        return cr

    def _wishes(self, *, late: bool = False) -> None:
        """What users do to the transfer."""
        now = float("inf") if late else self.world.now
        if now >= self.cancel_at != float("inf"):
            self.cancel_at = float("inf")
            if self.run.get() is not None:
                self.run.apply(cancel=True)
        if now >= self.delete_at != float("inf"):
            self.delete_at = float("inf")
            if self.run.get() is not None:
                self.run.delete()

    def _trouble(self) -> None:
        """Something may begin, and something may end."""
        if self.flip(0.3):
            while self.healed:
                self.healed.pop()()
        if self.flip(0.15):
            self.random.choice(
                [
                    self._broken_calls,
                    self._broken_calls,
                    self._silent_server,
                    self._dead_broker,
                    self._forgetful_server,
                    self._deaf_server,
                    self._absent_consumer,
                    self._transaction,
                ]
            )()

    def _broken_calls(self) -> None:
        rng, chance = self.random, self.random.choice([0.01, 0.05, 0.3])

        def faults(_number: int, _address: str, _request: Request) -> Fault | None:
            return rng.choice(list(Fault)) if rng.random() < chance else None

        def api(_number: int, _verb: str) -> str:
            return rng.choice(_API_VERBS) if rng.random() < chance * 3 else ""

        self.world.faults, self.run.client.faults = faults, api
        self.healed.append(self._whole_calls)

    def _whole_calls(self) -> None:
        self.world.successor()
        self.run.client.faults = lambda _number, _verb: ""

    def _silent_server(self) -> None:
        servers = [*self.world.brokers.values(), *self.world.name_servers.values()]
        chosen = self.random.choice(servers)
        chosen.silent = True
        self.healed.append(lambda: setattr(chosen, "silent", False))

    def _dead_broker(self) -> None:
        chosen = self.random.choice([*self.world.brokers.values()])
        if not chosen.down:
            self.world.end(chosen)
            self.healed.append(lambda: self.world.begin(chosen))

    def _forgetful_server(self) -> None:
        self.world.restart(self.world.name_servers[self.random.choice(NAMES)])

    def _deaf_server(self) -> None:
        chosen = self.world.name_servers[self.random.choice(NAMES)]
        chosen.deaf = True
        self.healed.append(lambda: setattr(chosen, "deaf", False))

    def _absent_consumer(self) -> None:
        chosen = self.random.choice(self.consumers)
        if chosen.online:
            self.world.leave(chosen, committing=self.flip(0.5))
            self.healed.append(lambda: setattr(chosen, "online", True))

    def _transaction(self) -> None:
        chosen = self.random.choice(self.world.masters("a"))
        if not chosen.down and "orders" in chosen.topics and chosen.topics["orders"].perm & 2:
            message = Stored(id=f"half-{self.random.random()}", topic="orders")
            self.world.prepare(chosen, message)
            commit = self.flip(0.7)
            self.healed.append(lambda: self.world.resolve(chosen, message, commit=commit))

    def _heal(self) -> None:
        while self.healed:
            self.healed.pop()()
        self._whole_calls()

    def lost(self) -> dict[str, set[str]]:
        """By group: what it never had, and never will have."""
        found = {one.group: lost(self.world, one, TOPIC.topic_name) for one in self.consumers}
        return {group: ids for group, ids in found.items() if ids}

    def unfinished(self, cr: TopicTransfer | None) -> list[str]:
        """Where it is neither done nor undone."""
        moved = cr is not None and cr.status.phase == "Succeeded"
        here = self._has("a"), self._has("b")
        if cr is None:  # deleted: either way
            moved = here == (False, True)
        if here != ((False, True) if moved else (True, False)):
            return [f"the topic is on the source and target: {here}"]
        if moved:
            return []
        return [*self._differences("a"), *self._differences("b")]

    def _has(self, cluster: str) -> bool:
        return all("orders" in one.topics for one in self.world.masters(cluster))

    def _differences(self, cluster: str) -> list[str]:
        before, after = self.before[cluster]["brokers"], export(self.world, cluster)["brokers"]
        found = []
        for name, was in before.items():
            now = after[name]
            connected = set(self.world.brokers[f"{name}:10911"].clients)
            for part in ("topics", "groups", "offsets"):
                found += [
                    f"{name} {part} {key}: {was[part].get(key)} -> {now[part].get(key)}"
                    for key in was[part].keys() | now[part].keys()
                    if was[part].get(key) != now[part].get(key)
                    and not _accepted(part, key, cluster, was[part], now[part], connected)
                ]
        return found


def _accepted(
    part: str,
    key: str,
    cluster: str,
    was: dict[str, Any],
    now: dict[str, Any],
    connected: set[str],
) -> bool:
    """What may differ: what consumers make by themselves, and how far they are."""
    group = key.rpartition("%")[2] if key.startswith("%") else key.rpartition("@")[2]
    if part == "offsets":
        # An offset at the beginning of a topic that is not there is none.
        left = {at for at in (now.get(key) or {}).values() if at}
        if key.startswith("%RETRY%"):  # 4.x takes what a consumer commits when all is gone
            return True
        return cluster == "a" or not (left or was.get(key)) or group in connected
    if part == "topics" and key.startswith("%"):
        return cluster == "a" or group in connected or key.startswith("%DLQ%")
    if part == "groups" and was.get(key) is not None and now.get(key) is not None:
        return msgspec.to_builtins(was[key]) == msgspec.to_builtins(now[key])
    return part == "groups" and key in connected
