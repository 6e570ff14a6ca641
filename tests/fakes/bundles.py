"""Sigstore bundles, DSSE envelopes and in-toto statements, written from values.

Nothing is checked, so that what is wrong can be made.

``make_bundle`` writes the bytes; ``bundle_document`` the JSON value, for a test to falsify one member of it. Contents and
log entries are ``plimsoll.model.bundle``'s values, or JSON values of a test's own.
"""

from __future__ import annotations

import json

from fakes.signing import b64
from plimsoll.model.bundle import (
    UntrustedEnvelope,
    UntrustedInclusionProof,
    UntrustedMessageSignature,
    UntrustedTlogEntry,
)

IN_TOTO = "application/vnd.in-toto+json"
STATEMENT_V1 = "https://in-toto.io/Statement/v1"
COSIGN_SIGN = "https://sigstore.dev/cosign/sign/v1"
MEDIA_TYPES = {
    "0.1": "application/vnd.dev.sigstore.bundle+json;version=0.1",
    "0.2": "application/vnd.dev.sigstore.bundle+json;version=0.2",
    "0.3": "application/vnd.dev.sigstore.bundle.v0.3+json",
}


def make_bundle(content, **parts):
    """A bundle's bytes; ``parts`` are those of ``bundle_document``."""
    return json.dumps(bundle_document(content, **parts)).encode()


def bundle_document(
    content, *, certificate=None, chain=(), hint=None, entries=(), timestamps=(), version="0.3", media_type=None
):
    """A bundle as JSON value.

    ``certificate`` is the leaf's DER, ``chain`` what follows it: v0.1 and v0.2 have a chain of both, v0.3 only if there
    is a ``chain``. ``hint`` makes it a bundle by a public key.
    """
    material = {}
    if hint is not None:
        material["publicKey"] = {"hint": hint}
    if certificate is not None and (chain or version != "0.3"):
        certificates = [{"rawBytes": b64(der)} for der in (certificate, *chain)]
        material["x509CertificateChain"] = {"certificates": certificates}
    elif certificate is not None:
        material["certificate"] = {"rawBytes": b64(certificate)}
    if entries:
        material["tlogEntries"] = [entry_document(entry) for entry in entries]
    if timestamps:
        stamped = [{"signedTimestamp": b64(response)} for response in timestamps]
        material["timestampVerificationData"] = {"rfc3161Timestamps": stamped}
    name, value = content_document(content)
    return {"mediaType": media_type or MEDIA_TYPES[version], "verificationMaterial": material, name: value}


def content_document(content):
    """The content's member and its JSON value; a pair is taken as it is."""
    if isinstance(content, UntrustedEnvelope):
        return "dsseEnvelope", envelope_document(content)
    if isinstance(content, UntrustedMessageSignature):
        message = {"signature": b64(content.signature)}
        if content.digest is not None:
            message["messageDigest"] = {"algorithm": content.digest_algorithm, "digest": b64(content.digest)}
        return "messageSignature", message
    return content


def envelope_document(envelope):
    """A DSSE envelope, in the form that bundles and ``.att`` layers share."""
    return {
        "payload": b64(envelope.payload),
        "payloadType": envelope.payload_type,
        "signatures": [
            {"sig": b64(signature), **({"keyid": key_id} if key_id else {})}
            for key_id, signature in envelope.signatures
        ],
    }


def entry_document(entry):
    """A log entry; a dict is taken as it is."""
    if not isinstance(entry, UntrustedTlogEntry):
        return entry
    found = {
        "logIndex": str(entry.log_index),
        "logId": {"keyId": b64(entry.log_id)},
        "kindVersion": {"kind": entry.kind, "version": entry.version},
        "canonicalizedBody": b64(entry.body),
    }
    if entry.integrated_time_s is not None:
        found["integratedTime"] = str(entry.integrated_time_s)
    if entry.promise is not None:
        found["inclusionPromise"] = {"signedEntryTimestamp": b64(entry.promise)}
    if entry.proof is not None:
        found["inclusionProof"] = proof_document(entry.proof)
    return found


def proof_document(proof: UntrustedInclusionProof):
    """An inclusion proof."""
    found = {
        "logIndex": str(proof.log_index),
        "rootHash": b64(proof.root_hash),
        "treeSize": str(proof.tree_size),
        "hashes": [b64(each) for each in proof.hashes],
    }
    if proof.checkpoint is not None:
        found["checkpoint"] = {"envelope": proof.checkpoint}
    return found


def statement_document(*digests, predicate_type=COSIGN_SIGN, predicate=None, name="", annotations=None):
    """An in-toto statement v1 with one subject that has these digests."""
    subject = {"digest": {digest.algorithm: digest.hex for digest in digests}}
    if name:
        subject["name"] = name
    if annotations is not None:
        subject["annotations"] = annotations
    return {
        "_type": STATEMENT_V1,
        "subject": [subject],
        "predicateType": predicate_type,
        "predicate": {} if predicate is None else predicate,
    }


def statement_bytes(*digests, **parts):
    """The same as bytes: an envelope's payload."""
    return json.dumps(statement_document(*digests, **parts)).encode()
