"""How verdicts leave: ``jsonl`` as they fall, all others in input order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Protocol

from plimsoll.cli.spool import Spool
from plimsoll.model.verdict import Verdict
from plimsoll.report.junit import case_line, suite_head, suite_tail
from plimsoll.report.records import json_line, summary_record, verdict_record
from plimsoll.report.run_facts import RunFacts
from plimsoll.report.sarif import ListedAt, sarif_head, sarif_results, sarif_shortfall, sarif_tail
from plimsoll.report.shortfall import Ending
from plimsoll.report.summary import Summary
from plimsoll.report.text import summary_line, verdict_lines

Write = Callable[[str], None]
"""Of each verdict, in turn, exactly one text is written, so that who counts texts knows how many verdicts are out."""
WhereListed = Callable[[Verdict], ListedAt | None]


class Format(Protocol):
    """One way to print a run."""

    ordered: bool

    def verdict(self, verdict: Verdict) -> None:
        """Print one verdict."""

    def summary(self, summary: Summary, *, ending: Ending) -> Iterator[None]:
        """Print the end, a text a step, so that the caller can wait; not called for a run whose output was cut."""

    def close(self) -> None:
        """Give back what is held; again is nothing."""


class _Unheld:
    """A format that holds nothing: what it is given is written at once."""

    def close(self) -> None:
        """Nothing is held."""


class TextFormat(_Unheld):
    """Lines for people."""

    ordered = True

    def __init__(self, write: Write, *, run: RunFacts, listed: WhereListed) -> None:  # noqa: ARG002  # as its siblings
        self._write = write

    def verdict(self, verdict: Verdict) -> None:
        """A line, and one for each reason."""
        self._write(verdict_lines(verdict))

    def summary(self, summary: Summary, *, ending: Ending) -> Iterator[None]:  # noqa: ARG002  # as its siblings
        """One line."""
        yield self._write(summary_line(summary))


class JsonLinesFormat(_Unheld):
    """One object a line, then the summary."""

    ordered = False

    def __init__(self, write: Write, *, run: RunFacts, listed: WhereListed) -> None:  # noqa: ARG002  # as its siblings
        self._write = write
        self._run = run

    def verdict(self, verdict: Verdict) -> None:
        """One line."""
        self._write(json_line(verdict_record(verdict)))

    def summary(self, summary: Summary, *, ending: Ending) -> Iterator[None]:  # noqa: ARG002  # as its siblings
        """The last line."""
        yield self._write(json_line(summary_record(summary, policy=self._run.policy, backend=self._run.backend)))


class JsonFormat(_Unheld):
    """One document: ``{"schema", "verdicts": [...], "summary"}``, written as it grows."""

    ordered = True

    def __init__(self, write: Write, *, run: RunFacts, listed: WhereListed) -> None:  # noqa: ARG002  # as its siblings
        self._write = write
        self._run = run
        self._lead = '{"schema":"plimsoll.report/v1","verdicts":[\n'

    def verdict(self, verdict: Verdict) -> None:
        """One element."""
        self._write(self._lead + json_line(verdict_record(verdict)))
        self._lead = ","

    def summary(self, summary: Summary, *, ending: Ending) -> Iterator[None]:  # noqa: ARG002  # as its siblings
        """The end of the document."""
        head = "" if self._lead == "," else self._lead
        record = json_line(summary_record(summary, policy=self._run.policy, backend=self._run.backend))
        yield self._write(f'{head}],"summary":{record.rstrip()}}}\n')


class JunitFormat:
    """One XML document, written at the end: its head has the counts, so the cases are kept until all are there."""

    ordered = True

    def __init__(self, write: Write, *, run: RunFacts, listed: WhereListed) -> None:  # noqa: ARG002  # as its siblings
        self._write = write
        self._run = run
        self._cases = Spool()

    def verdict(self, verdict: Verdict) -> None:
        """Keep its case."""
        self._cases.add(case_line(verdict))

    def summary(self, summary: Summary, *, ending: Ending) -> Iterator[None]:
        """The whole document."""
        lead = suite_head(summary, run=self._run, ending=ending, version=_version())
        for case in self._cases.lines():
            yield self._write(lead + case)
            lead = ""
        yield self._write(lead + suite_tail(summary, ending=ending))

    def close(self) -> None:
        """Let the cases go."""
        self._cases.close()


class SarifFormat(_Unheld):
    """One SARIF log, written as it grows; an accepted image is a space in it."""

    ordered = True

    def __init__(self, write: Write, *, run: RunFacts, listed: WhereListed) -> None:
        self._write = write
        self._run = run
        self._listed = listed
        self._head = sarif_head(_version())
        self._comma = ""

    def verdict(self, verdict: Verdict) -> None:
        """Its results."""
        self._write(self._elements(sarif_results(verdict, listed=self._listed(verdict))) or " ")

    def summary(self, summary: Summary, *, ending: Ending) -> Iterator[None]:
        """The end of the document."""
        last = self._elements(sarif_shortfall(summary, ending=ending))
        yield self._write(last + sarif_tail(summary, run=self._run, ending=ending))

    def _elements(self, results: list[str]) -> str:
        lead, self._head = self._head, ""
        text = ",".join(results)
        if text:
            text, self._comma = self._comma + text, ","
        return lead + text


def _version() -> str:
    from importlib import metadata  # noqa: PLC0415  # a sixtieth of a second, which only reports with it shall take

    return metadata.version("plimsoll")


FORMATS: Final[dict[str, type[TextFormat | JsonLinesFormat | JsonFormat | JunitFormat | SarifFormat]]] = {
    "text": TextFormat,
    "json": JsonFormat,
    "jsonl": JsonLinesFormat,
    "junit": JunitFormat,
    "sarif": SarifFormat,
}
