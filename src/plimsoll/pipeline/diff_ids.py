"""``--layers diffid``: every layer also unpacked, and held against the config's ``rootfs.diff_ids``, place by place.

One pass: a layer is hashed, unpacked and hashed again while it comes, off the event loop, and nothing is kept of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from plimsoll import limits
from plimsoll.errors import ContentError, DiffIdMismatchError, TransportError, UnsupportedError
from plimsoll.model.descriptor import Descriptor
from plimsoll.model.digest import Algorithm, Digest
from plimsoll.model.manifest import Index, Manifest, parse_image_config
from plimsoll.model.verdict import Reason
from plimsoll.pipeline.batching import Batcher
from plimsoll.pipeline.layer_contents import Allowance, LayerContents
from plimsoll.pipeline.layer_types import IMAGE_CONFIGS, is_layer_type, memory_for
from plimsoll.pipeline.layers import (
    SMALL_BLOB_BYTES,
    BlobHasher,
    Step,
    Walk,
    check_each,
    is_offered,
    pass_through,
    small_blob,
)
from plimsoll.transport.base import Source
from plimsoll.transport.budget import ByteBudget

_CONFIGS_KEPT = 64
"""Configs of one index that are remembered: children of one image in several packings share theirs."""

Layer = tuple[Descriptor, tuple[tuple[int, Digest], ...]]
"""A layer, and the diff ID that the config has for it at each of its places, counted from 0."""


@dataclass(slots=True)
class _DeepWalk(Walk):
    """What else is known under way: diff IDs of configs and of layers as they were read, images compared."""

    configs: dict[tuple[Digest, int], tuple[Digest, ...]] = field(default_factory=dict)
    contents: dict[tuple[Digest, int, str], Mapping[Algorithm, str]] = field(default_factory=dict)
    allowance: Allowance = field(default_factory=Allowance)
    images: int = 0


def advance_each(layers: list[LayerContents]) -> list[bool]:
    """A turn for every layer: whether there is more to do for it."""
    return [layer.advance() for layer in layers]


class DiffIdHasher(BlobHasher):
    """Checks blobs as a BlobHasher, and what layers unpack to against the diff IDs of the config."""

    def __init__(self, lanes: Batcher[Step, None], turns: Batcher[LayerContents, bool]) -> None:
        super().__init__(lanes)
        self._turns = turns
        self._memory = ByteBudget(limits.UNPACKING_IN_FLIGHT)

    async def check_image(self, source: Source, manifest: Manifest | Index) -> tuple[Reason, ...]:
        """Compare the layers of an image, or of every image below an index; no reasons if all are what they should be.

        What has no diff IDs is hashed, and then is ``unsupported``: nothing was compared. Only beside images that an
        index lists it may stand, where it is not offered as the image of a platform.
        """
        return await self.check_below(_DeepWalk(source), manifest)

    async def check_index(self, walk: Walk, index: Index, *, depth: int) -> tuple[Reason, ...]:
        """One index, as ``check_image``: there must be an image below it."""
        assert isinstance(walk, _DeepWalk)
        before = walk.images
        reasons = await super().check_index(walk, index, depth=depth)
        if reasons or walk.images > before:
            return reasons
        return (_nothing_compared("the index lists no image"),)

    async def check_manifest(self, walk: Walk, manifest: Manifest, *, listed: Descriptor | None) -> tuple[Reason, ...]:
        """One manifest, as ``check_image``."""
        assert isinstance(walk, _DeepWalk)
        if manifest.config.media_type in IMAGE_CONFIGS:
            return await self._compare(walk, manifest)
        reasons = await super().check_manifest(walk, manifest, listed=listed)
        if listed is not None and not is_offered(listed):
            return reasons
        what = "the manifest" if listed is None else f"{listed.digest}, which the index offers for {_for(listed)},"
        config = manifest.config.media_type[: limits.TEXT_CHARS]
        return (*reasons, _nothing_compared(f"{what} is no image: its config is {config!r}"))

    def passed_over(self, child: Descriptor) -> tuple[Reason, ...]:
        """What an index lists and is no manifest: the same, save that nobody runs it without a platform either."""
        if child.platform is None or not is_offered(child):
            return ()
        return (_nothing_compared(f"{child.digest}, which the index offers for {child.platform}, is no manifest"),)

    async def _compare(self, walk: _DeepWalk, manifest: Manifest) -> tuple[Reason, ...]:
        try:
            diff_ids = await self._diff_ids(walk, manifest)
        except (TransportError, ContentError) as error:
            return (Reason.of(error),)
        walk.images += 1
        return await check_each(_layers(manifest, diff_ids), lambda layer: self._compare_layer(walk, layer))

    async def _diff_ids(self, walk: _DeepWalk, manifest: Manifest) -> tuple[Digest, ...]:
        """The config's diff IDs, one for each layer; raises DiffIdMismatchError where they are more or fewer."""
        config = manifest.config
        diff_ids = walk.configs.get((config.digest, config.size))
        if diff_ids is None:
            data = await small_blob(walk.source, config, limit=limits.CONFIG_BYTES)
            diff_ids = parse_image_config(data).diff_ids
            walk.good.add((config.digest, config.size))
            if len(walk.configs) < _CONFIGS_KEPT:
                walk.configs[config.digest, config.size] = diff_ids
        if len(diff_ids) != len(manifest.layers):
            raise DiffIdMismatchError(
                f"the manifest has {len(manifest.layers)} layers, and its config {config.digest} "
                f"has {len(diff_ids)} diff_ids"
            )
        return diff_ids

    async def _compare_layer(self, walk: _DeepWalk, layer: Layer) -> None:
        descriptor, places = layer
        claim = (descriptor.digest, descriptor.size, descriptor.media_type)
        known = walk.contents.get(claim, {})
        missing = frozenset([diff_id.algorithm for _, diff_id in places]) - known.keys()
        if missing:
            found = await self._read(walk, descriptor, missing)
            known = walk.contents[claim] = {**known, **found}
            walk.good.add((descriptor.digest, descriptor.size))
        for place, diff_id in places:
            if known[diff_id.algorithm] != diff_id.hex:
                raise _other_contents(descriptor, place, diff_id, known[diff_id.algorithm])

    async def _read(
        self, walk: _DeepWalk, layer: Descriptor, algorithms: frozenset[Algorithm]
    ) -> Mapping[Algorithm, str]:
        contents = LayerContents(layer, algorithms=algorithms, allowance=walk.allowance)
        # Taken before anything is asked for: who waits for memory holds no connection.
        taken = await self._memory.take(memory_for(layer.media_type))
        try:
            if layer.size <= SMALL_BLOB_BYTES:
                contents.take(await small_blob(walk.source, layer, limit=SMALL_BLOB_BYTES))
                await self._work_off(contents)
            else:
                await pass_through(walk.source, layer, lambda chunk: self._take(contents, chunk))
            contents.end()
            await self._work_off(contents)
        finally:
            self._memory.give(taken)
        return contents.diff_ids()

    async def _take(self, contents: LayerContents, chunk: bytes) -> None:
        contents.take(chunk)
        await self._work_off(contents)

    async def _work_off(self, contents: LayerContents) -> None:
        while await self._turns.submit(contents):
            pass


