"""A certificate authority of one's own: roots, intermediates and leaves, each part of which a test can falsify.

Keys are made anew in each run (``fakes.signing.signer``); nothing is checked here, so that what is wrong can be made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fakes.signing import LOGGED_AT_S, Signer, signer
from plimsoll.signatures.x509 import Certificate

ISSUER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
ISSUER_V2 = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
OIDC = "https://accounts.acme.example"
EMAIL = "build@acme.example"
HOST = "build.acme.example"
AUTHORITY = ("key_cert_sign", "crl_sign")
YEAR_S = 365 * 24 * 3600.0
_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def at(time_s):
    """A time as certificates want it."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(time_s))


def name(text):
    """A distinguished name; empty for an empty text, as in Fulcio's leaves."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)] if text else [])


@dataclass(frozen=True)
class Issued:
    """A certificate and its key pair."""

    certificate: x509.Certificate
    by: Signer = field(repr=False)

    @property
    def der(self):
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self):
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def value(self):
        return Certificate(self.der)


def usage(*allowed):
    """A key usage extension."""
    return x509.KeyUsage(**{each: each in allowed for each in _USAGES})


def extended(*usages):
    """An extended key usage extension."""
    return x509.ExtendedKeyUsage(list(usages))


def unknown(oid, value):
    """An extension that cryptography knows nothing of."""
    return x509.UnrecognizedExtension(
        oid if isinstance(oid, x509.ObjectIdentifier) else x509.ObjectIdentifier(oid), value
    )


def utf8(text):
    """A DER UTF8String, of fewer than 128 bytes."""
    data = text.encode()
    return bytes([0x0C, len(data)]) + data


def make(subject, *, by, parent=None, extensions=(), first=LOGGED_AT_S - YEAR_S, last=LOGGED_AT_S + YEAR_S, **changes):
    """A certificate for the key ``by``, issued by ``parent`` or by itself.

    ``extensions`` are pairs of an extension and its criticality. ``signed_by`` replaces the issuer's key, ``issuer`` its
    name, ``algorithm`` the hash, ``serial`` the number.
    """
    issuing = changes.get("signed_by") or (by if parent is None else parent.by)
    issuer = changes.get("issuer") or (name(subject) if parent is None else parent.certificate.subject)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(issuer)
        .public_key(by.private.public_key())
        .serial_number(changes.get("serial") or x509.random_serial_number())
        .not_valid_before(at(first))
        .not_valid_after(at(last))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    algorithm = None if issuing.kind == "ed25519" else changes.get("algorithm", hashes.SHA256())
    more = {"rsa_padding": changes["rsa_padding"]} if "rsa_padding" in changes else {}
    return Issued(builder.sign(issuing.private, algorithm, **more), by)


def authority(subject, *, parent=None, kind="p256", path_length=None, ca=True, allowed=AUTHORITY, more=(), **changes):
    """A root, or an intermediate of ``parent``; ``allowed`` None leaves the key usage out."""
    extensions = [(x509.BasicConstraints(ca, path_length if ca else None), True)]
    if allowed is not None:
        extensions.append((usage(*allowed), True))
    by = changes.pop("by", None) or signer(kind, f"ca {subject}")
    return make(subject, by=by, parent=parent, extensions=(*extensions, *more), **changes)


def leaf(
    parent, *, names=None, usages=(ExtendedKeyUsageOID.CODE_SIGNING,), more=(), critical=True, subject="", **changes
):
    """A leaf of ``parent`` for EMAIL and HOST; ``names`` empty leaves the SAN out, ``usages`` None the EKU."""
    names = [x509.RFC822Name(EMAIL), x509.DNSName(HOST)] if names is None else names
    extensions = [(usage("digital_signature"), True)]
    if usages is not None:
        extensions.append((extended(*usages), False))
    if names:
        extensions.append((x509.SubjectAlternativeName(names), critical))
    by = changes.pop("by", None) or signer(changes.pop("kind", "p256"), "leaf")
    return make(subject, by=by, parent=parent, extensions=(*extensions, *more), **changes)


def issuers(first=OIDC, second=OIDC):
    """Fulcio's two issuer extensions; None leaves one out, bytes stand for themselves."""
    raw = None if first is None else first if isinstance(first, bytes) else first.encode()
    der = None if second is None else second if isinstance(second, bytes) else utf8(second)
    return tuple((unknown(oid, value), False) for oid, value in ((ISSUER, raw), (ISSUER_V2, der)) if value is not None)


def bundle(*issued):
    """Certificates as one PEM text."""
    return "".join(each.pem for each in issued)
