"""A registry that lies: real sockets on loopback, answers written byte by byte, everything asked of it remembered."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Self

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request as it came in; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


Answer = Callable[[Seen, asyncio.StreamWriter], Awaitable[None]]


def head(status: int, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def reply(body: bytes = b"", *, status: int = 200, said: int | None = None, **headers: str) -> Answer:
    """Answer with ``body``; ``said`` is the Content-Length where it is not the truth, ``Content_Type=`` makes a field."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    fields["Content-Length"] = str(len(body) if said is None else said)

    async def answer(_: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(head(status, fields) + body)
        await writer.drain()
        if said is not None:
            writer.close()

    return answer


def manifest(body: bytes, content_type: str = MANIFEST) -> Answer:
    return reply(body, Content_Type=content_type)


def refused(status: int, code: str = "DENIED", **headers: str) -> Answer:
    body = json.dumps({"errors": [{"code": code, "message": f"because {code}"}]}).encode()
    return reply(body, status=status, Content_Type="application/json", **headers)


def redirect(location: str, *, status: int = 307) -> Answer:
    return reply(b"elsewhere", status=status, Location=location)


def unlimited(body: bytes) -> Answer:
    """No length and no chunks: the body ends where the connection does."""

    async def answer(_: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, {"Content-Type": MANIFEST, "Connection": "close"}) + body)
        await writer.drain()
        writer.close()

    return answer


def endless_body(*, chunked: bool = True) -> Answer:
    async def answer(_: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, {"Transfer-Encoding": "chunked"} if chunked else {"Connection": "close"}))
        part = b"x" * 65536
        while not writer.is_closing():
            writer.write(b"10000\r\n" + part + b"\r\n" if chunked else part)
            await writer.drain()

    return answer


def endless_head(*, one_line: bool) -> Answer:
    async def answer(_: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nX-Long: " if one_line else b"HTTP/1.1 200 OK\r\n")
        count = 0
        while not writer.is_closing():
            count += 1
            writer.write(b"y" * 4096 if one_line else f"X-{count}: many\r\n".encode() * 64)
            await writer.drain()
            # The client's side may need its turn to close.
            await asyncio.sleep(0)

    return answer


def broken(body: bytes, *, after: int, status: int = 200, **headers: str) -> Answer:
    """A reset in the middle of the body."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}

    async def answer(_: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(head(status, {**fields, "Content-Length": str(len(body))}) + body[:after])
        await writer.drain()
        # The part that was sent should arrive before the reset overtakes it.
        await asyncio.sleep(0.02)
        reset(writer)

    return answer


def hang_up() -> Answer:
    """The connection closed where an answer should come."""

    async def answer(_: Seen, writer: asyncio.StreamWriter) -> None:
        writer.close()

    return answer


def held(until: asyncio.Event, then: Answer) -> Answer:
    """``then``, but not before ``until`` is set."""

    async def answer(seen: Seen, writer: asyncio.StreamWriter) -> None:
        await until.wait()
        await then(seen, writer)

    return answer


def silence() -> Answer:
    async def answer(_: Seen, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3600)

    return answer


def drip(body: bytes, *, pause_s: float) -> Answer:
    """The body a byte at a time."""

    async def answer(_: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, {"Content-Length": str(len(body))}))
        for at in range(len(body)):
            writer.write(body[at : at + 1])
            await writer.drain()
            await asyncio.sleep(pause_s)

    return answer


def rubbish(data: bytes) -> Answer:
    """Bytes that are no HTTP."""

    async def answer(_: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        writer.close()

    return answer


def ranged(body: bytes) -> Answer:
    """A blob that answers Range as it should."""

    async def answer(seen: Seen, writer: asyncio.StreamWriter) -> None:
        asked = seen.headers.get("range")
        if asked is None:
            return await reply(body)(seen, writer)
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        return await reply(body[start:], status=206, Content_Range=f"bytes {start}-{len(body) - 1}/{len(body)}")(
            seen, writer
        )

    return answer


def in_turn(*answers: Answer) -> Answer:
    """One answer after another, the last one for ever."""
    left = list(answers)

    async def answer(seen: Seen, writer: asyncio.StreamWriter) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(seen, writer)

    return answer


def needs(authorization: str, good: Answer, *, challenge: str) -> Answer:
    """``good`` for that Authorization, else 401 with ``challenge``."""

    async def answer(seen: Seen, writer: asyncio.StreamWriter) -> None:
        if seen.headers.get("authorization") == authorization:
            await good(seen, writer)
        else:
            await refused(401, "UNAUTHORIZED", WWW_Authenticate=challenge)(seen, writer)

    return answer


def token(value: str, *, expires_in: int = 300) -> Answer:
    return reply(json.dumps({"token": value, "expires_in": expires_in}).encode(), Content_Type="application/json")


def reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class HostileRegistry:
    """Answers by path, 404 for the rest; ``seen`` is every request, ``hellos`` counts TLS greetings to a plain server.

    ``patient`` waits for ever after a TLS greeting, as a server does that reads until an empty line; ``frank`` answers
    it in plain HTTP, as Go's and nginx do. Else the connection is closed.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, patient: bool = False, frank: bool = False) -> None:
        self.seen: list[Seen] = []
        self.hellos = 0
        self.connections = 0
        self._tls = tls
        self._patient = patient
        self._frank = frank
        self._answers: dict[str, Answer] = {}
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def on(self, path: str, answer: Answer) -> None:
        self._answers[path] = answer

    def asked(self, path: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.path == path]

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            await self._converse(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # Clients hang up on liars, and the test's end cancels those that are silent.
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readexactly(1)
        if first == b"\x16" and self._tls is None:
            self.hellos += 1
            if self._patient:
                await asyncio.sleep(3600)
            if self._frank:
                writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n400 Bad Request")
                await writer.drain()
            return
        while True:
            text = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *fields = text.split("\r\n")
            method, target, _ = line.split(" ")
            pairs = (field.partition(":") for field in fields if field)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            seen = Seen(method=method, target=target, headers=headers, body=body)
            self.seen.append(seen)
            await self._answers.get(seen.path, refused(404, "MANIFEST_UNKNOWN"))(seen, writer)
            if writer.is_closing():
                return
            first = await reader.readexactly(1)
