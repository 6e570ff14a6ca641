"""Host: what is known of one registry host during a run."""

from __future__ import annotations

import asyncio
from ssl import SSLContext

from plimsoll import limits
from plimsoll.errors import ConfigError, TransportError, UntrustedHostError
from plimsoll.model.settings import TLSSettings
from plimsoll.transport.limiter import Limiter
from plimsoll.transport.origins import is_loopback
from plimsoll.transport.tls import client_context


class Host:
    """One ``HOST[:PORT]``: its limiter, its TLS, the scheme once it is decided, and until when it counts as silent.

    ``base`` is ``SCHEME://HOST[:PORT]``, None until it is found out; ``probing`` is done when it has been, with what
    kept us from it or None. ``doubt`` is how TLS failed while plain HTTP is only assumed: nothing has answered it yet.
    """

    __slots__ = ("_context", "base", "doubt", "limiter", "name", "probing", "silent_until_s", "tls")

    def __init__(self, name: str, *, limiter: Limiter, tls: TLSSettings) -> None:
        self.name = name
        self.limiter = limiter
        self.tls = tls
        self.base: str | None = None
        self.probing: asyncio.Task[TransportError | None] | None = None
        self.doubt: TransportError | None = None
        self.silent_until_s = 0.0
        self._context: SSLContext | bool | None = None

    def decide(self, scheme: str) -> None:
        """Remember the scheme for the rest of the run."""
        self.base = f"{scheme}://{self.name}"
        self.doubt = None

    def assume_plain(self, over_tls: TransportError) -> None:
        """Take plain HTTP for the scheme until an answer proves it, or something else shows that it is not."""
        self.decide("http")
        self.doubt = over_tls

    def forget(self) -> None:
        """Let the next request find the scheme out anew."""
        self.base = self.doubt = None

    @property
    def context(self) -> SSLContext | bool:
        """How TLS is spoken, made when first needed; raises UntrustedHostError where certificate files fail us."""
        if self._context is None:
            try:
                self._context = client_context(self.tls)
            except ConfigError as error:
                raise UntrustedHostError(f"{self.name}: {error}") from error
        return self._context

    @property
    def is_plain(self) -> bool:
        """Whether the host is spoken to without TLS."""
        return self.base is not None and self.base.startswith("http:")

    @property
    def may_carry_credentials(self) -> bool:
        """Whether credentials may go to the host as it is spoken to (cli.md, "Credentials")."""
        return not self.is_plain or self.tls.credentials_over_http or is_loopback(self.name)

    @property
    def probe_s(self) -> float:
        """How long a TLS handshake may take before plain HTTP is tried, in seconds."""
        return limits.TLS_PROBE_LOOPBACK_S if is_loopback(self.name) else limits.TLS_PROBE_S
