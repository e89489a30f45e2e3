"""What is wrong with a resource that its schema let through. Pure.

Either the schema cannot say it, or the object was stored under an older CRD (the Go operator's has
no limits at all). Every message says what is wrong, where, and what to write instead. Nothing is
built for a resource with problems; what already runs stays as it is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from reconcilers.api.broker import NAME_SERVER_PATTERN, Broker, BrokerSpec, name_limit
from reconcilers.api.meta import MAX_STATEFUL_SET_NAME, NAME_PATTERN, ClaimTemplate, WorkloadSpec
from reconcilers.api.name_service import NameService
from reconcilers.api.quantity import quantity_bytes
from reconcilers.api.topic_transfer import (
    CLUSTER_PATTERN,
    TOPIC_PATTERN,
    TopicTransfer,
    TopicTransferSpec,
)
from rocketmq.system_names import is_group_topic, is_system_topic

Reason = Literal[
    "InvalidName",
    "InvalidStorage",
    "InvalidEnv",
    "InvalidNameServers",
    "InvalidAddresses",
    "UnsupportedClusterMode",
    "InvalidTopic",
    "InvalidCluster",
]

_MAX_PORT = 65535


class Problem(msgspec.Struct, frozen=True):
    """One thing that the user has to change: the reason of a condition, and its message."""

    reason: Reason
    message: str


def problems(cr: NameService | Broker | TopicTransfer) -> tuple[Problem, ...]:
    """All that must be changed before the resource can be acted upon, in a fixed order."""
    if isinstance(cr, TopicTransfer):
        return tuple(_transfer_problems(cr.spec))
    return (*_name_problems(cr), *_workload_problems(cr.spec), *_broker_problems(cr))


BROKER_IDENTITY_KEYS = frozenset(
    {
        # who a broker is: fixed by the names of the CR, the group and the pod
        "brokerClusterName",
        "brokerName",
        "brokerId",
        "enableControllerMode",
        # where it is found: nameServers, addressMode and addresses in the spec
        "brokerIP1",
        "brokerIP2",
        "listenPort",
        "haListenPort",
        "namesrvAddr",
        "fetchNamesrvAddrByAddressServer",
        "fetchNameSrvAddrByDnsLookup",
        # where the volume is mounted
        "rocketmqHome",
        "storePathRootDir",
        "storePathCommitLog",
    }
)
NAME_SERVER_IDENTITY_KEYS = frozenset(
    {"listenPort", "rocketmqHome", "kvConfigPath", "configStorePath", "enableControllerInNamesrv"}
)
"""Keys of the configuration files that follow from the spec, the names and the mounts."""


def ignored_config_keys(cr: NameService | Broker, keys: Iterable[str]) -> tuple[str, ...]:
    """Those of `keys` (of `config`, or of broker-common.conf) that are ours to set, sorted.

    They are left out and named in a condition; the resource is acted upon all the same.
    """
    ours = BROKER_IDENTITY_KEYS if isinstance(cr, Broker) else NAME_SERVER_IDENTITY_KEYS
    return tuple(sorted(ours.intersection(keys)))


def _name_problems(cr: NameService | Broker) -> Iterator[Problem]:
    name = cr.metadata.name
    if not re.fullmatch(NAME_PATTERN.strip("^$"), name):
        yield Problem(
            "InvalidName",
            f"metadata.name {name!r}: it must start with a letter and hold only lower-case "
            "letters, digits and '-'; create the resource under another name",
        )
    limit = name_limit(cr.spec) if isinstance(cr, Broker) else MAX_STATEFUL_SET_NAME
    if len(name) > limit:
        yield Problem(
            "InvalidName",
            f"metadata.name {name!r} has {len(name)} characters, but at most {limit} leave room "
            "for the names of its pods; create the resource under a shorter name",
        )


def _workload_problems(spec: WorkloadSpec) -> Iterator[Problem]:
    if spec.storage_mode == "HostPath":
        yield from _host_path_problems(spec.host_path)
    if spec.storage_mode in {"StorageClass", "NFS"}:
        yield from _claim_problems(spec.volume_claim_templates[:1])
    for name in _repeated(str(variable.get("name", "")) for variable in spec.env):
        yield Problem(
            "InvalidEnv",
            f"spec.env: {name!r} is given more than once; leave one entry of it"
            if name
            else "spec.env: several entries have no name; give each one a name",
        )


def _host_path_problems(path: str) -> Iterator[Problem]:
    if not path.startswith("/"):
        yield Problem(
            "InvalidStorage",
            f"spec.hostPath {path!r}: storageMode HostPath needs an absolute directory, "
            "e.g. /data/rocketmq",
        )
    if ".." in path.split("/"):
        yield Problem(
            "InvalidStorage",
            f"spec.hostPath {path!r}: '..' is not allowed; write the directory that is meant",
        )


def _claim_problems(templates: tuple[ClaimTemplate, ...]) -> Iterator[Problem]:
    resources = templates[0].spec.get("resources") if templates else None
    requests = resources.get("requests") if isinstance(resources, dict) else None
    size = requests.get("storage") if isinstance(requests, dict) else None
    if not _is_size(size):
        yield Problem(
            "InvalidStorage",
            "spec.volumeClaimTemplates: storageMode StorageClass or NFS needs "
            "volumeClaimTemplates[0].spec.resources.requests.storage, more than 0, e.g. 8Gi",
        )


def _is_size(value: object) -> bool:
    try:
        return isinstance(value, int | str) and quantity_bytes(value) > 0
    except ValueError:
        return False


def _broker_problems(cr: NameService | Broker) -> Iterator[Problem]:
    if not isinstance(cr, Broker):
        return
    if cr.spec.cluster_mode not in {"", "STATIC"}:
        yield Problem(
            "UnsupportedClusterMode",
            f"spec.clusterMode {cr.spec.cluster_mode} is not supported yet; write STATIC, or leave "
            "it out",
        )
    yield from _name_server_problems(cr.spec)
    yield from _address_problems(cr)


def _name_server_problems(spec: BrokerSpec) -> Iterator[Problem]:
    if spec.name_servers and spec.name_service_ref is not None:
        yield _name_servers("it excludes spec.nameServiceRef; leave one of the two")
    yield from _address_list_problems(spec.name_servers, "nameServers")


def _address_list_problems(text: str, field: str) -> Iterator[Problem]:
    entries = text.removesuffix(";").split(";") if text else []
    for entry in entries:
        if not re.fullmatch(NAME_SERVER_PATTERN, entry, re.ASCII):
            yield _name_servers(
                f"{entry!r} is not host:port; write e.g. 10.0.0.1:9876;10.0.0.2:9876 "
                "(IPv6 in brackets)",
                field,
            )
        elif not 1 <= int(entry.rpartition(":")[2]) <= _MAX_PORT:
            advice = f"{entry!r} needs a port between 1 and {_MAX_PORT}, e.g. 9876"
            yield _name_servers(advice, field)
    for entry in _repeated(entry.lower() for entry in entries if entry):
        yield _name_servers(f"{entry!r} is given more than once; leave one of them", field)


def _name_servers(advice: str, field: str = "nameServers") -> Problem:
    return Problem("InvalidNameServers", f"spec.{field}: {advice}")


def _transfer_problems(spec: TopicTransferSpec) -> Iterator[Problem]:
    topic = spec.topic
    if not re.fullmatch(TOPIC_PATTERN.strip("^$"), topic, re.ASCII):
        yield Problem(
            "InvalidTopic",
            f"spec.topic {topic!r}: a topic's name has 1 to 127 letters, digits, '_', '-', '%' "
            "and '|'; create another TopicTransfer",
        )
    if is_group_topic(topic) or is_system_topic(topic):
        yield Problem(
            "InvalidTopic",
            f"spec.topic {topic!r}: retry, dead-letter and system topics belong to their groups "
            "and servers; name a topic that users made",
        )
    for field, cluster in (("source", spec.source_cluster), ("target", spec.target_cluster)):
        if not re.fullmatch(CLUSTER_PATTERN.strip("^$"), cluster):
            yield Problem(
                "InvalidCluster",
                f"spec.{field}Cluster {cluster!r}: give the name of a RocketMQ cluster, as "
                "`mqadmin clusterList` shows it",
            )
    elsewhere = bool(spec.target_name_servers) or spec.target_name_service_ref is not None
    if spec.source_cluster == spec.target_cluster and not elsewhere:
        yield Problem(
            "InvalidCluster",
            "spec.sourceCluster and spec.targetCluster must differ, unless they have different "
            "name servers; create another TopicTransfer",
        )
    if spec.name_servers and spec.name_service_ref is not None:
        yield _name_servers("it excludes spec.nameServiceRef; leave one of the two")
    if spec.target_name_servers and spec.target_name_service_ref is not None:
        advice = "it excludes spec.targetNameServiceRef; leave one of the two"
        yield _name_servers(advice, "targetNameServers")
    yield from _address_list_problems(spec.name_servers, "nameServers")
    yield from _address_list_problems(spec.target_name_servers, "targetNameServers")


def _address_problems(cr: Broker) -> Iterator[Problem]:
    name = cr.metadata.name
    pod = re.compile(rf"{re.escape(name)}-(0|[1-9]\d*)-(master|replica-[1-9]\d*)-0", re.ASCII)
    for key in sorted(cr.spec.addresses):
        if not pod.fullmatch(key):
            yield Problem(
                "InvalidAddresses",
                f"spec.addresses: no pod of this Broker can be called {key!r}; write "
                f"{name}-<group>-master-0 or {name}-<group>-replica-<n>-0",
            )


def _repeated(values: Iterable[str]) -> list[str]:
    return sorted(value for value, times in Counter(values).items() if times > 1)
