"""Bundles, ``.sig`` and ``.att`` layers of a private sigstore: each that is accepted stands beside one that is not."""

from __future__ import annotations

import json
from functools import cache

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.bundles import statement_bytes
from fakes.pki import authority
from fakes.signing import LOGGED_AT_S, attachment, b64, signer
from fakes.sigstore import (
    CERTIFICATE,
    CHAIN,
    LEAF_S,
    OIDC,
    SUBJECT,
    TIMESTAMP,
    PrivateSigstore,
    sign_as,
    sign_ed25519ph,
)
from plimsoll.errors import (
    BadSignatureError,
    BundleInvalidError,
    CertificateExpiredError,
    CertificateUntrustedError,
    IdentityMismatchError,
    LogProofInvalidError,
    LogProofMissingError,
    PayloadError,
    SctInvalidError,
    SignatureError,
    SignedDigestMismatchError,
    TimestampInvalidError,
    TimestampMissingError,
    UntrustedKeyError,
)
from plimsoll.model.digest import Digest
from plimsoll.model.identity import Exact, Identity
from plimsoll.model.trust import PublicKey
from plimsoll.model.trusted_root import CertificateAuthority, parse_trusted_root
from plimsoll.signatures.annotated_timestamp import annotated_times
from plimsoll.signatures.bundle import parse_bundle
from plimsoll.signatures.cosign import parse_attachment, verify_signature
from plimsoll.signatures.cosign_attestation import attestation_places, parse_attestation, verify_attestation
from plimsoll.signatures.dsse import IN_TOTO, pae
from plimsoll.signatures.formats import (
    Artifact,
    IdentityTrust,
    KeyTrust,
    LogByKeys,
    LogByRoot,
    LogIgnored,
    SctDemand,
    VerifiedAttestation,
    VerifiedSignature,
)
from plimsoll.signatures.keyless import verify_leaf
from plimsoll.signatures.signed_content import SignedContent, own_hash, verify_content
from plimsoll.signatures.sigstore import needs_bytes, verify_bundle
from plimsoll.signatures.timestamp import verify_timestamp
from plimsoll.signatures.trust_index import index_root

DATA = b"an artifact"
DIGEST = Digest.of(DATA)
ARTIFACT = Artifact(digests=(DIGEST,), data=DATA)
BY_DIGEST = Artifact(digests=(DIGEST,))
OTHER = Artifact(digests=(Digest.of(b"another"),), data=b"another")
WANTED = Identity(issuer=Exact(text=OIDC), subject=Exact(text=SUBJECT))
PREDICATE = "https://slsa.dev/provenance/v1"
KINDS = ["p256", "p384", "p521", "rsa2048", "ed25519"]
LATER = LOGGED_AT_S + 3600.0


def instance(log="v1", name="acme"):
    return _instance(log, name)


@cache
def _instance(log, name):
    return PrivateSigstore(log=log, name=name)


def index(log="v1", name="acme", without=()):
    return _index(log, name, without)


@cache
def _index(log, name, without):
    return instance(log, name).index(without=without)


def identity_trust(root, *, log=None, **changes):
    return IdentityTrust(identities=(WANTED,), root=root, log=log or LogByRoot(root=root), **changes)


def key_trust(*kinds, log="v1", **changes):
    return KeyTrust(keys=tuple(signer(kind).key for kind in kinds), log=LogByRoot(root=index(log)), **changes)


def verify(made, trust, artifact=ARTIFACT, now_s=LATER):
    return verify_bundle(parse_bundle(made.data), trust, artifact, now_s)


# --- who signed ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("log", ["v1", "v2"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_message_signed_by_a_key_of_every_kind(kind, log):
    how = {"prehashed": True} if kind == "ed25519" else {}
    made = instance(log).sign(DATA, by=signer(kind), **how)
    found = verify(made, key_trust(kind, log=log))
    assert (found.key, found.digest, found.certified) == (signer(kind).fingerprint, DIGEST, None)
    assert found.signed_at_s == LOGGED_AT_S
    with pytest.raises(UntrustedKeyError):
        verify(made, KeyTrust(keys=(signer(kind, "bob").key,), log=LogByRoot(root=index(log))))
    with pytest.raises(UntrustedKeyError):
        verify(made, KeyTrust(keys=(), log=LogByRoot(root=index(log))))
    with pytest.raises(SignedDigestMismatchError):
        verify(made, key_trust(kind, log=log), OTHER)


@pytest.mark.parametrize("log", ["v1", "v2"])
@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "rsa2048"])
def test_an_envelope_signed_by_a_certificates_key_of_every_kind(kind, log):
    made = instance(log).attest(statement_bytes(DIGEST, predicate_type=PREDICATE), by=leaf_of(kind, log))
    found = verify(made, identity_trust(index(log)), BY_DIGEST)
    assert isinstance(found, VerifiedAttestation)
    assert (found.key, found.digest) == (signer(kind, "leaf").fingerprint, DIGEST)
    assert (found.certified.issuer, found.certified.subject) == (OIDC, SUBJECT)
    rewritten = changed(made.content, payload=made.content.payload.replace(b"provenance", b"provenancE"))
    with pytest.raises(BadSignatureError):
        verify(made.changed(content=rewritten), identity_trust(index(log)), BY_DIGEST)


