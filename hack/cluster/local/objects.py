"""The Kubernetes objects that every local cluster starts with: DNS and storage."""

import json

from local.addresses import Plan

STORAGE_CLASS = "rocketmq-storage"
STORAGE_NAMESPACE = "local-path-storage"
STORAGE_ACCOUNT = "local-path-provisioner"
STORAGE_CONFIG = "local-path-config"
PROVISIONER = "rancher.io/local-path"
# In the node's root; a folder of the host's disk is mounted there.
VOLUMES = "/var/lib/rocketmq-operator-volumes"

Object = dict[str, object]

_READ = ["get", "list", "watch"]


def initial_objects(plan: Plan) -> list[Object]:
    """Return everything, in the order in which it is applied."""
    return [*_dns(plan), *_storage()]


def render_objects(plan: Plan) -> str:
    """Return the objects as one List for `kubectl apply`."""
    items = initial_objects(plan)
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=2) + "\n"


def _metadata(name: str, namespace: str | None = None, **more: object) -> Object:
    return {"name": name, **({"namespace": namespace} if namespace else {}), **more}


def _dns(plan: Plan) -> list[Object]:
    # CoreDNS is a process of the node, not a pod: the Service has no selector.
    ports: list[Object] = [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
    ]
    service: Object = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata("kube-dns", "kube-system", labels={"k8s-app": "kube-dns"}),
        "spec": {"clusterIP": str(plan.dns_service), "ports": ports},
    }
    labels = {"kubernetes.io/service-name": "kube-dns"}
    endpoints: Object = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": _metadata("kube-dns", "kube-system", labels=labels),
        "addressType": "IPv4",
        "endpoints": [{"addresses": [str(plan.node)], "conditions": {"ready": True}}],
        "ports": ports,
    }
    rules: list[Object] = [
        {
            "apiGroups": [""],
            "resources": ["endpoints", "services", "pods", "namespaces"],
            "verbs": _READ,
        },
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": _READ},
    ]
    return [service, endpoints, *_grant("system:coredns", "system:coredns", rules)]


def _grant(name: str, user: str, rules: list[Object]) -> list[Object]:
    group = "rbac.authorization.k8s.io"
    role: Object = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRole",
        "metadata": _metadata(name),
        "rules": rules,
    }
    binding: Object = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": _metadata(name),
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    }
    return [role, binding]


def _storage() -> list[Object]:
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": _metadata(STORAGE_NAMESPACE)},
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": _metadata(STORAGE_ACCOUNT, STORAGE_NAMESPACE),
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": _metadata(STORAGE_CONFIG, STORAGE_NAMESPACE),
            "data": _SCRIPTS,
        },
        *_grant(STORAGE_ACCOUNT, "local-path-provisioner", _STORAGE_RULES),
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": _metadata(STORAGE_CLASS, annotations=default),
            "provisioner": PROVISIONER,
            "volumeBindingMode": "WaitForFirstConsumer",
            "reclaimPolicy": "Delete",
            "allowVolumeExpansion": False,
        },
    ]


_SCRIPTS = {
    "setup": '#!/bin/sh\nset -eu\nmkdir -m 0777 -p "$VOL_DIR"\n',
    "teardown": '#!/bin/sh\nset -eu\nrm -rf "$VOL_DIR"\n',
}

_STORAGE_RULES: list[Object] = [
    {
        "apiGroups": [""],
        "resources": ["nodes", "persistentvolumeclaims", "configmaps", "pods/log"],
        "verbs": _READ,
    },
    {
        "apiGroups": [""],
        "resources": ["persistentvolumes", "pods"],
        "verbs": [*_READ, "create", "patch", "update", "delete"],
    },
    {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
    {"apiGroups": ["storage.k8s.io"], "resources": ["storageclasses"], "verbs": _READ},
]


def render_provisioner_config() -> str:
    """Return where on the node the provisioner makes its volumes."""
    paths = {"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": [VOLUMES]}
    return json.dumps({"nodePathMap": [paths]}, indent=2) + "\n"


def render_provisioner_pod(image: str) -> str:
    """Return the pod in which the provisioner makes and removes a volume's folder."""
    container = {"name": "helper-pod", "image": image, "imagePullPolicy": "IfNotPresent"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "helper-pod"},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
    }
    return json.dumps(pod, indent=2) + "\n"
