"""Verdicts as lines for people."""

from __future__ import annotations

from typing import Final

from plimsoll.model.verdict import Instance, Outcome, SignatureRecord, Verdict
from plimsoll.report.escape import printable
from plimsoll.report.summary import Summary

_WORDS: Final = {
    Outcome.ACCEPTED: "ACCEPTED",
    Outcome.REJECTED: "REJECTED",
    Outcome.UNDETERMINED: "UNDETERMINED",
}


def verdict_lines(verdict: Verdict) -> str:
    """The verdict with what was judged, and a line for each reason and instance below it."""
    lines = [f"{_WORDS[verdict.outcome]:<13} {printable(verdict.image)}"]
    judged = verdict.pinned or (None if verdict.digest is None else str(verdict.digest))
    if judged is not None:
        lines.append(f"    {verdict.judged or 'read'}: {printable(judged)}")
    if verdict.contacted:
        lines.append(f"    contacted: {printable(', '.join(verdict.contacted))}")
    lines += [f"    {signature_line(found)}" for found in verdict.signatures if found.verified]
    lines += [f"    {reason.code}: {printable(reason.message)}" for reason in verdict.reasons]
    if verdict.index is not None:
        lines.append(f"    the index itself: {verdict.index.outcome.value}")
    lines += [f"    {instance_line(instance)}" for instance in verdict.instances or ()]
    return "\n".join(lines) + "\n"


def signature_line(found: SignatureRecord) -> str:
    """What was found and by whom: by a certificate's name where it has one, as its key lives for minutes only."""
    if found.format == "attestation":
        what = found.format
    else:
        what = f"{found.format} {'signature' if found.predicate_type is None else 'attestation'}"
    if found.predicate_type is not None:
        what = f"{what} ({printable(found.predicate_type)})"
    if found.subject is not None and found.issuer is not None:
        return f"{what} by {printable(found.subject)} of {printable(found.issuer)}"
    return what if found.key is None else f"{what} by {printable(found.key)}"


def instance_line(instance: Instance) -> str:
    """What one instance of an index came to."""
    outcome = instance.judgement.outcome
    by = " by its index" if instance.inherited and outcome is Outcome.ACCEPTED else ""
    return f"{printable(instance.platform)} {instance.digest}: {outcome.value}{by}"


def summary_line(summary: Summary) -> str:
    """What the run came to, in one line."""
    parts = [
        (
            f"{summary.images} images: {summary.accepted} accepted, {summary.rejected} rejected, "
            f"{summary.undetermined} undetermined"
        )
    ]
    if summary.not_judged:
        parts.append(f"{summary.not_judged} not judged")
    if summary.attachments:
        parts.append(f"{summary.attachments} attachment tags skipped")
    requests = summary.requests / summary.images if summary.images else 0.0
    parts.append(f"{summary.seconds:.1f} s, {summary.images_per_second:.0f} images/s, {requests:.2f} requests an image")
    return "; ".join(parts) + "\n"
