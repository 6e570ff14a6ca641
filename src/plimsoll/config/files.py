"""Files of the user's: read whole, once, within a cap, and without ever waiting for a pipe or a device."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from plimsoll.errors import ConfigError

SYSTEM_PLACES: Final = ("/etc/containers", "/usr/share/containers")
"""Where configuration lies that is not one user's, in the order of precedence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFile:
    """A file's bytes and its name; ``mode`` are its permission bits. The bytes may be secret, so they are not shown."""

    origin: str
    data: bytes = field(repr=False)
    mode: int = 0o600


def read_file(path: str, *, limit: int, error: type[ConfigError] = ConfigError) -> ConfigFile:
    """Read a regular file of at most ``limit`` bytes.

    Raises FileNotFoundError where there is none, so that a look-up can go on, and ``error`` for a directory, a pipe, a
    device, a file that may not be read or is larger. The message names the file and not what is in it.
    """
    try:
        # O_NONBLOCK: opening a named pipe would wait for its writer for ever.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{path!r} does not exist") from None
    except (OSError, ValueError) as cause:
        raise error(f"{path!r} cannot be opened: {_reason(cause)}") from None
    try:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):
            raise error(f"{path!r} is {_kind(mode)}; a regular file is needed")
        data = _read(handle, limit + 1)
    except OSError as cause:
        raise error(f"{path!r} cannot be read: {_reason(cause)}") from None
    finally:
        os.close(handle)
    if len(data) > limit:
        raise error(f"{path!r} has more than {limit} bytes")
    return ConfigFile(origin=path, data=data, mode=stat.S_IMODE(mode))


def read_first(paths: list[str], *, limit: int, error: type[ConfigError]) -> ConfigFile | None:
    """Read the first of ``paths`` that exists, None where none does; one that cannot be read ends the search."""
    for path in paths:
        with suppress(FileNotFoundError):
            return read_file(path, limit=limit, error=error)
    return None


def is_folder(path: str) -> bool:
    """Whether ``path`` leads to a folder; False for a text that can be no path."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)  # noqa: PTH116  # Path.is_dir raises for a name that is too long
    except (OSError, ValueError):
        return False


def home(environ: Mapping[str, str]) -> str:
    """The user's home: ``HOME``, else the user database's; "" where neither is an absolute path.

    A relative path is passed over, as the XDG base directory specification asks for its variables: the current
    directory is never a source of configuration.
    """
    named = environ.get("HOME", "")
    if Path(named).is_absolute():
        return named
    with suppress(KeyError):
        listed = pwd.getpwuid(os.getuid()).pw_dir
        if Path(listed).is_absolute():
            return listed
    return ""


def user_places(environ: Mapping[str, str]) -> list[str]:
    """The user's own ``containers`` folder: none, or one.

    Stricter than containers/image, which takes an ``XDG_CONFIG_HOME`` that is set and empty for the current directory.
    """
    named = environ.get("XDG_CONFIG_HOME", "")
    if Path(named).is_absolute():
        return [f"{named.rstrip('/')}/containers"]
    return [f"{found}/.config/containers" for found in [home(environ).rstrip("/")] if found]


def _read(handle: int, limit: int) -> bytes:
    chunks = []
    while limit > 0:
        chunk = os.read(handle, limit)
        if not chunk:
            break
        chunks.append(chunk)
        limit -= len(chunk)
    return b"".join(chunks)


def _reason(cause: OSError | ValueError) -> str:
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.lower()
    return "its name is no path"


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a directory"
    if stat.S_ISFIFO(mode):
        return "a pipe"
    return "a device or a socket"
