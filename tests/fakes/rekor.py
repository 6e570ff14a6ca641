"""Rekor logs that keep a real Merkle tree and sign it: v1 (promises, shards) and v2 (checkpoints with cosignatures).

The tree is RFC 6962's own recursion, written from its section 2.1, so that what is verified by one reading of it was
not made by the same. Canonical JSON comes from the pure twin. Nothing is checked here: what is wrong can be made.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fakes.signing import LOGGED_AT_S, Signer, b64, jcs_encode, signer
from plimsoll.model.bundle import UntrustedInclusionProof, UntrustedTlogEntry

V1_TREE = 1193050959916656506
V1_EARLIER_SHARDS = 4163431
KEY_DETAILS = {
    "p256": "PKIX_ECDSA_P256_SHA_256",
    "p384": "PKIX_ECDSA_P384_SHA_384",
    "p521": "PKIX_ECDSA_P521_SHA_512",
    "ed25519": "PKIX_ED25519",
    "rsa2048": "PKIX_RSA_PKCS1V15_2048_SHA256",
    "rsa3072": "PKIX_RSA_PKCS1V15_3072_SHA256",
}
HASH_NAMES = {"p384": "sha384", "p521": "sha512"}
"""What a key of that kind signs with; all others SHA-256."""
HASHES_V2 = {"sha256": "SHA2_256", "sha384": "SHA2_384", "sha512": "SHA2_512"}


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def tree_head(leaves):
    """MTH of RFC 6962 section 2.1."""
    if not leaves:
        return sha256()
    if len(leaves) == 1:
        return sha256(b"\x00", leaves[0])
    k = _split(len(leaves))
    return sha256(b"\x01", tree_head(leaves[:k]), tree_head(leaves[k:]))


def audit_path(index, leaves):
    """PATH of RFC 6962 section 2.1.1: from the leaf's sibling to the root's child."""
    if len(leaves) == 1:
        return []
    k = _split(len(leaves))
    if index < k:
        return [*audit_path(index, leaves[:k]), tree_head(leaves[k:])]
    return [*audit_path(index - k, leaves[k:]), tree_head(leaves[:k])]


def _split(size):
    """The largest power of two smaller than ``size``."""
    k = 1
    while k * 2 < size:
        k *= 2
    return k


def hashedrekord_v2(signature, verifier, *, digest, algorithm="sha256", details="PKIX_ECDSA_P256_SHA_256", form=None):
    """The document of a Rekor v2 hashedrekord; ``verifier`` is DER, of a certificate unless ``form`` says publicKey."""
    return {
        "apiVersion": "0.0.2",
        "kind": "hashedrekord",
        "spec": {
            "hashedRekordV002": {
                "data": {"algorithm": HASHES_V2.get(algorithm, algorithm), "digest": b64(digest)},
                "signature": {
                    "content": b64(signature),
                    "verifier": {"keyDetails": details, form or "x509Certificate": {"rawBytes": b64(verifier)}},
                },
            }
        },
    }


def _sha256_of(data):
    return {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()}


def dsse(payload, *signatures, envelope=b"the envelope as uploaded"):
    """The document of a dsse 0.0.1 entry; ``signatures`` are pairs of a signature and its verifier's PEM."""
    return {
        "apiVersion": "0.0.1",
        "kind": "dsse",
        "spec": {
            "envelopeHash": _sha256_of(envelope),
            "payloadHash": _sha256_of(payload),
            "signatures": [{"signature": b64(made), "verifier": b64(pem)} for made, pem in signatures],
        },
    }


def intoto(payload, *signatures):
    """The document of an intoto 0.0.2 entry, signatures in base64 twice."""
    return {
        "apiVersion": "0.0.2",
        "kind": "intoto",
        "spec": {
            "content": {
                "envelope": {
                    "payloadType": "application/vnd.in-toto+json",
                    "signatures": [{"publicKey": b64(pem), "sig": b64(b64(made).encode())} for made, pem in signatures],
                },
                "hash": _sha256_of(b"rewritten"),
                "payloadHash": _sha256_of(payload),
            }
        },
    }


def intoto_v1(envelope, pem):
    """The document of an intoto 0.0.1 entry, which names the envelope and no signature."""
    return {
        "apiVersion": "0.0.1",
        "kind": "intoto",
        "spec": {"content": {"hash": _sha256_of(envelope)}, "publicKey": b64(pem)},
    }


