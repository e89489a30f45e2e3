"""Bodies are those that real servers sent."""

from __future__ import annotations

import msgspec

from fakes.rocketmq_caller import answer
from rocketmq.messages import clients
from rocketmq.messages.clients import ConsumerData, Heartbeat, Outgoing, ProducerData, Pull
from rocketmq.messages.groups import Subscription


def test_a_message_is_sent_in_one_letter_fields() -> None:
    message = Outgoing(
        topic="t1", body=b"x", producer_group="p", born_timestamp=5, properties={"TAGS": "a"}
    )
    operation = clients.send(message)
    fields = operation.request.ext_fields
    assert (fields["a"], fields["b"], fields["e"], fields["g"]) == ("p", "t1", "-1", "5")
    assert fields["i"] == "TAGS\x01a\x02"
    stored = operation.answer(answer(code=10, msgId="ff", queueId="1", queueOffset="2"))
    assert stored.doubt is not None
    assert stored.doubt.name == "FLUSH_DISK_TIMEOUT"
    assert operation.answer(answer(msgId="ff", queueId="1", queueOffset="2")).doubt is None


def test_a_long_pull_has_the_time_that_the_broker_may_wait() -> None:
    short = clients.pull(Pull(group="g", topic="t", queue_id=0, offset=0))
    long = clients.pull(Pull(group="g", topic="t", queue_id=0, offset=0, suspend_ms=20_000))
    assert (short.timeout_s, long.timeout_s) == (5.0, 25.0)
    assert (short.request.ext_fields["sysFlag"], long.request.ext_fields["sysFlag"]) == ("4", "6")


def test_a_heartbeat_has_the_names_that_brokers_read() -> None:
    beat = Heartbeat("c1", (ProducerData("p"),), (ConsumerData("g", (Subscription("t"),)),))
    sent = msgspec.json.decode(clients.heartbeat(beat).request.body)
    assert (sent["clientID"], sent["producerDataSet"]) == ("c1", [{"groupName": "p"}])
    (consumer,) = sent["consumerDataSet"]
    assert consumer["subscriptionDataSet"][0]["subString"] == "*"
