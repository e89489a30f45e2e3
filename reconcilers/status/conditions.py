"""The conditions that every kind with pods has: Ready, Progressing, Degraded. Pure.

Ready is True only if every wanted pod is ready and every write was accepted. Progressing is True
while something is on its way without anybody's help. Degraded is True when somebody has to act;
its message says who and how. All three always stand there, in this order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from controller.apply import Outcome
from controller.conditions import Condition, ConditionStatus, merge_conditions
from controller.objects import ObjectMeta
from reconcilers import reasons
from reconcilers.facts import NameServerProblem
from reconcilers.pods import PodStates
from reconcilers.steps.decision import Phase, Progress
from reconcilers.steps.storage import Claims, claim_trouble

_NAMED = 5
"""Pods that a message names; the others it counts."""


class Conditions:
    """Collects the conditions of one status."""

    def __init__(self, metadata: ObjectMeta, before: Sequence[Condition]) -> None:
        self._generation = metadata.generation
        self._before = before
        self._after: list[Condition] = []

    def add(self, type_: str, status: ConditionStatus, reason: str, message: str) -> None:
        """One condition, after those added earlier."""
        self._after.append(
            Condition(
                type=type_,
                status=status,
                reason=reason,
                message=message,
                observed_generation=self._generation,
            )
        )

    def keep(self, type_: str) -> None:
        """The condition of this type as it was, if there was one."""
        self._after += [one for one in self._before if one.type == type_]

    def merged(self, now: datetime) -> tuple[Condition, ...]:
        """All, with the transition times of before where the status value did not move.

        Those of before keep their places: a server that merges them by type leaves them there, so
        another order would be a difference for ever.
        """
        place = {one.type: index for index, one in enumerate(self._before)}
        after = sorted(self._after, key=lambda one: place.get(one.type, len(place)))
        return merge_conditions(self._before, after, now)


def add_pod_conditions(
    conditions: Conditions,
    noun: str,
    pods: PodStates,
    outcome: Outcome,
    held: tuple[str, str] | None = None,
    moving: tuple[str, str] | None = None,
) -> None:
    """Ready, Progressing and Degraded of a resource whose pods are `noun` (e.g. `brokers`).

    `held` is the reason and message of what somebody has to do although all that is wanted runs,
    `moving` those of what goes on by itself although it does.
    """
    trouble = _trouble(pods, outcome)
    conditions.add(reasons.READY, *_ready(noun, pods, trouble))
    unfinished = _unfinished(pods) or moving
    if unfinished:
        conditions.add(reasons.PROGRESSING, "True", *unfinished)
    else:
        conditions.add(reasons.PROGRESSING, "False", reasons.SETTLED, "nothing is on its way")
    help_wanted = trouble or held
    if help_wanted:
        conditions.add(reasons.DEGRADED, "True", *help_wanted)
    else:
        conditions.add(reasons.DEGRADED, "False", reasons.HEALTHY, "nothing needs anybody's help")


def _ready(
    noun: str, pods: PodStates, trouble: tuple[str, str] | None
) -> tuple[ConditionStatus, str, str]:
    count = f"{len(pods.ready)} of {pods.wanted} {noun} are ready"
    if trouble:
        return "False", trouble[0], f"{count}; {trouble[1]}"
    if len(pods.ready) < pods.wanted:
        waiting = named((*pods.missing, *pods.starting, *pods.closed))
        return "False", reasons.PODS_NOT_READY, f"{count}; waiting for {waiting}"
    return "True", reasons.ALL_READY, count


def add_unmade_conditions(conditions: Conditions, problem: NameServerProblem) -> None:
    """Ready, Progressing and Degraded of a Broker for which nothing is made at present."""
    waits = problem.reason != reasons.AMBIGUOUS_NAME_SERVICE
    conditions.add(reasons.READY, "False", problem.reason, problem.message)
    conditions.add(
        reasons.PROGRESSING, "True" if waits else "False", problem.reason, problem.message
    )
    conditions.add(reasons.DEGRADED, "False" if waits else "True", problem.reason, problem.message)


def add_invalid_conditions(conditions: Conditions, reason: str, message: str) -> None:
    """Ready, Progressing and Degraded of a resource that cannot be acted upon as it is."""
    conditions.add(reasons.READY, "False", reason, message)
    conditions.add(
        reasons.PROGRESSING, "False", reason, "nothing is made or changed until it is corrected"
    )
    conditions.add(reasons.DEGRADED, "True", reason, message)


def add_up_to_date_condition(
    conditions: Conditions, progress: Progress | None, *, allow_restart: bool
) -> None:
    """Whether every pod runs with what the spec says, and what the others wait for."""
    if progress is None:
        conditions.keep(reasons.UP_TO_DATE)
        return
    decision = progress.decision
    if not decision.outdated and not decision.known:
        conditions.add(reasons.UP_TO_DATE, "Unknown", reasons.NOT_DECIDED, step_words(progress))
        return
    if not decision.outdated:
        conditions.add(
            reasons.UP_TO_DATE, "True", reasons.ALL_CURRENT, "a restart would change no pod"
        )
        return
    reason = _PHASES[decision.phase]
    if decision.phase == "held" and not allow_restart:
        reason = reasons.RESTART_NOT_ALLOWED
    pods = named(list(decision.outdated))
    message = f"to be restarted: {pods}; {step_words(progress)}"
    conditions.add(reasons.UP_TO_DATE, "False", reason, message)


_PHASES: Mapping[Phase, str] = {
    "current": reasons.ALL_CURRENT,
    "rolling": reasons.ROLLING,
    "waiting": reasons.WAITING,
    "held": reasons.HELD,
    "paused": reasons.PAUSED,
}


def step_words(progress: Progress) -> str:
    """What is done now, or what is waited for, and what went wrong with it."""
    return "; ".join(filter(None, (progress.decision.message, *progress.failures)))


def held_words(progress: Progress | None, *, allow_restart: bool) -> tuple[str, str] | None:
    """Why somebody has to act before the roll goes on, as reason and message."""
    if progress is None or progress.decision.phase != "held" or not allow_restart:
        return None
    return reasons.HELD, progress.decision.message


def opening_words(progress: Progress | None) -> tuple[str, str] | None:
    """What somebody has to do so that a new group gets its topics, as reason and message."""
    if progress is None:
        return None
    held = [row.message for row in progress.decision.opening if row.held]
    return (reasons.GROUP_CLOSED, "; ".join(held)) if held else None


def claim_words(
    claims: Claims, progress: Progress | None, before: Sequence[Condition]
) -> tuple[str, str] | None:
    """What somebody has to do about a volume, as reason and message."""
    found = claim_trouble(claims, progress.done if progress is not None else ())
    if found is not None or progress is not None:
        return found
    # Whether it may grow was not tried this time.
    return next(
        ((one.reason, one.message) for one in before if one.reason == reasons.VOLUME_NOT_GROWN),
        None,
    )


def moving_words(progress: Progress | None) -> tuple[str, str] | None:
    """What goes on by itself, as reason and message."""
    if progress is None or progress.decision.phase not in ("rolling", "waiting"):
        return None
    return _PHASES[progress.decision.phase], step_words(progress)


def add_configuration_condition(conditions: Conditions, ignored: Sequence[str]) -> None:
    """Whether all keys of the user's configuration have effect."""
    if ignored:
        keys = ", ".join(ignored)
        conditions.add(
            reasons.CONFIGURATION_ACCEPTED,
            "True",
            reasons.IDENTITY_KEYS_IGNORED,
            f"these keys are without effect, for they follow from the spec: {keys}",
        )
    else:
        conditions.add(
            reasons.CONFIGURATION_ACCEPTED,
            "True",
            reasons.ALL_KEYS_ACCEPTED,
            "all keys of the configuration have effect",
        )


