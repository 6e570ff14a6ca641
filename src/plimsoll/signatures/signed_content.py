"""SignedContent: what a bundle's signature is over, its hashes, and the check under one key.

Which hash a key signs with follows the key (sigstore's algorithm registry): P-384 SHA-384, P-521 SHA-512, all else
SHA-256; clients of older days signed SHA-256 with any, so that is tried too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from plimsoll.errors import BadSignatureError, UntrustedKeyError
from plimsoll.model.digest import Digest
from plimsoll.model.trust import HashName, PublicKey
from plimsoll.signatures.effort import spend_check, spend_hash

_BY_CURVE: Final[dict[str, HashName]] = {"secp384r1": "sha384", "secp521r1": "sha512"}
_ALGORITHMS: Final[dict[HashName, hashes.HashAlgorithm]] = {
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_PREHASHED: Final = {name: Prehashed(algorithm) for name, algorithm in _ALGORITHMS.items()}
_ECDSA: Final = {name: ec.ECDSA(algorithm) for name, algorithm in _PREHASHED.items()}
_LOGGED: Final[tuple[HashName, ...]] = ("sha256", "sha384", "sha512")
_DIGEST_BYTES: Final[dict[HashName, int]] = {"sha224": 28, "sha256": 32, "sha384": 48, "sha512": 64}


@dataclass(frozen=True, kw_only=True)
class SignedContent:
    """A signature and what it should be over: ``data``, or where that is not at hand what has the ``digest``.

    ``payload`` is what a DSSE envelope carries; the signed ``data`` is then its pre-authentication encoding.
    """

    signature: bytes
    data: bytes | None = field(repr=False)
    digest: Digest | None = None
    payload: bytes | None = field(default=None, repr=False)

    _hashes: dict[HashName, bytes] = field(init=False, default_factory=dict, compare=False, repr=False)

    def hashed(self, name: HashName) -> bytes | None:
        """The hash of what is signed, computed once; None where it cannot be known from the digest alone."""
        known = self._hashes.get(name)
        if known is None and self.data is not None:
            spend_hash(len(self.data))
            known = self._hashes[name] = hashlib.new(name, self.data).digest()
        elif known is None and self.digest is not None and self.digest.algorithm == name:
            known = self._hashes[name] = bytes.fromhex(self.digest.hex)
        return known

    @property
    def digests(self) -> Mapping[HashName, bytes]:
        """The hashes that log entries name, each computed when it is asked for."""
        return _Digests(self)

    @property
    def payload_sha256(self) -> bytes | None:
        """The SHA-256 of an envelope's payload; None for a signature over the artifact itself."""
        return None if self.payload is None else hashlib.sha256(self.payload).digest()


class _Digests(Mapping[HashName, bytes]):
    """The SHA-2 of a content, as far as it can be known: of a large attestation one is enough."""

    def __init__(self, content: SignedContent) -> None:
        self._content = content

    def __getitem__(self, name: HashName) -> bytes:
        found = self._content.hashed(name) if name in _LOGGED else None
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[HashName]:
        return (name for name in _LOGGED if self._content.hashed(name) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def verify_content(key: PublicKey, content: SignedContent, *, hash_name: HashName = "sha256") -> None:
    """Return if ``key`` made the signature; ``hash_name`` is tried after the key's own hash.

    Raises UntrustedKeyError if it did not, BadSignatureError where the bytes themselves are needed and not at hand.
    """
    crypto, own = key.crypto, own_hash(key)
    if isinstance(crypto, ed25519.Ed25519PublicKey):
        checks = _ed25519_checks(crypto, content)
    else:
        names: list[HashName] = list(dict.fromkeys((own or hash_name, hash_name, "sha256")))
        checks = [check for name in names for check in _hashed_checks(crypto, content, name)]
    whole = len(content.data or b"") if own is None else 0  # Ed25519 hashes the bytes anew, all else has their hash
    for check in checks:
        spend_check(crypto, hashed_bytes=whole)
        try:
            check()
        except InvalidSignature:
            continue
        return
    if content.data is None and (own is None or content.hashed(own) is None):
        raise BadSignatureError("this key's signature can be checked with the artifact's bytes only, not its digest")
    raise UntrustedKeyError(f"the key {key.fingerprint} did not make this signature over this content")


def own_hash(key: PublicKey) -> HashName | None:
    """What the key signs with by sigstore's algorithm registry; None for Ed25519, which signs the bytes themselves."""
    crypto = key.crypto
    if isinstance(crypto, ed25519.Ed25519PublicKey):
        return None
    return _BY_CURVE.get(crypto.curve.name, "sha256") if isinstance(crypto, ec.EllipticCurvePublicKey) else "sha256"


def _hashed_checks(
    crypto: ec.EllipticCurvePublicKey | rsa.RSAPublicKey, content: SignedContent, name: HashName
) -> list[Callable[[], None]]:
    hashed, algorithm = content.hashed(name), _PREHASHED[name]
    if hashed is None or len(hashed) != _DIGEST_BYTES[name]:
        return []
    if isinstance(crypto, ec.EllipticCurvePublicKey):
        return [lambda: crypto.verify(content.signature, hashed, _ECDSA[name])]
    pss = padding.PSS(mgf=padding.MGF1(_ALGORITHMS[name]), salt_length=_DIGEST_BYTES[name])
    return [
        lambda: crypto.verify(content.signature, hashed, padding.PKCS1v15(), algorithm),
        lambda: crypto.verify(content.signature, hashed, pss, algorithm),
    ]


def _ed25519_checks(crypto: ed25519.Ed25519PublicKey, content: SignedContent) -> list[Callable[[], None]]:
    """Ed25519 over the message; cosign signs artifacts, not envelopes, with Ed25519ph (RFC 8032 section 5.1)."""
    data = content.data
    if data is None:
        return []
    pure = [lambda: crypto.verify(content.signature, data)]
    if content.payload is not None:
        return pure
    return [*pure, lambda: _verify_prehashed(crypto, signature=content.signature, data=data)]


def _verify_prehashed(crypto: ed25519.Ed25519PublicKey, *, signature: bytes, data: bytes) -> None:
    """Ed25519ph with an empty context; raises InvalidSignature. libsodium has it, OpenSSL's binding has not."""
    from nacl import bindings, exceptions  # noqa: PLC0415  # late: a rare kind of signature, and 20 ms

    if len(signature) != bindings.crypto_sign_BYTES:
        raise InvalidSignature
    state = bindings.crypto_sign_ed25519ph_state()
    bindings.crypto_sign_ed25519ph_update(state, data)
    try:
        bindings.crypto_sign_ed25519ph_final_verify(state, signature, crypto.public_bytes_raw())
    except exceptions.BadSignatureError:
        raise InvalidSignature from None
