"""auth.json and Docker's config.json: what to log in with at a registry (containers-auth.json(5)).

The most specific key of a file wins, the first file that knows the registry wins. Keys are compared whole: a host that
merely begins like one gets nothing. Nothing that a file holds is ever shown but its keys.
"""

from __future__ import annotations

import base64
import binascii
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from plimsoll import limits
from plimsoll.config.credential_helper import is_helper_name
from plimsoll.config.files import ConfigFile, home, read_file, user_places
from plimsoll.errors import ConfigError, UnauthorizedError
from plimsoll.model.settings import Credentials, IdentityToken, Login
from plimsoll.native import ReadError, read_json

_log = logging.getLogger(__name__)

DOCKER_HOSTS: Final = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
"""The names of Docker Hub: one registry, whose credentials are found under any of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthEntry:
    """One entry of ``auths``: credentials, an identity token, or nothing (an entry may be empty).

    ``auth`` is the base64 of USER:PASSWORD, read when it is used (as in containers/image): a broken entry for another
    registry spoils nothing.
    """

    key: str
    origin: str
    auth: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    @property
    def holds_secrets(self) -> bool:
        """Whether there is anything to log in with, good or not."""
        return bool(self.auth or self.token)

    @property
    def login(self) -> Login | None:
        """What to log in with; raises UnauthorizedError, naming the file and the key, for what cannot be read."""
        credentials = _decode(self.auth, self.origin, f"auths[{self.key[:200]!r}]")
        return IdentityToken(value=self.token) if self.token else credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class AskHelper:
    """A file leaves a server's login to docker-credential-``name``; ``origin`` is the file."""

    name: str
    server: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthFile:
    """One file, read. ``legacy`` is ``~/.dockercfg``, whose keys are URLs."""

    origin: str
    auths: Mapping[str, AuthEntry]
    helpers: Mapping[str, str] = field(default_factory=dict)
    legacy: bool = False

    def find(self, host: str, repository: str) -> Login | AskHelper | None:
        """What this file has for ``host/repository``: a login, a program to be asked for it, or nothing.

        Raises UnauthorizedError for a login that cannot be read: no other place is asked.
        """
        name = "docker.io" if host in DOCKER_HOSTS else host
        helper = self.helpers.get(name, self.helpers.get(host))
        if helper is not None:
            return AskHelper(name=helper, server=name, origin=self.origin)
        entry = self._entry(name, repository)
        return None if entry is None else entry.login

    def _entry(self, name: str, repository: str) -> AuthEntry | None:
        keys = [name] if self.legacy else [*_namespaces(f"{name}/{repository}"), name]
        for key in keys:
            if key in self.auths:
                return self.auths[key]
        alike = [self.auths[key] for key in sorted(self.auths) if _normal(key, legacy=self.legacy) == name]
        return next((entry for entry in alike if entry.login is not None), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthFiles:
    """The files that apply, the first in front."""

    files: tuple[AuthFile, ...] = ()

    def places(self, host: str, repository: str) -> Iterator[Login | AskHelper]:
        """What the files have for ``host`` (with its port) and ``repository`` (without it), the first in front.

        A helper that knows nothing leaves the word to the next file; a login is final. Raises as ``AuthFile.find``.
        """
        for file in self.files:
            found = file.find(host, repository)
            if found is not None:
                yield found


def read_auth_files(*, authfile: str | None, environ: Mapping[str, str], runtime: str = "/run") -> AuthFiles:
    """Read ``--authfile`` alone, or REGISTRY_AUTH_FILE alone, or each of the usual places that exists.

    Only ``--authfile`` must exist. Raises ConfigError for it, and for a file that cannot be read with certainty.
    """
    if authfile is not None:
        found = _read(authfile, legacy=False)
        if found is None:
            raise ConfigError(f"{authfile!r}, which --authfile names, does not exist")
        return AuthFiles(files=(found,))
    named = environ.get("REGISTRY_AUTH_FILE")
    places = [(named, False)] if named else _usual_places(environ, runtime)
    read = [_read(path, legacy=legacy) for path, legacy in places]
    return AuthFiles(files=tuple([file for file in read if file is not None]))


def _usual_places(environ: Mapping[str, str], runtime: str) -> list[tuple[str, bool]]:
    runtime_dir = environ.get("XDG_RUNTIME_DIR", "")
    private = runtime_dir if Path(runtime_dir).is_absolute() else None
    own = home(environ)
    docker = environ.get("DOCKER_CONFIG") or (f"{own}/.docker" if own else None)
    places = [
        (f"{private}/containers/auth.json" if private else f"{runtime}/containers/{os.getuid()}/auth.json", False)
    ]
    places += [(f"{place}/auth.json", False) for place in user_places(environ)]
    places += [(f"{docker}/config.json", False)] if docker else []
    return [*places, (f"{own}/.dockercfg", True)] if own else places


def _read(path: str, *, legacy: bool) -> AuthFile | None:
    try:
        file = read_file(path, limit=limits.AUTH_BYTES)
    except FileNotFoundError:
        return None
    found = parse_auth_file(file, legacy=legacy)
    if file.mode & 0o077 and any(entry.holds_secrets for entry in found.auths.values()):
        _log.warning("%r holds credentials and others may read or write it (mode %04o): chmod 600 it", path, file.mode)
    return found


def parse_auth_file(file: ConfigFile, *, legacy: bool = False) -> AuthFile:
    """Read the JSON of an auth file; unknown keys are passed over, an empty file is an empty map.

    Raises ConfigError, naming the file and the key in it, never what the key holds. Logins are read when used.
    """
    document = _object(_json(file), file.origin, "the document")
    auths = document if legacy else _object(document.get("auths"), file.origin, "auths")
    helpers = {} if legacy else _object(document.get("credHelpers"), file.origin, "credHelpers")
    if document.get("credsStore") and not legacy:
        _log.debug("%r names a credsStore, which is passed over as containers/image does", file.origin)
    return AuthFile(
        origin=file.origin,
        auths={key: _entry(key, value, file.origin) for key, value in auths.items()},
        helpers={host: _helper(host, name, file.origin) for host, name in helpers.items()},
        legacy=legacy,
    )


def _json(file: ConfigFile) -> object:
    if not file.data.strip():
        return None
    try:
        value: object = read_json(file.data, max_depth=limits.JSON_DEPTH)
    except ReadError as error:  # its text may quote the file
        line = file.data.count(b"\n", 0, error.offset) + 1
        raise ConfigError(f"{file.origin!r} is refused at line {line}: {error.kind}") from None
    return value


def _entry(key: str, value: object, origin: str) -> AuthEntry:
    where = f"auths[{key[:200]!r}]"
    fields = _object(value, origin, where)
    auth = _text(fields.get("auth"), origin, f"{where}.auth")
    token = _text(fields.get("identitytoken"), origin, f"{where}.identitytoken")
    return AuthEntry(key=key, origin=origin, auth=auth, token=token)


def _helper(host: str, name: object, origin: str) -> str:
    found = _text(name, origin, f"credHelpers[{host[:200]!r}]")
    if found and not is_helper_name(found):
        raise ConfigError(
            f"{origin!r}: credHelpers[{host[:200]!r}] is no name of a program docker-credential-NAME: {found[:80]!r}"
        )
    return found


def _decode(auth: str, origin: str, where: str) -> Credentials | None:
    """``user:password`` of base64; as in containers/image NULs are trimmed and a text without colon is passed over."""
    try:
        text = base64.b64decode(auth.replace("\r", "").replace("\n", ""), validate=True).decode()
    except (binascii.Error, ValueError):
        raise UnauthorizedError(f"{origin!r}: {where}.auth is not the base64 of USER:PASSWORD: log in anew") from None
    username, colon, password = text.partition(":")
    if not colon:
        if text:
            _log.warning("%r: %s.auth has no colon and is passed over", origin, where)
        return None
    return Credentials(username=username, password=password.strip("\x00"))


def _object(value: object, origin: str, where: str) -> dict[str, object]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{origin!r}: {where} is no object")
    return value


def _text(value: object, origin: str, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ConfigError(f"{origin!r}: {where} is no text")
    return value


def _namespaces(name: str) -> list[str]:
    """``name`` and its parents, without the bare host."""
    found = []
    while "/" in name:
        found.append(name)
        name = name.rpartition("/")[0]
    return found


def _normal(key: str, *, legacy: bool) -> str:
    """The host that a key stands for: http(s):// and what follows the host are an old way of writing it."""
    stripped = key.removeprefix("http://").removeprefix("https://")
    if legacy or stripped != key:
        stripped = stripped.partition("/")[0]
    return "docker.io" if stripped in DOCKER_HOSTS else stripped
