"""How verdicts leave: ``text`` and ``json`` in input order, ``jsonl`` as they fall."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from plimsoll.model.verdict import Verdict
from plimsoll.report.records import json_line, summary_record, verdict_record
from plimsoll.report.summary import Summary
from plimsoll.report.text import summary_line, verdict_lines

Write = Callable[[str], None]


class Format(Protocol):
    """One way to print a run."""

    ordered: bool

    def verdict(self, verdict: Verdict) -> None:
        """Print one verdict."""

    def summary(self, summary: Summary) -> None:
        """Print the end; it is not called for a run whose output was cut."""


class TextFormat:
    """Lines for people."""

    ordered = True

    def __init__(self, write: Write, *, policy: str, backend: str) -> None:  # noqa: ARG002  # as its siblings
        self._write = write

    def verdict(self, verdict: Verdict) -> None:
        """A line, and one for each reason."""
        self._write(verdict_lines(verdict))

    def summary(self, summary: Summary) -> None:
        """One line."""
        self._write(summary_line(summary))


class JsonLinesFormat:
    """One object a line, then the summary."""

    ordered = False

    def __init__(self, write: Write, *, policy: str, backend: str) -> None:
        self._write = write
        self._policy = policy
        self._backend = backend

    def verdict(self, verdict: Verdict) -> None:
        """One line."""
        self._write(json_line(verdict_record(verdict)))

    def summary(self, summary: Summary) -> None:
        """The last line."""
        self._write(json_line(summary_record(summary, policy=self._policy, backend=self._backend)))


class JsonFormat:
    """One document: ``{"schema", "verdicts": [...], "summary"}``, written as it grows."""

    ordered = True

    def __init__(self, write: Write, *, policy: str, backend: str) -> None:
        self._write = write
        self._policy = policy
        self._backend = backend
        self._lead = '{"schema":"plimsoll.report/v1","verdicts":[\n'

    def verdict(self, verdict: Verdict) -> None:
        """One element."""
        self._write(self._lead + json_line(verdict_record(verdict)))
        self._lead = ","

    def summary(self, summary: Summary) -> None:
        """The end of the document."""
        head = "" if self._lead == "," else self._lead
        record = json_line(summary_record(summary, policy=self._policy, backend=self._backend))
        self._write(f'{head}],"summary":{record.rstrip()}}}\n')


FORMATS: Final[dict[str, type[TextFormat | JsonLinesFormat | JsonFormat]]] = {
    "text": TextFormat,
    "json": JsonFormat,
    "jsonl": JsonLinesFormat,
}
