"""Which entries of an index are read for a platform: what containers/image, containerd and docker take; pure.

They do not agree on how a platform is spelled, on variants, or on what has no platform, and none of them looks at an
entry's media type first. What one of them would run is judged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from plimsoll.model.descriptor import Descriptor, Platform
from plimsoll.model.digest import Digest

_RUNS_TOO: Final = {"arm": ("v8", "v7", "v6", "v5"), "arm64": ("v8",)}
"""Variants from the most able on: each runs what is built for those after it (as containers/image)."""
_ZSTD: Final = "io.github.containers.compression.zstd"
"""The annotation by which containers/image prefers an instance, from its version 5.27 on."""
_SPELLINGS: Final = {"i386": "386", "x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64"}
"""Architecture -> GOARCH (containerd's platforms package, database.go)."""
_FLOATS: Final = {"armhf": "v7", "armel": "v6"}
"""Names of 32-bit ARM that say their variant."""
_SAME_AS_NONE: Final = frozenset({("amd64", "v1"), ("arm64", "8"), ("arm64", "v8")})
_LEVEL: Final = re.compile(r"v?([0-9]{1,2})(?:\.([0-9]))?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """A program that runs one image of an index: ``ranks`` has the platforms that will do, the best is 0."""

    ranks: Mapping[Platform, int]
    spelled: Callable[[Platform], Platform]
    is_unnamed: Callable[[Descriptor], bool]
    prefers: Callable[[Descriptor], bool]
    wants_features: bool = False
    """Whether it passes over what needs ``os.features``: nobody can ask for any here."""

    def rank(self, child: Descriptor) -> int | None:
        """How well an entry fits, the smaller the better; None for not at all, or by no platform."""
        if child.platform is None or (self.wants_features and child.platform.os_features):
            return None
        return self.ranks.get(self.spelled(child.platform))

    def picks(self, entries: Sequence[Descriptor]) -> Iterator[Descriptor]:
        """What it takes: the first of equals, and the first without a platform where none fits.

        Of Windows that is one for each ``os.version``: containerd goes by that of its host, which is not known here.
        """
        ranked = [(rank, child) for child in entries if (rank := self.rank(child)) is not None]
        ranked = ranked or [(0, child) for child in entries if self.is_unnamed(child)]
        ranked.sort(key=lambda pair: (pair[0], not self.prefers(pair[1])))
        versions: set[str | None] = set()
        for _, child in ranked:
            version = _windows_version(child.platform)
            if version not in versions:
                versions.add(version)
                yield child


def taken(entries: Sequence[Descriptor], wanted: Platform, *, in_list: bool) -> tuple[Descriptor, ...]:
    """What each reader takes of the entries for ``wanted``; ``in_list`` is true for a list of Docker's."""
    picks: dict[Digest, Descriptor] = {}
    for reader in _readers(wanted, in_list=in_list):
        picks.update({best.digest: best for best in reader.picks(entries)})
    return tuple(picks.values())


def opened(indexes: Sequence[Descriptor], wanted: Platform) -> tuple[Descriptor, ...]:
    """The nested indexes that some reader looks into: those that fit, however well, and those without a platform."""
    readers = _readers(wanted, in_list=False)
    return tuple(
        [child for child in indexes if _is_blank(child) or any(reader.rank(child) is not None for reader in readers)]
    )


def _readers(wanted: Platform, *, in_list: bool) -> tuple[_Reader, ...]:
    written = [Platform(os=wanted.os, architecture=wanted.architecture, variant=each) for each in _variants(wanted)]

    def containers_image(prefers: Callable[[Descriptor], bool]) -> _Reader:
        is_unnamed = _never if in_list else _has_none  # a list's entry has a platform there, if an empty one
        return _Reader(ranks=_ranks(written), spelled=_as_written, is_unnamed=is_unnamed, prefers=prefers)

    def containerd(
        is_unnamed: Callable[[Descriptor], bool], *, old: bool = False, wants_features: bool = False
    ) -> _Reader:
        def spelled(platform: Platform) -> Platform:
            return _normalized(platform, host_os=wanted.os, old=old)

        ranks = _ranks([spelled(each) for each in _runs(spelled(wanted), old=old)])
        return _Reader(
            ranks=ranks, spelled=spelled, is_unnamed=is_unnamed, prefers=_never, wants_features=wants_features
        )

    return (
        containers_image(_never),
        containers_image(_is_zstd),
        containerd(_has_none, wants_features=True),
        containerd(_has_none),
        containerd(_has_none, old=True),
        containerd(_is_blank),  # docker without containerd's store: an empty platform is none
    )


def _windows_version(platform: Platform | None) -> str | None:
    return platform.os_version or None if platform is not None and _lower(platform.os or "") == "windows" else None


def _ranks(platforms: Sequence[Platform]) -> Mapping[Platform, int]:
    return {platform: rank for rank, platform in reversed(list(enumerate(platforms)))}


def _never(_: Descriptor) -> bool:
    return False


def _has_none(child: Descriptor) -> bool:
    return child.platform is None


def _is_blank(child: Descriptor) -> bool:
    return child.platform is None or not (child.platform.os or child.platform.architecture)


def _is_zstd(child: Descriptor) -> bool:
    return child.annotations.get(_ZSTD) == "true"


def _variants(wanted: Platform) -> tuple[str | None, ...]:
    """The variants that will do, the best first (containers/image, internal/pkg/platform)."""
    known = _RUNS_TOO.get(wanted.architecture or "", ())
    if wanted.variant is None:
        return (None, *known)
    if wanted.variant in known:
        return (*known[known.index(wanted.variant) :], None)
    return (wanted.variant, None)


def _as_written(platform: Platform) -> Platform:
    # Go writes and reads an absent variant as "".
    return Platform(os=platform.os, architecture=platform.architecture, variant=platform.variant or None)


def _normalized(platform: Platform, *, host_os: str | None, old: bool) -> Platform:
    """A platform as containerd spells it ("Normalize"); ``old`` is before it knew levels of amd64 (platforms 1.0).

    An absent operating system is the reader's own: that for which the platform is wanted.
    """
    system = _lower(platform.os or host_os or "")
    architecture, variant = _lower(platform.architecture or ""), _lower(platform.variant or "")
    if architecture in _FLOATS:
        architecture, variant = "arm", _FLOATS[architecture]
    elif architecture == "i386" or (old and architecture in ("x86_64", "x86-64")):
        variant = ""
    architecture = _SPELLINGS.get(architecture, architecture)
    if architecture == "arm":
        variant = f"v{variant}" if variant in ("5", "6", "7", "8") else variant or "v7"
    elif (architecture, variant) in _SAME_AS_NONE and not (old and architecture == "amd64"):
        variant = ""
    return Platform(os="darwin" if system == "macos" else system, architecture=architecture, variant=variant or None)


def _lower(text: str) -> str:
    # Go's small letter of U+0130 is a plain i, Python's has a dot above it.
    return text.replace("\u0130", "i").lower()


def _runs(wanted: Platform, *, old: bool) -> tuple[Platform, ...]:
    """What containerd runs on a machine, the best first (its platforms package, "platformVector")."""
    architecture, variant = wanted.architecture or "", wanted.variant or ""
    level = _LEVEL.fullmatch(variant)
    number, minor = (int(level[1]), int(level[2] or 0)) if level else (0, 0)
    others: list[tuple[str, str]] = []
    if architecture == "amd64":
        lower = () if old else range(number - 1, 0, -1)
        others = [*[("amd64", f"v{each}") for each in lower], ("386", "")]
    elif architecture == "arm":
        others = [("arm", f"v{each}") for each in range(number - 1, 4, -1)]
    elif architecture == "arm64":
        others = [] if old else [("arm64", each) for each in _arm64_levels(number or 8, minor)]
        # With a minor level it runs what is built for ARM v8, of 9 too.
        first = 8 if not variant or (level and level[2]) else number
        others += [("arm", f"v{each}") for each in range(first, 4, -1)]
    return (wanted, *[Platform(os=wanted.os, architecture=name, variant=each or None) for name, each in others])


def _arm64_levels(major: int, minor: int) -> list[str]:
    below: list[str] = []
    if major == 9:
        below = [f"v9.{each}" if each else "v9" for each in range(minor - 1, -1, -1)]
        major, minor = 8, minor + 5  # v9.0 came of v8.5
        below.append(f"v8.{minor}")
    return below + [f"v{major}.{each}" if each else f"v{major}" for each in range(minor - 1, -1, -1)]
