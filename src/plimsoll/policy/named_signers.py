"""``signatures`` and ``attestation`` judged: N of M distinct signers, and what their attestations say. Pure.

The rules are those of docs/reference/plimsoll-policy.md; each function says which one it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final

from plimsoll.errors import AttestationConditionError
from plimsoll.model.attestation import Statement
from plimsoll.model.evidence import Evidence, Needs
from plimsoll.model.verdict import Judgement, Outcome, Reason
from plimsoll.policy.conditions import Condition
from plimsoll.policy.prepare import Ready, ReadyRequirement
from plimsoll.policy.quorum import Edge, count_entries
from plimsoll.policy.requirements import AttestationsRequired, NamedKey, SignaturesRequired
from plimsoll.policy.search import none_found
from plimsoll.policy.sightings import Proof, Sighting, Sightings, look
from plimsoll.policy.stated_times import made_at
from plimsoll.signatures.formats import Family, Verified, VerifiedAttestation, VerifiedSignature

KEYED: Final[tuple[Family, ...]] = ("sigstore", "bundle")
"""Keys sign on ``.sig`` tags more often than in bundles, certificates the other way round."""
KEYLESS: Final[tuple[Family, ...]] = ("bundle", "sigstore")
ATTESTED: Final[tuple[Family, ...]] = ("bundle", "attestation")


def judge_signatures(
    asked: SignaturesRequired, item: ReadyRequirement, ready: Ready, evidence: Evidence
) -> Judgement | Needs:
    """Whether enough distinct signers signed; ends between places as soon as they did."""
    families = KEYED if any(isinstance(signer, NamedKey) for signer in asked.signers) else KEYLESS
    needed = asked.at_least
    found = look(
        item.signers,
        families=families,
        unwanted=partial(_unlike_a_signature, asked),
        ready=ready,
        evidence=evidence,
        enough=lambda seen: _met(_edges(seen.seen), needed),
    )
    if isinstance(found, Needs):
        return found
    return _quorum(found, list(_edges(found.seen)), needed, partial(none_found, "signature", families, ready, evidence))


def judge_attestations(
    asked: AttestationsRequired, item: ReadyRequirement, ready: Ready, evidence: Evidence
) -> Judgement | Needs:
    """Whether the attestations there are will do.

    What is newest, and what is too many, is known only when every place was asked: without a condition and a maximum
    the first place with enough is enough.
    """
    now_s = evidence.now_s

    def enough(seen: Sightings) -> bool:
        timely = _edges(seen.seen, partial(_timely, asked, now_s))
        return not asked.wants_all and _met(timely, asked.at_least)

    found = look(
        item.signers,
        families=ATTESTED,
        unwanted=partial(_of_another_type, asked),
        ready=ready,
        evidence=evidence,
        enough=enough,
    )
    if isinstance(found, Needs):
        return found
    answers = _Answers(asked)
    none = partial(none_found, "attestation", ATTESTED, ready, evidence)
    return (
        _too_many(asked, found, answers)
        or _not_all_seen(asked, found)
        or _newest_unmet(asked, found, answers, now_s)
        or _enough_attested(asked, found, answers, none, now_s)
    )


class _Answers:
    """What the conditions say of each proof, each asked once: an SBOM's megabytes are copied for it."""

    def __init__(self, asked: AttestationsRequired) -> None:
        self._asked = asked
        self._known: dict[int, tuple[Proof, tuple[bool | AttestationConditionError, ...]]] = {}

    def _of(self, proof: Proof) -> tuple[bool | AttestationConditionError, ...]:
        if id(proof) not in self._known:
            assert isinstance(proof.found, VerifiedAttestation)  # _of_another_type lets nothing else count
            said = tuple([_ask(condition, proof.found.statement) for condition in self._asked.conditions])
            self._known[id(proof)] = proof, said  # the proof too: while it lives its id is no other's
        return self._known[id(proof)][1]

    def fault(self, proof: Proof) -> Reason | None:
        """Why a proof does not meet the conditions."""
        for condition, said in zip(self._asked.conditions, self._of(proof), strict=True):
            if said is not True:
                error = said or condition.unmet("it is false")
                return Reason(code=error.code, message=f"{self._asked.where}: {error}")
        return None

    def may_meet(self, proof: Proof) -> bool:
        """Whether no condition is surely false of it."""
        return not any(said is False for said in self._of(proof))


def _ask(condition: Condition, statement: Statement) -> bool | AttestationConditionError:
    try:
        return condition.holds(statement)
    except AttestationConditionError as error:
        return error


