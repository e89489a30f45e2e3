from collections.abc import Callable
from typing import Any

import pytest

from reconcilers.desired.java import java_environment, memory_problem

Make = Callable[..., Any]


def variables(cr: Any) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in java_environment(cr.spec, "broker")}


def test_the_heap_follows_the_limit(broker: Make) -> None:
    small, large = (
        variables(broker(resources={"limits": {"memory": memory}})) for memory in ("1Gi", "8Gi")
    )
    assert small["OPERATOR_JVM_HEAP"].startswith("-Xms352m -Xmx352m")
    assert large["OPERATOR_JVM_HEAP"].startswith("-Xms3496m -Xmx3496m")


def test_java_8_takes_the_options_of_java_17(broker: Make) -> None:
    options = variables(broker())["OPERATOR_JVM_OPTIONS"].split()
    assert options[0] == "-XX:+IgnoreUnrecognizedVMOptions"
    assert "-Duser.home=/home/rocketmq" in options


@pytest.mark.parametrize(
    ("memory", "env", "refused"),
    [
        (None, [], False),
        ("0", [], False),
        ("no quantity", [], False),
        ("384Mi", [], False),
        ("383Mi", [], True),
        ("128Mi", [{"name": "JAVA_OPT_EXT", "value": "-Xmx64m"}], False),
        ("128Mi", [{"name": "BROKER_MEM", "valueFrom": {"configMapKeyRef": {}}}], False),
        ("128Mi", [{"name": "OTHER", "value": "-Xmx64m"}], True),
    ],
)
def test_a_limit_that_is_too_small_is_refused_unless_the_user_sets_the_heap(
    memory: str | None, env: list[dict[str, Any]], refused: bool, broker: Make
) -> None:
    limits = {} if memory is None else {"memory": memory}
    message = memory_problem(broker(env=env, resources={"limits": limits}).spec, "broker")
    assert (message is not None) == refused
    if message is not None:
        assert "write at least 384Mi" in message
