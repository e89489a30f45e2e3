"""Judges at the end of a run whether the operator's rights are just those that the run used.

Every process of a run has a control plane of its own and hands over what its operators asked for;
the verdict is about all of them together, and is shown and counted like a test. There is none where
a test file of the whole operator was left out, for the rights that it uses would look unused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fakes.audit_log import Call
from fakes.witness import Object

Right = tuple[str, str, str]
"""Group, resource or resource/subresource, and verb: as RBAC rules name them."""

UNUSED: Mapping[Right, str] = {
    ("rocketmq.apache.org", "brokers/finalizers", "update"): "asked for by OpenShift's admission",
    ("rocketmq.apache.org", "nameservices/finalizers", "update"): "the same",
}
"""Rights that no test can use, each with its reason."""

VERDICT = "the operator has the rights that it uses and no others"
_APPLIED_NEW = ("patch", 201)
_RULES = "reconcilers/rbac.py, then `make generate`"
_HANDED_OVER = "rights_used"


class Asked(msgspec.Struct, frozen=True):
    """What operators asked of an API server, and what of that it refused."""

    rights: frozenset[Right] = frozenset()
    refused: tuple[str, ...] = ()

    def __or__(self, other: Asked) -> Asked:
        return Asked(self.rights | other.rights, self.refused + other.refused)


def asked_for(calls: Iterable[Call]) -> Asked:
    """The rights that these calls need."""
    made = list(calls)
    rights = {(one.group, one.what, one.verb) for one in made}
    # An apply that makes an object needs the right to create it, too.
    rights |= {
        (one.group, one.what, "create") for one in made if (one.verb, one.code) == _APPLIED_NEW
    }
    return Asked(frozenset(rights), tuple(str(one) for one in made if one.forbidden))


def granted_by(role: Object) -> set[Right]:
    """The rights that a ClusterRole grants."""
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def complaints(granted: set[Right], asked: Asked, unused: Iterable[Right]) -> list[str]:
    """What is wrong with the rights granted, and where to change it; empty when nothing is."""
    excused = set(unused)
    return [
        *(f"refused: {one}; correct {_RULES}" for one in asked.refused),
        *_each("used but not granted", asked.rights - granted, f"add it to {_RULES}"),
        *_each("granted but not used", granted - asked.rights - excused, f"remove it in {_RULES}"),
        *_each("used, though UNUSED says otherwise", excused & asked.rights, f"correct {__file__}"),
        *_each("in UNUSED, but not granted", excused - granted, f"correct {__file__}"),
    ]


def _each(what: str, rights: Iterable[Right], remedy: str) -> list[str]:
    return [
        f"{what}: {verb} {name} ({group or 'core'}); {remedy}"
        for group, name, verb in sorted(rights)
    ]


class RightsUsed:
    """The pytest plug-in: `record` in each process, one verdict in the one that reports."""

    def __init__(
        self, config: pytest.Config, files: Iterable[Path], roles: Iterable[Object]
    ) -> None:
        self._files = {path.relative_to(config.rootpath).as_posix() for path in files}
        self._granted = {right for role in roles for right in granted_by(role)}
        self._asked = Asked()
        self._ran: set[str] = set()

    def record(self, calls: Iterable[Call]) -> None:
        """Remember the operators' calls, before the control plane and its log go."""
        self._asked |= asked_for(calls)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note which files were run; this process hears of the tests of all others, too."""
        self._ran.add(report.nodeid.partition("::")[0])

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what another process of this run recorded; one that crashed left nothing."""
        left: Mapping[str, bytes] = getattr(node, "workeroutput", {})
        if _HANDED_OVER in left:
            self._asked |= msgspec.json.decode(left[_HANDED_OVER], type=Asked)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Hand over, or judge: by now all fixtures are torn down."""
        handed_over: dict[str, bytes] | None = getattr(session.config, "workeroutput", None)
        if handed_over is not None:
            handed_over[_HANDED_OVER] = msgspec.json.encode(self._asked)
        elif self._files & self._ran:
            self._judge(session)

    def _judge(self, session: pytest.Session) -> None:
        found = complaints(self._granted, self._asked, UNUSED)
        missing = sorted(self._files - self._ran)
        if missing:
            self._report(session, "skipped", (__file__, 0, f"not run: {', '.join(missing)}"))
        elif found:
            self._report(session, "failed", "\n".join(found))
            if session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
        else:
            self._report(session, "passed", None)

    def _report(self, session: pytest.Session, outcome: Any, words: Any) -> None:
        folder = min(self._files).rpartition("/")[0]
        report = pytest.TestReport(
            nodeid=f"{folder}::{VERDICT}",
            location=(folder, None, VERDICT),
            keywords={},
            outcome=outcome,
            longrepr=words,
            when="call",
        )
        session.config.hook.pytest_runtest_logreport(report=report)
