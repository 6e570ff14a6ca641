"""Trust: public keys, parsed once a run into immutable values.

Key-bearing values pickle as their DER bytes. The only model module that speaks ``cryptography``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Final, Literal, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from plimsoll import limits
from plimsoll.errors import UnreadableKeyError

HashName = Literal["sha224", "sha256", "sha384", "sha512"]
"""What a signer hashes with, where the key does not fix it."""
CryptoKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey

_CURVES: Final = frozenset({"secp256r1", "secp384r1", "secp521r1"})
_DER_LENGTH = rb"(?:[\x00-\x7f]|\x81.|\x82..|\x83...)"
_DER_KEY = re.compile(  # PKCS#1 (an integer comes first), or an SPKI for id-ecPublicKey, rsaEncryption or id-Ed25519
    rb"\x30" + _DER_LENGTH + rb"(?:\x02|\x30" + _DER_LENGTH
    + rb"(?:\x06\x07\x2a\x86\x48\xce\x3d\x02\x01|\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01|\x06\x03\x2b\x65\x70))",
    re.DOTALL,
)  # fmt: skip
_P256: Final = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
"""How an uncompressed P-256 key's SPKI begins, of which then only the coordinates are left (RFC 5480 section 2)."""
_P256_BYTES: Final = 91
_PEM_BEGIN: Final = b"-----BEGIN "
# One unbounded repetition only: two that overlap take cubic time, and a log entry's key is the registry's to choose.
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,64})-----([A-Za-z0-9+/=\s]*)-----END \1-----")


class PublicKey:
    """A public key of a kind that is trusted: ECDSA P-256/384/521, RSA 2048 to 4096, Ed25519.

    ``spki`` is its DER SubjectPublicKeyInfo, always re-encoded from the parsed key, so that equal keys are equal bytes.
    """

    __slots__ = ("crypto", "fingerprint", "spki")

    spki: bytes
    crypto: CryptoKey
    fingerprint: str

    def __init__(self, der: bytes) -> None:
        _fill(self, _load(der), der=der)

    @classmethod
    def of(cls, key: object) -> Self:
        """A key that ``cryptography`` has read; raises UnreadableKeyError for kinds and sizes that are not trusted."""
        made = cls.__new__(cls)
        _fill(made, _trusted(key))
        return made

    @property
    def pem(self) -> bytes:
        """The same as PEM (``PUBLIC KEY``): what a key file holds."""
        return self.crypto.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a PublicKey is immutable, {name} cannot be set")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and other.spki == self.spki

    def __hash__(self) -> int:
        return hash(self.spki)

    def __reduce__(self) -> tuple[type[PublicKey], tuple[bytes]]:
        return (PublicKey, (self.spki,))

    def __repr__(self) -> str:
        return f"PublicKey({self.fingerprint})"


def _fill(key: PublicKey, crypto: CryptoKey, *, der: bytes = b"") -> None:
    """``der`` is what it was read from: as it is re-encoded already, if that has only one form of it."""
    one_form = len(der) == _P256_BYTES and der.startswith(_P256)
    spki = der if one_form else crypto.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    object.__setattr__(key, "crypto", crypto)
    object.__setattr__(key, "spki", spki)
    object.__setattr__(key, "fingerprint", f"sha256:{hashlib.sha256(spki).hexdigest()}")


def _load(der: bytes) -> CryptoKey:
    """Load a DER SPKI, or a PKCS#1 RSA key; raises UnreadableKeyError for kinds and sizes that are not trusted."""
    # Asked before anything is computed: OpenSSL tests a Diffie-Hellman key's prime for primality, minutes for one of
    # 10,000 bits, and a log entry's key is the registry's to choose.
    if _DER_KEY.match(der) is None:
        raise UnreadableKeyError(
            f"no key in these {len(der)} bytes that is trusted: P-256, P-384, P-521, RSA and Ed25519 are"
        )
    try:
        key = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UnreadableKeyError(f"no public key can be read from these {len(der)} bytes: {error}") from error
    return _trusted(key)


def _trusted(key: object) -> CryptoKey:
    match key:
        case ed25519.Ed25519PublicKey():
            return key
        case ec.EllipticCurvePublicKey() if key.curve.name in _CURVES:
            return key
        case rsa.RSAPublicKey() if limits.MIN_RSA_BITS <= key.key_size <= limits.MAX_RSA_BITS:
            return key
        case rsa.RSAPublicKey():
            raise UnreadableKeyError(
                f"an RSA key of {key.key_size} bits: from {limits.MIN_RSA_BITS} to {limits.MAX_RSA_BITS} are trusted"
            )
        case _:
            raise UnreadableKeyError("a key of this kind is not trusted: P-256, P-384, P-521, RSA and Ed25519 are")


def parse_pem_key(pem: bytes) -> PublicKey:
    """Read the one public key of a PEM text (``PUBLIC KEY``, or PKCS#1's ``RSA PUBLIC KEY``; RFC 7468).

    Raises UnreadableKeyError for none, for more than one, for certificates and private keys, past the size cap.
    """
    if len(pem) > limits.KEY_BYTES:
        raise UnreadableKeyError(f"{len(pem)} bytes are no key file: at most {limits.KEY_BYTES}")
    begun = pem.count(_PEM_BEGIN)
    if not pem:
        raise UnreadableKeyError("it is empty: a public key begins with -----BEGIN PUBLIC KEY-----")
    if not begun:
        raise UnreadableKeyError("there is no PEM block here: a public key begins with -----BEGIN PUBLIC KEY-----")
    if begun > 1:
        raise UnreadableKeyError(f"{begun} PEM blocks in one key: put each key into a file of its own")
    block = _PEM.search(pem)
    if block is None:
        raise UnreadableKeyError("the PEM block is broken or cut")
    if block[1] not in (b"PUBLIC KEY", b"RSA PUBLIC KEY"):
        raise UnreadableKeyError(f"{block[1].decode()} is no public key: -----BEGIN PUBLIC KEY----- is needed")
    try:
        der = base64.b64decode(b"".join(block[2].split()), validate=True)
    except binascii.Error as error:
        raise UnreadableKeyError(f"the PEM block is not base64: {error}") from error
    return PublicKey(der)
