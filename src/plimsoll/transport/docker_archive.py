"""``docker-archive:``: images in a tar file as ``docker save`` writes it, and the manifest that skopeo makes for them.

Such an archive holds no image manifest: its manifest.json names a config and layers. The schema 2 manifest made of them
is, to the byte, that of containers/image: layers by the config's diff IDs, with the sizes of what lies there unpacked.
"""

from __future__ import annotations

import json
import posixpath
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Final, cast

from plimsoll import limits
from plimsoll.errors import (
    InvalidReferenceError,
    LimitExceededError,
    MalformedManifestError,
    NotFoundError,
)
from plimsoll.model.descriptor import DOCKER_CONFIG, DOCKER_MANIFEST, Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.location import locate_docker_archive
from plimsoll.model.manifest import RawManifest, parse_image_config
from plimsoll.model.reference import DockerArchiveReference, DockerReference, split_docker_reference
from plimsoll.native import JsonValue, ReadError, read_json
from plimsoll.transport.archive import Archive, ArchiveCache
from plimsoll.transport.base import checked_blob
from plimsoll.transport.local import LocalImage
from plimsoll.transport.stores import Parts, resolve
from plimsoll.transport.unpacking import Packing

_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar.gzip"
"""What containers/image calls these layers, though their digests are those of the plain tar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """One image of manifest.json."""

    config: str
    tags: tuple[str, ...]
    layers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Blob:
    """Where a blob's bytes lie, and its size when they are unpacked."""

    parts: Parts
    packing: Packing | None
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Image:
    """The manifest made for an item, and the blobs that it names."""

    manifest: RawManifest
    blobs: Mapping[Digest, _Blob]


