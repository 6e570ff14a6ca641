import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll import limits
from plimsoll.model.digest import Digest
from plimsoll.model.verdict import Instance, Judgement, Outcome, Reason, SignatureRecord, Verdict
from plimsoll.report.escape import printable
from plimsoll.report.summary import Summary
from plimsoll.report.text import summary_line, verdict_lines

DIGEST = Digest.of(b"image")
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def verdict(**changes):
    options = {"image": "docker://h/app:v1", "position": 0, "outcome": Outcome.ACCEPTED, "reasons": ()}
    return Verdict(**(options | changes))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("Grüße, 世界", "Grüße, 世界"),
        ("", ""),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x00\x7f\x9b", "\\x00\\x7f\\x9b"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("a\u200bb", "a\\u200bb"),
        ("\u2028\u2029", "\\u2028\\u2029"),
        ("\udc80", "\\udc80"),
        ("\U000e0041", "\\U000e0041"),
        ("\ufeff", "\\ufeff"),
    ],
)
def test_what_a_terminal_would_obey_or_hide_is_escaped(text, expected):
    assert printable(text) == expected


@given(st.text())
def test_nothing_hidden_is_left_and_utf_8_can_write_it(text):
    shown = printable(text)
    assert [character for character in shown if unicodedata.category(character) in HIDDEN] == []
    shown.encode()


@given(st.text(min_size=1), st.integers(1, 50))
def test_a_text_is_cut_and_its_length_is_told(text, limit):
    shown = printable(text, limit=limit)
    if len(text) > limit:
        assert shown.endswith(f"... ({len(text)} characters)")
    assert len(shown) <= 10 * limit + 40


def test_a_verdict_says_what_and_why():
    lines = verdict_lines(
        verdict(
            outcome=Outcome.REJECTED,
            digest=DIGEST,
            pinned=f"h/app@{DIGEST}",
            reasons=(Reason(code="no-signature", message="none is there"),),
        )
    ).splitlines()
    assert lines[0].split() == ["REJECTED", "docker://h/app:v1"]
    assert any(str(DIGEST) in line for line in lines)
    assert any("no-signature: none is there" in line for line in lines)


@pytest.mark.parametrize("outcome", Outcome)
def test_the_outcome_is_the_first_word(outcome):
    assert verdict_lines(verdict(outcome=outcome)).split()[0] == outcome.name


def test_only_verified_signatures_are_shown_as_such():
    signatures = (
        SignatureRecord(format="cosign", verified=True, key="sha256:good"),
        SignatureRecord(format="cosign", verified=False, key="sha256:bad"),
    )
    text = verdict_lines(verdict(signatures=signatures))
    assert "sha256:good" in text
    assert "sha256:bad" not in text


def test_every_instance_is_shown():
    judgement = Judgement(outcome=Outcome.REJECTED)
    instances = (Instance(digest=DIGEST, platform="linux/\x1b[1m", judgement=judgement),)
    text = verdict_lines(verdict(instances=instances))
    assert "linux/\\x1b[1m" in text
    assert "rejected" in text


@pytest.mark.parametrize(
    ("outcome", "inherited", "said"),
    [
        (Outcome.ACCEPTED, True, "accepted by its index"),
        (Outcome.ACCEPTED, False, "accepted"),
        (Outcome.REJECTED, True, "rejected"),
        (Outcome.UNDETERMINED, True, "undetermined"),
    ],
)
def test_only_an_accepted_instance_is_accepted_by_its_index(outcome, inherited, said):
    instance = Instance(
        digest=DIGEST, platform="linux/amd64", judgement=Judgement(outcome=outcome), inherited=inherited
    )
    index = Judgement(outcome=Outcome.ACCEPTED)
    lines = verdict_lines(verdict(instances=(instance,), index=index)).splitlines()
    assert lines[-2:] == ["    the index itself: accepted", f"    linux/amd64 {DIGEST}: {said}"]


@given(st.text(max_size=50))
def test_hostile_names_and_messages_cannot_make_a_line(text):
    hostile = verdict(image=text, outcome=Outcome.REJECTED, reasons=(Reason(code="not-found", message=text),))
    honest = verdict(image="x", outcome=Outcome.REJECTED, reasons=(Reason(code="not-found", message="x"),))
    shown = verdict_lines(hostile)
    assert len(shown.splitlines()) == len(verdict_lines(honest).splitlines())
    assert "\x1b" not in shown


def test_long_texts_are_bounded():
    long = "x" * 1_000_000
    text = verdict_lines(verdict(image=long, reasons=(Reason(code="not-found", message=long),)))
    assert len(text) < 4 * limits.TEXT_CHARS


def test_the_summary_is_one_line_with_every_count():
    summary = Summary(
        images=10, accepted=5, rejected=3, undetermined=2, requests=30, seconds=2.0, not_judged=7, attachments=4
    )
    line = summary_line(summary)
    assert line.count("\n") == 1
    for part in (
        "10 images",
        "5 accepted",
        "3 rejected",
        "2 undetermined",
        "7 not judged",
        "4 attachment",
        "5 images/s",
        "3.00",
    ):
        assert part in line


def test_an_empty_summary_is_a_line_too():
    assert summary_line(Summary()).startswith("0 images")
