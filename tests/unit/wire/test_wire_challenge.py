from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll import limits
from plimsoll.wire import Challenge, choose_challenge, parse_challenges

BEARER = Challenge(
    scheme="bearer", parameters={"realm": "https://a/token", "service": "s", "scope": "repository:x:pull,push"}
)


@pytest.mark.parametrize(
    ("fields", "challenges"),
    [
        (['Bearer realm="https://a/token",service="s",scope="repository:x:pull,push"'], [BEARER]),
        (['BEARER Realm="https://a/token" , SERVICE = "s" ,  Scope="repository:x:pull,push"'], [BEARER]),
        (["Basic realm=x"], [Challenge(scheme="basic", parameters={"realm": "x"})]),
        (["Bearer realm=https://a/token"], [Challenge(scheme="bearer", parameters={"realm": "https://a/token"})]),
        (['Basic realm="a \\"quoted\\" \\\\ b"'], [Challenge(scheme="basic", parameters={"realm": 'a "quoted" \\ b'})]),
        (['Basic realm=""'], [Challenge(scheme="basic", parameters={"realm": ""})]),
        (["Negotiate"], [Challenge(scheme="negotiate")]),
        (["Negotiate YWJj=="], [Challenge(scheme="negotiate", token68="YWJj==")]),
        (["Negotiate YWJj==, Basic realm=x"], [Challenge(scheme="negotiate", token68="YWJj=="), Challenge(scheme="basic", parameters={"realm": "x"})]),
        (["Negotiate, Basic realm=x"], [Challenge(scheme="negotiate"), Challenge(scheme="basic", parameters={"realm": "x"})]),
        (['Basic realm="x", a=b, Bearer realm="y"'], [Challenge(scheme="basic", parameters={"realm": "x", "a": "b"}), Challenge(scheme="bearer", parameters={"realm": "y"})]),
        (["Basic realm=x", "Bearer realm=y"], [Challenge(scheme="basic", parameters={"realm": "x"}), Challenge(scheme="bearer", parameters={"realm": "y"})]),
        ([", ,Basic realm=x,"], [Challenge(scheme="basic", parameters={"realm": "x"})]),
        (['Basic realm="a, Bearer realm=b"'], [Challenge(scheme="basic", parameters={"realm": "a, Bearer realm=b"})]),
        ([], []),
        ([""], []),
        (["   "], []),
    ],
)  # fmt: skip
def test_challenges_are_read_as_rfc_9110_writes_them(fields, challenges):
    assert list(parse_challenges(fields)) == challenges


@pytest.mark.parametrize(
    "field",
    [
        'Basic realm="open',
        'Basic realm="a" "b"',
        "Basic realm=a b",
        "Basic realm=x, realm=y",
        'Bearer realm="https://good/", REALM="https://evil/"',
        'Basic realm="x" Bearer realm="y"',
        "=x",
        '"Basic" realm=x',
        "Básic realm=x",
        "Basic realm=x, =y",
    ],
)
def test_a_field_that_two_readers_could_read_differently_gives_no_challenge(field):
    assert parse_challenges([field]) == ()


def test_a_broken_field_does_not_hide_the_next():
    assert parse_challenges(['Basic realm="open', "Basic realm=x"]) == (
        Challenge(scheme="basic", parameters={"realm": "x"}),
    )


def test_long_fields_many_challenges_and_many_parameters_are_cut():
    assert parse_challenges(["Basic realm=" + "x" * limits.CHALLENGE_CHARS]) == ()
    assert len(parse_challenges(["Basic realm=x"] * 1000)) == limits.CHALLENGES
    assert parse_challenges([", ".join(["Negotiate"] * (limits.CHALLENGES + 1))]) == ()
    parameters = ", ".join(f"p{at}=x" for at in range(limits.CHALLENGE_PARAMETERS))
    assert len(parse_challenges([f"Basic {parameters}"])) == 1
    assert parse_challenges([f"Basic {parameters}, one=more"]) == ()


@given(st.lists(st.text() | st.text(alphabet='aB=", \t\\()/:'), max_size=4))
def test_any_text_gives_challenges_or_none_and_never_an_error(fields):
    for challenge in parse_challenges(fields):
        assert challenge.scheme
        assert challenge.scheme == challenge.scheme.lower()
        assert all(name == name.lower() for name in challenge.parameters)


TOKENS = st.from_regex(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}", fullmatch=True)
VALUES = st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)


@given(st.lists(st.tuples(TOKENS, st.dictionaries(TOKENS.map(str.lower), VALUES, min_size=1, max_size=4)), max_size=4))
def test_what_is_written_with_quotes_is_read_back(challenges):
    def quoted(value):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    field = ", ".join(
        f"{scheme} " + ", ".join(f"{name}={quoted(value)}" for name, value in parameters.items())
        for scheme, parameters in challenges
    )
    expected = [Challenge(scheme=scheme.lower(), parameters=parameters) for scheme, parameters in challenges]
    assert list(parse_challenges([field])) == expected


BASIC = Challenge(scheme="basic", parameters={"realm": "x"})
OTHER = Challenge(scheme="negotiate")


@pytest.mark.parametrize(
    ("challenges", "basic", "chosen"),
    [
        ([BASIC, BEARER], True, BASIC),
        ([BASIC, BEARER], False, BEARER),
        ([BEARER, BASIC], True, BEARER),
        ([OTHER, BASIC], True, BASIC),
        ([BASIC], False, None),
        ([OTHER], True, None),
        ([Challenge(scheme="bearer", parameters={"service": "x"})], True, None),
        ([Challenge(scheme="bearer", parameters={"realm": ""})], True, None),
        ([], True, None),
    ],
)
def test_the_first_that_can_be_answered_is_chosen(challenges, basic, chosen):
    assert choose_challenge(challenges, basic=basic) == chosen
