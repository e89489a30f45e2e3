"""Chooses the mode of a cluster from what the machine offers."""

from dataclasses import dataclass

from base.errors import ClusterError

LOCAL, KIND, EXISTING = "local", "kind", "existing"


@dataclass(frozen=True)
class Machine:
    """What the choice depends on; `docker` is an engine that answers."""

    linux: bool
    root: bool
    docker: bool
    kind: bool


def choose_mode(asked: str | None, recorded: str | None, machine: Machine) -> str:
    """Return the mode: the one asked for, that of the cluster as it is, or what works here.

    `existing` is never chosen by itself: it would write to whatever KUBECONFIG names.
    """
    if asked and recorded and asked != recorded:
        raise ClusterError(f"a cluster of this name has mode {recorded}, not {asked}")
    if asked or recorded:
        return str(asked or recorded)
    if machine.linux and machine.root:
        return LOCAL
    if machine.docker and machine.kind:
        return KIND
    raise ClusterError(
        "a cluster needs Linux and root (mode local), or docker and kind (mode kind); "
        "to use the cluster that KUBECONFIG names, ask for --mode existing"
    )
