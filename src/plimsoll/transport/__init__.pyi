from plimsoll.transport.auth import Authorizer as Authorizer
from plimsoll.transport.base import Meter as Meter
from plimsoll.transport.base import Source as Source
from plimsoll.transport.http import HttpClient as HttpClient
from plimsoll.transport.opening import Transports as Transports
from plimsoll.transport.opening import locate as locate
from plimsoll.transport.registry import Registries as Registries
from plimsoll.transport.registry import RegistrySource as RegistrySource
from plimsoll.transport.registry import connect as connect

__all__ = (
    "Authorizer",
    "HttpClient",
    "Meter",
    "Registries",
    "RegistrySource",
    "Source",
    "Transports",
    "connect",
    "locate",
)
