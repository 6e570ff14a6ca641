"""CMS algorithm identifiers: which hashes and signatures count, and the check of one signature under one key.

Source: RFC 5754 (SHA-2, RSA, ECDSA), RFC 4055 and 4056 (PSS), RFC 8419 (Ed25519).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from plimsoll.errors import BadSignatureError, UntrustedKeyError
from plimsoll.model.trust import PublicKey
from plimsoll.signatures.der import CONSTRUCTED_0, CONSTRUCTED_1, CONSTRUCTED_2, NULL, OBJECT_ID, SEQUENCE, DerReader
from plimsoll.signatures.effort import spend_check
from plimsoll.signatures.verifying import verify_by_key

Sha2 = Literal["sha256", "sha384", "sha512"]

_SHA2: Final[MappingProxyType[bytes, Sha2]] = MappingProxyType(
    {
        bytes.fromhex("608648016503040201"): "sha256",
        bytes.fromhex("608648016503040202"): "sha384",
        bytes.fromhex("608648016503040203"): "sha512",
    }
)
"""2.16.840.1.101.3.4.2.{1,2,3}. No SHA-1, no MD5: a second content with the same hash can be made."""
_ECDSA: Final[MappingProxyType[bytes, Sha2]] = MappingProxyType(
    {
        bytes.fromhex("2a8648ce3d040302"): "sha256",  # 1.2.840.10045.4.3.{2,3,4}
        bytes.fromhex("2a8648ce3d040303"): "sha384",
        bytes.fromhex("2a8648ce3d040304"): "sha512",
    }
)
_RSA: Final = bytes.fromhex("2a864886f70d010101")  # 1.2.840.113549.1.1.1: PKCS#1 v1.5 with the digest algorithm
_RSA_WITH_HASH: Final[MappingProxyType[bytes, Sha2]] = MappingProxyType(
    {
        bytes.fromhex("2a864886f70d01010b"): "sha256",  # 1.2.840.113549.1.1.{11,12,13}
        bytes.fromhex("2a864886f70d01010c"): "sha384",
        bytes.fromhex("2a864886f70d01010d"): "sha512",
    }
)
_PSS: Final = bytes.fromhex("2a864886f70d01010a")  # 1.2.840.113549.1.1.10
_MGF1: Final = bytes.fromhex("2a864886f70d010108")  # 1.2.840.113549.1.1.8
_ED25519: Final = bytes.fromhex("2b6570")  # 1.3.101.112
_CRYPTO_HASHES: Final[MappingProxyType[Sha2, hashes.HashAlgorithm]] = MappingProxyType(
    {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureAlgorithm:
    """How a signature is made: ``oid`` raw, the hash, and the salt's length where that is PSS."""

    oid: bytes
    hash_name: Sha2
    pss_salt: int | None


def read_hash_algorithm(found: DerReader) -> Sha2:
    """What is inside an AlgorithmIdentifier of a hash: SHA-256, SHA-384 or SHA-512, with NULL or no parameters."""
    hash_name = _SHA2.get(found.take(OBJECT_ID, "algorithm"))
    if hash_name is None:
        raise BadSignatureError("a hash algorithm that is none of SHA-256, SHA-384 and SHA-512")
    _take_null(found)
    found.end()
    return hash_name


def _take_null(found: DerReader) -> None:
    if found.next_is(NULL) and found.take(NULL, "parameters"):
        raise BadSignatureError("a NULL that is not empty")


def read_signature_algorithm(found: DerReader, *, hash_name: Sha2) -> SignatureAlgorithm:
    """What is inside an AlgorithmIdentifier of a signature: it must use the digest algorithm's hash, ``hash_name``."""
    algorithm = found.take(OBJECT_ID, "algorithm")
    if algorithm == _PSS:
        salt = _read_pss(found.inside(SEQUENCE, "parameters"), hash_name)
        found.end()
        return SignatureAlgorithm(oid=algorithm, hash_name=hash_name, pss_salt=salt)
    if algorithm not in (_RSA, _ED25519) and hash_name not in (_ECDSA.get(algorithm), _RSA_WITH_HASH.get(algorithm)):
        raise BadSignatureError("a signature algorithm that is not known, or uses another hash than the digest does")
    _take_null(found)
    found.end()
    return SignatureAlgorithm(oid=algorithm, hash_name=hash_name, pss_salt=None)


def _read_pss(found: DerReader, hash_name: Sha2) -> int:
    """RSASSA-PSS-params (RFC 4055 section 3.1) without its defaults, which are SHA-1; both hashes are ``hash_name``."""
    wrapped = found.inside(CONSTRUCTED_0, "hashAlgorithm")
    own = read_hash_algorithm(wrapped.inside(SEQUENCE, "hash"))
    wrapped.end()
    wrapped = found.inside(CONSTRUCTED_1, "maskGenAlgorithm")
    mask = wrapped.inside(SEQUENCE, "mask")
    wrapped.end()
    if mask.take(OBJECT_ID, "algorithm") != _MGF1:
        raise BadSignatureError("a PSS signature with another mask than MGF1")
    masked = read_hash_algorithm(mask.inside(SEQUENCE, "hash"))
    mask.end()
    if (own, masked) != (hash_name, hash_name):
        raise BadSignatureError("a PSS signature with other hashes than its digest algorithm")
    wrapped = found.inside(CONSTRUCTED_2, "saltLength")
    salt = wrapped.take_integer("length")
    wrapped.end()
    found.end()
    if not 0 <= salt <= _CRYPTO_HASHES["sha512"].digest_size:
        raise BadSignatureError(f"a PSS signature with a salt of {salt} bytes")
    return salt


def check_signature(algorithm: SignatureAlgorithm, *, key: PublicKey, signature: bytes, signed: bytes) -> None:
    """Return if ``key`` made ``signature`` over ``signed``.

    Raises UntrustedKeyError if not, BadSignatureError for a key of another kind than the algorithm's.
    """
    crypto = key.crypto
    if not isinstance(crypto, _key_kind(algorithm.oid)):
        raise BadSignatureError("the signature algorithm is not of the key's kind")
    if algorithm.pss_salt is not None and isinstance(crypto, rsa.RSAPublicKey):
        _check_pss(crypto, signature, signed, algorithm=_CRYPTO_HASHES[algorithm.hash_name], salt=algorithm.pss_salt)
        return
    verify_by_key(key, signature=signature, signed=signed, hash_name=algorithm.hash_name)


def _key_kind(oid: bytes) -> type[ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey]:
    if oid == _ED25519:
        return ed25519.Ed25519PublicKey
    return ec.EllipticCurvePublicKey if oid in _ECDSA else rsa.RSAPublicKey


def _check_pss(
    crypto: rsa.RSAPublicKey, signature: bytes, signed: bytes, *, algorithm: hashes.HashAlgorithm, salt: int
) -> None:
    spend_check(crypto, hashed_bytes=len(signed))
    try:
        crypto.verify(signature, signed, padding.PSS(padding.MGF1(algorithm), salt), algorithm)
    except InvalidSignature:
        raise UntrustedKeyError("the key did not make this PSS signature") from None
