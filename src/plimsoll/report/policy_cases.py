"""What ``policy test`` found, as text and as a record of plimsoll.policy-test/v1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from plimsoll.model.comparison import CaseResult
from plimsoll.model.verdict import Outcome
from plimsoll.report.escape import printable
from plimsoll.report.exit_codes import ACCEPTED, REJECTED, UNDETERMINED, USAGE
from plimsoll.report.records import Record, verdict_record

CASES_SCHEMA: Final = "plimsoll.policy-test/v1"


def cases_exit_code(results: Sequence[CaseResult]) -> int:
    """0 all as expected; 4 where every case that differs came out undetermined, else 3; 1 for no case at all."""
    if not results:
        return USAGE
    different = [result for result in results if not result.as_expected]
    if not different:
        return ACCEPTED
    return UNDETERMINED if _undetermined(different) == len(different) else REJECTED


def cases_record(results: Sequence[CaseResult], *, file: str, policy: str) -> Record:
    """Every case, in the order of the file; ``undetermined`` counts those that differ and could not be decided."""
    different = [result for result in results if not result.as_expected]
    return {
        "schema": CASES_SCHEMA,
        "file": file,
        "policy": policy,
        "cases": len(results),
        "as_expected": len(results) - len(different),
        "differ": len(different),
        "undetermined": _undetermined(different),
        "results": [_result(result) for result in results],
    }


def _result(result: CaseResult) -> Record:
    case = result.case
    return {
        "name": case.name,
        "image": case.image,
        "platform": case.platform,
        "as_expected": result.as_expected,
        "expected": {"verdict": case.expect.value, "reasons": list(case.reasons)},
        "missing": list(result.missing),
        "came": verdict_record(result.verdict),
    }


def cases_text(results: Sequence[CaseResult]) -> str:
    """Each case that differs, with what was expected and what came; then the counts."""
    different = [result for result in results if not result.as_expected]
    lines = [line for result in different for line in _lines(result)]
    number = "1 case" if len(results) == 1 else f"{len(results)} cases"
    counts = f"{number}: {len(results) - len(different)} as expected, {len(different)} not"
    undetermined = _undetermined(different)
    return "\n".join([*lines, counts + (f" ({undetermined} undetermined)" if undetermined else "")]) + "\n"


def _lines(result: CaseResult) -> list[str]:
    case, verdict = result.case, result.verdict
    named = "" if case.name is None else f"{printable(case.name)}: "
    platform = "" if case.platform is None else f" ({printable(case.platform)})"
    wanted = f", with {', '.join(case.reasons)}" if case.reasons else ""
    without = f", without {', '.join(result.missing)}" if result.missing else ""
    lines = [
        f"case {verdict.position}: {named}{printable(case.image)}{platform}",
        f"    expected: {case.expect.value}{wanted}",
        f"    came: {verdict.outcome.value}{without}",
    ]
    return [*lines, *[f"        {reason.code}: {printable(reason.message)}" for reason in verdict.reasons]]


def _undetermined(different: Sequence[CaseResult]) -> int:
    return sum(result.verdict.outcome is Outcome.UNDETERMINED for result in different)
