"""Judging on the thread pool: the pure judge over lists of (requirements, evidence)."""

from __future__ import annotations

import logging

from plimsoll.model.evidence import Evidence, Needs
from plimsoll.model.verdict import Judgement, Outcome, Reason
from plimsoll.policy.evaluate import judge
from plimsoll.policy.prepare import Ready

_log = logging.getLogger("plimsoll.pipeline")

Case = tuple[Ready, Evidence]


def judge_batch(cases: list[Case]) -> list[Judgement | Needs]:
    """Judge each case; a fault of ours in one is that one's ``internal-error`` and nobody else's."""
    return [_judge_case(ready, evidence) for ready, evidence in cases]


def _judge_case(ready: Ready, evidence: Evidence) -> Judgement | Needs:
    try:
        return judge(ready, evidence)
    except Exception as error:  # noqa: BLE001  # a bug must become an undetermined verdict, never a lost image
        return internal_error(error, image=evidence.image)


def internal_error(error: BaseException, *, image: str) -> Judgement:
    """The judgement for a fault of ours; the traceback goes to the debug log."""
    _log.debug("internal error while judging %s", image, exc_info=error)
    reason = Reason(
        code="internal-error",
        message=f"plimsoll itself failed ({type(error).__name__}); please report it, --debug shows where",
    )
    return Judgement(outcome=Outcome.UNDETERMINED, reasons=(reason,))
