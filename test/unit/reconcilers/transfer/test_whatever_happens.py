"""Random transfers, faults and deaths: all or nothing, nothing lost, and every one ends.

`ROCKETMQ_TRANSFERS=500` plays as many; `ROCKETMQ_SEED` begins elsewhere, and a seed that fails is
played again by `ROCKETMQ_SEED=<seed> ROCKETMQ_TRANSFERS=1`.
"""

from __future__ import annotations

import os

import pytest

from fakes.transfer_chaos import Chaos

FIRST = int(os.environ.get("ROCKETMQ_SEED", "1"))
TRANSFERS = int(os.environ.get("ROCKETMQ_TRANSFERS", "4"))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + TRANSFERS))
async def test_whatever_happens_it_is_all_or_nothing_and_nothing_is_lost(seed: int) -> None:
    chaos = Chaos(seed)
    cr = await chaos.play()
    assert chaos.lost() == {}
    assert chaos.unfinished(cr) == []
