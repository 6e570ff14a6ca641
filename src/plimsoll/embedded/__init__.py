"""The embedded registry and the demo's images: a real registry over a folder of OCI layouts.

The names are imported when first used (PEP 562): aiohttp costs 0.4 s at import, and ``plimsoll --help`` shall not pay.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from plimsoll.embedded.demo_images import DemoImage as DemoImage
    from plimsoll.embedded.demo_images import build_demo as build_demo
    from plimsoll.embedded.registry import application as application
    from plimsoll.embedded.server import RegistryServer as RegistryServer
    from plimsoll.embedded.server import is_loopback as is_loopback
    from plimsoll.embedded.store import Store as Store

_HOMES: Final = {
    "DemoImage": "demo_images",
    "build_demo": "demo_images",
    "application": "registry",
    "RegistryServer": "server",
    "is_loopback": "server",
    "Store": "store",
}
__all__ = ["DemoImage", "RegistryServer", "Store", "application", "build_demo", "is_loopback"]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
