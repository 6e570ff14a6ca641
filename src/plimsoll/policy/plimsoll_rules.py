"""The requirements of a plimsoll document, as its rules and its default list them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from plimsoll import limits
from plimsoll.errors import PolicyError, UsageError
from plimsoll.policy.conditions import Condition, compile_condition
from plimsoll.policy.fields import filled_text_at, member, object_at, shown, text_at
from plimsoll.policy.plimsoll_fields import (
    count_at,
    duration_at,
    filled_list_at,
    filled_map_at,
    one_of,
    true_at,
    word_at,
)
from plimsoll.policy.requirements import (
    AcceptAnything,
    AllOf,
    AnyOf,
    AttestationsRequired,
    LogDemand,
    NamedSigner,
    Reject,
    Requirement,
    SignaturesRequired,
)
from plimsoll.policy.slsa import compile_builder, compile_level, compile_source
from plimsoll.signatures.statement import predicate_type_of

REQUIREMENT_MEMBERS: Final = frozenset({"signatures", "attestation", "allOf", "anyOf"})
SIGNATURES_MEMBERS: Final = frozenset({"from", "atLeast", "log", "annotations"})
ATTESTATION_MEMBERS: Final = frozenset(
    {"type", "from", "where", "maxAge", "atLeast", "atMost", "forbidden", "log", "slsa"}
)
SLSA_MEMBERS: Final = frozenset({"builder", "source", "level"})
LOG_WORDS: Final = ("require", "ignore")
LIST_WORDS: Final = ("reject", "insecureAcceptAnything")
"""What may stand in place of a list of requirements."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleReader:
    """Reads requirements that name their signers among ``signers``."""

    signers: Mapping[str, NamedSigner]

    def read_list(self, value: object, where: str) -> tuple[Requirement, ...]:
        """A list of requirements, or one word for all of it; raises PolicyError."""
        if isinstance(value, str):
            word = word_at(value, where, words=LIST_WORDS)
            return (Reject(where=where) if word == "reject" else AcceptAnything(where=where),)
        return self._parts(value, where, depth=0)

    def _parts(self, value: object, where: str, *, depth: int) -> tuple[Requirement, ...]:
        if depth > limits.POLICY_NESTING:
            raise PolicyError(f"{where}: allOf and anyOf more than {limits.POLICY_NESTING} times inside one another")
        listed = filled_list_at(value, where, most=limits.POLICY_KEYS)
        return tuple([self._requirement(entry, f"{where}[{at}]", depth=depth) for at, entry in enumerate(listed)])

    def _requirement(self, value: object, where: str, *, depth: int) -> Requirement:
        fields = object_at(value, where, known=REQUIREMENT_MEMBERS, needed=frozenset())
        name = one_of(fields, where, names=tuple(sorted(REQUIREMENT_MEMBERS)))
        inner, place = fields[name], member(where, name)
        match name:
            case "allOf":
                return AllOf(parts=self._parts(inner, place, depth=depth + 1), where=place)
            case "anyOf":
                return AnyOf(parts=self._parts(inner, place, depth=depth + 1), where=place)
            case "signatures":
                return self._signatures(inner, place)
            case _:
                return self._attestation(inner, place)

    def _signatures(self, value: object, where: str) -> SignaturesRequired:
        fields = object_at(value, where, known=SIGNATURES_MEMBERS, needed=frozenset({"from"}))
        signers = self._from(fields["from"], member(where, "from"))
        return SignaturesRequired(
            signers=signers,
            at_least=_at_least(fields, where, most=len(signers)),
            log=_log(fields, where),
            annotations=_annotations(fields["annotations"], member(where, "annotations"))
            if "annotations" in fields
            else (),
            where=where,
        )

    def _attestation(self, value: object, where: str) -> AttestationsRequired:
        fields = object_at(value, where, known=ATTESTATION_MEMBERS, needed=frozenset({"type", "from"}))
        signers = self._from(fields["from"], member(where, "from"))
        predicate_type = _type(fields["type"], member(where, "type"))
        at_least, at_most = _counts(fields, where, most=len(signers))
        return AttestationsRequired(
            type=predicate_type,
            signers=signers,
            at_least=at_least,
            at_most=at_most,
            conditions=_conditions(fields, where, predicate_type),
            max_age_s=duration_at(fields["maxAge"], member(where, "maxAge")) if "maxAge" in fields else None,
            log=_log(fields, where),
            where=where,
        )

    def _from(self, value: object, where: str) -> tuple[NamedSigner, ...]:
        found: dict[str, NamedSigner] = {}
        for at, entry in enumerate(filled_list_at(value, where, most=limits.POLICY_SIGNERS)):
            place = f"{where}[{at}]"
            name = filled_text_at(entry, place)
            if name not in self.signers:
                known = ", ".join(shown(each) for each in list(self.signers)[:16]) or "none"
                raise PolicyError(f"{place}: {shown(name)} is neither in keys nor in identities; those are: {known}")
            if name in found:
                raise PolicyError(f"{place}: {shown(name)} twice: an entry counts once")
            found[name] = self.signers[name]
        return tuple(found.values())


