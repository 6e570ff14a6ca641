"""Small GETs over kept-alive HTTP/1.1 connections: the hot path, on asyncio's own protocol and llhttp's parser.

An image costs three of them, and a general client's bookkeeping for one request costs more than judging the image
(docs/adr/0008-the-hot-path.md). What is not here goes through ``connections``: streams, POSTs, proxies.
A connection is used again only after an answer that ended where it said, with nothing behind it (response splitting).
"""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import ssl
from collections.abc import Callable
from enum import Enum
from typing import Final, cast

import httptools
from multidict import CIMultiDict, CIMultiDictProxy

from plimsoll import limits
from plimsoll.errors import (
    ConnectTimeoutError,
    LimitExceededError,
    NotConnectedError,
    NoTLSError,
    RequestTimeoutError,
    UnreachableError,
    UntrustedHostError,
)
from plimsoll.transport.base import Meter
from plimsoll.transport.budget import ByteBudget
from plimsoll.transport.dialing import Dialer
from plimsoll.transport.origins import address_of
from plimsoll.wire import Reply, Request

IDLE_S: Final = 15.0
"""An idle connection older than this is not used again: servers close theirs after 60 s or more, proxies sooner."""
_TARGET = re.compile(r"/[\x21-\x7e]*", re.ASCII)
Context = ssl.SSLContext | bool
"""How TLS is spoken: True by the system's roots, False without proof, or as the context says."""
_Way = tuple[str, Context]
"""An origin, and how its TLS is spoken: a connection made without proof never serves who asks for it."""
_NO_TLS: Final = (
    "the answer is no TLS; a registry over plain HTTP needs --tls-verify=false, or insecure = true in registries.conf"
)
_FIELD = re.compile(r"[\x20-\x7e\t]*", re.ASCII)


class KeptAlive:
    """The kept-alive connections of one run, by origin; ``aclose`` ends them."""

    def __init__(
        self, *, timeout_s: float, budget: ByteBudget, monotonic: Callable[[], float], user_agent: str = "plimsoll"
    ) -> None:
        self._timeout_s = timeout_s
        self._user_agent = user_agent
        self._budget = budget
        self._monotonic = monotonic
        self._idle: dict[_Way, list[_Connection]] = {}
        self._contexts: dict[bool, ssl.SSLContext] = {}
        self._dialer = Dialer(monotonic=monotonic)
        self._is_closed = False

    async def get(
        self, base: str, request: Request, authorization: str | None, *, context: Context, limit: int, meter: Meter
    ) -> Reply:
        """Send one GET to ``base`` (``SCHEME://HOST[:PORT]``) and read its answer, at most ``limit`` bytes of body.

        Of a refusal or redirect no more than limits.ERROR_BYTES are kept. Raises UnreachableError, RequestTimeoutError,
        or LimitExceededError for a body that is, or is said to be, longer. ``meter`` counts what was put on the line.
        """
        asked = base + request.path
        message = _message(base, request, authorization, self._user_agent)
        way = (base, context)
        connection = self._take(way) or await self._connect(base, context, self._timeout_s)
        try:
            async with asyncio.timeout(self._timeout_s) as clock:
                reply = await connection.exchange(
                    message, limit=limit, budget=self._budget, clock=clock, asked=asked, meter=meter
                )
        except TimeoutError as error:
            connection.abort()
            raise RequestTimeoutError(f"{asked} was not answered in time") from error
        except BaseException:
            connection.abort()
            raise
        self._give(way, connection)
        return reply

    async def greet(self, base: str, *, context: Context, within_s: float) -> None:
        """Connect to ``base`` within so many seconds, for the next ``get``; raises what its connecting would raise."""
        self._give((base, context), await self._connect(base, context, within_s))

    def _take(self, way: _Way) -> _Connection | None:
        idle = self._idle.get(way)
        while idle:
            connection = idle.pop()
            if connection.is_usable and self._monotonic() - connection.idle_since < IDLE_S:
                return connection
            connection.abort()
        return None

    def _give(self, way: _Way, connection: _Connection) -> None:
        if self._is_closed or not connection.is_usable:
            connection.abort()
            return
        connection.idle_since = self._monotonic()
        self._idle.setdefault(way, []).append(connection)

    async def _connect(self, base: str, context: Context, within_s: float) -> _Connection:
        """A new connection; the errors name the host alone, for whoever else waits for it."""
        if self._is_closed:
            raise NotConnectedError(f"{base}: no connection: this run is over")
        scheme, _, netloc = base.partition("://")
        try:
            host, port = address_of(netloc, scheme=scheme)
            async with asyncio.timeout(within_s):
                dialed = await self._dialer.dial(host, port)
                if scheme == "https":
                    return await _secured(dialed, self._context(context), host)
                return (await _taken_over(dialed))[1]
        except TimeoutError as error:
            raise ConnectTimeoutError(f"{base}: no connection in time") from error
        except ssl.SSLCertVerificationError as error:
            why = error.verify_message
            raise UntrustedHostError(f"{base}: the host's certificate is not trusted: {why}") from error
        except ssl.SSLError as error:
            if error.reason == "WRONG_VERSION_NUMBER":
                raise NoTLSError(f"{base}: no TLS connection: {_NO_TLS}") from error
            raise NotConnectedError(f"{base}: no TLS connection: {error.reason or type(error).__name__}") from error
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise NotConnectedError(f"{base}: no connection: {why}") from error
        except ValueError as error:  # no HOST[:PORT], or one that IDNA cannot write
            raise UntrustedHostError(f"{base}: no connection: that is no host's name and port") from error

    def _context(self, context: Context) -> ssl.SSLContext:
        if isinstance(context, ssl.SSLContext):
            return context
        made = self._contexts.get(context)
        if made is None:
            made = ssl.create_default_context()
            if not context:
                made.check_hostname = False
                made.verify_mode = ssl.CERT_NONE
            self._contexts[context] = made
        return made

    def aclose(self) -> None:
        """Close all connections; one that an answer is still awaited on is closed after it."""
        self._is_closed = True
        for idle in self._idle.values():
            for connection in idle:
                connection.abort()
        self._idle.clear()


