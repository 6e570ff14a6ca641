"""What an attacker could try who holds true parts: old authorities, other people's proofs, unsigned places."""

import base64
import json
from dataclasses import replace
from functools import cache

import pytest

from fakes.bundles import IN_TOTO, statement_bytes
from fakes.pki import AUTHORITY, authority
from fakes.rekor import dsse
from fakes.signing import LOGGED_AT_S, b64, hashedrekord, payload_bytes, signer
from fakes.sigstore import OIDC, SUBJECT, YEAR_S, PrivateSigstore, instant
from plimsoll.errors import (
    BadSignatureError,
    CertificateUntrustedError,
    LogProofInvalidError,
    SignatureError,
    TimestampMissingError,
)
from plimsoll.model.bundle import UntrustedMessageSignature
from plimsoll.model.descriptor import Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.evidence import Absent, Attachment, Evidence, Found, Needs
from plimsoll.model.identity import Exact, Identity
from plimsoll.model.location import locate_docker
from plimsoll.model.manifest import RawManifest
from plimsoll.model.reference import parse_docker_reference
from plimsoll.model.trusted_root import parse_trusted_root
from plimsoll.model.verdict import Outcome
from plimsoll.policy.evaluate import judge
from plimsoll.policy.prepare import prepare
from plimsoll.policy.requirements import AdHoc, LogDemand
from plimsoll.signatures.annotations import (
    CERTIFICATE_ANNOTATION,
    CHAIN_ANNOTATION,
    LOG_ANNOTATION,
    SIGNATURE_ANNOTATION,
)
from plimsoll.signatures.bundle import parse_bundle
from plimsoll.signatures.dsse import pae
from plimsoll.signatures.formats import Artifact, IdentityTrust, KeyTrust, LogByRoot
from plimsoll.signatures.known_formats import ATTESTATION, BUNDLE, COSIGN
from plimsoll.signatures.trust_index import index_root

DATA = b'{"schemaVersion":2}'
DIGEST = Digest.of(DATA)
IMAGE = Artifact(digests=(DIGEST,), data=DATA)
NOW_S = LOGGED_AT_S + 10 * 86_400.0
RELEASE = Identity(issuer=Exact(text=OIDC), subject=Exact(text=SUBJECT))
VULN = "https://cosign.sigstore.dev/attestation/vuln/v1"


@cache
def acme(log="v1"):
    return PrivateSigstore(log=log)


@cache
def good(log="v1"):
    return acme(log).sign_image(DIGEST)


def by_identity(root):
    return IdentityTrust(identities=(RELEASE,), root=root, log=LogByRoot(root=root))


def attached(data, annotations):
    return Attachment(
        descriptor=Descriptor(media_type="x/y", digest=Digest.of(data), size=len(data), annotations=annotations),
        data=data,
    )


def verify(made, trust):
    return BUNDLE.verify(parse_bundle(made.data), trust, IMAGE, NOW_S)


def refused(made, trust, error):
    with pytest.raises(SignatureError) as caught:
        verify(made, trust)
    assert type(caught.value) is error


# --- authorities --------------------------------------------------------------------------------------------------


@cache
def retired():
    """An intermediate below the anchor that is still trusted; its own authority ended half a year before."""
    span = {"first": LOGGED_AT_S - YEAR_S, "last": LOGGED_AT_S + YEAR_S}
    return authority("acme retired", parent=acme().anchor, path_length=0, allowed=AUTHORITY, **span)


def root_with(*authorities):
    """acme's root with these authorities: each a chain and when it ended."""
    document = acme().root_document() | {
        "certificateAuthorities": [
            {
                "certChain": {"certificates": [{"rawBytes": b64(each.der)} for each in chain]},
                "validFor": {"start": instant(LOGGED_AT_S - YEAR_S)} | ({"end": instant(end_s)} if end_s else {}),
            }
            for chain, end_s in authorities
        ]
    }
    return index_root(parse_trusted_root(json.dumps(document).encode()))


def after_the_retirement():
    ended = (retired(), acme().anchor), LOGGED_AT_S - YEAR_S / 2
    return root_with(((acme().intermediate, acme().anchor), None), ended)