@cache
def leaf_of(kind, log="v1"):
    return instance(log).certificate(kind=kind)


def changed(value, **changes):
    fields = {name: getattr(value, name) for name in value.__slots__}
    return type(value)(**(fields | changes))


@pytest.mark.parametrize("how", [{"pss": True}, {"hash_name": "sha256"}], ids=["pss", "pkcs1"])
def test_both_paddings_of_rsa(how):
    made = instance().sign(DATA, by=signer("rsa2048"), **how)
    assert verify(made, key_trust("rsa2048"), BY_DIGEST).key == signer("rsa2048").fingerprint
    broken = bytearray(made.signature)
    broken[-1] ^= 1
    with pytest.raises(UntrustedKeyError):
        verify(made.changed(content=changed(made.content, signature=bytes(broken))), key_trust("rsa2048"))


def test_a_salt_of_another_length_is_no_signature():
    by, algorithm = signer("rsa2048"), hashes.SHA256()
    for salt in (0, 20, 32):
        made = by.private.sign(DATA, padding.PSS(padding.MGF1(algorithm), salt), algorithm)
        content = SignedContent(signature=made, data=DATA)
        if salt == 32:
            verify_content(by.key, content)
            continue
        with pytest.raises(UntrustedKeyError):
            verify_content(by.key, content)


@pytest.mark.parametrize("kind", ["p384", "p521"])
def test_a_larger_curve_may_sign_sha256_as_old_clients_did(kind):
    made = instance().sign(DATA, by=signer(kind), hash_name="sha256")
    assert verify(made, key_trust(kind), BY_DIGEST)
    with pytest.raises(UntrustedKeyError):
        verify_content(
            signer(kind).key, SignedContent(signature=sign_as(signer(kind), DATA, hash_name="sha224"), data=DATA)
        )


@pytest.mark.parametrize("kind", ["p384", "p521", "ed25519"])
def test_a_key_that_signs_no_sha256_needs_the_bytes(kind):
    made = instance().sign(DATA, by=signer(kind))
    with pytest.raises(BadSignatureError, match="bytes"):
        verify(made, key_trust(kind), BY_DIGEST)
    assert needs_bytes(parse_bundle(made.data), key_trust(kind))
    # ... which keeps no other key from being tried.
    other = instance().sign(DATA, by=signer("p256"))
    assert verify(other, key_trust(kind, "p256"), BY_DIGEST).key == signer("p256").fingerprint


@pytest.mark.parametrize("kind", ["p256", "rsa2048"])
def test_a_key_that_signs_sha256_needs_no_bytes(kind):
    made = instance().sign(DATA, by=signer(kind))
    assert verify(made, key_trust(kind), BY_DIGEST)
    assert not needs_bytes(parse_bundle(made.data), key_trust(kind))
    assert own_hash(signer(kind).key) == "sha256"


def test_an_envelope_needs_no_bytes_unless_it_names_no_sha256():
    sha512 = Digest.of(DATA, algorithm="sha512")
    for digests, needed in (((DIGEST,), False), ((DIGEST, sha512), False), ((sha512,), True)):
        made = instance().sign_image(*digests, by=signer("p384"))
        assert needs_bytes(parse_bundle(made.data), key_trust("p384")) is needed
    assert verify(made, key_trust("p384"), Artifact(digests=(DIGEST, sha512))).digest == sha512
    with pytest.raises(SignedDigestMismatchError):
        verify(made, key_trust("p384"), BY_DIGEST)


def test_the_hash_that_the_caller_names_is_tried_too():
    made = instance().sign(DATA, by=signer("p256"), hash_name="sha512", stated="sha512")
    assert needs_bytes(parse_bundle(made.data), key_trust("p256"))
    assert verify(made, key_trust("p256", hash_name="sha512"))
    with pytest.raises(UntrustedKeyError):
        verify(made, key_trust("p256"))


# --- Ed25519 and Ed25519ph ---------------------------------------------------------------------------------------------


def test_ed25519ph_as_rfc_8032_writes_it():
    """RFC 8032 section 7.3."""
    raw = bytes.fromhex("ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf")
    key = PublicKey(bytes.fromhex("302a300506032b6570032100") + raw)
    signature = bytes.fromhex(
        "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41"
        "31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406"
    )
    verify_content(key, SignedContent(signature=signature, data=b"abc"))
    for wrong in (
        SignedContent(signature=signature, data=b"abd"),
        SignedContent(signature=signature[:-1], data=b"abc"),
    ):
        with pytest.raises(UntrustedKeyError):
            verify_content(key, wrong)


