"""judge: the three values, place by place; what is asked, what is not, and what a failure may never look like."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.signing import BUNDLE, SIGNATURE, attachment, rekor, signed_attachment, signer, trusted_root_bytes
from plimsoll import limits
from plimsoll.errors import BadSignatureError
from plimsoll.model.digest import Digest
from plimsoll.model.evidence import Absent, Attachment, Evidence, Failed, Found, Needs, TagPlace
from plimsoll.model.location import locate_docker, locate_path
from plimsoll.model.manifest import RawManifest
from plimsoll.model.reference import parse_docker_reference
from plimsoll.model.trusted_root import TrustRoot, parse_trusted_root
from plimsoll.model.verdict import UNDETERMINED_CODES, Judgement, Outcome, Reason, n_of
from plimsoll.policy.evaluate import judge
from plimsoll.policy.identity import ExactRepository, MatchExact, MatchRepoDigestOrExact, MatchRepository
from plimsoll.policy.prepare import Ready, ReadyRequirement, prepare
from plimsoll.policy.requirements import (
    AcceptAnything,
    AdHoc,
    KeySource,
    KeyType,
    LogDemand,
    Reject,
    SignedBaseLayer,
    SignedBy,
    SigstoreSigned,
)
from plimsoll.signatures.formats import Artifact, KeyTrust, LogIgnored, SignatureFormat, Trust, VerifiedSignature
from plimsoll.signatures.known_formats import BUNDLE as BUNDLE_FORMAT
from plimsoll.signatures.known_formats import COSIGN, FORMATS
from plimsoll.signatures.trust_index import index_root

RAW = RawManifest(data=b"the image")
DIGEST = RAW.digest
PLACE = COSIGN.places((DIGEST,))[0]
ALICE, BOB, CAROL, MALLORY = (signer("p256", name) for name in ("alice", "bob", "carol", "mallory"))
ROOT = index_root(parse_trusted_root(trusted_root_bytes(rekor().trusted())))
ACCEPTED, REJECTED, UNDETERMINED = Outcome.ACCEPTED, Outcome.REJECTED, Outcome.UNDETERMINED
TIMEOUT = Reason(code="timeout", message="no answer in 30 s")
BROKEN = Reason(code="manifest-invalid", message="no manifest")
NOW_S = 1_800_000_000.0
ABSENT, TIMED_OUT, UNREADABLE = Absent(), Failed(reason=TIMEOUT), Failed(reason=BROKEN)


def no_bundles(digests):
    """Nothing refers to the image: what these tests are about is on tags."""
    return dict.fromkeys(BUNDLE_FORMAT.places(digests), ABSENT)


def evidence(answer=None, *, image="registry.example/team/app:v1", place=PLACE, digests=(DIGEST,)):
    """Evidence in which the one place has this answer; None: it was not asked."""
    return Evidence(
        image=image,
        location=locate_docker(parse_docker_reference(image)),
        manifest=RAW,
        digests=digests,
        now_s=NOW_S,
        answers={**no_bundles(digests), **({} if answer is None else {place: answer})},
    )


def found(*attachments):
    return Found(attachments=attachments)


def good(by=ALICE, **changes):
    return signed_attachment(DIGEST, by=by, **changes)


def lost(reason=TIMEOUT):
    """An attachment whose bytes could not be had."""
    return replace(good(), data=None, failure=reason)


def keyed(*keys, **asked):
    return AdHoc(keys=tuple(by.key for by in keys or (ALICE,)), **({"log": LogDemand.IGNORED} | asked))


def sigstore(*keys, identity=None, rekor_keys=None, paths=()):
    return SigstoreSigned(
        keys=KeySource(paths=paths, data=tuple(by.pem for by in keys), where="default[0].keyDatas"),
        fulcio=None,
        pki=None,
        rekor_keys=rekor_keys,
        identity=identity or MatchRepository(),
        where="default[0]",
    )


UNSUPPORTED = SignedBy(
    key_type=KeyType.X509_CERTIFICATES, keys=KeySource(data=(b"x",)), identity=MatchRepository(), where="default[0]"
)
"""containers/image reads it and fails on it: the one requirement that is always undetermined."""


def no_file(path):
    raise AssertionError(f"{path} was read")


def ready(*requirements, attachments=True, **more):
    return prepare(requirements, read_key=no_file, trust_root=ROOT, attachments=attachments, **more)


def outcome(prepared, answer=None, **more):
    judged = judge(prepared, evidence(answer, **more))
    assert isinstance(judged, Judgement), judged
    return judged.outcome


def codes(judgement):
    return [reason.code for reason in judgement.reasons]


# ---- without evidence ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [None, ABSENT, found(), found(good())])
def test_an_empty_list_rejects(answer):
    judged = judge(ready(), evidence(answer))
    assert (judged.outcome, codes(judged)) == (REJECTED, ["policy-reject"])
    assert outcome(ready(AcceptAnything()), answer) is ACCEPTED


def test_accept_anything_asks_for_nothing():
    judged = judge(ready(AcceptAnything(), AcceptAnything()), evidence())
    assert judged == Judgement(outcome=ACCEPTED)


def test_reject_asks_for_nothing():
    judged = judge(ready(Reject(), scope="docker.io"), evidence())
    assert (judged.outcome, codes(judged)) == (REJECTED, ["policy-reject"])
    assert "docker.io" in judged.reasons[0].message


@pytest.mark.parametrize("order", [1, -1])
def test_reject_beside_a_needy_requirement_asks_for_nothing(order):
    requirements = (Reject(), sigstore(ALICE), keyed())[::order]
    judged = judge(ready(*requirements), evidence())
    assert (judged.outcome, codes(judged)) == (REJECTED, ["policy-reject"])
    assert judge(ready(*(r for r in requirements if r != Reject())), evidence()) == Needs(places=(PLACE,))


def test_a_sure_rejection_is_not_hidden_by_what_was_not_asked():
    other = SignatureFormat(name="other", places=two_places, parse=COSIGN.parse, verify=COSIGN.verify)
    requirements = (keyed(), UNSUPPORTED, Reject())
    assert outcome(replace(ready(*requirements), formats=(other,))) is REJECTED


def two_places(digests):
    return (
        TagPlace(tag="first", media_types=frozenset({"application/x"})),
        TagPlace(tag="second", media_types=frozenset({"application/x"})),
    )


# ---- --require-signed ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("requirement", [AcceptAnything(), SignedBaseLayer(base_layer_identity=MatchExact())])
def test_require_signed_refuses_a_list_that_verifies_nothing(requirement):
    judged = judge(ready(requirement, scope="docker/r.example", require_signed=True), evidence())
    assert (judged.outcome, codes(judged)) == (REJECTED, ["policy-reject"])
    assert "--require-signed" in judged.reasons[0].message


def test_require_signed_is_content_with_one_that_does():
    demanding = ready(AcceptAnything(), keyed(), require_signed=True)
    assert judge(demanding, evidence()) == Needs(places=(PLACE,))
    assert outcome(demanding, found(good())) is ACCEPTED
    assert outcome(demanding, ABSENT) is REJECTED
    assert outcome(ready(AcceptAnything())) is ACCEPTED
    assert outcome(ready(require_signed=True)) is REJECTED


# ---- one key ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("requirement", [keyed(), sigstore(ALICE)], ids=["--key", "sigstoreSigned"])
class TestOneKey:
    def test_a_good_signature(self, requirement):
        judged = judge(ready(requirement), evidence(found(good())))
        assert (judged.outcome, judged.reasons) == (ACCEPTED, ())
        (record,) = judged.signatures
        assert (record.format, record.verified, record.key, record.reason) == ("cosign", True, ALICE.fingerprint, None)

    def test_not_asked_is_asked(self, requirement):
        assert judge(ready(requirement), evidence()) == Needs(places=(PLACE,))

    def test_absent_is_no_signature(self, requirement):
        judged = judge(ready(requirement), evidence(ABSENT))
        assert (judged.outcome, codes(judged)) == (REJECTED, ["no-signature"])

    def test_an_empty_place_is_no_signature(self, requirement):
        judged = judge(ready(requirement), evidence(found()))
        assert (judged.outcome, codes(judged)) == (REJECTED, ["no-signature"])

    @pytest.mark.parametrize("code", sorted(UNDETERMINED_CODES))
    def test_a_failed_place_is_never_absent(self, requirement, code):
        judged = judge(ready(requirement), evidence(Failed(reason=Reason(code=code, message="m"))))
        assert (judged.outcome, codes(judged)) == (UNDETERMINED, [code])

    def test_a_place_that_holds_rubbish_is_rejected(self, requirement):
        judged = judge(ready(requirement), evidence(UNREADABLE))
        assert (judged.outcome, codes(judged)) == (REJECTED, ["manifest-invalid"])

    def test_a_strangers_signature(self, requirement):
        judged = judge(ready(requirement), evidence(found(good(by=MALLORY))))
        assert (judged.outcome, codes(judged)) == (REJECTED, ["untrusted-key"])
        assert [(record.verified, record.key) for record in judged.signatures] == [(False, None)]

    def test_another_images_signature(self, requirement):
        judged = judge(ready(requirement), evidence(found(signed_attachment(Digest.of(b"other")))))
        assert (judged.outcome, codes(judged)) == (REJECTED, ["digest-mismatch"])

    def test_one_good_among_bad_ones_in_any_order(self, requirement):
        bad = [good(by=MALLORY), signed_attachment(Digest.of(b"other")), attachment(b"", annotations={}), lost()]
        for at in range(len(bad) + 1):
            listed = [*bad[:at], good(), *bad[at:]]
            judged = judge(ready(requirement), evidence(found(*listed)))
            assert judged.outcome is ACCEPTED
            assert judged.reasons == ()
            assert [record.verified for record in judged.signatures] == [item == listed[at] for item in listed]
        assert outcome(ready(requirement), found(*bad[:3])) is REJECTED

    def test_a_lost_signature_may_have_been_the_good_one(self, requirement):
        judged = judge(ready(requirement), evidence(found(good(by=MALLORY), lost())))
        assert (judged.outcome, codes(judged)) == (UNDETERMINED, ["timeout", "untrusted-key"])

    def test_a_signature_whose_bytes_are_not_its_digests_is_rejected(self, requirement):
        spoilt = lost(Reason(code="digest-mismatch", message="bytes"))
        judged = judge(ready(requirement), evidence(found(spoilt)))
        assert (judged.outcome, codes(judged)) == (REJECTED, ["digest-mismatch"])

    def test_an_attachment_without_data_or_failure_proves_nothing(self, requirement):
        judged = judge(ready(requirement), evidence(found(replace(good(), data=None))))
        assert (judged.outcome, codes(judged)) == (REJECTED, ["bad-signature"])

    def test_an_image_without_digests_has_no_place(self, requirement):
        assert outcome(ready(requirement), found(good()), digests=()) is REJECTED

    def test_answers_of_another_place_are_not_looked_at(self, requirement):
        other = TagPlace(tag=PLACE.tag, media_types=frozenset({"application/x"}))
        assert judge(ready(requirement), evidence(found(good()), place=other)) == Needs(places=(PLACE,))

    def test_attachments_that_may_not_be_looked_at(self, requirement):
        judged = judge(ready(requirement, attachments=False), evidence(found(good())))
        assert (judged.outcome, codes(judged)) == (REJECTED, ["no-signature"])
        assert "use-sigstore-attachments" in judged.reasons[0].message
        local = replace(evidence(found(good())), location=locate_path("oci", "/srv/image"))
        judged = judge(ready(requirement, attachments=False), local)
        assert (judged.outcome, codes(judged)) == (REJECTED, ["no-signature"])
        assert "oci:" in judged.reasons[0].message


def test_the_log_is_demanded_unless_ignored():
    demanding = ready(keyed(log=LogDemand.REQUIRED))
    assert outcome(demanding, found(good(log=rekor()))) is ACCEPTED
    judged = judge(demanding, evidence(found(good())))
    assert (judged.outcome, codes(judged)) == (REJECTED, ["log-proof-missing"])
    judged = judge(demanding, evidence(found(good(log=rekor("impostor")))))
    assert (judged.outcome, codes(judged)) == (REJECTED, ["log-proof-invalid"])
    assert outcome(ready(keyed()), found(good())) is ACCEPTED


def test_no_trusted_root_trusts_no_log():
    for root in (None, index_root(TrustRoot())):
        without = prepare((keyed(log=LogDemand.REQUIRED),), read_key=no_file, trust_root=root, attachments=True)
        assert outcome(without, found(good(log=rekor()))) is REJECTED


def test_a_foreign_log_entry_does_not_help():
    """CVE-2022-36056 through judge."""
    foreign = signed_attachment(Digest.of(b"other"), log=rekor()).descriptor.annotations[BUNDLE]
    mine = good()
    spliced = attachment(mine.data, annotations={**mine.descriptor.annotations, BUNDLE: foreign})
    assert outcome(ready(keyed(log=LogDemand.REQUIRED)), found(spliced)) is REJECTED


# ---- annotations -----------------------------------------------------------------------------------------------------


def test_annotations_that_are_asked_must_be_signed():
    asked = ready(keyed(annotations=(("env", "prod"), ("tier", "1"))))
    assert outcome(asked, found(good(optional={"env": "prod", "tier": "1", "more": None}))) is ACCEPTED
    for optional in (
        None,
        {},
        {"env": "prod"},
        {"env": "prod", "tier": 1},
        {"env": "prod", "tier": True},
        {"env": "prod", "tier": ["1"]},
        {"env": "prod", "tier": None},
        {"env": "PROD", "tier": "1"},
        {"Env": "prod", "tier": "1"},
        {"env": "prod ", "tier": "1"},
        {"env": "prod", "tier": "2"},
    ):
        judged = judge(asked, evidence(found(good(optional=optional))))
        assert (judged.outcome, codes(judged)) == (REJECTED, ["identity-mismatch"]), optional
        (record,) = judged.signatures
        assert (record.verified, record.key) == (False, ALICE.fingerprint)


def test_annotations_of_the_layer_are_not_signed():
    unsigned = good()
    unsigned = attachment(unsigned.data, annotations={**unsigned.descriptor.annotations, "env": "prod"})
    assert outcome(ready(keyed(annotations=(("env", "prod"),))), found(unsigned)) is REJECTED


def test_annotations_may_not_be_gathered_from_two_signatures():
    asked = ready(keyed(annotations=(("a", "1"), ("b", "2"))))
    assert outcome(asked, found(good(optional={"a": "1"}), good(optional={"b": "2"}))) is REJECTED
    assert outcome(asked, found(good(optional={"a": "1", "b": "2"}))) is ACCEPTED


def test_a_signature_without_the_annotation_does_not_count_for_the_threshold():
    asked = ready(keyed(ALICE, BOB, threshold=2, annotations=(("env", "prod"),)))
    with_it = {"optional": {"env": "prod"}}
    assert outcome(asked, found(good(ALICE, **with_it), good(BOB, **with_it))) is ACCEPTED
    assert outcome(asked, found(good(ALICE, **with_it), good(BOB))) is REJECTED


# ---- identity --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("identity", "signed", "image", "accepted"),
    [
        (MatchRepository(), "registry.example/team/app", "registry.example/team/app:v1", True),
        (MatchRepository(), "registry.example/team/app", "registry.example/team/other:v1", False),
        (MatchRepository(), "evil.example/team/app", "registry.example/team/app:v1", False),
        (MatchRepoDigestOrExact(), "registry.example/team/app:v1", "registry.example/team/app:v1", True),
        (MatchRepoDigestOrExact(), "registry.example/team/app:v2", "registry.example/team/app:v1", False),
        (MatchRepoDigestOrExact(), "registry.example/team/app", "registry.example/team/app:v1", False),
        (MatchExact(), "registry.example/team/app:v1", "registry.example/team/app:v1", True),
        (MatchExact(), "registry.example/team/app", "registry.example/team/app:v1", False),
        (ExactRepository(repository="upstream.example/app"), "upstream.example/app", "mirror.example/app:v1", True),
        (ExactRepository(repository="upstream.example/app"), "mirror.example/app", "mirror.example/app:v1", False),
        (MatchRepository(), "", "registry.example/team/app:v1", False),
        (MatchRepository(), "REGISTRY.example/Team", "registry.example/team/app:v1", False),
        (MatchRepository(), "\u202e\n", "registry.example/team/app:v1", False),
    ],
)
def test_the_signed_name_is_compared_with_the_wanted_one(identity, signed, image, accepted):
    """(trap) containers/image PR 1711: never the wanted name with itself."""
    judged = judge(ready(sigstore(ALICE, identity=identity)), evidence(found(good(reference=signed)), image=image))
    assert judged.outcome is (ACCEPTED if accepted else REJECTED)
    assert codes(judged) == ([] if accepted else ["identity-mismatch"])


def test_an_image_without_a_docker_name_matches_no_rule_of_its_own():
    local = replace(evidence(found(good())), location=locate_path("dir", "/srv/image"))
    assert judge(ready(sigstore(ALICE)), local).outcome is REJECTED
    named = sigstore(ALICE, identity=ExactRepository(repository="registry.example/team/app"))
    assert judge(ready(named), local).outcome is ACCEPTED


def test_a_key_asks_for_no_name():
    assert outcome(ready(keyed()), found(good(reference="elsewhere.example/x"))) is ACCEPTED


def test_a_hint_says_why_cosigns_names_do_not_match_exactly():
    judged = judge(ready(sigstore(ALICE, identity=MatchRepoDigestOrExact())), evidence(found(good())))
    assert "matchRepository" in judged.reasons[0].message
    tagged = judge(
        ready(sigstore(ALICE, identity=MatchExact())), evidence(found(good(reference="registry.example/team/app:v2")))
    )
    assert "matchRepository" not in tagged.reasons[0].message


# ---- thresholds ------------------------------------------------------------------------------------------------------


def test_a_threshold_counts_distinct_keys():
    """CVE-2020-6174, CVE-2026-49834: repeated signatures, and one key met under two names."""
    asked = ready(keyed(ALICE, BOB, CAROL, threshold=2))
    assert outcome(asked, found(good(ALICE), good(BOB))) is ACCEPTED
    assert outcome(asked, found(good(ALICE), good(BOB), good(CAROL))) is ACCEPTED
    for repeated in ([good(ALICE)], [good(ALICE)] * 3, [good(ALICE), good(ALICE), good(MALLORY)]):
        judged = judge(asked, evidence(found(*repeated)))
        assert (judged.outcome, judged.reasons[0].code) == (REJECTED, "threshold-not-met")
        assert "signed by 1 of the trusted keys, 2 are required" in judged.reasons[0].message


def test_the_same_key_twice_is_one_key():
    """The same key under two files: the list holds it twice, the threshold of two is met by its other half only."""
    twice = AdHoc(keys=(ALICE.key, ALICE.key, BOB.key), threshold=2, log=LogDemand.IGNORED)
    assert outcome(ready(twice), found(good(ALICE), good(ALICE))) is REJECTED
    assert outcome(ready(twice), found(good(ALICE), good(BOB))) is ACCEPTED


def test_a_strangers_signature_does_not_count():
    asked = ready(keyed(ALICE, BOB, threshold=2))
    assert outcome(asked, found(good(ALICE), good(MALLORY))) is REJECTED
    assert outcome(asked, found(good(ALICE), signed_attachment(Digest.of(b"other"), by=BOB))) is REJECTED


@pytest.mark.parametrize("made", [0, 1])
def test_lost_signatures_leave_open_only_what_they_could_reach(made):
    asked = ready(keyed(ALICE, BOB, CAROL, threshold=2))
    have = [good(ALICE)] * made
    judged = judge(asked, evidence(found(*have, lost())))
    assert judged.outcome is (UNDETERMINED if made else REJECTED)
    assert judged.reasons[0].outcome is judged.outcome  # a rejection never looks like a time-out
    assert outcome(asked, found(*have, lost(), lost())) is UNDETERMINED


def test_a_rejection_is_explained_by_a_rejection():
    """One lost signature cannot make two: surely unmet, though the only thing that went wrong was a time-out."""
    judged = judge(ready(keyed(ALICE, BOB, threshold=2)), evidence(found(lost())))
    assert (judged.outcome, codes(judged)) == (REJECTED, ["threshold-not-met", "timeout"])
    assert "signed by 0 of the trusted keys, 2 are required" in judged.reasons[0].message


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["alice", "bob", "carol", "mallory", "other", "lost"]), max_size=7),
    st.integers(1, 3),
)
def test_a_threshold_is_n_of(listed, threshold):
    """Against n_of over the distinct trusted keys that signed, and each lost signature as one undecided."""
    makers = {"alice": ALICE, "bob": BOB, "carol": CAROL, "mallory": MALLORY}
    made = [
        lost() if name == "lost" else signed_attachment(Digest.of(b"x")) if name == "other" else good(makers[name])
        for name in listed
    ]
    distinct = {"alice", "bob", "carol"} & set(listed)
    undecided = listed.count("lost")
    wanted = n_of([ACCEPTED] * len(distinct) + [UNDETERMINED] * undecided, n=threshold)
    assert outcome(ready(keyed(ALICE, BOB, CAROL, threshold=threshold)), found(*made)) is wanted


# ---- several places --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class UntrustedNote:
    """The toy format: a text that says which key made it."""

    text: str


FIRST, SECOND = two_places(())


def read_note(item: Attachment) -> UntrustedNote:
    return UntrustedNote(text=(item.data or b"").decode())


def prove_note(untrusted: UntrustedNote, trust: Trust, artifact: Artifact, now_s: float) -> VerifiedSignature:
    assert isinstance(trust, KeyTrust)
    assert now_s == NOW_S
    for key in trust.keys:
        if untrusted.text == key.fingerprint:
            return VerifiedSignature(
                format="toy", key=key.fingerprint, digest=artifact.digests[0], docker_reference="toy.example/x"
            )
    raise BadSignatureError(f"{untrusted.text!r} is no trusted note")


TOY = SignatureFormat(name="toy", places=two_places, parse=read_note, verify=prove_note)


def note(by):
    return Attachment(descriptor=good().descriptor, data=by.fingerprint.encode())


def toy(*requirements, formats=(TOY,)):
    return Ready(
        requirements=tuple(
            ReadyRequirement(requirement=item, trust=KeyTrust(keys=item.keys, log=LogIgnored()))
            for item in requirements
        ),
        attachments=True,
        formats=formats,
    )


def toy_evidence(first=None, second=None, **more):
    answers = {FIRST: first, SECOND: second}
    return replace(
        evidence(), answers={place: answer for place, answer in answers.items() if answer is not None}, **more
    )


def test_a_new_format_needs_neither_gather_nor_judge_changed():
    judged = judge(toy(keyed()), toy_evidence(found(note(ALICE))))
    assert (judged.outcome, [r.format for r in judged.signatures]) == (ACCEPTED, ["toy"])
    judged = judge(toy(keyed()), toy_evidence(found(note(MALLORY)), ABSENT))
    assert (judged.outcome, codes(judged)) == (REJECTED, ["bad-signature"])


def test_the_search_stops_between_places():
    assert judge(toy(keyed()), toy_evidence()) == Needs(places=(FIRST,))
    assert judge(toy(keyed()), toy_evidence(ABSENT)) == Needs(places=(SECOND,))
    assert judge(toy(keyed()), toy_evidence(found(note(ALICE)))).outcome is ACCEPTED  # the second is not asked
    assert judge(toy(keyed()), toy_evidence(found(note(MALLORY)))) == Needs(places=(SECOND,))


def test_the_search_never_stops_inside_a_place():
    judged = judge(toy(keyed()), toy_evidence(found(note(ALICE), note(MALLORY))))
    assert [record.verified for record in judged.signatures] == [True, False]


def test_a_failed_place_does_not_end_the_search():
    assert judge(toy(keyed()), toy_evidence(TIMED_OUT)) == Needs(places=(SECOND,))
    assert judge(toy(keyed()), toy_evidence(TIMED_OUT, found(note(ALICE)))).outcome is ACCEPTED
    assert judge(toy(keyed()), toy_evidence(TIMED_OUT, ABSENT)).outcome is UNDETERMINED
    assert judge(toy(keyed()), toy_evidence(TIMED_OUT, found(note(MALLORY)))).outcome is UNDETERMINED
    assert judge(toy(keyed()), toy_evidence(UNREADABLE, ABSENT)).outcome is REJECTED


def test_a_threshold_counts_over_places_and_formats():
    two = keyed(ALICE, BOB, threshold=2)
    assert judge(toy(two), toy_evidence(found(note(ALICE)))) == Needs(places=(SECOND,))
    assert judge(toy(two), toy_evidence(found(note(ALICE)), found(note(BOB)))).outcome is ACCEPTED
    assert judge(toy(two), toy_evidence(found(note(ALICE)), found(note(ALICE)))).outcome is REJECTED
    assert judge(toy(two), toy_evidence(found(note(ALICE)), TIMED_OUT)).outcome is UNDETERMINED
    both = toy(two, formats=(*FORMATS, TOY))
    everywhere = evidence(found(good(ALICE))).with_answers({FIRST: found(note(ALICE)), SECOND: ABSENT})
    assert judge(both, everywhere).outcome is REJECTED
    assert judge(both, everywhere.with_answers({SECOND: found(note(BOB))})).outcome is ACCEPTED


ANSWERS = {
    "not asked": None,
    "absent": ABSENT,
    "timed out": TIMED_OUT,
    "unreadable": UNREADABLE,
    "empty": found(),
    "good": found(note(ALICE)),
    "stranger": found(note(MALLORY)),
    "lost": found(lost()),
}


@pytest.mark.parametrize(("first", "second"), list(product(ANSWERS, ANSWERS)))
def test_three_values_over_two_places(first, second):
    """Restated: accepted at the first good place; asks while a place is unasked; unknown wherever one is not known."""
    judged = judge(toy(keyed()), toy_evidence(ANSWERS[first], ANSWERS[second]))
    if first == "not asked":
        assert judged == Needs(places=(FIRST,))
    elif first == "good":
        assert judged.outcome is ACCEPTED
    elif second == "not asked":
        assert judged == Needs(places=(SECOND,))
    elif second == "good":
        assert judged.outcome is ACCEPTED
    else:
        unknown = {"timed out", "lost"} & {first, second}
        assert judged.outcome is (UNDETERMINED if unknown else REJECTED)
        assert judged.reasons
        assert judged.reasons[0].outcome is judged.outcome


# ---- several requirements --------------------------------------------------------------------------------------------

UNREADABLE_KEY = ReadyRequirement(
    requirement=sigstore(paths=("/missing.pub",)),
    trust=Reason(code="key-unreadable", message="the key '/missing.pub' of default[1]: no such file"),
)


def test_all_requirements_must_be_met():
    asked = ready(sigstore(ALICE), sigstore(BOB))
    assert outcome(asked, found(good(ALICE), good(BOB))) is ACCEPTED
    assert outcome(asked, found(good(ALICE))) is REJECTED
    assert outcome(asked, found(good(BOB))) is REJECTED
    assert outcome(asked, found(good(ALICE), lost())) is UNDETERMINED
    assert outcome(ready(AcceptAnything(), sigstore(BOB)), found(good(ALICE))) is REJECTED


def test_what_several_need_is_asked_once():
    assert judge(ready(sigstore(ALICE), sigstore(BOB), keyed()), evidence()) == Needs(places=(PLACE,))


def test_an_unreadable_key_is_undetermined_where_there_is_a_signature():
    asked = Ready(requirements=(UNREADABLE_KEY,), attachments=True)
    assert judge(asked, evidence()) == Needs(places=(PLACE,))
    judged = judge(asked, evidence(found(good())))
    assert (judged.outcome, codes(judged)) == (UNDETERMINED, ["key-unreadable"])
    assert "/missing.pub" in judged.reasons[0].message


def test_an_unreadable_key_never_hides_that_there_is_no_signature():
    asked = Ready(requirements=(UNREADABLE_KEY,), attachments=True)
    for answer in (ABSENT, found()):
        judged = judge(asked, evidence(answer))
        assert (judged.outcome, codes(judged)) == (REJECTED, ["no-signature"])
    assert judge(replace(asked, attachments=False), evidence()).outcome is REJECTED
    assert judge(asked, evidence(TIMED_OUT)).outcome is UNDETERMINED


def test_an_unreadable_key_never_hides_a_sure_rejection_beside_it():
    readable = ready(sigstore(ALICE)).requirements[0]
    asked = Ready(requirements=(UNREADABLE_KEY, readable), attachments=True)
    judged = judge(asked, evidence(found(good(MALLORY))))
    assert (judged.outcome, codes(judged)) == (REJECTED, ["untrusted-key", "key-unreadable"])
    assert judge(asked, evidence(found(good(ALICE)))).outcome is UNDETERMINED


def test_what_cannot_be_judged_yet_is_undetermined():
    requirement = UNSUPPORTED
    judged = judge(ready(requirement), evidence())
    assert (judged.outcome, codes(judged)) == (UNDETERMINED, ["unsupported"])
    assert outcome(ready(requirement, AcceptAnything())) is UNDETERMINED
    assert outcome(ready(requirement, sigstore(ALICE)), found(good())) is UNDETERMINED
    assert outcome(ready(requirement, sigstore(ALICE)), ABSENT) is REJECTED


@pytest.mark.parametrize(
    "requirement",
    [
        SignedBy(key_type=KeyType.GPG_KEYS, keys=KeySource(data=(b"x",)), identity=MatchRepository()),
        SignedBy(key_type=KeyType.X509_CERTIFICATES, keys=KeySource(data=(b"x",)), identity=MatchRepository()),
        SignedBaseLayer(base_layer_identity=MatchRepository()),
        replace(sigstore(ALICE), keys=None),
    ],
)
@pytest.mark.parametrize("answer", [None, ABSENT, TIMED_OUT, found(good())])
def test_a_good_cosign_signature_satisfies_nothing_else(requirement, answer):
    """A key's signature is no GPG signature, no certificate's and no base layer's."""
    judged = judge(ready(requirement, AcceptAnything()), evidence(answer))
    assert isinstance(judged, Needs) or judged.outcome is not ACCEPTED


