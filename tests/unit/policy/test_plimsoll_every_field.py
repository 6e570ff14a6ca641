"""Every member that a document may have decides something: with it falsified a verdict flips (CVE-2025-29778).

In that advisory a policy's ``subject`` and ``issuer`` were read and never compared. The table below has a line for every
member that the reader knows, and a test says so; each line is an image that is accepted, and one change in the policy
after which it is not.
"""

from __future__ import annotations

import copy
from datetime import UTC, datetime

import pytest

from fakes.documents import CI, DIGEST, IMAGE, attested, document, outcome, parsed, pem, signed, sigstore
from fakes.pki import unknown, utf8
from fakes.signing import LOGGED_AT_S, signed_attachment, signer
from plimsoll.errors import PolicyError
from plimsoll.model.evidence import Found
from plimsoll.model.location import locate_docker
from plimsoll.model.reference import parse_docker_reference
from plimsoll.policy.document import parse_policy
from plimsoll.policy.plimsoll_document import DOCUMENT_MEMBERS, RULE_MEMBERS, choose
from plimsoll.policy.plimsoll_rules import (
    ATTESTATION_MEMBERS,
    REQUIREMENT_MEMBERS,
    SIGNATURES_MEMBERS,
    SLSA_MEMBERS,
)
from plimsoll.policy.plimsoll_signers import CLAIM_MEMBERS, IDENTITY_MEMBERS, KEY_MEMBERS, PRESET_MEMBERS
from plimsoll.policy.requirements import AcceptAnything, Reject

SUBJECT, ISSUER = CI["subject"], CI["issuer"]
TRIGGER = "1.3.6.1.4.1.57264.1.20"
PROVENANCE, SUMMARY = "https://slsa.dev/provenance/v1", "https://slsa.dev/verification_summary/v1"
BUILDER, SOURCE = "https://b.example/1", "https://s.example/app"
ALICE = {"signatures": {"from": ["alice"]}}
BY_CI = {"signatures": {"from": ["ci"]}}


def date(time_s):
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def files(path):
    return {"/srv/policies/alice.pub": signer().pem, "/srv/policies/bob.pub": signer(name="bob").pem}[path]


def keyed(**key):
    return document({"signatures": {"from": ["alice"], "log": "ignore"}}, keys={"alice": key})


def identified(**identity):
    return document(BY_CI, keys=(), identities={"ci": identity})


def triggered():
    """The image signed by the identity CI, whose certificate also says that a push was the trigger."""
    by = sigstore().certificate(more=((unknown(TRIGGER, utf8("push")), False),))
    return sigstore().sign_image(DIGEST, by=by)


def vuln(**more):
    return document({"attestation": {"type": "vuln", "from": ["alice"], **more}})


def slsa(predicate_type, **more):
    return document({"attestation": {"type": predicate_type, "from": ["alice"], "slsa": more}})


def ruled(scope="docker://registry.example/team/*", require=(ALICE,)):
    found = document() | {"default": "reject", "rules": [{"scope": scope, "require": list(require)}]}
    return found | {"keys": {"alice": {"data": pem("alice")}}}


