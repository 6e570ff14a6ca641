"""Scopes of a plimsoll document: which images a glob is for, which of several wins, and whether two can meet. Pure.

A scope is a transport and a pattern of whole names, without tag or digest. ``*`` stands for one or more characters,
never ``/``; ``**`` only as the last part, for one or more parts. A host has no wildcard but a leading ``*.``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from plimsoll.errors import PolicyError
from plimsoll.model.globs import part_matches
from plimsoll.model.location import Location, plain_host, plain_name
from plimsoll.model.reference import SKOPEO_TRANSPORTS
from plimsoll.policy.fields import shown

_DEEP: Final = "**"
_HOST: Final = re.compile(r"(?:\*\.)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]+)?", re.ASCII)
_NAME: Final = re.compile(r"[a-z0-9._*-]+", re.ASCII)
_FORMS: Final = "write docker://HOST[:PORT]/NAME, with * within a part and ** as the last one; or TRANSPORT:PATH"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """A pattern over the parts of a name between slashes; ``deep`` says that more parts must follow."""

    transport: str
    parts: tuple[str, ...]
    deep: bool
    text: str = field(compare=False)

    @property
    def literal(self) -> int:
        """How many characters an image's name must have just so: the longest wins."""
        return sum(len(part) - part.count("*") + 1 for part in self.parts) - (0 if self.deep else 1)

    @property
    def rank(self) -> tuple[int, int, int]:
        """What decides between scopes that match the same image; the greatest wins, then the first in the document.

        The longest; of equal ones that without ``**``; of those the one with fewer ``*``.
        """
        return self.literal, 0 if self.deep else 1, -sum(part.count("*") for part in self.parts)

    def matches(self, location: Location) -> bool:
        """Whether an image that lies there is one of these."""
        if location.transport != self.transport:
            return False
        parts = _name_of(location)
        if len(parts) < len(self.parts) + self.deep or (not self.deep and len(parts) != len(self.parts)):
            return False
        return all(part_matches(wanted, found) for wanted, found in zip(self.parts, parts, strict=False))

    def meets(self, other: Scope) -> bool:
        """Whether some name is matched by both."""
        if self.transport != other.transport:
            return False
        least = max(len(scope.parts) + scope.deep for scope in (self, other))
        fits = all(scope.deep or len(scope.parts) == least for scope in (self, other))
        return fits and all(_parts_meet(a, b) for a, b in zip(self.parts, other.parts, strict=False))

    def covers(self, transport: str, scope: str) -> bool:
        """Whether every image of a policy.json's ``scope`` is one of these; False also where that is not certain."""
        if transport != self.transport or not self.deep or any("*" in part for part in self.parts):
            return False
        parts = tuple(scope.strip("/").split("/"))
        whole_registry = transport == "docker" and len(parts) == 1  # no image is called just so
        return len(parts) + whole_registry > len(self.parts) and parts[: len(self.parts)] == self.parts


def parse_scope(text: str, *, where: str, folder: str) -> Scope:
    """Read ``docker://HOST/NAME`` or ``TRANSPORT:PATH``; a relative path counts from ``folder``, which is absolute.

    Raises PolicyError, also for what no image could match: a tag, a host that is none, upper case.
    """
    transport, colon, rest = text.partition(":")
    if not colon or transport not in SKOPEO_TRANSPORTS:
        raise PolicyError(f"{where}: {shown(text)} is no scope: {_FORMS}")
    if transport == "docker":
        if not rest.startswith("//"):
            raise PolicyError(f"{where}: {shown(text)} is no scope: write docker://{rest}")
        return _scope(transport, _docker_parts(rest[2:], text, where), text, where)
    if transport == "docker-archive" and rest != f"/{_DEEP}":
        raise PolicyError(f"{where}: {shown(text)}: such archives are not told apart by path: write docker-archive:/**")
    path = rest if rest.startswith("/") else f"{folder.rstrip('/')}/{rest.removeprefix('./')}"
    parts = path[1:].split("/")
    if not rest or {"", ".", ".."} & set(parts):
        raise PolicyError(f'{where}: {shown(text)} is no scope: write a path without ".", ".." or a slash at its end')
    return _scope(transport, parts, text, where)


def _scope(transport: str, parts: list[str], text: str, where: str) -> Scope:
    deep = parts[-1] == _DEEP
    fixed = parts[:-1] if deep else parts
    if any(_DEEP in part for part in fixed):
        raise PolicyError(f"{where}: {shown(text)}: ** may only be the last part, by itself; within a part write *")
    return Scope(transport=transport, parts=tuple(fixed), deep=deep, text=text)


def _docker_parts(name: str, text: str, where: str) -> list[str]:
    host, *parts = name.split("/")
    if _HOST.fullmatch(host) is None:
        raise PolicyError(f"{where}: {shown(text)}: {shown(host)} is no host; a host has no wildcard but a leading *.")
    if not re.search(r"[.:]", host) and host != "localhost":
        raise PolicyError(
            f"{where}: {shown(text)}: {shown(host)} is no registry, names are completed before they are matched: "
            f"write docker://docker.io/{'' if parts else 'library/'}{name}"
        )
    if host == "index.docker.io":
        raise PolicyError(f"{where}: {shown(text)}: this registry is called docker.io in completed names")
    if not parts:
        raise PolicyError(f"{where}: {shown(text)} names a registry and no image: write docker://{host}/**")
    for part in parts:
        if _NAME.fullmatch(part) is None or part in (".", ".."):
            raise PolicyError(
                f"{where}: {shown(text)}: {shown(part)} is no part of a name: lower case, without tag and digest"
            )
    return [plain_host(host), *parts]


def _name_of(location: Location) -> tuple[str, ...]:
    """The parts of the normalised name, or of the path; an archive of docker save has neither."""
    if location.transport != "docker" or location.docker is None:
        return tuple(location.identity.removeprefix("/").split("/"))
    host, path = plain_name(location.docker)
    return (host, *path.split("/"))


def _parts_meet(one: str, other: str) -> bool:
    """Whether a text exists that both patterns match: a walk over the pairs of places in them."""
    if "*" not in one and "*" not in other:
        return one == other
    waiting, seen = [(0, 0)], set()
    while waiting:
        at = waiting.pop()
        if at in seen:
            continue
        seen.add(at)
        a, b = at
        if a == len(one) and b == len(other):
            return True
        waiting += _steps(one, other, a, b)
    return False


def _steps(one: str, other: str, a: int, b: int) -> list[tuple[int, int]]:
    """Where the two patterns can stand after one more character of such a text; a star may stay or be done."""
    if a == len(one) or b == len(other) or ("*" not in (one[a], other[b]) and one[a] != other[b]):
        return []
    after_a = [a, a + 1] if one[a] == "*" else [a + 1]
    after_b = [b, b + 1] if other[b] == "*" else [b + 1]
    return [(x, y) for x in after_a for y in after_b]
