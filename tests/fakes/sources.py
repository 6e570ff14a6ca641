"""Repositories in memory, read through the Source protocol, with a fault for any tag or digest; no network, no files."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from fakes.signing import SIGNATURE, SIMPLE_SIGNING, b64, payload_bytes
from plimsoll.errors import LimitExceededError, NotFoundError
from plimsoll.model.descriptor import OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST, Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.location import locate_docker, locate_path
from plimsoll.model.manifest import RawManifest
from plimsoll.model.reference import DockerReference
from plimsoll.transport.base import Meter, checked_blob, checked_manifest


def describe(data, media_type=OCI_LAYER_GZIP, *, algorithm="sha256", **changes):
    """The JSON descriptor of ``data``; ``changes`` replace or add members."""
    return {"mediaType": media_type, "digest": str(Digest.of(data, algorithm=algorithm)), "size": len(data), **changes}


def manifest_bytes(*, config=None, layers=(), **more):
    """An OCI image manifest of these descriptors."""
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config or describe(b"{}", OCI_CONFIG),
        "layers": list(layers),
        **more,
    }
    return json.dumps(document).encode()


def index_bytes(*children, **more):
    """An OCI index of these descriptors."""
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(children), **more}).encode()


@dataclass
class Memory:
    """One repository: ``faults`` maps a tag, or a digest as text, to the exception that asking for it raises.

    ``holds`` maps the same to an Event that must be set before the answer comes. ``asked`` is every question, in order.
    """

    tags: dict = field(default_factory=dict)
    manifests: dict = field(default_factory=dict)
    blobs: dict = field(default_factory=dict)
    faults: dict = field(default_factory=dict)
    holds: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)
    wholes: list = field(default_factory=list)
    referrers: dict = field(default_factory=dict)
    closed: int = 0
    streaming: int = 0

    def put_blob(self, data, media_type=OCI_LAYER_GZIP, *, algorithm="sha256", **changes):
        """Store a blob and give its descriptor, ``changes`` of which may lie."""
        self.blobs[str(Digest.of(data, algorithm=algorithm))] = data
        return describe(data, media_type, algorithm=algorithm, **changes)

    def put_manifest(self, data, *tags, media_type=OCI_MANIFEST, algorithm="sha256", **changes):
        """Store a manifest under its digest and ``tags``, and give its descriptor."""
        self.manifests[str(Digest.of(data, algorithm=algorithm))] = data
        self.tags.update(dict.fromkeys(tags, data))
        return describe(data, media_type, algorithm=algorithm, **changes)

    def put_image(self, *tags, layers=(b"layer",), **changes):
        """Store an image of these layers' bytes, and give its descriptor."""
        config = self.put_blob(b"{}", OCI_CONFIG)
        return self.put_manifest(
            manifest_bytes(config=config, layers=[self.put_blob(x) for x in layers]), *tags, **changes
        )

    def sign(self, descriptor, *signers, tag=None, **changes):
        """Sign what ``descriptor`` names, as cosign does, on its ``.sig`` tag."""
        digest = Digest.parse(descriptor["digest"])
        layers = []
        for signer in signers:
            payload = payload_bytes(digest, **changes)
            annotations = {SIGNATURE: b64(signer.sign(payload))}
            layers.append(self.put_blob(payload, SIMPLE_SIGNING, annotations=annotations))
        self.put_manifest(manifest_bytes(layers=layers), tag or f"{digest.tag}.sig")

    def refer(self, subject, data, media_type, *, artifact_type=None, listed_as=None, **changes):
        """Store an artifact of one layer that refers to what ``subject`` names; ``changes`` are the layer's."""
        layer = self.put_blob(data, media_type, **changes)
        manifest = manifest_bytes(layers=[layer], subject=subject, artifactType=artifact_type or media_type)
        found = self.put_manifest(manifest)
        listed = Descriptor(
            media_type=OCI_MANIFEST,
            digest=Digest.parse(found["digest"]),
            size=found["size"],
            artifact_type=artifact_type or media_type if listed_as is None else listed_as,
        )
        self.referrers[subject["digest"]] = (*self.referrers.get(subject["digest"], ()), listed)
        return listed

    async def answer(self, name, found):
        """What is stored, after the hold and the fault for ``name``."""
        self.asked.append(name)
        if name in self.holds:
            await self.holds[name].wait()
        if name in self.faults:
            raise self.faults[name]
        if found is None:
            raise NotFoundError(f"there is no {name}")
        return found


class MemorySource:
    """A Source over a Memory."""

    def __init__(self, memory, reference):
        self._memory = memory
        self._reference = reference
        self.location = (
            locate_docker(reference)
            if isinstance(reference, DockerReference)
            else locate_path(reference.transport, reference.path)
        )
        self.meter = Meter()
        self.physical = self.location.docker
        self.contacted = () if self.physical is None else (self.physical.repository,)

    async def _answer(self, name, found):
        self.meter.requests += 1
        data = await self._memory.answer(name, found)
        self.meter.bytes += len(data)
        return data

    async def manifest(self):
        digest = self._reference.digest
        if digest is None:
            tag = getattr(self._reference, "tag", None) or self._reference.name
            return RawManifest(data=await self._answer(tag, self._memory.tags.get(tag)))
        raw = RawManifest(data=await self._answer(str(digest), self._memory.manifests.get(str(digest))))
        return checked_manifest(raw, digest, where=str(self._reference))

    async def manifest_by_tag(self, tag):
        return RawManifest(data=await self._answer(tag, self._memory.tags.get(tag)))

    async def manifest_by_digest(self, descriptor):
        name = str(descriptor.digest)
        raw = RawManifest(data=await self._answer(name, self._memory.manifests.get(name)))
        return checked_manifest(raw, descriptor.digest, size=descriptor.size, where=name)

    async def blob(self, descriptor, *, limit):
        name = str(descriptor.digest)
        if descriptor.size > limit:
            raise LimitExceededError(f"{name} is said to have {descriptor.size} bytes: at most {limit}")
        return checked_blob(await self._answer(name, self._memory.blobs.get(name)), descriptor, where=name)

    async def stream(self, descriptor):
        name = str(descriptor.digest)
        self._memory.streaming += 1
        try:
            data = await self._answer(name, self._memory.blobs.get(name))
            sent = 0
            while sent <= descriptor.size and sent < len(data):
                yield data[sent : sent + 10_000]
                sent += 10_000
        finally:
            self._memory.streaming -= 1

    async def tags(self):
        for tag in self._memory.tags:
            yield tag

    async def referrers(self, digest, *, whole):
        self._memory.wholes.append(whole)
        await self._memory.answer(f"referrers of {digest}", ())
        return self._memory.referrers.get(str(digest), ())

    async def stored_signatures(self, base, digest):
        return ()

    async def aclose(self):
        self._memory.closed += 1


class MemoryTransports:
    """What a Bench asks for sources: every reference leads into one Memory; ``opening`` is raised instead if given."""

    def __init__(self, memory, *, opening=None):
        self.memory = memory
        self.opening = opening
        self.closed = False

    async def open(self, reference):
        if self.opening is not None:
            raise self.opening
        return MemorySource(self.memory, reference)

    def open_registry(self, reference):
        return MemorySource(self.memory, reference)

    async def aclose(self):
        self.closed = True
