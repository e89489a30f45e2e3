"""The pod template that name servers and brokers share. Pure.

Pods meet the restricted Pod Security Standard unless the spec asks for what it forbids: a HostPath
(its directories are made by an init container that runs as root), the network of the node, or an
image whose user is root.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from controller.objects import Desired, Manifest
from reconcilers.api.kube import STATEFUL_SET
from reconcilers.api.meta import WorkloadSpec
from reconcilers.desired import names
from reconcilers.desired.java import java_environment
from reconcilers.desired.probes import Probes
from reconcilers.desired.storage import CLAIM_TEMPLATES, Storage, home
from rocketmq.memory import Role

SERVER_USER = 3000
"""User and group of the stock images."""


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """What is not the same for a name server and a broker."""

    role: Role
    container: str
    image: str
    command: tuple[str, ...]
    ports: dict[str, int]
    pod_fields: tuple[str, ...]
    """Variables that hold a field of the pod, of those in `_POD_FIELDS`."""
    environment: dict[str, str]
    """Who the server is; values may name a pod field as `$(POD_IP)`."""
    config_map: str
    config_hash: str
    user_volumes: tuple[Manifest, ...] = ()
    user_config_volume: str = ""
    storage: Storage
    guards_store: bool = False
    """Whether it starts with an empty store only if no replica holds messages."""
    probes: Probes
    dns_policy: str = ""
    labels: dict[str, str]
    spread: dict[str, str]
    """Labels of the pods that should not share a node with it."""


def stateful_set(
    metadata: Manifest,
    spec: WorkloadSpec,
    server: Server,
    *,
    replicas: int,
    service: str,
    selector: Mapping[str, str],
) -> Desired:
    """A StatefulSet whose pods only the operator restarts (OnDelete)."""
    body: Manifest = {
        "replicas": replicas,
        "serviceName": service,
        "podManagementPolicy": "Parallel",
        "updateStrategy": {"type": "OnDelete"},
        "selector": {"matchLabels": dict(selector)},
        "template": _template(spec, server),
        # A pod that is scaled away may hold messages: its claim outlives it.
        "persistentVolumeClaimRetentionPolicy": {
            "whenDeleted": spec.pvc_retention_policy,
            "whenScaled": "Retain",
        },
    }
    if server.storage.claims:
        body["volumeClaimTemplates"] = list(server.storage.claims)
    return Desired(STATEFUL_SET, {**metadata, "spec": body}, (CLAIM_TEMPLATES,))


def _template(spec: WorkloadSpec, server: Server) -> Manifest:
    return {
        "metadata": {
            "labels": dict(server.labels),
            "annotations": {**spec.pod_annotations, names.CONFIG_HASH: server.config_hash},
        },
        "spec": _pod_spec(spec, server),
    }


def _pod_spec(spec: WorkloadSpec, server: Server) -> Manifest:
    pod: Manifest = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": spec.termination_grace_period_seconds,
        "securityContext": _pod_security(spec),
        "affinity": spec.affinity if spec.affinity is not None else _apart(server.spread),
        "containers": [_container(spec, server)],
        "volumes": _volumes(server),
    }
    initial = _init_containers(spec, server)
    optional: Manifest = {
        "initContainers": initial,
        "hostNetwork": spec.host_network,
        "dnsPolicy": server.dns_policy or ("ClusterFirstWithHostNet" if spec.host_network else ""),
        "imagePullSecrets": [{"name": secret.name} for secret in spec.image_pull_secrets],
        "tolerations": list(spec.tolerations),
        "nodeSelector": dict(spec.node_selector),
        "priorityClassName": spec.priority_class_name,
        "serviceAccountName": spec.service_account_name,
    }
    return {**pod, **{key: value for key, value in optional.items() if value}}


def _container(spec: WorkloadSpec, server: Server) -> Manifest:
    return {
        "name": server.container,
        "image": server.image,
        "imagePullPolicy": spec.image_pull_policy,
        "command": list(server.command),
        "env": _environment(spec, server),
        "ports": [
            {"name": name, "containerPort": port, "protocol": "TCP"}
            for name, port in server.ports.items()
        ],
        "resources": _resources(spec),
        "securityContext": _container_security(spec),
        **server.probes,
        "volumeMounts": [
            *server.storage.mounts,
            {
                "name": names.CONFIG_VOLUME,
                "mountPath": names.CONFIG_DIRECTORY,
                "readOnly": True,
            },
            {"name": names.RUN_VOLUME, "mountPath": names.RUN_DIRECTORY},
            *_user_config_mount(server),
        ],
    }


def _user_config_mount(server: Server) -> list[Manifest]:
    if not server.user_config_volume:
        return []
    # The whole volume, not the one file by subPath: then it may be a volume of any kind.
    return [
        {
            "name": server.user_config_volume,
            "mountPath": names.USER_CONFIG_DIRECTORY,
            "readOnly": True,
        }
    ]


def _volumes(server: Server) -> list[Manifest]:
    return [
        *server.storage.volumes,
        {"name": names.CONFIG_VOLUME, "configMap": {"name": server.config_map}},
        {"name": names.RUN_VOLUME, "emptyDir": {}},
        *server.user_volumes,
    ]


def _environment(spec: WorkloadSpec, server: Server) -> list[Manifest]:
    """Ours, then the user's; a variable of ours that says who the server is cannot be replaced."""
    own = [
        *(_from_field(name) for name in server.pod_fields),
        # The API server leaves an empty value out: sent, it would differ for ever.
        *({"name": name, "value": value} for name, value in server.environment.items() if value),
        *java_environment(spec, server.role),
    ]
    taken = {variable["name"] for variable in own}
    return own + [dict(variable) for variable in spec.env if variable.get("name") not in taken]


