import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocketmq.memory import (
    ASSUMED_LIMIT_BYTES,
    GIB,
    MIB,
    MINIMUM_LIMIT_BYTES,
    JvmMemory,
    Role,
    jvm_memory,
)

ROLES: tuple[Role, ...] = ("broker", "name-server")
roles = st.sampled_from(ROLES)


def divided(limit: int | None, role: Role) -> JvmMemory:
    memory = jvm_memory(limit, role)
    assert memory is not None
    return memory


@given(roles, st.integers(min_value=0, max_value=2**42))
def test_all_parts_together_stay_below_the_limit(role: Role, above: int) -> None:
    limit = MINIMUM_LIMIT_BYTES[role] + above
    assert divided(limit, role).total_bytes < limit


@given(roles, st.integers(min_value=0, max_value=2**42))
def test_no_part_is_too_small_to_start_with(role: Role, above: int) -> None:
    memory = divided(MINIMUM_LIMIT_BYTES[role] + above, role)
    assert memory.heap_bytes >= 60 * MIB
    assert memory.direct_bytes >= 20 * MIB


@given(roles, st.integers(0, 2**36), st.integers(0, 2**36))
def test_more_memory_never_makes_a_smaller_heap(role: Role, one: int, other: int) -> None:
    small, large = sorted(MINIMUM_LIMIT_BYTES[role] + above for above in (one, other))
    # A threshold inside another part may take the growth; never more than one MiB of the heap.
    assert divided(large, role).heap_bytes >= divided(small, role).heap_bytes - MIB


@pytest.mark.parametrize("role", ROLES)
def test_a_limit_under_the_minimum_is_refused(role: Role) -> None:
    assert jvm_memory(MINIMUM_LIMIT_BYTES[role] - 1, role) is None


@pytest.mark.parametrize("role", ROLES)
def test_without_a_limit_a_modest_one_is_assumed(role: Role) -> None:
    assert jvm_memory(None, role) == jvm_memory(ASSUMED_LIMIT_BYTES[role], role)


def test_a_broker_leaves_page_cache_for_its_mapped_files() -> None:
    memory = divided(12 * GIB, "broker")
    assert 12 * GIB - memory.total_bytes > 2 * GIB


@pytest.mark.parametrize(
    ("limit", "heap", "region"),
    [(384 * MIB, "72m", "1m"), (2 * GIB, "736m", "4m"), (64 * GIB, "8192m", "16m")],
)
def test_heap_options_hold_the_size_and_a_region_that_fits_it(
    limit: int, heap: str, region: str
) -> None:
    options = divided(limit, "broker").heap_options
    assert options[:2] == (f"-Xms{heap}", f"-Xmx{heap}")
    assert options[-1] == f"-XX:G1HeapRegionSize={region}"


@given(roles, st.integers(min_value=0, max_value=2**40))
def test_every_option_has_a_positive_size(role: Role, above: int) -> None:
    memory = divided(MINIMUM_LIMIT_BYTES[role] + above, role)
    for option in memory.heap_options + memory.other_options:
        size = re.search(r"(\d+)[mk]$", option)
        assert size is not None
        assert int(size.group(1)) > 0


@pytest.mark.parametrize(("limit_mib", "direct_mib"), [(768, 211), (1024, 281), (2048, 368)])
def test_a_small_broker_has_direct_memory_for_the_buffers_of_its_threads(
    limit_mib: int, direct_mib: int
) -> None:
    assert divided(limit_mib * MIB, "broker").direct_bytes == direct_mib * MIB
