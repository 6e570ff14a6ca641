"""Whose verdict another policy changes, as text and as a document of plimsoll.policy-diff/v1."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from plimsoll.model.comparison import Change, VerdictPair
from plimsoll.model.verdict import Verdict
from plimsoll.report.escape import printable
from plimsoll.report.exit_codes import ACCEPTED, REJECTED, UNDETERMINED, USAGE
from plimsoll.report.records import Record, json_line, verdict_record

DIFF_SCHEMA: Final = "plimsoll.policy-diff/v1"


@dataclass(slots=True, kw_only=True)
class DiffSummary:
    """Counts of a run; mutable on purpose, as Summary. ``changed`` counts by "accepted -> rejected" and its like."""

    images: int = 0
    unchanged: int = 0
    undecided: int = 0
    changed: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    bytes: int = 0

    def add(self, pair: VerdictPair) -> None:
        """Count one image."""
        self.images += 1
        self.requests += pair.old.requests + pair.new.requests
        self.bytes += pair.old.bytes + pair.new.bytes
        match pair.change:
            case Change.NONE:
                self.unchanged += 1
            case Change.CHANGED:
                self.changed[transition(pair)] += 1
            case Change.UNDECIDED:
                self.undecided += 1

    def exit_code(self) -> int:
        """0 nothing changes; 3 something surely does; else 4 where an image could not be decided; 1 for no image."""
        if self.images == 0:
            return USAGE
        if self.changed:
            return REJECTED
        return ACCEPTED if self.unchanged == self.images else UNDETERMINED


def transition(pair: VerdictPair) -> str:
    """Both outcomes, as "accepted -> rejected"."""
    return f"{pair.old.outcome.value} -> {pair.new.outcome.value}"


def pair_lines(pair: VerdictPair) -> str:
    """An image whose verdict changes or could not be decided, with the reasons on either side; "" for any other."""
    if pair.change is Change.NONE:
        return ""
    lines = [f"{pair.change.value.upper():<10} {transition(pair)}  {printable(pair.old.image)}"]
    judged = pair.old.pinned or (None if pair.old.digest is None else str(pair.old.digest))
    if judged is not None:
        lines.append(f"    {pair.old.judged or 'read'}: {printable(judged)}")
    lines += [*_side("old", pair.old), *_side("new", pair.new)]
    return "\n".join(lines) + "\n"


def _side(name: str, verdict: Verdict) -> list[str]:
    return [f"    {name}: {reason.code}: {printable(reason.message)}" for reason in verdict.reasons]


def diff_line(summary: DiffSummary) -> str:
    """The counts, in one line."""
    changes = ", ".join(f"{number} {what}" for what, number in sorted(summary.changed.items()))
    number = "1 image" if summary.images == 1 else f"{summary.images} images"
    return (
        f"{number}: {summary.unchanged} unchanged, {summary.changed.total()} changed"
        f"{f' ({changes})' if changes else ''}, {summary.undecided} undecided; {summary.requests} requests\n"
    )


def diff_head(*, old: tuple[str, str], new: tuple[str, str]) -> str:
    """The beginning of the JSON document; ``old`` and ``new`` are a policy's file and digest."""
    head: Record = {
        "schema": DIFF_SCHEMA,
        "old": {"file": old[0], "policy": old[1]},
        "new": {"file": new[0], "policy": new[1]},
    }
    return json_line(head).rstrip("}\n") + '},"changes":[\n'


def pair_record(pair: VerdictPair) -> Record:
    """One image whose verdict changes, or could not be decided."""
    return {
        "image": pair.old.image,
        "position": pair.old.position,
        "change": pair.change.value,
        "old": verdict_record(pair.old),
        "new": verdict_record(pair.new),
    }


def diff_tail(summary: DiffSummary) -> str:
    """The end of the JSON document."""
    record: Record = {
        "images": summary.images,
        "unchanged": summary.unchanged,
        "changed": dict(sorted(summary.changed.items())),
        "undecided": summary.undecided,
        "requests": summary.requests,
        "bytes": summary.bytes,
    }
    return f'],"summary":{json_line(record).rstrip()}}}\n'
