"""Strict JSON (RFC 8259) in plain Python: the specification that ext/_reader.pyx must equal.

Equal means: the same value, or a ReadError of the same kind at the same offset. Hence the order of the checks is fixed:
left to right; a string is judged byte by byte; a duplicate name is refused once its value has been read; what a number
is not ("1." or "01") ends the number and is then no place for the next byte. Manifest members of the wrong type are
spoken of only when the whole document is otherwise in order.
"""

from __future__ import annotations

import math
import re
from typing import Final, NoReturn

from typing_extensions import Buffer

from plimsoll import limits
from plimsoll.errors import ReadError, ReadErrorKind
from plimsoll.native.fields import DescriptorFields, JsonValue, ManifestFields, PlatformFields

_SPACE: Final = re.compile(rb"[ \t\n\r]*")
_NUMBER: Final = re.compile(rb"-?(?P<integer>0|[1-9][0-9]*)(?P<rest>(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)")
_PLAIN: Final = re.compile(rb"[ !#-\[\]-\x7f]*")
_ESCAPED_PAIR: Final = re.compile(rb"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_ESCAPED_UNIT: Final = re.compile(rb"\\u([0-9a-fA-F]{4})")
# Unicode 15, table 3-7: well-formed sequences of two bytes and more.
_SEQUENCE: Final = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}"
)
_SHORT_ESCAPES: Final = {
    b'\\"': '"', b"\\\\": "\\", b"\\/": "/", b"\\b": "\b", b"\\f": "\f", b"\\n": "\n", b"\\r": "\r", b"\\t": "\t",
}  # fmt: skip
_WORDS: Final[dict[bytes, tuple[bytes, bool | None]]] = {
    b"t": (b"true", True), b"f": (b"false", False), b"n": (b"null", None),
}  # fmt: skip

_FOLDS: Final = {0x17F: "s", 0x212A: "k"} | {upper: chr(upper + 32) for upper in range(ord("A"), ord("Z") + 1)}
_MANIFEST: Final = (
    "schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "subject", "annotations",
)  # fmt: skip
_DESCRIPTOR: Final = ("mediaType", "digest", "size", "annotations", "platform", "artifactType", "urls", "data")
_PLATFORM: Final = ("os", "architecture", "variant", "os.version", "os.features")


def read_json(
    data: Buffer, /, *, max_depth: int = limits.JSON_DEPTH * 2, max_bytes: int = limits.JSON_BYTES
) -> JsonValue:
    """The value of one strict JSON document; a container's depth is 1 more than that of what it stands in.

    ReadError where RFC 8259 or the caps are passed, a name is given twice in an object, a number has more than
    ``limits.JSON_INTEGER_DIGITS`` digits or no finite double; ValueError for a max_depth out of range.
    """
    if not 1 <= max_depth <= limits.JSON_DEPTH_MOST:
        raise ValueError(f"max_depth must be 1 to {limits.JSON_DEPTH_MOST}, not {max_depth}")
    reader = _Reader(bytes(memoryview(data).cast("B")))
    if len(reader.data) > max_bytes:
        reader.refuse("too-large", max_bytes, "more bytes than allowed begin")
    if reader.data.startswith(b"\xef\xbb\xbf"):
        reader.refuse("utf-8", 0, "a byte order mark")
    value = reader.value(max_depth)
    if reader.peek():
        reader.refuse("syntax", reader.at, "more data behind the document")
    return value


