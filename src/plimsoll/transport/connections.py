"""Connections: requests put on the line by aiohttp, and their answers read; the only module that knows it.

What aiohttp does unasked is switched off: redirects (credentials would travel), cookies, decompression, proxies and
logins from the environment, and the silent second sending of a request whose kept-alive connection broke. Its
exceptions end here, as TransportError.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from ssl import SSLContext, SSLError
from types import SimpleNamespace
from typing import Final

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

from plimsoll import limits
from plimsoll.errors import (
    ConnectTimeoutError,
    ContentError,
    LimitExceededError,
    NotConnectedError,
    NoTLSError,
    RequestTimeoutError,
    TransportError,
    UnreachableError,
    UntrustedHostError,
)
from plimsoll.model.settings import ProxyFor
from plimsoll.transport.base import Meter
from plimsoll.transport.budget import ByteBudget
from plimsoll.transport.limiter import Limiter
from plimsoll.transport.origins import address_of
from plimsoll.wire import Headers, Request

Answer = aiohttp.ClientResponse
"""The head of an answer, its body not yet read."""
Times = aiohttp.ClientTimeout
"""How long the parts of one request may take."""


async def _sent_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> Answer:
    """Keep aiohttp from sending a request again by itself, uncounted and without our back-off.

    ClientSession._request sends an idempotent request a second time on ClientOSError and ServerDisconnectedError.
    Any other exception from a middleware, which is public API, ends the request instead.
    """
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _broken(error, str(request.url.with_query(None))) from error


async def _counted(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    """Count a request when it goes on the line: what was never connected has cost the registry nothing."""
    context.trace_request_ctx.requests += 1


def _broken(error: BaseException, asked: str) -> TransportError:
    """Our word for what went wrong below HTTP; ``asked`` and the texts hold no query and no header."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return ConnectTimeoutError(f"{asked}: no connection in time")
        case TimeoutError():
            return RequestTimeoutError(f"{asked} was not answered in time")
        case aiohttp.ClientConnectorError():
            return _unconnected(error, asked)
        case aiohttp.ClientHttpProxyError():
            return UnreachableError(f"{asked}: the proxy refuses the connection with status {error.status}")
        case aiohttp.ServerDisconnectedError():
            return UnreachableError(f"{asked}: the connection was closed before an answer came")
        case aiohttp.ClientPayloadError():
            return UnreachableError(f"{asked}: the answer's body broke off")
        case aiohttp.ClientResponseError():
            return UnreachableError(f"{asked}: the answer is no HTTP that can be read")
        case OSError():
            return UnreachableError(f"{asked}: the connection broke: {error.strerror or type(error).__name__}")
        case _:
            return UnreachableError(f"{asked}: {type(error).__name__}")


def _unnamed(base: str) -> UntrustedHostError:
    return UntrustedHostError(f"{base}: no connection: that is no host's name and port")


def _unconnected(error: aiohttp.ClientConnectorError, asked: str) -> UnreachableError:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return UntrustedHostError(f"{asked}: the host's certificate is not trusted: {error.certificate_error}")
    how = "TLS connection" if isinstance(error, aiohttp.ClientSSLError) else "connection"
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        how = "connection to the proxy"
    why = error.os_error.strerror or str(error.os_error) or "it was closed"
    is_plain = isinstance(error.os_error, SSLError) and error.os_error.reason == "WRONG_VERSION_NUMBER"
    return (NoTLSError if is_plain else NotConnectedError)(f"{asked}: no {how}: {why}")


_FAILURES: Final = (aiohttp.ClientError, OSError, TimeoutError)


class Connections:
    """The kept-alive connections of one run, to all hosts; opened at the first request, closed by ``aclose``."""

    def __init__(self, *, timeout_s: float, proxy_for: ProxyFor | None, user_agent: str = "plimsoll") -> None:
        self._user_agent = user_agent
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False
        self._proxy_for = proxy_for
        self._proxies: dict[str, URL | None] = {}
        # Made once: a new one for each request shows in the profile.
        self.whole = Times(total=timeout_s)
        self.streamed = Times(total=None, connect=timeout_s, sock_connect=timeout_s, sock_read=timeout_s)

    async def send(
        self,
        base: str,
        request: Request,
        authorization: str | None,
        *,
        context: SSLContext | bool,
        times: Times,
        meter: Meter,
    ) -> Answer:
        """Put one request on the line, once, count it, and wait for the head of its answer.

        Raises UnreachableError or RequestTimeoutError.
        """
        session = self._session or self._start(base)
        headers = request.headers
        if authorization is not None:
            headers = (*headers, ("Authorization", authorization))
        try:
            return await session.request(
                request.method if request.form is None else "POST",
                URL(base + request.target, encoded=True),
                headers=headers,
                # Of a body without bytes, as of any, the length is stated: some registries ask for it (411).
                data=None if request.is_read else request.form or request.body,
                allow_redirects=False,
                timeout=times,
                ssl=context,
                proxy=self._proxy(base),
                trace_request_ctx=meter,
            )
        except _FAILURES as error:
            raise _broken(error, base + request.path) from error
        except ValueError as error:  # one that IDNA cannot write
            raise _unnamed(base) from error

    async def greet(self, base: str, *, context: SSLContext | bool, within_s: float, meter: Meter) -> None:
        """Find out whether ``base`` can be connected to, through its proxy; raises what ``send`` raises."""
        request = Request(target="/v2/")
        answer = await self.send(
            base, request, None, context=context, times=hasty(self.whole, connect_s=within_s), meter=meter
        )
        answer.close()

    def has_proxy(self, base: str) -> bool:
        """Whether requests to ``base`` go through a proxy."""
        return self._proxy_for is not None and self._proxy(base) is not None

    def _proxy(self, base: str) -> URL | None:
        if base not in self._proxies:
            scheme, _, netloc = base.partition("://")
            try:
                address_of(netloc, scheme=scheme)
            except ValueError as error:
                raise _unnamed(base) from error
            proxy = None if self._proxy_for is None else self._proxy_for(scheme, netloc)
            self._proxies[base] = None if proxy is None else URL(proxy.url)
        return self._proxies[base]

    def _start(self, base: str) -> aiohttp.ClientSession:
        if self._is_closed:
            raise NotConnectedError(f"{base}: no connection: this run is over")
        counting = aiohttp.TraceConfig()
        counting.on_request_headers_sent.append(_counted)
        self._session = aiohttp.ClientSession(
            # Our limiter bounds each host; aiohttp's own queue would stand beside it.
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            headers={"User-Agent": self._user_agent, "Accept-Encoding": "identity"},
            middlewares=(_sent_once,),
            trace_configs=[counting],
            max_line_size=limits.HEADER_BYTES,
            max_field_size=limits.HEADER_BYTES,
            max_headers=limits.REPLY_FIELDS,
            read_bufsize=limits.CHUNK_BYTES,
        )
        return self._session

    async def aclose(self) -> None:
        """Close all connections; none is opened after it."""
        self._is_closed = True
        if self._session is not None:
            await self._session.close()
            self._session = None


