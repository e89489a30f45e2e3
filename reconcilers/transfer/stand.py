"""Where a transfer stands, and how what was done is verified at name servers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from reconcilers.api.topic_transfer import Stage, TopicTransfer
from reconcilers.api.transfer_record import TransferRecord
from reconcilers.transfer.clock import seconds_since
from reconcilers.transfer.draining import silence_words
from reconcilers.transfer.effects import Effect, nudges
from reconcilers.transfer.facts import Side, SideFacts, TransferFacts
from reconcilers.transfer.outcome import Act, Outcome, Wait
from reconcilers.transfer.record import made_on_target, topic_of, wanted_topic
from rocketmq.routes import READ, WRITE

NUDGE_AFTER_S = 45.0
"""A broker tells name servers of a change at once; whoever misses it may not hear of it again."""

NUDGE_EVERY_S = 30.0
LEARN_S = 2.0


class Stand(msgspec.Struct, frozen=True, kw_only=True):
    """The resource, what is known, and the stage out of the order of stages."""

    cr: TopicTransfer
    record: TransferRecord
    facts: TransferFacts
    now: datetime
    stage: Stage
    order: tuple[Stage, ...]

    def reached(self, stage: Stage) -> bool:
        """Whether the stage is this one or an earlier one."""
        return stage in self.order and self.order.index(stage) <= self.order.index(self.stage)

    @property
    def topic(self) -> str:
        """Its name."""
        return self.cr.spec.topic

    @property
    def source(self) -> SideFacts:
        """One side."""
        return self.facts.source

    @property
    def target(self) -> SideFacts:
        """The other side."""
        return self.facts.target

    @property
    def made(self) -> frozenset[str]:
        """The target's brokers that lacked the topic."""
        return made_on_target(self.record)

    @property
    def stage_s(self) -> float:
        """How long the stage has lasted."""
        return seconds_since(self.cr.status.progress.since, self.now)

    @property
    def refresh_s(self) -> float:
        """What clients get to see a change of the route."""
        return float(self.cr.spec.route_refresh_seconds)

    @property
    def target_permission(self) -> int:
        """What the topic on the target may do when all is done."""
        wanted = wanted_topic(self.record)
        return READ | WRITE if wanted is None else wanted.perm

    def act(self, effects: Iterable[Effect], words: str) -> Act | None:
        """These, if there are any."""
        found = tuple(effects)
        return Act(effects=found, words=words) if found else None

    def silence(self) -> Wait | None:
        """Nothing goes on while a server is silent."""
        found = self.facts.silences
        return Wait(words=silence_words(found)) if found else None

    def verified(self, side: Side, wanted: Mapping[str, tuple[int, int]]) -> Outcome | None:
        """Whether every name server shows what brokers have.

        `wanted`: by broker, which bits the route's permission must have and which it must not.
        What a route does not have at all cannot be written to, and cannot be read.
        """
        wrong: dict[str, str] = {}
        facts = self.facts.side(side)
        for server, routed in facts.routed(self.topic):
            for broker, (needed, forbidden) in wanted.items():
                permission = routed.get(broker, 0)
                if permission & needed != needed or permission & forbidden:
                    wrong[broker] = server
        if not wrong:
            return None
        broker, server = next(iter(wrong.items()))
        words = f"name server {server} has yet to learn the permission of the topic on {broker}"
        if self.stage_s < NUDGE_AFTER_S:
            return Wait(words=words, again_after_s=LEARN_S)
        effects = tuple(nudges(side, facts, wrong))
        return Act(effects=effects, words=words, again_after_s=NUDGE_EVERY_S)

    def source_permissions(self) -> dict[str, tuple[int, int]]:
        """The routes of the source as they were."""
        rows = ((row.broker, topic_of(row)) for row in self.record.source)
        return {
            name: (config.perm & (READ | WRITE), 0) for name, config in rows if config is not None
        }