def test_both_ways_of_ed25519_over_an_artifact_and_just_the_pure_one_over_an_envelope():
    by = signer("ed25519")
    for signature in (by.sign(DATA), sign_ed25519ph(by, DATA)):
        verify_content(by.key, SignedContent(signature=signature, data=DATA))
        with pytest.raises(UntrustedKeyError):
            verify_content(by.key, SignedContent(signature=signature, data=DATA + b"!"))
    verify_content(by.key, SignedContent(signature=by.sign(DATA), data=DATA, payload=b"inside"))
    with pytest.raises(UntrustedKeyError):
        verify_content(by.key, SignedContent(signature=sign_ed25519ph(by, DATA), data=DATA, payload=b"inside"))


@given(st.binary(max_size=80))
@settings(max_examples=40)
def test_nothing_else_is_an_ed25519_signature(signature):
    with pytest.raises(UntrustedKeyError):
        verify_content(signer("ed25519").key, SignedContent(signature=signature, data=DATA))


def test_an_ed25519_envelope():
    made = instance().sign_image(DIGEST, by=signer("ed25519"))
    assert isinstance(verify(made, key_trust("ed25519"), BY_DIGEST), VerifiedSignature)
    prehashed = instance().sign_image(DIGEST, by=signer("ed25519"), prehashed=True)
    with pytest.raises(UntrustedKeyError):
        verify(prehashed, key_trust("ed25519"), BY_DIGEST)


# --- what was signed -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stated", ["sha256", "sha384", "sha512", None])
def test_a_message_digest_by_each_hash_and_none(stated):
    made = instance().sign(DATA, stated=stated)
    trust = identity_trust(index())
    assert verify(made, trust).digest == DIGEST
    with pytest.raises(SignedDigestMismatchError if stated else BadSignatureError):
        verify(made, trust, OTHER)
    if stated in ("sha256", None):
        assert verify(made, trust, BY_DIGEST)
    else:
        with pytest.raises(SignedDigestMismatchError):
            verify(made, trust, BY_DIGEST)


def test_an_images_signature_in_bundle_form_and_an_attestation():
    made = instance().sign_image(DIGEST, annotations={"env": "prod"})
    found = verify(made, identity_trust(index()), BY_DIGEST)
    assert isinstance(found, VerifiedSignature)
    assert (found.docker_reference, dict(found.annotations)) == ("", {"env": "prod"})
    made = instance().sign_image(DIGEST, predicate_type=PREDICATE)
    assert isinstance(verify(made, identity_trust(index()), BY_DIGEST), VerifiedAttestation)
    with pytest.raises(SignedDigestMismatchError):
        verify(made, identity_trust(index()), OTHER)


def test_an_envelope_of_another_payload_type_is_no_statement():
    made = instance().attest(statement_bytes(DIGEST), payload_type="text/plain")
    with pytest.raises(PayloadError, match="payloadType"):
        verify(made, identity_trust(index()), BY_DIGEST)


# --- versions --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["0.1", "0.2", "0.3"])
@pytest.mark.parametrize("make", ["sign", "sign_image"])
def test_every_version(version, make):
    made = getattr(instance(), make)(DATA if make == "sign" else DIGEST, version=version)
    assert parse_bundle(made.data).version == version
    assert verify(made, identity_trust(index()))
    (entry,) = made.entries
    lacking = {
        name: value
        for name, value in entry.items()
        if name != ("inclusionPromise" if version == "0.1" else "inclusionProof")
    }
    with pytest.raises(LogProofMissingError):
        verify(made.changed(entries=(lacking,)), identity_trust(index()))


def test_an_intoto_entry():
    made = instance().sign_image(DIGEST, kind="intoto")
    assert verify(made, identity_trust(index()))
    other = instance().sign_image(OTHER.digests[0], kind="intoto", by=made.by)
    with pytest.raises(LogProofInvalidError):
        verify(made.changed(entries=other.entries), identity_trust(index()))


# --- whom it is for ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wanted",
    [
        Identity(issuer=Exact(text="https://accounts.example"), subject=Exact(text=SUBJECT)),
        Identity(issuer=Exact(text=OIDC), subject=Exact(text=SUBJECT + "x")),
        Identity(
            issuer=Exact(text=OIDC), subject=Exact(text=SUBJECT), claims=(("githubWorkflowRef", Exact(text="x")),)
        ),
    ],
    ids=["issuer", "subject", "claim"],
)
def test_a_certificate_for_somebody_else(wanted):
    made, root = instance().sign(DATA), index()
    trust = IdentityTrust(identities=(wanted,), root=root, log=LogByRoot(root=root))
    with pytest.raises(IdentityMismatchError):
        verify(made, trust)
    both = IdentityTrust(identities=(wanted, WANTED), root=root, log=LogByRoot(root=root))
    assert verify(made, both).certified.subject == SUBJECT
    with pytest.raises(IdentityMismatchError):
        verify(made, IdentityTrust(identities=(), root=root, log=LogByRoot(root=root)))


