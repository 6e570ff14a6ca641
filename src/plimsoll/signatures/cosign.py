"""cosign's keyed signatures on the ``ALGORITHM-HEX.sig`` tag: where they lie, what they say, when they are good.

Source: cosign's signature specification as of v3.1.2; the order of checks is that of containers/image for
``sigstoreSigned``: the signature before the payload is read, the digest before any identity.
A certificate on a ``.sig`` layer is used where certificates are trusted, and changes nothing where keys are.
"""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.errors import (
    BadSignatureError,
    CertificateUntrustedError,
    LogProofMissingError,
    SignatureError,
    SignedDigestMismatchError,
    UnreadableKeyError,
    UntrustedKeyError,
)
from plimsoll.model.digest import Digest
from plimsoll.model.evidence import Attachment, TagPlace
from plimsoll.model.signature import UntrustedCosignSignature
from plimsoll.model.trust import PublicKey, parse_pem_key
from plimsoll.signatures.annotated_timestamp import annotated_times
from plimsoll.signatures.annotations import (
    CERTIFICATE_ANNOTATION,
    CHAIN_ANNOTATION,
    LOG_ANNOTATION,
    SIGNATURE_ANNOTATION,
    SIMPLE_SIGNING,
    TIMESTAMP_ANNOTATION,
)
from plimsoll.signatures.certificates import (
    CertificateTrust,
    FulcioCertificates,
    parse_intermediates,
    parse_leaf,
    verify_certificate,
)
from plimsoll.signatures.formats import (
    CertifiedSigner,
    IdentityTrust,
    KeyTrust,
    LogByKeys,
    LogIgnored,
    LogTrust,
    VerifiedSignature,
)
from plimsoll.signatures.keyless import check_wanted, verify_leaf
from plimsoll.signatures.simple_payload import UntrustedPayload, parse_payload
from plimsoll.signatures.transparency import (
    VerifiedLogEntry,
    parse_hashedrekord,
    parse_log_entry,
    verify_log_entry,
)
from plimsoll.signatures.verifying import decode_base64, find_signer, verify_by_key
from plimsoll.signatures.x509 import Certificate


def signature_places(digests: tuple[Digest, ...]) -> tuple[TagPlace, ...]:
    """The ``.sig`` tag of each digest."""
    return tuple([TagPlace(tag=f"{digest.tag}.sig", media_types=frozenset({SIMPLE_SIGNING})) for digest in digests])


def parse_attachment(attachment: Attachment) -> UntrustedCosignSignature:
    """Take a layer and its annotations as an unproven signature; ``attachment.data`` must be there."""
    if attachment.data is None or attachment.descriptor is None:
        raise BadSignatureError("the signature's payload was not read")
    annotations = attachment.descriptor.annotations
    return UntrustedCosignSignature(
        payload=attachment.data,
        signature=annotations.get(SIGNATURE_ANNOTATION),
        log_entry=annotations.get(LOG_ANNOTATION),
        certificate=annotations.get(CERTIFICATE_ANNOTATION),
        chain=annotations.get(CHAIN_ANNOTATION),
        timestamp=annotations.get(TIMESTAMP_ANNOTATION),
    )


