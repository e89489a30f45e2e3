"""What a RocketMQ server in a pod starts with: its version, who it is, its settings. Pure.

A broker's configuration comes about as `start-broker.sh` makes it, and its keys and defaults are
those that `mqbroker -p` of 4.9.7 and 5.3.3 prints (not all: those that people set). As in the real
ones an unknown key or a value of the wrong kind changes nothing, and nobody says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Literal

import msgspec

from fakes.witness import Object
from rocketmq import properties
from rocketmq.codes import MQVersion

Files = Mapping[str, str]
_TAG = re.compile(r":(?P<version>\d+\.\d+\.\d+)(?:-[\w.-]*)?\Z")
_MASTER = re.compile(r"[ \t]*brokerRole[ \t]*[=: \t][ \t]*(A?SYNC_MASTER)[ \t]*")
_DELAYS = re.compile(r"\d+[smhd]( \d+[smhd])*")
_REFERENCE = re.compile(r"\$\((\w+)\)")

_EVERY_VERSION = """
aclEnable=false autoCreateSubscriptionGroup=true autoCreateTopicEnable=true
brokerClusterName=DefaultCluster brokerFastFailureEnable=true brokerIP1= brokerIP2= brokerId=0
brokerName=localhost brokerPermission=6 brokerRole=ASYNC_MASTER brokerTopicEnable=true
cleanFileForciblyEnable=true clientManageThreadPoolNums=32 clusterTopicEnable=true
compressedRegister=false consumerManageThreadPoolNums=32 defaultTopicQueueNums=8 deleteWhen=04
diskMaxUsedSpaceRatio=75 enableDLegerCommitLog=false enablePropertyFilter=false
fetchNamesrvAddrByAddressServer=false fileReservedTime=72 flushCommitLogTimed=true
flushConsumerOffsetInterval=5000 flushDiskType=ASYNC_FLUSH flushIntervalCommitLog=500
forceRegister=true haHousekeepingInterval=20000 haListenPort=10912 haMasterAddress=
haSendHeartbeatInterval=5000 highSpeedMode=false isolateLogEnable=false listenPort=10911
longPollingEnable=true mappedFileSizeCommitLog=1073741824 mappedFileSizeConsumeQueue=6000000
maxIndexNum=20000000 maxMessageSize=4194304 maxTransferCountOnMessageInMemory=32
messageIndexEnable=true namesrvAddr= notifyConsumerIdsChangedEnable=true
offsetCheckInSlave=false osPageCacheBusyTimeOutMills=1000 pullMessageThreadPoolNums=20
regionId=DefaultRegion registerBrokerTimeoutMills=24000 registerNameServerPeriod=30000
rejectTransactionMessage=false rocketmqHome=/home/rocketmq sendMessageThreadPoolNums=2
sendThreadPoolQueueCapacity=10000 serverChannelMaxIdleTimeSeconds=120 slaveReadEnable=false
storePathCommitLog= storePathRootDir=/home/rocketmq/store syncFlushTimeout=5000 traceOn=true
traceTopicEnable=false transactionCheckInterval=60000 transactionCheckMax=15
transactionTimeOut=6000 transferMsgByHeap=true transientStorePoolEnable=false
transientStorePoolSize=5 useEpollNativeSelector=false waitTimeMillsInPullQueue=5000
waitTimeMillsInSendQueue=200 warmMapedFileEnable=false
"""
_FROM_FIVE = """
allAckInSyncStateSet=false brokerConfigPath= brokerElectionPriority=2147483647
compatibleWithOldNameSrv=true configBlackList=configBlackList;brokerConfigPath controllerAddr=
enableControllerMode=false enableMixedMessageType=false enablePopBatchAck=false
enableSlaveActingMaster=false fetchNameSrvAddrByDnsLookup=false inSyncReplicas=1
metricsExporterType=DISABLE minInSyncReplicas=1 storeType=default timerWheelEnable=true
totalReplicas=1 updateNameServerAddrPeriod=120000 useServerSideResetOffset=true
"""
_DELAY_LEVELS = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h"
_CHOICES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "brokerRole": frozenset({"ASYNC_MASTER", "SYNC_MASTER", "SLAVE"}),
        "flushDiskType": frozenset({"ASYNC_FLUSH", "SYNC_FLUSH"}),
    }
)
_TEXTS = frozenset({"deleteWhen"})  # looks like a number


class NoImageError(Exception):
    """There is no such image: no version of RocketMQ that was ever published is in its tag."""


class NoStartError(Exception):
    """The container ends as soon as it is started, and says why."""


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """What a pod's container runs. `storage` says where a broker keeps its log: what two pods have
    in common survives; with an EmptyDir it is the pod's own."""

    kind: Literal["broker", "name-server"]
    pod: str
    hosts: frozenset[str]
    """The pod's address and its names in DNS."""
    version: MQVersion
    settings: dict[str, str]
    storage: str = ""
    lasting: bool = False
    """Whether the storage outlives the pod."""
    leaving: bool = False
    """Whether the operator is about to remove the broker's group."""

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.settings["listenPort"])


