"""RunFacts: what a report says of a run as a whole and knows when it starts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """The policy's digest, the native back end, and the wall clock at the start, in seconds since 1970."""

    policy: str
    backend: str
    started_s: float

    def time_after(self, seconds: float) -> datetime:
        """The wall clock in UTC so many seconds after the start."""
        return datetime.fromtimestamp(self.started_s + seconds, tz=UTC)
