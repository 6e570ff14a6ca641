"""A converted policy written as a plimsoll document in YAML, with what was lost as comments. Pure.

Texts are double-quoted with everything beyond printable ASCII escaped: no text of the source can end its own line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from plimsoll import limits
from plimsoll.errors import PolicyError
from plimsoll.model.conversion import Effect, Finding
from plimsoll.model.identity import Exact, Glob, TextMatch
from plimsoll.policy.conversion import (
    Accepted,
    Attested,
    Conversion,
    ConvertedRule,
    Either,
    Every,
    IdentityEntry,
    KeyEntry,
    Refused,
    Signed,
    SignerEntry,
    Wanted,
    signers_of,
)
from plimsoll.policy.plimsoll_document import API_VERSION

_PLACES_MOST: Final = 16
_WORDS: Final = frozenset({"yes", "no", "on", "off", "true", "false", "null"})
"""What YAML 1.1 reads as something else than a text."""


def write_document(conversion: Conversion, *, source: str) -> str:
    """The document's text, ending in a line break; raises PolicyError where it would be nested too deep."""
    lines = [f"# Converted by plimsoll from {_comment(source)}.", *_heading(conversion.findings)]
    lines += [f"apiVersion: {API_VERSION}"]
    used = {entry for rule in conversion.rules for entry in signers_of(rule.wanted)}
    named = [(entry, name) for entry, name in conversion.names.items() if entry in used]
    keys = [(entry, name) for entry, name in named if isinstance(entry, KeyEntry)]
    identities = [(entry, name) for entry, name in named if isinstance(entry, IdentityEntry)]
    if keys:
        lines += ["keys:", *[line for entry, name in keys for line in _key(entry, name)]]
    if identities:
        lines += ["identities:", *[line for entry, name in identities for line in _identity(entry, name)]]
    lines += ["rules:"] if conversion.rules else ["rules: []"]
    for rule in conversion.rules:
        lines += _rule(rule, conversion)
    lines.append("default: reject")
    return "\n".join(lines) + "\n"


def _heading(findings: tuple[Finding, ...]) -> Iterator[str]:
    """What the reader must know, the gravest first; notes are left to the report."""
    for effect, title in (
        (Effect.REJECTS, "Not carried over; what depends on it accepts no image:"),
        (Effect.STRICTER, "Stricter than the source:"),
        (Effect.DIFFERS, "Left out, to be seen to elsewhere:"),
    ):
        chosen = [found for found in findings if found.effect is effect]
        if chosen:
            yield f"# {title}"
            yield from (f"# - {_comment(found.place)}: {_comment(found.message)}" for found in chosen)


def _key(entry: KeyEntry, name: str) -> Iterator[str]:
    yield f"  {quoted(name)}:"
    if entry.data is not None:
        yield "    data: |"
        yield from (f"      {line}" for line in entry.data.splitlines())
    elif entry.reference is not None:
        yield f"    uri: {quoted(entry.reference)}"
    else:
        yield f"    path: {quoted(entry.path or '')}"
    if entry.hash_name != "sha256":
        yield f"    digestAlgorithm: {entry.hash_name}"


def _identity(entry: IdentityEntry, name: str) -> Iterator[str]:
    yield f"  {quoted(name)}:"
    yield f"    issuer{_form(entry.issuer)}: {quoted(_text(entry.issuer))}"
    yield f"    subject{_form(entry.subject)}: {quoted(_text(entry.subject))}"
    if entry.claims:
        yield "    claims:"
    for claim, wanted in entry.claims:
        text, form = quoted(_text(wanted)), _form(wanted).lower()
        yield f"      {claim}: {{{form}: {text}}}" if form else f"      {claim}: {text}"


def _form(match: TextMatch) -> str:
    return "" if isinstance(match, Exact) else "Pattern" if isinstance(match, Glob) else "Regexp"


def _text(match: TextMatch) -> str:
    return match.text if isinstance(match, Exact) else match.pattern


def _rule(rule: ConvertedRule, conversion: Conversion) -> Iterator[str]:
    yield f"  # from {_places(rule.places)}"
    yield f"  - scope: {quoted(rule.scope)}"
    match rule.wanted:
        case Refused(places=places):
            yield f"    # nothing is accepted here, because of {_places(places)}"
            yield "    require: reject"
        case Accepted():
            yield "    require: insecureAcceptAnything"
        case Every(parts=parts):
            yield "    require:"
            for part in parts:
                yield from _wanted(part, conversion, indent=6, depth=0)
        case one:
            yield "    require:"
            yield from _wanted(one, conversion, indent=6, depth=0)


def _wanted(wanted: Wanted, conversion: Conversion, *, indent: int, depth: int) -> Iterator[str]:
    if depth > limits.POLICY_NESTING:
        raise PolicyError(f"alternatives more than {limits.POLICY_NESTING} times inside one another cannot be written")
    space = " " * indent
    match wanted:
        case Every(parts=parts) | Either(parts=parts):
            yield f"{space}- {'allOf' if isinstance(wanted, Every) else 'anyOf'}:"
            if len(parts) > limits.POLICY_KEYS:
                raise PolicyError(f"{len(parts)} requirements would stand in one list; at most {limits.POLICY_KEYS}")
            for part in parts:
                yield from _wanted(part, conversion, indent=indent + 4, depth=depth + 1)
        case Signed():
            yield f"{space}- signatures:"
            yield f"{space}    from: [{_names(wanted.signers, conversion)}]"
            if wanted.at_least > 1:
                yield f"{space}    atLeast: {wanted.at_least}"
            if wanted.annotations:
                pairs = ", ".join(f"{quoted(key)}: {quoted(value)}" for key, value in wanted.annotations)
                yield f"{space}    annotations: {{{pairs}}}"
            if wanted.log_ignored:
                yield f"{space}    log: ignore"
        case Attested():
            yield f"{space}- attestation:"
            yield f"{space}    type: {quoted(wanted.type)}"
            yield f"{space}    from: [{_names(wanted.signers, conversion)}]"
            if wanted.where is not None:
                yield f"{space}    where: {quoted(wanted.where)}"
            if wanted.log_ignored:
                yield f"{space}    log: ignore"
        case _:
            raise PolicyError("accept and reject are no requirements among others")  # every() and either() see to it


def _names(signers: tuple[SignerEntry, ...], conversion: Conversion) -> str:
    if len(signers) > limits.POLICY_SIGNERS:
        raise PolicyError(f"{len(signers)} signers would stand in one list; at most {limits.POLICY_SIGNERS}")
    return ", ".join(quoted(conversion.names[entry]) for entry in signers)


def _places(places: tuple[str, ...]) -> str:
    more = f" and {len(places) - _PLACES_MOST} more" if len(places) > _PLACES_MOST else ""
    return _comment(", ".join(places[:_PLACES_MOST])) + more


def quoted(text: str) -> str:
    """``text`` as YAML: plain where it is a name that can mean nothing else, else double-quoted."""
    if re.fullmatch(r"[a-z][a-z0-9-]*[a-z0-9]", text) and text not in _WORDS:
        return text
    return '"' + "".join([_escaped(character) for character in text]) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if " " <= character <= "~":
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _comment(text: str) -> str:
    """``text`` on one line, of bounded length."""
    shown = "".join([c if " " <= c <= "~" else _escaped(c) for c in text[: limits.TEXT_CHARS]])
    return shown if len(text) <= limits.TEXT_CHARS else f"{shown}..."
