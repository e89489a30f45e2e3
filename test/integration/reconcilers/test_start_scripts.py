"""The start scripts as a pod runs them, in front of a server that only looks like RocketMQ."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconcilers.desired.files import (
    CLOSED_SCRIPT,
    DIRECTORIES_SCRIPT,
    SERVER_SCRIPT,
    START_BROKER_SCRIPT,
    START_NAME_SERVER_SCRIPT,
)
from rocketmq.properties import parsed

LIMIT_S = 20

# As the stock scripts do: a shell for each step, `java -version` first, and no exec.
MQ = 'sh "$ROCKETMQ_HOME/bin/run.sh" "$@"\n'
RUN = """\
"$ROCKETMQ_HOME/bin/java" -version
"$ROCKETMQ_HOME/bin/java" ${JAVA_OPT_EXT} "$@"
"""
# A script's process is called like its file: java.
JAVA = """\
#!/bin/bash
if [ "$1" = -version ]; then
  [ -z "${SLOW_VERSION:-}" ] && exit
  touch "$ROCKETMQ_HOME/asked"
  sleep 30 >/dev/null 2>&1 &
  wait
fi
echo "$@" >"$ROCKETMQ_HOME/arguments"
trap 'echo stopped >"$ROCKETMQ_HOME/stopped"; kill "$sleeper"; exit 42' TERM
sleep 60 &
sleeper=$!
touch "$ROCKETMQ_HOME/running"
wait
"""

IDENTITY = {
    "BROKER_CLUSTER_NAME": "broker",
    "BROKER_NAME": "broker-0",
    "BROKER_ID": "0",
    "BROKER_IP1": "127.0.0.1",
    "BROKER_IP2": "127.0.0.1",
    "POD_IP": "127.0.0.1",
    "ADDRESS_TIMEOUT_S": "1",
}

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """ROCKETMQ_HOME, a ConfigMap's directory `config`, and `run`, in one folder."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "config").mkdir()
    (tmp_path / "run").mkdir()
    for name, text in {"mqbroker": MQ, "mqnamesrv": MQ, "run.sh": RUN, "java": JAVA}.items():
        (tmp_path / "bin" / name).write_text(text)
    (tmp_path / "bin/java").chmod(0o755)
    files = {
        "server.sh": SERVER_SCRIPT,
        "start-broker.sh": START_BROKER_SCRIPT,
        "start-name-server.sh": START_NAME_SERVER_SCRIPT,
        "directories.sh": DIRECTORIES_SCRIPT,
        "closed.sh": CLOSED_SCRIPT,
        "defaults.conf": "a=default\nb=default\n",
        "user.conf": "b=spec\n",
        "operator.conf": "listenPort=10911\nnamesrvAddr=ns:9876\n",
    }
    for name, text in files.items():
        (tmp_path / "config" / name).write_text(text)
    return tmp_path


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def run(script: str, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        environment = {"PATH": os.environ["PATH"], "ROCKETMQ_HOME": str(home), **IDENTITY}
        given = {k: v for k, v in (environment | variables).items() if v}
        process = subprocess.Popen(  # noqa: S603 - the scripts under test
            ["/bin/bash", str(home / "config" / script), str(home / "config"), *arguments],
            env=given,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} did not come about"
        time.sleep(0.02)  # noqa: TID251 - another process is waited for


def started_conf(home: Path, start: Start, common: str | None = None, **variables: str) -> str:
    directory = home / "common"
    arguments = [str(home / "run")]
    if common is not None:
        directory.mkdir()
        (directory / "broker-common.conf").write_text(common, encoding="latin-1")
        arguments.append(str(directory))
    process = start("start-broker.sh", *arguments, **variables)
    wait_for(home / "running")
    process.terminate()
    process.wait(LIMIT_S)
    return (home / "run/broker.conf").read_text(encoding="latin-1")


def test_a_sigterm_reaches_java_and_its_status_is_ours(home: Path, start: Start) -> None:
    process = start("start-broker.sh", str(home / "run"))
    wait_for(home / "running")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=LIMIT_S)
    assert (home / "stopped").read_text() == "stopped\n"
    assert process.returncode == 42
    assert "SIGTERM passed to java" in output


def test_a_sigterm_during_the_first_steps_is_not_lost(home: Path, start: Start) -> None:
    process = start("start-broker.sh", str(home / "run"), SLOW_VERSION="yes")
    wait_for(home / "asked")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=LIMIT_S)
    assert output.count("SIGTERM passed to java") >= 1
    assert process.returncode != 0


def test_a_server_that_ends_by_itself_gives_its_status(home: Path, start: Start) -> None:
    (home / "bin/java").write_text("#!/bin/bash\nexit 7\n")
    process = start("start-name-server.sh", str(home / "run"))
    output, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 7
    assert "mqnamesrv ended with status 7" in output


def test_a_name_servers_configuration_ends_with_our_keys(home: Path, start: Start) -> None:
    (home / "config/user.conf").write_text("listenPort=1\norderMessageEnable=true\\")
    process = start("start-name-server.sh", str(home / "run"))
    wait_for(home / "running")
    process.terminate()
    process.wait(LIMIT_S)
    assert parsed((home / "run/namesrv.conf").read_text()) == {
        "listenPort": "10911",
        "orderMessageEnable": "true",
        "namesrvAddr": "ns:9876",
    }


