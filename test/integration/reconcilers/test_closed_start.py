"""Masters that start closed because their store is new, or because their group had left.

Real scripts in front of a server that only looks like RocketMQ: it opens the file that it is given
as the broker does, by writing it anew, when the test says so.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fakes.waiting import eventually
from reconcilers.desired.files import (
    CLOSED_SCRIPT,
    PROBE_SCRIPT,
    REMOTING_SCRIPT,
    SERVER_SCRIPT,
    START_BROKER_SCRIPT,
)
from rocketmq.properties import parsed

LIMIT_S = 20.0
JAVA = """\
#!/bin/bash
trap 'exit 0' TERM
touch "$ROCKETMQ_HOME/running"
while :; do read -r -t 0.1 <> <(:); done
"""
MARKER = "rocketmq-operator-closed"


class Master:
    """One pod after the other of the same master, with its store."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.store = home / "store"
        self._process: subprocess.Popen[str] | None = None

    @property
    def marker(self) -> str:
        """What the marker says; empty when there is none."""
        path = self.store / MARKER
        return path.read_text().strip() if path.exists() else ""

    @property
    def permission(self) -> str | None:
        """The brokerPermission that it was started with, or was given since."""
        return parsed((self.home / "run/broker.conf").read_text()).get("brokerPermission")

    def start(self, **variables: str) -> str | None:
        """A container begins; returns the permission of its start."""
        identity = {
            "BROKER_CLUSTER_NAME": "broker",
            "BROKER_NAME": "broker-0",
            "BROKER_ID": "0",
            "BROKER_IP1": "127.0.0.1",
            "BROKER_IP2": "127.0.0.1",
            "POD_IP": "127.0.0.1",
        }
        environment = {"PATH": os.environ["PATH"], "ROCKETMQ_HOME": str(self.home)}
        (self.home / "running").unlink(missing_ok=True)
        script = ["/bin/bash", str(self.home / "config/start-broker.sh")]
        self._process = subprocess.Popen(  # noqa: S603 - the script under test
            [*script, str(self.home / "config"), str(self.home / "run")],
            env=environment | identity | variables,
            text=True,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        eventually(self._runs, within_s=LIMIT_S)
        return self.permission

    def _runs(self) -> None:
        assert self._process is not None
        if self._process.poll() is not None:
            raise ChildProcessError
        assert (self.home / "running").exists()

    def use(self) -> None:
        """The broker writes what brokers write."""
        (self.store / "config").mkdir(exist_ok=True)
        (self.store / "config/topics.json").write_text("{}")

    def tell(self, permission: str) -> None:
        """The broker is told this permission, and writes its file anew."""
        path = self.home / "run/broker.conf"
        known = parsed(path.read_text()) | {"brokerPermission": permission}
        path.write_text("".join(f"{key}={value}\n" for key, value in known.items()))

    def probe(self) -> None:
        """The kubelet asks whether it is ready: nobody listens."""
        script = str(self.home / "config/probe.sh")
        conf = str(self.home / "run/broker.conf")
        subprocess.run(  # noqa: S603 - the script under test
            ["/bin/bash", script, "broker", conf], check=False, capture_output=True
        )

    def stop(self) -> None:
        """SIGTERM, and the pod with its writable folder is gone."""
        self.end(signal.SIGTERM)
        (self.home / "run/broker.conf").unlink()

    def end(self, number: signal.Signals) -> None:
        """The container ends; its pod stays."""
        if self._process is None or self._process.poll() is not None:
            return
        if number == signal.SIGKILL:
            os.killpg(self._process.pid, number)
        else:
            self._process.send_signal(number)
        self._process.wait(LIMIT_S)
        self._process = None

    def operator_says(self, **lines: str) -> None:
        """The files of the ConfigMap that differ between moments."""
        text = "".join(f"{key}={value}\n" for key, value in lines.items())
        (self.home / "config/group.conf").write_text(text)

    def user_says(self, text: str) -> None:
        """The user's keys."""
        (self.home / "config/user.conf").write_text(text)


@pytest.fixture
def master(tmp_path: Path) -> Iterator[Master]:
    for folder in ("bin", "config", "run", "store"):
        (tmp_path / folder).mkdir()
    (tmp_path / "bin/mqbroker").write_text('exec "$ROCKETMQ_HOME/bin/java"\n')
    (tmp_path / "bin/java").write_text(JAVA)
    (tmp_path / "bin/java").chmod(0o755)
    files = {
        "server.sh": SERVER_SCRIPT,
        "start-broker.sh": START_BROKER_SCRIPT,
        "closed.sh": CLOSED_SCRIPT,
        "probe.sh": PROBE_SCRIPT,
        "remoting.sh": REMOTING_SCRIPT,
        "defaults.conf": "",
        "user.conf": "",
        "operator.conf": f"listenPort=1\nnamesrvAddr=\nstorePathRootDir={tmp_path}/store\n",
        "group.conf": "replicas=0\n",
    }
    for name, text in files.items():
        (tmp_path / "config" / name).write_text(text)
    made = Master(tmp_path)
    yield made
    made.end(signal.SIGKILL)


def test_a_master_with_a_new_store_starts_closed_until_it_was_opened(master: Master) -> None:
    assert master.start() == "1"
    master.use()
    master.probe()
    master.stop()
    assert (master.start(), master.marker) == ("1", "new"), "nobody has opened it yet"
    master.tell("6")
    master.stop()
    assert (master.start(), master.marker) == (None, "")


@pytest.mark.parametrize("noted", ["by the probe", "by the next container"])
def test_that_it_was_opened_is_noted_also_when_it_ends_without_a_word(
    noted: str, master: Master
) -> None:
    master.start()
    master.use()
    master.tell("6")
    if noted == "by the probe":
        master.probe()
        assert master.marker == ""
    master.end(signal.SIGKILL)
    assert (master.start(), master.marker) == (None, "")


@pytest.mark.parametrize("data", ["commitlog/00000000000000000000", "config/topics.json"])
def test_a_store_that_was_used_is_never_closed(data: str, master: Master) -> None:
    (master.store / data).parent.mkdir()
    (master.store / data).write_text("")
    assert (master.start(), master.marker) == (None, "")


def test_a_replica_is_never_closed(master: Master) -> None:
    assert (master.start(BROKER_ID="1", BROKER_ROLE="SLAVE"), master.marker) == (None, "")
    master.probe()
    master.stop()
    assert master.marker == ""


@pytest.mark.parametrize("key", ["aclEnable", "authenticationEnabled", "authorizationEnabled"])
def test_a_broker_that_the_operator_could_not_open_starts_open(key: str, master: Master) -> None:
    master.user_says(f"{key}=true\n")
    assert (master.start(), master.marker) == (None, "")


def test_a_users_permission_does_not_open_it(master: Master) -> None:
    master.user_says("brokerPermission=6\n")
    assert master.start() == "1"


@pytest.mark.parametrize(("own", "given"), [("", "4"), ("brokerPermission=2\n", "0")])
def test_a_group_that_is_to_go_takes_no_writes_when_it_starts(
    own: str, given: str, master: Master
) -> None:
    master.use()
    master.user_says(own)
    master.operator_says(leaving="other broker-0")
    assert master.start() == given
    master.probe()
    assert master.marker == "left"
    master.end(signal.SIGKILL)
    assert master.start() == given, "its messages are still to be consumed"


@pytest.mark.parametrize("others", ["broker-01", "broker-00 xbroker-0", ""])
def test_the_names_of_other_groups_mean_nothing(others: str, master: Master) -> None:
    master.use()
    master.operator_says(leaving=others)
    assert master.start() is None


def test_a_group_that_comes_back_after_it_left_starts_closed(master: Master) -> None:
    master.use()
    master.start()
    master.operator_says(leaving="broker-0")
    master.tell("4")
    master.stop()
    master.operator_says(leaving="")
    assert (master.start(), master.marker) == ("1", "left")
    master.tell("6")
    master.stop()
    assert master.start() is None


@pytest.mark.parametrize("noted", [Master.probe, Master.stop])
def test_a_group_that_may_stay_after_all_is_not_closed_at_its_next_start(
    noted: Callable[[Master], None], master: Master
) -> None:
    master.use()
    master.operator_says(leaving="broker-0")
    master.start()
    master.operator_says(leaving="")
    master.tell("6")
    noted(master)
    assert master.marker == ""


def test_a_group_that_is_to_go_before_it_was_opened_stays_closed(master: Master) -> None:
    master.start()
    master.operator_says(leaving="broker-0")
    master.stop()
    assert (master.start(), master.marker) == ("1", "new")


def test_a_marker_that_cannot_be_written_keeps_the_broker_from_starting_open(
    master: Master,
) -> None:
    (master.store / MARKER).mkdir()
    with pytest.raises(ChildProcessError):
        master.start()
