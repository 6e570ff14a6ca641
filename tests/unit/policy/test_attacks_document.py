"""What an enemy, or a careless author, could try against a plimsoll document; each refusal beside what is accepted."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.bundles import statement_bytes
from fakes.documents import (
    CI,
    DAY_S,
    DIGEST,
    NOW_S,
    VULN,
    attested,
    codes,
    document,
    judged,
    moment,
    outcome,
    parsed,
    pem,
    scanned,
    sigstore,
)
from fakes.signing import LOGGED_AT_S, signer
from plimsoll.errors import PolicyError
from plimsoll.model.attestation import Statement, Subject
from plimsoll.model.descriptor import Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.evidence import Attachment, Found
from plimsoll.model.location import locate_docker, locate_docker_archive
from plimsoll.model.reference import parse_docker_reference, parse_reference
from plimsoll.policy.conditions import Condition
from plimsoll.policy.conversion import Accepted, KeyEntry, Refused, Signed, signers_of
from plimsoll.policy.foreign import Findings
from plimsoll.policy.foreign_patterns import Syntax
from plimsoll.policy.foreign_rules import read_exempt, read_pattern, rules_of
from plimsoll.policy.lint_document import lint_document
from plimsoll.policy.plimsoll_document import choose
from plimsoll.policy.quorum import Count, Edge, count_entries
from plimsoll.policy.scope_globs import parse_scope
from plimsoll.policy.stated_times import made_at, states_time
from plimsoll.signatures.formats import VerifiedAttestation

CUSTOM = "https://acme.example/checked/v1"
OLD_S = NOW_S - 300 * DAY_S
STATED = {
    "https://cosign.sigstore.dev/attestation/v1": "Timestamp",
    VULN: "metadata.scanFinishedOn",
    "https://in-toto.io/attestation/vulns/v0.1": "metadata.scanFinishedOn",
    "https://in-toto.io/attestation/vulns/v0.2": "metadata.scanStartedOn",
    "https://slsa.dev/provenance/v0.1": "metadata.buildFinishedOn",
    "https://slsa.dev/provenance/v0.2": "metadata.buildFinishedOn",
    "https://slsa.dev/provenance/v1": "runDetails.metadata.finishedOn",
    "https://slsa.dev/verification_summary/v1": "timeVerified",
    "https://spdx.dev/Document": "creationInfo.created",
    "https://spdx.dev/Document/v2.3": "creationInfo.created",
    "https://cyclonedx.org/bom": "metadata.timestamp",
    "https://cyclonedx.org/bom/v1.6": "metadata.timestamp",
    "https://openvex.dev/ns": "timestamp",
    "https://openvex.dev/ns/v0.2.0": "last_updated",
}


def attestation(*names, **more):
    return {"attestation": {"type": "vuln", "from": list(names), **more}}


def restamped(made, *, at_s):
    """The same signature without its log entry, and with a timestamp that anybody can have made at any time."""
    return made.changed(entries=(), timestamps=(sigstore().stamp(made.signature, at_s=at_s),))


def at(path, value):
    for name in reversed(path.split(".")):
        value = {name: value}
    return value


# ---- an old attestation that is timestamped anew ---------------------------------------------------------------------


def test_a_fresh_timestamp_makes_no_old_attestation_by_a_key_fresh():
    asked = document(attestation("alice", maxAge="7d"))
    old = attested("alice", at_s=OLD_S)
    assert codes(judged(asked, old))[0] == "attestation-condition"
    assert codes(judged(asked, restamped(old, at_s=NOW_S - DAY_S)))[0] == "attestation-condition"
    assert outcome(asked, restamped(attested("alice", at_s=NOW_S - 6 * DAY_S), at_s=NOW_S)) == "accepted"


def test_on_the_att_tag_too():
    def layer(at_s):
        payload = statement_bytes(DIGEST, predicate_type=VULN, predicate=scanned(at_s=at_s))
        return Found(attachments=(sigstore().att_layer(payload, by=signer(), is_logged=False, stamped=True),))

    asked = document(attestation("alice", maxAge="31d"))  # stamped thirty days ago
    assert outcome(asked, att=layer(LOGGED_AT_S)) == "accepted"
    assert outcome(asked, att=layer(OLD_S)) == "rejected"


def test_a_fresh_timestamp_lets_no_old_attestation_outlive_a_newer_one():
    asked = document(attestation("alice", where="predicate.critical == 0"))
    passed, failed = attested("alice", {"critical": 0}, at_s=OLD_S), attested("alice", {"critical": 3})
    assert outcome(asked, passed) == "accepted"
    assert outcome(asked, passed, failed) == "rejected"
    assert outcome(asked, restamped(passed, at_s=NOW_S), failed) == "rejected"
    both = document(attestation("alice", "bob", atLeast=2, where="predicate.critical == 0"))
    by_bob = attested("bob", {"critical": 0}, at_s=NOW_S)
    assert outcome(both, passed, by_bob) == "accepted"
    assert outcome(both, restamped(passed, at_s=NOW_S - DAY_S), failed, by_bob) == "rejected"


def test_not_before_is_judged_at_the_stated_time_too_and_not_after_at_the_proven_one():
    def keyed(**window):
        keys = {"alice": {"data": pem("alice"), **window}}
        return document(attestation("alice"), keys=keys)

    old, new = attested("alice", at_s=OLD_S), attested("alice")
    since = keyed(notBefore=moment(LOGGED_AT_S - DAY_S))
    assert outcome(since, new) == "accepted"
    assert outcome(since, restamped(old, at_s=NOW_S)) == "rejected"
    until = keyed(notAfter=moment(LOGGED_AT_S - DAY_S))
    assert outcome(until, old) == "accepted"
    backdated = sigstore().attest(
        statement_bytes(DIGEST, predicate_type=VULN, predicate=scanned(at_s=OLD_S)), by=signer()
    )
    assert outcome(until, backdated) == "rejected"


@pytest.mark.parametrize("said", ["", "yesterday", "2026-01-01", "2026-01-01T00:00:00", 1700000000, None, {}, ["x"]])
def test_a_stated_time_that_cannot_be_read_is_no_age(said):
    payload = statement_bytes(DIGEST, predicate_type=VULN, predicate=at("metadata.scanFinishedOn", said))
    made = sigstore().attest(payload, by=signer())
    assert outcome(document(attestation("alice")), made) == "accepted"
    assert outcome(document(attestation("alice", maxAge="31d")), made) == "rejected"
    keyless = document(attestation("ci", maxAge="31d"), identities={"ci": CI})
    assert outcome(keyless, sigstore().attest(payload)) == ("accepted" if said is None else "rejected")


def test_a_stated_time_in_the_future_is_no_age():
    asked = document(attestation("alice", maxAge="31d"))
    for ahead_s, expected in ((60, "accepted"), (600, "rejected")):
        payload = statement_bytes(DIGEST, predicate_type=VULN, predicate=scanned(at_s=NOW_S + ahead_s))
        assert outcome(asked, sigstore().attest(payload, by=signer())) == expected


def proven(predicate_type, predicate, *, signed_at_s=LOGGED_AT_S, certified=None):
    subject = Subject(name="", digests={"sha256": DIGEST.hex})
    statement = Statement(
        type="https://in-toto.io/Statement/v1",
        subjects=(subject,),
        predicate_type=predicate_type,
        predicate=predicate,
    )
    return VerifiedAttestation(
        format="bundle",
        key="sha256:0",
        digest=DIGEST,
        statement=statement,
        certified=certified,
        signed_at_s=signed_at_s,
    )


@pytest.mark.parametrize(("predicate_type", "path"), STATED.items())
def test_where_each_type_states_its_time(predicate_type, path):
    assert states_time(predicate_type)
    for time_s in (OLD_S, LOGGED_AT_S + 60):
        found = proven(predicate_type, at(path, moment(time_s)))
        assert made_at(found, NOW_S) == min(time_s, LOGGED_AT_S)
    assert made_at(proven(predicate_type, at(path, moment(OLD_S)), signed_at_s=None), NOW_S) is None
    assert made_at(proven(predicate_type, {}), NOW_S) is None
    assert made_at(proven(predicate_type, None), NOW_S) is None


def test_a_type_that_states_no_time_leaves_the_proven_one():
    for name in (CUSTOM, "https://slsa.dev/provenance/v11", "https://slsa.dev/provenance", "v1"):
        assert not states_time(name)
        assert made_at(proven(name, {"timestamp": moment(OLD_S)}), NOW_S) == LOGGED_AT_S


@settings(max_examples=60, deadline=None)
@given(st.datetimes(), st.sampled_from(["Z", "z", "+00:00", "-08:30", ""]), st.sampled_from(["", ".1", ".123456789"]))
def test_a_stated_time_is_never_younger_than_it_says(said, zone, fraction):
    text = f"{said.replace(microsecond=0).isoformat()}{fraction}{zone}"
    found = made_at(proven(VULN, at("metadata.scanFinishedOn", text)), NOW_S)
    if not zone:
        assert found is None
    elif found is not None:
        assert found <= LOGGED_AT_S
        hours = {"-08:30": 8.5}.get(zone, 0)
        assert found <= (said.replace(microsecond=0, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() + (
            hours * 3600 + 1
        )


@settings(max_examples=60, deadline=None)
@given(st.recursive(st.none() | st.text(max_size=30) | st.integers() | st.booleans(), st.lists, max_leaves=3))
def test_whatever_stands_where_the_time_should_is_no_fault(said):
    found = made_at(proven(VULN, at("metadata.scanFinishedOn", said)), NOW_S)
    assert found is None


def test_lint_warns_of_an_age_that_only_a_timestamp_tells():
    def warned(**more):
        asked = parsed(document(attestation(*more.pop("names", ["alice"]), **more), identities={"ci": CI}))
        return [(found.place, found.code) for found in lint_document(asked) if found.code == "age-by-key"]

    assert warned(type=CUSTOM, maxAge="7d") == [("default[0].attestation.maxAge", "age-by-key")]
    assert warned(type=CUSTOM, where="true") == [("default[0].attestation.where", "age-by-key")]
    assert warned(type=CUSTOM, names=["ci", "alice"], where="true") == [("default[0].attestation.where", "age-by-key")]
    assert warned(type=CUSTOM) == []
    assert warned(type=CUSTOM, names=["ci"], maxAge="7d") == []
    assert warned(type="vuln", maxAge="7d") == []
    assert warned(type=CUSTOM, forbidden=True, where="true") == []
    keys = {"alice": {"data": pem("alice"), "notBefore": "2020-01-01"}}
    (found,) = lint_document(parsed(document(attestation("alice", type=CUSTOM), keys=keys)))
    assert (found.place, found.code) == ("default[0].attestation", "age-by-key")
    signed_since = document({"signatures": {"from": ["alice"]}}, keys=keys)
    (found,) = lint_document(parsed(signed_since))
    assert (found.place, found.code) == ("default[0].signatures", "age-by-key")


# ---- other spellings of a name ---------------------------------------------------------------------------------------

LAX = {
    "apiVersion": "plimsoll/v1",
    "rules": [
        {"scope": "docker://r.example/team/**", "require": "reject"},
        {"scope": "docker://r.example:5000/team/**", "require": "reject"},
        {"scope": "docker-archive:/**", "require": "reject"},
    ],
    "default": "insecureAcceptAnything",
}


def chosen(image, **more):
    found = choose(parsed(LAX | more), locate_docker(parse_docker_reference(image))).selected
    return found.scope.partition(" ")[0]


@pytest.mark.parametrize(
    ("image", "rule"),
    [
        ("r.example/team/app", "rules[0]"),
        ("R.Example/team/app:v1", "rules[0]"),
        ("r.example:443/team/app", "rules[0]"),
        ("R.EXAMPLE:443/team/app", "rules[0]"),
        ("r.example:5000/team/app", "rules[1]"),
        ("r.example:80/team/app", "default"),
        ("r.example:4430/team/app", "default"),
        ("r.example:50000/team/app", "default"),
    ],
)
def test_no_spelling_of_a_registry_leads_past_its_rule(image, rule):
    assert chosen(image) == rule


def test_a_wildcard_for_hosts_has_no_port_either():
    rules = [{"scope": "docker://*.example/**", "require": "reject"}]
    assert chosen("r.example:443/app", rules=rules) == "rules[0]"
    assert chosen("r.example:444/app", rules=rules) == "default"


@pytest.mark.parametrize(
    "scopes",
    [
        ["docker://r.example/**", "docker://r.example:443/**"],
        ["docker://r.example:5000/a", "docker://r.example:05000/a"],
        ["docker://r.example/../a"],
        ["docker://r.example/./a"],
        ["docker-archive:/srv/images/**"],
        ["docker-archive:/srv.d/images/app"],
    ],
)
def test_one_scope_in_two_spellings_and_one_that_nothing_matches_are_refused(scopes):
    with pytest.raises(PolicyError, match=r"rules\[\d\]\.scope"):
        parsed(LAX | {"rules": [{"scope": scope, "require": "reject"} for scope in scopes]})


def test_the_name_inside_an_archive_is_no_path():
    for text in ("docker-archive:/tmp/a.tar:srv.d/images/app:v1", "docker-archive:/tmp/a.tar"):
        found = choose(parsed(LAX), locate_docker_archive(parse_reference(text))).selected
        assert found.scope.startswith("rules[2]")


# ---- copies, and what cannot be read ---------------------------------------------------------------------------------


def test_a_thousand_copies_of_a_signature_leave_the_count_sure():
    names, copies = ("a", "b", "c", "d"), range(2000)
    edges = [
        Edge(entry=name, signature=(name, copy), key=name, pair=pair)
        for pair in (None, "one")
        for name in names
        for copy in copies
        if pair is None or name == "d"
    ]
    assert count_entries(edges, enough=5) == Count(least=4, most=4)
    missing = [edge for edge in edges if edge.entry != "d"]
    assert count_entries(missing, enough=4) == Count(least=3, most=3)


def test_two_signers_of_one_envelope_still_count_as_one():
    both = [Edge(entry=name, signature=0, key=name) for name in ("a", "b")]
    assert count_entries(both, enough=2) == Count(least=1, most=1)
    assert count_entries([*both, Edge(entry="b", signature=1, key="b")], enough=2) == Count(least=2, most=2)


def test_an_attestation_that_cannot_be_parsed_may_be_the_forbidden_one():
    forbidding = document(attestation("alice", forbidden=True))
    made = json.loads(attested("alice").data)
    unknown = json.dumps(made | {"extra": 1}).encode()
    descriptor = Descriptor(
        media_type="application/vnd.dev.sigstore.bundle.v0.3+json", digest=Digest.of(unknown), size=len(unknown)
    )
    spoilt = Attachment(descriptor=descriptor, data=unknown)
    assert outcome(forbidding) == "accepted"
    assert outcome(forbidding, spoilt) == "undetermined"
    assert outcome(document(attestation("alice", atMost=1)), attested("alice"), spoilt) == "undetermined"
    assert outcome(document(attestation("alice")), attested("alice"), spoilt) == "accepted"


def test_a_condition_is_asked_once_of_each_attestation(monkeypatch):
    asked = []
    holds = Condition.holds
    monkeypatch.setattr(Condition, "holds", lambda self, found: asked.append(found) or holds(self, found))
    condition = document(attestation("alice", "bob", atLeast=2, atMost=9, where="predicate.critical == 0"))
    made = [attested(name, {"critical": 0}, at_s=LOGGED_AT_S + late) for name in ("alice", "bob") for late in (0, 60)]
    assert outcome(condition, *made) == "accepted"
    assert len(asked) == len(made)


# ---- converted policies are never weaker -----------------------------------------------------------------------------

HOSTS = ("r.io", "docker.io", "x.r.io", "*.io", "*.r.io", "**", "*", "r.*", "")
PARTS = ("a", "ab", "library", "*", "a*", "*b", "lib*", "**", "a.b", "busybox", "b*x")
ENDS = ("", "*", ":*", "**", ":v1", "@*")
PATTERNS = st.builds(
    lambda host, parts, end: "/".join([*([host] if host else []), *parts]) + end,
    st.sampled_from(HOSTS),
    st.lists(st.sampled_from(PARTS), max_size=3),
    st.sampled_from(ENDS),
).filter(bool)
IMAGES = tuple(
    host + path + end
    for host in ("r.io/", "docker.io/", "", "x.r.io/")
    for path in ("a", "ab", "library/a", "library/busybox", "busybox", "a/b", "a/b/a", "lib/a", "a.b", "library/ab/a")
    for end in (":v1", ":v2", "@sha256:" + "0" * 64)
)


def matches(syntax, pattern, image):
    """What the source's own tool says, told from its documentation and not from ours."""
    reference = parse_docker_reference(image)
    end = image[image.rfind("@" if "@" in image else ":v") :]
    if syntax is Syntax.SIGSTORE:
        pattern = {"*": "index.docker.io/library/*", "*/*": "index.docker.io/*/*"}.get(pattern, pattern)
        hub = "index.docker.io" if reference.domain == "docker.io" else reference.domain
        names = (image, f"{hub}/{reference.path}{end}")
        pieces = {"**": ".*", "*": "[^/]*"}
        regexp = "".join(pieces.get(piece) or re.escape(piece) for piece in re.findall(r"\*\*|.", pattern))
    else:
        named = re.match(r"[^/]*[.:][^/]*/", image) is not None
        names = (image if named else f"docker.io/{image}",)
        regexp = "".join(".*" if c == "*" else "." if c == "." else re.escape(c) for c in pattern)
    return any(re.fullmatch(regexp, name) is not None for name in names)


