"""What has gone wrong in others that verify sigstore's signatures, each tried on the whole way of ours.

Every test says which function it guards: without that function's check it fails (tried by taking the check out).
"""

from __future__ import annotations

import base64
import json
from functools import cache

import pytest

from fakes.bundles import statement_bytes, statement_document
from fakes.pki import authority, unknown, utf8
from fakes.rekor import dsse, hashedrekord_v2, intoto, sha256
from fakes.signing import BUNDLE, LOGGED_AT_S, SIGNATURE, RekorLog, attachment, b64, hashedrekord, signer
from fakes.sigstore import OIDC, SUBJECT, PrivateSigstore, pae
from fakes.timestamping import timestamper
from plimsoll.cli.main import main
from plimsoll.errors import (
    BadSignatureError,
    BundleInvalidError,
    CertificateExpiredError,
    CertificateUntrustedError,
    IdentityMismatchError,
    LogProofInvalidError,
    LogProofMissingError,
    PayloadError,
    SignedDigestMismatchError,
    TimestampInvalidError,
    TimestampMissingError,
    UntrustedKeyError,
    UsageError,
)
from plimsoll.model.descriptor import Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.evidence import Absent, Attachment, Evidence, Found, Needs, ReferrersPlace
from plimsoll.model.identity import CLAIM_OIDS, Exact, Glob, Identity, Regexp, RegexpReading
from plimsoll.model.location import locate_path
from plimsoll.model.manifest import RawManifest
from plimsoll.model.trusted_root import CertificateAuthority, TrustRoot, parse_trusted_root
from plimsoll.model.verdict import Outcome
from plimsoll.policy.evaluate import judge
from plimsoll.policy.prepare import prepare
from plimsoll.policy.requirements import AdHoc, LogDemand
from plimsoll.signatures.bundle import parse_bundle
from plimsoll.signatures.cosign import parse_attachment, verify_signature
from plimsoll.signatures.cosign_attestation import parse_attestation, verify_attestation
from plimsoll.signatures.dsse import IN_TOTO
from plimsoll.signatures.formats import Artifact, IdentityTrust, KeyTrust, LogByRoot, LogIgnored
from plimsoll.signatures.sigstore import verify_bundle
from plimsoll.signatures.trust_index import index_root

DATA = b"an artifact"
DIGEST = Digest.of(DATA)
ARTIFACT = Artifact(digests=(DIGEST,), data=DATA)
OTHER = b"another artifact"
LATER = LOGGED_AT_S + 3600.0
WANTED = Identity(issuer=Exact(text=OIDC), subject=Exact(text=SUBJECT))
TYPE_A, TYPE_B = "https://slsa.dev/provenance/v1", "https://cosign.sigstore.dev/attestation/vuln/v1"
GOOD = statement_bytes(DIGEST, predicate_type=TYPE_A)
ALICE, BOB = signer("p256", "alice"), signer("p256", "bob")


INSTANCES = {log: PrivateSigstore(log=log) for log in ("v1", "v2")}
ROOTS = {log: instance.index() for log, instance in INSTANCES.items()}


def ours(log="v1"):
    return INSTANCES[log]


def root(log="v1"):
    return ROOTS[log]


@cache
def leaf():
    return ours().certificate()


def by_identity(log="v1", wanted=WANTED, **changes):
    return IdentityTrust(
        identities=(wanted,), root=root(log), log=changes.pop("demand", LogByRoot(root=root(log))), **changes
    )


def by_key(*keys, log="v1"):
    return KeyTrust(keys=tuple(each.key for each in keys or (ALICE,)), log=LogByRoot(root=root(log)))


def verify(made, trust, artifact=ARTIFACT, now_s=LATER):
    return verify_bundle(parse_bundle(made if isinstance(made, bytes) else made.data), trust, artifact, now_s)


def verify_sig(layer, trust, now_s=LATER):
    return verify_signature(parse_attachment(layer), trust, (DIGEST,), now_s)


def verify_att(layer, trust, now_s=LATER):
    return verify_attestation(parse_attestation(layer), trust, ARTIFACT, now_s)


# --- CVE-2026-22703, CVE-2022-36056: an entry that is about something else ------------------------------------------
# Guards log_bodies.bind_body (its three steps), called by log_entries.verify_tlog_entry for bundles and .att layers, and
# by transparency.verify_log_entry for .sig layers.


def entry_documents(log, signed, signature, by, *, envelope=None):
    """What a log would write of a signature: one document for each kind of entry that fits."""
    pem = by.pem.encode() if hasattr(by, "certificate") else by.pem
    payload = None if envelope is None else envelope.payload
    if log == "v2":
        form = "x509Certificate" if hasattr(by, "certificate") else "publicKey"
        return [hashedrekord_v2(signature, by.der, digest=sha256(signed), form=form)]
    if payload is None:
        return [hashedrekord(signed, signature, pem)]
    return [dsse(payload, (signature, pem)), intoto(payload, (signature, pem))]


