"""Puts the cluster tool's folder where it is when the tool runs: first on the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "hack" / "cluster"))
