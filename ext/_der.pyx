"""DER, read strictly: a level at a time for whoever asks, and a certificate of the plain shape in one pass."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t

cimport cython

import datetime
import re

from plimsoll import limits
from plimsoll.errors import BadSignatureError
from plimsoll.native.fields import CertificateFields

cdef enum:
    BOOLEAN = 0x01
    INTEGER = 0x02
    BIT_STRING = 0x03
    OCTET_STRING = 0x04
    OBJECT_ID = 0x06
    UTF8_STRING = 0x0C
    PRINTABLE_STRING = 0x13
    UTC_TIME = 0x17
    GENERALIZED_TIME = 0x18
    SEQUENCE = 0x30
    SET = 0x31
    EXTENSIONS = 0xA3
    LENGTH_BYTES = 4
    INTEGER_BYTES = 64
    SERIAL_BYTES = 20
    NAME_PARTS = 8
    NAME_CHARS = 64

cdef Py_ssize_t most_elements = limits.DER_ELEMENTS
cdef Py_ssize_t most_extensions = limits.CERTIFICATE_EXTENSIONS
cdef object time_form = re.compile(rb"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\.\d{0,8}[1-9])?Z")


cdef Py_ssize_t content_at(const uint8_t *data, Py_ssize_t at, Py_ssize_t stop, Py_ssize_t *length) noexcept nogil:
    """Where the content begins whose length stands at ``at``; -1 for a length that is cut or not in its one form."""
    cdef Py_ssize_t first, size, position
    if at >= stop:
        return -1
    first = data[at]
    if first < 0x80:
        length[0] = first
        return at + 1
    size = first & 0x7F
    if size == 0 or size > LENGTH_BYTES or stop - at - 1 < size or data[at + 1] == 0:
        return -1
    length[0] = 0
    for position in range(size):
        length[0] = length[0] << 8 | data[at + 1 + position]
    return -1 if length[0] < 0x80 else at + 1 + size


cdef str said(object what):
    return what if isinstance(what, str) else f"{said(what[0])}.{what[1]}"


@cython.final
cdef class DerReader:
    """The elements of one level, taken in their order; every refusal is a BadSignatureError that names the field.

    ``what`` is what a message calls the level. Whoever has taken what there may be owes a call of ``end``.
    """

    cdef bytes data
    cdef object what
    cdef Py_ssize_t at, taken

    def __init__(self, bytes data not None, *, str what not None):
        self.data, self.what, self.at, self.taken = data, what, 0, 0

    cpdef bint next_is(self, int tag):
        """Whether an element with this tag comes next: how an optional one is asked for."""
        return self.at < len(self.data) and (<const uint8_t *><const char *>self.data)[self.at] == tag

    cpdef bint at_end(self):
        """Whether nothing is left: how a list is gone through."""
        return self.at == len(self.data)

    def end(self):
        """Return if nothing is left."""
        if self.at != len(self.data):
            raise BadSignatureError(f"{said(self.what)} has {len(self.data) - self.at} bytes too many")

    cpdef bytes take(self, int tag, str name):
        """The content of the next element, which must have this tag."""
        cdef Py_ssize_t start = self.step(tag, name)
        return PyBytes_FromStringAndSize(<const char *>self.data + start, self.at - start)

    def take_whole(self, int tag, str name):
        """The next element with its tag and length, as it stands."""
        cdef Py_ssize_t begin = self.at
        self.step(tag, name)
        return PyBytes_FromStringAndSize(<const char *>self.data + begin, self.at - begin)

    def inside(self, int tag, str name):
        """A reader of what is inside the next element."""
        cdef DerReader inner = DerReader.__new__(DerReader)
        inner.data, inner.what, inner.at, inner.taken = self.take(tag, name), (self.what, name), 0, 0
        return inner

    def take_integer(self, str name):
        """The next element, an INTEGER in its shortest form (X.690 section 8.3.2)."""
        cdef bytes content = self.take(INTEGER, name)
        cdef const uint8_t *digits = <const uint8_t *><const char *>content
        if not 0 < len(content) <= INTEGER_BYTES:
            raise BadSignatureError(f"{said(self.what)}.{name} is an integer of {len(content)} bytes")
        if len(content) > 1 and (digits[0] == 0 or digits[0] == 0xFF) and (digits[0] ^ digits[1]) < 0x80:
            raise BadSignatureError(f"{said(self.what)}.{name} is an integer that is not in its shortest form")
        return int.from_bytes(content, "big", signed=True)

    def take_boolean(self, str name):
        """The next element, a BOOLEAN (X.690 section 11.1: 0 or 255)."""
        cdef bytes content = self.take(BOOLEAN, name)
        if content not in (b"\0", b"\xff"):
            raise BadSignatureError(f"{said(self.what)}.{name} is neither true nor false")
        return content == b"\xff"

    def take_time(self, str name):
        """The next element, a GeneralizedTime, as seconds since 1970."""
        cdef bytes content = self.take(GENERALIZED_TIME, name)
        found = time_form.fullmatch(content)
        if found is None:
            raise BadSignatureError(f"{said(self.what)}.{name} {content[:40]!r} is no UTC time to the second or finer")
        year, month, day, hour, minute, second = map(int, found.groups()[:6])
        try:
            whole = datetime.datetime(year, month, day, hour, minute, second, tzinfo=datetime.UTC)
        except ValueError as error:
            raise BadSignatureError(f"{said(self.what)}.{name} {content[:40]!r} is no time: {error}") from error
        return whole.timestamp() + float(found[7] or 0)

    cdef Py_ssize_t step(self, int tag, str name) except -1:
        """Where the content of the next element begins; the reader then stands behind it."""
        cdef const uint8_t *data = <const uint8_t *><const char *>self.data
        cdef Py_ssize_t stop = len(self.data), start, length = 0
        if self.at >= stop or data[self.at] != tag:
            raise BadSignatureError(f"{said(self.what)}.{name} is absent, or of another type")
        if self.taken == most_elements:
            raise BadSignatureError(f"{said(self.what)} has more than {most_elements} elements")
        self.taken += 1
        start = content_at(data, self.at + 1, stop, &length)
        if start < 0:
            raise BadSignatureError(f"{said(self.what)}.{name} is cut, or its length is not in DER's one form")
        if length > stop - start:
            raise BadSignatureError(f"{said(self.what)}.{name} is cut")
        self.at = start + length
        return start


cdef struct Walk:
    const uint8_t *data
    Py_ssize_t at
    Py_ssize_t stop


cdef Py_ssize_t take(Walk *walk, int tag) noexcept nogil:
    """Where the next element's content begins, -1 where it is not this one; the walk then stands behind it."""
    cdef Py_ssize_t start, length = 0
    if walk.at >= walk.stop or walk.data[walk.at] != tag:
        return -1
    start = content_at(walk.data, walk.at + 1, walk.stop, &length)
    if start < 0 or length > walk.stop - start:
        return -1
    walk.at = start + length
    return start


