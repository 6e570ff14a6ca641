"""RawManifest -> Manifest or Index: the bytes as served, and the one strict reading of them.

What was read is never written again: a digest covers the bytes as served. A document that two readers could
understand differently is refused (CVE-2021-41190): both kinds at once, duplicate or case-twin members, a mediaType
that contradicts the shape or the Content-Type. Unknown members are tolerated, as the image-spec asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from plimsoll import limits
from plimsoll.errors import InvalidReferenceError, LimitExceededError, MalformedManifestError, UnsupportedError
from plimsoll.model.descriptor import (
    DOCKER_CONFIG,
    DOCKER_MANIFEST,
    INDEX_TYPES,
    MANIFEST_TYPES,
    OCI_INDEX,
    OCI_MANIFEST,
    SCHEMA1_TYPES,
    Descriptor,
    Platform,
)
from plimsoll.model.digest import Digest
from plimsoll.native import DescriptorFields, ManifestFields, ReadError, read_json, read_manifest

NO_CLAIM: Final = frozenset({"", "application/json", "text/plain", "application/octet-stream", "binary/octet-stream"})
"""Content-Types that say nothing of the kind: static servers and caches send them."""
_FOREIGN_TO_MANIFEST: Final = frozenset({"manifests", "fsLayers", "history", "signatures"})
_FOREIGN_TO_INDEX: Final = frozenset({"config", "layers", "fsLayers", "history", "signatures"})
_CONFIG_MEMBERS: Final = frozenset({"os", "architecture", "variant", "rootfs"})
_ROOTFS_MEMBERS: Final = frozenset({"type", "diff_ids"})
_MOST: Final = (
    f"at most {limits.LAYERS} layers, {limits.INDEX_CHILDREN} manifests and {limits.MANIFEST_VALUES} JSON values are"
    " read of a manifest"
)
_NO_ANNOTATIONS: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, kw_only=True)
class RawManifest:
    """The bytes of a manifest or index as served; ``content_type`` is the reply's, None for files."""

    data: bytes
    content_type: str | None = None

    @cached_property
    def digest(self) -> Digest:
        """The SHA-256 of the bytes."""
        return Digest.of(self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """An image or artifact: one config, its layers."""

    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A list of manifests, by platform or otherwise."""

    media_type: str
    manifests: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """What of an image's configuration is judged (image-spec config.md)."""

    os: str
    architecture: str
    variant: str | None
    diff_ids: tuple[Digest, ...]


def parse_manifest(raw: RawManifest) -> Manifest | Index:
    """Read a manifest or index, OCI or Docker schema 2.

    Raises MalformedManifestError for anything ambiguous or broken, LimitExceededError past the caps,
    UnsupportedError for Docker schema 1.
    """
    if len(raw.data) > limits.MANIFEST_BYTES:
        raise LimitExceededError(f"a manifest of {len(raw.data)} bytes: at most {limits.MANIFEST_BYTES}")
    try:
        fields = read_manifest(
            raw.data,
            max_depth=limits.JSON_DEPTH,
            max_values=limits.MANIFEST_VALUES,
            max_layers=limits.LAYERS,
            max_manifests=limits.INDEX_CHILDREN,
        )
    except ReadError as error:
        if error.kind == "too-large":
            raise LimitExceededError(f"{error}: {_MOST}") from error
        raise MalformedManifestError(f"the manifest is refused: {error}") from error
    kind = _media_type(fields, raw.content_type)
    if kind in SCHEMA1_TYPES:
        raise UnsupportedError(f"a manifest of type {kind} (Docker schema 1) is not judged yet")
    if fields.schema_version != 2:
        raise MalformedManifestError(f"the manifest's schemaVersion is {fields.schema_version}, not 2")
    return _index(fields, kind) if kind in INDEX_TYPES else _manifest(fields, kind)


def _media_type(fields: ManifestFields, content_type: str | None) -> str:
    served = (content_type or "").partition(";")[0].strip().lower()
    written = fields.media_type
    if served in NO_CLAIM:
        kind = written if written is not None else _guess(fields)
    elif written is not None and written != served:
        raise MalformedManifestError(
            f"the manifest says mediaType {written[:160]!r}, its Content-Type {served[:160]!r}"
        )
    else:
        kind = served
    if kind not in MANIFEST_TYPES | INDEX_TYPES | SCHEMA1_TYPES:
        raise MalformedManifestError(f"{kind[:160]!r} is no type of image manifest or index")
    return kind


def _guess(fields: ManifestFields) -> str:
    if fields.schema_version == 1:
        return "application/vnd.docker.distribution.manifest.v1+json"
    if "manifests" in fields.members:
        return OCI_INDEX
    if fields.config is not None and fields.config.media_type == DOCKER_CONFIG:
        return DOCKER_MANIFEST
    return OCI_MANIFEST


def _refuse_foreign(fields: ManifestFields, foreign: frozenset[str], kind: str) -> None:
    # Go's decoders match names without regard to case, so a twin in other letters is foreign too.
    names = {name.lower() for name in foreign}
    found = [member for member in fields.members if member.lower() in names]
    if found:
        raise MalformedManifestError(
            f"a document of type {kind} also has {found[0]!r}: two readers could see two images"
        )


def _manifest(fields: ManifestFields, kind: str) -> Manifest:
    _refuse_foreign(fields, _FOREIGN_TO_MANIFEST, kind)
    if fields.config is None:
        raise MalformedManifestError("the manifest has no config")
    if fields.layers is None:
        raise MalformedManifestError("the manifest has no layers")
    return Manifest(
        media_type=kind,
        config=read_descriptor(fields.config, "config"),
        layers=tuple([read_descriptor(layer, f"layers[{at}]") for at, layer in enumerate(fields.layers)]),
        subject=read_descriptor(fields.subject, "subject") if fields.subject is not None else None,
        artifact_type=fields.artifact_type,
        annotations=fields.annotations or _NO_ANNOTATIONS,
    )


def _index(fields: ManifestFields, kind: str) -> Index:
    _refuse_foreign(fields, _FOREIGN_TO_INDEX, kind)
    if fields.manifests is None:
        raise MalformedManifestError("the index has no manifests")
    return Index(
        media_type=kind,
        manifests=tuple([read_descriptor(child, f"manifests[{at}]") for at, child in enumerate(fields.manifests)]),
        subject=read_descriptor(fields.subject, "subject") if fields.subject is not None else None,
        artifact_type=fields.artifact_type,
        annotations=fields.annotations or _NO_ANNOTATIONS,
    )


def read_descriptor(fields: DescriptorFields, where: str) -> Descriptor:
    """Take what the native reader found as a Descriptor; raises MalformedManifestError, naming it ``where``."""
    if fields.digest is None or fields.size is None or fields.media_type is None:
        missing = "digest" if fields.digest is None else "size" if fields.size is None else "mediaType"
        raise MalformedManifestError(f"{where} has no {missing}")
    if fields.size < 0:
        raise MalformedManifestError(f"{where} has a negative size")
    try:
        digest = Digest.parse(fields.digest)
    except InvalidReferenceError as error:
        raise MalformedManifestError(f"{where}.digest: {error}") from error
    platform = fields.platform
    return Descriptor(
        media_type=fields.media_type,
        digest=digest,
        size=fields.size,
        annotations=fields.annotations or _NO_ANNOTATIONS,
        artifact_type=fields.artifact_type,
        platform=None
        if platform is None
        else Platform(
            os=platform.os,
            architecture=platform.architecture,
            variant=platform.variant,
            os_version=platform.os_version,
            os_features=platform.features,
        ),
        urls=fields.urls,
    )


def parse_image_config(data: bytes) -> ImageConfig:
    """Read an image configuration; raises MalformedManifestError, or LimitExceededError past the cap."""
    if len(data) > limits.CONFIG_BYTES:
        raise LimitExceededError(f"a config of {len(data)} bytes: at most {limits.CONFIG_BYTES}")
    try:
        document = read_json(data, max_depth=limits.JSON_DEPTH, max_values=limits.CONFIG_VALUES)
    except ReadError as error:
        if error.kind == "too-large":
            raise LimitExceededError(f"{error} in an image config: at most {limits.CONFIG_VALUES}") from error
        raise MalformedManifestError(f"the image config is refused: {error}") from error
    _refuse_twins(document if isinstance(document, dict) else (), _CONFIG_MEMBERS, "the image config")
    match document:
        case {
            "os": str(os),
            "architecture": str(architecture),
            "rootfs": {"type": "layers", "diff_ids": list(diff_ids), **others},
            **rest,
        }:
            _refuse_twins(map(str, others), _ROOTFS_MEMBERS, "the image config's rootfs")
            variant = rest.get("variant")
            return ImageConfig(
                os=os,
                architecture=architecture,
                variant=variant if isinstance(variant, str) else None,
                diff_ids=tuple([_diff_id(item) for item in diff_ids]),
            )
        case _:
            raise MalformedManifestError("the image config lacks os, architecture or rootfs.diff_ids of type layers")


def _refuse_twins(names: Iterable[str], members: frozenset[str], where: str) -> None:
    """Refuse a name that Go's decoders, which match without regard to case, take for one of ``members``."""
    for name in names:
        if name not in members and name.casefold() in members:
            raise MalformedManifestError(f"{where} has a member {name[:160]!r}: two readers could see two images")


def _diff_id(item: object) -> Digest:
    try:
        return Digest.parse(item if isinstance(item, str) else repr(item))
    except InvalidReferenceError as error:
        raise MalformedManifestError(f"rootfs.diff_ids: {error}") from error
