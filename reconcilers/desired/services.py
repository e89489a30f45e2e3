"""Services, ConfigMaps and PodDisruptionBudgets: the children beside the StatefulSets. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from controller.objects import Desired, Manifest, ObjectMeta
from reconcilers.api.kube import CONFIG_MAP, POD_DISRUPTION_BUDGET, SERVICE


def head(cr: ObjectMeta, name: str, labels: Mapping[str, str]) -> Manifest:
    """The start of a child's manifest; `apply` adds what it is and whose."""
    return {"metadata": {"name": name, "namespace": cr.namespace, "labels": dict(labels)}}


def headless_service(
    metadata: Manifest, selector: Mapping[str, str], ports: Mapping[str, int]
) -> Desired:
    """Gives each pod its DNS name, also before it is ready: a broker must find itself to start."""
    spec = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": dict(selector),
        "ports": _ports(ports),
    }
    return Desired(SERVICE, {**metadata, "spec": spec})


def client_service(
    metadata: Manifest, selector: Mapping[str, str], ports: Mapping[str, int]
) -> Desired:
    """One address in front of the pods that are ready."""
    spec = {"type": "ClusterIP", "selector": dict(selector), "ports": _ports(ports)}
    return Desired(SERVICE, {**metadata, "spec": spec})


def config_map(metadata: Manifest, files: Mapping[str, str]) -> Desired:
    """Files for the pods."""
    return Desired(CONFIG_MAP, {**metadata, "data": dict(files)})


def disruption_budget(metadata: Manifest, selector: Mapping[str, str]) -> Desired:
    """Lets evictions (a node's drain) take one pod at a time."""
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": dict(selector)}}
    return Desired(POD_DISRUPTION_BUDGET, {**metadata, "spec": spec})


def _ports(ports: Mapping[str, int]) -> list[Manifest]:
    return [
        {"name": name, "port": port, "targetPort": port, "protocol": "TCP"}
        for name, port in ports.items()
    ]
