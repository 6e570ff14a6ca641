"""One file of registries.conf, version 2, read from TOML; no I/O.

Names of keys are read without regard to case, as containers/image's TOML reader does: a ``Blocked = true`` that was
passed over would let in what the user meant to keep out. Unknown keys are passed over, wrong types are refused.
"""

from __future__ import annotations

import logging
import re
import tomllib
from collections.abc import Mapping
from typing import Final

from plimsoll.config.credential_helper import is_helper_name
from plimsoll.config.files import ConfigFile
from plimsoll.config.registries_conf import AUTH_FILES, Mirror, PullFromMirror, RegistriesConf, Registry
from plimsoll.errors import ConfigError, InvalidReferenceError
from plimsoll.model.reference import is_host, is_path, split_docker_reference

_log = logging.getLogger(__name__)
_SHORT_NAME_MODES: Final = frozenset({"", "enforcing", "permissive", "disabled"})
_WILDCARD = re.compile(r"\*\.[^/@:*]+")
_Table = Mapping[str, object]


def parse_registries_conf(file: ConfigFile) -> RegistriesConf:
    """Read one file; raises ConfigError naming the file and the key, for version 1 too."""
    table = _Reader(_toml(file), file.origin)
    if table.has("registries"):
        raise ConfigError(f"{file.origin!r} must be in v2 format but is in v1: it has a table [registries]")
    tables = [table.inner(each, f"[[registry]] no. {at}") for at, each in table.tables("registry")]
    registries = tuple([_registry(each) for each in tables])
    _refuse_conflicts(registries, file.origin)
    mode = table.text("short-name-mode")
    if mode not in _SHORT_NAME_MODES:
        raise ConfigError(f"{file.origin!r}: short-name-mode {mode[:80]!r} is none of enforcing, permissive, disabled")
    return RegistriesConf(
        registries=_distinct(registries),
        unqualified_search_registries=_search_registries(table),
        short_name_mode=mode or None,
        aliases=_aliases(table),
        credential_helpers=_helpers(table),
    )


def _toml(file: ConfigFile) -> _Table:
    try:
        return tomllib.loads(file.data.decode())
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file.origin!r} is no TOML: byte {error.start} is no UTF-8") from None
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits is a plain ValueError
        raise ConfigError(f"{file.origin!r} is no TOML: {error}") from None


class _Reader:
    """A table whose keys are asked for by their names, and whose faults name the file and the key."""

    def __init__(self, table: _Table, origin: str, where: str = "") -> None:
        self.origin = origin
        self._where = where
        self._values: dict[str, object] = {}
        for key, value in table.items():
            name = key.lower()
            if name in self._values:
                raise self.fault(f"{name!r} is written twice, in different case")
            self._values[name] = value

    def fault(self, what: str) -> ConfigError:
        return ConfigError(f"{self.origin!r}: {self._where}{': ' if self._where else ''}{what}")

    def inner(self, table: _Table, where: str) -> _Reader:
        return _Reader(table, self.origin, f"{self._where}{', ' if self._where else ''}{where}")

    def has(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str) -> str:
        value = self._values.get(name, "")
        if not isinstance(value, str):
            raise self.fault(f"{name} is no text")
        return value

    def truth(self, name: str) -> bool:
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            raise self.fault(f"{name} is neither true nor false")
        return value

    def texts(self, name: str) -> tuple[str, ...] | None:
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self.fault(f"{name} is no list of texts")
        return tuple(value)

    def tables(self, name: str) -> list[tuple[int, _Table]]:
        value = self._values.get(name, [])
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise self.fault(f"{name} is no list of tables: write [[{name}]]")
        return list(enumerate(value, start=1))

    def table(self, name: str) -> _Table:
        value = self._values.get(name, {})
        if not isinstance(value, dict):
            raise self.fault(f"{name} is no table")
        return value

    def location(self, name: str) -> str:
        """A host, with or without a path: no scheme, and slashes at the end are cut."""
        found = self.text(name).rstrip("/")
        if found.startswith(("http://", "https://")):
            raise self.fault(f"{name} {found[:160]!r} has a scheme: write HOST[:PORT][/PATH]")
        return found


