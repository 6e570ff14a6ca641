"""Known signers: the arithmetic of a signature whose like Sequoia has just accepted, done by OpenSSL instead.

Sequoia's RSA and ECDSA take 0.2 to 1.5 ms with the interpreter lock held, OpenSSL's 0.03 to 0.4 ms without it. Sequoia
stays the judge; what is done here only accepts, and only where Sequoia would (docs/adr/0009-known-signers.md):

- What it says of a certificate's key depends on the time that a signature claims, and changes at moments that stand in
  the certificate: where keys and signatures begin and end. Between two such moments one answer holds for all
  (``KnownSigner.covers``). Certificates with a revocation are left to Sequoia, and it is asked anew each minute,
  since its policy for algorithms knows the present time.
- What it says of a signature beyond that depends on the signature packet alone: only plain ones are read here, whose
  every field is understood (``read_plain``).

Everything else, and all that does not verify here, goes to Sequoia, whose refusal counts. Ed25519 is left to it always:
it takes 0.07 ms there, and 0.1 here. Source: RFC 9580 sections 5.2.3, 5.2.4, 5.5.2 and 3.2.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature

from plimsoll import limits

_RSA: Final = 1
_ECDSA: Final = 19
_HASHES: Final = {8: "sha256", 9: "sha384", 10: "sha512"}
_PREHASHED: Final = {
    8: Prehashed(hashes.SHA256()),
    9: Prehashed(hashes.SHA384()),
    10: Prehashed(hashes.SHA512()),
}
_PKCS1: Final = padding.PKCS1v15()
_CURVES: Final[dict[bytes, tuple[ec.EllipticCurve, frozenset[int]]]] = {
    bytes.fromhex("2a8648ce3d030107"): (ec.SECP256R1(), frozenset({8, 9, 10})),
    bytes.fromhex("2b81040022"): (ec.SECP384R1(), frozenset({9, 10})),
    bytes.fromhex("2b81040023"): (ec.SECP521R1(), frozenset({10})),
}
"""By object identifier: the curve, and the hashes that are as strong as it (RFC 9580 section 5.2.3.2)."""
_CREATED, _EXPIRES_AFTER, _KEY_EXPIRES_AFTER, _ISSUER_ID, _NOTATION = 2, 3, 9, 16, 20
_USER_ID, _EMBEDDED, _ISSUER = 28, 32, 33
_NOTATION_FLAGS: Final = frozenset({bytes(4), b"\x80\0\0\0"})
_NOTATION_NAME: Final = re.compile(rb"[!-~]+")
_CRITICAL: Final = 0x80
_REVOCATIONS: Final = frozenset({0x20, 0x28, 0x30})
_V4_FINGERPRINT_BYTES: Final = 20
_SKEW_S: Final = 30 * 60
"""How far Sequoia lets clocks differ, in places."""
_NESTED: Final = 2
"""A binding holds the subkey's own signature; what lies deeper is no use of it."""

_Subpacket = tuple[int, bool, bytes]


