from __future__ import annotations

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.model.identity import Exact, Regexp
from plimsoll.policy.foreign_identities import read_pair, searched, wildcarded

REGEXPS = [
    "a", "^a", "a$", "^a$", "^a|b$", "(a|b)c", "^(?i)AB$", "a.b", "^a.*b$", "[|]a", "^[a|b]$", r"^a\$", r"^a\\$",
    r"\Aa", r"a\z", "^(a|b)$", "(?m)^a$", "", "^$", r"^\Qa\E$", "a||b", "^a$|^b$", "x*", r"^\|$",
]  # fmt: skip


@settings(max_examples=100)
@given(st.sampled_from(REGEXPS), st.text(alphabet="abAB|$\\c\n", max_size=6))
def test_a_search_keeps_its_meaning(pattern, text):
    reading = searched(pattern)
    if reading.match is not None:
        assert reading.match.matches(text) == (re2.search(pattern, text) is not None)
    else:
        assert pattern == ""


@pytest.mark.parametrize("pattern", ["^https://github.com/acme/.*$", "^a$", "^(a)b$"])
def test_an_anchored_regexp_stays_as_it_is(pattern):
    assert searched(pattern).match == Regexp(pattern=pattern)
    assert searched(pattern).message == ""


def test_a_regexp_that_searches_is_told():
    reading = searched("https://github.com/acme")
    assert reading.match == Regexp(pattern="(?s:.*)(?:https://github.com/acme)(?s:.*)")
    assert "searches" in reading.message


@pytest.mark.parametrize("pattern", [r"\Qabc", "a)(?:b", "(", "(?=a)", "a" * 5000, "a" * 4090])
def test_what_cannot_be_wrapped_is_lost(pattern):
    assert searched(pattern).match is None
    assert searched(pattern).message


def test_a_text_beside_a_regexp_is_what_both_match():
    assert read_pair("ab", "b$").match == Exact(text="ab")
    assert read_pair("ab", "b$").stricter
    assert read_pair("ab", "^b").match is None
    assert read_pair(None, None) is None
    assert read_pair("ab", None).match == Exact(text="ab")


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("https://github.com/acme/*", ["https://github.com/acme/", "https://github.com/acme/a/b@x"], ["https://githubxcom/acme/a"]),
        ("a?c", ["abc", "a/c"], ["ac", "abbc"]),
        ("a+b*", ["a+b", "a+bc\n"], ["aab"]),
        ("plain.example", ["plain.example"], ["plainxexample"]),
    ],
)  # fmt: skip
def test_kyvernos_wildcards_in_texts(pattern, yes, no):
    match = wildcarded(pattern).match
    assert [text for text in yes if not match.matches(text)] == []
    assert [text for text in no if match.matches(text)] == []
