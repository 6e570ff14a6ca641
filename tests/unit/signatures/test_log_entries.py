"""Log entries of bundles: in the tree of a trusted log, about this signature, and when it says so."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.rekor import V1_EARLIER_SHARDS, FakeLog, dsse, hashedrekord_v2, intoto, untrusted_entry
from fakes.signing import LOGGED_AT_S, b64, hashedrekord, rekor, signer, trusted_root_bytes
from plimsoll.errors import LogProofInvalidError, LogProofMissingError, SignatureError
from plimsoll.model.bundle import UntrustedInclusionProof, UntrustedTlogEntry
from plimsoll.model.trust import parse_pem_key
from plimsoll.model.trusted_root import parse_trusted_root
from plimsoll.signatures.log_entries import LoggedContent, check_in_use, verify_tlog_entry
from plimsoll.signatures.trust_index import index_root

VECTORS = Path(__file__).parents[2] / "vectors" / "cosign"
SIGNED = b"what was signed"
PAYLOAD = b"an envelope's payload"
ALICE = signer("p256", "alice")
MALLORY = signer("p256", "mallory")
SIGNATURE = ALICE.sign(SIGNED)
SECOND_SIGNATURE = ALICE.sign(SIGNED)
CONTENT = LoggedContent(
    signer=ALICE.key,
    signature=SIGNATURE,
    signed_digests={"sha256": hashlib.sha256(SIGNED).digest()},
    payload_sha256=hashlib.sha256(PAYLOAD).digest(),
)
VERSIONS = pytest.mark.parametrize("version", ["0.1", "0.2", "0.3"])
LATER = pytest.mark.parametrize("version", ["0.2", "0.3"])


def body(kind, *, signed=SIGNED, signature=SIGNATURE, by=ALICE):
    if kind == "v1":
        return hashedrekord(signed, signature, by.pem)
    return hashedrekord_v2(signature, by.der, digest=hashlib.sha256(signed).digest(), form="publicKey")


def logged(kind="v1", document=None, *, log=None, filled=6, **more):
    """A log and its entry as bundles hold it."""
    log = log or FakeLog(kind)
    log.fill(filled)
    return log, log.add(document or body(kind), **more)


def index(*logs):
    return index_root(parse_trusted_root(trusted_root_bytes(*logs)))


def verify(entry, *trusted, version="0.3", about=CONTENT):
    found = entry if isinstance(entry, UntrustedTlogEntry) else untrusted_entry(entry)
    return verify_tlog_entry(found, content=about, trust=index(*trusted), version=version)


def refused(entry, *trusted, match=None, error=LogProofInvalidError, **more):
    with pytest.raises(error, match=match):
        verify(entry, *trusted, **more)


V1_LOG, V1 = logged("v1")
V2_LOG, V2 = logged("v2")
BOTH = pytest.mark.parametrize(("log", "entry"), [(V1_LOG, V1), (V2_LOG, V2)], ids=["v1", "v2"])


def changed(entry, **parts):
    """An entry with members of it replaced, or left out where None; names of the proof's come with ``proof_``."""
    found = copy.deepcopy(entry)
    for name, value in parts.items():
        inside = found["inclusionProof"] if name.startswith("proof_") else found
        key = name.removeprefix("proof_")
        if value is None:
            del inside[key]
        else:
            inside[key] = value
    return found


# ---- good entries ----------------------------------------------------------------------------------------------------


@VERSIONS
def test_rekor_v1(version):
    found = verify(V1, V1_LOG.trust(), version=version)
    assert (found.log_id, found.kind) == (V1_LOG.key_id, "hashedrekord")
    assert (found.log_index, found.integrated_time_s) == (V1_EARLIER_SHARDS + 6, LOGGED_AT_S)
    assert found.log_key == V1_LOG.signer.fingerprint


@LATER
def test_rekor_v2(version):
    found = verify(V2, V2_LOG.trust(), version=version)
    assert (found.log_id, found.kind) == (V2_LOG.key_id, "hashedrekord")
    assert (found.log_index, found.integrated_time_s) == (6, None)


@pytest.mark.parametrize("key", ["p256", "p384", "rsa2048"])
def test_rekor_v2_with_other_keys(key):
    log, entry = logged(log=FakeLog("v2", key), document=body("v2"))
    verify(entry, log.trust())
    other = FakeLog("v2", key, name="other")
    refused(entry | {"logId": {"keyId": b64(other.key_id)}}, other.trust(), match="is not signed by")


