"""The exit code of a run (docs/adr/0006-three-outcomes-and-exit-codes.md)."""

from __future__ import annotations

from typing import Final

from plimsoll.report.summary import Summary

ACCEPTED: Final = 0
USAGE: Final = 1
NOT_FOUND: Final = 2
REJECTED: Final = 3
UNDETERMINED: Final = 4
INTERRUPTED: Final = 130
TERMINATED: Final = 143


def exit_code(summary: Summary, *, single: bool) -> int:
    """0 every image accepted, 3 one rejected, else 4; 2 where ``single`` image named by itself was not found.

    A run that judged nothing accepted nothing: 1. What was read and not judged is undetermined.
    """
    if summary.images + summary.not_judged == 0:
        return USAGE
    if summary.rejected:
        return REJECTED
    if single and summary.images == 1 and summary.undetermined and summary.only_not_found:
        return NOT_FOUND
    if summary.undetermined or summary.not_judged or summary.accepted != summary.images:
        return UNDETERMINED
    return ACCEPTED
