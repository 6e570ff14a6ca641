"""ProvenFacts: with a memory and without one every outcome is the same, whatever was verified before, by any thread."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache

import pytest
from cryptography.hazmat.primitives import hashes
from hypothesis import given
from hypothesis import strategies as st

from fakes.pki import authority, leaf
from fakes.signing import LOGGED_AT_S, signer
from fakes.sigstore import LEAF_S, OIDC, SUBJECT, PrivateSigstore
from plimsoll.errors import SignatureError, UntrustedKeyError
from plimsoll.model.digest import Digest
from plimsoll.model.identity import Exact, Identity
from plimsoll.signatures import proven_facts
from plimsoll.signatures.bundle import parse_bundle
from plimsoll.signatures.certificate_paths import is_issued
from plimsoll.signatures.formats import Artifact, IdentityTrust, LogByRoot, LogIgnored
from plimsoll.signatures.proven_facts import ProvenFacts
from plimsoll.signatures.sigstore import verify_bundle
from plimsoll.signatures.trust_index import index_root
from plimsoll.signatures.x509 import Certificate

DATA = (b"an image's manifest", b"another image's manifest")
WANTED = Identity(issuer=Exact(text=OIDC), subject=Exact(text=SUBJECT))
YEAR_S = 365 * 24 * 3600.0
NOW_S = LOGGED_AT_S + YEAR_S / 2


@cache
def instances():
    return PrivateSigstore("acme"), PrivateSigstore("acme", log="v2"), PrivateSigstore("evil")


@cache
def roots():
    """Three that trust, and one of the first's that was in use for an hour only, long after."""
    made = [instance.index().root for instance in instances()]
    first = made[0]
    later = [
        replace(each, valid_from_s=LOGGED_AT_S + YEAR_S, valid_until_s=LOGGED_AT_S + YEAR_S + 3600)
        for each in first.certificate_authorities
    ]
    return (*made, replace(first, certificate_authorities=tuple(later)), replace(made[1], timestamp_authorities=()))


@cache
def bundles():
    """Good bundles, and the same with one part changed or taken from another, that one leaf signs several."""
    made = []
    for instance in instances():
        by = instance.certificate()
        first, second, late = (
            instance.sign(DATA[0], by=by),
            instance.sign(DATA[1], by=by),
            instance.sign(DATA[0], by=by, at_s=LOGGED_AT_S + 2 * LEAF_S),
        )
        made += [first, second, late, instance.sign_image(Digest.of(DATA[0]), by=by), instance.sign(DATA[0])]
        made += [
            first.changed(entries=second.entries),
            first.changed(timestamps=second.timestamps),
            first.changed(certificate=made[-1].certificate),
            first.changed(certificate=_flipped(first.certificate)),
            first.changed(entries=tuple(_forged_checkpoint(each) for each in first.entries)),
        ]
    return tuple(each.data for each in made)


def _flipped(der):
    """The certificate with the last bit of its issuer's signature changed."""
    return der[:-1] + bytes([der[-1] ^ 1])


def _forged_checkpoint(entry):
    proof = entry["inclusionProof"]
    text = proof["checkpoint"]["envelope"]
    forged = text[:-6] + ("A" if text[-6] != "A" else "B") + text[-5:]
    return {**entry, "inclusionProof": {**proof, "checkpoint": {"envelope": forged}}}


def outcome(data, artifact, root, *, facts, logged):
    index = index_root(root, facts=facts)
    log = LogByRoot(root=index) if logged else LogIgnored()
    trust = IdentityTrust(identities=(WANTED,), root=index, log=log)
    about = Artifact(digests=(Digest.of(artifact),), data=artifact)
    try:
        return verify_bundle(parse_bundle(data), trust, about, NOW_S)
    except SignatureError as error:
        return type(error), str(error)


STEPS = st.tuples(
    st.integers(0, 29), st.integers(0, len(DATA) - 1), st.sampled_from(range(5)), st.sampled_from([True, True, False])
)


@given(steps=st.lists(STEPS, min_size=2, max_size=12), most=st.sampled_from([1, 3, 1000]))
def test_a_memory_changes_no_outcome(steps, most):
    facts = ProvenFacts(most=most)
    for at, artifact, root, logged in steps:
        with_facts = outcome(bundles()[at], DATA[artifact], roots()[root], facts=facts, logged=logged)
        alone = outcome(bundles()[at], DATA[artifact], roots()[root], facts=ProvenFacts(), logged=logged)
        assert with_facts == alone
    assert len(facts) <= most


def test_the_cases_are_of_both_kinds():
    """Else the one above compares nothing but refusals."""
    found = [
        outcome(data, artifact, root, facts=ProvenFacts(), logged=True)
        for data in bundles()
        for artifact in DATA
        for root in roots()
    ]
    assert sum(not isinstance(each, tuple) for each in found) >= 6
    assert len({each[0] for each in found if isinstance(each, tuple)}) >= 5


def test_what_is_proven_is_computed_once(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "plimsoll.signatures.proven_facts.is_issued", lambda child, by: asked.append(child) or is_issued(child, by=by)
    )
    instance = instances()[0]
    facts = ProvenFacts()
    for _ in range(3):
        for made in (instance.sign(DATA[0]), instance.sign(DATA[0])):
            assert not isinstance(outcome(made.data, DATA[0], roots()[0], facts=facts, logged=True), tuple)
    assert [each.der for each in asked].count(instance.intermediate.der) == 1
    assert len(asked) == 7  # six leaves of their own


