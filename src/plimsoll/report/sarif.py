"""Verdicts as SARIF 2.1.0 (OASIS): one run, one result for each reason of an image that was not accepted.

Accepted images are counted in the invocation and are no results: GitHub's code scanning shows an alert for a result of
kind ``pass`` too. The parts come in the order in which they are known, rules, results, invocation, so nothing is kept.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from plimsoll import limits
from plimsoll.model.verdict import UNDETERMINED_CODES, Outcome, Reason, Verdict
from plimsoll.report.causes import CAUSES
from plimsoll.report.escape import printable
from plimsoll.report.hints import hint_for
from plimsoll.report.records import Record, json_line
from plimsoll.report.run_facts import RunFacts
from plimsoll.report.shortfall import CODE, Ending, shortfall
from plimsoll.report.summary import Summary
from plimsoll.report.text import summary_line

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT: Final = "%SRCROOT%"
"""The name by which GitHub and other readers know the folder that the sources are in."""
_LEVEL: Final = {Outcome.REJECTED: "error", Outcome.UNDETERMINED: "warning"}
"""A warning, as nobody knows: it must not look like a rejection. The kind ``open`` would have no level, and hide it."""
_INDEX: Final = {code: at for at, code in enumerate(CAUSES)}
_NO_REASON: Final = Reason(code="internal-error", message="no reason was recorded")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAt:
    """Where an image was asked for: the list as the reader of a report finds it, and the line, counted from 1."""

    path: str
    line: int


def sarif_head(version: str) -> str:
    """The document down to its first result; what follows is ``sarif_result`` and ``,`` in turn, then the tail."""
    driver = {
        "name": "plimsoll",
        "version": version,
        "semanticVersion": version,
        "rules": [_rule(code) for code in CAUSES],
    }
    tool = json_line({"driver": driver}).rstrip()
    return f'{{"$schema":"{SCHEMA}","version":"2.1.0","runs":[{{"tool":{tool},"results":[\n'


def sarif_results(verdict: Verdict, *, listed: ListedAt | None) -> list[str]:
    """A line for each reason; none for an accepted image, and never none for another."""
    if verdict.outcome is Outcome.ACCEPTED:
        return []
    seen: dict[str, int] = {}
    lines = []
    for reason in verdict.reasons or (_NO_REASON,):
        seen[reason.code] = seen.get(reason.code, 0) + 1
        lines.append(json_line(_result(verdict, reason, nth=seen[reason.code], listed=listed)))
    return lines


def sarif_shortfall(summary: Summary, *, ending: Ending) -> list[str]:
    """A line for what was not judged: without it, readers that compare runs would call its alerts mended."""
    left = shortfall(summary, ending=ending)
    if left is None:
        return []
    location: Record = {"physicalLocation": _physical("plimsoll verify", None)}
    return [json_line(_problem(CODE, "error", left, location=location, identity=CODE))]


def sarif_tail(summary: Summary, *, run: RunFacts, ending: Ending) -> str:
    """What follows the last result, to the end of the document."""
    invocation = json_line(_invocation(summary, run=run, ending=ending)).rstrip()
    return f'],"invocations":[{invocation}],"columnKind":"unicodeCodePoints"}}]}}\n'


def _rule(code: str) -> Record:
    known = "undetermined" if code in UNDETERMINED_CODES else "rejected"
    cause, cure = CAUSES[code], hint_for(code)
    return {
        "id": code,
        "shortDescription": {"text": cause},
        "fullDescription": {"text": f"{cause} Such an image is {known}."},
        "help": {"text": f"What to do: {cure}."},
        "defaultConfiguration": {"level": "warning" if code in UNDETERMINED_CODES else "error"},
        "properties": {"tags": ["security", "supply-chain"]},
    }


def _result(verdict: Verdict, reason: Reason, *, nth: int, listed: ListedAt | None) -> Record:
    image = printable(verdict.image, limit=limits.REFERENCE_CHARS)
    location: Record = {
        "physicalLocation": _physical(image, listed),
        "logicalLocations": [{"fullyQualifiedName": image, "kind": "resource"}],
    }
    message = f"{image} is {verdict.outcome.value}: {printable(reason.message)}"
    identity = f"{verdict.image}\n{reason.code}\n{nth}"
    record = _problem(reason.code, _LEVEL[verdict.outcome], message, location=location, identity=identity)
    return record | {"properties": _known_of(verdict)}


def _problem(code: str, level: str, message: str, *, location: Record, identity: str) -> Record:
    """``identity`` is what stays the same from run to run: not the digest, nor the words of the message."""
    fingerprint = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()
    record: Record = {"ruleId": printable(code)}
    if code in _INDEX:
        record["ruleIndex"] = _INDEX[code]
    return record | {
        "kind": "fail",
        "level": level,
        "message": {"text": _plain(message)},
        "locations": [location],
        # The first is the one that GitHub tells alerts apart by.
        "partialFingerprints": {"primaryLocationLineHash": fingerprint, "plimsollImageReason/v1": fingerprint},
    }


def _physical(image: str, listed: ListedAt | None) -> Record:
    """GitHub refuses a whole file for one result without an artifact's URI: an image in no list stands for itself."""
    path, line = (image.removeprefix("docker://"), 1) if listed is None else (listed.path, listed.line)
    return {
        "artifactLocation": {"uri": _relative(path), "uriBaseId": ROOT},
        "region": {"startLine": line, "startColumn": 1, "endLine": line},
    }


def _relative(path: str) -> str:
    """A relative URI that stays below its base and has no scheme: a colon, as in HOST:PORT, is written %3A."""
    parts = [part for part in path.split("/") if part not in {"", ".", ".."}]
    return quote("/".join(parts), safe="/", errors="backslashreplace") or "image"


def _plain(text: str) -> str:
    """No placeholder (SARIF 3.11.5) and no link (3.11.6) in what may quote a registry."""
    return text.replace("{", "{{").replace("}", "}}").replace("](", "] (")


def _known_of(verdict: Verdict) -> Record:
    record: Record = {"verdict": verdict.outcome.value, "position": verdict.position, "requests": verdict.requests}
    if verdict.digest is not None:
        record["digest"] = str(verdict.digest)
    if verdict.pinned is not None:
        record["pinned"] = printable(verdict.pinned)
    if verdict.judged is not None:
        record["judged"] = verdict.judged
    return record


def _invocation(summary: Summary, *, run: RunFacts, ending: Ending) -> Record:
    left = shortfall(summary, ending=ending)
    notes: list[Record] = [{"level": "note", "message": {"text": summary_line(summary).rstrip()}}]
    if left is not None:
        notes.append({"level": "error", "message": {"text": left}})
    return {
        "executionSuccessful": left is None,
        "exitCode": ending.exit_code,
        "startTimeUtc": run.time_after(0).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "endTimeUtc": run.time_after(summary.seconds).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "toolExecutionNotifications": notes,
        "properties": {
            "images": summary.images,
            "accepted": summary.accepted,
            "rejected": summary.rejected,
            "undetermined": summary.undetermined,
            "notJudged": summary.not_judged,
            "attachments": summary.attachments,
            "requests": summary.requests,
            "bytes": summary.bytes,
            "policy": run.policy,
            "backend": run.backend,
        },
    }
