"""Source: the port through which an image's bytes come in, whatever the transport; and the Meter of what that cost.

Implementations check the digest of what is asked by digest, cap every read, and raise TransportError (the bytes could
not be had) or ContentError (they are not what they are said to be) and nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable, Mapping
from typing import Protocol

from plimsoll.errors import DigestMismatchError, LimitExceededError, MalformedManifestError
from plimsoll.model.descriptor import Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.location import Location
from plimsoll.model.manifest import Index, RawManifest, parse_manifest
from plimsoll.model.reference import DockerReference


class Meter:
    """What was sent and received for one image: requests (tokens, redirects and retries too) and body bytes."""

    __slots__ = ("bytes", "requests")

    def __init__(self) -> None:
        self.requests = 0
        self.bytes = 0


class OneImage:
    """What every source has: where its image lies, and what reading it has cost so far."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._meter = Meter()

    @property
    def location(self) -> Location:
        """What a policy matches."""
        return self._location

    @property
    def meter(self) -> Meter:
        """What this source has cost so far."""
        return self._meter


class Source(Protocol):
    """One image and what lies beside it."""

    @property
    def location(self) -> Location:
        """What a policy matches."""
        ...

    @property
    def meter(self) -> Meter:
        """What this source has cost so far."""
        ...

    @property
    def physical(self) -> DockerReference | None:
        """The image's name where its bytes come from, a mirror's say; what registries.d is asked for. None locally."""
        ...

    @property
    def contacted(self) -> tuple[str, ...]:
        """The repositories (``HOST[:PORT]/PATH``) that were asked for the image, the one that has it last."""
        ...

    async def manifest(self) -> RawManifest:
        """What the reference names; a digest in the reference is checked on the bytes, under its own algorithm."""
        ...

    async def manifest_by_tag(self, tag: str) -> RawManifest:
        """Another manifest of the same repository or layout; raises NotFoundError where there is none."""
        ...

    async def manifest_by_digest(self, descriptor: Descriptor) -> RawManifest:
        """A child of an index, or a subject: digest and size are checked."""
        ...

    async def blob(self, descriptor: Descriptor, *, limit: int) -> bytes:
        """A small blob, digest and size checked; raises LimitExceededError where it is larger than ``limit`` bytes."""
        ...

    def stream(self, descriptor: Descriptor) -> AsyncIterator[bytes]:
        """A blob's bytes as they come, NOT checked: the caller hashes them and counts them against the descriptor.

        Never yields more than one chunk beyond ``descriptor.size``. Broken transfers are resumed inside.
        """
        ...

    async def referrers(self, digest: Digest, *, whole: bool) -> tuple[Descriptor, ...]:
        """What is listed as having ``digest`` for its subject, or may have it, unproven; empty where nothing is.

        With ``whole`` none may be missed: what is no clear answer of every place that lists some is raised.
        """
        ...

    async def stored_signatures(self, base: str, digest: Digest) -> tuple[bytes, ...]:
        """The image's signature store, whole: the lookaside ``base``, or "" for the transport's own; none is empty.

        ``digest`` is the SHA-256 of the manifest that was signed. Raises ConfigError for a base that cannot be read.
        """
        ...

    async def aclose(self) -> None:
        """Give back what this source alone holds (a directory handle)."""
        ...


class Destination(Protocol):
    """One repository or layout, to be written to: small blobs, and manifests by tag; raises TransportError."""

    async def put_blob(self, data: bytes) -> None:
        """Store a blob under its SHA-256."""
        ...

    async def put_manifest(self, data: bytes, *, tag: str, media_type: str) -> None:
        """Store a manifest and let ``tag`` name it, whatever it named before; what it refers to is there already."""
        ...

    async def put_referrer(self, data: bytes, *, subject: Digest, listed: Mapping[str, object]) -> bool:
        """Store a manifest that refers to ``subject``, under its digest; whether it is now listed for it.

        ``listed`` is how an index lists it: mediaType, digest, size, artifactType, annotations.
        """
        ...


def refuse_larger(descriptor: Descriptor, *, limit: int, where: str) -> None:
    """Raise LimitExceededError where the descriptor says more than ``limit`` bytes."""
    if descriptor.size > limit:
        raise LimitExceededError(f"{where} is said to have {descriptor.size} bytes: at most {limit}")


def checked_manifest(raw: RawManifest, digest: Digest, *, where: str, size: int | None = None) -> RawManifest:
    """Return ``raw`` if its bytes hash to ``digest`` and have ``size``; raises DigestMismatchError."""
    if size is not None and len(raw.data) != size:
        raise DigestMismatchError(f"{where} has {len(raw.data)} bytes, its descriptor says {size}")
    if not (raw.digest == digest if digest.algorithm == "sha256" else digest.matches(raw.data)):
        raise DigestMismatchError(
            f"{where} hashes to {Digest.of(raw.data, algorithm=digest.algorithm)}, not to {digest}"
        )
    return raw


def checked_blob(data: bytes, descriptor: Descriptor, *, where: str) -> bytes:
    """Return ``data`` if it is what ``descriptor`` says; raises DigestMismatchError."""
    if len(data) != descriptor.size:
        raise DigestMismatchError(f"{where} has {len(data)} bytes, its descriptor says {descriptor.size}")
    if not descriptor.digest.matches(data):
        raise DigestMismatchError(
            f"{where} hashes to {Digest.of(data, algorithm=descriptor.digest.algorithm)}, not to {descriptor.digest}"
        )
    return data


def what_is_claimed(listed: Descriptor) -> Hashable:
    """What makes two listed descriptors one: of the same thing, and with the same word of what it is.

    A second entry that calls a signature something else must not hide it.
    """
    return listed.digest, listed.size, listed.media_type, listed.artifact_type


def listed_by_tag(raw: RawManifest, *, where: str) -> tuple[Descriptor, ...]:
    """What the index under a fallback tag lists (distribution-spec "Referrers Tag Schema").

    Raises MalformedManifestError for anything else under that name, and what ``parse_manifest`` raises: nobody knows
    what it hides.
    """
    found = parse_manifest(raw)
    if not isinstance(found, Index):
        raise MalformedManifestError(f"{where} should list what refers to the image, and is a {found.media_type}")
    return found.manifests
