from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.foreign_policies import convert, effects, key, parsed
from plimsoll.errors import PolicyError
from plimsoll.model.identity import Regexp
from plimsoll.policy.requirements import AcceptAnything, AllOf, AnyOf, LogDemand, Reject, SignaturesRequired

GITHUB = "https://token.actions.githubusercontent.com"
KEYLESS = {"identities": [{"issuer": GITHUB, "subjectRegExp": "^https://github.com/acme/.*$"}]}
REKOR = {"url": "https://rekor.sigstore.dev"}
KEY = {"key": {"data": key("k1")}}


def policy(*authorities, globs=("ghcr.io/acme/**",), **spec):
    return {
        "apiVersion": "policy.sigstore.dev/v1beta1",
        "kind": "ClusterImagePolicy",
        "metadata": {"name": "test"},
        "spec": {"images": [{"glob": glob} for glob in globs], "authorities": list(authorities), **spec},
    }


def requirements(*documents, **settings):
    conversion = convert("cip", *documents, **settings)
    _, found = parsed(conversion)
    return {rule.scope.text: rule.requirements for rule in found.rules}, effects(conversion)


def only(*authorities, root_given=False, **spec):
    found, said = requirements(policy(*authorities, **spec), root_given=root_given)
    ((requirement,),) = found.values()
    return requirement, said


def test_a_key_without_ctlog_needs_no_log_entry_and_one_with_it_does():
    found, said = only(KEY)
    assert (found.log, len(found.signers), said) == (LogDemand.IGNORED, 1, {})
    found, said = only({**KEY, "ctlog": REKOR})
    assert (found.log, said) == (LogDemand.REQUIRED, {})
    assert only({**KEY, "ctlog": {}})[0].log is LogDemand.IGNORED


def test_identities_are_alternatives_and_need_a_log_entry():
    second = {"issuerRegExp": "google", "subject": "me@x.example"}
    keyless = {"url": "https://fulcio.sigstore.dev", "identities": [*KEYLESS["identities"], second]}
    found, said = only({"keyless": keyless})
    assert (found.at_least, found.log) == (1, LogDemand.REQUIRED)
    assert [signer.identity.issuer for signer in found.signers][1] == Regexp(pattern="(?s:.*)(?:google)(?s:.*)")
    assert set(said.values()) == {"note"}


def test_authorities_are_alternatives():
    provenance = {"name": "p", "predicateType": "slsaprovenance1"}
    vuln = {"name": "v", "predicateType": "vuln"}
    found, said = only(KEY, {"keyless": KEYLESS, "attestations": [provenance, vuln]})
    assert said == {}
    assert isinstance(found, AnyOf)
    signed, attested = found.parts
    assert isinstance(signed, SignaturesRequired)
    assert isinstance(attested, AllOf)
    assert [part.type for part in attested.parts] == [
        "https://slsa.dev/provenance/v1",
        "https://cosign.sigstore.dev/attestation/vuln/v1",
    ]


LOST = [
    {"key": {"kms": "gitlab://x"}},
    {"key": {"data": "{{ no key }}"}},
    {"key": {"data": key("k1") + key("k2")}},
    {"key": {"data": key("k1"), "hashAlgorithm": "md5"}},
    {**KEY, "unknown": 1},
    {**KEY, "ctlog": {"url": "https://rekor.private.example"}},
    {**KEY, "ctlog": {"trustRootRef": "private"}},
    {**KEY, "ctlog": REKOR, "rfc3161timestamp": {"trustRootRef": "private"}},
    {"keyless": {**KEYLESS, "url": "https://fulcio.private.example"}},
    {"keyless": {**KEYLESS, "trustRootRef": "private"}},
    {"keyless": {**KEYLESS, "ca-cert": {"data": "x"}}},
    {"keyless": {"identities": []}},
    {"keyless": {"identities": [{}]}},
    {"keyless": {"identities": [{"issuer": GITHUB, "subjectRegExp": "("}]}},
    {"keyless": {"identities": [{"issuer": GITHUB, "subject": "a", "unknown": "b"}]}},
    {**KEY, "attestations": [{"predicateType": "vuln", "policy": {"type": "rego", "data": "x"}}]},
    {**KEY, "attestations": [{"predicateType": "vuln", "policy": {"type": "cue", "data": "x"}}]},
    {**KEY, "attestations": [{"predicateType": "nonsense"}]},
    {**KEY, "attestations": [{"predicateType": "vuln", "unknown": "x"}]},
    {**KEY, "source": [{"unknown": "x"}]},
    {"static": {"action": "pass", "unknown": "x"}},
]


