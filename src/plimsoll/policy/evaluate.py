"""judge: requirements and evidence to a Judgement, or to what must be asked next. Pure and synchronous.

The three-valued rules are those of docs/adr/0006-three-outcomes-and-exit-codes.md. A place that was not asked is never
taken for absent, and a failed one never for absent either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Final

from plimsoll import limits
from plimsoll.errors import ContentError, PlimsollError, SignatureError
from plimsoll.model.evidence import Absent, Attachment, Evidence, Failed, Found, Needs, Place
from plimsoll.model.verdict import Judgement, Outcome, Reason, SignatureRecord, all_of
from plimsoll.policy.identity import MatchExact, MatchRepoDigestOrExact, accepts
from plimsoll.policy.prepare import Ready, ReadyRequirement
from plimsoll.policy.requirements import AcceptAnything, AdHocKeys, Reject, SigstoreSigned
from plimsoll.signatures.formats import SignatureFormat, Trust, VerifiedSignature

Claims = Callable[[VerifiedSignature], Reason | None]
"""Whether a proven signature says what the requirement wants: None if so."""

_ACCEPTED: Final = Judgement(outcome=Outcome.ACCEPTED)


def judge(ready: Ready, evidence: Evidence) -> Judgement | Needs:
    """Judge one manifest by one list of requirements: all of them must be met.

    No requirement at all is a rejection. Asks for places only while no requirement is surely unmet.
    """
    if not ready.requirements:
        return _reject("policy-reject", "the policy asks for nothing here, and nothing accepts nothing")
    if ready.require_signed and not any(item.requirement.verifies_signatures for item in ready.requirements):
        return _reject(
            "policy-reject", f"--require-signed: no requirement of {ready.scope or 'the policy'} verifies a signature"
        )
    findings = [_assess(item, ready, evidence) for item in ready.requirements]
    decided = [finding for finding in findings if isinstance(finding, Judgement)]
    if not any(finding.outcome is Outcome.REJECTED for finding in decided):
        needs = [finding for finding in findings if isinstance(finding, Needs)]
        if needs:  # even those that name no place: a requirement that is still open must never drop out of the sum
            return Needs(places=tuple(dict.fromkeys(chain.from_iterable(found.places for found in needs))))
    return _combine(decided)


def _combine(decided: list[Judgement]) -> Judgement:
    outcome = all_of(finding.outcome for finding in decided)
    # The reasons of the decisive kind come first, so that the first reason explains the outcome.
    ranked = sorted(
        (reason for finding in decided if finding.outcome is not Outcome.ACCEPTED for reason in finding.reasons),
        key=lambda reason: reason.outcome is not outcome,
    )
    return Judgement(
        outcome=outcome,
        reasons=tuple(dict.fromkeys(ranked))[: limits.REASONS],
        signatures=tuple(dict.fromkeys(chain.from_iterable(finding.signatures for finding in decided))),
    )


def _reject(code: str, message: str) -> Judgement:
    return Judgement(outcome=Outcome.REJECTED, reasons=(Reason(code=code, message=message),))


def _assess(item: ReadyRequirement, ready: Ready, evidence: Evidence) -> Judgement | Needs:
    match item.requirement:
        case AcceptAnything():
            return _ACCEPTED
        case Reject():
            return _reject("policy-reject", f"the policy rejects every image of {ready.scope or 'this scope'}")
        case AdHocKeys() as asked:
            question = _Question(trust=item.trust, claims=partial(_annotated, asked), threshold=asked.threshold)
            return _assess_signatures(question, ready, evidence)
        case SigstoreSigned() as signed:
            question = _Question(trust=item.trust, claims=partial(_identified, signed, evidence), threshold=1)
            return _assess_signatures(question, ready, evidence)
        case _:
            reason = (
                item.trust if isinstance(item.trust, Reason) else Reason(code="unsupported", message="not judged yet")
            )
            return Judgement(outcome=Outcome.UNDETERMINED, reasons=(reason,))


def _annotated(asked: AdHocKeys, found: VerifiedSignature) -> Reason | None:
    for name, value in asked.annotations:
        if found.annotations.get(name) != value:
            return Reason(
                code="identity-mismatch",
                message=f"a good signature, but {name} is {found.annotations.get(name)!r:.99} in it, not {value!r:.99}",
            )
    return None


def _identified(asked: SigstoreSigned, evidence: Evidence, found: VerifiedSignature) -> Reason | None:
    if accepts(asked.identity, image=evidence.location.docker, signed=found.docker_reference):
        return None
    return Reason(
        code="identity-mismatch",
        message=f"a good signature, but for {found.docker_reference!r:.200}, which {asked.where} does not accept here"
        + _identity_hint(asked, found),
    )


def _identity_hint(asked: SigstoreSigned, found: VerifiedSignature) -> str:
    nameless = ":" not in found.docker_reference.rpartition("/")[2]
    if isinstance(asked.identity, MatchExact | MatchRepoDigestOrExact) and nameless:
        return '; cosign signs names without a tag: signedIdentity {"type": "matchRepository"} accepts them'
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """Who is trusted, what a good signature must also say, and how many distinct keys are needed."""

    trust: Trust | Reason | None
    claims: Claims
    threshold: int


@dataclass(slots=True)
class _Tally:
    """What the places asked so far hold."""

    records: list[SignatureRecord]
    failures: list[Reason]
    keys: set[str]
    undecided: int = 0


def _assess_signatures(question: _Question, ready: Ready, evidence: Evidence) -> Judgement | Needs:
    """Search place by place; stop between places when enough distinct keys signed, never inside one."""
    tally = _Tally(records=[], failures=[], keys=set())
    for place, signature_format in _places(ready, evidence):
        answer = evidence.answers.get(place)
        match answer:
            case None:
                return Needs(places=(place,))
            case Absent():
                continue
            case Failed(reason=reason):
                tally.failures.append(reason)
            case Found(attachments=attachments):
                for attachment in attachments:
                    _try(attachment, signature_format, question, evidence, tally)
        if len(tally.keys) >= question.threshold:
            return Judgement(outcome=Outcome.ACCEPTED, signatures=tuple(tally.records))
    return _unmet(question, tally, ready, evidence)


def _places(ready: Ready, evidence: Evidence) -> Iterator[tuple[Place, SignatureFormat[object]]]:
    if not ready.attachments:
        return
    for signature_format in ready.formats:
        for place in signature_format.places(evidence.digests):
            yield place, signature_format


def _try(
    attachment: Attachment,
    signature_format: SignatureFormat[object],
    question: _Question,
    evidence: Evidence,
    tally: _Tally,
) -> None:
    """Try one signature; what comes of it is a record, never an exception."""
    name = signature_format.name
    if attachment.failure is not None:
        _note(tally, SignatureRecord(format=name, verified=False, reason=attachment.failure))
        return
    if question.trust is None or isinstance(question.trust, Reason):
        reason = question.trust or Reason(code="unsupported", message="no trust was prepared")
        _note(tally, SignatureRecord(format=name, verified=False, reason=reason))
        return
    try:
        found = signature_format.verify(
            signature_format.parse(attachment), question.trust, evidence.digests, evidence.now_s
        )
    except (SignatureError, ContentError) as error:
        _note(tally, SignatureRecord(format=name, verified=False, reason=Reason.of(error)))
        return
    unwanted = question.claims(found)
    _note(tally, SignatureRecord(format=name, verified=unwanted is None, key=found.key, reason=unwanted))


def _note(tally: _Tally, record: SignatureRecord) -> None:
    tally.records.append(record)
    if record.verified and record.key is not None:
        tally.keys.add(record.key)
    elif record.reason is not None and record.reason.outcome is Outcome.UNDETERMINED:
        tally.undecided += 1


def _unmet(question: _Question, tally: _Tally, ready: Ready, evidence: Evidence) -> Judgement:
    reasons = [record.reason for record in tally.records if record.reason is not None] + tally.failures
    unknown = any(reason.outcome is Outcome.UNDETERMINED for reason in tally.failures)
    undecided = unknown or len(tally.keys) + tally.undecided >= question.threshold
    outcome = Outcome.UNDETERMINED if undecided else Outcome.REJECTED
    explained = any(reason.outcome is outcome for reason in reasons)
    if tally.keys or (reasons and not explained):
        reasons.insert(
            0,
            Reason(
                code="threshold-not-met",
                message=f"signed by {len(tally.keys)} of the trusted keys, {question.threshold} are required",
            ),
        )
    elif not reasons:
        reasons.append(_none(ready, evidence))
    ranked = sorted(reasons, key=lambda reason: reason.outcome is not outcome)
    return Judgement(outcome=outcome, reasons=tuple(dict.fromkeys(ranked)), signatures=tuple(tally.records))


def _none(ready: Ready, evidence: Evidence) -> Reason:
    if not ready.attachments:
        why = (
            "attached ones are not looked at: registries.d does not say use-sigstore-attachments: true here"
            if evidence.location.docker is not None
            else f"{evidence.location.transport}: has no attached ones under a policy.json (as in skopeo); use --key"
        )
        return Reason(code="no-signature", message=f"a signature is required; {why}")
    return Reason(
        code="no-signature",
        message="a signature is required, and no .sig tag lists one (bundles and other formats are not read yet)",
    )


def failure(error: PlimsollError) -> Judgement:
    """The judgement that an error outside any requirement amounts to."""
    reason = Reason.of(error)
    return Judgement(outcome=reason.outcome, reasons=(reason,))
