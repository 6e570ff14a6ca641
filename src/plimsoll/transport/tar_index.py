"""TarIndex: where the files of a tar archive lie, found once from its headers; nothing is ever extracted."""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Final, cast

from plimsoll import limits
from plimsoll.errors import ContentError
from plimsoll.transport.stores import read_at, wrapped

_HEADER_BYTES: Final = 1 * limits.MIB
"""One extended header of a tar file: tarfile would read whatever length it states into memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A file's bytes in the archive."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TarIndex:
    """Regular files by name, and links by name with the name that each points to, inside the archive.

    ``ended`` says that the block of zeros stands behind the last member: without it something may have been cut off.
    """

    files: Mapping[str, Member]
    links: Mapping[str, str]
    ended: bool


class _Headers:
    """What tarfile reads headers from; it refuses to read more at once than a header may have."""

    def __init__(self, handle: int, path: str) -> None:
        self._handle = handle
        self._path = path
        self._at = 0

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _HEADER_BYTES:
            raise ContentError(f"{self._path} has a tar header of {size} bytes")
        data = read_at(self._handle, self._at, size, expected=size)
        self._at += len(data)
        return data

    def seek(self, at: int) -> None:
        if at < 0:
            raise ContentError(f"{self._path} has a tar header that points before its beginning")
        self._at = at

    def tell(self) -> int:
        return self._at


def index_tar(handle: int, path: str) -> TarIndex:
    """Find the files and links of a tar file; what could be read two ways is refused whole.

    Raises ContentError for two members of one name, names and links that lead out of the archive, devices, and what is
    no tar file; UnreachableError where reading fails.
    """
    files: dict[str, Member] = {}
    links: dict[str, str] = {}
    count, before = 0, -1
    try:
        tar = tarfile.TarFile(fileobj=cast("IO[bytes]", _Headers(handle, path)), mode="r")
        while (entry := tar.next()) is not None:
            # tarfile keeps what it has seen for look-ups that are not made here.
            tar.members.clear()  # type: ignore[attr-defined]  # typeshed leaves this old attribute out
            count += 1
            # Python before 3.11.14 follows a negative size backwards for ever (CVE-2025-8194).
            if entry.offset <= before or entry.size < 0 or count > limits.ARCHIVE_MEMBERS:
                raise ContentError(f"{path}: the archive's headers go round in circles or never end")
            before = entry.offset
            name = _checked_name(entry, path)
            if entry.isdir():
                continue
            if name in files or name in links:
                raise ContentError(f"{path} has two members named {name[:160]!r}")
            if entry.issym() or entry.islnk():
                links[name] = _target(entry, name, path)
            else:
                files[name] = Member(offset=entry.offset_data, size=entry.size)
        ended = _ended(handle, path, tar.offset)
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        raise ContentError(f"{path} is no tar file that can be read: {error}") from error
    except OSError as error:
        raise wrapped(error, path) from error
    return TarIndex(files=files, links=links, ended=ended)


def _ended(handle: int, path: str, at: int) -> bool:
    """Whether the end is marked where tarfile stopped; it stops without a word at a cut or damaged header, too.

    skopeo reads an archive that ends at the edge of a member without the mark (Go's archive/tar does), so we do.
    """
    block = read_at(handle, at, tarfile.BLOCKSIZE, expected=tarfile.BLOCKSIZE)
    if block and block != bytes(tarfile.BLOCKSIZE):
        raise ContentError(f"{path} is no tar file that can be read: the header at byte {at} is cut or damaged")
    return bool(block)


def _checked_name(entry: tarfile.TarInfo, path: str) -> str:
    """The member's name without detours; raises ContentError for devices and for paths that climb."""
    name = posixpath.normpath(entry.name)
    if name.startswith("/") or ".." in entry.name.split("/"):
        raise ContentError(f"{path} has a member named {entry.name[:160]!r}, outside the archive")
    if entry.issparse() or not (entry.isdir() or entry.isreg() or entry.issym() or entry.islnk()):
        raise ContentError(f"{path}: {entry.name[:160]!r} is a device or a sparse file: regular files are read")
    return name


def _target(entry: tarfile.TarInfo, name: str, path: str) -> str:
    """The name that a link points to: a symbolic one from its own folder, a hard one from the archive's root."""
    start = posixpath.dirname(name) if entry.issym() else ""
    target = posixpath.normpath(posixpath.join(start, entry.linkname))
    if target == ".." or target.startswith(("/", "../")):
        raise ContentError(f"{path}: the link {name[:160]!r} points to {entry.linkname[:160]!r}, outside the archive")
    return target
