"""What one name server has registered, asked by one request of the remoting protocol.

It shares nothing with the operator's own code for that protocol, nor with the readiness probe.
"""

from __future__ import annotations

import json
import re
import socket
import struct

import msgspec

NAME_SERVER_PORT = 9876
_GET_BROKER_CLUSTER_INFO = 106
_TIMEOUT_S = 5.0
_BARE_NUMBER = re.compile(rb"([{,])(\d+):")
"""fastjson writes maps with whole numbers as keys without quotes."""


class Registered(msgspec.Struct, frozen=True, order=True):
    """One broker in a name server's table."""

    cluster: str
    broker_name: str
    broker_id: int
    address: str


def registered_brokers(name_server: str) -> set[Registered]:
    """Every broker that the name server at this IP knows; OSError when it does not answer."""
    table = _cluster_info(name_server).table
    return {
        Registered(entry.cluster, name, int(broker_id), address)
        for name, entry in table.items()
        for broker_id, address in entry.addresses.items()
    }


class _Entry(msgspec.Struct, frozen=True):
    cluster: str
    addresses: dict[str, str] = msgspec.field(name="brokerAddrs")


class _ClusterInfo(msgspec.Struct, frozen=True):
    table: dict[str, _Entry] = msgspec.field(name="brokerAddrTable")


def _cluster_info(name_server: str) -> _ClusterInfo:
    header = {"code": _GET_BROKER_CLUSTER_INFO, "language": "OTHER", "version": 0, "opaque": 1}
    text = json.dumps({**header, "flag": 0}).encode()
    with socket.create_connection((name_server, NAME_SERVER_PORT), _TIMEOUT_S) as connection:
        connection.sendall(struct.pack(">II", len(text) + 4, len(text)) + text)
        (length,) = struct.unpack(">I", _read(connection, 4))
        frame = _read(connection, length)
    (header_length,) = struct.unpack(">I", b"\0" + frame[1:4])
    answer = json.loads(frame[4 : 4 + header_length])
    assert answer["code"] == 0, answer
    body = _BARE_NUMBER.sub(rb'\1"\2":', frame[4 + header_length :])
    return msgspec.json.decode(body, type=_ClusterInfo)


def _read(connection: socket.socket, count: int) -> bytes:
    read = b""
    while len(read) < count:
        more = connection.recv(count - len(read))
        if not more:
            raise ConnectionError("the name server closed the connection")
        read += more
    return read