def converted(syntax, demands):
    """Rules for (pattern, exempt or None, key or None where all are accepted)."""
    findings, selections = Findings(), []
    for at, (pattern, exempt, key) in enumerate(demands):
        found = read_pattern(pattern, f"p[{at}]", 1, syntax=syntax, registries=("r.io", "docker.io"), findings=findings)
        wanted = Accepted() if key is None else Signed(signers=(KeyEntry(path=key),))
        skipped = ()
        if exempt is not None:
            skipped = read_exempt(exempt, "e", 1, syntax=syntax, registries=("r.io", "docker.io"), findings=findings)
        scopes = () if key is None and found.tags_only else found.scopes
        selections.append(replace(found, wanted=wanted, let_through=skipped, scopes=scopes))
    return [(parse_scope(rule.scope, where="s", folder="/"), rule.wanted) for rule in rules_of(selections)]


def assert_never_weaker(syntax, demands):
    rules = converted(syntax, demands)
    for image in IMAGES:
        location = locate_docker(parse_docker_reference(image))
        applying = [(scope.rank, wanted) for scope, wanted in rules if scope.matches(location)]
        if not applying:
            continue  # rejected by the default
        wanted = max(applying, key=lambda found: found[0])[1]
        if isinstance(wanted, Refused):
            continue
        needed = {
            key
            for pattern, exempt, key in demands
            if key is not None and matches(syntax, pattern, image) and not (exempt and matches(syntax, exempt, image))
        }
        assert needed <= {signer.path for signer in signers_of(wanted)}, (image, demands)


