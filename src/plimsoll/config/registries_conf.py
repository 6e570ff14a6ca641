"""registries.conf as values: which registry a name belongs to, and how files are laid over each other; no I/O.

containers-registries.conf(5). A prefix is matched against the repository's name alone, without tag or digest, and the
longest one wins; both are what containers/image does, whatever that page says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

AUTH_FILES: Final = "containers-auth.json"
"""The one name in ``credential-helpers`` that is no program: the auth files."""


class PullFromMirror(Enum):
    """For which references a mirror is asked."""

    ALL = "all"
    DIGEST_ONLY = "digest-only"
    TAG_ONLY = "tag-only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """One ``[[registry.mirror]]``."""

    location: str
    insecure: bool = False
    pull_from_mirror: PullFromMirror = PullFromMirror.ALL


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """One ``[[registry]]`` of the file ``origin``; ``location`` is "" where names are not rewritten."""

    origin: str
    prefix: str
    location: str = ""
    insecure: bool = False
    blocked: bool = False
    mirror_by_digest_only: bool = False
    mirrors: tuple[Mirror, ...] = ()

    def mirrors_for(self, *, digest: bool) -> tuple[Mirror, ...]:
        """The mirrors to ask for a reference by digest, or by tag, in the file's order."""
        if self.mirror_by_digest_only:
            return self.mirrors if digest else ()
        passed_over = PullFromMirror.TAG_ONLY if digest else PullFromMirror.DIGEST_ONLY
        return tuple([mirror for mirror in self.mirrors if mirror.pull_from_mirror is not passed_over])


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistriesConf:
    """What all files say together. ``credential_helpers`` None means that no file names any.

    Short names (``unqualified_search_registries``, ``aliases``) are read, and used as little as by skopeo: not at all.
    """

    registries: tuple[Registry, ...] = ()
    unqualified_search_registries: tuple[str, ...] | None = None
    short_name_mode: str | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    credential_helpers: tuple[str, ...] | None = None

    def overlaid(self, over: RegistriesConf) -> RegistriesConf:
        """This with ``over`` laid upon it: registries by prefix, aliases by name, all else replaced where it is set.

        The result is sorted by prefix, as containers/image sorts; of two prefixes of one length the first wins.
        """
        registries = {registry.prefix: registry for registry in (*self.registries, *over.registries)}
        aliases = {**self.aliases, **over.aliases}
        return RegistriesConf(
            registries=tuple([registries[prefix] for prefix in sorted(registries)]),
            unqualified_search_registries=_either(
                over.unqualified_search_registries, self.unqualified_search_registries
            ),
            short_name_mode=over.short_name_mode or self.short_name_mode,
            aliases={name: value for name, value in aliases.items() if value},
            credential_helpers=over.credential_helpers or self.credential_helpers,
        )


def _either(first: tuple[str, ...] | None, second: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return second if first is None else first


class RegistryIndex:
    """Finds the registry of a name without comparing it with every prefix."""

    def __init__(self, registries: tuple[Registry, ...]) -> None:
        self._by_prefix: dict[str, tuple[int, Registry]] = {}
        for at, registry in enumerate(registries):
            self._by_prefix.setdefault(registry.prefix, (at, registry))

    def find(self, name: str) -> Registry | None:
        """The registry whose prefix fits ``HOST[:PORT][/PATH]`` best, None where none does."""
        if not self._by_prefix:
            return None
        found = [self._by_prefix[prefix] for prefix in prefixes_of(name) if prefix in self._by_prefix]
        if not found:
            return None
        return min(found, key=lambda entry: (-len(entry[1].prefix), entry[0]))[1]


def prefixes_of(name: str) -> Iterator[str]:
    """Every prefix that fits ``name``: cut before a colon or slash, or none; and the wildcards of its host."""
    yield name
    for at, character in enumerate(name):
        if character in ":/":
            yield name[:at]
    host = name.partition("/")[0].partition(":")[0]
    while "." in host:
        host = host.partition(".")[2]
        yield f"*.{host}"


def matched_length(name: str, prefix: str) -> int:
    """How much of ``name`` a fitting ``prefix`` stands for, in characters: a wildcard for the whole host."""
    if prefix.startswith("*."):
        return len(name.partition("/")[0].partition(":")[0])
    return len(prefix)
