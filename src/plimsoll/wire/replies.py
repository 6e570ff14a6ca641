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
from plimsoll.model.manifest import NO_CLAIM, Index, RawManifest, parse_manifest
from plimsoll.native import ReadError, read_json

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# RFC 9110 section 5.6.7: IMF-fixdate, and the obsolete forms of RFC 850 and asctime, which recipients must read too;
# strptime would read month names in the process's locale.
_TIME: Final = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_MONTH: Final = r"(?P<month>[A-Z][a-z][a-z])"
_HTTP_DATES: Final = tuple(
    [
        re.compile(pattern, re.ASCII)
        for pattern in (
            rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?P<day>\d\d) {_MONTH} (?P<year>\d{{4}}) {_TIME} GMT",
            rf"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?P<day>\d\d)-{_MONTH}-(?P<year>\d\d) {_TIME} GMT",
            rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) {_MONTH} (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})",
        )
    ]
)
_SECONDS = re.compile(r"[0-9]+", re.ASCII)
_SECONDS_MOST: Final = 1e9
"""Thirty years: a wait beyond it says no more than that, and a longer number might be no number of a clock."""
_LINK = re.compile(r"<([^<>]*)>((?:[ \t]*;[ \t]*[^\s=;,]+(?:[ \t]*=[ \t]*(?:\"[^\"]*\"|[^\s;,\"]*))?)*)", re.ASCII)
_BETWEEN_LINKS = re.compile(r"[ \t]*(?:,[ \t]*|\Z)", re.ASCII)
_REL = re.compile(r";[ \t]*rel[ \t]*=[ \t]*(?:\"([^\"]*)\"|([^\s;,\"]*))", re.ASCII | re.IGNORECASE)
_TARGET = re.compile(r"/[\x21-\x7e]*", re.ASCII)
_NO_ABSENCE: Final = frozenset({"DENIED", "NAME_UNKNOWN", "TOOMANYREQUESTS", "UNAUTHORIZED", "UNAVAILABLE"})
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
    """A whole answer: a body within the cap that was asked for.

    ``led_to`` is HOST/PATH of what a redirect led to and was answered 404, where that is not what was asked for.
    """

    status: int
    headers: Headers
    body: bytes
    led_to: str = ""

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
    texts = [" ".join([shown(part) for part in parts if part]) for parts in _errors(body)]
    return "; ".join([text for text in texts if text])


def _errors(body: bytes) -> list[tuple[str, str]]:
    """Code and message of the first errors in a body; one that is no text is empty."""
    if not body or len(body) > limits.ERROR_BYTES:
        return []
    try:
        document = read_json(body, max_depth=limits.JSON_DEPTH)
    except ReadError:
        # An HTML page or half a body: the status alone says enough.
        return []
    errors = document.get("errors") if isinstance(document, dict) else None
    if not isinstance(errors, list):
        return []
    return [(_text(error, "code"), _text(error, "message")) for error in errors[:_SHOWN_ERRORS]]


def _text(error: object, name: str) -> str:
    found = error.get(name) if isinstance(error, dict) else None
    return found if isinstance(found, str) else ""


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
        return min(float(text), _SECONDS_MOST)
    dates = [date for form in _HTTP_DATES if (date := form.fullmatch(text)) is not None]
    if not dates or dates[0]["month"] not in _MONTHS:
        return None
    date = dates[0]
    try:
        # A leap second (60) is counted as the second before it.
        moment = datetime(
            _year(date["year"], now_s=now_s),
            _MONTHS.index(date["month"]) + 1,
            int(date["day"]),
            int(date["hour"]),
            int(date["minute"]),
            min(int(date["second"]), 59),
            tzinfo=UTC,
        )
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - now_s)


def _year(text: str, *, now_s: float) -> int:
    """The year that two digits mean: of those that end so the last that is not more than fifty years ahead."""
    if len(text) == 4:
        return int(text)
    now = datetime.fromtimestamp(now_s, UTC).year
    year = now - now % 100 + 100 + int(text)
    while year > now + 50:
        year -= 100
    return year


def next_page(link_fields: Iterable[str], *, target: str) -> str | None:
    """The path and query of the next page by the Link fields (RFC 8288), relative to the ``target`` asked before.

    A scheme or host in the link is not used: a page of this registry is asked of this registry. A link that says no
    relation is followed (as containers/image does): half a list must not pass for a whole one. Raises RegistryError
    for a field that cannot be read, and for a next page whose URL cannot be a request's target.
    """
    for text in link_fields:
        for url, parameters in _links(text):
            relation = _REL.search(parameters)
            if relation is None or "next" in (relation[1] or relation[2] or "").lower().split():
                return _page_target(url, target)
    return None


def _links(field: str) -> list[tuple[str, str]]:
    """The URLs of one Link field, each with its parameters."""
    found: list[tuple[str, str]] = []
    text = field.strip(" \t,")
    at = 0
    while at < len(text):
        link = _LINK.match(text, at)
        between = None if link is None else _BETWEEN_LINKS.match(text, link.end())
        if link is None or between is None:
            raise RegistryError(f"the registry's Link to another page cannot be read: {field[:_SHOWN_CHARS]!r}")
        found.append((link[1], link[2]))
        at = between.end()
    return found


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
        document = read_json(data, max_depth=limits.JSON_DEPTH, max_values=limits.TAG_PAGE_VALUES)
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
    """Read one page of referrers: its descriptors, None for what says that it is no OCI index.

    distribution-spec "Listing Referrers": a reply of another type means that the API is not there; a type that says
    nothing, as caches and proxies write it, is decided by the document. Raises MalformedManifestError or
    LimitExceededError for an index that cannot be read: that is not the same as none.
    """
    raw = RawManifest(data=data, content_type=content_type)
    if content_type != OCI_INDEX and not ((content_type or "") in NO_CLAIM and _may_be_an_index(data)):
        return None
    try:
        found = parse_manifest(raw)
    except UnsupportedError:
        return None
    return found.manifests if isinstance(found, Index) and found.media_type == OCI_INDEX else None


def _may_be_an_index(data: bytes) -> bool:
    """Whether a document of no type lists manifests, or is the beginning of one that does: JSON that is broken."""
    try:
        document = read_json(data, max_depth=limits.JSON_DEPTH, max_values=limits.MANIFEST_VALUES)
    except ReadError:
        return data.lstrip()[:1] == b"{"
    return isinstance(document, dict) and "manifests" in document


def contradiction(body: bytes) -> str:
    """What the body of a 404 says that is no absence: a code of the distribution-spec's, "" where it says none such.

    The registry that has the image knows its repository; a login without the right, or too many requests, says nothing
    of what is there. containers/image takes only an unknown manifest for an absence likewise.
    """
    return next((code for code, _ in _errors(body) if code in _NO_ABSENCE), "")
