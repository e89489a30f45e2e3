import pytest

from controller.objects import is_older


@pytest.mark.parametrize(
    ("version", "than", "older"),
    [
        ("9", "10", True),
        ("10", "9", False),
        ("10", "10", False),
        ("", "10", False),
        ("a", "b", False),
    ],
)
def test_versions_are_compared_as_numbers_where_they_are(
    version: str, than: str, older: bool
) -> None:
    assert is_older(version, than) is older
