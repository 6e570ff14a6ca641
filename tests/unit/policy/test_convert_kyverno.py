from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.foreign_policies import convert, effects, key, parsed
from plimsoll.errors import AttestationConditionError, PolicyError
from plimsoll.model.attestation import Statement, Subject
from plimsoll.model.identity import Exact, Regexp
from plimsoll.policy.requirements import (
    AcceptAnything,
    AnyOf,
    AttestationsRequired,
    LogDemand,
    Reject,
    SignaturesRequired,
)

ISSUER = "https://token.actions.githubusercontent.com"
K1, K2, RSA = ({"keys": {"publicKeys": key(name)}} for name in ("k1", "k2", "rsa3072"))
KEYLESS = {"keyless": {"issuer": ISSUER, "subject": "https://github.com/acme/*"}}
PODS = {"any": [{"resources": {"kinds": ["Pod"]}}]}


def entry(*sets, references=("ghcr.io/acme/*",), **more):
    return {"imageReferences": list(references), "attestors": list(sets), **more}


def policy(*entries, match=PODS, **spec):
    rule = {"name": "check", "match": match, "verifyImages": list(entries)}
    return {
        "apiVersion": "kyverno.io/v1",
        "kind": "ClusterPolicy",
        "metadata": {"name": "check"},
        "spec": {"validationFailureAction": "Enforce", "background": False, "rules": [rule], **spec},
    }


def requirements(*documents, **settings):
    conversion = convert("kyverno", *documents, **settings)
    _, found = parsed(conversion)
    said = {place: effect for place, effect in effects(conversion).items() if effect != "note"}
    return {rule.scope.text: rule.requirements for rule in found.rules}, said


def only(*sets, **more):
    found, said = requirements(policy(entry(*sets, **more)))
    return found["docker://ghcr.io/acme/**"], said


def test_all_entries_by_default_one_with_count_1_and_n_of_m():
    found, said = only({"entries": [K1, K2]})
    assert ([len(part.signers) for part in found], said) == ([1, 1], {})
    (found,), said = only({"count": 1, "entries": [K1, K2]})
    assert (found.at_least, len(found.signers), said) == (1, 2, {})
    (found,), said = only({"count": 2, "entries": [K1, K2, RSA]})
    assert (found.at_least, len(found.signers), said) == (2, 3, {})
    assert len(only({"entries": [K1]}, {"entries": [K2]})[0]) == 2


def test_several_keys_in_one_text_are_entries_of_their_own():
    both = {"keys": {"publicKeys": key("k1") + key("k2")}}
    assert len(only({"entries": [both]})[0]) == 2
    assert only({"count": 1, "entries": [both]})[0][0].at_least == 1


def test_the_log_is_needed_unless_it_is_ignored():
    assert only({"entries": [K1]})[0][0].log is LogDemand.REQUIRED
    ignoring = {"keys": {"publicKeys": key("k1"), "rekor": {"ignoreTlog": True, "url": "https://x.example"}}}
    assert only({"entries": [ignoring]})[0][0].log is LogDemand.IGNORED
    (found,), said = only({"count": 2, "entries": [ignoring, K2, RSA]})
    assert isinstance(found, AnyOf)
    assert len(found.parts) == 3
    assert said == {}


def test_wildcards_regexps_and_extensions_of_identities():
    more = {"additionalExtensions": {"githubWorkflowTrigger": "push", "1.3.6.1.4.1.57264.1.6": "refs/tags/*"}}
    (found,), said = only({"entries": [{"keyless": {**KEYLESS["keyless"], **more}}]})
    identity = found.signers[0].identity
    assert identity.subject == Regexp(pattern="https://github\\.com/acme/(?s:.*)")
    assert dict(identity.claims) == {
        "githubWorkflowTrigger": Exact(text="push"),
        "githubWorkflowRef": Regexp(pattern="refs/tags/(?s:.*)"),
    }
    assert said == {}
    (found,), _ = only({"entries": [{"keyless": {"subjectRegExp": "^a$", "issuer": ISSUER}}]})
    assert found.signers[0].identity.subject == Regexp(pattern="^a$")


def test_sets_inside_sets():
    nested = {"attestor": {"count": 1, "entries": [K1, K2]}}
    found, _ = only({"entries": [nested, RSA]})
    assert [len(part.signers) for part in found] == [2, 1]


