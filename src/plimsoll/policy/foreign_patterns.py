"""Which images a foreign pattern is for, and the scopes of ours that say so: the same images, or fewer. Pure.

Sources: sigstore/policy-controller, pkg/apis/glob (``*`` is any run of characters but ``/``, ``**`` any run, matched on
the whole reference with its tag or digest, Docker Hub being index.docker.io); kyverno, ext/wildcard, which is
IGLOU-EU/go-wildcard v2 (``*`` is any run, ``/`` too; ``?`` and also ``.`` are any one character).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from itertools import product
from typing import Final

from plimsoll import limits
from plimsoll.errors import PolicyError
from plimsoll.policy.fields import shown
from plimsoll.policy.scope_globs import parse_scope


class Syntax(Enum):
    """Whose patterns."""

    SIGSTORE = "policy-controller"
    KYVERNO = "kyverno"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What stands at one place of a pattern: ``char``, or any one (but ``/`` where ``in_part``), or a run of such."""

    char: str | None = None
    in_part: bool = False
    run: bool = False


Tokens = tuple[Token, ...]
_ANY: Final = Token()
_RUN: Final = Token(run=True)
_PART_RUN: Final = Token(in_part=True, run=True)
_PART_ANY: Final = Token(in_part=True)
_VALID_GLOB: Final = re.compile(r"[a-zA-Z0-9_:/*.-]+", re.ASCII)
_HUBS: Final = ("docker.io", "*.io")
"""Hosts of scopes that have Docker Hub's images."""
_STARS_MOST: Final = 3
"""Stars of one part that are each written as none and as one or more characters: eight scopes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePattern:
    """A pattern of whole references, as it was written."""

    text: str
    syntax: Syntax

    def __post_init__(self) -> None:
        if len(self.text) > limits.TEXT_CHARS:
            raise PolicyError(f"a pattern of {len(self.text)} characters: at most {limits.TEXT_CHARS}")
        if self.syntax is Syntax.SIGSTORE and _VALID_GLOB.fullmatch(self.text) is None:
            raise PolicyError(f"{shown(self.text)} is no glob: policy-controller refuses it too")

    @property
    def meant(self) -> str:
        """The pattern with what policy-controller reads into ``*`` and ``*/*``."""
        if self.syntax is Syntax.SIGSTORE and self.text in ("*", "*/*"):
            return f"index.docker.io/{'library/*' if self.text == '*' else self.text}"
        return self.text

    @property
    def may_be_short(self) -> bool:
        """Whether it may match a reference without a registry: Kyverno sees none, and a host has a dot or port."""
        host, slash, _ = self.meant.partition("/")
        named = bool(slash) and "*" not in host and (re.search(r"[.:]", host) is not None or host == "localhost")
        return self.syntax is Syntax.SIGSTORE and not named

    @property
    def tokens(self) -> Tokens:
        """What it matches, read as generously as its tool may."""
        text = self.meant
        if self.syntax is Syntax.KYVERNO:
            return tuple([_RUN if c == "*" else _ANY if c in "?." else Token(char=c) for c in text])
        pieces = re.findall(r"\*\*|.", text)
        return tuple([_RUN if p == "**" else _PART_RUN if p == "*" else Token(char=p) for p in pieces])


EVERYTHING: Final[Tokens] = (_RUN,)


def meet(one: Tokens, other: Tokens) -> bool:
    """Whether some text is matched by both: a walk over the pairs of places in them."""
    waiting, seen = [(0, 0)], set()
    while waiting:
        at = waiting.pop()
        if at in seen:
            continue
        seen.add(at)
        a, b = at
        if a == len(one) and b == len(other):
            return True
        if a < len(one) and one[a].run:
            waiting.append((a + 1, b))
        if b < len(other) and other[b].run:
            waiting.append((a, b + 1))
        if a < len(one) and b < len(other) and _share(one[a], other[b]):
            waiting.append((a if one[a].run else a + 1, b if other[b].run else b + 1))
    return False


