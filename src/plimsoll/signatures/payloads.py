"""The payloads that are signed, written as skopeo writes them (containers-signature(5)); simple_payload reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from plimsoll.model.digest import Digest
from plimsoll.signatures.simple_payload import ATOMIC_TYPE, COSIGN_TYPE


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a signature is to say: the manifest's digest, the image's name, who made it and when.

    ``reference`` is written as it is. ``creator`` is a program and its version, ``timestamp`` in seconds since 1970;
    neither is proven by anything. ``annotations`` are what the signer adds; a name of ours among them is theirs.
    """

    digest: Digest
    reference: str
    creator: str
    timestamp: int
    annotations: Mapping[str, str] = field(default_factory=dict)


def simple_payload(claim: Claim) -> bytes:
    """The payload that GPG signs."""
    return payload_bytes(kind=ATOMIC_TYPE, reference=claim.reference, digest=claim.digest, optional=_optional(claim))


def sigstore_payload(claim: Claim) -> bytes:
    """The payload that a sigstore key signs, as skopeo writes it: with the tag that the reference has."""
    return payload_bytes(kind=COSIGN_TYPE, reference=claim.reference, digest=claim.digest, optional=_optional(claim))


def payload_bytes(*, kind: str, reference: str, digest: Digest, optional: Mapping[str, object] | None) -> bytes:
    """A payload of the type ``kind``; its bytes are what is signed."""
    document = {
        "critical": {
            "identity": {"docker-reference": reference},
            "image": {"docker-manifest-digest": str(digest)},
            "type": kind,
        },
        "optional": optional,
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _optional(claim: Claim) -> Mapping[str, object]:
    return {"creator": claim.creator, "timestamp": claim.timestamp, **claim.annotations}