@pytest.mark.parametrize(
    ("syntax", "demands"),
    [
        (Syntax.SIGSTORE, [("*.io/**", None, None), ("busybox*", None, "k")]),
        (Syntax.SIGSTORE, [("index.docker.io/*/busybox*", None, None), ("busybox*", None, "k")]),
        (Syntax.KYVERNO, [("*", "docker.io/*/a*", "k")]),
        (Syntax.KYVERNO, [("*", "*/lib*/a*", "k")]),
        (Syntax.KYVERNO, [("*", "index.docker.io/*b/**", "k"), ("docker.io/a*", None, "l")]),
        (Syntax.KYVERNO, [("r.io/*", "r.io:443/*", "k")]),
    ],
)
def test_no_other_name_of_an_image_escapes_a_converted_demand(syntax, demands):
    assert_never_weaker(syntax, demands)


def test_an_exemption_that_is_sure_is_carried_over():
    rules = {scope.text: wanted for scope, wanted in converted(Syntax.KYVERNO, [("r.io/*", "r.io/a/*", "k")])}
    assert rules["docker://r.io/a/**"] == Accepted()
    assert isinstance(rules["docker://r.io/**"], Signed)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(list(Syntax)),
    st.lists(st.tuples(PATTERNS, st.none() | PATTERNS, st.sampled_from([None, "k", "l", "m"])), min_size=1, max_size=4),
)
def test_a_converted_policy_asks_no_less_of_any_image(syntax, demands):
    if syntax is Syntax.SIGSTORE:
        demands = [(pattern, None, key) for pattern, _, key in demands if "@" not in pattern]
    assert_never_weaker(syntax, demands)
