"""Bundles v0.3 that were made: the statement, its envelope, the bundle, and the manifest that refers to the image.

Sources: sigstore/protobuf-specs, sigstore_bundle.proto; in-toto/attestation, spec/v1/statement.md; secure-systems-lab
dsse, protocol.md; cosign's bundles as OCI referrers (annotations, config); image-spec manifest.md.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding

from plimsoll import limits
from plimsoll.errors import LimitExceededError, UsageError
from plimsoll.model.bundle import UntrustedEnvelope, UntrustedMessageSignature, UntrustedTlogEntry
from plimsoll.model.descriptor import OCI_MANIFEST, Descriptor
from plimsoll.model.digest import Digest
from plimsoll.native import ReadError, read_json
from plimsoll.signatures.dsse import IN_TOTO, pae
from plimsoll.signatures.signing import SigningKey
from plimsoll.signatures.x509 import Certificate

BUNDLE_V03: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
EMPTY_CONFIG: Final = b"{}"
_EMPTY_TYPE: Final = "application/vnd.oci.empty.v1+json"
_STATEMENT_TYPES: Final = {"v1": "https://in-toto.io/Statement/v1", "v0.1": "https://in-toto.io/Statement/v0.1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """Who signs: a key, and for a keyless signature its certificate with the authorities above it."""

    key: SigningKey
    certificate: Certificate | None = None
    chain: tuple[Certificate, ...] = ()

    @property
    def verifier_pem(self) -> bytes:
        """The certificate, else the public key, as PEM."""
        return self.key.public_pem if self.certificate is None else pem_of(self.certificate)


def pem_of(certificate: Certificate) -> bytes:
    """A certificate as PEM."""
    return certificate.crypto.public_bytes(Encoding.PEM)


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeSignatureOver:
    """A signature that was made and by whom; ``content`` is what a bundle carries of it, ``signed`` what it is over."""

    by: Credential
    content: UntrustedEnvelope | UntrustedMessageSignature
    signed: bytes
    signature: bytes

    @property
    def sha256(self) -> bytes:
        """Of what is signed."""
        return hashlib.sha256(self.signed).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proofs:
    """What logs and timestamp authorities said of a signature."""

    entries: tuple[UntrustedTlogEntry, ...] = ()
    timestamps: tuple[bytes, ...] = ()


def image_statement(
    digest: Digest,
    *,
    predicate_type: str,
    predicate: bytes = b"{}",
    name: str = "",
    annotations: Mapping[str, str] | None = None,
    version: str = "v1",
) -> bytes:
    """An in-toto statement about one image; ``predicate`` is a JSON object's text, which is signed as it is written.

    Raises UsageError for a predicate that a strict reader would not take, LimitExceededError past the caps.
    """
    _check_predicate(predicate)
    subject: dict[str, object] = {"digest": {digest.algorithm: digest.hex}}
    if name:
        subject = {"name": name, **subject}
    if annotations:
        subject["annotations"] = dict(annotations)
    head = {"_type": _STATEMENT_TYPES[version], "subject": [subject], "predicateType": predicate_type}
    return _json(head)[:-1] + b',"predicate":' + predicate.strip() + b"}"


def _check_predicate(predicate: bytes) -> None:
    if len(predicate) > limits.BUNDLE_BYTES // 2:  # in base64, within a bundle
        raise LimitExceededError(f"a predicate of {len(predicate)} bytes: at most {limits.BUNDLE_BYTES // 2}")
    try:
        found = read_json(predicate, max_depth=limits.STATEMENT_DEPTH - 1, max_values=limits.STATEMENT_VALUES)
    except ReadError as error:
        raise UsageError(f"the predicate is no strict JSON: {error}") from error
    if not isinstance(found, dict):
        raise UsageError("the predicate is no JSON object, and a statement has no other")


def sign_statement(statement: bytes, credential: Credential) -> MadeSignatureOver:
    """Sign a statement in a DSSE envelope."""
    signed = pae(IN_TOTO, statement)
    signature = credential.key.sign(signed)
    content = UntrustedEnvelope(payload_type=IN_TOTO, payload=statement, signatures=(("", signature),))
    return MadeSignatureOver(by=credential, content=content, signed=signed, signature=signature)


def sign_blob(data: bytes, credential: Credential) -> MadeSignatureOver:
    """Sign bytes themselves: a payload, or a file."""
    signature = credential.key.sign(data)
    content = UntrustedMessageSignature(
        signature=signature, digest_algorithm="SHA2_256", digest=hashlib.sha256(data).digest()
    )
    return MadeSignatureOver(by=credential, content=content, signed=data, signature=signature)


def envelope_bytes(envelope: UntrustedEnvelope) -> bytes:
    """The envelope as JSON: what an ``.att`` layer holds and Rekor v1 is shown."""
    return _json(_envelope(envelope))


def bundle_bytes(made: MadeSignatureOver, proofs: Proofs) -> bytes:
    """The bundle v0.3; raises LimitExceededError for one that no reader here would take."""
    material: dict[str, object] = {}
    if made.by.certificate is None:
        # cosign's hint for a key: the SHA-256 of its SPKI.
        material["publicKey"] = {"hint": _b64(hashlib.sha256(made.by.key.public_key.spki).digest())}
    else:
        material["certificate"] = {"rawBytes": _b64(made.by.certificate.der)}
    if proofs.entries:
        material["tlogEntries"] = [_entry(entry) for entry in proofs.entries]
    if proofs.timestamps:
        stamped = [{"signedTimestamp": _b64(each)} for each in proofs.timestamps]
        material["timestampVerificationData"] = {"rfc3161Timestamps": stamped}
    data = _json({"mediaType": BUNDLE_V03, "verificationMaterial": material, **_content(made.content)})
    if len(data) > limits.BUNDLE_BYTES:
        raise LimitExceededError(f"the bundle would have {len(data)} bytes: at most {limits.BUNDLE_BYTES}")
    return data


def _content(content: UntrustedEnvelope | UntrustedMessageSignature) -> dict[str, object]:
    if isinstance(content, UntrustedEnvelope):
        return {"dsseEnvelope": _envelope(content)}
    digest = {"algorithm": content.digest_algorithm, "digest": _b64(content.digest or b"")}
    return {"messageSignature": {"messageDigest": digest, "signature": _b64(content.signature)}}


def _envelope(envelope: UntrustedEnvelope) -> dict[str, object]:
    return {
        "payload": _b64(envelope.payload),
        "payloadType": envelope.payload_type,
        "signatures": [{"sig": _b64(signature)} for _, signature in envelope.signatures],
    }


def _entry(entry: UntrustedTlogEntry) -> dict[str, object]:
    found: dict[str, object] = {
        "logIndex": str(entry.log_index),
        "logId": {"keyId": _b64(entry.log_id)},
        "kindVersion": {"kind": entry.kind, "version": entry.version},
    }
    if entry.integrated_time_s is not None:
        found["integratedTime"] = str(entry.integrated_time_s)
    if entry.promise is not None:
        found["inclusionPromise"] = {"signedEntryTimestamp": _b64(entry.promise)}
    if entry.proof is not None:
        found["inclusionProof"] = {
            "logIndex": str(entry.proof.log_index),
            "rootHash": _b64(entry.proof.root_hash),
            "treeSize": str(entry.proof.tree_size),
            "hashes": [_b64(each) for each in entry.proof.hashes],
            "checkpoint": {"envelope": entry.proof.checkpoint or ""},
        }
    return {**found, "canonicalizedBody": _b64(entry.body)}


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeBundle:
    """A bundle about an image, to be stored as a referrer; ``predicate_type`` is its statement's."""

    data: bytes
    predicate_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeReferrer:
    """A manifest that refers to an image, and how an index lists it."""

    manifest: bytes
    descriptor: Mapping[str, object]


def bundle_referrer(bundle: MadeBundle, *, subject: Descriptor, now_s: float) -> MadeReferrer:
    """The manifest that stores ``bundle`` beside its ``subject``, as cosign writes it; ``now_s`` is its creation."""
    annotations = {
        "dev.sigstore.bundle.content": "dsse-envelope",
        "dev.sigstore.bundle.predicateType": bundle.predicate_type,
        "org.opencontainers.image.created": datetime.fromtimestamp(int(now_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": BUNDLE_V03,
            "config": _descriptor(_EMPTY_TYPE, EMPTY_CONFIG),
            "layers": [_descriptor(BUNDLE_V03, bundle.data)],
            "subject": {"mediaType": subject.media_type, "digest": str(subject.digest), "size": subject.size},
            "annotations": annotations,
        }
    )
    listed = {**_descriptor(OCI_MANIFEST, manifest), "annotations": annotations, "artifactType": BUNDLE_V03}
    return MadeReferrer(manifest=manifest, descriptor=listed)


def _descriptor(media_type: str, data: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": str(Digest.of(data)), "size": len(data)}


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
