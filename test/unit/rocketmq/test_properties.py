import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocketmq.properties import PropertiesError, parsed, rendered

# Lone surrogates are no text; every other character may stand in a key or value.
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.dictionaries(text, text, max_size=6))
def test_what_is_rendered_is_parsed_back(pairs: dict[str, str]) -> None:
    assert parsed(rendered(pairs)) == pairs


@given(st.dictionaries(text, text, max_size=6))
def test_rendered_text_is_printable_ascii_so_that_the_encoding_does_not_matter(
    pairs: dict[str, str],
) -> None:
    assert all(" " <= char <= "~" or char == "\n" for char in rendered(pairs))


@given(text)
def test_any_text_is_parsed_or_refused_as_java_would(written: str) -> None:
    try:
        pairs = parsed(written)
    except PropertiesError:
        assert "\\u" in written
        return
    assert all(isinstance(value, str) for value in pairs.values())


@pytest.mark.parametrize(
    ("written", "pairs"),
    [
        ("", {}),
        ("a=b", {"a": "b"}),
        ("a = b", {"a": "b"}),
        ("a:b", {"a": "b"}),
        ("a b", {"a": "b"}),
        ("a\tb", {"a": "b"}),
        ("a", {"a": ""}),
        ("a=", {"a": ""}),
        ("=b", {"": "b"}),
        ("a==b", {"a": "=b"}),
        ("a= b ", {"a": "b "}),
        ("  # no\n ! no\na=b # part of it", {"a": "b # part of it"}),
        ("a=1\na=2", {"a": "2"}),
        ("a=1\r\nb=2\rc=3", {"a": "1", "b": "2", "c": "3"}),
        ("a=b\\\n   c", {"a": "bc"}),
        ("a=b\\\n#c", {"a": "b#c"}),
        ("a=b\\\\\nc=d", {"a": "b\\", "c": "d"}),
        ("a=b\\\n\nc=d", {"a": "b", "c": "d"}),
        ("a=b\\", {"a": "b"}),
        ("# no \\\na=b", {"a": "b"}),
        ("a\\=b=c", {"a=b": "c"}),
        ("a\\ b=c", {"a b": "c"}),
        ("a=\\ b", {"a": " b"}),
        ("a=\\t\\n\\r\\f\\q", {"a": "\t\n\r\fq"}),
        ("a=\\u00e9\\ud83d\\ude00", {"a": "é😀"}),
        ("namesrvAddr=h1:9876;h2:9876", {"namesrvAddr": "h1:9876;h2:9876"}),
    ],
)
def test_text_means_what_java_util_properties_says(written: str, pairs: dict[str, str]) -> None:
    assert parsed(written) == pairs


@pytest.mark.parametrize("written", ["a=\\u12", "a=\\uxyzw", "\\u=b"])
def test_a_bad_unicode_escape_is_refused(written: str) -> None:
    with pytest.raises(PropertiesError):
        parsed(written)


def test_an_address_is_rendered_as_it_is_so_that_a_shell_can_read_it() -> None:
    assert rendered({"namesrvAddr": "a:9876;b:9876"}) == "namesrvAddr=a:9876;b:9876\n"
