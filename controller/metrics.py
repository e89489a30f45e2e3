"""Every metric series, declared once, on a registry that is a value.

Names, labels and buckets are controller-runtime's and client-go's, so that their dashboards and
alerts work as they are; what those do not have is called `rocketmq_operator_*`.

- What belongs to one controller starts at 0, so that `rate()` sees the first error.
- What a component knows anyway is read from it at scrape time (`observe`), not pushed.
- prometheus-client appends `_total` to counters itself; its extra `_created` series are off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import msgspec
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

RECONCILE_RESULTS = ("success", "error", "requeue", "requeue_after")
"""Values of the label `result`; `requeue` is never used here but controller-runtime shows it."""

_RECONCILE_BUCKETS = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8),
    *(0.9, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30),
    *(40, 50, 60),
)
_QUEUE_BUCKETS = tuple(float(f"1e{exponent}") for exponent in range(-8, 4))
_LAG_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class QueueStatistics(msgspec.Struct, frozen=True):
    """A work queue at one moment: ready keys by priority, delayed keys, and what is running."""

    depth: Mapping[int, int]
    waiting: int
    processing: int
    unfinished_work_s: float
    longest_running_s: float


class InformerStatistics(Protocol):
    """What is read of an informer."""

    @property
    def last_activity(self) -> float:
        """When the API server was last heard of, in seconds of the loop's clock; 0: never."""
        ...

    @property
    def relists(self) -> Mapping[str, int]:
        """Lists made again, by reason."""
        ...


class Metrics:
    """All series of one process; hands out the part that one component writes."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # not annotated upstream
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._reconciles = _ReconcileSeries(self.registry)
        self._queues = _QueueSeries(self.registry)
        self._informers = _InformerSeries()
        self.registry.register(self._informers)
        self._requests = Counter(
            "rest_client_requests",
            "Number of HTTP requests, partitioned by status code, method, and host.",
            ("code", "method", "host"),
            registry=self.registry,
        )
        self._leader = Gauge(
            "leader_election_master_status",
            "Whether this process is the leader (1) or a standby (0); no sample: no election.",
            ("name",),
            registry=self.registry,
        )
        self._writes = Counter(
            "rocketmq_operator_writes",
            "Objects written to the API server, by verb and kind.",
            ("verb", "kind"),
            registry=self.registry,
        )
        self._apply_noops = Counter(
            "rocketmq_operator_apply_noop",
            "Applies that changed nothing: each one is a difference that was none.",
            registry=self.registry,
        )
        self._loop_lag = Histogram(
            "rocketmq_operator_event_loop_lag_seconds",
            "How much later than due the event loop woke a task.",
            buckets=_LAG_BUCKETS,
            registry=self.registry,
        )

    def controller(self, name: str, *, workers: int) -> ControllerMetrics:
        """The series of the controller `name`, all at 0."""
        return ControllerMetrics(self._reconciles, name, workers)

    def queue(self, name: str, *, controller: str) -> QueueMetrics:
        """The series of the queue `name` of `controller`, all at 0."""
        return QueueMetrics(self._queues, name, controller)

    def observe_informer(
        self, resource: str, read: Callable[[], InformerStatistics], clock: Callable[[], float]
    ) -> None:
        """Read the informer of `resource` at each scrape; `clock` is the loop's, as its times."""
        self._informers.observe(resource, read, clock)

    def request_observer(self, host: str) -> Callable[[str, int, float], None]:
        """What a client of the API server at `host` tells: method, status (0: none), seconds."""

        def observe(method: str, status: int, _duration_s: float) -> None:
            # client-go writes "<error>" where there is no status.
            self._requests.labels(str(status) if status else "<error>", method, host).inc()

        return observe

    def observe_leader(self, name: str, leads: Callable[[], bool]) -> None:
        """Show at each scrape whether this process leads the election `name`."""
        self._leader.labels(name).set_function(lambda: float(leads()))

    def wrote(self, verb: str, kind: str) -> None:
        """Count a write that the API server accepted."""
        self._writes.labels(verb, kind).inc()

    def applied_noop(self) -> None:
        """Count an apply after which the object had the resource version of before."""
        self._apply_noops.inc()

    def loop_lagged(self, lag_s: float) -> None:
        """Count how late the event loop was."""
        self._loop_lag.observe(lag_s)


class ControllerMetrics:
    """How one controller's reconciles end."""

    def __init__(self, series: _ReconcileSeries, name: str, workers: int) -> None:
        self._series = series
        self._name = name
        for result in RECONCILE_RESULTS:
            series.total.labels(name, result)
        for counter in (series.errors, series.terminal, series.panics, series.timeouts):
            counter.labels(name)
        self._time = series.time.labels(name)
        self._active = series.active.labels(name)
        series.workers.labels(name).set(workers)

    def started(self) -> None:
        """A worker took a key."""
        self._active.inc()

    def ended(self, duration_s: float) -> None:
        """A worker is free again."""
        self._active.dec()
        self._time.observe(duration_s)

    def succeeded(self) -> None:
        """A reconcile ended well and asked for nothing."""
        self._series.total.labels(self._name, "success").inc()

    def requeued_after(self) -> None:
        """A reconcile ended well and asked to be called again."""
        self._series.total.labels(self._name, "requeue_after").inc()

    def failed(self) -> None:
        """A reconcile failed; it is tried again."""
        self._series.total.labels(self._name, "error").inc()
        self._series.errors.labels(self._name).inc()

    def failed_terminally(self) -> None:
        """A reconcile failed and waits for a change of its object."""
        self.failed()
        self._series.terminal.labels(self._name).inc()

    def panicked(self) -> None:
        """A reconcile failed by an exception that nobody expected; `failed` counts it as well."""
        self._series.panics.labels(self._name).inc()

    def timed_out(self) -> None:
        """A reconcile was cut by the time-out; `failed` counts it as well."""
        self._series.timeouts.labels(self._name).inc()


