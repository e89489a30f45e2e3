"""Looks for what a local cluster left on the machine after `down`; the answer must be: nothing."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from base.commands import Runner, call
from base.errors import ClusterError
from base.folders import cluster_folder
from local import host

# The networks of local.addresses: a rule about any of them is ours.
_OURS = re.compile(r"\b10\.(213|21[6-9]|22[0-3])\.")


@dataclass(frozen=True)
class Traces:
    """Everything on the machine in which a cluster could have left something."""

    command_lines: Mapping[int, str]
    mounts: str
    links: str
    firewall: str
    control_groups: tuple[str, ...]
    folder_exists: bool


def find_leftovers(name: str, folder: Path, traces: Traces) -> list[str]:
    """Return one line for each thing that belongs to the cluster."""
    found = [
        f"process {pid}: {line[:100]}"
        for pid, line in traces.command_lines.items()
        if f"{folder}/" in line or line.endswith(str(folder))
    ]
    found += [f"mount {point}" for point in host.mounts_below(folder, traces.mounts)]
    # The host's end of the link carries the name of its cluster.
    if f"rocketmq-operator cluster {name}\n" in traces.links + "\n":
        found.append("network interface")
    found += [
        f"iptables rule {line}" for line in traces.firewall.splitlines() if _OURS.search(line)
    ]
    found += [f"control group {group}" for group in traces.control_groups]
    if traces.folder_exists:
        found.append(f"folder {folder}")
    return found


def leftovers(name: str, run: Runner) -> list[str]:
    """Look at this machine."""
    folder = cluster_folder(name)
    groups = tuple(str(group) for group in host.existing_cgroups(name))
    traces = Traces(
        host.command_lines(),
        host.read_mounts(),
        run(call("ip", "link", "show")),
        _firewall(run),
        groups,
        folder.exists(),
    )
    return find_leftovers(name, folder, traces)


def _firewall(run: Runner) -> str:
    try:
        return run(call("iptables-save"))
    except ClusterError:
        return ""  # no iptables: no rules
