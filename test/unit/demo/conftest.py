"""The demo runs as `python3 hack/demo`: its modules are found in that folder."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3] / "hack" / "demo"))
