"""Signed certificate timestamps: proof that a CT log was shown a certificate before it was issued.

Source: RFC 6962 sections 3.2 and 3.3, RFC 5246 section 4.7 (the form of the signature). Only embedded ones are read.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtensionOID

from plimsoll import limits
from plimsoll.errors import BadSignatureError, SctInvalidError, UntrustedKeyError
from plimsoll.model.trust import PublicKey
from plimsoll.signatures.der import OCTET_STRING, DerReader
from plimsoll.signatures.trust_index import TrustIndex
from plimsoll.signatures.verifying import KeyCheck
from plimsoll.signatures.x509 import Certificate

_SCT_LIST: Final = ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS.dotted_string
_PRECERTIFICATE_SIGNING: Final = "1.3.6.1.4.1.11129.2.4.4"
_ECDSA: Final = b"\x04\x03"
"""SHA-256 with ECDSA (RFC 5246 section 7.4.1.4.1); a log has no other choice but RSA (RFC 6962 section 2.1.4)."""
_RSA: Final = b"\x04\x01"
_LOG_ID_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class UntrustedSct:
    """One embedded timestamp, of which nothing is proven; ``time_ms`` counts milliseconds since 1970."""

    log_id: bytes
    time_ms: int
    extensions: bytes
    algorithm: bytes
    signature: bytes


def verify_sct(path: tuple[Certificate, ...], *, trust: TrustIndex) -> None:
    """Return if a trusted CT log was shown the first certificate of ``path`` while the log was in use.

    ``path`` is what ``find_path`` returns, the leaf first: its second certificate issued the first. One good timestamp
    is enough; those by unknown logs count for nothing. Raises SctInvalidError.
    """
    if len(path) < 2:
        raise SctInvalidError("a certificate that nobody else issued has no timestamps by CT logs")
    leaf = path[0]
    found = read_scts(leaf)
    if not found:
        raise SctInvalidError(f"{leaf.title} has no timestamp by a CT log")
    known = [(sct, log) for sct in found for log in trust.ctlogs(sct.log_id)]
    if not known:
        raise SctInvalidError(f"no CT log that {leaf.title} names is in the trusted root")
    current = [(sct, log) for sct, log in known if log.valid_at(sct.time_ms / 1000)]
    if not current:
        raise SctInvalidError(f"{leaf.title} was logged when its CT log was not in use by the trusted root")
    certificate = _logged_certificate(leaf, issuer=_issuing(path))
    if not any(_is_signed(sct, log.key, certificate, check=trust.facts.verify_by_key) for sct, log in current):
        raise SctInvalidError(f"no trusted CT log signed what is said of {leaf.title}: another certificate, or key")


def read_scts(leaf: Certificate) -> tuple[UntrustedSct, ...]:
    """The timestamps embedded in a certificate, in their order; raises SctInvalidError for an unreadable one."""
    value = leaf.raw_extension(_SCT_LIST)
    return () if value is None else parse_scts(value)


def parse_scts(value: bytes) -> tuple[UntrustedSct, ...]:
    """Read a SignedCertificateTimestampList in a DER OCTET STRING (RFC 6962 section 3.3); raises SctInvalidError."""
    found = DerReader(value, what="the SCT list")
    try:
        content = found.take(OCTET_STRING, "content")
        found.end()
    except BadSignatureError as error:
        raise SctInvalidError(str(error)) from error
    listed, end = _opaque(content, 0)
    _whole(content, end)
    scts: list[UntrustedSct] = []
    at = 0
    while at < len(listed):
        if len(scts) == limits.SCTS:
            raise SctInvalidError(f"a certificate with more than {limits.SCTS} timestamps by CT logs")
        item, at = _opaque(listed, at)
        scts.append(_read_sct(item))
    return tuple(scts)


def _read_sct(item: bytes) -> UntrustedSct:
    """RFC 6962 section 3.2: version, log, time, extensions, algorithm, signature."""
    if item[:1] != b"\0":
        raise SctInvalidError("a CT log's timestamp of an unknown version: only version 1 is known")
    time_at = 1 + _LOG_ID_BYTES
    extensions, at = _opaque(item, time_at + 8)
    signature, end = _opaque(item, at + 2)
    _whole(item, end)
    return UntrustedSct(
        log_id=item[1:time_at],
        time_ms=int.from_bytes(item[time_at : time_at + 8], "big"),
        extensions=extensions,
        algorithm=item[at : at + 2],
        signature=signature,
    )


def _opaque(data: bytes, at: int) -> tuple[bytes, int]:
    """The TLS vector with a length of two bytes at ``at``, and where it ends."""
    start = at + 2
    end = start + int.from_bytes(data[at:start], "big")
    if max(start, end) > len(data):
        raise SctInvalidError("a CT log's timestamp is cut")
    return data[start:end], end


def _whole(data: bytes, end: int) -> None:
    if end != len(data):
        raise SctInvalidError(f"a CT log's timestamp has {len(data) - end} bytes too many")


def _issuing(path: tuple[Certificate, ...]) -> PublicKey:
    """The key of the authority that the log has it under: never one for precertificates alone (section 3.2)."""
    issuer = path[1]
    if _signs_precertificates(issuer):
        if len(path) == 2:
            raise SctInvalidError(f"{issuer.title} is for precertificates alone, and nobody stands above it")
        issuer = path[2]
    if issuer.key is None:
        raise SctInvalidError(f"{issuer.title} has a key of a kind that is not trusted")
    return issuer.key


def _signs_precertificates(issuer: Certificate) -> bool:
    return issuer.names_usage(_PRECERTIFICATE_SIGNING)


def _logged_certificate(leaf: Certificate, *, issuer: PublicKey) -> bytes:
    """A PreCert: the issuer's key, and the certificate as it was before its timestamps were put into it."""
    precertificate = leaf.precertificate
    return hashlib.sha256(issuer.spki).digest() + len(precertificate).to_bytes(3, "big") + precertificate


def _is_signed(sct: UntrustedSct, key: PublicKey, certificate: bytes, *, check: KeyCheck) -> bool:
    """Whether the log signed the precertificate entry: v1, certificate_timestamp, its time, precert_entry."""
    kinds = {_ECDSA: ec.EllipticCurvePublicKey, _RSA: rsa.RSAPublicKey}
    if not isinstance(key.crypto, kinds.get(sct.algorithm, ())):
        return False
    extensions = len(sct.extensions).to_bytes(2, "big") + sct.extensions
    signed = b"\0\0" + sct.time_ms.to_bytes(8, "big") + b"\0\1" + certificate + extensions
    try:
        check(key, signature=sct.signature, signed=signed, hash_name="sha256")
    except UntrustedKeyError:
        return False
    return True
