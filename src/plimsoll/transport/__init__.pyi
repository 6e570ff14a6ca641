from plimsoll.transport.auth import Authorizer as Authorizer
from plimsoll.transport.base import Destination as Destination
from plimsoll.transport.base import Meter as Meter
from plimsoll.transport.base import Source as Source
from plimsoll.transport.gpg import Gpg as Gpg
from plimsoll.transport.http import HttpClient as HttpClient
from plimsoll.transport.layout_push import LayoutDestination as LayoutDestination
from plimsoll.transport.opening import Transports as Transports
from plimsoll.transport.opening import locate as locate
from plimsoll.transport.registry import Registries as Registries
from plimsoll.transport.registry import RegistrySource as RegistrySource
from plimsoll.transport.registry import connect as connect
from plimsoll.transport.registry_push import RegistryDestination as RegistryDestination

__all__ = (
    "Authorizer",
    "Destination",
    "Gpg",
    "HttpClient",
    "LayoutDestination",
    "Meter",
    "Registries",
    "RegistryDestination",
    "RegistrySource",
    "Source",
    "Transports",
    "connect",
    "locate",
)
