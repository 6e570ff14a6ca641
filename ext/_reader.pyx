"""One pass from bytes to a JSON value or to a manifest's members; the scanning is in json_scan.c.

The specification is native/_reader_py.py: what is refused, in which order, and with which kind.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.dict cimport PyDict_SetItem, PyDict_Size
from cpython.long cimport PyLong_FromLongLong
from cpython.mem cimport PyMem_Realloc, PyMem_Free
from cpython.object cimport PyObject
from libc.math cimport isinf
from libc.stdint cimport uint8_t
from libc.string cimport memcmp, memcpy

from plimsoll import limits
from plimsoll.errors import ReadError
from plimsoll.native.fields import DescriptorFields, ManifestFields, PlatformFields


cdef extern from "json_scan.h" nogil:
    ctypedef enum pl_kind:
        PL_OK, PL_SYNTAX, PL_UTF8, PL_DUPLICATE, PL_DEPTH, PL_NUMBER, PL_TOO_LARGE

    ctypedef struct pl_scan:
        const uint8_t *start
        const uint8_t *p
        const uint8_t *end
        pl_kind kind
        const char *what
        const uint8_t *where

    ctypedef struct pl_text:
        const uint8_t *bytes
        size_t len
        int ascii

    ctypedef struct pl_number:
        const uint8_t *bytes
        size_t len
        int is_integer

    ctypedef struct pl_name:
        const char *name
        size_t len

    enum:
        PL_NAME_MISTAKABLE

    void pl_scan_start(pl_scan *scan, const uint8_t *data, size_t len)
    void pl_scan_end(pl_scan *scan)
    int pl_fail(pl_scan *scan, pl_kind kind, const uint8_t *where, const char *what)
    int pl_scan_string(pl_scan *scan, pl_text *text)
    int pl_scan_number(pl_scan *scan, pl_number *number)
    int pl_scan_word(pl_scan *scan, const char *word, size_t len)
    int pl_find_name(const pl_text *text, const pl_name *names, int count)
    int pl_same_text(const pl_text *a, const pl_text *b)
    int pl_peek(pl_scan *scan)

cdef extern from "Python.h":
    object PyUnicode_New(Py_ssize_t size, unsigned int maxchar)
    void *PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    object PyUnicode_DecodeUTF8(const char *bytes, Py_ssize_t len, const char *errors)
    object PyLong_FromString(const char *digits, char **end, int base)

cdef extern from *:
    """
    /* A NamedTuple from its fields, past its Python-level __new__: as tuple.__new__ does for a subclass. */
    static PyObject *pl_named(PyObject *cls, PyObject *fields) {
        const Py_ssize_t count = PyTuple_GET_SIZE(fields);
        PyObject *const named = ((PyTypeObject *)cls)->tp_alloc((PyTypeObject *)cls, count);
        for (Py_ssize_t i = 0; named && i < count; i++)
            PyTuple_SET_ITEM(named, i, Py_NewRef(PyTuple_GET_ITEM(fields, i)));
        return named;
    }
    static double pl_double(const char *text) { return PyOS_string_to_double(text, NULL, NULL); }
    """
    object pl_named(object cls, tuple fields)
    double pl_double(const char *text) except? -1.0

cdef enum:
    CACHED = 128
    CACHED_LEN = 80
    FEW_NAMES = 16

cdef tuple KINDS = ("syntax", "syntax", "utf-8", "duplicate-key", "depth", "number", "too-large")
cdef int DEPTH_MOST = limits.JSON_DEPTH_MOST

cdef enum ManifestMember:
    SCHEMA_VERSION, MEDIA_TYPE, ARTIFACT_TYPE, CONFIG, LAYERS, MANIFESTS, SUBJECT, ANNOTATIONS, MANIFEST_MEMBERS

cdef pl_name[8] MANIFEST = [
    pl_name("schemaVersion", 13), pl_name("mediaType", 9), pl_name("artifactType", 12), pl_name("config", 6),
    pl_name("layers", 6), pl_name("manifests", 9), pl_name("subject", 7), pl_name("annotations", 11),
]

cdef enum DescriptorMember:
    D_MEDIA_TYPE, D_DIGEST, D_SIZE, D_ANNOTATIONS, D_PLATFORM, D_ARTIFACT_TYPE, D_URLS, D_DATA, DESCRIPTOR_MEMBERS

cdef pl_name[8] DESCRIPTOR = [
    pl_name("mediaType", 9), pl_name("digest", 6), pl_name("size", 4), pl_name("annotations", 11),
    pl_name("platform", 8), pl_name("artifactType", 12), pl_name("urls", 4), pl_name("data", 4),
]

cdef enum PlatformMember:
    P_OS, P_ARCHITECTURE, P_VARIANT, P_OS_VERSION, P_OS_FEATURES, PLATFORM_MEMBERS

cdef pl_name[5] PLATFORM = [
    pl_name("os", 2), pl_name("architecture", 12), pl_name("variant", 7), pl_name("os.version", 10),
    pl_name("os.features", 11),
]


@cython.final
@cython.no_gc
cdef class _Reader:
    cdef pl_scan scan
    cdef Py_buffer view
    cdef bint held
    cdef PyObject *cached[CACHED]   # borrowed from `kept`
    cdef list kept
    cdef pl_text *names             # the members met so far of every object that is open
    cdef size_t names_used, names_room
    cdef Py_ssize_t values_left     # how many more values may begin
    cdef str shape                  # the first wrong type; said only of a well-formed document
    cdef str inside                 # where the reader is, put into words only for a message: of the top level None,
    cdef Py_ssize_t index           # else a member, the position in its list or -1, and whether in its platform
    cdef bint in_platform

    cdef int open(self, object data, int max_depth, Py_ssize_t max_bytes, Py_ssize_t max_values) except 0:
        if not 1 <= max_depth <= DEPTH_MOST:
            raise ValueError(f"max_depth must be 1 to {DEPTH_MOST}, not {max_depth}")
        PyObject_GetBuffer(data, &self.view, PyBUF_SIMPLE)
        self.held = True
        self.kept = []
        self.values_left = max_values
        pl_scan_start(&self.scan, <const uint8_t *>self.view.buf, self.view.len)
        if self.view.len > max_bytes:
            self.fail(PL_TOO_LARGE, self.scan.start + max_bytes, "more bytes than allowed begin")
        if self.view.len >= 3 and memcmp(self.scan.start, b"\xef\xbb\xbf", 3) == 0:
            self.fail(PL_UTF8, self.scan.start, "a byte order mark")
        return self.count_value()

    def __dealloc__(self):
        pl_scan_end(&self.scan)
        PyMem_Free(self.names)
        if self.held:
            PyBuffer_Release(&self.view)

    # ---- what is wrong ---------------------------------------------------------------------------------------------

    cdef int refuse(self) except 0:
        offset = self.scan.where - self.scan.start
        raise ReadError(f"{self.scan.what.decode('ascii')} at byte {offset}", kind=KINDS[self.scan.kind], offset=offset)

    cdef int fail(self, pl_kind kind, const uint8_t *where, const char *what) except 0:
        pl_fail(&self.scan, kind, where, what)
        return self.refuse()

    cdef str place(self):
        cdef str place = self.inside
        if place is None:
            return ""
        if self.index >= 0:
            place = f"{place}[{self.index}]"
        return place + ".platform" if self.in_platform else place

    cdef int misshapen(self, str member, str wanted) except 0:
        cdef str place
        if self.shape is None:
            place = self.place()
            self.shape = f"{place}.{member} is not {wanted}" if place else f"{member} is not {wanted}"
        return 1

    # ---- scalars ---------------------------------------------------------------------------------------------------

    cdef int string(self, pl_text *text) except 0:
        return pl_scan_string(&self.scan, text) or self.refuse()

    cdef int key(self, pl_text *text) except 0:
        if pl_peek(&self.scan) != c'"':
            self.fail(PL_SYNTAX, self.scan.p, "a member's name was expected")
        return self.string(text)

    cdef int colon(self) except 0:
        if pl_peek(&self.scan) != c':':
            self.fail(PL_SYNTAX, self.scan.p, "a colon was expected")
        self.scan.p += 1
        return self.count_value()

    cdef int count_value(self) except 0:
        """One value more begins next."""
        if self.values_left <= 0:
            pl_peek(&self.scan)
            self.fail(PL_TOO_LARGE, self.scan.p, "more values than allowed begin")
        self.values_left -= 1
        return 1

    cdef object to_str(self, const pl_text *text):
        if not text.ascii:
            return PyUnicode_DecodeUTF8(<const char *>text.bytes, text.len, NULL)
        made = PyUnicode_New(text.len, 127)
        if text.len:
            memcpy(PyUnicode_DATA(made), text.bytes, text.len)
        return made

    cdef object to_known_str(self, const pl_text *text):
        """As to_str, for texts that come again and again: names, media types."""
        cdef size_t slot
        cdef PyObject *found
        if not text.ascii or not 0 < text.len <= CACHED_LEN:
            return self.to_str(text)
        slot = (text.len * 31 + text.bytes[0] * 7 + text.bytes[text.len - 1] * 3 + text.bytes[text.len >> 1]) % CACHED
        found = self.cached[slot]
        if (found != NULL and <size_t>PyUnicode_GET_LENGTH(<object>found) == text.len
                and memcmp(PyUnicode_DATA(<object>found), text.bytes, text.len) == 0):
            return <object>found
        made = self.to_str(text)
        if found == NULL:
            self.kept.append(made)
            self.cached[slot] = <PyObject *>made
        return made

    cdef object number(self, bint wanted):
        """The number, or None where it is only checked."""
        cdef pl_number number
        cdef char buffer[160]
        cdef double value
        cdef long long whole = 0
        cdef size_t i
        if not pl_scan_number(&self.scan, &number):
            self.refuse()
        if number.is_integer and not wanted:
            return None
        if number.is_integer and number.len <= 18:
            for i in range(number.bytes[0] == c'-', number.len):
                whole = whole * 10 + (number.bytes[i] - c'0')
            return PyLong_FromLongLong(-whole if number.bytes[0] == c'-' else whole)
        memcpy(buffer, number.bytes, number.len)  # json_scan.c caps the length at 128
        buffer[number.len] = 0
        if number.is_integer:
            return PyLong_FromString(buffer, NULL, 10)
        value = pl_double(buffer)
        if isinf(value):
            self.fail(PL_NUMBER, number.bytes, "a number beyond the range of a double")
        return value

    cdef int word(self, const char *word, size_t len) except 0:
        return pl_scan_word(&self.scan, word, len) or self.refuse()

    # ---- containers ------------------------------------------------------------------------------------------------

    cdef int enter(self, int depth) except 0:
        """Past an opening bracket; depth counts the containers that may still be opened."""
        if depth == 0:
            self.fail(PL_DEPTH, self.scan.p, "one container too deep begins")
        self.scan.p += 1
        return 1

    cdef bint empty(self, char closing) except -1:
        if pl_peek(&self.scan) != closing:
            if closing == c']':
                self.count_value()
            return False
        self.scan.p += 1
        return True

    cdef int more(self, char closing) except -1:
        """Past a comma: 1; past the closing bracket: 0."""
        cdef int byte = pl_peek(&self.scan)
        if byte != c',' and byte != closing:
            self.fail(PL_SYNTAX, self.scan.p, "a comma or a closing bracket was expected")
        self.scan.p += 1
        if byte != c',':
            return 0
        if closing == c']':
            self.count_value()
        return 1

    cdef int duplicate(self, const uint8_t *where) except 0:
        return self.fail(PL_DUPLICATE, where, "a member that the object already has")

    cdef object value(self, int depth):
        cdef int byte = pl_peek(&self.scan)
        cdef pl_text text
        if byte == c'"':
            self.string(&text)
            return self.to_str(&text)
        if byte == c'{':
            return self.object_value(depth)
        if byte == c'[':
            return self.array_value(depth)
        if byte == c't':
            self.word("true", 4)
            return True
        if byte == c'f':
            self.word("false", 5)
            return False
        if byte == c'n':
            self.word("null", 4)
            return None
        if byte == c'-' or c'0' <= byte <= c'9':
            return self.number(True)
        self.fail(PL_SYNTAX, self.scan.p, "no JSON value begins like this")

    cdef dict object_value(self, int depth):
        cdef dict members = {}
        cdef pl_text text
        cdef const uint8_t *where
        cdef Py_ssize_t count = 0
        self.enter(depth)
        if self.empty(c'}'):
            return members
        while True:
            pl_peek(&self.scan)
            where = self.scan.p
            self.key(&text)
            name = self.to_known_str(&text)
            self.colon()
            PyDict_SetItem(members, name, self.value(depth - 1))
            count += 1
            if PyDict_Size(members) != count:
                self.duplicate(where)
            if not self.more(c'}'):
                return members

    cdef list array_value(self, int depth):
        cdef list items = []
        self.enter(depth)
        if self.empty(c']'):
            return items
        while True:
            items.append(self.value(depth - 1))
            if not self.more(c']'):
                return items

    cdef object emptied(self, int depth, Py_ssize_t most):
        """The next value, but an object or list without what is in it, which has at most ``most`` values."""
        cdef int byte = pl_peek(&self.scan)
        cdef Py_ssize_t left = self.values_left
        if byte != c'{' and byte != c'[':
            return self.value(depth)
        self.values_left = most
        self.skip(depth)
        self.values_left = left
        return {} if byte == c'{' else []

    cdef object outline(self, int depth, str unread, Py_ssize_t max_unread):
        """As value, with ``unread`` of the outermost object emptied."""
        cdef dict members = {}
        cdef pl_text text
        cdef const uint8_t *where
        cdef Py_ssize_t count = 0
        if pl_peek(&self.scan) != c'{':
            return self.value(depth)
        self.enter(depth)
        depth -= 1
        if self.empty(c'}'):
            return members
        while True:
            pl_peek(&self.scan)
            where = self.scan.p
            self.key(&text)
            name = self.to_known_str(&text)
            self.colon()
            PyDict_SetItem(members, name, self.emptied(depth, max_unread) if name == unread else self.value(depth))
            count += 1
            if PyDict_Size(members) != count:
                self.duplicate(where)
            if not self.more(c'}'):
                return members

    # ---- members that are checked and left --------------------------------------------------------------------------

    cdef int skip(self, int depth) except 0:
        cdef int byte = pl_peek(&self.scan)
        cdef pl_text text
        if byte == c'"':
            return self.string(&text)
        if byte == c'{':
            return self.skip_object(depth)
        if byte == c'[':
            return self.skip_array(depth)
        if byte == c't':
            return self.word("true", 4)
        if byte == c'f':
            return self.word("false", 5)
        if byte == c'n':
            return self.word("null", 4)
        if byte == c'-' or c'0' <= byte <= c'9':
            self.number(False)
            return 1
        return self.fail(PL_SYNTAX, self.scan.p, "no JSON value begins like this")

    cdef int skip_array(self, int depth) except 0:
        self.enter(depth)
        if self.empty(c']'):
            return 1
        while True:
            self.skip(depth - 1)
            if not self.more(c']'):
                return 1

    cdef int skip_object(self, int depth) except 0:
        cdef pl_text text
        cdef const uint8_t *where
        cdef size_t base = self.names_used
        cdef set many = None
        self.enter(depth)
        if self.empty(c'}'):
            return 1
        while True:
            pl_peek(&self.scan)
            where = self.scan.p
            self.key(&text)
            self.colon()
            self.skip(depth - 1)
            many = self.add_name(base, &text, where, many)
            if not self.more(c'}'):
                self.names_used = base
                return 1

    cdef set add_name(self, size_t base, const pl_text *text, const uint8_t *where, set many):
        """Notes the member of the object whose names begin at base; a few are compared, many go into a set."""
        cdef size_t position, size
        cdef pl_text *room
        if many is None and self.names_used - base < FEW_NAMES:
            for position in range(base, self.names_used):
                if pl_same_text(&self.names[position], text):
                    self.duplicate(where)
            if self.names_used == self.names_room:
                size = 2 * self.names_room + FEW_NAMES
                room = <pl_text *>PyMem_Realloc(self.names, size * sizeof(pl_text))
                if room == NULL:
                    raise MemoryError
                self.names = room
                self.names_room = size
            self.names[self.names_used] = text[0]
            self.names_used += 1
            return None
        if many is None:
            many = {self.to_str(&self.names[position]) for position in range(base, self.names_used)}
        name = self.to_str(text)
        if name in many:
            self.duplicate(where)
        many.add(name)
        return many

    cdef set add_member(self, size_t base, int found, unsigned *seen, const pl_text *text, const uint8_t *where, set many):
        """As add_name, for an object with known members: for those a bit tells."""
        if found < 0:
            return self.add_name(base, text, where, many)
        if seen[0] >> found & 1:
            self.duplicate(where)
        seen[0] |= 1U << found
        return many

    # ---- members that a manifest has --------------------------------------------------------------------------------

    cdef bint null(self) except -1:
        if pl_peek(&self.scan) != c'n':
            return False
        self.word("null", 4)
        return True

    cdef object text_member(self, int depth, bint repeats, str member):
        cdef pl_text text
        if pl_peek(&self.scan) == c'"':
            self.string(&text)
            return self.to_known_str(&text) if repeats else self.to_str(&text)
        if not self.null():
            self.skip(depth)
            self.misshapen(member, "a string")
        return None

    cdef object integer_member(self, int depth, str member):
        cdef int byte = pl_peek(&self.scan)
        if byte == c'-' or c'0' <= byte <= c'9':
            number = self.number(True)
            if isinstance(number, int):
                return number
        elif self.null():
            return None
        else:
            self.skip(depth)
        self.misshapen(member, "an integer")
        return None

    cdef tuple texts_member(self, int depth, str member):
        cdef list texts = []
        cdef pl_text text
        if pl_peek(&self.scan) != c'[':
            if not self.null():
                self.skip(depth)
                self.misshapen(member, "a list of strings")
            return ()
        self.enter(depth)
        if self.empty(c']'):
            return ()
        while True:
            if pl_peek(&self.scan) == c'"':
                self.string(&text)
                texts.append(self.to_str(&text))
            else:
                self.skip(depth - 1)
                self.misshapen(member, "a list of strings")
            if not self.more(c']'):
                return tuple(texts)

    cdef dict text_map_member(self, int depth, str member):
        cdef dict texts = {}
        cdef pl_text text, content
        cdef const uint8_t *at
        cdef Py_ssize_t count = 0
        if pl_peek(&self.scan) != c'{':
            if not self.null():
                self.skip(depth)
                self.misshapen(member, "an object of strings")
            return None
        self.enter(depth)
        if self.empty(c'}'):
            return texts
        while True:
            pl_peek(&self.scan)
            at = self.scan.p
            self.key(&text)
            name = self.to_known_str(&text)
            self.colon()
            if pl_peek(&self.scan) == c'"':
                self.string(&content)
                PyDict_SetItem(texts, name, self.to_str(&content))
            else:
                self.skip(depth - 1)
                self.misshapen(member, "an object of strings")
                PyDict_SetItem(texts, name, None)
            count += 1
            if PyDict_Size(texts) != count:
                self.duplicate(at)
            if not self.more(c'}'):
                return texts

    cdef int unknown(self, int depth, const pl_text *text, int found) except 0:
        if found == PL_NAME_MISTAKABLE and self.shape is None:
            self.shape = (f"the member {self.to_str(text)!r} of {self.place() or 'the document'} differs from a known name only in"
                          " its case: two readers would see two documents")
        return self.skip(depth)

    cdef object platform(self, int depth):
        cdef pl_text text
        cdef const uint8_t *at
        cdef size_t base = self.names_used
        cdef set many = None
        cdef int found
        cdef unsigned seen = 0
        cdef object os = None, architecture = None, variant = None, os_version = None
        cdef tuple features = ()
        if pl_peek(&self.scan) != c'{':
            if not self.null():
                self.skip(depth)
                self.misshapen("platform", "an object")
            return None
        self.enter(depth)
        depth -= 1
        self.in_platform = True
        if not self.empty(c'}'):
            while True:
                pl_peek(&self.scan)
                at = self.scan.p
                self.key(&text)
                self.colon()
                found = pl_find_name(&text, PLATFORM, PLATFORM_MEMBERS)
                if found == P_OS:
                    os = self.text_member(depth, True, "os")
                elif found == P_ARCHITECTURE:
                    architecture = self.text_member(depth, True, "architecture")
                elif found == P_VARIANT:
                    variant = self.text_member(depth, True, "variant")
                elif found == P_OS_VERSION:
                    os_version = self.text_member(depth, True, "os.version")
                elif found == P_OS_FEATURES:
                    features = self.texts_member(depth, "os.features")
                else:
                    self.unknown(depth, &text, found)
                many = self.add_member(base, found, &seen, &text, at, many)
                if not self.more(c'}'):
                    break
        self.names_used = base
        self.in_platform = False
        return pl_named(PlatformFields, (os, architecture, variant, os_version, features))

    cdef object descriptor(self, int depth, str member, Py_ssize_t index):
        """The descriptor whose opening brace comes next."""
        cdef pl_text text
        cdef const uint8_t *at
        cdef size_t base = self.names_used
        cdef set many = None
        cdef int found
        cdef unsigned seen = 0
        cdef object media_type = None, digest = None, size = None, annotations = None, platform = None
        cdef object artifact_type = None, data = None
        cdef tuple urls = ()
        self.enter(depth)
        self.inside = member
        self.index = index
        depth -= 1
        if not self.empty(c'}'):
            while True:
                pl_peek(&self.scan)
                at = self.scan.p
                self.key(&text)
                self.colon()
                found = pl_find_name(&text, DESCRIPTOR, DESCRIPTOR_MEMBERS)
                if found == D_MEDIA_TYPE:
                    media_type = self.text_member(depth, True, "mediaType")
                elif found == D_DIGEST:
                    digest = self.text_member(depth, False, "digest")
                elif found == D_SIZE:
                    size = self.integer_member(depth, "size")
                elif found == D_ANNOTATIONS:
                    annotations = self.text_map_member(depth, "annotations")
                elif found == D_PLATFORM:
                    platform = self.platform(depth)
                elif found == D_ARTIFACT_TYPE:
                    artifact_type = self.text_member(depth, True, "artifactType")
                elif found == D_URLS:
                    urls = self.texts_member(depth, "urls")
                elif found == D_DATA:
                    data = self.text_member(depth, False, "data")
                else:
                    self.unknown(depth, &text, found)
                many = self.add_member(base, found, &seen, &text, at, many)
                if not self.more(c'}'):
                    break
        self.names_used = base
        self.inside = None
        return pl_named(DescriptorFields, (media_type, digest, size, annotations, platform, artifact_type, urls, data))

    cdef object descriptor_member(self, int depth, str member):
        if pl_peek(&self.scan) == c'{':
            return self.descriptor(depth, member, -1)
        if not self.null():
            self.skip(depth)
            self.misshapen(member, "an object")
        return None

    cdef tuple descriptors_member(self, int depth, str member, Py_ssize_t most, const char *what):
        cdef list descriptors = []
        cdef Py_ssize_t count = 0
        cdef int byte
        if pl_peek(&self.scan) != c'[':
            if not self.null():
                self.skip(depth)
                self.misshapen(member, "a list of objects")
            return None
        self.enter(depth)
        if self.empty(c']'):
            return ()
        while True:
            byte = pl_peek(&self.scan)
            if count >= most:
                self.fail(PL_TOO_LARGE, self.scan.p, what)
            count += 1
            if byte == c'{':
                descriptors.append(self.descriptor(depth - 1, member, len(descriptors)))
            else:
                self.skip(depth - 1)
                self.misshapen(member, "a list of objects")
            if not self.more(c']'):
                return tuple(descriptors)

    cdef object manifest(self, int depth, Py_ssize_t max_layers, Py_ssize_t max_manifests):
        cdef pl_text text
        cdef const uint8_t *at
        cdef int found
        cdef unsigned seen = 0
        cdef set many = None
        cdef list members = []
        cdef object schema_version = None, media_type = None, artifact_type = None, config = None, layers = None
        cdef object manifests = None, subject = None, annotations = None
        if pl_peek(&self.scan) != c'{':
            self.skip(depth)
            self.shape = "the document is not an object"
            return None
        self.enter(depth)
        depth -= 1
        if not self.empty(c'}'):
            while True:
                pl_peek(&self.scan)
                at = self.scan.p
                self.key(&text)
                self.colon()
                members.append(self.to_known_str(&text))
                found = pl_find_name(&text, MANIFEST, MANIFEST_MEMBERS)
                if found == SCHEMA_VERSION:
                    schema_version = self.integer_member(depth, "schemaVersion")
                elif found == MEDIA_TYPE:
                    media_type = self.text_member(depth, True, "mediaType")
                elif found == ARTIFACT_TYPE:
                    artifact_type = self.text_member(depth, True, "artifactType")
                elif found == CONFIG:
                    config = self.descriptor_member(depth, "config")
                elif found == LAYERS:
                    layers = self.descriptors_member(depth, "layers", max_layers, "more layers than allowed begin")
                elif found == MANIFESTS:
                    manifests = self.descriptors_member(depth, "manifests", max_manifests,
                                                        "more manifests than allowed begin")
                elif found == SUBJECT:
                    subject = self.descriptor_member(depth, "subject")
                elif found == ANNOTATIONS:
                    annotations = self.text_map_member(depth, "annotations")
                else:
                    self.unknown(depth, &text, found)
                many = self.add_member(0, found, &seen, &text, at, many)
                if not self.more(c'}'):
                    break
        return pl_named(ManifestFields, (schema_version, media_type, artifact_type, config, layers, manifests, subject,
                                         annotations, tuple(members)))

    cdef int finish(self) except 0:
        if pl_peek(&self.scan) != -1:
            self.fail(PL_SYNTAX, self.scan.p, "more data behind the document")
        if self.shape is not None:
            raise ReadError(self.shape, kind="shape")
        return 1


def read_json(data, /, *, int max_depth=limits.JSON_DEPTH * 2, Py_ssize_t max_bytes=limits.JSON_BYTES,
              Py_ssize_t max_values=limits.JSON_VALUES):
    """The value of one strict JSON document; ReadError says what is wrong and where."""
    cdef _Reader reader = _Reader.__new__(_Reader)
    reader.open(data, max_depth, max_bytes, max_values)
    value = reader.value(max_depth)
    reader.finish()
    return value


def read_outline(data, /, *, str unread not None, int max_depth=limits.JSON_DEPTH * 2,
                 Py_ssize_t max_bytes=limits.JSON_BYTES, Py_ssize_t max_values=limits.JSON_VALUES,
                 Py_ssize_t max_unread=limits.JSON_VALUES):
    """As read_json, but what is in the outermost object's member ``unread`` is only checked: it comes out empty."""
    cdef _Reader reader = _Reader.__new__(_Reader)
    reader.open(data, max_depth, max_bytes, max_values)
    value = reader.outline(max_depth, unread, max_unread)
    reader.finish()
    return value


def read_manifest(data, /, *, int max_depth=limits.JSON_DEPTH, Py_ssize_t max_bytes=limits.MANIFEST_BYTES,
                  Py_ssize_t max_values=limits.MANIFEST_VALUES, Py_ssize_t max_layers=limits.LAYERS,
                  Py_ssize_t max_manifests=limits.INDEX_CHILDREN):
    """The members of an OCI or Docker manifest or index that the model needs; all of the document is checked."""
    cdef _Reader reader = _Reader.__new__(_Reader)
    reader.open(data, max_depth, max_bytes, max_values)
    manifest = reader.manifest(max_depth, max_layers, max_manifests)
    reader.finish()
    return manifest