class SavedImages:
    """The images of one archive; the manifest of each is made when it is first asked for."""

    def __init__(self, items: tuple[_Item, ...], *, where: str) -> None:
        self._items = items
        self._where = where
        self._named: dict[str, int] | None = None
        self._images: dict[int, _Image] = {}
        self._sizes: dict[Parts, _Blob] = {}

    def image(self, reference: DockerArchiveReference, archive: Archive) -> _Image:
        """The image that a reference names.

        Raises NotFoundError where there is none such, InvalidReferenceError where it names no one of several,
        ContentError for an image that is not whole.
        """
        position = self._position(reference)
        image = self._images.get(position)
        if image is None:
            image = self._images[position] = self._make(self._items[position], archive)
        return image

    def _position(self, reference: DockerArchiveReference) -> int:
        if reference.index is not None:
            if reference.index >= len(self._items):
                raise NotFoundError(f"{self._where} has {len(self._items)} images, none at position {reference.index}")
            return reference.index
        if reference.image is not None:
            return self._by_name(reference.image)
        if not self._items:
            raise NotFoundError(f"{self._where} has no image")
        if len(self._items) > 1:
            raise InvalidReferenceError(
                f"{self._where} has {len(self._items)} images: name one, or write :@0 for the first"
            )
        return 0

    def _by_name(self, image: DockerReference) -> int:
        if self._named is None:
            self._named = self._names()
        position = self._named.get(image.identity)
        if position is None:
            raise NotFoundError(f"{self._where} has no image named {image.identity}")
        return position

    def _names(self) -> dict[str, int]:
        """Position by full name; a name without a tag, or with a digest, is no image's here (as in skopeo)."""
        found: dict[str, int] = {}
        for position, item in enumerate(self._items):
            for text in item.tags:
                try:
                    domain, path, tag, digest = split_docker_reference(text)
                except InvalidReferenceError as error:
                    raise MalformedManifestError(f"{self._where}: item {position}: RepoTags: {error}") from error
                if tag is None or digest is not None:
                    continue
                name = f"{domain}/{path}:{tag}"
                first = self._items[found.setdefault(name, position)]
                if (first.config, first.layers) != (item.config, item.layers):
                    raise MalformedManifestError(f"{self._where} gives the name {name} to different images")
        return found

    def _make(self, item: _Item, archive: Archive) -> _Image:
        config_at = self._followed(item.config, archive)
        config = archive.read(config_at, limit=limits.CONFIG_BYTES)
        diff_ids = parse_image_config(config).diff_ids
        layers = self._layers(item, diff_ids, archive)
        digest = Digest.of(config)
        document = {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": {"mediaType": DOCKER_CONFIG, "size": len(config), "digest": str(digest)},
            "layers": [
                {"mediaType": _LAYER, "size": layers[diff_id].size, "digest": str(diff_id)} for diff_id in diff_ids
            ],
        }
        return _Image(
            manifest=RawManifest(data=json.dumps(document, separators=(",", ":")).encode()),
            blobs={**layers, digest: _Blob(parts=config_at, packing=None, size=len(config))},
        )

    def _layers(self, item: _Item, diff_ids: tuple[Digest, ...], archive: Archive) -> dict[Digest, _Blob]:
        if len(diff_ids) != len(item.layers):
            raise MalformedManifestError(
                f"{self._where} lists {len(item.layers)} layers, {item.config[:160]!r} has {len(diff_ids)} diff_ids"
            )
        if len(diff_ids) > limits.LAYERS:
            raise LimitExceededError(f"{self._where}: an image of {len(diff_ids)} layers: at most {limits.LAYERS}")
        found: dict[Digest, _Blob] = {}
        for diff_id, name in zip(diff_ids, item.layers, strict=True):
            # docker save writes a layer that comes again as a link to the first.
            if diff_id not in found:
                found[diff_id] = self._layer(name, archive)
        if len({blob.parts for blob in found.values()}) != len(found):
            raise MalformedManifestError(f"{self._where} gives one file to layers with different diff_ids")
        return found

    def _layer(self, name: str, archive: Archive) -> _Blob:
        parts = self._followed(name, archive)
        blob = self._sizes.get(parts)
        if blob is None:
            packing = archive.packing(parts)
            size = archive.size(parts) if packing is None else _unpacked_size(archive, parts, packing)
            blob = self._sizes[parts] = _Blob(parts=parts, packing=packing, size=size)
        return blob

    def _followed(self, name: str, archive: Archive) -> Parts:
        try:
            return archive.followed(posixpath.normpath(name))
        except NotFoundError as error:
            raise MalformedManifestError(f"{self._where} names a file that is not there: {error}") from error


def _unpacked_size(archive: Archive, parts: Parts, packing: Packing) -> int:
    size = 0
    for piece in archive.pieces(parts, packing):
        size += len(piece)
        if size > limits.ARCHIVE_SPOOL_BYTES:
            raise LimitExceededError(
                f"{archive.path}:{'/'.join(parts)} unpacks to more than {limits.ARCHIVE_SPOOL_BYTES} bytes"
            )
    return size


def parse_saved(data: bytes, *, where: str) -> SavedImages:
    """Read the manifest.json of ``docker save`` strictly, other members passed over; raises MalformedManifestError."""
    try:
        document = read_json(data, max_depth=limits.JSON_DEPTH)
    except ReadError as error:
        raise MalformedManifestError(f"{where} is refused: {error}") from error
    if not isinstance(document, list):
        raise MalformedManifestError(f"{where} is no list of images")
    return SavedImages(tuple([_item(item, f"{where}: item {at}") for at, item in enumerate(document)]), where=where)


def _item(item: JsonValue, where: str) -> _Item:
    match item:
        case {"Config": str(config), **rest}:
            return _Item(
                config=config,
                tags=_texts(rest.get("RepoTags"), f"{where}: RepoTags"),
                layers=_texts(rest.get("Layers"), f"{where}: Layers"),
            )
        case _:
            raise MalformedManifestError(f"{where} names no Config: this is no archive of docker save")


def _texts(found: object, where: str) -> tuple[str, ...]:
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise MalformedManifestError(f"{where} is no list of strings")
    return tuple(cast("Iterable[str]", found))


