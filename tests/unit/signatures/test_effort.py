"""What checking costs is counted where a signature is checked, of every kind, and refused beyond the limit."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from fakes.bundles import statement_bytes
from fakes.pki import authority, leaf
from fakes.signing import LOGGED_AT_S, b64, signer
from fakes.sigstore import OIDC, SUBJECT, PrivateSigstore, sign_as
from plimsoll.errors import ContentError, EffortExceededError, PayloadError, SignatureError, UntrustedKeyError
from plimsoll.model.digest import Digest
from plimsoll.model.identity import Exact, Identity
from plimsoll.signatures import certificate_paths, statement
from plimsoll.signatures.bundle import parse_bundle
from plimsoll.signatures.certificate_paths import find_path, is_issued
from plimsoll.signatures.certificates import parse_intermediates
from plimsoll.signatures.cosign_attestation import parse_attestation, verify_attestation
from plimsoll.signatures.effort import limited, read_once, spend_check, spend_hash
from plimsoll.signatures.formats import Artifact, IdentityTrust, KeyTrust, LogByRoot, LogIgnored
from plimsoll.signatures.proven_facts import ProvenFacts
from plimsoll.signatures.signed_content import SignedContent, verify_content
from plimsoll.signatures.sigstore import verify_bundle
from plimsoll.signatures.timestamp import verify_timestamp
from plimsoll.signatures.timestamp_token import parse_timestamp
from plimsoll.signatures.verifying import find_signer, verify_by_key

MIB = 1024 * 1024
USAGES = ("1.3.6.1.5.5.7.3.3",)


@pytest.mark.parametrize(
    ("kind", "hash_name", "cost"),
    [("p256", "sha256", 1), ("p384", "sha384", 10), ("p521", "sha512", 10), ("rsa2048", "sha256", 2)],
)
def test_a_check_costs_what_its_key_takes(kind, hash_name, cost):
    by = signer(kind)
    made = by.sign(b"data", hash_name=hash_name)
    with limited(most=cost) as effort:
        verify_by_key(by.key, signature=made, signed=b"data", hash_name=hash_name)
        assert effort.spent == cost
        with pytest.raises(EffortExceededError):
            verify_by_key(by.key, signature=made, signed=b"data", hash_name=hash_name)
    assert effort.exceeded


def test_a_check_that_fails_costs_the_same_and_every_key_that_is_tried_counts():
    strangers = [signer(name=f"stranger {at}").key for at in range(5)]
    with limited(most=100) as effort, pytest.raises(UntrustedKeyError):
        find_signer(strangers, signature=signer().sign(b"data"), signed=b"data", hash_name="sha256")
    assert effort.spent == 5
    with limited(most=4) as effort, pytest.raises(EffortExceededError):
        find_signer(strangers, signature=signer().sign(b"data"), signed=b"data", hash_name="sha256")
    assert effort.spent == 4


def test_the_bytes_that_are_hashed_count():
    large = bytes(4 * MIB)
    with limited(most=1000) as effort, pytest.raises(UntrustedKeyError):
        verify_by_key(signer().key, signature=b"0", signed=large, hash_name="sha256")
    assert effort.spent == 1 + 32
    content = SignedContent(signature=b"0", data=large)
    with limited(most=1000) as effort:
        for at in range(3):
            with pytest.raises(UntrustedKeyError):
                verify_content(signer(name=f"stranger {at}").key, content)
    assert effort.spent == 3 + 32  # hashed once


@pytest.mark.parametrize(("kind", "cost"), [("p256", 1), ("p384", 20), ("rsa2048", 4), ("ed25519", 4)])
def test_every_way_in_which_a_content_may_be_signed_counts(kind, cost):
    content = SignedContent(signature=b"0" * 64, data=b"data")
    with limited(most=1000) as effort, pytest.raises(UntrustedKeyError):
        verify_content(signer(kind).key, content)
    assert effort.spent == cost
    with limited(most=cost - 1), pytest.raises(EffortExceededError):
        verify_content(signer(kind).key, content)


def test_who_issued_whom_costs_a_check_and_is_free_where_the_names_say_no():
    root, other = authority("root", kind="p521"), authority("other")
    child = leaf(root).value
    with limited(most=1000) as effort:
        assert is_issued(child, by=root.value)
        assert effort.spent == 10
        assert not is_issued(child, by=other.value)
        assert effort.spent == 10


def test_what_is_known_costs_as_much_as_what_is_not():
    """Else an image would be refused, or not, by what was verified before."""
    facts, by, root = ProvenFacts(), signer(), authority("root")
    made, child = by.sign(b"data"), leaf(root).value
    spent = []
    for _ in range(2):
        with limited(most=1000) as effort:
            facts.verify_by_key(by.key, signature=made, signed=b"data", hash_name="sha256")
            facts.is_issued(child, by=root.value)
        spent.append(effort.spent)
    assert spent == [2, 2]


def test_a_good_bundle_costs_a_handful():
    instance, data = PrivateSigstore(ca="p384", log="v2"), b"data"
    root = instance.index()
    identity = Identity(issuer=Exact(text=OIDC), subject=Exact(text=SUBJECT))
    trust = IdentityTrust(identities=(identity,), root=root, log=LogByRoot(root=root))
    bundle = parse_bundle(instance.sign(data).data)
    about = Artifact(digests=(Digest.of(data),), data=data)
    with limited(most=1000) as effort:
        verify_bundle(bundle, trust, about, LOGGED_AT_S)
    assert 30 < effort.spent < 120
    for most in range(0, effort.spent, 7):
        with limited(most=most), pytest.raises(EffortExceededError):
            verify_bundle(bundle, trust, about, LOGGED_AT_S)


def test_what_is_too_dear_is_the_fault_of_no_one_signature():
    """Who tries the next after a SignatureError or a ContentError must not go on."""
    assert not issubclass(EffortExceededError, SignatureError | ContentError)
    with limited(most=1) as effort:
        spend_check(signer().key.crypto)
        for _ in range(2):
            with pytest.raises(EffortExceededError, match="P-256"):
                spend_check(signer().key.crypto)
        with pytest.raises(EffortExceededError):
            spend_hash(0)  # it stays exceeded
    assert (effort.spent, effort.exceeded) == (1, True)


def test_no_limit_is_none_and_one_ends_with_its_block():
    for _ in range(3):
        spend_check(signer("p384").key.crypto)
    with limited(most=0), pytest.raises(EffortExceededError):
        spend_check(signer().key.crypto)
    spend_check(signer().key.crypto)
    with limited(most=10, spent=9) as outer:
        with limited(most=10) as inner:
            spend_check(signer().key.crypto)
        spend_check(signer().key.crypto)
    assert (outer.spent, inner.spent) == (10, 1)


def test_each_thread_counts_its_own():
    both = Barrier(2)

    def count(checks):
        with limited(most=100) as effort:
            both.wait(30)
            for _ in range(checks):
                spend_check(signer().key.crypto)
            both.wait(30)
        return effort.spent

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(count, [3, 5])) == [3, 5]


# --- the search for a path --------------------------------------------------------------------------------------------


def counted(monkeypatch):
    asked = []
    monkeypatch.setattr(
        certificate_paths, "is_issued", lambda child, *, by: asked.append((child, by)) or is_issued(child, by=by)
    )
    return asked


def test_a_path_that_no_time_spoilt_is_searched_once(monkeypatch):
    """A hostile chain of one name costs its checks once, not a second time with the time aside."""
    cas = [authority("evil ca", by=signer(name=f"evil {at}")) for at in range(6)]
    chain = tuple(ca.value for ca in cas)
    child = leaf(cas[0]).value
    asked = counted(monkeypatch)
    at_s = child.not_before_s + 1
    with pytest.raises(SignatureError) as first:
        find_path(
            child, roots=(authority("root").value,), intermediates=chain, at_s=at_s, usages=USAGES,
            issued=certificate_paths.is_issued,
        )  # fmt: skip
    assert first.value.code == "certificate-untrusted"
    assert len(asked) == len(set(asked)) > 0


def test_a_path_that_the_time_alone_spoilt_is_told_from_one_that_is_none():
    root = authority("root")
    child = leaf(root).value
    late = child.not_after_s + 1
    with pytest.raises(SignatureError) as found:
        find_path(child, roots=(root.value,), intermediates=(), at_s=late, usages=USAGES)
    assert found.value.code == "certificate-expired"
    assert find_path(child, roots=(root.value,), intermediates=(), at_s=None, usages=USAGES) == (child, root.value)
    with pytest.raises(SignatureError) as found:
        find_path(child, roots=(authority("other").value,), intermediates=(), at_s=None, usages=USAGES)
    assert found.value.code == "certificate-untrusted"


def test_each_signature_of_an_envelope_counts_under_each_key():
    digest = Digest.of(b"data")
    sigstore = PrivateSigstore()
    layer = sigstore.att_layer(
        statement_bytes(digest, predicate_type="https://x.example"), by=signer(), is_logged=False
    )
    envelope = json.loads(layer.data)
    envelope["signatures"] = [{"sig": b64(sign_as(signer(name="stranger"), bytes([at])))} for at in range(8)]
    untrusted = parse_attestation(replace(layer, data=json.dumps(envelope).encode()))
    keys = tuple(signer(name=f"key {at}").key for at in range(8))
    trust = KeyTrust(keys=keys, log=LogIgnored())
    with limited(most=1000) as effort, pytest.raises(UntrustedKeyError):
        verify_attestation(untrusted, trust, Artifact(digests=(digest,)), 0.0)
    assert effort.spent == 64
    with limited(most=63), pytest.raises(EffortExceededError):
        verify_attestation(untrusted, trust, Artifact(digests=(digest,)), 0.0)


def test_the_certificates_that_come_with_a_signature_count():
    sigstore, spent = PrivateSigstore(log="v2"), []
    identity = Identity(issuer=Exact(text=OIDC), subject=Exact(text=SUBJECT))
    root = sigstore.index()
    trust = IdentityTrust(identities=(identity,), root=root, log=LogByRoot(root=root))
    about = Artifact(digests=(Digest.of(b"data"),), data=b"data")
    by = sigstore.certificate()
    for chain in ((sigstore.intermediate.der,), (sigstore.intermediate.der,) * 6):
        made = parse_bundle(sigstore.sign(b"data", by=by, version="0.2", chain=chain).data)
        with limited() as effort:
            verify_bundle(made, trust, about, LOGGED_AT_S)
        spent.append(effort.spent)
    assert spent[1] - spent[0] == 2 * 5  # once before the timestamps, once for the path
    pem = "".join(sigstore.intermediate.pem for _ in range(6))
    with limited() as effort:
        parse_intermediates(pem)
    assert effort.spent == 6
    made = sigstore.sign(b"data", by=by)
    with limited() as effort:
        verify_timestamp(made.timestamps[0], signature=made.signature, trust=root)
    bag = parse_timestamp(made.timestamps[0]).message.certificates
    assert effort.spent == len(bag) + 2  # who issued the authority's certificate, and its signature


# --- what is read once ------------------------------------------------------------------------------------------------


def test_what_many_signers_are_asked_about_is_read_once_and_the_last_of_its_kind_kept():
    read = []
    one, two = bytes([1] * 50), bytes([2] * 50)

    def length(source):
        read.append(source)
        return len(source)

    with limited():
        for source, kind in ((one, "a"), (one, "a"), (one, "b"), (one, "a"), (two, "a"), (two, "a"), (one, "a")):
            assert read_once(kind, source, length) == 50
        assert read == [one, one, two, one]
        assert read_once("a", bytearray(one), length) == 50  # equal is not the same
    assert len(read) == 5
    for _ in range(2):
        assert read_once("a", one, length) == 50
    assert len(read) == 7  # nothing is kept without a limit


def test_what_cannot_be_read_is_refused_each_time_and_read_once():
    read = []

    def refuse(source):
        read.append(source)
        raise PayloadError("no document")

    with limited():
        for _ in range(3):
            with pytest.raises(PayloadError, match="no document"):
                read_once("a", b"1", refuse)
    assert len(read) == 1


@pytest.mark.parametrize("payload", [statement_bytes(Digest.of(b"data"), predicate_type="https://x.example"), b"{}"])
def test_a_statement_is_read_once_for_all_signers(payload, monkeypatch):
    read, outline = [], statement._outline
    monkeypatch.setattr(statement, "_outline", lambda data: read.append(data) or outline(data))
    monkeypatch.setattr(statement, "parse_statement", lambda _: pytest.fail("unproven, and read whole"))
    sigstore, about = PrivateSigstore(), Artifact(digests=(Digest.of(b"data"),))
    attestation = parse_attestation(sigstore.att_layer(payload, by=signer(), is_logged=False))
    bundle = parse_bundle(sigstore.attest(payload, by=signer(), is_logged=False).data)
    for verify, untrusted in ((verify_attestation, attestation), (verify_bundle, bundle)):
        read.clear()
        with limited():
            for at in range(5):
                trust = KeyTrust(keys=(signer(name=f"key {at}").key,), log=LogIgnored())
                with pytest.raises((UntrustedKeyError, PayloadError)):
                    verify(untrusted, trust, about, 0.0)
        assert len(read) == 1
