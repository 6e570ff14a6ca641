"""policy test: a file of cases read strictly, and each case's image judged."""

from __future__ import annotations

from collections.abc import Sequence as Sequence_
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from plimsoll import limits
from plimsoll.config.files import read_file
from plimsoll.config.yaml_document import Map, Scalar, Sequence, read_yaml
from plimsoll.errors import ConfigError, PolicyError, UsageError
from plimsoll.model.comparison import CaseResult, PolicyCase
from plimsoll.model.reference import parse_reference
from plimsoll.model.settings import Settings
from plimsoll.model.verdict import Outcome
from plimsoll.native import ReadError, read_json
from plimsoll.pipeline.batch import run_many
from plimsoll.pipeline.platforms import IndexRule, PlatformChoice
from plimsoll.pipeline.verifier import Verifier
from plimsoll.policy.fields import filled_text_at, list_at, object_at, shown
from plimsoll.report.hints import HINTS

_KNOWN: Final = frozenset({"name", "reasons", "platform"})
_NEEDED: Final = frozenset({"image", "expect"})
_MESSAGE_CHARS: Final = 4 * limits.TEXT_CHARS


def read_cases(path: str) -> tuple[PolicyCase, ...]:
    """Read a file of cases, at least one; raises ConfigError naming the file and the place in it."""
    try:
        found = read_file(path, limit=limits.CASES_BYTES)
    except FileNotFoundError as error:
        raise ConfigError(f"no cases: {error}") from None
    return parse_cases(found.data, origin=path)


def parse_cases(data: bytes, *, origin: str) -> tuple[PolicyCase, ...]:
    """Read a list of cases: JSON where it begins as JSON does (``[`` or ``{``), else YAML; raises ConfigError."""
    document = _json(data, origin) if data.lstrip()[:1] in (b"[", b"{") else read_yaml(data, origin=origin)
    try:
        return _cases(document)
    except (PolicyError, UsageError) as error:
        message = str(error)
        cut = message if len(message) <= _MESSAGE_CHARS else f"{message[:_MESSAGE_CHARS]}..."
        raise ConfigError(f"invalid cases in {shown(origin)}: {cut}") from None


def _json(data: bytes, origin: str) -> object:
    try:
        value: object = read_json(data, max_depth=limits.JSON_DEPTH)
    except ReadError as error:
        line = data.count(b"\n", 0, error.offset) + 1
        column = error.offset - (data.rfind(b"\n", 0, error.offset) + 1) + 1
        message = f"invalid cases in {shown(origin)}: line {line}, column {column}: {error}"
        raise ConfigError(message) from None
    return value


def _cases(document: object) -> tuple[PolicyCase, ...]:
    listed = list_at(_opened(document), "the cases")
    if not listed:
        raise PolicyError("the list of cases is empty: nothing would be tested")
    if len(listed) > limits.CASES:
        raise PolicyError(f"{len(listed)} cases; at most {limits.CASES}")
    return tuple([_case(entry, f"cases[{at}]") for at, entry in enumerate(listed)])


def _case(entry: object, where: str) -> PolicyCase:
    fields = object_at(_opened(entry), where, known=_KNOWN, needed=_NEEDED)
    texts = {key: filled_text_at(_opened(value), f"{where}.{key}") for key, value in fields.items() if key != "reasons"}
    expect = _outcome(texts["expect"], f"{where}.expect")
    platform = texts.get("platform")
    try:
        parse_reference(texts["image"])
        if platform is not None:
            PlatformChoice.parse(platform)
    except UsageError as error:
        raise PolicyError(f"{where}: {error}") from None
    return PolicyCase(
        image=texts["image"],
        expect=expect,
        name=texts.get("name"),
        reasons=_reasons(fields["reasons"], f"{where}.reasons", expect) if "reasons" in fields else (),
        platform=platform,
    )


def _outcome(text: str, where: str) -> Outcome:
    try:
        return Outcome(text)
    except ValueError:
        raise PolicyError(f"{where}: {shown(text)} is no verdict: write accepted, rejected or undetermined") from None


def _reasons(value: object, where: str, expect: Outcome) -> tuple[str, ...]:
    listed = list_at(_opened(value), where)
    if not listed:
        raise PolicyError(f"{where}: the list is empty; leave the key out where any reason will do")
    if len(listed) > limits.REASONS:
        raise PolicyError(f"{where}: {len(listed)} codes; a verdict has at most {limits.REASONS}")
    if expect is Outcome.ACCEPTED:
        raise PolicyError(f"{where}: an accepted image has no reasons, so this could never be met")
    codes = tuple([filled_text_at(_opened(entry), f"{where}[{at}]") for at, entry in enumerate(listed)])
    for at, code in enumerate(codes):
        if code not in HINTS:
            raise PolicyError(
                f"{where}[{at}]: {shown(code)} is no reason code; docs/reference/reason-codes.md has them"
            )
    return codes


def _opened(value: object) -> object:
    """One level of a YAML node as JSON's reader would give it; what is below stays closed, as aliases may share it."""
    match value:
        case Scalar():
            return None if value.is_null else value.text
        case Sequence(items=items):
            return items
        case Map(entries=entries):
            return entries
        case _:
            return value


async def run_cases(verifier: Verifier, cases: Sequence_[PolicyCase], *, settings: Settings) -> list[CaseResult]:
    """Judge every case's image with an entered ``verifier`` of these settings; results in the order of the cases.

    A case's platform stands in for that of the settings. Raises UsageError where the index policy leaves it idle.
    """
    rules = [_rule(case, settings, f"cases[{at}]") for at, case in enumerate(cases)]

    async def work(case: PolicyCase, position: int) -> CaseResult:
        verdict = await verifier.verify(case.image, position=position, indexes=rules[position])
        return CaseResult(case=case, verdict=verdict)

    async with aclosing(run_many(work, cases, concurrency=settings.concurrency)) as results:
        found = [result async for result in results]
    return sorted(found, key=lambda result: result.verdict.position)


def _rule(case: PolicyCase, settings: Settings, where: str) -> IndexRule:
    try:
        return IndexRule.of(settings if case.platform is None else replace(settings, platform=case.platform))
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None
