"""What a layer's media type says of its bytes, and what the bytes say themselves; pure."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from typing import Final, Literal

from plimsoll import limits
from plimsoll.errors import DiffIdMismatchError, UnsupportedError
from plimsoll.model.descriptor import DOCKER_CONFIG, OCI_CONFIG
from plimsoll.transport.unpacking import Packing, packing_told

IMAGE_CONFIGS: Final = frozenset({OCI_CONFIG, DOCKER_CONFIG})
"""Types of a config that has diff IDs; what has another is no image, and no runtime unpacks it."""
HEAD_BYTES: Final = tarfile.BLOCKSIZE
"""Bytes of a layer that tell how to read it: the first header of a tar, in which every packing's magic lies too."""
_OCI: Final = "application/vnd.oci.image.layer.v1.tar"
_OCI_FOREIGN: Final = "application/vnd.oci.image.layer.nondistributable.v1.tar"
_DOCKER: Final = "application/vnd.docker.image.rootfs.diff.tar"
_DOCKER_FOREIGN: Final = "application/vnd.docker.image.rootfs.foreign.diff.tar"
_PACKINGS: Final[Mapping[str, Literal["gzip", "zstd"] | None]] = {
    _OCI: None,
    f"{_OCI}+gzip": "gzip",
    f"{_OCI}+zstd": "zstd",
    _OCI_FOREIGN: None,
    f"{_OCI_FOREIGN}+gzip": "gzip",
    f"{_OCI_FOREIGN}+zstd": "zstd",
    _DOCKER: None,
    f"{_DOCKER}.gzip": "gzip",
    f"{_DOCKER}.zstd": "zstd",
    _DOCKER_FOREIGN: None,
    f"{_DOCKER_FOREIGN}.gzip": "gzip",
}
"""image-spec layer.md and media-types.md; docker's image manifest, schema 2, of which ``.tar.zstd`` is containerd's."""


def is_layer_type(media_type: str) -> bool:
    """Whether it is known how layers of this type are read."""
    return media_type in _PACKINGS


def memory_for(media_type: str) -> int:
    """Bytes of memory that unpacking a layer of this type takes at most, chunks and pieces included."""
    return 4 * limits.MIB + (1 << limits.ZSTD_WINDOW_LOG if _PACKINGS.get(media_type) == "zstd" else 0)


def packing_to_read(media_type: str, head: bytes, what: str) -> Packing | None:
    """What to unpack ``what`` by, given its first HEAD_BYTES; None to take the bytes as they are.

    Readers differ: containerd unpacks what has a packed type, containers/image and docker what has a packing's magic.
    So both must say the same, or it is no one layer: raises DiffIdMismatchError. One contradiction stands, for all
    readers come to the same: a plain tar that is announced as packed, as skopeo itself writes from docker archives.
    Of a type that is not known here the bytes are taken as they are, as for attestations and signatures; raises
    UnsupportedError where they are packed.
    """
    told = packing_told(head)
    if media_type not in _PACKINGS:
        if told is not None:
            raise UnsupportedError(f"{what} is packed with {told}, and how layers of its type are read is not known")
        return None
    said = _PACKINGS[media_type]
    if told == said:
        return said
    if told is None and (not head or _begins_a_tar(head)):
        return None
    raise DiffIdMismatchError(
        f"{what} is {told or 'neither packed nor a tar'}, its type says {said or 'plain'}: "
        "readers that go by the type and readers that go by the bytes see two layers"
    )


def _begins_a_tar(head: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # typeshed leaves it out
        return True
    except tarfile.HeaderError:
        return False
    return True
