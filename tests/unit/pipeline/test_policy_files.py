"""Policy files of either kind: told apart by content, found from the document's folder, refused with the place."""

from __future__ import annotations

import asyncio
import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.documents import CI, pem
from plimsoll import limits
from plimsoll.config.keys import read_key_file
from plimsoll.errors import PolicyError
from plimsoll.model.location import locate_docker, locate_path
from plimsoll.model.reference import parse_docker_reference
from plimsoll.pipeline.fetched_keys import FetchedKeys
from plimsoll.pipeline.policies import Policy
from plimsoll.pipeline.policy_files import parse_policy_file
from plimsoll.pipeline.requirements_at import RequirementsAt
from plimsoll.policy.plimsoll_document import PlimsollPolicy
from plimsoll.policy.requirements import Policy as PolicyJson

REJECTING = '{"default": [{"type": "reject"}]}'
SMALLEST = "apiVersion: plimsoll/v1\ndefault: reject\n"
TEAM = locate_docker(parse_docker_reference("registry.example/team/app"))


def write(folder, text, name="policy.yaml"):
    path = folder / name
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return path


def read(path):
    return parse_policy_file(path.read_bytes(), origin=str(path)).document


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (REJECTING, PolicyJson),
        (SMALLEST, PlimsollPolicy),
        (f"# a comment\n---\n{SMALLEST}", PlimsollPolicy),
        ('default: reject\n"apiVersion": plimsoll/v1\n', PlimsollPolicy),
        (f"\ufeff{SMALLEST}", PlimsollPolicy),
        ('{"apiVersion": "plimsoll/v1", "default": "reject"}', PlimsollPolicy),
        ('\n {"default": "reject", "apiVersion": "plimsoll/v1"}', PlimsollPolicy),
    ],
)
def test_a_policy_is_told_by_its_content(tmp_path, text, kind):
    assert isinstance(read(write(tmp_path, text, "any.name")), kind)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1, column 1"),
        ("default: reject\n", "invalid policy"),
        ("[1]", "invalid policy"),
        (f"{SMALLEST}default: reject\n", "line 3, column 1: the key 'default' twice"),
        (f"{SMALLEST}other: 1\n", 'line 3, column 1: the document: unknown key "other"'),
        (
            f"{SMALLEST}rules:\n  - scope: docker://r.example/a\n    require: []\n",
            r"line 5, column 5: rules\[0\].require: ",
        ),
        (
            f"{SMALLEST}keys: {{a: {{path: a, notAfter: 2027}}}}",
            "line 3, column 21: keys.a.notAfter: a string is needed",
        ),
        (f"{SMALLEST}---\n{SMALLEST}", "a second document"),
        (f"{SMALLEST}x: *a\n", "invalid policy"),
        (
            '{"apiVersion": "plimsoll/v1",\n "default": "reject", "a": 1}',
            'line 2, column 23: the document: unknown key "a"',
        ),
        ('{"apiVersion": "plimsoll/v1", "default": "reject", "default": "reject"}', "already has"),
        ('{"apiVersion": "plimsoll/v1", "default": "reject"', "invalid policy"),
        ("apiVersion: plimsoll/v1\n", '"default" is missing'),
        (" " * (limits.POLICY_BYTES + 1), "bytes"),
    ],
)
def test_a_bad_file_is_refused_with_name_and_place(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(PolicyError, match=message) as caught:
        read(path)
    assert "policy.yaml" in str(caught.value)


def test_an_extended_policy_is_found_from_the_documents_folder(tmp_path, monkeypatch):
    inner = tmp_path / "inner"
    inner.mkdir()
    write(inner, REJECTING, "base.json")
    path = write(inner, f"{SMALLEST}extends: base.json\n")
    monkeypatch.chdir(tmp_path)
    policy = Policy.from_file("inner/policy.yaml")
    assert policy.policy_json is not None
    assert policy.policy_json.origin == str(inner / "base.json")
    both = "".join(f"sha256:{hashlib.sha256(text).hexdigest()}\n" for text in (path.read_bytes(), REJECTING.encode()))
    assert policy.digest == f"sha256:{hashlib.sha256(both.encode()).hexdigest()}"
    write(inner, REJECTING.replace("reject", "insecureAcceptAnything"), "base.json")
    assert Policy.from_file(path).digest != policy.digest


@pytest.mark.parametrize(
    ("base", "message"),
    [
        (None, "line 3, column 1: extends: .*base.json.* does not exist"),
        (SMALLEST, "extends: .* only a policy.json can be extended"),
        ('{"apiVersion": "plimsoll/v1", "default": "reject"}', "only a policy.json can be extended"),
        ('{"default": []}', r"invalid policy in .*base.json.*default.*which .*policy.yaml.* extends"),
        ("", r"base.json.*which .*policy.yaml.* extends"),
    ],
)
def test_what_cannot_be_extended_refuses_the_document(tmp_path, base, message):
    path = write(tmp_path, f"{SMALLEST}extends: base.json\n")
    if base is not None:
        write(tmp_path, base, "base.json")
    with pytest.raises(PolicyError, match=message):
        read(path)


def test_a_document_does_not_extend_itself(tmp_path):
    with pytest.raises(PolicyError, match=r"only a policy\.json"):
        read(write(tmp_path, f"{SMALLEST}extends: policy.yaml\n"))


def test_a_path_scope_counts_from_the_real_folder(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    rule = "rules: [{scope: 'oci:images/*', require: insecureAcceptAnything}]\n"
    policy = Policy.from_file(write(tmp_path / "link", SMALLEST + rule))
    chosen = policy.choose(locate_path("oci", str((tmp_path / "real").resolve() / "images" / "a")))
    assert chosen.selected.scope == "rules[0] oci:images/*"


def test_registries_d_has_its_say_where_a_policy_json_has(tmp_path):
    plain = Policy.from_file(write(tmp_path, REJECTING, "policy.json"))
    assert plain.choose(TEAM).by_policy_json
    assert plain.policy_json is plain.document
    document = Policy.from_file(write(tmp_path, SMALLEST))
    assert not document.choose(TEAM).by_policy_json
    assert document.policy_json is None


def requirements_at(policy, registries_d=None):
    return RequirementsAt(
        policy=policy,
        trust=None,
        registries_d=registries_d,
        read_key=read_key_file,
        fetched=FetchedKeys(pytest.fail, executor=None),
    )


class Registries:
    """registries.d as it answers here: no attachments, and a lookaside."""

    def uses_sigstore_attachments(self, _name):
        return False

    def lookaside(self, _name):
        return "https://lookaside.example"


def test_a_document_s_own_rules_read_attached_signatures_and_no_lookaside(tmp_path):
    document = Policy.from_file(write(tmp_path, SMALLEST))
    plain = Policy.from_file(write(tmp_path, REJECTING, "policy.json"))
    scoped = REJECTING.replace("}]}", '}], "transports": {"docker": {"registry.example": [{"type": "reject"}]}}}')
    write(tmp_path, scoped, "base.json")
    extending = Policy.from_file(write(tmp_path, f"{SMALLEST}extends: base.json\n"))
    for policy, expected in (
        (document, (True, None)),
        (plain, (False, "https://lookaside.example")),
        (extending, (False, "https://lookaside.example")),
    ):
        ready = asyncio.run(requirements_at(policy, Registries()).at(TEAM, TEAM.docker))
        assert (ready.attachments, ready.store) == expected
    elsewhere = locate_docker(parse_docker_reference("other.example/app"))
    ready = asyncio.run(requirements_at(extending, Registries()).at(elsewhere, elsewhere.docker))
    assert (ready.attachments, ready.store, ready.scope) == (True, None, "default")
    beside = asyncio.run(requirements_at(document).at(locate_path("dir", "/images/a"), None))
    assert (beside.attachments, beside.store) == (True, "")


KEY = {"keys": {"a": {"data": pem("alice")}}, "identities": {"ci": CI}}


@pytest.mark.parametrize(
    ("default", "expected"),
    [
        ("reject", False),
        ([{"signatures": {"from": ["a"]}}], True),
        ([{"signatures": {"from": ["a"], "log": "ignore"}}], False),
        ([{"signatures": {"from": ["ci"], "log": "ignore"}}], True),
        ([{"anyOf": [{"allOf": [{"signatures": {"from": ["a"]}}]}]}], True),
        ([{"attestation": {"type": "vuln", "from": ["a"], "log": "ignore"}}], False),
        ([{"attestation": {"type": "vuln", "from": ["a"], "log": "ignore", "maxAge": "1d"}}], True),
        ([{"attestation": {"type": "vuln", "from": ["a"], "log": "ignore", "where": "true"}}], True),
    ],
)
def test_a_root_is_read_only_where_it_can_matter(tmp_path, default, expected):
    document = {"apiVersion": "plimsoll/v1", "default": default} | KEY
    assert Policy.from_file(write(tmp_path, document)).needs_root is expected
    ruled = document | {"default": "reject", "rules": [{"scope": "docker://r.example/**", "require": default}]}
    assert Policy.from_file(write(tmp_path, ruled)).needs_root is expected


@settings(max_examples=80)
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: f"apiVersion: {text}".encode()))
def test_any_bytes_are_a_policy_or_a_policy_error(data):
    try:
        found = parse_policy_file(data, origin="p.yaml")
    except PolicyError:
        return
    assert found.document.default