@pytest.mark.parametrize("maker", [dsse, intoto])
def test_envelopes_in_rekor_v1(maker):
    log, entry = logged(document=maker(PAYLOAD, (SIGNATURE, ALICE.pem)))
    assert verify(entry, log.trust()).kind == maker.__name__
    refused(entry, log.trust(), match="another payload", about=replace(CONTENT, payload_sha256=bytes(32)))


@pytest.mark.parametrize("kind", ["v1", "v2"])
@pytest.mark.parametrize("filled", [0, 1, 2, 3, 7, 8, 30])
def test_trees_of_any_size(kind, filled):
    log, entry = logged(kind, filled=filled)
    verify(entry, log.trust())
    log.fill(3)
    assert verify(log.add(body(kind)), log.trust())


def test_witnesses_are_no_fault():
    log = FakeLog("v2")
    line = log.sign_note("their note\n", by=MALLORY, name="witness.example", hint=b"wit1")
    log, entry = logged("v2", log=log, others=line)
    verify(entry, log.trust())


def test_a_peers_entry():
    """Made by cosign and @sigstore/mock."""
    trust = index_root(parse_trusted_root((VECTORS / "trust" / "trusted_root.json").read_bytes()))
    blobs = [path.read_bytes() for path in (VECTORS / "bundle-k1" / "blobs" / "sha256").iterdir()]
    (bundle,) = [json.loads(blob) for blob in blobs if b'"verificationMaterial"' in blob]
    envelope = bundle["dsseEnvelope"]
    payload = base64.b64decode(envelope["payload"])
    about = LoggedContent(
        signer=parse_pem_key((VECTORS / "keys" / "k1.pub").read_bytes()),
        signature=base64.b64decode(envelope["signatures"][0]["sig"]),
        signed_digests={},
        payload_sha256=hashlib.sha256(payload).digest(),
    )
    entry = untrusted_entry(bundle["verificationMaterial"]["tlogEntries"][0])
    found = verify_tlog_entry(entry, content=about, trust=trust, version="0.3")
    assert (found.kind, found.integrated_time_s) == ("dsse", entry.integrated_time_s)
    stranger = parse_pem_key((VECTORS / "keys" / "k2.pub").read_bytes())
    with pytest.raises(LogProofInvalidError, match="another key"):
        verify_tlog_entry(entry, content=replace(about, signer=stranger), trust=trust, version="0.3")


# ---- bound to this signature -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["v1", "v2"])
@pytest.mark.parametrize(
    ("about", "match"),
    [
        ({"signed": b"another artifact"}, "another payload"),
        ({"signature": SECOND_SIGNATURE}, "another signature"),
        ({"by": MALLORY}, "another key"),
    ],
    ids=["artifact", "signature", "key"],
)
def test_a_good_entry_about_something_else_is_refused(kind, about, match):
    """CVE-2026-22703 (GHSA-whqx-f9j3-ch6m), CVE-2022-36056: each bound field alone, in an entry that is truly logged."""
    log, entry = logged(kind, body(kind, **about))
    refused(entry, log.trust(), match=match)
    fits = {
        "signed": {"signed_digests": {"sha256": hashlib.sha256(b"another artifact").digest()}},
        "signature": {"signature": SECOND_SIGNATURE},
        "by": {"signer": MALLORY.key},
    }
    verify(entry, log.trust(), about=replace(CONTENT, **fits[next(iter(about))]))


@BOTH
@VERSIONS
def test_binding_does_not_hang_on_the_proof(log, entry, version):
    """Checked first: with no trusted log at all the refusal is about the signature."""
    refused(entry, version=version, match="another signature", about=replace(CONTENT, signature=SECOND_SIGNATURE))


@BOTH
def test_the_stated_kind_is_the_bodys(log, entry):
    for kind, version in (("dsse", "0.0.1"), ("hashedrekord", "0.0.3"), ("intoto", "0.0.2"), ("", "")):
        refused(entry | {"kindVersion": {"kind": kind, "version": version}}, log.trust(), match="is of kind")


