"""From what a foreign tool demands of the images of each pattern to rules of which exactly one applies. Pure.

With policy-controller and Kyverno all policies that match an image must be met; of our rules only the longest counts.
So each scope gets the demands of every pattern that may be for one of its images: where the patterns only overlap, that
is more than was asked of some, and never less of any.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from plimsoll.errors import PolicyError, UnreadableKeyError
from plimsoll.limits import POLICY_KEYS, POLICY_RULES
from plimsoll.model.conversion import Effect
from plimsoll.model.trust import parse_pem_key
from plimsoll.policy.conversion import (
    Accepted,
    ConvertedRule,
    KeyEntry,
    SignerEntry,
    Wanted,
    every,
)
from plimsoll.policy.fields import shown
from plimsoll.policy.foreign import Findings
from plimsoll.policy.foreign_patterns import (
    EVERYTHING,
    ImagePattern,
    Syntax,
    Tokens,
    may_be_official,
    meet,
    references_of,
    scopes_of,
)
from plimsoll.policy.plimsoll_signers import checked_reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is ``wanted`` of the images that ``tokens`` match; ``scopes`` say as many of them as ours can.

    ``let_through`` are scopes all of whose images the source passes over here. ``tags_only`` is a
    ScopeReading's, ``may_be_short`` an ImagePattern's.
    """

    tokens: Tokens
    scopes: tuple[str, ...]
    tags_only: bool = False
    may_be_short: bool = True
    let_through: tuple[str, ...] = ()
    wanted: Wanted
    place: str


def read_pattern(
    text: str, place: str, line: int | None, *, syntax: Syntax, registries: tuple[str, ...], findings: Findings
) -> Selection:
    """A pattern with its scopes, nothing being wanted yet; tells which images they leave out. Raises PolicyError."""
    pattern = _pattern(text, place, syntax)
    reading = scopes_of(pattern, registries=registries)
    if not reading.scopes:
        message = f"{shown(text)} has no rule of its own: {reading.lost}; its demands are added to rules it overlaps"
        findings.add(place, Effect.STRICTER, message, line=line)
    elif reading.lost:
        findings.add(place, Effect.STRICTER, f"{shown(text)} without {reading.lost}", line=line)
    return Selection(
        tokens=pattern.tokens,
        scopes=reading.scopes,
        tags_only=reading.tags_only,
        may_be_short=pattern.may_be_short,
        wanted=Accepted(),
        place=place,
    )


def read_exempt(
    text: str, place: str, line: int | None, *, syntax: Syntax, registries: tuple[str, ...], findings: Findings
) -> tuple[str, ...]:
    """Scopes all of whose images are the pattern's, which nobody looks at: none where that is not sure."""
    reading = scopes_of(_pattern(text, place, syntax), registries=registries)
    why = reading.lost
    if reading.tags_only:
        why = "references by digest are not among its images, and would be here"
    elif ":443" in text.partition("/")[0]:
        why = "the same registry without :443 is not among its images, and would be here"
    elif reading.scopes and not (syntax is Syntax.KYVERNO and any(_renamed(scope, text) for scope in reading.scopes)):
        if reading.lost:
            findings.add(place, Effect.STRICTER, f"{shown(text)} exempts fewer: not {reading.lost}", line=line)
        return reading.scopes
    findings.add(place, Effect.STRICTER, f"{shown(text)} exempts nothing here: {why or _HUB}", line=line)
    return ()


_HUB: Final = "Docker Hub's own images have two names there, of which it exempts one"


def _renamed(scope: str, text: str) -> bool:
    if text.partition("/")[0] == "index.docker.io":
        return True
    return may_be_official(scope) and not text.startswith("docker.io/library/")


def _pattern(text: str, place: str, syntax: Syntax) -> ImagePattern:
    try:
        return ImagePattern(text=text, syntax=syntax)
    except PolicyError as error:
        raise PolicyError(f"{place}: {error}") from None


def everywhere(wanted: Wanted, place: str) -> Selection:
    """What is wanted of images that cannot be told apart here: it is added to every rule."""
    return Selection(tokens=EVERYTHING, scopes=(), wanted=wanted, place=place)


def rules_of(selections: Iterable[Selection]) -> tuple[ConvertedRule, ...]:
    """The rules; raises PolicyError for more than ``limits.POLICY_RULES``."""
    listed = tuple(selections)
    if len(listed) > POLICY_KEYS:
        raise PolicyError(f"{len(listed)} patterns of images; at most {POLICY_KEYS}")
    scopes = dict.fromkeys(scope for found in listed for scope in (*found.scopes, *found.let_through))
    if len(scopes) > POLICY_RULES:
        raise PolicyError(f"{len(scopes)} rules would be written; at most {POLICY_RULES}")
    return tuple([_rule(scope, listed) for scope in scopes])


def _rule(scope: str, selections: tuple[Selection, ...]) -> ConvertedRule:
    references = {short: references_of(scope, short=short) for short in (False, True)}
    applying = [
        found
        for found in selections
        if scope not in found.let_through and any(meet(found.tokens, each) for each in references[found.may_be_short])
    ]
    own = [found.place for found in selections if scope in (*found.scopes, *found.let_through)]
    places = tuple(dict.fromkeys((*own, *[found.place for found in applying])))
    wanted = every([found.wanted for found in applying], empty=scope) if applying else Accepted()
    return ConvertedRule(scope=scope, wanted=wanted, places=places)


class Signers:
    """The named signers of a document; equal ones share a name."""

    def __init__(self) -> None:
        self.names: dict[SignerEntry, str] = {}

    def named(self, entry: SignerEntry, hint: str) -> SignerEntry:
        """``entry``, which is called ``hint`` from now on, or much like it."""
        if entry not in self.names:
            base = re.sub(r"[^a-z0-9]+", "-", hint.lower())[:48].strip("-") or "signer"
            name, number, taken = base, 2, set(self.names.values())
            while name in taken:
                name, number = f"{base}-{number}", number + 1
            self.names[entry] = name
        return entry


def read_key(text: str) -> KeyEntry | None:
    """The key that a text in PEM, or a reference that a document may hold, stands for; None where it is neither.

    A key is written anew, so that equal keys are equal entries.
    """
    if "-----BEGIN" not in text:
        try:
            return KeyEntry(reference=checked_reference(text))
        except UnreadableKeyError:
            return None
    lines = [line.strip() for line in text.strip().splitlines()]
    if text.count("-----BEGIN") != 1:
        return None
    try:
        spki = parse_pem_key("\n".join(lines).encode("ascii")).spki
    except (UnreadableKeyError, UnicodeEncodeError):
        return None
    body = base64.b64encode(spki).decode("ascii")
    rows = [body[at : at + 64] for at in range(0, len(body), 64)]
    return KeyEntry(data="\n".join(["-----BEGIN PUBLIC KEY-----", *rows, "-----END PUBLIC KEY-----", ""]))
