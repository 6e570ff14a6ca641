"""cosign's ``.sig`` layers as a whole: every step of verify_signature, and the same with one thing changed."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.signing import (
    BUNDLE,
    LOGGED_AT_S,
    SIGNATURE,
    attachment,
    b64,
    hashedrekord,
    payload_bytes,
    payload_document,
    rekor,
    signed_attachment,
    signer,
    trusted_root_bytes,
)
from plimsoll.errors import (
    BadSignatureError,
    LogProofInvalidError,
    LogProofMissingError,
    PayloadError,
    SignatureError,
    SignedDigestMismatchError,
    UntrustedKeyError,
)
from plimsoll.model.digest import Digest
from plimsoll.model.evidence import TagPlace
from plimsoll.model.signature import UntrustedCosignSignature
from plimsoll.model.trusted_root import parse_trusted_root
from plimsoll.signatures.cosign import SIMPLE_SIGNING, parse_attachment, signature_places, verify_signature
from plimsoll.signatures.formats import KeyTrust, LogByKeys, LogByRoot, LogIgnored
from plimsoll.signatures.known_formats import COSIGN
from plimsoll.signatures.trust_index import index_root

DIGEST = Digest.of(b"the image")
DIGESTS = (DIGEST,)
ALICE, MALLORY = signer("p256", "alice"), signer("p256", "mallory")
ROOT = LogByRoot(root=index_root(parse_trusted_root(trusted_root_bytes(rekor().trusted()))))
UNLOGGED = KeyTrust(keys=(ALICE.key,), log=LogIgnored())
LOGGED = KeyTrust(keys=(ALICE.key,), log=ROOT)
BY_LOG_KEY = KeyTrust(keys=(ALICE.key,), log=LogByKeys(keys=(rekor().signer.key,)))


NOW_S = 1_800_000_000.0  # of no account to trust in keys


def prove(found, trust, digests):
    return verify_signature(found, trust, digests, NOW_S)


def untrusted(**changes):
    return parse_attachment(signed_attachment(DIGEST, **changes))


def signed(payload, *, by=ALICE, log=None):
    """A signature of any bytes at all, by a real key."""
    signature = by.sign(payload)
    entry = None if log is None else log.log(payload, signature, by.pem)
    return UntrustedCosignSignature(payload=payload, signature=b64(signature), log_entry=entry, certificate=None)


def refused(error, found, *, trust=UNLOGGED, digests=DIGESTS, match=None):
    with pytest.raises(error, match=match) as raised:
        prove(found, trust, digests)
    assert type(raised.value) is error


# ---- places and attachments ------------------------------------------------------------------------------------------


def test_the_places_are_the_sig_tags_of_the_digests_in_order():
    sha512 = Digest.of(b"the image", algorithm="sha512")
    assert signature_places((sha512, DIGEST)) == (
        TagPlace(tag=f"sha512-{sha512.hex}.sig", media_types=frozenset({SIMPLE_SIGNING})),
        TagPlace(tag=f"sha256-{DIGEST.hex}.sig", media_types=frozenset({SIMPLE_SIGNING})),
    )
    assert signature_places(()) == ()
    assert COSIGN.places(DIGESTS) == signature_places(DIGESTS)


def test_an_attachment_is_taken_as_it_is():
    annotations = {SIGNATURE: "c2ln", BUNDLE: "{}", "dev.sigstore.cosign/certificate": "PEM", "other": "x"}
    assert parse_attachment(attachment(b"p", annotations=annotations)) == UntrustedCosignSignature(
        payload=b"p", signature="c2ln", log_entry="{}", certificate="PEM", chain=None
    )
    assert parse_attachment(attachment(b"", annotations={})) == UntrustedCosignSignature(
        payload=b"", signature=None, log_entry=None, certificate=None
    )


def test_an_attachment_without_its_bytes_is_refused():
    with pytest.raises(BadSignatureError, match="was not read"):
        parse_attachment(replace(signed_attachment(DIGEST), data=None))


# ---- good ones -------------------------------------------------------------------------------------------------------


def test_a_good_signature_without_a_log():
    found = prove(untrusted(optional={"env": "prod"}), UNLOGGED, DIGESTS)
    assert found.format == COSIGN.name == "cosign"
    assert found.key == ALICE.fingerprint
    assert found.digest == DIGEST
    assert found.docker_reference == "registry.example/team/app"
    assert found.annotations == {"env": "prod"}
    assert found.signed_at_s is None


@pytest.mark.parametrize("trust", [LOGGED, BY_LOG_KEY], ids=["by root", "by keys"])
def test_a_good_signature_with_its_log_entry(trust):
    assert prove(untrusted(log=rekor()), trust, DIGESTS).signed_at_s == LOGGED_AT_S


def test_a_log_that_is_ignored_proves_no_time():
    """CVE-2022-23649: nothing is claimed of an entry that was not looked at."""
    forged = replace(untrusted(log=rekor()), log_entry="no entry at all")
    assert prove(forged, UNLOGGED, DIGESTS).signed_at_s is None
    refused(LogProofInvalidError, forged, trust=LOGGED)


@pytest.mark.parametrize("kind", ["p384", "p521", "rsa2048", "rsa3072", "ed25519"])
@pytest.mark.parametrize("hash_name", ["sha256", "sha512"])
def test_every_kind_of_key(kind, hash_name):
    by = signer(kind)
    found = untrusted(by=by, hash_name=hash_name)
    trust = KeyTrust(keys=(by.key,), log=LogIgnored(), hash_name=hash_name)
    assert prove(found, trust, DIGESTS).key == by.fingerprint
    refused(UntrustedKeyError, found, trust=replace(trust, keys=(signer(kind, "mallory").key,)))


def test_one_of_several_keys():
    others = (signer("rsa2048").key, signer("ed25519").key)
    trust = KeyTrust(keys=(*others, ALICE.key), log=LogIgnored())
    assert prove(untrusted(), trust, DIGESTS).key == ALICE.fingerprint
    refused(UntrustedKeyError, untrusted(), trust=replace(trust, keys=others))


def test_a_certificate_on_the_layer_changes_nothing():
    """Keyless trust is another format's: a certificate neither helps nor hides a keyed signature."""
    with_certificate = replace(untrusted(), certificate="-----BEGIN CERTIFICATE-----")
    assert prove(with_certificate, UNLOGGED, DIGESTS).key == ALICE.fingerprint
    refused(UntrustedKeyError, replace(untrusted(by=MALLORY), certificate=MALLORY.pem.decode()))


