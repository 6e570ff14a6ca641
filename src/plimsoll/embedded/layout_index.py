"""LayoutIndex: the index.json of an OCI layout as a value; what is written again keeps what was not understood.

Source: image-spec image-layout.md. Unlike an index that is served, it may be large (a whole repository's tags), and
it is the one document of a layout that has no digest, so it may be rewritten.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, cast

from plimsoll import limits
from plimsoll.errors import InvalidReferenceError, LimitExceededError, MalformedManifestError, ReadError
from plimsoll.model.descriptor import OCI_INDEX
from plimsoll.model.digest import Digest
from plimsoll.model.reference import is_tag
from plimsoll.native import read_json

REF_NAME: Final = "org.opencontainers.image.ref.name"
LAYOUT_VERSION: Final = "1.0.0"
LAYOUT_FILE: Final = b'{"imageLayoutVersion":"1.0.0"}'


def _new_head() -> Mapping[str, object]:
    return {"schemaVersion": 2, "mediaType": OCI_INDEX}


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutEntry:
    """One descriptor of index.json; ``name`` is its ref.name, ``text`` its JSON with all it says besides."""

    media_type: str
    digest: Digest
    size: int
    name: str | None
    text: str

    @classmethod
    def of(cls, *, media_type: str, digest: Digest, size: int, name: str | None = None) -> LayoutEntry:
        """A new entry."""
        raw: dict[str, object] = {"mediaType": media_type, "digest": str(digest), "size": size}
        if name is not None:
            raw["annotations"] = {REF_NAME: name}
        return cls(media_type=media_type, digest=digest, size=size, name=name, text=_text(raw))

    def unnamed(self) -> LayoutEntry:
        """The same entry without its ref.name."""
        raw = cast("dict[str, object]", read_json(self.text.encode(), max_depth=limits.JSON_DEPTH))
        annotations = cast("dict[str, object]", raw.pop("annotations", {}))
        rest = {key: value for key, value in annotations.items() if key != REF_NAME}
        if rest:
            raw["annotations"] = rest
        return LayoutEntry(media_type=self.media_type, digest=self.digest, size=self.size, name=None, text=_text(raw))


@dataclass(frozen=True, kw_only=True)
class LayoutIndex:
    """The entries of one index.json, in order; ``head`` is every other member of the document."""

    entries: tuple[LayoutEntry, ...] = ()
    head: Mapping[str, object] = field(default_factory=_new_head)

    @cached_property
    def by_tag(self) -> Mapping[str, LayoutEntry]:
        """The entries whose ref.name is a tag; names outside the tag grammar are none."""
        return {entry.name: entry for entry in self.entries if entry.name is not None and is_tag(entry.name)}

    @cached_property
    def by_digest(self) -> Mapping[Digest, LayoutEntry]:
        """One entry of each digest."""
        return {entry.digest: entry for entry in self.entries}

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """The tags in the order of their bytes, which the distribution-spec's paging needs."""
        return tuple(sorted(self.by_tag))

    def with_entries(self, new: Iterable[LayoutEntry]) -> LayoutIndex:
        """Add manifests; a tag moves to its new manifest, and the old one stays known by its digest."""
        entries = {_key(entry): entry for entry in self.entries}
        for entry in new:
            moved = entries.get(_key(entry))
            if moved is not None and (moved.digest, moved.media_type) == (entry.digest, entry.media_type):
                continue
            entries[_key(entry)] = entry
            if moved is not None and moved.digest != entry.digest:
                entries.setdefault(_digest_key(moved.digest), moved.unnamed())
        return LayoutIndex(entries=_without_idle(entries), head=self.head)

    def without_tag(self, tag: str) -> LayoutIndex:
        """Forget a tag; its manifest stays known by its digest."""
        entries = {_key(entry): entry for entry in self.entries}
        gone = entries.pop(("name", tag), None)
        if gone is not None:
            entries.setdefault(_digest_key(gone.digest), gone.unnamed())
        return LayoutIndex(entries=_without_idle(entries), head=self.head)

    def without_digest(self, digest: Digest) -> LayoutIndex:
        """Forget a manifest and every tag of it."""
        return LayoutIndex(entries=tuple([entry for entry in self.entries if entry.digest != digest]), head=self.head)

    def to_bytes(self) -> bytes:
        """The document: entries as they were read, new ones in the specs' order of members."""
        head = _text(self.head)[:-1]
        comma = "," if self.head else ""
        return f'{head}{comma}"manifests":[{",".join([entry.text for entry in self.entries])}]}}'.encode()