PRIVATE = {"url": "https://rekor.private.example"}
LOST = [
    {"keys": {"publicKeys": "{{ keys.data.release }}"}},
    {"keys": {"publicKeys": key("k1") + "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"}},
    {"keys": {"kms": "gitlab://x"}},
    {"keys": {"kms": "awskms:///alias/x", "publicKeys": key("k1")}},
    {"keys": {"publicKeys": key("k1"), "unknown": 1}},
    {"keys": {"publicKeys": key("k1"), "rekor": PRIVATE}},
    {"keys": {"publicKeys": key("k1"), "rekor": {"pubkey": "x"}}},
    {"keys": {"publicKeys": key("k1"), "signatureAlgorithm": "md5"}},
    {"keys": {}},
    {"certificates": {"cert": "x"}},
    {"keyless": {}},
    {"keyless": {"issuer": ISSUER, "subject": "a", "roots": "x"}},
    {"keyless": {"issuer": ISSUER, "subject": "a*", "subjectRegExp": "^a"}},
    {"keyless": {"issuer": ISSUER, "subject": "a", "ctlog": {"pubkey": "x"}}},
    {"keyless": {"issuer": ISSUER, "subject": "a", "additionalExtensions": {"x": "y"}}},
    {"keyless": {"issuer": ISSUER, "subjectRegExp": "("}},
    {**K1, "keyless": KEYLESS["keyless"]},
    {**K1, "unknown": "x"},
    {},
    {"attestor": {"entries": []}},
]


@pytest.mark.parametrize("lost", LOST, ids=lambda entry: str(entry).replace(key("k1"), "K1"))
def test_an_entry_that_lost_something_counts_for_nothing(lost):
    (found,), said = only({"entries": [lost]})
    assert isinstance(found, Reject)
    assert "rejects" in said.values()
    (found,), _ = only({"entries": [lost, RSA]})
    assert isinstance(found, Reject)


def test_of_two_of_three_with_one_lost_both_others_are_needed():
    found, _ = only({"count": 2, "entries": [{"certificates": {"cert": "x"}}, K2, RSA]})
    assert [len(part.signers) for part in found] == [1, 1]
    (found,), _ = only({"count": 3, "entries": [{"certificates": {"cert": "x"}}, K2, RSA]})
    assert isinstance(found, Reject)


@pytest.mark.parametrize(
    "more",
    [
        {"type": "Notary"},
        {"unknown": 1},
        {"validate": {"deny": {}}},
        {"annotations": {"a": "b"}},
        {"roots": "x"},
        {"attestations": [{"type": "https://x.example/v1"}]},
        {"attestations": [{"type": "vuln", "attestors": [{"entries": [K1]}]}]},
        {"attestations": [{"type": "https://x.example/v1", "attestors": [{"entries": [K1]}], "unknown": 1}]},
    ],
    ids=str,
)
def test_an_entry_of_the_rule_that_lost_something_rejects(more):
    (found,), said = only({"entries": [K1]}, **more)
    assert isinstance(found, Reject)
    assert "rejects" in said.values()


@pytest.mark.parametrize(
    ("more", "effect"),
    [
        ({"required": False}, "stricter"),
        ({"mutateDigest": False}, "differs"),
        ({"repository": "ghcr.io/acme/signatures"}, "stricter"),
        ({"failureAction": "Audit"}, "stricter"),
    ],
)
def test_settings_are_told(more, effect):
    (found,), said = only({"entries": [K1]}, **more)
    assert isinstance(found, SignaturesRequired)
    assert list(said.values()) == [effect]


def test_other_fields_of_the_policy():
    found, said = requirements(policy(entry({"entries": [K1]}), validationFailureAction="Audit"))
    assert list(said.values()) == ["stricter"]
    namespaced = {"any": [{"resources": {"kinds": ["Pod"], "namespaces": ["prod"]}}]}
    assert requirements(policy(entry({"entries": [K1]}), match=namespaced))[1] == {"spec.rules[0].match": "stricter"}
    found, _ = requirements(policy(entry({"entries": [K1]}), unknown=1))
    assert all(isinstance(part, Reject) for (part,) in found.values())


def test_what_is_skipped_is_let_through_and_only_that():
    found, said = requirements(policy(entry({"entries": [K1]}, skipImageReferences=["ghcr.io/acme/skip/*"])))
    assert isinstance(found["docker://ghcr.io/acme/skip/**"][0], AcceptAnything)
    assert said == {}
    other = entry({"entries": [K2]}, references=["ghcr.io/*"])
    found, _ = requirements(policy(entry({"entries": [K1]}, skipImageReferences=["ghcr.io/acme/skip/*"]), other))
    assert [len(part.signers) for part in found["docker://ghcr.io/acme/skip/**"]] == [1]
    assert len(found["docker://ghcr.io/acme/**"]) == 2