def falsified(log, made, signed):
    """Documents of which one bound field alone is another's: what was signed, the signature, the signer."""
    envelope = made.content if hasattr(made.content, "payload") else None
    pair = made.by.by if hasattr(made.by, "by") else made.by
    again = pair.sign(signed)  # ECDSA: as good as the first, and not the same
    assert again != made.signature
    stranger = ours(log).certificate() if made.certificate else BOB
    good = entry_documents(log, signed, made.signature, made.by, envelope=envelope)
    content = (
        None
        if envelope is None
        else type(envelope)(payload_type=IN_TOTO, payload=b"{}", signatures=envelope.signatures)
    )
    faults = {
        "content": entry_documents(
            log, pae(IN_TOTO, b"{}") if content else OTHER, made.signature, made.by, envelope=content
        ),
        "signature": entry_documents(log, signed, again, made.by, envelope=envelope),
        "signer": entry_documents(log, signed, made.signature, stranger, envelope=envelope),
    }
    return good, faults


@pytest.mark.parametrize("log", ["v1", "v2"])
@pytest.mark.parametrize("keyed", [True, False], ids=["key", "certificate"])
@pytest.mark.parametrize("make", ["sign", "sign_image"])
@pytest.mark.parametrize("field", ["content", "signature", "signer"])
def test_an_entry_of_which_one_bound_field_is_anothers(log, keyed, make, field):
    by = ALICE if keyed else ours(log).certificate()
    made = getattr(ours(log), make)(DATA if make == "sign" else DIGEST, by=by)
    signed = DATA if make == "sign" else pae(IN_TOTO, made.content.payload)
    trust = by_key(log=log) if keyed else by_identity(log)
    good, faults = falsified(log, made, signed)
    for document in good:
        assert verify(made.changed(entries=(ours(log).logged(document),)), trust)
    for document in faults[field]:
        with pytest.raises(LogProofInvalidError, match="about"):
            verify(made.changed(entries=(ours(log).logged(document),)), trust)


@pytest.mark.parametrize("log", ["v1", "v2"])
@pytest.mark.parametrize("make", ["sign", "sign_image"])
def test_a_good_bundles_entry_moved_to_another_artifacts_bundle(log, make):
    def made_of(data):
        return getattr(ours(log), make)(data if make == "sign" else Digest.of(data), by=ALICE)

    made, other = made_of(DATA), made_of(OTHER)
    assert verify(made, by_key(log=log))
    with pytest.raises(LogProofInvalidError, match="about another payload"):
        verify(made.changed(entries=other.entries), by_key(log=log))


@pytest.mark.parametrize("keyed", [True, False], ids=["key", "certificate"])
@pytest.mark.parametrize("field", ["content", "signature", "signer"])
def test_a_sig_layers_entry_of_which_one_bound_field_is_anothers(keyed, field):
    by = ALICE if keyed else leaf()
    layer = ours().sig_layer(DIGEST, by=by)
    trust = by_key() if keyed else by_identity()
    pair, pem = (ALICE, ALICE.pem) if keyed else (leaf().by, leaf().pem.encode())
    stranger = BOB.pem if keyed else ours().certificate().pem.encode()
    signature = base64.b64decode(layer.descriptor.annotations[SIGNATURE])
    documents = {
        "content": hashedrekord(OTHER, signature, pem),
        "signature": hashedrekord(layer.data, pair.sign(layer.data), pem),
        "signer": hashedrekord(layer.data, signature, stranger),
    }
    assert verify_sig(layer, trust)
    promised = RekorLog(ours().rekor.signer).promise(documents[field])
    with pytest.raises(LogProofInvalidError, match="about"):
        verify_sig(with_annotation(layer, BUNDLE, json.dumps(promised)), trust)


def with_annotation(layer, name, text):
    annotations = dict(layer.descriptor.annotations) | {name: text}
    return attachment(layer.data, annotations=annotations, media_type=layer.descriptor.media_type)


@pytest.mark.parametrize("kind", ["dsse", "intoto"])
def test_an_att_layers_entry_of_another_envelope(kind):
    # Guards cosign_attestation._verify_log and log_bodies._bind_digests: intoto 0.0.1 names the envelope alone.
    mine = ours().att_layer(statement_bytes(DIGEST, predicate_type=TYPE_A), by=ALICE, kind=kind)
    other = ours().att_layer(statement_bytes(Digest.of(OTHER), predicate_type=TYPE_A), by=ALICE, kind=kind)
    assert verify_att(mine, by_key())
    with pytest.raises(LogProofInvalidError, match="about another"):
        verify_att(with_annotation(mine, BUNDLE, other.descriptor.annotations[BUNDLE]), by_key())


def test_a_broken_promise_is_never_a_success():
    # Guards transparency.verify_promise, called by log_entries._verify_promise and transparency.verify_log_entry.
    made = ours().sign(DATA, by=ALICE, version="0.1")
    assert verify(made, by_key())
    (entry,) = made.entries
    promise = bytearray(base64.b64decode(entry["inclusionPromise"]["signedEntryTimestamp"]))
    promise[-1] ^= 1
    later = str(LOGGED_AT_S + 1)
    for broken in ({"inclusionPromise": {"signedEntryTimestamp": b64(bytes(promise))}}, {"integratedTime": later}):
        with pytest.raises(LogProofInvalidError):
            verify(made.changed(entries=(entry | broken,)), by_key())
    layer = ours().sig_layer(DIGEST, by=ALICE)
    annotation = json.loads(layer.descriptor.annotations[BUNDLE])
    annotation["Payload"]["integratedTime"] += 1
    with pytest.raises(LogProofInvalidError):
        verify_sig(with_annotation(layer, BUNDLE, json.dumps(annotation)), by_key())


