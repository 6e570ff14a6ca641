"""DER in plain Python: what ext/_der.pyx must equal, refusal for refusal.

Source: X.690 sections 8.1 and 10.1; RFC 5280 section 4.1.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final, Literal

from plimsoll import limits
from plimsoll.errors import BadSignatureError
from plimsoll.native.fields import CertificateFields

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
OBJECT_ID: Final = 0x06
UTF8_STRING: Final = 0x0C
PRINTABLE_STRING: Final = 0x13
UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18
SEQUENCE: Final = 0x30
SET: Final = 0x31
CONSTRUCTED_0: Final = 0xA0
CONSTRUCTED_3: Final = 0xA3

_INTEGER_BYTES: Final = 64
"""Serial numbers have at most 20 bytes (RFC 5280 section 4.1.2.2), nonces as many as a hash."""
_LENGTH_BYTES: Final = 4
# X.690 section 11.7: seconds always, UTC always, a fraction only without zeros at its end.
_TIME = re.compile(rb"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\.\d{0,8}[1-9])?Z")

_SERIAL_BYTES: Final = 20
_NAME_PARTS: Final = 8
_PLAIN_NAMES: Final = frozenset({b"\x55\x04\x03", b"\x55\x04\x0a"})
"""The OIDs of a common name and an organisation."""
# The characters of PrintableString (X.680 section 41.4), which UTF8String writes alike; as long as RFC 5280 lets both.
_PLAIN = re.compile(rb"[A-Za-z0-9 '()+,\-./:=?]{1,64}")
_UTC_TIME = re.compile(rb"\d{12}Z")
_ALGORITHMS: Final[dict[bytes, Literal["sha256", "sha384"]]] = {
    bytes.fromhex("300a06082a8648ce3d040302"): "sha256",
    bytes.fromhex("300a06082a8648ce3d040303"): "sha384",
}
"""AlgorithmIdentifiers of ECDSA (RFC 5758 section 3.2: without parameters)."""
_TIMESTAMPS: Final = bytes.fromhex("2b06010401d679020402")  # RFC 6962 section 3.3
_VERSION_3: Final = b"\xa0\x03\x02\x01\x02"


class DerReader:
    """The elements of one level, taken in their order; every refusal is a BadSignatureError that names the field.

    ``what`` is what a message calls the level. Whoever has taken what there may be owes a call of ``end``.
    """

    __slots__ = ("_at", "_data", "_taken", "_what")

    def __init__(self, data: bytes, *, what: str) -> None:
        self._data = data
        self._what = what
        self._at = 0
        self._taken = 0

    def next_is(self, tag: int) -> bool:
        """Whether an element with this tag comes next: how an optional one is asked for."""
        return self._at < len(self._data) and self._data[self._at] == tag

    def at_end(self) -> bool:
        """Whether nothing is left: how a list is gone through."""
        return self._at == len(self._data)

    def end(self) -> None:
        """Return if nothing is left."""
        if self._at != len(self._data):
            raise BadSignatureError(f"{self._what} has {len(self._data) - self._at} bytes too many")

    def take(self, tag: int, name: str) -> bytes:
        """The content of the next element, which must have this tag."""
        start, end = self._step(tag, name)
        return self._data[start:end]

    def take_whole(self, tag: int, name: str) -> bytes:
        """The next element with its tag and length, as it stands."""
        begin = self._at
        _, end = self._step(tag, name)
        return self._data[begin:end]

    def inside(self, tag: int, name: str) -> DerReader:
        """A reader of what is inside the next element."""
        return DerReader(self.take(tag, name), what=f"{self._what}.{name}")

    def take_integer(self, name: str) -> int:
        """The next element, an INTEGER in its shortest form (X.690 section 8.3.2)."""
        content = self.take(INTEGER, name)
        if not 0 < len(content) <= _INTEGER_BYTES:
            raise BadSignatureError(f"{self._what}.{name} is an integer of {len(content)} bytes")
        if len(content) > 1 and content[0] in (0, 0xFF) and (content[0] ^ content[1]) < 0x80:
            raise BadSignatureError(f"{self._what}.{name} is an integer that is not in its shortest form")
        return int.from_bytes(content, "big", signed=True)

    def take_boolean(self, name: str) -> bool:
        """The next element, a BOOLEAN (X.690 section 11.1: 0 or 255)."""
        content = self.take(BOOLEAN, name)
        if content not in (b"\0", b"\xff"):
            raise BadSignatureError(f"{self._what}.{name} is neither true nor false")
        return content == b"\xff"

    def take_time(self, name: str) -> float:
        """The next element, a GeneralizedTime, as seconds since 1970."""
        content = self.take(GENERALIZED_TIME, name)
        found = _TIME.fullmatch(content)
        if found is None:
            raise BadSignatureError(f"{self._what}.{name} {content[:40]!r} is no UTC time to the second or finer")
        year, month, day, hour, minute, second = map(int, found.groups()[:6])
        try:
            whole = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        except ValueError as error:
            raise BadSignatureError(f"{self._what}.{name} {content[:40]!r} is no time: {error}") from error
        return whole.timestamp() + float(found[7] or 0)

    def _step(self, tag: int, name: str) -> tuple[int, int]:
        """Where the content of the next element begins and ends; the reader then stands behind it."""
        if not self.next_is(tag):
            raise BadSignatureError(f"{self._what}.{name} is absent, or of another type")
        if self._taken == limits.DER_ELEMENTS:
            raise BadSignatureError(f"{self._what} has more than {limits.DER_ELEMENTS} elements")
        self._taken += 1
        start, length = self._length(self._at + 1, name)
        if length > len(self._data) - start:
            raise BadSignatureError(f"{self._what}.{name} is cut")
        self._at = start + length
        return start, self._at

    def _length(self, at: int, name: str) -> tuple[int, int]:
        """Where the content begins, and its length (X.690 sections 8.1.3 and 10.1)."""
        first = self._data[at] if at < len(self._data) else 0x80
        if first < 0x80:
            return at + 1, first
        size = first & 0x7F
        digits = self._data[at + 1 : at + 1 + size]
        length = int.from_bytes(digits, "big")
        if not 0 < size <= _LENGTH_BYTES or len(digits) < size or length < 0x80 or digits[0] == 0:
            raise BadSignatureError(f"{self._what}.{name} is cut, or its length is not in DER's one form")
        return at + 1 + size, length


def read_certificate(der: bytes, /) -> CertificateFields | None:
    """A version 3 certificate of the plain shape, signed with ECDSA; None leaves any other one to a full reader.

    The shape: names of common names and organisations alone, times from 1970 to 2049, no unique ids, some extensions
    and none of them twice; all in DER.
    """
    try:
        return _certificate(der)
    except BadSignatureError:
        return None


def _certificate(der: bytes) -> CertificateFields:
    outer = DerReader(der, what="certificate")
    whole = outer.inside(SEQUENCE, "content")
    outer.end()
    signed, algorithm = whole.take_whole(SEQUENCE, "tbsCertificate"), whole.take_whole(SEQUENCE, "signatureAlgorithm")
    hash_name = _ALGORITHMS.get(algorithm)
    signature = whole.take(BIT_STRING, "signature")
    whole.end()
    inner = DerReader(signed, what="signed").inside(SEQUENCE, "tbsCertificate")
    parts = [inner.take_whole(CONSTRUCTED_0, "version")]
    serial = inner.take_whole(INTEGER, "serialNumber")
    parts += [serial, inner.take_whole(SEQUENCE, "signature")]
    issuer = inner.take_whole(SEQUENCE, "issuer")
    validity = inner.take_whole(SEQUENCE, "validity")
    subject, spki = inner.take_whole(SEQUENCE, "subject"), inner.take_whole(SEQUENCE, "subjectPublicKeyInfo")
    parts += [issuer, validity, subject, spki]
    if parts[0] != _VERSION_3 or hash_name is None or parts[2] != algorithm or len(signature) < 2 or signature[0] != 0:
        raise BadSignatureError("another version, algorithm or form of signature")
    _check_plain_name(issuer)
    _check_plain_name(subject)
    times = DerReader(validity, what="tbs").inside(SEQUENCE, "validity")
    first, last = _utc_time(times), _utc_time(times)
    times.end()
    extensions, rest = _extensions(inner)
    return CertificateFields(
        serial=_positive(serial),
        issuer=issuer,
        subject=subject,
        not_before_s=first,
        not_after_s=last,
        spki=spki,
        extensions=extensions,
        signed=signed,
        precertificate=None if rest is None else _wrapped(SEQUENCE, b"".join(parts) + rest),
        hash_name=hash_name,
        signature=signature[1:],
    )


def _positive(whole: bytes) -> int:
    number = DerReader(whole, what="tbs").take_integer("serialNumber")
    if not 0 < number < 2 ** (8 * _SERIAL_BYTES - 1):
        raise BadSignatureError("a serial number that is not positive, or longer than 20 bytes")
    return number


def _check_plain_name(whole: bytes) -> None:
    name = DerReader(whole, what="name").inside(SEQUENCE, "rdnSequence")
    parts = 0
    while not name.at_end():
        part = name.inside(SET, "rdn")
        pair = part.inside(SEQUENCE, "pair")
        oid = pair.take(OBJECT_ID, "type")
        text = pair.take(UTF8_STRING if pair.next_is(UTF8_STRING) else PRINTABLE_STRING, "value")
        parts += 1
        if oid not in _PLAIN_NAMES or not _PLAIN.fullmatch(text) or parts > _NAME_PARTS:
            raise BadSignatureError("another name than a common name or organisation, or too many")
        pair.end()
        part.end()


def _utc_time(times: DerReader) -> int:
    """A UTCTime from 1970 to 2049 (RFC 5280 section 4.1.2.5.1), in seconds since 1970."""
    content = times.take(UTC_TIME, "time")
    if not _UTC_TIME.fullmatch(content):
        raise BadSignatureError("a UTCTime that has no seconds, or is not in UTC")
    year, month, day, hour, minute, second = [int(content[at : at + 2]) for at in range(0, 12, 2)]
    try:
        found = datetime(year + (2000 if year < 50 else 1900), month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as error:
        raise BadSignatureError(f"no time: {error}") from error
    if found.year < 1970:
        raise BadSignatureError("a time before 1970")
    return int(found.timestamp())


def _extensions(inner: DerReader) -> tuple[tuple[tuple[bytes, bool, bytes], ...], bytes | None]:
    """What they are, and the element they stand in without the CT timestamps; None where it has none of these."""
    wrapped = inner.inside(CONSTRUCTED_3, "extensions")
    inner.end()
    items = wrapped.inside(SEQUENCE, "list")
    wrapped.end()
    found: dict[bytes, tuple[bytes, bool, bytes]] = {}
    rest: list[bytes] = []
    while not items.at_end():
        whole = items.take_whole(SEQUENCE, "extension")
        item = DerReader(whole, what="list").inside(SEQUENCE, "extension")
        oid = item.take(OBJECT_ID, "extnID")
        critical = item.next_is(BOOLEAN)
        if critical and not item.take_boolean("critical"):
            raise BadSignatureError("a default that is written out")
        value = item.take(OCTET_STRING, "extnValue")
        item.end()
        if oid in found or len(found) == limits.CERTIFICATE_EXTENSIONS:
            raise BadSignatureError("an extension that is there twice, or too many of them")
        found[oid] = (oid, critical, value)
        if oid != _TIMESTAMPS:
            rest.append(whole)
    if not found:
        raise BadSignatureError("no extensions")
    if len(rest) == len(found) or not rest:
        return tuple(found.values()), None
    return tuple(found.values()), _wrapped(CONSTRUCTED_3, _wrapped(SEQUENCE, b"".join(rest)))


def _wrapped(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    digits = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(digits)]) + digits + content
