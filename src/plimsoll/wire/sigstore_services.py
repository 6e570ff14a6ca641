"""Sigstore's services without I/O: Fulcio, both Rekors, timestamp authorities, and GitHub's issuer of tokens.

Sources: fulcio.proto (API v2), rekor's openapi.yaml, rekor-tiles' rekor_service.proto, RFC 3161 section 3.4; GitHub,
"OpenID Connect reference". ``base`` is the path in a service's URL, "" for none.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from plimsoll import limits
from plimsoll.errors import RegistryError, TransportError, UnauthorizedError
from plimsoll.native import ReadError, read_json
from plimsoll.wire.replies import Reply, refusal, shown
from plimsoll.wire.requests import Request

AUDIENCE: Final = "sigstore"
"""Whom a token is for, where Fulcio is to take it."""
_JSON: Final = (("Content-Type", "application/json"), ("Accept", "application/json"))
_ENTRY = re.compile(r"(?:.*/)?api/v1/log/entries/([0-9a-f]{64}|[0-9a-f]{80})", re.ASCII)
_TELLING_CHARS: Final = 16
"""So many characters of a token in a row are no accident."""
_TOKEN = re.compile(r"[A-Za-z0-9_.=-]+", re.ASCII)


def certificate_request(base: str, body: bytes) -> Request:
    """Ask for a certificate; the body holds a token, so it goes nowhere else. The answer is 200 or 201."""
    return Request(target=f"{base}/api/v2/signingCert", headers=_JSON, form=body)


def log_request(base: str, body: bytes, *, version: int) -> Request:
    """Ask Rekor v1 or v2 to log an entry; the answer is 201, of v1 409 where it has that entry already."""
    return Request(method="POST", target=f"{base}/api/v{version}/log/entries", headers=_JSON, body=body)


def entry_of_conflict(reply: Reply, *, asked: str) -> str:
    """The id of the entry that a 409 says is there already; raises RegistryError where it names none."""
    found = _ENTRY.fullmatch((reply.headers.get("Location") or "").partition("?")[0])
    if found is None:
        raise RegistryError(f"{asked} has the entry already, and does not say where", status=409)
    return found[1]


def entry_request(base: str, entry: str) -> Request:
    """Ask Rekor v1 for an entry by its id."""
    return Request(target=f"{base}/api/v1/log/entries/{entry}", headers=(("Accept", "application/json"),))


def timestamp_request(target: str, body: bytes) -> Request:
    """Send a TimeStampReq to the path and query of an authority's URL; the answer is 200 or 201."""
    headers = (("Content-Type", "application/timestamp-query"), ("Accept", "application/timestamp-reply"))
    return Request(method="POST", target=target, headers=headers, body=body)


def github_token_request(target: str) -> Request:
    """Ask GitHub for a workflow's identity token, by the path and query of ``ACTIONS_ID_TOKEN_REQUEST_URL``."""
    joint = "&" if "?" in target else "?"
    return Request(
        target=f"{target}{joint}audience={quote(AUDIENCE, safe='')}", headers=(("Accept", "application/json"),)
    )


def parse_github_token(body: bytes) -> str:
    """The token in GitHub's answer; raises UnauthorizedError, in words that quote nothing of it."""
    try:
        document = read_json(body, max_depth=limits.JSON_DEPTH)
    except ReadError:
        document = None
    value = document.get("value") if isinstance(document, dict) else None
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise UnauthorizedError("GitHub's answer has no identity token: is `id-token: write` among the permissions?")
    return value


def service_refusal(reply: Reply, *, asked: str, secret: str = "") -> TransportError:
    """The error that a status other than the wanted one means, with the ``message`` of the body, if any.

    One that repeats any part of ``secret`` is not shown.
    """
    said = _message(reply.body)
    if repeats_secret(said, secret):
        said = ""
    return refusal(reply.status, b"", asked=f"{asked} ({said})" if said else asked)


def repeats_secret(text: str, secret: str) -> bool:
    """Whether a stranger's text repeats a part of a token, or enough of it to tell."""
    return any(part[:_TELLING_CHARS] in text for part in secret.split(".") if part)


def _message(body: bytes) -> str:
    if len(body) > limits.ERROR_BYTES:
        return ""
    try:
        document = read_json(body, max_depth=limits.JSON_DEPTH)
    except ReadError:
        return ""  # HTML, or plain text: the status says enough
    message = document.get("message") if isinstance(document, dict) else None
    return shown(message) if isinstance(message, str) else ""
