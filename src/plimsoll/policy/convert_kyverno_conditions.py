"""Kyverno's conditions over an attestation, as CEL: those of which ours can be sure to accept no more. Pure.

A condition is a JMESPath in braces, an operator and a value; ``any`` and ``all`` list them. Carried over is equality of
a member, named by its path, with a text without wildcards, a whole number or a boolean. CEL compares kinds strictly
where Kyverno converts, so nothing passes here that would not there.
"""

from __future__ import annotations

import json
import re
from typing import Final

from plimsoll.model.conversion import Effect
from plimsoll.policy.foreign import Foreign, Section

_PATH: Final = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)\s*\}\}", re.ASCII)
_CONTEXT: Final = frozenset(
    {"request", "images", "image", "element", "elementIndex", "target", "globalContext"}
    | {"serviceAccountName", "serviceAccountNamespace", "namespaceObject"}
)
"""Names that Kyverno's context has beside the predicate's own members."""
_EQUALS: Final = frozenset({"Equals", "Equal"})
_PLAIN_TEXT: Final = re.compile(r"[^*?{}]*")
_WHY: Final = "only equality of a member with a text, a whole number or a boolean can be said: write it anew in CEL"


def read_conditions(section: Section) -> tuple[str | None, tuple[str, ...]]:
    """The conditions of an attestation as one CEL expression, None where there are none; and the places lost."""
    parts: list[str] = []
    lost: list[str] = []
    for listed in section.sections("conditions"):
        before = len(lost)
        every, missing = _list(listed, "all")
        lost += missing
        some, missing = _list(listed, "any")
        lost += missing
        lost += listed.close()
        if len(lost) == before and not every and not some:
            listed.findings.add(listed.where, Effect.REJECTS, _WHY, line=listed.line)
            lost.append(listed.where)
        parts += [text for _, text in every]
        if some:
            # || passes over an error: ask for each member by itself first, as Kyverno fails where one is missing.
            parts += [f"{path} == {path}" for path, _ in some]
            parts.append("(" + " || ".join(text for _, text in some) + ")")
    return (" && ".join(dict.fromkeys(parts)) or None) if not lost else None, tuple(lost)


def _list(section: Section, name: str) -> tuple[list[tuple[str, str]], list[str]]:
    """The conditions of ``name`` as (member, expression) in CEL."""
    found: list[tuple[str, str]] = []
    lost: list[str] = []
    for entry in section.sections(name):
        key, operator, value = entry.text("key"), entry.text("operator"), entry.scalar("value")
        entry.say_nothing("message")
        path = None if key is None else _member(key)
        literal = None if value is None else _literal(value)
        if path is None or literal is None or operator not in _EQUALS:
            lost += entry.refuse(_WHY, "key") or (entry.where,)
        else:
            found.append((path, f"{path} == {literal}"))
        lost += entry.close()
    return found, lost


def _member(key: str) -> str | None:
    """A member of the predicate, its names quoted: CEL has reserved words."""
    found = _PATH.fullmatch(key.strip())
    if found is None:
        return None
    names = found[1].split(".")
    return None if names[0] in _CONTEXT else "predicate" + "".join(f'["{name}"]' for name in names)


def _literal(value: Foreign) -> str | None:
    text = value.value
    if not isinstance(text, str):
        return None
    if value.plain and text in ("true", "false"):
        return text
    if value.plain and re.fullmatch(r"-?(?:0|[1-9][0-9]{0,17})", text, re.ASCII):
        return text
    if value.plain and re.fullmatch(
        r"[-+.0-9].*|y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF|True|TRUE|False|FALSE", text
    ):
        return None
    if not text.isascii() or not text.isprintable() or _PLAIN_TEXT.fullmatch(text) is None:
        return None
    return json.dumps(text)
