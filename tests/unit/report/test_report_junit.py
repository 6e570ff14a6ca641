import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.report_schemas import read_junit
from plimsoll import limits
from plimsoll.model.digest import Digest
from plimsoll.model.verdict import Instance, Judgement, Outcome, Reason, SignatureRecord, Verdict
from plimsoll.report.escape import printable
from plimsoll.report.junit import RUN_CASE, case_line, suite_head, suite_tail
from plimsoll.report.run_facts import RunFacts
from plimsoll.report.shortfall import Ending
from plimsoll.report.summary import Summary

DIGEST = Digest.of(b"image")
RUN = RunFacts(policy="sha256:ab", backend="cython", started_s=1_700_000_000.0)
HOSTILE = "a\x00\x1b[2J\r\n\t\u202e\u2028\udc80\ufffe<&>\"']]>\U0001f600"


def verdict(**changes):
    options = {"image": "docker://h/app:v1", "position": 0, "outcome": Outcome.ACCEPTED, "reasons": ()}
    return Verdict(**(options | changes))


def refused(*codes, outcome=Outcome.REJECTED, message="why", **changes):
    return verdict(outcome=outcome, reasons=tuple(Reason(code=code, message=message) for code in codes), **changes)


def report(*verdicts, ending=None, **counts):
    """The whole document, through both schemas."""
    summary = Summary(**counts)
    for found in verdicts:
        summary.add(found)
    ending = ending or Ending(exit_code=0)
    cases = [case_line(found) for found in verdicts]
    return read_junit(
        suite_head(summary, run=RUN, ending=ending, version="1.2.3")
        + "".join(cases)
        + suite_tail(summary, ending=ending)
    )


def properties(suite):
    return {found.get("name"): found.get("value") for found in suite.findall("properties/property")}


def test_one_case_an_image_with_its_outcome():
    suite = report(
        verdict(seconds=0.0125),
        refused("no-signature", image="docker://h/bad:v1"),
        refused("timeout", outcome=Outcome.UNDETERMINED, image="docker://h/slow:v1"),
        ending=Ending(exit_code=3),
    )
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == ["docker://h/app:v1", "docker://h/bad:v1", "docker://h/slow:v1"]
    assert [[child.tag for child in case] for case in cases] == [
        ["system-out"],
        ["failure", "system-out"],
        ["error", "system-out"],
    ]
    assert cases[0].get("time") in {"0.012", "0.013"}
    failure, error = cases[1][0], cases[2][0]
    assert (failure.get("type"), failure.get("message")) == ("no-signature", "no-signature: why")
    assert (error.get("type"), error.get("message")) == ("timeout", "timeout: why")
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "3",
        "failures": "1",
        "errors": "1",
        "skipped": "0",
    }


def test_every_reason_is_in_the_text_and_the_first_is_the_message():
    (case,) = report(refused("untrusted-key", "timeout", "not-found")).findall("testcase")
    assert case[0].get("type") == "untrusted-key"
    assert case[0].text.splitlines() == ["untrusted-key: why", "timeout: why", "not-found: why"]


@pytest.mark.parametrize(("outcome", "tag"), [(Outcome.REJECTED, "failure"), (Outcome.UNDETERMINED, "error")])
def test_no_reason_is_no_pass(outcome, tag):
    (case,) = report(refused(outcome=outcome)).findall("testcase")
    assert (case[0].tag, case[0].get("type")) == (tag, outcome.value)


def test_what_is_known_of_an_image_is_in_its_output():
    good = SignatureRecord(format="cosign", verified=True, key="sha256:good")
    bad = SignatureRecord(format="cosign", verified=False, key="sha256:bad")
    instance = Instance(digest=DIGEST, platform="linux/\x1b[1m", judgement=Judgement(outcome=Outcome.ACCEPTED))
    found = verdict(
        digest=DIGEST,
        pinned=f"h/app@{DIGEST}",
        judged="instances",
        requests=3,
        bytes=1811,
        signatures=(good, bad),
        contacted=("mirror/app", "h/app"),
        instances=(instance,),
        index=Judgement(outcome=Outcome.REJECTED),
    )
    (case,) = report(found).findall("testcase")
    assert case.find("system-out").text.splitlines() == [
        f"digest: {DIGEST}",
        f"pinned: h/app@{DIGEST}",
        "judged: instances",
        "contacted: mirror/app, h/app",
        "requests: 3",
        "bytes: 1811",
        "cosign signature by sha256:good",
        "the index itself: rejected",
        f"linux/\\x1b[1m {DIGEST}: accepted",
    ]


