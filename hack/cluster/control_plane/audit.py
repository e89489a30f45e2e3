"""The audit policy: every write by anyone but the cluster's own machinery can be counted."""

import json

# These write leases, events and access reviews all the time, about nobody's doing.
_MACHINERY = [
    "system:apiserver",
    "system:kube-controller-manager",
    "system:kube-scheduler",
    "system:kube-proxy",
    "system:coredns",
]
# The controller manager's controllers are service accounts of kube-system.
_MACHINERY_GROUPS = ["system:nodes", "system:serviceaccounts:kube-system"]
_NOISE = [
    {"group": "coordination.k8s.io", "resources": ["leases"]},
    {"group": "", "resources": ["events"]},
    {"group": "events.k8s.io", "resources": ["events"]},
    {"group": "authentication.k8s.io"},
    {"group": "authorization.k8s.io"},
]
_READS = ["get", "list", "watch"]


def render_audit_policy() -> str:
    """Return the policy: verb, user, object and response code of what remains after the noise."""
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "nonResourceURLs": ["/*"]},
            {"level": "None", "users": _MACHINERY, "resources": _NOISE},
            {"level": "None", "userGroups": _MACHINERY_GROUPS, "resources": _NOISE},
            {"level": "None", "users": _MACHINERY, "verbs": _READS},
            {"level": "None", "userGroups": _MACHINERY_GROUPS, "verbs": _READS},
            {"level": "Metadata"},
        ],
    }
    return json.dumps(policy, indent=2) + "\n"