cdef bint enter(Walk *walk, int tag, Walk *inner) noexcept nogil:
    cdef Py_ssize_t start = take(walk, tag)
    if start < 0:
        return False
    inner.data, inner.at, inner.stop = walk.data, start, walk.at
    return True


cdef bytes cut(Walk *walk, Py_ssize_t begin):
    return PyBytes_FromStringAndSize(<const char *>walk.data + begin, walk.at - begin)


cdef bint is_plain(const uint8_t *data, Py_ssize_t size) noexcept nogil:
    """Whether these are 1 to 64 characters of PrintableString, which UTF8String writes alike."""
    cdef Py_ssize_t position
    cdef uint8_t each
    if size < 1 or size > NAME_CHARS:
        return False
    for position in range(size):
        each = data[position]
        if not (
            c"a" <= each <= c"z" or c"A" <= each <= c"Z" or c"'" <= each <= c":" and each != c"*"
            or each == c" " or each == c"=" or each == c"?"
        ):
            return False
    return True


cdef bint is_plain_name(Walk *walk) noexcept nogil:
    """Whether the next element is a Name of a few organisations and common names, each alone in its set."""
    cdef Walk name, part, pair
    cdef Py_ssize_t start, parts = 0
    if not enter(walk, SEQUENCE, &name):
        return False
    while name.at != name.stop:
        parts += 1
        if parts > NAME_PARTS or not enter(&name, SET, &part) or not enter(&part, SEQUENCE, &pair):
            return False
        start = take(&pair, OBJECT_ID)
        if start < 0 or pair.at - start != 3 or pair.data[start] != 0x55 or pair.data[start + 1] != 4:
            return False
        if pair.data[start + 2] != 3 and pair.data[start + 2] != 10:
            return False
        start = take(&pair, UTF8_STRING if pair.at < pair.stop and pair.data[pair.at] == UTF8_STRING
                     else PRINTABLE_STRING)
        if start < 0 or not is_plain(pair.data + start, pair.at - start) or pair.at != pair.stop or part.at != part.stop:
            return False
    return True