@pytest.mark.parametrize("authority", LOST, ids=lambda entry: str(entry).replace(key("k1"), "K1"))
def test_an_authority_that_lost_something_accepts_nothing(authority):
    found, said = only(authority)
    assert isinstance(found, Reject)
    assert "rejects" in said.values()
    with_another, _ = only(authority, {"key": {"data": key("k2")}})
    assert [signer.name for signer in with_another.signers] == ["authority-1"]


@pytest.mark.parametrize(
    "authority",
    [entry for entry in LOST if "private" in str(entry)],
    ids=lambda entry: str(entry).replace(key("k1"), "K1"),
)
def test_a_private_instance_is_carried_over_where_its_root_is_given(authority):
    found, said = only(authority, root_given=True)
    both = "rfc3161timestamp" in authority
    assert isinstance(found, Reject) == both
    assert "differs" in said.values()


def test_spec_level_losses():
    assert isinstance(only(KEY, policy={"type": "rego", "data": "x"})[0], Reject)
    assert isinstance(only(KEY, unknown="x")[0], Reject)
    assert isinstance(only()[0], Reject)
    found, said = only(KEY, mode="warn", match=[{"resource": "pods", "version": "v1"}])
    assert isinstance(found, SignaturesRequired)
    assert said == {"spec.mode": "stricter", "spec.match": "stricter"}


def test_static():
    found, said = only({"static": {"action": "pass"}})
    assert isinstance(found, AcceptAnything)
    assert set(said.values()) == {"note"}
    assert isinstance(only({"static": {"action": "fail", "message": "no"}})[0], Reject)
    scopes, said = requirements(policy({"static": {"action": "pass"}}, globs=["ghcr.io/acme/tool:*"]))
    assert scopes == {}
    assert "stricter" in said.values()


def test_policies_that_overlap_must_all_be_met():
    narrow = policy({"key": {"data": key("k2")}}, globs=["ghcr.io/acme/secret/**", "quay.io/**"])
    scopes, _ = requirements(policy(KEY), narrow)
    counts = {scope: len(found) for scope, found in scopes.items()}
    assert counts == {"docker://ghcr.io/acme/**": 2, "docker://ghcr.io/acme/secret/**": 2, "docker://quay.io/**": 1}


def test_a_pattern_without_a_scope_adds_its_demands():
    tagged = policy({"key": {"data": key("k2")}}, globs=["ghcr.io/acme/app:v1"])
    scopes, said = requirements(policy(KEY), tagged)
    assert {scope: len(found) for scope, found in scopes.items()} == {"docker://ghcr.io/acme/**": 2}
    assert said["spec.images[0].glob"] == "stricter"


def test_a_pass_beside_a_demand_is_no_alternative():
    scopes, _ = requirements(policy(KEY), policy({"static": {"action": "pass"}}, globs=["ghcr.io/**"]))
    assert isinstance(scopes["docker://ghcr.io/acme/**"][0], SignaturesRequired)
    assert {type(found) for found in scopes["docker://ghcr.io/**"]} == {SignaturesRequired}


@pytest.mark.parametrize(
    "document",
    [
        {},
        {**policy(KEY), "kind": "Deployment"},
        {**policy(KEY), "apiVersion": "config.openshift.io/v1"},
        {**policy(KEY), "spec": None},
        policy(KEY, globs=[]),
        policy(KEY, globs=["a b"]),
        policy(KEY, mode="maybe"),
        policy({}),
        policy({**KEY, "keyless": KEYLESS}),
        policy({"static": {"action": "perhaps"}}),
        policy({"key": {}}),
        policy("text"),
    ],
)
def test_what_policy_controller_would_not_read_is_refused(document):
    with pytest.raises(PolicyError):
        convert("cip", document)


def test_a_secret_is_a_reference():
    found, said = only({"key": {"secretRef": {"name": "release"}}})
    assert found.signers[0].reference == "k8s://cosign-system/release"
    assert set(said.values()) == {"note"}


FIELDS = st.sampled_from(
    [
        "key",
        "keyless",
        "static",
        "ctlog",
        "data",
        "kms",
        "url",
        "identities",
        "issuer",
        "subject",
        "subjectRegExp",
        "action",
        "attestations",
        "predicateType",
        "source",
        "oci",
        "name",
        "trustRootRef",
        "rfc3161timestamp",
    ]
)
LEAVES = (
    st.sampled_from(["pass", "fail", key("k1"), "awskms:///alias/a", "vuln", GITHUB, "^a$", "(", ""])
    | st.none()
    | st.booleans()
)
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(FIELDS, inner, max_size=3), max_leaves=8
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.dictionaries(FIELDS, TREES, max_size=4), max_size=2))
def test_any_authorities_are_refused_or_converted_to_what_parses(authorities):
    try:
        conversion = convert("cip", policy(*authorities))
    except PolicyError:
        return
    parsed(conversion)
