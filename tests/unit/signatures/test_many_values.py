"""What one document can cost before anything is proven: of each kind as many JSON values are read as it may have."""

from __future__ import annotations

import json
from functools import cache

import pytest

from fakes.bundles import make_bundle, statement_bytes, statement_document
from fakes.signing import LOGGED_AT_S, signer
from fakes.sigstore import OIDC, SUBJECT, PrivateSigstore
from plimsoll import limits
from plimsoll.errors import (
    BadSignatureError,
    BundleInvalidError,
    CertificateUntrustedError,
    EffortExceededError,
    LogProofInvalidError,
    PayloadError,
    TimestampInvalidError,
    UntrustedKeyError,
)
from plimsoll.model.bundle import UntrustedEnvelope
from plimsoll.model.digest import Digest
from plimsoll.model.identity import Exact, Identity
from plimsoll.signatures import statement
from plimsoll.signatures.annotated_timestamp import annotated_times
from plimsoll.signatures.bundle import parse_bundle
from plimsoll.signatures.cosign_attestation import parse_attestation, verify_attestation
from plimsoll.signatures.dsse import IN_TOTO, parse_envelope
from plimsoll.signatures.effort import limited, spend_scan
from plimsoll.signatures.formats import Artifact, IdentityTrust, KeyTrust, LogIgnored
from plimsoll.signatures.framing import unframe
from plimsoll.signatures.log_documents import read_document
from plimsoll.signatures.sigstore import verify_bundle
from plimsoll.signatures.simple_payload import parse_payload
from plimsoll.signatures.statement import outline_in, parse_statement, statement_in

DIGEST = Digest.of(b"an image")
ARTIFACT = Artifact(digests=(DIGEST,))
TYPE = "https://slsa.dev/provenance/v1"
TOO_MANY = "more values than allowed begin"


def list_of(count):
    """JSON text of ``count`` values: a list of empty lists."""
    return "[" + ",".join(["[]"] * (count - 1)) + "]"


def unframed(document):
    return unframe(b"\0sigstore-json\n" + document.encode())


def stamped(document):
    return annotated_times(document, signature=b"s", root=sigstore().index(), promised_s=None)


READERS = [
    (lambda text: parse_bundle(text.encode()), limits.BUNDLE_VALUES, BundleInvalidError),
    (lambda text: parse_envelope(text.encode()), limits.BUNDLE_VALUES, PayloadError),
    (lambda text: parse_payload(text.encode()), limits.PAYLOAD_VALUES, PayloadError),
    (unframed, limits.PAYLOAD_VALUES, BadSignatureError),
    (lambda text: read_document(text.encode(), what="it"), limits.LOG_VALUES, LogProofInvalidError),
    (stamped, limits.LOG_VALUES, TimestampInvalidError),
]


@cache
def sigstore():
    return PrivateSigstore()


@pytest.mark.parametrize(("read", "most", "error"), READERS)
def test_each_document_has_as_many_values_as_it_may(read, most, error):
    with pytest.raises(error) as refused:
        read(list_of(most))
    assert TOO_MANY not in str(refused.value)  # a list: it is refused for what it is
    with pytest.raises(error, match=TOO_MANY):
        read(list_of(most + 1))
    with pytest.raises(error, match=TOO_MANY):  # ... before the rest is looked at
        read(list_of(most + 1)[:-1] + ",!")


def test_a_bundle_of_everything_it_may_have_is_within_its_cap():
    hashes = limits.TLOG_ENTRIES * (20 + limits.PROOF_HASHES)
    rest = 2 * limits.TIMESTAMPS + 2 * limits.CHAIN_CERTIFICATES + 30
    assert hashes + rest <= limits.BUNDLE_VALUES
    assert limits.SUBJECTS * (4 + limits.SUBJECT_DIGESTS) <= limits.STATEMENT_HEAD_VALUES


# ---- statements ------------------------------------------------------------------------------------------------------


def enveloped(payload):
    return UntrustedEnvelope(payload_type=IN_TOTO, payload=payload, signatures=(("", b"s"),))


def with_predicate(text):
    return statement_bytes(DIGEST, predicate_type=TYPE, predicate={"x": "HERE"}).replace(b'"HERE"', text.encode())


def with_annotations(text):
    payload = statement_bytes(DIGEST, predicate_type=TYPE, annotations={"x": "HERE"})
    return payload.replace(b'"HERE"', text.encode())


