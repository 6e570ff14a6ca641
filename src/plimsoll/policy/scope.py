"""Scope: which one list of a policy's requirements applies to an image, and which scopes a policy may hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from plimsoll.model.location import Location, locate_respelled
from plimsoll.policy.fields import member, subscript
from plimsoll.policy.requirements import Policy, Requirement


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """The list that applies.

    ``scope`` is the place of that list in the policy: ``transports.docker["host/ns"]``, or ``default``.
    ``passed_over`` are the places of the lists that the image matches too and that do not apply, since they are less
    specific; the most specific first.
    """

    requirements: tuple[Requirement, ...]
    scope: str
    passed_over: tuple[str, ...]


def select(policy: Policy, location: Location) -> Selected:
    """Choose by the first of: the image's identity, its parents in order, the whole transport, the policy's default.

    containers-policy.json(5), "TRANSPORTS AND SCOPES": lists never add up. With one exception, stricter than skopeo:
    where the registry's name in its plain spelling has a more specific list than the name as written (``LOCALHOST``,
    ``registry.example:443``), both lists must be met (ADR 0007).
    """
    written, *others = _matching(policy, location)
    respelled = locate_respelled(location)
    plain = _matching(policy, respelled)[0] if respelled is not None else written
    if plain.rank > written.rank or plain.place == written.place:
        return Selected(
            requirements=written.requirements, scope=written.place, passed_over=tuple([other.place for other in others])
        )
    return Selected(
        requirements=plain.requirements + written.requirements,
        scope=f"{plain.place} and {written.place}",
        passed_over=tuple([other.place for other in others]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Match:
    rank: int
    place: str
    requirements: tuple[Requirement, ...]


def _matching(policy: Policy, location: Location) -> list[_Match]:
    """All lists that the image matches, the most specific first; the last is the default."""
    scopes = policy.transports.get(location.transport, {})
    named = dict.fromkeys((location.identity, *location.parents, ""))  # an identity "" is the whole transport's
    where = member("transports", location.transport)
    found = [
        _Match(rank=rank, place=subscript(where, scope), requirements=scopes[scope])
        for rank, scope in enumerate(named)
        if scope in scopes
    ]
    return [*found, _Match(rank=len(named), place="default", requirements=policy.default)]


def is_scope(transport: str, scope: str) -> bool:
    """Whether a policy may hold ``scope`` for ``transport``; containers/image refuses the whole file otherwise.

    ``""`` is good for every transport, and so is any scope of a transport that is not known.
    """
    allows = _SCOPES.get(transport)
    return scope == "" or allows is None or allows(scope)


def scope_hint(transport: str) -> str:
    """How a scope of ``transport`` is written, for the message that refuses one."""
    return _HINTS.get(_SCOPES.get(transport, _nothing), 'only "" is a scope here')


_ATOMIC = re.compile(r"[^/]*(?:/[^:/]*(?:/[^:/]*(?::[^:/]*)?)?)?")
_STORAGE = re.compile(r"(?s)\[(?:[^@\]]+@)?/[^\]]*\](?:[^@].*)?")


def _clean_path(scope: str) -> bool:
    """An absolute path as Go's filepath.Clean leaves it; "/" would mean the same as ""."""
    return scope.startswith("/") and not {"", ".", ".."} & set(scope[1:].split("/"))


def _atomic(scope: str) -> bool:
    return _ATOMIC.fullmatch(scope) is not None


def _storage(scope: str) -> bool:
    return _STORAGE.fullmatch(scope) is not None


def _nothing(scope: str) -> bool:
    return scope == ""


_SCOPES: Final[Mapping[str, Callable[[str], bool]]] = {
    "atomic": _atomic,
    "containers-storage": _storage,
    "dir": _clean_path,
    "docker-archive": _nothing,
    "oci": _clean_path,
    "oci-archive": _clean_path,
    "sif": _clean_path,
    "tarball": _nothing,
}
_HINTS: Final[Mapping[Callable[[str], bool], str]] = {
    _atomic: "write HOST[/NAMESPACE[/STREAM[:TAG]]]",
    _clean_path: 'write an absolute path without ".", ".." or a slash at its end; "" is for all paths',
    _storage: "begin with [ROOT] or [DRIVER@ROOT], ROOT being an absolute path",
}
