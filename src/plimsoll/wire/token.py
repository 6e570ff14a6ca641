"""The token that a Bearer challenge asks for (distribution's token specification): how to ask, how to read it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from plimsoll import limits
from plimsoll.errors import UnauthorizedError
from plimsoll.native import ReadError, read_json
from plimsoll.wire.challenge import Challenge
from plimsoll.wire.requests import Request

# What may stand in an Authorization field (RFC 6750 section 2.1, a little wider as registries are).
_TOKEN_TEXT = re.compile(r"[\x21-\x7e]+", re.ASCII)
_URL_TEXT = re.compile(r"[\x21-\x7e]+", re.ASCII)
_LEAST_LIFETIME_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A bearer token and how long it is good for, in seconds from its issue."""

    value: str = field(repr=False)
    lifetime_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """What to ask of which token server; ``host`` carries its port where the realm writes one."""

    scheme: str
    host: str
    request: Request


def pull_scope(path: str) -> str:
    """The right to read one repository."""
    return f"repository:{path}:pull"


def push_scope(path: str) -> str:
    """The right to read and write one repository."""
    return f"repository:{path}:pull,push"


def token_request(challenge: Challenge, *, scope: str) -> TokenRequest:
    """Build the request that a Bearer challenge asks for, for our own ``scope`` however wide the challenge's is.

    Raises UnauthorizedError where the realm is no http or https URL, or carries a user.
    """
    realm = challenge.parameters.get("realm", "")
    url = _split_realm(realm)
    query = [url.query] if url.query else []
    service = challenge.parameters.get("service")
    if service:
        query.append(f"service={quote(service, safe='')}")
    query.append(f"scope={quote(scope, safe='')}")
    return TokenRequest(
        scheme=url.scheme, host=url.netloc.lower(), request=Request(target=f"{url.path or '/'}?{'&'.join(query)}")
    )


def refresh_request(challenge: Challenge, *, scope: str, refresh_token: str) -> TokenRequest:
    """Build the same request for one who has an identity token: a POST with a form (RFC 6749 section 6).

    Raises UnauthorizedError as token_request does.
    """
    url = _split_realm(challenge.parameters.get("realm", ""))
    fields = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": "plimsoll", "scope": scope}
    service = challenge.parameters.get("service")
    if service:
        fields["service"] = service
    path = url.path or "/"
    return TokenRequest(
        scheme=url.scheme,
        host=url.netloc.lower(),
        request=Request(
            target=f"{path}?{url.query}" if url.query else path,
            headers=(("Content-Type", "application/x-www-form-urlencoded"),),
            form=urlencode(fields).encode(),
        ),
    )


def _split_realm(realm: str) -> SplitResult:
    shown = realm.partition("?")[0][:160]
    if not _URL_TEXT.fullmatch(realm):
        raise UnauthorizedError(f"the registry names the token realm {shown!r}, which is no URL")
    try:
        url = urlsplit(realm)
        host, _ = url.hostname, url.port
    except ValueError:
        host, url = None, urlsplit("")
    if url.scheme not in ("http", "https") or not host:
        raise UnauthorizedError(f"the registry names the token realm {shown!r}, which is no http or https URL")
    if "@" in url.netloc:
        raise UnauthorizedError("the registry names a token realm with a user in its URL")
    return url


def parse_token(data: bytes) -> Token:
    """Read a token server's reply: ``token`` or else ``access_token``, with at least 60 s of life.

    ``issued_at`` is not used: the token server's clock need not be ours. Raises UnauthorizedError for a reply without
    a usable token.
    """
    if len(data) > limits.TOKEN_BYTES:
        raise UnauthorizedError(f"a token reply of {len(data)} bytes: at most {limits.TOKEN_BYTES}")
    try:
        document = read_json(data, max_depth=limits.JSON_DEPTH, max_values=limits.TOKEN_VALUES)
    except ReadError as error:
        raise UnauthorizedError(f"the token server's reply is refused: {error}") from error
    if not isinstance(document, dict):
        raise UnauthorizedError("the token server's reply is no JSON object")
    value = document.get("token") or document.get("access_token")
    if not isinstance(value, str) or not _TOKEN_TEXT.fullmatch(value):
        raise UnauthorizedError("the token server's reply has no usable token")
    return Token(value=value, lifetime_s=_lifetime_s(document.get("expires_in")))


def _lifetime_s(expires_in: object) -> float:
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float):
        return _LEAST_LIFETIME_S
    return float(max(_LEAST_LIFETIME_S, min(expires_in, limits.TOKEN_LIFETIME_S)))
