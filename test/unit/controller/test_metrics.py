import msgspec
from prometheus_client import generate_latest

from controller.metrics import Metrics, QueueStatistics


class Heard(msgspec.Struct, frozen=True):
    """An informer's statistics, as far as metrics read them."""

    last_activity: float
    relists: dict[str, int]


def test_everything_of_a_controller_starts_at_zero() -> None:
    metrics = Metrics()
    metrics.controller("broker", workers=4)
    metrics.queue("broker", controller="broker")
    value = metrics.registry.get_sample_value
    mine = {"controller": "broker"}
    for result in ("success", "error", "requeue", "requeue_after"):
        labels = mine | {"result": result}
        assert value("controller_runtime_reconcile_total", labels) == 0
    for name in (
        "reconcile_errors_total",
        "terminal_reconcile_errors_total",
        "reconcile_panics_total",
        "reconcile_timeouts_total",
        "reconcile_time_seconds_count",
        "active_workers",
    ):
        assert value(f"controller_runtime_{name}", mine) == 0
    assert value("controller_runtime_max_concurrent_reconciles", mine) == 4
    named = mine | {"name": "broker"}
    for name in ("adds_total", "retries_total", "queue_duration_seconds_count"):
        assert value(f"workqueue_{name}", named) == 0
    assert value("rocketmq_operator_apply_noop_total") == 0


def test_buckets_are_those_of_client_go() -> None:
    metrics = Metrics()
    metrics.controller("broker", workers=1)
    metrics.queue("broker", controller="broker")
    buckets = {
        name: [sample.labels["le"] for sample in family.samples if sample.name.endswith("_bucket")]
        for family in metrics.registry.collect()
        for name in [family.name]
        if family.type == "histogram"
    }
    assert buckets["workqueue_work_duration_seconds"] == [
        *("1e-08", "1e-07", "1e-06", "1e-05", "0.0001", "0.001"),
        *("0.01", "0.1", "1.0", "10.0", "100.0", "1000.0", "+Inf"),
    ]
    reconcile = buckets["controller_runtime_reconcile_time_seconds"]
    assert (len(reconcile), reconcile[0], reconcile[-2:]) == (41, "0.005", ["60.0", "+Inf"])


def test_no_created_series_are_exposed() -> None:
    metrics = Metrics()
    metrics.controller("broker", workers=1)
    assert b"_created" not in generate_latest(metrics.registry)


def test_two_registries_know_nothing_of_each_other() -> None:
    one, two = Metrics(), Metrics()
    one.wrote("apply", "Service")
    labels = {"verb": "apply", "kind": "Service"}
    assert one.registry.get_sample_value("rocketmq_operator_writes_total", labels) == 1
    assert two.registry.get_sample_value("rocketmq_operator_writes_total", labels) is None


def test_queue_depth_is_read_at_the_scrape() -> None:
    metrics = Metrics()
    depth = {0: 0, -100: 0}
    metrics.queue("q", controller="c").observe(lambda: QueueStatistics(depth, 0, 1, 5.0, 4.0))
    labels = {"name": "q", "controller": "c"}
    value = metrics.registry.get_sample_value
    depth[-100] = 7
    assert value("workqueue_depth", labels | {"priority": "-100"}) == 7
    assert value("workqueue_depth", labels | {"priority": "0"}) == 0
    assert value("workqueue_unfinished_work_seconds", labels) == 5
    assert value("workqueue_longest_running_processor_seconds", labels) == 4


def test_the_silence_of_an_informer_is_counted_from_its_last_byte_or_its_start() -> None:
    metrics = Metrics()
    now = 1000.0
    heard = Heard(0.0, {"expired": 0})
    metrics.observe_informer("pods", lambda: heard, lambda: now)
    name = "rocketmq_operator_informer_seconds_since_activity"
    now = 1010.0
    assert metrics.registry.get_sample_value(name, {"resource": "pods"}) == 10
    heard = Heard(1008.0, {"expired": 2})
    assert metrics.registry.get_sample_value(name, {"resource": "pods"}) == 2
    relists = {"resource": "pods", "reason": "expired"}
    name = "rocketmq_operator_informer_relists_total"
    assert metrics.registry.get_sample_value(name, relists) == 2


def test_a_request_without_an_answer_is_an_error_by_name() -> None:
    metrics = Metrics()
    observe = metrics.request_observer("10.0.0.1:443")
    observe("GET", 200, 0.1)
    observe("GET", 0, 10.0)
    for code in ("200", "<error>"):
        labels = {"code": code, "method": "GET", "host": "10.0.0.1:443"}
        assert metrics.registry.get_sample_value("rest_client_requests_total", labels) == 1


def test_who_leads_is_read_at_each_scrape_and_without_an_election_nothing_is_shown() -> None:
    metrics, leads = Metrics(), [False]
    name = {"name": "rocketmq-operator"}
    assert metrics.registry.get_sample_value("leader_election_master_status", name) is None
    metrics.observe_leader("rocketmq-operator", lambda: leads[-1])
    assert metrics.registry.get_sample_value("leader_election_master_status", name) == 0.0
    leads.append(True)
    assert metrics.registry.get_sample_value("leader_election_master_status", name) == 1.0