@pytest.mark.parametrize("answer", [None, found(good())])
def test_a_base_layer_is_satisfied_by_no_image(answer):
    requirement = SignedBaseLayer(base_layer_identity=MatchRepository(), where="default[0]")
    judged = judge(ready(requirement), evidence(answer))
    assert (judged.outcome, codes(judged)) == (REJECTED, ["policy-reject"])
    assert "default[0]" in judged.reasons[0].message
    assert outcome(ready(requirement, sigstore(ALICE)), found(good())) is REJECTED


@pytest.mark.parametrize("requirement", [keyed(), sigstore(ALICE)])
def test_a_requirement_without_prepared_trust_accepts_nothing(requirement):
    asked = Ready(requirements=(ReadyRequirement(requirement=requirement),), attachments=True)
    assert judge(asked, evidence(found(good()))).outcome is UNDETERMINED
    assert judge(asked, evidence(ABSENT)).outcome is REJECTED


def test_an_open_requirement_that_names_no_place_is_not_forgotten(monkeypatch):
    """A requirement that still needs something must not drop out of the sum, whatever it names."""
    monkeypatch.setattr("plimsoll.policy.evaluate.search", lambda *_: Needs(places=()))
    assert judge(ready(AcceptAnything(), keyed()), evidence()) == Needs(places=())


