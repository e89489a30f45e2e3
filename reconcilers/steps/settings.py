"""Settings that a running broker takes: what to push so that it does what the spec says. Pure.

Only keys whose effect without a restart is proved are pushed (dossier 4.3); every other key is in
the hash of the configuration, which restarts. Success is no evidence: the next observation is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconcilers.api.broker import Broker
from reconcilers.desired.live_settings import LIVE_DEFAULTS, live_settings
from reconcilers.facts import BrokerAnswer, BrokerFacts, NameServers
from reconcilers.steps.decision import PushSettings
from reconcilers.steps.members import MemberState, learns_name_servers
from rocketmq.messages.settings import same_value

NAME_SERVERS = "namesrvAddr"
PERMISSION = "brokerPermission"
ROLE = "brokerRole"

OBSERVED = frozenset({*LIVE_DEFAULTS, NAME_SERVERS, PERMISSION, ROLE})
"""The settings of a broker that decisions read."""


def pushes(
    cr: Broker, facts: BrokerFacts, states: tuple[MemberState, ...]
) -> Iterator[PushSettings]:
    """What each broker that answers has to be told."""
    wanted = live_settings(cr, facts.common_config)
    for state in states:
        answer = state.answer
        if not isinstance(answer, BrokerAnswer) or state.pod is None or state.pod.terminating:
            continue
        changes = _differing(wanted, answer.settings)
        if isinstance(facts.name_servers, NameServers) and learns_name_servers(answer.version):
            changes |= _differing({NAME_SERVERS: facts.name_servers.text}, answer.settings)
        if changes:
            yield PushSettings(state.member.pod, state.address, changes)


def _differing(wanted: Mapping[str, str], has: Mapping[str, str]) -> dict[str, str]:
    # A key that the broker does not list is one that its version does not have.
    return {
        key: value
        for key, value in wanted.items()
        if key in has and not same_value(value, has[key])
    }
