"""Certificates of the one shape that Fulcio gives its leaves, read without building an object for each part.

Every part must be byte for byte of a form that the full reader (``x509``) takes too, and the values are the same; all
other certificates are left to it. So nothing is accepted here that it would refuse.
Sources: sigstore/fulcio, certificate-specification.md; RFC 5280 section 4; RFC 6962 section 3.3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from cryptography import x509

from plimsoll import limits
from plimsoll.errors import BadSignatureError, UnreadableKeyError
from plimsoll.model.trust import PublicKey
from plimsoll.native import CertificateFields, read_certificate
from plimsoll.signatures.der import OCTET_STRING, SEQUENCE, DerReader

_P256: Final = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
"""How the DER of an uncompressed P-256 key begins (RFC 5480 section 2)."""
_P256_BYTES: Final = 91

_USAGE: Final = "2.5.29.15"
_NAMES: Final = "2.5.29.17"
_EXTENDED_USAGE: Final = "2.5.29.37"
_MAY_BE_CRITICAL: Final = frozenset({_USAGE, _NAMES, _EXTENDED_USAGE})
_OIDS: Final[Mapping[bytes, str]] = {
    bytes.fromhex("551d0e"): "2.5.29.14",
    bytes.fromhex("551d0f"): _USAGE,
    bytes.fromhex("551d11"): _NAMES,
    bytes.fromhex("551d23"): "2.5.29.35",
    bytes.fromhex("551d25"): _EXTENDED_USAGE,
    bytes.fromhex("2b06010401d679020402"): "1.3.6.1.4.1.11129.2.4.2",
}
_CODE_SIGNING: Final = frozenset({"1.3.6.1.5.5.7.3.3"})
_FULCIO: Final = bytes.fromhex("2b0601040183bf3001")
"""1.3.6.1.4.1.57264.1, under which each claim has one more arc."""
_FULCIO_OIDS: Final[Mapping[bytes, str]] = {
    _FULCIO + bytes([arc]): f"1.3.6.1.4.1.57264.1.{arc}" for arc in range(1, 64)
}
_URI: Final = 0x86
_TIME_BYTES: Final = 6
"""Of a timestamp's eight, those that a time until the year 10,000 takes, in milliseconds."""


def read_plain(der: bytes) -> dict[str, object] | None:
    """All that ``Certificate`` knows of one, by its attributes' names; None for one of another shape."""
    fields = read_certificate(der)
    if fields is None or len(fields.spki) != _P256_BYTES or not fields.spki.startswith(_P256):
        return None
    found: dict[str, bytes] = {}
    unread: dict[str, bytes] = {}
    for oid, critical, value in fields.extensions:
        claim = _FULCIO_OIDS.get(oid)
        if claim is not None and not critical:
            found[claim] = unread[claim] = value
            continue
        known = _OIDS.get(oid)
        if known is None or (critical and known not in _MAY_BE_CRITICAL) or not _FORMS[known](value):
            return None
        found[known] = value
    return _values(der, fields, found, unread)


def _values(
    der: bytes, fields: CertificateFields, found: dict[str, bytes], unread: dict[str, bytes]
) -> dict[str, object] | None:
    try:
        names = (_uri(found[_NAMES]),) if _NAMES in found else ()
        key = PublicKey(fields.spki)
    except (BadSignatureError, UnreadableKeyError, ValueError):
        return None
    return {
        "der": der,
        "fields": fields,
        "key": key,
        "subject": fields.subject,
        "issuer": fields.issuer,
        "not_before_s": float(fields.not_before_s),
        "not_after_s": float(fields.not_after_s),
        "is_authority": False,
        "path_length": None,
        "names": names,
        "constraints": None,
        "unknown_critical": (),
        "unread": unread,
        "_crypto": None,
        "_usages": _CODE_SIGNING if _EXTENDED_USAGE in found else None,
        "_extensions": found,
    }


def _uri(value: bytes) -> x509.GeneralName:
    """The one URI that the names are; raises BadSignatureError or ValueError for anything else."""
    outer = DerReader(value, what="names")
    names = outer.inside(SEQUENCE, "list")
    outer.end()
    uri = names.take(_URI, "uri")
    names.end()
    if not uri:
        raise BadSignatureError("an empty name")
    return x509.UniformResourceIdentifier(uri.decode("ascii"))


def _is_one_timestamp(value: bytes) -> bool:
    """A list of one timestamp of version 1, without extensions, by SHA-256 with ECDSA."""
    try:
        outer = DerReader(value, what="SCT list")
        listed = outer.take(OCTET_STRING, "content")
        outer.end()
    except BadSignatureError:
        return False
    size = len(listed)
    return (
        len(value) <= limits.CERTIFICATE_BYTES
        and size > _SIGNATURE_AT
        and int.from_bytes(listed[:2], "big") == size - 2
        and int.from_bytes(listed[2:4], "big") == size - 4
        and listed[4] == 0
        and listed[_TIME_AT : _TIME_AT + 8 - _TIME_BYTES] == bytes(8 - _TIME_BYTES)
        and listed[_TIME_AT + 8 - _TIME_BYTES] < 0x80
        and listed[_TIME_AT + 8 : _TIME_AT + 12] == b"\0\0\4\3"
        and int.from_bytes(listed[_SIGNATURE_AT - 2 : _SIGNATURE_AT], "big") == size - _SIGNATURE_AT
    )


_TIME_AT: Final = 4 + 1 + 32
_SIGNATURE_AT: Final = _TIME_AT + 8 + 2 + 2 + 2

_FORMS: Final[Mapping[str, Callable[[bytes], bool]]] = {
    "2.5.29.14": lambda value: len(value) == 22 and value.startswith(b"\x04\x14"),
    _USAGE: lambda value: value == b"\x03\x02\x07\x80",
    _NAMES: lambda value: True,  # noqa: ARG005  # read by _uri
    "2.5.29.35": lambda value: len(value) == 24 and value.startswith(b"\x30\x16\x80\x14"),
    _EXTENDED_USAGE: lambda value: value == bytes.fromhex("300a06082b06010505070303"),
    "1.3.6.1.4.1.11129.2.4.2": _is_one_timestamp,
}
"""SHA-1 key ids, digitalSignature alone, codeSigning alone: what Fulcio writes."""