def image_version(image: str) -> MQVersion:
    """The version in an image's tag. Raises NoImageError."""
    found = _TAG.search(image)
    name = f"V{found['version'].replace('.', '_')}" if found else ""
    if name not in MQVersion.__members__:
        raise NoImageError(f"{image}: not found")
    return MQVersion[name]


def server_container(pod: Object) -> Object | None:
    """The container of a pod that runs a RocketMQ server, None in other pods."""
    containers: list[Object] = pod["spec"]["containers"]
    return next((one for one in containers if _script(one)), None)


def config_maps(pod: Object) -> set[str]:
    """The ConfigMaps that a pod mounts."""
    volumes = pod["spec"].get("volumes", ())
    return {volume["configMap"]["name"] for volume in volumes if "configMap" in volume}


def definition(
    pod: Object, address: str, host_ip: str, maps: Mapping[str, Files], claims: Mapping[str, str]
) -> Definition:
    """What the pod runs, from the ConfigMaps that it mounts and the uids of its claims.

    `pod` has a `server_container`. Raises NoImageError and NoStartError.
    """
    container = server_container(pod)
    assert container is not None
    version = image_version(container["image"])
    files = [_mounted(pod, container, path, maps) for path in _arguments(container)]
    if _script(container) == "start-name-server.sh":
        text = "".join(part(files[0], name) for name in ("user.conf", "operator.conf"))
        settings = {"listenPort": "9876"} | _parsed(text)
        kind: Literal["broker", "name-server"] = "name-server"
        storage, lasting = "", False
    else:
        fields = {"status.podIP": address, "status.hostIP": host_ip}
        environment = _environment(pod, container, fields)
        settings = broker_settings(broker_text(files, environment), version)
        kind = "broker"
        storage, lasting = _storage(pod, container, settings["storePathRootDir"], claims)
    return Definition(
        kind=kind,
        pod=pod["metadata"]["name"],
        hosts=frozenset({address, *_dns_names(pod)}),
        version=version,
        settings=settings,
        storage=storage,
        lasting=lasting,
        leaving=_is_leaving(files[0].get("group.conf", ""), settings.get("brokerName", "")),
    )


def _is_leaving(group_conf: str, group: str) -> bool:
    pairs = (line.partition("=") for line in group_conf.splitlines())
    return any(key == "leaving" and group in value.split() for key, _, value in pairs)


def broker_text(files: list[Files], environment: Mapping[str, str]) -> str:
    """broker.conf as `start-broker.sh` makes it; `files` are what its directories hold."""
    config = files[0]
    users = [part(config, "user.conf")]
    if len(files) > 2:
        users.insert(0, part(files[2], "broker-common.conf"))
    role = environment.get("BROKER_ROLE") or _master_role("".join(users))
    identity = {
        "brokerClusterName": environment["BROKER_CLUSTER_NAME"],
        "brokerName": environment["BROKER_NAME"],
        "brokerId": environment["BROKER_ID"],
        "brokerRole": role,
        "brokerIP1": environment["BROKER_IP1"],
        "brokerIP2": environment["BROKER_IP2"],
    }
    ours = part(config, "operator.conf")
    who = "".join(f"{key}={value}\n" for key, value in identity.items())
    return part(config, "defaults.conf") + "".join(users) + ours + who


def broker_settings(text: str, version: MQVersion) -> dict[str, str]:
    """All settings of a broker that was started with this file; an empty one has no value.

    Raises NoStartError when the broker would end at once.
    """
    given = _parsed(text)
    settings = changed_settings(default_settings(version), given)
    if not _DELAYS.fullmatch(settings["messageDelayLevel"]):
        raise NoStartError("parse message delay level failed")
    return settings