class _Reader:
    """A position in a document, and what can be read from there."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def refuse(self, kind: ReadErrorKind, offset: int, what: str) -> NoReturn:
        raise ReadError(f"{what} at byte {offset}", kind=kind, offset=offset)

    def peek(self) -> bytes:
        """The next byte that is not white space, empty at the end; it is not consumed."""
        space = _SPACE.match(self.data, self.at)
        self.at = space.end() if space else self.at
        return self.data[self.at : self.at + 1]

    def value(self, depth: int) -> JsonValue:
        byte = self.peek()
        if byte == b'"':
            return self.string()
        if byte == b"{":
            return self.object(depth)
        if byte == b"[":
            return self.array(depth)
        if byte in _WORDS:
            return self.word(*_WORDS[byte])
        return self.number()

    def word(self, word: bytes, value: bool | None) -> bool | None:  # noqa: FBT001 - the value that the word means
        if not self.data.startswith(word, self.at):
            self.refuse("syntax", self.at, "no JSON value begins like this")
        self.at += len(word)
        return value

    # ---- containers ------------------------------------------------------------------------------------------------

    def enter(self, depth: int) -> None:
        if depth == 0:
            self.refuse("depth", self.at, "one container too deep begins")
        self.at += 1

    def is_empty(self, closing: bytes) -> bool:
        if self.peek() != closing:
            return False
        self.at += 1
        return True

    def goes_on(self, closing: bytes) -> bool:
        byte = self.peek()
        if byte not in (b",", closing):
            self.refuse("syntax", self.at, "a comma or a closing bracket was expected")
        self.at += 1
        return byte == b","

    def object(self, depth: int) -> dict[str, JsonValue]:
        members: dict[str, JsonValue] = {}
        self.enter(depth)
        if self.is_empty(b"}"):
            return members
        while True:
            if self.peek() != b'"':
                self.refuse("syntax", self.at, "a member's name was expected")
            where = self.at
            name = self.string()
            if self.peek() != b":":
                self.refuse("syntax", self.at, "a colon was expected")
            self.at += 1
            value = self.value(depth - 1)
            if name in members:
                self.refuse("duplicate-key", where, "a member that the object already has")
            members[name] = value
            if not self.goes_on(b"}"):
                return members

    def array(self, depth: int) -> list[JsonValue]:
        items: list[JsonValue] = []
        self.enter(depth)
        if self.is_empty(b"]"):
            return items
        while True:
            items.append(self.value(depth - 1))
            if not self.goes_on(b"]"):
                return items

    # ---- scalars ---------------------------------------------------------------------------------------------------

    def number(self) -> int | float:
        found = _NUMBER.match(self.data, self.at)
        if found is None:
            self.refuse("syntax", self.at, "no JSON value begins like this")
        begin, self.at = self.at, found.end()
        if not found["rest"]:
            if len(found["integer"]) > limits.JSON_INTEGER_DIGITS:
                self.refuse("number", begin, "an integer of too many digits")
            return int(found[0])
        if len(found[0]) > limits.JSON_NUMBER_CHARS:
            self.refuse("number", begin, "a number of too many characters")
        number = float(found[0])
        if math.isinf(number):
            self.refuse("number", begin, "a number beyond the range of a double")
        return number

    def string(self) -> str:
        parts: list[str] = []
        self.at += 1
        while True:
            plain = _PLAIN.match(self.data, self.at)
            if plain is not None:
                parts.append(plain[0].decode("ascii"))
                self.at = plain.end()
            byte = self.data[self.at : self.at + 1]
            if byte == b'"':
                self.at += 1
                return "".join(parts)
            if not byte:
                self.refuse("syntax", self.at, "the string has no end")
            parts.append(self.escape() if byte == b"\\" else self.character(byte))

    def character(self, lead: bytes) -> str:
        if lead < b" ":
            self.refuse("syntax", self.at, "a control character in a string")
        sequence = _SEQUENCE.match(self.data, self.at)
        if sequence is None:
            self.refuse("utf-8", self.at, "no UTF-8")
        self.at = sequence.end()
        return sequence[0].decode()

    def escape(self) -> str:
        form = self.data[self.at : self.at + 2]
        if form in _SHORT_ESCAPES:
            self.at += 2
            return _SHORT_ESCAPES[form]
        if len(form) == 1:
            self.refuse("syntax", self.at + 1, "the string has no end")
        if form != b"\\u":
            self.refuse("syntax", self.at, "no such escape")
        if pair := _ESCAPED_PAIR.match(self.data, self.at):
            self.at = pair.end()
            return chr(0x10000 + ((int(pair[1], 16) - 0xD800) << 10) + (int(pair[2], 16) - 0xDC00))
        unit = _ESCAPED_UNIT.match(self.data, self.at)
        if unit is None:
            self.refuse("syntax", self.at, "\\u is not followed by four hexadecimal digits")
        code = int(unit[1], 16)
        if 0xD800 <= code <= 0xDFFF:
            self.refuse("utf-8", self.at, "a surrogate without its other half")
        self.at = unit.end()
        return chr(code)


# ---- manifests -------------------------------------------------------------------------------------------------------


def read_manifest(
    data: Buffer, /, *, max_depth: int = limits.JSON_DEPTH, max_bytes: int = limits.MANIFEST_BYTES
) -> ManifestFields:
    """The members of an OCI or Docker manifest or index that the model needs; all of the document is checked.

    Known members may be absent or null, unknown ones are passed over. ReadError as from read_json, and of the kind
    "shape" where a known member has another JSON type than the specification's, or where a name equals a known one but
    for its case: Go's encoding/json would read it as that one, so two readers would see two documents.
    """
    return manifest_fields(read_json(data, max_depth=max_depth, max_bytes=max_bytes))


def manifest_fields(document: JsonValue) -> ManifestFields:
    """The members of a document that is already read; ReadError of the kind "shape"."""
    if not isinstance(document, dict):
        raise ReadError("the document is not an object", kind="shape")
    _refuse_mistakable(document, _MANIFEST, "")
    return ManifestFields(
        schema_version=_integer(document, "schemaVersion", ""),
        media_type=_text(document, "mediaType", ""),
        artifact_type=_text(document, "artifactType", ""),
        config=_descriptor_member(document, "config"),
        layers=_descriptors(document, "layers"),
        manifests=_descriptors(document, "manifests"),
        subject=_descriptor_member(document, "subject"),
        annotations=_text_map(document, "annotations", ""),
        members=tuple(document),
    )


def _misshapen(where: str, member: str, wanted: str) -> NoReturn:
    raise ReadError(f"{where}.{member} is not {wanted}" if where else f"{member} is not {wanted}", kind="shape")


def _fold(name: str) -> str:
    """As Go's encoding/json folds the names of struct members: ASCII case, U+017F to s, U+212A to k."""
    return name.translate(_FOLDS)