@pytest.mark.parametrize("skipped", ["ghcr.io/acme/skip:*", "ghcr.io/acme/skip:v1", "docker.io/nginx*", "*"])
def test_what_cannot_be_skipped_exactly_is_not_skipped(skipped):
    found, said = requirements(policy(entry({"entries": [K1]}, skipImageReferences=[skipped])))
    assert all(isinstance(part, SignaturesRequired) for parts in found.values() for part in parts)
    assert "stricter" in said.values()


def condition(key_, value, operator="Equals"):
    return {"key": key_, "operator": operator, "value": value}


def attested(conditions):
    return {
        "type": "https://slsa.dev/provenance/v1",
        "attestors": [{"count": 1, "entries": [K1, KEYLESS]}],
        "conditions": conditions,
    }


def judged(conditions, predicate):
    found, said = requirements(policy(entry(attestations=[attested(conditions)])))
    (requirement,) = found["docker://ghcr.io/acme/**"]
    if isinstance(requirement, Reject):
        assert "rejects" in said.values()
        return None
    part = requirement.parts[0]
    assert isinstance(part, AttestationsRequired)
    subject = Subject(name="", digests={"sha256": "0" * 64}, annotations={})
    statement = Statement(type="x", subjects=(subject,), predicate_type=part.type, predicate=predicate)
    try:
        part.conditions[0].check(statement)
    except AttestationConditionError:
        return False
    return True


BUILDER = condition("{{ runDetails.builder.id }}", "https://builder.example")


def test_conditions_of_equality():
    good = {"runDetails": {"builder": {"id": "https://builder.example"}}, "n": 3, "ok": True}
    assert judged([{"all": [BUILDER]}], good)
    assert not judged([{"all": [BUILDER]}], {"runDetails": {"builder": {"id": "https://other.example"}}})
    assert not judged([{"all": [BUILDER]}], {})
    assert judged([{"all": [condition("{{ n }}", 3), condition("{{ ok }}", True)]}], good)
    assert not judged([{"all": [condition("{{ n }}", 3), condition("{{ ok }}", False)]}], good)
    some = [{"any": [condition("{{ n }}", 4), condition("{{ ok }}", True)]}]
    assert judged(some, good)
    assert not judged(some, {"ok": True})
    assert not judged([{"all": [BUILDER]}, *some], {"n": 4, "ok": True})


@pytest.mark.parametrize(
    "conditions",
    [
        [{"all": [condition("{{ a }}", "b", "NotEquals")]}],
        [{"all": [condition("{{ a }}", "b*")]}],
        [{"all": [condition("{{ a }}", ["b"], "AnyIn")]}],
        [{"all": [condition("{{ a | length(@) }}", 1)]}],
        [{"all": [condition("{{ a[0].b }}", "x")]}],
        [{"all": [condition("{{ request.object.a }}", "x")]}],
        [{"all": [condition("{{ a }}", "{{ b }}")]}],
        [{"all": [BUILDER, condition("{{ a }}", 3, "GreaterThan")]}],
        [{}],
        [{"none": [BUILDER]}],
        [BUILDER],
    ],
    ids=str,
)
def test_other_conditions_reject(conditions):
    assert judged(conditions, {"a": "b"}) is None


def ivpol(expression, *, globs=({"glob": "ghcr.io/acme/*"},), attestors=None, **more):
    return {
        "apiVersion": "policies.kyverno.io/v1alpha1",
        "kind": "ImageValidatingPolicy",
        "metadata": {"name": "check"},
        "spec": {
            "matchConstraints": {"resourceRules": []},
            "matchImageReferences": list(globs),
            "attestors": attestors
            or [
                {"name": "release", "cosign": {"key": {"data": key("k1")}, "ctlog": {"insecureIgnoreTlog": True}}},
                {"name": "ci", "cosign": {"keyless": {"identities": [{"issuer": ISSUER, "subject": "x"}]}}},
                {"name": "old", "notary": {"certs": {"value": "x"}}},
            ],
            "attestations": [{"name": "sbom", "intoto": {"type": "https://cyclonedx.org/bom"}}],
            "validations": [{"expression": expression, "message": "no"}],
            **more,
        },
    }


