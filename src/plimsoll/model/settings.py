"""Settings of a run, and the questions that the way to a registry asks of whoever configured it.

Plain values pickle; the callables are how ``config``'s answers reach ``transport`` without either knowing the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from math import isfinite
from typing import Final, Protocol

from plimsoll.errors import UsageError
from plimsoll.model.reference import DockerReference

DEFAULT_CONCURRENCY: Final = 64
DEFAULT_RETRIES: Final = 5
DEFAULT_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A user and a password; never shown."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityToken:
    """What stands in for a user and a password at a token service alone (an OAuth2 refresh token); never shown."""

    value: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryToken:
    """What a registry itself takes as a Bearer token, as it is; never shown."""

    value: str = field(repr=False)


Login = Credentials | IdentityToken | RegistryToken


@dataclass(frozen=True, slots=True, kw_only=True)
class TLSSettings:
    """How one host is spoken to.

    ``verify`` False allows an unproven certificate and plain HTTP. ``credentials_over_http`` says whether credentials
    may go over plain HTTP there. ``cert_dir`` holds ``*.crt`` and client pairs ``X.cert``, ``X.key``.
    """

    verify: bool = True
    credentials_over_http: bool = False
    cert_dir: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One place that may supply an image's bytes: its name there, and how the registry there is spoken to.

    ``stands_in`` says that it is of another registry than the reference, whose ``--creds`` are not for it.
    """

    reference: DockerReference
    tls: TLSSettings
    stands_in: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """The http or https URL of a proxy; it may hold a password, so it is not shown."""

    url: str = field(repr=False)


class CredentialsFor(Protocol):
    """(registry host, repository path) -> what to log in with there.

    ``stands_in`` as in Endpoint. Raises TransportError where somebody else was to be asked and gave no clear answer.
    """

    async def __call__(self, host: str, repository: str, *, stands_in: bool = False) -> Login | None:
        """Find it; called when a registry wants a proof."""
        ...


TLSFor = Callable[[str], TLSSettings]
"""(registry host[:port]) -> how to speak to it."""
EndpointsFor = Callable[[DockerReference], tuple[Endpoint, ...]]
"""What a user names -> where to ask, in order, at least one; raises BlockedError, or InvalidReferenceError."""
ProxyFor = Callable[[str, str], Proxy | None]
"""(scheme, host[:port]) -> the proxy to go through; raises UntrustedHostError for one that cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """The ways that somebody's configuration lays: to an image, to a repository's tags, and by which proxy.

    None is the straight way to what is named.
    """

    endpoints_for: EndpointsFor | None = None
    repository_for: EndpointsFor | None = None
    proxy_for: ProxyFor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """How hard and how long to try; durations in seconds, ``requests_per_s`` for each host, None for no limit.

    ``retry_delay_s`` None is a back-off that doubles; ``user_agent_prefix`` stands before our name.
    """

    connections_per_host: int = DEFAULT_CONCURRENCY
    retries: int = DEFAULT_RETRIES
    timeout_s: float = DEFAULT_TIMEOUT_S
    requests_per_s: float | None = None
    auth_realms: frozenset[str] = frozenset()
    retry_delay_s: float | None = None
    user_agent_prefix: str = ""

    def check(self) -> None:
        """Raise UsageError for numbers under which no request could be sent, or none would ever end."""
        if self.connections_per_host < 1:
            raise UsageError(f"connections_per_host={self.connections_per_host}: at least 1")
        if self.retries < 0:
            raise UsageError(f"retries={self.retries}: at least 0")
        if not (isfinite(self.timeout_s) and self.timeout_s > 0):
            raise UsageError(f"timeout_s={self.timeout_s}: a number of seconds above 0")
        if self.requests_per_s is not None and not (isfinite(self.requests_per_s) and self.requests_per_s > 0):
            raise UsageError(f"requests_per_s={self.requests_per_s}: a number above 0, or None for no limit")
        if self.retry_delay_s is not None and not (isfinite(self.retry_delay_s) and self.retry_delay_s > 0):
            raise UsageError(f"retry_delay_s={self.retry_delay_s}: a number of seconds above 0, or None for a back-off")


class Layers(Enum):
    """How deep an image is read: the manifest alone, every blob hashed, or its layers unpacked and compared too."""

    NONE = "none"
    DIGEST = "digest"
    DIFFID = "diffid"


class IndexPolicy(Enum):
    """How an index counts: by itself, by its instances, by both, or by itself and else by its instances."""

    INDEX = "index"
    CHILDREN = "children"
    BOTH = "both"
    EITHER = "either"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything about a run that is neither trust nor an image.

    ``platform`` says which instances of an index are meant: "all" (as None), "host" or "OS/ARCH[/VARIANT]".
    ``index_policy`` None is CHILDREN where a platform is given, else INDEX.
    ``offline`` forbids every connection but to registries and their token services: keys of a KMS are not to be had.
    ``credentials`` belong to ``credentials_host`` only; None there means the first docker reference's host.
    ``anonymous`` asks as nobody, whatever the auth files hold. ``tmpdir`` is where compressed archives are unpacked to.
    """

    concurrency: int = DEFAULT_CONCURRENCY
    layers: Layers = Layers.NONE
    platform: str | None = None
    index_policy: IndexPolicy | None = None
    http: HttpSettings = field(default_factory=HttpSettings)
    tls_verify: bool | None = None
    cert_dir: str | None = None
    authfile: str | None = None
    credentials: Credentials | RegistryToken | None = None
    credentials_host: str | None = None
    registries_d: str | None = None
    registries_conf: str | None = None
    offline: bool = False
    anonymous: bool = False
    tmpdir: str | None = None

    def check(self) -> None:
        """Raise UsageError for what no run can have; whoever enters a Verifier need not call it.

        A text in an enumeration's place is refused: compared by identity, ``"none"`` and ``"diffid"`` would both be
        taken for something else.
        """
        if not isinstance(self.layers, Layers):
            raise UsageError(f"layers={self.layers!r}: a member of Layers")
        if not isinstance(self.index_policy, IndexPolicy | None):
            raise UsageError(f"index_policy={self.index_policy!r}: a member of IndexPolicy, or None")
        if self.anonymous and self.credentials is not None:
            raise UsageError("anonymous asks as nobody: leave the credentials out")
        if self.concurrency < 1:
            raise UsageError(f"concurrency={self.concurrency}: at least 1")
        self.http.check()