def test_a_remembered_path_is_asked_for_its_time_again():
    """The facts of a good bundle are known; the same leaf at a time when it had expired is refused all the same."""
    instance = instances()[0]
    facts, by = ProvenFacts(), instance.certificate()
    good, late = instance.sign(DATA[0], by=by), instance.sign(DATA[0], by=by, at_s=LOGGED_AT_S + 2 * LEAF_S)
    assert not isinstance(outcome(good.data, DATA[0], roots()[0], facts=facts, logged=True), tuple)
    assert outcome(late.data, DATA[0], roots()[0], facts=facts, logged=True)[0].code == "certificate-expired"
    assert outcome(good.data, DATA[0], roots()[3], facts=facts, logged=True)[0].code == "certificate-untrusted"


def test_a_key_s_signature_is_known_for_this_key_these_bytes_and_this_hash_only():
    alice, bob, facts = signer("p256"), signer("p256", "bob"), ProvenFacts()
    made = alice.sign(b"data")
    for _ in range(2):
        facts.verify_by_key(alice.key, signature=made, signed=b"data", hash_name="sha256")
    for key, signature, signed, name in (
        (bob.key, made, b"data", "sha256"),
        (alice.key, alice.sign(b"other"), b"data", "sha256"),
        (alice.key, made, b"other", "sha256"),
        (alice.key, made, b"data", "sha384"),
        (alice.key, made + b"data", b"", "sha256"),
    ):
        for _ in range(2):
            with pytest.raises(UntrustedKeyError):
                facts.verify_by_key(key, signature=signature, signed=signed, hash_name=name)
    assert len(facts) == 1


@pytest.mark.parametrize("kind", ["p256", "p384", "rsa2048", "ed25519"])
def test_who_issued_whom_is_said_as_without_a_memory(kind):
    root, other = authority("root", kind=kind), authority("root", kind=kind, by=signer(kind, "other"))
    child, facts = leaf(root).value, ProvenFacts()
    forged = Certificate(_flipped(child.der)) if kind != "ed25519" else leaf(root, signed_by=other.by).value
    for _ in range(2):
        assert facts.is_issued(child, by=root.value)
        assert not facts.is_issued(child, by=other.value)
        assert not facts.is_issued(forged, by=root.value)
        assert not facts.is_issued(root.value, by=child)
    assert len(facts) == 1


def test_a_certificate_that_states_two_algorithms_was_issued_by_nobody():
    """RFC 5280 section 4.1.1.2: the algorithm outside, which nobody signs, is the one inside."""
    root = authority("root", algorithm=hashes.SHA256())
    der = leaf(root).der
    ecdsa_sha256, ecdsa_sha384 = bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06082a8648ce3d040303")
    at = der.rindex(ecdsa_sha256)
    assert is_issued(Certificate(der), by=root.value)
    assert not is_issued(Certificate(der[:at] + ecdsa_sha384 + der[at + len(ecdsa_sha384) :]), by=root.value)
    first = der.index(ecdsa_sha256)
    assert first != at
    assert not is_issued(Certificate(der[:first] + ecdsa_sha384 + der[first + len(ecdsa_sha384) :]), by=root.value)


def test_the_memory_is_bounded_and_keeps_what_is_used(monkeypatch):
    facts, by = ProvenFacts(most=3), signer("p256")
    made = {data: by.sign(data) for data in (b"kept", b"1", b"2", b"3", b"4")}
    for data in (b"kept", b"1", b"2", b"kept", b"3", b"kept", b"4"):
        facts.verify_by_key(by.key, signature=made[data], signed=data, hash_name="sha256")
        assert len(facts) <= 3
    asked = []
    monkeypatch.setattr(proven_facts, "verify_by_key", lambda _key, *, signed, **_: asked.append(signed))
    for data in (b"3", b"kept", b"4", b"1"):
        facts.verify_by_key(by.key, signature=made[data], signed=data, hash_name="sha256")
    assert asked == [b"1"]


def test_the_memory_of_a_fact_is_small_whatever_it_is_about():
    facts, by, large = ProvenFacts(), signer("p256"), b"x" * 1_000_000
    facts.verify_by_key(by.key, signature=by.sign(large), signed=large, hash_name="sha256")
    root = authority("root")
    assert facts.is_issued(leaf(root).value, by=root.value)
    assert len(pickle.dumps(facts._facts)) < 2 * 100


def test_no_two_facts_run_into_one(monkeypatch):
    """Of the parts that a fact is about none can lend its bytes to the next: all of them are asked anew."""
    asked = []
    monkeypatch.setattr(proven_facts, "verify_by_key", lambda *_, **about: asked.append(about))
    facts, by = ProvenFacts(), signer("p256")
    for signature, signed in ((b"ab", b"cd"), (b"a", b"bcd"), (b"abc", b"d"), (b"abcd", b""), (b"", b"abcd")):
        for name in ("sha256", "sha384"):
            for _ in range(2):
                facts.verify_by_key(by.key, signature=signature, signed=signed, hash_name=name)
    assert len(asked) == len(facts) == 10


def test_a_pickle_carries_no_facts():
    facts, by = ProvenFacts(), signer("p256")
    facts.verify_by_key(by.key, signature=by.sign(b"data"), signed=b"data", hash_name="sha256")
    assert len(pickle.loads(pickle.dumps(facts))) == 0


def test_threads_share_it():
    facts, data = ProvenFacts(most=4), bundles()
    alone = [outcome(each, DATA[0], roots()[0], facts=ProvenFacts(), logged=True) for each in data]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            assert alone == list(
                pool.map(lambda each: outcome(each, DATA[0], roots()[0], facts=facts, logged=True), data)
            )


def test_a_root_of_the_same_run_may_share_it_and_compares_without_it():
    facts = ProvenFacts()
    assert index_root(roots()[0], facts=facts).facts is facts
    assert index_root(roots()[0]) == index_root(roots()[0], facts=facts)
