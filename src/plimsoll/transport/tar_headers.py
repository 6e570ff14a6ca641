"""Headers of a tar file, read strictly; pure: blocks of 512 bytes in, values out.

Go's archive/tar (skopeo, podman, docker), GNU tar, bsdtar and Python's tarfile give some headers different names, sizes
or kinds. Whoever can choose the headers could so have one image judged and another one run: what these four do not
read alike is refused here. Functions raise ValueError that says why; the caller adds the file and the place.

Sources: POSIX pax, "ustar Interchange Format" and "pax Header Block"; GNU tar manual, "Basic Tar Format"; tar(5).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from plimsoll import limits

BLOCK_BYTES: Final = 512
ZEROS: Final = bytes(BLOCK_BYTES)
"""A block that marks the end; there are two of them."""


class Kind(Enum):
    """What a header stands before."""

    FILE = "file"
    HARD_LINK = "hard link"
    SYMBOLIC_LINK = "symbolic link"
    FOLDER = "folder"
    RECORDS = "pax header"
    GLOBAL = "global pax header"
    LONG_NAME = "GNU long name"
    LONG_TARGET = "GNU long link name"


_FLAGS: Final[Mapping[int, Kind]] = {
    0: Kind.FILE,
    ord("0"): Kind.FILE,
    ord("1"): Kind.HARD_LINK,
    ord("2"): Kind.SYMBOLIC_LINK,
    ord("5"): Kind.FOLDER,
    ord("x"): Kind.RECORDS,
    ord("g"): Kind.GLOBAL,
    ord("L"): Kind.LONG_NAME,
    ord("K"): Kind.LONG_TARGET,
}
_POSIX: Final = b"ustar\0"
_GNU: Final = b"ustar  \0"
_LINKS: Final = frozenset({Kind.HARD_LINK, Kind.SYMBOLIC_LINK})
EXTENSIONS: Final = frozenset({Kind.RECORDS, Kind.LONG_NAME, Kind.LONG_TARGET})
"""Headers that say more of the member behind them."""

_NUMBER: Final = re.compile(rb" *[0-7]+[ \0]*|\0+")
_CHECKSUM: Final = slice(148, 156)
_NUMBERS: Final = ((100, 108), (108, 116), (116, 124), (136, 148))
"""mode, uid, gid, mtime: they are not needed, but Go refuses the archive over one that is no number."""
_DEVICE_NUMBERS: Final = ((329, 337), (337, 345))
_MOST_OCTAL: Final = 0o77777777777

_RECORD: Final = re.compile(rb"([1-9][0-9]{0,6}) ")
_DECIMAL: Final = re.compile(rb"(?:0|[1-9][0-9]{0,17})")
_TIME: Final = re.compile(rb"-?[0-9]{1,18}(?:\.[0-9]+)?")
_TEXT: Final = re.compile(rb"[^\0]+")
_VALUES: Final[Mapping[bytes, re.Pattern[bytes]]] = {
    **dict.fromkeys((b"path", b"linkpath", b"uname", b"gname"), _TEXT),
    **dict.fromkeys((b"size", b"uid", b"gid"), _DECIMAL),
    **dict.fromkeys((b"mtime", b"atime", b"ctime"), _TIME),
}
_COMMENT: Final = b"comment"
_IGNORED: Final = frozenset(
    {
        _COMMENT,
        b"RHT.security.selinux",
        *(b"SCHILY." + key for key in (b"dev", b"ino", b"nlink", b"fflags", b"devmajor", b"devminor")),
    }
)
_IGNORED_PREFIXES: Final = (b"SCHILY.xattr.", b"SCHILY.acl.", b"LIBARCHIVE.")
"""Records that change no name, size or kind in any reader. GNU.sparse.* and SCHILY.realsize do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """One block: its fields as they are, before extended headers change them; ``old`` is the kind flag NUL of 1979."""

    kind: Kind
    old: bool
    name: bytes
    prefix: bytes
    target: bytes
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A member as its headers together describe it; ``size`` are the bytes behind the last of them."""

    kind: Kind
    name: str
    target: str
    size: int


def is_whole(block: bytes) -> bool:
    """Whether the checksum is right; historic writers summed signed bytes, and every reader takes both."""
    field = block[_CHECKSUM]
    if len(block) != BLOCK_BYTES or not _NUMBER.fullmatch(field):
        return False
    stated = _octal(field)
    rest = block[:148] + b" " * 8 + block[156:]
    total = sum(rest)
    return stated == total or stated == total - 256 * sum([byte > 127 for byte in rest])


def parse_header(block: bytes) -> Header:
    """Read a block whose checksum is right; raises ValueError for what readers take differently."""
    kind = _FLAGS.get(block[156])
    if kind is None:
        raise ValueError(f"it is of the kind {block[156:157]!r}: a device, a sparse file or another special one")
    for start, end in _NUMBERS:
        if not _NUMBER.fullmatch(block, start, end):
            _binary(block[start:end])
    return Header(
        kind=kind,
        old=block[156] == 0,
        name=_text(block[:100]),
        prefix=_prefix(block),
        target=_text(block[157:257]),
        size=_size(block[124:136]),
    )


def _prefix(block: bytes) -> bytes:
    """The first part of a long name, which ustar has; elsewhere some readers see it and some see other fields."""
    for start, end in _DEVICE_NUMBERS:
        if not _NUMBER.fullmatch(block, start, end):
            _binary(block[start:end])
    if block[257:263] == _POSIX:
        prefix = block[345:500].rstrip(b"\0")
        # star keeps times here, and Go then reads a shorter prefix.
        if b"\0" in prefix or any(block[500:]):
            raise ValueError("what is behind its prefix is not empty")
        return prefix
    if block[257:265] != _GNU and any(block[257:265]):
        raise ValueError(f"it is of an unknown format: {block[257:265]!r}")
    if any(block[345:]):
        raise ValueError("it has fields of another format where some readers see the name's first part")
    return b""


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _octal(field: bytes) -> int:
    return int(field.strip(b" \0") or b"0", 8)


def _binary(field: bytes) -> int:
    """GNU's base 256: two's complement behind a first byte that is 0x80, or 0xff for what is negative."""
    if field[0] not in (0x80, 0xFF):
        raise ValueError(f"its field {field!r} is no number")
    value = int.from_bytes(field[1:]) if field[0] == 0x80 else int.from_bytes(field, signed=True)
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError(f"its field {field!r} is a number of more than 64 bits")
    return value


def _size(field: bytes) -> int:
    size = _octal(field) if _NUMBER.fullmatch(field) else _binary(field)
    if size < 0:
        raise ValueError(f"its size is {size}")
    return size


def may_follow(kind: Kind, before: Mapping[Kind, bytes]) -> None:
    """Check the order: before a member stands one pax header or GNU's long names, each once; raises ValueError.

    Where there are more, Go takes the last pax header only and prefers GNU's names; tarfile adds all up, the first one
    last; GNU tar takes the last name.
    """
    if not before or (kind not in EXTENSIONS and kind is not Kind.GLOBAL):
        return
    if kind in before or kind is Kind.RECORDS or Kind.RECORDS in before or kind is Kind.GLOBAL:
        raise ValueError(f"it is a {kind.value} behind a {next(iter(before)).value}")


def check_global(data: bytes) -> None:
    """Refuse a global pax header that says more than a comment (git archive's); raises ValueError.

    tarfile and GNU tar hold its records for all members, Go for none.
    """
    for key in parse_records(data):
        if key != _COMMENT:
            raise ValueError(f"it is a global pax header with {key[:80]!r}")


def parse_records(data: bytes) -> Mapping[bytes, bytes]:
    """The records of a pax header; raises ValueError for what is none, twice there, or unknown."""
    records: dict[bytes, bytes] = {}
    at = 0
    while at < len(data):
        length = _RECORD.match(data, at)
        end = at + int(length[1]) if length else 0
        if length is None or end > len(data) or data[end - 1] != 0x0A:
            raise ValueError(f"what is at byte {at} of the pax header is no record")
        key, equals, value = data[length.end() : end - 1].partition(b"=")
        if not equals or b"\0" in key:
            raise ValueError(f"what is at byte {at} of the pax header is no record")
        if key in records:
            raise ValueError(f"its pax header says {key[:80]!r} twice")
        _check_record(key, value)
        records[key] = value
        at = end
    return records


def _check_record(key: bytes, value: bytes) -> None:
    grammar = _VALUES.get(key)
    if grammar is None:
        if key not in _IGNORED and not key.startswith(_IGNORED_PREFIXES):
            raise ValueError(f"its pax header has {key[:80]!r}, which some readers obey")
    elif not grammar.fullmatch(value):
        raise ValueError(f"its pax header has a {key.decode()} of {value[:80]!r}")


def describe(header: Header, before: Mapping[Kind, bytes]) -> Entry:
    """The member of a header, with what the extended headers ``before`` say of it; raises ValueError."""
    records = parse_records(before.get(Kind.RECORDS, b""))
    own = header.prefix + b"/" + header.name if header.prefix else header.name
    name = records.get(b"path") or _long(Kind.LONG_NAME, before) or own
    target = records.get(b"linkpath") or _long(Kind.LONG_TARGET, before)
    if target and header.kind not in _LINKS:
        raise ValueError(f"it is a {header.kind.value} with the name of a link's target")
    kind = _kind(header, name)
    # bsdtar takes a link for none if the header itself names no target, whatever the others before it say.
    if kind in _LINKS and not header.target:
        raise ValueError(f"it is a {kind.value} to nothing")
    target = (target or header.target) if kind in _LINKS else b""
    size = _stated_size(header, records)
    if size and kind is not Kind.FILE:
        raise ValueError(f"it is a {kind.value} of {size} bytes")
    return Entry(kind=kind, name=_decoded(name), target=_decoded(target), size=size)


def _kind(header: Header, name: bytes) -> Kind:
    """The kind, in view of the slash at the end that made a file a folder in 1979."""
    if not name:
        raise ValueError("its name is empty")
    slash = name.endswith(b"/")
    # tarfile looks at the header's own name, the others at the one that counts in the end.
    if header.old and slash and header.name.endswith(b"/"):
        return Kind.FOLDER
    if header.kind is not Kind.FOLDER and (slash or (header.old and header.name.endswith(b"/"))):
        raise ValueError(f"it is a {header.kind.value} with a slash at the end of its name, as folders have")
    return header.kind


def _long(kind: Kind, before: Mapping[Kind, bytes]) -> bytes:
    """The text of a GNU header: it ends with NULs and has none inside; b"" where there is no such header."""
    if kind not in before:
        return b""
    text = before[kind].rstrip(b"\0")
    if not text or b"\0" in text:
        raise ValueError(f"its {kind.value} is empty, or has a NUL in it")
    return text


def _stated_size(header: Header, records: Mapping[bytes, bytes]) -> int:
    """The size; a pax record is for one that the header's field cannot say, and the field is 0 then.

    Readers that know no pax headers (busybox) go by the field, so nothing else may differ from it.
    """
    if b"size" not in records:
        return header.size
    size = int(records[b"size"])
    if size != header.size and (header.size or size <= _MOST_OCTAL):
        raise ValueError(f"its size is {header.size} in the header and {size} in the pax header")
    return size


def _decoded(name: bytes) -> str:
    if len(name) > limits.TAR_NAME_BYTES:
        raise ValueError(f"it has a name of {len(name)} bytes: at most {limits.TAR_NAME_BYTES}")
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise ValueError(f"its name {name[:160]!r} is no UTF-8, and readers differ in what they make of that") from None
