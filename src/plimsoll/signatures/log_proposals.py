"""What a transparency log is asked to log, and its answer read as the entry that a bundle carries.

Sources: rekor's openapi.yaml (hashedrekord and dsse 0.0.1); rekor-tiles, entry.proto (Rekor v2). Nothing of an answer
is proven here: it goes through the same verification as anybody's entry.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from plimsoll import limits
from plimsoll.errors import LogProofInvalidError, UnsupportedError
from plimsoll.model.bundle import UntrustedEnvelope, UntrustedInclusionProof, UntrustedTlogEntry
from plimsoll.native import JsonValue
from plimsoll.signatures.bundle import parse_tlog_entry
from plimsoll.signatures.log_bodies import kind_of
from plimsoll.signatures.log_documents import blob, count, json_object, read_document, text
from plimsoll.signatures.made_bundles import Credential, MadeSignatureOver, envelope_bytes

_DETAILS: Final = {
    "secp256r1": "PKIX_ECDSA_P256_SHA_256",
    "secp384r1": "PKIX_ECDSA_P384_SHA_256",
    "secp521r1": "PKIX_ECDSA_P521_SHA_256",
}
"""Keys sign with SHA-256 whatever their curve (``signatures.signing``)."""


def proposal(made: MadeSignatureOver, *, version: int) -> bytes:
    """The body of a POST to Rekor v1 or v2.

    Raises UnsupportedError for an Ed25519 signature where the log takes a hash: it signs the bytes themselves.
    """
    if version == 1 and isinstance(made.content, UntrustedEnvelope):
        return _json(_dsse(made.content, made.by))
    if not isinstance(made.by.key.public_key.crypto, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise UnsupportedError(
            "the log takes no Ed25519 signature of this kind: sign with an ECDSA or RSA key, or --tlog-upload=false"
        )
    return _json(_hashedrekord(made) if version == 1 else _hashedrekord_v2(made))


def _dsse(envelope: UntrustedEnvelope, by: Credential) -> dict[str, object]:
    content = {"envelope": envelope_bytes(envelope).decode(), "verifiers": [_b64(by.verifier_pem)]}
    return {"apiVersion": "0.0.1", "kind": "dsse", "spec": {"proposedContent": content}}


def _hashedrekord(made: MadeSignatureOver) -> dict[str, object]:
    return {
        "apiVersion": "0.0.1",
        "kind": "hashedrekord",
        "spec": {
            "data": {"hash": {"algorithm": "sha256", "value": made.sha256.hex()}},
            "signature": {
                "content": _b64(made.signature),
                "publicKey": {"content": _b64(made.by.verifier_pem)},
            },
        },
    }


def _hashedrekord_v2(made: MadeSignatureOver) -> dict[str, object]:
    certificate = made.by.certificate
    form, der = (
        ("publicKey", made.by.key.public_key.spki) if certificate is None else ("x509Certificate", certificate.der)
    )
    verifier = {form: {"rawBytes": _b64(der)}, "keyDetails": key_details(made.by)}
    signature = {"content": _b64(made.signature), "verifier": verifier}
    return {"hashedRekordRequestV002": {"digest": _b64(made.sha256), "signature": signature}}


def key_details(by: Credential) -> str:
    """What protobuf-specs call the key and its way to sign."""
    key = by.key.public_key.crypto
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _DETAILS[key.curve.name]
    if isinstance(key, rsa.RSAPublicKey):
        return f"PKIX_RSA_PKCS1V15_{key.key_size}_SHA256"
    return "PKIX_ED25519"


def parse_logged(reply: bytes, *, version: int) -> UntrustedTlogEntry:
    """Read a log's answer; raises LogProofInvalidError, or BundleInvalidError, for what is no whole entry."""
    return _parse_v1(reply) if version == 1 else parse_tlog_entry(reply)


def _parse_v1(reply: bytes) -> UntrustedTlogEntry:
    document = read_document(reply, what="the log's answer")
    if len(document) != 1:
        raise LogProofInvalidError(f"the log's answer has {len(document)} entries: one was asked for")
    (entry,) = document.values()
    found = json_object(entry, where="entry")
    verification = json_object(found.get("verification"), where="entry.verification")
    body = blob(found.get("body"), where="entry.body", limit=limits.LOG_ENTRY_BYTES)
    kind, version = kind_of(body)
    return UntrustedTlogEntry(
        log_index=count(found.get("logIndex"), where="entry.logIndex"),
        log_id=_hex(found.get("logID"), "entry.logID"),
        kind=kind,
        version=version,
        body=body,
        integrated_time_s=count(found.get("integratedTime"), where="entry.integratedTime"),
        promise=blob(
            verification.get("signedEntryTimestamp"),
            where="entry.verification.signedEntryTimestamp",
            limit=limits.SIGNATURE_BYTES,
        ),
        proof=_proof(verification.get("inclusionProof")),
    )


def _proof(value: JsonValue) -> UntrustedInclusionProof:
    where = "entry.verification.inclusionProof"
    proof = json_object(value, where=where)
    hashes = proof.get("hashes") or []  # the first leaf of a tree has none
    if not isinstance(hashes, list) or len(hashes) > limits.PROOF_HASHES:
        raise LogProofInvalidError(f"{where}.hashes is no list of at most {limits.PROOF_HASHES}")
    return UntrustedInclusionProof(
        log_index=count(proof.get("logIndex"), where=f"{where}.logIndex"),
        root_hash=_hex(proof.get("rootHash"), f"{where}.rootHash"),
        tree_size=count(proof.get("treeSize"), where=f"{where}.treeSize"),
        hashes=tuple([_hex(each, f"{where}.hashes") for each in hashes]),
        checkpoint=text(proof.get("checkpoint"), where=f"{where}.checkpoint"),
    )


def _hex(value: JsonValue, where: str) -> bytes:
    found = text(value, where=where)
    try:
        data = binascii.unhexlify(found)
    except ValueError:
        data = b""
    if not 0 < len(data) <= limits.LOG_HASH_BYTES:
        raise LogProofInvalidError(f"{where} is no hash in hex")
    return data


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
