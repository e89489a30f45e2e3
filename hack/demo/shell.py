"""Runs the programs of the host that the demo is made of: hack/cluster, kubectl, deploy.sh."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class DemoError(Exception):
    """The demo cannot go on; the text is for the user."""


def run(
    command: Sequence[str | Path], *, environment: Mapping[str, str] | None = None, given: str = ""
) -> str:
    """The command's standard output; its standard error goes to ours. DemoError if it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words,
        check=False,
        stdout=subprocess.PIPE,
        input=given,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    if done.returncode:
        raise DemoError(f"`{' '.join(words)}` ended with {done.returncode}\n{done.stdout}".strip())
    return done.stdout


def cluster_tool(root: Path, *words: str) -> str:
    """Output of `python3 hack/cluster WORDS`."""
    return run([sys.executable, root / "hack" / "cluster", *words]).strip()


class Kubectl:
    """kubectl bound to one cluster."""

    def __init__(self, program: str, kubeconfig: str) -> None:
        self.environment = {"KUBECONFIG": kubeconfig, "KUBECTL": program}
        self._program = program

    def __call__(self, *words: str | Path, given: str = "") -> str:
        """Standard output of `kubectl WORDS`; DemoError if it fails."""
        return run([self._program, *words], environment=self.environment, given=given)

    def json(self, *words: str) -> Any:
        """Decoded output of `kubectl WORDS -o json`."""
        return json.loads(self(*words, "-o", "json"))
