"""Sigstore bundles v0.1, v0.2 and v0.3, read strictly: what the document must have is asked here, nothing is believed.

Sources: sigstore/protobuf-specs, sigstore_bundle.proto, sigstore_common.proto, sigstore_rekor.proto, envelope.proto.
What a log entry or a certificate proves is asked where it is verified.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from plimsoll import limits
from plimsoll.errors import BundleInvalidError, CertificateUntrustedError, LogProofMissingError, UnreadableKeyError
from plimsoll.model.bundle import (
    UntrustedBundle,
    UntrustedEnvelope,
    UntrustedInclusionProof,
    UntrustedMessageSignature,
    UntrustedTlogEntry,
)
from plimsoll.native import ReadError, read_json
from plimsoll.signatures.bundle_fields import Message, field_names
from plimsoll.signatures.effort import spend_scan
from plimsoll.signatures.x509 import Certificate

BUNDLE_TYPES: Final[Mapping[str, str]] = {
    f"application/vnd.dev.sigstore.bundle{spelling.format(version)}": version
    for version in ("0.1", "0.2", "0.3")
    for spelling in ("+json;version={}", ".v{}+json")
}
"""Media type -> version."""

_BUNDLE: Final = field_names("mediaType", "verificationMaterial", "messageSignature", "dsseEnvelope")
_MATERIAL: Final = field_names(
    "publicKey", "x509CertificateChain", "certificate", "tlogEntries", "timestampVerificationData"
)
_PUBLIC_KEY: Final = field_names("hint")
_CHAIN: Final = field_names("certificates")
_CERTIFICATE: Final = field_names("rawBytes")
_TIMESTAMPS: Final = field_names("rfc3161Timestamps")
_TIMESTAMP: Final = field_names("signedTimestamp")
_ENTRY: Final = field_names(
    "logIndex", "logId", "kindVersion", "integratedTime", "inclusionPromise", "inclusionProof", "canonicalizedBody"
)
_LOG_ID: Final = field_names("keyId")
_KIND_VERSION: Final = field_names("kind", "version")
_PROMISE: Final = field_names("signedEntryTimestamp")
_PROOF: Final = field_names("logIndex", "rootHash", "treeSize", "hashes", "checkpoint")
_CHECKPOINT: Final = field_names("envelope")
_MESSAGE_SIGNATURE: Final = field_names("messageDigest", "signature")
_MESSAGE_DIGEST: Final = field_names("algorithm", "digest")
_ENVELOPE: Final = field_names("payload", "signatures", verbatim=("payloadType",))
_SIGNATURE: Final = field_names("sig", "keyid")

_ALGORITHMS: Final[Mapping[str | int, str]] = {
    "SHA2_256": "SHA2_256", 1: "SHA2_256", "SHA2_384": "SHA2_384", 2: "SHA2_384", "SHA2_512": "SHA2_512", 3: "SHA2_512",
}  # fmt: skip
"""sigstore_common.proto, HashAlgorithm: those that an image's digest may have; SHA-3 is none of them."""
_DIGEST_BYTES: Final = {"SHA2_256": 32, "SHA2_384": 48, "SHA2_512": 64}


def parse_bundle(data: bytes, *, allow_chain: bool = False) -> UntrustedBundle:
    """Read one bundle.

    ``allow_chain`` takes a certificate chain in v0.3 too (cosign's ``--allow-certificate-chain``). Raises
    LogProofMissingError for a log entry without the proof that its version demands, CertificateUntrustedError for a
    chain that cannot be read, BundleInvalidError for everything else that is not the document of its version.
    """
    if len(data) > limits.BUNDLE_BYTES:
        raise BundleInvalidError(f"a bundle of {len(data)} bytes: at most {limits.BUNDLE_BYTES}")
    spend_scan(len(data))
    try:
        document = read_json(data, max_depth=limits.JSON_DEPTH, max_values=limits.BUNDLE_VALUES)
    except ReadError as error:
        raise BundleInvalidError(f"the bundle is refused: {error}") from error
    bundle = Message(document, names=_BUNDLE, where="")
    media_type = bundle.text("mediaType", limit=limits.MEDIA_TYPE_CHARS)
    version = BUNDLE_TYPES.get(media_type)
    if version is None:
        raise BundleInvalidError(f"mediaType {media_type!r:.160} is no bundle of v0.1, v0.2 or v0.3")
    material = bundle.message("verificationMaterial", _MATERIAL)
    certificates, key_hint = _signer(material, version=version, allow_chain=allow_chain)
    return UntrustedBundle(
        version=version,
        content=_content(bundle),
        certificates=certificates,
        key_hint=key_hint,
        entries=_entries(material, version=version),
        timestamps=_timestamps(material),
    )


