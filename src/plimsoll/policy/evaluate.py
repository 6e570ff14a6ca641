"""judge: requirements and evidence to a Judgement, or to what must be asked next. Pure and synchronous.

The three-valued rules are those of docs/adr/0006-three-outcomes-and-exit-codes.md. A place that was not asked is never
taken for absent, and a failed one never for absent either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Final, assert_never

from plimsoll import limits
from plimsoll.errors import EffortExceededError
from plimsoll.model.evidence import Evidence, Needs
from plimsoll.model.verdict import Judgement, Outcome, Reason, all_of, n_of
from plimsoll.policy.identity import MatchExact, MatchRepoDigestOrExact, accepts
from plimsoll.policy.named_signers import ATTESTED, KEYED, KEYLESS, judge_attestations, judge_signatures
from plimsoll.policy.prepare import Ready, ReadyRequirement
from plimsoll.policy.requirements import (
    AcceptAnything,
    AdHoc,
    AllOf,
    AnyOf,
    AttestationsRequired,
    CountsAs,
    Reject,
    SignaturesRequired,
    SignedBaseLayer,
    SignedBy,
    SigstoreSigned,
)
from plimsoll.policy.search import Question, search
from plimsoll.signatures.effort import limited
from plimsoll.signatures.formats import Family, Verified, VerifiedAttestation, VerifiedSignature

_ACCEPTED: Final = Judgement(outcome=Outcome.ACCEPTED)


def judge(ready: Ready, evidence: Evidence) -> Judgement | Needs:
    """Judge one manifest by one list of requirements: all of them must be met.

    No requirement at all is a rejection. Asks for places only while no requirement is surely unmet. Where checking the
    signatures costs more than ``limits.SIGNATURE_CHECKS_PER_IMAGE`` over all turns the image is rejected, whatever was
    found: what is unread might forbid it.
    """
    found = _within_limits(lambda: _judge(ready, evidence), spent=evidence.spent)
    if isinstance(found, Needs) and any(map(_wants_all, ready.requirements)):
        return replace(found, whole=True)  # of the whole list: an answer is kept for all its requirements
    return found


def _wants_all(item: ReadyRequirement) -> bool:
    asked = item.requirement
    return (isinstance(asked, AttestationsRequired) and asked.wants_all) or any(map(_wants_all, item.parts))


def _within_limits(work: Callable[[], Judgement | Needs], *, spent: int) -> Judgement | Needs:
    with limited(spent=spent) as effort:
        try:
            found = work()
        except EffortExceededError as error:
            found = _reject(error.code, str(error))
        else:
            if effort.exceeded:  # somebody caught the error: what was found then is not whole
                found = _reject(EffortExceededError.code, "the image's signatures are too dear to check")
    return replace(found, spent=effort.spent)


def _judge(ready: Ready, evidence: Evidence) -> Judgement | Needs:
    if not ready.requirements:
        return _reject("policy-reject", "the policy asks for nothing here, and nothing accepts nothing")
    if ready.require_signed and not any(item.requirement.verifies_signatures for item in ready.requirements):
        return _reject(
            "policy-reject", f"--require-signed: no requirement of {ready.scope or 'the policy'} verifies a signature"
        )
    return _all(ready.requirements, ready, evidence)


def _all(items: tuple[ReadyRequirement, ...], ready: Ready, evidence: Evidence) -> Judgement | Needs:
    """Each of ``items``; asks for places only while none is surely unmet."""
    findings = [_assess(item, ready, evidence) for item in items]
    decided = [finding for finding in findings if isinstance(finding, Judgement)]
    if not any(finding.outcome is Outcome.REJECTED for finding in decided):
        needs = [finding for finding in findings if isinstance(finding, Needs)]
        if needs:  # even those that name no place: a requirement that is still open must never drop out of the sum
            return Needs(places=tuple(dict.fromkeys(chain.from_iterable(found.places for found in needs))))
    return _combine(decided)


def _any(items: tuple[ReadyRequirement, ...], ready: Ready, evidence: Evidence) -> Judgement | Needs:
    """One of ``items``; places that a later one needs are asked for only when the earlier ones are decided."""
    findings = [_assess(item, ready, evidence) for item in items]
    decided = [finding for finding in findings if isinstance(finding, Judgement)]
    for finding in decided:
        if finding.outcome is Outcome.ACCEPTED:
            return finding
    for needs in findings:
        if isinstance(needs, Needs):
            return needs
    return _join(decided, n_of((finding.outcome for finding in decided), n=1))


def _combine(decided: list[Judgement]) -> Judgement:
    return _join(decided, all_of(finding.outcome for finding in decided))


def _join(decided: list[Judgement], outcome: Outcome) -> Judgement:
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


def assess(item: ReadyRequirement, ready: Ready, evidence: Evidence) -> Judgement | Needs:
    """Judge one manifest by one requirement alone, whatever else its list asks for; in the limits of ``judge``."""
    return _within_limits(lambda: _assess(item, ready, evidence), spent=evidence.spent)


def _assess(item: ReadyRequirement, ready: Ready, evidence: Evidence) -> Judgement | Needs:
    match item.requirement:
        case AcceptAnything():
            return _ACCEPTED
        case Reject():
            return _reject("policy-reject", f"the policy rejects every image of {ready.scope or 'this scope'}")
        case SignedBaseLayer(where=where):
            return _reject("policy-reject", f"{where} is signedBaseLayer, which no image satisfies")
        case SignaturesRequired() as signatures:
            return judge_signatures(signatures, item, ready, evidence)
        case AttestationsRequired() as attestations:
            return judge_attestations(attestations, item, ready, evidence)
        case AllOf():
            return _all(item.parts, ready, evidence)
        case AnyOf():
            return _any(item.parts, ready, evidence)
        case AdHoc() as asked:
            question = _ad_hoc_question(asked, item)
        case (SigstoreSigned() | SignedBy()) as signed:
            families: tuple[Family, ...] = ("openpgp",) if isinstance(signed, SignedBy) else ("sigstore",)
            claims = partial(_identified, signed, evidence)
            question = Question(trust=item.trust, claims=claims, threshold=1, families=families)
        case _:
            assert_never(item.requirement)
    if isinstance(item.trust, Reason) and item.trust.code == "unsupported":
        return Judgement(outcome=Outcome.UNDETERMINED, reasons=(item.trust,))
    return search(question, ready, evidence)


def _ad_hoc_question(asked: AdHoc, item: ReadyRequirement) -> Question:
    """Keys sign on ``.sig`` tags more often than in bundles, certificates the other way round."""
    if asked.attestation_type is not None:
        return Question(
            trust=item.trust,
            claims=partial(_of_type, asked),
            threshold=asked.threshold,
            families=ATTESTED,
            wanted="attestation",
        )
    return Question(
        trust=item.trust,
        claims=partial(_annotated, asked),
        threshold=asked.threshold,
        families=KEYED if asked.keys else KEYLESS,
    )


def _of_type(asked: AdHoc, found: Verified) -> Reason | None:
    if isinstance(found, VerifiedSignature):
        return Reason(code="no-attestation", message="a good signature, which attests nothing")
    said = found.statement.predicate_type
    if said != asked.attestation_type:
        return Reason(code="no-attestation", message=f"{said:.200} is attested, not {asked.attestation_type}")
    return _lacking(asked, found.subject.annotations, "attestation")


def _annotated(asked: AdHoc, found: Verified) -> Reason | None:
    if isinstance(found, VerifiedAttestation):
        return _passes_for_a_signature(asked, found)
    return _lacking(asked, found.annotations, "signature")


def _lacking(asked: AdHoc, annotations: Mapping[str, object], what: str) -> Reason | None:
    """The first annotation that is asked for and not signed: of an attestation its subject carries them (cosign)."""
    for name, value in asked.annotations:
        said = annotations.get(name)
        if said != value:
            found = f"{name} is {said!r:.99} in it" if name in annotations else f"it has no {name}"
            message = f"a good {what}, but {found}, not {value!r:.99}"
            return Reason(code="identity-mismatch", message=message)
    return None


def _passes_for_a_signature(asked: AdHoc, found: VerifiedAttestation) -> Reason | None:
    """An attestation says something about an image, not that it may be run (stricter than cosign)."""
    if asked.counts_as is CountsAs.ANYTHING_SIGNED and not asked.annotations:
        return None
    message = f"a good attestation of type {found.statement.predicate_type:.200}, which is no signature of the image"
    return Reason(code="no-signature", message=message)


def _identified(asked: SigstoreSigned | SignedBy, evidence: Evidence, found: Verified) -> Reason | None:
    if isinstance(found, VerifiedAttestation):
        return Reason(code="no-signature", message="a good attestation, which is no signature of the image")
    if accepts(asked.identity, image=evidence.location.docker, signed=found.docker_reference):
        return None
    return Reason(
        code="identity-mismatch",
        message=f"a good signature, but for {found.docker_reference!r:.200}, which {asked.where} does not accept here"
        + _identity_hint(asked, found),
    )


def _identity_hint(asked: SigstoreSigned | SignedBy, found: VerifiedSignature) -> str:
    nameless = ":" not in found.docker_reference.rpartition("/")[2]
    if isinstance(asked.identity, MatchExact | MatchRepoDigestOrExact) and nameless:
        return '; cosign signs names without a tag: signedIdentity {"type": "matchRepository"} accepts them'
    return ""
