"""Archives as ``docker save`` writes them, honest by default."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

KINDS = {"symlink": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "folder": tarfile.DIRTYPE, "fifo": tarfile.FIFOTYPE}


def layer(name: str, data: bytes) -> bytes:
    """A layer's tar with one file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def config_of(*layers: bytes, **more: object) -> bytes:
    document = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(data) for data in layers]},
    }
    return json.dumps({**document, **more}).encode()


class SavedWriter:
    """Entries of an archive, in memory until ``write``."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, bytes | tuple[str, str]]] = []
        self.items: list[dict[str, object]] = []

    def add(self, name: str, what: bytes | tuple[str, str]) -> str:
        """A file's bytes, or ``(kind, target)`` for what is no file."""
        self.entries.append((name, what))
        return name

    def image(self, *layers: bytes, tags: tuple[str, ...] | None = ("app:v1",)) -> bytes:
        """An image with its layers and config; gives the config."""
        names = []
        for data in layers:
            name = f"{digest_of(data)[7:]}.tar"
            names.append(name)
            if name not in dict(self.entries):
                self.add(name, data)
        config = config_of(*layers)
        self.add(f"{digest_of(config)[7:]}.json", config)
        self.item(config, *names, tags=tags)
        return config

    def item(self, config: bytes, *names: str, tags: tuple[str, ...] | None = ("app:v1",)) -> None:
        self.items.append(
            {
                "Config": f"{digest_of(config)[7:]}.json",
                "RepoTags": None if tags is None else list(tags),
                "Layers": list(names),
            }
        )

    def data(self) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name, what in [*self.entries, ("manifest.json", json.dumps(self.items).encode())]:
                entry = tarfile.TarInfo(name)
                if isinstance(what, tuple):
                    entry.type, entry.linkname = KINDS[what[0]], what[1]
                    tar.addfile(entry)
                else:
                    entry.size = len(what)
                    tar.addfile(entry, io.BytesIO(what))
        return buffer.getvalue()

    def write(self, file: Path) -> Path:
        file.write_bytes(self.data())
        return file
