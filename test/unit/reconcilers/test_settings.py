import pytest

from controller.leader_lease import Durations
from reconcilers.settings import Settings, settings


def test_nothing_given_means_all_namespaces_and_the_service_account() -> None:
    assert settings([], {}) == Settings()


def test_flags_win_over_the_environment() -> None:
    given = settings(
        ["--watch-namespaces=b, a,,b", "--workers=9"],
        {"WATCH_NAMESPACE": "z", "KUBECONFIG": "/k", "POD_NAME": "operator-1"},
    )
    assert given.namespaces == ("a", "b")
    assert given.workers == 9
    assert given.kubeconfig == "/k"
    assert given.identity == "operator-1"


def test_the_election_has_the_durations_of_kubernetes_own_components_unless_told_otherwise() -> (
    None
):
    given = settings(
        ["--leader-elect", "--leader-elect-lease-duration=60", "--leader-elect-renew-deadline=40"],
        {"POD_NAMESPACE": "messaging"},
    )
    assert given.leader_elect is True
    assert given.lease_namespace == "messaging"
    assert given.durations == Durations(lease_s=60, renew_s=40.0, retry_s=2.0)
    assert settings(["--no-leader-elect"], {}).leader_elect is False


@pytest.mark.parametrize(
    "flag",
    [
        "--workers=0",
        "--workers=x",
        "--log-format=xml",
        "--no-such",
        "--leader-elect-lease-duration=10",
        "--leader-elect-lease-duration=1.5",
        "--leader-elect-retry-period=9",
    ],
)
def test_nonsense_is_refused_at_once(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        settings([flag], {})
    assert flag.partition("=")[0].lstrip("-")[:12] in capsys.readouterr().err
