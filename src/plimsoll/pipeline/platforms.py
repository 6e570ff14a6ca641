"""How an index counts, and which of its instances are judged: ``--index-policy`` and ``--platform``."""

from __future__ import annotations

import platform as machine_platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Final, Self

from plimsoll import limits
from plimsoll.errors import LimitExceededError, MalformedManifestError, NotFoundError, UnsupportedError, UsageError
from plimsoll.model.descriptor import DOCKER_LIST, INDEX_TYPES, MANIFEST_TYPES, Descriptor, Platform
from plimsoll.model.manifest import Index, parse_manifest
from plimsoll.model.settings import IndexPolicy, Settings
from plimsoll.pipeline.platform_readers import opened, taken
from plimsoll.transport.base import Source

_ARCHITECTURES: Final = {
    "x86_64": ("amd64", None),
    "aarch64": ("arm64", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "i686": ("386", None),
    "ppc64le": ("ppc64le", None),
    "riscv64": ("riscv64", None),
    "s390x": ("s390x", None),
}
"""``uname -m`` -> Go's GOARCH and variant, as image-index.md uses them."""
_PART: Final = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformChoice:
    """All instances (``wanted`` is None), or the one for a platform."""

    wanted: Platform | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``all``, ``host`` or ``OS/ARCH[/VARIANT]``; raises UsageError."""
        if text == "all":
            return cls(wanted=None)
        if text == "host":
            return cls(wanted=host_platform())
        parts = text.split("/")
        if len(parts) not in (2, 3) or not all(_PART.fullmatch(part) for part in parts):
            raise UsageError(f"--platform {text!r}: write all, host or OS/ARCH[/VARIANT]")
        return cls(wanted=Platform(os=parts[0], architecture=parts[1], variant=parts[2] if len(parts) == 3 else None))

    def choose(self, index: Index) -> tuple[Descriptor, ...]:
        """The entries of one index that are meant, nested indexes last.

        For a platform that is each entry that some reader would take (``platform_readers``); an index that fits, or has
        no platform, is looked into beside them.
        """
        nested = [child for child in index.manifests if child.media_type in INDEX_TYPES]
        others = [child for child in index.manifests if child.media_type not in INDEX_TYPES]
        if self.wanted is None:
            return (*[child for child in others if not _is_attestation(child)], *nested)
        in_list = index.media_type == DOCKER_LIST
        return (*taken(others, self.wanted, in_list=in_list), *opened(nested, self.wanted))


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexRule:
    """How an index counts, and which of its instances are meant where they do."""

    policy: IndexPolicy
    choice: PlatformChoice

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """What ``--platform`` and ``--index-policy`` come to; raises UsageError where the one leaves the other idle."""
        choice = PlatformChoice.parse("all" if settings.platform is None else settings.platform)
        if settings.platform is None:
            return cls(policy=settings.index_policy or IndexPolicy.INDEX, choice=choice)
        if settings.index_policy is IndexPolicy.INDEX:
            raise UsageError(
                f"--platform {settings.platform!r} chooses instances, and --index-policy index judges none: "
                "leave one of them out, or say children, both or either"
            )
        return cls(policy=settings.index_policy or IndexPolicy.CHILDREN, choice=choice)


def host_platform() -> Platform:
    """The platform of this machine."""
    architecture, variant = _ARCHITECTURES.get(machine_platform.machine(), (machine_platform.machine(), None))
    return Platform(os=machine_platform.system().lower(), architecture=architecture, variant=variant)


def _is_attestation(child: Descriptor) -> bool:
    # BuildKit lists its attestation manifests for the platform unknown/unknown, and says what they are.
    platform = child.platform
    is_nowhere = platform is not None and platform.os == "unknown" and platform.architecture == "unknown"
    return is_nowhere and child.annotations.get("vnd.docker.reference.type") == "attestation-manifest"


def refuse_other_types(child: Descriptor) -> None:
    """Raise UnsupportedError for an instance that its index does not list as a manifest of OCI or Docker schema 2."""
    if child.media_type not in MANIFEST_TYPES:
        raise UnsupportedError(
            f"the index lists {child.digest} for {child.platform or 'no platform'} as {child.media_type[:160]!r}, "
            "and that may be what is run: only manifests of OCI and of Docker schema 2 are judged"
        )


async def find_instances(source: Source, index: Index, choice: PlatformChoice) -> tuple[Descriptor, ...]:
    """The instances meant by ``choice``, through nested indexes; raises NotFoundError for none."""
    found = await _descend(source, index, choice, depth=1, listed=count(1))
    if not found:
        wanted = "any platform" if choice.wanted is None else str(choice.wanted)
        offered = ", ".join(sorted({str(child.platform) for child in index.manifests if child.platform})) or "none"
        raise NotFoundError(f"the index has no image for {wanted}; it offers {offered[: limits.TEXT_CHARS]}")
    return found


async def _descend(
    source: Source, index: Index, choice: PlatformChoice, *, depth: int, listed: Iterator[int]
) -> tuple[Descriptor, ...]:
    if depth > limits.INDEX_DEPTH:
        raise LimitExceededError(f"indexes nested more than {limits.INDEX_DEPTH} deep")
    found: tuple[Descriptor, ...] = ()
    for child in choice.choose(index):
        if next(listed) > limits.INDEX_CHILDREN:
            raise LimitExceededError(f"more than {limits.INDEX_CHILDREN} manifests below one index")
        if child.media_type not in INDEX_TYPES:
            found += (child,)
            continue
        nested = parse_manifest(await source.manifest_by_digest(child))
        if not isinstance(nested, Index):
            raise MalformedManifestError(f"{child.digest} is listed as an index and is none")
        found += await _descend(source, nested, choice, depth=depth + 1, listed=listed)
    return found
