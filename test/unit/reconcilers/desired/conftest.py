"""Resources and pods to build from: `broker(size=2)`, `name_service(hostNetwork=True)`."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from controller.objects import ObjectMeta
from reconcilers.api.broker import Broker
from reconcilers.api.kube import Pod, PodStatus
from reconcilers.api.name_service import NameService
from reconcilers.desired.names import name_server_pod_labels

Make = Callable[..., Any]


@pytest.fixture
def name_service() -> Make:
    def make(name: str = "name-service", namespace: str = "shop", **spec: Any) -> NameService:
        given = {"size": 1, "nameServiceImage": "rocketmq", "storageMode": "EmptyDir", **spec}
        metadata = {"name": name, "namespace": namespace, "uid": "1"}
        return msgspec.convert({"metadata": metadata, "spec": given}, NameService)

    return make


@pytest.fixture
def broker() -> Make:
    def make(name: str = "broker", namespace: str = "shop", **spec: Any) -> Broker:
        given = {"size": 1, "brokerImage": "rocketmq", "storageMode": "EmptyDir", **spec}
        metadata = {"name": name, "namespace": namespace, "uid": "2"}
        status = given.pop("status", {})
        return msgspec.convert({"metadata": metadata, "spec": given, "status": status}, Broker)

    return make


@pytest.fixture
def name_server_pod() -> Make:
    def make(
        name: str = "name-service-0",
        of: str = "name-service",
        namespace: str = "shop",
        pod_ip: str = "10.244.0.5",
        host_ip: str = "192.168.0.7",
    ) -> Pod:
        labels = name_server_pod_labels(of)
        return Pod(
            metadata=ObjectMeta(name=name, namespace=namespace, labels=labels),
            status=PodStatus(phase="Running", pod_ip=pod_ip, host_ip=host_ip),
        )

    return make
