"""Files that appear whole or not at all, below a folder that is held open; no link in it is followed."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from plimsoll.errors import SigningError

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def folder(path: str, *, create: bool = False) -> Iterator[int]:
    """A handle of the folder ``path``, made with its parents (mode 0755) if ``create``; raises SigningError."""
    try:
        if create:
            os.makedirs(path, mode=0o755, exist_ok=True)  # noqa: PTH103  # a text, as the rest here
        handle = os.open(path, _FOLDER)
    except (OSError, ValueError) as error:
        raise refused(error, path) from error
    try:
        yield handle
    finally:
        os.close(handle)


@contextmanager
def subfolder(above: int, name: str, *, path: str) -> Iterator[int]:
    """A handle of the folder ``name`` in another one, made where it is missing; ``path`` is for messages."""
    try:
        with suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=above)
        handle = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=above)
    except OSError as error:
        raise refused(error, path) from error
    try:
        yield handle
    finally:
        os.close(handle)


def put_file(handle: int, name: str, data: bytes, *, path: str) -> None:
    """Put ``data`` at ``name``, in place of what is there, in one step (rename(2)); raises SigningError."""
    with _temporary(handle, data, path=path) as temporary:
        os.rename(temporary, name, src_dir_fd=handle, dst_dir_fd=handle)


def add_file(handle: int, names: Iterable[str], data: bytes, *, path: str) -> str | None:
    """Put ``data`` at the first of ``names`` that is free, in one step (link(2)), and give it; None: none is free.

    Nothing that is there is changed, whoever else adds at the same time. Raises SigningError.
    """
    with _temporary(handle, data, path=path) as temporary:
        for name in names:
            with suppress(FileExistsError):
                os.link(temporary, name, src_dir_fd=handle, dst_dir_fd=handle, follow_symlinks=False)
                return name
    return None


@contextmanager
def _temporary(handle: int, data: bytes, *, path: str) -> Iterator[str]:
    """The name of a new file that holds ``data`` on disk; gone at the end unless it was renamed."""
    name = f".plimsoll-{secrets.token_hex(8)}"
    try:
        file = os.open(name, _NEW, 0o644, dir_fd=handle)
        try:
            with os.fdopen(file, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(file)
            yield name
        finally:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=handle)
    except OSError as error:
        raise refused(error, path) from error


def refused(error: OSError | ValueError, path: str) -> SigningError:
    """Our word for a failed system call at ``path``."""
    why = error.strerror if isinstance(error, OSError) and error.strerror else "its name is no path"
    return SigningError(f"{path} cannot be written: {why.lower()}")