def test_a_body_with_a_duplicate_key_is_refused():
    log = FakeLog("v1").fill(2)
    text = json.dumps(body("v1")).encode()
    doubled = text.replace(b'"kind":', b'"kind": "dsse", "kind":', 1)
    entry = log.add(doubled)
    assert entry["kindVersion"]["kind"] == "hashedrekord"  # as other readers see it
    refused(entry, log.trust(), match="already has")
    verify(log.add(text), log.trust())


# ---- what a version demands ------------------------------------------------------------------------------------------


def test_v0_1_demands_a_promise():
    trust = V1_LOG.trust()
    refused(changed(V1, inclusionPromise=None), trust, version="0.1", error=LogProofMissingError, match="timestamp")
    refused(V2, V2_LOG.trust(), version="0.1", error=LogProofMissingError, match="timestamp")
    verify(changed(V1, inclusionProof=None), trust, version="0.1")
    verify(changed(V1, proof_checkpoint=None), trust, version="0.1")


@BOTH
@LATER
def test_later_versions_demand_a_proof_with_its_checkpoint(log, entry, version):
    missing = {"version": version, "error": LogProofMissingError}
    refused(changed(entry, inclusionProof=None), log.trust(), match="no inclusion proof", **missing)
    refused(changed(entry, proof_checkpoint=None), log.trust(), match="no checkpoint", **missing)


@VERSIONS
def test_a_version_that_is_not_known_demands_the_proof(version):
    refused(changed(V1, inclusionProof=None), V1_LOG.trust(), version="1.0", error=LogProofMissingError)


BAD_PROOFS = {
    "another root": {"proof_rootHash": b64(bytes(32))},
    "another index": {"proof_logIndex": "5"},
    "no hashes": {"proof_hashes": []},
    "another size": {"proof_treeSize": "9"},
    "a broken note": {"proof_checkpoint": {"envelope": "no note"}},
    "an impostor's note": {
        "proof_checkpoint": {"envelope": FakeLog("v1", name="x", leaves=V1_LOG.leaves).checkpoint()}
    },
}


@VERSIONS
@pytest.mark.parametrize("fault", BAD_PROOFS)
def test_a_proof_that_is_there_must_verify(version, fault):
    """v0.1 needs none; a broken one is refused all the same."""
    refused(changed(V1, **BAD_PROOFS[fault]), V1_LOG.trust(), version=version)
    verify(V1, V1_LOG.trust(), version=version)


@VERSIONS
@pytest.mark.parametrize(
    "promise", [b64(b"\0"), b64(MALLORY.sign(b"x")), V1["inclusionPromise"]["signedEntryTimestamp"]]
)
def test_a_promise_that_is_there_must_verify(version, promise):
    """Later versions need none; a broken one is refused all the same (set-invalid-signature)."""
    entry = changed(V1, inclusionPromise={"signedEntryTimestamp": promise}, integratedTime=str(LOGGED_AT_S + 1))
    refused(entry, V1_LOG.trust(), version=version, match="does not verify")


def test_every_promised_member_is_signed():
    trust = V1_LOG.trust()
    for parts in ({"integratedTime": str(LOGGED_AT_S - 1)}, {"logIndex": "1"}, {"logIndex": str(2**63 - 1)}):
        refused(changed(V1, **parts), trust, match="does not verify|can have signed")
    other = FakeLog("v1", name="other", leaves=V1_LOG.leaves)
    refused(changed(V1, logId={"keyId": b64(other.key_id)}), trust, other.trust())


def test_a_promise_of_a_v2_log_is_none():
    """Rekor v2 promises nothing, and only ECDSA keys sign promises."""
    promised = json.loads(rekor().log(SIGNED, SIGNATURE, ALICE.pem))["SignedEntryTimestamp"]
    entry = V2 | {"inclusionPromise": {"signedEntryTimestamp": promised}, "integratedTime": str(LOGGED_AT_S)}
    refused(entry, V2_LOG.trust(), match="does not verify")


def test_a_promise_without_its_time_is_none():
    refused(changed(V1, integratedTime=None), V1_LOG.trust(), version="0.1", match="no time")


# ---- the tree --------------------------------------------------------------------------------------------------------


@BOTH
def test_proof_and_checkpoint_are_of_one_tree(log, entry):
    """Conformance case checkpoint-wrong-roothash: a good note of the same log about a later tree."""
    note = {"envelope": FakeLog(log.kind, leaves=[*log.leaves, b"later"]).checkpoint()}
    refused(changed(entry, proof_checkpoint=note), log.trust(), match="another tree")
    # The root alone, and the size alone.
    for lie in ({"root": bytes(32)}, {"size": len(log.leaves) + 1}):
        note = {"envelope": log.checkpoint(**lie)}
        refused(changed(entry, proof_checkpoint=note), log.trust(), match="another tree")


