"""search: place by place for signatures that meet one requirement, stopping between places and never inside one.

Pure, as judge is. A place that was not asked is never taken for absent, and a failed one never for absent either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from plimsoll.errors import ContentError, SignatureError
from plimsoll.model.evidence import Absent, Attachment, Evidence, Failed, Found, Needs, Place, StorePlace
from plimsoll.model.verdict import Judgement, Outcome, Reason, SignatureRecord
from plimsoll.policy.prepare import Ready
from plimsoll.policy.quorum import Count, Edge, count_entries
from plimsoll.signatures.formats import Artifact, Family, SignatureFormat, Trust, Verified, VerifiedAttestation

Claims = Callable[[Verified], Reason | None]
"""Whether a proven signature or attestation says what the requirement wants: None if so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Who is trusted, what a good signature must also say, and how many distinct signers are needed.

    ``families`` are those whose places are asked, in this order; ``wanted`` is what a message calls what is missing.
    """

    trust: Trust | Reason | None
    claims: Claims
    threshold: int
    families: tuple[Family, ...] = ("sigstore",)
    wanted: Literal["signature", "attestation"] = "signature"


@dataclass(slots=True)
class Tally:
    """What the places asked so far hold."""

    records: list[SignatureRecord]
    failures: list[Reason]
    edges: list[Edge]
    undecided: int = 0

    def signers(self, *, enough: int) -> Count:
        """How many of the trusted keys or identities signed, each counted once and by a signer of its own."""
        if enough == 1:
            met = min(1, len(self.edges))
            return Count(least=met, most=met)
        return count_entries(self.edges, enough=enough)


def search(question: Question, ready: Ready, evidence: Evidence) -> Judgement | Needs:
    """Search place by place; stop between places when enough distinct signers signed, never inside one."""
    tally = Tally(records=[], failures=[], edges=[])
    for place, signature_format in places_of(question.families, ready, evidence):
        answer = evidence.answers.get(place)
        match answer:
            case None:
                return Needs(places=(place,))
            case Absent():
                continue
            case Failed(reason=reason):
                tally.failures.append(reason)
            case Found(attachments=attachments):
                _try_all(attachments, signature_format, question, evidence, tally)
        if tally.signers(enough=question.threshold).least >= question.threshold:
            return Judgement(outcome=Outcome.ACCEPTED, signatures=tuple(tally.records))
    return _unmet(question, tally, ready, evidence)


def places_of(
    families: tuple[Family, ...], ready: Ready, evidence: Evidence
) -> Iterator[tuple[Place, SignatureFormat[object]]]:
    """The places to ask, in order: tags first; then the store, where any format may lie."""
    formats = [item for family in families for item in ready.formats if item.family == family]
    if ready.attachments:
        for signature_format in formats:
            for place in signature_format.places(evidence.digests):
                yield place, signature_format
    if ready.store is not None:
        store = StorePlace(base=ready.store, digest=evidence.manifest.digest)
        for signature_format in formats:
            yield store, signature_format


def _try_all(
    attachments: tuple[Attachment, ...],
    signature_format: SignatureFormat[object],
    question: Question,
    evidence: Evidence,
    tally: Tally,
) -> None:
    stored = [item for item in attachments if item.descriptor is None and item.failure is None]
    try:
        # As in containers/image one unreadable file spoils a store: nobody knows what it would have said.
        for attachment in stored:
            signature_format.parse(attachment)
    except SignatureError as error:
        tally.failures.append(Reason.of(error))
        return
    for attachment in attachments:
        _try(attachment, signature_format, question, evidence, tally)


def _try(
    attachment: Attachment,
    signature_format: SignatureFormat[object],
    question: Question,
    evidence: Evidence,
    tally: Tally,
) -> None:
    """Try one signature; what comes of it is a record, never an exception."""
    name = signature_format.name
    if attachment.failure is not None:
        _note(tally, SignatureRecord(format=name, verified=False, reason=attachment.failure))
        return
    try:
        untrusted = signature_format.parse(attachment)
        if untrusted is None:
            return  # of another format: neither for nor against
        if question.trust is None or isinstance(question.trust, Reason):
            reason = question.trust or Reason(code="unsupported", message="no trust was prepared")
            _note(tally, SignatureRecord(format=name, verified=False, reason=reason))
            return
        artifact = Artifact(digests=evidence.digests, data=evidence.manifest.data)
        found = signature_format.verify(untrusted, question.trust, artifact, evidence.now_s)
    except (SignatureError, ContentError) as error:
        _note(tally, SignatureRecord(format=name, verified=False, reason=Reason.of(error)))
        return
    unwanted = question.claims(found)
    if unwanted is None:
        tally.edges += _edges(found, number=len(tally.records))
    _note(tally, record_of(found, unwanted))


def _edges(found: Verified, *, number: int) -> Iterator[Edge]:
    """Which of the trusted keys, or identities, this signature may count for."""
    certified = found.certified
    if certified is None:
        yield Edge(entry=found.key, signature=number, key=found.key)
        return
    for identity in certified.matched:
        yield Edge(entry=identity, signature=number, key=found.key, pair=(certified.issuer, certified.subject))


def record_of(found: Verified, unwanted: Reason | None) -> SignatureRecord:
    """The record of something proven; ``unwanted`` says why it does not count, None if it does."""
    certified = found.certified
    return SignatureRecord(
        format=found.format,
        verified=unwanted is None,
        key=found.key,
        issuer=None if certified is None else certified.issuer,
        subject=None if certified is None else certified.subject,
        predicate_type=found.statement.predicate_type if isinstance(found, VerifiedAttestation) else None,
        signed_at_s=found.signed_at_s,
        reason=unwanted,
    )


def _note(tally: Tally, record: SignatureRecord) -> None:
    tally.records.append(record)
    if record.reason is not None and record.reason.outcome is Outcome.UNDETERMINED:
        tally.undecided += 1


def _unmet(question: Question, tally: Tally, ready: Ready, evidence: Evidence) -> Judgement:
    reasons = [record.reason for record in tally.records if record.reason is not None] + tally.failures
    unknown = any(reason.outcome is Outcome.UNDETERMINED for reason in tally.failures)
    met = tally.signers(enough=question.threshold)
    undecided = unknown or met.most + tally.undecided >= question.threshold
    outcome = Outcome.UNDETERMINED if undecided else Outcome.REJECTED
    explained = any(reason.outcome is outcome for reason in reasons)
    if met.least or (reasons and not explained):
        reasons.insert(
            0,
            Reason(
                code="threshold-not-met",
                message=f"signed by {met.least} of the trusted keys, {question.threshold} are required",
            ),
        )
    elif not reasons:
        reasons.append(none_found(question.wanted, question.families, ready, evidence))
    ranked = sorted(reasons, key=lambda reason: reason.outcome is not outcome)
    return Judgement(outcome=outcome, reasons=tuple(dict.fromkeys(ranked)), signatures=tuple(tally.records))


def none_found(
    wanted: Literal["signature", "attestation"], families: tuple[Family, ...], ready: Ready, evidence: Evidence
) -> Reason:
    """Why there is none: which places were looked at, and which were not."""
    where = []
    if ready.attachments:
        where.append(_looked_at(families))
    elif evidence.location.transport == "docker":
        where.append("registries.d does not say use-sigstore-attachments: true here, so none is looked for on tags")
    else:
        where.append(f"{evidence.location.transport}: has no attached ones under a policy.json (as in skopeo)")
    if ready.store is not None:
        shown = ready.store.partition("?")[0]  # a query may be a secret
        # A registry that keeps signatures itself was asked in the lookaside's stead.
        store = f"below {shown}, or by the registry itself where it keeps them" if shown else "beside the image"
        where.append(f"none of the kind it asks for is stored {store}")
    if wanted == "attestation":
        return Reason(code="no-attestation", message=f"an attestation is required; {'; '.join(where)}")
    return Reason(code="no-signature", message=f"a signature is required; {'; '.join(where)}")


_PLACES: Final[dict[Family, str]] = {
    "sigstore": "no .sig tag lists one",
    "openpgp": "no tag lists OpenPGP signatures",
    "bundle": "no bundle refers to the image",
    "attestation": "no .att tag lists one",
}


def _looked_at(families: tuple[Family, ...]) -> str:
    return " and ".join([_PLACES[family] for family in families])
