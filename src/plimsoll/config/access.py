"""Access: which credentials and which TLS settings each registry host gets (cli.md, "Credentials")."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Mapping
from typing import Final

from plimsoll.config.auth_file import DOCKER_HOSTS, AuthFiles
from plimsoll.config.files import home, is_folder
from plimsoll.errors import ConfigError
from plimsoll.model.settings import Credentials, Settings, TLSSettings

_log = logging.getLogger(__name__)
SYSTEM_CERTS: Final = ("/etc/containers/certs.d", "/etc/docker/certs.d")


class Access:
    """What the transport asks about hosts; ``credentials_for`` and ``tls_for`` are its CredentialsFor and TLSFor.

    ``--creds`` belong to one host: ``settings.credentials_host``, else the one given first to ``own_credentials``;
    until then to nobody. Other hosts get what the auth files have for them.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        auth_files: AuthFiles,
        environ: Mapping[str, str],
        system: tuple[str, ...] = SYSTEM_CERTS,
    ) -> None:
        if settings.cert_dir is not None and not is_folder(settings.cert_dir):
            raise ConfigError(f"--cert-dir {settings.cert_dir!r} is no folder")
        self._settings = settings
        self._auth_files = auth_files
        own = home(environ)
        self._certs = (*([f"{own}/.config/containers/certs.d"] if own else []), *system)
        self._cert_dirs: dict[str, str | None] = {}
        self._owner = None if settings.credentials_host is None else _canonical(settings.credentials_host)
        self._warned = False

    def own_credentials(self, host: str) -> None:
        """Give ``--creds`` to ``host`` unless they belong to one: call it with each docker reference in input order."""
        if self._owner is None:
            self._owner = _canonical(host)

    def credentials_for(self, host: str, repository: str) -> Credentials | None:
        """What to log in with at ``host``, None for nothing; raises UnsupportedError as AuthFiles does."""
        given = self._settings.credentials
        if given is not None:
            if self._is_owner(host):
                return given
            self._warn(host)
        return self._auth_files.credentials_for(host, repository)

    def tls_for(self, host: str) -> TLSSettings:
        """How to speak to ``host``: ``--tls-verify=false`` lets credentials go over plain HTTP to few hosts only."""
        verify = self._settings.tls_verify is not False
        return TLSSettings(
            verify=verify,
            credentials_over_http=not verify and (is_loopback(host) or self._is_owner(host)),
            cert_dir=self._settings.cert_dir or self._cert_dir(host),
        )

    def _is_owner(self, host: str) -> bool:
        return self._settings.credentials is not None and self._owner == _canonical(host)

    def _warn(self, host: str) -> None:
        if not self._warned and self._owner is not None:
            self._warned = True
            _log.warning("--creds belong to %s: %s and other registries do without them", self._owner, host)

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
