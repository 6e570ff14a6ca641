"""The demo's images: a repository's worth of good ones and one of every way to cheat, each with the verdict it is due.

Everything follows from the seed, so a failing run can be built again. One image is not ours: a peer's tool signed it
(``peer_cosign.json``), so that the demo cannot pass by agreeing with itself alone.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import importlib.resources
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, cast

from plimsoll import limits
from plimsoll.embedded.repository import Push, Repository
from plimsoll.embedded.store import Store
from plimsoll.model.descriptor import OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST
from plimsoll.model.digest import Digest
from plimsoll.native import read_json
from plimsoll.signatures.signing import SigningKey, cosign_payload, signing_key_from_seed

REPOSITORY: Final = "demo/app"
SIMPLE_SIGNING: Final = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE_ANNOTATION: Final = "dev.cosignproject.cosign/signature"
LAYER_BYTES: Final = 32 * limits.KIB
DEFAULT_IMAGES: Final = 240

EXPECTED: Final[Mapping[str, tuple[str, str | None]]] = {
    "signed": ("accepted", None),
    "signed by cosign": ("accepted", None),
    "unsigned": ("rejected", "no-signature"),
    "signed by a stranger": ("rejected", "untrusted-key"),
    "replayed signature": ("rejected", "digest-mismatch"),
    "forged payload": ("rejected", "untrusted-key"),
    "corrupt layer": ("rejected", "layer-digest-mismatch"),
}
"""Each kind's outcome and reason code, written by hand: what was computed could be wrong on both sides alike.

A forged payload is ``untrusted-key``: under a key alone, a changed payload and a stranger's signature look the same.
"""
_BAD: Final = ("unsigned", "signed by a stranger", "replayed signature", "forged payload", "corrupt layer")
_EVERY: Final = 4
"""One image in so many is bad."""
MIN_IMAGES: Final = len(EXPECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoImage:
    """One image of the demo and the verdict it is due; ``code`` is None where it is due none."""

    kind: str
    repository: str
    tag: str
    outcome: str
    code: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What was built: the images, and the PEM public keys that are trusted."""

    images: tuple[DemoImage, ...]
    trusted_keys: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Built:
    """One image in the making."""

    tag: str
    manifest: bytes
    layer: Digest

    @property
    def digest(self) -> Digest:
        return Digest.of(self.manifest)

    @property
    def signature_tag(self) -> str:
        return f"{self.digest.tag}.sig"


