"""Bytes in and out: registries, layouts, archives, directories; one door to HTTP.

The names load when they are first used: aiohttp takes a third of a second, and a layout needs none of it.
"""

from __future__ import annotations

from importlib import import_module

_HOME = {
    "Authorizer": "auth",
    "Destination": "base",
    "Gpg": "gpg",
    "HttpClient": "http",
    "LayoutDestination": "layout_push",
    "Meter": "base",
    "Registries": "registry",
    "RegistryDestination": "registry_push",
    "RegistrySource": "registry",
    "Source": "base",
    "Transports": "opening",
    "connect": "registry",
    "locate": "opening",
}
__all__ = tuple(_HOME)  # the stub beside this file spells the names out


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