PROVEN = {
    "buildDefinition": {"externalParameters": {"source": SOURCE}},
    "runDetails": {"builder": {"id": BUILDER}},
}
SUMMED = {"verificationResult": "PASSED", "verifiedLevels": ["SLSA_BUILD_LEVEL_2"]}
PRESET = {
    "preset": "github-actions",
    "repository": "acme/app",
    "workflow": "release.yml",
    "ref": "refs/heads/main",
}
CASES = {
    "document.default": (document(ALICE), document() | {"default": "reject"}, lambda: [signed("alice")]),
    "document.keys": (
        document(ALICE),
        document(ALICE, keys={"alice": {"data": pem("bob")}}),
        lambda: [signed("alice")],
    ),
    "document.identities": (identified(**CI), identified(**CI | {"subject": "x"}), lambda: [signed(None)]),
    "document.rules": (ruled(), ruled() | {"rules": []}, lambda: [signed("alice")]),
    "rule.scope": (ruled(), ruled("docker://registry.example/other/*"), lambda: [signed("alice")]),
    "rule.require": (ruled(), ruled(require=[ALICE, vuln()["default"][0]]), lambda: [signed("alice")]),
    "key.path": (keyed(path="alice.pub"), keyed(path="bob.pub"), lambda: [signed("alice")]),
    "key.data": (keyed(data=pem("alice")), keyed(data=pem("bob")), lambda: [signed("alice")]),
    "key.uri": (keyed(data=pem("alice")), keyed(uri="awskms:///alias/a"), lambda: [signed("alice")]),
    "key.notBefore": (
        keyed(data=pem("alice"), notBefore=date(LOGGED_AT_S)),
        keyed(data=pem("alice"), notBefore=date(LOGGED_AT_S + 1)),
        lambda: [signed("alice")],
    ),
    "key.notAfter": (
        keyed(data=pem("alice"), notAfter=date(LOGGED_AT_S)),
        keyed(data=pem("alice"), notAfter=date(LOGGED_AT_S - 1)),
        lambda: [signed("alice")],
    ),
    "identity.issuer": (identified(**CI), identified(**CI | {"issuer": f"{ISSUER}/"}), lambda: [signed(None)]),
    "identity.issuerPattern": (
        identified(issuerPattern="https://*.githubusercontent.com", subject=SUBJECT),
        identified(issuerPattern="https://*.example", subject=SUBJECT),
        lambda: [signed(None)],
    ),
    "identity.issuerRegexp": (
        identified(issuerRegexp="https://.*com", subject=SUBJECT),
        identified(issuerRegexp="https://", subject=SUBJECT),
        lambda: [signed(None)],
    ),
    "identity.subject": (identified(**CI), identified(**CI | {"subject": f"{SUBJECT}s"}), lambda: [signed(None)]),
    "identity.subjectPattern": (
        identified(issuer=ISSUER, subjectPattern=SUBJECT.replace("app", "*")),
        identified(issuer=ISSUER, subjectPattern=SUBJECT.replace("app/.github", "*")),
        lambda: [signed(None)],
    ),
    "identity.subjectRegexp": (
        identified(issuer=ISSUER, subjectRegexp="https://github.com/acme/.*"),
        identified(issuer=ISSUER, subjectRegexp="https://github.com/acme"),
        lambda: [signed(None)],
    ),
    "identity.claims": (
        identified(**CI, claims={"buildTrigger": "push"}),
        identified(**CI, claims={"buildTrigger": "pull"}),
        lambda: [triggered()],
    ),
    "claim.pattern": (
        identified(**CI, claims={"buildTrigger": {"pattern": "p*"}}),
        identified(**CI, claims={"buildTrigger": {"pattern": "q*"}}),
        lambda: [triggered()],
    ),
    "claim.regexp": (
        identified(**CI, claims={"buildTrigger": {"regexp": "p.*"}}),
        identified(**CI, claims={"buildTrigger": {"regexp": "p"}}),
        lambda: [triggered()],
    ),
    "preset.preset": (
        identified(**PRESET),
        identified(**PRESET | {"preset": "gitlab", "workflow": "release.yml"}),
        lambda: [signed(None)],
    ),
    **{
        f"preset.{name}": (identified(**PRESET), identified(**PRESET | {name: other}), lambda: [signed(None)])
        for name, other in (("repository", "acme/apps"), ("workflow", "test.yml"), ("ref", "refs/heads/*n2"))
    },
    "preset.claims": (
        identified(**PRESET, claims={"buildTrigger": "push"}),
        identified(**PRESET, claims={"buildTrigger": "pull"}),
        lambda: [triggered()],
    ),
    "requirement.signatures": (document(ALICE), document({"signatures": {"from": ["bob"]}}), lambda: [signed("alice")]),
    "requirement.attestation": (
        vuln(),
        document({"attestation": {"type": "vuln", "from": ["bob"]}}),
        lambda: [attested("alice")],
    ),
    "requirement.allOf": (
        document({"allOf": [ALICE]}),
        document({"allOf": [ALICE, {"signatures": {"from": ["bob"]}}]}),
        lambda: [signed("alice")],
    ),
    "requirement.anyOf": (
        document({"anyOf": [ALICE, {"signatures": {"from": ["bob"]}}]}),
        document({"anyOf": [{"signatures": {"from": ["bob"]}}]}),
        lambda: [signed("alice")],
    ),
    "signatures.from": (document(ALICE), document({"signatures": {"from": ["bob"]}}), lambda: [signed("alice")]),
    "signatures.atLeast": (
        document({"signatures": {"from": ["alice", "bob"], "atLeast": 1}}),
        document({"signatures": {"from": ["alice", "bob"], "atLeast": 2}}),
        lambda: [signed("alice")],
    ),
    "signatures.log": (
        document({"signatures": {"from": ["alice"], "log": "ignore"}}),
        document({"signatures": {"from": ["alice"], "log": "require"}}),
        lambda: [signed("alice", is_logged=False)],
    ),
    "signatures.annotations": (
        document({"signatures": {"from": ["alice"], "annotations": {"a": "b"}}}),
        document({"signatures": {"from": ["alice"], "annotations": {"a": "c"}}}),
        lambda: [signed("alice", annotations={"a": "b"})],
    ),
    "attestation.type": (
        vuln(),
        document({"attestation": {"type": "spdx", "from": ["alice"]}}),
        lambda: [attested("alice")],
    ),
    "attestation.from": (
        vuln(),
        document({"attestation": {"type": "vuln", "from": ["bob"]}}),
        lambda: [attested("alice")],
    ),
    "attestation.where": (
        vuln(where="predicate.a == 1"),
        vuln(where="predicate.a == 2"),
        lambda: [attested("alice", {"a": 1})],
    ),
    "attestation.maxAge": (vuln(maxAge="31d"), vuln(maxAge="29d"), lambda: [attested("alice")]),
    "attestation.atLeast": (
        document({"attestation": {"type": "vuln", "from": ["alice", "bob"], "atLeast": 1}}),
        document({"attestation": {"type": "vuln", "from": ["alice", "bob"], "atLeast": 2}}),
        lambda: [attested("alice")],
    ),
    "attestation.atMost": (
        vuln(atMost=2),
        vuln(atMost=1),
        lambda: [attested("alice"), attested("alice", {"a": 1})],
    ),
    "attestation.forbidden": (vuln(), vuln(forbidden=True), lambda: [attested("alice")]),
    "attestation.log": (vuln(log="ignore"), vuln(log="require"), lambda: [attested("alice", is_logged=False)]),
    "attestation.slsa": (
        slsa(PROVENANCE, builder=BUILDER),
        slsa(PROVENANCE, builder="https://b.example/2"),
        lambda: [attested("alice", PROVEN, predicate_type=PROVENANCE)],
    ),
    "slsa.builder": (
        slsa(PROVENANCE, builder=BUILDER),
        slsa(PROVENANCE, builder="https://b.example/"),
        lambda: [attested("alice", PROVEN, predicate_type=PROVENANCE)],
    ),
    "slsa.source": (
        slsa(PROVENANCE, source=SOURCE),
        slsa(PROVENANCE, source="https://s.example/ap"),
        lambda: [attested("alice", PROVEN, predicate_type=PROVENANCE)],
    ),
    "slsa.level": (
        slsa(SUMMARY, level=2),
        slsa(SUMMARY, level=3),
        lambda: [attested("alice", SUMMED, predicate_type=SUMMARY)],
    ),
}
APART = {"document.apiVersion", "document.extends", "key.digestAlgorithm"}
"""Those with a test of their own below."""


