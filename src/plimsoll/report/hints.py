"""What to do about a reason, in a line: docs/reference/reason-codes.md, "cure", for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

HINTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "no-signature": "sign the image; for .sig tags set use-sigstore-attachments: true for it in registries.d",
        "bad-signature": "sign again; if it was good once, find out who changed it",
        "untrusted-key": "compare the signer's key with the one this requirement trusts",
        "identity-mismatch": "cosign signs names without a tag: matchRepository; for a mirror: remapIdentity",
        "digest-mismatch": "the bytes were changed on the way, or the signature is another image's: sign this one",
        "payload-invalid": "sign with a tool that writes the format to the letter",
        "log-proof-missing": "sign with a log entry, or do not ask for one",
        "log-proof-invalid": "check that the log key is the one of the log that was used",
        "certificate-untrusted": "check the roots; attach the chain when signing, or give intermediates",
        "certificate-expired": "sign again with a certificate that is valid",
        "bundle-invalid": "sign again with a current client",
        "timestamp-invalid": "check that the trusted root names the timestamp authority that was used",
        "timestamp-missing": "sign with a log that promises a time, or with a timestamp authority",
        "sct-invalid": "check the trusted root; --insecure-ignore-sct if your authority keeps no such log",
        "no-attestation": "attest the image with a predicate of the type that is asked for",
        "attestation-condition": "look at what the attestation says, and at the condition in the policy",
        "attestation-forbidden": "find out who attested that; if it no longer holds, remove the attestation",
        "threshold-not-met": "have the missing signers sign",
        "policy-reject": "check the scope above: is that the list you want for this image?",
        "manifest-invalid": "build and push the image with a tool that follows the image-spec",
        "layer-digest-mismatch": "the registry's storage or a proxy is damaged: push the blob again",
        "diffid-mismatch": "build the image anew, and find out who pushed it",
        "limit-exceeded": "if the image is honest, report it",
        "not-found": "check the name; some registries answer so where the login lacks a right",
        "invalid-reference": "mend the reference, or the location in registries.conf",
        "unauthorized": "give --creds or --authfile; for a foreign token service --auth-realm",
        "rate-limited": "try later, or log in",
        "unreachable": "check host, network and certificate (--cert-dir)",
        "server-error": "look into the registry's log",
        "timeout": "try again, or look at the registry",
        "key-unreadable": "plimsoll policy lint --check-keys tells which key files cannot be used",
        "unsupported": "nothing unsupported is ever accepted: ask for something else here",
        "not-judged": "run it again, and let it finish",
        "internal-error": "report it, with the traceback that --debug shows",
    }
)
"""Reason code -> hint."""


def hint_for(code: str) -> str | None:
    """The hint for a reason code, None for one that nobody knows."""
    return HINTS.get(code)