def test_a_bundle_does_not_switch_the_identity_off():
    # Guards keyless.check_wanted and keyless.verify_leaf: both ask identities.first_match.
    other = Identity(issuer=Exact(text=OIDC), subject=Exact(text="https://github.com/acme/other"))
    assert verify(ours().sign(DATA), by_identity())
    for demand in (LogByRoot(root=root()), LogIgnored()):
        with pytest.raises(IdentityMismatchError):
            verify(ours().sign(DATA), by_identity(wanted=other, demand=demand), now_s=LOGGED_AT_S)


# --- CVE-2022-23649: a forged annotation is told as "in the log" ------------------------------------------------------


def test_an_annotation_of_another_signature_is_no_log_claim():
    # Guards cosign._verify_log: an entry is bound, or it is not looked at and gives no time.
    mine, other = ours().sig_layer(DIGEST, by=ALICE), ours().sig_layer(Digest.of(OTHER), by=ALICE)
    forged = with_annotation(mine, BUNDLE, other.descriptor.annotations[BUNDLE])
    with pytest.raises(LogProofInvalidError):
        verify_sig(forged, by_key())
    ignoring = KeyTrust(keys=(ALICE.key,), log=LogIgnored())
    for layer in (mine, forged):
        assert verify_sig(layer, ignoring).signed_at_s is None
    assert verify_sig(mine, by_key()).signed_at_s == LOGGED_AT_S


# --- CVE-2024-51746, CVE-2023-47122: another entry of the same hash; keys that come from the log ------------------------


def test_of_several_entries_for_one_artifact_only_the_signatures_own_counts():
    # Guards sigstore._verify_entries: each entry of a trusted log is bound, none stands for another.
    mine, theirs = ours().sign(DATA, by=ALICE), ours().sign(DATA, by=BOB)
    (entry,) = theirs.entries
    with pytest.raises(LogProofInvalidError, match="another signature"):
        verify(mine.changed(entries=theirs.entries), by_key())
    with pytest.raises(LogProofInvalidError, match="another signature"):
        verify(mine.changed(entries=(*mine.entries, entry | {"logIndex": "77"})), by_key())


@pytest.mark.parametrize(("log", "version"), [("v1", "0.1"), ("v1", "0.3"), ("v2", "0.3")])
def test_a_logs_key_comes_from_the_trusted_root_only(log, version):
    # Guards log_entries._signers: note.verify_checkpoint and log_entries._verify_promise, under the root's keys.
    evil = PrivateSigstore(name="evil", log=log, log_host=ours(log).rekor.host)
    made = evil.sign(DATA, by=ALICE, version=version, stamped=False)
    (entry,) = made.entries
    named_as_ours = entry | {"logId": {"keyId": b64(ours(log).rekor.key_id)}}
    with pytest.raises(LogProofInvalidError, match="not in the trusted root"):
        verify(made, by_key(log=log))
    with pytest.raises(LogProofInvalidError):
        verify(made.changed(entries=(named_as_ours,)), by_key(log=log))
    # The promise alone is not enough where there is a checkpoint, nor the checkpoint where there is a promise.
    good = ours(log).sign(DATA, by=ALICE, version=version, stamped=False)
    assert verify(good, by_key(log=log))
    if version == "0.3" and log == "v1":
        (mine,) = good.entries
        index = {"logIndex": mine["logIndex"]}
        forged = evil.sign(DATA, by=ALICE).changed(content=good.content)
        (foreign,) = forged.changed(
            entries=(evil.logged(json.loads(base64.b64decode(mine["canonicalizedBody"]))),)
        ).entries
        for part in ("inclusionProof", "inclusionPromise"):
            with pytest.raises(LogProofInvalidError):
                verify(good.changed(entries=(mine | index | {part: foreign[part]},)), by_key())


@pytest.mark.parametrize("log", ["v1", "v2"])
def test_an_entry_with_the_proof_of_another(log):
    # Guards log_entries._checkpoint_about: inclusion.check_inclusion, and that the checkpoint is of that very tree.
    made, other = ours(log).sign(DATA, by=ALICE), ours(log).sign(OTHER, by=ALICE)
    (entry,), (foreign,) = made.entries, other.entries
    assert verify(made, by_key(log=log))
    with pytest.raises(LogProofInvalidError, match="does not lead"):
        verify(made.changed(entries=(entry | {"inclusionProof": foreign["inclusionProof"]},)), by_key(log=log))
    proof = entry["inclusionProof"] | {"checkpoint": foreign["inclusionProof"]["checkpoint"]}
    with pytest.raises(LogProofInvalidError, match="of another tree"):
        verify(made.changed(entries=(entry | {"inclusionProof": proof},)), by_key(log=log))


# --- CVE-2026-49834: one log, or one signer, counted several times ------------------------------------------------------


def test_an_entry_twice_is_no_second_witness():
    # Guards bundle._entries.
    made = ours().sign(DATA, by=ALICE)
    assert verify(made, by_key())
    with pytest.raises(BundleInvalidError, match="twice"):
        verify(made.changed(entries=made.entries * 2), by_key())