def parse_tlog_entry(data: bytes) -> UntrustedTlogEntry:
    """Read one log entry by itself, as Rekor v2 answers; raises as ``parse_bundle`` does for a bundle of v0.3."""
    if len(data) > limits.SERVICE_REPLY_BYTES:
        raise BundleInvalidError(f"a log entry of {len(data)} bytes: at most {limits.SERVICE_REPLY_BYTES}")
    try:
        document = read_json(data, max_depth=limits.JSON_DEPTH, max_values=limits.BUNDLE_VALUES)
    except ReadError as error:
        raise BundleInvalidError(f"the log entry is refused: {error}") from error
    return _entry(Message(document, names=_ENTRY, where="the log entry"), version="0.3")


def _content(bundle: Message) -> UntrustedMessageSignature | UntrustedEnvelope:
    if bundle.one_of("messageSignature", "dsseEnvelope") == "dsseEnvelope":
        return _envelope(bundle.message("dsseEnvelope", _ENVELOPE))
    message = bundle.message("messageSignature", _MESSAGE_SIGNATURE)
    signature = message.some_blob("signature", limit=limits.SIGNATURE_BYTES)
    if not message.has("messageDigest"):
        return UntrustedMessageSignature(signature=signature)
    stated = message.message("messageDigest", _MESSAGE_DIGEST)
    algorithm = stated.known("algorithm", _ALGORITHMS)
    digest = stated.blob("digest", limit=limits.LOG_HASH_BYTES)
    if len(digest) != _DIGEST_BYTES[algorithm]:
        raise BundleInvalidError(f"{stated.path('digest')} has {len(digest)} bytes, which is not {algorithm}'s length")
    return UntrustedMessageSignature(signature=signature, digest_algorithm=algorithm, digest=digest)


def _envelope(envelope: Message) -> UntrustedEnvelope:
    signatures = envelope.messages("signatures", _SIGNATURE, most=limits.ENVELOPE_SIGNATURES)
    if len(signatures) != 1:  # sigstore_bundle.proto: exactly one, so that it is clear which one the log entry is about
        raise BundleInvalidError(f"{envelope.path('signatures')} has {len(signatures)} members: one must be there")
    (signature,) = signatures
    key_id = signature.text("keyid", limit=limits.KEY_HINT_CHARS)
    return UntrustedEnvelope(
        payload_type=envelope.some_text("payloadType", limit=limits.MEDIA_TYPE_CHARS),
        payload=envelope.blob("payload", limit=limits.BUNDLE_BYTES),
        signatures=((key_id, signature.some_blob("sig", limit=limits.SIGNATURE_BYTES)),),
    )


def _signer(material: Message, *, version: str, allow_chain: bool) -> tuple[tuple[bytes, ...], str | None]:
    """The certificates, or the key's hint ("" where the key has none)."""
    form = material.one_of("publicKey", "x509CertificateChain", "certificate")
    if form == "publicKey":
        return (), material.message(form, _PUBLIC_KEY).text("hint", limit=limits.KEY_HINT_CHARS)
    single = version == "0.3"
    if form == "certificate":
        if not single:
            raise BundleInvalidError(f"a bundle of v{version} has a chain of certificates, not {material.path(form)}")
        return (_certificate(material.message(form, _CERTIFICATE)),), None
    if single and not allow_chain:
        raise BundleInvalidError(
            f"{material.path(form)} has no place in a bundle of v0.3: it has one certificate, and its authority's are"
            " in the trusted root (--allow-certificate-chain takes it)"
        )
    return _chain(material.message(form, _CHAIN)), None


