"""docs/reference/reason-codes.md lists every code that can be seen, with the outcome it really has, and no other."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

import plimsoll
from plimsoll import errors
from plimsoll.errors import ConfigError, DeliveryError, PlimsollError, RejectedError, UsageError
from plimsoll.model.verdict import UNDETERMINED_CODES, Reason

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/reference/reason-codes.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `([a-z-]+)` \|", re.MULTILINE)

SECTIONS = {
    title: set(ROW.findall(text)) for title, _, text in (part.partition("\n") for part in PAGE.split("\n## ")[1:])
}


def error_classes():
    return [found for _, found in inspect.getmembers(errors, inspect.isclass) if issubclass(found, PlimsollError)]


def written_codes():
    """Codes that stand as literals in the code: `Reason(code="...")` and everything else that is given a `code=`."""
    found = set()
    for path in Path(plimsoll.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "code":
                found |= {
                    leaf.value
                    for leaf in ast.walk(node.value)
                    if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str)
                }
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "_reject"
                and node.args
            ):
                found |= {leaf.value for leaf in ast.walk(node.args[0]) if isinstance(leaf, ast.Constant)}
    return found


ERROR_CODES = {found.code for found in error_classes()}
SEEN = ERROR_CODES | UNDETERMINED_CODES | written_codes()


def test_the_sections_are_the_ones_this_test_knows():
    assert list(SECTIONS) == ["Rejected", "Undetermined", "Errors that are no verdict"]


def test_every_code_is_listed_once():
    listed = ROW.findall(PAGE)
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("code", sorted(SEEN))
def test_a_code_that_can_be_seen_is_listed(code):
    assert code in set(ROW.findall(PAGE))


@pytest.mark.parametrize("code", sorted(set(ROW.findall(PAGE))))
def test_a_listed_code_can_be_seen(code):
    assert code in SEEN


@pytest.mark.parametrize("section", ["Rejected", "Undetermined"])
def test_a_code_stands_under_the_outcome_it_has(section):
    for code in SECTIONS[section]:
        assert Reason(code=code, message="").outcome.value == section.lower(), code


def test_undetermined_codes_are_all_there():
    assert SECTIONS["Undetermined"] == set(UNDETERMINED_CODES)


def test_an_error_without_a_verdict_is_the_users_files_or_the_output():
    no_verdict = (UsageError, ConfigError, DeliveryError, RejectedError)
    theirs = {found.code for found in error_classes() if issubclass(found, no_verdict)}
    assert theirs - SECTIONS["Undetermined"] <= SECTIONS["Errors that are no verdict"]


def test_every_row_says_cause_and_cure():
    rows = [line for line in PAGE.splitlines() if ROW.match(line)]
    assert rows
    for line in rows:
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        assert len(cells) == 3, line
        assert all(cells), line
