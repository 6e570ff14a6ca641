"""OpenPGP keys, certificates and signed messages made by hand, so that every field of them can be chosen.

RFC 9580 in its version 4 forms; RSA, ECDSA and Ed25519 by cryptography.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HASHES = {
    2: hashes.SHA1(),
    8: hashes.SHA256(),
    9: hashes.SHA384(),
    10: hashes.SHA512(),
    11: hashes.SHA224(),
}
BINARY, POSITIVE, SUBKEY_BINDING, BACK, DIRECT, KEY_REVOCATION, SUBKEY_REVOCATION = (
    0x00, 0x13, 0x18, 0x19, 0x1F, 0x20, 0x28
)  # fmt: skip
CERTIFY, SIGN = 1, 2
_CURVES = {
    "p256": (ec.SECP256R1, "2a8648ce3d030107"),
    "p384": (ec.SECP384R1, "2b81040022"),
    "p521": (ec.SECP521R1, "2b81040023"),
}
_ED25519 = bytes.fromhex("2b06010401da470f01")


def packet(tag, body):
    return bytes([0xC0 | tag, 0xFF]) + len(body).to_bytes(4) + body


def number(value):
    return value.bit_length().to_bytes(2) + value.to_bytes((value.bit_length() + 7) // 8)


def subpacket(kind, data, *, critical=False):
    return bytes([len(data) + 1, kind | (0x80 if critical else 0)]) + data


def created(at_s):
    return subpacket(2, at_s.to_bytes(4))


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key pair; ``kind`` is rsa2048, rsa3072, p256, p384, p521 or ed25519."""

    kind: str
    private: object = field(repr=False)
    created_s: int

    @property
    def algorithm(self):
        return {"rsa": 1, "ed2": 22}.get(self.kind[:3], 19)

    @property
    def body(self):
        public = self.private.public_key()
        head = b"\x04" + self.created_s.to_bytes(4) + bytes([self.algorithm])
        if self.algorithm == 1:
            numbers = public.public_numbers()
            return head + number(numbers.n) + number(numbers.e)
        if self.algorithm == 22:
            raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
            return head + bytes([len(_ED25519)]) + _ED25519 + number(int.from_bytes(b"\x40" + raw))
        oid = bytes.fromhex(_CURVES[self.kind][1])
        point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return head + bytes([len(oid)]) + oid + number(int.from_bytes(point))

    @property
    def hashed_body(self):
        return b"\x99" + len(self.body).to_bytes(2) + self.body

    @property
    def fingerprint(self):
        return hashlib.sha1(self.hashed_body, usedforsecurity=False).digest()

    def issuer(self):
        return subpacket(33, b"\x04" + self.fingerprint)

    def issuer_id(self):
        return subpacket(16, self.fingerprint[-8:])

    def signature(self, kind, document, *, hashed, unhashed=None, hash_id=8):
        """The body of a signature packet of ``kind`` over ``document``, as it is hashed.

        Its key id stands in the area that is not hashed unless told otherwise: gpg needs it.
        """
        unhashed = self.issuer_id() if unhashed is None else unhashed
        start = bytes([4, kind, self.algorithm, hash_id]) + len(hashed).to_bytes(2) + hashed
        whole = document + start + b"\x04\xff" + len(start).to_bytes(4)
        digest = hashlib.new(HASHES[hash_id].name, whole, usedforsecurity=False).digest()
        return start + len(unhashed).to_bytes(2) + unhashed + digest[:2] + self._numbers(digest, HASHES[hash_id])

    def _numbers(self, digest, algorithm):
        if self.algorithm == 1:
            return number(int.from_bytes(self.private.sign(digest, padding.PKCS1v15(), Prehashed(algorithm))))
        if self.algorithm == 22:
            made = self.private.sign(digest)
            return number(int.from_bytes(made[:32])) + number(int.from_bytes(made[32:]))
        r, s = decode_dss_signature(self.private.sign(digest, ec.ECDSA(Prehashed(algorithm))))
        return number(r) + number(s)


@cache
def key(kind="rsa2048", name="signer", *, created_s=1_735_689_600):
    """A key of its own for each ``name``; made on 2025-01-01 unless told otherwise."""
    return Key(kind=kind, private=_private(kind, name), created_s=created_s)


@cache
def _private(kind, _name):
    if kind.startswith("rsa"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(kind[3:]))
    return ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(_CURVES[kind][0]())


def user_id_binding(primary, user=b"a <a@acme.example>", *, at_s=None, lives_s=None, flags=CERTIFY | SIGN, more=b""):
    """The body of a self-signature over a user id."""
    hashed = created(primary.created_s if at_s is None else at_s) + subpacket(27, bytes([flags])) + primary.issuer()
    hashed += b"" if lives_s is None else subpacket(9, lives_s.to_bytes(4))
    document = primary.hashed_body + b"\xb4" + len(user).to_bytes(4) + user
    return primary.signature(POSITIVE, document, hashed=hashed + more)


def subkey_binding(primary, subkey, *, at_s=None, lives_s=None, flags=SIGN, more=b"", back_more=b""):
    """The body of a signature that binds a signing subkey, with the subkey's own inside it."""
    when = created(subkey.created_s if at_s is None else at_s)
    document = primary.hashed_body + subkey.hashed_body
    back = subkey.signature(BACK, document, hashed=when + subkey.issuer() + back_more)
    hashed = when + subpacket(27, bytes([flags])) + primary.issuer()
    hashed += b"" if lives_s is None else subpacket(9, lives_s.to_bytes(4))
    long = bytes([255]) + (len(back) + 1).to_bytes(4) + bytes([32]) + back
    return primary.signature(SUBKEY_BINDING, document, hashed=hashed + more + long)


def certificate(primary, *bindings, user=b"a <a@acme.example>", direct=(), subkeys=()):
    """A transferable public key; ``subkeys`` are pairs of a key and the bodies of its signatures."""
    bindings = bindings or (user_id_binding(primary, user),)
    parts = [packet(6, primary.body), *[packet(2, body) for body in direct], packet(13, user)]
    parts += [packet(2, body) for body in bindings]
    for subkey, signatures in subkeys:
        parts += [packet(14, subkey.body), *[packet(2, body) for body in signatures]]
    return b"".join(parts)


def signed_message(signer, data, *, at_s, hash_id=8, hashed=None, unhashed=None, signature=None):
    """A signed message as ``packets`` reads it; ``hashed`` replaces the subpackets, ``signature`` the packet's body."""
    claims = created(at_s) + signer.issuer() if hashed is None else hashed
    body = signer.signature(BINARY, data, hashed=claims, unhashed=unhashed, hash_id=hash_id)
    body = body if signature is None else signature
    one_pass = bytes([3, 0, body[3], body[2]]) + signer.fingerprint[-8:] + b"\x01"
    return packet(4, one_pass) + packet(11, b"b\0\0\0\0\0" + data) + packet(2, body)