def _unlike_a_signature(asked: SignaturesRequired, found: Verified) -> Reason | None:
    if not isinstance(found, VerifiedSignature):
        said = found.statement.predicate_type
        return Reason(
            code="no-signature", message=f"a good attestation of type {said:.200}, which is no signature of the image"
        )
    for name, value in asked.annotations:
        if found.annotations.get(name) != value:
            signed = found.annotations.get(name)
            is_there = f"{name:.99} is {signed!r:.99} in it" if name in found.annotations else f"it has no {name:.99}"
            message = f"a good signature, but {is_there}, not {value!r:.99}"
            return Reason(code="identity-mismatch", message=message)
    return None


def _of_another_type(asked: AttestationsRequired, found: Verified) -> Reason | None:
    if not isinstance(found, VerifiedAttestation):
        return Reason(code="no-attestation", message="a good signature, which attests nothing")
    said = found.statement.predicate_type
    if said == asked.type:
        return None
    return Reason(code="no-attestation", message=f"{said:.200} is attested, not {asked.type}")


def _edges(seen: Iterable[Sighting], counts: Callable[[Proof], bool] = lambda _proof: True) -> Iterator[Edge]:
    for sighting in seen:
        for proof in sighting.counting:
            if counts(proof):
                certified = proof.found.certified
                yield Edge(
                    entry=proof.signer.entry,
                    signature=sighting.number,
                    key=proof.found.key,
                    pair=None if certified is None else (certified.issuer, certified.subject),
                )


def _possible(seen: Iterable[Sighting]) -> Iterator[Edge]:
    """What may come to count: each of these would be by a key that nobody has seen."""
    for sighting in seen:
        for signer in sighting.open_to:
            yield Edge(entry=signer.entry, signature=sighting.number, key=("unknown", sighting.number, signer.entry))


def _met(edges: Iterable[Edge], needed: int) -> bool:
    return count_entries(edges, enough=needed).least >= needed


def _quorum(found: Sightings, edges: list[Edge], needed: int, none: Callable[[], Reason]) -> Judgement:
    """N-of: accepted at N; rejected if all undecided ones together could not reach it; else undetermined."""
    met = count_entries(edges, enough=needed).least
    if met >= needed:
        return Judgement(outcome=Outcome.ACCEPTED, signatures=found.records)
    unknown = any(reason.outcome is Outcome.UNDETERMINED for reason in found.failures)
    possible = count_entries([*edges, *_possible(found.seen)], enough=needed).most
    outcome = Outcome.UNDETERMINED if unknown or possible >= needed else Outcome.REJECTED
    reasons = [*_reasons(found), *found.failures]
    if met or (reasons and all(reason.outcome is not outcome for reason in reasons)):
        message = f"{met} of the named signers signed, each counted once; {needed} are required"
        reasons.insert(0, Reason(code="threshold-not-met", message=message))
    return _judgement(outcome, reasons or [none()], found)


def _reasons(found: Sightings) -> list[Reason]:
    """Why each does not count, and which keys could not be had."""
    told = [sighting.record.reason for sighting in found.seen]
    lost = [signer.failure for sighting in found.seen for signer in sighting.open_to]
    return [reason for reason in (*told, *lost) if reason is not None]


def _judgement(outcome: Outcome, reasons: list[Reason], found: Sightings) -> Judgement:
    ranked = sorted(reasons, key=lambda reason: reason.outcome is not outcome)
    return Judgement(outcome=outcome, reasons=tuple(dict.fromkeys(ranked)), signatures=found.records)


def _too_many(asked: AttestationsRequired, found: Sightings, answers: _Answers) -> Judgement | None:
    """More than ``atMost``, or one that is forbidden: a condition that gives no answer does not excuse one."""
    if asked.at_most is None:
        return None
    there = [sighting for sighting in found.seen if any(map(answers.may_meet, sighting.counting))]
    if len(there) <= asked.at_most:
        return None
    message = f"{len(there)} attestations of type {asked.type} are there; " + (
        f"{asked.where} forbids any" if asked.at_most == 0 else f"{asked.where} allows {asked.at_most}"
    )
    return _judgement(Outcome.REJECTED, [Reason(code="attestation-forbidden", message=message)], found)


