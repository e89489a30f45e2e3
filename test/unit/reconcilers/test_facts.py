from fakes.gate_facts import Seen, a_pod, seen
from reconcilers.facts import NameServerAnswer, Silence, still_true

ANSWERS = {"a": NameServerAnswer({}), "b": Silence("refused"), "c": NameServerAnswer({})}


def test_what_a_pod_said_says_nothing_of_the_pod_that_took_its_name() -> None:
    asked = [a_pod(name, Seen()) for name in "abc"]
    now = [a_pod("a", seen(uid="since then")), a_pod("b", Seen()), a_pod("d", Seen())]
    assert still_true(ANSWERS, asked, now) == {"b": ANSWERS["b"]}
    assert still_true(ANSWERS, asked, asked) == ANSWERS
