"""Asking an image's endpoints, its mirrors and then the registry itself, until one of them serves it.

An endpoint that cannot be asked or does not have the image gives way to the next (containers/image, newImageSource).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from plimsoll import limits
from plimsoll.errors import ConnectTimeoutError, ContentError, PlimsollError, RateLimitedError, TransportError
from plimsoll.model.manifest import RawManifest
from plimsoll.model.settings import Endpoint
from plimsoll.transport.hosts import Host
from plimsoll.transport.http import HttpClient


async def first_served(
    endpoints: tuple[Endpoint, ...],
    ask: Callable[[Endpoint], Awaitable[RawManifest]],
    *,
    host_of: Callable[[Endpoint], Host],
    client: HttpClient,
) -> RawManifest:
    """What the first endpoint that has the image serves; ``ask`` tries one of them, once.

    Raises what the last one says, with what all others said, where no further round is due.
    """
    hosts = [host_of(endpoint) for endpoint in endpoints]
    tried = 0
    while True:
        failures: dict[int, PlimsollError] = {}
        for position in _order(hosts, now_s=client.monotonic()):
            try:
                # One try each and all of them again: the next endpoint is a better second try than the same.
                return await ask(endpoints[position])
            except (TransportError, ContentError) as error:
                failures[position] = error
                if isinstance(error, ConnectTimeoutError):
                    hosts[position].silent_until_s = client.monotonic() + limits.SILENT_S
        if not await _again(failures.values(), client=client, tried=tried):
            raise _all_failed([(endpoints[at].reference.identity, failures[at]) for at in sorted(failures)])
        tried += 1


def _order(hosts: list[Host], *, now_s: float) -> list[int]:
    """The endpoints' positions as they are tried: those that were silent of late come last."""
    return sorted(range(len(hosts)), key=lambda at: hosts[at].silent_until_s > now_s)


async def _again(failures: Iterable[PlimsollError], *, client: HttpClient, tried: int) -> bool:
    """Wait until the endpoints are worth another round; False where none of them is."""
    for error in failures:
        try:
            if await client.paused(error, tried=tried):
                return True
        except RateLimitedError:
            continue  # it asks to wait too long
    return False


def _all_failed(failures: list[tuple[str, PlimsollError]]) -> PlimsollError:
    """The last endpoint's error, the primary's, with what the mirrors said before it."""
    mirrors = "; ".join([f"{name}: {error}" for name, error in failures[:-1]])
    primary = failures[-1][1]
    return type(primary)(f"{primary} (the mirrors failed before it: {mirrors})")
