"""Rekor v1's signed entry timestamp (SET), checked offline, and bound to this signature, key and payload.

A good SET about something else proves nothing (CVE-2022-36056, CVE-2026-22703): every field of the entry that names
the artifact, the signature or the key is compared before the log's own signature is checked.
No inclusion proof is stored on ``.sig`` tags; none is checked here.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from plimsoll import limits
from plimsoll.errors import BadSignatureError, LogProofInvalidError, UnreadableKeyError, UntrustedKeyError
from plimsoll.model.trust import PublicKey, parse_pem_key
from plimsoll.native import JsonValue, ReadError, jcs_encode, read_json
from plimsoll.signatures.formats import LogByKeys, LogByRoot
from plimsoll.signatures.verifying import decode_base64, verify_by_key
from plimsoll.signatures.x509 import Certificate, parse_pem_certificates

_MAX_INT: Final = 2**53 - 1
"""RFC 8785 section 3.2.2.3: larger integers have no one canonical form; real indexes are far below."""
_LOG_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class UntrustedLogEntry:
    """The bundle annotation's content: what the log is said to have promised. ``set`` is its signature."""

    set: bytes
    body: str
    integrated_time_s: int
    log_id: str
    log_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UntrustedHashedRekord:
    """The body of a hashedrekord 0.0.1 entry: what was logged."""

    hash_algorithm: str
    hash_hex: str
    signature: bytes
    verifier_pem: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedLogEntry:
    """A promise by a trusted log to have logged this signature, by this key, over this payload."""

    integrated_time_s: int
    log_index: int
    log_id: str


def parse_log_entry(text: str) -> UntrustedLogEntry:
    """Read the ``dev.sigstore.cosign/bundle`` annotation; raises LogProofInvalidError."""
    document = _object(_read(text.encode("utf-8", "surrogatepass"), "the log entry"), "the log entry")
    _exactly(document, {"SignedEntryTimestamp", "Payload"}, "the log entry")
    payload = _object(document["Payload"], "Payload")
    _exactly(payload, {"body", "integratedTime", "logIndex", "logID"}, "Payload")
    return UntrustedLogEntry(
        set=_bytes(document["SignedEntryTimestamp"], "SignedEntryTimestamp", limit=limits.ECDSA_SIGNATURE_BYTES),
        body=_text(payload["body"], "Payload.body"),
        integrated_time_s=_count(payload["integratedTime"], "Payload.integratedTime"),
        log_id=_text(payload["logID"], "Payload.logID"),
        log_index=_count(payload["logIndex"], "Payload.logIndex"),
    )


def parse_hashedrekord(body: bytes) -> UntrustedHashedRekord:
    """Read an entry's body; raises LogProofInvalidError for any kind but hashedrekord 0.0.1."""
    document = _object(_read(body, "the log entry's body"), "body")
    kind = (document.get("kind"), document.get("apiVersion"))
    if kind != ("hashedrekord", "0.0.1"):
        raise LogProofInvalidError(f"the log entry is of kind {kind!r:.160}, not hashedrekord 0.0.1")
    _exactly(document, {"apiVersion", "kind", "spec"}, "body")
    spec = _object(document["spec"], "body.spec")
    _exactly(spec, {"data", "signature"}, "body.spec")
    data = _object(spec["data"], "body.spec.data")
    _exactly(data, {"hash"}, "body.spec.data")
    digest = _object(data["hash"], "body.spec.data.hash")
    _exactly(digest, {"algorithm", "value"}, "body.spec.data.hash")
    signature = _object(spec["signature"], "body.spec.signature")
    _exactly(signature, {"content", "publicKey"}, "body.spec.signature")
    public_key = _object(signature["publicKey"], "body.spec.signature.publicKey")
    _exactly(public_key, {"content"}, "body.spec.signature.publicKey")
    return UntrustedHashedRekord(
        hash_algorithm=_text(digest["algorithm"], "body.spec.data.hash.algorithm"),
        hash_hex=_text(digest["value"], "body.spec.data.hash.value"),
        signature=_bytes(signature["content"], "body.spec.signature.content", limit=limits.SIGNATURE_BYTES),
        verifier_pem=_bytes(public_key["content"], "body.spec.signature.publicKey.content", limit=limits.KEY_BYTES),
    )