def _not_all_seen(asked: AttestationsRequired, found: Sightings) -> Judgement | None:
    """A maximum, and what is newest, are known only where all was read.

    Under a maximum any failure leaves it undetermined; else one that is no fault of the bytes.
    """
    if asked.at_most is None and not asked.conditions:
        return None
    unread = [sighting.unread for sighting in found.seen if sighting.unread is not None]
    if asked.at_most is None:  # bytes that are surely not what was listed are no attestation, old or new
        unread = [reason for reason in unread if reason.outcome is Outcome.UNDETERMINED]
    unknown = [signer.failure for sighting in found.seen for signer in sighting.open_to if signer.failure is not None]
    reasons = [*found.failures, *unread, *unknown]
    if not reasons:
        return None
    if any(reason.outcome is Outcome.UNDETERMINED for reason in reasons):
        return _judgement(Outcome.UNDETERMINED, reasons, found)
    if asked.at_most is None:
        return _judgement(Outcome.REJECTED, reasons, found)
    message = f"{asked.where} asks for all attestations, and not all could be read: {reasons[0].message:.300}"
    return _judgement(Outcome.UNDETERMINED, [Reason(code="not-judged", message=message), *reasons], found)


def _newest_unmet(asked: AttestationsRequired, found: Sightings, answers: _Answers, now_s: float) -> Judgement | None:
    """The newest must meet the conditions; where the time of any is not known, all must."""
    proofs = [proof for sighting in found.seen for proof in sighting.counting]
    if not asked.conditions or not proofs or asked.at_least == 0:
        return None
    faults = [fault for proof in _governing(proofs, now_s) if (fault := answers.fault(proof)) is not None]
    return _judgement(Outcome.REJECTED, [*faults, *_reasons(found)], found) if faults else None


def _governing(proofs: list[Proof], now_s: float) -> list[Proof]:
    """Those that must meet a condition: the newest (several of one time count all), or all."""
    times = [_made_at(proof, now_s) for proof in proofs]
    newest = max((time for time in times if time is not None), default=None)
    if any(time is None for time in times):
        return proofs
    return [proof for proof, time in zip(proofs, times, strict=True) if time == newest]


def _enough_attested(
    asked: AttestationsRequired, found: Sightings, answers: _Answers, none: Callable[[], Reason], now_s: float
) -> Judgement:
    """Distinct signers whose own newest attestation meets the conditions, and is not too old."""
    if asked.at_least == 0:
        return Judgement(outcome=Outcome.ACCEPTED, signatures=found.records)
    standing = _standing(found, answers, now_s)
    edges = list(_edges(found.seen, lambda proof: id(proof) in standing and _timely(asked, now_s, proof)))
    counting = [proof for sighting in found.seen for proof in sighting.counting]
    faults = [fault for proof in counting if (fault := answers.fault(proof)) is not None]
    old = [reason for proof in counting if (reason := _untimely(asked, now_s, proof)) is not None]
    shortfalls = [*dict.fromkeys(old), *faults]
    judgement = _quorum(found, edges, asked.at_least, (lambda: shortfalls[0]) if shortfalls else none)
    if judgement.outcome is Outcome.ACCEPTED:
        return judgement
    return _judgement(judgement.outcome, [*shortfalls, *judgement.reasons], found)


def _standing(found: Sightings, answers: _Answers, now_s: float) -> frozenset[int]:
    """The proofs, by identity, that meet the conditions and that their signer did not go back on later."""
    by_signer: dict[object, list[Proof]] = {}
    for sighting in found.seen:
        for proof in sighting.counting:
            by_signer.setdefault(proof.signer.entry, []).append(proof)
    standing = []
    for proofs in by_signer.values():
        if all(answers.fault(proof) is None for proof in _governing(proofs, now_s)):
            standing += [proof for proof in proofs if answers.fault(proof) is None]
    return frozenset(id(proof) for proof in standing)


def _made_at(proof: Proof, now_s: float) -> float | None:
    assert isinstance(proof.found, VerifiedAttestation)  # _of_another_type lets nothing else count
    return made_at(proof.found, now_s)


def _timely(asked: AttestationsRequired, now_s: float, proof: Proof) -> bool:
    return _untimely(asked, now_s, proof) is None


def _untimely(asked: AttestationsRequired, now_s: float, proof: Proof) -> Reason | None:
    """Why a proof does not count for its age: it is older than ``maxAge`` or its key, or that is not known."""
    made_at_s = _made_at(proof, now_s)
    not_before_s = proof.signer.window.not_before_s
    if asked.max_age_s is None and (not_before_s is None or proof.found.signed_at_s is None):
        return None  # a key's window where no time is proven: see ReadySigner.unwanted
    if made_at_s is None:
        timeless = proof.found.signed_at_s is None
        why = "its time is not proven" if timeless else "it states no time that can be read and is not in the future"
    elif asked.max_age_s is not None and now_s - made_at_s > asked.max_age_s:
        why = f"it is older than {asked.max_age_s / 86_400:g} days"
    elif not_before_s is not None and made_at_s < not_before_s:
        why = f"it is older than the notBefore of {proof.signer.name!r:.99}"
    else:
        return None
    return Reason(code="attestation-condition", message=f"{asked.where}: an attestation does not count, {why}")
