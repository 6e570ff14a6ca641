"""What a foreign policy is converted into, before it is written: named signers, requirements, rules. Pure.

A requirement that lost something is ``Refused``, which no image meets. Of alternatives a refused one is dropped, of
what must all be met one is enough to refuse the whole: a loss only ever makes a policy stricter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import comb
from typing import Final, TypeAlias

from plimsoll.model.conversion import Finding
from plimsoll.model.identity import TextMatch
from plimsoll.model.trust import HashName

COMBINATIONS: Final = 64
"""N of M that are no plain signers is written out as any of so many all-ofs at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEntry:
    """A key of the document: ``path``, ``data`` (PEM) or ``reference`` (its name in a KMS)."""

    path: str | None = None
    data: str | None = None
    reference: str | None = None
    hash_name: HashName = "sha256"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityEntry:
    """An identity of the document."""

    issuer: TextMatch
    subject: TextMatch
    claims: tuple[tuple[str, TextMatch], ...] = ()


SignerEntry: TypeAlias = KeyEntry | IdentityEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """Met by every image: the source lets it through unseen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Met by no image; ``places`` say what in the source led to it."""

    places: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """Signatures by ``at_least`` of ``signers``."""

    signers: tuple[SignerEntry, ...]
    at_least: int = 1
    log_ignored: bool = False
    annotations: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attested:
    """An attestation of ``type`` by one of ``signers`` that meets ``where``, a CEL condition."""

    type: str
    signers: tuple[SignerEntry, ...]
    where: str | None = None
    log_ignored: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """All of ``parts``, two at least."""

    parts: tuple[Wanted, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Either:
    """One of ``parts``, two at least."""

    parts: tuple[Wanted, ...]


Wanted: TypeAlias = Accepted | Refused | Signed | Attested | Every | Either


def every(parts: Iterable[Wanted], *, empty: str) -> Wanted:
    """All of ``parts``; none at all is refused, and ``empty`` is the place that has none."""
    flat = _flattened(parts, Every)
    refused = [part for part in flat if isinstance(part, Refused)]
    if refused or not flat:
        places = [place for part in refused for place in part.places]
        return Refused(places=tuple(dict.fromkeys(places)) or (empty,))
    left = [part for part in flat if not isinstance(part, Accepted)]
    if not left:
        return Accepted()
    return left[0] if len(left) == 1 else Every(parts=tuple(left))


def either(parts: Iterable[Wanted], *, empty: str) -> Wanted:
    """One of ``parts``; none at all is refused, and ``empty`` is the place that has none."""
    flat = _flattened(parts, Either)
    left = [part for part in flat if not isinstance(part, Refused)]
    if not left:
        places = [place for part in flat if isinstance(part, Refused) for place in part.places]
        return Refused(places=tuple(dict.fromkeys(places)) or (empty,))
    if any(isinstance(part, Accepted) for part in left):
        return Accepted()
    merged = _merged(left)
    return merged[0] if len(merged) == 1 else Either(parts=tuple(merged))


def some(parts: tuple[Wanted, ...], *, count: int, empty: str) -> Wanted:
    """``count`` of ``parts``, each judged by itself; refused where that would be written out at too great a length."""
    if not parts or not 1 <= count <= len(parts):
        return Refused(places=(empty,))
    if count == 1:
        return either(parts, empty=empty)
    if count == len(parts):
        return every(parts, empty=empty)
    able = tuple([part for part in parts if not isinstance(part, Refused)])
    if count > len(able):
        return every(parts, empty=empty)
    if comb(len(able), count) > COMBINATIONS:
        return Refused(places=(empty,))
    return either([every(chosen, empty=empty) for chosen in combinations(able, count)], empty=empty)


def signers_of(wanted: Wanted) -> Iterator[SignerEntry]:
    """All signers that it names, one perhaps more than once."""
    match wanted:
        case Signed(signers=signers) | Attested(signers=signers):
            yield from signers
        case Every(parts=parts) | Either(parts=parts):
            for part in parts:
                yield from signers_of(part)
        case _:
            return


def _flattened(parts: Iterable[Wanted], kind: type[Every | Either]) -> list[Wanted]:
    flat: list[Wanted] = []
    for part in parts:
        for inner in part.parts if isinstance(part, kind) else (part,):
            if inner not in flat:
                flat.append(inner)
    return flat


def _merged(parts: Sequence[Wanted]) -> list[Wanted]:
    """Alternatives that differ in the signer only are one ``from``: shorter, and the same."""
    merged: list[Wanted] = []
    for part in parts:
        last = merged[-1] if merged else None
        if (
            isinstance(part, Signed)
            and isinstance(last, Signed)
            and part.at_least == last.at_least == 1
            and (part.log_ignored, part.annotations) == (last.log_ignored, last.annotations)
        ):
            signers = tuple(dict.fromkeys((*last.signers, *part.signers)))
            merged[-1] = Signed(signers=signers, log_ignored=part.log_ignored, annotations=part.annotations)
        else:
            merged.append(part)
    return merged


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertedRule:
    """A rule: ``scope`` as the document writes it, and the places in the source that it comes from."""

    scope: str
    wanted: Wanted
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """A converted policy: the document's parts, and all that was found on the way. Its default is reject."""

    rules: tuple[ConvertedRule, ...]
    findings: tuple[Finding, ...]
    names: Mapping[SignerEntry, str] = field(default_factory=dict)
