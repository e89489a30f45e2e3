"""What is left over after `down`: every kind of trace is found, and nobody else's."""

from dataclasses import replace
from pathlib import Path

import pytest
from local.host import cgroup_name, file_system_of, mounts_below
from local.inside import separate_folders
from local.leftovers import Traces, find_leftovers

FOLDER = Path("/state/clusters/demo")
CLEAN = Traces(
    command_lines={
        1: "init",
        7: "etcd --data-dir=/state/clusters/demo2/etcd",
        8: "node --folder /state/clusters/demo2",
    },
    mounts="/dev/vda / ext4 rw 0 0\nx /state/clusters/demo2/root overlay rw 0 0\n",
    links="3: rmqnode1@if2:\n    alias rocketmq-operator cluster demo2\n",
    firewall="-A KUBE-SERVICES -d 10.96.0.1/32 -j ACCEPT\n",
    control_groups=(),
    folder_exists=False,
)


def test_another_clusters_traces_are_not_ours() -> None:
    assert find_leftovers("demo", FOLDER, CLEAN) == []


@pytest.mark.parametrize(
    ("trace", "found"),
    [
        ({"command_lines": {9: "etcd --data-dir=/state/clusters/demo/etcd"}}, "process 9"),
        ({"command_lines": {9: "node --folder /state/clusters/demo"}}, "process 9"),
        ({"mounts": "x /state/clusters/demo/root/merged overlay rw 0 0\n"}, "mount /state"),
        ({"links": "3: x:\n    alias rocketmq-operator cluster demo"}, "network interface"),
        ({"firewall": "-A X -d 10.216.0.10/32 -j Y"}, "iptables rule"),
        ({"control_groups": ("/sys/fs/cgroup/cpu/x",)}, "control group /sys"),
        ({"folder_exists": True}, "folder /state/clusters/demo"),
    ],
)
def test_each_kind_of_trace_is_found(trace: dict[str, object], found: str) -> None:
    lines = find_leftovers("demo", FOLDER, replace(CLEAN, **trace))  # type: ignore[arg-type] # a table
    assert len(lines) == 1
    assert lines[0].startswith(found)


def test_mounts_are_listed_the_deepest_first() -> None:
    mounts = "a /s/x t 0 0\nb /s/x/y\\040z t 0 0\nc /s/xy t 0 0\n"
    assert mounts_below(Path("/s/x"), mounts) == ["/s/x/y z", "/s/x"]


def test_the_file_system_is_that_of_the_longest_mount() -> None:
    mounts = "a / overlay rw 0 0\nb /root ext4 rw 0 0\nc /rootless xfs rw 0 0\n"
    assert file_system_of(Path("/root/state"), mounts) == "ext4"
    assert file_system_of(Path("/var/state"), mounts) == "overlay"


def test_program_folders_on_file_systems_of_their_own_are_found() -> None:
    assert separate_folders("a / ext4 0 0\nb /usr ext4 0 0\nc /usr/src ext4 0 0\n") == ["/usr"]


def test_each_cluster_has_its_control_group() -> None:
    assert cgroup_name("demo") == "/rocketmq-operator-demo"
