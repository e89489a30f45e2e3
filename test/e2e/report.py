"""What somebody needs to understand a failure, collected before the cluster is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import yaml

from e2e.deployed_operator import Operator
from e2e.waiting import servers
from fakes.witness import Object, Place, Refused

Section = tuple[str, str]
_LINES = 40
_KINDS = ("NameService", "Broker", "TopicTransfer")


def sections(place: Place, operator: Operator) -> Iterator[Section]:
    """Resources, Events and logs of a namespace, and the operator's log; each as far as it goes."""
    for title, collect in _collectors(place, operator):
        try:
            yield title, collect()
        except (AssertionError, LookupError, OSError, Refused) as error:
            yield title, f"not to be had: {error}"


def _collectors(place: Place, operator: Operator) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "resources", lambda: _resources(place)
    yield "pods", lambda: place.kubectl("get", "pods,pvc", "-o", "wide")
    yield "events", lambda: place.kubectl("get", "events", "--sort-by=.lastTimestamp")
    for pod in servers(place):
        name = pod["metadata"]["name"]
        yield f"log of {name}", partial(place.kubectl, "logs", name, f"--tail={_LINES}")
    logs = ("logs", "deployment/rocketmq-operator", f"--tail={_LINES * 2}")
    yield "operator log", partial(operator.place.kubectl, *logs)


def _resources(place: Place) -> str:
    found = [item for kind in _KINDS for item in place.list(kind)]
    return yaml.safe_dump_all([_without_history(item) for item in found])


def _without_history(item: Object) -> Object:
    metadata = {key: value for key, value in item["metadata"].items() if key != "managedFields"}
    return {**item, "metadata": metadata}
