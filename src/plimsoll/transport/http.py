"""The one door to HTTP: everything that is sent to a registry, a token server or behind a redirect goes through here.

aiohttp is used with what it does unasked switched off: redirects (credentials would travel), cookies, decompression,
its own environment, and the silent second sending of a request whose kept-alive connection broke: requests are
counted and tried again here and nowhere else. Its exceptions end here, as TransportError.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from ssl import SSLContext
from typing import Final

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

from plimsoll import limits
from plimsoll.errors import (
    ConfigError,
    ContentError,
    LimitExceededError,
    RegistryError,
    RequestTimeoutError,
    TransportError,
    UnreachableError,
    UntrustedHostError,
)
from plimsoll.model.settings import HttpSettings, TLSFor
from plimsoll.transport.base import Meter
from plimsoll.transport.budget import ByteBudget
from plimsoll.transport.hosts import Host
from plimsoll.transport.limiter import Limiter
from plimsoll.transport.origins import Origin, redirect_target
from plimsoll.transport.retry import retry_wait_s
from plimsoll.transport.tls import client_context
from plimsoll.wire import Reply, Request, parse_retry_after, refusal

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_WORTH_A_RETRY: Final = frozenset({408, 429, 500, 502, 503, 504})
_TLS_SPOKEN_HTTP: Final = 400
"""What servers answer to plain HTTP on a TLS port (Go, nginx): it does not show that the host speaks plain HTTP."""


async def _sent_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending an idempotent request again by itself when a kept-alive connection broke.

    ClientSession._request does so on ClientOSError and ServerDisconnectedError, uncounted and without our back-off.
    Another exception from a middleware, which is public API, ends the request instead.
    """
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _broken(error, f"{request.url.raw_authority}{request.url.raw_path}") from error


def _broken(error: BaseException, asked: str) -> TransportError:
    """Our word for what went wrong below HTTP; the texts name host and path, never a query or a header."""
    match error:
        case TimeoutError():
            return RequestTimeoutError(f"{asked} was not answered in time")
        case aiohttp.ClientConnectorCertificateError():
            return UntrustedHostError(f"{asked}: the host's certificate is not trusted: {error.certificate_error}")
        case aiohttp.ClientSSLError():
            return UnreachableError(f"{asked}: no TLS connection: {error.os_error.strerror or error.os_error}")
        case aiohttp.ClientConnectorError():
            return UnreachableError(f"{asked}: no connection: {error.os_error.strerror or error.os_error}")
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


_CLIENT_ERRORS: Final = (aiohttp.ClientError, OSError, TimeoutError)


class BodyStream:
    """An answer whose body is read in chunks; it holds a connection until ``close``.

    ``waited_s`` is how long its chunks were waited for: a slow reader is not the server's fault.
    """

    __slots__ = ("_limiter", "_meter", "_monotonic", "_response", "asked", "status", "waited_s")

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        *,
        limiter: Limiter,
        meter: Meter,
        monotonic: Callable[[], float],
        asked: str,
    ) -> None:
        self._response = response
        self._limiter = limiter
        self._meter = meter
        self._monotonic = monotonic
        self.asked = asked
        self.status = response.status
        self.waited_s = 0.0

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The answer's header fields."""
        return self._response.headers

    @property
    def is_delimited(self) -> bool:
        """Whether the body's end is marked, so that a closed connection cannot pass for it (RFC 9112 section 6.3)."""
        headers = self._response.headers
        return "Content-Length" in headers or "Transfer-Encoding" in headers

    async def chunks(self, *, budget_s: float) -> AsyncIterator[bytes]:
        """The body as it comes, in chunks of at most twice limits.CHUNK_BYTES.

        Raises UnreachableError where it breaks off, RequestTimeoutError where it stalls or all waiting together
        passes ``budget_s``.
        """
        content = self._response.content
        while True:
            before = self._monotonic()
            try:
                chunk = await content.readany()
            except _CLIENT_ERRORS as error:
                raise _broken(error, self.asked) from error
            self.waited_s += self._monotonic() - before
            if not chunk:
                return
            self._meter.bytes += len(chunk)
            yield chunk
            if self.waited_s > budget_s:
                raise RequestTimeoutError(
                    f"{self.asked}: the body comes too slowly, given up after {self.waited_s:.0f} s"
                )

    def close(self) -> None:
        """Give the connection back, closing it where the body was not read to its end."""
        self._response.close()
        self._limiter.leave()