@pytest.mark.parametrize("ending", ["", "\n", "\r\n", "\\", "\\\n", "\\\\\n", "\n# \\\n"])
def test_no_ending_of_the_users_file_swallows_what_follows(
    ending: str, home: Path, start: Start
) -> None:
    conf = parsed(started_conf(home, start, "brokerName=evil\nb=file\nc=file" + ending))
    assert conf["a"] == "default"
    assert conf["b"] == "spec"
    assert conf["c"].rstrip("\\") == "file"
    assert conf["brokerName"] == "broker-0"
    assert conf["brokerId"] == "0"
    assert conf["namesrvAddr"] == "ns:9876"


@pytest.mark.parametrize(
    ("common", "spec", "fixed", "role"),
    [
        (None, "", "", "ASYNC_MASTER"),
        ("brokerRole=SYNC_MASTER", "", "", "SYNC_MASTER"),
        ("brokerRole = SYNC_MASTER\r\nx=1", "", "", "SYNC_MASTER"),
        ("brokerRole: SYNC_MASTER", "", "", "SYNC_MASTER"),
        ("# brokerRole=SYNC_MASTER", "", "", "ASYNC_MASTER"),
        ("brokerRole=SLAVE", "", "", "ASYNC_MASTER"),
        ("brokerRole=SYNC_MASTER\nbrokerRole=SLAVE", "", "", "SYNC_MASTER"),
        ("brokerRole=SYNC_MASTER", "brokerRole=ASYNC_MASTER\n", "", "ASYNC_MASTER"),
        ("brokerRole=ASYNC_MASTER", "", "SYNC_MASTER", "SYNC_MASTER"),
        ("brokerRole=SYNC_MASTER", "brokerRole=SYNC_MASTER\n", "SLAVE", "SLAVE"),
    ],
)
def test_the_role_is_the_specs_or_else_a_masters_that_the_files_name(
    common: str | None, spec: str, fixed: str, role: str, home: Path, start: Start
) -> None:
    (home / "config/user.conf").write_text(spec)
    conf = parsed(started_conf(home, start, common, BROKER_ROLE=fixed))
    assert conf["brokerRole"] == role


@pytest.mark.parametrize(
    ("variables", "options"),
    [
        ({}, "-Dours -Xms1g -Xmx1g"),
        ({"JAVA_OPT_EXT": "-Da=b"}, "-Dours -Xms1g -Xmx1g -Da=b"),
        ({"JAVA_OPT_EXT": "-Xmx2g"}, "-Dours -Xms0 -Xmx2g"),
        ({"BROKER_MEM": "-Xms2g -Xmx2g"}, "-Dours -Xms0 -Xms2g -Xmx2g"),
        ({"HEAP_OPTS": "-Xmx3g", "JAVA_OPT_EXT": "-Da=b"}, "-Dours -Xms0 -Xmx3g -Da=b"),
    ],
)
def test_the_users_java_options_come_last_and_their_heap_replaces_ours(
    variables: dict[str, str], options: str, home: Path, start: Start
) -> None:
    ours = {"OPERATOR_JVM_OPTIONS": "-Dours", "OPERATOR_JVM_HEAP": "-Xms1g -Xmx1g"}
    started_conf(home, start, **ours, **variables)
    arguments = (home / "arguments").read_text().split(" -c ")[0].split()
    assert arguments == options.split()


def failure(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 1
    return output


def test_an_image_of_another_layout_is_refused_in_plain_words(home: Path, start: Start) -> None:
    run = str(home / "run")
    assert "ROCKETMQ_HOME is not set" in failure(start("start-broker.sh", run, ROCKETMQ_HOME=""))
    (home / "bin/mqnamesrv").unlink()
    assert "bin/mqnamesrv is missing" in failure(start("start-name-server.sh", run))


def test_a_broker_does_not_start_without_the_configuration_that_it_was_given(
    home: Path, start: Start
) -> None:
    process = start("start-broker.sh", str(home / "run"), str(home / "nowhere"))
    assert "no file broker-common.conf" in failure(process)


def test_a_broker_does_not_start_under_a_name_that_nobody_can_resolve(
    home: Path, start: Start
) -> None:
    process = start("start-broker.sh", str(home / "run"), BROKER_IP2="broker.invalid")
    assert "broker.invalid does not resolve" in failure(process)


def test_a_name_that_still_leads_elsewhere_is_taken_after_a_while(home: Path, start: Start) -> None:
    process = start(
        "start-broker.sh", str(home / "run"), BROKER_IP2="localhost", POD_IP="127.0.0.99"
    )
    wait_for(home / "running")
    process.terminate()
    output, _ = process.communicate(timeout=LIMIT_S)
    assert "localhost resolves to" in output


def test_directories_are_given_to_the_server_once(home: Path) -> None:
    owner = f"{os.getuid()}:{os.getgid()}"
    command = ["/bin/bash", str(home / "config/directories.sh"), owner, str(home / "run")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    assert done.stdout == ""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_what_is_in_a_directory_is_given_away_with_it(home: Path) -> None:
    (home / "run/old").write_text("data")
    command = ["/bin/bash", str(home / "config/directories.sh"), "3000:3001", str(home / "run")]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603
    for path in (home / "run", home / "run/old"):
        assert (path.stat().st_uid, path.stat().st_gid) == (3000, 3001)
