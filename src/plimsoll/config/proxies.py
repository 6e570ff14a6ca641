"""HTTP_PROXY, HTTPS_PROXY and NO_PROXY by the rules of Go (golang.org/x/net/http/httpproxy), which skopeo's users know.

Each in upper or lower case, the upper first. This machine itself is never spoken to through a proxy.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import SplitResult, urlsplit

from plimsoll.config.access import is_loopback
from plimsoll.errors import UntrustedHostError
from plimsoll.model.settings import Proxy

_PORTS: Final = {"http": 80, "https": 443}
_Exempt = Callable[[str, int], bool]


class Proxies:
    """What the environment says; ``proxy_for`` is the transport's ProxyFor."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._named = {scheme: _any_case(environ, f"{scheme}_proxy") for scheme in _PORTS}
        if environ.get("REQUEST_METHOD"):
            self._named["http"] = ""  # a CGI's HTTP_PROXY is its client's Proxy header (CVE-2016-5385)
        self._exempt = [_exempt(entry.strip().lower()) for entry in _any_case(environ, "no_proxy").split(",")]

    def proxy_for(self, scheme: str, netloc: str) -> Proxy | None:
        """The proxy for requests to ``HOST[:PORT]``, None for none; raises UntrustedHostError for one of no use."""
        named = self._named[scheme]
        if not named or is_loopback(netloc):
            return None
        url = urlsplit(f"//{netloc}")
        host, port = (url.hostname or "").rstrip("."), url.port or _PORTS[scheme]
        if any(exempt(host, port) for exempt in self._exempt):
            return None
        return _proxy(named, scheme)


def _any_case(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name.upper()) or environ.get(name, "")


def _proxy(named: str, scheme: str) -> Proxy:
    """Messages name the variable and never its value, which may hold a password."""
    url = _split(named if "://" in named else f"http://{named}")
    if url is None or not url.hostname:
        raise UntrustedHostError(f"{scheme.upper()}_PROXY is no URL of a proxy")
    if url.scheme not in _PORTS:
        raise UntrustedHostError(
            f"{scheme.upper()}_PROXY names a {url.scheme[:16]} proxy, which is not supported: http and https are"
        )
    return Proxy(url=url.geturl())


def _split(text: str) -> SplitResult | None:
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError:
        return None
    return url


def _exempt(entry: str) -> _Exempt:
    """One entry of NO_PROXY: ``*``, a CIDR block, an address, a domain, each of the last two with a port or without."""
    if entry == "*":
        return lambda _host, _port: True
    block = _network(entry)
    if block is not None:
        return lambda host, _port: (address := _address(host)) is not None and address in block
    url = _split(f"//{entry}") if _address(entry) is None else None
    name = (url.hostname or "").rstrip(".") if url is not None else entry
    only = url.port if url is not None else None
    if not name:
        return lambda _host, _port: False
    wanted = _address(name)
    if wanted is not None:
        return lambda host, port: _address(host) == wanted and only in (None, port)
    suffix = f".{name.removeprefix('*.').removeprefix('.')}"
    exact = None if name.startswith(("*.", ".")) else name
    return lambda host, port: (host == exact or host.endswith(suffix)) and only in (None, port)


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(entry, strict=False) if "/" in entry else None
    except ValueError:
        return None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None
