"""Lookasides: signatures stored apart from the registry, one file or URL each (containers-registries.d(5)).

``BASE/REPOSITORY@sha256=HEX/signature-N``, read from N = 1 until one is missing. No credentials are ever sent there.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

from plimsoll import limits
from plimsoll.errors import ConfigError, ContentError, LimitExceededError, UnreachableError
from plimsoll.model.digest import Digest
from plimsoll.transport.base import Meter
from plimsoll.transport.http import HttpClient
from plimsoll.transport.numbered import read_numbered
from plimsoll.transport.stores import read_at, wrapped
from plimsoll.wire import Request, refusal

_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
"""HOST[:PORT]. A user and a password before it are refused: containers/image would send them."""
_QUERY: Final = "%!$&'()*+,;=:@/?-._~"
"""What stays as it is in a query (RFC 3986), which some stores want and which may be a secret: no message shows it."""
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
"""O_NONBLOCK: opening a named pipe would wait for its writer for ever."""
_PATH: Final = "/@=:~!$&'()*+,;-._"
_LOCAL: Final = frozenset({"", "localhost"})
"""The hosts of a file URL that mean this machine (RFC 8089); containers/image passes over any other."""


async def read_lookaside(
    client: HttpClient, meter: Meter, *, base: str, path: str, digest: Digest
) -> tuple[bytes, ...]:
    """All signatures of ``digest`` in the repository ``path`` below the URL ``base``; none is an empty tuple.

    Raises ConfigError for what is no file, http or https URL, TransportError where one could not be had, ContentError
    for what is no regular file, LimitExceededError past the caps.
    """
    url = _parse(base, path)
    folder = f"{unquote(url.path).rstrip('/')}/{path}@{digest.algorithm}={digest.hex}"
    if url.scheme == "file":
        return await _read_folder(folder, meter)
    return await read_numbered(
        lambda at: _read_url(client, meter, url, f"{folder}/signature-{at}"),
        where=f"{url.scheme}://{url.netloc}{quote(folder, safe=_PATH)}",
    )


def _parse(base: str, path: str) -> SplitResult:
    # The URL may hold a password, so a message shows no more of it than the scheme.
    try:
        url = urlsplit(base)
        port = url.port
    except ValueError:
        raise ConfigError(f"the lookaside of {path} is no URL: mend it in registries.d") from None
    match url.scheme:
        case "file" if url.netloc in _LOCAL and url.path.startswith("/") and "\0" not in unquote(url.path):
            return url
        case "http" | "https" if _HOST.fullmatch(url.netloc) and port != 0:
            return url
        case "http" | "https" if url.username is not None:
            raise ConfigError(f"the lookaside of {path} holds a user: no credentials are sent to one, take it out")
        case scheme:
            raise ConfigError(
                f"the lookaside of {path}, a {scheme or 'relative'} URL, cannot be read: write file:///PATH, "
                "http://HOST[:PORT]/PATH or https://HOST[:PORT]/PATH in registries.d"
            )


async def _read_folder(path: str, meter: Meter) -> tuple[bytes, ...]:
    """The signatures in a folder of the user's own: opened once, symbolic links in it are followed."""
    try:
        folder = os.open(path, _FOLDER)
    except FileNotFoundError:
        _refuse_dangling(path, shown=path)
        return ()
    except NotADirectoryError as error:
        raise UnreachableError(f"{path} is no folder, or lies in what is none") from error
    except OSError as error:
        raise wrapped(error, path) from error

    async def read(at: int) -> bytes:
        return _read_file(folder, f"signature-{at}", path, meter)

    try:
        return await read_numbered(read, where=path)
    finally:
        os.close(folder)


def _read_file(folder: int, name: str, path: str, meter: Meter) -> bytes:
    try:
        handle = os.open(name, _FILE, dir_fd=folder)
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            _refuse_dangling(name, shown=f"{path}/{name}", folder=folder)
        raise wrapped(error, f"{path}/{name}") from error
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise ContentError(f"{path}/{name} is no regular file")
        data = read_at(handle, 0, limits.PAYLOAD_BYTES + 1, expected=min(found.st_size, limits.PAYLOAD_BYTES))
    except OSError as error:
        raise wrapped(error, f"{path}/{name}") from error
    finally:
        os.close(handle)
    if len(data) > limits.PAYLOAD_BYTES:
        raise LimitExceededError(f"{path}/{name} has more than {limits.PAYLOAD_BYTES} bytes")
    meter.bytes += len(data)
    return data


def _refuse_dangling(name: str, *, shown: str, folder: int | None = None) -> None:
    """Raise UnreachableError for a link that leads nowhere: what it meant is lost, not absent."""
    with suppress(OSError):
        os.stat(name, dir_fd=folder, follow_symlinks=False)
        raise UnreachableError(f"{shown} is a symbolic link that leads nowhere")


async def _read_url(client: HttpClient, meter: Meter, url: SplitResult, path: str) -> bytes:
    host = client.host(url.netloc, scheme=url.scheme)
    query = f"?{quote(url.query, safe=_QUERY)}" if url.query else ""
    request = Request(target=quote(path, safe=_PATH) + query)
    reply = await client.get(host, request, limit=limits.PAYLOAD_BYTES, meter=meter)
    if reply.status != 200:
        raise refusal(reply.status, reply.body, asked=f"{url.scheme}://{url.netloc}{request.path}")
    return reply.body
