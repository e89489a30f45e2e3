"""The NameService kind: what differs from the common course, and what wakes it up."""

from __future__ import annotations

from controller.apply import Outcome
from controller.objects import Desired, Undecodable
from reconcilers.api.name_service import NAME_SERVICE, NameService, NameServiceStatus
from reconcilers.cluster_kind import (
    ClusterReconciler,
    Problem,
    problem_of,
    undecodable_conditions,
)
from reconcilers.desired.name_service import desired
from reconcilers.facts import NameServiceFacts
from reconcilers.observe import Cached, observe_name_service
from reconcilers.status.name_service import invalid_status, name_service_status


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
        return observe_name_service(self._tools.caches, cr)

    def problem(self, cr: NameService) -> Problem | None:
        """See base."""
        return problem_of(cr, "name-server")

    def desired(self, cr: NameService, facts: NameServiceFacts) -> list[Desired]:
        """See base."""
        return desired(cr, facts)

    def status(
        self, cr: NameService, facts: NameServiceFacts, outcome: Outcome
    ) -> NameServiceStatus:
        """See base."""
        return name_service_status(cr, facts, outcome, self._tools.now())

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
