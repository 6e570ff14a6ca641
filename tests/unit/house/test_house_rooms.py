"""Verified values have one maker: the room `signatures`."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import plimsoll

PACKAGE = Path(plimsoll.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))


def room(path):
    return path.relative_to(PACKAGE).parts[0]


def verified_names(tree):
    """Names under which a Verified class is reachable here, aliases included."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names if alias.name.startswith("Verified")}
        if isinstance(node, ast.Assign) and spoken(node.value).startswith("Verified"):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def spoken(node):
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def makings(source):
    """Every place where a Verified class is called, subclassed, defined, or has __new__ called on it."""
    tree = ast.parse(source)
    aliases = verified_names(tree)

    def is_verified(node):
        return spoken(node).startswith("Verified") or (isinstance(node, ast.Name) and node.id in aliases)

    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=func, args=args):
                made = is_verified(func) or (spoken(func) in {"__new__", "partial"} and any(map(is_verified, args)))
            case ast.ClassDef(name=name, bases=bases):
                made = name.startswith("Verified") or any(map(is_verified, bases))
            case _:
                made = False
        if made:
            found.append(node.lineno)
    return found


@pytest.mark.parametrize("path", [path for path in MODULES if room(path) != "signatures"], ids=str)
def test_only_signatures_makes_verified_values(path):
    assert makings(path.read_text(encoding="utf-8")) == [], f"{path}: a Verified value may be made in signatures only"


def test_signatures_does_make_verified_values():
    made = [path for path in MODULES if room(path) == "signatures" and makings(path.read_text(encoding="utf-8"))]
    assert made, "no Verified class in signatures: the rule above would guard nothing"


@pytest.mark.parametrize(
    "source",
    [
        "VerifiedThing(key=1)",
        "from plimsoll.signatures import VerifiedThing as T\nT(key=1)",
        "import plimsoll.signatures as s\ns.VerifiedThing(key=1)",
        "from plimsoll.signatures import VerifiedThing\nt = VerifiedThing\nt()",
        "object.__new__(VerifiedThing)",
        "from functools import partial\npartial(VerifiedThing, key=1)",
        "class VerifiedThing: pass",
        "class Sly(signatures.VerifiedThing): pass",
    ],
)
def test_the_search_finds_what_it_should(source):
    assert makings(source)


@pytest.mark.parametrize(
    "source",
    ["def f(x: VerifiedThing) -> None: ...", "isinstance(x, VerifiedThing)", "UnverifiedThing()", "verified(1)"],
)
def test_the_search_lets_readers_of_verified_values_be(source):
    assert not makings(source)