def named(pods: Sequence[str]) -> str:
    """The pods in words: the first few by name, the others by number."""
    more = len(pods) - _NAMED
    listed = ", ".join(pods[:_NAMED])
    return f"{listed} and {more} more" if more > 0 else listed


def _trouble(pods: PodStates, outcome: Outcome) -> tuple[str, str] | None:
    messages = [f"{line.ref} was refused: {line.message}" for line in outcome.refused]
    messages += [stuck.message for stuck in pods.stuck]
    if not messages:
        return None
    reason = reasons.WRITE_REFUSED if outcome.refused else pods.stuck[0].reason
    more = len(messages) - _NAMED
    text = "; ".join(messages[:_NAMED])
    return reason, f"{text}; and {more} more" if more > 0 else text


def _unfinished(pods: PodStates) -> tuple[str, str] | None:
    if pods.missing:
        return reasons.CREATING_PODS, f"pods to be created: {named(pods.missing)}"
    if pods.starting:
        return reasons.STARTING_PODS, f"pods that start: {named(pods.starting)}"
    if pods.closed:
        told = f"closed until they have topics and groups: {named(pods.closed)}"
        return reasons.OPENING_GROUPS, told
    if pods.surplus:
        return reasons.REMOVING_PODS, f"pods that are not wanted any more: {named(pods.surplus)}"
    return None