def verify_log_entry(
    entry: UntrustedLogEntry,
    *,
    trust: LogByRoot | LogByKeys,
    key: PublicKey | Certificate,
    signature: bytes,
    payload: bytes,
) -> VerifiedLogEntry:
    """Prove that a trusted log promised to log ``signature`` by ``key`` over ``payload``.

    A signature by a certificate's key is logged with the certificate. The caller owes: that ``key`` is trusted and
    made the signature. Raises LogProofInvalidError.
    """
    # 1. The body is a hashedrekord (cosign-formats, section 4).
    record = parse_hashedrekord(_bytes(entry.body, "Payload.body", limit=limits.LOG_ENTRY_BYTES))
    # 2. It is about this payload ...
    if record.hash_algorithm != "sha256" or record.hash_hex != hashlib.sha256(payload).hexdigest():
        raise LogProofInvalidError("the log entry is about another payload")
    # 3. ... this very signature (two good ECDSA signatures of one payload differ) ...
    if record.signature != signature:
        raise LogProofInvalidError("the log entry is about another signature")
    # 4. ... and this key, compared as DER.
    if not _is_verifier(record.verifier_pem, key):
        raise LogProofInvalidError("the log entry is about a signature by another key")
    # 5. The log signed exactly this entry.
    _verify_set(entry, trust)
    return VerifiedLogEntry(integrated_time_s=entry.integrated_time_s, log_index=entry.log_index, log_id=entry.log_id)


def signed_entry_bytes(entry: UntrustedLogEntry) -> bytes:
    """What a SET signs: the RFC 8785 form of the entry's four members."""
    return jcs_encode(
        {
            "body": entry.body,
            "integratedTime": entry.integrated_time_s,
            "logID": entry.log_id,
            "logIndex": entry.log_index,
        }
    )


def _verify_set(entry: UntrustedLogEntry, trust: LogByRoot | LogByKeys) -> None:
    signed = signed_entry_bytes(entry)
    for log_key in _log_keys(entry, trust):
        if not isinstance(log_key.crypto, ec.EllipticCurvePublicKey):
            continue  # Rekor v1 signs with ECDSA; cosign and containers/image know no other
        try:
            verify_by_key(log_key, signature=entry.set, signed=signed, hash_name="sha256")
        except UntrustedKeyError:
            continue
        return
    raise LogProofInvalidError("the log's signature over the entry does not verify under any trusted log key")


def _log_keys(entry: UntrustedLogEntry, trust: LogByRoot | LogByKeys) -> tuple[PublicKey, ...]:
    if isinstance(trust, LogByKeys):
        return trust.keys
    named = trust.root.logs(bytes.fromhex(entry.log_id)) if _LOG_ID.fullmatch(entry.log_id) else ()
    if not named:
        raise LogProofInvalidError(f"the log {entry.log_id[:64]!r} is not in the trusted root")
    current = tuple([log.key for log in named if log.valid_at(entry.integrated_time_s)])
    if not current:
        raise LogProofInvalidError("the entry was integrated when its log was not in use by the trusted root")
    return current


def _is_verifier(pem: bytes, key: PublicKey | Certificate) -> bool:
    try:
        if isinstance(key, Certificate):
            return parse_pem_certificates(pem, most=1) == (key,)
        return parse_pem_key(pem) == key
    except UnreadableKeyError:
        return False  # a key where a certificate signed, the other way round, or nothing readable


def _read(data: bytes, what: str) -> JsonValue:
    if len(data) > limits.LOG_ENTRY_BYTES:
        raise LogProofInvalidError(f"{what} has {len(data)} bytes: at most {limits.LOG_ENTRY_BYTES}")
    try:
        return read_json(data, max_depth=limits.JSON_DEPTH)
    except ReadError as error:
        raise LogProofInvalidError(f"{what} is refused: {error}") from error


def _object(value: JsonValue, where: str) -> dict[str, JsonValue]:
    if not isinstance(value, dict):
        raise LogProofInvalidError(f"{where} is no JSON object")
    return value


def _exactly(document: dict[str, JsonValue], names: set[str], where: str) -> None:
    if document.keys() != names:
        raise LogProofInvalidError(f"{where} has not exactly the members {', '.join(sorted(names))}")


def _text(value: JsonValue, where: str) -> str:
    if not isinstance(value, str):
        raise LogProofInvalidError(f"{where} is no text")
    return value


def _count(value: JsonValue, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_INT:
        raise LogProofInvalidError(f"{where} is no whole number from 0 to 2^53-1")
    return value


def _bytes(value: JsonValue, where: str, *, limit: int) -> bytes:
    try:
        return decode_base64(_text(value, where), what=where, limit=limit)
    except BadSignatureError as error:
        raise LogProofInvalidError(str(error)) from error
