"""The one door to HTTP: all that is sent to a registry, a token server or behind a redirect goes through here.

What is decided here: how many requests at once, which are tried again and when, where a redirect may lead and what it
may carry, and whether a host is spoken to over TLS. Each request that is put on the line is counted.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final
from urllib.parse import unquote

from plimsoll import limits
from plimsoll.errors import (
    ConnectTimeoutError,
    NotConnectedError,
    NoTLSError,
    RegistryError,
    RequestTimeoutError,
    TransportError,
    UnreachableError,
    UntrustedHostError,
)
from plimsoll.model.settings import HttpSettings, ProxyFor, TLSFor, TLSSettings
from plimsoll.transport.base import Meter
from plimsoll.transport.budget import ByteBudget
from plimsoll.transport.connections import (
    BodyStream,
    Connections,
    read_body,
    read_error,
    refuse_encoding,
)
from plimsoll.transport.hosts import Host
from plimsoll.transport.keepalive import KeptAlive
from plimsoll.transport.limiter import Limiter
from plimsoll.transport.origins import Origin, redirect_target
from plimsoll.transport.retry import retry_wait_s
from plimsoll.wire import Reply, Request, parse_retry_after, refusal

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_WORTH_A_RETRY: Final = frozenset({408, 429, 500, 502, 503, 504})
_TLS_SPOKEN_TO_PLAINLY: Final = 400
"""What servers answer to plain HTTP on a TLS port (Go, nginx), in HTML, text or nothing."""


class HttpClient:
    """Connections, limiters and byte budget of one run; ``sleep``, clocks and randomness are given from outside.

    Use from one event loop; ``aclose`` at the end.
    """

    def __init__(
        self,
        settings: HttpSettings,
        tls_for: TLSFor,
        *,
        proxy_for: ProxyFor | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.monotonic = monotonic
        self.budget = ByteBudget(limits.BYTES_IN_FLIGHT)
        self._tls_for = tls_for
        self._sleep = sleep
        self._jitter = jitter
        self._wall_s = wall_s
        agent = f"{settings.user_agent_prefix} plimsoll".lstrip()
        self._connections = Connections(timeout_s=settings.timeout_s, proxy_for=proxy_for, user_agent=agent)
        self._kept = KeptAlive(timeout_s=settings.timeout_s, budget=self.budget, monotonic=monotonic, user_agent=agent)
        self._hosts: dict[tuple[str | None, str, TLSSettings | None], Host] = {}
        self._limiters: dict[str, Limiter] = {}
        self._probes: set[asyncio.Task[TransportError | None]] = set()

    def host(self, name: str, *, scheme: str | None = None, tls: TLSSettings | None = None) -> Host:
        """The state of ``HOST[:PORT]``; without ``scheme`` it is https, or what is found where TLS may be unproven.

        ``tls`` is how it is spoken to where that is settled for a repository; else what holds for the whole host.
        """
        name = name.lower()
        known = self._hosts.get((scheme, name, tls))
        if known is None:
            how = tls or self._tls_for(name)
            known = self._hosts.get((scheme, name, how)) or self._new_host(name, scheme, how)
            self._hosts[scheme, name, tls] = self._hosts[scheme, name, how] = known
        return known

    def _new_host(self, name: str, scheme: str | None, tls: TLSSettings) -> Host:
        host = Host(name, limiter=self._limiter(name), tls=tls)
        if scheme is not None or tls.verify:
            host.decide(scheme or "https")
        return host

    def _limiter(self, name: str) -> Limiter:
        limiter = self._limiters.get(name)
        if limiter is None:
            limiter = self._limiters[name] = Limiter(
                connections=self.settings.connections_per_host,
                requests_per_s=self.settings.requests_per_s,
                sleep=self._sleep,
                monotonic=self.monotonic,
            )
        return limiter

    async def get(
        self,
        host: Host,
        request: Request,
        *,
        limit: int,
        meter: Meter,
        authorization: str | None = None,
        once: bool = False,
    ) -> Reply:
        """Send ``request``, follow redirects, try again as set, and read at most ``limit`` bytes of body.

        ``once`` leaves the further tries to the caller. Any status but those worth another try is a Reply. Raises
        TransportError where no answer could be had, LimitExceededError or ContentError for a body that is too long or
        encoded.
        """
        send = self._follow if once else self._persist
        reply = await send(host, request, authorization, meter, limit)
        assert isinstance(reply, Reply)
        return reply

    async def open(
        self, host: Host, request: Request, *, meter: Meter, authorization: str | None = None
    ) -> BodyStream | Reply:
        """Send ``request`` likewise, but leave the body of a 200 or 206 to be streamed; the caller closes it."""
        return await self._persist(host, request, authorization, meter, None)

    async def pause(self, error: TransportError, *, tried: int) -> None:
        """Wait before another try of what ``error`` broke; raises it where no other try is due."""
        if not await self.paused(error, tried=tried):
            raise error

    async def paused(self, error: Exception, *, tried: int) -> bool:
        """Wait before another try of what ``error`` broke; False, at once, where no other try is due."""
        if not isinstance(error, TransportError):
            return False
        wait_s = retry_wait_s(
            error,
            tried=tried,
            retries=self.settings.retries,
            random=self._jitter,
            delay_s=self.settings.retry_delay_s,
        )
        if wait_s is not None:
            await self._sleep(wait_s)
        return wait_s is not None

    async def _persist(
        self, host: Host, request: Request, authorization: str | None, meter: Meter, limit: int | None
    ) -> Reply | BodyStream:
        tried = 0
        while True:
            try:
                return await self._follow(host, request, authorization, meter, limit)
            except TransportError as error:
                await self.pause(error, tried=tried)
            tried += 1

    async def _follow(
        self, host: Host, request: Request, authorization: str | None, meter: Meter, limit: int | None
    ) -> Reply | BodyStream:
        """Send ``request`` once, and what its redirects ask for; ``limit`` None leaves a good answer's body unread."""
        first, asked = host, request
        for _ in range(limits.REDIRECTS + 1):
            limiter = host.limiter
            await limiter.enter()
            try:
                # Read once: a request beside this one may forget the host's scheme while the answer is awaited.
                base = host.base or await self._settle(host, meter)
                if limit is None:
                    reply = await self._open(host, base, request, authorization, meter)
                else:
                    reply = await self._exchange(host, base, request, authorization, meter, limit)
                if host.doubt is not None:
                    self._answered(host, reply)
            except BaseException as error:
                limiter.leave()
                if host.doubt is not None:
                    self._broke(host, error)
                raise
            limiter.note(refused=reply.status == 429)
            if isinstance(reply, BodyStream):
                # It leaves the limiter when it is closed.
                return reply
            limiter.leave()
            if reply.status == 401 and host is not first:
                # Not the registry's challenge: it must not be answered with a proof for the registry.
                where = f"{host.name}{request.path}, where {first.name} redirects to,"
                raise refusal(401, reply.body, asked=where)
            if reply.status not in _REDIRECTS:
                if reply.status in _WORTH_A_RETRY:
                    self._refuse(reply, host, request)
                if reply.status == 404 and not _asks_the_same(asked, request):
                    return replace(reply, led_to=host.name + request.path)
                return reply
            host, request, authorization = self._redirected(host, base, request, authorization, reply)
        raise RegistryError(f"{host.name} redirects more than {limits.REDIRECTS} times")

    async def _exchange(
        self, host: Host, base: str, request: Request, authorization: str | None, meter: Meter, limit: int
    ) -> Reply:
        asked = host.name + request.path
        if request.is_read and not self._connections.has_proxy(base):
            reply = await self._kept.get(base, request, authorization, context=host.context, limit=limit, meter=meter)
            if reply.status < 300:
                refuse_encoding(reply.headers, asked=asked)
            meter.bytes += len(reply.body)
            return reply
        answer = await self._connections.send(
            base, request, authorization, context=host.context, times=self._connections.whole, meter=meter
        )
        if answer.status < 300:
            body = await read_body(answer, limit=limit, budget=self.budget, asked=asked)
        else:
            body = await read_error(answer, asked=asked)
        meter.bytes += len(body)
        return Reply(status=answer.status, headers=answer.headers, body=body)

    async def _open(
        self, host: Host, base: str, request: Request, authorization: str | None, meter: Meter
    ) -> Reply | BodyStream:
        asked, times = host.name + request.path, self._connections.streamed
        try:
            # A head that drips, each byte in time, needs a limit as a whole; connecting has one of its own.
            async with asyncio.timeout(2 * self.settings.timeout_s):
                answer = await self._connections.send(
                    base, request, authorization, context=host.context, times=times, meter=meter
                )
        except TimeoutError as error:
            raise RequestTimeoutError(f"{asked} was not answered in time") from error
        if answer.status in (200, 206):
            try:
                refuse_encoding(answer.headers, asked=asked)
            except BaseException:
                answer.close()
                raise
            return BodyStream(answer, limiter=host.limiter, meter=meter, monotonic=self.monotonic, asked=asked)
        body = await read_error(answer, asked=asked)
        meter.bytes += len(body)
        return Reply(status=answer.status, headers=answer.headers, body=body)

    def _refuse(self, reply: Reply, host: Host, request: Request) -> None:
        """Raise what a status worth another try means, and hold the host where it has been refusing much."""
        retry_after_s = parse_retry_after(reply.headers.get("Retry-After"), now_s=self._wall_s())
        if reply.status == 429:
            host.limiter.hold(min(retry_after_s or limits.BACKOFF_FIRST_S, limits.RETRY_AFTER_S))
        raise refusal(reply.status, reply.body, asked=host.name + request.path, retry_after_s=retry_after_s)

    def _redirected(
        self, host: Host, base: str, request: Request, authorization: str | None, reply: Reply
    ) -> tuple[Host, Request, str | None]:
        """Where a redirect leads, with the Authorization only if it stays within the origin (GHSA-vh4v-2xq2-g5cg)."""
        asked = host.name + request.path
        if request.form is not None:
            raise RegistryError(f"{asked} redirects a request that holds a secret", status=reply.status)
        if not request.is_read:
            raise RegistryError(f"{asked} redirects a request that writes: nothing is sent there", status=reply.status)
        location = reply.headers.get("Location")
        if not location:
            raise RegistryError(f"{asked}: a redirect without a Location", status=reply.status)
        scheme, netloc, target = redirect_target(base, request.target, location)
        if scheme == "http" and base.startswith("https:") and self._tls_for(netloc).verify:
            raise RegistryError(
                f"{asked} redirects to plain HTTP at {netloc}, which may not be so", status=reply.status
            )
        following = Request(target=target, headers=request.headers)
        own_scheme, _, own_netloc = base.partition("://")
        if Origin.of(scheme, netloc) == Origin.of(own_scheme, own_netloc):
            return host, following, authorization
        return self.host(netloc, scheme=scheme), following, None

    async def _settle(self, host: Host, meter: Meter) -> str:
        """The host's base, once it is found out how it is spoken to; raises what keeps us from any connection to it.

        A task of its own finds out: none of those who wait is held up by another's request, or shares its failure, or
        ends the search by being cancelled.
        """
        while (base := host.base) is None:
            if host.probing is None:
                host.probing = asyncio.create_task(self._probe(host, meter))
                self._probes.add(host.probing)
                host.probing.add_done_callback(self._probes.discard)
            failure = await asyncio.shield(host.probing)
            if failure is not None:
                raise type(failure)(*failure.args) from failure
        return base

    async def _probe(self, host: Host, meter: Meter) -> TransportError | None:
        """Connect to the host, over TLS or else without: what failed, or None and the host's scheme is known."""
        try:
            await self._greet(host, "https", meter, within_s=min(host.probe_s, self.settings.timeout_s))
            host.decide("https")
        except UntrustedHostError as error:
            return error
        except TransportError as over_tls:
            return await self._probe_plain(host, over_tls, meter)
        finally:
            host.probing = None
        return None

    async def _probe_plain(self, host: Host, over_tls: TransportError, meter: Meter) -> TransportError | None:
        try:
            await self._greet(host, "http", meter, within_s=self.settings.timeout_s)
        except TransportError as error:
            silent = isinstance(over_tls, ConnectTimeoutError) and isinstance(error, ConnectTimeoutError)
            kind = ConnectTimeoutError if silent else NotConnectedError
            return kind(f"{over_tls}; nor over plain HTTP: {error}")
        if isinstance(over_tls, NoTLSError):
            host.decide("http")
        else:
            host.assume_plain(over_tls)
        return None

    async def _greet(self, host: Host, scheme: str, meter: Meter, *, within_s: float) -> None:
        base = f"{scheme}://{host.name}"
        if self._connections.has_proxy(base):
            await self._connections.greet(base, context=host.context, within_s=within_s, meter=meter)
        else:
            await self._kept.greet(base, context=host.context, within_s=within_s)

    def _answered(self, host: Host, reply: Reply | BodyStream) -> None:
        """See in an answer whether the host that plain HTTP was assumed of speaks it; raises how TLS failed if not."""
        doubt = host.doubt
        if doubt is None or not _is_of_tls_port(reply):
            host.doubt = None
            return
        host.forget()
        raise UnreachableError(f"{doubt}; over plain HTTP it answers with status 400, as a TLS port does") from doubt

    def _broke(self, host: Host, error: BaseException) -> None:
        """Raise what a failure means that came while plain HTTP was only assumed."""
        doubt = host.doubt
        if isinstance(error, RequestTimeoutError) and isinstance(doubt, ConnectTimeoutError):
            # Nothing was heard of the host at all.
            raise ConnectTimeoutError(f"{doubt}; nor over plain HTTP: {error}") from error
        if isinstance(error, UnreachableError) and not isinstance(error, UntrustedHostError):
            host.forget()
            raise UnreachableError(f"{doubt}; nor over plain HTTP: {error}") from error

    async def aclose(self) -> None:
        """End what is under way and close all connections; none is opened after it."""
        for probe in self._probes:
            probe.cancel()
        await asyncio.gather(*self._probes, return_exceptions=True)
        self._kept.aclose()
        await self._connections.aclose()


def _asks_the_same(asked: Request, found: Request) -> bool:
    """Whether what a redirect led to is what was asked for, if of another host or below another path.

    The last two parts of a path name it: manifests/TAG, blobs/DIGEST. Some registries send all to another one,
    registry.k8s.io for one, whose 404 is an absence; to a place in a store one sends only for what it has.
    """
    return asked is found or _name_in(asked) == _name_in(found)


def _name_in(request: Request) -> list[str]:
    return unquote(request.path).rstrip("/").rsplit("/", 2)[-2:]


def _is_of_tls_port(reply: Reply | BodyStream) -> bool:
    """Whether a 400 is what a TLS port says to plain HTTP, and not a registry's own (distribution-spec "Error Codes").

    A registry's has a JSON body, or its version in a field.
    """
    if isinstance(reply, BodyStream) or reply.status != _TLS_SPOKEN_TO_PLAINLY:
        return False
    return reply.headers.get("Docker-Distribution-Api-Version") is None and not reply.body.lstrip().startswith(b"{")
