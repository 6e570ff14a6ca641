from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll import limits
from plimsoll.config.yaml_values import read_yaml_values
from plimsoll.errors import ConfigError


def value(text):
    return read_yaml_values(text.encode(), origin="p.yaml").value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("a:", {"a": None}),
        ("a: ~", {"a": None}),
        ("a: null", {"a": None}),
        ("a: 'null'", {"a": "null"}),
        ("a: true", {"a": True}),
        ("a: false", {"a": False}),
        ("a: yes", {"a": "yes"}),
        ("a: on", {"a": "on"}),
        ("a: True", {"a": "True"}),
        ("a: 2", {"a": 2}),
        ("a: -2", {"a": -2}),
        ("a: 2.5", {"a": 2.5}),
        ("a: 1e3", {"a": 1000.0}),
        ("a: '2'", {"a": "2"}),
        ("a: !!str 2", {"a": "2"}),
        ("a: 2027-01-01", {"a": "2027-01-01"}),
        ("a: 2027-01-01T00:00:00Z", {"a": "2027-01-01T00:00:00Z"}),
        ("a: 7d", {"a": "7d"}),
        ("a: -", None),
        ("a: [b, {c: 1}]", {"a": ["b", {"c": 1}]}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("1: a", {"1": "a"}),
    ],
)
def test_a_plain_scalar_is_what_it_is_in_json(text, expected):
    if text == "a: -":
        with pytest.raises(ConfigError):
            value(text)
        return
    found = value(text)
    assert found == expected
    assert json.dumps(found) == json.dumps(expected)  # True is not 1


@pytest.mark.parametrize(
    "text", ["010", "0o10", "0x10", "0b1", "+1", "1_000", "12:30", "1:2:3", ".inf", "-.INF", ".nan", "00"]
)
def test_a_number_that_readers_disagree_about_is_refused_and_quoted_it_is_a_text(text):
    with pytest.raises(ConfigError, match=r"line 2, column 4.*quote it"):
        value(f"x: 1\na: {text}")
    assert value(f"a: '{text}'") == {"a": text}


def test_a_long_number_is_refused():
    with pytest.raises(ConfigError, match="characters"):
        value(f"a: {'9' * (limits.JSON_INTEGER_DIGITS + 1)}")
    assert value(f"a: {'9' * limits.JSON_INTEGER_DIGITS}") == {"a": int("9" * limits.JSON_INTEGER_DIGITS)}


def test_places_are_those_of_keys_and_items():
    found = read_yaml_values(b"a: 1\nbb:\n  - c\n  - {d: e}\n", origin="p.yaml")
    assert found.places == {
        (): (1, 1),
        ("a",): (1, 1),
        ("bb",): (2, 1),
        ("bb", 0): (3, 5),
        ("bb", 1): (4, 5),
        ("bb", 1, "d"): (4, 6),
    }


def test_aliases_cannot_multiply():
    lines = ["a0: &a0 [x, x]"] + [f"a{at}: &a{at} [*a{at - 1}, *a{at - 1}]" for at in range(1, 25)]
    with pytest.raises(ConfigError, match="too large"):
        value("\n".join(lines))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.text(st.characters(min_codepoint=32, max_codepoint=126)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", min_size=1), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=80)
@given(JSON)
def test_json_is_read_as_json(document):
    assert value(json.dumps(document)) == document


@settings(max_examples=80)
@given(st.text(max_size=40))
def test_any_text_is_values_or_a_config_error(text):
    try:
        found = value(text)
    except (ConfigError, UnicodeEncodeError):
        return
    json.dumps(found)
