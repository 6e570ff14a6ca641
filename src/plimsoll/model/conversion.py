"""What became of a foreign policy when it was converted: each thing that is not said in ours as it was there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Effect(Enum):
    """What a finding does to verdicts, the gravest first."""

    REJECTS = "rejects"
    """It cannot be said and would weaken: what depends on it is met by no image."""
    STRICTER = "stricter"
    """It is carried over, and fewer images are accepted."""
    DIFFERS = "differs"
    """It is left out, and has to be seen to elsewhere: by an option of ``verify``, or by another tool."""
    NOTE = "note"
    """It means the same, or nothing for a verdict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One of them: ``place`` in the source ("spec.authorities[0].key.kms"), its 1-based ``line`` where it has lines."""

    place: str
    line: int | None = None
    effect: Effect
    message: str
