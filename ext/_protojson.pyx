"""Protobuf's JSON form, read strictly: one message at a time, each field by its type; what is refused is said late."""

cimport cython

from plimsoll.errors import BundleInvalidError
from plimsoll.native._base64 import base64_decode
from plimsoll.native._protojson_py import decode_any

cdef enum:
    INT64_DIGITS = 19

cdef object MAX_INT64 = 2**63 - 1


cdef str said(object where):
    """``where`` is a text, or a message's and the name of a field in it, or a list's and the place in it."""
    if isinstance(where, str):
        return where
    outer, name = said(where[0]), where[1]
    if isinstance(name, int):
        return f"{outer}[{name}]"
    return f"{outer}.{name}" if outer else name


cdef object whole(object value):
    cdef str digits
    if isinstance(value, str):
        digits = value
        if not 0 < len(digits) <= INT64_DIGITS or not (digits.isascii() and digits.isdigit()):
            return None
        if digits[0] == "0" and len(digits) > 1:
            return None
        value = int(digits)
    return value if type(value) is int and 0 <= value <= MAX_INT64 else None  # to isinstance true is an int


@cython.final
cdef class Message:
    """One message's fields, of which none has been believed yet; ``where`` names it in errors, "" for the outermost.

    Every method raises BundleInvalidError for a value of another type or beyond its cap.
    """

    cdef dict fields
    cdef object place

    def __init__(self, value, *, dict names not None, str where not None):
        self.fill(value, names, where)

    cdef int fill(self, object value, dict names, object place) except -1:
        cdef dict fields = {}
        self.place = place
        if not isinstance(value, dict):
            raise BundleInvalidError(f"{said(place) or 'the bundle'} is no JSON object")
        for written, member in (<dict>value).items():
            name = names.get(written)
            if name is None:
                raise BundleInvalidError(f"{said(place) or 'the bundle'} has an unknown member {written!r:.160}")
            if name in fields:  # also where one is null, as protojson
                raise BundleInvalidError(f"{self.path(name)} is given twice, under both of its names")
            fields[name] = member
        self.fields = fields
        return 0

    @property
    def where(self):
        """What errors call the message."""
        return said(self.place)

    cpdef str path(self, str name):
        """What errors call that field."""
        return said((self.place, name))

    def has(self, str name):
        """Whether the field is there and not null."""
        return self.fields.get(name) is not None

    def one_of(self, *names):
        """Which single one of these fields is there."""
        found = [name for name in names if self.fields.get(name) is not None]
        if len(found) != 1:
            raise BundleInvalidError(
                f"{self.where or 'the bundle'} has {' and '.join(found) or 'none'} of {', '.join(names)}: not just one"
            )
        return found[0]

    def text(self, str name, *, Py_ssize_t limit):
        """A string of at most ``limit`` characters; "" where it is absent."""
        return self.characters(name, limit)

    cdef str characters(self, str name, Py_ssize_t limit):
        value = self.fields.get(name)
        if value is None:
            return ""
        if not isinstance(value, str) or len(<str>value) > limit:
            raise BundleInvalidError(f"{self.path(name)} is no text of at most {limit} characters")
        return value

    def some_text(self, str name, *, Py_ssize_t limit):
        """A string of 1 to ``limit`` characters."""
        found = self.characters(name, limit)
        if not found:
            raise BundleInvalidError(f"{self.path(name)} is missing or empty")
        return found

    def count(self, str name):
        """An int64 that is not negative, as a number or in a string; 0 where it is absent."""
        value = self.fields.get(name)
        found = 0 if value is None else whole(value)
        if found is None:
            raise BundleInvalidError(f"{self.path(name)} is no whole number from 0 to 2**63 - 1: {value!r:.80}")
        return found

    def known(self, str name, values):
        """An enum's value, given by name or number."""
        value = self.fields.get(name)
        if isinstance(value, str) or type(value) is int:
            found = values.get(value)
            if found is not None:
                return found
        raise BundleInvalidError(f"{self.path(name)} is {value!r:.80}, which is not known here")

    cdef bytes decoded(self, object value, str name, Py_ssize_t limit):
        if type(value) is str:
            data = base64_decode(value)
            if data is not None and len(<bytes>data) <= limit:
                return data
        return decode_any(value, limit=limit, where=self.path(name))

    def blob(self, str name, *, Py_ssize_t limit):
        """Bytes in base64; empty where it is absent."""
        value = self.fields.get(name)
        return b"" if value is None else self.decoded(value, name, limit)

    def some_blob(self, str name, *, Py_ssize_t limit):
        """Bytes in base64, at least one."""
        value = self.fields.get(name)
        found = b"" if value is None else self.decoded(value, name, limit)
        if not found:
            raise BundleInvalidError(f"{self.path(name)} is missing or empty")
        return found

    def blobs(self, str name, *, Py_ssize_t limit, Py_ssize_t most):
        """A list of at most ``most`` byte strings; none where it is absent."""
        return tuple([self.decoded(value, name, limit) for value in self.items(name, most)])

    def message(self, str name, dict names not None):
        """A message that must be there."""
        cdef Message inner
        value = self.fields.get(name)
        if value is None:
            raise BundleInvalidError(f"{self.path(name)} is missing")
        inner = Message.__new__(Message)
        inner.fill(value, names, (self.place, name))
        return inner

    def messages(self, str name, dict names not None, *, Py_ssize_t most):
        """A list of at most ``most`` messages; none where it is absent."""
        cdef Message inner
        cdef list found = []
        cdef tuple place = (self.place, name)
        for at, value in enumerate(self.items(name, most)):
            inner = Message.__new__(Message)
            inner.fill(value, names, (place, at))
            found.append(inner)
        return tuple(found)

    cdef list items(self, str name, Py_ssize_t most):
        value = self.fields.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise BundleInvalidError(f"{self.path(name)} is no list")
        if len(<list>value) > most:
            raise BundleInvalidError(f"{self.path(name)} has {len(<list>value)} members: at most {most}")
        return value