def _chain(chain: Message) -> tuple[bytes, ...]:
    found = chain.messages("certificates", _CERTIFICATE, most=limits.CHAIN_CERTIFICATES)
    if not found:
        raise BundleInvalidError(f"{chain.path('certificates')} is empty: the signer's certificate is not there")
    certificates = tuple([_certificate(message) for message in found])
    for message, der in zip(found[1:], certificates[1:], strict=True):
        if _is_root(der, where=message.where):
            raise BundleInvalidError(
                f"{message.where} is a root: roots come from the trusted root, never with a bundle"
            )
    return certificates


def _certificate(message: Message) -> bytes:
    return message.some_blob("rawBytes", limit=limits.CERTIFICATE_BYTES)


def _is_root(der: bytes, *, where: str) -> bool:
    try:
        certificate = Certificate(der)
    except UnreadableKeyError as error:
        raise CertificateUntrustedError(f"{where}: {error}") from error
    return certificate.subject == certificate.issuer


def _timestamps(material: Message) -> tuple[bytes, ...]:
    if not material.has("timestampVerificationData"):
        return ()
    data = material.message("timestampVerificationData", _TIMESTAMPS)
    found = tuple(
        [
            timestamp.some_blob("signedTimestamp", limit=limits.TIMESTAMP_BYTES)
            for timestamp in data.messages("rfc3161Timestamps", _TIMESTAMP, most=limits.TIMESTAMPS)
        ]
    )
    if len(set(found)) != len(found):
        raise BundleInvalidError(f"{data.path('rfc3161Timestamps')} has the same timestamp twice")
    return found


def _entries(material: Message, *, version: str) -> tuple[UntrustedTlogEntry, ...]:
    messages = material.messages("tlogEntries", _ENTRY, most=limits.TLOG_ENTRIES)
    found = tuple([_entry(message, version=version) for message in messages])
    if len({(entry.log_id, entry.log_index) for entry in found}) != len(found):
        raise BundleInvalidError(f"{material.path('tlogEntries')} has the same entry of the same log twice")
    return found


def _entry(entry: Message, *, version: str) -> UntrustedTlogEntry:
    kind = entry.message("kindVersion", _KIND_VERSION)
    found = UntrustedTlogEntry(
        log_index=entry.count("logIndex"),
        log_id=entry.message("logId", _LOG_ID).some_blob("keyId", limit=limits.LOG_HASH_BYTES),
        kind=kind.some_text("kind", limit=limits.LOG_KIND_CHARS),
        version=kind.some_text("version", limit=limits.LOG_KIND_CHARS),
        body=entry.some_blob("canonicalizedBody", limit=limits.LOG_ENTRY_BYTES),
        integrated_time_s=entry.count("integratedTime") or None,
        promise=_promise(entry),
        proof=_proof(entry),
    )
    if version == "0.1":
        if found.promise is None:
            raise LogProofMissingError(f"{entry.where} has no inclusionPromise, which a bundle of v0.1 must have")
    elif found.proof is None or found.proof.checkpoint is None:
        lacking = "inclusionProof" if found.proof is None else "inclusionProof.checkpoint"
        raise LogProofMissingError(f"{entry.where} has no {lacking}, which a bundle of v{version} must have")
    return found


def _promise(entry: Message) -> bytes | None:
    if not entry.has("inclusionPromise"):
        return None
    return entry.message("inclusionPromise", _PROMISE).some_blob("signedEntryTimestamp", limit=limits.SIGNATURE_BYTES)


def _proof(entry: Message) -> UntrustedInclusionProof | None:
    if not entry.has("inclusionProof"):
        return None
    proof = entry.message("inclusionProof", _PROOF)
    checkpoint = ""
    if proof.has("checkpoint"):
        checkpoint = proof.message("checkpoint", _CHECKPOINT).text("envelope", limit=limits.CHECKPOINT_CHARS)
    return UntrustedInclusionProof(
        log_index=proof.count("logIndex"),
        root_hash=proof.some_blob("rootHash", limit=limits.LOG_HASH_BYTES),
        tree_size=proof.count("treeSize"),
        hashes=proof.blobs("hashes", limit=limits.LOG_HASH_BYTES, most=limits.PROOF_HASHES),
        checkpoint=checkpoint or None,
    )
