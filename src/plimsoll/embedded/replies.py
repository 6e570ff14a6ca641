"""What the embedded registry answers: error bodies, pages and ranges as the distribution-spec words them."""

from __future__ import annotations

import bisect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from plimsoll.errors import StoreError

STATUS: Final[Mapping[str, int]] = {
    "BLOB_UNKNOWN": 404,
    "BLOB_UPLOAD_INVALID": 409,
    "BLOB_UPLOAD_UNKNOWN": 404,
    "DENIED": 403,
    "DIGEST_INVALID": 400,
    "MANIFEST_BLOB_UNKNOWN": 404,
    "MANIFEST_INVALID": 400,
    "MANIFEST_UNKNOWN": 404,
    "NAME_INVALID": 400,
    "NAME_UNKNOWN": 404,
    "PAGINATION_NUMBER_INVALID": 400,
    "RANGE_INVALID": 416,
    "SIZE_INVALID": 413,
    "TOOMANYREQUESTS": 429,
    "UNSUPPORTED": 405,
}
"""distribution-spec, "Error Codes", with the statuses of its endpoint tables; what is not listed is 500."""


def error_reply(message: str, *, refusal: str, status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    """An error body of one entry (distribution-spec, "Error Codes")."""
    return json_reply({"errors": [{"code": refusal, "message": message}]}, status=status, headers=headers)


def refused(error: StoreError) -> web.Response:
    """The reply for what the store refuses."""
    return error_reply(str(error), refusal=error.refusal, status=STATUS.get(error.refusal, 500))


def json_reply(
    document: object,
    *,
    status: int = 200,
    content_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """A JSON body."""
    body = json.dumps(document, separators=(",", ":")).encode()
    return web.Response(body=body, status=status, headers={**(headers or {}), "Content-Type": content_type})


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of names and the query of the next one, None at the end."""

    names: Sequence[str]
    following: str | None


def page_of(names: Sequence[str], query: Mapping[str, str], *, most: int) -> Page:
    """The page that ``n`` and ``last`` ask of sorted ``names``; raises StoreError for an ``n`` that is no number.

    ``last`` need not be there any more (distribution-spec, "Listing Tags").
    """
    asked = query.get("n")
    if asked is not None and not (asked.isascii() and asked.isdecimal() and len(asked) < 16):
        raise StoreError(f"n={asked[:64]!r} is no number", refusal="PAGINATION_NUMBER_INVALID")
    count = most if asked is None else min(int(asked), most)
    begin = bisect.bisect_right(names, query["last"]) if "last" in query else 0
    found = names[begin : begin + count]
    more = bool(found) and begin + count < len(names)
    return Page(names=found, following=urlencode({"n": count, "last": found[-1]}) if more else None)


def link(path: str, query: str | None) -> dict[str, str]:
    """The Link field to the next page, none at the end (RFC 8288)."""
    return {} if query is None else {"Link": f'<{path}?{query}>; rel="next"'}


def byte_range(request: web.Request, size: int) -> tuple[int, int] | None:
    """The half-open span that Range asks of ``size`` bytes, None for all of them; raises StoreError past the end.

    RFC 9110 section 14.2: a field that is malformed, or asks for several ranges, is as if it were not there.
    """
    if "Range" not in request.headers:
        return None
    try:
        asked = request.http_range
    except ValueError:
        return None
    start, stop, _ = asked.indices(size)
    if start >= stop:
        raise StoreError(f"the range {request.headers['Range'][:64]!r} is beyond {size} bytes", refusal="RANGE_INVALID")
    return start, stop
