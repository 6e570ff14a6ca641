"""Private keys in files: PKCS#8 as it is, and cosign's encrypted form, read and written.

Source: cosign's key format (PEM around JSON: scrypt, then NaCl's secretbox over PKCS#8), which skopeo shares. The only
module that imports PyNaCl, and late: who verifies never pays for it. Salt and nonce come from the caller.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key

from plimsoll import limits
from plimsoll.errors import UnreadableKeyError
from plimsoll.native import ReadError, read_json
from plimsoll.signatures.signing import SigningKey

SALT_BYTES: Final = 32
NONCE_BYTES: Final = 24
_KEY_BYTES: Final = 32
_TAG_BYTES: Final = 16
_WRITTEN: Final = "ENCRYPTED COSIGN PRIVATE KEY"
"""The older of the two types, which every cosign and skopeo reads and skopeo writes."""
_ENCRYPTED: Final = frozenset({_WRITTEN.encode(), b"ENCRYPTED SIGSTORE PRIVATE KEY"})
_COSTS: Final = frozenset({(32768, 8, 1), (65536, 8, 1), (131072, 8, 1)})
"""The scrypt parameters (N, r, p) that cosign reads: others are too weak, or made to exhaust memory."""
_COST: Final = (65536, 8, 1)
_PEM: Final = re.compile(
    rb"\s*-----BEGIN ([A-Z0-9 ]{1,64})-----[ \t\r]*\n([A-Za-z0-9+/=\s]*)-----END \1-----\s*", re.ASCII
)
_DEPTH: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptedKey:
    """A private key as cosign keeps it, still locked; ``cost`` is scrypt's (N, r, p)."""

    cost: tuple[int, int, int]
    salt: bytes = field(repr=False)
    nonce: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)

    def unlock(self, passphrase: bytes) -> SigningKey:
        """The key inside; raises UnreadableKeyError where the passphrase is another, or no usable key is inside.

        Takes some tenths of a second and up to 128 MiB, as scrypt is meant to.
        """
        from nacl.exceptions import CryptoError  # noqa: PLC0415  # late, see above
        from nacl.secret import SecretBox  # noqa: PLC0415  # as above

        try:
            der = SecretBox(_derive(passphrase, self.salt, self.cost)).decrypt(self.ciphertext, self.nonce)
        except CryptoError:
            raise UnreadableKeyError("the passphrase does not open it, or the file was changed") from None
        return _load(der)


def parse_private_key(pem: bytes) -> SigningKey | EncryptedKey:
    """Read a private key file: ``PRIVATE KEY`` (PKCS#8), or either of cosign's encrypted types, still locked.

    Raises UnreadableKeyError for anything else, in words that quote nothing of it.
    """
    if len(pem) > limits.KEY_BYTES:
        raise UnreadableKeyError(f"{len(pem)} bytes are no key file: at most {limits.KEY_BYTES}")
    found = _PEM.fullmatch(pem)
    if found is None:
        raise UnreadableKeyError(
            "it is not one PEM block, whole and by itself: -----BEGIN PRIVATE KEY----- or cosign's"
        )
    data = _base64(b"".join(found[2].split()), what="the PEM block")
    if found[1] in _ENCRYPTED:
        return _parse_encrypted(data)
    if found[1] == b"PRIVATE KEY":
        return _load(data)
    hint = {
        b"ENCRYPTED PRIVATE KEY": "; openssl pkcs8 -topk8 -nocrypt takes its own encryption off",
        b"EC PRIVATE KEY": "; openssl pkcs8 -topk8 -nocrypt writes it as PKCS#8",
        b"RSA PRIVATE KEY": "; openssl pkcs8 -topk8 -nocrypt writes it as PKCS#8",
        b"PUBLIC KEY": "; a public key signs nothing",
    }.get(found[1], "")
    raise UnreadableKeyError(f"a PEM block of the type {found[1].decode()!r} is not read{hint}")


