"""Dialing: from a name to a connected socket: IPv6 and IPv4 raced (RFC 8305), names looked up once in a while."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from aiohappyeyeballs import AddrInfoType, start_connection

LOOKED_UP_S: Final = 300.0
"""How long a name's addresses are taken for current within a run, in seconds."""
HEAD_START_S: Final = 0.25
"""RFC 8305 section 5: the delay before the next address is tried beside the one that does not answer."""


class Dialer:
    """Connects, remembering what names led to; one a run."""

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._known: dict[tuple[str, int], tuple[float, list[AddrInfoType]]] = {}

    async def dial(self, host: str, port: int) -> socket.socket:
        """A connected, non-blocking socket; raises OSError where no address answers or the name has none."""
        loop = asyncio.get_running_loop()
        addresses = await self._look_up(loop, host, port)
        try:
            return await start_connection(addresses, happy_eyeballs_delay=HEAD_START_S, interleave=1, loop=loop)
        except OSError:
            self._known.pop((host, port), None)  # the addresses may have changed: the next try looks them up again
            raise

    async def _look_up(self, loop: asyncio.AbstractEventLoop, host: str, port: int) -> list[AddrInfoType]:
        known = self._known.get((host, port))
        if known is not None and self._monotonic() - known[0] < LOOKED_UP_S:
            return known[1]
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        if not found:
            raise OSError(f"the name {host} has no address")
        self._known[host, port] = (self._monotonic(), list(found))
        return self._known[host, port][1]
