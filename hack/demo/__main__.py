"""`python3 hack/demo up|down`: a cluster, the operator, a RocketMQ cluster, messages through it.

Standard library only, so that it runs before anything is installed. Idempotent: whatever is there
already is kept, and a second run sends its own 100 messages.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from course import Demo, DemoError

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Run the command line; 0 when all messages came back."""
    parser = argparse.ArgumentParser(prog="hack/demo", description=__doc__)
    parser.add_argument("command", choices=("up", "down"))
    parser.add_argument("--name", default="demo", help="name of the cluster")
    parser.add_argument("--mode", default="", choices=("", "local", "kind", "existing"))
    parser.add_argument("--messages", type=int, default=100)
    chosen = parser.parse_args()
    mode = ("--mode", chosen.mode) if chosen.mode else ()
    demo = Demo(ROOT, chosen.name, mode, messages=chosen.messages)
    try:
        if chosen.command == "down":
            demo.down()
        else:
            demo.up()
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
