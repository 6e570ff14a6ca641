"""Progress on stderr: a bar on a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import select
import sys
import time
from typing import Final

from plimsoll.report.summary import Summary

PLAIN_EVERY_S: Final = 10.0
BAR_EVERY_S: Final = 0.1
KINDS: Final = ("auto", "bar", "plain", "none")


class Progress:
    """Tells how far a run is; ``kind`` is one of KINDS. Nothing is said about a run that is over at once."""

    def __init__(self, kind: str, *, total: int | None) -> None:
        if kind == "auto":
            kind = "bar" if sys.stderr.isatty() else "plain"
        self._kind = kind
        self._total = total
        self._every = BAR_EVERY_S if kind == "bar" else PLAIN_EVERY_S
        self._started = self._last = time.monotonic()
        self._shown = False

    def update(self, summary: Summary) -> None:
        """Say where the run is, if it is time to, and if stderr takes it at once: no run waits for its progress."""
        now = time.monotonic()
        if self._kind == "none" or now - self._last < self._every or not stderr_has_room():
            return
        self._last = now
        self._shown = True
        line = self._line(summary, now - self._started)
        sys.stderr.write(f"\r\x1b[K{line}" if self._kind == "bar" else f"{line}\n")
        sys.stderr.flush()

    def over(self, text: str) -> str:
        """``text`` for the terminal that shows the bar: it takes the bar's place, and the next update draws another."""
        if not (self._shown and self._kind == "bar"):
            return text
        self._shown = False
        return f"\r\x1b[K{text}"

    def _line(self, summary: Summary, seconds: float) -> str:
        done = f"{summary.images}" if self._total is None else f"{summary.images}/{self._total}"
        rate = summary.images / seconds if seconds > 0 else 0.0
        return (
            f"{done} images, {summary.accepted} accepted, {summary.rejected} rejected, "
            f"{summary.undetermined} undetermined, {rate:.0f} images/s"
        )

    def close(self) -> None:
        """Clear the bar."""
        if self._shown and self._kind == "bar":
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def stderr_has_room() -> bool:
    """Whether a line on stderr waits for nobody; a stderr that is no file of the system's takes all."""
    try:
        descriptor = sys.stderr.fileno()
    except (OSError, ValueError):  # io.UnsupportedOperation is both
        return True
    asked = select.poll()
    asked.register(descriptor, select.POLLOUT)
    # A closed pipe answers too, with an error that write() will raise.
    return bool(asked.poll(0))