def _layers(manifest: Manifest, diff_ids: Iterable[Digest]) -> list[Layer]:
    """Each layer once, by what is claimed of it, with all its places."""
    found: dict[tuple[Digest, int, str], tuple[Descriptor, list[tuple[int, Digest]]]] = {}
    for place, (layer, diff_id) in enumerate(zip(manifest.layers, diff_ids, strict=True)):
        claim = (layer.digest, layer.size, layer.media_type)
        found.setdefault(claim, (layer, []))[1].append((place, diff_id))
    return [(layer, tuple(places)) for layer, places in found.values()]


def _other_contents(
    layer: Descriptor, place: int, diff_id: Digest, found: str
) -> DiffIdMismatchError | UnsupportedError:
    what = f"layers[{place}] {layer.digest}"
    if is_layer_type(layer.media_type):
        return DiffIdMismatchError(f"{what} unpacks to {diff_id.algorithm}:{found}, the config says {diff_id}")
    kind = layer.media_type[: limits.TEXT_CHARS]
    return UnsupportedError(
        f"{what} is of a type that is not known here, {kind!r}, and the config's {diff_id} is not that of its bytes"
    )


def _nothing_compared(why: str) -> Reason:
    return Reason.of(UnsupportedError(f"{why}; there are no diff IDs to compare with: --layers digest hashes it"))


def _for(child: Descriptor) -> str:
    return "any platform" if child.platform is None else str(child.platform)
