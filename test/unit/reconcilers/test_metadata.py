"""Topics and groups from broker to broker, by an operator that may die at any call."""

from __future__ import annotations

from collections.abc import Collection
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.gate_facts import NOW, a_broker, broker_facts, seen
from fakes.kube_client import FakeKubeClient
from fakes.rocketmq_caller import Script, ScriptedCaller, answer, by_code, unsupported
from fakes.rocketmq_world_tables import Tables
from fakes.rocketmq_world_tables import answer as tables_answer
from reconcilers.act import act
from reconcilers.facts import Metadata, Silence
from reconcilers.metadata import ask_metadata, copy_metadata
from reconcilers.steps.broker import decide
from reconcilers.steps.decision import CopyMetadata, Open
from reconcilers.steps.scale_out import metadata_pods
from rocketmq.admin import Admin
from rocketmq.calls import Request, Response
from rocketmq.codes import MQVersion, RequestCode
from rocketmq.errors import NoAnswerError, RocketmqError
from rocketmq.frames import Frame
from rocketmq.messages.groups import SubscriptionGroup
from rocketmq.messages.settings import settings_values
from rocketmq.messages.topics import TopicConfig

M0, M1 = "broker-0-master-0", "broker-1-master-0"
AT = {name: f"ip-of-{name}:10911" for name in (M0, M1)}
FIVE, FOUR = MQVersion.V5_3_3, MQVersion.V4_9_7
ORDERS = TopicConfig("orders", read_queue_nums=3, order=True, attributes={"message.type": "FIFO"})
CLERKS = SubscriptionGroup("clerks", retry_max_times=3)


def broker(tables: Tables, version: MQVersion = FIVE) -> Script:
    """A broker that has these tables."""

    def script(request: Request) -> Response:
        frame = Frame(request.code, 1, ext_fields=request.ext_fields, body=request.body)
        found = tables_answer(tables, ("broker-0", "broker"), version, frame)
        if found is None:
            return unsupported(request)
        return answer(found[3], version=version)

    return script


def step(
    topics: Collection[tuple[TopicConfig, TopicConfig | None]] = (),
    groups: Collection[tuple[SubscriptionGroup, SubscriptionGroup | None]] = (),
) -> CopyMetadata:
    return CopyMetadata(
        pod=M1, uid="u", address=AT[M1], source=M0, topics=tuple(topics), groups=tuple(groups)
    )


async def test_what_people_made_is_read_and_what_servers_made_is_not() -> None:
    made = {"orders": ORDERS, "%RETRY%clerks": TopicConfig("%RETRY%clerks")}
    tables = Tables(topics=made, groups={"clerks": CLERKS, "CID_RMQ_SYS_X": CLERKS})
    asked = Admin(ScriptedCaller({AT[M0]: broker(tables)}))
    found = await ask_metadata(asked, AT)
    assert found[M0] == Metadata(topics={"orders": ORDERS}, groups={"clerks": CLERKS})
    assert isinstance(found[M1], Silence)


async def test_topics_whose_queues_go_over_to_other_brokers_are_set_apart() -> None:
    body = (
        b'{"topicConfigTable":{"t":{"topicName":"t"},"u":{"topicName":"u"}},'
        b'"topicQueueMappingDetailMap":{"t":{"hostedQueues":{0:[{"bname":"b"}]}}}}'
    )
    bodies = {
        RequestCode.GET_ALL_TOPIC_CONFIG: answer(body),
        RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_BROKER: answer(b'{"topicList":[]}'),
        RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG: answer(b'{"subscriptionGroupTable":{}}'),
    }
    found = await ask_metadata(Admin(ScriptedCaller({AT[M0]: by_code(bodies)})), {M0: AT[M0]})
    assert found[M0] == Metadata(topics={"u": TopicConfig("u")}, static=("t",))


@pytest.mark.parametrize("version", [FIVE, MQVersion.V5_3_0, FOUR])
async def test_new_records_are_created_and_others_replaced(version: MQVersion) -> None:
    before = TopicConfig("bills", perm=2)
    tables = Tables(topics={"bills": before})
    caller = ScriptedCaller({AT[M1]: broker(tables, version)})
    after = msgspec.structs.replace(before, perm=6)
    topics = [(ORDERS, None), (TopicConfig("new"), None), (after, before)]
    await copy_metadata(Admin(caller), step(topics, [(CLERKS, None)]))
    kept = {"order": False, "attributes": {}} if version == FOUR else {}
    assert tables.topics["orders"] == msgspec.structs.replace(ORDERS, **kept)
    assert (tables.topics["bills"], tables.topics["new"]) == (after, TopicConfig("new"))
    assert tables.groups == {"clerks": CLERKS}
    singles = caller.codes(AT[M1]).count(RequestCode.UPDATE_AND_CREATE_TOPIC)
    assert singles == (3 if version == FOUR else 1)


async def test_the_record_that_is_refused_is_named_and_the_others_are_written() -> None:
    tables = Tables()
    takes = broker(tables)

    def refuses(request: Request) -> Response:
        if request.code == RequestCode.UPDATE_AND_CREATE_TOPIC_LIST:
            return answer(code=1, remark="one is bad")
        if request.ext_fields.get("topic") == "orders":
            return answer(code=1, remark="attribute unknown")
        return takes(request)

    topics = [(ORDERS, None), (TopicConfig("new"), None)]
    with pytest.raises(RocketmqError, match=r"topic orders: .*attribute unknown"):
        await copy_metadata(Admin(ScriptedCaller({AT[M1]: refuses})), step(topics))
    assert set(tables.topics) == {"new"}


