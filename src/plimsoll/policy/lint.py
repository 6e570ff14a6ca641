"""lint: what a policy says that its author can hardly mean, found by reading it; no image is asked for. Pure.

Nothing here changes a verdict: a policy with warnings is a valid policy (docs/reference/policy-command.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from plimsoll.model.reference import SKOPEO_TRANSPORTS
from plimsoll.model.verdict import Reason
from plimsoll.policy.fields import member, shown, subscript
from plimsoll.policy.identity import ExactReference, ExactRepository, MatchExact, MatchRepoDigestOrExact
from plimsoll.policy.lint_scopes import lint_scopes
from plimsoll.policy.positions import Position, Positions
from plimsoll.policy.prepare import prepare
from plimsoll.policy.requirements import (
    AcceptAnything,
    KeySource,
    KeyType,
    Policy,
    Reject,
    Requirement,
    SignedBaseLayer,
    SignedBy,
    SigstoreSigned,
)
from plimsoll.policy.signers import ReadKey
from plimsoll.signatures.openpgp import GpgTrust

_NAMELESS: Final = frozenset({"dir", "oci", "oci-archive", "sif", "tarball"})
"""Transports that give an image no docker name (containers-policy.json(5), "signedIdentity")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LintWarning:
    """One finding: where in the policy, a stable kebab-case code, what is so, and what to do.

    ``position`` is that of what was written there, or of what it would stand in; None where the text was not given.
    """

    place: str
    code: str
    message: str
    hint: str
    position: Position | None = None


def lint(policy: Policy, *, text: bytes | None = None, read_key: ReadKey | None = None) -> tuple[LintWarning, ...]:
    """All warnings of ``policy``: of its default, then transport by transport.

    ``text`` is what the policy was read from: with it each has a position. With ``read_key`` every key and certificate
    that the policy names is read too; without, no file is touched.
    """
    return place_findings(policy_findings(policy, read_key), None if text is None else Positions(text))


Finding = tuple[str, str, str, str]
"""A LintWarning's place, code, message and hint."""


def place_findings(findings: Iterable[Finding], positions: Positions | None) -> tuple[LintWarning, ...]:
    """``findings`` as warnings, with the positions of their places where those are known."""
    return tuple(
        [
            LintWarning(
                place=place,
                position=None if positions is None else positions.of(place),
                code=name,
                message=message,
                hint=hint,
            )
            for place, name, message, hint in findings
        ]
    )


def policy_findings(policy: Policy, read_key: ReadKey | None) -> Iterator[Finding]:
    """What ``lint`` says of a policy.json."""
    yield from _accepting(policy.default, "default", "every image that no scope matches")
    yield from _lint_list(policy.default, transport=None, read_key=read_key)
    for transport, scopes in policy.transports.items():
        where = member("transports", transport)
        if transport not in SKOPEO_TRANSPORTS:
            known = ", ".join(sorted(SKOPEO_TRANSPORTS))
            yield where, "transport-unknown", f"no transport is called {shown(transport)}", f"known: {known}"
        for scope, name, message, hint in lint_scopes(transport, tuple(scopes)):
            yield subscript(where, scope), name, message, hint
        for scope, requirements in scopes.items():
            if scope == "":
                yield from _accepting(
                    requirements, subscript(where, scope), f"every image of {transport} that no other scope matches"
                )
            yield from _lint_list(requirements, transport=transport, read_key=read_key)


def _accepting(requirements: tuple[Requirement, ...], where: str, whose: str) -> Iterator[Finding]:
    if all(isinstance(item, AcceptAnything) for item in requirements):
        yield (
            where,
            "accept-anything",
            f"{whose} is accepted unseen: this list verifies nothing",
            'write [{"type": "reject"}] here, and give scopes to what you trust',
        )


def _lint_list(
    requirements: tuple[Requirement, ...], *, transport: str | None, read_key: ReadKey | None
) -> Iterator[Finding]:
    for item in requirements:
        if len(requirements) > 1:
            yield from _beside_others(item)
        yield from _lint_requirement(item, transport)
        if read_key is not None:
            yield from _check_keys(item, read_key)


def _beside_others(item: Requirement) -> Iterator[Finding]:
    if isinstance(item, Reject):
        yield (
            item.where,
            "reject-beside-others",
            "all requirements of a list must be met, so no image meets this one",
            "leave reject out, or leave out the others",
        )
    if isinstance(item, AcceptAnything):
        yield (
            item.where,
            "accept-beside-others",
            "all requirements of a list must be met: this one adds nothing, and it is no alternative to the others",
            "leave it out",
        )


def _lint_requirement(item: Requirement, transport: str | None) -> Iterator[Finding]:
    match item:
        case SignedBaseLayer():
            yield (
                item.where,
                "never-satisfied",
                "no image satisfies signedBaseLayer, in skopeo neither",
                "leave it out, or write reject if that is meant",
            )
        case SignedBy():
            yield from _lint_signed_by(item)
            yield from _lint_identity(item, transport)
        case SigstoreSigned():
            yield from _lint_identity(item, transport)
        case _:
            return


def _lint_signed_by(item: SignedBy) -> Iterator[Finding]:
    if item.key_type is not KeyType.GPG_KEYS:
        yield (
            member(item.where, "keyType"),
            "key-type-not-implemented",
            f"nobody implements {item.key_type.value}: skopeo rejects such images, plimsoll leaves them undetermined",
            f"use {KeyType.GPG_KEYS.value}",
        )
    if not item.keys.paths and not item.keys.data:
        yield item.keys.where, "never-satisfied", "the list of keys is empty: no image satisfies it", "name a key"


def _lint_identity(item: SignedBy | SigstoreSigned, transport: str | None) -> Iterator[Finding]:
    place = member(item.where, "signedIdentity")
    if transport in _NAMELESS and not isinstance(item.identity, ExactReference | ExactRepository):
        yield (
            place,
            "identity-never-matches",
            f"images of {transport} have no docker name, and this identity needs one: no image satisfies it",
            "use exactReference or exactRepository",
        )
    elif isinstance(item, SigstoreSigned) and isinstance(item.identity, MatchExact | MatchRepoDigestOrExact):
        yield (
            place,
            "identity-needs-a-tag",
            "cosign signs names without a tag, which this identity (it is also the default) never accepts",
            'write {"type": "matchRepository"}, unless you sign with skopeo or podman',
        )


def _check_keys(item: Requirement, read_key: ReadKey) -> Iterator[Finding]:
    (ready,) = prepare((item,), read_key=read_key, trust_root=None, attachments=False).requirements
    problem = None
    if isinstance(ready.trust, Reason) and ready.trust.code != "unsupported":
        problem = ready.trust.message
    elif isinstance(item, SignedBy) and isinstance(ready.trust, GpgTrust) and item.keys != KeySource():
        problem = None if ready.trust.keyring.fingerprints else f"the keyrings of {item.keys.where} hold no key"
    if problem is not None:
        yield (
            item.where,
            "key-unusable",
            problem,
            "give a file that holds such keys and may be read; relative paths count from the working directory",
        )