# ---- step by step ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signature", [None, "", "!", "QR==", "MEU=\n"])
@pytest.mark.parametrize("trust", [UNLOGGED, LOGGED])
def test_step_1_a_signature_in_canonical_base64(signature, trust):
    """CVE-2022-35930: what is unsigned is refused, with or without a log entry."""
    refused(BadSignatureError, replace(untrusted(log=rekor()), signature=signature), trust=trust)


@pytest.mark.parametrize("signature", [None, ""])
def test_step_1_an_absent_signature_is_said_to_be_absent(signature):
    refused(BadSignatureError, replace(untrusted(), signature=signature), match=f"no annotation {SIGNATURE}")


@pytest.mark.parametrize("trust", [LOGGED, BY_LOG_KEY])
def test_step_2_a_log_entry_where_one_is_demanded(trust):
    refused(LogProofMissingError, untrusted(), trust=trust, match="--insecure-ignore-tlog")


@pytest.mark.parametrize("trust", [UNLOGGED, LOGGED, BY_LOG_KEY])
def test_step_3_a_trusted_key(trust):
    refused(UntrustedKeyError, untrusted(by=MALLORY, log=rekor()), trust=trust)


@pytest.mark.parametrize("log", [LogIgnored(), ROOT])
def test_step_3_no_key_trusts_nothing(log):
    refused(UntrustedKeyError, untrusted(log=rekor()), trust=KeyTrust(keys=(), log=log), match="no key is trusted here")


@pytest.mark.parametrize("trust", [UNLOGGED, LOGGED])
def test_step_3_changed_bytes_are_told_from_a_stranger(trust):
    """The log entry names the trusted key: it only words the refusal."""
    changed = replace(untrusted(log=rekor()), payload=payload_bytes(Digest.of(b"evil")))
    refused(BadSignatureError, changed, trust=trust, match="they were changed")


@pytest.mark.parametrize("entry", ["", "{", "x" * 2000, "\ud800", "[]"])
def test_step_3_an_unreadable_log_entry_does_not_hide_the_refusal(entry):
    refused(UntrustedKeyError, replace(untrusted(by=MALLORY), log_entry=entry))


