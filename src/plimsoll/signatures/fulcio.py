"""What a certificate of Fulcio says: whom it is for, who vouched for them, and the claims of the token behind it.

Sources: sigstore/fulcio's oid-info.md; RFC 5280 section 4.2.1.6. Nothing here is proven: whoever reads claims owes
the certificate's path to a trusted root (``certificate_paths.find_path``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from cryptography import x509

from plimsoll import limits
from plimsoll.errors import IdentityMismatchError
from plimsoll.model.identity import CLAIM_OIDS
from plimsoll.signatures.x509 import Certificate

ISSUER_OID: Final = "1.3.6.1.4.1.57264.1.1"
"""Fulcio's first issuer extension: the text itself, without any DER around it."""
ISSUER_V2_OID: Final = "1.3.6.1.4.1.57264.1.8"
"""Its second: a DER UTF8String."""
USERNAME_OID: Final = "1.3.6.1.4.1.57264.1.7"
"""The OtherName of a user name: a DER UTF8String."""

_RAW: Final = frozenset(f"1.3.6.1.4.1.57264.1.{number}" for number in range(1, 7))
"""Extensions that hold the text itself; all later ones hold a DER UTF8String."""
_UTF8_STRING: Final = 0x0C
_NAMES: Final = {oid: name for name, oid in CLAIM_OIDS.items()}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

SanKind: TypeAlias = Literal["uri", "email", "dns", "ip", "username", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class San:
    """One subject alternative name; ``value`` is "" for a name of a kind that is not understood."""

    kind: SanKind
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateClaims:
    """All that a certificate says of its signer; ``extensions`` are by the names of ``model.identity.CLAIM_OIDS``."""

    subjects: tuple[San, ...]
    issuer: str | None
    extensions: Mapping[str, str] = field(default_factory=dict)


@lru_cache(maxsize=64)  # of a few certificates in work each is asked for its claims more than once
def read_claims(leaf: Certificate) -> CertificateClaims:
    """Read them; raises IdentityMismatchError for one that is not of its form, because it may be the one asked for."""
    issuer = read_issuer(leaf)
    return CertificateClaims(
        subjects=tuple([_subject(name) for name in leaf.names]),
        issuer=None if issuer is None else _plain(_text(issuer, "OIDC issuer"), "OIDC issuer"),
        extensions={
            name: _claim(name, value) for oid, value in leaf.unread.items() if (name := _NAMES.get(oid)) is not None
        },
    )


def read_issuer(leaf: Certificate) -> bytes | None:
    """The OIDC issuer, as bytes because nothing says that they are UTF-8; None where it names none.

    Both issuer extensions must say the same where both are there (containers/image; Fulcio writes both): raises
    IdentityMismatchError.
    """
    first, second = leaf.raw_extension(ISSUER_OID), leaf.raw_extension(ISSUER_V2_OID)
    if second is None:
        return first
    issuer = _utf8_string(second, "OIDC issuer")
    if first is not None and first != issuer:
        raise IdentityMismatchError("the certificate names two OIDC issuers that differ")
    return issuer


def _subject(name: x509.GeneralName) -> San:
    match name:
        case x509.UniformResourceIdentifier():
            return San(kind="uri", value=_plain(name.value, "URI"))
        case x509.RFC822Name():
            return San(kind="email", value=_plain(name.value, "e-mail address"))
        case x509.DNSName():
            return San(kind="dns", value=_plain(name.value, "DNS name"))
        case x509.IPAddress():
            return San(kind="ip", value=str(name.value))
        case x509.OtherName() if name.type_id.dotted_string == USERNAME_OID:
            text = _text(_utf8_string(name.value, "user name"), "user name")
            return San(kind="username", value=_plain(text, "user name"))
        case _:
            return San(kind="unknown", value="")


def _claim(name: str, value: bytes) -> str:
    return _text(value if CLAIM_OIDS[name] in _RAW else _utf8_string(value, name), name)


def _text(value: bytes, what: str) -> str:
    if len(value) > limits.CLAIM_BYTES:
        raise IdentityMismatchError(f"the certificate's {what} has {len(value)} bytes: at most {limits.CLAIM_BYTES}")
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise IdentityMismatchError(f"the certificate's {what} is no UTF-8 text") from None


def _plain(text: str, what: str) -> str:
    """``text`` without control characters, which no name has: a pattern could end at one, or a reader's line."""
    if len(text) > limits.CLAIM_BYTES:
        raise IdentityMismatchError(f"the certificate's {what} has {len(text)} bytes: at most {limits.CLAIM_BYTES}")
    if _CONTROL.search(text):
        raise IdentityMismatchError(f"the certificate's {what} has a control character: {text!r:.160}")
    return text


def _utf8_string(der: bytes, what: str) -> bytes:
    """The content of a DER UTF8String and nothing after it; raises IdentityMismatchError."""
    length_bytes = 1 if len(der) < 2 or der[1] < 0x80 else 1 + (der[1] & 0x7F)
    content = der[1 + length_bytes :]
    if der != bytes([_UTF8_STRING]) + _der_length(len(content)) + content:
        raise IdentityMismatchError(f"the certificate's {what} is no DER UTF8String")
    return content


def _der_length(length: int) -> bytes:
    """X.690 section 10.1: the shortest form."""
    if length < 0x80:
        return bytes([length])
    digits = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(digits)]) + digits
