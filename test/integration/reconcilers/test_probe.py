"""The readiness probe against servers on loopback that speak a few frames of the protocol."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fakes.frame_server import Answer, Server, frame, swallowing
from reconcilers.desired.files import CLOSED_SCRIPT, PROBE_SCRIPT, REMOTING_SCRIPT


def cluster(*addresses: str, name: str = "broker-0") -> bytes:
    """A body of GET_BROKER_CLUSTER_INFO as fastjson writes it, with unquoted numbers as keys."""
    listed = ",".join(f'{index}:"{address}"' for index, address in enumerate(addresses))
    return (
        '{"brokerAddrTable":{"other":{"brokerAddrs":{0:"10.9.9.9:10911"},"brokerName":"other",'
        f'"cluster":"c"}},"{name}":{{"brokerAddrs":{{{listed}}},"brokerName":"{name}",'
        '"cluster":"c","enableActingMaster":false}},"clusterAddrTable":{"c":["broker-0"]}}'
    ).encode()


async def started_probe(tmp_path: Path, *arguments: str) -> asyncio.subprocess.Process:
    (tmp_path / "remoting.sh").write_text(REMOTING_SCRIPT)
    (tmp_path / "closed.sh").write_text(CLOSED_SCRIPT)
    script = tmp_path / "probe.sh"
    script.write_text(PROBE_SCRIPT)
    return await asyncio.create_subprocess_exec(
        "/bin/bash",
        str(script),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def probed(tmp_path: Path, *arguments: str) -> tuple[int | None, str]:
    process = await started_probe(tmp_path, *arguments)
    output, _ = await process.communicate()
    return process.returncode, output.decode()


def configured(tmp_path: Path, port: int, *name_servers: str) -> Path:
    """A broker's file as it is after the broker has rewritten it; of a key the last line counts."""
    conf = tmp_path / "broker.conf"
    conf.write_text(
        "brokerName=evil\nlistenPort=1\n"
        f"listenPort={port}\nnamesrvAddr={';'.join(name_servers)}\n"
        "brokerName=broker-0\nbrokerIP1=b.svc"  # and no line end
    )
    return conf


async def broker_probed(
    tmp_path: Path, answer: Answer, lists: Callable[[int], Answer], *, piece: int = 1 << 20
) -> tuple[int | None, str]:
    """A broker that answers so, and one name server that answers as `lists` says of its port."""
    broker = Server({28: answer})
    async with broker as port, Server({106: lists(port)}, piece) as name_server:
        conf = configured(tmp_path, port, f"127.0.0.1:{name_server}")
        return await probed(tmp_path, "broker", str(conf))


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("code", [0, 1, 16])
async def test_a_broker_that_answers_anything_and_is_listed_is_ready(
    code: int, binary: bool, tmp_path: Path
) -> None:
    result = await broker_probed(
        tmp_path,
        frame(code, b"\x00\xff", binary=binary),
        lambda port: frame(0, cluster("a:1", f"b.svc:{port}"), binary=binary),
    )
    assert result == (0, "")


class Master(Server):
    """Keeps connections open until the other side closes them."""

    def __init__(self) -> None:
        super().__init__({})

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()


async def replica_probed(tmp_path: Path, ha_port: int) -> tuple[int | None, str]:
    """A registered replica whose master replicates on this port."""
    async with Server({28: frame(0)}) as port:
        listed = frame(0, cluster("a:1", f"b.svc:{port}"))
        async with Server({106: listed}) as name_server:
            conf = configured(tmp_path, port, f"127.0.0.1:{name_server}")
            conf.write_text(f"{conf.read_text()}\nbrokerId=1\nhaListenPort={ha_port}\n")
            return await probed(tmp_path, "broker", str(conf))


async def test_a_replica_is_ready_once_it_has_been_connected_to_its_master(tmp_path: Path) -> None:
    async with Master() as ha_port:
        assert await replica_probed(tmp_path, ha_port) == (
            1,
            "not ready: not connected to the master yet\n",
        )
        _, writer = await asyncio.open_connection("127.0.0.1", ha_port)
        assert await replica_probed(tmp_path, ha_port) == (0, "")
        writer.close()
        await writer.wait_closed()
    # The master has gone: its replica still serves.
    assert await replica_probed(tmp_path, ha_port) == (0, "")


