"""RegistryServer: the embedded registry on a socket, in the event loop that runs."""

from __future__ import annotations

import ipaddress
from typing import Final

from aiohttp import web

from plimsoll.embedded.registry import application
from plimsoll.embedded.store import Store
from plimsoll.errors import UsageError

_SHUTDOWN_S: Final = 2.0
"""What requests under way are given to end; a client that holds one open must not hold the process."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect there; a name but ``localhost`` may be any address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class RegistryServer:
    """Serves a Store between ``start`` and ``stop``, or as an async context manager that gives ``HOST:PORT``.

    Raises UsageError for an address that other machines reach, unless ``beyond_loopback`` is said.
    """

    def __init__(
        self,
        store: Store,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        allow_push: bool = False,
        beyond_loopback: bool = False,
    ) -> None:
        if not beyond_loopback and not is_loopback(host):
            raise UsageError(
                f"{host} is reached from other machines, and the registry has no login: say so to serve it"
            )
        self._host = host
        self._port = port
        # auto_decompress: a digest covers the bytes as they were sent, also under a Content-Encoding.
        self._runner = web.AppRunner(
            application(store, allow_push=allow_push),
            access_log=None,
            auto_decompress=False,
            shutdown_timeout=_SHUTDOWN_S,
        )

    async def start(self) -> str:
        """Begin to listen and return ``HOST:PORT`` with the port that was given; raises OSError where it is taken."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Stop listening and end the connections; the store stays open."""
        await self._runner.cleanup()

    async def __aenter__(self) -> str:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
