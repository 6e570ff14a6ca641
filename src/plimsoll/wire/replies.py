"""Reply: what a registry answered, and the readings of it: refusals, waiting times, pages, referrers.

Every text in a body or field is a stranger's: it is bounded, shown escaped, and never followed to another host.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol
from urllib.parse import urljoin, urlsplit

from plimsoll import limits
from plimsoll.errors import (
    LimitExceededError,
    NotFoundError,
    RateLimitedError,
    RegistryError,
    TransportError,
    UnauthorizedError,
    UnsupportedError,
)
from plimsoll.model.descriptor import OCI_INDEX, Descriptor
from plimsoll.model.manifest import Index, RawManifest, parse_manifest
from plimsoll.native import ReadError, read_json

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# RFC 9110 section 5.6.7 IMF-fixdate; strptime would read month names in the process's locale.
_HTTP_DATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d\d) ([A-Z][a-z][a-z]) (\d{4}) (\d\d):(\d\d):(\d\d) GMT", re.ASCII
)
_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)
_LINK = re.compile(r"<([^<>]*)>((?:[ \t]*;[ \t]*[^\s=;,]+(?:=(?:\"[^\"]*\"|[^\s;,\"]*))?)*)", re.ASCII)
_REL_NEXT = re.compile(r";[ \t]*rel=(?:\"next\"|next)(?=[ \t;]|\Z)", re.ASCII | re.IGNORECASE)
_TARGET = re.compile(r"/[\x21-\x7e]*", re.ASCII)
_SHOWN_CHARS: Final = 160
_SHOWN_ERRORS: Final = 3


class Headers(Protocol):
    """Header fields by name, whatever its case."""

    def get(self, name: str, /) -> str | None:
        """The first field of that name."""
        ...

    def getall(self, name: str, default: Sequence[str], /) -> Sequence[str]:
        """All fields of that name, in order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A whole answer: a body within the cap that was asked for."""

    status: int
    headers: Headers
    body: bytes

    @property
    def content_type(self) -> str | None:
        """The media type without parameters, None where the field is absent or empty."""
        return media_type(self.headers.get("Content-Type"))


def media_type(field: str | None) -> str | None:
    """The media type of a Content-Type field, without parameters, in lower case (RFC 9110 section 8.3.1)."""
    return (field or "").partition(";")[0].strip().lower() or None


def refusal(status: int, body: bytes, *, asked: str, retry_after_s: float | None = None) -> TransportError:
    """The error that a status other than the wanted one means; ``asked`` names what was asked for, of which host.

    404 with any body is not-found: static servers and caches send none, or HTML.
    """
    said = _error_texts(body)
    because = f": {said}" if said else ""
    match status:
        case 404:
            return NotFoundError(f"{asked} does not exist{because}")
        case 401:
            return UnauthorizedError(f"{asked} is refused without a login (401){because}")
        case 403:
            return UnauthorizedError(f"{asked} is forbidden to this login (403){because}")
        case 429:
            return RateLimitedError(
                f"{asked}: the registry asks for fewer requests (429){because}", retry_after_s=retry_after_s
            )
        case _:
            return RegistryError(
                f"{asked} was answered with status {status}{because}", status=status, retry_after_s=retry_after_s
            )


def _error_texts(body: bytes) -> str:
    """What an error body says (distribution-spec "Error Codes"), bounded and escaped; empty where unreadable."""
    if not body or len(body) > limits.ERROR_BYTES:
        return ""
    try:
        document = read_json(body, max_depth=limits.JSON_DEPTH)
    except ReadError:
        # An HTML page or half a body: the status alone says enough.
        return ""
    errors = document.get("errors") if isinstance(document, dict) else None
    if not isinstance(errors, list):
        return ""
    return "; ".join(text for text in map(_error_text, errors[:_SHOWN_ERRORS]) if text)


def _error_text(error: object) -> str:
    if not isinstance(error, dict):
        return ""
    parts = [error.get("code"), error.get("message")]
    return " ".join(shown(part) for part in parts if isinstance(part, str) and part)


def shown(text: str) -> str:
    """A stranger's text for a message: bounded, and with control and bidirectional characters escaped."""
    cut = text[:_SHOWN_CHARS]
    escaped = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in cut)
    return f"{escaped}..." if len(text) > _SHOWN_CHARS else escaped


def parse_retry_after(field: str | None, *, now_s: float) -> float | None:
    """Seconds to wait from ``now_s`` (since 1970), by a Retry-After field (RFC 9110 section 10.2.3).

    None where the field is absent or unreadable, 0 for a date that has passed.
    """
    text = (field or "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    date = _HTTP_DATE.fullmatch(text)
    if date is None or date[2] not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(date[at]) for at in (1, 3, 4, 5, 6))
    try:
        # A leap second (60) is counted as the second before it.
        moment = datetime(year, _MONTHS.index(date[2]) + 1, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - now_s)


def next_page(link_fields: Iterable[str], *, target: str) -> str | None:
    """The path and query of the next page by the Link fields (RFC 8288), relative to the ``target`` asked before.

    A scheme or host in the link is not used: a page of this registry is asked of this registry. Raises RegistryError
    for a next page whose URL cannot be a request's target.
    """
    for text in link_fields:
        for link in _LINK.finditer(text):
            if _REL_NEXT.search(link[2]):
                return _page_target(link[1], target)
    return None


def _page_target(link: str, target: str) -> str:
    try:
        url = urlsplit(urljoin(f"http://registry{target}", link))
    except ValueError:
        raise RegistryError(f"the registry's link to the next page is no URL: {link[:_SHOWN_CHARS]!r}") from None
    found = f"{url.path}?{url.query}" if url.query else url.path
    if not _TARGET.fullmatch(found) or len(found) > limits.HEADER_BYTES:
        raise RegistryError(f"the registry's link to the next page cannot be asked for: {link[:_SHOWN_CHARS]!r}")
    return found


def parse_tags_page(data: bytes) -> tuple[str, ...]:
    """Read ``{"name": ..., "tags": [...]}``; null stands for no tags, as some registries write it.

    The tags are texts as served, not yet checked against the tag grammar. Raises RegistryError for anything else,
    LimitExceededError past the cap.
    """
    if len(data) > limits.TAG_PAGE_BYTES:
        raise LimitExceededError(f"a page of tags of {len(data)} bytes: at most {limits.TAG_PAGE_BYTES}")
    try:
        document = read_json(data, max_depth=limits.JSON_DEPTH)
    except ReadError as error:
        raise RegistryError(f"the registry's list of tags is refused: {error}", status=200) from error
    match document:
        case {"tags": None}:
            return ()
        case {"tags": list(tags)}:
            texts = tuple([tag for tag in tags if isinstance(tag, str)])
            if len(texts) == len(tags):
                return texts
        case _:
            pass
    raise RegistryError("the registry's list of tags has no list of texts named tags", status=200)


def parse_referrers(data: bytes, content_type: str | None) -> tuple[Descriptor, ...] | None:
    """Read one page of referrers, or a fallback tag's index: its descriptors, None for what says it is no OCI index.

    distribution-spec "Listing Referrers": a reply of another type means that the API is not there. Raises
    MalformedManifestError or LimitExceededError for an index that cannot be read: that is not the same as none.
    """
    if content_type is not None and content_type != OCI_INDEX:
        return None
    try:
        found = parse_manifest(RawManifest(data=data, content_type=content_type))
    except UnsupportedError:
        return None
    return found.manifests if isinstance(found, Index) and found.media_type == OCI_INDEX else None
