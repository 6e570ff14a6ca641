"""Verdicts as records of plimsoll.verdict/v1, the objects of ``--format json`` and ``jsonl``."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Final

from plimsoll import limits
from plimsoll.model.verdict import Instance, Judgement, Reason, SignatureRecord, Verdict
from plimsoll.report.summary import Summary

VERDICT_SCHEMA: Final = "plimsoll.verdict/v1"
SUMMARY_SCHEMA: Final = "plimsoll.summary/v1"

Record = dict[str, object]


def verdict_record(verdict: Verdict) -> Record:
    """One verdict; ``instances`` and ``index`` only where they were judged, ``contacted`` where others were asked."""
    record: Record = {
        "schema": VERDICT_SCHEMA,
        "image": _bounded(verdict.image, limit=limits.REFERENCE_CHARS),
        "digest": None if verdict.digest is None else str(verdict.digest),
        "pinned": verdict.pinned,
        "position": verdict.position,
        "judged": verdict.judged,
        "verdict": verdict.outcome.value,
        "reasons": [reason_record(reason) for reason in verdict.reasons],
        "signatures": [signature_record(signature) for signature in verdict.signatures],
        "requests": verdict.requests,
        "bytes": verdict.bytes,
        "seconds": round(verdict.seconds, 6),
    }
    if verdict.contacted:
        record["contacted"] = [_bounded(name) for name in verdict.contacted]
    if verdict.index is not None:
        record["index"] = _judgement(verdict.index)
    if verdict.instances is not None:
        record["instances"] = [_instance(instance) for instance in verdict.instances]
    return record


def summary_record(summary: Summary, *, policy: str | None, backend: str) -> Record:
    """What the run came to; ``not_judged`` and ``attachments`` only where they say something."""
    record: Record = {
        "schema": SUMMARY_SCHEMA,
        "images": summary.images,
        "accepted": summary.accepted,
        "rejected": summary.rejected,
        "undetermined": summary.undetermined,
        "requests": summary.requests,
        "bytes": summary.bytes,
        "seconds": round(summary.seconds, 6),
        "images_per_second": round(summary.images_per_second, 1),
        "policy": policy,
        "backend": backend,
    }
    if summary.not_judged:
        record["not_judged"] = summary.not_judged
    if summary.attachments:
        record["attachments"] = summary.attachments
    return record


def json_line(record: Record) -> str:
    """One line, ASCII only, so that no terminal and no line splitter can be fooled by what it holds."""
    return json.dumps(record, separators=(",", ":"), ensure_ascii=True) + "\n"


def _bounded(text: str, *, limit: int = limits.TEXT_CHARS) -> str:
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def reason_record(reason: Reason) -> Record:
    """One reason."""
    return {"code": reason.code, "message": _bounded(reason.message)}


def signature_record(signature: SignatureRecord) -> Record:
    """One signature that was tried."""
    record: Record = {"format": signature.format, "key": signature.key, "verified": signature.verified}
    if signature.issuer is not None:
        record["issuer"] = _bounded(signature.issuer)
    if signature.subject is not None:
        record["subject"] = _bounded(signature.subject)
    if signature.predicate_type is not None:
        record["predicate_type"] = _bounded(signature.predicate_type)
    if signature.signed_at_s is not None:
        record["signed_at"] = _instant(signature.signed_at_s)
    if signature.reason is not None:
        record["reason"] = reason_record(signature.reason)
    return record


def _instant(time_s: float) -> str:
    """RFC 3339 in UTC, whole seconds."""
    return datetime.fromtimestamp(time_s, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _instance(instance: Instance) -> Record:
    return {
        "digest": str(instance.digest),
        "platform": _bounded(instance.platform),
        "by": "index" if instance.inherited else "itself",
        **_judgement(instance.judgement),
    }


def _judgement(judgement: Judgement) -> Record:
    return {
        "verdict": judgement.outcome.value,
        "reasons": [reason_record(reason) for reason in judgement.reasons],
        "signatures": [signature_record(signature) for signature in judgement.signatures],
    }