def hasty(times: Times, *, connect_s: float) -> Times:
    """The same times with another limit for the connection and its TLS handshake."""
    return Times(total=times.total, connect=times.connect, sock_read=times.sock_read, sock_connect=connect_s)


async def read_body(answer: Answer, *, limit: int, budget: ByteBudget, asked: str) -> bytes:
    """Read a whole body of at most ``limit`` bytes, when ``budget`` has room for it, and be done with the answer.

    Raises LimitExceededError for a longer one (unread, where its length is stated), ContentError for an encoded one,
    UnreachableError or RequestTimeoutError where it breaks off.
    """
    try:
        if "Content-Encoding" in answer.headers:
            refuse_encoding(answer.headers, asked=asked)
        length = answer.content_length
        if length is not None and length > limit:
            raise LimitExceededError(f"{asked} has {length} bytes: at most {limit}")
        taken = limit if length is None else length
        if not budget.take_now(taken):
            taken = await budget.take(taken)
        try:
            # Of a body with a stated length aiohttp reads no more than that.
            body = await _read_part(answer, limit) if length is None else await answer.read()
        finally:
            budget.give(taken)
    except _FAILURES as error:
        raise _broken(error, asked) from error
    finally:
        # A body read to its end has given its connection back.
        if answer.connection is not None:
            answer.close()
    if len(body) > limit:
        raise LimitExceededError(f"{asked} has more than {limit} bytes")
    return body


async def read_error(answer: Answer, *, asked: str) -> bytes:
    """Read as much as is used of the body of a refusal or redirect; the errors are those of ``read_body``."""
    try:
        return (await _read_part(answer, limits.ERROR_BYTES))[: limits.ERROR_BYTES]
    except _FAILURES as error:
        raise _broken(error, asked) from error
    finally:
        answer.close()


async def _read_part(answer: Answer, limit: int) -> bytes:
    """Read to the end, or until more than ``limit`` bytes have come."""
    parts: list[bytes] = []
    size = 0
    while size <= limit and (part := await answer.content.readany()):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def refuse_encoding(headers: Headers, *, asked: str) -> None:
    """Raise ContentError for an encoded body: none was accepted, and a digest covers the bytes themselves."""
    encoding = headers.get("Content-Encoding")
    if encoding is not None and encoding.strip().lower() not in ("", "identity"):
        raise ContentError(f"{asked} came with Content-Encoding {encoding[:80]!r}, though none was accepted")


class BodyStream:
    """An answer whose body is read in chunks; it holds a connection and a place in the limiter until ``close``.

    ``waited_s`` is how long its chunks were waited for: a slow reader is not the server's fault.
    """

    __slots__ = ("_answer", "_limiter", "_meter", "_monotonic", "asked", "status", "waited_s")

    def __init__(
        self, answer: Answer, *, limiter: Limiter, meter: Meter, monotonic: Callable[[], float], asked: str
    ) -> None:
        self._answer = answer
        self._limiter = limiter
        self._meter = meter
        self._monotonic = monotonic
        self.asked = asked
        self.status = answer.status
        self.waited_s = 0.0

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The answer's header fields."""
        return self._answer.headers

    @property
    def is_delimited(self) -> bool:
        """Whether the body's end is marked, so that a closed connection cannot pass for it (RFC 9112 section 6.3)."""
        return "Content-Length" in self.headers or "Transfer-Encoding" in self.headers

    async def chunks(self, *, budget_s: float) -> AsyncIterator[bytes]:
        """The body as it comes, in chunks of at most twice limits.CHUNK_BYTES.

        Raises UnreachableError where it breaks off, RequestTimeoutError where it stalls or all waiting together
        passes ``budget_s``.
        """
        content = self._answer.content
        while True:
            before = self._monotonic()
            try:
                chunk = await content.readany()
            except _FAILURES as error:
                raise _broken(error, self.asked) from error
            self.waited_s += self._monotonic() - before
            if not chunk:
                return
            self._meter.bytes += len(chunk)
            yield chunk
            if self.waited_s > budget_s:
                raise RequestTimeoutError(
                    f"{self.asked}: the body comes too slowly: given up after {self.waited_s:.0f} s"
                )

    def close(self) -> None:
        """Give the connection back, closing it where the body was not read to its end; once only."""
        self._answer.close()
        self._limiter.leave()