_POD_FIELDS = {"POD_NAME": "metadata.name", "POD_IP": "status.podIP", "HOST_IP": "status.hostIP"}


def _from_field(name: str) -> Manifest:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": _POD_FIELDS[name]}}}


def _resources(spec: WorkloadSpec) -> Manifest:
    resources = {"limits": spec.resources.limits, "requests": spec.resources.requests}
    return {kind: dict(values) for kind, values in resources.items() if values}


def _apart(selector: Mapping[str, str]) -> Manifest:
    term = {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": dict(selector)},
    }
    preferred = [{"weight": 100, "podAffinityTerm": term}]
    return {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}


def _pod_security(spec: WorkloadSpec) -> Manifest:
    ours: Manifest = {"seccompProfile": {"type": "RuntimeDefault"}}
    if spec.image_layout == "Root":
        ours |= {"runAsUser": 0, "runAsGroup": 0}
    else:
        ours |= {
            "runAsNonRoot": True,
            "runAsUser": SERVER_USER,
            "runAsGroup": SERVER_USER,
            "fsGroup": SERVER_USER,
            "fsGroupChangePolicy": "OnRootMismatch",
        }
    return _replaced(ours, spec.security_context)


def _container_security(spec: WorkloadSpec) -> Manifest:
    ours: Manifest = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    return _replaced(ours, spec.container_security_context)


def _replaced(ours: Manifest, users: Manifest | None) -> Manifest:
    """The user's fields in place of ours; null takes a field of ours away."""
    given = users or {}
    merged = {key: value for key, value in {**ours, **given}.items() if value is not None}
    if merged.get("runAsUser") == 0 and "runAsNonRoot" not in given:
        merged.pop("runAsNonRoot", None)  # the kubelet would refuse the pod
    return merged


def _init_containers(spec: WorkloadSpec, server: Server) -> list[Manifest]:
    return [*_directories(spec, server), *_guard(spec, server)]


def _directories(spec: WorkloadSpec, server: Server) -> list[Manifest]:
    """On a HostPath, what gives a server that is not root its directories."""
    owner = _owner(spec)
    if spec.storage_mode != "HostPath" or owner.startswith("0:"):
        return []
    directories = [mount["mountPath"] for mount in server.storage.mounts]
    security = {
        "runAsUser": 0,
        "runAsGroup": 0,
        "runAsNonRoot": False,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"], "add": ["CHOWN", "DAC_OVERRIDE", "FOWNER"]},
    }
    return [
        {
            **_first(spec, server, names.DIRECTORIES_CONTAINER),
            "command": [
                "bash",
                f"{names.CONFIG_DIRECTORY}/directories.sh",
                owner,
                *directories,
            ],
            "env": [_from_field(name) for name in server.pod_fields],
            "securityContext": security,
        }
    ]


def _guard(spec: WorkloadSpec, server: Server) -> list[Manifest]:
    if not server.guards_store:
        return []
    return [
        {
            **_first(spec, server, names.GUARD_CONTAINER),
            "command": [
                "bash",
                f"{names.CONFIG_DIRECTORY}/store-guard.sh",
                names.CONFIG_DIRECTORY,
                f"{home(spec)}/store",
            ],
            "env": [{"name": "BROKER_NAME", "value": server.environment["BROKER_NAME"]}],
            "securityContext": _container_security(spec),
        }
    ]


def _first(spec: WorkloadSpec, server: Server, name: str) -> Manifest:
    """What all init containers have: the server's image, its volumes and our scripts."""
    config = {"name": names.CONFIG_VOLUME, "mountPath": names.CONFIG_DIRECTORY, "readOnly": True}
    return {
        "name": name,
        "image": server.image,
        "imagePullPolicy": spec.image_pull_policy,
        "resources": _resources(spec),
        "volumeMounts": [*server.storage.mounts, config],
    }


def _owner(spec: WorkloadSpec) -> str:
    """`uid:gid` that the server runs as."""
    security = {**_pod_security(spec), **_container_security(spec)}
    user = security.get("runAsUser", SERVER_USER)
    return f"{user}:{security.get('runAsGroup', user)}"
