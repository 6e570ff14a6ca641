"""A server that sends the very bytes it is told, one script for each connection: what no HTTP server could be made to."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Self

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def ok(body: bytes = b"abc", *fields: str, status: str = "200 OK", version: str = "1.1") -> bytes:
    """An honest answer with its length stated."""
    lines = [f"HTTP/{version} {status}", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def raw(*lines: str, body: bytes = b"", status: str = "200 OK") -> bytes:
    """A head of these lines only, and what follows it."""
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1") + body


def says(*answers: bytes, then: str = "wait") -> Script:
    """One answer for each request; ``then`` "wait"s until the client hangs up, or "close"s."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        if then == "wait":
            await reader.read()

    return script


def endlessly(start: bytes, part: bytes, *, pause_s: float = 0) -> Script:
    """``start``, then ``part`` until the client hangs up."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(start)
        while not writer.is_closing():
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_s)

    return script


class RawServer:
    """Serves one script after another, the last one for ever; ``heads`` is each request's bytes, by connection."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        self.heads: list[list[bytes]] = []
        self.gone = 0
        self.port = 0
        self._scripts = list(scripts)
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def base(self) -> str:
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        return len(self.heads)

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
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)

    async def left(self, count: int) -> None:
        """Wait until ``count`` connections are gone."""
        async with asyncio.timeout(5):
            while self.gone < count:
                await asyncio.sleep(0.001)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.append(writer)
        script = self._scripts[min(len(self.heads), len(self._scripts) - 1)]
        heads: list[bytes] = []
        self.heads.append(heads)
        read = reader.readuntil

        async def noted(separator: bytes = b"\n") -> bytes:
            heads.append(await read(separator))
            return heads[-1]

        reader.readuntil = noted  # type: ignore[method-assign]
        try:
            await script(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # The client hung up, or the test is over.
            pass
        finally:
            self._tasks.discard(task)
            self.gone += 1
            writer.close()
