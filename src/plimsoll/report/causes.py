"""What a reason code means, in a line: docs/reference/reason-codes.md, "cause", for a list of rules."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

CAUSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "no-signature": "A signature is required, and none is where the trust at hand can use it.",
        "bad-signature": "A signature in no readable form, or a log entry whose key did not sign these bytes.",
        "untrusted-key": "A signature that none of the trusted keys made.",
        "identity-mismatch": "A good signature, but for another name, issuer, subject or annotation than is asked for.",
        "digest-mismatch": "Bytes that do not hash to their digest, or the signature of another image.",
        "payload-invalid": "What was signed is not the document that its format asks for.",
        "log-proof-missing": "A transparency-log entry is demanded, and the signature has none.",
        "log-proof-invalid": "A log entry that does not verify, or that is about something else.",
        "certificate-untrusted": "A certificate is missing, or does not lead to a trusted root.",
        "certificate-expired": "A certificate was not valid at the proven time.",
        "bundle-invalid": "A sigstore bundle that is not the document its version asks for.",
        "timestamp-invalid": "A signed timestamp that does not verify.",
        "timestamp-missing": "A certificate needs a proven time of signing, and the signature has none.",
        "sct-invalid": "A certificate without a timestamp of a trusted certificate-transparency log.",
        "no-attestation": "An attestation is required, and none of its type is there.",
        "attestation-condition": "An attestation does not say what the policy's condition asks for, or is too old.",
        "attestation-forbidden": "An attestation that the policy forbids, or more of them than it allows.",
        "threshold-not-met": "Fewer distinct trusted signers signed than are required.",
        "policy-reject": "The policy, or registries.conf, rejects every image of this scope.",
        "manifest-invalid": "A manifest, index or config that cannot be read, or that could be read in two ways.",
        "layer-digest-mismatch": "A config or layer blob does not hash to its digest.",
        "diffid-mismatch": "A layer does not unpack to what the image's config says it is.",
        "limit-exceeded": "More bytes, entries or depth than plimsoll reads, or than it takes time to check.",
        "not-found": "The registry or folder has no such image, manifest or blob.",
        "invalid-reference": "A line or tag that is no image reference.",
        "unauthorized": "The registry wants credentials, or refuses those that it was given.",
        "rate-limited": "The registry asked for fewer requests, still so after all tries.",
        "unreachable": "No connection to the registry, or a broken one.",
        "server-error": "The registry answered with an error of its own.",
        "timeout": "A request did not end in its time.",
        "key-unreadable": "A key or certificate file that the policy names cannot be used.",
        "unsupported": "The policy asks for something that plimsoll cannot judge.",
        "not-judged": "The run ended before it had judged every image.",
        "internal-error": "A fault of plimsoll's own.",
    }
)
"""Reason code -> cause."""