def test_reasons_are_ranked_distinct_and_capped():
    judged = judge(ready(sigstore(ALICE), sigstore(ALICE)), evidence(found(lost(), good(MALLORY), good(MALLORY))))
    assert codes(judged) == ["timeout", "untrusted-key"]
    many = [lost(Reason(code="manifest-invalid", message=f"broken {at}")) for at in range(2 * limits.REASONS)]
    judged = judge(ready(sigstore(ALICE)), evidence(found(*many)))
    assert (judged.outcome, len(judged.reasons)) == (REJECTED, limits.REASONS)
    assert len(judged.signatures) == len(many)


OUTCOMES = {
    ACCEPTED: AcceptAnything(),
    REJECTED: Reject(),
    UNDETERMINED: UNSUPPORTED,
}


@given(st.lists(st.sampled_from(list(OUTCOMES)), min_size=1, max_size=5))
def test_all_of_three_values(values):
    wanted = REJECTED if REJECTED in values else UNDETERMINED if UNDETERMINED in values else ACCEPTED
    judged = judge(ready(*(OUTCOMES[value] for value in values)), evidence())
    assert judged.outcome is wanted
    assert (judged.reasons == ()) is (wanted is ACCEPTED)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([AcceptAnything(), Reject(), keyed(), sigstore(BOB)]), max_size=3),
    st.sampled_from(
        [
            None,
            ABSENT,
            TIMED_OUT,
            found(),
            found(good(MALLORY)),
            found(attachment(b"", annotations={SIGNATURE: "QQ=="})),
        ]
    ),
    st.booleans(),
    st.booleans(),
)
def test_nothing_is_accepted_without_a_good_signature(requirements, answer, attachments, require_signed):
    judged = judge(ready(*requirements, attachments=attachments, require_signed=require_signed), evidence(answer))
    only_accepts = bool(requirements) and all(item == AcceptAnything() for item in requirements) and not require_signed
    if isinstance(judged, Judgement):
        assert (judged.outcome is ACCEPTED) is only_accepts
    else:
        assert judged.places == (PLACE,)
        assert answer is None


# ---- values ----------------------------------------------------------------------------------------------------------


def test_evidence_replays():
    """A worker is given bytes: what it judges is what was gathered."""
    gathered = evidence(found(good(log=rekor()), good(MALLORY), lost()))
    asked = ready(keyed(log=LogDemand.REQUIRED), sigstore(ALICE))
    sent = pickle.loads(pickle.dumps((asked.requirements, gathered)))
    again = judge(replace(asked, requirements=sent[0]), sent[1])
    assert again == judge(asked, gathered)
    assert again.outcome is ACCEPTED
    assert pickle.loads(pickle.dumps(again)) == again


def test_judging_changes_nothing_and_repeats():
    gathered = evidence(found(good(), good(MALLORY)))
    asked = ready(keyed())
    assert judge(asked, gathered) == judge(asked, gathered)
