"""Relations: which manifests a layout's indexes lead to, and which manifests refer to which subject.

distribution-spec, "Listing Referrers": what a referrers fallback tag lists counts too, so children are walked.
A manifest never changes under its digest, so each is read once, whatever happens to index.json. One that is not here
may come: what was missing is looked for again when the folders of blobs have changed.
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
"""Gives a manifest's bytes, None where they are not here."""
BlobsStamp = Callable[[], object | None]
"""Gives a value that changes when blobs come, None while that cannot be told."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Built:
    """A graph, what it was built from, and whether a manifest was missing then."""

    index: LayoutIndex
    stamp: object | None
    graph: Graph
    has_gaps: bool


class Relations:
    """The graph of one repository, built when first asked for and again after each change that shows in it."""

    def __init__(self, *, read: ReadBlob, stamp: BlobsStamp) -> None:
        self._read = read
        self._stamp = stamp
        self._building = threading.Lock()
        self._facts: dict[Digest, _Facts] = {}
        self._built: _Built | None = None

    def of(self, index: LayoutIndex) -> Graph:
        """The graph of ``index``; may read every manifest that was not read before."""
        built = self._built
        if built is None or not self._is_current(built, index):
            with self._building:
                built = self._built = self._build(index)
        return built.graph

    def _is_current(self, built: _Built, index: LayoutIndex) -> bool:
        if built.index is not index:
            return False
        return not built.has_gaps or (built.stamp is not None and built.stamp == self._stamp())

    def forget(self, digest: Digest) -> None:
        """Drop what is known of a deleted manifest: it is to be read again should it come back."""
        with self._building:
            self._facts.pop(digest, None)
            self._built = None

    def _build(self, index: LayoutIndex) -> _Built:
        stamp = self._stamp()  # before the first look: what comes meanwhile changes it
        has_gaps = False
        known: dict[Digest, LayoutEntry] = {}
        facts: dict[Digest, _Facts] = {}
        referrers: dict[Digest, list[Referrer]] = {}
        level = list(index.entries)
        for _ in range(limits.INDEX_DEPTH + 1):
            below: list[LayoutEntry] = []
            for entry in level:
                if entry.digest in known or entry.media_type not in MANIFEST_TYPES | INDEX_TYPES:
                    continue
                about = self._facts.get(entry.digest) or _read_facts(entry, self._read)
                if about is None:
                    has_gaps = True
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
        graph = Graph(known=known, referrers={subject: _sorted(found) for subject, found in referrers.items()})
        return _Built(index=index, stamp=stamp, graph=graph, has_gaps=has_gaps)


def _sorted(found: list[Referrer]) -> tuple[Referrer, ...]:
    return tuple(sorted(found, key=lambda referrer: str(referrer.entry.digest)))


def _child(descriptor: Descriptor) -> LayoutEntry:
    return LayoutEntry.of(media_type=descriptor.media_type, digest=descriptor.digest, size=descriptor.size)


def _read_facts(entry: LayoutEntry, read: ReadBlob) -> _Facts | None:
    """What a manifest says of others; nothing where it is malformed, None where it is not here."""
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