def test_who_it_is_for_is_asked_before_anything_dear():
    theirs = instance().sign(DATA, by=instance().certificate("https://github.com/evil/app"))
    broken = theirs.changed(content=changed(theirs.content, signature=b"none"), entries=())
    with pytest.raises(IdentityMismatchError):
        verify(broken, identity_trust(index()))


def test_a_key_where_certificates_are_trusted_and_the_other_way_round():
    with pytest.raises(UntrustedKeyError, match="without a certificate"):
        verify(instance().sign(DATA, by=signer()), identity_trust(index()))
    made = instance().sign(DATA)
    with pytest.raises(UntrustedKeyError):
        verify(made, key_trust("p256"))
    # A key that is trusted is trusted with a certificate around it too: it says who, and nothing is taken from it.
    found = verify(made, KeyTrust(keys=(signer("p256", "leaf").key,), log=LogByRoot(root=index())))
    assert (found.key, found.certified) == (signer("p256", "leaf").fingerprint, None)


def test_another_instances_certificate():
    theirs = instance(name="evil").certificate()
    made = instance().sign(DATA, by=theirs)
    with pytest.raises(CertificateUntrustedError):
        verify(made, identity_trust(index()), ARTIFACT)
    with pytest.raises(CertificateUntrustedError):
        verify(instance().sign(DATA), identity_trust(index(without=("certificateAuthorities",))))


def test_authorities_at_hand_instead_of_the_roots():
    """--ca-roots: the log is the root's, the authorities are one's own."""
    own = authority("own root", path_length=0, by=signer("p256", "own ca"))
    made = instance().sign(DATA, by=instance().certificate(parent=own, sct=False))
    root = index().root
    listed = CertificateAuthority(chain=(own.der,), valid_from_s=float("-inf"), valid_until_s=None)
    ours = index_root(type(root)(tlogs=root.tlogs, certificate_authorities=(listed,)))
    assert verify(made, identity_trust(ours, sct=SctDemand.IGNORED)).certified
    with pytest.raises(SctInvalidError):
        verify(made, identity_trust(ours))
    with pytest.raises(CertificateUntrustedError):
        verify(made, identity_trust(index(), sct=SctDemand.IGNORED))
    with pytest.raises(CertificateUntrustedError):
        verify(instance().sign(DATA), identity_trust(ours, sct=SctDemand.IGNORED))


def test_a_certificate_without_a_ct_logs_promise():
    made = instance().sign(DATA, by=instance().certificate(sct=False))
    with pytest.raises(SctInvalidError):
        verify(made, identity_trust(index()))
    assert verify(made, identity_trust(index(), sct=SctDemand.IGNORED))
    with pytest.raises(SctInvalidError):
        verify(instance().sign(DATA), identity_trust(index(without=("ctlogs",))))


def test_a_leaf_is_proven_at_one_time_at_least():
    made = instance().certificate()
    assert verify_leaf(made.value, chain=(), trust=identity_trust(index()), times_s=(LOGGED_AT_S,))
    with pytest.raises(CertificateExpiredError):
        verify_leaf(made.value, chain=(), trust=identity_trust(index()), times_s=())
    with pytest.raises(CertificateExpiredError):
        verify_leaf(made.value, chain=(), trust=identity_trust(index()), times_s=(LOGGED_AT_S, LATER))


def test_a_chain_that_cannot_be_read_and_one_that_is_passed_over():
    made = instance().sign(DATA, version="0.2")
    stranger = authority("stranger", parent=authority("stranger root"))
    assert verify(made.changed(chain=(stranger.der,)), identity_trust(index()))
    with pytest.raises(SignatureError):
        verify(made.changed(chain=(b"\x30\x03\x02\x01\x01",)), identity_trust(index()))
    with pytest.raises(BundleInvalidError):
        verify(made.changed(certificate=b"\x30\x03\x02\x01\x01"), identity_trust(index()))


# --- the log -------------------------------------------------------------------------------------------------------------------


def test_no_entry():
    made = instance().sign(DATA, is_logged=False, stamped=True)
    with pytest.raises(LogProofMissingError):
        verify(made, identity_trust(index()))
    assert verify(made, identity_trust(index(), log=LogIgnored())).signed_at_s == LOGGED_AT_S
    keyed = instance().sign(DATA, by=signer(), is_logged=False)
    with pytest.raises(LogProofMissingError):
        verify(keyed, key_trust("p256"))
    assert verify(keyed, KeyTrust(keys=(signer().key,), log=LogIgnored())).signed_at_s is None


def test_a_policy_jsons_keys_are_no_trust_for_bundles():
    with pytest.raises(TypeError):
        verify(instance().sign(DATA, by=signer()), KeyTrust(keys=(signer().key,), log=LogByKeys(keys=())))


def test_several_entries_of_which_one_is_by_an_unknown_log():
    made, theirs = instance().sign(DATA), instance(name="evil")
    unknown = theirs.sign(DATA, by=made.by).entries
    for entries in ((*made.entries, *unknown), (*unknown, *made.entries)):
        assert verify(made.changed(entries=entries), identity_trust(index())).signed_at_s == LOGGED_AT_S
    with pytest.raises(LogProofInvalidError, match="not in the trusted root"):
        verify(made.changed(entries=unknown), identity_trust(index()))


