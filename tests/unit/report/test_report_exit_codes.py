import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.model.verdict import Outcome, Reason, Verdict
from plimsoll.report.exit_codes import exit_code
from plimsoll.report.summary import Summary

A, R = (Outcome.ACCEPTED, ()), (Outcome.REJECTED, ("no-signature",))
NOT_FOUND, TIMEOUT = (Outcome.UNDETERMINED, ("not-found",)), (Outcome.UNDETERMINED, ("timeout",))
MIXED = (Outcome.UNDETERMINED, ("not-found", "timeout"))
TWICE = (Outcome.UNDETERMINED, ("not-found", "not-found"))


def summary_of(*verdicts, not_judged=0):
    summary = Summary(not_judged=not_judged)
    for at, (outcome, codes) in enumerate(verdicts):
        reasons = tuple(Reason(code=code, message="m") for code in codes)
        summary.add(Verdict(image="x", position=at, outcome=outcome, reasons=reasons, requests=2, bytes=10))
    return summary


@pytest.mark.parametrize(
    ("verdicts", "single", "expected"),
    [
        ([], False, 1),
        ([], True, 1),
        ([A], True, 0),
        ([A], False, 0),
        ([A, A, A], False, 0),
        ([R], True, 3),
        ([R], False, 3),
        ([A, R], False, 3),
        ([R, TIMEOUT], False, 3),
        ([TIMEOUT, R, NOT_FOUND], False, 3),
        ([TIMEOUT], True, 4),
        ([A, TIMEOUT], False, 4),
        ([NOT_FOUND], True, 2),
        ([TWICE], True, 2),
        # Named in a list, or one of several: not found is undetermined like the rest.
        ([NOT_FOUND], False, 4),
        ([NOT_FOUND, NOT_FOUND], False, 4),
        ([A, NOT_FOUND], False, 4),
        ([MIXED], True, 4),
        # A reason that does not fit the outcome changes nothing.
        ([(Outcome.REJECTED, ("not-found",))], True, 3),
        ([(Outcome.ACCEPTED, ("not-found",))], True, 0),
        ([(Outcome.UNDETERMINED, ())], True, 4),
    ],
)
def test_the_table_of_the_contract(verdicts, single, expected):
    assert exit_code(summary_of(*verdicts), single=single) == expected


@pytest.mark.parametrize(("verdicts", "expected"), [([], 4), ([A], 4), ([R], 3), ([TIMEOUT], 4)])
def test_what_was_read_and_not_judged_is_never_a_pass(verdicts, expected):
    assert exit_code(summary_of(*verdicts, not_judged=1), single=False) == expected


KINDS = st.sampled_from([A, R, NOT_FOUND, TIMEOUT, MIXED])


@given(st.lists(KINDS), st.booleans(), st.integers(0, 2))
def test_zero_means_that_every_image_read_was_accepted(verdicts, single, not_judged):
    code = exit_code(summary_of(*verdicts, not_judged=not_judged), single=single)
    assert (code == 0) == (bool(verdicts) and all(verdict is A for verdict in verdicts) and not not_judged)
    assert (code == 3) == (R in verdicts)


def test_the_counts_add_up():
    summary = summary_of(A, R, R, TIMEOUT)
    assert (summary.images, summary.accepted, summary.rejected, summary.undetermined) == (4, 1, 2, 1)
    assert (summary.requests, summary.bytes) == (8, 40)
