"""Summary: what a run came to, counted as its verdicts fall."""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.model.verdict import Outcome, Verdict


@dataclass(slots=True, kw_only=True)
class Summary:
    """Counts of a run; mutable on purpose, it is the one place where verdicts add up.

    ``not_judged`` counts references that were read and got no verdict, ``attachments`` tags that are no images.
    ``only_not_found`` says whether every verdict so far has not-found as its only reason.
    """

    images: int = 0
    accepted: int = 0
    rejected: int = 0
    undetermined: int = 0
    requests: int = 0
    bytes: int = 0
    seconds: float = 0.0
    not_judged: int = 0
    attachments: int = 0
    only_not_found: bool = True

    def add(self, verdict: Verdict) -> None:
        """Count one verdict."""
        self.images += 1
        self.requests += verdict.requests
        self.bytes += verdict.bytes
        match verdict.outcome:
            case Outcome.ACCEPTED:
                self.accepted += 1
            case Outcome.REJECTED:
                self.rejected += 1
            case Outcome.UNDETERMINED:
                self.undetermined += 1
        if {reason.code for reason in verdict.reasons} != {"not-found"}:
            self.only_not_found = False

    @property
    def images_per_second(self) -> float:
        """Verdicts a second over the whole run."""
        return self.images / self.seconds if self.seconds > 0 else 0.0