def bundle_attachment(made):
    descriptor = Descriptor(
        media_type="application/vnd.dev.sigstore.bundle.v0.3+json", digest=Digest.of(made.data), size=len(made.data)
    )
    return Attachment(descriptor=descriptor, data=made.data)


def judged(asked, *made):
    """The judgement of an image to which these bundles refer."""
    ready = prepare(tuple(asked), read_key=None, trust_root=root(), attachments=True)
    evidence = Evidence(
        image="an image",
        location=locate_path("oci", "/an/image"),
        manifest=RawManifest(data=DATA),
        digests=(DIGEST,),
        now_s=LATER,
    )
    found = judge(ready, evidence)
    bundles = Found(attachments=tuple(map(bundle_attachment, made)))
    while isinstance(found, Needs):
        answers = {place: bundles if isinstance(place, ReferrersPlace) else Absent() for place in found.places}
        evidence = evidence.with_answers(answers)
        found = judge(ready, evidence)
    return found


def codes(judgement):
    return {reason.code for reason in judgement.reasons}


def test_one_signer_twice_is_one_signer():
    # Guards search.search: it counts distinct signers. Guards AdHoc.__post_init__: one key given twice is one.
    asked = AdHoc(keys=(ALICE.key, BOB.key), threshold=2)
    twice = [ours().sign_image(DIGEST, by=ALICE) for _ in range(2)]
    found = judged([asked], *twice)
    assert (found.outcome, found.reasons[0].code) == (Outcome.REJECTED, "threshold-not-met")
    assert judged([asked], twice[0], ours().sign_image(DIGEST, by=BOB)).outcome is Outcome.ACCEPTED
    with pytest.raises(UsageError):
        AdHoc(keys=(ALICE.key, signer("p256", "alice").key), threshold=2)


def test_two_certificates_of_one_identity_are_one_signer():
    # Guards SignatureRecord.signer: (issuer, subject), not the key.
    people = [Identity(issuer=Exact(text=OIDC), subject=Exact(text=text)) for text in (SUBJECT, "https://x.example/y")]
    asked = AdHoc(identities=tuple(people), threshold=2)
    mine = [ours().sign_image(DIGEST, by=ours().certificate(kind=kind)) for kind in ("p256", "p384")]
    assert judged([asked], *mine).outcome is Outcome.REJECTED
    theirs = ours().sign_image(DIGEST, by=ours().certificate("https://x.example/y", kind="p384"))
    assert judged([asked], mine[0], theirs).outcome is Outcome.ACCEPTED


# --- CVE-2026-23992: a threshold of nothing ----------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [0, -1, 3])
def test_a_threshold_that_nothing_meets_or_all_do_is_refused(threshold):
    # Guards AdHoc.__post_init__.
    with pytest.raises(UsageError):
        AdHoc(keys=(ALICE.key, BOB.key), threshold=threshold)


# --- CVE-2026-54787: a key, here a log's or an authority's, beyond its window -------------------------------------------


@pytest.mark.parametrize("log", ["v1", "v2"])
def test_a_logs_key_that_had_ended(log):
    # Guards log_entries._logs (where the time is promised) and log_entries.check_in_use (where it is stamped).
    document = ours(log).root_document()
    document["tlogs"][0]["publicKey"]["validFor"]["end"] = "2023-11-14T22:13:19Z"
    ended = index_root(parse_trusted_root(json.dumps(document).encode()))
    made = ours(log).sign(DATA, by=ALICE)
    assert verify(made, by_key(log=log))
    with pytest.raises(LogProofInvalidError, match="not in use"):
        verify(made, KeyTrust(keys=(ALICE.key,), log=LogByRoot(root=ended)))
    # Where an annotation promises, log_entries._logs (.att) and transparency._log_keys (.sig) ask alone.
    if log == "v1":
        for layer, verify_layer in (
            (ours().sig_layer(DIGEST, by=ALICE), verify_sig),
            (ours().att_layer(GOOD, by=ALICE), verify_att),
        ):
            assert verify_layer(layer, by_key())
            with pytest.raises(LogProofInvalidError, match="not in use"):
                verify_layer(layer, KeyTrust(keys=(ALICE.key,), log=LogByRoot(root=ended)))
    # Without a timestamp a log that promises no time is judged by the present.
    if log == "v2":
        bare = made.changed(timestamps=())
        assert verify(bare, by_key(log=log))
        with pytest.raises(LogProofInvalidError, match="not in use"):
            verify(bare, KeyTrust(keys=(ALICE.key,), log=LogByRoot(root=ended)))


@pytest.mark.parametrize("log", ["v1", "v2"])
def test_an_authority_that_had_ended(log):
    # Guards keyless._path (certificate authorities) and timestamp.check_timestamper (timestamp authorities).
    def trust_in(member):
        document = ours(log).root_document()
        if member:
            document[member][0]["validFor"]["end"] = "2023-11-14T22:13:19Z"
        found = index_root(parse_trusted_root(json.dumps(document).encode()))
        return IdentityTrust(identities=(WANTED,), root=found, log=LogByRoot(root=found))

    made = ours(log).sign(DATA)
    assert verify(made, trust_in(None))
    with pytest.raises(CertificateUntrustedError, match="not in use"):
        verify(made, trust_in("certificateAuthorities"))
    if log == "v2":
        with pytest.raises(TimestampInvalidError, match="not in use"):
            verify(made, trust_in("timestampAuthorities"))


