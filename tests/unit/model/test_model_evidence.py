"""Evidence: what was asked, and what was not."""

from __future__ import annotations

import pickle

from fakes.signing import rekor, signed_attachment
from plimsoll.model.digest import Digest
from plimsoll.model.evidence import Absent, Evidence, Failed, Found, TagPlace
from plimsoll.model.location import locate_path
from plimsoll.model.manifest import RawManifest
from plimsoll.model.verdict import Reason

RAW = RawManifest(data=b"{}")
FIRST, SECOND = (TagPlace(tag=tag, media_types=frozenset({"application/x"})) for tag in ("first", "second"))
EVIDENCE = Evidence(image="i", location=locate_path("dir", "/d"), manifest=RAW, digests=(RAW.digest,), now_s=1.5)


def test_answers_are_added_and_replaced_and_the_old_evidence_stays():
    more = EVIDENCE.with_answers({FIRST: Absent()})
    both = more.with_answers({SECOND: Absent(), FIRST: Found(attachments=())})
    assert (EVIDENCE.answers, more.answers) == ({}, {FIRST: Absent()})
    assert both.answers == {FIRST: Found(attachments=()), SECOND: Absent()}
    for after in (more, both):
        assert (after.image, after.location, after.manifest, after.digests, after.now_s) == (
            EVIDENCE.image,
            EVIDENCE.location,
            EVIDENCE.manifest,
            EVIDENCE.digests,
            EVIDENCE.now_s,
        )


def test_the_three_answers_are_never_equal():
    answers = [Absent(), Found(attachments=()), Failed(reason=Reason(code="timeout", message="m"))]
    for one in answers:
        assert [one == other for other in answers].count(True) == 1


def test_a_place_is_its_tag_and_its_types():
    assert TagPlace(tag="first", media_types=frozenset({"application/x"})) == FIRST
    assert TagPlace(tag="first", media_types=frozenset({"application/y"})) != FIRST


def test_evidence_with_real_signatures_pickles():
    found = Found(attachments=(signed_attachment(Digest.of(b"x"), log=rekor()),))
    evidence = EVIDENCE.with_answers({FIRST: found, SECOND: Failed(reason=Reason(code="timeout", message="m"))})
    assert pickle.loads(pickle.dumps(evidence)) == evidence
