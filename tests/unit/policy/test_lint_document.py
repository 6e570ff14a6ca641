from __future__ import annotations

import json

import pytest

from fakes.documents import CI, parsed, pem
from fakes.signing import signer
from plimsoll.errors import UnreadableKeyError
from plimsoll.policy.document import parse_policy
from plimsoll.policy.lint_document import lint_document
from plimsoll.policy.positions import Positions

ALICE = {"signatures": {"from": ["alice"]}}
GOOD = {
    "apiVersion": "plimsoll/v1",
    "keys": {"alice": {"path": "alice.pub"}},
    "rules": [{"scope": "docker://r.example/**", "require": [ALICE]}],
    "default": "reject",
}


def files(path):
    name = path.rpartition("/")[2].removesuffix(".pub")
    if name == "lost":
        raise UnreadableKeyError(f"the key file {path!r} does not exist")
    return signer(name=name).pem


def codes(document, *, extended=None, **options):
    return [(found.place, found.code) for found in lint_document(parsed(document, extended=extended), **options)]


def test_a_document_that_can_be_meant_has_no_warning():
    assert codes(GOOD, read_key=files) == []


def ruled(*scopes):
    return GOOD | {"rules": [{"scope": scope, "require": [ALICE]} for scope in scopes]}


@pytest.mark.parametrize(
    ("document", "place", "code"),
    [
        (GOOD | {"default": "insecureAcceptAnything"}, "default", "accept-anything"),
        (GOOD | {"keys": {"alice": {"path": "alice.pub"}, "bob": {"path": "bob.pub"}}}, "keys.bob", "key-unused"),
        (GOOD | {"identities": {"ci": CI}}, "identities.ci", "identity-unused"),
        (ruled("docker://r.example/t/a*", "docker://r.example/t/*b"), "rules[1].scope", "scope-tie"),
        (
            GOOD | {"identities": {"a": CI, "b": CI}, "default": [{"signatures": {"from": ["a", "b"]}}]},
            "identities.b",
            "identity-duplicate",
        ),
        (
            GOOD | {"default": [{"attestation": {"type": "vuln", "from": ["alice"], "log": "ignore", "maxAge": "1d"}}]},
            "default[0].attestation.maxAge",
            "age-without-log",
        ),
        (
            GOOD | {"keys": {"alice": {"uri": "gcpkms://projects/p"}}},
            "rules[0].require[0].signatures",
            "key-not-supported",
        ),
    ],
)
def test_what_is_hardly_meant_is_one_warning_at_its_place(document, place, code):
    assert codes(document) == [(place, code)]
    (found,) = lint_document(parsed(document))
    assert found.message
    assert found.hint


def test_scopes_that_no_image_shares_are_no_tie():
    assert codes(ruled("docker://r.example/t/a*", "docker://r.example/t/b*")) == []
    assert codes(ruled("docker://r.example/t/*", "docker://r.example/t/**")) == []  # ** gives way, wherever it stands


def test_a_signer_inside_a_part_is_used():
    nested = GOOD | {"rules": [], "default": [{"anyOf": [{"allOf": [ALICE]}]}]}
    assert codes(nested) == []


def test_keys_are_read_only_when_asked_and_equal_ones_are_seen():
    keys = {name: {"path": f"{name}.pub"} for name in ("alice", "lost")} | {"again": {"data": pem("alice")}}
    document = GOOD | {"keys": keys, "default": [{"signatures": {"from": ["lost", "again"]}}]}
    assert codes(document) == []
    assert codes(document, read_key=files) == [("keys.lost", "key-unusable"), ("keys.again", "key-duplicate")]


def test_keys_from_elsewhere_are_read_where_they_can_be():
    def read_reference(reference):
        if reference == "env://LOST":
            raise UnreadableKeyError("the variable is not set")
        assert reference == "env://ALICE"
        return pem("alice").encode()

    keys = {"alice": {"data": pem("alice")}, "again": {"uri": "env://ALICE"}, "lost": {"uri": "env://LOST"}}
    document = GOOD | {"keys": keys, "default": [{"signatures": {"from": ["lost", "again"]}}]}
    assert codes(document) == codes(document, read_key=files) == []
    found = codes(document, read_key=files, read_reference=read_reference)
    assert found == [("keys.again", "key-duplicate"), ("keys.lost", "key-unusable")]


def test_the_extended_policy_is_linted_too_and_its_default_is_nobodys():
    text = {
        "default": [{"type": "insecureAcceptAnything"}],
        "transports": {
            "docker": {
                "r.example/team": [{"type": "reject"}],
                "s.example": [{"type": "reject"}, {"type": "insecureAcceptAnything"}],
            }
        },
    }
    extended = parse_policy(json.dumps(text).encode(), origin="base.json")
    found = lint_document(parsed(GOOD, extended=extended))
    assert [(each.place, each.code) for each in found] == [
        ("extends", "scope-shadowed"),
        ("extends", "reject-beside-others"),
        ("extends", "accept-beside-others"),
    ]
    assert "base.json" in found[0].message


@pytest.mark.parametrize(
    ("scope", "rule", "expected"),
    [
        ("r.example", "docker://r.example/**", True),
        ("r.example/team/app:v1", "docker://r.example/team/**", True),
        ("r.example/team", "docker://r.example/team/**", False),
        ("r.example", "docker://r.example/team/**", False),
        ("r.example/team", "docker://r.example/*", False),
        ("*.example", "docker://r.example/**", False),
    ],
)
def test_a_scope_is_shadowed_where_a_rule_has_all_its_images(scope, rule, expected):
    text = {"default": [{"type": "reject"}], "transports": {"docker": {scope: [{"type": "reject"}]}}}
    extended = parse_policy(json.dumps(text).encode(), origin="base.json")
    assert codes(ruled(rule), extended=extended) == ([("extends", "scope-shadowed")] if expected else [])


def test_positions_are_those_of_the_text():
    text = json.dumps(GOOD | {"default": "insecureAcceptAnything"}, indent=1).encode()
    (found,) = lint_document(parsed(json.loads(text)), positions=Positions(text))
    assert (found.position.line, found.position.column) == (text[: text.index(b'"default"')].count(b"\n") + 1, 2)
