"""Verdicts as a JUnit XML report: one suite a run, one case an image.

The elements and attributes are those that the schema of Jenkins' xunit plugin (junit-10.xsd) allows; the suite also has
what Ant's (windyroad/JUnit-Schema) demands. Neither knows properties of a case, so what is known of an image stands in
its ``system-out``, which Jenkins and GitLab show. The counts stand in the head, before the cases that they count.
"""

from __future__ import annotations

from typing import Final

from plimsoll import limits
from plimsoll.model.verdict import Outcome, Verdict
from plimsoll.report.escape import printable
from plimsoll.report.run_facts import RunFacts
from plimsoll.report.shortfall import CODE, Ending, shortfall
from plimsoll.report.summary import Summary
from plimsoll.report.text import instance_line, signature_line, summary_line

SUITE: Final = "plimsoll verify"
CLASS: Final = "plimsoll.verify"
RUN_CASE: Final = "the run"
"""The case that stands for the images that a run did not come to."""
_ELEMENT: Final = {Outcome.REJECTED: "failure", Outcome.UNDETERMINED: "error"}
_NEWLINE: Final = "&#10;"
"""A case is one line of the file, whatever it holds."""
_MARKUP: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})


def case_line(verdict: Verdict) -> str:
    """One image's case, in one line; ``failure`` where it is rejected, ``error`` where it is undetermined."""
    outcome = "" if verdict.outcome is Outcome.ACCEPTED else _outcome(verdict)
    facts = _NEWLINE.join([_xml(line) for line in _facts(verdict)])
    return _case(verdict.image, verdict.seconds, f"{outcome}<system-out>{facts}</system-out>")


def suite_head(summary: Summary, *, run: RunFacts, ending: Ending, version: str) -> str:
    """The document down to its first case."""
    left = shortfall(summary, ending=ending)
    counts = {
        "tests": summary.images + (left is not None),
        "failures": summary.rejected,
        "errors": summary.undetermined + (left is not None),
        "skipped": 0,
    }
    started = run.time_after(0).strftime("%Y-%m-%dT%H:%M:%S")
    attributes = " ".join([f'{name}="{count}"' for name, count in counts.items()])
    properties = _properties(summary, run=run, ending=ending, version=version)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n'
        f'<testsuite name="{SUITE}" package="plimsoll" id="0" hostname="localhost" timestamp="{started}" '
        f'time="{_seconds(summary.seconds)}" {attributes}>\n{properties}'
    )


def suite_tail(summary: Summary, *, ending: Ending) -> str:
    """What follows the last image: a case for what was not judged, if there is such, and the end of the document."""
    left = shortfall(summary, ending=ending)
    case = "" if left is None else _case(RUN_CASE, 0.0, _problem("error", CODE, left, left))
    out = _xml(summary_line(summary).rstrip())
    return f"{case}<system-out>{out}</system-out>\n<system-err></system-err>\n</testsuite>\n</testsuites>\n"


def _case(name: str, seconds: float, content: str) -> str:
    shown = _text(name, limit=limits.REFERENCE_CHARS)
    return f'<testcase classname="{CLASS}" name="{shown}" time="{_seconds(seconds)}">{content}</testcase>\n'


def _outcome(verdict: Verdict) -> str:
    """The first reason, which decided, as the message; all of them as the text, which is what GitLab shows."""
    element = _ELEMENT[verdict.outcome]
    if not verdict.reasons:
        return _problem(element, verdict.outcome.value, "no reason was recorded", "no reason was recorded")
    first = verdict.reasons[0]
    every = "\n".join([f"{reason.code}: {printable(reason.message)}" for reason in verdict.reasons])
    return _problem(element, first.code, f"{first.code}: {printable(first.message)}", every)


def _problem(element: str, code: str, message: str, text: str) -> str:
    """What is given is escaped for a terminal already."""
    body = _xml(text).replace("\n", _NEWLINE)
    return f'<{element} type="{_text(code)}" message="{_xml(message)}">{body}</{element}>'


def _facts(verdict: Verdict) -> list[str]:
    known = {
        "digest": None if verdict.digest is None else str(verdict.digest),
        "pinned": verdict.pinned,
        "judged": verdict.judged,
        "contacted": ", ".join(verdict.contacted) or None,
        "requests": str(verdict.requests),
        "bytes": str(verdict.bytes),
    }
    lines = [f"{name}: {printable(value)}" for name, value in known.items() if value is not None]
    lines += [signature_line(found) for found in verdict.signatures if found.verified]
    if verdict.index is not None:
        lines.append(f"the index itself: {verdict.index.outcome.value}")
    return lines + [instance_line(instance) for instance in verdict.instances or ()]


def _properties(summary: Summary, *, run: RunFacts, ending: Ending, version: str) -> str:
    values = {
        "plimsoll": version,
        "backend": run.backend,
        "policy": run.policy,
        "exit-code": ending.exit_code,
        "images": summary.images,
        "accepted": summary.accepted,
        "rejected": summary.rejected,
        "undetermined": summary.undetermined,
        "not-judged": summary.not_judged,
        "attachments": summary.attachments,
        "requests": summary.requests,
        "bytes": summary.bytes,
    }
    lines = [f'<property name="{name}" value="{_text(str(value))}"/>\n' for name, value in values.items()]
    return f"<properties>\n{''.join(lines)}</properties>\n"


def _seconds(seconds: float) -> str:
    """Milliseconds, as older schemas of Jenkins have it, and never an exponent."""
    return f"{seconds:.3f}"


def _text(text: str, *, limit: int = limits.TEXT_CHARS) -> str:
    """XML 1.0 has no control characters and no lone surrogates, not even as references: they are escaped before."""
    return _xml(printable(text, limit=limit))


def _xml(text: str) -> str:
    return text.translate(_MARKUP)
