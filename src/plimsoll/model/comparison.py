"""Verdicts beside what was expected of them, and beside those of another policy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from plimsoll.model.verdict import Outcome, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyCase:
    """What an image should come to: ``reasons`` are codes that must be among those of its verdict.

    ``platform`` None leaves the choice to the run; ``name`` is for whoever reads the report.
    """

    image: str
    expect: Outcome
    name: str | None = None
    reasons: tuple[str, ...] = ()
    platform: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """A case with the verdict that its image got; the verdict's ``position`` is the case's."""

    case: PolicyCase
    verdict: Verdict

    @property
    def missing(self) -> tuple[str, ...]:
        """The expected reason codes that the verdict does not have."""
        came = {reason.code for reason in self.verdict.reasons}
        return tuple([code for code in self.case.reasons if code not in came])

    @property
    def as_expected(self) -> bool:
        """Whether outcome and reasons are as the case says."""
        return self.verdict.outcome is self.case.expect and not self.missing


class Change(Enum):
    """How two verdicts for one image differ; UNDECIDED where one of them is undetermined: nobody knows."""

    NONE = "none"
    CHANGED = "changed"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictPair:
    """One image's verdicts under two policies, from the same bytes at the same time.

    ``requests`` and ``bytes`` of ``new`` are only what it asked for beyond ``old``.
    """

    old: Verdict
    new: Verdict

    @property
    def change(self) -> Change:
        """How the two differ, by their outcomes alone."""
        if Outcome.UNDETERMINED in (self.old.outcome, self.new.outcome):
            return Change.UNDECIDED
        return Change.NONE if self.old.outcome is self.new.outcome else Change.CHANGED
