"""Lookasides: signatures stored apart from the registry, one file or URL each (containers-registries.d(5)).

``BASE/REPOSITORY@sha256=HEX/signature-N``, read from N = 1 until one is missing. No credentials are ever sent there.
"""

from __future__ import annotations

import os
from urllib.parse import SplitResult, quote, unquote, urlsplit

from plimsoll import limits
from plimsoll.errors import ConfigError, LimitExceededError
from plimsoll.model.digest import Digest
from plimsoll.transport.base import Meter
from plimsoll.transport.http import HttpClient
from plimsoll.transport.numbered import read_numbered
from plimsoll.transport.stores import open_regular, read_at, resolve, wrapped
from plimsoll.wire import Request, refusal

async def read_lookaside(
    client: HttpClient, meter: Meter, *, base: str, path: str, digest: Digest
) -> tuple[bytes, ...]:
    """All signatures of ``digest`` in the repository ``path`` below the URL ``base``; none is an empty tuple.

    Raises ConfigError for a scheme but file, http and https, TransportError where one could not be had,
    LimitExceededError past the caps.
    """
    url = urlsplit(base)
    folder = f"{url.path.rstrip('/')}/{path}@{digest.algorithm}={digest.hex}"
    match url.scheme:
        case "file":
            return await read_numbered(lambda at: _read_file(f"{unquote(folder)}/signature-{at}", meter))
        case "http" | "https" if url.netloc and "@" not in url.netloc:
            return await read_numbered(lambda at: _read_url(client, meter, url, f"{folder}/signature-{at}"))
        case _:
            raise ConfigError(f"the lookaside {base[:200]!r} cannot be read: file:///PATH, http:// and https:// are")


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
    request = Request(target=quote(unquote(path), safe="/@=:~!$&'()*+,;-._"))
    reply = await client.get(host, request, limit=limits.PAYLOAD_BYTES, meter=meter)
    if reply.status != 200:
        raise refusal(reply.status, reply.body, asked=f"{url.scheme}://{url.netloc}{request.path}")
    return reply.body
