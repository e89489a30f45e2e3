"""What the operator writes when it looks at everything again, as the API server saw it."""

from __future__ import annotations

from e2e.deployed_operator import USER, Operator
from e2e.waiting import within
from fakes.audit_log import AuditLog
from fakes.waiting import pause

_QUIET_S = 3.0


def writes_of_another_round(operator: Operator, audit: AuditLog, *, resources: int) -> list[str]:
    """Let the other operator act; what was written until it has reconciled each resource.

    Leases and Events apart. It has never reconciled anything, so it looks at all there is.
    """
    mark = audit.mark()
    operator.restart()

    def reconciled() -> None:
        assert operator.reconciled() >= resources

    within(30, reconciled)
    pause(_QUIET_S)
    assert audit.calls(mark, user=USER), "the log shows nothing of the operator"
    return [str(one) for one in audit.writes(mark, user=USER)]