def test_step_3_a_hostile_entry_of_a_strangers_signature_takes_no_time():
    """It is parsed to word the refusal, before anything is proven: its PEM must not cost cubic time."""
    found = untrusted(by=MALLORY)
    document = hashedrekord(found.payload, b"x", b"-----BEGIN PUBLIC KEY-----" + b"\n" * 500_000)
    refused(UntrustedKeyError, replace(found, log_entry=json.dumps(rekor().promise(document))))


@pytest.mark.parametrize("trust", [LOGGED, BY_LOG_KEY])
def test_step_4_the_entry_of_another_signature(trust):
    """CVE-2022-36056, CVE-2026-22703: forged-foreign-log-entry."""
    foreign = parse_attachment(signed_attachment(Digest.of(b"another image"), log=rekor())).log_entry
    refused(LogProofInvalidError, replace(untrusted(), log_entry=foreign), trust=trust)
    twin = untrusted(log=rekor()).log_entry  # the same payload and key, another signature
    refused(LogProofInvalidError, replace(untrusted(), log_entry=twin), trust=trust, match="another signature")


@pytest.mark.parametrize("trust", [LOGGED, BY_LOG_KEY])
def test_step_4_the_entry_must_name_the_key_that_verified(trust):
    """Both keys are trusted: the entry still has to be about the one that signed."""
    found = untrusted(log=rekor())
    both = replace(trust, keys=(MALLORY.key, ALICE.key))
    assert prove(found, both, DIGESTS).key == ALICE.fingerprint
    entry = rekor().log(found.payload, b64decode(found.signature), MALLORY.pem)
    refused(LogProofInvalidError, replace(found, log_entry=entry), trust=both, match="another key")


def test_step_4_a_log_that_is_not_trusted():
    refused(LogProofInvalidError, untrusted(log=rekor("impostor")), trust=LOGGED, match="not in the trusted root")
    refused(LogProofInvalidError, untrusted(log=rekor("impostor")), trust=BY_LOG_KEY, match="does not verify")


@pytest.mark.parametrize("trust", [UNLOGGED, LOGGED])
@pytest.mark.parametrize("payload", [b"", b"{}", b"null", b'{"critical":{},"optional":null}', b"\xff", bytes(64)])
def test_step_5_signed_rubbish_is_rubbish(trust, payload):
    """CVE-2026-39395: a good signature over a payload that says nothing."""
    refused(PayloadError, signed(payload, log=rekor()), trust=trust)


def test_step_5_a_signed_document_of_another_type():
    """CVE-2022-35929: a trusted key signs other things too."""
    document = payload_document(DIGEST)
    document["critical"]["type"] = "atomic container signature"
    refused(PayloadError, signed(json.dumps(document).encode()), match=r"critical\.type")


def test_step_5_the_payload_is_read_only_once_it_is_proven_signed():
    refused(UntrustedKeyError, signed(b"{", by=MALLORY))


@pytest.mark.parametrize("trust", [UNLOGGED, LOGGED])
def test_step_6_another_image(trust):
    """forged-replay; CVE-2023-33959: the payload's digest against the manifest's."""
    other = parse_attachment(signed_attachment(Digest.of(b"another image"), log=rekor()))
    refused(SignedDigestMismatchError, other, trust=trust, match="of another image")
    assert prove(other, trust, (Digest.of(b"another image"),)).digest == Digest.of(b"another image")


def test_step_6_any_of_the_images_digests():
    sha512 = Digest.of(b"the image", algorithm="sha512")
    by_512 = parse_attachment(signed_attachment(sha512))
    assert prove(by_512, UNLOGGED, (sha512, DIGEST)).digest == sha512
    assert prove(untrusted(), UNLOGGED, (sha512, DIGEST)).digest == DIGEST
    refused(SignedDigestMismatchError, by_512)
    refused(SignedDigestMismatchError, untrusted(), digests=(sha512,))
    refused(SignedDigestMismatchError, untrusted(), digests=())


def test_step_6_one_hex_digit():
    near = Digest("sha256", DIGEST.hex[:-1] + ("0" if DIGEST.hex[-1] != "0" else "1"))
    refused(SignedDigestMismatchError, untrusted(), digests=(near,))


