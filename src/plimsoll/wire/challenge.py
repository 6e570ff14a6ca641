"""WWW-Authenticate (RFC 9110 section 11.6.1): which proof a registry wants.

The fields come from whoever answered: a field that cannot be read with certainty gives no challenge, it never raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from plimsoll import limits

_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SCHEME = re.compile(rf"({_NAME})(?=[ \t]|,|\Z)", re.ASCII)
_TOKEN68 = re.compile(r"[ \t]+([A-Za-z0-9._~+/-]+=*)[ \t]*(?=,|\Z)", re.ASCII)
# Unquoted values are wider than a token: some registries leave the quotes off their realm's URL.
_PARAMETER = re.compile(
    rf"""({_NAME})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s",=]+))[ \t]*(?=,|\Z)""", re.ASCII | re.DOTALL
)
_BETWEEN = re.compile(r"[ \t]*(?:,[ \t]*)+", re.ASCII)
_SPACE = re.compile(r"[ \t,]*", re.ASCII)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_NO_PARAMETERS: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One way to prove oneself; ``scheme`` and the parameters' names are in lower case."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=lambda: _NO_PARAMETERS)
    token68: str | None = None


def parse_challenges(fields: Iterable[str]) -> tuple[Challenge, ...]:
    """Read all WWW-Authenticate fields of a reply, in order; a field that is malformed or too long adds nothing."""
    found: list[Challenge] = []
    for text in fields:
        if len(text) <= limits.CHALLENGE_CHARS and len(found) < limits.CHALLENGES:
            found.extend(_parse_field(text))
    return tuple(found[: limits.CHALLENGES])


def choose_challenge(challenges: Iterable[Challenge], *, basic: bool) -> Challenge | None:
    """The first that can be answered, in the registry's order; ``basic`` says whether there are credentials for it."""
    for challenge in challenges:
        if challenge.scheme == "bearer" and challenge.parameters.get("realm"):
            return challenge
        if challenge.scheme == "basic" and basic:
            return challenge
    return None


def _parse_field(text: str) -> list[Challenge]:
    found: list[Challenge] = []
    at = _end(_SPACE, text, 0)
    while at < len(text):
        scheme = _SCHEME.match(text, at)
        if scheme is None or len(found) == limits.CHALLENGES:
            return []
        challenge, at = _parse_one(scheme[1].lower(), text, scheme.end())
        if challenge is None:
            return []
        found.append(challenge)
    return found


def _parse_one(scheme: str, text: str, at: int) -> tuple[Challenge | None, int]:
    """Read what follows a scheme's name: nothing, a token68, or parameters up to the next scheme."""
    token68 = _TOKEN68.match(text, at)
    if token68 is not None:
        return Challenge(scheme=scheme, token68=token68[1]), _end(_SPACE, text, token68.end())
    parameters: dict[str, str] = {}
    at = _end(_SPACE, text, at)
    while (parameter := _PARAMETER.match(text, at)) is not None:
        name = parameter[1].lower()
        # Said twice, it could be read two ways.
        if name in parameters or len(parameters) == limits.CHALLENGE_PARAMETERS:
            return None, at
        quoted = parameter[2]
        parameters[name] = parameter[3] if quoted is None else _ESCAPE.sub(r"\1", quoted)
        at = parameter.end()
        between = _BETWEEN.match(text, at)
        if between is None:
            return Challenge(scheme=scheme, parameters=parameters), len(text)
        at = between.end()
    return Challenge(scheme=scheme, parameters=parameters), at


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return at if found is None else found.end()
