"""Verdicts: three values that never pass for two."""

from __future__ import annotations

import pickle
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.errors import BadSignatureError, NotFoundError, PlimsollError, RejectedError
from plimsoll.model.verdict import UNDETERMINED_CODES, Outcome, Reason, Verdict, all_of, n_of

ACCEPTED, REJECTED, UNDETERMINED = Outcome.ACCEPTED, Outcome.REJECTED, Outcome.UNDETERMINED


def verdict(outcome, *reasons):
    return Verdict(image="docker://r.example/a:v1", position=0, outcome=outcome, reasons=reasons)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_neither_an_outcome_nor_a_verdict_is_true_or_false(outcome):
    with pytest.raises(TypeError, match="three"):
        bool(outcome)
    with pytest.raises(TypeError, match="three"):
        bool(verdict(outcome))
    assert outcome != (outcome is ACCEPTED)


def test_all_of_nothing_rejects():
    assert all_of([]) is REJECTED


@given(st.lists(st.sampled_from(list(Outcome)), min_size=1))
def test_all_of(outcomes):
    wanted = REJECTED if REJECTED in outcomes else UNDETERMINED if UNDETERMINED in outcomes else ACCEPTED
    assert all_of(outcomes) is all_of(reversed(outcomes)) is wanted


@given(st.lists(st.sampled_from(list(Outcome)), max_size=6), st.integers(1, 7))
def test_n_of_is_what_every_way_to_decide_the_undecided_says(outcomes, n):
    """Restated: decide each undecided one either way; if all ways agree that is the answer, else it is undecided."""
    open_ones = outcomes.count(UNDETERMINED)
    sure = outcomes.count(ACCEPTED)
    ways = {sure + sum(way) >= n for way in product([0, 1], repeat=open_ones)}
    wanted = UNDETERMINED if len(ways) == 2 else ACCEPTED if ways == {True} else REJECTED
    assert n_of(outcomes, n=n) is wanted


@pytest.mark.parametrize("n", [0, -1])
def test_a_threshold_of_nothing_is_refused(n):
    """CVE-2026-23992."""
    with pytest.raises(ValueError, match="at least 1"):
        n_of([ACCEPTED], n=n)


def test_n_of_nothing_rejects():
    assert n_of([], n=1) is REJECTED


@pytest.mark.parametrize("code", ["no-signature", "bad-signature", "no-such-code", "", "TIMEOUT", "accepted"])
def test_every_other_code_rejects(code):
    assert code not in UNDETERMINED_CODES
    assert Reason(code=code, message="m").outcome is REJECTED


@pytest.mark.parametrize("code", sorted(UNDETERMINED_CODES))
def test_undetermined_codes(code):
    assert Reason(code=code, message="m").outcome is UNDETERMINED


def test_a_reason_of_an_error():
    assert Reason.of(BadSignatureError("x")) == Reason(code="bad-signature", message="x")
    assert Reason.of(NotFoundError("x")).outcome is UNDETERMINED
    assert Reason.of(PlimsollError("x")).outcome is UNDETERMINED  # a fault of ours is no rejection


def test_only_an_accepted_verdict_does_not_raise():
    verdict(ACCEPTED).raise_unless_accepted()
    for outcome in (REJECTED, UNDETERMINED):
        found = verdict(outcome, Reason(code="timeout", message="30 s"))
        with pytest.raises(RejectedError, match=f"is {outcome.value}: timeout: 30 s") as raised:
            found.raise_unless_accepted()
        assert raised.value.verdict == found
        assert pickle.loads(pickle.dumps(raised.value)).verdict == found
    with pytest.raises(RejectedError, match="no reason was recorded"):
        verdict(REJECTED).raise_unless_accepted()
