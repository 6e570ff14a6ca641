"""SigstoreServices: asking authorities, logs and timestamp authorities while a signature is made.

A client of its own, beside the registries': no credentials of theirs, and TLS is always proven, whatever
``--tls-verify`` says of registries. A token goes to https, or to this very machine, and never where a redirect leads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

from plimsoll import limits
from plimsoll.errors import RegistryError, TransportError, UsageError
from plimsoll.model.identity_token import OidcToken
from plimsoll.model.settings import HttpSettings, ProxyFor, TLSSettings
from plimsoll.transport.base import Meter
from plimsoll.transport.hosts import Host
from plimsoll.transport.http import HttpClient
from plimsoll.transport.origins import is_loopback
from plimsoll.wire import (
    Reply,
    Request,
    certificate_request,
    entry_of_conflict,
    entry_request,
    github_token_request,
    log_request,
    parse_github_token,
    repeats_secret,
    service_refusal,
    timestamp_request,
)

_MADE: Final = frozenset({200, 201})
_CONFLICT: Final = 409


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceUrl:
    """A service's URL in its parts; ``path`` without a slash at its end."""

    scheme: str
    netloc: str
    path: str
    query: str = ""

    @classmethod
    def parse(cls, text: str, *, what: str) -> Self:
        """Raises UsageError, calling it ``what``, unless it is https, or http to this machine."""
        try:
            url = urlsplit(text)
            host, _ = url.hostname, url.port
        except ValueError:
            host, url = None, urlsplit("")
        plain = all("\x21" <= char <= "\x7e" for char in text)
        if not host or url.scheme not in ("http", "https") or "@" in url.netloc or url.fragment or not plain:
            raise UsageError(f"{what} {text[:160]!r} is no https URL")
        if url.scheme == "http" and not is_loopback(url.netloc):
            raise UsageError(f"{what} {text[:160]!r} is plain http: only https will do, or http on this machine")
        return cls(scheme=url.scheme, netloc=url.netloc.lower(), path=url.path.rstrip("/"), query=url.query)

    @property
    def target(self) -> str:
        """Path and query as they go on the line."""
        path = self.path or "/"
        return f"{path}?{self.query}" if self.query else path


class SigstoreServices:
    """The clients of one signing run; ``aclose`` at the end, or an async context manager."""

    def __init__(
        self, settings: HttpSettings, *, cert_dir: str | None = None, proxy_for: ProxyFor | None = None
    ) -> None:
        tls = TLSSettings(verify=True, cert_dir=cert_dir)
        self._client = HttpClient(settings, lambda _: tls, proxy_for=proxy_for)
        self.meter = Meter()

    async def certify(self, url: str, body: bytes, *, token: OidcToken) -> bytes:
        """Fulcio's answer; ``body`` holds the token. Raises TransportError."""
        at = ServiceUrl.parse(url, what="the certificate authority")
        reply = await self._ask(at, certificate_request(at.path, body), secret=token.value)
        if reply.status not in _MADE:
            raise service_refusal(reply, asked=f"a certificate of {at.netloc}", secret=token.value)
        return reply.body

    async def log(self, url: str, body: bytes, *, version: int) -> bytes:
        """The log's answer: the entry, new or one that was there already. Raises TransportError."""
        at = ServiceUrl.parse(url, what="the transparency log")
        asked = f"an entry of the log {at.netloc}"
        reply = await self._ask(at, log_request(at.path, body, version=version))
        if reply.status == _CONFLICT and version == 1:
            reply = await self._ask(at, entry_request(at.path, entry_of_conflict(reply, asked=asked)))
        if reply.status not in _MADE:
            raise service_refusal(reply, asked=asked)
        return reply.body

    async def stamp(self, url: str, body: bytes) -> bytes:
        """The timestamp authority's answer, a TimeStampResp. Raises TransportError."""
        at = ServiceUrl.parse(url, what="the timestamp authority")
        reply = await self._ask(at, timestamp_request(at.target, body))
        if reply.status not in _MADE:
            raise service_refusal(reply, asked=f"a timestamp of {at.netloc}")
        return reply.body

    async def github_token(self, url: str, bearer: str) -> str:
        """The identity token of the GitHub workflow that this is. Raises TransportError."""
        at = ServiceUrl.parse(url, what="ACTIONS_ID_TOKEN_REQUEST_URL")
        reply = await self._ask(at, github_token_request(at.target), authorization=f"Bearer {bearer}", secret=bearer)
        if reply.status not in _MADE:
            raise service_refusal(reply, asked=f"an identity token of {at.netloc}", secret=bearer)
        return parse_github_token(reply.body)

    async def _ask(
        self, at: ServiceUrl, request: Request, *, authorization: str | None = None, secret: str = ""
    ) -> Reply:
        host: Host = self._client.host(at.netloc, scheme=at.scheme)
        try:
            reply = await self._client.get(
                host, request, limit=limits.SERVICE_REPLY_BYTES, meter=self.meter, authorization=authorization
            )
        except TransportError as error:
            if repeats_secret(str(error), secret):
                # The cause would show it too.
                raise RegistryError(f"{at.netloc}{at.path} fails, in words that repeat a secret: not shown") from None
            raise
        if reply.status in _MADE and not reply.body:
            raise RegistryError(f"{at.netloc}{request.path}: an empty answer", status=reply.status)
        return reply

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()