def _refuse_mistakable(members: dict[str, JsonValue], known: tuple[str, ...], where: str) -> None:
    strangers = members.keys() - set(known)
    folded = {_fold(name) for name in known} if strangers else set()
    for name in strangers:
        if _fold(name) in folded:
            raise ReadError(
                f"the member {name!r} of {where or 'the document'} differs from a known name only in its case: two"
                " readers would see two documents",
                kind="shape",
            )


def _text(members: dict[str, JsonValue], name: str, where: str) -> str | None:
    value = members.get(name)
    if value is not None and not isinstance(value, str):
        _misshapen(where, name, "a string")
    return value


def _integer(members: dict[str, JsonValue], name: str, where: str) -> int | None:
    value = members.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        _misshapen(where, name, "an integer")
    return value


def _texts(members: dict[str, JsonValue], name: str, where: str) -> tuple[str, ...]:
    value = members.get(name)
    if value is None:
        return ()
    if not isinstance(value, list):
        _misshapen(where, name, "a list of strings")
    texts = tuple(item for item in value if isinstance(item, str))
    if len(texts) != len(value):
        _misshapen(where, name, "a list of strings")
    return texts


def _text_map(members: dict[str, JsonValue], name: str, where: str) -> dict[str, str] | None:
    value = members.get(name)
    if value is None:
        return None
    if not isinstance(value, dict):
        _misshapen(where, name, "an object of strings")
    texts = {key: text for key, text in value.items() if isinstance(text, str)}
    if len(texts) != len(value):
        _misshapen(where, name, "an object of strings")
    return texts


def _platform(members: dict[str, JsonValue], where: str) -> PlatformFields | None:
    value = members.get("platform")
    if value is None:
        return None
    if not isinstance(value, dict):
        _misshapen(where, "platform", "an object")
    where = f"{where}.platform"
    _refuse_mistakable(value, _PLATFORM, where)
    return PlatformFields(
        os=_text(value, "os", where),
        architecture=_text(value, "architecture", where),
        variant=_text(value, "variant", where),
        os_version=_text(value, "os.version", where),
        features=_texts(value, "os.features", where),
    )


def _descriptor(members: dict[str, JsonValue], where: str) -> DescriptorFields:
    _refuse_mistakable(members, _DESCRIPTOR, where)
    return DescriptorFields(
        media_type=_text(members, "mediaType", where),
        digest=_text(members, "digest", where),
        size=_integer(members, "size", where),
        annotations=_text_map(members, "annotations", where),
        platform=_platform(members, where),
        artifact_type=_text(members, "artifactType", where),
        urls=_texts(members, "urls", where),
        data=_text(members, "data", where),
    )


def _descriptor_member(document: dict[str, JsonValue], name: str) -> DescriptorFields | None:
    value = document.get(name)
    if value is None:
        return None
    if not isinstance(value, dict):
        _misshapen("", name, "an object")
    return _descriptor(value, name)


def _descriptors(document: dict[str, JsonValue], name: str) -> tuple[DescriptorFields, ...] | None:
    value = document.get(name)
    if value is None:
        return None
    if not isinstance(value, list):
        _misshapen("", name, "a list of objects")
    objects = [item for item in value if isinstance(item, dict)]
    if len(objects) != len(value):
        _misshapen("", name, "a list of objects")
    return tuple(_descriptor(item, f"{name}[{index}]") for index, item in enumerate(objects))
