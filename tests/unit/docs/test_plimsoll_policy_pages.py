"""The schema and the pages of the plimsoll document say what its reader knows, no more and no less."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from fakes.documents import CI, pem
from plimsoll.config.yaml_values import read_yaml_values
from plimsoll.errors import PolicyError
from plimsoll.model.identity import CLAIM_OIDS
from plimsoll.pipeline.policy_files import parse_policy_file
from plimsoll.policy.plimsoll_document import DOCUMENT_MEMBERS, RULE_MEMBERS
from plimsoll.policy.plimsoll_rules import (
    ATTESTATION_MEMBERS,
    LIST_WORDS,
    LOG_WORDS,
    REQUIREMENT_MEMBERS,
    SIGNATURES_MEMBERS,
    SLSA_MEMBERS,
)
from plimsoll.policy.plimsoll_signers import (
    CLAIM_MEMBERS,
    IDENTITY_MEMBERS,
    KEY_MEMBERS,
    KEY_SERVICES,
    PRESET_MEMBERS,
    UNREAD_SERVICES,
)
from plimsoll.signatures.identities import ISSUER_PRESETS

DOCS = Path(__file__).parents[3] / "docs"
REFERENCE = (DOCS / "reference/plimsoll-policy.md").read_text(encoding="utf-8")
GUIDE = (DOCS / "guides/write-a-policy.md").read_text(encoding="utf-8")
SCHEMA = json.loads((DOCS / "reference/plimsoll-policy.schema.json").read_bytes())
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", REFERENCE + GUIDE, re.MULTILINE | re.DOTALL)
ROOMS = {
    "": DOCUMENT_MEMBERS,
    "rule": RULE_MEMBERS,
    "key": KEY_MEMBERS,
    "named": IDENTITY_MEMBERS,
    "preset": PRESET_MEMBERS,
    "requirement": REQUIREMENT_MEMBERS,
    "signatures": SIGNATURES_MEMBERS,
    "attestation": ATTESTATION_MEMBERS,
    "slsa": SLSA_MEMBERS,
    "claims": frozenset(CLAIM_OIDS),
}


def room(name):
    return SCHEMA["$defs"][name] if name else SCHEMA


def fits(value, schema):
    """Whether ``value`` is as the schema says: as much of JSON Schema as this one uses, and nothing else passes."""
    if isinstance(schema, bool):
        return schema
    return all(_RULES[word](value, said, schema) for word, said in schema.items())


def _typed(value, name, _schema):
    kinds = {"object": dict, "array": list, "string": str, "integer": int}
    return isinstance(value, kinds[name]) and not isinstance(value, bool)


def _properties(value, said, _schema):
    return not isinstance(value, dict) or all(fits(value[name], said[name]) for name in set(value) & set(said))


def _additional(value, said, schema):
    if not isinstance(value, dict):
        return True
    return all(fits(value[name], said) for name in set(value) - set(schema.get("properties", ())))


def _any(_value, _said, _schema):
    return True


_RULES = {
    "$schema": _any, "title": _any, "description": _any, "default": _any, "$defs": _any,
    "$ref": lambda value, said, _: fits(value, SCHEMA["$defs"][said.removeprefix("#/$defs/")]),
    "type": _typed,
    "const": lambda value, said, _: value is said or (value == said and not isinstance(value, bool)),
    "enum": lambda value, said, _: value in said,
    "pattern": lambda value, said, _: not isinstance(value, str) or re.search(said, value) is not None,
    "minLength": lambda value, said, _: not isinstance(value, str) or len(value) >= said,
    "maxLength": lambda value, said, _: not isinstance(value, str) or len(value) <= said,
    "minimum": lambda value, said, _: not isinstance(value, int) or value >= said,
    "maximum": lambda value, said, _: not isinstance(value, int) or value <= said,
    "minItems": lambda value, said, _: not isinstance(value, list) or len(value) >= said,
    "maxItems": lambda value, said, _: not isinstance(value, list) or len(value) <= said,
    "uniqueItems": lambda value, _said, _: not isinstance(value, list) or len({*map(str, value)}) == len(value),
    "items": lambda value, said, _: not isinstance(value, list) or all(fits(each, said) for each in value),
    "minProperties": lambda value, said, _: not isinstance(value, dict) or len(value) >= said,
    "maxProperties": lambda value, said, _: not isinstance(value, dict) or len(value) <= said,
    "propertyNames": lambda value, said, _: not isinstance(value, dict) or all(fits(name, said) for name in value),
    "required": lambda value, said, _: not isinstance(value, dict) or set(said) <= set(value),
    "properties": _properties,
    "additionalProperties": _additional,
    "dependentSchemas": lambda value, said, _: all(fits(value, said[name]) for name in said if name in value),
    "oneOf": lambda value, said, _: sum(fits(value, each) for each in said) == 1,
    "allOf": lambda value, said, _: all(fits(value, each) for each in said),
}  # fmt: skip


@pytest.mark.parametrize("name", ROOMS)
def test_the_schema_has_the_members_that_the_reader_knows(name):
    assert set(room(name)["properties"]) == ROOMS[name]
    assert room(name)["additionalProperties"] is False


def test_the_schema_has_the_words_that_the_reader_knows():
    assert set(SCHEMA["$defs"]["claim"]["oneOf"][1]["properties"]) == CLAIM_MEMBERS
    assert tuple(SCHEMA["$defs"]["list"]["oneOf"][0]["enum"]) == LIST_WORDS
    assert tuple(SCHEMA["$defs"]["log"]["enum"]) == LOG_WORDS
    assert tuple(SCHEMA["$defs"]["preset"]["properties"]["preset"]["enum"]) == tuple(ISSUER_PRESETS)
    schemes = set(re.findall(r"[a-z0-9]+(?=[|):])", SCHEMA["$defs"]["key"]["properties"]["uri"]["pattern"]))
    assert schemes == {*KEY_SERVICES, *UNREAD_SERVICES}


@pytest.mark.parametrize("page", ["plimsoll-policy.md", "keys.md"])
def test_the_references_name_every_scheme(page):
    text = (DOCS / "reference" / page).read_text(encoding="utf-8")
    assert [name for name in (*KEY_SERVICES, *UNREAD_SERVICES) if f"`{name}:" not in text] == []


@pytest.mark.parametrize("name", [name for name in ROOMS if name != "claims"])
def test_the_reference_explains_every_member(name):
    rows = "\n".join(line.split("|")[1] for line in REFERENCE.splitlines() if line.startswith("| `"))
    headings = set(re.findall(r"^#+ (.+)$", REFERENCE, re.MULTILINE))
    for member in ROOMS[name] - {"scope", "require"}:
        assert f"`{member}`" in rows or any(member in heading.split(", ") for heading in headings), member


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_is_a_document_and_fits_the_schema(text, tmp_path):
    (tmp_path / "policy.json").write_text('{"default": [{"type": "reject"}]}')
    here = text.replace("extends: /etc/containers/policy.json", "extends: policy.json")
    parse_policy_file(here.encode(), origin=str(tmp_path / "p.yaml"))
    assert fits(read_yaml_values(text.encode(), origin="p.yaml").value, SCHEMA)


BASE = {
    "apiVersion": "plimsoll/v1",
    "keys": {"a": {"data": pem("alice")}},
    "identities": {"ci": CI},
    "default": "reject",
}


@pytest.mark.parametrize(
    "change",
    [
        {"apiVersion": "v1"},
        {"other": 1},
        {"default": []},
        {"default": "accept"},
        {"keys": {}},
        {"keys": {"a": {"path": "a", "data": pem("alice")}}},
        {"keys": {"a": {}}},
        {"keys": {"a": {"path": "a", "notAfter": "soon"}}},
        {"keys": {"a": {"uri": "file:a"}}},
        {"identities": {"ci": CI | {"issuerPattern": "x"}}},
        {"identities": {"ci": {"issuer": "x"}}},
        {"identities": {"ci": {"preset": "jenkins", "repository": "a/b", "ref": "refs/heads/main", "workflow": "w"}}},
        {"identities": {"ci": CI | {"claims": {"nobody": "x"}}}},
        {"rules": [{"scope": "docker://r.example/**"}]},
        {"default": [{"signatures": {"from": []}}]},
        {"default": [{"signatures": {"from": ["a"], "atLeast": 0}}]},
        {"default": [{"signatures": {"from": ["a"], "atLeast": True}}]},
        {"default": [{"signatures": {"from": ["a"]}, "anyOf": [{"signatures": {"from": ["a"]}}]}]},
        {"default": [{"anyOf": []}]},
        {"default": [{"attestation": {"type": "vuln", "from": ["a"], "maxAge": "week"}}]},
        {"default": [{"attestation": {"type": "vuln", "from": ["a"], "forbidden": False}}]},
        {"default": [{"attestation": {"type": "vuln", "from": ["a"], "forbidden": True, "atMost": 1}}]},
        {"default": [{"attestation": {"type": "slsaprovenance1", "from": ["a"], "slsa": {}}}]},
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(change, tmp_path):
    assert fits(BASE, SCHEMA)
    parse_policy_file(json.dumps(BASE).encode(), origin=str(tmp_path / "p.json"))
    assert not fits(BASE | change, SCHEMA)
    with pytest.raises(PolicyError):
        parse_policy_file(json.dumps(BASE | change).encode(), origin=str(tmp_path / "p.json"))