# --- CVE-2026-24122: an intermediate that had expired -------------------------------------------------------------------


@pytest.mark.parametrize("ended", ["intermediate", "root"])
@pytest.mark.parametrize("demanded", [True, False], ids=["log", "no log"])
def test_every_certificate_of_the_path_is_judged_at_the_proven_time(ended, demanded):
    # Guards certificate_paths.find_path: it asks every certificate of the path, the anchor too.
    def trust_in(last_of):
        anchor = authority("its root", last=last_of("root"))
        middle = authority("its intermediate", parent=anchor, last=last_of("intermediate"))
        known = root().root
        authorities = (CertificateAuthority(chain=(middle.der, anchor.der), valid_from_s=0.0, valid_until_s=None),)
        found = index_root(TrustRoot(tlogs=known.tlogs, ctlogs=known.ctlogs, certificate_authorities=authorities))
        demand = LogByRoot(root=found) if demanded else LogIgnored()
        trust = IdentityTrust(identities=(WANTED,), root=found, log=demand)
        return trust, ours().sign(DATA, by=ours().certificate(parent=middle), is_logged=demanded)

    trust, made = trust_in(lambda _which: LATER)
    assert verify(made, trust, now_s=LOGGED_AT_S)
    trust, made = trust_in(lambda which: LOGGED_AT_S - 30 if which == ended else LATER)
    with pytest.raises(CertificateExpiredError):
        verify(made, trust, now_s=LOGGED_AT_S)


# --- CVE-2026-39984: the first certificate of a timestamp's bag is judged, another one signed --------------------------


@pytest.mark.parametrize("named_leaf", [True, False], ids=["leaf in the root", "anchor in the root"])
def test_a_timestamp_is_judged_by_the_certificate_that_signed_it(named_leaf):
    # Guards timestamp._judge: what check_timestamper judges is what _check_signed verifies with.
    here, known = ours("v2"), root("v2").root
    chain = (here.tsa.der, here.tsa_anchor.der) if named_leaf else (here.tsa_anchor.der,)
    stampers = (CertificateAuthority(chain=chain, valid_from_s=0.0, valid_until_s=None),)
    ca = known.certificate_authorities
    found = index_root(
        TrustRoot(tlogs=known.tlogs, ctlogs=known.ctlogs, certificate_authorities=ca, timestamp_authorities=stampers)
    )
    trust = IdentityTrust(identities=(WANTED,), root=found, log=LogByRoot(root=found))
    made = here.sign(DATA)
    forger = timestamper(authority("forger's root"), by=signer("p256", "forger"), subject="forger")
    good_bags = ((here.tsa.der,), (forger.der, here.tsa.der), (here.tsa.der, forger.der))
    for bag in good_bags:
        stamp = here.stamp(made.signature, certificates=bag)
        assert verify(made.changed(timestamps=(stamp,)), trust)
    for bag in ((here.tsa.der, forger.der), (forger.der, here.tsa.der), (forger.der,)):
        stamp = here.stamp(made.signature, by=forger, certificates=bag)
        with pytest.raises(TimestampInvalidError):
            verify(made.changed(timestamps=(stamp,)), trust)
        stamp = here.stamp(made.signature, signed_by=forger, certificates=bag)
        with pytest.raises(TimestampInvalidError):
            verify(made.changed(timestamps=(stamp,)), trust)


# --- sigstore-python PR 1247: a time that nobody promised ---------------------------------------------------------------


def test_a_time_beside_an_inclusion_proof_alone_is_not_believed():
    # Guards log_entries.verify_tlog_entry (integrated_time_s) and sigstore._certificate_times.
    made = ours().sign(DATA)
    (entry,) = made.entries
    bare = {name: value for name, value in entry.items() if name != "inclusionPromise"}
    bare["logIndex"] = bare["inclusionProof"]["logIndex"]
    assert bare["integratedTime"] == str(LOGGED_AT_S)
    assert verify(made, by_identity())
    with pytest.raises(TimestampMissingError):
        verify(made.changed(entries=(bare,)), by_identity())
    stamped = made.changed(entries=(bare,), timestamps=(ours().stamp(made.signature),))
    assert verify(stamped, by_identity()).signed_at_s == LOGGED_AT_S
    keyed = ours().sign(DATA, by=ALICE)
    (entry,) = keyed.entries
    bare = {name: value for name, value in entry.items() if name != "inclusionPromise"}
    assert verify(keyed.changed(entries=(bare,)), by_key()).signed_at_s is None


# --- CVE-2026-39395: a payload that cannot be read, or of another type, is "Verified OK" ---------------------------------


def falsified_statement(**changes):
    return json.dumps(statement_document(DIGEST, predicate_type=TYPE_A) | changes).encode()


UNREADABLE = {
    "truncated": GOOD[:-1],
    "empty": b"",
    "no object": b"[]",
    "no subject": falsified_statement(subject=[]),
    "no digest": falsified_statement(subject=[{"name": "x", "digest": {}}]),
    "another type of statement": falsified_statement(_type="https://in-toto.io/Statement/v9"),
    "no predicate type": falsified_statement(predicateType=""),
}


