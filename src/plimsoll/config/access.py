"""Access: which credentials and which TLS settings each registry host gets (cli.md, "Credentials")."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Mapping
from typing import Final

from plimsoll.config.auth_file import DOCKER_HOSTS, AskHelper, AuthFiles
from plimsoll.config.credential_helper import CredentialHelpers
from plimsoll.config.files import home, is_folder
from plimsoll.config.pull_sources import PullSource, PullSources
from plimsoll.config.registries_conf import AUTH_FILES, RegistriesConf
from plimsoll.errors import ConfigError
from plimsoll.model.reference import DockerReference
from plimsoll.model.settings import Credentials, Endpoint, Login, Settings, TLSSettings

_log = logging.getLogger(__name__)
SYSTEM_CERTS: Final = ("/etc/containers/certs.d", "/etc/docker/certs.d")


class Access:
    """What the transport asks about hosts: its CredentialsFor, TLSFor and EndpointsFor; ``aclose`` at the end.

    ``--creds`` belong to one host: ``settings.credentials_host``, else the one given first to ``own_credentials``;
    until then to nobody. Other hosts get what the auth files and credential helpers have for them.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        auth_files: AuthFiles,
        environ: Mapping[str, str],
        registries: RegistriesConf | None = None,
        system: tuple[str, ...] = SYSTEM_CERTS,
    ) -> None:
        if settings.cert_dir is not None and not is_folder(settings.cert_dir):
            raise ConfigError(f"--cert-dir {settings.cert_dir!r} is no folder")
        if settings.tmpdir is not None and not is_folder(settings.tmpdir):
            raise ConfigError(f"--tmpdir {settings.tmpdir!r} is no folder")
        conf = registries or RegistriesConf()
        self._settings = settings
        self._auth_files = auth_files
        self._sources = PullSources(conf)
        self._helper_names = conf.credential_helpers or (AUTH_FILES,)
        self._helpers = CredentialHelpers(environ)
        own = home(environ)
        self._certs = (*([f"{own}/.config/containers/certs.d"] if own else []), *system)
        self._cert_dirs: dict[str, str | None] = {}
        self._owner = None if settings.credentials_host is None else _canonical(settings.credentials_host)
        self._warned = False

    def own_credentials(self, host: str) -> None:
        """Give ``--creds`` to ``host`` unless they belong to one: call it with each docker reference in input order."""
        if self._owner is None:
            self._owner = _canonical(host)

    async def credentials_for(self, host: str, repository: str, *, stands_in: bool = False) -> Login | None:
        """What to log in with at ``host``, None for nothing; ``stands_in`` for another registry it gets no ``--creds``.

        Raises CredentialHelperError where a helper gives no clear answer, UnauthorizedError where a file's login cannot
        be read: then no other place is asked.
        """
        if self._settings.anonymous:
            return None
        given = self._settings.credentials
        if given is not None:
            if self._is_owner(host) and not stands_in:
                return given
            self._warn(host)
        for helper in self._helper_names:
            if helper != AUTH_FILES:
                found = await self._helpers.get(helper, _canonical(host), named_by="registries.conf")
            else:
                found = await self._from_files(host, repository)
            if found is not None:
                return found
        return None

    async def _from_files(self, host: str, repository: str) -> Login | None:
        for place in self._auth_files.places(host, repository):
            if not isinstance(place, AskHelper):
                return place
            found = await self._helpers.get(place.name, place.server, named_by=place.origin)
            if found is not None:
                return found
        return None

    def endpoints_for(self, reference: DockerReference) -> tuple[Endpoint, ...]:
        """Where to ask for an image, in order; raises BlockedError or InvalidReferenceError as PullSources does."""
        return tuple([self._endpoint(source, reference) for source in self._sources.of_image(reference)])

    def repository_for(self, reference: DockerReference) -> tuple[Endpoint, ...]:
        """Where to list a repository's tags: at the registry that is named alone; raises BlockedError."""
        return (self._endpoint(self._sources.of_repository(reference), reference),)

    def _endpoint(self, source: PullSource, reference: DockerReference) -> Endpoint:
        host = source.reference.domain
        return Endpoint(
            reference=source.reference,
            tls=self._tls(host, insecure=source.insecure),
            stands_in=host != reference.domain,
        )

    def tls_for(self, host: str) -> TLSSettings:
        """How to speak to ``host`` where no image of a registry there is read: token services and redirects."""
        return self._tls(host, insecure=self._sources.is_insecure(host))

    def _tls(self, host: str, *, insecure: bool) -> TLSSettings:
        """``--tls-verify`` has the last word; credentials go over plain HTTP to few hosts only (cli.md)."""
        asked = self._settings.tls_verify
        verify = not insecure if asked is None else asked
        return TLSSettings(
            verify=verify,
            credentials_over_http=not verify and (insecure or is_loopback(host) or self._is_owner(host)),
            cert_dir=self._settings.cert_dir or self._cert_dir(host),
        )

    async def aclose(self) -> None:
        """End the credential helpers that still run."""
        await self._helpers.aclose()

    def _is_owner(self, host: str) -> bool:
        return self._settings.credentials is not None and self._owner == _canonical(host)

    def _warn(self, host: str) -> None:
        if not self._warned and self._owner is not None:
            self._warned = True
            what = "--creds" if isinstance(self._settings.credentials, Credentials) else "--registry-token"
            _log.warning("%s belong to %s: %s and other registries do without", what, self._owner, host)

    def _cert_dir(self, host: str) -> str | None:
        """The first folder that exists, looked for once a host; its name has the port (containers-certs.d(5))."""
        name = _canonical(host)
        if "/" in name or name in ("", ".", "..") or "\x00" in name:
            return None
        if name not in self._cert_dirs:
            folders = [f"{place}/{name}" for place in self._certs]
            self._cert_dirs[name] = next((folder for folder in folders if is_folder(folder)), None)
        return self._cert_dirs[name]


def is_loopback(host: str) -> bool:
    """Whether ``host[:port]`` is this machine by its very name: 127.0.0.0/8, ::1 or localhost; nothing is resolved."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host
    if name.count(":") == 1:
        name = name.partition(":")[0]
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _canonical(host: str) -> str:
    return "docker.io" if host in DOCKER_HOSTS else host