def test_every_entry_of_a_known_log_must_be_about_this_signature():
    made = instance().sign(DATA)
    other = instance().sign(b"another", by=made.by)
    (entry,) = other.entries
    foreign = entry | {"logIndex": "77"}
    with pytest.raises(LogProofInvalidError, match="another payload"):
        verify(made.changed(entries=(*made.entries, foreign)), identity_trust(index()))


@pytest.mark.parametrize("log", ["v1", "v2"])
def test_a_log_that_was_not_in_use(log):
    made = instance(log).sign(DATA)
    document = instance(log).root_document()
    for window, good in (
        ({"start": "2023-11-14T22:13:20Z"}, True),
        ({"start": "2023-11-14T22:13:21Z"}, False),
        ({"start": "2020-01-01T00:00:00Z", "end": "2023-11-14T22:13:20Z"}, True),
        ({"start": "2020-01-01T00:00:00Z", "end": "2023-11-14T22:13:19Z"}, False),
    ):
        document["tlogs"][0]["publicKey"]["validFor"] = window
        trust = identity_trust(index_of(document))
        if good:
            assert verify(made, trust)
            continue
        with pytest.raises(LogProofInvalidError, match="not in use"):
            verify(made, trust)


def index_of(document):
    return index_root(parse_trusted_root(json.dumps(document).encode()))


# --- times ---------------------------------------------------------------------------------------------------------------------


def test_a_timestamp_and_a_promise_are_both_proven_and_both_count():
    made = instance().sign(DATA)
    later = instance().stamp(made.signature, at_s=LOGGED_AT_S + 100)
    assert verify(made.changed(timestamps=(later,)), identity_trust(index())).signed_at_s == LOGGED_AT_S
    too_late = instance().stamp(made.signature, at_s=LATER)
    with pytest.raises(CertificateExpiredError):
        verify(made.changed(timestamps=(too_late,)), identity_trust(index()))


def test_a_timestamp_that_proves_nothing_is_no_more_than_missing():
    made = instance().sign(DATA)
    foreign = instance().stamp(b"another signature")
    assert verify(made.changed(timestamps=(foreign,)), identity_trust(index())).signed_at_s == LOGGED_AT_S
    v2 = instance("v2").sign(DATA)
    with pytest.raises(TimestampInvalidError):
        verify(v2.changed(timestamps=(instance("v2").stamp(b"another"),)), identity_trust(index("v2")))
    both = (instance("v2").stamp(b"another"), *v2.timestamps)
    assert verify(v2.changed(timestamps=both), identity_trust(index("v2"))).signed_at_s == LOGGED_AT_S


def test_a_log_without_promises_proves_no_time():
    made = instance("v2").sign(DATA)
    with pytest.raises(TimestampMissingError):
        verify(made.changed(timestamps=()), identity_trust(index("v2")))
    # A key needs none: it has no window of its own.
    keyed = instance("v2").sign(DATA, by=signer(), stamped=False)
    assert verify(keyed, key_trust("p256", log="v2")).signed_at_s is None
    # A timestamp that does not verify is no more than none: a key needs no time where a log has the signature.
    stamped = keyed.changed(timestamps=(instance("v2").stamp(b"another"),))
    assert verify(stamped, key_trust("p256", log="v2")).signed_at_s is None


@pytest.mark.parametrize("stamped", [True, False])
def test_where_the_log_is_ignored_a_timestamp_counts_else_the_present(stamped):
    made = instance().sign(DATA, is_logged=False, stamped=stamped)
    trust = identity_trust(index(), log=LogIgnored())
    found = verify(made, trust, now_s=LOGGED_AT_S + 1)
    assert found.signed_at_s == (LOGGED_AT_S if stamped else None)
    if stamped:
        assert verify(made, trust, now_s=LATER)
        return
    with pytest.raises(CertificateExpiredError):
        verify(made, trust, now_s=LATER)


def test_an_ignored_logs_time_is_not_believed():
    made = instance().sign(DATA)
    trust = identity_trust(index(), log=LogIgnored())
    assert verify(made, trust, now_s=LOGGED_AT_S).signed_at_s is None
    with pytest.raises(CertificateExpiredError):
        verify(made, trust, now_s=LATER)


def test_a_timestamp_where_no_authority_is_trusted():
    made = instance("v2").sign(DATA)
    with pytest.raises(TimestampInvalidError):
        verify(made, identity_trust(index("v2", without=("timestampAuthorities",))))


# --- .sig --------------------------------------------------------------------------------------------------------------------------


def verify_sig(layer, trust, digest=DIGEST, now_s=LATER):
    return verify_signature(parse_attachment(layer), trust, (digest,), now_s)


