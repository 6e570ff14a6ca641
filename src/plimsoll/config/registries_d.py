"""registries.d: per registry, whether signatures are attached to images, and where else they lie.

containers-registries.d(5). Unlike that page, and like the code of containers/image, each key falls through by itself:
a section that lacks the wanted key is passed over, and the next less specific one is asked.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from plimsoll import limits
from plimsoll.config import yaml_document
from plimsoll.config.files import SYSTEM_PLACES, home, is_folder, read_file
from plimsoll.errors import ConfigError
from plimsoll.model.location import locate_docker
from plimsoll.model.reference import DockerReference

_log = logging.getLogger(__name__)
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentSettings:
    """One section: None where a key is not given. ``origin`` is the file that has it."""

    origin: str
    use_sigstore_attachments: bool | None = None
    lookaside: str | None = None
    lookaside_staging: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistriesD:
    """All sections of a folder; empty means that no signatures are attached anywhere."""

    default: AttachmentSettings | None = None
    docker: Mapping[str, AttachmentSettings] = field(default_factory=dict)
    default_lookaside: str | None = None

    def uses_sigstore_attachments(self, reference: DockerReference) -> bool:
        """Whether ``.sig`` tags are read for ``reference`` (of the registry that is asked, not of one it mirrors)."""
        return self._first(reference, lambda section: section.use_sigstore_attachments) or False

    def lookaside(self, reference: DockerReference) -> str | None:
        """The URL under which signatures of ``reference`` lie: a section's, else the default place."""
        return self._first(reference, lambda section: section.lookaside) or self.default_lookaside

    def written_lookaside(self, reference: DockerReference) -> str | None:
        """The URL under which new signatures of ``reference`` are put: of each section the staging place first."""
        return (
            self._first(reference, lambda section: section.lookaside_staging or section.lookaside)
            or self.default_lookaside
        )

    def _first(self, reference: DockerReference, value: Callable[[AttachmentSettings], _Value | None]) -> _Value | None:
        location = locate_docker(reference)
        sections = [self.docker.get(scope) for scope in (location.identity, *location.parents)]
        for section in (*sections, self.default):
            found = None if section is None else value(section)
            if found is not None:
                return found
        return None


def read_registries_d(
    directory: str | None, environ: Mapping[str, str], *, system: tuple[str, ...] = SYSTEM_PLACES
) -> RegistriesD:
    """Read ``--registries.d``, else the user's folder, else the system's; a folder that is missing is an empty one.

    Raises ConfigError for a file that cannot be read or parsed, and for a section that two files have.
    """
    if directory is not None and not is_folder(directory):
        _log.warning("--registries.d %r is no folder: no registry's signatures are looked for", directory)
    found = directory if directory is not None else _folder(environ, system)
    result = RegistriesD()
    for path in _yaml_files(found):
        result = _merge(result, _read(path))
    return replace(result, default_lookaside=_default_lookaside(environ))


def _default_lookaside(environ: Mapping[str, str]) -> str | None:
    """Where signatures lie that no section places (containers-registries.d(5)); None for a user without a home."""
    if os.geteuid() == 0:
        return "file:///var/lib/containers/sigstore"
    return f"file://{home(environ)}/.local/share/containers/sigstore" if home(environ) else None


def _folder(environ: Mapping[str, str], system: tuple[str, ...]) -> str:
    """The user's folder where it exists (``$HOME/.config`` alone, whatever XDG_CONFIG_HOME says), else the system's."""
    own = f"{home(environ)}/.config/containers/registries.d"
    return own if home(environ) and is_folder(own) else f"{system[0]}/registries.d"


def _yaml_files(directory: str) -> list[str]:
    try:
        names = sorted(entry.name for entry in Path(directory).iterdir() if entry.name.endswith(".yaml"))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError):
        raise ConfigError(f"the folder {directory!r} cannot be listed") from None
    if len(names) > limits.REGISTRIES_D_FILES:
        raise ConfigError(f"{directory!r} holds {len(names)} files; at most {limits.REGISTRIES_D_FILES}")
    return [f"{directory}/{name}" for name in names]


def _read(path: str) -> RegistriesD:
    try:
        data = read_file(path, limit=limits.REGISTRIES_D_BYTES).data
    except FileNotFoundError:
        raise ConfigError(f"{path!r} is listed and does not exist: a broken link?") from None
    top = _entries(yaml_document.read_yaml(data, origin=path), path, "the document")
    docker = _entries(top.get("docker"), path, "docker")
    default = top.get("default-docker")
    return RegistriesD(
        default=None if _nothing(default) else _section(default, path, "default-docker"),
        docker={scope: _section(node, path, f"docker.{scope[:200]!r}") for scope, node in docker.items()},
    )


def _merge(one: RegistriesD, other: RegistriesD) -> RegistriesD:
    if one.default is not None and other.default is not None:
        raise ConfigError(f'"default-docker" is in both {one.default.origin!r} and {other.default.origin!r}; keep one')
    for scope in other.docker.keys() & one.docker.keys():
        first, second = one.docker[scope].origin, other.docker[scope].origin
        raise ConfigError(f"the docker section {scope[:200]!r} is in both {first!r} and {second!r}; keep one")
    return RegistriesD(default=one.default or other.default, docker={**one.docker, **other.docker})


def _section(node: yaml_document.Node | None, path: str, where: str) -> AttachmentSettings:
    entries = _entries(node, path, where)
    return AttachmentSettings(
        origin=path,
        use_sigstore_attachments=_truth(entries.get("use-sigstore-attachments"), path, where),
        lookaside=_text(entries, path, where, names=("lookaside", "sigstore")),
        lookaside_staging=_text(entries, path, where, names=("lookaside-staging", "sigstore-staging")),
    )


def _entries(node: yaml_document.Node | None, path: str, where: str) -> Mapping[str, yaml_document.Node]:
    if _nothing(node):
        return {}
    if not isinstance(node, yaml_document.Map):
        raise ConfigError(f"{path!r}: {where} is no map")
    return node.entries


def _nothing(node: yaml_document.Node | None) -> bool:
    return node is None or (isinstance(node, yaml_document.Scalar) and node.is_null)


def _truth(node: yaml_document.Node | None, path: str, where: str) -> bool | None:
    if _nothing(node):
        return None
    if not isinstance(node, yaml_document.Scalar) or node.truth is None:
        raise ConfigError(f"{path!r}: use-sigstore-attachments of {where} is neither true nor false")
    return node.truth


def _text(entries: Mapping[str, yaml_document.Node], path: str, where: str, *, names: tuple[str, ...]) -> str | None:
    """The first of ``names`` that holds a text; the later ones are a key's old names."""
    for name in names:
        node = entries.get(name)
        if _nothing(node):
            continue
        if not isinstance(node, yaml_document.Scalar):
            raise ConfigError(f"{path!r}: {name} of {where} is no text")
        if node.text:
            return node.text
    return None
