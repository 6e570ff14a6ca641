"""OCI layouts written to folders and tar files, honest by default."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

from plimsoll.model.descriptor import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, Descriptor
from plimsoll.model.digest import Digest

REF_NAME = "org.opencontainers.image.ref.name"


class LayoutWriter:
    """Files of a layout, in memory until ``write`` or ``tar``."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}
        self.entries: list[dict[str, object]] = []

    def blob(self, data: bytes, media_type: str = OCI_CONFIG, algorithm: str = "sha256") -> Descriptor:
        digest = Digest.of(data, algorithm=algorithm)
        self.files[f"blobs/{algorithm}/{digest.hex}"] = data
        return Descriptor(media_type=media_type, digest=digest, size=len(data))

    def image(self, text: str, *, name: str | None = None, subject: Descriptor | None = None) -> Descriptor:
        """An image whose config is ``text``, listed in the index."""
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": fields(self.blob(text.encode())),
            "layers": [fields(self.blob(f"layer of {text}".encode()))],
        }
        if subject is not None:
            document["subject"] = fields(subject)
        descriptor = self.blob(json.dumps(document).encode(), OCI_MANIFEST)
        self.list(descriptor, name=name)
        return descriptor

    def list(self, descriptor: Descriptor, *, name: str | None = None) -> None:
        entry = fields(descriptor)
        if name is not None:
            entry["annotations"] = {REF_NAME: name}
        self.entries.append(entry)

    def finished(self) -> dict[str, bytes]:
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": self.entries}
        return {"index.json": json.dumps(index).encode(), **self.files}

    def write(self, folder: Path) -> Path:
        for name, data in self.finished().items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        return folder

    def tar(
        self, file: Path, *, packed: bool = False, prefix: str = "", more: tuple[tarfile.TarInfo, ...] = ()
    ) -> Path:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name, data in self.finished().items():
                entry = tarfile.TarInfo(prefix + name)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
            for entry in more:
                tar.addfile(entry, io.BytesIO(b"x" * entry.size))
        file.write_bytes(gzip.compress(buffer.getvalue()) if packed else buffer.getvalue())
        return file


def fields(descriptor: Descriptor) -> dict[str, object]:
    return {"mediaType": descriptor.media_type, "digest": str(descriptor.digest), "size": descriptor.size}
