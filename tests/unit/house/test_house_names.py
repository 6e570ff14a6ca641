"""The library's public names: what the contract promises, what is exported, and what the guide explains are one set."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

import plimsoll

ROOT = Path(__file__).parents[3]
PROMISED = {"Policy", "Verdict", "Verifier", "verify"}
"""What programs outside were told of; a name may join, none may leave."""


def test_every_promised_name_is_exported():
    assert set(plimsoll.__all__) >= PROMISED


def test_the_list_of_names_has_no_doubles_and_no_private_ones():
    assert len(set(plimsoll.__all__)) == len(plimsoll.__all__)
    assert [name for name in plimsoll.__all__ if name.startswith("_") and name != "__version__"] == []


@pytest.mark.parametrize("name", sorted(plimsoll.__all__))
def test_every_exported_name_is_there_and_shown_by_dir(name):
    assert getattr(plimsoll, name) is not None
    assert name in dir(plimsoll)


@pytest.mark.parametrize("name", sorted(plimsoll.__all__))
def test_every_exported_class_and_function_says_what_it_is(name):
    found = getattr(plimsoll, name)
    if inspect.isclass(found) or inspect.isfunction(found):
        assert inspect.getdoc(found)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        plimsoll.no_such_name  # noqa: B018


def test_the_stub_and_the_module_export_the_same():
    stub = Path(plimsoll.__file__).with_suffix(".pyi")
    tree = ast.parse(stub.read_text(encoding="utf-8"))
    named = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        for alias in node.names
    }
    named |= {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    named |= {
        node.target.id for node in tree.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    assert set(plimsoll.__all__) <= named


@pytest.mark.parametrize("name", sorted(set(plimsoll.__all__) - {"__version__"}))
def test_the_library_guide_explains_every_exported_name(name):
    guide = (ROOT / "docs/guides/library.md").read_text(encoding="utf-8")
    assert re.search(rf"`(plimsoll\.)?{name}\b", guide), f"docs/guides/library.md does not mention `{name}`"