class _UnfamiliarError(Exception):
    """Something is not in the one form that is read here. It never leaves this module."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainSignature:
    """A version 4 signature over a binary document in which every field is understood; nothing is proven yet.

    ``issuer`` is the fingerprint that it names, in lower-case hex; ``created_s`` is in seconds since 1970. ``trailer``
    is what is hashed after the document, ``prefix`` the first 16 bits that the hash must have.
    """

    algorithm: int
    hash_id: int
    created_s: int
    issuer: str
    trailer: bytes
    prefix: bytes
    numbers: tuple[int, ...]


def read_plain(body: bytes) -> PlainSignature | None:
    """Read the body of a signature packet; None for any but the plain form, which Sequoia must judge."""
    try:
        return _plain(body)
    except _UnfamiliarError:
        return None


def _plain(body: bytes) -> PlainSignature:
    version, kind, algorithm, hash_id = _take(body, 0, 4)
    if version != 4 or kind != 0 or algorithm not in (_RSA, _ECDSA) or hash_id not in _HASHES:
        raise _UnfamiliarError
    hashed, at = _area(body, 4)
    unhashed, end = _area(body, at)
    created, issuer = _claims(list(_subpackets(hashed)))
    if any((kind, data) != (_ISSUER_ID, issuer[-8:]) for kind, _, data in _subpackets(unhashed)):
        raise _UnfamiliarError
    return PlainSignature(
        algorithm=algorithm,
        hash_id=hash_id,
        created_s=int.from_bytes(created),
        issuer=issuer.hex(),
        trailer=body[:at] + b"\x04\xff" + at.to_bytes(4),
        prefix=_take(body, end, 2),
        numbers=_numbers(body, end + 2, count=1 if algorithm == _RSA else 2),
    )


def _claims(subpackets: list[_Subpacket]) -> tuple[bytes, bytes]:
    """When it was made and by whom; all that is said beside these must be without meaning for a verifier."""
    created = [data for kind, _, data in subpackets if kind == _CREATED]
    issuers = [data for kind, _, data in subpackets if kind == _ISSUER]
    if len(created) != 1 or len(created[0]) != 4 or len(issuers) != 1:
        raise _UnfamiliarError
    version, issuer = issuers[0][:1], issuers[0][1:]
    if version != b"\x04" or len(issuer) != _V4_FINGERPRINT_BYTES:
        raise _UnfamiliarError
    for kind, critical, data in subpackets:
        if kind in (_CREATED, _ISSUER) or (kind == _ISSUER_ID and data == issuer[-8:]):
            continue
        if critical or not (kind == _USER_ID or (kind == _NOTATION and _is_notation(data))):
            raise _UnfamiliarError
    return created[0], issuer


def _is_notation(data: bytes) -> bool:
    """Whether it is a well-formed notation (section 5.2.3.24): Sequoia refuses others, critical or not."""
    flags, name_bytes, value_bytes = data[:4], int.from_bytes(data[4:6]), int.from_bytes(data[6:8])
    name = data[8 : 8 + name_bytes]
    return (
        flags in _NOTATION_FLAGS
        and len(data) == 8 + name_bytes + value_bytes
        and _NOTATION_NAME.fullmatch(name) is not None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSigner:
    """A key of a certificate, the moments at which its standing may change, and for which stretches Sequoia spoke.

    ``_accepted`` grows: hash and stretch between two moments, to the present time (seconds since 1970) of the answer.
    """

    _key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey = field(repr=False)
    _hashes: frozenset[int]
    _moments: tuple[int, ...] = field(repr=False)
    _accepted: dict[tuple[int, int, int], float] = field(default_factory=dict, repr=False)

    def accepted(self, signature: PlainSignature, *, now_s: float) -> None:
        """Note that Sequoia has just accepted ``signature`` as made by this key."""
        self._accepted[self._stretch(signature)] = now_s

    def covers(self, signature: PlainSignature, *, now_s: float) -> bool:
        """Whether Sequoia's answer about the key holds for ``signature`` too, made with such a hash in that stretch."""
        asked_s = self._accepted.get(self._stretch(signature))
        return (
            asked_s is not None
            and 0 <= now_s - asked_s < limits.OPENPGP_ANSWER_S
            and signature.created_s <= now_s
            and signature.hash_id in self._hashes
        )

    def _stretch(self, signature: PlainSignature) -> tuple[int, int, int]:
        """A moment itself is a stretch of its own: whether an end is included does not matter."""
        at = signature.created_s
        return signature.hash_id, bisect_left(self._moments, at), bisect_right(self._moments, at)

    def made(self, signature: PlainSignature, data: bytes) -> bool:
        """Whether this key made ``signature`` over the document ``data``."""
        digest = hashlib.new(_HASHES[signature.hash_id], data + signature.trailer).digest()
        if digest[:2] != signature.prefix:
            return False
        hashed = _PREHASHED[signature.hash_id]
        try:
            if isinstance(self._key, rsa.RSAPublicKey):
                if signature.algorithm != _RSA:
                    return False
                size = (self._key.key_size + 7) // 8
                self._key.verify(signature.numbers[0].to_bytes(size), digest, _PKCS1, hashed)
            else:
                if signature.algorithm != _ECDSA:
                    return False
                self._key.verify(encode_dss_signature(*signature.numbers), digest, ec.ECDSA(hashed))
        except (InvalidSignature, OverflowError):
            return False
        return True


def read_signer(fingerprint: str, *, keys: Iterable[bytes], signatures: Iterable[bytes]) -> KnownSigner | None:
    """The key with ``fingerprint`` (lower-case hex) of a certificate of these packets' bodies; None to leave it alone.

    ``signatures`` are all of the certificate's, by whomever they are.
    """
    bodies = tuple(keys)
    try:
        moments = _moments(bodies, tuple(signatures))
        for body in bodies:
            if hashlib.sha1(b"\x99" + len(body).to_bytes(2) + body, usedforsecurity=False).hexdigest() == fingerprint:
                key, hash_ids = _public_key(body)
                return KnownSigner(_key=key, _hashes=hash_ids, _moments=moments)
    except (_UnfamiliarError, ValueError, UnsupportedAlgorithm, OverflowError):
        return None
    return None


