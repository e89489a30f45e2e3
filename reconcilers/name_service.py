"""The NameService kind: what differs from the common course, and what wakes it up."""

from __future__ import annotations

import msgspec

from controller.apply import Outcome
from controller.objects import Desired, Undecodable
from reconcilers.api.name_service import NAME_SERVICE, NameService, NameServiceStatus
from reconcilers.cluster_kind import (
    ClusterReconciler,
    Problem,
    problem_of,
    undecodable_conditions,
)
from reconcilers.desired import names
from reconcilers.desired.name_service import desired
from reconcilers.desired.storage import in_safe_steps
from reconcilers.facts import NameServiceFacts, still_true
from reconcilers.observe import Cached, observe_name_service, read_workload
from reconcilers.status.name_service import invalid_status, name_service_status
from reconcilers.steps.decision import Decision, Progress
from reconcilers.steps.name_service import decide, replicas


class NameServiceReconciler(ClusterReconciler[NameService, NameServiceFacts, NameServiceStatus]):
    """Brings the name servers of one NameService to what its spec says."""

    resource = NAME_SERVICE
    no_status = NameServiceStatus()

    @property
    def cached(self) -> Cached[NameService | Undecodable]:
        """See base."""
        return self._tools.caches.name_services

    async def observe(self, cr: NameService) -> NameServiceFacts:
        """See base."""
        tools = self._tools
        return await observe_name_service(tools.caches, tools.client, tools.admin, cr, tools.now())

    async def observe_anew(self, cr: NameService, facts: NameServiceFacts) -> NameServiceFacts:
        """See base."""
        sets, pods = await read_workload(self._tools.client, cr, names.NAME_SERVER_COMPONENT)
        answers = still_true(facts.answers, facts.pods, pods)
        found = next(iter(sets), None)
        return msgspec.structs.replace(facts, stateful_set=found, pods=pods, answers=answers)

    def decide(self, cr: NameService, facts: NameServiceFacts) -> Decision:
        """See base."""
        return decide(cr, facts, self._tools.now())

    def problem(self, cr: NameService) -> Problem | None:
        """See base."""
        return problem_of(cr, "name-server")

    def desired(self, cr: NameService, facts: NameServiceFacts) -> list[Desired]:
        """See base."""
        sets = () if facts.stateful_set is None else (facts.stateful_set,)
        return in_safe_steps(desired(cr, replicas(cr, facts)), sets, facts.claims.values())

    def status(
        self, cr: NameService, facts: NameServiceFacts, outcome: Outcome, progress: Progress | None
    ) -> NameServiceStatus:
        """See base."""
        return name_service_status(cr, facts, outcome, progress, self._tools.now())

    def invalid_status(
        self, cr: NameService, facts: NameServiceFacts, problem: Problem
    ) -> NameServiceStatus:
        """See base."""
        return invalid_status(cr, facts, problem.reason, problem.message, self._tools.now())

    def undecodable_status(self, cr: Undecodable, before: NameServiceStatus) -> NameServiceStatus:
        """See base."""
        return NameServiceStatus(
            observed_generation=cr.metadata.generation,
            conditions=undecodable_conditions(cr, before.conditions, self._tools.now()),
        )

    def status_of(self, cr: NameService) -> NameServiceStatus:
        """See base."""
        return cr.status
