from hypothesis import given
from hypothesis import strategies as st

from controller.backoff import Backoff, BackoffSettings


def test_the_delay_doubles_from_5_ms_and_stays_at_1000_s() -> None:
    backoff = Backoff[str](BackoffSettings())
    delays = [backoff.next_delay_s("a") for _ in range(20)]
    assert delays[:4] == [0.005, 0.01, 0.02, 0.04]
    assert delays[17] == 0.005 * 2**17
    assert delays[18:] == [1000.0, 1000.0]


def test_keys_do_not_slow_each_other_down() -> None:
    backoff = Backoff[str](BackoffSettings())
    for _ in range(10):
        backoff.next_delay_s("failing")
    assert backoff.next_delay_s("healthy") == 0.005


def test_a_forgotten_key_starts_again() -> None:
    backoff = Backoff[str](BackoffSettings())
    backoff.next_delay_s("a")
    assert backoff.num_failures("a") == 1
    backoff.forget("a")
    backoff.forget("never seen")
    assert backoff.num_failures("a") == 0
    assert backoff.next_delay_s("a") == 0.005


@given(st.floats(1e-6, 10), st.floats(1, 1e6), st.integers(1, 2000))
def test_delays_never_shrink_and_never_pass_the_cap(base_s: float, cap_s: float, n: int) -> None:
    backoff = Backoff[int](BackoffSettings(base_s=base_s, cap_s=cap_s))
    delays = [backoff.next_delay_s(1) for _ in range(n)]
    assert delays == sorted(delays)
    assert delays[0] == min(base_s, cap_s)
    assert delays[-1] <= cap_s
