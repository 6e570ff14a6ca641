"""Explanations as text, and as records of plimsoll.explanation/v1."""

from __future__ import annotations

from typing import Final

from plimsoll.model.explanation import ConfigurationFile, Explanation, JudgedManifest, RequirementFinding
from plimsoll.model.verdict import Reason, SignatureRecord
from plimsoll.report.escape import printable
from plimsoll.report.hints import hint_for
from plimsoll.report.records import Record, reason_record, signature_record, verdict_record
from plimsoll.report.text import signature_line, verdict_lines

EXPLANATION_SCHEMA: Final = "plimsoll.explanation/v1"


def explanation_record(found: Explanation) -> Record:
    """The whole explanation; each reason and signature has its ``hint`` where there is one."""
    return {
        "schema": EXPLANATION_SCHEMA,
        "verdict": verdict_record(found.verdict),
        "policy": found.policy,
        "scope": found.scope,
        "passed_over": list(found.passed_over),
        "manifests": [_manifest(manifest) for manifest in found.manifests],
        "contacted": list(found.contacted),
        "files": [{"role": file.role, "path": file.path, "place": file.place} for file in found.files],
    }


def _manifest(manifest: JudgedManifest) -> Record:
    return {
        "digest": str(manifest.digest),
        "attachments": manifest.attachments,
        "store": manifest.store,
        "requirements": [_finding(finding) for finding in manifest.findings],
    }


def _finding(finding: RequirementFinding) -> Record:
    record: Record = {"place": finding.place, "type": finding.kind, "outcome": None}
    if finding.judgement is not None:
        record["outcome"] = finding.judgement.outcome.value
        record["reasons"] = [reason_record(item) | _hint(item) for item in finding.judgement.reasons]
        record["signatures"] = [signature_record(item) | _hint(item.reason) for item in finding.judgement.signatures]
    return record


def _hint(reason: Reason | None) -> Record:
    hint = None if reason is None else hint_for(reason.code)
    return {} if hint is None else {"hint": hint}


def explanation_text(found: Explanation) -> str:
    """The explanation for people, the verdict first."""
    lines = [verdict_lines(found.verdict).rstrip("\n"), "", f"policy: {printable(found.policy)}"]
    lines.append(f"scope: {'none: the image was not found' if found.scope is None else printable(found.scope)}")
    lines += [f"    passed over: {printable(place)}" for place in found.passed_over]
    for manifest in found.manifests:
        lines += _manifest_lines(manifest)
    lines.append(f"contacted: {printable(', '.join(found.contacted)) or 'nobody'}")
    lines += ["files that had a say:", *([_file_line(file) for file in found.files] or ["    none"])]
    return "\n".join(lines) + "\n"


def _file_line(file: ConfigurationFile) -> str:
    return f"    {file.role}: {printable(file.path)}" + (f" ({printable(file.place)})" if file.place else "")


def _manifest_lines(manifest: JudgedManifest) -> list[str]:
    seen = ["tags beside the image"] if manifest.attachments else []
    if manifest.store is not None:
        seen.append(printable(manifest.store) or "files beside the image")
    lines = [f"judged: {manifest.digest}", f"    signatures are looked for: {', '.join(seen) or 'nowhere'}"]
    for finding in manifest.findings:
        lines += _finding_lines(finding)
    return lines


def _finding_lines(finding: RequirementFinding) -> list[str]:
    head = f"    {printable(finding.place)} {finding.kind}"
    if finding.judgement is None:
        return [f"{head}: left open, since others decide"]
    lines = [f"{head}: {'met' if finding.judgement.outcome.value == 'accepted' else finding.judgement.outcome.value}"]
    for signature in finding.judgement.signatures:
        lines += _signature_lines(signature)
    told = {signature.reason for signature in finding.judgement.signatures}
    for reason in finding.judgement.reasons:
        if reason not in told:
            lines += _reason_lines(reason, indent=8)
    return lines


def _signature_lines(signature: SignatureRecord) -> list[str]:
    lines = [f"        {signature_line(signature)}: {'good' if signature.verified else 'does not count'}"]
    return lines if signature.reason is None else [*lines, *_reason_lines(signature.reason, indent=12)]


def _reason_lines(reason: Reason, *, indent: int) -> list[str]:
    space = " " * indent
    hint = hint_for(reason.code)
    return [f"{space}{reason.code}: {printable(reason.message)}", *([f"{space}hint: {hint}"] if hint else [])]