@BOTH
def test_an_entry_of_no_tree_is_refused(log, entry):
    """Another body about the same signature, under a proof that is not its own."""
    rewritten = base64.b64decode(entry["canonicalizedBody"]) + b"\n"
    lone = changed(entry, canonicalizedBody=b64(rewritten))
    refused(lone, log.trust(), match="does not lead")


def test_an_index_that_nobody_signed_is_not_reported():
    """Without a promise the global index is anybody's: the proven one is the index in the tree."""
    assert verify(V2 | {"logIndex": "999"}, V2_LOG.trust()).log_index == 6
    assert verify(changed(V1, inclusionPromise=None, logIndex="999"), V1_LOG.trust()).log_index == 6
    refused(V1 | {"logIndex": "999"}, V1_LOG.trust(), match="does not verify")


# ---- which log, and when ---------------------------------------------------------------------------------------------


@BOTH
def test_an_unknown_log_proves_nothing(log, entry):
    other = FakeLog(log.kind, host="other.example").trust()
    refused(entry, match="not in the trusted root")
    refused(entry, other, match="not in the trusted root")
    refused(changed(entry, logId={"keyId": ""}), log.trust(), match="not in the trusted root")
    verify(entry, other, log.trust())


@BOTH
def test_the_trusted_logs_name_is_not_its_key(log, entry):
    """Somebody's own log, tree and all, under the trusted one's id."""
    impostor, forged = logged(log=FakeLog(log.kind, name="impostor"), document=body(log.kind))
    refused(forged | {"logId": entry["logId"]}, log.trust())
    verify(forged, impostor.trust())


@pytest.mark.parametrize("second", ["2023-11-14T22:13:20Z", "2023-11-14T22:13:21Z"])
def test_both_ends_of_a_window_count(second):
    """LOGGED_AT_S is 2023-11-14T22:13:20Z (conformance case trust-root-tlog-validity-end-inclusive)."""
    verify(V1, V1_LOG.trust(end=second))
    verify(V1, V1_LOG.trust(start="2023-11-14T22:13:20Z"))


@VERSIONS
def test_a_promise_outside_the_logs_window_is_refused(version):
    for span in ({"end": "2023-11-14T22:13:19Z"}, {"start": "2023-11-14T22:13:21Z"}):
        refused(V1, V1_LOG.trust(**span), version=version, match="not in use")


def test_a_time_that_nobody_promised_is_none():
    """sigstore-python PR 1247: integratedTime without a signed entry timestamp proves no time."""
    bare = changed(V1, inclusionPromise=None)
    assert bare["integratedTime"] == str(LOGGED_AT_S)
    assert verify(bare, V1_LOG.trust()).integrated_time_s is None
    assert verify(V1, V1_LOG.trust()).integrated_time_s == LOGGED_AT_S
    # Nor does it open or close the log's window: the caller's times do.
    found = verify(bare, V1_LOG.trust(end="2022-01-01T00:00:00Z"))
    with pytest.raises(LogProofInvalidError, match="not in use"):
        check_in_use(found, times_s=(LOGGED_AT_S,))
    assert verify(V2 | {"integratedTime": str(LOGGED_AT_S)}, V2_LOG.trust()).integrated_time_s is None


END_S = 1_700_000_000.0


@pytest.mark.parametrize(
    ("times_s", "good"),
    [
        ((END_S,), True),
        ((END_S - 1, END_S), True),
        ((END_S + 1,), False),
        ((END_S + 0.5,), False),
        ((END_S, END_S + 1), False),
        ((0.0,), False),
        ((float("nan"),), False),
        ((), False),
    ],
)
def test_a_log_is_in_use_at_all_proven_times(times_s, good):
    found = verify(V2, V2_LOG.trust(end="2023-11-14T22:13:20Z"))
    if good:
        check_in_use(found, times_s=times_s)
        return
    with pytest.raises(LogProofInvalidError, match="not in use"):
        check_in_use(found, times_s=times_s)


