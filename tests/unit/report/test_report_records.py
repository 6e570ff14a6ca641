import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll import limits
from plimsoll.model.digest import Digest
from plimsoll.model.verdict import Instance, Judgement, Outcome, Reason, SignatureRecord, Verdict
from plimsoll.report.records import json_line, summary_record, verdict_record
from plimsoll.report.summary import Summary

DIGEST = Digest.of(b"image")
NAME = "127.0.0.1:5000/app"
FIELDS = [
    "schema",
    "image",
    "digest",
    "pinned",
    "position",
    "judged",
    "verdict",
    "reasons",
    "signatures",
    "requests",
    "bytes",
    "seconds",
]
HOSTILE = "a\x1b[2J\u202e\u2028\udc80\U0001f600"


def accepted(**changes):
    options = {
        "image": f"docker://{NAME}:v1",
        "position": 0,
        "outcome": Outcome.ACCEPTED,
        "reasons": (),
        "digest": DIGEST,
        "pinned": f"{NAME}@{DIGEST}",
        "judged": "image",
        "signatures": (SignatureRecord(format="cosign", key="sha256:aa", verified=True),),
        "requests": 3,
        "bytes": 1811,
        "seconds": 0.0021,
    }
    return Verdict(**(options | changes))


def test_the_contracts_first_line():
    # cli.md, the first line of its example, digests apart.
    assert json_line(verdict_record(accepted())) == (
        f'{{"schema":"plimsoll.verdict/v1","image":"docker://127.0.0.1:5000/app:v1","digest":"{DIGEST}",'
        f'"pinned":"127.0.0.1:5000/app@{DIGEST}","position":0,"judged":"image","verdict":"accepted","reasons":[],'
        '"signatures":[{"format":"cosign","key":"sha256:aa","verified":true}],"requests":3,"bytes":1811,"seconds":0.0021}\n'
    )


def test_the_contracts_second_line():
    rejected = accepted(
        outcome=Outcome.REJECTED,
        reasons=(Reason(code="no-signature", message="none"),),
        signatures=(),
        position=1,
        requests=2,
        bytes=902,
        seconds=0.0017,
    )
    record = verdict_record(rejected)
    assert list(record) == FIELDS
    assert (record["verdict"], record["reasons"]) == ("rejected", [{"code": "no-signature", "message": "none"}])


def test_the_contracts_summary():
    summary = Summary(images=2, accepted=1, rejected=1, requests=5, bytes=2713, seconds=0.0040)
    assert json_line(summary_record(summary, policy="sha256:bb", backend="cython")) == (
        '{"schema":"plimsoll.summary/v1","images":2,"accepted":1,"rejected":1,"undetermined":0,"requests":5,"bytes":2713,'
        '"seconds":0.004,"images_per_second":500.0,"policy":"sha256:bb","backend":"cython"}\n'
    )


@pytest.mark.parametrize("field", ["not_judged", "attachments"])
def test_what_was_left_out_is_counted_where_there_is_any(field):
    assert field not in summary_record(Summary(images=1), policy=None, backend="python")
    assert summary_record(Summary(images=1, **{field: 3}), policy=None, backend="python")[field] == 3


def test_a_summary_of_nothing_divides_by_nothing():
    record = summary_record(Summary(), policy=None, backend="python")
    assert (record["images"], record["images_per_second"]) == (0, 0.0)


def test_what_is_not_known_is_null():
    unknown = Verdict(
        image="x", position=0, outcome=Outcome.UNDETERMINED, reasons=(Reason(code="timeout", message="m"),)
    )
    record = verdict_record(unknown)
    assert list(record) == FIELDS
    assert (record["digest"], record["pinned"], record["judged"]) == (None, None, None)


def test_instances_are_inside_the_one_record():
    judgement = Judgement(outcome=Outcome.REJECTED, reasons=(Reason(code="no-signature", message="m"),))
    instances = (Instance(digest=DIGEST, platform="linux/amd64", judgement=judgement),)
    record = verdict_record(accepted(instances=instances, judged="instances"))
    assert list(record) == [*FIELDS, "instances"]
    assert record["instances"] == [
        {
            "digest": str(DIGEST),
            "platform": "linux/amd64",
            "by": "itself",
            "verdict": "rejected",
            "reasons": [{"code": "no-signature", "message": "m"}],
            "signatures": [],
        }
    ]


def test_what_an_instance_inherits_is_said_and_by_which_judgement():
    good = Judgement(outcome=Outcome.ACCEPTED, signatures=(SignatureRecord(format="cosign", verified=True, key="k"),))
    inherited = Instance(
        digest=DIGEST, platform="linux/amd64", judgement=Judgement(outcome=Outcome.ACCEPTED), inherited=True
    )
    record = verdict_record(accepted(judged="instances", instances=(inherited,), index=good))
    assert list(record) == [*FIELDS, "index", "instances"]
    assert record["index"] == {
        "verdict": "accepted",
        "reasons": [],
        "signatures": [{"format": "cosign", "key": "k", "verified": True}],
    }
    assert [instance["by"] for instance in record["instances"]] == ["index"]


def test_a_signature_that_does_not_count_says_why():
    reason = Reason(code="untrusted-key", message="m")
    record = verdict_record(accepted(signatures=(SignatureRecord(format="cosign", verified=False, reason=reason),)))
    assert record["signatures"] == [
        {"format": "cosign", "key": None, "verified": False, "reason": {"code": "untrusted-key", "message": "m"}}
    ]


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_its_word(outcome):
    assert verdict_record(accepted(outcome=outcome))["verdict"] == outcome.name.lower()


@given(st.text())
def test_a_line_is_one_line_of_ascii_whatever_it_holds(text):
    verdict = accepted(image=text, reasons=(Reason(code="not-found", message=text),), outcome=Outcome.UNDETERMINED)
    line = json_line(verdict_record(verdict))
    assert line.isascii()
    assert line.count("\n") == 1
    assert line.endswith("}\n")
    assert len(line.splitlines()) == 1
    read = json.loads(line)
    if len(text) <= limits.TEXT_CHARS:
        assert (read["image"], read["reasons"][0]["message"]) == (text, text)


def test_hostile_text_cannot_leave_its_string():
    line = json_line(verdict_record(accepted(image=HOSTILE)))
    assert "\x1b" not in line
    assert json.loads(line)["image"] == HOSTILE


@pytest.mark.parametrize(("length", "cut"), [(limits.REFERENCE_CHARS, False), (limits.REFERENCE_CHARS + 1, True)])
def test_the_image_is_bounded(length, cut):
    record = verdict_record(accepted(image="x" * length))
    assert record["image"].endswith(f"... ({length} characters)") == cut
    assert len(record["image"]) < limits.REFERENCE_CHARS + 40


def test_messages_and_platforms_are_bounded():
    long = "x" * 100_000
    reasons = (Reason(code="not-found", message=long),)
    instance = Instance(digest=DIGEST, platform=long, judgement=Judgement(outcome=Outcome.REJECTED, reasons=reasons))
    signature = SignatureRecord(format="cosign", verified=False, reason=reasons[0])
    verdict = accepted(reasons=reasons, signatures=(signature,), instances=(instance,))
    assert len(json_line(verdict_record(verdict))) < 6 * limits.TEXT_CHARS


def test_seconds_are_rounded():
    assert verdict_record(accepted(seconds=1 / 3))["seconds"] == 0.333333
