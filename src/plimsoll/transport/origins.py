"""Who may be told a secret: origins, loopback, and the token realms that a registry's credentials may reach.

Host names are compared whole, label by label, never by a prefix or suffix of their text (CVE-2024-35192).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import SplitResult, urljoin, urlsplit

from plimsoll.errors import RegistryError
from plimsoll.model.reference import is_odd_address

_PORTS: Final = {"http": 80, "https": 443}
_URL_TEXT = re.compile(r"[\x21-\x7e]+", re.ASCII)
_NETLOC = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([1-9][0-9]{0,4}))?", re.ASCII)
"""HOST[:PORT] without a user, an escape or anything else that two readers could take for different hosts."""
_MOST_PORT: Final = 65535
_LEAST_LABELS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Scheme, host and port (RFC 6454): ``host`` in lower case without brackets, ``port`` always a number."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, scheme: str, netloc: str) -> Self:
        """The origin of ``SCHEME://HOST[:PORT]``; raises ValueError for a port that is none."""
        url = urlsplit(f"{scheme}://{netloc}")
        return cls(scheme=scheme, host=url.hostname or "", port=_PORTS[scheme] if url.port is None else url.port)


def address_of(netloc: str, *, scheme: str) -> tuple[str, int]:
    """The host, without brackets, and the port of ``HOST[:PORT]``: what is connected to.

    Raises ValueError for what is none: a resolver would take a port past 65535 modulo 65536, so for another one than
    was matched and shown.
    """
    found = _NETLOC.fullmatch(netloc)
    port = _PORTS[scheme] if found is None or found[2] is None else int(found[2])
    if found is None or port > _MOST_PORT or is_odd_address(found[1]):
        raise ValueError(f"{netloc[:160]!r} is no HOST[:PORT]")
    host = found[1].strip("[]")
    if host != found[1]:
        ipaddress.IPv6Address(host)
    return host, port


def host_of(netloc: str) -> str:
    """The host of ``HOST[:PORT]``, in lower case, without port, brackets and the root's dot."""
    try:
        return (urlsplit(f"//{netloc}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def is_loopback(netloc: str) -> bool:
    """Whether ``HOST[:PORT]`` is this machine: ``localhost`` or a loopback address."""
    host = host_of(netloc)
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def may_know(realm: str, *, registry: str, allowed: Iterable[str]) -> bool:
    """Whether a token realm's host may see the registry's credentials (cli.md, "Credentials"); both ``HOST[:PORT]``.

    Yes for the registry's own host, for one under the same parent domain of at least two labels, and for one that is
    ``allowed`` by name (with a port: at that port only).
    """
    host, own = host_of(realm), host_of(registry)
    if not host or not own:
        return False
    if host == own or any(_is_named(realm, name) for name in allowed):
        return True
    if _address(host) is not None or _address(own) is not None:
        return False
    parent = own.partition(".")[2]
    return parent.count(".") + 1 >= _LEAST_LABELS and (host == parent or host.endswith(f".{parent}"))


def _is_named(realm: str, name: str) -> bool:
    try:
        wanted, found = Origin.of("https", name), Origin.of("https", realm)
    except ValueError:
        return False
    with_port = urlsplit(f"//{name}").port is not None
    return wanted.host == found.host and (not with_port or wanted.port == found.port)


def _split(base: str, location: str) -> SplitResult | None:
    try:
        url = urlsplit(urljoin(base, location))
        if url.scheme in _PORTS:
            address_of(url.netloc, scheme=url.scheme)
    except ValueError:
        return None
    return url


def redirect_target(base: str, target: str, location: str) -> tuple[str, str, str]:
    """Where a Location field leads from ``base`` + ``target``: scheme, HOST[:PORT], and path with query.

    Raises RegistryError for what is no http or https URL, or holds a user or characters that no URL has.
    """
    shown = location.partition("?")[0][:160]
    url = _split(base + target, location) if _URL_TEXT.fullmatch(location) else None
    if url is None or url.scheme not in _PORTS or not url.hostname or "@" in url.netloc:
        raise RegistryError(f"{base} redirects to {shown!r}, which is no plain http or https URL")
    return url.scheme, url.netloc.lower(), f"{url.path or '/'}?{url.query}" if url.query else url.path or "/"
