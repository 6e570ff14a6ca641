"""Signing beside verifying: ECDSA P-256 keys from given random bytes, and cosign's payload.

Nothing here draws randomness: the seed comes from the caller and ECDSA nonces are RFC 6979's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from plimsoll.model.digest import Digest
from plimsoll.model.trust import PublicKey
from plimsoll.signatures.simple_payload import COSIGN_TYPE

_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""The order of P-256's group (FIPS 186-5, SP 800-186 section 3.2.1.3)."""
_ALGORITHM: Final = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A P-256 key pair in memory; never shown, never written."""

    private: ec.EllipticCurvePrivateKey = field(repr=False)
    public_key: PublicKey

    @property
    def public_pem(self) -> bytes:
        """The public half as PEM SubjectPublicKeyInfo."""
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, payload: bytes) -> bytes:
        """An ECDSA signature over ``payload``'s SHA-256, in DER."""
        return self.private.sign(payload, _ALGORITHM)


def signing_key_from_seed(seed: bytes) -> SigningKey:
    """The P-256 key of 32 random bytes or more; raises ValueError for fewer.

    FIPS 186-5 A.2.1: extra bits (48 bytes) make the bias vanish; with 32 it is 2**-32, as the order is so near 2**256.
    """
    if len(seed) < 32:
        raise ValueError(f"a seed of {len(seed)} bytes is too short: 32 random bytes are needed")
    private = ec.derive_private_key(int.from_bytes(seed, "big") % (_ORDER - 1) + 1, ec.SECP256R1())
    der = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return SigningKey(private=private, public_key=PublicKey(der))


def cosign_payload(*, repository: str, digest: Digest, annotations: Mapping[str, object] | None = None) -> bytes:
    """The payload that cosign signs for an image (containers-signature(5) with cosign's type)."""
    document = {
        "critical": {
            "identity": {"docker-reference": repository},
            "image": {"docker-manifest-digest": str(digest)},
            "type": COSIGN_TYPE,
        },
        "optional": dict(annotations) if annotations else None,
    }
    return json.dumps(document, separators=(",", ":")).encode()
