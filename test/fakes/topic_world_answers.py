"""What the servers of the topic world answer to admin requests. Pure.

Bodies are as the real ones write them (dossier 2.1 to 2.4), keys without quotes and all.
"""

from __future__ import annotations

from fakes.topic_world_groups import GROUP_ANSWERS
from fakes.topic_world_model import Broker, NameServer, Refusal
from fakes.topic_world_names import NAME_SERVER_ANSWERS
from fakes.topic_world_replies import Answer, unknown
from fakes.topic_world_topics import TOPIC_ANSWERS
from rocketmq.calls import Request


def answer(server: NameServer | Broker, request: Request) -> Answer:
    """The answer, after the request has had its effect."""
    try:
        return _found(server, request)
    except Refusal as refusal:
        return Answer(code=refusal.code, remark=refusal.remark)


def _found(server: NameServer | Broker, request: Request) -> Answer:
    if isinstance(server, NameServer):
        known = NAME_SERVER_ANSWERS.get(request.code)
        return known(server, request) if known else unknown(request.code)
    found = TOPIC_ANSWERS.get(request.code) or GROUP_ANSWERS.get(request.code)
    return found(server, request) if found else unknown(request.code)