# ---- whatever changes ------------------------------------------------------------------------------------------------

GOOD = untrusted(log=rekor(), optional={"env": "prod"})


def accepted(found, trust):
    try:
        prove(found, trust, DIGESTS)
    except SignatureError:
        return False
    return True


def one_byte_changed(data):
    """Every byte replaced by its neighbours, its other case, and what JSON and base64 make much of; or left out."""
    for at, byte in enumerate(data):
        for new in {byte ^ 1, byte ^ 0x20, byte ^ 0x80, *b' 0A"\\=+/\n'} - {byte}:
            yield data[:at] + bytes([new]) + data[at + 1 :]
        yield data[:at] + data[at + 1 :]


def text_changed(text):
    for changed in one_byte_changed(text.encode()):
        yield changed.decode("latin-1")  # a byte above 0x7f becomes another character, as in a manifest


@pytest.mark.parametrize("trust", [UNLOGGED, LOGGED, BY_LOG_KEY], ids=["unlogged", "by root", "by keys"])
def test_no_changed_byte_of_the_payload_is_accepted(trust):
    assert accepted(GOOD, trust)
    assert not [new for new in one_byte_changed(GOOD.payload) if accepted(replace(GOOD, payload=new), trust)]


@pytest.mark.parametrize("trust", [UNLOGGED, LOGGED, BY_LOG_KEY], ids=["unlogged", "by root", "by keys"])
def test_no_changed_character_of_the_signature_is_accepted(trust):
    """Not even the stray bits of its last character: base64 has one form here."""
    assert accepted(GOOD, trust)
    assert not [new for new in text_changed(GOOD.signature) if accepted(replace(GOOD, signature=new), trust)]


@pytest.mark.parametrize("trust", [LOGGED, BY_LOG_KEY], ids=["by root", "by keys"])
def test_no_changed_character_of_the_log_entry_is_accepted(trust):
    """None is irrelevant: each member is under the SET, the SET is canonical base64, names and types are exact."""
    assert accepted(GOOD, trust)
    assert not [new for new in text_changed(GOOD.log_entry) if accepted(replace(GOOD, log_entry=new), trust)]


def test_white_space_between_the_entrys_tokens_is_irrelevant():
    """The only freedom: JSON says nothing by it, and what the log signed is the canonical form of the members."""
    spaced = json.dumps(json.loads(GOOD.log_entry), indent=1)
    assert spaced != GOOD.log_entry
    assert accepted(replace(GOOD, log_entry=spaced), LOGGED)
    turned = json.dumps(dict(reversed(json.loads(GOOD.log_entry).items())))
    assert accepted(replace(GOOD, log_entry=turned), LOGGED)


def test_an_ignored_log_makes_its_entry_irrelevant():
    assert all(accepted(replace(GOOD, log_entry=new), UNLOGGED) for new in (None, "", "x", GOOD.log_entry[:-1]))


texts = st.none() | st.text(max_size=60)


@settings(deadline=None)
@given(st.binary(max_size=100), texts, texts, texts, st.sampled_from([UNLOGGED, LOGGED, BY_LOG_KEY]))
def test_nothing_but_a_signature_error(payload, signature, log_entry, certificate, trust):
    found = UntrustedCosignSignature(payload=payload, signature=signature, log_entry=log_entry, certificate=certificate)
    with pytest.raises(SignatureError):
        prove(found, trust, DIGESTS)


@settings(deadline=None)
@given(st.binary(max_size=100), st.sampled_from([UNLOGGED, LOGGED, BY_LOG_KEY]))
def test_nothing_but_a_signature_error_behind_a_good_signature(payload, trust):
    """The trusted key itself is made to sign and log the rubbish."""
    with pytest.raises(PayloadError):
        prove(signed(payload, log=rekor()), trust, DIGESTS)


@settings(deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=80), st.binary(max_size=300))
def test_nothing_but_a_signature_error_from_what_a_trusted_log_signed(body, signature, pem):
    """Logs sign what they are given: body, signature and key may be any bytes."""
    for document in (body or b"{}", hashedrekord(GOOD.payload, signature or b"x", pem or b"x")):
        entry = json.dumps(rekor().promise(document))
        with pytest.raises(LogProofInvalidError):
            prove(replace(GOOD, log_entry=entry), LOGGED, DIGESTS)
