"""The document read strictly: one good document, and every way of getting one of its members wrong."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.documents import CI, parsed, pem
from plimsoll import limits
from plimsoll.errors import PolicyError, UnreadableKeyError
from plimsoll.model.identity import Exact, Glob, Identity, Regexp
from plimsoll.model.location import locate_docker, locate_path
from plimsoll.model.reference import parse_docker_reference
from plimsoll.model.token_uri import parse_token_uri
from plimsoll.policy.document import parse_policy
from plimsoll.policy.plimsoll_document import choose
from plimsoll.policy.plimsoll_signers import checked_reference
from plimsoll.policy.requirements import (
    AllOf,
    AnyOf,
    AttestationsRequired,
    KeySource,
    LogDemand,
    NamedIdentity,
    NamedKey,
    Reject,
    SignaturesRequired,
    Window,
)

GITHUB = "https://token.actions.githubusercontent.com"
GOOD = {
    "apiVersion": "plimsoll/v1",
    "keys": {
        "release": {"path": "release.pub", "notBefore": "2025-01-01", "notAfter": "2027-01-01T12:00:00+01:00"},
        "backup": {"data": pem("alice"), "digestAlgorithm": "sha384"},
        "hsm": {"uri": "pkcs11:token=release;object=key"},
    },
    "identities": {
        "ci": {"issuer": GITHUB, "subjectPattern": "https://github.com/acme/*/.github/workflows/r.yml@refs/tags/*"},
        "any": {
            "issuerPattern": "https://*.example",
            "subjectRegexp": "https://.*",
            "claims": {"buildTrigger": "push", "sourceRepositoryRef": {"pattern": "refs/tags/*"}},
        },
        "preset": {"preset": "github-actions", "repository": "acme/app", "workflow": "release.yml", "ref": "refs/heads/main"},
        "gitlab": {"preset": "gitlab", "repository": "acme/sub/app", "ref": "refs/tags/*"},
    },
    "rules": [
        {
            "scope": "docker://r.example/team/**",
            "require": [
                {"signatures": {"atLeast": 2, "from": ["release", "backup", "ci"], "annotations": {"a": "b"}}},
                {"attestation": {"type": "vuln", "from": ["ci"], "maxAge": "7d", "where": "predicate.a == 0"}},
                {"anyOf": [{"attestation": {"type": "link", "from": ["any"], "forbidden": True, "log": "ignore"}}]},
                {"allOf": [{"attestation": {"type": "slsaprovenance1", "from": ["ci"], "atMost": 2,
                                            "slsa": {"builder": "https://b.example", "source": "https://s.example"}}}]},
            ],
        },
        {"scope": "oci:images/*", "require": "reject"},
    ],
    "default": "reject",
}  # fmt: skip


def changed(*path, to):
    """GOOD with another value at ``path``; ``...`` takes it away."""
    found = copy.deepcopy(GOOD)
    inner = found
    for step in path[:-1]:
        inner = inner[step]
    if to is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = to
    return found


def test_a_document_is_read_in_full():
    policy = parsed(GOOD)
    assert policy.default == (Reject(),)
    assert policy.signers["release"] == NamedKey(
        name="release",
        source=KeySource(paths=("/srv/policies/release.pub",)),
        window=Window(not_before_s=1735689600.0, not_after_s=1798801200.0),
    )
    assert policy.signers["backup"] == NamedKey(
        name="backup", source=KeySource(data=(pem("alice").encode(),)), hash_name="sha384"
    )
    assert policy.signers["hsm"] == NamedKey(name="hsm", reference="pkcs11:token=release;object=key")
    identities = {name: found.identity for name, found in policy.signers.items() if isinstance(found, NamedIdentity)}
    assert identities == {
        "ci": Identity(
            issuer=Exact(text=GITHUB),
            subject=Glob(pattern="https://github.com/acme/*/.github/workflows/r.yml@refs/tags/*"),
        ),
        "any": Identity(
            issuer=Glob(pattern="https://*.example"),
            subject=Regexp(pattern="https://.*"),
            claims=(("buildTrigger", Exact(text="push")), ("sourceRepositoryRef", Glob(pattern="refs/tags/*"))),
        ),
        "preset": Identity(
            issuer=Exact(text=GITHUB),
            subject=Exact(text="https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main"),
        ),
        "gitlab": Identity(
            issuer=Exact(text="https://gitlab.com"),
            subject=Glob(pattern="https://gitlab.com/acme/sub/app//.gitlab-ci.yml@refs/tags/*"),
        ),
    }
    rule, other = policy.rules
    assert (rule.title, other.requirements) == ("rules[0] docker://r.example/team/**", (Reject(),))
    signatures, attestation, any_of, all_of = rule.requirements
    named = [policy.signers[name] for name in ("release", "backup", "ci")]
    assert signatures == SignaturesRequired(signers=tuple(named), at_least=2, annotations=(("a", "b"),))
    assert isinstance(attestation, AttestationsRequired)
    assert (attestation.type, attestation.max_age_s) == ("https://cosign.sigstore.dev/attestation/vuln/v1", 604800.0)
    assert [condition.text for condition in attestation.conditions] == ["predicate.a == 0"]
    assert isinstance(any_of, AnyOf)
    assert isinstance(all_of, AllOf)
    (forbidden,), (bounded,) = any_of.parts, all_of.parts
    assert (forbidden.at_least, forbidden.at_most, forbidden.log) == (0, 0, LogDemand.IGNORED)
    assert (bounded.at_least, bounded.at_most, len(bounded.conditions)) == (1, 2, 2)
    assert rule.requirements[2].parts[0].where == "rules[0].require[2].anyOf[0].attestation"


SIGNATURES = ("rules", 0, "require", 0, "signatures")
ATTESTATION = ("rules", 0, "require", 1, "attestation")
BOUNDED = ("rules", 0, "require", 3, "allOf", 0, "attestation")
FORBIDDEN = ("rules", 0, "require", 2, "anyOf", 0, "attestation")
RELEASE, CI_AT, PRESET = ("keys", "release"), ("identities", "ci"), ("identities", "preset")
WRONG_COUNTS = [0, -1, True, False, 1.0, "1", None, [1]]


@pytest.mark.parametrize(
    ("path", "values"),
    [
        (("apiVersion",), [..., "plimsoll/v2", "", 1, None]),
        (("default",), [..., None, [], {}, "accept", "", True, [{}], ["reject"], [{"type": "reject"}]]),
        (("extends",), [None, "", 1, ["policy.json"]]),
        (("other",), [1]),
        (("keys",), [None, [], {}, {"": {"path": "a"}}, ...]),
        ((*RELEASE, "path"), [..., "", None, 1, ["a"], "awskms:///a", "https://r.example/key", "pkcs11:x", "a\0b"]),
        ((*RELEASE, "data"), ["x", pem("bob")]),
        ((*RELEASE, "uri"), ["awskms:///a"]),
        ((*RELEASE, "other"), ["x"]),
        ((*RELEASE, "notAfter"), ["", "2027", "01.01.2027", "2027-13-01", "2027-01-01T00:00:00", 2027, None, "2024-12-31"]),
        ((*RELEASE, "notBefore"), ["tomorrow", "2027-02-30", "2028-01-01"]),
        ((*RELEASE, "digestAlgorithm"), ["md5", "", 256]),
        (("keys", "backup", "data"), ["", "release.pub", "-----BEGIN PUBLIC KEY-----\u00e4"]),
        (("keys", "hsm", "uri"), ["", "nokms://x", "awskms:x", "file", "http://x", "AWSKMS:///alias/a", "awskms:///a", "env://a-b", "hashivault://",
                                   "env:K", "pkcs11:token=a", "pkcs11:object=a?module-path=/usr/lib/x.so",
                                   "pkcs11:object=a?pin-value=24680"]),
        (("keys", "ci"), [{"path": "a"}]),
        (("identities",), [None, [], {}, ...]),
        ((*CI_AT, "issuer"), [..., "", None, 1]),
        ((*CI_AT, "issuerPattern"), ["https://*"]),
        ((*CI_AT, "subjectPattern"), [..., "", "a**b", 1]),
        ((*CI_AT, "subject"), ["x"]),
        ((*CI_AT, "other"), ["x"]),
        ((*CI_AT, "claims"), [{}, None, {"nobody": "x"}, {"buildTrigger": ""}, {"buildTrigger": 1}, {"buildTrigger": {}},
                              {"buildTrigger": {"pattern": "a", "regexp": "b"}}, {"buildTrigger": {"exact": "a"}}]),
        (("identities", "any", "subjectRegexp"), ["(", "a{2000}{2000}", ""]),
        ((*PRESET, "preset"), ["github", "", None]),
        ((*PRESET, "repository"), [..., "acme", "acme/app/x", "/app", "https://github.com/acme/app", ""]),
        ((*PRESET, "workflow"), [..., "", ".github/workflows/r.yml", "r@b"]),
        ((*PRESET, "ref"), [..., "", "main", "v1"]),
        ((*PRESET, "issuer"), [GITHUB]),
        (("identities", "gitlab", "repository"), ["app", ...]),
        (("rules",), [None, {}, "reject"]),
        (("rules", 1), [{}, None, {"scope": "oci:/a"}, {"require": "reject"}]),
        (("rules", 1, "scope"), ["", None, 1, "docker://r.example/team/**", "docker://r.example", "images"]),
        (("rules", 1, "require"), [[], None, "", "accept", {}, [None], [{}], [{"reject": True}],
                                   [{"signatures": {"from": ["ci"]}, "anyOf": []}], [{"anyOf": []}], [{"allOf": [{}]}]]),
        ((*SIGNATURES, "atLeast"), [*WRONG_COUNTS, 4]),
        ((*SIGNATURES, "from"), [..., [], None, "release", [""], [1], ["nobody"], ["release", "release", "ci"]]),
        ((*SIGNATURES, "log"), ["", "required", "ignored", True, None]),
        ((*SIGNATURES, "annotations"), [{}, None, [], {"a": 1}, {"a": None}, {"": "b"}]),
        ((*SIGNATURES, "type"), ["vuln"]),
        ((*SIGNATURES, "forbidden"), [True]),
        ((*ATTESTATION, "type"), [..., "", "nothing", 1, None]),
        ((*ATTESTATION, "from"), [..., [], ["nobody"]]),
        ((*ATTESTATION, "where"), ["", "predicate.", "1 + 1", "nobody == 1", 1, None]),
        ((*ATTESTATION, "maxAge"), ["", "7", 7, "0d", "-1d", "1.5d", "7 d", "7days", "101w7d", "9999999w", None]),
        ((*ATTESTATION, "atLeast"), [*WRONG_COUNTS, 2]),
        ((*ATTESTATION, "atMost"), WRONG_COUNTS),
        ((*ATTESTATION, "forbidden"), [True, False, None, "true"]),  # true excludes maxAge
        ((*ATTESTATION, "log"), ["no"]),
        ((*ATTESTATION, "annotations"), [{"a": "b"}]),
        ((*ATTESTATION, "slsa"), [{"builder": "https://b.example"}]),  # a vuln has no builder
        ((*FORBIDDEN, "forbidden"), [False, 1, "yes", None]),
        ((*FORBIDDEN, "atLeast"), [1]),
        ((*FORBIDDEN, "atMost"), [1]),
        ((*BOUNDED, "atMost"), [0]),
        ((*BOUNDED, "slsa"), [{}, None, [], {"level": 2}, {"level": 0}, {"level": True}, {"builder": ""}, {"builder": "b"},
                              {"builder": 'https://b"||true||"'}, {"source": "https://s.example/a b"}, {"other": "x"}]),
    ],
)  # fmt: skip
def test_a_wrong_member_refuses_the_document(path, values):
    for value in values:
        with pytest.raises(PolicyError):
            parsed(changed(*path, to=value))


def test_at_most_may_not_lie_below_at_least():
    bounded = {"type": "vuln", "from": ["ci", "release"], "atLeast": 2, "atMost": 1}
    with pytest.raises(PolicyError, match="can never be met"):
        parsed(changed("default", to=[{"attestation": bounded}]))
    parsed(changed("default", to=[{"attestation": bounded | {"atMost": 2}}]))


def test_a_message_names_the_place_and_what_to_do():
    with pytest.raises(
        PolicyError, match=r'^rules\[0\]\.require\[0\]\.signatures: unknown key "atleast"; known here: '
    ):
        parsed(changed(*SIGNATURES, "atleast", to=2))
    with pytest.raises(PolicyError, match=r"^keys\.release\.path: .* belongs into uri"):
        parsed(changed(*RELEASE, "path", to="awskms:///a"))


SCHEMES = ("env://K", "hashivault://k", "awskms:///alias/a", "k8s://n/s", "pkcs11:object=a", "pkcs11:id=%01")
QUERIES = st.text(max_size=20) | st.sampled_from(["?module-path=/m.so", "?pin-value=1", "?pin-source=/p", ";type=cert"])


@pytest.mark.parametrize("path", [(*RELEASE, "path"), ("keys", "hsm", "uri")])
@pytest.mark.parametrize("start", ["pkcs11:object=a", "pkcs11:a", "PKCS11:object=a", "vault://u:24680@h/a"])
def test_a_message_shows_no_pin(path, start):
    with pytest.raises(PolicyError) as found:
        parsed(changed(*path, to=f"{start}?pin-value=24680"))
    assert "24680" not in str(found.value)


@settings(max_examples=100)
@given(st.text(max_size=40) | st.tuples(st.sampled_from(SCHEMES), QUERIES).map("".join))
def test_any_reference_is_kept_as_it_is_or_refused(text):
    try:
        assert checked_reference(text) == text
    except UnreadableKeyError:
        return
    policy = parsed(changed("keys", "hsm", "uri", to=text))
    assert policy.signers["hsm"].reference == text
    if text.startswith("pkcs11:"):
        named = parse_token_uri(text)
        assert (named.module_path, named.pin_value) == (None, None)


def test_lists_inside_one_another_have_an_end():
    inner = {"signatures": {"from": ["ci"]}}
    for _ in range(limits.POLICY_NESTING):
        inner = {"anyOf": [inner]}
    parsed(changed("default", to=[inner]))
    with pytest.raises(PolicyError, match="inside one another"):
        parsed(changed("default", to=[{"allOf": [inner]}]))


def test_a_document_needs_neither_rules_nor_signers():
    policy = parsed({"apiVersion": "plimsoll/v1", "default": "reject"})
    assert (policy.rules, policy.signers, policy.extended) == ((), {}, None)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats(allow_nan=False) | st.text("a/*:", max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=2),
    max_leaves=4,
)


def paths(value, path=()):
    if path:
        yield path
    for step, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from paths(inner, (*path, step))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(list(paths(GOOD))), VALUES)
def test_any_value_anywhere_is_a_document_or_a_policy_error(path, value):
    try:
        policy = parsed(changed(*path, to=value))
    except PolicyError:
        return
    assert policy.default


# ---- which list applies ----------------------------------------------------------------------------------------------

POLICY_JSON = parse_policy(
    json.dumps(
        {
            "default": [{"type": "insecureAcceptAnything"}],
            "transports": {
                "docker": {"r.example": [{"type": "reject"}], "other.example/a": [{"type": "insecureAcceptAnything"}]},
                "oci": {"": [{"type": "insecureAcceptAnything"}]},
            },
        }
    ).encode(),
    origin="policy.json",
)


def rules(*scopes):
    return {
        "apiVersion": "plimsoll/v1",
        "rules": [{"scope": scope, "require": "reject"} for scope in scopes],
        "default": "reject",
    }


def chosen(document, image, extended=None):
    location = locate_path("oci", image) if image.startswith("/") else locate_docker(parse_docker_reference(image))
    return choose(parsed(document, extended=extended), location)


def test_the_longest_rule_applies_wherever_it_stands():
    scopes = ["docker://r.example/**", "docker://r.example/team/**", "docker://r.example/team/app"]
    for order in (scopes, scopes[::-1]):
        found = chosen(rules(*order), "r.example/team/app").selected
        assert found.scope.endswith(" docker://r.example/team/app")
        assert [place.split(" ", 1)[-1] for place in found.passed_over] == [scopes[1], scopes[0], "default"]
    assert chosen(rules(*scopes), "r.example/other").selected.scope == "rules[0] docker://r.example/**"
    assert chosen(rules(*scopes), "s.example/other").selected.scope == "default"


@pytest.mark.parametrize(
    ("winner", "loser", "image", "why"),
    [
        ("docker://r.example/t/a*", "docker://r.example/t/*b", "r.example/t/ab", "as long, and later in the document"),
        ("docker://r.example/t/*", "docker://r.example/t/**", "r.example/t/ab", "as long, but with **"),
        ("docker://r.example/t/a*", "docker://r.example/t/*b*", "r.example/t/abc", "as long, but with more *"),
    ],
)
def test_a_tie_is_broken_and_said(winner, loser, image, why):
    found = chosen(rules(winner, loser), image).selected
    assert found.scope == f"rules[0] {winner}"
    assert found.passed_over == (f"rules[1] {loser} ({why})", "default")


def test_the_extended_policy_comes_after_the_rules_and_its_default_never():
    document = rules("docker://r.example/team/**")
    found = chosen(document, "r.example/team/app", POLICY_JSON)
    assert (found.selected.scope, found.by_policy_json) == ("rules[0] docker://r.example/team/**", False)
    assert found.selected.passed_over == ('policy.json: transports.docker["r.example"]', "default")
    found = chosen(document, "r.example/else/app", POLICY_JSON)
    assert (found.selected.scope, found.by_policy_json) == ('policy.json: transports.docker["r.example"]', True)
    found = chosen(document, "s.example/app", POLICY_JSON)
    assert (found.selected.scope, found.by_policy_json) == ("default", False)
    assert found.selected.requirements == (Reject(),)
    found = chosen(document, "/images/app", POLICY_JSON)
    assert (found.selected.scope, found.by_policy_json) == ('policy.json: transports.oci[""]', True)


def test_lists_never_merge():
    merged = rules("docker://r.example/**") | {"default": [{"signatures": {"from": ["ci"]}}], "identities": {"ci": CI}}
    assert chosen(merged, "r.example/app").selected.requirements == (Reject(),)
