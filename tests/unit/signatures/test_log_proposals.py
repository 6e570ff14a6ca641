"""What services answer a signer: logs, authorities and timestamp authorities, read strictly; and what they are asked."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.rekor import FakeLog, hashedrekord_v2
from fakes.signing import signer
from fakes.sigstore_server import SigstoreServer, token
from fakes.timestamping import Stamp, integer
from plimsoll.errors import (
    CertificateUntrustedError,
    LimitExceededError,
    SignatureError,
    TimestampInvalidError,
    UnsupportedError,
    UsageError,
)
from plimsoll.model.digest import Digest
from plimsoll.model.identity_token import OidcToken
from plimsoll.signatures.bundle import parse_bundle
from plimsoll.signatures.certificate_request import certificate_query, parse_issued
from plimsoll.signatures.log_proposals import key_details, parse_logged, proposal
from plimsoll.signatures.made_bundles import (
    Credential,
    Proofs,
    bundle_bytes,
    image_statement,
    sign_blob,
    sign_statement,
)
from plimsoll.signatures.signing import SigningKey, signing_key_from_seed
from plimsoll.signatures.statement import parse_statement
from plimsoll.signatures.timestamp_request import check_answer, timestamp_query

DIGEST = Digest.of(b"image")
KEY = signing_key_from_seed(b"k" * 48)
BY = Credential(key=KEY)
STATEMENT = image_statement(DIGEST, predicate_type="https://t.example/v1")


def of_kind(kind):
    return Credential(key=SigningKey.of(signer(kind).private))


def entry(**changes):
    found = {
        "body": "eyJraW5kIjoiaGFzaGVkcmVrb3JkIiwiYXBpVmVyc2lvbiI6IjAuMC4xIn0=",
        "integratedTime": 1,
        "logID": "ab" * 32,
        "logIndex": 2,
        "verification": {
            "inclusionProof": {
                "checkpoint": "note",
                "hashes": ["cd" * 32],
                "logIndex": 0,
                "rootHash": "ef" * 32,
                "treeSize": 2,
            },
            "signedEntryTimestamp": "c2V0",
        },
    }
    for path, value in changes.items():
        *parents, name = path.split("__")
        at = found
        for parent in parents:
            at = at[parent]
        at[name] = value
    return json.dumps({"id": found}).encode()


def test_an_entry_of_rekor_v1_is_read_whole():
    found = parse_logged(entry(), version=1)
    assert (found.kind, found.version, found.log_index, found.log_id) == ("hashedrekord", "0.0.1", 2, b"\xab" * 32)
    assert (found.promise, found.proof.hashes, found.proof.checkpoint) == (b"set", (b"\xcd" * 32,), "note")
    alone = parse_logged(entry(verification__inclusionProof__hashes=None), version=1)
    assert alone.proof.hashes == ()


def test_an_entry_of_rekor_v2_is_read_as_in_a_bundle():
    log = FakeLog(kind="v2")
    document = log.add(hashedrekord_v2(b"s", signer().der, digest=bytes(32), form="publicKey"))
    found = parse_logged(json.dumps(document).encode(), version=2)
    assert (found.kind, found.promise, found.integrated_time_s) == ("hashedrekord", None, None)
    del document["inclusionProof"]
    with pytest.raises(SignatureError):
        parse_logged(json.dumps(document).encode(), version=2)


@pytest.mark.parametrize(
    "changes",
    [
        {"body": "?"},
        {"logID": "xyz"},
        {"logID": ""},
        {"logIndex": -1},
        {"logIndex": True},
        {"integratedTime": "1"},
        {"verification": None},
        {"verification__signedEntryTimestamp": ""},
        {"verification__inclusionProof": None},
        {"verification__inclusionProof__hashes": ["cd" * 32] * 65},
        {"verification__inclusionProof__hashes": "cd"},
        {"verification__inclusionProof__rootHash": 1},
        {"verification__inclusionProof__checkpoint": None},
    ],
)
def test_half_an_entry_is_none(changes):
    with pytest.raises(SignatureError):
        parse_logged(entry(**changes), version=1)


@settings(max_examples=60)
@given(st.binary(max_size=120), st.sampled_from([1, 2]))
def test_no_answer_makes_anything_else_than_a_refusal(data, version):
    with pytest.raises(SignatureError):
        parse_logged(data, version=version)
    with pytest.raises(CertificateUntrustedError):
        parse_issued(data, key=KEY)
    with pytest.raises(TimestampInvalidError):
        check_answer(data, nonce=b"12345678")


@pytest.mark.parametrize(
    ("kind", "details"),
    [
        ("p256", "PKIX_ECDSA_P256_SHA_256"),
        ("p384", "PKIX_ECDSA_P384_SHA_256"),
        ("p521", "PKIX_ECDSA_P521_SHA_256"),
        ("rsa2048", "PKIX_RSA_PKCS1V15_2048_SHA256"),
        ("ed25519", "PKIX_ED25519"),
    ],
)
def test_a_log_is_told_how_the_key_signs(kind, details):
    by = of_kind(kind)
    assert key_details(by) == details
    made = sign_statement(STATEMENT, by)
    assert json.loads(proposal(made, version=1))["kind"] == "dsse"
    if kind == "ed25519":
        with pytest.raises(UnsupportedError, match="Ed25519"):
            proposal(made, version=2)
        with pytest.raises(UnsupportedError, match="Ed25519"):
            proposal(sign_blob(b"payload", by), version=1)
    else:
        asked = json.loads(proposal(made, version=2))["hashedRekordRequestV002"]
        assert asked["signature"]["verifier"]["keyDetails"] == details


def test_a_predicate_is_signed_as_it_is_written():
    predicate = b' {"n": 1.50, "big": 12345678901234567890, "\\u00e9": "\xc3\xa9"}\n'
    statement = image_statement(DIGEST, predicate_type="https://t.example/v1", predicate=predicate, name="r.example/a")
    assert predicate.strip() in statement
    found = parse_statement(statement)
    assert (found.subjects[0].name, found.predicate["big"]) == ("r.example/a", 12345678901234567890)


@pytest.mark.parametrize("predicate", [b"", b"[]", b"1", b'{"a":1,"a":2}', b'{"a":1}{}', b'{"a":NaN}', b"spdx: text"])
def test_a_predicate_that_no_reader_takes_is_refused(predicate):
    with pytest.raises(UsageError, match="predicate"):
        image_statement(DIGEST, predicate_type="https://t.example/v1", predicate=predicate)


def test_a_predicate_beyond_the_cap_is_refused():
    with pytest.raises(LimitExceededError):
        image_statement(DIGEST, predicate_type="https://t.example/v1", predicate=bytes(9 * 1024 * 1024))


@settings(max_examples=30)
@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3), st.text(max_size=20))
def test_what_is_written_is_read_as_it_was(annotations, name):
    statement = image_statement(DIGEST, predicate_type="https://t.example/v1", name=name, annotations=annotations)
    found = parse_bundle(bundle_bytes(sign_statement(statement, BY), Proofs()))
    [subject] = parse_statement(found.content.payload).subjects
    assert (found.version, found.content.payload) == ("0.3", statement)
    assert (subject.name, subject.annotations, subject.digests) == (name, annotations, {"sha256": DIGEST.hex})


def test_a_timestamp_is_asked_for_and_must_be_of_this_request():
    server = SigstoreServer()
    nonce = b"\xff2345678"
    query = timestamp_query(b"signature", nonce=nonce)
    assert query[:2] == bytes([0x30, len(query) - 2])
    answer = Stamp(by=server.ours.tsa, rest=integer(int.from_bytes(nonce, "big"))).response
    check_answer(answer, nonce=nonce)
    for other in (Stamp(by=server.ours.tsa).response, Stamp(by=server.ours.tsa, rest=integer(1)).response):
        with pytest.raises(TimestampInvalidError, match="nonce"):
            check_answer(other, nonce=nonce)


def issued(*pems, form="signedCertificateEmbeddedSct"):
    return json.dumps({form: {"chain": {"certificates": list(pems)}}}).encode()


def test_only_a_certificate_of_the_very_key_is_taken():
    ours = SigstoreServer().ours
    mine = ours.certificate(by=_Pair(KEY))
    found = parse_issued(issued(mine.pem, ours.anchor.pem), key=KEY)
    assert (found.certificate.der, [each.der for each in found.chain]) == (mine.der, [ours.anchor.der])
    for reply in (
        issued(ours.certificate().pem),
        issued(ours.anchor.pem, mine.pem),
        issued(),
        issued(1),
        issued("no PEM"),
        issued(mine.pem, form="signedCertificateDetachedSct"),
    ):
        with pytest.raises(CertificateUntrustedError):
            parse_issued(reply, key=KEY)


class _Pair:
    """A SigningKey in the place of a fake's Signer."""

    kind = "p256"

    def __init__(self, key):
        self.private = key.private


def test_the_token_stands_in_the_request_and_nowhere_else():
    found = OidcToken.parse(token(jti="canary"))
    assert found.value in certificate_query(found, KEY).decode()
    assert found.value not in repr(found)