@pytest.mark.parametrize("payload", UNREADABLE.values(), ids=UNREADABLE)
def test_a_signed_payload_that_is_no_statement(payload):
    # Guards statement.parse_statement.
    assert verify(ours().attest(GOOD, by=ALICE), by_key())
    with pytest.raises((PayloadError, BundleInvalidError)):
        verify(ours().attest(payload, by=ALICE), by_key())
    assert verify_att(ours().att_layer(GOOD, by=ALICE), by_key())
    with pytest.raises((PayloadError, BadSignatureError)):
        verify_att(ours().att_layer(payload, by=ALICE), by_key())


def test_a_payload_of_another_type_is_no_statement():
    # Guards statement.statement_in.
    with pytest.raises(PayloadError, match="payloadType"):
        verify(ours().attest(GOOD, by=ALICE, payload_type="application/json"), by_key())


# --- CVE-2022-35929, CVE-2022-35930: one type for another; unsigned beside signed ----------------------------------------


def test_an_attestation_of_one_type_does_not_satisfy_another():
    # Guards evaluate._of_type.
    only_b = ours().attest(statement_bytes(DIGEST, predicate_type=TYPE_B), by=ALICE)
    both = (only_b, ours().attest(GOOD, by=ALICE))
    asked = AdHoc(keys=(ALICE.key,), attestation_type=TYPE_A)
    found = judged([asked], only_b)
    assert (found.outcome, codes(found)) == (Outcome.REJECTED, {"no-attestation"})
    assert judged([asked], *both).outcome is Outcome.ACCEPTED
    assert judged([AdHoc(keys=(ALICE.key,), attestation_type=TYPE_B)], only_b).outcome is Outcome.ACCEPTED


def test_a_signature_is_no_attestation_and_an_attestation_no_signature():
    # Guards evaluate._of_type and evaluate._annotated.
    signed, attested = ours().sign_image(DIGEST, by=ALICE), ours().attest(GOOD, by=ALICE)
    assert judged([AdHoc(keys=(ALICE.key,), attestation_type=TYPE_A)], signed).outcome is Outcome.REJECTED
    assert judged([AdHoc(keys=(ALICE.key,))], attested).outcome is Outcome.REJECTED
    assert judged([AdHoc(keys=(ALICE.key,))], signed).outcome is Outcome.ACCEPTED


def test_an_unsigned_attestation_beside_a_signed_one_does_not_count():
    # Guards signed_content.verify_content, called by sigstore._verify_signature.
    signed = ours().attest(statement_bytes(DIGEST, predicate_type=TYPE_B), by=ALICE)
    unsigned = ours().attest(GOOD, by=BOB)
    made_up = signed.changed(content=unsigned.content, entries=unsigned.entries)
    asked = AdHoc(keys=(ALICE.key,), attestation_type=TYPE_A)
    found = judged([asked], signed, unsigned, made_up)
    assert (found.outcome, codes(found)) == (Outcome.REJECTED, {"no-attestation", "untrusted-key"})
    assert found.signatures
    assert not any(record.verified for record in found.signatures)


def test_an_envelope_needs_its_one_signature():
    # Guards bundle._envelope and dsse.parse_envelope.
    document = ours().attest(GOOD, by=ALICE).document
    (signature,) = document["dsseEnvelope"]["signatures"]
    for signatures in ([], [signature, signature | {"keyid": "x"}], [{"sig": ""}], [{}]):
        document["dsseEnvelope"]["signatures"] = signatures
        with pytest.raises((BundleInvalidError, BadSignatureError)):
            verify(json.dumps(document).encode(), by_key())
    layer = ours().att_layer(GOOD, by=ALICE, is_logged=False)
    envelope = json.loads(layer.data) | {"signatures": []}
    data = json.dumps(envelope).encode()
    ignoring = KeyTrust(keys=(ALICE.key,), log=LogIgnored())
    empty = Attachment(
        descriptor=Descriptor(media_type=layer.descriptor.media_type, digest=Digest.of(data), size=len(data)), data=data
    )
    with pytest.raises(PayloadError):
        verify_att(empty, ignoring)


# --- GHSA-r2xv-vpr2-42m9: a predicate is not checked against its own signer ------------------------------------------------


def test_each_predicate_must_be_by_its_own_signer():
    # Guards sigstore._verify_signature: a stranger's attestation is not lent the trust of the one beside it.
    asked = [AdHoc(keys=(ALICE.key,), attestation_type=TYPE_A), AdHoc(keys=(BOB.key,), attestation_type=TYPE_B)]
    by_alice, by_bob = [
        [ours().attest(statement_bytes(DIGEST, predicate_type=kind), by=by) for kind in (TYPE_A, TYPE_B)]
        for by in (ALICE, BOB)
    ]
    assert judged(asked, by_alice[0], by_bob[1]).outcome is Outcome.ACCEPTED
    assert judged(asked, by_alice[1], by_bob[0]).outcome is Outcome.REJECTED
    assert judged(asked, *by_alice).outcome is Outcome.REJECTED
    assert judged(asked, *by_bob).outcome is Outcome.REJECTED
    # Guards sigstore._signer: a certificate that comes along brings no key that is trusted.
    assert judged(asked[:1], ours().attest(GOOD)).outcome is Outcome.REJECTED
    assert codes(judged(asked[:1], ours().attest(GOOD))) == {"untrusted-key"}


