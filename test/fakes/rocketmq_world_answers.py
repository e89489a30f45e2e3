"""What the servers of the world answer to admin requests: bodies as the real ones write them. Pure.

Facts: the remoting dossier, 1.4, 2.1, 2.2 (with bodies seen from 4.9.8 and 5.1.3). A code that a
server does not know is answered with 3; name servers before 5.0 do not answer it at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from fakes.rocketmq_world_backlog import answer as backlog_answer
from fakes.rocketmq_world_model import Broker, Entry, Model, NameServer, Server
from fakes.rocketmq_world_tables import answer as tables_answer
from rocketmq import properties
from rocketmq.codes import MQVersion, RequestCode, ResponseCode
from rocketmq.frames import Frame
from rocketmq.routes import MASTER_ID, WRITE

_RESPONSE = 1
_IN_SYNC_BYTES = 256 << 20

_Answer = tuple[int, str, dict[str, str], bytes]
"""Code, remark, header fields and body."""


def answer(model: Model, server: Server, request: Frame, now: float) -> Frame | None:
    """The response, after the request has had its effect; None is silence."""
    if server.faults.hung:
        return None
    version = server.definition.version
    if request.code in server.faults.answers:
        code, remark = server.faults.answers[request.code]
        return Frame(code, request.opaque, _RESPONSE, version, remark)
    found: _Answer | None
    if isinstance(server, NameServer):
        found = _of_name_server(server, request)
    else:
        found = _of_broker(model, server, request, now)
    if found is None:
        return None
    code, remark, fields, body = found
    return Frame(code, request.opaque, _RESPONSE, version, remark, fields, body)


def cluster_info(server: NameServer) -> str:
    """The body of 106: brokerIds are keys without quotes."""
    groups = _groups(server)
    sets = ",".join(
        f'"{name}":{{"brokerAddrs":{{{_addresses(entries, quoted=False)}}},"brokerName":"{name}",'
        f'"cluster":"{_cluster(entries)}"{_acting_master(server)}}}'
        for name, entries in groups.items()
    )
    clusters: dict[str, list[str]] = {}
    for name, entries in groups.items():
        clusters.setdefault(_cluster(entries), []).append(name)
    names = json.dumps(clusters, separators=(",", ":"))
    return f'{{"brokerAddrTable":{{{sets}}},"clusterAddrTable":{names}}}'


def _acting_master(server: NameServer) -> str:
    return ',"enableActingMaster":false' if _five(server) else ""


def _of_name_server(server: NameServer, request: Frame) -> _Answer | None:
    match request.code:
        case RequestCode.GET_BROKER_CLUSTER_INFO:
            return _ok(cluster_info(server).encode())
        case RequestCode.GET_ROUTEINFO_BY_TOPIC:
            return _route(server, request)
        case RequestCode.WIPE_WRITE_PERM_OF_BROKER:
            return _permission(server, request, "wipeTopicCount", server.wiped.add)
        case RequestCode.ADD_WRITE_PERM_OF_BROKER if _version(server) >= MQVersion.V4_9_2:
            return _permission(server, request, "addTopicCount", server.wiped.discard)
        case code:
            return _unknown(code) if _five(server) else None


def _of_broker(model: Model, broker: Broker, request: Frame, now: float) -> _Answer:
    match request.code:
        case RequestCode.GET_BROKER_RUNTIME_INFO:
            return _runtime_info(model, broker, now)
        case RequestCode.GET_BROKER_CONFIG:
            version = {"counter": broker.settings_changes, "timestamp": _ms(now)}
            state = {"stateVersion": 0} if _five(broker) else {}
            fields = {"version": json.dumps(version | state, separators=(",", ":"))}
            return ResponseCode.SUCCESS, "", fields, _written(broker.settings)
        case RequestCode.UPDATE_BROKER_CONFIG:
            return _update(model, broker, request, now)
        case RequestCode.GET_BROKER_HA_STATUS if _five(broker):
            return _ok(json.dumps(_ha_status(model, broker)).encode())
        case code:
            names = (broker.name, broker.settings["brokerClusterName"])
            found = tables_answer(broker.tables, names, _version(broker), request)
            held = model.held.get(broker.name)
            found = found or backlog_answer(held, broker.name, request)
            return found or _unknown(code)


def _route(server: NameServer, request: Frame) -> _Answer:
    """Every topic is on every group: the world has no topics."""
    groups = _groups(server)
    if not groups:
        topic = request.ext_fields.get("topic", "")
        remark = f"No topic route info in name server for the topic: {topic}"
        return ResponseCode.TOPIC_NOT_EXIST, remark, {}, b""
    standard = request.version >= MQVersion.V4_9_4 and _version(server) >= MQVersion.V4_9_4
    sets = ",".join(
        f'{{"brokerAddrs":{{{_addresses(entries, quoted=standard)}}},"brokerName":"{name}",'
        f'"cluster":"{_cluster(entries)}"}}'
        for name, entries in groups.items()
    )
    flag = "topicSysFlag" if _version(server) >= MQVersion.V4_9_0 else "topicSynFlag"
    queues = [
        {
            "brokerName": name,
            "perm": _group_permission(server, name, entries),
            "readQueueNums": 8,
            flag: 0,
            "writeQueueNums": 8,
        }
        for name, entries in groups.items()
    ]
    text = json.dumps(queues, separators=(",", ":"))
    body = f'{{"brokerDatas":[{sets}],"filterServerTable":{{}},"queueDatas":{text}}}'
    return _ok(body.encode())


def _group_permission(server: NameServer, name: str, entries: Mapping[int, Entry]) -> int:
    permission = entries[min(entries)].permission
    return permission & ~WRITE if name in server.wiped else permission


def _permission(
    server: NameServer, request: Frame, field: str, note: Callable[[str], None]
) -> _Answer:
    name = request.ext_fields.get("brokerName", "")
    known = name in _groups(server)
    if known:
        note(name)
    return ResponseCode.SUCCESS, "", {field: "1" if known else "0"}, b""


def _runtime_info(model: Model, broker: Broker, now: float) -> _Answer:
    if not _five(broker) and now - broker.booted_at < model.timing.samples_s:
        return ResponseCode.SYSTEM_ERROR, "java.lang.NullPointerException", {}, b""
    end = broker.log.end
    name = broker.definition.version.name
    table = {
        "bootTimestamp": str(_ms(broker.booted_at)),
        "brokerVersion": str(int(broker.definition.version)),
        "brokerVersionDesc": name,
        "commitLogDirCapacity": "Total : 10.0 GiB, Free : 8.0 GiB.",
        "commitLogDiskRatio": "0.2",
        "commitLogMaxOffset": str(end),
        "commitLogMinOffset": "0" if end else "-1",
        "dispatchBehindBytes": "0",
        "earliestMessageTimeStamp": "-1",
        "getTransferredTps" if _five(broker) else "getTransferedTps": "0.0 0.0 0.0",
        "msgPutTotalTodayMorning": "0",
        "msgPutTotalTodayNow": "0",
        "pageCacheLockTimeMills": "0",
        "pullThreadPoolQueueSize": "0",
        "putTps": "0.0 0.0 0.0",
        "remainHowManyDataToFlush": "0 B",
        "runtime": "[ 0 days, 0 hours, 0 minutes, 1 seconds ]",
        "sendThreadPoolQueueSize": "0",
    }
    if _five(broker):
        table["brokerActive"] = "true" if broker.id == MASTER_ID else "false"
        table |= {"timerOffsetBehind": "0", "timerCongestNum": "0"}
    return _ok(json.dumps({"table": table}, separators=(",", ":")).encode())


def _update(model: Model, broker: Broker, request: Frame, now: float) -> _Answer:
    try:
        changes = properties.parsed(request.body.decode())
    except (properties.PropertiesError, UnicodeError):
        return ResponseCode.SYSTEM_ERROR, "string2Properties error", {}, b""
    if "brokerConfigPath" in changes and _five(broker):
        return ResponseCode.NO_PERMISSION, "Can not update config in black list.", {}, b""
    if changes:
        model.change_settings(broker, changes, now)
    return _ok(b"")


def _ha_status(model: Model, broker: Broker) -> dict[str, object]:
    master = broker.id == MASTER_ID
    own = {
        "lastReadTimestamp": 0,
        "lastWriteTimestamp": 0,
        "masterFlushOffset": 0,
        "maxOffset": 0 if master else broker.log.end,
        "transferredByteInSecond": 0,
    }
    if broker.connected:
        own["masterAddr"] = broker.master.rpartition(":")[0] + ":10912"  # type: ignore[assignment]
    lines = [
        {
            "addr": f"{min(one.definition.hosts)}:40240",
            "diff": broker.log.end - one.log.end,
            "inSync": broker.log.end - one.log.end < _IN_SYNC_BYTES,
            "slaveAckOffset": one.log.end,
            "transferFromWhere": one.log.end,
            "transferredByteInSecond": 0,
        }
        for one in model.brokers
        if master and one.connected and one.name == broker.name and one.id != MASTER_ID
    ]
    return {
        "haClientRuntimeInfo": own,
        "haConnectionInfo": lines,
        "inSyncSlaveNums": sum(bool(line["inSync"]) for line in lines),
        "master": master,
        "masterCommitLogMaxOffset": broker.log.end if master else 0,
    }


def _groups(server: NameServer) -> dict[str, dict[int, Entry]]:
    groups: dict[str, dict[int, Entry]] = {}
    for (name, id_), entry in sorted(server.known.items()):
        groups.setdefault(name, {})[id_] = entry
    return groups


def _cluster(entries: Mapping[int, Entry]) -> str:
    return next(iter(entries.values())).cluster


def _addresses(entries: Mapping[int, Entry], *, quoted: bool) -> str:
    mark = '"' if quoted else ""
    return ",".join(f'{mark}{id_}{mark}:"{one.address}"' for id_, one in entries.items())


def _written(settings: Mapping[str, str]) -> bytes:
    """As a server writes its settings: nothing escaped, and without those that have no value."""
    return "".join(f"{key}={value}\n" for key, value in settings.items() if value).encode()


def _unknown(code: int) -> _Answer:
    remark = f" request type {code} not supported"
    return ResponseCode.REQUEST_CODE_NOT_SUPPORTED, remark, {}, b""


def _ok(body: bytes) -> _Answer:
    return ResponseCode.SUCCESS, "", {}, body


def _version(server: Server) -> MQVersion:
    return server.definition.version


def _five(server: Server) -> bool:
    return server.definition.version >= MQVersion.V5_0_0


def _ms(now: float) -> int:
    return int(now * 1000)
