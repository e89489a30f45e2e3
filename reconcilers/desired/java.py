"""The JVM's share of a container's memory, as environment of the start scripts. Pure."""

from __future__ import annotations

import re

from controller.objects import Manifest
from reconcilers.api.meta import WorkloadSpec
from reconcilers.api.quantity import quantity_bytes
from reconcilers.desired.storage import home
from rocketmq.memory import MIB, MINIMUM_LIMIT_BYTES, Role, jvm_memory

# 4.9 takes buffers apart by reflection, which Java 17 allows only if told so; Java 8 does not know
# these options and takes them because of the first one.
_OPENS = (
    "-XX:+IgnoreUnrecognizedVMOptions",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/jdk.internal.ref=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
    "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED",
)

_HEAP_VARIABLES = frozenset({"JAVA_OPT_EXT", "HEAP_OPTS", "BROKER_MEM"})
_HEAP_FLAG = re.compile(r"-Xmx|-XX:MaxHeapSize=")


def java_environment(spec: WorkloadSpec, role: Role) -> list[Manifest]:
    """Variables from which the start scripts make JAVA_OPT_EXT (scripts/server.sh)."""
    memory = jvm_memory(_limit(spec), role)
    options = [*_OPENS, f"-Duser.home={home(spec)}"]
    if memory is None:
        return [{"name": "OPERATOR_JVM_OPTIONS", "value": " ".join(options)}]
    return [
        {"name": "OPERATOR_JVM_OPTIONS", "value": " ".join([*options, *memory.other_options])},
        {"name": "OPERATOR_JVM_HEAP", "value": " ".join(memory.heap_options)},
    ]


def memory_problem(spec: WorkloadSpec, role: Role) -> str | None:
    """Why a server cannot run with its memory limit, or None.

    A user who gives the size of the heap has decided; the limit is not judged then.
    """
    limit = _limit(spec)
    if limit is None or jvm_memory(limit, role) is not None or _user_sets_heap(spec):
        return None
    return (
        f"spec.resources.limits.memory {spec.resources.limits['memory']} is too little for a "
        f"{role.replace('-', ' ')}: write at least {MINIMUM_LIMIT_BYTES[role] // MIB}Mi, or give "
        "the heap yourself (-Xmx in the variable JAVA_OPT_EXT)"
    )


def _limit(spec: WorkloadSpec) -> int | None:
    quantity = spec.resources.limits.get("memory")
    try:
        limit = None if quantity is None else quantity_bytes(quantity)
    except ValueError:
        return None  # the API server refuses the pod, and says why
    return limit or None  # 0 is "no limit"


def _user_sets_heap(spec: WorkloadSpec) -> bool:
    return any(
        "valueFrom" in variable or _HEAP_FLAG.search(str(variable.get("value", "")))
        for variable in spec.env
        if variable.get("name") in _HEAP_VARIABLES
    )
