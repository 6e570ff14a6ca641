"""Where registries.conf and its drop-ins lie, and what they say together (containers-registries.conf.d(5))."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from plimsoll import limits
from plimsoll.config.files import SYSTEM_PLACES, read_file, read_first, user_places
from plimsoll.config.registries_conf import RegistriesConf
from plimsoll.config.registries_toml import parse_registries_conf
from plimsoll.errors import ConfigError


def read_registries_conf(
    path: str | None, environ: Mapping[str, str], *, system: tuple[str, ...] = SYSTEM_PLACES, uid: int | None = None
) -> RegistriesConf:
    """Read ``--registries-conf``, else CONTAINERS_REGISTRIES_CONF, else the user's or the system's file, and drop-ins.

    The first two must exist, and the variable leaves out the drop-ins; CONTAINERS_REGISTRIES_CONF_OVERRIDE comes last.
    None at all is an empty configuration. Raises ConfigError for a file that is not read with certainty.
    """
    named = environ.get("CONTAINERS_REGISTRIES_CONF") or None
    if path is not None:
        found = _named(path, by="--registries-conf")
    elif named is not None:
        found = _named(named, by="CONTAINERS_REGISTRIES_CONF")
    else:
        found = _first(environ, system)
    if path is not None or named is None:
        for drop_in in _drop_ins(environ, system, os.getuid() if uid is None else uid):
            found = found.overlaid(_listed(drop_in))
    last = environ.get("CONTAINERS_REGISTRIES_CONF_OVERRIDE")
    return found.overlaid(_named(last, by="CONTAINERS_REGISTRIES_CONF_OVERRIDE")) if last else found


def _first(environ: Mapping[str, str], system: tuple[str, ...]) -> RegistriesConf:
    places = [f"{place}/registries.conf" for place in (*user_places(environ), *system)]
    found = read_first(places, limit=limits.REGISTRIES_CONF_BYTES, error=ConfigError)
    return RegistriesConf() if found is None else parse_registries_conf(found)


def _named(path: str, *, by: str) -> RegistriesConf:
    try:
        return parse_registries_conf(read_file(path, limit=limits.REGISTRIES_CONF_BYTES))
    except FileNotFoundError as error:
        raise ConfigError(f"{error}, which {by} names") from None


def _listed(path: str) -> RegistriesConf:
    try:
        return parse_registries_conf(read_file(path, limit=limits.REGISTRIES_CONF_BYTES))
    except FileNotFoundError:
        raise ConfigError(f"{path!r} is listed and does not exist: a broken link?") from None


def _drop_ins(environ: Mapping[str, str], system: tuple[str, ...], uid: int) -> list[str]:
    """In the order of their names over all folders; a name in a folder of higher rank hides the same name below."""
    by_name: dict[str, str] = {}
    for folder in _folders(environ, system, uid):
        by_name.update({name: f"{folder}/{name}" for name in _conf_files(folder)})
    return [by_name[name] for name in sorted(by_name)]


def _folders(environ: Mapping[str, str], system: tuple[str, ...], uid: int) -> list[str]:
    """The lowest rank first."""
    own = "rootful" if uid == 0 else "rootless"
    folders = []
    for place in reversed(system):
        folders += [f"{place}/registries.conf.d", f"{place}/registries.{own}.conf.d"]
        folders += [f"{place}/registries.{own}.conf.d/{uid}"] if uid else []
    return [*folders, *[f"{place}/registries.conf.d" for place in user_places(environ)]]


def _conf_files(folder: str) -> list[str]:
    try:
        names = [entry.name for entry in Path(folder).iterdir() if entry.name.endswith(".conf") and not entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError):
        raise ConfigError(f"the folder {folder!r} cannot be listed") from None
    if len(names) > limits.REGISTRIES_CONF_FILES:
        raise ConfigError(f"{folder!r} holds {len(names)} files; at most {limits.REGISTRIES_CONF_FILES}")
    return names