@dataclass
class FakeLog:
    """One log. ``key`` is the kind of its key: by default P-256 for v1, Ed25519 for v2."""

    kind: str = "v1"
    key: str = ""
    host: str = "rekor.example"
    name: str = "log"
    leaves: list = field(default_factory=list)

    @property
    def signer(self) -> Signer:
        return signer(self.key or {"v1": "p256", "v2": "ed25519"}[self.kind], f"{self.kind} {self.host} {self.name}")

    @property
    def origin(self):
        return f"{self.host} - {V1_TREE}" if self.kind == "v1" else self.host

    @property
    def key_id(self):
        """The 32 bytes that the hint is of (C2SP signed-note), and for v1 the SHA-256 of the SPKI."""
        by = self.signer
        prefix = self.host.encode() + b"\n"
        if self.kind == "v2" and by.kind == "ed25519":
            raw = by.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
            return sha256(prefix, b"\x01", raw)
        if self.kind == "v2" and by.kind.startswith("rsa"):
            return sha256(prefix, b"\xff", b"PKIX-RSA-PKCS#1v1.5", by.der)
        return sha256(by.der)

    def fill(self, count):
        """Other people's entries."""
        self.leaves += [b"leaf %d" % (len(self.leaves) + at) for at in range(count)]
        return self

    def sign_note(self, body, *, by=None, name=None, hint=None):
        """One signature line over a note's text."""
        by = by or self.signer
        made = by.sign(body.encode(), hash_name=HASH_NAMES.get(by.kind, "sha256"))
        return f"\u2014 {name or self.host} {b64((hint or self.key_id[:4]) + made)}\n"

    def checkpoint(self, *, others="", size=None, root=None, origin=None, extensions=""):
        """The signed checkpoint of the tree as it is; ``others`` are signature lines that come first."""
        size = len(self.leaves) if size is None else size
        root = tree_head(self.leaves) if root is None else root
        body = f"{origin or self.origin}\n{size}\n{b64(root)}\n{extensions}"
        return f"{body}\n{others}{self.sign_note(body)}"

    def add(self, body, *, at_s=LOGGED_AT_S, others=""):
        """Log ``body`` (a document, or bytes) and give its TransparencyLogEntry in protobuf's JSON, for a bundle."""
        leaf = body if isinstance(body, bytes) else jcs_encode(body)
        document = json.loads(leaf)
        index = len(self.leaves)
        self.leaves.append(leaf)
        entry = {
            "logIndex": str(index),
            "logId": {"keyId": b64(self.key_id)},
            "kindVersion": {"kind": document["kind"], "version": document["apiVersion"]},
            "inclusionProof": {
                "logIndex": str(index),
                "rootHash": b64(tree_head(self.leaves)),
                "treeSize": str(len(self.leaves)),
                "hashes": [b64(each) for each in audit_path(index, self.leaves)],
                "checkpoint": {"envelope": self.checkpoint(others=others)},
            },
            "canonicalizedBody": b64(leaf),
        }
        return entry | self._promised(leaf, V1_EARLIER_SHARDS + index, at_s) if self.kind == "v1" else entry

    def _promised(self, leaf, index, at_s):
        promised = {"body": b64(leaf), "integratedTime": at_s, "logIndex": index, "logID": self.key_id.hex()}
        return {
            "logIndex": str(index),
            "integratedTime": str(at_s),
            "inclusionPromise": {"signedEntryTimestamp": b64(self.signer.sign(jcs_encode(promised)))},
        }

    def trust(self, *, start="2021-01-12T11:53:27Z", end=None):
        """This log as an entry of trusted_root.json."""
        span = {"start": start} if end is None else {"start": start, "end": end}
        return {
            "baseUrl": f"https://{self.host}",
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": b64(self.signer.der),
                "keyDetails": KEY_DETAILS[self.signer.kind],
                "validFor": span,
            },
            "logId": {"keyId": b64(self.key_id)},
        }


def untrusted_entry(entry):
    """A TransparencyLogEntry's JSON as bundles' reader gives it, read here without a check (protobuf leaves out zeros)."""
    proof = entry.get("inclusionProof")
    promise = entry.get("inclusionPromise")
    time_s = entry.get("integratedTime")
    return UntrustedTlogEntry(
        log_index=int(entry.get("logIndex", 0)),
        log_id=base64.b64decode(entry["logId"]["keyId"]),
        kind=entry["kindVersion"]["kind"],
        version=entry["kindVersion"]["version"],
        body=base64.b64decode(entry["canonicalizedBody"]),
        integrated_time_s=None if time_s is None else int(time_s),
        promise=None if promise is None else base64.b64decode(promise["signedEntryTimestamp"]),
        proof=None if proof is None else _proof(proof),
    )


def _proof(proof):
    return UntrustedInclusionProof(
        log_index=int(proof.get("logIndex", 0)),
        root_hash=base64.b64decode(proof["rootHash"]),
        tree_size=int(proof["treeSize"]),
        hashes=tuple(base64.b64decode(each) for each in proof.get("hashes", [])),
        checkpoint=proof.get("checkpoint", {}).get("envelope"),
    )