cdef int two_digits(const uint8_t *data) noexcept nogil:
    if not (c"0" <= data[0] <= c"9" and c"0" <= data[1] <= c"9"):
        return -1
    return (data[0] - c"0") * 10 + data[1] - c"0"


cdef long long utc_time(Walk *walk) noexcept nogil:
    """The next element, a UTCTime from 1970 to 2049, in seconds since 1970; -1 where it is none."""
    cdef Py_ssize_t start = take(walk, UTC_TIME)
    cdef const uint8_t *data
    cdef int year, month, day, hour, minute, second, last
    cdef long long years, days
    if start < 0 or walk.at - start != 13 or walk.data[start + 12] != c"Z":
        return -1
    data = walk.data + start
    year, month, day = two_digits(data), two_digits(data + 2), two_digits(data + 4)
    hour, minute, second = two_digits(data + 6), two_digits(data + 8), two_digits(data + 10)
    if year < 0 or 50 <= year < 70 or not 1 <= month <= 12 or not 1 <= day <= 31:
        return -1
    if not (0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 60):
        return -1
    year += 2000 if year < 50 else 1900
    last = 28 + (year % 4 == 0) if month == 2 else 31 - ((month - 1) % 7) % 2  # 2000 was a leap year
    if day > last:
        return -1
    # Howard Hinnant's days_from_civil: the year begins in March, so that the leap day is its last.
    years = year - (month <= 2)
    days = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1 + years * 365 + years // 4 - years // 100
    days += years // 400 - 719468
    return ((days * 24 + hour) * 60 + minute) * 60 + second


cdef bytes SHA256_ECDSA = bytes.fromhex("300a06082a8648ce3d040302")
cdef bytes SHA384_ECDSA = bytes.fromhex("300a06082a8648ce3d040303")
cdef bytes TIMESTAMPS = bytes.fromhex("2b06010401d679020402")
cdef bytes VERSION_3 = b"\xa0\x03\x02\x01\x02"


cdef bytes wrapped(int tag, bytes content):
    cdef Py_ssize_t length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    digits = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(digits))) + digits + content


