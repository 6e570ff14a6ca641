"""What lies at the places of an image, and who of the named signers made it: one Sighting each. Pure.

A place that was not asked is never taken for absent, and a failed one never for absent either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from plimsoll.errors import ContentError, PayloadError, SignatureError
from plimsoll.model.evidence import Absent, Attachment, Evidence, Failed, Found, Needs
from plimsoll.model.verdict import Outcome, Reason, SignatureRecord
from plimsoll.policy.prepare import Ready
from plimsoll.policy.search import places_of, record_of
from plimsoll.policy.signers import ReadySigner
from plimsoll.signatures.formats import Artifact, Family, SignatureFormat, Verified

Unwanted = Callable[[Verified], Reason | None]
"""Why something proven is not what the requirement asks for, None if it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A signer with what it made, proven; ``unwanted`` says why it does not count, None if it does."""

    signer: ReadySigner
    found: Verified
    unwanted: Reason | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One signature or attestation.

    ``faults`` are of the signers that did not make it, or of itself. ``open_to`` are the signers that may have made it:
    their key could not be read, or its bytes not be had; ``unread`` says why what it is could not be had or read.
    """

    number: int
    format: str
    proofs: tuple[Proof, ...] = ()
    faults: tuple[Reason, ...] = ()
    open_to: tuple[ReadySigner, ...] = ()
    unread: Reason | None = None

    @property
    def counting(self) -> tuple[Proof, ...]:
        """The proofs that are what is asked for."""
        return tuple([proof for proof in self.proofs if proof.unwanted is None])

    @property
    def record(self) -> SignatureRecord:
        """What a report says of it: the first proof that counts, else why it does not."""
        if self.counting:
            return record_of(self.counting[0].found, None)
        if self.proofs:
            return record_of(self.proofs[0].found, self.proofs[0].unwanted)
        return SignatureRecord(format=self.format, verified=False, reason=_telling(self.faults))


def _telling(faults: tuple[Reason, ...]) -> Reason:
    """Of what each signer's trust said the most telling: undecided, then anything but that it was somebody else."""
    strangers = ("untrusted-key", "identity-mismatch")
    ranked = sorted(faults, key=lambda reason: (reason.outcome is Outcome.REJECTED, reason.code in strangers))
    return ranked[0] if ranked else Reason(code="untrusted-key", message="by none of the named signers")


@dataclass(slots=True)
class Sightings:
    """All that was seen so far; ``failures`` are of places that gave no usable answer."""

    seen: list[Sighting] = field(default_factory=list)
    failures: list[Reason] = field(default_factory=list)

    @property
    def records(self) -> tuple[SignatureRecord, ...]:
        """A record each."""
        return tuple([sighting.record for sighting in self.seen])


def look(
    signers: tuple[ReadySigner, ...],
    *,
    families: tuple[Family, ...],
    unwanted: Unwanted,
    ready: Ready,
    evidence: Evidence,
    enough: Callable[[Sightings], bool],
) -> Sightings | Needs:
    """Look place by place until ``enough``, which is asked between places and never inside one."""
    found = Sightings()
    eyes = _Eyes(signers=signers, unwanted=unwanted, evidence=evidence)
    for place, signature_format in places_of(families, ready, evidence):
        match evidence.answers.get(place):
            case None:
                return Needs(places=(place,))
            case Absent():
                continue
            case Failed(reason=reason):
                found.failures.append(reason)
            case Found(attachments=attachments):
                spoilt = _spoilt(attachments, signature_format)
                if spoilt is not None:
                    found.failures.append(spoilt)
                    continue
                found.seen += eyes.sightings(attachments, signature_format, start=len(found.seen))
        if enough(found):
            break
    return found


def _spoilt(attachments: tuple[Attachment, ...], signature_format: SignatureFormat[object]) -> Reason | None:
    """As in containers/image one unreadable file spoils a store: nobody knows what it would have said."""
    try:
        for attachment in attachments:
            if attachment.descriptor is None and attachment.failure is None:
                signature_format.parse(attachment)
    except SignatureError as error:
        return Reason.of(error)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Eyes:
    """Whose signatures are looked for, and what must be right about them."""

    signers: tuple[ReadySigner, ...]
    unwanted: Unwanted
    evidence: Evidence

    def sightings(
        self, attachments: tuple[Attachment, ...], signature_format: SignatureFormat[object], *, start: int
    ) -> Iterator[Sighting]:
        """One of each attachment that is of this format."""
        for number, attachment in enumerate(attachments, start):
            sighting = self._sighting(attachment, signature_format, number)
            if sighting is not None:
                yield sighting

    def _sighting(
        self, attachment: Attachment, signature_format: SignatureFormat[object], number: int
    ) -> Sighting | None:
        name = signature_format.name
        if attachment.failure is not None:
            undecided = attachment.failure.outcome is Outcome.UNDETERMINED
            open_to = self.signers if undecided else ()
            failure = attachment.failure
            return Sighting(number=number, format=name, faults=(failure,), open_to=open_to, unread=failure)
        try:
            untrusted = signature_format.parse(attachment)
        except (SignatureError, ContentError) as error:
            return Sighting(number=number, format=name, faults=(Reason.of(error),), unread=_not_judged(error))
        if untrusted is None:
            return None  # of another format: neither for nor against
        proofs: list[Proof] = []
        faults: list[Reason] = []
        unread: Reason | None = None
        for signer in self.signers:
            answer = self._ask(signer, untrusted, signature_format)
            if isinstance(answer, Proof):
                proofs.append(answer)
                continue
            fault = answer if isinstance(answer, Reason) else Reason.of(answer)
            if isinstance(answer, PayloadError) and answer.proven:
                unread = _not_judged(answer)
                faults.insert(0, fault)  # that of its own signer tells most
            else:
                faults.append(fault)
        open_to = tuple([signer for signer in self.signers if signer.failure is not None])
        return Sighting(
            number=number, format=name, proofs=tuple(proofs), faults=tuple(faults), open_to=open_to, unread=unread
        )

    def _ask(
        self, signer: ReadySigner, untrusted: object, signature_format: SignatureFormat[object]
    ) -> Proof | Reason | SignatureError | ContentError:
        if signer.failure is not None:
            return signer.failure
        artifact = Artifact(digests=self.evidence.digests, data=self.evidence.manifest.data)
        try:
            found = signer.verify(untrusted, signature_format, artifact, self.evidence.now_s)
        except (SignatureError, ContentError) as error:
            return error
        unwanted = self.unwanted(found) or signer.unwanted(found, self.evidence.now_s)
        return Proof(signer=signer, found=found, unwanted=unwanted)


def _not_judged(error: SignatureError | ContentError) -> Reason:
    """For who needs to know all: it may say what it is asked for, and be by a signer who is."""
    return Reason(code="not-judged", message=f"it is there and cannot be read: {error}")
