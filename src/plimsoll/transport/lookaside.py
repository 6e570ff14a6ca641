"""Lookasides: signatures stored apart from the registry, one file or URL each (containers-registries.d(5)).

``BASE/REPOSITORY@sha256=HEX/signature-N``, read from N = 1 until one is missing. No credentials are ever sent there.
"""

from __future__ import annotations

import os
import re
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

from plimsoll import limits
from plimsoll.errors import ConfigError, LimitExceededError
from plimsoll.model.digest import Digest
from plimsoll.transport.base import Meter
from plimsoll.transport.http import HttpClient
from plimsoll.transport.numbered import read_numbered
from plimsoll.transport.stores import open_regular, read_at, resolve, wrapped
from plimsoll.wire import Request, refusal

_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
"""HOST[:PORT]. A user and a password before it are refused: containers/image would send them."""
_QUERY: Final = "%!$&'()*+,;=:@/?-._~"
"""What stays as it is in a query (RFC 3986), which some stores want and which may be a secret: no message shows it."""
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
        return await read_numbered(lambda at: _read_file(f"{folder}/signature-{at}", meter))
    return await read_numbered(lambda at: _read_url(client, meter, url, f"{folder}/signature-{at}"))


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


async def _read_file(path: str, meter: Meter) -> bytes:
    handle, found = open_regular(resolve(path))
    try:
        data = read_at(handle, 0, limits.PAYLOAD_BYTES + 1, expected=min(found.st_size, limits.PAYLOAD_BYTES))
    except OSError as error:
        raise wrapped(error, path) from error
    finally:
        os.close(handle)
    if len(data) > limits.PAYLOAD_BYTES:
        raise LimitExceededError(f"{path} has more than {limits.PAYLOAD_BYTES} bytes")
    meter.bytes += len(data)
    return data


async def _read_url(client: HttpClient, meter: Meter, url: SplitResult, path: str) -> bytes:
    host = client.host(url.netloc, scheme=url.scheme)
    query = f"?{quote(url.query, safe=_QUERY)}" if url.query else ""
    request = Request(target=quote(path, safe="/@=:~!$&'()*+,;-._") + query)
    reply = await client.get(host, request, limit=limits.PAYLOAD_BYTES, meter=meter)
    if reply.status != 200:
        raise refusal(reply.status, reply.body, asked=f"{url.scheme}://{url.netloc}{request.path}")
    return reply.body