def read_certificate(bytes der not None, /):
    """A version 3 certificate of the plain shape, signed with ECDSA; None leaves any other one to a full reader.

    The shape: names of common names and organisations alone, times from 1970 to 2049, no unique ids, some extensions
    and none of them twice; all in DER.
    """
    cdef Walk whole, outer, inner, validity
    cdef Py_ssize_t begin, start, signed_at, content_at_, serial_at, serial_end
    cdef long long first, last
    whole.data, whole.at, whole.stop = <const uint8_t *><const char *>der, 0, len(der)
    if not enter(&whole, SEQUENCE, &outer) or whole.at != whole.stop:
        return None
    signed_at = outer.at
    if not enter(&outer, SEQUENCE, &inner):
        return None
    signed = cut(&outer, signed_at)
    begin = outer.at
    if take(&outer, SEQUENCE) < 0:
        return None
    algorithm = cut(&outer, begin)
    if algorithm == SHA384_ECDSA:
        hash_name = "sha384"
    elif algorithm == SHA256_ECDSA:
        hash_name = "sha256"
    else:
        return None
    start = take(&outer, BIT_STRING)
    if start < 0 or outer.at != outer.stop or outer.at - start < 2 or outer.data[start] != 0:
        return None
    signature = cut(&outer, start + 1)
    content_at_ = inner.at
    if inner.stop - inner.at < 5 or PyBytes_FromStringAndSize(<const char *>inner.data + inner.at, 5) != VERSION_3:
        return None
    inner.at += 5
    serial_at = take(&inner, INTEGER)
    serial_end = inner.at
    if serial_at < 0 or not 1 <= serial_end - serial_at <= SERIAL_BYTES or inner.data[serial_at] >= 0x80:
        return None
    if inner.data[serial_at] == 0 and (serial_end - serial_at == 1 or inner.data[serial_at + 1] < 0x80):
        return None
    begin = inner.at
    if take(&inner, SEQUENCE) < 0 or cut(&inner, begin) != algorithm:
        return None
    begin = inner.at
    if not is_plain_name(&inner):
        return None
    issuer = cut(&inner, begin)
    if not enter(&inner, SEQUENCE, &validity):
        return None
    first, last = utc_time(&validity), -1
    if first >= 0:
        last = utc_time(&validity)
    if first < 0 or last < 0 or validity.at != validity.stop:
        return None
    begin = inner.at
    if not is_plain_name(&inner):
        return None
    subject = cut(&inner, begin)
    begin = inner.at
    if take(&inner, SEQUENCE) < 0:
        return None
    spki = cut(&inner, begin)
    head = PyBytes_FromStringAndSize(<const char *>inner.data + content_at_, inner.at - content_at_)
    found = read_extensions(&inner)
    if found is None:
        return None
    extensions, rest = found
    return CertificateFields(
        int.from_bytes(der[serial_at:serial_end], "big"),
        issuer,
        subject,
        first,
        last,
        spki,
        extensions,
        signed,
        None if rest is None else wrapped(SEQUENCE, head + wrapped(EXTENSIONS, wrapped(SEQUENCE, rest))),
        hash_name,
        signature,
    )


cdef tuple read_extensions(Walk *walk):
    """Each extension's OID, whether it is critical, and its value; and the list without CT timestamps, if that has some."""
    cdef Walk wrap, items, item
    cdef Py_ssize_t begin, start, without = 0
    cdef bint critical
    cdef list rest = []
    cdef dict found = {}
    if not enter(walk, EXTENSIONS, &wrap) or walk.at != walk.stop:
        return None
    if not enter(&wrap, SEQUENCE, &items) or wrap.at != wrap.stop or items.at == items.stop:
        return None
    while items.at != items.stop:
        begin = items.at
        if not enter(&items, SEQUENCE, &item):
            return None
        start = take(&item, OBJECT_ID)
        if start < 0:
            return None
        oid = cut(&item, start)
        critical = item.at < item.stop and item.data[item.at] == BOOLEAN
        if critical:
            start = take(&item, BOOLEAN)
            if start < 0 or item.at - start != 1 or item.data[start] != 0xFF:
                return None
        start = take(&item, OCTET_STRING)
        if start < 0 or item.at != item.stop or oid in found or len(found) == most_extensions:
            return None
        found[oid] = (oid, critical, cut(&item, start))
        if oid == TIMESTAMPS:
            without = 1
        else:
            rest.append(cut(&items, begin))
    return tuple(found.values()), b"".join(rest) if without and rest else None