def test_a_keyless_sig_layer():
    found = verify_sig(instance().sig_layer(DIGEST), identity_trust(index()))
    assert (found.format, found.certified.subject, found.signed_at_s) == ("cosign", SUBJECT, LOGGED_AT_S)
    assert found.docker_reference == "registry.example/team/app"
    with pytest.raises(SignedDigestMismatchError):
        verify_sig(instance().sig_layer(DIGEST), identity_trust(index()), OTHER.digests[0])


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"is_logged": False}, LogProofMissingError),
        ({"changed": {CERTIFICATE: None}}, CertificateUntrustedError),
        ({"changed": {CERTIFICATE: "no certificate"}}, CertificateUntrustedError),
        ({"changed": {CHAIN: "no chain"}}, CertificateUntrustedError),
        ({"at_s": LATER}, CertificateExpiredError),
    ],
    ids=["log", "leaf", "bad leaf", "bad chain", "late"],
)
def test_a_keyless_sig_layer_that_lacks_something(changes, fault):
    with pytest.raises(fault):
        verify_sig(instance().sig_layer(DIGEST, **changes), identity_trust(index()))


def test_a_sig_layer_by_somebody_else():
    theirs = instance().certificate("https://github.com/evil/app/.github/workflows/release.yml@refs/heads/main")
    with pytest.raises(IdentityMismatchError):
        verify_sig(instance().sig_layer(DIGEST, by=theirs), identity_trust(index()))
    good, evil = instance().sig_layer(DIGEST), instance().sig_layer(DIGEST, by=instance().certificate(kind="p384"))
    swapped = {CERTIFICATE: evil.descriptor.annotations[CERTIFICATE]}
    annotations = good.descriptor.annotations | swapped
    with pytest.raises(BadSignatureError):
        verify_sig(attached(good, annotations), identity_trust(index()))


def attached(layer, annotations):
    return attachment(layer.data, annotations=annotations, media_type=layer.descriptor.media_type)


def test_a_sig_layers_intermediates_and_sct():
    root = index().root
    only_anchor = CertificateAuthority(chain=(instance().anchor.der,), valid_from_s=0.0, valid_until_s=None)
    lean = index_root(type(root)(tlogs=root.tlogs, ctlogs=root.ctlogs, certificate_authorities=(only_anchor,)))
    assert verify_sig(instance().sig_layer(DIGEST), identity_trust(lean))
    with pytest.raises(CertificateUntrustedError):
        verify_sig(instance().sig_layer(DIGEST, changed={CHAIN: None}), identity_trust(lean))
    bare = instance().sig_layer(DIGEST, by=instance().certificate(sct=False))
    with pytest.raises(SctInvalidError):
        verify_sig(bare, identity_trust(index()))
    assert verify_sig(bare, identity_trust(index(), sct=SctDemand.IGNORED))


def test_a_sig_layers_timestamp():
    ignoring = identity_trust(index(), log=LogIgnored())
    layer = instance().sig_layer(DIGEST, is_logged=False, stamped=True)
    assert verify_sig(layer, ignoring).signed_at_s == LOGGED_AT_S
    with pytest.raises(CertificateExpiredError):
        verify_sig(instance().sig_layer(DIGEST, is_logged=False), ignoring)
    with pytest.raises(LogProofMissingError):
        verify_sig(layer, identity_trust(index()))


# --- .att --------------------------------------------------------------------------------------------------------------------------


STATEMENT = statement_bytes(DIGEST, predicate_type=PREDICATE)


def verify_att(layer, trust, artifact=BY_DIGEST, now_s=LATER):
    return verify_attestation(parse_attestation(layer), trust, artifact, now_s)


def test_where_attestations_lie():
    (place,) = attestation_places((DIGEST,))
    assert place.tag == f"sha256-{DIGEST.hex}.att"


@pytest.mark.parametrize("kind", ["dsse", "intoto"])
@pytest.mark.parametrize("keyed", [True, False])
def test_an_att_layer_with_entries_of_both_kinds(kind, keyed):
    trust = key_trust("p256") if keyed else identity_trust(index())
    layer = instance().att_layer(STATEMENT, by=signer() if keyed else None, kind=kind)
    found = verify_att(layer, trust)
    assert (found.format, found.statement.predicate_type, found.signed_at_s) == ("attestation", PREDICATE, LOGGED_AT_S)
    assert (found.certified is None) is keyed
    with pytest.raises(SignedDigestMismatchError):
        verify_att(layer, trust, OTHER)
    # The log entry is about this very envelope: the same statement, signed anew, is another.
    other = instance().att_layer(STATEMENT, by=signer("p256") if keyed else instance().certificate(), kind=kind)
    swapped = layer.descriptor.annotations | {
        "dev.sigstore.cosign/bundle": other.descriptor.annotations["dev.sigstore.cosign/bundle"]
    }
    with pytest.raises(LogProofInvalidError):
        verify_att(attached(layer, swapped), trust)


