"""What Prometheus is told of each cluster: read from the resources' statuses at each scrape.

So a resource that is gone leaves no series behind, and a standby shows the same as the leader.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from controller.conditions import Condition
from controller.objects import ObjectMeta
from reconcilers.api.broker import BROKER, Broker
from reconcilers.api.name_service import NAME_SERVICE, NameService
from reconcilers.api.topic_transfer import TOPIC_TRANSFER, TopicTransfer
from reconcilers.observe import Caches

_WHICH = ("namespace", "name")


class ClusterMetrics:
    """The series of all clusters."""

    def __init__(self, registry: CollectorRegistry, caches: Caches) -> None:
        self._steps = Counter(
            "rocketmq_operator_steps",
            "Steps of the gate that were done or failed: restarts, pushed settings, moved writes.",
            ("kind", *_WHICH, "step", "result"),
            registry=registry,
        )
        registry.register(_Clusters(caches))

    def stepped(self, kind: str, of: ObjectMeta, step: str, *, failed: bool) -> None:
        """Count a step that was tried for the resource `of`."""
        result = "failed" if failed else "done"
        self._steps.labels(kind, of.namespace, of.name, step, result).inc()


class _Clusters(Collector):
    def __init__(self, caches: Caches) -> None:
        self._caches = caches

    def collect(self) -> Iterable[Metric]:
        conditions = GaugeMetricFamily(
            "rocketmq_operator_condition",
            "Whether the condition of the resource is True (1), or False or Unknown (0).",
            labels=("kind", *_WHICH, "condition"),
        )
        brokers = GaugeMetricFamily(
            "rocketmq_operator_brokers",
            "Brokers of the cluster: wanted, ready, running with what the spec says now, closed.",
            labels=(*_WHICH, "state"),
        )
        name_servers = GaugeMetricFamily(
            "rocketmq_operator_name_servers",
            "Name servers: wanted, ready.",
            labels=(*_WHICH, "state"),
        )
        lag = GaugeMetricFamily(
            "rocketmq_operator_replica_lag_bytes",
            "Bytes that a replica is behind its master; below 1 MiB it counts as none.",
            labels=(*_WHICH, "pod"),
        )
        leaving = GaugeMetricFamily(
            "rocketmq_operator_leaving_group_messages",
            "Messages that a broker group which leaves still holds, as the power of two below.",
            labels=(*_WHICH, "group"),
        )
        for broker in self._caches.brokers.all():
            if isinstance(broker, Broker):
                for row in broker.status.scale_in:
                    which = (broker.metadata.namespace, broker.metadata.name)
                    leaving.add_metric((*which, row.group), row.messages)
                _add(conditions, BROKER.kind, broker.metadata, broker.status.conditions)
                _add_brokers(brokers, lag, broker)
        for service in self._caches.name_services.all():
            if isinstance(service, NameService):
                _add(conditions, NAME_SERVICE.kind, service.metadata, service.status.conditions)
                which = (service.metadata.namespace, service.metadata.name)
                name_servers.add_metric((*which, "wanted"), service.spec.size)
                name_servers.add_metric((*which, "ready"), service.status.ready_replicas)
        left, phases = _transfer_families()
        for transfer in self._caches.topic_transfers.all():
            if isinstance(transfer, TopicTransfer):
                status, metadata = transfer.status, transfer.metadata
                _add(conditions, TOPIC_TRANSFER.kind, metadata, status.conditions)
                left.add_metric((metadata.namespace, metadata.name), status.lag)
                phase = status.phase or "New"
                phases.add_metric((metadata.namespace, metadata.name, phase), 1)
        return (conditions, brokers, name_servers, lag, leaving, left, phases)


def _transfer_families() -> tuple[GaugeMetricFamily, GaugeMetricFamily]:
    left = GaugeMetricFamily(
        "rocketmq_operator_transfer_lag_messages",
        "Messages of the topic that are left on the source, as the power of two below.",
        labels=_WHICH,
    )
    phases = GaugeMetricFamily(
        "rocketmq_operator_transfer_phase",
        "How the transfer of a topic stands: 1 for the phase that it is in.",
        labels=(*_WHICH, "phase"),
    )
    return left, phases


def _add(
    family: GaugeMetricFamily, kind: str, of: ObjectMeta, conditions: Iterable[Condition]
) -> None:
    for condition in conditions:
        labels = (kind, of.namespace, of.name, condition.type)
        family.add_metric(labels, float(condition.status == "True"))


def _add_brokers(brokers: GaugeMetricFamily, lag: GaugeMetricFamily, broker: Broker) -> None:
    which = (broker.metadata.namespace, broker.metadata.name)
    for state, count in _counts(broker):
        brokers.add_metric((*which, state), count)
    for row in broker.status.brokers:
        if row.broker_id:
            lag.add_metric((*which, row.name), row.lag_bytes)


def _counts(broker: Broker) -> Iterator[tuple[str, int]]:
    yield "wanted", broker.status.brokers_total
    yield "ready", broker.status.brokers_ready
    yield "up_to_date", broker.status.brokers_up_to_date
    yield "closed", len(broker.status.scale_out)
