"""Which of two transfers of one topic comes first. Pure.

The older one; but one that has begun to change something is never stopped by another. Each records
before it changes anything and looks at the others again afterwards, so of two that record at the
same time at least one sees the other.
"""

from __future__ import annotations

from collections.abc import Iterable

from reconcilers.api.topic_transfer import TopicTransfer

_OVER = ("Succeeded", "RolledBack", "Planned")
_NOTHING_CHANGED = ("", "Recorded")


def rival(cr: TopicTransfer, others: Iterable[TopicTransfer]) -> str:
    """The name of one that comes first; empty when there is none."""
    for other in others:
        if _is_another(cr, other) and _comes_first(other, cr):
            return f"TopicTransfer {other.metadata.key}"
    return ""


def _is_another(cr: TopicTransfer, other: TopicTransfer) -> bool:
    clusters = {cr.spec.source_cluster, cr.spec.target_cluster}
    theirs = {other.spec.source_cluster, other.spec.target_cluster}
    return (
        other.metadata.uid != cr.metadata.uid
        and other.spec.topic == cr.spec.topic
        and bool(clusters & theirs)
        and not other.spec.dry_run
        and other.status.phase not in _OVER
        and (not other.metadata.terminating or bool(other.status.stage))
    )


def _comes_first(other: TopicTransfer, cr: TopicTransfer) -> bool:
    if other.status.stage not in _NOTHING_CHANGED:
        return True
    return _rank(other) < _rank(cr)


def _rank(cr: TopicTransfer) -> tuple[str, str, str]:
    metadata = cr.metadata
    return metadata.creation_timestamp or "", metadata.namespace, metadata.name
