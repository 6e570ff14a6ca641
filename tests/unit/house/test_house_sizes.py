"""Modules and functions stay small, or say why not."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import plimsoll

PACKAGE = Path(plimsoll.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)

MODULE_LINES = 400
FUNCTION_LINES = 60
LONGER_MODULES: dict[str, str] = {}
"""Path in the package -> why it is longer."""
LONGER_FUNCTIONS: dict[str, str] = {}
"""`path:function` -> why it is longer."""


def name(path):
    return path.relative_to(PACKAGE).as_posix()


def lines(path):
    return len(path.read_text(encoding="utf-8").splitlines())


def functions(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{name(path)}:{node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


def test_there_is_something_to_measure():
    assert len(MODULES) > 20


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_stays_within_its_cap(path):
    assert lines(path) <= MODULE_LINES or LONGER_MODULES.get(name(path)), (
        f"{lines(path)} lines: split it, or say why not"
    )


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_function_stays_within_its_cap(path):
    long = {where: size for where, size in functions(path) if size > FUNCTION_LINES and not LONGER_FUNCTIONS.get(where)}
    assert not long


def test_every_exception_is_still_needed():
    long_modules = {name(path) for path in MODULES if lines(path) > MODULE_LINES}
    long_functions = {where for path in MODULES for where, size in functions(path) if size > FUNCTION_LINES}
    assert set(LONGER_MODULES) <= long_modules
    assert set(LONGER_FUNCTIONS) <= long_functions
