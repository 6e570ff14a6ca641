"""Relations: which manifests a layout's indexes lead to, and which manifests refer to which subject.

distribution-spec, "Listing Referrers": what a referrers fallback tag lists counts too, so children are walked.
A manifest never changes under its digest, so each is read once, whatever happens to index.json.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from plimsoll import limits
from plimsoll.embedded.layout_index import LayoutEntry, LayoutIndex
from plimsoll.errors import ContentError, UnsupportedError
from plimsoll.model.descriptor import INDEX_TYPES, MANIFEST_TYPES, Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.manifest import Index, Manifest, RawManifest, parse_manifest

ReadBlob = Callable[[Digest], bytes | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Referrer:
    """One line of a referrers list."""

    entry: LayoutEntry
    artifact_type: str | None
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Every manifest that index.json leads to, and the referrers of each subject."""

    known: Mapping[Digest, LayoutEntry]
    referrers: Mapping[Digest, tuple[Referrer, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    subject: Digest | None = None
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    children: tuple[Descriptor, ...] = ()


_PLAIN = _Facts()


class Relations:
    """The graph of one repository, built when first asked for and again after each change of index.json."""

    def __init__(self) -> None:
        self._building = threading.Lock()
        self._facts: dict[Digest, _Facts] = {}
        self._built: tuple[LayoutIndex, Graph] | None = None

    def of(self, index: LayoutIndex, read: ReadBlob) -> Graph:
        """The graph of ``index``; ``read`` gives a manifest's bytes, None where they are gone."""
        built = self._built
        if built is not None and built[0] is index:
            return built[1]
        with self._building:
            graph = self._build(index, read)
            self._built = (index, graph)
            return graph

    def forget(self, digest: Digest) -> None:
        """Drop what is known of a deleted manifest: it is to be read again should it come back."""
        with self._building:
            self._facts.pop(digest, None)
            self._built = None

    def _build(self, index: LayoutIndex, read: ReadBlob) -> Graph:
        known: dict[Digest, LayoutEntry] = {}
        facts: dict[Digest, _Facts] = {}
        referrers: dict[Digest, list[Referrer]] = {}
        level = list(index.entries)
        for _ in range(limits.INDEX_DEPTH + 1):
            below: list[LayoutEntry] = []
            for entry in level:
                if entry.digest in known:
                    continue
                about = self._facts.get(entry.digest)
                if about is None:
                    about = _read_facts(entry, read)
                if about is None:
                    continue
                known[entry.digest] = entry
                facts[entry.digest] = about
                below.extend(_child(child) for child in about.children)
                if about.subject is not None:
                    referrers.setdefault(about.subject, []).append(
                        Referrer(entry=entry, artifact_type=about.artifact_type, annotations=about.annotations)
                    )
            level = below
        self._facts = facts
        return Graph(known=known, referrers={subject: _sorted(found) for subject, found in referrers.items()})


def _sorted(found: list[Referrer]) -> tuple[Referrer, ...]:
    return tuple(sorted(found, key=lambda referrer: str(referrer.entry.digest)))


def _child(descriptor: Descriptor) -> LayoutEntry:
    return LayoutEntry.of(media_type=descriptor.media_type, digest=descriptor.digest, size=descriptor.size)


def _read_facts(entry: LayoutEntry, read: ReadBlob) -> _Facts | None:
    """What a manifest says of others; nothing where it is malformed, None where it is no manifest or is not here."""
    if entry.media_type not in MANIFEST_TYPES | INDEX_TYPES:
        return None
    try:
        data = read(entry.digest)
        if data is None:
            return None
        parsed = parse_manifest(RawManifest(data=data, content_type=entry.media_type))
    except (ContentError, UnsupportedError):
        return _PLAIN  # it is served to whoever asks for it, but it refers to nothing
    children = parsed.manifests if isinstance(parsed, Index) else ()
    if parsed.subject is None and not children:
        return _PLAIN
    return _Facts(
        subject=None if parsed.subject is None else parsed.subject.digest,
        artifact_type=_artifact_type(parsed),
        annotations=parsed.annotations,
        children=children,
    )


def _artifact_type(parsed: Manifest | Index) -> str | None:
    """distribution-spec, "Listing Referrers": an image manifest without artifactType is of its config's media type."""
    if parsed.artifact_type or isinstance(parsed, Index):
        return parsed.artifact_type or None
    return parsed.config.media_type
