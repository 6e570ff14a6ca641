"""Trust: public keys and transparency logs, parsed once a run into immutable values.

Key-bearing values pickle as their DER bytes. The only model module that speaks ``cryptography``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from plimsoll import limits
from plimsoll.errors import TrustRootError, UnreadableKeyError
from plimsoll.native import ReadError, read_json

CryptoKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey

TRUSTED_ROOT_TYPES: Final = frozenset(
    {
        "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "application/vnd.dev.sigstore.trustedroot.v0.1+json",
        "application/vnd.dev.sigstore.trustedroot+json;version=0.2",
        "application/vnd.dev.sigstore.trustedroot.v0.2+json",
    }
)
_CURVES: Final = frozenset({"secp256r1", "secp384r1", "secp521r1"})
_DER_LENGTH = rb"(?:[\x00-\x7f]|\x81.|\x82..|\x83...)"
_DER_KEY = re.compile(  # PKCS#1 (an integer comes first), or an SPKI for id-ecPublicKey, rsaEncryption or id-Ed25519
    rb"\x30" + _DER_LENGTH + rb"(?:\x02|\x30" + _DER_LENGTH
    + rb"(?:\x06\x07\x2a\x86\x48\xce\x3d\x02\x01|\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01|\x06\x03\x2b\x65\x70))",
    re.DOTALL,
)  # fmt: skip
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
        crypto = _load(der)
        spki = crypto.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        object.__setattr__(self, "crypto", crypto)
        object.__setattr__(self, "spki", spki)
        object.__setattr__(self, "fingerprint", f"sha256:{hashlib.sha256(spki).hexdigest()}")

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
        raise UnreadableKeyError(f"a {block[1].decode()} is no public key: -----BEGIN PUBLIC KEY----- is needed")
    try:
        der = base64.b64decode(b"".join(block[2].split()), validate=True)
    except binascii.Error as error:
        raise UnreadableKeyError(f"the PEM block is not base64: {error}") from error
    return PublicKey(der)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransparencyLog:
    """One Rekor log: its id, its key, and when it was in use (seconds since 1970; both ends count)."""

    log_id: bytes
    key: PublicKey
    valid_from_s: float
    valid_until_s: float | None
    base_url: str = ""

    def valid_at(self, time_s: float) -> bool:
        """Whether the log was in use then (protobuf-specs TimeRange: a closed interval)."""
        return self.valid_from_s <= time_s and (self.valid_until_s is None or time_s <= self.valid_until_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRoot:
    """What is trusted beside the keys that a requirement names; empty trusts no log."""

    tlogs: tuple[TransparencyLog, ...] = ()

    def logs(self, log_id: bytes) -> tuple[TransparencyLog, ...]:
        """The logs of that id: none, one, or one for each validity window."""
        return tuple([log for log in self.tlogs if log.log_id == log_id])


def parse_trusted_root(data: bytes) -> TrustRoot:
    """Read a sigstore ``trusted_root.json`` (protobuf-specs sigstore_trustroot.proto, v0.1 and v0.2).

    Of it the transparency logs are used so far. A log without a start of validity, or that cannot be read, makes the
    whole file unusable. Raises TrustRootError.
    """
    if len(data) > limits.TRUSTED_ROOT_BYTES:
        raise TrustRootError(f"a trusted root of {len(data)} bytes: at most {limits.TRUSTED_ROOT_BYTES}")
    try:
        document = read_json(data, max_depth=limits.JSON_DEPTH)
    except ReadError as error:
        raise TrustRootError(f"the trusted root is refused: {error}") from error
    if not isinstance(document, dict):
        raise TrustRootError("the trusted root is no JSON object")
    media_type = document.get("mediaType")
    if not isinstance(media_type, str) or media_type not in TRUSTED_ROOT_TYPES:
        raise TrustRootError(f"mediaType {media_type!r:.160} is no trusted root that is known")
    tlogs = document.get("tlogs", [])
    if not isinstance(tlogs, list) or len(tlogs) > limits.TLOGS:
        raise TrustRootError(f"tlogs is no list of at most {limits.TLOGS} logs")
    return TrustRoot(tlogs=tuple([_tlog(entry, f"tlogs[{at}]") for at, entry in enumerate(tlogs)]))


def _tlog(entry: object, where: str) -> TransparencyLog:
    match entry:
        case {
            "publicKey": {"rawBytes": str(raw), "validFor": {"start": str(start), **span}},
            "logId": {"keyId": str(key_id)},
            **rest,
        }:
            end = span.get("end")
            if end is not None and not isinstance(end, str):
                raise TrustRootError(f"{where}.publicKey.validFor.end is no text")
            return TransparencyLog(
                log_id=_base64(key_id, f"{where}.logId.keyId"),
                key=_key(raw, f"{where}.publicKey.rawBytes"),
                valid_from_s=_instant(start, f"{where}.publicKey.validFor.start"),
                valid_until_s=None if end is None else _instant(end, f"{where}.publicKey.validFor.end"),
                base_url=str(cast("dict[str, object]", rest).get("baseUrl", "")),
            )
        case _:
            raise TrustRootError(f"{where} lacks publicKey.rawBytes, publicKey.validFor.start or logId.keyId")


def _key(raw: str, where: str) -> PublicKey:
    try:
        return PublicKey(_base64(raw, where))
    except UnreadableKeyError as error:
        raise TrustRootError(f"{where}: {error}") from error


def _base64(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise TrustRootError(f"{where} is not base64: {error}") from error


def _instant(text: str, where: str) -> float:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise TrustRootError(f"{where}: {text[:64]!r} is no time: {error}") from error
    if found.tzinfo is None:
        raise TrustRootError(f"{where}: {text[:64]!r} has no time zone")
    return found.timestamp()
