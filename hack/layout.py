"""Fails when a file or a function has grown too long: two ideas live in one place then.

Files: 400 lines. Functions: 50 lines. Exceptions carry a reason; their list may only shrink.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("controller", "reconcilers", "rocketmq", "hack", "test")
FILE_LINES = 400
FUNCTION_LINES = 50
EXCEPTIONS: dict[str, str] = {}


def problems(path: Path, text: str) -> Iterator[str]:
    """What is too long in one file."""
    lines = text.count("\n")
    if lines > FILE_LINES:
        yield f"{path}: {lines} lines (at most {FILE_LINES})"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                yield f"{path}:{node.lineno} {node.name}: {length} lines (at most {FUNCTION_LINES})"


def main() -> int:
    """0 when nothing is too long, or only what the exceptions name."""
    found = [
        problem
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for problem in problems(path.relative_to(ROOT), path.read_text(encoding="utf-8"))
        if not any(problem.startswith(exception) for exception in EXCEPTIONS)
    ]
    for problem in found:
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
