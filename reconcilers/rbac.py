"""What the operator may do in a cluster, as data: the role manifests are generated from it. Pure.

Nothing that is not used: no exec, no deletion of claims, no writes to the spec of our own
resources, no lists of secrets.
"""

from __future__ import annotations

import msgspec

from controller.events import EVENTS
from controller.leader_lease import LEASES
from controller.objects import Manifest
from reconcilers.api.kinds import DEFINITIONS
from reconcilers.api.kube import (
    CONFIG_MAP,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    POD_DISRUPTION_BUDGET,
    SECRET,
    SERVICE,
    STATEFUL_SET,
)
from reconcilers.api.meta import GROUP
from reconcilers.api.topic_transfer import TOPIC_TRANSFER

ROLE_NAME = "rocketmq-operator"
ELECTION_ROLE_NAME = "rocketmq-operator-leader-election"
LEASE_NAME = "rocketmq-operator"

_OWN = tuple(definition.resource.plural for definition in DEFINITIONS)
_OWNERS = tuple(plural for plural in _OWN if plural != TOPIC_TRANSFER.plural)
"""Those that own objects."""
_WATCH = ("list", "watch")
_MANAGE = ("get", *_WATCH, "create", "patch", "delete")


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the role; `reason` becomes a comment beside it."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    reason: str
    names: tuple[str, ...] = ()
    """The only objects that it is about; none means all."""


RULES = (
    Rule(
        group=GROUP,
        resources=_OWN,
        verbs=("get", *_WATCH),
        reason="What users declare; one that does not decode is read past the cache.",
    ),
    Rule(
        group=GROUP,
        resources=tuple(f"{plural}/status" for plural in _OWN),
        verbs=("patch",),
        reason="What was observed.",
    ),
    Rule(
        group=GROUP,
        resources=tuple(f"{plural}/finalizers" for plural in _OWNERS),
        verbs=("update",),
        reason="Owner references with blockOwnerDeletion, where the admission plug-in "
        "OwnerReferencesPermissionEnforcement is on (OpenShift).",
    ),
    Rule(
        group=GROUP,
        resources=(TOPIC_TRANSFER.plural,),
        verbs=("patch",),
        reason="The finalizer that keeps a transfer until it is done or undone.",
    ),
    Rule(
        group="",
        resources=(SECRET.plural,),
        verbs=("get",),
        reason="Accounts of clusters that check permissions, where a TopicTransfer names them.",
    ),
    Rule(
        group=STATEFUL_SET.group,
        resources=(STATEFUL_SET.plural,),
        verbs=_MANAGE,
        reason="One for each group of name servers and for each broker.",
    ),
    Rule(
        group="",
        resources=(SERVICE.plural, CONFIG_MAP.plural),
        verbs=_MANAGE,
        reason="DNS names of the pods, and their configuration (ours, and the user's volumes[0]).",
    ),
    Rule(
        group=POD_DISRUPTION_BUDGET.group,
        resources=(POD_DISRUPTION_BUDGET.plural,),
        verbs=_MANAGE,
        reason="Keeps drains of nodes from taking two members of a group.",
    ),
    Rule(
        group="",
        resources=(POD.plural,),
        verbs=(*_WATCH, "patch", "delete"),
        reason="Where they run and whether they serve; the note that producers were sent to other "
        "groups; the restart of one that serves nobody.",
    ),
    Rule(
        group="",
        resources=(PERSISTENT_VOLUME_CLAIM.plural,),
        verbs=("get", *_WATCH, "patch"),
        reason="Volumes grow with the spec; a claim that another operator made gets our labels.",
    ),
    Rule(
        group="",
        resources=(f"{POD.plural}/eviction",),
        verbs=("create",),
        reason="The restart of one that serves, within its PodDisruptionBudget.",
    ),
    Rule(
        group=EVENTS.group,
        resources=(EVENTS.plural,),
        verbs=("create", "patch"),
        reason="Tells users what was done and why something was not.",
    ),
)
"""What it does in the namespaces that it watches; all is namespaced, so it fits a Role, too."""

ELECTION_RULES = (
    Rule(
        group=LEASES.group,
        resources=(LEASES.plural,),
        names=(LEASE_NAME,),
        verbs=("get", "patch"),
        reason="Which of the operator's pods acts. Nodes live by their Leases, so no other one.",
    ),
    Rule(
        group=LEASES.group,
        resources=(LEASES.plural,),
        verbs=("create",),
        reason="The first of them makes it; RBAC knows no names for that.",
    ),
    Rule(
        group=EVENTS.group,
        resources=(EVENTS.plural,),
        verbs=("create",),
        reason="Tells who leads.",
    ),
)
"""What it does in its own namespace, watched or not."""


def role(kind: str, rules: tuple[Rule, ...] = RULES, *, name: str = ROLE_NAME) -> Manifest:
    """The `ClusterRole` (all namespaces) or `Role` (its own namespace only) with these rules."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name, "labels": {"app.kubernetes.io/name": ROLE_NAME}},
        "rules": [_rule(rule) for rule in rules],
    }


def _rule(rule: Rule) -> Manifest:
    return {
        "apiGroups": [rule.group],
        "resources": list(rule.resources),
        **({"resourceNames": list(rule.names)} if rule.names else {}),
        "verbs": list(rule.verbs),
    }