@pytest.mark.parametrize("read", [lambda payload: outline_in(enveloped(payload)), parse_statement])
def test_a_predicate_has_as_many_values_as_it_may(read, monkeypatch):
    monkeypatch.setattr(limits, "STATEMENT_VALUES", 5000)
    monkeypatch.setattr(limits, "STATEMENT_HEAD_VALUES", 100)
    assert read(with_predicate(list_of(5000))).predicate is not None
    with pytest.raises(PayloadError, match=TOO_MANY):
        read(with_predicate(list_of(5101)))


def test_a_predicate_does_not_make_room_for_a_statements_head(monkeypatch):
    monkeypatch.setattr(limits, "STATEMENT_HEAD_VALUES", 100)
    assert outline_in(enveloped(with_annotations(list_of(90)))).subjects[0].annotations["x"] == [[]] * 89
    with pytest.raises(PayloadError, match=TOO_MANY):
        outline_in(enveloped(with_annotations(list_of(101))))


def test_an_outline_is_the_statement_without_its_predicate():
    payload = with_predicate(list_of(50))
    outline, whole = outline_in(enveloped(payload)), statement_in(enveloped(payload))
    assert (outline.predicate, whole.predicate) == ({}, {"x": [[]] * 49})
    assert (outline.subjects, outline.type, outline.predicate_type) == (
        whole.subjects,
        whole.type,
        whole.predicate_type,
    )
    bare = json.dumps({**statement_document(DIGEST), "predicate": None}).encode()
    assert outline_in(enveloped(bare)).predicate is None
    for wrong in (7, "x", [], [1], True):
        payload = json.dumps({**statement_document(DIGEST), "predicate": wrong}).encode()
        with pytest.raises(PayloadError, match="predicate is neither"):
            outline_in(enveloped(payload))


@pytest.mark.parametrize("broken", ['{"a":1,"a":2}', '{"a":01}', '{"a":"\\ud800"}', '{"a":1e999}'])
def test_an_outline_is_refused_where_the_statement_is(broken):
    for read in (parse_statement, lambda payload: outline_in(enveloped(payload))):
        with pytest.raises(PayloadError, match="refused"):
            read(with_predicate(broken))


def key_trust(by):
    return KeyTrust(keys=(by.key,), log=LogIgnored())


def identity_trust():
    wanted = Identity(issuer=Exact(text=OIDC), subject=Exact(text=SUBJECT))
    return IdentityTrust(identities=(wanted,), root=sigstore().index(), log=LogIgnored())


def signed_by_key(payload):
    made = sigstore().attest(payload, by=signer(), is_logged=False)
    return lambda trust: verify_bundle(parse_bundle(made.data), trust, ARTIFACT, LOGGED_AT_S)


def attached_by_key(payload):
    layer = sigstore().att_layer(payload, by=signer(), is_logged=False)
    return lambda trust: verify_attestation(parse_attestation(layer), trust, ARTIFACT, LOGGED_AT_S)


@pytest.mark.parametrize("make", [signed_by_key, attached_by_key])
def test_a_predicate_is_read_only_for_a_signer_who_is_trusted(make, monkeypatch):
    read = []
    monkeypatch.setattr(statement, "parse_statement", lambda data: read.append(data) or parse_statement(data))
    payload = with_predicate(list_of(20))
    verify = make(payload)
    with pytest.raises(UntrustedKeyError):
        verify(key_trust(signer(name="stranger")))
    assert read == []
    found = verify(key_trust(signer()))
    assert (read, found.statement.predicate) == ([payload], {"x": [[]] * 19})


def test_a_certificate_that_nobody_issued_reads_no_predicate(monkeypatch):
    read = []
    monkeypatch.setattr(statement, "parse_statement", lambda data: read.append(data) or parse_statement(data))
    payload = with_predicate(list_of(20))
    forged = parse_bundle(PrivateSigstore(name="forger").attest(payload).data)
    with pytest.raises(CertificateUntrustedError):
        verify_bundle(forged, identity_trust(), ARTIFACT, LOGGED_AT_S)
    assert read == []
    made = parse_bundle(sigstore().attest(payload).data)
    assert verify_bundle(made, identity_trust(), ARTIFACT, LOGGED_AT_S).statement.predicate == {"x": [[]] * 19}
    assert read == [payload]


# ---- effort ----------------------------------------------------------------------------------------------------------


def test_reading_is_counted():
    data = make_bundle(enveloped(with_predicate("0").ljust(1024 * 1024)), hint="")
    with limited(most=1000) as effort:
        bundle = parse_bundle(data)
        assert effort.spent == len(data) // (64 * 1024)
        before = effort.spent
        outline_in(bundle.content)
        assert effort.spent - before == len(bundle.content.payload) // (64 * 1024)
    with limited(most=15), pytest.raises(EffortExceededError):
        parse_bundle(data)
    spend_scan(2**40)  # no limit is open: a user names the one file to check
