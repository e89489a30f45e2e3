"""What may be done next to the name servers of one NameService. Pure.

One name server at a time, and the next one only when it knows every broker that the others know: a
name server that has just started knows none for up to 30 s, and clients that ask it find nothing.
Name servers that the spec does not ask for any more stay until no broker uses them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from reconcilers.api.kube import Pod
from reconcilers.api.name_service import NameService
from reconcilers.desired import names
from reconcilers.facts import NameServerAnswer, NameServiceFacts, Silence
from reconcilers.pods import stuck_because
from reconcilers.steps.decision import Decision, Restart
from reconcilers.steps.members import TEMPLATE_CHANGED, is_hung
from reconcilers.steps.storage import GROWS_AT_START, claim_steps

IDLE_S = 60.0
BUSY_S = 2.0


def decide(cr: NameService, facts: NameServiceFacts, now: datetime) -> Decision:
    """The next steps. `cr` has no problems, and its children are written."""
    words = {pod.metadata.name: _outdated_because(pod, facts) for pod in _outdated(cr, facts)}
    if cr.metadata.annotations.get(names.PAUSED) == "true":
        message = f"nothing is changed while the annotation {names.PAUSED} is true"
        known = not _unknown_template(cr, facts)
        return Decision(phase="paused", message=message, outdated=words, known=known)
    decision = _turn(cr, facts, words, now)
    labels = names.labels(names.NAME_SERVER_COMPONENT, cr.metadata.name)
    claims = tuple(claim_steps(cr.spec, labels, facts.claims))
    return msgspec.structs.replace(decision, steps=(*claims, *decision.steps))


def _turn(
    cr: NameService, facts: NameServiceFacts, words: dict[str, str], now: datetime
) -> Decision:
    outdated = _outdated(cr, facts)
    broken = [pod for pod in outdated if _is_broken(pod, facts, now)]
    unknown = _unknown_template(cr, facts)
    if outdated:
        return _restart(cr, facts, (broken or outdated)[0], words, broken=bool(broken))
    incomplete = next(_incomplete(wanted_pods(cr), facts), "")
    waits = unknown or incomplete or leaving_waits_for(cr, facts)
    if not waits:
        return Decision(phase="current", again_after_s=IDLE_S)
    return Decision(
        phase="waiting", message=f"waits: {waits}", known=not unknown, again_after_s=BUSY_S
    )


def unsettled(cr: NameService, facts: NameServiceFacts) -> str:
    """Why brokers should not be touched on account of this NameService; empty: it is settled."""
    if cr.metadata.generation > cr.status.observed_generation:
        return f"NameService {cr.metadata.name} was changed, and it is not known yet what follows"
    unknown = _unknown_template(cr, facts)
    if unknown:
        return unknown
    outdated = _outdated(cr, facts)
    if outdated:
        return f"{outdated[0].metadata.name} is to be restarted"
    # What a name server knows is looked at broker by broker: one before 4.9.4 has to restart to
    # be known to a new one.
    return next(_unready(wanted_pods(cr), facts), "")


def _unknown_template(cr: NameService, facts: NameServiceFacts) -> str:
    """Why it is not known which pods are of the newest template; empty: it is."""
    if facts.stateful_set is None or not facts.stateful_set.revision:
        return f"StatefulSet {cr.metadata.name} has no current revision yet"
    return ""


def replicas(cr: NameService, facts: NameServiceFacts) -> int:
    """How many name servers the StatefulSet should have now.

    More than the spec says while a broker still uses one that is to leave.
    """
    if facts.stateful_set is None:
        return cr.spec.size
    there = facts.stateful_set.spec.replicas
    if there <= cr.spec.size or not leaving_waits_for(cr, facts):
        return cr.spec.size
    return there


def leaving_waits_for(cr: NameService, facts: NameServiceFacts) -> str:
    """Why name servers that the spec does not ask for have to stay for now; empty: nothing."""
    for pod in _leaving(cr, facts):
        waits = _still_used(cr, pod, facts)
        if waits:
            return waits
    return ""


def registered(cr: NameService, facts: NameServiceFacts) -> tuple[str, ...]:
    """The wanted pods whose name servers know every broker of those that follow."""
    expected = {broker for follower in facts.followers for broker in follower.brokers}
    return tuple(
        pod
        for pod in wanted_pods(cr)
        if isinstance(answer := facts.answers.get(pod), NameServerAnswer)
        and all(answer.lists(*broker) for broker in expected)
    )


def wanted_pods(cr: NameService) -> tuple[str, ...]:
    """The pods that the spec asks for, by ordinal."""
    return tuple(f"{cr.metadata.name}-{ordinal}" for ordinal in range(cr.spec.size))


def _outdated(cr: NameService, facts: NameServiceFacts) -> list[Pod]:
    """Wanted pods that a restart would change, the highest ordinal first."""
    wanted = {name: place for place, name in enumerate(wanted_pods(cr))}
    found = [
        pod
        for pod in facts.pods
        if pod.metadata.name in wanted and not pod.terminating and _outdated_because(pod, facts)
    ]
    return sorted(found, key=lambda pod: -wanted[pod.metadata.name])


def _outdated_because(pod: Pod, facts: NameServiceFacts) -> str:
    """What a restart of the pod would apply; empty: nothing."""
    revision = facts.stateful_set.revision if facts.stateful_set is not None else ""
    if revision and pod.revision != revision:
        return TEMPLATE_CHANGED
    return GROWS_AT_START if revision and pod.metadata.name in facts.grow_at_start else ""


def _is_broken(pod: Pod, facts: NameServiceFacts, now: datetime) -> bool:
    """Whether it serves nobody and will not by itself."""
    if stuck_because(pod) is not None:
        return True
    answers = isinstance(facts.answers.get(pod.metadata.name), NameServerAnswer)
    return not answers and is_hung(pod, now)


def _restart(
    cr: NameService, facts: NameServiceFacts, pod: Pod, words: dict[str, str], *, broken: bool
) -> Decision:
    name = pod.metadata.name
    # A name server that serves nobody may go while others are missing; but only if the newest
    # template has not just proved to fail.
    others = [one for one in wanted_pods(cr) if one != name]
    if broken:
        obstacle = _failing(others, facts)
    else:
        obstacle = _unanswering(pod, facts) or next(_incomplete(others, facts), "")
    if obstacle:
        held = any(
            stuck_because(one) is not None for one in facts.pods if one.metadata.name not in words
        )
        return Decision(
            phase="held" if held else "waiting",
            message=f"waits: {obstacle}",
            outdated=words,
            waiting={name: obstacle},
            again_after_s=BUSY_S,
        )
    message = f"restarting {name}: {words[name]}"
    if cr.spec.size == 1:
        message += "; clients that start meanwhile find no route, for it is the only name server"
    step = Restart(name, pod.metadata.uid, words[name], evict=not broken)
    return Decision(
        phase="rolling", message=message, steps=(step,), outdated=words, again_after_s=BUSY_S
    )


def _failing(wanted: Iterable[str], facts: NameServiceFacts) -> str:
    revision = facts.stateful_set.revision if facts.stateful_set is not None else ""
    for pod in facts.pods:
        stuck = stuck_because(pod) if pod.metadata.name in set(wanted) else None
        if stuck is not None and pod.revision == revision:
            return stuck.message
    return ""


def _unanswering(pod: Pod, facts: NameServiceFacts) -> str:
    """Why it is not known what this name server knows, although clients may use it."""
    answer = facts.answers.get(pod.metadata.name, Silence("it was not asked"))
    if not pod.ready or isinstance(answer, NameServerAnswer):
        return ""
    return f"{pod.metadata.name} does not answer: {answer.reason}"


def _unready(wanted: Iterable[str], facts: NameServiceFacts) -> Iterator[str]:
    """Which of these name servers do not serve."""
    pods = {pod.metadata.name: pod for pod in facts.pods}
    for name in wanted:
        pod = pods.get(name)
        answer = facts.answers.get(name, Silence("it was not asked"))
        if pod is None or not pod.ready:
            yield f"{name} is not ready"
        elif isinstance(answer, Silence):
            yield f"{name} does not answer: {answer.reason}"


def _incomplete(wanted: Iterable[str], facts: NameServiceFacts) -> Iterator[str]:
    """What is missing of these name servers: each serves, and knows what any of them knows."""
    wanted = tuple(wanted)
    yield from _unready(wanted, facts)
    known = {
        (broker, broker_id)
        for answer in facts.answers.values()
        if isinstance(answer, NameServerAnswer)
        for broker, ids in answer.brokers.items()
        for broker_id in ids
    }
    for name in wanted:
        answer = facts.answers.get(name)
        if isinstance(answer, NameServerAnswer):
            missing = sorted({broker for broker, one in known if not answer.lists(broker, one)})
            if missing:
                yield f"{name} does not know {', '.join(missing)} yet"


def _leaving(cr: NameService, facts: NameServiceFacts) -> list[Pod]:
    wanted = set(wanted_pods(cr))
    return [pod for pod in facts.pods if pod.metadata.name not in wanted and not pod.terminating]


def _still_used(cr: NameService, pod: Pod, facts: NameServiceFacts) -> str:
    """Which brokers still use a name server that is to leave, in words."""
    name = pod.metadata.name
    headless = names.name_server_headless(cr.metadata.name)
    address = names.pod_dns(name, headless, cr.metadata.namespace)
    hosts = {address, pod.status.host_ip} if cr.spec.host_network else {address}
    for follower in facts.followers:
        if len(follower.acknowledged) < len(follower.brokers) or not all(follower.acknowledged):
            return f"not every broker of {follower.name} has told which name servers it uses"
        for text in follower.acknowledged:
            if any(entry.rpartition(":")[0].strip("[]") in hosts for entry in text.split(";")):
                return f"a broker of {follower.name} still uses {name}"
    answer = facts.answers.get(name)
    if isinstance(answer, NameServerAnswer) and pod.ready:
        known = {broker for follower in facts.followers for broker in follower.brokers}
        left = sorted(broker for broker, one in known if answer.lists(broker, one))
        if left:
            return f"{name} still knows {', '.join(dict.fromkeys(left))}, which leave it in a while"
    return ""
