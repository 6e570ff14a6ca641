"""How many files may be opened still (``ulimit -n``): asked before an event loop is, which cannot say it."""

from __future__ import annotations

import errno
import os
from typing import Final

from plimsoll.errors import UsageError

LEAST: Final = 16
"""An event loop takes seven; a connection, a file of credentials, a list and a report the rest."""
_NO_MORE: Final = frozenset({errno.EMFILE, errno.ENFILE})


def require_room() -> None:
    """Raise UsageError where fewer than LEAST can be opened: uvloop then fails halfway, and cannot be closed either."""
    opened: list[int] = []
    try:
        while len(opened) < LEAST:
            opened.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        if error.errno not in _NO_MORE:
            raise
        raise UsageError(
            f"only {len(opened)} more files can be opened, and a run needs {LEAST} at least: see ulimit -n"
        ) from error
    finally:
        for descriptor in opened:
            os.close(descriptor)
