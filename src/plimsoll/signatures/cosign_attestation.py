"""cosign's attestations on the ``ALGORITHM-HEX.att`` tag: DSSE envelopes with their proofs in annotations.

Source: cosign's attestation specification and ``verifyInternal`` as of v3.1.2. Of an envelope's signatures one that is
trusted is enough, as in cosign; the first that is counts, and for one signer.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from plimsoll.errors import (
    BadSignatureError,
    CertificateUntrustedError,
    LogProofInvalidError,
    LogProofMissingError,
    PayloadError,
    SignedDigestMismatchError,
    UntrustedKeyError,
)
from plimsoll.model.bundle import UntrustedEnvelope, UntrustedTlogEntry
from plimsoll.model.digest import Digest
from plimsoll.model.evidence import Attachment, TagPlace
from plimsoll.model.signature import UntrustedAttestation
from plimsoll.model.trust import HashName, PublicKey
from plimsoll.signatures.annotated_timestamp import annotated_times
from plimsoll.signatures.annotations import (
    CERTIFICATE_ANNOTATION,
    CHAIN_ANNOTATION,
    DSSE_ENVELOPE,
    LOG_ANNOTATION,
    TIMESTAMP_ANNOTATION,
)
from plimsoll.signatures.certificates import parse_intermediates, parse_leaf
from plimsoll.signatures.dsse import pae, parse_envelope
from plimsoll.signatures.effort import read_once
from plimsoll.signatures.formats import (
    Artifact,
    CertifiedSigner,
    IdentityTrust,
    KeyTrust,
    LogByKeys,
    LogByRoot,
    LogTrust,
    VerifiedAttestation,
)
from plimsoll.signatures.keyless import check_wanted, verify_leaf
from plimsoll.signatures.log_bodies import kind_of
from plimsoll.signatures.log_entries import LoggedContent, verify_tlog_entry
from plimsoll.signatures.signed_content import SignedContent, verify_content
from plimsoll.signatures.statement import outline_in, statement_in, subject_matches, unread
from plimsoll.signatures.transparency import parse_log_entry
from plimsoll.signatures.verifying import decode_base64
from plimsoll.signatures.x509 import Certificate

FORMAT = "attestation"


def attestation_places(digests: tuple[Digest, ...]) -> tuple[TagPlace, ...]:
    """The ``.att`` tag of each digest."""
    return tuple([TagPlace(tag=f"{digest.tag}.att", media_types=frozenset({DSSE_ENVELOPE})) for digest in digests])


def parse_attestation(attachment: Attachment) -> UntrustedAttestation | None:
    """Take a layer and its annotations as an unproven attestation; None for what lies in a store: it is none.

    Raises as ``parse_envelope``: who signed what is no envelope, or too large a one, cannot be known.
    """
    if attachment.descriptor is None:
        return None
    if attachment.data is None:
        raise BadSignatureError("the attestation's envelope was not read")
    read_once("envelope", attachment.data, parse_envelope)
    annotations = attachment.descriptor.annotations
    return UntrustedAttestation(
        envelope=attachment.data,
        log_entry=annotations.get(LOG_ANNOTATION),
        certificate=annotations.get(CERTIFICATE_ANNOTATION),
        chain=annotations.get(CHAIN_ANNOTATION),
        timestamp=annotations.get(TIMESTAMP_ANNOTATION),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    """Who made which of the envelope's signatures, and when as far as that is proven."""

    key: PublicKey
    at_s: float | None
    certified: CertifiedSigner | None = None


def verify_attestation(
    untrusted: UntrustedAttestation, trust: KeyTrust | IdentityTrust, artifact: Artifact, now_s: float
) -> VerifiedAttestation:
    """Prove an attestation about ``artifact``; raises the SignatureError of the first step that fails.

    ``now_s``, in seconds since 1970, is when a certificate must be valid if no log proves another time.
    """
    # 1. The envelope holds a statement about this image.
    envelope = read_once("envelope", untrusted.envelope, parse_envelope)
    try:
        statement = outline_in(envelope)
    except PayloadError as error:
        raise unread(envelope, error, prove=lambda: _verify(untrusted, envelope, trust, now_s)) from None
    digest = subject_matches(statement, artifact.digests)
    if digest is None:
        raise SignedDigestMismatchError("the statement is about other artifacts: none of its subjects is this image")
    # 2 to 5. A trusted signer made one of its signatures, and it is logged where that is demanded.
    signed = _verify(untrusted, envelope, trust, now_s)
    return VerifiedAttestation(
        format=FORMAT,
        key=signed.key.fingerprint,
        digest=digest,
        statement=statement_in(envelope),  # only now is its predicate read
        certified=signed.certified,
        signed_at_s=signed.at_s,
    )


def _verify(
    untrusted: UntrustedAttestation, envelope: UntrustedEnvelope, trust: KeyTrust | IdentityTrust, now_s: float
) -> _Signed:
    if isinstance(trust, IdentityTrust):
        return _verify_by_identity(untrusted, envelope, trust, now_s)
    return _verify_by_keys(untrusted, envelope, trust)