def _share(one: Token, other: Token) -> bool:
    if one.char is not None and other.char is not None:
        return one.char == other.char
    char = one.char if one.char is not None else other.char
    return char != "/" or not (one.in_part or other.in_part)


def references_of(scope: str, *, short: bool) -> tuple[Tokens, ...]:
    """All references that a ``docker://`` scope is for, in each way that a foreign tool may write them.

    ``short``: also without a registry, as policy-controller sees what a user wrote.
    """
    name = scope.removeprefix("docker://")
    host, _, path = name.partition("/")
    names = [name, *([] if ":" in host else [f"{host}:443/{path}"])]  # the same registry, and the same scope
    if host in _HUBS:
        paths = [path, *([path.partition("/")[2]] if may_be_official(scope) else [])]
        names += [f"{hub}/{found}" for hub in ("docker.io", "index.docker.io") for found in paths]
        names += paths if short else []
    ends: tuple[Tokens, ...] = ((), (Token(char=":"), _RUN), (Token(char="@"), _RUN))
    return tuple([(*_scope_tokens(text), *end) for text in names for end in ends])


def may_be_official(scope: str) -> bool:
    """Whether a ``docker://`` scope may have images of Docker Hub's ``library/``, which other tools call without it."""
    host, first, rest = (*scope.removeprefix("docker://").split("/", 2), "", "")[:3]
    written = re.fullmatch(re.escape(first).replace(r"\*", ".+"), "library") is not None
    return host in _HUBS and written and bool(rest)