@pytest.mark.parametrize("keyed", [True, False])
def test_an_att_layer_without_a_log_entry(keyed):
    trust = key_trust("p256") if keyed else identity_trust(index())
    layer = instance().att_layer(STATEMENT, by=signer() if keyed else None, is_logged=False, stamped=not keyed)
    with pytest.raises(LogProofMissingError):
        verify_att(layer, trust)
    ignoring = KeyTrust(keys=trust.keys, log=LogIgnored()) if keyed else identity_trust(index(), log=LogIgnored())
    assert verify_att(layer, ignoring).signed_at_s == (None if keyed else LOGGED_AT_S)


def test_an_att_layer_by_a_stranger():
    with pytest.raises(UntrustedKeyError):
        verify_att(instance().att_layer(STATEMENT, by=signer("p256", "bob")), key_trust("p256"))
    theirs = instance().certificate("https://github.com/evil/app")
    with pytest.raises(IdentityMismatchError):
        verify_att(instance().att_layer(STATEMENT, by=theirs), identity_trust(index()))
    with pytest.raises(CertificateUntrustedError):
        verify_att(instance().att_layer(STATEMENT, by=signer()), identity_trust(index()))
    with pytest.raises(CertificateExpiredError):
        verify_att(instance().att_layer(STATEMENT, at_s=LATER), identity_trust(index()))


def test_a_policy_jsons_keys_are_no_trust_for_attestations():
    with pytest.raises(TypeError):
        verify_att(instance().att_layer(STATEMENT, by=signer()), KeyTrust(keys=(signer().key,), log=LogByKeys(keys=())))


def test_one_trusted_signature_of_an_envelope_is_enough_and_none_is_not():
    layer = instance().att_layer(STATEMENT, by=signer(), is_logged=False)
    envelope = json.loads(layer.data)
    foreign = {"sig": b64(signer("p256", "bob").sign(b"whatever"))}
    envelope["signatures"] = [foreign, *envelope["signatures"]]
    both = json.dumps(envelope).encode()
    ignoring = KeyTrust(keys=(signer().key,), log=LogIgnored())
    assert verify_att(with_data(layer, both), ignoring).key == signer().fingerprint
    envelope["signatures"] = [foreign]
    with pytest.raises(UntrustedKeyError):
        verify_att(with_data(layer, json.dumps(envelope).encode()), ignoring)


def with_data(layer, data):
    annotations = {name: text for name, text in layer.descriptor.annotations.items() if text}
    return attachment(data, annotations=annotations, media_type=layer.descriptor.media_type)


def test_an_att_layer_signed_by_the_hash_that_is_asked_for():
    layer = instance().att_layer(STATEMENT, by=signer(), is_logged=False)
    envelope = json.loads(layer.data)
    envelope["signatures"] = [{"sig": b64(signer().sign(pae(IN_TOTO, STATEMENT), hash_name="sha512"))}]
    layer = with_data(layer, json.dumps(envelope).encode())
    keys = (signer().key,)
    assert verify_att(layer, KeyTrust(keys=keys, log=LogIgnored(), hash_name="sha512")).key == signer().fingerprint
    with pytest.raises(UntrustedKeyError):
        verify_att(layer, KeyTrust(keys=keys, log=LogIgnored()))


# --- the timestamp annotation ------------------------------------------------------------------------------------------------------


def stamped_bundle(response, **how):
    made = instance().sign_image(DIGEST, **how)
    return made.changed(timestamps=(response,))


@pytest.mark.parametrize("text", ["{}", '{"SignedRFC3161Timestamp":"!"}', "another's"])
def test_a_timestamp_that_does_not_verify_proves_no_time_and_spoils_none(text):
    """The same for .sig, .att and bundles; refused where no log promised another time."""
    response = instance().stamp(b"another signature")
    text = json.dumps({"SignedRFC3161Timestamp": b64(response)}) if text == "another's" else text
    bad, ignoring = {TIMESTAMP: text}, identity_trust(index(), log=LogIgnored())
    for found in (
        verify_sig(instance().sig_layer(DIGEST, changed=bad), identity_trust(index())),
        verify_att(instance().att_layer(STATEMENT, changed=bad), identity_trust(index())),
        verify(stamped_bundle(response), identity_trust(index())),
    ):
        assert found.signed_at_s == LOGGED_AT_S
    for refused in (
        lambda: verify_sig(instance().sig_layer(DIGEST, is_logged=False, changed=bad), ignoring),
        lambda: verify_att(instance().att_layer(STATEMENT, is_logged=False, changed=bad), ignoring),
        lambda: verify(stamped_bundle(response, is_logged=False), ignoring),
    ):
        with pytest.raises(TimestampInvalidError):
            refused()


def test_a_timestamp_that_verifies_counts_beside_the_logs_promise():
    late = instance().stamp(SIGNED, at_s=LOGGED_AT_S + 2 * LEAF_S)
    text = json.dumps({"SignedRFC3161Timestamp": b64(late)})
    assert annotated_times(text, signature=SIGNED, root=index(), promised_s=5.0) == (5.0, LOGGED_AT_S + 2 * LEAF_S)
    assert annotated_times(None, signature=SIGNED, root=index(), promised_s=5.0) == (5.0,)


SIGNED = b"signature"