def _public_key(body: bytes) -> tuple[rsa.RSAPublicKey | ec.EllipticCurvePublicKey, frozenset[int]]:
    """A version 4 key and the hashes it is used with (section 5.5.5)."""
    algorithm = _take(body, 5, 1)[0]
    if algorithm == _RSA:
        modulus, exponent = _numbers(body, 6, count=2)
        return rsa.RSAPublicNumbers(exponent, modulus).public_key(), frozenset(_HASHES)
    if algorithm != _ECDSA:
        raise _UnfamiliarError
    size = _take(body, 6, 1)[0]
    curve = _CURVES.get(_take(body, 7, size))
    if curve is None:
        raise _UnfamiliarError
    (point,) = _numbers(body, 7 + size, count=1)
    encoded = point.to_bytes(1 + 2 * ((curve[0].key_size + 7) // 8))
    return ec.EllipticCurvePublicKey.from_encoded_point(curve[0], encoded), curve[1]


def _moments(keys: tuple[bytes, ...], signatures: tuple[bytes, ...]) -> tuple[int, ...]:
    """Every time at which anything in a certificate begins or ends, and what lies within the clocks' difference."""
    if any(body[:1] != b"\x04" for body in keys):
        raise _UnfamiliarError
    begun = {int.from_bytes(_take(body, 1, 4)) for body in keys}
    found = set(begun)
    lives: set[int] = set()
    for body in signatures:
        times, own_lives = _times(body, depth=0)
        found |= times
        lives |= own_lives
    # Of any key: which signature speaks for which does not matter, more moments only mean more questions.
    if len(begun) * len(lives) > limits.OPENPGP_MOMENTS:
        raise _UnfamiliarError
    found |= {start + life for start in begun for life in lives}
    return tuple(sorted({time + skew for time in found for skew in (-_SKEW_S, 0, _SKEW_S)}))


def _times(body: bytes, *, depth: int) -> tuple[set[int], set[int]]:
    """When a signature begins and ends, and for how long it lets keys live; with those inside it."""
    version, kind = _take(body, 0, 2)
    if version != 4 or kind in _REVOCATIONS or depth > _NESTED:
        raise _UnfamiliarError
    hashed, at = _area(body, 4)
    unhashed, _ = _area(body, at)
    read = [*_subpackets(hashed), *_subpackets(unhashed)]
    created = {int.from_bytes(data) for kind, _, data in read if kind == _CREATED}
    ends = {int.from_bytes(data) for kind, _, data in read if kind == _EXPIRES_AFTER}
    lives = {int.from_bytes(data) for kind, _, data in read if kind == _KEY_EXPIRES_AFTER}
    found = created | {start + end for start in created for end in ends}
    for kind, _, data in read:
        if kind == _EMBEDDED:
            times, own_lives = _times(data, depth=depth + 1)
            found |= times
            lives |= own_lives
    return found, lives


def _area(body: bytes, at: int) -> tuple[bytes, int]:
    """The subpackets whose length stands at ``at``, and where they end."""
    area = _take(body, at + 2, int.from_bytes(_take(body, at, 2)))
    return area, at + 2 + len(area)


def _subpackets(area: bytes) -> Iterator[_Subpacket]:
    """Type, whether it is critical, and content of each (section 5.2.3.7)."""
    at = 0
    while at < len(area):
        octet = area[at]
        if octet < 192:
            length, start = octet, at + 1
        elif octet < 255:
            length, start = (octet - 192 << 8) + _take(area, at + 1, 1)[0] + 192, at + 2
        else:
            length, start = int.from_bytes(_take(area, at + 1, 4)), at + 5
        if not length:
            raise _UnfamiliarError
        kind = _take(area, start, length)[0]
        yield kind & ~_CRITICAL, bool(kind & _CRITICAL), area[start + 1 : start + length]
        at = start + length


def _numbers(body: bytes, at: int, *, count: int) -> tuple[int, ...]:
    """Exactly ``count`` multiprecision integers up to the end, each written in its one form (section 3.2)."""
    found = []
    for _ in range(count):
        bits = int.from_bytes(_take(body, at, 2))
        size = (bits + 7) // 8
        number = int.from_bytes(_take(body, at + 2, size))
        if number.bit_length() != bits:
            raise _UnfamiliarError
        found.append(number)
        at += 2 + size
    if at != len(body):
        raise _UnfamiliarError
    return tuple(found)


def _take(data: bytes, at: int, length: int) -> bytes:
    if length > len(data) - at:
        raise _UnfamiliarError
    return data[at : at + length]
