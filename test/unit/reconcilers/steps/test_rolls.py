"""The gate against a cluster in which everything happens at the wrong time (fakes.gate_world)."""

from collections.abc import Callable
from random import Random

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from fakes.gate_facts import Seen
from fakes.gate_server import Server, Templates
from fakes.gate_world import OperatorDiedError, World
from reconcilers.desired import names
from reconcilers.steps import broker, name_service
from reconcilers.steps.decision import DISRUPTIVE, Decision, MoveWrites

FAULTS_S = 900
SETTLED_WITHIN_S = 3600


class Operator:
    """Decides on what it has cached, once more on what is there before it disrupts, and may die."""

    def __init__(self, world: World, *, dies: float) -> None:
        self._world = world
        self._dies = dies
        self._cached = world.workload()
        self._decided = False
        """Whether the last look was one at brokers and nothing had to be written first."""

    def reconcile(self) -> float:
        """One look at one or both resources; returns in how many seconds the next one is due."""
        random = self._world.random
        fresh = random.random() < 0.7
        if fresh:
            self._cached = self._world.workload()
        self._decided = False
        looks = random.sample([self._brokers, self._name_servers], random.randint(1, 2))
        try:
            due_s = min(look() for look in looks)
        except OperatorDiedError:
            return 0.0
        if fresh and self._decided and not is_paused(self._world):
            self._world.check_that_producers_have_a_broker()
        return due_s if len(looks) > 1 else min(due_s, 5.0)

    def _brokers(self) -> float:
        world = self._world
        if _write(world.broker_templates):
            return broker.BUSY_S
        self._decided = True
        return self._advance(
            lambda pods: broker.decide(world.cr, world.broker_facts(pods), world.clock)
        )

    def _name_servers(self) -> float:
        world = self._world
        if _write(world.ns_templates):
            return name_service.BUSY_S
        return self._advance(
            lambda pods: name_service.decide(
                world.ns_cr, world.name_service_facts(pods), world.clock
            )
        )

    def _advance(self, decide: Callable[[dict[str, Seen]], Decision]) -> float:
        decision = decide(self._cached)
        if any(isinstance(step, DISRUPTIVE) for step in decision.steps):
            decision = decide(self._world.workload())
        for step in decision.steps:
            if isinstance(step, MoveWrites) and self._world.random.random() < 0.3:
                # What it lacks now it lacks for long.
                slow_down(self._world, self._world.group_of(self._world.brokers[step.pod])[-1])
            for _ in self._world.calls(step):
                if self._world.random.random() < self._dies:
                    raise OperatorDiedError
        return decision.again_after_s or broker.IDLE_S


def _write(templates: Templates) -> bool:
    """Write the children; nothing is decided upon what was just written."""
    written = templates.written != templates.wanted
    templates.written = templates.wanted
    return written


def is_paused(world: World) -> bool:
    return world.annotations.get(names.PAUSED) == "true"


def edit(world: World) -> None:
    """The user edits something."""
    random = world.random
    match random.randrange(7):
        case 0:
            world.spec["allowRestart"] = random.random() < 0.7
        case 3:
            world.spec["maxUnavailableGroups"] = random.randint(1, 3)
        case 1:
            world.annotations[names.PAUSED] = "true" if random.random() < 0.3 else "false"
        case 2:
            world.ns_templates.change(random)
            if random.random() < 0.5:
                world.broker_templates.change(random)
        case _:
            world.broker_templates.change(random)


def break_something(world: World) -> None:
    """A pod, a process or a network fails, or a replica becomes slow."""
    random = world.random
    server = random.choice(world.servers)
    match random.randrange(7):
        case 6 if server.member is not None and server.member.is_master and not world.replicas:
            world.lose_store(server)
        case 0:
            world.become(server, "terminating", random.randint(1, 30))
        case 1 if server.serves:
            world.become(server, "starting", random.randint(3, 60))
        case 2:
            server.silent_until = world.now + random.randint(1, 40)
        case _:
            slow_down(world, server)


def slow_down(world: World, replica: Server) -> None:
    replica.slow_until = world.now + world.random.randint(10, 300)
    replica.slow_bytes = world.random.choice([10, 1_000, 20_000])


def pass_time(world: World, seconds: float) -> None:
    for _ in range(max(1, round(seconds))):
        world.tick()


def is_settled(world: World) -> bool:
    return all(
        server.serves
        and server.template == world.templates_of(server).wanted
        and server.permission == 6
        and server.note is None
        and not server.closed
        for server in world.servers
    )


def mend(world: World) -> None:
    """The user ends with something that works, and nothing fails any more."""
    world.spec["allowRestart"] = True
    world.annotations.clear()
    for templates in (world.broker_templates, world.ns_templates):
        if templates.wanted in templates.bad or world.random.random() < 0.3:
            templates.mend(world.random)


def run(world: World, operator: Operator, until: float, faults: float) -> None:
    while world.now < until and (faults or not is_settled(world)):
        if world.random.random() < faults:
            world.random.choice((edit, break_something))(world)
        due_s = operator.reconcile()
        early = world.random.random() < 0.3
        pass_time(world, world.random.uniform(0, due_s) if early else min(due_s, 30))


CLUSTERS = st.fixed_dictionaries(
    {
        "size": st.integers(1, 3),
        "replicas": st.integers(0, 2),
        "sync": st.booleans(),
        "maxUnavailableGroups": st.integers(1, 3),
        "routeRefreshSeconds": st.sampled_from([30, 60]),
    }
)
NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)


@given(cluster=CLUSTERS, seed=st.integers(0, 1 << 32))
@settings(max_examples=60, phases=NO_SHRINKING)
def test_whatever_happens_no_rule_is_broken_and_every_roll_ends(
    cluster: dict[str, int], seed: int
) -> None:
    world = World(Random(seed), **cluster)  # noqa: S311 - no secret
    operator = Operator(world, dies=0.1)
    run(world, operator, FAULTS_S, faults=0.15)
    mend(world)
    run(world, operator, FAULTS_S + SETTLED_WITHIN_S, faults=0.0)
    assert is_settled(world), [server for server in world.servers if not server.serves]
