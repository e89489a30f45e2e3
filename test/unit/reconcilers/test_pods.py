from collections.abc import Callable

import pytest

from reconcilers import reasons
from reconcilers.api.kube import Pod
from reconcilers.pods import pod_states, stuck_because

Make = Callable[..., Pod]


@pytest.mark.parametrize(
    ("state", "reason", "says"),
    [
        ("unschedulable", reasons.POD_UNSCHEDULABLE, "1 Insufficient memory. Make room"),
        ("crashing", reasons.POD_CRASHING, "exit status 1; restarted 4 times"),
        ("crashing", reasons.POD_CRASHING, "kubectl logs p -c broker --previous"),
        ("out of memory", reasons.POD_CRASHING, "raise resources.limits.memory; restarted once"),
        ("no image", reasons.IMAGE_NOT_PULLED, "(ImagePullBackOff: not found)"),
        ("no directories", reasons.CONTAINER_NOT_CREATED, "(CreateContainerConfigError)"),
    ],
)
def test_a_stuck_pod_is_named_with_what_was_said_and_what_to_do(
    state: str, reason: str, says: str, pod: Make
) -> None:
    stuck = stuck_because(pod("p", state))
    assert stuck is not None
    assert stuck.reason == reason
    assert "pod p" in stuck.message
    assert says in stuck.message


@pytest.mark.parametrize(
    "why",
    [
        "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) had volume node affinity "
        "conflict. preemption: 0/3 nodes are available: 3 Preemption is not helpful.",
        "0/1 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity.",
        'persistentvolumeclaim "data-p" bound to non-existent persistentvolume "pv-1"',
    ],
)
def test_a_pod_whose_volume_is_on_no_node_says_that_only_people_may_give_it_up(
    why: str, pod: Make
) -> None:
    scheduled = {"type": "PodScheduled", "status": "False", "message": why}
    stuck = stuck_because(pod("p", "starting", conditions=[scheduled]))
    assert stuck is not None
    assert stuck.reason == reasons.VOLUME_LOST
    assert why.rstrip(".") in stuck.message
    assert "only if the volume is gone for good, delete its claim" in stuck.message


@pytest.mark.parametrize("state", ["ready", "starting", "creating"])
def test_a_pod_that_takes_its_time_is_not_stuck(state: str, pod: Make) -> None:
    assert stuck_because(pod("p", state)) is None


def test_a_pod_that_is_being_stopped_is_not_stuck(pod: Make) -> None:
    assert stuck_because(pod("p", "crashing", terminating=True)) is None


def test_pods_are_told_apart_in_the_order_in_which_they_are_wanted(pod: Make) -> None:
    pods = [
        pod("d", "no image"),
        pod("c", "ready", terminating=True),
        pod("a", "ready"),
        pod("x", "ready"),
    ]
    states = pod_states(["a", "b", "c", "d"], pods)
    assert states.ready == ("a",)
    assert states.missing == ("b",)
    assert states.starting == ("c",)
    assert [stuck.pod for stuck in states.stuck] == ["d"]
    assert states.surplus == ("x",)
    assert states.wanted == 4
