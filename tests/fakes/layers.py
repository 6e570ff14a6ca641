"""Layers of an image, packed and damaged in every way that is tried, and the image that lists them."""

from __future__ import annotations

import gzip
import json
import struct
import sys

from fakes.saved import digest_of, layer
from plimsoll.model.descriptor import DOCKER_CONFIG, OCI_CONFIG

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

OCI = "application/vnd.oci.image.layer.v1.tar"
OCI_FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar"
DOCKER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar"
TAR = layer("file", b"content" * 3000)
"""A layer of 21 kB that packs well."""
OTHER = layer("other", bytes(range(256)) * 500)
"""One that packs to more than a kilobyte."""


def plain(data):
    return data


def members(data):
    """Three gzip members, one of them empty."""
    half = len(data) // 2
    return gzip.compress(data[:half], mtime=0) + gzip.compress(b"", mtime=0) + gzip.compress(data[half:], mtime=0)


def skippable(content=b"skipped"):
    """A zstd frame that holds nothing to unpack (RFC 8878 section 3.1.2)."""
    return struct.pack("<II", 0x184D2A50, len(content)) + content


def chunked(data):
    """As zstd:chunked: frame behind frame, skippable ones between and behind them."""
    return zstd.compress(data[:1000]) + skippable() + zstd.compress(data[1000:]) + skippable(b"table of contents")


def gzipped(data):
    return gzip.compress(data, mtime=0)


PACKED = {
    OCI: plain,
    f"{OCI}+gzip": gzipped,
    f"{OCI}+zstd": zstd.compress,
    OCI_FOREIGN: plain,
    f"{OCI_FOREIGN}+gzip": members,
    f"{OCI_FOREIGN}+zstd": chunked,
    DOCKER: plain,
    f"{DOCKER}.gzip": gzipped,
    f"{DOCKER}.zstd": zstd.compress,
    DOCKER_FOREIGN: plain,
    f"{DOCKER_FOREIGN}.gzip": members,
}
"""Every type of a layer, with one way to pack it."""


def config_of(diff_ids, **more):
    """A config with these diff IDs."""
    document = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": list(diff_ids)}}
    return json.dumps({**document, **more}).encode()


__all__ = [
    "DOCKER",
    "DOCKER_CONFIG",
    "DOCKER_FOREIGN",
    "OCI",
    "OCI_CONFIG",
    "OCI_FOREIGN",
    "OTHER",
    "PACKED",
    "TAR",
    "chunked",
    "config_of",
    "digest_of",
    "gzipped",
    "layer",
    "members",
    "plain",
    "skippable",
    "zstd",
]
