"""Request: what to ask of a registry (distribution-spec 1.1, "Endpoints"), as data.

Repository paths, tags and digests are typed by the model, whose grammars hold no character that a URL would read
otherwise: nothing here needs escaping and nothing can climb out of its path (CVE-2024-3727).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import quote

from plimsoll.errors import InvalidReferenceError
from plimsoll.model.descriptor import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from plimsoll.model.digest import Digest
from plimsoll.model.reference import is_tag

# One field with all four types: registries answer 404 or convert when the stored type is not accepted.
_ACCEPT_MANIFESTS: Final = (("Accept", f"{OCI_MANIFEST}, {OCI_INDEX}, {DOCKER_MANIFEST}, {DOCKER_LIST}"),)
_ACCEPT_INDEX: Final = (("Accept", OCI_INDEX),)
TAGS_A_PAGE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request: ``target`` is path and query as they go on the line, ``headers`` beside those every request has.

    With a ``form`` it is a POST of these bytes, which hold a secret: not shown, and never sent where a redirect leads.
    Other writing requests carry ``body``; they follow no redirect either.
    """

    target: str
    headers: tuple[tuple[str, str], ...] = ()
    form: bytes | None = field(default=None, repr=False)
    method: Literal["GET", "POST", "PUT"] = "GET"
    body: bytes = field(default=b"", repr=False)

    @property
    def is_read(self) -> bool:
        """Whether it changes nothing where it is sent."""
        return self.method == "GET" and self.form is None

    @property
    def path(self) -> str:
        """The target without its query, which may hold secrets: what messages show."""
        return self.target.partition("?")[0]


def tag_request(path: str, tag: str) -> Request:
    """Ask for a manifest by its tag; raises InvalidReferenceError for a text outside the tag grammar."""
    if not is_tag(tag):
        raise InvalidReferenceError(f"{tag[:160]!r} is outside the tag grammar")
    return Request(target=f"/v2/{path}/manifests/{tag}", headers=_ACCEPT_MANIFESTS)


def digest_request(path: str, digest: Digest) -> Request:
    """Ask for a manifest by its digest."""
    return Request(target=f"/v2/{path}/manifests/{digest}", headers=_ACCEPT_MANIFESTS)


def blob_request(path: str, digest: Digest, *, offset: int = 0) -> Request:
    """Ask for a blob, or for what follows its first ``offset`` bytes (RFC 9110 section 14.2)."""
    headers = (("Range", f"bytes={offset}-"),) if offset else ()
    return Request(target=f"/v2/{path}/blobs/{digest}", headers=headers)


def tags_request(path: str) -> Request:
    """Ask for the first page of a repository's tags."""
    return Request(target=f"/v2/{path}/tags/list?n={TAGS_A_PAGE}")


def referrers_request(path: str, digest: Digest, *, artifact_type: str | None = None) -> Request:
    """Ask which manifests have ``digest`` as their subject; a registry may ignore ``artifact_type``."""
    query = "" if artifact_type is None else f"?artifactType={quote(artifact_type, safe='')}"
    return Request(target=f"/v2/{path}/referrers/{digest}{query}", headers=_ACCEPT_INDEX)


def page_request(target: str, *, like: Request) -> Request:
    """Ask for the page that ``next_page`` found, with the headers of the page before."""
    return Request(target=target, headers=like.headers)
