"""Rekor v1's signed entry timestamp (SET), checked offline, and bound to this signature, key and payload.

A good SET about something else proves nothing (CVE-2022-36056, CVE-2026-22703): every field of the entry that names
the artifact, the signature or the key is compared before the log's own signature is checked.
No inclusion proof is stored on ``.sig`` tags; none is checked here.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from plimsoll import limits
from plimsoll.errors import CanonicalizationError, LogProofInvalidError, UntrustedKeyError
from plimsoll.model.trust import PublicKey
from plimsoll.native import jcs_encode
from plimsoll.signatures.formats import LogByKeys, LogByRoot
from plimsoll.signatures.log_bodies import LoggedContent, UntrustedLogBody, bind_body, parse_log_body
from plimsoll.signatures.log_documents import blob, count, members, read_document, text
from plimsoll.signatures.verifying import verify_by_key
from plimsoll.signatures.x509 import Certificate

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


def parse_log_entry(annotation: str) -> UntrustedLogEntry:
    """Read the ``dev.sigstore.cosign/bundle`` annotation; raises LogProofInvalidError."""
    document = read_document(annotation.encode("utf-8", "surrogatepass"), what="the log entry")
    members(document, names={"SignedEntryTimestamp", "Payload"}, where="the log entry")
    payload = members(document["Payload"], names={"body", "integratedTime", "logIndex", "logID"}, where="Payload")
    return UntrustedLogEntry(
        set=blob(document["SignedEntryTimestamp"], where="SignedEntryTimestamp", limit=limits.ECDSA_SIGNATURE_BYTES),
        body=text(payload["body"], where="Payload.body"),
        integrated_time_s=count(payload["integratedTime"], where="Payload.integratedTime"),
        log_id=text(payload["logID"], where="Payload.logID"),
        log_index=count(payload["logIndex"], where="Payload.logIndex"),
    )


def parse_hashedrekord(body: bytes) -> UntrustedHashedRekord:
    """Read an entry's body; raises LogProofInvalidError for any kind but hashedrekord 0.0.1."""
    found = _parse_hashedrekord(body)
    (logged,) = found.signatures
    assert logged.signature is not None  # a hashedrekord names one
    return UntrustedHashedRekord(
        hash_algorithm=found.hash_algorithm,
        hash_hex=found.hash_hex,
        signature=logged.signature,
        verifier_pem=logged.verifier,
    )


def _parse_hashedrekord(body: bytes) -> UntrustedLogBody:
    return parse_log_body(body, kind="hashedrekord", version="0.0.1")


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
    # 1. The body is a hashedrekord (cosign-formats, section 4) ...
    record = _parse_hashedrekord(blob(entry.body, where="Payload.body", limit=limits.LOG_ENTRY_BYTES))
    # 2. ... about this payload, this very signature and this key, the last compared as DER.
    content = LoggedContent(
        signer=key, signature=signature, signed_digests={"sha256": hashlib.sha256(payload).digest()}
    )
    bind_body(record, content=content)
    # 3. The log signed exactly this entry.
    verify_promise(entry, keys=_log_keys(entry, trust))
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


def verify_promise(entry: UntrustedLogEntry, *, keys: tuple[PublicKey, ...]) -> None:
    """Return if one of ``keys`` signed the entry's SET; raises LogProofInvalidError if none did."""
    try:
        signed = signed_entry_bytes(entry)
    except CanonicalizationError as error:  # a bundle's indexes are int64
        raise LogProofInvalidError(f"no log can have signed this entry: {error}") from error
    for log_key in keys:
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
    named = trust.root.tlogs(bytes.fromhex(entry.log_id)) if _LOG_ID.fullmatch(entry.log_id) else ()
    if not named:
        raise LogProofInvalidError(f"the log {entry.log_id[:64]!r} is not in the trusted root")
    current = tuple([log.key for log in named if log.valid_at(entry.integrated_time_s)])
    if not current:
        raise LogProofInvalidError("the entry was integrated when its log was not in use by the trusted root")
    return current
