"""A signer of every kind of key and a tiny Rekor v1 log: real keys, real signatures, real SETs, no network.

Keys are made anew in each run and never written. Canonical JSON comes from the pure twin, so that what is verified by
the compiled code was not written by it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from functools import cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from plimsoll.model.descriptor import OCI_CONFIG, OCI_MANIFEST, Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.evidence import Attachment
from plimsoll.model.trust import PublicKey
from plimsoll.native._jcs_py import jcs_encode

SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE = "dev.cosignproject.cosign/signature"
BUNDLE = "dev.sigstore.cosign/bundle"
LOGGED_AT_S = 1_700_000_000
HASHES = {"sha224": hashes.SHA224(), "sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
KEY_DETAILS = {
    "p256": "PKIX_ECDSA_P256_SHA_256",
    "p384": "PKIX_ECDSA_P384_SHA_384",
    "p521": "PKIX_ECDSA_P521_SHA_512",
    "ed25519": "PKIX_ED25519",
    "rsa2048": "PKIX_RSA_PKCS1V15_2048_SHA256",
    "rsa3072": "PKIX_RSA_PKCS1V15_3072_SHA256",
    "rsa4096": "PKIX_RSA_PKCS1V15_4096_SHA256",
}
"""protobuf-specs' names for what a log's key signs with."""
CURVES = {"p256": ec.SECP256R1, "p384": ec.SECP384R1, "p521": ec.SECP521R1, "secp256k1": ec.SECP256K1}


def b64(data):
    """Canonical standard base64."""
    return base64.b64encode(data).decode()


@dataclass(frozen=True)
class Signer:
    """A key pair; ``kind`` is p256, p384, p521, secp256k1, rsaBITS or ed25519."""

    kind: str
    private: object = field(repr=False)

    @property
    def der(self):
        return self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def pem(self):
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    @property
    def key(self):
        return PublicKey(self.der)

    @property
    def fingerprint(self):
        return f"sha256:{hashlib.sha256(self.der).hexdigest()}"

    def sign(self, payload, *, hash_name="sha256"):
        """As cosign signs: ECDSA in DER, RSA PKCS#1 v1.5, Ed25519 over the message itself."""
        if self.kind == "ed25519":
            return self.private.sign(payload)
        if self.kind.startswith("rsa"):
            return self.private.sign(payload, padding.PKCS1v15(), HASHES[hash_name])
        return self.private.sign(payload, ec.ECDSA(HASHES[hash_name]))


def signer(kind="p256", name="alice"):
    """The key of that kind and name: one and the same for the whole run, as RSA keys take long to make."""
    return _generate(kind, name)


@cache
def _generate(kind, _name):
    if kind == "ed25519":
        return Signer(kind, ed25519.Ed25519PrivateKey.generate())
    if kind.startswith("rsa"):
        return Signer(kind, rsa.generate_private_key(65537, int(kind[3:])))
    return Signer(kind, ec.generate_private_key(CURVES[kind]()))


def payload_document(digest, *, reference="registry.example/team/app", optional=None):
    """What cosign's payload says, as Python values to be changed by a test."""
    return {
        "critical": {
            "identity": {"docker-reference": reference},
            "image": {"docker-manifest-digest": str(digest)},
            "type": "cosign container image signature",
        },
        "optional": optional,
    }


def payload_bytes(digest, **changes):
    """cosign's payload for an image, as bytes to be signed."""
    return json.dumps(payload_document(digest, **changes), separators=(",", ":")).encode()


def hashedrekord(payload, signature, verifier_pem):
    """The document of a hashedrekord 0.0.1 entry."""
    return {
        "apiVersion": "0.0.1",
        "kind": "hashedrekord",
        "spec": {
            "data": {"hash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()}},
            "signature": {"content": b64(signature), "publicKey": {"content": b64(verifier_pem)}},
        },
    }


@dataclass(frozen=True)
class RekorLog:
    """A Rekor v1 log that promises entries: it signs SETs and keeps no tree."""

    signer: Signer

    @property
    def log_id(self):
        return hashlib.sha256(self.signer.der)

    def promise(self, document, *, at_s=LOGGED_AT_S, index=42, **changes):
        """Sign an entry with this body (a document, or bytes); ``changes`` replace members before the log signs."""
        body = document if isinstance(document, bytes) else jcs_encode(document)
        entry = {"body": b64(body), "integratedTime": at_s, "logIndex": index, "logID": self.log_id.hexdigest()}
        entry |= changes
        return {"SignedEntryTimestamp": b64(self.signer.sign(jcs_encode(entry))), "Payload": entry}

    def log(self, payload, signature, verifier_pem, **at):
        """The bundle annotation for a signature, as cosign writes it."""
        return json.dumps(self.promise(hashedrekord(payload, signature, verifier_pem), **at), separators=(",", ":"))

    def trusted(self, *, start="2021-01-12T11:53:27Z", end=None):
        """This log as an entry of trusted_root.json."""
        span = {"start": start} if end is None else {"start": start, "end": end}
        return {
            "baseUrl": "https://rekor.example",
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": b64(self.signer.der),
                "keyDetails": KEY_DETAILS[self.signer.kind],
                "validFor": span,
            },
            "logId": {"keyId": b64(self.log_id.digest())},
        }


def rekor(name="rekor", kind="p256"):
    """The log of that name, one and the same for the whole run."""
    return RekorLog(signer(kind, f"log {name}"))


def trusted_root_bytes(*tlogs):
    """A trusted_root.json that holds these logs."""
    media_type = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
    return json.dumps({"mediaType": media_type, "tlogs": list(tlogs)}).encode()


def attachment(payload, *, annotations, media_type=SIMPLE_SIGNING):
    """A layer of a ``.sig`` manifest, fetched."""
    descriptor = Descriptor(
        media_type=media_type, digest=Digest.of(payload), size=len(payload), annotations=annotations
    )
    return Attachment(descriptor=descriptor, data=payload)


def signed_attachment(digest, *, by=None, log=None, hash_name="sha256", **changes):
    """A cosign signature of an image, by one key, logged where a log is given."""
    by = by or signer()
    payload = payload_bytes(digest, **changes)
    signature = by.sign(payload, hash_name=hash_name)
    annotations = {SIGNATURE: b64(signature)}
    if log is not None:
        annotations[BUNDLE] = log.log(payload, signature, by.pem)
    return attachment(payload, annotations=annotations)


def _listed(media_type, digest, size, **more):
    return {"mediaType": media_type, "digest": str(digest), "size": size, **more}


def signature_manifest(*attachments):
    """The bytes of the ``.sig`` manifest that lists these, and the bytes of its config."""
    config = b'{"architecture":"","os":"","rootfs":{"type":"layers","diff_ids":[]}}'
    layers = [
        _listed(
            a.descriptor.media_type, a.descriptor.digest, a.descriptor.size, annotations=dict(a.descriptor.annotations)
        )
        for a in attachments
    ]
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _listed(OCI_CONFIG, Digest.of(config), len(config)),
        "layers": layers,
    }
    return json.dumps(document, separators=(",", ":")).encode(), config