async def test_a_broker_that_is_away_is_not_asked_for_each_record() -> None:
    caller = ScriptedCaller({})
    topics = [(TopicConfig(f"t{number}"), None) for number in range(3000)]
    with pytest.raises(RocketmqError, match="connection refused"):
        await copy_metadata(Admin(caller), step(topics))
    assert len(caller.requests) < 20


async def test_what_does_not_fit_into_the_time_is_left_to_the_next_step() -> None:
    tables = Tables()
    admin = Admin(ScriptedCaller({AT[M1]: broker(tables, FOUR)}))
    await copy_metadata(admin, step([(ORDERS, None)]), for_s=0.0)
    assert tables.topics == {}


# All of it, with an operator that dies


class DiedError(Exception):
    """Between two calls."""


class Cluster:
    """A master with topics, a new one, and whoever wants to copy."""

    def __init__(self, random: Random, version: MQVersion) -> None:
        self.random = random
        self.version = version
        self.old, self.new = Tables(), Tables()
        self.permission = "1"
        self.known_at_open: set[str] | None = None
        self.silent: set[str] = set()
        self._names = 0
        self.create(self.random.randint(0, 30))
        for number in range(self.random.randint(0, 5)):
            name = f"group-{number}"
            self.old.groups[name] = SubscriptionGroup(name, retry_max_times=number)

    def create(self, count: int) -> None:
        """Users make topics on the old one."""
        for _ in range(count):
            self._names += 1
            name = f"topic-{self._names}"
            self.old.topics[name] = TopicConfig(name, perm=self.random.choice([2, 4, 6]))

    def admin(self, *, dies: float) -> Admin:
        """The client of an operator that may die at each call, before or after it."""

        def dying(script: Script, name: str) -> Script:
            def call(request: Request) -> Response:
                if self.random.random() < dies:
                    raise DiedError
                if name in self.silent:
                    raise NoAnswerError("no answer", address=AT[name])
                response = script(request)
                if self.random.random() < dies:
                    raise DiedError
                return response

            return call

        tables = {M0: self.old, M1: self.new}
        scripts = {name: self._script(name, one) for name, one in tables.items()}
        return Admin(ScriptedCaller({AT[name]: dying(scripts[name], name) for name in tables}))

    def _script(self, name: str, tables: Tables) -> Script:
        takes = broker(tables, self.version)

        def script(request: Request) -> Response:
            match request.code:
                case RequestCode.UPDATE_BROKER_CONFIG:
                    assert name == M1
                    assert self.known_at_open is None, "opened twice"
                    self.permission = settings_values(request.body.decode())["brokerPermission"]
                    self.known_at_open = set(self.new.topics)
                    return answer()
                case RequestCode.GET_BROKER_CONFIG:
                    return answer(f"brokerPermission={self.permission}\n".encode())
            before = tables.writes
            response = takes(request)
            if tables.writes != before:
                assert name == M1, "nothing is written to the one that is copied"
                assert self.permission == "1", "an open one is given nothing"
            return response

        return script

    async def reconcile(self, *, dies: float) -> None:
        """One course of an operator: look, decide, do."""
        cr = a_broker(2, 0)
        version = self.version.name
        servers = {
            M0: seen(version=version, silent=M0 in self.silent),
            M1: seen(version=version, permission=self.permission, silent=M1 in self.silent),
        }
        admin = self.admin(dies=dies)
        facts = broker_facts(cr, servers)
        needed = {name: AT[name] for name in metadata_pods(cr, facts)}
        if needed:
            metadata = await ask_metadata(admin, needed)
            facts = msgspec.structs.replace(facts, metadata=metadata)
        for one in decide(cr, facts, NOW).steps:
            assert isinstance(one, CopyMetadata | Open)
            await act(FakeKubeClient(), admin, "shop", one, wrote=lambda _line: None)


def _died(error: BaseExceptionGroup) -> bool:
    return error.subgroup(DiedError) is not None


@given(seed=st.integers(0, 1 << 32), version=st.sampled_from([FIVE, MQVersion.V5_2_0, FOUR]))
@settings(max_examples=60)
async def test_an_operator_that_dies_at_any_call_opens_nobody_who_lacks_a_topic(
    seed: int, version: MQVersion
) -> None:
    random = Random(seed)  # noqa: S311 - no secret
    cluster = Cluster(random, version)
    before = set(cluster.old.topics)
    for _ in range(40):
        cluster.silent = {name for name in AT if random.random() < 0.1}
        try:
            await cluster.reconcile(dies=0.05)
        except DiedError:
            continue
        except BaseExceptionGroup as group:
            if not _died(group):
                raise
    cluster.silent = set()
    for _ in range(3):
        await cluster.reconcile(dies=0.0)
    assert cluster.permission == "6"
    assert cluster.known_at_open is not None
    assert cluster.known_at_open >= before
    assert cluster.new.groups == cluster.old.groups
    # Once open, never again.
    cluster.create(3)
    await cluster.reconcile(dies=0.0)
    assert set(cluster.new.topics) == cluster.known_at_open
