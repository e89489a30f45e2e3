import pytest

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


@pytest.mark.parametrize("flag", ["--workers=0", "--workers=x", "--log-format=xml", "--no-such"])
def test_nonsense_is_refused_at_once(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        settings([flag], {})
    assert flag.partition("=")[0].lstrip("-") in capsys.readouterr().err