def default_settings(version: MQVersion) -> dict[str, str]:
    """The settings of a broker that was started without a file."""
    texts = [_EVERY_VERSION, _FROM_FIVE if version >= MQVersion.V5_0_0 else ""]
    pairs = (entry.partition("=") for entry in " ".join(texts).split())
    return {key: value for key, _, value in pairs} | {"messageDelayLevel": _DELAY_LEVELS}


def changed_settings(settings: Mapping[str, str], changes: Mapping[str, str]) -> dict[str, str]:
    """The settings after these changes: known keys alone, and values of their kind alone."""
    taken = {key: value for key, value in changes.items() if _takes(key, value, settings)}
    return {**settings, **taken}


def part(files: Files, name: str) -> str:
    """One file of several that are joined. Raises NoStartError when it is not there."""
    if name not in files:
        raise NoStartError(f"there is no file {name}")
    return files[name] + "\n\n"


def _takes(key: str, value: str, settings: Mapping[str, str]) -> bool:
    known = settings.get(key)
    if known is None:
        return False
    if key in _CHOICES:
        return value in _CHOICES[key]
    if known in {"true", "false"}:
        return value.lower() in {"true", "false"}
    if known.isdecimal() and key not in _TEXTS:
        return re.fullmatch(r"-?\d+", value) is not None
    return True


def _parsed(text: str) -> dict[str, str]:
    try:
        return properties.parsed(text)
    except properties.PropertiesError as error:
        raise NoStartError(str(error)) from error


def _master_role(text: str) -> str:
    roles = [found[1] for line in text.splitlines() if (found := _MASTER.fullmatch(line))]
    return roles[-1] if roles else "ASYNC_MASTER"


def _script(container: Object) -> str:
    names = [word.rpartition("/")[2] for word in _command(container)]
    return next((name for name in names if name in _SCRIPTS), "")


def _arguments(container: Object) -> list[str]:
    words = _command(container)
    script = next(at for at, word in enumerate(words) if word.rpartition("/")[2] in _SCRIPTS)
    return words[script + 1 :]


def _command(container: Object) -> list[str]:
    return [*container.get("command", ()), *container.get("args", ())]


_SCRIPTS = frozenset({"start-broker.sh", "start-name-server.sh"})


def _mounted(pod: Object, container: Object, path: str, maps: Mapping[str, Files]) -> Files:
    """The files of the ConfigMap that is mounted there; none of another volume."""
    mounts = container.get("volumeMounts", ())
    name = next((one["name"] for one in mounts if one["mountPath"] == path), "")
    volumes = pod["spec"].get("volumes", ())
    source = next((one.get("configMap") for one in volumes if one["name"] == name), None)
    if source is None:
        return {}
    data = maps[source["name"]]
    if "items" not in source:
        return data
    return {item["path"]: data[item["key"]] for item in source["items"] if item["key"] in data}


def _environment(pod: Object, container: Object, fields: Mapping[str, str]) -> dict[str, str]:
    known = {"metadata.name": pod["metadata"]["name"], **fields}
    environment: dict[str, str] = {}
    for entry in container.get("env", ()):
        source = entry.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
        if source in known:
            environment[entry["name"]] = known[source]
        elif "value" in entry:
            environment[entry["name"]] = _REFERENCE.sub(
                lambda found: environment.get(found[1], found[0]), entry["value"]
            )
    return environment


def _dns_names(pod: Object) -> Iterator[str]:
    spec, metadata = pod["spec"], pod["metadata"]
    if spec.get("subdomain"):
        domain = f"{spec.get('hostname', metadata['name'])}.{spec['subdomain']}"
        for rest in ("", f".{metadata['namespace']}", f".{metadata['namespace']}.svc"):
            yield domain + rest
        yield f"{domain}.{metadata['namespace']}.svc.cluster.local"


def _storage(
    pod: Object, container: Object, path: str, claims: Mapping[str, str]
) -> tuple[str, bool]:
    """Names the place where a broker's log is, and whether it outlives the pod."""
    mount = next((one for one in container["volumeMounts"] if one["mountPath"] == path), None)
    volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", ())}
    own = f"pod {pod['metadata']['uid']}"
    if mount is None:
        return own, False
    volume, within = volumes[mount["name"]], mount.get("subPath", "")
    if claim := volume.get("persistentVolumeClaim"):
        return f"claim {claims[claim['claimName']]} {within}", True
    if host_path := volume.get("hostPath"):
        return f"node {pod['spec']['nodeName']} {host_path['path']}/{within}", True
    return own, False