SIGNED = "images.containers.map(image, verifyImageSignatures(image, [{}])).all(e, e > 0)"


def test_image_validating_policies():
    found, said = requirements(ivpol(SIGNED.format("attestors.release, attestors.ci")))
    (part,) = found["docker://ghcr.io/acme/**"]
    assert isinstance(part, AnyOf)
    assert [inner.log for inner in part.parts] == [LogDemand.IGNORED, LogDemand.REQUIRED]
    assert set(said) == {"spec.attestors[2].notary"}
    expression = "images.containers.map(image,\n verifyAttestationSignatures(image, attestations.sbom, [attestors.ci]) > 0).all(x, x)"
    ((part,),) = requirements(ivpol(expression))[0].values()
    assert (type(part), part.type) == (AttestationsRequired, "https://cyclonedx.org/bom")


def test_annotations_of_an_attestation_are_not_dropped():
    cosign = {"keyless": {"identities": [{"issuer": ISSUER, "subject": "x"}]}, "annotations": {"team": "a"}}
    attested = "images.containers.map(image, verifyAttestationSignatures(image, attestations.sbom, [attestors.ci])).all(e, e > 0)"
    for expression, kind in ((SIGNED.format("attestors.ci"), SignaturesRequired), (attested, Reject)):
        ((part,),) = requirements(ivpol(expression, attestors=[{"name": "ci", "cosign": cosign}]))[0].values()
        assert isinstance(part, kind)
        assert kind is Reject or part.annotations == (("team", "a"),)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "true",
        SIGNED.format("attestors.unknown"),
        SIGNED.format("attestors.old"),
        SIGNED.format("attestors.release, x"),
        SIGNED.format("attestors.release").replace("> 0", ">= 0"),
        SIGNED.format("attestors.release").replace("all(", "exists("),
        SIGNED.format("attestors.release") + " || true",
        "images.containers.map(image, verifyAttestationSignatures(image, attestations.other, [attestors.ci])).all(e, e > 0)",
    ],
)
def test_other_validations_reject(expression):
    ((part,),) = requirements(ivpol(expression))[0].values()
    assert isinstance(part, Reject)


def test_an_expression_for_images_adds_its_demands_everywhere():
    globs = [{"expression": "image.registry == 'ghcr.io'"}]
    found, said = requirements(ivpol(SIGNED.format("attestors.ci"), globs=globs), policy(entry({"entries": [K1]})))
    assert {scope: len(parts) for scope, parts in found.items()} == {"docker://ghcr.io/acme/**": 2}
    assert said["spec.matchImageReferences[0].expression"] == "stricter"


@pytest.mark.parametrize(
    "document",
    [
        {},
        {**policy(entry({"entries": [K1]})), "apiVersion": "v1"},
        {**policy(entry({"entries": [K1]})), "spec": {"rules": []}},
        {**policy(entry({"entries": [K1]})), "spec": {"rules": [{"name": "x", "validate": {}}]}},
        policy({"attestors": []}),
        policy(entry({"count": "many", "entries": [K1]})),
        {**ivpol("true"), "apiVersion": "kyverno.io/v1"},
    ],
)
def test_what_is_no_policy_for_images_is_refused(document):
    with pytest.raises(PolicyError):
        convert("kyverno", document)


FIELDS = st.sampled_from(
    [
        "keys",
        "publicKeys",
        "kms",
        "keyless",
        "issuer",
        "subject",
        "subjectRegExp",
        "rekor",
        "ignoreTlog",
        "url",
        "ctlog",
        "attestor",
        "entries",
        "count",
        "annotations",
        "repository",
        "certificates",
        "additionalExtensions",
    ]
)
LEAVES = st.sampled_from([key("k1"), key("k2"), "awskms:///alias/a", ISSUER, "a*", "(", "", 1, 2, True, None])
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=3), max_leaves=10
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([K1, K2, KEYLESS]) | st.dictionaries(FIELDS, TREES, max_size=3), max_size=4), LEAVES)
def test_any_entries_are_refused_or_converted_to_what_parses(entries, count):
    try:
        conversion = convert("kyverno", policy(entry({"count": count, "entries": entries})))
    except PolicyError:
        return
    _, found = parsed(conversion)
    refused = any(isinstance(part, Reject) for rule in found.rules for part in rule.requirements)
    assert not refused or "rejects" in effects(conversion).values()