async def _taken_over(dialed: socket.socket) -> tuple[asyncio.Transport, _Connection]:
    """Hand a connected socket to the loop; cancelled, it lets the loop finish, in a turn or two, and closes it then.

    uvloop, cancelled within, closes the descriptor and leaves the socket object to close it once more.
    """
    made = asyncio.ensure_future(asyncio.get_running_loop().create_connection(_Connection, sock=dialed))
    try:
        return await asyncio.shield(made)
    except BaseException:
        await asyncio.wait([made])
        if not made.cancelled() and made.exception() is None:
            made.result()[0].abort()
        raise


async def _secured(dialed: socket.socket, tls: ssl.SSLContext, host: str) -> _Connection:
    """Speak TLS on a connected socket.

    As a second step: cancelled between the two that create_connection makes of it, uvloop forgets a future whose
    exception, when the handshake then fails, it prints.
    """
    loop = asyncio.get_running_loop()
    transport, connection = await _taken_over(dialed)
    if not connection.is_usable:
        raise ConnectionResetError(errno.ECONNRESET, "it was closed, or something was said, before TLS was spoken")
    try:
        secured = await loop.start_tls(transport, connection, tls, server_hostname=host)
    except BaseException:
        loop.call_soon(transport.abort)  # after uvloop's own first step, which complains of a closed transport
        raise
    if secured is None:
        raise ConnectionResetError  # asyncio's way to say that it was closed meanwhile
    connection.connection_made(secured)
    return connection


def _message(base: str, request: Request, authorization: str | None, user_agent: str) -> bytes:
    """The request's bytes; raises UnreachableError for what would not be one line each (request splitting)."""
    fields = [("User-Agent", user_agent), ("Accept-Encoding", "identity"), *request.headers]
    if authorization is not None:
        fields.append(("Authorization", authorization))
    if not _TARGET.fullmatch(request.target) or not all(_FIELD.fullmatch(value) for _, value in fields):
        raise UnreachableError(f"{base}: {request.path[:200]!r}, or a field for it, holds characters that HTTP has not")
    lines = "".join([f"{name}: {value}\r\n" for name, value in fields])
    host = base.partition("://")[2]
    return f"GET {request.target} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n".encode("ascii")


class _Stage(Enum):
    """Where an answer stands: a body not known to be small waits for room, or all of it is here."""

    WAITS = "waits"
    WHOLE = "whole"