@pytest.mark.parametrize("piece", [1, 7])
async def test_an_answer_may_come_in_pieces(piece: int, tmp_path: Path) -> None:
    result = await broker_probed(
        tmp_path, frame(0), lambda port: frame(0, cluster(f"b.svc:{port}")), piece=piece
    )
    assert result == (0, "")


@pytest.mark.parametrize(
    "lists",
    [
        lambda _: frame(0, b'{"brokerAddrTable":{},"clusterAddrTable":{}}'),
        lambda _: frame(0, cluster("10.0.0.1:10911")),
        lambda port: frame(0, cluster(f"xb.svc:{port}")),
        lambda port: frame(0, cluster(f"bxsvc:{port}")),
        lambda port: frame(0, cluster(f"b.svc:{port}1")),
        lambda port: frame(0, cluster(f"b.svc:{port}", name="broker-01")),
        lambda port: frame(1, cluster(f"b.svc:{port}")),
        lambda port: frame(1, cluster(f"b.svc:{port}"), binary=True),
        lambda port: frame(0, cluster(f"b.svc:{port}"))[:-1],
        lambda _: None,
    ],
    ids=[
        "empty",
        "another address",
        "longer host",
        "dot is a dot",
        "longer port",
        "another name",
        "an error",
        "an error in binary",
        "cut short",
        "silent",
    ],
)
async def test_a_broker_that_no_name_server_lists_is_not_ready(
    lists: Callable[[int], Answer], tmp_path: Path
) -> None:
    status, output = await broker_probed(tmp_path, frame(0), lists)
    assert status == 1
    assert "no name server of 127.0.0.1:" in output
    assert "as broker-0" in output


async def test_a_broker_that_does_not_answer_is_not_ready(tmp_path: Path) -> None:
    status, output = await broker_probed(
        tmp_path, None, lambda port: frame(0, cluster(f"b:{port}"))
    )
    assert (status, "does not answer" in output) == (1, True)


async def test_one_name_server_that_lists_it_is_enough(tmp_path: Path) -> None:
    broker, silent = Server({28: frame(0)}), Server({})
    async with broker as port, silent as other:
        lists = Server({106: frame(0, cluster(f"b.svc:{port}"))})
        async with lists as good:
            # The first does not resolve, the second refuses, the third is silent.
            servers = ("ns.invalid:9876", "127.0.0.1:1", f"127.0.0.1:{other}", f"127.0.0.1:{good}")
            conf = configured(tmp_path, port, *servers)
            started = time.monotonic()
            assert await probed(tmp_path, "broker", str(conf)) == (0, "")
            assert time.monotonic() - started < 2
    assert lists.asked == [106]


async def test_a_name_server_that_swallows_connections_does_not_hang_the_probe(
    tmp_path: Path,
) -> None:
    with swallowing() as swallowed:
        async with Server({28: frame(0)}) as port:
            conf = configured(tmp_path, port, f"127.0.0.1:{swallowed}")
            started = time.monotonic()
            status, _ = await probed(tmp_path, "broker", str(conf))
            assert status == 1
            assert time.monotonic() - started < 6


async def test_nothing_holds_the_output_of_a_probe_that_was_killed(tmp_path: Path) -> None:
    with swallowing() as swallowed:
        async with Server({28: frame(0)}) as port:
            conf = configured(tmp_path, port, f"127.0.0.1:{swallowed}")
            process = await started_probe(tmp_path, "broker", str(conf))
            await asyncio.sleep(1)
            assert children(process.pid), "it asks no name server"
            process.kill()
            await asyncio.wait_for(process.communicate(), 2)


def children(pid: int) -> str:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")


async def test_a_large_cluster_is_read_well_within_the_probes_time(tmp_path: Path) -> None:
    def lists(port: int) -> bytes:
        many = b",".join(
            b'"n-%d":{"brokerAddrs":{0:"10.0.0.1:1"},"brokerName":"n-%d","cluster":"c"}' % (i, i)
            for i in range(2000)
        )
        return frame(0, cluster(f"b.svc:{port}").replace(b'"other"', many + b',"other"', 1))

    started = time.monotonic()
    assert await broker_probed(tmp_path, frame(0), lists) == (0, "")
    assert time.monotonic() - started < 4


async def test_before_the_broker_has_a_configuration_it_is_not_ready(tmp_path: Path) -> None:
    status, output = await probed(tmp_path, "broker", str(tmp_path / "none.conf"))
    assert (status, output) == (1, f"not ready: {tmp_path}/none.conf is not there yet\n")