def test_the_suite_says_what_the_run_came_to():
    suite = report(verdict(requests=2, bytes=10), seconds=1234.5678, attachments=4)
    assert (suite.get("timestamp"), suite.get("time")) == ("2023-11-14T22:13:20", "1234.568")
    found = properties(suite)
    assert (found["plimsoll"], found["backend"], found["policy"]) == ("1.2.3", "cython", "sha256:ab")
    assert (found["images"], found["accepted"], found["attachments"], found["exit-code"]) == ("1", "1", "4", "0")
    assert suite.findtext("system-out").startswith("1 images: 1 accepted")


@pytest.mark.parametrize(
    ("counts", "ending"),
    [
        ({"not_judged": 2}, Ending(exit_code=4)),
        ({}, Ending(exit_code=130, cut=True)),
        ({}, Ending(exit_code=4, cut=True)),
        ({}, Ending(exit_code=1)),
    ],
)
def test_a_run_that_was_cut_has_an_error_though_every_image_passed(counts, ending):
    suite = report(verdict(), ending=ending, **counts)
    *_, last = suite.findall("testcase")
    assert (last.get("name"), last[0].tag, last[0].get("type")) == (RUN_CASE, "error", "not-judged")
    assert (suite.get("tests"), suite.get("errors")) == ("2", "1")


def test_a_run_of_nothing_is_no_pass():
    suite = report(ending=Ending(exit_code=1))
    assert (suite.get("tests"), suite.get("errors")) == ("1", "1")
    assert "no image was verified" in suite.find("testcase/error").get("message")


TEXTS = st.text(st.characters(), max_size=40)


@settings(max_examples=60)
@given(TEXTS, TEXTS, TEXTS, st.sampled_from([Outcome.REJECTED, Outcome.UNDETERMINED]))
def test_any_text_anywhere_parses_back_escaped(image, message, pinned, outcome):
    record = SignatureRecord(format="bundle", verified=True, issuer=message, subject=image, predicate_type=pinned)
    found = refused(
        "no-signature",
        outcome=outcome,
        message=message,
        image=image,
        pinned=pinned,
        judged="image",
        signatures=(record,),
        contacted=(pinned,),
    )
    assert case_line(found).count("\n") == 1
    (case,) = report(found).findall("testcase")
    assert case.get("name") == printable(image)
    assert case[0].get("message") == f"no-signature: {printable(message)}"
    assert f"pinned: {printable(pinned)}" in case.findtext("system-out")


def test_hostile_text_opens_no_element_and_reaches_no_terminal():
    line = case_line(refused("no-signature", message=HOSTILE, image=HOSTILE))
    (case,) = report(refused("no-signature", message=HOSTILE, image=HOSTILE)).findall("testcase")
    assert [child.tag for child in case] == ["failure", "system-out"]
    assert case.get("name") == printable(HOSTILE)
    assert not {"\x00", "\x1b", "\u202e", "\udc80"} & set(line)
    line.encode("utf-8")


@pytest.mark.parametrize(("length", "cut"), [(limits.REFERENCE_CHARS, False), (limits.REFERENCE_CHARS + 1, True)])
def test_names_are_bounded(length, cut):
    (case,) = report(verdict(image="x" * length)).findall("testcase")
    assert case.get("name").endswith(f"... ({length} characters)") is cut


def test_messages_are_bounded():
    assert len(case_line(refused("no-signature", message="x" * 100_000))) < 4 * limits.TEXT_CHARS


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 0.5, 99999.9, 1e7])
def test_a_time_is_a_decimal(seconds):
    suite = report(verdict(seconds=seconds), seconds=seconds)
    assert abs(float(suite.get("time")) - seconds) <= 0.0005
    assert "e" not in suite.get("time")