def _key(entry: LayoutEntry) -> tuple[str, str]:
    return ("name", entry.name) if entry.name is not None else _digest_key(entry.digest)


def _digest_key(digest: Digest) -> tuple[str, str]:
    return ("digest", str(digest))


def _without_idle(entries: Mapping[tuple[str, str], LayoutEntry]) -> tuple[LayoutEntry, ...]:
    """Drop an unnamed entry where a named one holds the same digest: it says nothing more."""
    named = {entry.digest for entry in entries.values() if entry.name is not None}
    return tuple([entry for entry in entries.values() if entry.name is not None or entry.digest not in named])


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def parse_layout_file(data: bytes) -> None:
    """Return if ``data`` is an oci-layout file of a version that is known; raises MalformedManifestError."""
    try:
        document = read_json(data, max_depth=limits.JSON_DEPTH)
    except ReadError as error:
        raise MalformedManifestError(f"the oci-layout file is refused: {error}") from error
    if not isinstance(document, dict) or document.get("imageLayoutVersion") != LAYOUT_VERSION:
        raise MalformedManifestError(f"the oci-layout file names no imageLayoutVersion {LAYOUT_VERSION}")


def parse_layout_index(data: bytes) -> LayoutIndex:
    """Read index.json; raises MalformedManifestError, also for a name given to two manifests, or LimitExceededError."""
    if len(data) > limits.INDEX_JSON_BYTES:
        raise LimitExceededError(f"an index.json of {len(data)} bytes: at most {limits.INDEX_JSON_BYTES}")
    try:
        document = read_json(data, max_depth=limits.JSON_DEPTH, max_values=limits.INDEX_JSON_VALUES)
    except ReadError as error:
        raise MalformedManifestError(f"index.json is refused: {error}") from error
    if not isinstance(document, dict) or document.get("schemaVersion") != 2:
        raise MalformedManifestError("index.json is no JSON object of schemaVersion 2")
    manifests = document.pop("manifests", None)
    if not isinstance(manifests, list):
        raise MalformedManifestError("index.json has no list of manifests")
    entries: dict[tuple[str, str], LayoutEntry] = {}
    for at, raw in enumerate(manifests):
        entry = _entry(raw, f"index.json: manifests[{at}]")
        twin = entries.setdefault(_key(entry), entry)
        if twin.digest != entry.digest:
            raise MalformedManifestError(f"index.json gives the name {entry.name!r:.160} to two manifests")
    return LayoutIndex(entries=tuple(entries.values()), head=document)


def _entry(raw: object, where: str) -> LayoutEntry:
    match raw:
        case {"mediaType": str(media_type), "digest": str(digest), "size": int(size)} if not isinstance(size, bool):
            annotations = cast("dict[str, object]", raw).get("annotations", {})
            name = annotations.get(REF_NAME) if isinstance(annotations, dict) else 0
            if size < 0 or not isinstance(name, str | None):
                raise MalformedManifestError(f"{where} has a negative size, or a ref.name that is no text")
            try:
                parsed = Digest.parse(digest)
            except InvalidReferenceError as error:
                raise MalformedManifestError(f"{where}.digest: {error}") from error
            return LayoutEntry(media_type=media_type, digest=parsed, size=size, name=name, text=_text(raw))
        case _:
            raise MalformedManifestError(f"{where} lacks mediaType, digest or size")
