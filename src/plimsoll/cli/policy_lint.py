"""``plimsoll policy lint``: is this policy valid, and does it say what its author can mean."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Final

from plimsoll import limits
from plimsoll.cli.arguments import Parser
from plimsoll.config.files import read_file
from plimsoll.config.keys import read_key_file
from plimsoll.errors import PolicyError
from plimsoll.pipeline.policy_files import ParsedPolicy, parse_policy_file
from plimsoll.policy.lint import LintWarning, lint
from plimsoll.policy.lint_document import lint_document
from plimsoll.policy.plimsoll_document import PlimsollPolicy
from plimsoll.report.escape import printable
from plimsoll.report.exit_codes import ACCEPTED, REJECTED
from plimsoll.report.exit_codes import USAGE as UNUSABLE
from plimsoll.report.records import Record, json_line

USAGE: Final = "plimsoll policy lint [--check-keys] [--strict] [--format text|json] FILE"
SCHEMA: Final = "plimsoll.lint/v1"


def add_arguments(parser: Parser) -> None:
    """The options of ``policy lint``."""
    parser.add_argument("file", metavar="FILE", help="a containers policy.json or a plimsoll document")
    parser.add_boolean("--check-keys", help="also read every key and certificate that the policy names")
    parser.add_boolean("--strict", help="exit 3 where there is a warning")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="text or json (text)")


def run(arguments: argparse.Namespace) -> int:
    """Print what was found: 1 for a policy that cannot be used, 3 for warnings under ``--strict``, else 0."""
    try:
        text, parsed = _read(arguments.file)
    except PolicyError as error:
        if arguments.format == "text":
            raise
        sys.stdout.write(json_line(_record(arguments.file, None, (), error=str(error))))
        return UNUSABLE
    read_key = _read_key if arguments.check_keys else None
    if isinstance(parsed.document, PlimsollPolicy):
        read_reference = _read_reference if arguments.check_keys else None
        warnings = lint_document(
            parsed.document, positions=parsed.positions, read_key=read_key, read_reference=read_reference
        )
    else:
        warnings = lint(parsed.document, text=text, read_key=read_key)
    if arguments.format == "json":
        sys.stdout.write(json_line(_record(arguments.file, parsed, warnings, error=None)))
    else:
        sys.stdout.write(_text(arguments.file, warnings))
    return REJECTED if warnings and arguments.strict else ACCEPTED


def _read(path: str) -> tuple[bytes, ParsedPolicy]:
    try:
        found = read_file(path, limit=limits.POLICY_BYTES, error=PolicyError)
    except FileNotFoundError as error:
        raise PolicyError(f"no policy: {error}") from None
    return found.data, parse_policy_file(found.data, origin=found.origin)


def _read_key(path: str) -> bytes:
    return read_key_file(path).data


def _read_reference(reference: str) -> bytes:
    from plimsoll.pipeline.key_references import read_key_reference  # noqa: PLC0415  # a tenth of a second

    return read_key_reference(reference, environ=os.environ).data


def _record(path: str, parsed: ParsedPolicy | None, warnings: tuple[LintWarning, ...], *, error: str | None) -> Record:
    return {
        "schema": SCHEMA,
        "file": path,
        "policy": None if parsed is None else parsed.document.digest,
        "error": error,
        "warnings": [_warning(found) for found in warnings],
    }


def _warning(found: LintWarning) -> Record:
    return {
        "place": found.place,
        "line": None if found.position is None else found.position.line,
        "column": None if found.position is None else found.position.column,
        "code": found.code,
        "message": found.message,
        "hint": found.hint,
    }


def _text(path: str, warnings: tuple[LintWarning, ...]) -> str:
    lines = []
    for found in warnings:
        where = "" if found.position is None else f"{found.position}: "
        lines.append(f"{where}{printable(found.place)}: {found.code}: {printable(found.message)}\n")
        lines.append(f"    {printable(found.hint)}\n")
    number = "1 warning" if len(warnings) == 1 else f"{len(warnings)} warnings"
    return "".join([*lines, f"{printable(path)}: valid, {number}\n"])
