"""The blob half of the distribution API: pulls with ranges, pushes whole, in chunks or by mount."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from plimsoll import limits
from plimsoll.embedded import folder
from plimsoll.embedded.replies import byte_range, error_reply
from plimsoll.embedded.repository import Repository, parse_digest
from plimsoll.embedded.store import Store, parse_name
from plimsoll.embedded.uploads import Upload
from plimsoll.errors import StoreError
from plimsoll.model.digest import Digest

_CONTENT_RANGE: Final = re.compile(r"(?:bytes )?([0-9]{1,15})-([0-9]{1,15})(?:/.*)?", re.ASCII)
"""distribution-spec writes ``0-99``; some clients write RFC 9110's ``bytes 0-99/*``."""


class BlobHandlers:
    """The handlers of blobs and uploads."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def routes(self) -> list[web.RouteDef]:
        """The routes, with the longer paths first."""
        uploads, upload, blob = (
            "/v2/{name:.+}/blobs/uploads{slash:/?}",
            "/v2/{name:.+}/blobs/uploads/{upload}",
            "/v2/{name:.+}/blobs/{digest}",
        )
        return [
            web.post(uploads, self.begin),
            web.get(upload, self.progress, allow_head=False),
            web.patch(upload, self.append),
            web.put(upload, self.finish),
            web.delete(upload, self.cancel),
            web.get(blob, self.get_blob),
            web.delete(blob, self.delete_blob),
        ]

    # --- pulls ---------------------------------------------------------------------------------------------------
    async def get_blob(self, request: web.Request) -> web.StreamResponse:
        """GET and HEAD of a blob, whole or one range of it."""
        repository = self._store.repository(request.match_info["name"])
        digest = parse_digest(request.match_info["digest"])
        with repository.open_blob(digest) as (file, size):
            try:
                span = byte_range(request, size)
            except StoreError as error:
                fields = {"Content-Range": f"bytes */{size}"}
                return error_reply(str(error), refusal=error.refusal, status=416, headers=fields)
            headers = {
                "Content-Type": "application/octet-stream",
                "Docker-Content-Digest": str(digest),
                "Accept-Ranges": "bytes",
            }
            if span is not None:
                headers["Content-Range"] = f"bytes {span[0]}-{span[1] - 1}/{size}"
            start, stop = span or (0, size)
            status = 200 if span is None else 206
            if request.method == "HEAD":
                return web.Response(status=status, headers={**headers, "Content-Length": str(stop - start)})
            if stop - start <= limits.SERVED_AT_ONCE_BYTES:
                return web.Response(status=status, headers=headers, body=folder.read_span(file, start=start, stop=stop))
            return await _stream(request, web.StreamResponse(status=status, headers=headers), file, start, stop)

    async def delete_blob(self, request: web.Request) -> web.Response:
        """DELETE of a blob."""
        repository = self._store.repository(request.match_info["name"])
        await asyncio.to_thread(repository.delete_blob, parse_digest(request.match_info["digest"]))
        return web.Response(status=202)

    # --- pushes --------------------------------------------------------------------------------------------------
    async def begin(self, request: web.Request) -> web.Response:
        """POST: mount a blob, take a whole one, or begin an upload."""
        name = parse_name(request.match_info["name"])
        repository = self._store.repository(name, create=True)
        if "mount" in request.query and self._mount(repository, request):
            return _created(repository, parse_digest(request.query["mount"]))
        whole = parse_digest(request.query["digest"]) if "digest" in request.query else None
        upload = self._store.uploads.begin(name)
        if whole is None:
            return _accepted(upload, status=202)
        with self._store.uploads.taken(upload):
            try:
                await self._receive(request, upload)
            except BaseException:
                self._store.uploads.cancel(upload)  # nobody was told its name
                raise
            return await self._take(repository, upload, whole)

    def _mount(self, repository: Repository, request: web.Request) -> bool:
        digest, source = parse_digest(request.query["mount"]), request.query.get("from")
        if source is None:
            return repository.blob_size(digest) is not None
        try:
            return repository.mount_blob(digest, source=self._store.repository(source))
        except StoreError:
            return False  # distribution-spec: a mount that cannot be is answered with a new upload

    async def progress(self, request: web.Request) -> web.Response:
        """GET of an upload: how much of it is here."""
        return _accepted(self._upload(request), status=204)

    async def append(self, request: web.Request) -> web.Response:
        """PATCH: the next chunk of an upload."""
        upload = self._upload(request)
        with self._store.uploads.taken(upload):
            out_of_order = await self._receive_next(request, upload)
            if out_of_order is not None:
                return out_of_order
            return _accepted(upload, status=202)

    async def finish(self, request: web.Request) -> web.Response:
        """PUT: the last chunk, if any, and the digest of the whole."""
        repository = self._store.repository(request.match_info["name"])
        upload = self._upload(request)
        if "digest" not in request.query:
            raise StoreError("an upload ends with ?digest=", refusal="DIGEST_INVALID")
        digest = parse_digest(request.query["digest"])
        with self._store.uploads.taken(upload):
            out_of_order = await self._receive_next(request, upload)
            if out_of_order is not None:
                return out_of_order
            return await self._take(repository, upload, digest)

    async def cancel(self, request: web.Request) -> web.Response:
        """DELETE of an upload."""
        upload = self._upload(request)
        with self._store.uploads.taken(upload):
            self._store.uploads.cancel(upload)
        return web.Response(status=204)

    def _upload(self, request: web.Request) -> Upload:
        return self._store.uploads.find(parse_name(request.match_info["name"]), request.match_info["upload"])

    async def _receive_next(self, request: web.Request, upload: Upload) -> web.Response | None:
        """Receive a chunk; the 416 for one that is not the next (distribution-spec); raises StoreError for a lie."""
        span = _content_range(request)
        if span is None:
            await self._receive(request, upload)
            return None
        begin, end = span
        if begin != upload.offset:
            headers = _upload_headers(upload)
            message = f"the next byte of this upload is {upload.offset}, not {begin}"
            return error_reply(message, refusal="BLOB_UPLOAD_INVALID", status=416, headers=headers)
        length = request.content_length
        if length is not None and length != end - begin:
            raise _other_length(begin, end, length)
        try:
            await self._receive(request, upload, end=end)
            if upload.offset != end:
                raise _other_length(begin, end, upload.offset - begin)
        except StoreError:
            upload.rewind(begin)  # a chunk that lies about its place: none of it counts
            raise
        return None

    async def _receive(self, request: web.Request, upload: Upload, *, end: int | None = None) -> None:
        """Append the body; raises StoreError where it goes beyond ``end``."""
        begin = upload.offset
        async for chunk in _chunks(request):
            if end is not None and upload.offset + len(chunk) > end:
                raise _other_length(begin, end, upload.offset + len(chunk) - begin)
            await asyncio.to_thread(upload.append, chunk)

    async def _take(self, repository: Repository, upload: Upload, digest: Digest) -> web.Response:
        try:
            await asyncio.to_thread(repository.take_upload, self._store.uploads, upload, digest=digest)
        except StoreError:
            self._store.uploads.cancel(upload)  # other bytes than were announced: nothing can be added to mend them
            raise
        return _created(repository, digest)


async def _chunks(request: web.Request) -> AsyncIterator[bytes]:
    """The body in pieces worth a hand-over to a thread, whatever the socket gives."""
    held = bytearray()
    async for data in request.content.iter_any():
        held += data
        if len(held) >= limits.CHUNK_BYTES:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


async def _stream(
    request: web.Request, reply: web.StreamResponse, file: int, start: int, stop: int
) -> web.StreamResponse:
    reply.content_length = stop - start
    await reply.prepare(request)
    while start < stop:
        end = min(start + limits.CHUNK_BYTES, stop)
        chunk = await asyncio.to_thread(folder.read_span, file, start=start, stop=end)
        if len(chunk) != end - start:
            # The file shrank under us. A clean end would look like a whole body to a careless client.
            if request.transport is not None:
                request.transport.abort()
            return reply
        await reply.write(chunk)
        start = end
    await reply.write_eof()
    return reply


def _content_range(request: web.Request) -> tuple[int, int] | None:
    """The half-open span that a chunk says it is, None where it says nothing; raises StoreError."""
    asked = request.headers.get("Content-Range")
    if asked is None:
        return None
    found = _CONTENT_RANGE.fullmatch(asked)
    if found is None:
        raise StoreError(f"Content-Range {asked[:64]!r} is no START-END", refusal="BLOB_UPLOAD_INVALID")
    return int(found[1]), int(found[2]) + 1


def _other_length(begin: int, end: int, found: int) -> StoreError:
    return StoreError(f"{begin}-{end - 1} are not {found} bytes", refusal="BLOB_UPLOAD_INVALID")


def _upload_headers(upload: Upload) -> dict[str, str]:
    return {
        "Location": f"/v2/{upload.repository}/blobs/uploads/{upload.name}",
        "Range": f"0-{max(upload.offset - 1, 0)}",
        "Docker-Upload-UUID": upload.name,
    }


def _accepted(upload: Upload, *, status: int) -> web.Response:
    return web.Response(status=status, headers=_upload_headers(upload))


def _created(repository: Repository, digest: Digest) -> web.Response:
    headers = {"Location": f"/v2/{repository.name}/blobs/{digest}", "Docker-Content-Digest": str(digest)}
    return web.Response(status=201, headers=headers)
