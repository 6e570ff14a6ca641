"""The OCI distribution API (distribution-spec 1.1) over a Store: manifests, tags, referrers; blobs lie in ``blobs``.

Read-only unless told otherwise. It serves whoever may connect: there is no login.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from plimsoll import limits
from plimsoll.embedded.blobs import BlobHandlers
from plimsoll.embedded.relations import Referrer
from plimsoll.embedded.replies import error_reply, json_reply, link, page_of, refused
from plimsoll.embedded.repository import Push, Repository, parse_digest
from plimsoll.embedded.store import Store
from plimsoll.errors import ContentError, StoreError
from plimsoll.model.descriptor import OCI_INDEX

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_READS: Final = frozenset({"GET", "HEAD"})


def application(store: Store, *, allow_push: bool) -> web.Application:
    """The web application over ``store``; raises ValueError for ``allow_push`` into a store that does not write."""
    if allow_push and not store.writable:
        raise ValueError("allow_push needs a Store opened with writable=True")
    app = web.Application(
        middlewares=[_version, _refusals] if allow_push else [_version, _refusals, _read_only],
        client_max_size=limits.MANIFEST_BYTES,
    )
    registry = RegistryHandlers(store)
    app.add_routes(
        [
            web.get("/v2/", registry.base),
            web.get("/v2/_catalog", registry.catalog),
            web.get("/v2/{name:.+}/tags/list", registry.tags),
            web.get("/v2/{name:.+}/referrers/{digest}", registry.referrers),
            web.get("/v2/{name:.+}/manifests/{reference}", registry.get_manifest),
            web.put("/v2/{name:.+}/manifests/{reference}", registry.put_manifest),
            web.delete("/v2/{name:.+}/manifests/{reference}", registry.delete_manifest),
        ]
    )
    app.add_routes(BlobHandlers(store).routes())
    return app


@web.middleware
async def _refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except StoreError as error:
        return refused(error)
    except web.HTTPRequestEntityTooLarge:
        return error_reply(f"a manifest has at most {limits.MANIFEST_BYTES} bytes", refusal="SIZE_INVALID", status=413)
    except web.HTTPException as error:
        allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        return error_reply(f"{error.reason}", refusal="UNSUPPORTED", status=error.status, headers=allow)
    except ContentError as error:
        return error_reply(f"the layout is broken: {error}", refusal="UNKNOWN", status=500)
    except ConnectionError:
        raise  # the client is gone: there is nobody to answer
    except OSError as error:
        return error_reply(f"the folder cannot be used: {error.strerror}", refusal="UNKNOWN", status=500)


@web.middleware
async def _version(request: web.Request, handler: Handler) -> web.StreamResponse:
    # docker's client takes a host without this field for no registry.
    reply = await handler(request)
    if not reply.prepared:
        reply.headers["Docker-Distribution-API-Version"] = "registry/2.0"
    return reply


@web.middleware
async def _read_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    if request.method not in _READS:
        raise StoreError("this registry is read-only: start it with --allow-push to write", refusal="UNSUPPORTED")
    return await handler(request)


class RegistryHandlers:
    """The handlers of manifests, tags and referrers."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def base(self, _: web.Request) -> web.Response:
        """GET /v2/: this is a registry."""
        return json_reply({})

    async def catalog(self, request: web.Request) -> web.Response:
        """GET /v2/_catalog: docker's list of repositories, which the spec leaves out."""
        names = await asyncio.to_thread(self._store.names)
        page = page_of(names, request.query, most=limits.SERVED_TAGS_PER_PAGE)
        return json_reply({"repositories": page.names}, headers=link("/v2/_catalog", page.following))

    async def tags(self, request: web.Request) -> web.Response:
        """GET tags/list, in pages."""
        repository = self._repository(request)
        page = page_of(repository.index().tags, request.query, most=limits.SERVED_TAGS_PER_PAGE)
        return json_reply(
            {"name": repository.name, "tags": page.names},
            headers=link(f"/v2/{repository.name}/tags/list", page.following),
        )

    async def get_manifest(self, request: web.Request) -> web.Response:
        """GET and HEAD of a manifest, by tag or digest."""
        repository, reference = self._repository(request), request.match_info["reference"]
        entry = repository.listed(reference)
        if entry is None:
            entry = await asyncio.to_thread(repository.manifest, reference)
        headers = {"Content-Type": entry.media_type, "Docker-Content-Digest": str(entry.digest)}
        return web.Response(body=repository.manifest_bytes(entry), headers=headers)

    async def put_manifest(self, request: web.Request) -> web.Response:
        """PUT of a manifest, under a tag or its digest."""
        repository = self._store.repository(request.match_info["name"], create=True)
        push = Push(
            data=await request.read(),
            reference=request.match_info["reference"],
            content_type=request.headers.get("Content-Type"),
        )
        stored = await asyncio.to_thread(repository.put_manifest, push)
        headers = {
            "Location": f"/v2/{repository.name}/manifests/{push.reference}",
            "Docker-Content-Digest": str(stored.entry.digest),
        }
        if stored.subject is not None:
            headers["OCI-Subject"] = str(stored.subject)
        return web.Response(status=201, headers=headers)

    async def delete_manifest(self, request: web.Request) -> web.Response:
        """DELETE of a tag, or of a manifest with its tags."""
        repository = self._repository(request)
        await asyncio.to_thread(repository.delete_manifest, request.match_info["reference"])
        return web.Response(status=202)

    async def referrers(self, request: web.Request) -> web.Response:
        """GET referrers of a digest, known or not, in pages; ``artifactType`` filters."""
        repository = self._repository(request)
        subject = parse_digest(request.match_info["digest"])
        found = await asyncio.to_thread(repository.referrers, subject)
        wanted, headers = request.query.get("artifactType"), dict[str, str]()
        if wanted is not None:
            found = tuple([referrer for referrer in found if referrer.artifact_type == wanted])
            headers["OCI-Filters-Applied"] = "artifactType"
        lines, last = _page(found, after=request.query.get("last", ""))
        if last is not None:
            query = urlencode({"last": last} | ({} if wanted is None else {"artifactType": wanted}))
            headers |= link(f"/v2/{repository.name}/referrers/{subject}", query)
        body = f'{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{",".join(lines)}]}}'.encode()
        return web.Response(body=body, headers={**headers, "Content-Type": OCI_INDEX})

    def _repository(self, request: web.Request) -> Repository:
        return self._store.repository(request.match_info["name"])


def _page(found: tuple[Referrer, ...], *, after: str) -> tuple[list[str], str | None]:
    """The lines that fit a page and the digest of the last one, None where no page follows."""
    lines: list[str] = []
    size = 0
    last = None
    for referrer in found:
        digest = str(referrer.entry.digest)
        if digest <= after:
            continue
        line = _line(referrer)
        size += len(line)
        if lines and size > limits.SERVED_REFERRERS_BYTES:
            return lines, last
        lines.append(line)
        last = digest
    return lines, None


def _line(referrer: Referrer) -> str:
    entry = referrer.entry
    line: dict[str, object] = {"mediaType": entry.media_type, "digest": str(entry.digest), "size": entry.size}
    if referrer.artifact_type is not None:
        line["artifactType"] = referrer.artifact_type
    if referrer.annotations:
        line["annotations"] = dict(referrer.annotations)
    return json.dumps(line, separators=(",", ":"))