def kinds_of(count: int) -> tuple[str, ...]:
    """The kinds of ``count`` images, every kind at least once; raises ValueError for fewer than there are kinds."""
    if count < MIN_IMAGES:
        raise ValueError(f"{count} images cannot show every kind: {MIN_IMAGES} are needed")
    rest = count - MIN_IMAGES
    bad = [_BAD[at // _EVERY % len(_BAD)] if at % _EVERY == 0 else "signed" for at in range(rest)]
    return (*EXPECTED, *bad)


def build_demo(store: Store, *, root: Path, registry: str, seed: bytes, count: int = DEFAULT_IMAGES) -> Demo:
    """Fill ``store``, whose folder is ``root``, with ``count`` images as pushed to ``registry`` (HOST:PORT).

    ``seed`` is 32 random bytes or more: the throw-away keys come from it. Raises ValueError for too few of
    either.
    """
    kinds = kinds_of(count)
    if len(seed) < 32:
        raise ValueError(f"a seed of {len(seed)} bytes is too short: 32 random bytes are needed")
    builder = _Builder(store, root=root, registry=registry, seed=seed)
    images = [builder.add(kind, at) for at, kind in enumerate(kinds)]
    builder.finish()
    peer = load_peer()
    return Demo(images=tuple(images), trusted_keys=(builder.signer.public_pem, peer.key))


class _Builder:
    def __init__(self, store: Store, *, root: Path, registry: str, seed: bytes) -> None:
        self._store = store
        self._repository = store.repository(REPOSITORY, create=True)
        self._folder = root / REPOSITORY
        self._name = f"{registry}/{REPOSITORY}"
        self._seed = seed
        self.signer = signing_key_from_seed(hashlib.sha256(b"signer" + seed).digest())
        self._stranger = signing_key_from_seed(hashlib.sha256(b"stranger" + seed).digest())
        self._base = _layer("base", hashlib.shake_256(b"base" + seed).digest(LAYER_BYTES))
        self._repository.put_blob(self._base[0])
        self._pushes: list[Push] = []
        self._corrupt: list[Digest] = []
        self._donor: bytes | None = None

    def add(self, kind: str, at: int) -> DemoImage:
        repository, tag = REPOSITORY, f"v{at}"
        if kind == "signed by cosign":
            repository, tag = load_peer().push(self._store)
        else:
            built = self._image(at, tag)
            signature = self._signers[kind](built)
            if signature is not None:
                self._push(signature, built.signature_tag)
        outcome, code = EXPECTED[kind]
        return DemoImage(kind=kind, repository=repository, tag=tag, outcome=outcome, code=code)

    def finish(self) -> None:
        """Write index.json once for all, then break the layers: what is pushed must be whole."""
        self._repository.put_manifests(self._pushes)
        for digest in self._corrupt:
            _flip(self._folder / "blobs" / digest.algorithm / digest.hex)

    @property
    def _signers(self) -> Mapping[str, Callable[[_Built], bytes | None]]:
        return {
            "signed": self._signed,
            "unsigned": _unsigned,
            "signed by a stranger": partial(self._sign, key=self._stranger),
            "replayed signature": self._replayed,
            "forged payload": self._forged,
            "corrupt layer": self._corrupted,
        }

    def _signed(self, built: _Built) -> bytes:
        self._donor = self._sign(built, key=self.signer)
        return self._donor

    def _sign(self, built: _Built, *, key: SigningKey) -> bytes:
        payload = cosign_payload(repository=self._name, digest=built.digest, annotations=None)
        return self._attach(payload, key.sign(payload))

    def _replayed(self, _: _Built) -> bytes:
        if self._donor is None:
            raise ValueError("there is no signature to replay: a signed image comes first")
        return self._donor

    def _forged(self, built: _Built) -> bytes:
        other = cosign_payload(repository=self._name, digest=self._base_digest, annotations=None)
        signature = self.signer.sign(other)
        edited = other.replace(self._base_digest.hex.encode(), built.digest.hex.encode())
        return self._attach(edited, signature)

    def _corrupted(self, built: _Built) -> bytes:
        self._corrupt.append(built.layer)
        return self._sign(built, key=self.signer)

    @property
    def _base_digest(self) -> Digest:
        return Digest.of(self._base[0])

    def _image(self, at: int, tag: str) -> _Built:
        own = _layer(tag, hashlib.shake_256(at.to_bytes(8, "big") + self._seed).digest(LAYER_BYTES))
        layers = (self._base, own)
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": {"plimsoll.demo": tag}},
            "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in layers]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": self._store_blob(_json(config), OCI_CONFIG),
            "layers": [self._store_blob(layer, OCI_LAYER_GZIP) for layer, _ in layers],
        }
        built = _Built(tag=tag, manifest=_json(manifest), layer=Digest.of(own[0]))
        self._push(built.manifest, tag)
        return built

    def _attach(self, payload: bytes, signature: bytes) -> bytes:
        """A signature manifest as cosign writes it: the payload as a layer, the signature as its annotation."""
        created = "0001-01-01T00:00:00Z"
        config = {
            "architecture": "",
            "created": created,
            "history": [{"created": created}],
            "os": "",
            "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(payload))]},
            "config": {},
        }
        annotations = {SIGNATURE_ANNOTATION: base64.b64encode(signature).decode()}
        return _json(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": self._store_blob(_json(config), OCI_CONFIG),
                "layers": [{**self._store_blob(payload, SIMPLE_SIGNING), "annotations": annotations}],
            }
        )

    def _push(self, manifest: bytes, tag: str) -> None:
        self._pushes.append(Push(data=manifest, reference=tag, content_type=OCI_MANIFEST))

    def _store_blob(self, data: bytes, media_type: str) -> dict[str, object]:
        digest = self._repository.put_blob(data)
        return {"mediaType": media_type, "digest": str(digest), "size": len(data)}


def _unsigned(_: _Built) -> None:
    return None


def _layer(name: str, content: bytes) -> tuple[bytes, str]:
    """A gzipped tar of one file, and the digest of the tar (its diff id)."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        entry = tarfile.TarInfo(f"srv/{name}")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(tar.getvalue(), 1, mtime=0), str(Digest.of(tar.getvalue()))


def _flip(path: Path) -> None:
    """Change a blob on the registry's disk, size kept: what a failing disk or a hand inside the registry does."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """An image that cosign itself signed: its bytes, the PEM key, and where its manifests belong."""

    repository: str
    tag: str
    key: bytes
    blobs: tuple[bytes, ...]
    manifests: tuple[tuple[str, bytes], ...]

    def push(self, store: Store) -> tuple[str, str]:
        """Store it, and return its repository and tag."""
        repository: Repository = store.repository(self.repository, create=True)
        for blob in self.blobs:
            repository.put_blob(blob)
        repository.put_manifests(
            [Push(data=data, reference=tag, content_type=OCI_MANIFEST) for tag, data in self.manifests]
        )
        return self.repository, self.tag


def load_peer() -> Peer:
    """The peer's image, as it ships in this package."""
    packed = importlib.resources.files(__package__).joinpath("peer_cosign.json").read_bytes()
    document = cast("dict[str, object]", read_json(packed, max_depth=limits.JSON_DEPTH))
    manifests = cast("dict[str, str]", document["manifests"])
    return Peer(
        repository=cast("str", document["repository"]),
        tag=cast("str", document["tag"]),
        key=base64.b64decode(cast("str", document["key"])),
        blobs=tuple([base64.b64decode(blob) for blob in cast("list[str]", document["blobs"])]),
        manifests=tuple([(tag, base64.b64decode(data)) for tag, data in manifests.items()]),
    )
