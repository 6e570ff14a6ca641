"""Delivery: whole lines to a file or stdout, or a clear word about those that could not be written."""

from __future__ import annotations

import os
import stat
from typing import Self

from plimsoll.errors import ConfigError, DeliveryError


class Delivery:
    """Writes lines unbuffered; a line that does not fit on the disk is taken back whole where the file allows."""

    def __init__(self, descriptor: int, *, name: str, owned: bool) -> None:
        self._descriptor = descriptor
        self._name = name
        self._owned = owned
        self._regular = owned and stat.S_ISREG(os.fstat(descriptor).st_mode)
        self._written = 0

    @classmethod
    def to(cls, path: str | None) -> Self:
        """To ``path``, replaced; None is stdout. Raises ConfigError where the file cannot be opened."""
        if path is None:
            return cls(1, name="stdout", owned=False)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ConfigError(f"--output {path}: {error.strerror}") from error
        return cls(descriptor, name=path, owned=True)

    def write(self, text: str) -> None:
        """Write all of ``text``; raises DeliveryError, leaving whole lines only."""
        data = memoryview(text.encode("utf-8", "backslashreplace"))
        done = 0
        try:
            while done < len(data):
                done += os.write(self._descriptor, data[done:])
        except OSError as error:
            if done and self._regular:
                os.ftruncate(self._descriptor, self._written)
            raise DeliveryError(f"{self._name}: {error.strerror}: what follows could not be written") from error
        self._written += done

    def close(self) -> None:
        """Give the file back; raises DeliveryError where the system only now says that it could not be written."""
        if not self._owned:
            return
        try:
            os.close(self._descriptor)
        except OSError as error:
            raise DeliveryError(f"{self._name}: {error.strerror}") from error