class HttpClient:
    """Connections, limiters and byte budget of one run; ``sleep``, clocks and randomness are given from outside.

    Use from one event loop; ``aclose`` at the end.
    """

    def __init__(
        self,
        settings: HttpSettings,
        tls_for: TLSFor,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._tls_for = tls_for
        self._sleep = sleep
        self._monotonic = monotonic
        self._jitter = jitter
        self._wall_s = wall_s
        self._session: aiohttp.ClientSession | None = None
        self._hosts: dict[tuple[str | None, str], Host] = {}
        self._limiters: dict[str, Limiter] = {}
        self.budget = ByteBudget(limits.BYTES_IN_FLIGHT)
        # Made once: aiohttp merges a new ClientTimeout for each request otherwise.
        self._whole = aiohttp.ClientTimeout(total=settings.timeout_s)
        self._streamed = aiohttp.ClientTimeout(
            total=None, connect=settings.timeout_s, sock_connect=settings.timeout_s, sock_read=settings.timeout_s
        )

    @property
    def timeout_s(self) -> float:
        """How long one request may take."""
        return self._settings.timeout_s

    def host(self, name: str, *, scheme: str | None = None) -> Host:
        """The state of ``HOST[:PORT]``; without ``scheme`` it is https, or where unproven TLS is allowed what is found."""
        name = name.lower()
        known = self._hosts.get((scheme, name))
        if known is not None:
            return known
        tls = self._tls_for(name)
        host = Host(name, limiter=self._limiter(name), tls=tls)
        if scheme is not None or tls.verify:
            host.decide(scheme or "https")
        self._hosts[(scheme, name)] = host
        return host

    def _limiter(self, name: str) -> Limiter:
        limiter = self._limiters.get(name)
        if limiter is None:
            limiter = self._limiters[name] = Limiter(
                connections=self._settings.connections_per_host,
                requests_per_s=self._settings.requests_per_s,
                sleep=self._sleep,
                monotonic=self._monotonic,
            )
        return limiter

    async def get(
        self, host: Host, request: Request, *, limit: int, meter: Meter, authorization: str | None = None
    ) -> Reply:
        """Send ``request``, follow redirects, try again as set, and read at most ``limit`` bytes of body.

        Any status but those worth another try is a Reply. Raises TransportError where no answer could be had, and
        LimitExceededError or ContentError for a body that is too long or encoded.
        """
        tried = 0
        while True:
            try:
                return await self._get_once(host, request, limit, meter, authorization)
            except TransportError as error:
                wait_s = retry_wait_s(error, tried=tried, retries=self._settings.retries, random=self._jitter)
                if wait_s is None:
                    raise
            tried += 1
            await self._sleep(wait_s)

    async def open(
        self, host: Host, request: Request, *, meter: Meter, authorization: str | None = None
    ) -> BodyStream | Reply:
        """Send ``request`` likewise, but leave the body of a 200 or 206 to be streamed; the caller closes it."""
        tried = 0
        while True:
            try:
                return await self._open_once(host, request, meter, authorization)
            except TransportError as error:
                wait_s = retry_wait_s(error, tried=tried, retries=self._settings.retries, random=self._jitter)
                if wait_s is None:
                    raise
            tried += 1
            await self._sleep(wait_s)

    async def pause(self, error: TransportError, *, tried: int) -> None:
        """Wait before another try of what ``error`` broke; raises it where no other try is due."""
        wait_s = retry_wait_s(error, tried=tried, retries=self._settings.retries, random=self._jitter)
        if wait_s is None:
            raise error
        await self._sleep(wait_s)

    async def _get_once(
        self, host: Host, request: Request, limit: int, meter: Meter, authorization: str | None
    ) -> Reply:
        for _ in range(limits.REDIRECTS + 1):
            limiter = host.limiter
            await limiter.enter()
            try:
                response = await self._send(host, request, authorization, meter, self._whole)
                status = response.status
                body = await self._read(response, limit if status < 300 else None, meter, host, request)
            finally:
                limiter.leave()
            limiter.note(refused=status == 429)
            if status not in _REDIRECTS:
                reply = Reply(status=status, headers=response.headers, body=body)
                if status in _WORTH_A_RETRY:
                    self._refuse(reply, host, request)
                return reply
            host, request, authorization = self._redirected(host, request, authorization, response)
        raise RegistryError(f"{host.name} redirects more than {limits.REDIRECTS} times")

    async def _open_once(
        self, host: Host, request: Request, meter: Meter, authorization: str | None
    ) -> BodyStream | Reply:
        for _ in range(limits.REDIRECTS + 1):
            limiter = host.limiter
            await limiter.enter()
            kept = False
            try:
                # aiohttp's sock_read begins anew with each byte: a head that drips needs a limit as a whole.
                async with asyncio.timeout(2 * self._settings.timeout_s):
                    response = await self._send(host, request, authorization, meter, self._streamed)
                    status = response.status
                    if status in (200, 206):
                        self._refuse_encoding(response, host, request)
                        kept = True
                        limiter.note(refused=False)
                        return BodyStream(
                            response,
                            limiter=limiter,
                            meter=meter,
                            monotonic=self._monotonic,
                            asked=f"{host.name}{request.path}",
                        )
                    body = await self._read(response, None, meter, host, request)
            except TimeoutError as error:
                raise _broken(error, f"{host.name}{request.path}") from error
            finally:
                if not kept:
                    limiter.leave()
            limiter.note(refused=status == 429)
            if status not in _REDIRECTS:
                reply = Reply(status=status, headers=response.headers, body=body)
                if status in _WORTH_A_RETRY:
                    self._refuse(reply, host, request)
                return reply
            host, request, authorization = self._redirected(host, request, authorization, response)
        raise RegistryError(f"{host.name} redirects more than {limits.REDIRECTS} times")

    def _refuse(self, reply: Reply, host: Host, request: Request) -> None:
        """Raise what a status worth another try means, and hold the host where it has been refusing much."""
        retry_after_s = parse_retry_after(reply.headers.get("Retry-After"), now_s=self._wall_s())
        if reply.status == 429:
            host.limiter.hold(min(retry_after_s or limits.BACKOFF_FIRST_S, limits.RETRY_AFTER_S))
        raise refusal(reply.status, reply.body, asked=f"{host.name}{request.path}", retry_after_s=retry_after_s)

    def _redirected(
        self, host: Host, request: Request, authorization: str | None, response: aiohttp.ClientResponse
    ) -> tuple[Host, Request, str | None]:
        """Where a redirect leads, with the Authorization only if it stays within the origin (GHSA-vh4v-2xq2-g5cg)."""
        base = host.base or ""
        location = response.headers.get("Location")
        if location is None:
            raise RegistryError(f"{host.name}{request.path}: a redirect without a Location", status=response.status)
        scheme, netloc, target = redirect_target(base, request.target, location)
        if scheme == "http" and base.startswith("https:") and self._tls_for(netloc).verify:
            raise RegistryError(
                f"{host.name}{request.path} redirects to plain HTTP at {netloc}, which --tls-verify=false would allow",
                status=response.status,
            )
        own_scheme, _, own_netloc = base.partition("://")
        if Origin.of(scheme, netloc) == Origin.of(own_scheme, own_netloc):
            return host, Request(target=target, headers=request.headers), authorization
        return self.host(netloc, scheme=scheme), Request(target=target, headers=request.headers), None

    async def _send(
        self, host: Host, request: Request, authorization: str | None, meter: Meter, timeout: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        if host.base is not None:
            return await self._put(host, host.base, request, authorization, meter, timeout)
        while host.base is None:
            if host.probing is None:
                return await self._probe(host, request, authorization, meter, timeout)
            failure = await asyncio.shield(host.probing)
            if failure is not None:
                raise UnreachableError(failure)
        return await self._put(host, host.base, request, authorization, meter, timeout)

    async def _probe(
        self, host: Host, request: Request, authorization: str | None, meter: Meter, timeout: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        """Find out with this request whether the host speaks TLS; others to it wait for the answer."""
        probing = host.probing = asyncio.get_running_loop().create_future()
        failure: str | None = None
        try:
            return await self._try_schemes(host, request, authorization, meter, timeout)
        except TransportError as error:
            failure = str(error)
            raise
        finally:
            host.probing = None
            probing.set_result(failure)

    async def _try_schemes(
        self, host: Host, request: Request, authorization: str | None, meter: Meter, timeout: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        hasty = aiohttp.ClientTimeout(
            total=timeout.total,
            connect=timeout.connect,
            sock_read=timeout.sock_read,
            sock_connect=min(host.probe_s, self._settings.timeout_s),
        )
        try:
            response = await self._put(host, f"https://{host.name}", request, authorization, meter, hasty)
        except TransportError as error:
            # A time-out after the handshake says that TLS is spoken.
            if isinstance(error, RequestTimeoutError) and not isinstance(
                error.__cause__, aiohttp.ConnectionTimeoutError
            ):
                raise
            over_tls = error
        else:
            host.decide("https")
            return response
        try:
            response = await self._put(host, f"http://{host.name}", request, authorization, meter, timeout)
        except UnreachableError as error:
            raise UnreachableError(f"{over_tls}; nor over plain HTTP: {error}") from error
        if response.status == _TLS_SPOKEN_HTTP:
            response.close()
            raise over_tls
        host.decide("http")
        return response

    async def _put(
        self,
        host: Host,
        base: str,
        request: Request,
        authorization: str | None,
        meter: Meter,
        timeout: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        """Put one request on the line and wait for the head of its answer; every one is counted."""
        headers = request.headers
        if authorization is not None:
            headers = (*headers, ("Authorization", authorization))
        session = self._session or self._start()
        if host.context is None:
            host.context = _context(host)
        meter.requests += 1
        try:
            return await session.get(
                URL(base + request.target, encoded=True),
                headers=headers,
                allow_redirects=False,
                timeout=timeout,
                ssl=host.context,
            )
        except _CLIENT_ERRORS as error:
            raise _broken(error, f"{host.name}{request.path}") from error

    def _start(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            # The limiter bounds each host; aiohttp's own queue would stand beside it.
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            headers={"User-Agent": "plimsoll", "Accept-Encoding": "identity"},
            middlewares=(_sent_once,),
            max_line_size=limits.HEADER_BYTES,
            max_field_size=limits.HEADER_BYTES,
            max_headers=limits.REPLY_FIELDS,
            read_bufsize=limits.CHUNK_BYTES,
        )
        return self._session

    async def _read(
        self, response: aiohttp.ClientResponse, limit: int | None, meter: Meter, host: Host, request: Request
    ) -> bytes:
        """Read a whole body of at most ``limit`` bytes; None reads an error's or redirect's body as far as it is used."""
        try:
            if limit is None:
                body = await self._read_part(response, limits.ERROR_BYTES)
            else:
                self._refuse_encoding(response, host, request)
                body = await self._read_all(response, limit, host, request)
        except _CLIENT_ERRORS as error:
            raise _broken(error, f"{host.name}{request.path}") from error
        finally:
            # A body read to its end has given its connection back, and nothing is left to close.
            response.close()
        meter.bytes += len(body)
        return body

    async def _read_all(self, response: aiohttp.ClientResponse, limit: int, host: Host, request: Request) -> bytes:
        length = response.content_length
        if length is not None and length > limit:
            raise LimitExceededError(f"{host.name}{request.path} has {length} bytes: at most {limit}")
        taken = await self.budget.take(limit if length is None else length)
        try:
            # Of a body with a stated length aiohttp reads no more than that.
            body = await self._read_part(response, limit) if length is None else await response.read()
        finally:
            self.budget.give(taken)
        if len(body) > limit:
            raise LimitExceededError(f"{host.name}{request.path} has more than {limit} bytes")
        return body

    async def _read_part(self, response: aiohttp.ClientResponse, limit: int) -> bytes:
        """Read to the end, or until more than ``limit`` bytes have come and the connection is not worth keeping."""
        parts: list[bytes] = []
        size = 0
        while size <= limit and (part := await response.content.readany()):
            parts.append(part)
            size += len(part)
        return b"".join(parts)

    def _refuse_encoding(self, response: aiohttp.ClientResponse, host: Host, request: Request) -> None:
        encoding = response.headers.get("Content-Encoding")
        if encoding is not None and encoding.strip().lower() not in ("", "identity"):
            response.close()
            raise ContentError(
                f"{host.name}{request.path} came with Content-Encoding {encoding[:80]!r} though none was accepted: "
                "a digest covers the bytes themselves"
            )

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _context(host: Host) -> SSLContext | bool:
    try:
        return client_context(host.tls)
    except ConfigError as error:
        raise UntrustedHostError(f"{host.name}: {error}") from error
