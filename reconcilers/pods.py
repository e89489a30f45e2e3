"""How a pod is doing, and why not better: one word and one sentence. Pure.

A pod that merely takes its time is starting; it is stuck when the kubelet or the scheduler has
given a reason that does not go away by waiting.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import msgspec

from reconcilers import reasons
from reconcilers.api.kube import ContainerStatus, Pod, TerminatedState


class Stuck(msgspec.Struct, frozen=True):
    """Why a pod will not become ready without help."""

    pod: str
    reason: str
    message: str
    """A sentence that names the pod and what to do."""


class PodStates(msgspec.Struct, frozen=True, kw_only=True):
    """The wanted pods by how they are, and those that nobody wants any more; each in order."""

    ready: tuple[str, ...] = ()
    starting: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
    """Ready as far as the kubelet knows, but let no client in yet."""
    missing: tuple[str, ...] = ()
    stuck: tuple[Stuck, ...] = ()
    surplus: tuple[str, ...] = ()

    @property
    def wanted(self) -> int:
        """How many pods there should be."""
        waiting = len(self.starting) + len(self.closed) + len(self.missing) + len(self.stuck)
        return len(self.ready) + waiting


_IMAGE = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
_CREATION = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "PreCreateHookError",
        "PostStartHookError",
    }
)


def pod_states(
    wanted: Iterable[str], pods: Iterable[Pod], closed: Collection[str] = ()
) -> PodStates:
    """How each wanted pod is doing; `closed` are those that let no client in yet."""
    by_name = {pod.metadata.name: pod for pod in pods}
    ready, starting, missing, stuck = [], [], [], []
    wanted = tuple(wanted)
    for name in wanted:
        pod = by_name.get(name)
        if pod is None:
            missing.append(name)
        elif pod.ready:
            ready.append(name)
        elif (problem := stuck_because(pod)) is not None:
            stuck.append(problem)
        else:
            starting.append(name)
    return PodStates(
        ready=tuple(name for name in ready if name not in closed),
        closed=tuple(name for name in ready if name in closed),
        starting=tuple(starting),
        missing=tuple(missing),
        stuck=tuple(stuck),
        surplus=tuple(sorted(by_name.keys() - set(wanted))),
    )


def stuck_because(pod: Pod) -> Stuck | None:
    """Why this pod will not become ready without help; None for one that may."""
    if pod.terminating or pod.ready:
        return None
    return next(_problems(pod), None)


def _problems(pod: Pod) -> Iterator[Stuck]:
    name = pod.metadata.name
    scheduled = pod.condition("PodScheduled")
    if scheduled is not None and scheduled.status == "False":
        yield _unschedulable(name, _sentence(scheduled.message))
    for container in (*pod.status.init_container_statuses, *pod.status.container_statuses):
        problem = _container_problem(name, container)
        if problem is not None:
            yield problem


# Words of the scheduler (pkg/scheduler/framework/plugins/volumebinding), older and newer ones.
_VOLUME_ELSEWHERE = (
    "volume node affinity conflict",
    "didn't match PersistentVolume's node affinity",
    "bound to non-existent",
)


def _unschedulable(pod: str, why: str) -> Stuck:
    said = f"pod {pod} cannot be scheduled: {why}"
    if any(words in why for words in _VOLUME_ELSEWHERE):
        return Stuck(
            pod,
            reasons.VOLUME_LOST,
            f"{said}. No node that may run it has its volume: bring that node back (or uncordon "
            "it, or make room on it); only if the volume is gone for good, delete its claim and "
            f"then pod {pod}, which starts with an empty one",
        )
    return Stuck(
        pod,
        reasons.POD_UNSCHEDULABLE,
        f"{said}. Make room, or change resources, nodeSelector, affinity, tolerations or the "
        "volume claim",
    )


def _container_problem(pod: str, container: ContainerStatus) -> Stuck | None:
    waiting = container.state.waiting
    if waiting is None:
        return None
    said = f"{waiting.reason}: {_sentence(waiting.message)}" if waiting.message else waiting.reason
    if waiting.reason == "CrashLoopBackOff":
        advice = f"kubectl logs {pod} -c {container.name} --previous tells more"
        ended = _ended(container.last_state.terminated)
        times = f"{container.restart_count} times" if container.restart_count != 1 else "once"
        message = f"pod {pod} keeps ending ({ended}; restarted {times}): {advice}"
        return Stuck(pod, reasons.POD_CRASHING, message)
    if waiting.reason in _IMAGE:
        advice = "Check the image's name and imagePullSecrets"
        message = f"pod {pod} does not get its image ({said}). {advice}"
        return Stuck(pod, reasons.IMAGE_NOT_PULLED, message)
    if waiting.reason in _CREATION:
        advice = "Check volumes, env and the security contexts"
        message = f"a container of pod {pod} cannot be created ({said}). {advice}"
        return Stuck(pod, reasons.CONTAINER_NOT_CREATED, message)
    return None


def _ended(state: TerminatedState | None) -> str:
    if state is None:
        return "no exit status known"
    if state.reason == "OOMKilled":
        return "killed for exceeding its memory limit: raise resources.limits.memory"
    return f"exit status {state.exit_code}"


def _sentence(message: str) -> str:
    return message.strip().rstrip(".") or "no reason given"
