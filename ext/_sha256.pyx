"""SHA-256 in interleaved lanes: Python's buffers and descriptors in, digests out; the work is in sha256_*.c."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.number cimport PyNumber_Index
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

import errno
import os

from plimsoll.errors import FileHashError


cdef extern from "sha256_core.h" nogil:
    enum:
        PL_DIGEST
        PL_CHANGED
        PL_INTERRUPTED

    ctypedef struct pl_engine:
        const char *name
        unsigned lanes
        int (*usable)() noexcept nogil

    ctypedef struct pl_sha256:
        uint32_t h[8]
        uint64_t total

    ctypedef struct pl_span:
        const uint8_t *data
        size_t len
        size_t position

    ctypedef struct pl_update:
        pl_sha256 *stream
        const uint8_t *data
        size_t len

    ctypedef struct pl_failure:
        int error
        size_t position

    const pl_engine *pl_engine_at(size_t position)
    void pl_initial(uint32_t *h)
    void pl_hash_buffers(const pl_engine *engine, pl_span *spans, size_t count, uint8_t *digests)
    void pl_hash_updates(const pl_engine *engine, pl_update *updates, size_t count)
    void pl_hash_final(const pl_engine *engine, const pl_sha256 *stream, uint8_t *out)
    pl_failure pl_hash_files(const pl_engine *engine, const int *descriptors, size_t count, uint8_t *digests,
                             int (*interrupted)() noexcept nogil)


# Below this many bytes the hand-over of the GIL costs more than the hash.
cdef enum:
    KEEP_GIL_BELOW = 4096

cdef const pl_engine *engine = NULL


cdef int choose(str name) except -1:
    """The best usable engine, or the usable one of this name."""
    global engine
    cdef size_t position = 0
    cdef const pl_engine *found
    while True:
        found = pl_engine_at(position)
        if found == NULL:
            raise ValueError(f"no SHA-256 implementation {name!r} on this CPU; there are {', '.join(implementations())}")
        if found.usable() and (name is None or found.name.decode("ascii") == name):
            engine = found
            return 0
        position += 1


def implementations():
    """The names of all implementations that this CPU can run, best first."""
    cdef list names = []
    cdef size_t position = 0
    cdef const pl_engine *found = pl_engine_at(0)
    while found != NULL:
        if found.usable():
            names.append(found.name.decode("ascii"))
        position += 1
        found = pl_engine_at(position)
    return tuple(names)


def implementation():
    """The name of the implementation in use."""
    return engine.name.decode("ascii")


def force(str name not None):
    """Use the named implementation from now on, in the whole process: for tests."""
    choose(name)


cdef class Sha256:
    """One SHA-256 stream; not for two threads at once."""

    cdef pl_sha256 state
    cdef bint busy

    def __cinit__(self):
        pl_initial(self.state.h)

    def update(self, data, /):
        """Append the bytes of any contiguous buffer; large ones without the GIL."""
        update_streams(((self, data),))

    def digest(self):
        """The 32 bytes of the digest of all that was appended so far; more may follow."""
        cdef bytes out = PyBytes_FromStringAndSize(NULL, PL_DIGEST)
        self.ensure_idle()
        pl_hash_final(engine, &self.state, <uint8_t *><char *>out)
        return out

    def hexdigest(self):
        """The digest as 64 lower-case hexadecimal digits."""
        return self.digest().hex()

    def copy(self):
        """A second stream that goes on from here by itself."""
        cdef Sha256 twin = Sha256.__new__(Sha256)
        self.ensure_idle()
        twin.state = self.state
        return twin

    cdef int ensure_idle(self) except -1:
        if self.busy:
            raise RuntimeError("this Sha256 is being updated by another thread; give each thread a stream of its own")
        return 0


cdef class _Buffers:
    """Contiguous buffers, held from hold() until the object goes."""

    cdef Py_buffer *views
    cdef Py_ssize_t held

    def __cinit__(self, Py_ssize_t count):
        self.views = <Py_buffer *>PyMem_Calloc(count or 1, sizeof(Py_buffer))
        if self.views == NULL:
            raise MemoryError

    cdef Py_buffer *hold(self, data) except NULL:
        PyObject_GetBuffer(data, &self.views[self.held], PyBUF_SIMPLE)
        self.held += 1
        return &self.views[self.held - 1]

    def __dealloc__(self):
        for position in range(self.held):
            PyBuffer_Release(&self.views[position])
        PyMem_Free(self.views)


cdef object update_streams(tuple pairs):
    cdef Py_ssize_t count = len(pairs), position, total = 0
    cdef _Buffers buffers = _Buffers(count)
    cdef list streams = []
    cdef Sha256 stream
    cdef Py_buffer *view
    cdef pl_update *updates = <pl_update *>PyMem_Calloc(count or 1, sizeof(pl_update))
    if updates == NULL:
        raise MemoryError
    try:
        for position in range(count):
            stream, data = pairs[position]
            if stream is None:
                raise TypeError("a Sha256 is needed, not None")
            view = buffers.hold(data)
            if stream.busy:
                raise ValueError(f"pair {position}: this Sha256 is already being updated, by this call or another thread")
            stream.busy = True
            streams.append(stream)
            updates[position].stream = &stream.state
            updates[position].data = <const uint8_t *>view.buf
            updates[position].len = view.len
            total += view.len
        if total < KEEP_GIL_BELOW:
            pl_hash_updates(engine, updates, count)
        else:
            with nogil:
                pl_hash_updates(engine, updates, count)
    finally:
        for stream in streams:
            stream.busy = False
        PyMem_Free(updates)


def sha256_update_many(pairs, /):
    """Append to several streams in one call without the GIL, interleaved; ValueError where one is named twice."""
    update_streams(tuple(pairs))


cdef list split_digests(bytes digests, Py_ssize_t count):
    return [digests[position * PL_DIGEST:(position + 1) * PL_DIGEST] for position in range(count)]


def sha256_many(buffers, /):
    """The digests of many buffers of any lengths, in one call without the GIL; a lane that ends takes the next."""
    cdef tuple items = tuple(buffers)
    cdef Py_ssize_t count = len(items), position, total = 0
    cdef _Buffers held = _Buffers(count)
    cdef bytes digests = PyBytes_FromStringAndSize(NULL, count * PL_DIGEST)
    cdef uint8_t *out = <uint8_t *><char *>digests
    cdef Py_buffer *view
    cdef pl_span *spans = <pl_span *>PyMem_Calloc(count or 1, sizeof(pl_span))
    if spans == NULL:
        raise MemoryError
    try:
        for position in range(count):
            view = held.hold(items[position])
            spans[position].data = <const uint8_t *>view.buf
            spans[position].len = view.len
            spans[position].position = position
            total += view.len
        if total < KEEP_GIL_BELOW:
            pl_hash_buffers(engine, spans, count, out)
        else:
            with nogil:
                pl_hash_buffers(engine, spans, count, out)
    finally:
        PyMem_Free(spans)
    return split_digests(digests, count)


cdef inline void hash_one(const uint8_t *data, size_t size, uint8_t *out) noexcept nogil:
    cdef pl_span span
    span.data, span.len, span.position = data, size, 0
    pl_hash_buffers(engine, &span, 1, out)


def sha256_tree_root(bytes leaf not None, tuple siblings not None, /, *, uint64_t left):
    """The root of the tree (RFC 6962 section 2.1) in which ``siblings``, 32 bytes each, lead up from ``leaf``.

    Bit n of ``left`` says that the nth of them stands to the left. ValueError for more than 64 or one of another size.
    """
    cdef uint8_t[1 + 2 * PL_DIGEST] node
    cdef uint8_t[PL_DIGEST] found
    cdef const uint8_t *other
    cdef bytes whole
    if len(siblings) > 64:
        raise ValueError(f"{len(siblings)} siblings: at most 64")
    whole = b"\0" + leaf
    hash_one(<const uint8_t *><const char *>whole, len(whole), found)
    node[0] = 1
    for sibling in siblings:
        if type(sibling) is not bytes or len(sibling) != PL_DIGEST:
            raise ValueError("a sibling is no hash of 32 bytes")
        other = <const uint8_t *><const char *><bytes>sibling
        memcpy(&node[1 + PL_DIGEST if left & 1 else 1], found, PL_DIGEST)
        memcpy(&node[1 if left & 1 else 1 + PL_DIGEST], other, PL_DIGEST)
        hash_one(node, sizeof(node), found)
        left >>= 1
    return PyBytes_FromStringAndSize(<const char *>found, PL_DIGEST)


# The exception that ended the call waits in the thread state until sha256_files looks for it.
cdef int check_signals() noexcept with gil:
    try:
        PyErr_CheckSignals()
    except BaseException as interruption:  # noqa: BLE001 - handed on as it is
        pending_interruptions.append(interruption)
        return 1
    return 0


cdef list pending_interruptions = []


def sha256_files(descriptors, /):
    """The digests of open files, regular ones from their start through mmap, in one call without the GIL.

    FileHashError (an OSError) with ``index`` where one cannot be read or changes its size meanwhile.
    """
    cdef tuple items = tuple(descriptors)
    cdef Py_ssize_t count = len(items), position
    cdef bytes digests = PyBytes_FromStringAndSize(NULL, count * PL_DIGEST)
    cdef uint8_t *out = <uint8_t *><char *>digests
    cdef pl_failure failure
    cdef int *numbers = <int *>PyMem_Calloc(count or 1, sizeof(int))
    if numbers == NULL:
        raise MemoryError
    try:
        for position in range(count):
            numbers[position] = PyNumber_Index(items[position])  # a float is no descriptor
        with nogil:
            failure = pl_hash_files(engine, numbers, count, out, check_signals)
    finally:
        PyMem_Free(numbers)
    if failure.error == PL_INTERRUPTED:
        raise pending_interruptions.pop()
    if failure.error == PL_CHANGED:
        raise FileHashError(errno.EIO, "the file changed its size while it was hashed", index=failure.position)
    if failure.error:
        raise FileHashError(failure.error, os.strerror(failure.error), index=failure.position)
    return split_digests(digests, count)


choose(None)
