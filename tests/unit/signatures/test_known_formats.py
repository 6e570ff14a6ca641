"""What each format makes of an attachment, whatever lies in a store, and that no trust is used by the wrong one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fakes.signing import SIGNATURE, SIMPLE_SIGNING, b64, payload_bytes, signed_attachment, signer
from plimsoll.errors import BadSignatureError, UntrustedKeyError
from plimsoll.model.digest import Digest
from plimsoll.model.evidence import Attachment
from plimsoll.model.signature import UntrustedCosignSignature, UntrustedSimpleSignature
from plimsoll.signatures.formats import Artifact, KeyTrust, LogIgnored
from plimsoll.signatures.known_formats import ATTESTATION, BUNDLE, COSIGN, FORMATS, SIMPLE
from plimsoll.signatures.openpgp import GpgTrust

VECTORS = Path(__file__).parents[2] / "vectors" / "simple"
DIGEST = Digest.of(json.loads((VECTORS / "cases.json").read_bytes())["image"].encode())
GPG = (VECTORS / "messages" / "p256.sig").read_bytes()
NOW_S = 1_780_000_000.0
ARTIFACT = Artifact(digests=(DIGEST,))
STORED = (COSIGN, SIMPLE)


def stored(blob):
    return Attachment(descriptor=None, data=blob)


def wrapped(*, by=None, mime_type=SIMPLE_SIGNING):
    payload = payload_bytes(DIGEST)
    wrapper = {"mimeType": mime_type, "payload": b64(payload)}
    wrapper["annotations"] = {SIGNATURE: b64((by or signer()).sign(payload))}
    return b"\0sigstore-json\n" + json.dumps(wrapper).encode()


def keys(*signers):
    return KeyTrust(keys=tuple([each.key for each in signers]), log=LogIgnored())


def keyring(name="p256"):
    return GpgTrust(((VECTORS / "keys" / f"{name}.gpg").read_bytes(),))


def test_the_formats_have_names_and_families_of_their_own():
    assert [(item.name, item.family) for item in FORMATS] == [
        ("cosign", "sigstore"),
        ("simple", "openpgp"),
        ("bundle", "bundle"),
        ("attestation", "attestation"),
    ]


def test_simple_signatures_are_attached_to_nothing():
    assert SIMPLE.places((DIGEST,)) == ()
    assert [place.tag for place in COSIGN.places((DIGEST,))] == [f"sha256-{DIGEST.hex}.sig"]


def test_each_format_takes_its_own_out_of_a_store():
    assert isinstance(COSIGN.parse(stored(wrapped())), UntrustedCosignSignature)
    assert SIMPLE.parse(stored(wrapped())) is None
    assert isinstance(SIMPLE.parse(stored(GPG)), UntrustedSimpleSignature)
    assert COSIGN.parse(stored(GPG)) is None


def test_a_wrapped_thing_that_is_no_signature_is_nobodys():
    other = stored(wrapped(mime_type="application/vnd.example"))
    assert [item.parse(other) for item in FORMATS] == [None, None, None, None]


@pytest.mark.parametrize("blob", [GPG, wrapped(), b"", b"{}", b"\0x\n"])
def test_nothing_that_is_stored_is_a_bundle_or_an_attestation(blob):
    assert [item.parse(stored(blob)) for item in (BUNDLE, ATTESTATION)] == [None, None]


def test_bundles_refer_to_the_image_and_attestations_have_a_tag():
    (place,) = BUNDLE.places((DIGEST,))
    assert (place.digest, place.artifact_type) == (DIGEST, "application/vnd.dev.sigstore.bundle")
    assert [place.tag for place in ATTESTATION.places((DIGEST,))] == [f"sha256-{DIGEST.hex}.att"]


@pytest.mark.parametrize("attachment", [stored(None), stored(b""), stored(b"{}"), stored(b"\0x\n"), stored(b"\0")])
@pytest.mark.parametrize("item", STORED, ids=lambda item: item.name)
def test_what_cannot_be_told_is_refused_by_every_format(item, attachment):
    with pytest.raises(BadSignatureError):
        item.parse(attachment)


def test_a_stored_signature_verifies_as_the_attached_one_does():
    alice = signer()
    results = [
        COSIGN.verify(COSIGN.parse(attachment), keys(alice), ARTIFACT, NOW_S)
        for attachment in (stored(wrapped(by=alice)), signed_attachment(DIGEST, by=alice))
    ]
    assert results[0] == results[1]
    with pytest.raises(UntrustedKeyError):
        COSIGN.verify(COSIGN.parse(stored(wrapped(by=alice))), keys(signer(name="bob")), ARTIFACT, NOW_S)


def test_a_stored_gpg_signature_verifies_for_its_key_alone():
    untrusted = SIMPLE.parse(stored(GPG))
    assert SIMPLE.verify(untrusted, keyring(), ARTIFACT, NOW_S).digest == DIGEST
    with pytest.raises(UntrustedKeyError):
        SIMPLE.verify(untrusted, keyring("ed25519"), ARTIFACT, NOW_S)


def test_a_format_refuses_the_other_familys_trust():
    with pytest.raises(TypeError, match="keyring"):
        COSIGN.verify(COSIGN.parse(stored(wrapped())), keyring(), ARTIFACT, NOW_S)
    with pytest.raises(TypeError, match="keyring"):
        SIMPLE.verify(SIMPLE.parse(stored(GPG)), keys(signer()), ARTIFACT, NOW_S)
    for item in (BUNDLE, ATTESTATION):
        with pytest.raises(TypeError, match="keys and identities"):
            item.verify(None, keyring(), ARTIFACT, NOW_S)


def claim(item, blob):
    try:
        return item.parse(stored(blob)) is not None
    except BadSignatureError:
        return "refused"


@given(
    st.one_of(
        st.binary(max_size=80),
        st.binary(max_size=80).map(lambda data: b"\0sigstore-json\n" + data),
        st.binary(max_size=80).map(lambda data: b"\0simple-signing\n" + data),
        st.dictionaries(st.sampled_from(["mimeType", "payload", "annotations", "x"]), st.text(max_size=9)).map(
            lambda document: b"\0sigstore-json\n" + json.dumps(document).encode()
        ),
    )
)
@example(wrapped())
@example(GPG)
def test_whatever_is_stored_belongs_to_one_format_at_most_or_is_refused_by_all(blob):
    claims = [claim(item, blob) for item in STORED]
    assert claims.count("refused") in (0, len(STORED))
    assert claims.count(True) <= 1
