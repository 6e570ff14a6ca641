"""Identities: texts match as a whole or not at all, and what could match nobody or everybody is no identity."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll import limits
from plimsoll.errors import UsageError
from plimsoll.model.identity import CLAIM_OIDS, Exact, Glob, Identity, Regexp, RegexpReading

GITHUB = "https://token.actions.githubusercontent.com"
WORKFLOW = "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1"
KINDS = [lambda text: Exact(text=text), lambda text: Glob(pattern=text), lambda text: Regexp(pattern=text)]


def full(pattern):
    return Regexp(pattern=pattern)


def search(pattern):
    return Regexp(pattern=pattern, reading=RegexpReading.SEARCH)


# ---- regexps ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"https://good\.example", "https://good.example"),
        (r"^https://good\.example$", "https://good.example"),
        (r".*", "anybody"),
        (r"a|b", "b"),
        (r"(?i)ACME", "acme"),
        (r"(?s)a.b", "a\nb"),
        (r"[[:alpha:]]+", "abc"),
    ],
)
def test_a_regexp_matches_the_whole(pattern, text):
    assert full(pattern).matches(text)
    assert search(pattern).matches(text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"https://good\.example", "https://good.example.evil.io"),
        (r"https://good\.example", "xhttps://good.example"),
        (r"https://good\.example", "https://good.example\n"),
        (r"https://good\.example", "\nhttps://good.example"),
        (r"https://good\.example", "https://evil.io/\nhttps://good.example"),
        (r"https://good\.example", "https://good.example\0"),
        (r"a|b", "ab"),
        (r"a|b$", "ax"),
        (r"(?m)^https://good\.example$", "https://evil.io\nhttps://good.example"),
    ],
)
def test_a_part_is_not_enough_unless_it_is_asked_for(pattern, text):
    """CVE-2026-22772: unanchored patterns, prefixes, suffixes, lines."""
    assert not full(pattern).matches(text)
    assert search(pattern).matches(text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"^https://good\.example$", "https://good.example\n"),  # Python's $ would match before the last newline
        (r"^https://good\.example$", "https://evil.io\nhttps://good.example"),
        (r"^https://good\.example", "https://evil.io\nhttps://good.example"),
        (r"https://good\.example", "https://goodXexample"),
        (r"a.b", "a\nb"),
        (r"a.b", "a//b"),
    ],
)
def test_anchors_and_dots_mean_the_same_in_both_readings(pattern, text):
    assert not full(pattern).matches(text)
    assert not search(pattern).matches(text)


def test_an_unescaped_dot_is_any_character():
    assert full("https://good.example").matches("https://goodXexample")
    assert not full("https://good.example").matches("https://good/.example")


@pytest.mark.parametrize(
    "pattern", ["(", "*", "[a", r"\1", "(?=a)", "(?<!a)b", r"a\Z", "(?:a{1000}){1000}", "a{1001}", "\ud800", "(?P<n"]
)
def test_what_is_no_regexp_of_re2_is_refused_at_once(pattern, capfd):
    with pytest.raises(UsageError, match="is no regexp in RE2's syntax"):
        full(pattern)
    assert capfd.readouterr().err == ""


def test_a_regexp_that_compiles_to_too_much_is_refused():
    assert full(r"\pL{10}").matches("ä" * 10)
    with pytest.raises(UsageError, match="pattern too large"):
        full(r"\pL{100}")


def test_a_pattern_that_backtracks_for_ever_elsewhere():
    assert not full(r"(a*)*b").matches("a" * limits.CLAIM_BYTES)
    assert full(r"(a|a)*").matches("a" * limits.CLAIM_BYTES)


def test_a_lone_surrogate_matches_nothing():
    assert not full(".*").matches("\ud800")
    assert not search(".").matches("\ud800")


def test_a_regexp_is_a_value():
    assert full("a") == full("a")
    assert hash(full("a")) == hash(full("a"))
    assert full("a") != search("a")
    assert full("a") != full("b")
    back = pickle.loads(pickle.dumps(search("a+")))
    assert back == search("a+")
    assert back.matches("xaax")
    assert not back.matches("x")


def test_who_gives_no_regexp_does_not_import_re2():
    code = (
        "import sys; from plimsoll.model.identity import Exact, Glob, Identity;"
        "Identity(issuer=Exact(text='a'), subject=Glob(pattern='*')); assert 're2' not in sys.modules;"
        "from plimsoll.model.identity import Regexp; Regexp(pattern='a'); assert 're2' in sys.modules"
    )
    subprocess.run([sys.executable, "-I", "-c", code], check=True, timeout=30)


# ---- globs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("https://github.com/acme/*/.github/workflows/release.yml@refs/tags/*", WORKFLOW),
        ("*", "a"),
        ("a*", "ab"),
        ("*b", "ab"),
        ("a*c*e", "abcde"),
        ("a*a*a", "aaaaa"),
        ("*@acme.example", "build@acme.example"),
        ("*/*", "a/b"),
        ("a.c", "a.c"),
        ("[a]?", "[a]?"),
        ("*a*", "xay"),
        ("*a*", "aaa"),
        ("ab*ab", "abxab"),
        ("*ab*b", "xabab"),
    ],
)
def test_a_star_is_one_or_more_characters(pattern, text):
    assert Glob(pattern=pattern).matches(text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (
            "https://github.com/acme/*/.github/workflows/release.yml@refs/tags/*",
            "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/x@refs/tags/v1",
        ),
        ("https://github.com/acme/*", "https://github.com/acme/app/evil"),
        ("https://github.com/acme/*", "https://github.com/acme/"),
        ("https://github.com/acme/*", "https://github.com/acmeX/app"),
        ("https://github.com/acme/*", "xhttps://github.com/acme/app"),
        ("*", ""),
        ("*", "a/b"),
        ("*", "/"),
        ("a*", "a"),
        ("*b", "b"),
        ("a*c", "ac"),
        ("a*a", "aa"),
        ("ab*ab", "abab"),
        ("*a*", "a"),
        ("*a*", "xa"),
        ("*a*", "ax"),
        ("a.c", "abc"),
        ("a?", "ab"),
        ("[ab]", "a"),
        ("a", "A"),
        ("a", "a\n"),
        ("*@acme.example", "build@acme.example.evil.io"),
        ("*@acme.example", "build@acme.example\n"),
    ],
)
def test_a_star_is_never_nothing_and_never_a_slash(pattern, text):
    assert not Glob(pattern=pattern).matches(text)


@settings(max_examples=100)
@given(st.text("ab*/", min_size=1, max_size=9).filter(lambda text: "**" not in text), st.text("ab/\n", max_size=9))
def test_a_glob_is_what_its_definition_says(pattern, text):
    definition = "".join("[^/]+" if mark == "*" else re.escape(mark) for mark in pattern)
    assert Glob(pattern=pattern).matches(text) == bool(re.fullmatch(definition, text))


@settings(max_examples=50)
@given(st.text(min_size=1, max_size=20))
def test_an_exact_text_is_itself_alone(text):
    assert Exact(text=text).matches(text)
    assert not Exact(text=text).matches(text + "x")
    assert not Exact(text=text).matches(text[1:])


def test_two_stars_are_a_scopes():
    for pattern in ("**", "a/**", "a**b"):
        with pytest.raises(UsageError, match=r"'\*\*'"):
            Glob(pattern=pattern)


# ---- what is no identity ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_text_is_nobodys(kind):
    with pytest.raises(UsageError, match="is empty"):
        kind("")


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_has_a_cap(kind):
    assert kind("a" * limits.IDENTITY_CHARS).matches("a" * limits.IDENTITY_CHARS)
    with pytest.raises(UsageError, match="at most"):
        kind("a" * (limits.IDENTITY_CHARS + 1))


@pytest.mark.parametrize("missing", [None, "", "text", 1])
def test_issuer_and_subject_are_always_asked_for(missing):
    with pytest.raises(UsageError, match="an issuer and a subject"):
        Identity(issuer=missing, subject=Exact(text="a"))
    with pytest.raises(UsageError, match="an issuer and a subject"):
        Identity(issuer=Exact(text="a"), subject=missing)
    with pytest.raises(UsageError, match="an issuer and a subject"):
        Identity(issuer=Exact(text="a"), subject=Exact(text="a"), claims=(("buildTrigger", missing),))


def test_a_claim_is_known_and_named_once():
    wanted = Exact(text="push")
    for unknown in ("buildtrigger", "", "1.3.6.1.4.1.57264.1.20", "issuer"):
        with pytest.raises(UsageError, match="is no claim"):
            Identity(issuer=wanted, subject=wanted, claims=((unknown, wanted),))
    with pytest.raises(UsageError, match="twice"):
        Identity(issuer=wanted, subject=wanted, claims=(("buildTrigger", wanted), ("buildTrigger", full("p.*"))))


def test_every_extension_of_fulcio_has_one_name():
    numbers = [int(oid.removeprefix("1.3.6.1.4.1.57264.1.")) for oid in CLAIM_OIDS.values()]
    assert numbers == [number for number in range(2, 25) if number not in (7, 8)]  # the user name, and the issuer


def test_an_identity_reads_as_a_sentence_of_bounded_length():
    found = Identity(
        issuer=Exact(text=GITHUB),
        subject=Glob(pattern="https://github.com/acme/*"),
        claims=(("buildTrigger", full("push|tag")),),
    )
    assert str(found) == (
        f"the pattern 'https://github.com/acme/*' by the issuer '{GITHUB}', buildTrigger the regexp 'push|tag'"
    )
    long = Exact(text="x" * limits.IDENTITY_CHARS)
    assert len(str(Identity(issuer=long, subject=long, claims=tuple((name, long) for name in CLAIM_OIDS)))) < 2000
