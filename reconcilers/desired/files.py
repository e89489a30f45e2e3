"""The text of every file that a server's pod reads: its configuration and our scripts. Pure.

A broker's configuration is made at each start of five parts, of a key given twice the last value
counts: `defaults.conf`, the user's broker-common.conf, `user.conf` (spec.config), `operator.conf`
(fixed for all brokers of the resource) and who the broker is (from the pod's environment). So the
ConfigMap does not grow with the number of brokers. See `scripts/start-broker.sh`.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from importlib import resources

from reconcilers.api.broker import Broker
from reconcilers.api.name_service import NameService
from reconcilers.api.validation import ignored_config_keys
from reconcilers.desired import names
from reconcilers.desired.live_settings import without_live_settings
from reconcilers.desired.storage import home
from reconcilers.facts import BrokerFacts
from rocketmq.properties import PropertiesError, parsed, rendered

_SCRIPTS = resources.files(__package__).joinpath("scripts")


def _script(name: str) -> str:
    return _SCRIPTS.joinpath(name).read_text(encoding="ascii")


SERVER_SCRIPT = _script("server.sh")
REMOTING_SCRIPT = _script("remoting.sh")
PROBE_SCRIPT = _script("probe.sh")
GUARD_SCRIPT = _script("store-guard.sh")
CLOSED_SCRIPT = _script("closed.sh")
DIRECTORIES_SCRIPT = _script("directories.sh")
START_NAME_SERVER_SCRIPT = _script("start-name-server.sh")
START_BROKER_SCRIPT = _script("start-broker.sh")

DEFAULT_CONF = "defaults.conf"
USER_CONF = "user.conf"
OPERATOR_CONF = "operator.conf"
GROUP_CONF = "group.conf"

MASTER_ROLES = {"ASYNC": "ASYNC_MASTER", "SYNC": "SYNC_MASTER"}


def name_server_files(cr: NameService) -> dict[str, str]:
    """The ConfigMap of a NameService."""
    return {
        **_name_server_conf(cr),
        "server.sh": SERVER_SCRIPT,
        "start-name-server.sh": START_NAME_SERVER_SCRIPT,
        "remoting.sh": REMOTING_SCRIPT,
        "closed.sh": CLOSED_SCRIPT,
        "probe.sh": PROBE_SCRIPT,
        "directories.sh": DIRECTORIES_SCRIPT,
    }


def name_server_config_hash(cr: NameService) -> str:
    """Differs when a name server would read another configuration at its next start."""
    return _hash(_name_server_conf(cr))


def broker_files(cr: Broker, name_servers: str) -> dict[str, str]:
    """The ConfigMap of a Broker; `name_servers` is the value of namesrvAddr."""
    return {
        DEFAULT_CONF: _defaults(cr),
        USER_CONF: _user_conf(cr),
        OPERATOR_CONF: rendered({**_fixed(cr), "namesrvAddr": name_servers}),
        "server.sh": SERVER_SCRIPT,
        "start-broker.sh": START_BROKER_SCRIPT,
        "remoting.sh": REMOTING_SCRIPT,
        "probe.sh": PROBE_SCRIPT,
        "store-guard.sh": GUARD_SCRIPT,
        "closed.sh": CLOSED_SCRIPT,
        "directories.sh": DIRECTORIES_SCRIPT,
    }


def group_conf(cr: Broker, facts: BrokerFacts) -> str:
    """What a start of a master has to know of its group; no restart follows from a change of it."""
    name = cr.metadata.name
    members = [*names.members(cr), *names.surplus_members(cr, facts.stateful_sets)]
    lines = {
        # The same for all groups. A replica that is not there any more may have left messages.
        "replicas": str(max(member.broker_id for member in members)),
        "domain": names.service_dns(names.brokers(name), cr.metadata.namespace),
        "replaced": " ".join(facts.replaced),
    }
    leaving = _leaving(cr, facts)
    if leaving:
        # A master of these that starts takes no writes (start-broker.sh).
        lines["leaving"] = " ".join(leaving)
    return "".join(f"{key}={value}\n" for key, value in lines.items())


def _leaving(cr: Broker, facts: BrokerFacts) -> tuple[str, ...]:
    """The groups that leave, once it is noted: what a start follows has to be found again."""
    noted = {one.metadata.name for one in facts.sets if names.LEAVING in one.metadata.annotations}
    leaving = names.leaving_groups(cr, facts.stateful_sets)
    return tuple(name for name in leaving if f"{name}-master" in noted)


def broker_config_hash(cr: Broker, common_config: str | None) -> str:
    """Differs when a broker would read another configuration at its next start.

    Without what running brokers are told: namesrvAddr and the keys that work at once. Who a broker
    is, is in its pod template.
    """
    return _hash(
        {
            DEFAULT_CONF: _defaults(cr),
            names.COMMON_CONFIG_FILE: without_live_settings(common_config or ""),
            USER_CONF: without_live_settings(_user_conf(cr)),
            OPERATOR_CONF: rendered(_fixed(cr)),
        }
    )


def ignored_settings(cr: NameService | Broker, common_config: str | None = None) -> tuple[str, ...]:
    """Keys of the user's configuration that are without effect, for they are ours; sorted."""
    given = dict(cr.spec.config)
    # A text that Java cannot read: the broker refuses it when it starts, and says so.
    with contextlib.suppress(PropertiesError):
        given = {**parsed(common_config or ""), **given}
    ignored = set(ignored_config_keys(cr, given))
    if isinstance(cr, Broker) and _role_is_ignored(cr, given):
        ignored.add("brokerRole")
    return tuple(sorted(ignored))