class SavedCache:
    """The images of one run's archives, the most recently used of them, while their files stay the same."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[object, ...], SavedImages] = OrderedDict()

    def images(self, archive: Archive) -> SavedImages:
        """What an archive's manifest.json lists; raises NotFoundError where it has none, MalformedManifestError."""
        known = self._known.get(archive.stamp)
        if known is None:
            data = archive.read(archive.followed("manifest.json"), limit=limits.SAVED_MANIFEST_BYTES)
            known = self._known[archive.stamp] = parse_saved(data, where=f"{archive.path}:manifest.json")
            if len(self._known) > limits.LAYOUT_CACHE:
                self._known.popitem(last=False)
        self._known.move_to_end(archive.stamp)
        return known


def open_docker_archive(
    reference: DockerArchiveReference, archives: ArchiveCache, saved: SavedCache
) -> DockerArchiveSource:
    """Open an image of an archive; blocks while something is unpacked.

    Raises what ``ArchiveCache.archive`` and ``SavedImages.image`` raise.
    """
    archive = archives.archive(resolve(reference.path))
    try:
        image = saved.images(archive).image(reference, archive)
    except BaseException:
        archive.close()
        raise
    return DockerArchiveSource(reference, archive=archive, image=image)


class DockerArchiveSource(LocalImage):
    """One image of an archive; nothing refers to it, and nothing signs it."""

    def __init__(self, reference: DockerArchiveReference, *, archive: Archive, image: _Image) -> None:
        super().__init__(locate_docker_archive(reference))
        self._reference = reference
        self._archive = archive
        self._image = image

    async def manifest(self) -> RawManifest:
        """The manifest that was made for the image."""
        self._counted(self._image.manifest.data)
        return self._image.manifest

    async def manifest_by_tag(self, tag: str) -> RawManifest:
        """An archive has nothing beside its images; raises NotFoundError."""
        raise NotFoundError(f"{self._reference} has nothing tagged {tag!r} beside it: an archive holds images only")

    async def manifest_by_digest(self, descriptor: Descriptor) -> RawManifest:
        """An archive has no indexes, so no instances; raises NotFoundError."""
        raise NotFoundError(f"{self._archive.path} has no manifest {descriptor.digest}")

    async def blob(self, descriptor: Descriptor, *, limit: int) -> bytes:
        """The config or a small layer, digest and size checked; raises LimitExceededError past ``limit`` bytes."""
        blob, where = self._blob(descriptor.digest)
        if max(descriptor.size, blob.size) > limit:
            raise LimitExceededError(f"{where} has {max(descriptor.size, blob.size)} bytes: at most {limit}")
        if blob.packing is None:
            data = self._archive.read(blob.parts, limit=limit)
        else:
            with closing(self._archive.pieces(blob.parts, blob.packing)) as pieces:
                data = b"".join(pieces)
        return checked_blob(self._counted(data), descriptor, where=where)

    def stream(self, descriptor: Descriptor) -> AsyncIterator[bytes]:
        """A blob's bytes, unpacked, as they come, NOT checked."""
        blob, _ = self._blob(descriptor.digest)
        if blob.packing is None:
            return self._streamed(self._archive.stream(blob.parts), descriptor)
        return self._streamed(self._archive.stream_unpacked(blob.parts, blob.packing), descriptor)

    def _blob(self, digest: Digest) -> tuple[_Blob, str]:
        blob = self._image.blobs.get(digest)
        if blob is None:
            raise NotFoundError(f"{self._archive.path} has no {digest}")
        return blob, f"{digest} ({'/'.join(blob.parts)} of {self._archive.path})"

    async def referrers(self, digest: Digest, *, whole: bool) -> tuple[Descriptor, ...]:  # noqa: ARG002  # the port's
        """An archive lists nothing that refers to its images."""
        return ()

    async def stored_signatures(self, base: str, digest: Digest) -> tuple[bytes, ...]:  # noqa: ARG002  # the port's
        """An archive has no signature store."""
        return ()

    async def aclose(self) -> None:
        """Close the archive's handle."""
        self._archive.close()