def verify_signature(
    untrusted: UntrustedCosignSignature,
    trust: KeyTrust | IdentityTrust | CertificateTrust,
    digests: tuple[Digest, ...],
    now_s: float,
) -> VerifiedSignature:
    """Prove a signature of an image with ``digests``; raises the SignatureError of the first step that fails.

    ``now_s``, in seconds since 1970, is when a certificate must be valid if no log proves another time. The caller
    owes: the signed identity and annotations.
    """
    # 1. There is a signature, in canonical base64.
    if not untrusted.signature:
        raise BadSignatureError(f"the layer has no annotation {SIGNATURE_ANNOTATION}")
    signature = decode_base64(untrusted.signature, what=f"the annotation {SIGNATURE_ANNOTATION}")
    # 2 to 4. A key that is trusted made it over the payload's bytes, and is logged where that is demanded.
    match trust:
        case KeyTrust():
            signed = _verify_by_keys(untrusted, trust, signature)
        case IdentityTrust():
            signed = _verify_by_identity(untrusted, trust, signature, now_s)
        case _:
            signed = _verify_by_certificate(untrusted, trust, signature, now_s)
    # 5. The payload, now known to be signed, is the exact document.
    payload = parse_payload(untrusted.payload)
    # 6. It names this image.
    digest = _claimed(payload, digests)
    return VerifiedSignature(
        format="cosign",
        key=signed.key.fingerprint,
        digest=digest,
        docker_reference=payload.docker_reference,
        annotations=payload.optional,
        certified=signed.certified,
        signed_at_s=signed.at_s,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    """Who made the signature, and when as far as that is proven."""

    key: PublicKey
    at_s: float | None
    certified: CertifiedSigner | None = None


def _time(logged: VerifiedLogEntry | None) -> float | None:
    return None if logged is None else float(logged.integrated_time_s)


def _verify_by_keys(untrusted: UntrustedCosignSignature, trust: KeyTrust, signature: bytes) -> _Signed:
    # 2. Where a log entry is demanded there is one: asked first, as it costs nothing.
    if not isinstance(trust.log, LogIgnored) and untrusted.log_entry is None:
        raise LogProofMissingError(
            "the signature has no transparency-log entry; sign with one, or ask for none: "
            "--insecure-ignore-tlog, or log: ignore in a document"
        )
    # 3. A trusted key made it over the payload's bytes.
    key = _signer(untrusted, trust, signature)
    # 4. The log entry is about this signature, key and payload, and a trusted log promised it.
    logged = _verify_log(untrusted, trust.log, key, signature)
    if trust.stamped_by is None:
        return _Signed(key=key, at_s=_time(logged))
    # 5. Or a trusted authority stamped it: the earlier of the two counts.
    proven = annotated_times(untrusted.timestamp, signature=signature, root=trust.stamped_by, promised_s=_time(logged))
    return _Signed(key=key, at_s=min(proven, default=None))


def _verify_by_certificate(
    untrusted: UntrustedCosignSignature, trust: CertificateTrust, signature: bytes, now_s: float
) -> _Signed:
    # 2. Where Fulcio is trusted there is a log entry about this signature, certificate and payload: it proves the time.
    log = LogByKeys(keys=trust.rekor_keys) if isinstance(trust, FulcioCertificates) else LogIgnored()
    if isinstance(log, LogByKeys) and untrusted.log_entry is None:
        raise LogProofMissingError("a certificate of Fulcio's counts with a transparency-log entry only; there is none")
    leaf = parse_leaf(untrusted.certificate)
    logged = _verify_log(untrusted, log, leaf, signature)
    # 3. The certificate leads to a trusted authority at that time, and is for whom the trust names.
    key = verify_certificate(
        leaf,
        intermediates=parse_intermediates(untrusted.chain),
        trust=trust,
        at_s=now_s if logged is None else logged.integrated_time_s,
    )
    # 4. Its key made the signature over the payload's bytes.
    _check_made_by(key, signature=signature, payload=untrusted.payload)
    return _Signed(key=key, at_s=_time(logged))


def _verify_by_identity(
    untrusted: UntrustedCosignSignature, trust: IdentityTrust, signature: bytes, now_s: float
) -> _Signed:
    # 2. The certificate says that it is for somebody who is wanted: asked first, as it costs nothing.
    leaf = parse_leaf(untrusted.certificate)
    check_wanted(leaf, trust)
    if leaf.key is None:
        raise CertificateUntrustedError(f"{leaf.title} has a key of a kind that is not trusted")
    # 3. Its key made the signature over the payload's bytes.
    _check_made_by(leaf.key, signature=signature, payload=untrusted.payload)
    # 4. The log entry is about this signature, certificate and payload, and a trusted log promised it.
    logged = _verify_log(untrusted, trust.log, leaf, signature)
    # 5. At all times that are proven the certificate was valid and led to a trusted authority; and it was logged.
    proven = annotated_times(untrusted.timestamp, signature=signature, root=trust.root, promised_s=_time(logged))
    certified = verify_leaf(leaf, chain=parse_intermediates(untrusted.chain), trust=trust, times_s=proven or (now_s,))
    return _Signed(key=leaf.key, at_s=min(proven, default=None), certified=certified)


def _check_made_by(key: PublicKey, *, signature: bytes, payload: bytes) -> None:
    try:
        verify_by_key(key, signature=signature, signed=payload, hash_name="sha256")
    except UntrustedKeyError:
        raise BadSignatureError(
            "the certificate's key did not sign these bytes: they were changed, or another key signed"
        ) from None


def _signer(untrusted: UntrustedCosignSignature, trust: KeyTrust, signature: bytes) -> PublicKey:
    try:
        return find_signer(trust.keys, signature=signature, signed=untrusted.payload, hash_name=trust.hash_name)
    except UntrustedKeyError:
        if _names_a_trusted_key(untrusted, trust):
            raise BadSignatureError(
                "its log entry names a trusted key, but that key did not sign these bytes: they were changed"
            ) from None
        raise


def _names_a_trusted_key(untrusted: UntrustedCosignSignature, trust: KeyTrust) -> bool:
    """Whether an (unproven) log entry claims a trusted key: it only words the refusal."""
    if untrusted.log_entry is None:
        return False
    try:
        body = decode_base64(
            parse_log_entry(untrusted.log_entry).body, what="Payload.body", limit=len(untrusted.log_entry)
        )
        return parse_pem_key(parse_hashedrekord(body).verifier_pem) in trust.keys
    except (SignatureError, UnreadableKeyError):
        return False


def _verify_log(
    untrusted: UntrustedCosignSignature, log: LogTrust, key: PublicKey | Certificate, signature: bytes
) -> VerifiedLogEntry | None:
    if isinstance(log, LogIgnored):
        return None
    if untrusted.log_entry is None:
        raise LogProofMissingError("the signature has no transparency-log entry")
    return verify_log_entry(
        parse_log_entry(untrusted.log_entry), trust=log, key=key, signature=signature, payload=untrusted.payload
    )


def _claimed(payload: UntrustedPayload, digests: tuple[Digest, ...]) -> Digest:
    if payload.digest not in digests:
        raise SignedDigestMismatchError(f"a good signature, but of another image: {payload.digest}")
    return payload.digest
