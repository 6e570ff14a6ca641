"""One check of one signature under one key: ECDSA (DER), RSA PKCS#1 v1.5, Ed25519."""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Iterable
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from plimsoll import limits
from plimsoll.errors import BadSignatureError, UntrustedKeyError
from plimsoll.model.trust import HashName, PublicKey
from plimsoll.native import base64_decode
from plimsoll.signatures.effort import spend_check

_HASHES: Final[dict[HashName, hashes.HashAlgorithm]] = {
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_ECDSA: Final = {name: ec.ECDSA(Prehashed(algorithm)) for name, algorithm in _HASHES.items()}
"""Of what hashlib has hashed: OpenSSL's set-up of a hash inside of a check costs 4 microseconds more."""
_PKCS1: Final = padding.PKCS1v15()


class KeyCheck(Protocol):
    """What ``verify_by_key`` is, or remembers of it."""

    def __call__(self, key: PublicKey, *, signature: bytes, signed: bytes, hash_name: HashName) -> None:
        """Return if ``key`` made ``signature`` over ``signed``; raises UntrustedKeyError if not."""


def verify_by_key(key: PublicKey, *, signature: bytes, signed: bytes, hash_name: HashName) -> None:
    """Return if ``key`` made ``signature`` over ``signed``; raises UntrustedKeyError if not.

    ``hash_name`` is not used by Ed25519 (RFC 8032: the message itself is signed). OpenSSL refuses ECDSA signatures
    that are not DER to the last byte, and r or s out of range.
    """
    crypto = key.crypto
    spend_check(crypto, hashed_bytes=len(signed))
    try:
        if isinstance(crypto, ec.EllipticCurvePublicKey):
            crypto.verify(signature, hashlib.new(hash_name, signed).digest(), _ECDSA[hash_name])
        elif isinstance(crypto, ed25519.Ed25519PublicKey):
            crypto.verify(signature, signed)
        else:
            crypto.verify(signature, signed, _PKCS1, _HASHES[hash_name])
    except InvalidSignature:
        raise UntrustedKeyError(f"the key {key.fingerprint} did not make this signature") from None


def find_signer(keys: Iterable[PublicKey], *, signature: bytes, signed: bytes, hash_name: HashName) -> PublicKey:
    """The first of ``keys`` that made the signature; raises UntrustedKeyError if none did."""
    tried = 0
    for key in keys:
        try:
            verify_by_key(key, signature=signature, signed=signed, hash_name=hash_name)
        except UntrustedKeyError:
            tried += 1
            continue
        return key
    if not tried:
        raise UntrustedKeyError("no key is trusted here")
    which = "the trusted key" if tried == 1 else f"any of the {tried} trusted keys"
    raise UntrustedKeyError(
        f"not signed by {which}: another key signed, or the payload was changed after it was signed"
    )


def decode_base64(text: str, *, what: str, limit: int = limits.SIGNATURE_BYTES) -> bytes:
    """Decode canonical standard base64 (RFC 4648 section 3.5: no junk, no stray bits); raises BadSignatureError."""
    if not text or len(text) > limit * 4 // 3 + 4 or not text.isascii():
        raise BadSignatureError(f"{what} is no base64 of at most {limit} bytes")
    found = base64_decode(text)
    if found is not None:
        return found
    try:
        binascii.a2b_base64(text)
    except binascii.Error as error:
        raise BadSignatureError(f"{what} is no base64: {error}") from error
    raise BadSignatureError(f"{what} is no canonical base64: it has junk, or stray bits in its last character")