def test_a_promised_time_needs_no_other():
    found = verify(V1, V1_LOG.trust(end="2023-11-14T22:13:20Z"))
    check_in_use(found, times_s=())
    check_in_use(found, times_s=(END_S + 1,))


def test_one_log_with_two_windows():
    early = {"end": "2022-01-01T00:00:00Z"}
    late = {"start": "2023-01-01T00:00:00Z"}
    for log, entry in ((V1_LOG, V1), (V2_LOG, V2)):
        found = verify(entry, log.trust(**early), log.trust(**late))
        check_in_use(found, times_s=(END_S,))
    assert len(found.logs) == 2
    with pytest.raises(LogProofInvalidError, match="not in use"):
        check_in_use(found, times_s=(1_656_633_600.0,))  # 2022-07-01, between them
    with pytest.raises(LogProofInvalidError, match="not in use"):
        check_in_use(found, times_s=(1_640_000_000.0, END_S))  # in both, so in neither whole


def test_two_keys_under_one_id_have_their_own_windows():
    """A key's window counts for what that key signed, not for what the other did."""
    other = FakeLog("v2", name="other", leaves=V2_LOG.leaves)
    renamed = other.trust(end="2022-01-01T00:00:00Z") | {"logId": {"keyId": b64(V2_LOG.key_id)}}
    found = verify(V2, renamed, V2_LOG.trust(start="2023-01-01T00:00:00Z"))
    assert [log.key for log in found.logs] == [V2_LOG.signer.key]
    with pytest.raises(LogProofInvalidError, match="not in use"):
        check_in_use(found, times_s=(1_630_000_000.0,))
    check_in_use(found, times_s=(END_S,))


def test_one_log_counts_once():
    """CVE-2026-49834: two entries of one log are told to be of one, by id and by key."""
    log, first = logged("v2")
    second = log.add(body("v2"))
    found = [verify(entry, log.trust()) for entry in (first, second)]
    assert found[0].log_index != found[1].log_index
    assert len({each.log_id for each in found}) == 1
    assert len({each.log_key for each in found}) == 1
    other, third = logged("v2", log=FakeLog("v2", host="other.example"))
    another = verify(third, other.trust())
    assert another.log_id != found[0].log_id
    assert another.log_key != found[0].log_key


# ---- whatever the bytes ----------------------------------------------------------------------------------------------

INT64 = st.integers(min_value=-(2**63), max_value=2**64)
PROOFS = st.builds(
    UntrustedInclusionProof,
    log_index=INT64,
    root_hash=st.binary(max_size=40),
    tree_size=INT64,
    hashes=st.lists(st.binary(max_size=40), max_size=8).map(tuple),
    checkpoint=st.none() | st.text() | st.just(V1["inclusionProof"]["checkpoint"]["envelope"]),
)


@settings(max_examples=100, deadline=None)
@given(st.data(), st.sampled_from([(V1_LOG, V1), (V2_LOG, V2)]), st.sampled_from(["0.1", "0.2", "0.3", ""]))
def test_no_entry_gives_anything_but_a_signature_error(data, known, version):
    log, entry = known
    honest = untrusted_entry(entry)
    parts = {
        "log_index": INT64,
        "log_id": st.binary(max_size=40),
        "kind": st.text(max_size=20),
        "version": st.text(max_size=8),
        "body": st.binary(),
        "integrated_time_s": st.none() | INT64,
        "promise": st.none() | st.binary(),
        "proof": st.none() | PROOFS,
    }
    chosen = data.draw(st.sets(st.sampled_from(sorted(parts)), min_size=1, max_size=3))
    found = replace(honest, **{name: data.draw(parts[name]) for name in sorted(chosen)})
    try:
        verified = verify(found, log.trust(), version=version)
    except SignatureError:
        return
    assert (found.body, found.log_id, found.kind) == (honest.body, honest.log_id, honest.kind)
    assert verified.integrated_time_s in (None, LOGGED_AT_S)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_byte_of_a_body_can_change(data):
    log, entry = data.draw(st.sampled_from([(V1_LOG, V1), (V2_LOG, V2)]))
    raw = bytearray(base64.b64decode(entry["canonicalizedBody"]))
    at = data.draw(st.integers(min_value=0, max_value=len(raw) - 1))
    raw[at] ^= data.draw(st.integers(min_value=1, max_value=255))
    refused(changed(entry, canonicalizedBody=b64(bytes(raw))), log.trust())