# --- CVE-2026-22772: an issuer is matched in part ---------------------------------------------------------------------------

EVIL_ISSUERS = [
    f"{OIDC}.evil.example",
    f"https://evil.example/?{OIDC}",
    f"{OIDC}/",
    OIDC.replace(".", "x", 1),
    f"{OIDC}\n",
    f"x\n{OIDC}",
    OIDC.upper(),
]


@pytest.mark.parametrize("issuer", EVIL_ISSUERS, ids=range(len(EVIL_ISSUERS)))
@pytest.mark.parametrize(
    "wanted",
    [Exact(text=OIDC), Regexp(pattern=OIDC.replace(".", r"\.")), Glob(pattern=OIDC)],
    ids=["exact", "regexp", "glob"],
)
def test_an_issuer_is_matched_as_a_whole(issuer, wanted):
    # Guards model.identity: Exact.matches, Regexp.matches (fullmatch), Glob.matches; identities.check_identity.
    trust = by_identity(wanted=Identity(issuer=wanted, subject=Exact(text=SUBJECT)))
    assert verify(ours().sign(DATA), trust)
    with pytest.raises(IdentityMismatchError, match="issuer"):
        verify(ours().sign(DATA, by=ours().certificate(issuer=issuer)), trust)


def test_only_who_asks_for_cosigns_reading_gets_it():
    # Guards RegexpReading.FULL, the default.
    theirs = ours().sign(DATA, by=ours().certificate(issuer=f"{OIDC}.evil.example"))
    for reading, good in ((RegexpReading.SEARCH, True), (RegexpReading.FULL, False)):
        wanted = Identity(issuer=Regexp(pattern=OIDC, reading=reading), subject=Exact(text=SUBJECT))
        if good:
            assert verify(theirs, by_identity(wanted=wanted))
            continue
        with pytest.raises(IdentityMismatchError):
            verify(theirs, by_identity(wanted=wanted))
    assert Regexp(pattern="x").reading is RegexpReading.FULL


# --- CVE-2026-44310: nothing at all, and exit code 0 --------------------------------------------------------------------------


def verify_command(tmp_path, bundle, *more):
    files = {"bundle": bundle, "artifact": DATA, "root.json": ours().root_bytes(), "key.pub": ALICE.pem}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    signer_words = more or ("--key", str(tmp_path / "key.pub"))
    words = ["--bundle", str(tmp_path / "bundle"), *signer_words, "--trusted-root", str(tmp_path / "root.json")]
    return main(["conformance", "verify-bundle", *words, str(tmp_path / "artifact")])


def test_an_empty_list_of_anything_is_exit_1(tmp_path, capfd):
    # Guards bundle._chain, bundle._envelope, sigstore._verify_entries, and the exit code of the command.
    assert verify_command(tmp_path, ours().sign(DATA, by=ALICE).data) == 0
    identity = ("--certificate-identity", SUBJECT, "--certificate-oidc-issuer", OIDC)
    assert verify_command(tmp_path, ours().sign(DATA).data, *identity) == 0
    empty_chain = ours().sign(DATA, version="0.2").document
    empty_chain["verificationMaterial"]["x509CertificateChain"]["certificates"] = []
    no_entries = ours().sign(DATA).document
    no_entries["verificationMaterial"]["tlogEntries"] = []
    no_material = ours().sign(DATA).document
    no_material["verificationMaterial"] = {}
    for document in (empty_chain, no_entries, no_material, {}, [], None):
        assert verify_command(tmp_path, json.dumps(document).encode(), *identity) == 1
        assert "plimsoll: " in capfd.readouterr().err
    assert verify_command(tmp_path, b"") == 1


@pytest.mark.parametrize("version", ["0.1", "0.2"])
def test_an_empty_chain_is_no_bundle_by_a_key(version):
    # Guards bundle._chain: without a certificate the bundle would be taken for one that relies on a known key.
    made = ours().sign(DATA, by=ALICE, version=version)
    assert verify(made, by_key())
    document = made.document
    document["verificationMaterial"].pop("publicKey")
    document["verificationMaterial"]["x509CertificateChain"] = {"certificates": []}
    with pytest.raises(BundleInvalidError, match="certificates is empty"):
        verify(json.dumps(document).encode(), by_key())


def test_no_bundle_and_no_signature_is_a_rejection():
    # Guards search._unmet.
    for asked in (
        AdHoc(keys=(ALICE.key,)),
        AdHoc(identities=(WANTED,)),
        AdHoc(keys=(ALICE.key,), attestation_type=TYPE_A),
    ):
        assert judged([asked]).outcome is Outcome.REJECTED
    # Guards evaluate.judge: an empty list of requirements.
    nothing_asked = judged([], ours().sign_image(DIGEST, by=ALICE))
    assert (nothing_asked.outcome, codes(nothing_asked)) == (Outcome.REJECTED, {"policy-reject"})


# --- CVE-2025-29778: a field of an identity that is read and not asked -------------------------------------------------------