def _verify_by_keys(untrusted: UntrustedAttestation, envelope: UntrustedEnvelope, trust: KeyTrust) -> _Signed:
    # 2. Where a log entry is demanded there is one: asked first, as it costs nothing.
    _require_entry(untrusted, trust.log)
    # 3. A trusted key made one of the signatures.
    content, key = _made_by(envelope, trust.keys, hash_name=trust.hash_name)
    # 4. The log entry is about this signature, key and envelope.
    logged_at_s = _verify_log(untrusted, trust.log, content, key)
    if trust.stamped_by is None:
        return _Signed(key=key, at_s=logged_at_s)
    # 5. Or a trusted authority stamped it: the earlier of the two counts.
    proven = annotated_times(
        untrusted.timestamp, signature=untrusted.envelope, root=trust.stamped_by, promised_s=logged_at_s
    )
    return _Signed(key=key, at_s=min(proven, default=None))


def _verify_by_identity(
    untrusted: UntrustedAttestation, envelope: UntrustedEnvelope, trust: IdentityTrust, now_s: float
) -> _Signed:
    # 2. There is a log entry where one is demanded, and a certificate for somebody who is wanted.
    _require_entry(untrusted, trust.log)
    leaf = parse_leaf(untrusted.certificate)
    check_wanted(leaf, trust)
    if leaf.key is None:
        raise CertificateUntrustedError(f"{leaf.title} has a key of a kind that is not trusted")
    # 3. Its key made one of the signatures.
    content, key = _made_by(envelope, (leaf.key,))
    # 4. The log entry is about this signature, certificate and envelope.
    logged_at_s = _verify_log(untrusted, trust.log, content, leaf)
    # 5. At all times that are proven the certificate was valid and led to a trusted authority; and it was logged.
    proven = annotated_times(untrusted.timestamp, signature=untrusted.envelope, root=trust.root, promised_s=logged_at_s)
    certified = verify_leaf(leaf, chain=parse_intermediates(untrusted.chain), trust=trust, times_s=proven or (now_s,))
    return _Signed(key=key, at_s=min(proven, default=None), certified=certified)


def _made_by(
    envelope: UntrustedEnvelope, keys: tuple[PublicKey, ...], *, hash_name: HashName = "sha256"
) -> tuple[SignedContent, PublicKey]:
    for content in read_once("signed contents", envelope, _contents):
        for key in keys:
            try:
                verify_content(key, content, hash_name=hash_name)
            except UntrustedKeyError:
                continue
            return content, key
    raise UntrustedKeyError("not signed by any trusted key, or changed after it was signed")


def _contents(envelope: UntrustedEnvelope) -> tuple[SignedContent, ...]:
    signed = pae(envelope.payload_type, envelope.payload)
    return tuple(
        [SignedContent(signature=made, data=signed, payload=envelope.payload) for _, made in envelope.signatures]
    )


def _require_entry(untrusted: UntrustedAttestation, log: LogTrust) -> None:
    if isinstance(log, LogByRoot) and untrusted.log_entry is None:
        raise LogProofMissingError(
            "the attestation has no transparency-log entry; make one with it, or ask for none: "
            "--insecure-ignore-tlog, or log: ignore in a document"
        )


def _verify_log(
    untrusted: UntrustedAttestation, log: LogTrust, content: SignedContent, signer: PublicKey | Certificate
) -> float | None:
    """When a trusted log promised to log it, in seconds since 1970; None where no log is asked."""
    if isinstance(log, LogByKeys):
        raise TypeError("a policy.json knows no attestations")
    if not isinstance(log, LogByRoot) or untrusted.log_entry is None:
        return None
    about = LoggedContent(
        signer=signer,
        signature=content.signature,
        signed_digests=content.digests,
        payload_sha256=content.payload_sha256,
        envelope_sha256=hashlib.sha256(untrusted.envelope).digest(),
    )
    found = verify_tlog_entry(_entry(untrusted.log_entry), content=about, trust=log.root, version="0.1")
    return None if found.integrated_time_s is None else float(found.integrated_time_s)


def _entry(text: str) -> UntrustedTlogEntry:
    """The annotation's entry in the form that bundles have; its kind is what its body says."""
    entry = parse_log_entry(text)
    try:
        body = decode_base64(entry.body, what="Payload.body", limit=len(text))
        log_id = bytes.fromhex(entry.log_id)
    except (BadSignatureError, ValueError) as error:
        raise LogProofInvalidError(f"the log entry's body or log id cannot be read: {error}") from error
    kind, version = kind_of(body)
    return UntrustedTlogEntry(
        log_index=entry.log_index,
        log_id=log_id,
        kind=kind,
        version=version,
        body=body,
        integrated_time_s=entry.integrated_time_s,
        promise=entry.set,
    )