def _registry(table: _Reader) -> Registry:
    location = table.location("location")
    prefix = table.location("prefix") or location
    if not prefix:
        raise table.fault("neither prefix nor location is set")
    if prefix.startswith("*.") and not _WILDCARD.fullmatch(prefix):
        raise table.fault(f"the prefix {prefix[:160]!r} is no wildcard of the form *.example.com")
    if not location and not prefix.startswith("*."):
        raise table.fault(f"the prefix {prefix[:160]!r} needs a location: only one like *.example.com does without")
    if table.text("pull-from-mirror"):
        raise table.fault("pull-from-mirror is for [[registry.mirror]] only")
    _warn_of_idle(prefix, table.origin)
    by_digest = table.truth("mirror-by-digest-only")
    mirrors = [table.inner(each, f"[[registry.mirror]] no. {at}") for at, each in table.tables("mirror")]
    return Registry(
        origin=table.origin,
        prefix=prefix,
        location=location,
        insecure=table.truth("insecure"),
        blocked=table.truth("blocked"),
        mirror_by_digest_only=by_digest,
        mirrors=tuple([_mirror(each, by_digest=by_digest) for each in mirrors]),
    )


def _mirror(table: _Reader, *, by_digest: bool) -> Mirror:
    location = table.location("location")
    if not location:
        raise table.fault("location is not set")
    when = table.text("pull-from-mirror")
    if when and by_digest:
        raise table.fault("pull-from-mirror and the registry's mirror-by-digest-only exclude each other")
    try:
        pull = PullFromMirror(when or "all")
    except ValueError:
        raise table.fault(f"pull-from-mirror {when[:80]!r} is none of all, digest-only, tag-only") from None
    return Mirror(location=location, insecure=table.truth("insecure"), pull_from_mirror=pull)


def _warn_of_idle(prefix: str, origin: str) -> None:
    """A prefix that can fit no repository's name is silent in skopeo; where it was to block, that is a trap."""
    host, _, path = prefix.partition("/")
    if not is_host(host.removeprefix("*.")) or (path and not is_path(path)):
        _log.warning(
            "%r: the prefix %r fits no image: it is matched against HOST[:PORT]/PATH, without tag or digest",
            origin,
            prefix,
        )


def _refuse_conflicts(registries: tuple[Registry, ...], origin: str) -> None:
    """One location has one say in whether it is insecure or blocked, under however many prefixes."""
    seen: dict[str, Registry] = {}
    for registry in registries:
        place = registry.location or registry.prefix
        first = seen.setdefault(place, registry)
        for name, one, other in (
            ("insecure", first.insecure, registry.insecure),
            ("blocked", first.blocked, registry.blocked),
        ):
            if one != other:
                raise ConfigError(f"{origin!r}: registry {place!r} is defined twice, with conflicting {name!r}")


def _distinct(registries: tuple[Registry, ...]) -> tuple[Registry, ...]:
    first: dict[str, Registry] = {}
    for registry in registries:
        first.setdefault(registry.prefix, registry)
    return tuple(first.values())


def _search_registries(table: _Reader) -> tuple[str, ...] | None:
    found = table.texts("unqualified-search-registries")
    for host in found or ():
        if not is_host(host.rstrip("/")):
            raise table.fault(f"unqualified-search-registries: {host[:160]!r} is no HOST[:PORT]")
    return found


def _aliases(table: _Reader) -> Mapping[str, str]:
    """Short name -> full name; an empty one takes an alias of a file below away."""
    found: dict[str, str] = {}
    for name, value in table.table("aliases").items():
        if not isinstance(value, str):
            raise table.fault(f"aliases: {name[:160]!r} is no text")
        if value and not _is_full_name(value):
            raise table.fault(f"aliases: {value[:160]!r} is no HOST[:PORT]/PATH without tag and digest")
        found[name] = value
    return found


def _is_full_name(text: str) -> bool:
    try:
        domain, _, tag, digest = split_docker_reference(text)
    except InvalidReferenceError:
        return False
    return tag is None and digest is None and text.startswith(f"{domain}/")


def _helpers(table: _Reader) -> tuple[str, ...] | None:
    found = table.texts("credential-helpers")
    for name in found or ():
        if name != AUTH_FILES and not is_helper_name(name):
            raise table.fault(f"credential-helpers: {name[:160]!r} is no name of a program docker-credential-NAME")
    return found
