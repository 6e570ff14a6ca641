"""RFC 8785 (JCS): a JSON value in, its canonical bytes out, in one walk; the byte loops are in jcs_text.c."""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_CheckExact, PyDict_Next, PyDict_Size
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.list cimport PyList_CheckExact
from cpython.long cimport PyLong_AsLongLongAndOverflow, PyLong_CheckExact
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_CheckExact
from cpython.unicode cimport PyUnicode_CheckExact
from libc.math cimport isfinite
from libc.stdlib cimport free

from plimsoll import limits
from plimsoll.errors import CanonicalizationError


cdef extern from "jcs_text.h" nogil:
    ctypedef struct pl_output:
        char *bytes
        size_t len

    ctypedef struct pl_member:
        const char *utf8
        size_t len
        void *value

    bint pl_put(pl_output *output, const char *bytes, size_t len)
    bint pl_put_string(pl_output *output, const char *utf8, size_t len)
    bint pl_put_number(pl_output *output, const char *shortest)
    bint pl_put_integer(pl_output *output, long long integer)
    void pl_sort_members(pl_member *members, size_t count)

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *len) except NULL
    char *PyOS_double_to_string(double value, char format, int precision, int flags, int *kind) except NULL

cdef enum:
    FEW = 16

cdef long long SAFE_INTEGER = (1LL << 53) - 1  # RFC 8785, appendix D; I-JSON, RFC 7493 section 2.2
cdef int DEPTH_MOST = limits.JSON_DEPTH_MOST


@cython.final
@cython.no_gc
cdef class _Writer:
    cdef pl_output output

    def __dealloc__(self):
        free(self.output.bytes)

    cdef int put(self, const char *bytes, size_t len) except 0:
        if not pl_put(&self.output, bytes, len):
            raise MemoryError
        return 1

    cdef int utf8(self, object text, const char **bytes, Py_ssize_t *len) except 0:
        try:
            bytes[0] = PyUnicode_AsUTF8AndSize(text, len)
        except UnicodeEncodeError as error:
            raise CanonicalizationError(f"a string has a lone surrogate at character {error.start}") from error
        return 1

    cdef int string(self, object text) except 0:
        cdef const char *bytes = NULL
        cdef Py_ssize_t len = 0
        self.utf8(text, &bytes, &len)
        if not pl_put_string(&self.output, bytes, len):
            raise MemoryError
        return 1

    cdef int integer(self, object number) except 0:
        cdef int overflow = 0
        cdef long long value = PyLong_AsLongLongAndOverflow(number, &overflow)
        if overflow or not -SAFE_INTEGER <= value <= SAFE_INTEGER:
            raise CanonicalizationError("an integer beyond 2**53 - 1 has no exact form in JSON numbers")
        if not pl_put_integer(&self.output, value):
            raise MemoryError
        return 1

    cdef int double(self, double value) except 0:
        cdef char *shortest
        if not isfinite(value):
            raise CanonicalizationError("NaN and infinity have no form in JSON")
        shortest = PyOS_double_to_string(value, c'r', 0, 0, NULL)
        try:
            if not pl_put_number(&self.output, shortest):
                raise MemoryError
        finally:
            PyMem_Free(shortest)
        return 1

    cdef int enter(self, int depth, const char *bracket) except 0:
        if depth == 0:
            raise CanonicalizationError("the value is nested too deeply")
        return self.put(bracket, 1)

    cdef int array(self, object items, int depth) except 0:
        cdef bint first = True
        self.enter(depth, b"[")
        for item in items:
            if not first:
                self.put(b",", 1)
            first = False
            self.value(item, depth - 1)
        return self.put(b"]", 1)

    cdef int object(self, dict members, int depth) except 0:
        cdef pl_member few[FEW]
        cdef pl_member *sorted_members = few
        cdef size_t count = PyDict_Size(members)
        self.enter(depth, b"{")
        if count > FEW:
            sorted_members = <pl_member *>PyMem_Malloc(count * sizeof(pl_member))
            if sorted_members == NULL:
                raise MemoryError
        try:
            self.collect(members, sorted_members)
            pl_sort_members(sorted_members, count)
            self.members(sorted_members, count, depth - 1)
        finally:
            if sorted_members != few:
                PyMem_Free(sorted_members)
        return self.put(b"}", 1)

    # No Python code runs between the collecting and the last use: only exact built-in types are let in, so the
    # borrowed values and the names' cached UTF-8 stay.
    cdef int collect(self, dict members, pl_member *into) except 0:
        cdef PyObject *name = NULL
        cdef PyObject *value = NULL
        cdef Py_ssize_t position = 0, len = 0
        while PyDict_Next(members, &position, &name, &value):
            if not PyUnicode_CheckExact(<object>name):
                raise CanonicalizationError(f"a member's name is a {type(<object>name).__name__}, not a str")
            self.utf8(<object>name, &into.utf8, &len)
            into.len = len
            into.value = <void *>value
            into += 1
        return 1

    cdef int members(self, pl_member *members, size_t count, int depth) except 0:
        cdef size_t position
        for position in range(count):
            if position:
                self.put(b",", 1)
            if not pl_put_string(&self.output, members[position].utf8, members[position].len):
                raise MemoryError
            self.put(b":", 1)
            self.value(<object>members[position].value, depth)
        return 1

    cdef int value(self, object value, int depth) except 0:
        if PyUnicode_CheckExact(value):
            return self.string(value)
        if PyDict_CheckExact(value):
            return self.object(value, depth)
        if PyList_CheckExact(value) or PyTuple_CheckExact(value):
            return self.array(value, depth)
        if value is None:
            return self.put(b"null", 4)
        if value is True:
            return self.put(b"true", 4)
        if value is False:
            return self.put(b"false", 5)
        if PyLong_CheckExact(value):
            return self.integer(value)
        if PyFloat_CheckExact(value):
            return self.double(PyFloat_AS_DOUBLE(value))
        raise CanonicalizationError(f"a {type(value).__name__} is no JSON value")


def jcs_encode(value, /, *, int max_depth=limits.JSON_DEPTH * 2):
    """The canonical bytes of a JSON value (RFC 8785); CanonicalizationError where it has none."""
    cdef _Writer writer = _Writer()
    if not 1 <= max_depth <= DEPTH_MOST:
        raise ValueError(f"max_depth must be 1 to {DEPTH_MOST}, not {max_depth}")
    writer.value(value, max_depth)
    return PyBytes_FromStringAndSize(writer.output.bytes, writer.output.len)
