"""Reach: a run's way to images: its credentials, TLS, proxies and registries files, and what it opens by them."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from plimsoll.config.access import Access
from plimsoll.config.auth_file import AuthFiles, read_auth_files
from plimsoll.config.proxies import Proxies
from plimsoll.config.registries_files import read_registries_conf
from plimsoll.model.reference import DockerReference
from plimsoll.model.settings import Routes, Settings, TLSSettings
from plimsoll.transport.opening import Transports
from plimsoll.transport.tls import client_context

if TYPE_CHECKING:
    from plimsoll.transport.registry import RegistrySource
    from plimsoll.transport.registry_push import RegistryDestination


class Reach:
    """Opens what is read and written; an async context manager; raises ConfigError for files that cannot be used."""

    def __init__(self, settings: Settings, *, environ: Mapping[str, str]) -> None:
        self._access = Access(
            settings,
            auth_files=AuthFiles()
            if settings.anonymous
            else read_auth_files(authfile=settings.authfile, environ=environ),
            registries=read_registries_conf(settings.registries_conf, environ),
            environ=environ,
        )
        # Made for nobody: what cannot be used of --cert-dir is found out before an image waits for it.
        client_context(TLSSettings(cert_dir=settings.cert_dir))
        self.transports = Transports(
            settings.http,
            credentials_for=self._access.credentials_for,
            tls_for=self._access.tls_for,
            routes=Routes(
                endpoints_for=self._access.endpoints_for,
                repository_for=self._access.repository_for,
                proxy_for=Proxies(environ).proxy_for,
            ),
            tmpdir=settings.tmpdir,
        )

    def own_credentials(self, reference: DockerReference) -> None:
        """Let ``--creds`` belong to the registry of ``reference``, if they are not another's yet."""
        self._access.own_credentials(reference.domain)

    def registry(self, reference: DockerReference) -> tuple[RegistrySource, RegistryDestination]:
        """An image at the very registry that is named, never at a mirror, to be read and written to.

        Raises BlockedError.
        """
        self.own_credentials(reference)
        return self.transports.open_registry(reference), self.transports.open_destination(reference)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections, and end the credential helpers that still run."""
        try:
            await self.transports.aclose()
        finally:
            await self._access.aclose()