def sig_layer(leaf, *chain):
    """A ``.sig`` layer by a certificate, with its entry and its chain."""
    payload = payload_bytes(DIGEST)
    signature = leaf.by.sign(payload)
    entry = acme().logged(hashedrekord(payload, signature, leaf.pem.encode()))
    annotations = {
        SIGNATURE_ANNOTATION: b64(signature),
        LOG_ANNOTATION: annotated(entry),
        CERTIFICATE_ANNOTATION: leaf.pem,
        CHAIN_ANNOTATION: "".join(each.pem for each in chain),
    }
    return attached(payload, annotations)


def annotated(entry):
    """A bundle's entry in the form of cosign's annotation."""
    payload = {
        "body": entry["canonicalizedBody"],
        "integratedTime": int(entry["integratedTime"]),
        "logIndex": int(entry["logIndex"]),
        "logID": base64.b64decode(entry["logId"]["keyId"]).hex(),
    }
    promised = entry["inclusionPromise"]["signedEntryTimestamp"]
    return json.dumps({"SignedEntryTimestamp": promised, "Payload": payload})


def att_layer(leaf, *chain):
    """The same of an ``.att`` layer."""
    made = acme().attest(statement_bytes(DIGEST, predicate_type=VULN), by=leaf)
    (_, signature), payload = made.content.signatures[0], made.content.payload
    envelope = json.dumps(made.document["dsseEnvelope"]).encode()
    entry = acme().logged(dsse(payload, (signature, leaf.pem.encode()), envelope=envelope))
    annotations = {
        LOG_ANNOTATION: annotated(entry),
        CERTIFICATE_ANNOTATION: leaf.pem,
        CHAIN_ANNOTATION: "".join(each.pem for each in chain),
    }
    return attached(envelope, annotations)


def bundle_with_chain(leaf, *chain):
    data = acme().sign_image(DIGEST, by=leaf, version="0.2", chain=tuple(each.der for each in chain[:-1])).data
    return attached(data, {})


FORMS = {"bundle": (BUNDLE, bundle_with_chain), ".sig": (COSIGN, sig_layer), ".att": (ATTESTATION, att_layer)}


@pytest.mark.parametrize("form", FORMS)
def test_a_chain_does_not_bring_back_an_intermediate_that_the_root_retired(form):
    signature_format, make = FORMS[form]
    attachment = make(acme().certificate(parent=retired()), retired(), acme().anchor)
    untrusted = signature_format.parse(attachment)
    for root in (after_the_retirement(), acme().index()):
        with pytest.raises(CertificateUntrustedError, match="acme retired"):
            signature_format.verify(untrusted, by_identity(root), IMAGE, NOW_S)


@pytest.mark.parametrize("form", FORMS)
def test_a_chain_leads_to_an_anchor_that_stands_alone(form):
    signature_format, make = FORMS[form]
    untrusted = signature_format.parse(make(acme().certificate(), acme().intermediate, acme().anchor))
    alone = root_with(((acme().anchor,), None))
    found = signature_format.verify(untrusted, by_identity(alone), IMAGE, NOW_S)
    assert found.certified.subject == SUBJECT


@pytest.mark.parametrize("form", FORMS)
def test_the_named_intermediate_is_enough_without_any_chain(form):
    signature_format, make = FORMS[form]
    leaf = acme().certificate()
    # The last of an annotated chain is its root, which is never read: a chain of it alone is an empty one.
    attachment = attached(good().data, {}) if form == "bundle" else make(leaf, acme().anchor)
    untrusted = signature_format.parse(attachment)
    found = signature_format.verify(untrusted, by_identity(after_the_retirement()), IMAGE, NOW_S)
    assert found.signed_at_s == LOGGED_AT_S


# --- parts of other signatures --------------------------------------------------------------------------------------


def test_an_envelope_signature_is_none_of_the_artifact():
    made = good().changed(content=UntrustedMessageSignature(signature=good().signature))
    refused(made, by_identity(acme().index()), BadSignatureError)