class QueueMetrics:
    """What goes through one queue."""

    def __init__(self, series: _QueueSeries, name: str, controller: str) -> None:
        self._labels = (name, controller)
        self._series = series
        self._adds = series.adds.labels(*self._labels)
        self._retries = series.retries.labels(*self._labels)
        self._waited = series.waited.labels(*self._labels)
        self._worked = series.worked.labels(*self._labels)

    def observe(self, read: Callable[[], QueueStatistics]) -> None:
        """Read depth and running work at each scrape."""
        self._series.gauges.readers[self._labels] = read

    def added(self) -> None:
        """A key became ready."""
        self._adds.inc()

    def retried(self) -> None:
        """A key was added with a delay."""
        self._retries.inc()

    def waited(self, duration_s: float) -> None:
        """A key was handed out after it was ready for this long."""
        self._waited.observe(duration_s)

    def worked(self, duration_s: float) -> None:
        """A key was given back after this long."""
        self._worked.observe(duration_s)


class _ReconcileSeries:
    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            name = f"controller_runtime_{name}"
            return Counter(name, text, ("controller", *labels), registry=registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"controller_runtime_{name}", text, ("controller",), registry=registry)

        self.total = counter("reconcile", "Reconciles per controller and result.", "result")
        self.errors = counter("reconcile_errors", "Failed reconciles per controller.")
        self.terminal = counter(
            "terminal_reconcile_errors", "Failed reconciles that wait for a change of the object."
        )
        self.panics = counter("reconcile_panics", "Reconciles that ended by an unexpected error.")
        self.timeouts = counter("reconcile_timeouts", "Reconciles that were cut by the time-out.")
        self.workers = gauge("max_concurrent_reconciles", "Workers per controller.")
        self.active = gauge("active_workers", "Workers that are busy, per controller.")
        self.time = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "Length of time per reconcile.",
            ("controller",),
            buckets=_RECONCILE_BUCKETS,
            registry=registry,
        )


class _QueueSeries:
    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("name", "controller")

        def counter(name: str, text: str) -> Counter:
            return Counter(f"workqueue_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str) -> Histogram:
            name = f"workqueue_{name}"
            return Histogram(name, text, labels, buckets=_QUEUE_BUCKETS, registry=registry)

        self.adds = counter("adds", "Keys that became ready.")
        self.retries = counter("retries", "Keys that were added with a delay.")
        self.waited = histogram("queue_duration_seconds", "How long a key was ready before work.")
        self.worked = histogram("work_duration_seconds", "How long the work on a key took.")
        self.gauges = _QueueGauges()
        registry.register(self.gauges)


class _QueueGauges(Collector):
    """Reads each queue at scrape time: exact, where client-go refreshes every 500 ms."""

    def __init__(self) -> None:
        self.readers: dict[tuple[str, str], Callable[[], QueueStatistics]] = {}

    def collect(self) -> Iterable[Metric]:
        labels = ("name", "controller")
        depth = GaugeMetricFamily(
            "workqueue_depth", "Ready keys by priority.", labels=(*labels, "priority")
        )
        unfinished = GaugeMetricFamily(
            "workqueue_unfinished_work_seconds", "Seconds of work in progress.", labels=labels
        )
        longest = GaugeMetricFamily(
            "workqueue_longest_running_processor_seconds", "Age of the oldest work.", labels=labels
        )
        for names, read in self.readers.items():
            now = read()
            for priority, keys in now.depth.items():
                depth.add_metric((*names, str(priority)), keys)
            unfinished.add_metric(names, now.unfinished_work_s)
            longest.add_metric(names, now.longest_running_s)
        return (depth, unfinished, longest)


class _InformerSeries(Collector):
    """Reads each informer at scrape time."""

    def __init__(self) -> None:
        self._readers: dict[str, Callable[[], tuple[float, Mapping[str, int]]]] = {}

    def observe(
        self, resource: str, read: Callable[[], InformerStatistics], clock: Callable[[], float]
    ) -> None:
        since = clock()

        def reading() -> tuple[float, Mapping[str, int]]:
            statistics = read()
            # Never heard of: silent since it is observed, and not since the clock began.
            return clock() - max(statistics.last_activity, since), statistics.relists

        self._readers[resource] = reading

    def collect(self) -> Iterable[Metric]:
        silence = GaugeMetricFamily(
            "rocketmq_operator_informer_seconds_since_activity",
            "Seconds since the last byte of a watch; bookmarks keep it under about 60.",
            labels=("resource",),
        )
        relists = CounterMetricFamily(
            "rocketmq_operator_informer_relists",
            "Lists made again, by what made them necessary.",
            labels=("resource", "reason"),
        )
        for resource, read in self._readers.items():
            silent_s, by_reason = read()
            silence.add_metric((resource,), silent_s)
            for reason, count in by_reason.items():
                relists.add_metric((resource, reason), count)
        return (silence, relists)