@cache
def talkative():
    """A certificate that says something in each extension of Fulcio's that is known."""
    more = [
        (unknown(oid, name.encode() if int(oid.rsplit(".", 1)[1]) < 8 else utf8(name)), False)
        for name, oid in CLAIM_OIDS.items()
    ]
    return ours().sign(DATA, by=ours().certificate(more=more))


@pytest.mark.parametrize("claim", CLAIM_OIDS)
def test_every_claim_of_an_identity_counts(claim):
    # Guards identities.check_identity: every field of an identity flips the answer when it is falsified.
    def trust_in(value):
        claims = ((claim, Exact(text=value)),)
        return by_identity(wanted=Identity(issuer=Exact(text=OIDC), subject=Exact(text=SUBJECT), claims=claims))

    assert verify(talkative(), trust_in(claim)).certified.claims[claim] == claim
    with pytest.raises(IdentityMismatchError, match=claim):
        verify(talkative(), trust_in(f"not {claim}"))
    with pytest.raises(IdentityMismatchError, match=claim):
        verify(ours().sign(DATA), trust_in(claim))


@pytest.mark.parametrize("field", ["issuer", "subject"])
@pytest.mark.parametrize(
    "make", [lambda text: Exact(text=text), lambda text: Regexp(pattern=text), lambda text: Glob(pattern=text)]
)
def test_issuer_and_subject_count_in_every_form(field, make):
    # Guards identities.check_identity.
    right = {"issuer": make(OIDC), "subject": make(SUBJECT)}
    assert verify(talkative(), by_identity(wanted=Identity(**right)))
    with pytest.raises(IdentityMismatchError):
        verify(talkative(), by_identity(wanted=Identity(**(right | {field: make("https://nobody.example")}))))


def test_an_unknown_claim_is_an_error():
    # Guards Identity.__post_init__.
    with pytest.raises(UsageError, match="no claim"):
        Identity(issuer=Exact(text=OIDC), subject=Exact(text=SUBJECT), claims=(("subjectRegExp", Exact(text="x")),))


# --- CVE-2023-33959 and its like: what is said of the artifact is not what was judged ------------------------------------------


def test_a_digest_that_is_said_is_never_taken_for_one_that_was_computed():
    # Guards sigstore._message (what is stated), and verify_content (what is signed).
    other = ours().sign(OTHER, by=ALICE)
    said = ours().sign(DATA, by=ALICE)
    liar = other.changed(
        content=type(said.content)(signature=other.signature, digest_algorithm="SHA2_256", digest=said.content.digest)
    )
    with pytest.raises(UntrustedKeyError):
        verify(liar, by_key())
    with pytest.raises(SignedDigestMismatchError):
        verify(other, by_key())
    with pytest.raises(SignedDigestMismatchError):
        verify(
            said.changed(
                content=type(said.content)(
                    signature=said.signature, digest_algorithm="SHA2_256", digest=other.content.digest
                )
            ),
            by_key(),
        )


def test_a_statement_about_another_image_proves_nothing_about_this_one():
    # Guards statement.subject_matches, called by sigstore._enveloped and cosign_attestation.verify_attestation.
    about_other = statement_bytes(Digest.of(OTHER), predicate_type=TYPE_A)
    with pytest.raises(SignedDigestMismatchError):
        verify(ours().attest(about_other, by=ALICE), by_key())
    with pytest.raises(SignedDigestMismatchError):
        verify_att(ours().att_layer(about_other, by=ALICE), by_key())
    # An equal text under the name of another hash is no equal digest.
    named_wrong = json.loads(GOOD)
    named_wrong["subject"][0]["digest"] = {"sha3_256": DIGEST.hex}
    with pytest.raises(SignedDigestMismatchError):
        verify(ours().attest(json.dumps(named_wrong).encode(), by=ALICE), by_key())
    named_wrong["subject"][0]["digest"] = {"sha512": DIGEST.hex}
    with pytest.raises(PayloadError):
        verify(ours().attest(json.dumps(named_wrong).encode(), by=ALICE), by_key())


def test_a_payload_for_another_image_on_this_ones_sig_tag():
    # Guards cosign._claimed.
    with pytest.raises(SignedDigestMismatchError):
        verify_sig(ours().sig_layer(Digest.of(OTHER), by=ALICE), by_key())


def test_a_demanded_entry_that_is_not_there():
    # Guards sigstore._verify_entries, cosign._verify_by_keys and cosign_attestation._require_entry.
    with pytest.raises(LogProofMissingError):
        verify(ours().sign(DATA, by=ALICE, is_logged=False, stamped=True), by_key())
    with pytest.raises(LogProofMissingError):
        verify_sig(ours().sig_layer(DIGEST, by=ALICE, is_logged=False), by_key())
    with pytest.raises(LogProofMissingError):
        verify_att(ours().att_layer(GOOD, by=ALICE, is_logged=False), by_key())
    found = judged([AdHoc(keys=(ALICE.key,))], ours().sign_image(DIGEST, by=ALICE, is_logged=False))
    assert (found.outcome, codes(found)) == (Outcome.REJECTED, {"log-proof-missing"})
    asked = AdHoc(keys=(ALICE.key,), log=LogDemand.IGNORED)
    assert judged([asked], ours().sign_image(DIGEST, by=ALICE, is_logged=False)).outcome is Outcome.ACCEPTED