def test_every_member_that_is_known_has_a_case():
    rooms = {
        "document": DOCUMENT_MEMBERS,
        "rule": RULE_MEMBERS,
        "key": KEY_MEMBERS,
        "identity": IDENTITY_MEMBERS,
        "preset": PRESET_MEMBERS,
        "claim": CLAIM_MEMBERS,
        "requirement": REQUIREMENT_MEMBERS,
        "signatures": SIGNATURES_MEMBERS,
        "attestation": ATTESTATION_MEMBERS,
        "slsa": SLSA_MEMBERS,
    }
    assert {f"{room}.{name}" for room, names in rooms.items() for name in names} == set(CASES) | APART


@pytest.mark.parametrize("case", CASES)
def test_a_falsified_member_flips_the_verdict(case):
    good, falsified, made = CASES[case]
    evidence = made()
    assert outcome(copy.deepcopy(good), *evidence, read_key=files) == "accepted"
    expected = "undetermined" if case == "key.uri" else "rejected"
    assert outcome(falsified, *evidence, read_key=files) == expected


def test_another_version_is_refused():
    with pytest.raises(PolicyError, match="apiVersion"):
        parsed(document(ALICE) | {"apiVersion": "plimsoll/v1beta"})


def test_a_key_of_another_digest_algorithm():
    layer = Found(attachments=(signed_attachment(DIGEST, by=signer(), hash_name="sha512"),))
    assert outcome(keyed(data=pem("alice"), digestAlgorithm="sha512"), sig=layer) == "accepted"
    assert outcome(keyed(data=pem("alice"), digestAlgorithm="sha256"), sig=layer) == "rejected"


def test_what_is_extended_selects():
    location = locate_docker(parse_docker_reference(IMAGE))
    text = '{"default": [{"type": "reject"}], "transports": {"docker": {"%s": [{"type": "insecureAcceptAnything"}]}}}'
    for scope, expected in (("registry.example/team", AcceptAnything()), ("registry.example/other", Reject())):
        extended = parse_policy((text % scope).encode(), origin="policy.json")
        document_ = {"apiVersion": "plimsoll/v1", "default": "reject", "extends": "policy.json"}
        assert choose(parsed(document_, extended=extended), location).selected.requirements == (expected,)
