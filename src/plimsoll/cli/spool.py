"""Spool: lines kept until what stands before them is known."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from plimsoll import limits
from plimsoll.errors import DeliveryError

_AT_ONCE_BYTES: Final = 65_536


class Spool:
    """Holds lines in memory, and beyond ``limits.SPOOL_BYTES`` in a file without a name, in the system's place for it.

    The file is the caller's to close. ``add`` and ``lines`` raise DeliveryError where that place is full.
    """

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=limits.SPOOL_BYTES)  # noqa: SIM115  # closed by close()

    def add(self, line: str) -> None:
        """Keep one line, which ends as one."""
        try:
            self._file.write(line.encode("utf-8"))
        except OSError as error:
            raise _unkept(error) from error

    def lines(self) -> Iterator[str]:
        """All lines, in order."""
        try:
            self._file.seek(0)
            while some := self._file.readlines(_AT_ONCE_BYTES):
                for line in some:
                    yield line.decode("utf-8")
        except OSError as error:
            raise _unkept(error) from error

    def close(self) -> None:
        """Give the file back; again is nothing. What could not be kept has been said, and is not wanted any more."""
        with suppress(OSError):
            self._file.close()


def _unkept(error: OSError) -> DeliveryError:
    try:
        where = tempfile.gettempdir()
    except OSError:  # there is none: `error` says so
        where = "the folder for temporary files"
    return DeliveryError(
        f"{where}: {error.strerror or error}: the report could not be kept there to its end; TMPDIR names another place"
    )