@pytest.mark.parametrize("name", ["acme", "evil"])
def test_the_timestamps_of_a_self_made_certificate_are_not_read(name, monkeypatch):
    """32 of them cost 32 checks or more, and the leaf that nobody trusted issued costs one at most."""
    read = []
    monkeypatch.setattr(
        "plimsoll.signatures.sigstore.verify_timestamp",
        lambda response, **how: read.append(response) or verify_timestamp(response, **how),
    )
    made = instance(name=name).sign_image(DIGEST, is_logged=False)
    made = made.changed(timestamps=tuple(instance().stamp(made.signature, at_s=LOGGED_AT_S + at) for at in range(3)))
    trust = identity_trust(index(), log=LogIgnored())
    if name == "acme":
        assert verify(made, trust).signed_at_s == LOGGED_AT_S
        assert len(read) == 3
    else:
        with pytest.raises(CertificateUntrustedError):
            verify(made, trust)
        assert read == []


def test_an_annotated_timestamp():
    response = instance().stamp(b"signature")
    text = json.dumps({"SignedRFC3161Timestamp": b64(response)})
    assert annotated_times(text, signature=b"signature", root=index(), promised_s=None) == (LOGGED_AT_S,)
    assert annotated_times(None, signature=b"signature", root=index(), promised_s=None) == ()
    with pytest.raises(TimestampInvalidError):
        annotated_times(text, signature=b"another", root=index(), promised_s=None)
    with pytest.raises(TimestampInvalidError):
        annotated_times(text, signature=b"signature", root=index(without=("timestampAuthorities",)), promised_s=None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "{",
        "\ud800",
        '{"SignedRFC3161Timestamp":1}',
        '{"SignedRFC3161Timestamp":"AAAA","more":1}',
        '{"SignedRFC3161Timestamp":"!"}',
        '{"SignedRFC3161Timestamp":""}',
        '{"SignedRFC3161Timestamp":"MAA="}',
        " " * 10**7,
    ],
    ids=range(11),
)
def test_an_annotation_that_holds_no_timestamp(text):
    with pytest.raises(TimestampInvalidError):
        annotated_times(text, signature=b"signature", root=index(), promised_s=None)
    assert annotated_times(text, signature=b"signature", root=index(), promised_s=7.0) == (7.0,)


# --- whatever comes ----------------------------------------------------------------------------------------------------------------


@cache
def good_bundles():
    both = [(log, make) for log in ("v1", "v2") for make in ("sign", "sign_image")]
    return tuple(
        [
            (
                getattr(instance(log), make)(DATA if make == "sign" else DIGEST, stamped=True).data,
                identity_trust(index(log)),
            )
            for log, make in both
        ]
    )


def parts_of(value, path=()):
    """The path to every member of a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield (*path, name)
        yield from parts_of(item, (*path, name))


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_a_bundle_with_any_one_member_changed_raises_nothing_but_a_signature_error(data):
    text, trust = data.draw(st.sampled_from(good_bundles()))
    document = json.loads(text)
    *way, last = data.draw(st.sampled_from(list(parts_of(document))))
    held = document
    for name in way:
        held = held[name]
    old = held[last]
    texts = st.binary(max_size=80).map(b64)
    if isinstance(old, str) and old:
        at = data.draw(st.integers(0, len(old) - 1))
        texts |= st.sampled_from("AZaz09+/=").map(lambda letter: old[:at] + letter + old[at + 1 :])
    new = data.draw(texts | st.none() | st.integers() | st.just([]) | st.just({}) | st.just([old, old]))
    if data.draw(st.booleans()):
        held[last] = new
    else:
        del held[last]
    try:
        found = verify_bundle(parse_bundle(json.dumps(document).encode()), trust, ARTIFACT, LATER)
    except SignatureError:
        return
    assert found.digest == DIGEST


@given(st.binary(max_size=64), st.integers(0, 2**16))
@settings(max_examples=60, deadline=None)
def test_a_bundle_with_bytes_changed_raises_nothing_but_a_signature_error(patch, at):
    text, trust = good_bundles()[at % 4]
    at %= len(text)
    try:
        found = verify_bundle(parse_bundle(text[:at] + patch + text[at + len(patch) :]), trust, ARTIFACT, LATER)
    except SignatureError:
        return
    assert found.digest == DIGEST


@given(
    st.dictionaries(
        st.sampled_from([CERTIFICATE, CHAIN, TIMESTAMP, "dev.sigstore.cosign/bundle"]), st.text() | st.none()
    )
)
@settings(max_examples=60, deadline=None)
def test_layers_with_any_annotations_raise_nothing_but_a_signature_error(annotations):
    trust = identity_trust(index())
    for layer, verify_layer in (
        (instance().sig_layer(DIGEST, changed=annotations), verify_sig),
        (instance().att_layer(STATEMENT, changed=annotations), verify_att),
    ):
        try:
            found = verify_layer(layer, trust)
        except SignatureError:
            continue
        assert found.certified.subject == SUBJECT
