"""What a run left undone, so that no report on a part of the images looks like one on all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from plimsoll.report.exit_codes import ACCEPTED, NOT_FOUND, REJECTED, UNDETERMINED
from plimsoll.report.summary import Summary

CODE: Final = "not-judged"
"""The reason code of what a run did not come to."""
_WHOLE: Final = frozenset({ACCEPTED, NOT_FOUND, REJECTED, UNDETERMINED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a run ended: its exit code, and whether it was ``cut`` before all that was asked for had been read."""

    exit_code: int
    cut: bool = False


def shortfall(summary: Summary, *, ending: Ending) -> str | None:
    """A sentence about what was not judged; None where the run came to its end and judged all that there was."""
    if summary.not_judged:
        return f"the run ended early: {summary.not_judged} of the images that it had read were not judged"
    if ending.cut:
        return "the run ended early: there may be images that it did not come to"
    if summary.images == 0:
        return "no image was verified"
    return None if ending.exit_code in _WHOLE else f"the run ended with exit code {ending.exit_code}"
