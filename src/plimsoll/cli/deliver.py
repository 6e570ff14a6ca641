"""Delivery: whole lines to a file or stdout, or a clear word about those that could not be written."""

from __future__ import annotations

import os
import select
import stat
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import BinaryIO, Final, Self

from plimsoll.errors import ConfigError, DeliveryError, UsageError

CHUNK_BYTES: Final = 65_536
"""Handed over at once: what a pipe holds, so that between two of them it shows whether somebody reads."""


def _empty(descriptor: int, path: str, reading: Iterable[BinaryIO]) -> None:
    """Empty the file, if it is one, unless it is one of those that are being read."""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        return
    if any(os.path.samestat(found, os.fstat(file.fileno())) for file in reading):
        raise UsageError(f"--output {path} is the list that --from reads: name another file for the report")
    try:
        os.ftruncate(descriptor, 0)
    except OSError as error:
        raise ConfigError(f"--output {path}: {error.strerror}") from error


class Delivery:
    """Writes lines unbuffered; a line that does not fit on the disk is taken back whole where the file allows.

    ``texts`` and ``bytes`` count what is written, of texts the whole ones only.
    """

    def __init__(self, descriptor: int, *, name: str, owned: bool) -> None:
        self._descriptor = descriptor
        self.name = name
        self._owned = owned
        self.texts = 0
        self.bytes = 0

    @classmethod
    def to(cls, path: str | None, *, reading: Iterable[BinaryIO] = ()) -> Self:
        """To ``path``, replaced; None is stdout.

        Raises ConfigError where the file cannot be opened, UsageError where it is one of those that are being read.
        """
        if path is None:
            return cls(1, name="stdout", owned=False)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ConfigError(f"--output {path}: {error.strerror}") from error
        try:
            _empty(descriptor, path, reading)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(descriptor, name=path, owned=True)

    @property
    def is_terminal(self) -> bool:
        """Whether a person sees it at once."""
        return os.isatty(self._descriptor)

    def write(self, *texts: str) -> None:
        """Write all of ``texts``; raises DeliveryError, leaving whole ones only."""
        pieces = [text.encode("utf-8", "backslashreplace") for text in texts]
        data, ends = memoryview(b"".join(pieces)), list(accumulate(map(len, pieces)))
        before, done = self.texts, 0
        try:
            while done < len(data):
                count = self._write_some(data[done : done + CHUNK_BYTES])
                done, self.bytes = done + count, self.bytes + count
                self.texts = before + bisect_right(ends, done)
        except OSError as error:
            whole = self.texts - before
            self._take_back(done - (ends[whole - 1] if whole else 0))
            raise DeliveryError(f"{self.name}: {error.strerror}: what follows could not be written") from error

    def _write_some(self, data: memoryview) -> int:
        while True:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:
                # Another holder of this pipe or terminal made it non-blocking; it is full, so wait as write() would.
                waiting = select.poll()
                waiting.register(self._descriptor, select.POLLOUT)
                waiting.poll()

    def _take_back(self, count: int) -> None:
        """Cut the ``count`` bytes of a broken line off again: in a file, and where nobody has written after us."""
        found = os.fstat(self._descriptor)
        if count == 0 or not stat.S_ISREG(found.st_mode):
            return
        end = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        if found.st_size == end:
            os.ftruncate(self._descriptor, end - count)
            os.lseek(self._descriptor, end - count, os.SEEK_SET)

    def close(self) -> None:
        """Give the file back; raises DeliveryError where the system only now says that it could not be written."""
        if not self._owned:
            return
        try:
            os.close(self._descriptor)
        except OSError as error:
            raise DeliveryError(f"{self.name}: {error.strerror}") from error
