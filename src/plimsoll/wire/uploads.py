"""Writing to a registry (distribution-spec 1.1, "Pushing Blobs" and "Pushing Manifests"), as data.

A blob goes in two requests, POST then PUT with all of it: the one way that every registry offers.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from plimsoll import limits
from plimsoll.errors import InvalidReferenceError, RegistryError
from plimsoll.model.digest import Digest
from plimsoll.model.reference import is_tag
from plimsoll.wire.requests import Request

_BLOB: Final = (("Content-Type", "application/octet-stream"),)
_TARGET: Final = re.compile(r"/[\x21\x22\x24-\x7e]*", re.ASCII)
"""Path and query as they may stand on a request's line; no fragment."""


def begin_upload(path: str) -> Request:
    """Ask for a place to put a blob; the answer 202 names it in its Location."""
    return Request(method="POST", target=f"/v2/{path}/blobs/uploads/")


def upload_target(location: str | None, *, asked: str, host: str) -> str:
    """The path and query that a Location names, relative to the target ``asked``; ``host`` is the registry's own name.

    A scheme or port in it is not used: behind a proxy registries name their own. Raises RegistryError for another
    host's, where the payload would go without the registry's credentials, and for what is no target.
    """
    if not location:
        raise RegistryError(f"{host} takes an upload and names no Location for it", status=202)
    try:
        url = urlsplit(urljoin(f"http://{host}{asked}", location))
        there, own = url.hostname, urlsplit(f"http://{host}").hostname
    except ValueError:
        raise RegistryError(f"{host} names a Location for an upload that is no URL", status=202) from None
    if there != own:
        raise RegistryError(f"{host} wants an upload to go to another host; that is not done", status=202)
    target = f"{url.path}?{url.query}" if url.query else url.path
    if not _TARGET.fullmatch(target) or len(target) > limits.HEADER_BYTES:
        raise RegistryError(f"{host} names a Location for an upload that cannot be asked for", status=202)
    return target


def finish_upload(target: str, data: bytes, *, digest: Digest) -> Request:
    """Put all of a blob where ``begin_upload`` was told to; the answer is 201."""
    joint = "&" if "?" in target else "?"
    return Request(
        method="PUT", target=f"{target}{joint}digest={quote(str(digest), safe='')}", headers=_BLOB, body=data
    )


def put_manifest(path: str, data: bytes, *, tag: str, media_type: str) -> Request:
    """Put a manifest under a tag; the answer is 201. Raises InvalidReferenceError for what is no tag."""
    if not is_tag(tag):
        raise InvalidReferenceError(f"{tag[:160]!r} is outside the tag grammar")
    return Request(
        method="PUT", target=f"/v2/{path}/manifests/{tag}", headers=(("Content-Type", media_type),), body=data
    )


def put_manifest_by_digest(path: str, data: bytes, *, media_type: str) -> Request:
    """Put a manifest that no tag names; the answer is 201."""
    return Request(
        method="PUT",
        target=f"/v2/{path}/manifests/{Digest.of(data)}",
        headers=(("Content-Type", media_type),),
        body=data,
    )


def lists_referrers(oci_subject: str | None, *, subject: Digest) -> bool:
    """Whether a registry that took a manifest lists it for its ``subject``, by the answer's OCI-Subject field.

    One that says nothing, or names another, lists nothing: a fallback tag is owed (distribution-spec 1.1, "Pushing
    Manifests with Subject").
    """
    return (oci_subject or "").strip() == str(subject)
