"""What a conversion lost, as lines for people and as plimsoll.policy-convert/v1."""

from __future__ import annotations

from typing import Final

from plimsoll.model.conversion import Effect, Finding
from plimsoll.report.escape import printable
from plimsoll.report.exit_codes import ACCEPTED, REJECTED
from plimsoll.report.records import Record

SCHEMA: Final = "plimsoll.policy-convert/v1"


def finding_lines(findings: tuple[Finding, ...]) -> str:
    """A line each, in the order of the source."""
    return "".join([_line(found) for found in findings])


def conversion_record(findings: tuple[Finding, ...], *, source: str, rules: int, document: str) -> Record:
    """The report; ``document`` is the whole text that was written."""
    return {
        "schema": SCHEMA,
        "source": source,
        "rules": rules,
        "complete": conversion_exit_code(findings) == ACCEPTED,
        "findings": [_record(found) for found in findings],
        "document": document,
    }


def conversion_exit_code(findings: tuple[Finding, ...]) -> int:
    """0 where the document means what its source does, 3 where anything was lost, is stricter or was left out."""
    return ACCEPTED if all(found.effect is Effect.NOTE for found in findings) else REJECTED


def _line(found: Finding) -> str:
    line = "" if found.line is None else f"line {found.line}: "
    return f"{line}{printable(found.place)}: {found.effect.value}: {printable(found.message)}\n"


def _record(found: Finding) -> Record:
    return {"place": found.place, "line": found.line, "effect": found.effect.value, "message": found.message}
