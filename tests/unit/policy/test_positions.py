"""Where in the text a place of a document is: every member and entry, in every layout."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.errors import PolicyError
from plimsoll.policy.document import parse_policy
from plimsoll.policy.fields import member, subscript
from plimsoll.policy.lint import lint
from plimsoll.policy.positions import Position, Positions, position_at

POLICY = b"""{
  "default": [{"type": "insecureAcceptAnything"}],
  "transports": {
    "docker": {
      "registry.example/\xc3\xa9": [
        {"type": "reject"}, {"type": "signedBy", "keyType": "X509Certificates", "keyPaths": []}
      ]
    },
    "no-such": {"": [{"type": "sigstoreSigned", "keyPath": "k"}]}
  }
}
"""


def at(line, column):
    return Position(line=line, column=column)


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("", at(1, 1)),
        ("default", at(2, 3)),
        ("default[0]", at(2, 15)),
        ("default[0].type", at(2, 16)),
        ("default[0].signedIdentity", at(2, 15)),
        ('transports["no-such"][""][0].keyPath', at(9, 49)),
        ('transports["no-such"]', at(9, 5)),
        ("transports.no-such", at(9, 5)),
        ('transports.docker["registry.example/\\u00e9"]', at(5, 7)),
        ('transports.docker["registry.example/\\u00e9"][1].keyType', at(6, 50)),
        ('transports.docker["another"][1].keyType', at(4, 5)),
        ("default[7].type", at(2, 3)),
    ],
)
def test_places(place, expected):
    assert Positions(POLICY).of(place) == expected


def test_columns_count_characters():
    text = '{"é": 1, "ü": 2}'.encode()
    assert Positions(text).of('["ü"]') == at(1, 10)
    assert str(position_at(text, len(text) - 1)) == "line 1, column 16"


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("{}", "line 1, column 1: "),
        ('\n\n {"default": 7}', "line 3, column 3: default"),
        ('{"default": [],\n "transports": {}}', "line 1, column 2: default"),
        ('{"default": [{"type": "reject"}],\n "other": {}}', "line 2, column 2: the document: unknown key"),
        ('{"default": [{"type": "reject"},\n {"type": "reject",\n "x: y": 1}]}', r"line 3, column 2: default\[1\]: un"),
        ('{"default": [{"type": "reject"},\n {"type":\n "no-such"}]}', r"line 2, column 3: default\[1\].type"),
        ('{"default": [{"type": "reject"},\n {"type":\n "signedBy"}]}', r"line 2, column 2: default\[1\]: the key"),
        (
            '{"default": [{"type": "reject"}], "transports": {"dir": {\n "x": [{"type": "reject"}]}}}',
            'line 2, column 2: transports.dir: "x" is no scope',
        ),
        (
            '{"default": [{"type": "reject"}], "transports": {"docker": {\n "a: b": [{"type": "reject"},\n 1]}}}',
            r'line 3, column 2: transports.docker\["a: b"\]\[1\]',
        ),
        ('{"default": [{"type": "reject"}],\n "default": []}', "line 2, column "),
        ('{"default": [{"type": "reject"}],\n}', "line 2, column 1: "),
    ],
)
def test_a_policy_that_is_refused_says_where(document, expected):
    with pytest.raises(PolicyError, match=f'invalid policy in "p.json": {expected}'):
        parse_policy(document.encode(), origin="p.json")


def test_every_warning_says_where():
    found = lint(parse_policy(POLICY, origin="p"), text=POLICY)
    assert {(warning.code, warning.position) for warning in found} == {
        ("accept-anything", at(2, 3)),
        ("reject-beside-others", at(6, 9)),
        ("scope-never-asked", at(5, 7)),
        ("key-type-not-implemented", at(6, 50)),
        ("never-satisfied", at(6, 81)),
        ("transport-unknown", at(9, 5)),
        ("identity-needs-a-tag", at(9, 22)),
    }
    assert {warning.position for warning in lint(parse_policy(POLICY, origin="p"))} == {None}


KEYS = st.sampled_from(["a", "b-c", "type", "", "é", 'q"', "\\", "x.y", "[0]", "\n", ": ", "1a"]) | st.text(max_size=3)
VALUES = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False) | KEYS
DOCUMENTS = st.recursive(
    VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=12
)


def places(value, where=""):
    """Every place with what must stand there: a key, or the start of a value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            for place in {member(where, key), subscript(where, key)}:
                yield place, key
                yield from places(inner, place)
    if isinstance(value, list):
        for count, inner in enumerate(value):
            yield f"{where}[{count}]", inner
            yield from places(inner, f"{where}[{count}]")


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS, st.sampled_from([None, 0, 1, "\t"]), st.booleans(), st.sampled_from([(",", ":"), (" , ", " : ")]))
def test_every_place_is_found(document, indent, ascii_only, separators):
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only, separators=separators)
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return  # a lone surrogate is no UTF-8, and read_json takes none
    positions = Positions(data)
    lines = text.split("\n")
    for place, expected in places(document):
        found = positions.of(place)
        rest = lines[found.line - 1][found.column - 1 :]
        start = json.dumps(expected, ensure_ascii=ascii_only) if not isinstance(expected, dict | list) else None
        assert rest.startswith(start if start is not None else "{" if isinstance(expected, dict) else "["), place
