"""Verdict: may this image be run, and why (not); and how verdicts of parts combine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NoReturn

from plimsoll.errors import PlimsollError, RejectedError
from plimsoll.model.digest import Digest


class Outcome(Enum):
    """The three answers. UNDETERMINED is never a pass and never looks like a rejection."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNDETERMINED = "undetermined"

    def __bool__(self) -> NoReturn:
        raise TypeError("an Outcome has three values, compare it with one of them")


UNDETERMINED_CODES: Final = frozenset(
    {
        "internal-error",
        "invalid-reference",
        "key-unreadable",
        "not-found",
        "not-judged",
        "rate-limited",
        "server-error",
        "timeout",
        "unauthorized",
        "unreachable",
        "unsupported",
    }
)
"""cli.md, "Undetermined codes": every other code is a rejection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why an image was not accepted: a stable code and a sentence with what was seen."""

    code: str
    message: str

    @property
    def outcome(self) -> Outcome:
        """REJECTED or UNDETERMINED, by the code."""
        return Outcome.UNDETERMINED if self.code in UNDETERMINED_CODES else Outcome.REJECTED

    @classmethod
    def of(cls, error: PlimsollError) -> Reason:
        """The reason that an error gives."""
        return cls(code=error.code, message=str(error))


def all_of(outcomes: Iterable[Outcome]) -> Outcome:
    """Rejected if one is surely unmet, else undetermined if one is undecided, else accepted; none at all: rejected."""
    seen = set(outcomes)
    if not seen or Outcome.REJECTED in seen:
        return Outcome.REJECTED
    return Outcome.UNDETERMINED if Outcome.UNDETERMINED in seen else Outcome.ACCEPTED


def n_of(outcomes: Iterable[Outcome], *, n: int) -> Outcome:
    """Accepted at ``n``; rejected if all undecided ones together could not reach it; else undetermined.

    Raises ValueError for ``n`` below 1: a threshold of nothing accepts everything.
    """
    if n < 1:
        raise ValueError("a threshold is at least 1")
    seen = list(outcomes)
    accepted = seen.count(Outcome.ACCEPTED)
    if accepted >= n:
        return Outcome.ACCEPTED
    return Outcome.UNDETERMINED if accepted + seen.count(Outcome.UNDETERMINED) >= n else Outcome.REJECTED


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureRecord:
    """What a report says of one signature: a plain record, no proof.

    ``key`` is ``sha256:`` and the hash of the key's SPKI where one verified it; ``reason`` says why it does not count.
    ``issuer`` and ``subject`` are those of a certificate that was trusted, ``predicate_type`` is an attestation's, and
    ``signed_at_s`` the proven time of signing in seconds since 1970.
    """

    format: str
    verified: bool
    key: str | None = None
    issuer: str | None = None
    subject: str | None = None
    predicate_type: str | None = None
    signed_at_s: float | None = None
    reason: Reason | None = None

    @property
    def signer(self) -> str | None:
        """What distinct signers are counted by: the key; where a certificate names somebody, that name and issuer."""
        return self.key if self.issuer is None else f"{self.subject}\n{self.issuer}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What judge says of one manifest; ``spent`` is what that cost (``Evidence.spent``)."""

    outcome: Outcome
    reasons: tuple[Reason, ...] = ()
    signatures: tuple[SignatureRecord, ...] = ()
    spent: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One platform's image of an index, judged by itself; or ``inherited``: the index that lists it was accepted.

    What is inherited is that the image was signed for; its layers, where they are read, are still its own.
    """

    digest: Digest
    platform: str
    judgement: Judgement
    inherited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer for one image, with what it rests on and what it cost.

    ``judged`` is "image", "index" or "instances", None where nothing was read. ``digest`` is that of the bytes
    judged, ``pinned`` its immutable name in a registry. ``position`` counts input references from 0. ``requests``
    is everything sent for this image, tokens, redirects and retries too; ``bytes`` is what came back in bodies.
    ``index`` is what the index itself came to, where instances were judged and it counted beside them.
    ``contacted`` are the repositories asked for it, the one that has it last: empty where that is its own alone.
    A Verdict has no truth value.
    """

    image: str
    position: int
    outcome: Outcome
    reasons: tuple[Reason, ...]
    digest: Digest | None = None
    pinned: str | None = None
    judged: str | None = None
    signatures: tuple[SignatureRecord, ...] = ()
    instances: tuple[Instance, ...] | None = None
    index: Judgement | None = None
    contacted: tuple[str, ...] = ()
    requests: int = 0
    bytes: int = 0
    seconds: float = 0.0

    def __bool__(self) -> NoReturn:
        raise TypeError("a Verdict has three outcomes: compare .outcome, or call .raise_unless_accepted()")

    def raise_unless_accepted(self) -> None:
        """Return for an accepted image; raises RejectedError, carrying this verdict, for any other."""
        if self.outcome is Outcome.ACCEPTED:
            return
        why = "; ".join(f"{reason.code}: {reason.message}" for reason in self.reasons) or "no reason was recorded"
        raise RejectedError(f"{self.image} is {self.outcome.value}: {why}", verdict=self)
