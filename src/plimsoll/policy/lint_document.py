"""lint of a plimsoll document: what it says that its author can hardly mean. Pure; nothing here changes a verdict."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Final

from plimsoll.model.trusted_root import TrustRoot
from plimsoll.model.verdict import Reason
from plimsoll.policy.fields import member, shown, subscript
from plimsoll.policy.lint import Finding, LintWarning, place_findings, policy_findings
from plimsoll.policy.plimsoll_document import PlimsollPolicy, Rule, tie_break
from plimsoll.policy.plimsoll_signers import is_unread
from plimsoll.policy.positions import Positions
from plimsoll.policy.requirements import (
    AcceptAnything,
    AllOf,
    AnyOf,
    AttestationsRequired,
    LogDemand,
    NamedIdentity,
    NamedKey,
    NamedSigner,
    Requirement,
    SignaturesRequired,
)
from plimsoll.policy.signers import ReadKey, ReadySigner, prepare_signer, unread_reference
from plimsoll.policy.stated_times import states_time
from plimsoll.signatures.trust_index import index_root

_FILE: Final = "give a file that holds one public key in PEM and may be read; paths count from the document's folder"
_ELSEWHERE: Final = "run it where verify runs, with the same environment; docs/reference/keys.md says what each needs"


def lint_document(
    policy: PlimsollPolicy,
    *,
    positions: Positions | None = None,
    read_key: ReadKey | None = None,
    read_reference: ReadKey | None = None,
) -> tuple[LintWarning, ...]:
    """All warnings of a document, then those of the policy.json that it extends, at ``extends``.

    With ``read_key`` every key is read too: then equal keys under two names are seen. Those that are no files are left
    out without ``read_reference``.
    """
    return place_findings(_findings(policy, read_key, read_reference), positions)


def _findings(policy: PlimsollPolicy, read_key: ReadKey | None, read_reference: ReadKey | None) -> Iterator[Finding]:
    if all(isinstance(item, AcceptAnything) for item in policy.default):
        message = "every image that no rule matches is accepted unseen: the default verifies nothing"
        yield "default", "accept-anything", message, "write reject, and give rules to what you trust"
    yield from _unused(policy)
    yield from _ties(policy.rules)
    yield from _equal_identities(policy)
    for requirement in _requirements(policy):
        yield from _lint_requirement(requirement)
    if policy.extended is not None:
        yield from _shadowed(policy)
        for place, name, message, hint in policy_findings(policy.extended, read_key):
            if not place.startswith("default"):  # the document's own stands in for it
                yield "extends", name, f"{policy.extended.origin}: {place}: {message}", hint
    if read_key is not None:
        yield from _keys(policy, read_key, read_reference)


def _requirements(policy: PlimsollPolicy) -> Iterator[Requirement]:
    waiting = [*policy.default, *[item for rule in policy.rules for item in rule.requirements]]
    while waiting:
        item = waiting.pop(0)
        yield item
        if isinstance(item, AllOf | AnyOf):
            waiting += item.parts


def _signers(item: Requirement) -> tuple[NamedSigner, ...]:
    return item.signers if isinstance(item, SignaturesRequired | AttestationsRequired) else ()


def _unused(policy: PlimsollPolicy) -> Iterator[Finding]:
    used = {signer.name for item in _requirements(policy) for signer in _signers(item)}
    for name, signer in policy.signers.items():
        if name not in used:
            kind = "key" if isinstance(signer, NamedKey) else "identity"
            message = f"no requirement names the {kind} {shown(name)}"
            yield signer.where, f"{kind}-unused", message, "name it in a `from`, or leave it out"


def _ties(rules: tuple[Rule, ...]) -> Iterator[Finding]:
    by_rank: dict[tuple[int, int, int], list[Rule]] = {}
    for rule in rules:
        by_rank.setdefault(rule.scope.rank, []).append(rule)
    for equal in by_rank.values():
        for best, lesser in combinations(equal, 2):
            if best.scope.meets(lesser.scope):
                why = tie_break(best.scope, lesser.scope) or ""
                message = f"some images match {best.title} too, which applies to them: this one is {why}"
                yield f"{lesser.where}.scope", "scope-tie", message, "make one of the two longer"


def _shadowed(policy: PlimsollPolicy) -> Iterator[Finding]:
    if policy.extended is None:
        return
    for transport, scopes in policy.extended.transports.items():
        for scope in scopes:
            rule = next((rule for rule in policy.rules if rule.scope.covers(transport, scope)), None)
            if rule is not None:
                place = subscript(member("transports", transport), scope)
                message = f"{policy.extended.origin}: {place} never applies: {rule.title} has all its images"
                yield "extends", "scope-shadowed", message, "leave it out there, or make the rule's scope narrower"


def _equal_identities(policy: PlimsollPolicy) -> Iterator[Finding]:
    named = [signer for signer in policy.signers.values() if isinstance(signer, NamedIdentity)]
    for at, signer in enumerate(named):
        twin = next((other for other in named[:at] if other.identity == signer.identity), None)
        if twin is not None:
            message = f"the same identity as {shown(twin.name)}: the two count as one"
            yield signer.where, "identity-duplicate", message, "leave one of them out"


def _lint_requirement(item: Requirement) -> Iterator[Finding]:
    if isinstance(item, AttestationsRequired) and item.log is LogDemand.IGNORED and item.max_age_s is not None:
        yield (
            member(item.where, "maxAge"),
            "age-without-log",
            "an attestation whose time nothing proves is too old: with log: ignore most are",
            "leave log: ignore out, or see that attestations are timestamped",
        )
    yield from _ages_by_key(item)
    for signer in _signers(item):
        if isinstance(signer, NamedKey) and signer.reference is not None and is_unread(signer.reference):
            message = f"the key {shown(signer.name)} lies where none is read from yet: undetermined"
            yield item.where, "key-not-supported", message, "export the public key, and give its path"


def _ages_by_key(item: Requirement) -> Iterator[Finding]:
    """What is old and could come to count for new: a proven time says only "no later than"."""
    keys = [signer for signer in _signers(item) if isinstance(signer, NamedKey)]
    since = [signer for signer in keys if signer.window.not_before_s is not None]
    match item:
        case SignaturesRequired(where=where):
            old, place, keys = "a signature states no time", where, since
        case AttestationsRequired(type=kind, where=where) if item.at_least and not states_time(kind):
            old = f"{kind:.200} states no time that is known here"
            place = where
            if item.max_age_s is not None or item.conditions:
                place = member(where, "where" if item.max_age_s is None else "maxAge")
            else:
                keys = since
        case _:
            return
    if keys:
        message = (
            f"{old}: whoever can write to the registry can have an old one by {shown(keys[0].name)} timestamped "
            "anew, and pass it for a new one"
        )
        hint = "name an identity: its certificates live for minutes; or ask for a type that states its time"
        yield place, "age-by-key", message, hint


def _keys(policy: PlimsollPolicy, read_key: ReadKey, read_reference: ReadKey | None) -> Iterator[Finding]:
    """Keys that cannot be read, and equal ones: at judgement those are one entry."""
    seen: dict[object, str] = {}
    for signer in policy.signers.values():
        if not isinstance(signer, NamedKey):
            continue
        if signer.reference is not None and (read_reference is None or is_unread(signer.reference)):
            continue
        ready = _read(signer, read_key, read_reference)
        if isinstance(ready.failure, Reason):
            yield signer.where, "key-unusable", ready.failure.message, _FILE if signer.reference is None else _ELSEWHERE
        elif ready.entry in seen:
            message = f"the same key as {shown(seen[ready.entry])}: the two count as one, so N of M may never be met"
            yield signer.where, "key-duplicate", message, "leave one of them out"
        else:
            seen[ready.entry] = signer.name


def _read(signer: NamedKey, read_key: ReadKey, read_reference: ReadKey | None) -> ReadySigner:
    return prepare_signer(
        signer,
        log=LogDemand.IGNORED,
        read_key=read_key,
        read_reference=read_reference or unread_reference,
        root=index_root(TrustRoot()),
    )