def _at_least(fields: Mapping[str, object], where: str, *, most: int) -> int:
    if "atLeast" not in fields:
        return 1
    place = member(where, "atLeast")
    found = count_at(fields["atLeast"], place)
    if found > most:
        raise PolicyError(f"{place}: {found} of {most} can never be met: from has {most}")
    return found


def _counts(fields: Mapping[str, object], where: str, *, most: int) -> tuple[int, int | None]:
    """``atLeast`` and ``atMost``; ``forbidden`` is 0 and 0, and leaves no room for the others."""
    if "forbidden" in fields:
        true_at(fields["forbidden"], member(where, "forbidden"))
        for name in ("atLeast", "atMost", "maxAge"):
            if name in fields:
                raise PolicyError(f"{member(where, name)}: what is forbidden has no {name}")
        return 0, 0
    at_least = _at_least(fields, where, most=most)
    if "atMost" not in fields:
        return at_least, None
    place = member(where, "atMost")
    at_most = count_at(fields["atMost"], place)
    if at_most < at_least:
        raise PolicyError(f"{place}: at most {at_most} and at least {at_least} can never be met")
    return at_least, at_most


def _log(fields: Mapping[str, object], where: str) -> LogDemand:
    word = word_at(fields.get("log", "require"), member(where, "log"), words=LOG_WORDS)
    return LogDemand.IGNORED if word == "ignore" else LogDemand.REQUIRED


def _annotations(value: object, where: str) -> tuple[tuple[str, str], ...]:
    return tuple([(name, text_at(found, member(where, name))) for name, found in filled_map_at(value, where).items()])


def _type(value: object, where: str) -> str:
    try:
        return predicate_type_of(filled_text_at(value, where))
    except UsageError as error:
        raise PolicyError(f"{where}: {error}") from None


def _conditions(fields: Mapping[str, object], where: str, predicate_type: str) -> tuple[Condition, ...]:
    found = []
    if "where" in fields:
        place = member(where, "where")
        found.append(compile_condition(filled_text_at(fields["where"], place), where=place))
    if "slsa" in fields:
        found += _slsa(fields["slsa"], member(where, "slsa"), predicate_type)
    return tuple(found)


def _slsa(value: object, where: str, predicate_type: str) -> list[Condition]:
    fields = object_at(filled_map_at(value, where), where, known=SLSA_MEMBERS, needed=frozenset())
    found = []
    for name, compiled in (("builder", compile_builder), ("source", compile_source)):
        if name in fields:
            place = member(where, name)
            text = filled_text_at(fields[name], place)
            found.append(compiled(text, predicate_type=predicate_type, where=place))
    if "level" in fields:
        place = member(where, "level")
        level = count_at(fields["level"], place)
        found.append(compile_level(level, predicate_type=predicate_type, where=place))
    return found
