"""Standard base64, decoded and found canonical in one pass: the bytes, or None for every other text."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int8_t, uint8_t, uint32_t

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)

cdef int8_t[256] value_of


cdef void fill() noexcept:
    cdef const char *alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    cdef int position
    for position in range(256):
        value_of[position] = -1
    for position in range(64):
        value_of[<uint8_t>alphabet[position]] = <int8_t>position


def base64_decode(str text not None, /):
    """The bytes that ``text`` is the canonical standard base64 of (RFC 4648 section 3.5), None where it is of none."""
    cdef Py_ssize_t size = 0, position, padding = 0, whole
    cdef const uint8_t *found
    cdef uint8_t *out
    cdef int8_t a, b, c, d
    cdef uint32_t group
    cdef bytes data
    if not PyUnicode_IS_ASCII(text):
        return None
    found = <const uint8_t *>PyUnicode_AsUTF8AndSize(text, &size)
    if size % 4 != 0:
        return None
    if size == 0:
        return b""
    if found[size - 1] == b"=":
        padding = 2 if found[size - 2] == b"=" else 1
    data = PyBytes_FromStringAndSize(NULL, size // 4 * 3 - padding)
    out = <uint8_t *><char *>data
    whole = size - 4 if padding else size
    for position in range(0, whole, 4):
        a, b = value_of[found[position]], value_of[found[position + 1]]
        c, d = value_of[found[position + 2]], value_of[found[position + 3]]
        if (a | b | c | d) < 0:
            return None
        group = <uint32_t>a << 18 | <uint32_t>b << 12 | <uint32_t>c << 6 | <uint32_t>d
        out[0], out[1], out[2] = <uint8_t>(group >> 16), <uint8_t>(group >> 8), <uint8_t>group
        out += 3
    if not padding:
        return data
    a, b = value_of[found[whole]], value_of[found[whole + 1]]
    c = 0 if padding == 2 else value_of[found[whole + 2]]
    if (a | b | c) < 0 or (padding == 2 and b & 15) or (padding == 1 and c & 3):
        return None
    group = <uint32_t>a << 18 | <uint32_t>b << 12 | <uint32_t>c << 6
    out[0] = <uint8_t>(group >> 16)
    if padding == 1:
        out[1] = <uint8_t>(group >> 8)
    return data


fill()