def _role_is_ignored(cr: Broker, given: Mapping[str, str]) -> bool:
    role = given.get("brokerRole")
    if role is None:
        return False
    return cr.spec.replication_mode is not None or role not in MASTER_ROLES.values()


def _name_server_conf(cr: NameService) -> dict[str, str]:
    fixed = {
        "listenPort": str(names.NAME_SERVER_PORT),
        "kvConfigPath": f"{home(cr.spec)}/namesrv/kvConfig.json",
    }
    return {USER_CONF: _user_conf(cr), OPERATOR_CONF: rendered(fixed)}


def _user_conf(cr: NameService | Broker) -> str:
    ignored = ignored_config_keys(cr, cr.spec.config)
    return rendered(
        {key: value for key, value in sorted(cr.spec.config.items()) if key not in ignored}
    )


def _defaults(cr: Broker) -> str:
    # A SYNC_MASTER of 5.x acknowledges a message that no replica has, unless it must be in sync
    # with one (CommitLog.handleHA: needAckNums <= 1). 4.x knows no such key and always waits.
    synchronous = cr.spec.replica_per_group and _may_be_synchronous(cr)
    return rendered({"inSyncReplicas": "2"} if synchronous else {})


def _may_be_synchronous(cr: Broker) -> bool:
    # An ASYNC_MASTER does not heed the key: it would only restart when replicas come or go.
    if cr.spec.replication_mode is not None:
        return cr.spec.replication_mode == "SYNC"
    return bool(cr.spec.volumes) or cr.spec.config.get("brokerRole") == MASTER_ROLES["SYNC"]


def _fixed(cr: Broker) -> dict[str, str]:
    store = f"{home(cr.spec)}/store"
    return {
        "listenPort": str(names.BROKER_PORT),
        "haListenPort": str(names.BROKER_HA_PORT),
        "storePathRootDir": store,
        # 4.x derives it from the home directory, not from the line above.
        "storePathCommitLog": f"{store}/commitlog",
        "fetchNamesrvAddrByAddressServer": "false",
    }


def _hash(files: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    for name, text in sorted(files.items()):
        digest.update(f"{len(name)} {len(text)} {name}{text}".encode())
    return digest.hexdigest()[:16]
