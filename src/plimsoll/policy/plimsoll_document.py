"""A plimsoll policy document (``apiVersion: plimsoll/v1``) read strictly, and which of its lists applies to an image.

docs/reference/plimsoll-policy.md has every key. The document comes as values: who read it, from JSON or YAML, has
refused duplicate keys. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from plimsoll import limits
from plimsoll.errors import PolicyError
from plimsoll.model.location import Location
from plimsoll.policy.fields import filled_text_at, list_at, map_at, object_at, shown, text_at
from plimsoll.policy.plimsoll_rules import RuleReader
from plimsoll.policy.plimsoll_signers import parse_signers
from plimsoll.policy.requirements import NamedSigner, Policy, Requirement
from plimsoll.policy.scope import Selected, select
from plimsoll.policy.scope_globs import Scope, parse_scope

API_VERSION: Final = "plimsoll/v1"
DOCUMENT_MEMBERS: Final = frozenset({"apiVersion", "extends", "keys", "identities", "rules", "default"})
RULE_MEMBERS: Final = frozenset({"scope", "require"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The requirements for the images of one scope; ``where`` is the rule's place in the document."""

    scope: Scope
    requirements: tuple[Requirement, ...]
    where: str

    @property
    def title(self) -> str:
        """What reports and explanations call it."""
        return f"{self.where} {self.scope.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlimsollPolicy:
    """A document read in full; ``extended`` is the policy.json that ``extends`` names.

    ``digest`` is ``sha256:`` and the hash of the document's bytes (where it extends a policy.json: of both files'
    digests, a line each), ``origin`` says where they came from.
    """

    signers: Mapping[str, NamedSigner]
    rules: tuple[Rule, ...]
    default: tuple[Requirement, ...]
    extended: Policy | None
    digest: str
    origin: str


def extended_path(value: object) -> str | None:
    """The path of the policy.json that a document extends, as it is written there; raises PolicyError."""
    fields = map_at(value, "")
    return filled_text_at(fields["extends"], "extends") if "extends" in fields else None


def parse_plimsoll(value: object, *, folder: str, extended: Policy | None, digest: str, origin: str) -> PlimsollPolicy:
    """Read a document's values; ``folder`` is where its relative paths count from, an absolute path.

    ``extended`` is what ``extended_path`` named, read. Raises PolicyError naming the place and what is wrong there.
    """
    extended_path(value)
    fields = object_at(value, "the document", known=DOCUMENT_MEMBERS, needed=frozenset({"apiVersion"}))
    version = text_at(fields["apiVersion"], "apiVersion")
    if version != API_VERSION:
        raise PolicyError(f"apiVersion: {shown(version)} is not known here; known: {API_VERSION}")
    if "default" not in fields:
        raise PolicyError('"default" is missing: it says what holds for images that no rule matches')
    signers = parse_signers(fields, folder=folder)
    reader = RuleReader(signers=signers)
    return PlimsollPolicy(
        signers=signers,
        rules=_rules(fields.get("rules", []), reader, folder=folder),
        default=reader.read_list(fields["default"], "default"),
        extended=extended,
        digest=digest,
        origin=origin,
    )


def _rules(value: object, reader: RuleReader, *, folder: str) -> tuple[Rule, ...]:
    listed = list_at(value, "rules")
    if len(listed) > limits.POLICY_RULES:
        raise PolicyError(f"rules: {len(listed)} entries; at most {limits.POLICY_RULES}")
    found: dict[Scope, Rule] = {}
    for at, entry in enumerate(listed):
        where = f"rules[{at}]"
        fields = object_at(entry, where, known=RULE_MEMBERS, needed=RULE_MEMBERS)
        scope = parse_scope(filled_text_at(fields["scope"], f"{where}.scope"), where=f"{where}.scope", folder=folder)
        if scope in found:
            raise PolicyError(f"{where}.scope: {found[scope].where} has this scope already, and lists never merge")
        requirements = reader.read_list(fields["require"], f"{where}.require")
        found[scope] = Rule(scope=scope, requirements=requirements, where=where)
    return tuple(found.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The list that applies; ``by_policy_json`` says that a policy.json has it: there registries.d has its say."""

    selected: Selected
    by_policy_json: bool = False


def choose(policy: PlimsollPolicy, location: Location) -> Chosen:
    """The one list for an image there: the longest matching rule; else the extended policy.json's scope; else default.

    What the image matches too and does not apply is ``passed_over``, with the reason where it was a tie.
    """
    matching = sorted(
        (rule for rule in policy.rules if rule.scope.matches(location)), key=lambda rule: rule.scope.rank, reverse=True
    )
    passed_over: list[str] = []
    inherited = None
    if policy.extended is not None:
        found = select(policy.extended, location)
        inherited = found if found.scope != "default" else None
    if matching:
        best, *others = matching
        passed_over += [_beaten(best, rule) for rule in others]
        passed_over += [] if inherited is None else [f"{_extended(policy)}: {inherited.scope}"]
        return Chosen(
            selected=Selected(requirements=best.requirements, scope=best.title, passed_over=(*passed_over, "default"))
        )
    if inherited is not None:
        lesser = [f"{_extended(policy)}: {scope}" for scope in inherited.passed_over if scope != "default"]
        selected = Selected(
            requirements=inherited.requirements,
            scope=f"{_extended(policy)}: {inherited.scope}",
            passed_over=(*lesser, "default"),
        )
        return Chosen(selected=selected, by_policy_json=True)
    return Chosen(selected=Selected(requirements=policy.default, scope="default", passed_over=()))


def _extended(policy: PlimsollPolicy) -> str:
    return "extended policy" if policy.extended is None else policy.extended.origin


def tie_break(best: Scope, other: Scope) -> str | None:
    """Why ``best`` wins over an ``other`` that is just as long; None where it is longer."""
    if best.literal != other.literal:
        return None
    if best.deep != other.deep:
        return "as long, but with **"
    if best.rank != other.rank:
        return "as long, but with more *"
    return "as long, and later in the document"


def _beaten(best: Rule, other: Rule) -> str:
    why = tie_break(best.scope, other.scope)
    return other.title if why is None else f"{other.title} ({why})"
