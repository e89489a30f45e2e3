"""The Broker kind: what differs from the common course, and what wakes it up."""

from __future__ import annotations

import msgspec

from controller.apply import Outcome
from controller.objects import Desired, Undecodable
from reconcilers.api.broker import BROKER, Broker, BrokerStatus
from reconcilers.cluster_kind import (
    ClusterReconciler,
    Problem,
    problem_of,
    undecodable_conditions,
)
from reconcilers.desired import names
from reconcilers.desired.broker import desired
from reconcilers.desired.storage import in_safe_steps
from reconcilers.facts import BrokerFacts, still_true
from reconcilers.looks import Looks
from reconcilers.observe import Cached, observe_broker, read_workload
from reconcilers.status.broker import broker_status, invalid_status
from reconcilers.steps.broker import decide
from reconcilers.steps.decision import Decision, Progress
from reconcilers.tools import Tools


class BrokerReconciler(ClusterReconciler[Broker, BrokerFacts, BrokerStatus]):
    """Brings the broker groups of one Broker to what its spec says."""

    resource = BROKER
    no_status = BrokerStatus()

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools)
        self._looks = Looks()

    @property
    def cached(self) -> Cached[Broker | Undecodable]:
        """See base."""
        return self._tools.caches.brokers

    async def observe(self, cr: Broker) -> BrokerFacts:
        """See base."""
        tools = self._tools
        facts = await self._observed(cr)
        if await self._looks.renew(tools.admin, cr, facts, tools.now()):
            facts = await self._observed(cr)  # what was known before a look is old after it
        return msgspec.structs.replace(facts, looks=self._looks.known(cr, facts))

    async def _observed(self, cr: Broker) -> BrokerFacts:
        tools = self._tools
        return await observe_broker(tools.caches, tools.client, tools.admin, cr, tools.now())

    async def observe_anew(self, cr: Broker, facts: BrokerFacts) -> BrokerFacts:
        """See base."""
        sets, pods = await read_workload(self._tools.client, cr, names.BROKER_COMPONENT)
        return msgspec.structs.replace(
            facts,
            sets=sets,
            pods=pods,
            answers=still_true(facts.answers, facts.pods, pods),
            looks=still_true(facts.looks, facts.pods, pods),
            metadata=still_true(facts.metadata, facts.pods, pods),
        )

    def decide(self, cr: Broker, facts: BrokerFacts) -> Decision:
        """See base."""
        return decide(cr, facts, self._tools.now())

    def problem(self, cr: Broker) -> Problem | None:
        """See base."""
        return problem_of(cr, "broker")

    def desired(self, cr: Broker, facts: BrokerFacts) -> list[Desired] | None:
        """See base."""
        wanted = desired(cr, facts)
        return None if wanted is None else in_safe_steps(wanted, facts.sets, facts.claims.values())

    def status(
        self, cr: Broker, facts: BrokerFacts, outcome: Outcome, progress: Progress | None
    ) -> BrokerStatus:
        """See base."""
        return broker_status(cr, facts, outcome, progress, self._tools.now())

    def invalid_status(self, cr: Broker, facts: BrokerFacts, problem: Problem) -> BrokerStatus:
        """See base."""
        return invalid_status(cr, facts, problem.reason, problem.message, self._tools.now())

    def undecodable_status(self, cr: Undecodable, before: BrokerStatus) -> BrokerStatus:
        """See base."""
        return BrokerStatus(
            observed_generation=cr.metadata.generation,
            conditions=undecodable_conditions(cr, before.conditions, self._tools.now()),
        )

    def status_of(self, cr: Broker) -> BrokerStatus:
        """See base."""
        return cr.status
