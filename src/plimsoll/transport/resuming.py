"""A blob's bytes as one stream, though the transfer breaks off: resumed where it broke."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable

from plimsoll import limits
from plimsoll.errors import RegistryError, RequestTimeoutError, TransportError, UnreachableError
from plimsoll.model.descriptor import Descriptor
from plimsoll.transport.connections import BodyStream
from plimsoll.transport.http import HttpClient

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-[0-9]{1,19}/(?:[0-9]{1,19}|\*)", re.ASCII)
OpenAt = Callable[[int], Awaitable[BodyStream]]
"""Asks for the blob from this byte on."""


async def resumed(open_at: OpenAt, descriptor: Descriptor, client: HttpClient) -> AsyncIterator[bytes]:
    """The bytes as they come, NOT checked.

    Raises RequestTimeoutError where the whole comes slower than limits.STREAM_BYTES_PER_S, and what the last of
    too many breaks was.
    """
    budget_s = client.settings.timeout_s + descriptor.size / limits.STREAM_BYTES_PER_S
    offset = tried = progress = 0
    while True:
        body = await open_at(offset)
        try:
            async for chunk in _from_offset(body, offset, budget_s):
                offset += len(chunk)
                progress += len(chunk)
                yield chunk
                # What is longer than it says is the caller's to refuse, not ours to download.
                if offset > descriptor.size:
                    return
            if offset >= descriptor.size or body.is_delimited:
                # Shorter than its descriptor and yet whole: the caller refuses it by its count.
                return
            raise UnreachableError(f"{body.asked}: the connection was closed after {offset} of {descriptor.size} bytes")
        except TransportError as error:
            budget_s -= body.waited_s
            if budget_s <= 0:
                raise RequestTimeoutError(f"{error}; no time is left to resume") from error
            if progress >= limits.RESUME_BYTES:
                tried = progress = 0
            await client.pause(error, tried=tried)
            tried += 1
        finally:
            body.close()


async def _from_offset(body: BodyStream, offset: int, budget_s: float) -> AsyncIterator[bytes]:
    """The bytes from ``offset`` on, of a 206 that begins there or a 200 that begins at 0 (RFC 9110 section 15.3.7)."""
    skip = offset
    if body.status == 206:
        served = _CONTENT_RANGE.fullmatch(body.headers.get("Content-Range") or "")
        if served is None or int(served[1]) != offset:
            raise RegistryError(
                f"{body.asked}: asked to go on at byte {offset}, the registry sent another range", status=206
            )
        skip = 0
    async for chunk in body.chunks(budget_s=budget_s):
        if skip >= len(chunk):
            skip -= len(chunk)
        elif skip:
            yield chunk[skip:]
            skip = 0
        else:
            yield chunk
