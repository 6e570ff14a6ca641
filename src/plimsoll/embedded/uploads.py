"""Uploads: blobs on their way in, each a hidden file below ROOT until its digest is proven.

The folder's name begins with a dot, which no component of a repository's name does.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from plimsoll import limits
from plimsoll.embedded import folder
from plimsoll.errors import StoreError
from plimsoll.model.digest import Digest

UPLOADS_FOLDER: Final = ".uploads"


class Upload:
    """One blob being pushed to ``repository``; ``offset`` is how many of its bytes are here.

    Its file is open only while a request holds it (``Uploads.taken``): abandoned uploads cost no descriptors.
    """

    __slots__ = ("_busy", "_file", "name", "offset", "repository", "used_s")

    def __init__(self, *, repository: str, name: str, used_s: float) -> None:
        self.repository = repository
        self.name = name
        self.offset = 0
        self.used_s = used_s
        self._file = -1
        self._busy = threading.Lock()

    @property
    def is_busy(self) -> bool:
        """Whether a request holds it."""
        return self._busy.locked()

    @contextmanager
    def opened(self, open_file: Callable[[str], int]) -> Iterator[None]:
        """Hold this upload, and its file open, for one request; raises StoreError where another one holds it."""
        if not self._busy.acquire(blocking=False):
            raise StoreError(f"another request is writing the upload {self.name}", refusal="BLOB_UPLOAD_INVALID")
        try:
            self._file = open_file(self.name)
            try:
                yield
            finally:
                os.close(self._file)
                self._file = -1
        finally:
            self._busy.release()

    def append(self, data: bytes) -> None:
        """Write the next bytes; raises StoreError past the cap on one blob."""
        if self.offset + len(data) > limits.PUSHED_BLOB_BYTES:
            raise StoreError(f"a blob of more than {limits.PUSHED_BLOB_BYTES} bytes", refusal="SIZE_INVALID")
        folder.write_at(self._file, data, start=self.offset)
        self.offset += len(data)

    def rewind(self, offset: int) -> None:
        """Forget the bytes from ``offset`` on."""
        self.offset = offset

    def prove(self, digest: Digest) -> None:
        """Return if the bytes hash to ``digest``; raises StoreError."""
        os.ftruncate(self._file, self.offset)  # a write that failed half-way, or was forgotten, left more behind
        hasher = hashlib.new(digest.algorithm)
        for start in range(0, self.offset, limits.CHUNK_BYTES):
            stop = min(start + limits.CHUNK_BYTES, self.offset)
            hasher.update(folder.read_span(self._file, start=start, stop=stop))
        found = hasher.hexdigest()
        if found != digest.hex:
            raise StoreError(
                f"the {self.offset} bytes hash to {digest.algorithm}:{found}, not to {digest}", refusal="DIGEST_INVALID"
            )

    def sync(self) -> None:
        """Put the bytes on disk."""
        os.fsync(self._file)


class Uploads:
    """The uploads under way in one store; ``monotonic`` tells which of them are idle."""

    def __init__(self, root: int, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._root = root
        self._monotonic = monotonic
        self._under_way: dict[str, Upload] = {}

    def begin(self, repository: str) -> Upload:
        """A new, empty upload; raises StoreError where too many are under way."""
        if len(self._under_way) >= limits.UPLOADS:
            self._drop_idle()
        if len(self._under_way) >= limits.UPLOADS:
            raise StoreError(
                f"{limits.UPLOADS} uploads are under way: end or cancel one; those that nobody touches for "
                f"{limits.UPLOAD_IDLE_S:.0f} s give way",
                refusal="TOOMANYREQUESTS",
            )
        name = secrets.token_hex(16)
        with folder.directory(self._root, (UPLOADS_FOLDER,), create=True) as handle:
            os.close(folder.create_file(handle, name))
        upload = Upload(repository=repository, name=name, used_s=self._monotonic())
        self._under_way[name] = upload
        return upload

    def _drop_idle(self) -> None:
        before_s = self._monotonic() - limits.UPLOAD_IDLE_S
        for upload in list(self._under_way.values()):
            if not upload.is_busy and upload.used_s <= before_s:
                self.cancel(upload)

    @contextmanager
    def taken(self, upload: Upload) -> Iterator[None]:
        """Hold an upload for one request; raises StoreError where another one holds it, or its file is gone."""
        try:
            with upload.opened(self._open):
                yield
        finally:
            upload.used_s = self._monotonic()

    def _open(self, name: str) -> int:
        try:
            with folder.directory(self._root, (UPLOADS_FOLDER,)) as handle:
                return folder.open_again(handle, name)
        except folder.Absent:
            self._under_way.pop(name, None)
            raise StoreError("the file of this upload is gone", refusal="BLOB_UPLOAD_UNKNOWN") from None

    def find(self, repository: str, name: str) -> Upload:
        """The upload ``name`` of ``repository``; raises StoreError."""
        found = self._under_way.get(name)
        if found is None or found.repository != repository:
            raise StoreError("there is no such upload", refusal="BLOB_UPLOAD_UNKNOWN")
        found.used_s = self._monotonic()
        return found

    def cancel(self, upload: Upload) -> None:
        """Forget an upload and its bytes."""
        self._under_way.pop(upload.name, None)
        try:
            with folder.directory(self._root, (UPLOADS_FOLDER,)) as handle:
                os.unlink(upload.name, dir_fd=handle)
        except (folder.Absent, FileNotFoundError):
            return  # somebody cleared the folder: that is what was asked

    def move(self, upload: Upload, *, blobs: int, name: str, durable: bool) -> None:
        """Rename a proven upload into the directory ``blobs``: there it appears whole."""
        if durable:
            upload.sync()
        with folder.directory(self._root, (UPLOADS_FOLDER,)) as handle:
            os.rename(upload.name, name, src_dir_fd=handle, dst_dir_fd=blobs)
        if durable:
            os.fsync(blobs)
        self._under_way.pop(upload.name, None)

    def discard_left_over(self) -> None:
        """Remove the files of a run that ended before its uploads did; only the store that holds the lock may."""
        try:
            with folder.directory(self._root, (UPLOADS_FOLDER,)) as handle:
                for entry in os.scandir(handle):
                    os.unlink(entry.name, dir_fd=handle)
        except folder.Absent:
            return  # nothing was ever uploaded here

    def close(self) -> None:
        """Cancel what is under way."""
        for upload in list(self._under_way.values()):
            self.cancel(upload)
