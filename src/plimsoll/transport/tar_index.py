"""TarIndex: where the files of a tar archive lie, found once from its headers; nothing is ever extracted."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from plimsoll import limits
from plimsoll.errors import ContentError, LimitExceededError
from plimsoll.transport.stores import read_at, wrapped
from plimsoll.transport.tar_headers import (
    BLOCK_BYTES,
    EXTENSIONS,
    ZEROS,
    Entry,
    Header,
    Kind,
    check_global,
    describe,
    is_whole,
    may_follow,
    parse_header,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A file's bytes in the archive."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TarIndex:
    """Regular files by name, and links by name with the name that each points to, inside the archive.

    ``hard`` are those of the links that are another name of a file, as tar writes a file of several names. ``ended``
    says that the block of zeros stands behind the last member: without it something may have been cut off.
    """

    files: Mapping[str, Member]
    links: Mapping[str, str]
    hard: frozenset[str]
    ended: bool


class _Tape:
    """A tar file from its first header to its end."""

    def __init__(self, handle: int, path: str) -> None:
        self._handle = handle
        self._path = path
        self._bytes = os.fstat(handle).st_size
        self._at = 0
        self._headers = 0
        self.ended = False

    def members(self) -> Iterator[tuple[Entry, int]]:
        """Each member with the offset of its bytes."""
        before: dict[Kind, bytes] = {}
        at, owed = self._at, False
        while (header := self._header()) is not None:
            try:
                may_follow(header.kind, before)
                owed = header.kind in EXTENSIONS or header.kind is Kind.GLOBAL
                if header.kind in EXTENSIONS:
                    before[header.kind] = self._extension(header)
                elif header.kind is Kind.GLOBAL:
                    check_global(self._extension(header))
                else:
                    entry = describe(header, before)
                    before = {}
                    yield entry, self._passed(entry.size)
            except ValueError as error:
                raise self._two_ways(at, error) from error
            at = self._at
        if owed:
            raise self._two_ways(at, "the archive ends where a member must follow an extended header")

    def _header(self) -> Header | None:
        """The next header, or None at the end, be it marked or not.

        skopeo reads an archive that ends at the edge of a member without the mark (Go's archive/tar does), so we do.
        """
        at, block = self._at, self._block()
        if not block:
            if not at:
                raise ContentError(f"{self._path} is no tar file that can be read: it is empty")
            return None
        if block == ZEROS:
            self.ended = True
            self._check_tail()
            return None
        if not is_whole(block):
            raise ContentError(
                f"{self._path} is no tar file that can be read: the header at byte {at} is cut or damaged"
            )
        # What an archive may have are headers: a chain of global ones has no members.
        self._headers += 1
        if self._headers > limits.ARCHIVE_MEMBERS:
            raise ContentError(f"{self._path}: the archive's headers never end: at most {limits.ARCHIVE_MEMBERS}")
        try:
            return parse_header(block)
        except ValueError as error:
            raise self._two_ways(at, error) from error

    def _block(self) -> bytes:
        block = read_at(self._handle, self._at, BLOCK_BYTES, expected=BLOCK_BYTES)
        self._at += len(block)
        return block

    def _extension(self, header: Header) -> bytes:
        if header.size > limits.TAR_EXTENSION_BYTES:
            raise LimitExceededError(
                f"{self._path} has a {header.kind.value} of {header.size} bytes: at most {limits.TAR_EXTENSION_BYTES}"
            )
        start = self._passed(header.size)
        data = read_at(self._handle, start, self._at - start, expected=self._at - start)
        # tarfile reads on into what fills the block.
        if any(data[header.size :]):
            raise ValueError(f"its {header.kind.value} goes on behind the {header.size} bytes that it says it has")
        return data[: header.size]

    def _passed(self, size: int) -> int:
        """Pass over a member's bytes, and give their offset; raises ContentError where they are not all there."""
        start = self._at
        end = start + -(-size // BLOCK_BYTES) * BLOCK_BYTES
        if end > self._bytes:
            raise ContentError(
                f"{self._path} is no tar file that can be read: it is cut: it ends inside the {size} bytes at {start}"
            )
        self._at = end
        return start

    def _check_tail(self) -> None:
        """Nothing but zeros lies behind the end: tar fills its last record with them, Go stops at the second block."""
        if self._bytes - self._at > limits.TAR_TAIL_BYTES:
            raise LimitExceededError(
                f"{self._path} goes on for {self._bytes - self._at} bytes behind its end: at most"
                f" {limits.TAR_TAIL_BYTES}"
            )
        tail = read_at(self._handle, self._at, limits.TAR_TAIL_BYTES, expected=self._bytes - self._at)
        if tail.strip(b"\0"):
            raise self._two_ways(self._at - BLOCK_BYTES, "there is more behind the zeros that mark the end")
        if 0 < len(tail) < BLOCK_BYTES:
            raise ContentError(f"{self._path} is no tar file that can be read: it is cut inside its end mark")

    def _two_ways(self, at: int, reason: object) -> ContentError:
        return ContentError(f"{self._path} could be read two ways: at the header at byte {at}, {reason}; pack it anew")


def index_tar(handle: int, path: str) -> TarIndex:
    """Find the files and links of a tar file; what could be read two ways is refused whole.

    Raises ContentError for two members of one name, names and links that lead out of the archive, devices, headers that
    readers understand differently, and what is no tar file; UnreachableError where reading fails.
    """
    files: dict[str, Member] = {}
    links: dict[str, str] = {}
    hard: set[str] = set()
    folders: set[str] = set()
    kept = 0
    try:
        tape = _Tape(handle, path)
        for entry, offset in tape.members():
            name = _checked_name(entry, path)
            is_folder = entry.kind is Kind.FOLDER
            if name in files or name in links or (name in folders and not is_folder):
                raise ContentError(f"{path} has two members named {name[:160]!r}")
            kept += len(name) + len(entry.target)
            if kept > limits.ARCHIVE_NAMES_BYTES:
                raise LimitExceededError(f"{path} has more than {limits.ARCHIVE_NAMES_BYTES} bytes of names")
            if is_folder:
                folders.add(name)
            elif entry.kind is Kind.FILE:
                files[name] = Member(offset=offset, size=entry.size)
            else:
                links[name] = _target(entry, name, path)
                if entry.kind is Kind.HARD_LINK:
                    hard.add(name)
    except OSError as error:
        raise wrapped(error, path) from error
    return TarIndex(files=files, links=links, hard=frozenset(hard), ended=tape.ended)


def _checked_name(entry: Entry, path: str) -> str:
    """The member's name without detours; raises ContentError for paths that climb."""
    name = posixpath.normpath(entry.name)
    if name.startswith("/") or ".." in entry.name.split("/"):
        raise ContentError(f"{path} has a member named {entry.name[:160]!r}, outside the archive")
    if name == "." and entry.kind is not Kind.FOLDER:
        raise ContentError(f"{path} has a {entry.kind.value} named {entry.name[:160]!r}, which is the archive's root")
    return name


def _target(entry: Entry, name: str, path: str) -> str:
    """The name that a link points to: a symbolic one from its own folder, a hard one from the archive's root."""
    start = posixpath.dirname(name) if entry.kind is Kind.SYMBOLIC_LINK else ""
    target = posixpath.normpath(posixpath.join(start, entry.target))
    if target == ".." or target.startswith(("/", "../")):
        raise ContentError(f"{path}: the link {name[:160]!r} points to {entry.target[:160]!r}, outside the archive")
    return target
