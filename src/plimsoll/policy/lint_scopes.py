"""Scopes that no image can ever ask for, and those that hardly one does. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from plimsoll.errors import PlimsollError
from plimsoll.model.location import Location, locate_docker, locate_path
from plimsoll.model.reference import (
    ArchiveReference,
    DockerReference,
    LayoutReference,
    parse_docker_reference,
    parse_reference,
)
from plimsoll.policy.fields import shown

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_TAG_AND_DIGEST: Final = re.compile(r"(.*[^/:]):[^/:@]+(@[^/@]+)")

_FORMS: Final = 'write HOST[:PORT][/NAMESPACE[/NAME[:TAG]]] or *.DOMAIN; "" is for all registries'


def lint_scopes(transport: str, scopes: tuple[str, ...]) -> Iterator[tuple[str, str, str, str]]:
    """For each scope that looks wrong: the scope, a code, what is so, what to do."""
    for scope in scopes:
        if scope == "" or transport not in _ASKED_BY:
            continue
        if not is_asked(transport, scope):
            yield scope, *_unreachable(transport, scope, scopes)
        elif transport == "docker" and _host(scope) != _host(scope).lower():
            yield scope, *_upper_case(scope, scopes)


def is_asked(transport: str, scope: str) -> bool:
    """Whether any image of ``transport`` has ``scope`` as its identity or as a parent; True where that is not known."""
    candidates = _ASKED_BY.get(transport)
    if candidates is None:
        return True
    return any(scope in _names(transport, candidate) for candidate in candidates(scope))


def _names(transport: str, text: str) -> tuple[str, ...]:
    """All scopes that the image ``text`` asks for, as verification asks them."""
    try:
        location = _locate(transport, text)
    except PlimsollError:
        return ()
    return () if location is None else (location.identity, *location.parents)


def _locate(transport: str, text: str) -> Location | None:
    if transport == "docker":
        return locate_docker(parse_docker_reference(text))
    found = parse_reference(f"{transport}:{text}")
    return locate_path(transport, found.path) if isinstance(found, LayoutReference | ArchiveReference) else None


def _docker_candidates(scope: str) -> tuple[str, ...]:
    """Images of which one asks for ``scope``, if any does: itself, one below it, one of a wildcard's hosts."""
    wildcard = (f"x{scope[1:]}/x/x",) if scope.startswith("*.") else ()
    return scope, f"{scope}/x/x", *wildcard


def _path_candidates(scope: str) -> tuple[str, ...]:
    return scope, f"{scope}/x"


_ASKED_BY: Final = {"docker": _docker_candidates, "oci": _path_candidates, "oci-archive": _path_candidates}
"""dir is left out: any clean absolute path may be one of its images, and the policy's reader wants just that."""


def _unreachable(transport: str, scope: str, scopes: tuple[str, ...]) -> tuple[str, str, str]:
    if transport != "docker":
        message = f"the path in {transport}:PATH:REFERENCE ends at its first colon, so no image asks for {shown(scope)}"
        return "scope-never-asked", message, "write the path alone, without a reference"
    meant = _meant(scope)
    if meant != scope and meant in scopes:
        return "scope-duplicate", f"no image asks for {shown(scope)}; {shown(meant)} has a list too", "leave this out"
    hint = f"write {shown(meant)}" if is_asked(transport, meant) else _FORMS
    return "scope-never-asked", f"no image asks for {shown(scope)}{_why(scope)}", hint


def _why(scope: str) -> str:
    if _SCHEME.match(scope):
        return ": a scope has no scheme"
    if scope.endswith("/"):
        return ": a scope does not end in a slash"
    if _TAG_AND_DIGEST.fullmatch(scope):
        return ": an image named by tag and digest is judged by its digest alone"
    return ": names are completed before they are looked up" if not _host(scope).startswith("*") else ""


def _meant(scope: str) -> str:
    """The scope that was probably meant: without what no scope has, and with the name completed."""
    text = _SCHEME.sub("", scope, count=1).rstrip("/")
    both = _TAG_AND_DIGEST.fullmatch(text)
    text = "".join(both.groups()) if both else text
    if text.startswith("*."):
        return text.partition("/")[0].partition(":")[0]
    if is_asked("docker", text) or text == "index.docker.io":
        return "docker.io" if text == "index.docker.io" else text
    return _completed(text) or text


def _completed(text: str) -> str | None:
    try:
        named: DockerReference = parse_docker_reference(text)
    except PlimsollError:
        return None
    tagged = ":" in text.rpartition("/")[2] or "@" in text
    return named.identity if tagged else named.repository


def _upper_case(scope: str, scopes: tuple[str, ...]) -> tuple[str, str, str]:
    lower = _host(scope).lower() + scope[len(_host(scope)) :]
    name = "scope-duplicate" if lower in scopes else "scope-upper-case"
    message = f"{shown(scope)} applies only to images whose host is written with the same capital letters"
    return name, message, "leave this out" if lower in scopes else f"write {shown(lower)}"


def _host(scope: str) -> str:
    return scope.partition("/")[0]
