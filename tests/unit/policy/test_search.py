"""Which places are searched, in which order, and what an answer that is missing, broken or of another format means."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.signing import SIGNATURE, SIMPLE_SIGNING, b64, payload_bytes, signed_attachment, signer
from plimsoll.model.digest import Digest
from plimsoll.model.evidence import Absent, Attachment, Evidence, Failed, Found, Needs, StorePlace
from plimsoll.model.location import locate_docker, locate_path
from plimsoll.model.manifest import RawManifest
from plimsoll.model.reference import parse_docker_reference
from plimsoll.model.verdict import Judgement, Outcome, Reason
from plimsoll.policy.prepare import Ready
from plimsoll.policy.search import Question, search
from plimsoll.signatures.cosign import signature_places
from plimsoll.signatures.formats import KeyTrust, LogIgnored
from plimsoll.signatures.openpgp import GpgTrust

VECTORS = Path(__file__).parents[2] / "vectors" / "simple"
IMAGE = json.loads((VECTORS / "cases.json").read_bytes())["image"].encode()
DIGEST = Digest.of(IMAGE)
GPG = (VECTORS / "messages" / "ed25519.sig").read_bytes()
BASE = "https://sigs.example/store"
STORE = StorePlace(base=BASE, digest=DIGEST)
(TAG,) = signature_places((DIGEST,))
ALICE, BOB, MALLORY = (signer(name=name) for name in ("alice", "bob", "mallory"))
RUBBISH = b"<html>"
UNREACHABLE = Failed(reason=Reason(code="unreachable", message="no route"))


def stored_cosign(by, *, digest=DIGEST, mime_type=SIMPLE_SIGNING):
    payload = payload_bytes(digest)
    wrapper = {"mimeType": mime_type, "payload": b64(payload), "annotations": {SIGNATURE: b64(by.sign(payload))}}
    return b"\0sigstore-json\n" + json.dumps(wrapper).encode()


def store(*blobs):
    return Found(attachments=tuple([Attachment(descriptor=None, data=blob) for blob in blobs]))


def tag(*by):
    return Found(attachments=tuple([signed_attachment(DIGEST, by=each) for each in by]))


def sigstore(*trusted, threshold=1, claims=lambda _found: None):
    trust = KeyTrust(keys=tuple([each.key for each in trusted]), log=LogIgnored())
    return Question(trust=trust, claims=claims, threshold=threshold)


def openpgp(name="ed25519"):
    trust = GpgTrust(((VECTORS / "keys" / f"{name}.gpg").read_bytes(),))
    return Question(trust=trust, claims=lambda _found: None, threshold=1, families=("openpgp",))


def ready(*, attachments=True, base=BASE):
    return Ready(requirements=(), attachments=attachments, store=base)


def evidence(answers=None, *, location=None):
    docker = locate_docker(parse_docker_reference("registry.example/team/app:v1"))
    return Evidence(
        image="an image",
        location=location or docker,
        manifest=RawManifest(data=IMAGE),
        digests=(DIGEST,),
        now_s=1_780_000_000.0,
        answers=answers or {},
    )


def found(question, answers, **places):
    judgement = search(question, ready(**places), evidence(answers))
    assert isinstance(judgement, Judgement)
    return judgement


def codes(judgement):
    return [reason.code for reason in judgement.reasons]


def test_the_tag_is_asked_first_and_the_store_only_when_the_tag_falls_short():
    question = sigstore(ALICE)
    assert search(question, ready(), evidence()) == Needs(places=(TAG,))
    for short in (Absent(), tag(), tag(MALLORY), UNREACHABLE):
        assert search(question, ready(), evidence({TAG: short})) == Needs(places=(STORE,))
    assert found(question, {TAG: tag(ALICE)}).outcome is Outcome.ACCEPTED


def test_without_attachments_the_store_alone_is_asked():
    assert search(sigstore(ALICE), ready(attachments=False), evidence()) == Needs(places=(STORE,))


def test_gpg_signatures_are_looked_for_in_the_store_alone():
    assert search(openpgp(), ready(), evidence()) == Needs(places=(STORE,))


def test_without_any_place_nothing_is_asked_and_nothing_is_accepted():
    judgement = found(sigstore(ALICE), {}, attachments=False, base=None)
    assert (judgement.outcome, codes(judgement)) == (Outcome.REJECTED, ["no-signature"])


@pytest.mark.parametrize(
    ("blob", "expected"),
    [
        (stored_cosign(ALICE), None),
        (stored_cosign(MALLORY), "untrusted-key"),
        (stored_cosign(ALICE, digest=Digest.of(b"another image")), "digest-mismatch"),
        (stored_cosign(ALICE, mime_type="application/x"), "no-signature"),
        (GPG, "no-signature"),
        (RUBBISH, "bad-signature"),
        (b"", "bad-signature"),
        (b"\0other\n{}", "bad-signature"),
        (b"\0sigstore-json\n{", "bad-signature"),
    ],
)
def test_a_stored_signature_for_a_sigstore_requirement(blob, expected):
    judgement = found(sigstore(ALICE), {TAG: Absent(), STORE: store(blob)})
    assert judgement.outcome is (Outcome.REJECTED if expected else Outcome.ACCEPTED)
    assert codes(judgement) == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("blob", "key", "expected"),
    [
        (GPG, "ed25519", None),
        (b"\0simple-signing\n" + GPG, "ed25519", None),
        (GPG, "p256", "untrusted-key"),
        (GPG[:-20], "ed25519", "bad-signature"),
        (stored_cosign(ALICE), "ed25519", "no-signature"),
    ],
)
def test_a_stored_signature_for_a_gpg_requirement(blob, key, expected):
    judgement = found(openpgp(key), {STORE: store(blob)})
    assert judgement.outcome is (Outcome.REJECTED if expected else Outcome.ACCEPTED)
    assert codes(judgement) == ([expected] if expected else [])


def test_signatures_of_other_formats_leave_no_trace():
    judgement = found(sigstore(ALICE), {TAG: Absent(), STORE: store(GPG, stored_cosign(ALICE), GPG)})
    assert judgement.outcome is Outcome.ACCEPTED
    assert [record.format for record in judgement.signatures] == ["cosign"]
    judgement = found(openpgp(), {STORE: store(stored_cosign(MALLORY), GPG)})
    assert [record.format for record in judgement.signatures] == ["simple"]


@pytest.mark.parametrize("rubbish_first", [True, False])
def test_one_unreadable_file_spoils_its_store(rubbish_first):
    blobs = [RUBBISH, stored_cosign(ALICE)]
    answers = {TAG: Absent(), STORE: store(*(blobs if rubbish_first else blobs[::-1]))}
    judgement = found(sigstore(ALICE), answers)
    assert (judgement.outcome, codes(judgement), judgement.signatures) == (Outcome.REJECTED, ["bad-signature"], ())
    assert found(openpgp(), {STORE: store(GPG, RUBBISH)}).outcome is Outcome.REJECTED


def test_an_unreadable_file_in_the_store_takes_nothing_from_the_tag():
    question = sigstore(ALICE, BOB, threshold=2)
    answers = {TAG: tag(ALICE), STORE: store(stored_cosign(BOB), RUBBISH)}
    judgement = found(question, answers)
    assert judgement.outcome is Outcome.REJECTED
    assert [record.key for record in judgement.signatures if record.verified] == [ALICE.fingerprint]
    assert set(codes(judgement)) == {"threshold-not-met", "bad-signature"}
    answers[STORE] = store(stored_cosign(BOB))
    assert found(question, answers).outcome is Outcome.ACCEPTED


def test_a_bad_signature_on_the_tag_takes_nothing_from_the_store():
    judgement = found(sigstore(ALICE), {TAG: tag(MALLORY), STORE: store(stored_cosign(ALICE))})
    assert judgement.outcome is Outcome.ACCEPTED
    assert [record.verified for record in judgement.signatures] == [False, True]


def test_one_key_in_two_places_counts_once():
    judgement = found(sigstore(ALICE, BOB, threshold=2), {TAG: tag(ALICE), STORE: store(stored_cosign(ALICE))})
    assert (judgement.outcome, codes(judgement)) == (Outcome.REJECTED, ["threshold-not-met"])


def test_a_store_is_read_to_its_end_whatever_was_found_before():
    judgement = found(sigstore(ALICE), {TAG: Absent(), STORE: store(stored_cosign(ALICE), stored_cosign(MALLORY))})
    assert [record.verified for record in judgement.signatures] == [True, False]


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("unreachable", Outcome.UNDETERMINED),
        ("timeout", Outcome.UNDETERMINED),
        ("server-error", Outcome.UNDETERMINED),
        ("limit-exceeded", Outcome.REJECTED),
        ("no-signature", Outcome.REJECTED),
    ],
)
def test_a_store_that_failed_is_not_an_absent_one(code, outcome):
    failed = Failed(reason=Reason(code=code, message="it failed"))
    judgement = found(sigstore(ALICE), {TAG: Absent(), STORE: failed})
    assert (judgement.outcome, judgement.reasons) == (outcome, (failed.reason,))
    judgement = found(openpgp(), {STORE: failed})
    assert (judgement.outcome, judgement.reasons) == (outcome, (failed.reason,))


def test_a_tag_that_failed_leaves_open_what_an_absent_store_would_have_rejected():
    judgement = found(sigstore(ALICE), {TAG: UNREACHABLE, STORE: Absent()})
    assert (judgement.outcome, codes(judgement)) == (Outcome.UNDETERMINED, ["unreachable"])
    assert found(sigstore(ALICE), {TAG: UNREACHABLE, STORE: store(stored_cosign(ALICE))}).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize(
    ("code", "outcome"), [("unreachable", Outcome.UNDETERMINED), ("not-found", Outcome.UNDETERMINED)]
)
def test_one_stored_file_that_could_not_be_had_is_no_bad_signature(code, outcome):
    reason = Reason(code=code, message="it went away")
    answer = Found(attachments=(Attachment(descriptor=None, failure=reason),))
    judgement = found(sigstore(ALICE), {TAG: Absent(), STORE: answer})
    assert (judgement.outcome, judgement.reasons) == (outcome, (reason,))


def test_a_claim_that_is_not_met_is_the_records_reason():
    unwanted = Reason(code="identity-mismatch", message="another name")
    judgement = found(
        sigstore(ALICE, claims=lambda _found: unwanted), {TAG: Absent(), STORE: store(stored_cosign(ALICE))}
    )
    assert (judgement.outcome, judgement.reasons) == (Outcome.REJECTED, (unwanted,))
    assert [record.verified for record in judgement.signatures] == [False]


@pytest.mark.parametrize("family", ["sigstore", "openpgp"])
def test_a_key_that_cannot_be_read_matters_only_where_there_is_a_signature(family):
    reason = Reason(code="key-unreadable", message="no such file")
    question = Question(trust=reason, claims=lambda _found: None, threshold=1, families=(family,))
    blob = GPG if family == "openpgp" else stored_cosign(ALICE)
    judgement = found(question, {TAG: Absent(), STORE: store(blob)})
    assert (judgement.outcome, judgement.reasons) == (Outcome.UNDETERMINED, (reason,))
    judgement = found(question, {TAG: Absent(), STORE: Absent()})
    assert (judgement.outcome, codes(judgement)) == (Outcome.REJECTED, ["no-signature"])


def why_none(*, attachments, base, location=None):
    answers = {TAG: Absent(), StorePlace(base=base or "", digest=DIGEST): Absent()}
    judgement = search(sigstore(ALICE), ready(attachments=attachments, base=base), evidence(answers, location=location))
    (reason,) = judgement.reasons
    assert (judgement.outcome, reason.code) == (Outcome.REJECTED, "no-signature")
    return reason.message


def test_no_signature_names_the_places_that_were_looked_at():
    both = why_none(attachments=True, base=BASE)
    assert "no .sig tag" in both
    assert f"is stored below {BASE}, or by the registry itself where it keeps them" in both


def test_no_signature_names_the_setting_that_kept_the_tags_from_being_looked_at():
    message = why_none(attachments=False, base=BASE)
    assert "use-sigstore-attachments" in message
    assert BASE in message
    assert "stored" not in why_none(attachments=False, base=None)


def test_no_signature_beside_a_folder_says_so():
    message = why_none(attachments=False, base="", location=locate_path("dir", "/images/app"))
    assert "is stored beside the image" in message
    assert "use-sigstore-attachments" not in message


def test_no_message_shows_the_query_of_a_lookaside():
    assert "hush" not in why_none(attachments=True, base=f"{BASE}?token=hush")


KINDS = {
    "good": stored_cosign(ALICE),
    "stranger": stored_cosign(MALLORY),
    "gpg": GPG,
    "unknown": stored_cosign(ALICE, mime_type="application/x"),
    "rubbish": RUBBISH,
}


@given(st.lists(st.sampled_from(sorted(KINDS)), max_size=6))
def test_a_store_accepts_where_one_is_good_and_none_unreadable(kinds):
    blobs = [KINDS[kind] for kind in kinds]
    judgement = found(sigstore(ALICE), {STORE: store(*blobs)}, attachments=False)
    good = "good" in kinds and "rubbish" not in kinds
    assert judgement.outcome is (Outcome.ACCEPTED if good else Outcome.REJECTED)
    assert bool(judgement.reasons) is not good
