"""Servers for the world without an operator: pods laid out as the operator lays them out."""

from __future__ import annotations

from fakes.clusters import claims
from fakes.witness import Object, Place

NEW = "apache/rocketmq:5.3.3"
_CONFIG = "/opt/rocketmq-operator/config"


def _config_map(name: str, **files: str) -> Object:
    data = {file.replace("_", "."): text for file, text in files.items()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def _stateful_set(
    name: str, service: str, container: Object, *, replicas: int = 1, lasting: bool = False
) -> Object:
    volume = {"name": "config", "configMap": {"name": service}}
    mount = {"name": "config", "mountPath": _CONFIG}
    whole = {"name": "main", **container}
    whole["volumeMounts"] = [mount, {"name": "store", "mountPath": "/home/rocketmq/store"}]
    volumes = [volume] if lasting else [volume, {"name": "store", "emptyDir": {}}]
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "serviceName": service,
            "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "OnDelete"},
            "selector": {"matchLabels": {"set": name}},
            "template": {
                "metadata": {"labels": {"set": name}},
                "spec": {"containers": [whole], "volumes": volumes},
            },
            **({"volumeClaimTemplates": claims("store")} if lasting else {}),
        },
    }


def name_servers(place: Place, count: int = 1) -> str:
    """Apply so many name servers; returns the value of namesrvAddr."""
    place.apply(_config_map("ns", user_conf="", operator_conf="listenPort=9876\n"))
    command = ["bash", f"{_CONFIG}/start-name-server.sh", _CONFIG, "/run"]
    place.apply(_stateful_set("ns", "ns", {"image": NEW, "command": command}, replicas=count))
    return ";".join(f"ns-{number}.ns.{place.name}.svc:9876" for number in range(count))


def broker_files(place: Place, name_servers: str, user: str = "") -> None:
    """Apply the ConfigMap of all brokers; `user` is what a user's spec would add."""
    ours = f"listenPort=10911\nnamesrvAddr={name_servers}\n"
    place.apply(_config_map("broker", defaults_conf="", user_conf=user, operator_conf=ours))


def broker(place: Place, *, replica: bool = False, image: str = NEW, lasting: bool = False) -> None:
    """Apply the master of the one group or its replica; `lasting` storage is a claim."""
    name = "broker-0-replica-1" if replica else "broker-0-master"
    environment = {
        "BROKER_CLUSTER_NAME": "broker",
        "BROKER_NAME": "broker-0",
        "BROKER_ID": "1" if replica else "0",
        "BROKER_ROLE": "SLAVE" if replica else "ASYNC_MASTER",
        "BROKER_IP1": f"{name}-0.broker.{place.name}.svc",
        "BROKER_IP2": f"{name}-0.broker.{place.name}.svc",
    }
    command = ["bash", f"{_CONFIG}/start-broker.sh", _CONFIG, "/run"]
    env = [{"name": key, "value": value} for key, value in environment.items()]
    container = {"image": image, "command": command, "env": env}
    place.apply(_stateful_set(name, "broker", container, lasting=lasting))