def test_an_entry_of_the_same_key_without_its_certificate_is_another_entry():
    bare = acme().sign_image(DIGEST, by=good().by.by)
    made = good().changed(content=bare.content, entries=bare.entries)
    refused(made, by_identity(acme().index()), LogProofInvalidError)
    by_key = KeyTrust(keys=(good().by.by.key,), log=LogByRoot(root=acme().index()))
    assert verify(bare, by_key).certified is None


def test_one_foreign_entry_of_a_trusted_log_beside_a_good_one_spoils_the_bundle():
    foreign = acme().sign_image(DIGEST).entries[0]
    foreign = foreign | {"logIndex": str(int(foreign["logIndex"]) + 1)}  # or it would be the same entry twice
    refused(good().changed(entries=(*good().entries, foreign)), by_identity(acme().index()), LogProofInvalidError)


def test_a_written_time_that_nobody_promised_is_no_time():
    root = by_identity(acme("v2").index())
    assert verify(good("v2"), root).signed_at_s == LOGGED_AT_S
    entry = good("v2").entries[0] | {"integratedTime": str(int(LOGGED_AT_S))}
    refused(good("v2").changed(entries=(entry,), timestamps=()), root, TimestampMissingError)


def test_a_later_timestamp_does_not_make_a_logged_signature_younger():
    by = signer("p256", "keyed")
    made = acme().attest(statement_bytes(DIGEST, predicate_type=VULN), by=by)
    restamped = made.changed(timestamps=(acme().stamp(made.signature, at_s=LOGGED_AT_S + 9 * 86_400),))
    by_key = KeyTrust(keys=(by.key,), log=LogByRoot(root=acme().index()))
    assert verify(restamped, by_key).signed_at_s == LOGGED_AT_S


def test_what_is_signed_as_an_envelope_is_not_what_is_in_it():
    payload = good().content.payload
    made = acme().sign(payload)
    content = replace(good().content, signatures=(("", made.signature),))
    refused(made.changed(content=content), by_identity(acme().index()), BadSignatureError)
    assert pae(IN_TOTO, payload) != payload


# --- options that must not be passed over -----------------------------------------------------------------------------


def attestation_evidence(annotations):
    by = signer("p256", "keyed")
    made = acme().attest(statement_bytes(DIGEST, predicate_type=VULN, annotations=annotations), by=by, is_logged=False)
    return (
        by,
        Evidence(
            image="registry.example/app",
            location=locate_docker(parse_docker_reference("registry.example/app")),
            manifest=RawManifest(data=DATA),
            digests=(DIGEST,),
            now_s=NOW_S,
        ),
        attached(made.data, {}),
    )


def outcome(asked, evidence, attachment):
    ready = prepare((asked,), read_key=pytest.fail, trust_root=None, attachments=True)
    answers = {BUNDLE.places(evidence.digests)[0]: Found(attachments=(attachment,))}
    for _ in range(4):
        judged = judge(ready, evidence.with_answers(answers))
        if not isinstance(judged, Needs):
            return judged
        answers |= {place: Absent() for place in judged.places}
    pytest.fail("judge asks without end")


@pytest.mark.parametrize("said", [None, {}, {"env": "test"}, {"env": ["prod"]}, {"ENV": "prod"}])
def test_an_annotation_that_is_asked_for_is_asked_of_attestations_too(said):
    by, evidence, attachment = attestation_evidence(said)
    asked = AdHoc(keys=(by.key,), log=LogDemand.IGNORED, attestation_type=VULN, annotations=(("env", "prod"),))
    judged = outcome(asked, evidence, attachment)
    assert judged.outcome is Outcome.REJECTED
    assert "identity-mismatch" in [reason.code for reason in judged.reasons]
    assert outcome(replace(asked, annotations=()), evidence, attachment).outcome is Outcome.ACCEPTED


def test_an_attestation_whose_subject_carries_the_annotation_counts():
    by, evidence, attachment = attestation_evidence({"env": "prod", "more": 1})
    asked = AdHoc(keys=(by.key,), log=LogDemand.IGNORED, attestation_type=VULN, annotations=(("env", "prod"),))
    assert outcome(asked, evidence, attachment).outcome is Outcome.ACCEPTED
