"""LayoutDestination: an OCI layout in a folder, to which attachments are added (image-spec image-layout.md)."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Self, cast

from plimsoll import limits
from plimsoll.errors import LimitExceededError, SigningError
from plimsoll.model.digest import Digest
from plimsoll.native import read_json
from plimsoll.transport.layout_index import REF_NAME, parse_layout_index
from plimsoll.transport.stores import Folder, resolve
from plimsoll.transport.writing import folder, put_file, refused, subfolder


class LayoutDestination:
    """The layout at ``path``, which exists; all that others wrote in it stays, and the index is replaced whole.

    A context manager: inside, no other one of us writes the layout, so that what was read of it may be added to.
    Raises SigningError where somebody else is writing it, or where there is no such folder.
    """

    def __init__(self, path: str) -> None:
        self._path = resolve(path)
        self._held = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            root = stack.enter_context(folder(self._path))
            try:
                fcntl.flock(root, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SigningError(f"{self._path} is being written by somebody else: try again") from None
            except OSError as error:
                raise refused(error, self._path) from error
            self._held = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()  # the lock goes with the handle

    async def put_blob(self, data: bytes) -> None:
        """Store a blob under its SHA-256; raises SigningError."""
        digest = Digest.of(data)
        where = f"{self._path}/blobs/{digest.algorithm}"
        with (
            folder(self._path) as root,
            subfolder(root, "blobs", path=where) as blobs,
            subfolder(blobs, digest.algorithm, path=where) as handle,
        ):
            put_file(handle, digest.hex, data, path=f"{where}/{digest.hex}")

    async def put_manifest(self, data: bytes, *, tag: str, media_type: str) -> None:
        """Store a manifest and let ``tag`` name it in index.json; what it named before is listed no more.

        Raises SigningError, or ContentError for an index.json that is none.
        """
        await self.put_blob(data)
        entry = {
            "mediaType": media_type,
            "digest": str(Digest.of(data)),
            "size": len(data),
            "annotations": {REF_NAME: tag},
        }
        self._list(entry, instead_of=tag)

    async def put_referrer(self, data: bytes, *, subject: Digest, listed: Mapping[str, object]) -> bool:  # noqa: ARG002  # the manifest names it
        """Store a manifest and list it in index.json without a name, as ORAS does: it is found by its subject."""
        await self.put_blob(data)
        self._list(dict(listed), instead_of=None)
        return True

    def _list(self, entry: dict[str, object], *, instead_of: str | None) -> None:
        with folder(self._path) as root:
            index = _with_entry(self._read_index(), entry, tag=instead_of)
            if len(index) > limits.INDEX_JSON_BYTES:
                raise LimitExceededError(
                    f"{self._path}/index.json would have more than {limits.INDEX_JSON_BYTES} bytes"
                )
            put_file(root, "index.json", index, path=f"{self._path}/index.json")

    def _read_index(self) -> dict[str, object]:
        opened = Folder(self._path)
        try:
            data = opened.read(("index.json",), limit=limits.INDEX_JSON_BYTES)
        finally:
            opened.close()
        parse_layout_index(data, where=f"{self._path}/index.json")
        document = read_json(data, max_depth=limits.JSON_DEPTH, max_values=limits.INDEX_JSON_VALUES)
        return cast("dict[str, object]", document)


def _with_entry(index: dict[str, object], entry: dict[str, object], *, tag: str | None) -> bytes:
    """The index with ``entry`` last, in place of the one that had its name, or without a name was the same."""
    listed = cast("list[dict[str, object]]", index["manifests"])
    kept = [other for other in listed if _name(other) != tag or (tag is None and other["digest"] != entry["digest"])]
    return json.dumps({**index, "manifests": [*kept, entry]}, separators=(",", ":")).encode()


def _name(entry: dict[str, object]) -> object:
    annotations = entry.get("annotations")
    return annotations.get(REF_NAME) if isinstance(annotations, dict) else None
