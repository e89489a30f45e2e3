"""What the masters of the world hold for consumers: one topic, one group, one delay level. Pure.

It belongs to the group, as its volume does, and exists only where a test has asked for it.
"""

from __future__ import annotations

import json

import msgspec

from rocketmq.codes import RequestCode, ResponseCode
from rocketmq.frames import Frame

TOPIC, GROUP = "orders", "billing"
_DELAYS = "SCHEDULE_TOPIC_XXXX"

_Answer = tuple[int, str, dict[str, str], bytes]


class Held(msgspec.Struct):
    """Messages of one broker group."""

    end: int = 0
    committed: int = 0
    delayed: list[float] = []
    """When each delayed message is delivered, in this order."""
    delivered: int = 0
    online: bool = True
    """Consumers are connected."""

    @property
    def left(self) -> int:
        """What somebody has yet to be given."""
        return self.end - self.committed + len(self.delayed)

    def deliver(self, now: float) -> int:
        """Move what is due from the delay level to the topic; how much."""
        due = [at for at in self.delayed if at <= now]
        self.delayed = self.delayed[len(due) :]
        self.delivered += len(due)
        self.end += len(due)
        return len(due)

    def consume(self) -> None:
        """Consumers take a few."""
        if self.online:
            self.committed = min(self.end, self.committed + 3)


def answer(held: Held | None, broker_name: str, request: Frame) -> _Answer | None:
    """The answer to what `rocketmq.draining` asks; None for anything else."""
    if request.code == RequestCode.GET_TOPIC_STATS_INFO:
        return _stats(held or Held(), broker_name, request.ext_fields["topic"])
    if request.code in (RequestCode.GET_MAX_OFFSET, RequestCode.GET_MIN_OFFSET):
        return ResponseCode.SUCCESS, "", {"offset": "0"}, b""
    if request.code == RequestCode.GET_CONSUMER_CONNECTION_LIST and not (held and held.online):
        return ResponseCode.CONSUMER_NOT_ONLINE, "the consumer group not online", {}, b""
    body = _bodies(held, broker_name).get(request.code)
    return None if body is None else (ResponseCode.SUCCESS, "", {}, json.dumps(body).encode())


def _bodies(held: Held | None, broker_name: str) -> dict[int, object]:
    groups = {GROUP: {"groupName": GROUP}} if held else {}
    offsets = {f"{TOPIC}@{GROUP}": {"0": held.committed}} if held else {}
    return {
        RequestCode.GET_ALL_TOPIC_CONFIG: {
            "topicConfigTable": {name: _topic(name) for name in _topics(held)}
        },
        RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_BROKER: {"topicList": [_DELAYS, broker_name]},
        RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG: {"subscriptionGroupTable": groups},
        RequestCode.GET_ALL_CONSUMER_OFFSET: {"offsetTable": offsets},
        RequestCode.GET_ALL_DELAY_OFFSET: {"offsetTable": {"1": held.delivered if held else 0}},
        RequestCode.GET_CONSUMER_CONNECTION_LIST: {
            "connectionSet": [{"clientId": "c", "clientAddr": "10.0.0.9:1"}],
            "messageModel": "CLUSTERING",
            "subscriptionTable": {TOPIC: {"topic": TOPIC}},
        },
    }


def _topics(held: Held | None) -> tuple[str, ...]:
    return (TOPIC, _DELAYS) if held else (_DELAYS,)


def _topic(name: str) -> dict[str, object]:
    return {"topicName": name, "perm": 6, "readQueueNums": 1, "writeQueueNums": 1}


def _stats(held: Held, broker_name: str, topic: str) -> _Answer:
    ends = {TOPIC: held.end, _DELAYS: held.delivered + len(held.delayed)}
    queue = json.dumps({"brokerName": broker_name, "queueId": 0, "topic": topic})
    offsets = json.dumps({"minOffset": 0, "maxOffset": ends.get(topic, 0)})
    return ResponseCode.SUCCESS, "", {}, f'{{"offsetTable":{{{queue}:{offsets}}}}}'.encode()