def _scope_tokens(name: str) -> Tokens:
    tokens: list[Token] = []
    for piece in re.findall(r"\*\*|.", name):
        match piece:
            case "**":
                tokens += [_PART_ANY, _RUN]
            case "*":
                tokens += [_PART_ANY, _PART_RUN]
            case _:
                tokens.append(Token(char=piece))
    return tuple(tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeReading:
    """The scopes that say a pattern, none where none can; ``lost`` says which images they leave out, "" for none.

    ``tags_only``: the pattern is for references by tag; the scopes are for those by digest too.
    """

    scopes: tuple[str, ...]
    lost: str = ""
    tags_only: bool = False


def scopes_of(pattern: ImagePattern, *, registries: Iterable[str]) -> ScopeReading:
    """The scopes for the images of ``pattern``; a wildcard for a host stands for those of ``registries`` that fit."""
    deep = "*" if pattern.syntax is Syntax.KYVERNO else "**"
    name, tagged = _without_tag(pattern.meant)
    if tagged is not None:
        return ScopeReading(scopes=(), lost=f"it is for the tag {shown(tagged)}, and a scope is for all tags")
    if "?" in name or "@" in name:
        return ScopeReading(scopes=(), lost="a scope has no ? and no digest")
    name, any_tag = name.removesuffix("\0"), name.endswith("\0")
    if not any_tag and not name.endswith("*"):
        return ScopeReading(
            scopes=(),
            lost=f"it matches no reference with a tag, and a scope is for all tags: write {shown(name + ':*')}",
        )
    hosts, path, lost = _hosts(name, deep=deep, registries=tuple(registries))
    if not hosts:
        return ScopeReading(scopes=(), lost=lost)
    paths, cut = _paths(path, deep=deep)
    scopes = [f"docker://{scope}" for host in hosts for found in paths for scope in _completed(host, found, pattern)]
    good = tuple(dict.fromkeys(scope for scope in scopes if _is_scope(scope)))
    if not good:
        return ScopeReading(scopes=(), lost="no image can have such a name")
    return ScopeReading(scopes=good, lost="; ".join(filter(None, (lost, cut))), tags_only=any_tag)


def _without_tag(text: str) -> tuple[str, str | None]:
    """The name with a null character behind it where any tag will do, and the tag where only some will."""
    head, slash, last = text.rpartition("/")
    name, colon, tag = last.partition(":")
    if not colon or (not slash and re.fullmatch(r"[0-9]+", tag)):
        return text, None
    if tag and not tag.strip("*"):
        return f"{head}{slash}{name}\0", None
    return text, tag


def _hosts(name: str, *, deep: str, registries: tuple[str, ...]) -> tuple[tuple[str, ...], str, str]:
    """The hosts, the rest of the pattern, and what is lost."""
    host, slash, path = name.partition("/")
    if not slash:
        if not host.endswith(deep):
            return (), "", "it names no registry: write the whole name, with its registry"
        host, path = host if host == deep else host.removesuffix(deep), deep
        if "*" not in host and host.endswith(("/", ".", ":")):
            return (), "", "its wildcard begins inside a registry's name, which a scope cannot say"
    if "*" not in host:
        if not re.search(r"[.:]", host) and host != "localhost":
            return (), "", "it names no registry: write the whole name, with its registry"
        lost = "" if slash else f"registries whose names only begin with {shown(host)}"
        return (_completed_host(host),), path, lost
    if re.fullmatch(r"\*{1,2}\.[^*]+", host):
        return (f"*.{host.partition('.')[2]}",), path, "" if deep == "**" else "names in which its first * crosses a /"
    if not registries:
        return (), "", "its registry is a wildcard, and a scope's has none but a leading *.: name yours with --registry"
    fits = re.compile(re.escape(host).replace(r"\*\*", "*").replace(r"\*", "*").replace("*", "[^/]*"))
    fitting = tuple([_completed_host(found) for found in registries if fits.fullmatch(found)])
    return fitting, path, f"all registries that match {shown(host)} but {', '.join(fitting) or 'none of --registry'}"


def _completed_host(host: str) -> str:
    return "docker.io" if host == "index.docker.io" else host.removesuffix(":443")


def _paths(path: str, *, deep: str) -> tuple[tuple[str, ...], str]:
    """The paths, as our scopes write them, and what is lost of the pattern's."""
    *middle, last = path.split("/")
    lost = "names in which a wildcard within it spans several parts" if any(deep in part for part in middle) else ""
    before = [_part(part) for part in middle]
    tails: list[str] = []
    if last == deep:
        tails = ["**"]
    elif last.endswith(deep):
        starts = _part(last.removesuffix(deep))
        tails = [*starts, *[f"{start}*" for start in starts]]
        tails += [f"{tail}/**" for tail in tails]
    else:
        tails = list(_part(last))
    if deep in (last.removesuffix(deep) if last.endswith(deep) else last):
        lost = "names in which a wildcard within it spans several parts"
    if any(part.replace("**", "*").count("*") > _STARS_MOST for part in (*middle, last)):
        return (), "it has too many wildcards"
    return tuple(["/".join(parts) for parts in product(*before, tails)][: limits.POLICY_KEYS]), lost


def _part(part: str) -> tuple[str, ...]:
    """A part whose stars may stand for nothing, as parts whose stars stand for one character at least."""
    pieces = re.sub(r"\*+", "*", part).split("*")
    if len(pieces) - 1 > _STARS_MOST:
        return ()
    found = ["".join(chain) for chain in product(*[(p,) if not at else (p, f"*{p}") for at, p in enumerate(pieces)])]
    return tuple(dict.fromkeys(re.sub(r"\*+", "*", text) for text in found if text))


def _completed(host: str, path: str, pattern: ImagePattern) -> tuple[str, ...]:
    """Docker Hub's own images are ``library/NAME`` with us; Kyverno calls them by NAME alone."""
    if host == "docker.io" and pattern.syntax is Syntax.KYVERNO and "/" not in path and path != "**":
        return (f"{host}/library/{path}",)
    return (f"{host}/{path}",)


def _is_scope(scope: str) -> bool:
    try:
        parse_scope(scope, where="scope", folder="/")
    except PolicyError:
        return False
    return True
