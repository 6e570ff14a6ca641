"""Signing beside verifying: private keys of the trusted kinds, P-256 keys from given random bytes, cosign's payload.

Nothing here draws randomness: the seed comes from the caller and ECDSA nonces are RFC 6979's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, Self, runtime_checkable

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from plimsoll.errors import SignatureError, SigningError
from plimsoll.model.digest import Digest
from plimsoll.model.trust import PublicKey
from plimsoll.signatures.payloads import payload_bytes
from plimsoll.signatures.simple_payload import COSIGN_TYPE
from plimsoll.signatures.verifying import verify_by_key

_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""The order of P-256's group (FIPS 186-5, SP 800-186 section 3.2.1.3)."""
_HASH: Final = hashes.SHA256()
"""For every curve: skopeo signs and verifies payloads with SHA-256 whatever the key, and so does cosign on ``.sig``."""
_ECDSA: Final = ec.ECDSA(_HASH, deterministic_signing=True)
_PKCS1: Final = padding.PKCS1v15()

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@runtime_checkable
class HeldKey(Protocol):
    """A private key that never leaves what holds it, such as a PKCS#11 token."""

    def sign_payload(self, payload: bytes) -> bytes:
        """As ``SigningKey.sign``; raises SigningError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A key pair, ECDSA, RSA or Ed25519; never shown, and written by ``private_keys`` only."""

    private: PrivateKey | HeldKey = field(repr=False)
    public_key: PublicKey

    @classmethod
    def of(cls, private: PrivateKey) -> Self:
        """The pair of a private key; raises UnreadableKeyError for a curve or size that no verifier here trusts."""
        der = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return cls(private=private, public_key=PublicKey(der))

    @property
    def public_pem(self) -> bytes:
        """The public half as PEM SubjectPublicKeyInfo."""
        return self.public_key.pem

    @property
    def pkcs8(self) -> bytes:
        """The private half as DER PKCS#8, not encrypted: for the one who encrypts it; SigningError for a held one."""
        if isinstance(self.private, HeldKey):
            raise SigningError("this private key cannot leave what holds it")
        return self.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, payload: bytes) -> bytes:
        """As skopeo and cosign sign: ECDSA in DER or RSA PKCS#1 v1.5 over the SHA-256, Ed25519 over the bytes."""
        if isinstance(self.private, HeldKey):
            return self._checked(self.private.sign_payload(payload), payload)
        if isinstance(self.private, ec.EllipticCurvePrivateKey):
            return self.private.sign(payload, _ECDSA)
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            return self.private.sign(payload)
        return self.private.sign(payload, _PKCS1, _HASH)

    def _checked(self, signature: bytes, payload: bytes) -> bytes:
        # What holds the key may hold others: whose signature this is is not taken on trust.
        try:
            verify_by_key(self.public_key, signature=signature, signed=payload, hash_name="sha256")
        except SignatureError as error:
            raise SigningError("what holds the private key made a signature that its public key refuses") from error
        return signature


def signing_key_from_seed(seed: bytes) -> SigningKey:
    """The P-256 key of 32 random bytes or more; raises ValueError for fewer.

    FIPS 186-5 A.2.1: extra bits (48 bytes) make the bias vanish; with 32 it is 2**-32, as the order is so near 2**256.
    """
    if len(seed) < 32:
        raise ValueError(f"a seed of {len(seed)} bytes is too short: 32 random bytes are needed")
    return SigningKey.of(ec.derive_private_key(int.from_bytes(seed, "big") % (_ORDER - 1) + 1, ec.SECP256R1()))


def cosign_payload(*, repository: str, digest: Digest, annotations: Mapping[str, object] | None = None) -> bytes:
    """The payload that cosign signs for an image (containers-signature(5) with cosign's type)."""
    return payload_bytes(
        kind=COSIGN_TYPE, reference=repository, digest=digest, optional=dict(annotations) if annotations else None
    )