class _Connection(asyncio.Protocol):
    """One connection: at most one request on it at a time, its answer parsed as it comes.

    ``_outcome`` is None while the answer is coming, else its stage or what ended it.
    """

    def __init__(self) -> None:
        self.idle_since = 0.0
        self.is_usable = True
        self._transport: asyncio.Transport | None = None
        self._stated: int | None = None
        self._ended = True

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def eof_received(self) -> None:
        self.is_usable = False  # it is about to be lost: a request sent before then would be, too

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_usable = False
        if self._ended:
            return
        if self._headed and exc is None and not self._is_delimited:
            self._tell(_Stage.WHOLE)  # a body without a length ends with its connection (RFC 9112 section 6.3, point 8)
        elif self._headed:
            self._tell(UnreachableError("the answer's body broke off"))
        else:
            self._tell(UnreachableError("the connection was closed before an answer came"))

    def data_received(self, data: bytes) -> None:
        if self._ended:
            self.abort()  # nothing was asked: no later answer may be taken from such a connection
            return
        self._unread_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.is_usable = False
            self._tell(UnreachableError("the answer is no HTTP that can be read"))
            return
        if self._unread_bytes > limits.REPLY_HEAD_BYTES:
            # Nor may trailers or a chunk's extensions go on for ever.
            self._tell(UnreachableError("the answer's head, or what stands between its body's parts, is too long"))

    # --- httptools ---

    def on_message_begin(self) -> None:
        if self._ended:
            self.is_usable = False  # a second answer behind the one that was asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._ended or self._headed:
            return  # a trailer is never taken for a header field (RFC 9110 section 6.5.1)
        if len(self._fields) >= limits.REPLY_FIELDS or len(name) + len(value) > limits.HEADER_BYTES:
            self._tell(UnreachableError("the answer has too many header fields, or too long ones"))
            return
        value = value.rstrip(b" \t")  # llhttp strips what stands before a value only (RFC 9112 section 5.1)
        self._fields.append((name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape")))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._ended:
            return
        if status < 200:
            if status < 100 or status == 101:
                # No status at all, or another protocol from here on, which nobody asked for.
                self._tell(UnreachableError(f"the answer has the status {status}"))
            return
        self._headed = True
        self._unread_bytes = 0
        self._status = status
        fields = {name.lower(): value for name, value in self._fields}
        self._stated = int(fields["content-length"]) if "content-length" in fields else None
        self._is_delimited = self._stated is not None or "transfer-encoding" in fields
        if status >= 300:
            self._limit = limits.ERROR_BYTES
        elif self._stated is not None and self._stated > self._limit:
            self._tell(LimitExceededError(f"has {self._stated} bytes: at most {self._limit}"))
        elif self._stated is None or self._stated > limits.SMALL_BODY_BYTES:
            self._pause()

    def on_body(self, body: bytes) -> None:
        if self._ended or not self._headed:
            return
        room = self._limit - len(self._body)
        self._unread_bytes = 0
        # One buffer: a list of a body's chunks, each of two bytes, would be thirty times as large as the body.
        self._body += body if len(body) <= room else body[:room]
        if len(body) <= room:
            return
        self.is_usable = False
        # Of a refusal the beginning is enough.
        enough = self._status >= 300
        self._tell(_Stage.WHOLE if enough else LimitExceededError(f"has more than {self._limit} bytes"))

    def on_message_complete(self) -> None:
        if self._ended:
            return
        if not self._headed:
            # An interim answer (100, 103): the one that was asked for follows (RFC 9110 section 15.2).
            self._fields.clear()
        else:
            self.is_usable = self.is_usable and self._parser.should_keep_alive()
            self._tell(_Stage.WHOLE)

    # --- one exchange ---

    async def exchange(
        self, message: bytes, *, limit: int, budget: ByteBudget, clock: asyncio.Timeout, asked: str, meter: Meter
    ) -> Reply:
        """Send ``message`` and read its answer; the caller aborts the connection if this raises."""
        assert self._transport is not None
        self._begin(limit)
        if not self.is_usable:
            raise UnreachableError(f"{asked}: the connection was closed before anything was asked")
        self._transport.write(message)
        meter.requests += 1
        taken = 0
        try:
            while await self._wait(asked) is _Stage.WAITS:
                taken += await budget.take_beside(limit if self._stated is None else self._stated, clock)
                self._resume()
        finally:
            budget.give(taken)
        return Reply(status=self._status, headers=CIMultiDictProxy(CIMultiDict(self._fields)), body=bytes(self._body))

    def _begin(self, limit: int) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._limit = limit
        self._status = 0
        self._stated = None
        self._unread_bytes = 0
        self._fields: list[tuple[str, str]] = []
        self._body = bytearray()
        self._headed = self._ended = self._is_delimited = self._paused = False
        self._outcome: _Stage | Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def _wait(self, asked: str) -> _Stage:
        """The next stage of the answer; raises what ended it."""
        while self._outcome is None:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        outcome, self._outcome = self._outcome, None
        match outcome:
            case LimitExceededError():
                raise LimitExceededError(f"{asked} {outcome}")
            case Exception():
                raise UnreachableError(f"{asked}: {outcome}")
            case _:
                return outcome

    def _tell(self, outcome: _Stage | Exception) -> None:
        if self._ended:
            return
        self._ended = outcome is not _Stage.WAITS
        if self._ended:
            self._resume()
        self._outcome = outcome
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _pause(self) -> None:
        assert self._transport is not None
        self._transport.pause_reading()
        self._paused = True
        self._tell(_Stage.WAITS)

    def _resume(self) -> None:
        if self._paused and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
        self._paused = False

    def abort(self) -> None:
        """Close at once; what was being read is given up."""
        self.is_usable = False
        self._ended = True
        if self._transport is not None:
            self._transport.abort()