def encrypt_private_key(key: SigningKey, *, passphrase: bytes, salt: bytes, nonce: bytes) -> bytes:
    """``key`` as cosign's encrypted PEM; ``salt`` and ``nonce`` are 32 and 24 random bytes that are used only once.

    Raises ValueError for another number of them.
    """
    from nacl.secret import SecretBox  # noqa: PLC0415  # late, see above

    if (len(salt), len(nonce)) != (SALT_BYTES, NONCE_BYTES):
        raise ValueError(f"{SALT_BYTES} bytes of salt and {NONCE_BYTES} of nonce are needed")
    sealed = SecretBox(_derive(passphrase, salt, _COST)).encrypt(key.pkcs8, nonce).ciphertext
    n, r, p = _COST
    document = {
        "kdf": {"name": "scrypt", "params": {"N": n, "r": r, "p": p}, "salt": base64.b64encode(salt).decode()},
        "cipher": {"name": "nacl/secretbox", "nonce": base64.b64encode(nonce).decode()},
        "ciphertext": base64.b64encode(sealed).decode(),
    }
    text = base64.b64encode(json.dumps(document, separators=(",", ":")).encode()).decode()
    lines = "".join([f"{text[at : at + 64]}\n" for at in range(0, len(text), 64)])
    return f"-----BEGIN {_WRITTEN}-----\n{lines}-----END {_WRITTEN}-----\n".encode()


def _derive(passphrase: bytes, salt: bytes, cost: tuple[int, int, int]) -> bytes:
    n, r, p = cost
    return hashlib.scrypt(passphrase, salt=salt, n=n, r=r, p=p, maxmem=limits.SCRYPT_BYTES, dklen=_KEY_BYTES)


def _parse_encrypted(data: bytes) -> EncryptedKey:
    try:
        document = read_json(data, max_depth=_DEPTH)
    except ReadError as error:
        raise UnreadableKeyError(f"the encrypted key is no strict JSON ({error.kind})") from None
    top = _members(document, ("kdf", "cipher", "ciphertext"), "the encrypted key")
    kdf = _members(top["kdf"], ("name", "params", "salt"), "kdf")
    cipher = _members(top["cipher"], ("name", "nonce"), "cipher")
    if kdf["name"] != "scrypt" or cipher["name"] != "nacl/secretbox":
        raise UnreadableKeyError("the encrypted key is sealed in another way than by scrypt and nacl/secretbox")
    params = _members(kdf["params"], ("N", "r", "p"), "kdf.params")
    sealed = _field(top["ciphertext"], "ciphertext")
    if not _TAG_BYTES < len(sealed) <= limits.SEALED_KEY_BYTES:
        raise UnreadableKeyError(f"a ciphertext of {len(sealed)} bytes holds no private key")
    return EncryptedKey(
        cost=_cost(params),
        salt=_field(kdf["salt"], "kdf.salt", size=SALT_BYTES),
        nonce=_field(cipher["nonce"], "cipher.nonce", size=NONCE_BYTES),
        ciphertext=sealed,
    )


def _members(value: object, names: tuple[str, ...], where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise UnreadableKeyError(f"{where} is no JSON object")
    if set(value) != set(names):
        raise UnreadableKeyError(f"{where} has other members than {', '.join(names)}")
    return value


def _cost(params: dict[str, object]) -> tuple[int, int, int]:
    asked = (params["N"], params["r"], params["p"])
    for cost in _COSTS:
        # By type too: True and 1.0 equal 1.
        if asked == cost and all(type(number) is int for number in asked):
            return cost
    raise UnreadableKeyError("kdf.params are none of cosign's: N 32768, 65536 or 131072, r 8, p 1")


def _field(value: object, where: str, *, size: int | None = None) -> bytes:
    if not isinstance(value, str):
        raise UnreadableKeyError(f"{where} is no text")
    data = _base64(value.encode(), what=where)
    if size is not None and len(data) != size:
        raise UnreadableKeyError(f"{where} has {len(data)} bytes, not {size}")
    return data


def _base64(text: bytes, *, what: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise UnreadableKeyError(f"{what} is cut short or no base64") from None
    if base64.b64encode(data) != text:
        raise UnreadableKeyError(f"{what} is no canonical base64")
    return data


def _load(der: bytes) -> SigningKey:
    try:
        private = load_der_private_key(der, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: PKCS#8 that is encrypted in its own way
        raise UnreadableKeyError("what is inside is no PKCS#8 private key that can be read") from None
    if not isinstance(private, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        raise UnreadableKeyError("a private key of this kind signs no image: ECDSA, RSA and Ed25519 keys do")
    return SigningKey.of(private)
