"""GPG simple signing: every case of the vectors, the order of the checks, and trust as a value."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.errors import (
    BadSignatureError,
    PayloadError,
    SignatureError,
    SignedDigestMismatchError,
    UnreadableKeyError,
    UntrustedKeyError,
)
from plimsoll.model.digest import Digest
from plimsoll.model.signature import UntrustedSimpleSignature
from plimsoll.signatures.framing import unframe
from plimsoll.signatures.simple import GpgTrust, verify_simple
from plimsoll.signatures.simple_payload import ATOMIC_TYPE, COSIGN_TYPE, parse_payload

VECTORS = Path(__file__).parents[2] / "vectors/simple"
LAB = VECTORS / "lab"
NOW_S = datetime(2026, 6, 1, tzinfo=UTC).timestamp()
MADE = json.loads((VECTORS / "cases.json").read_bytes())
LAB_CASES = json.loads((LAB / "cases.json").read_bytes())
DIGESTS = (Digest.of(MADE["image"].encode()),)
LAB_DIGESTS = (Digest.of((LAB / "manifest.json").read_bytes()),)


def key(name, folder=VECTORS):
    return (folder / "keys" / f"{name}.gpg").read_bytes()


def trust(*names, folder=VECTORS):
    return GpgTrust(tuple([key(name, folder) for name in names]))


def untrusted(name):
    return UntrustedSimpleSignature(message=(VECTORS / "messages" / f"{name}.sig").read_bytes())


def verify(name, *keys, digests=DIGESTS):
    return verify_simple(untrusted(name), trust(*keys), digests, NOW_S)


@pytest.mark.parametrize("case", MADE["cases"], ids=lambda case: case["message"])
def test_a_vector(case):
    if case["expect"] == "verified":
        found = verify(case["message"], *case["keys"])
        assert (found.format, found.key, found.digest) == ("simple", case["signer"], DIGESTS[0])
        assert found.docker_reference == MADE["reference"]
        assert found.signed_at_s is None
    else:
        with pytest.raises(SignatureError) as caught:
            verify(case["message"], *case["keys"])
        assert caught.value.code == case["expect"]


@pytest.mark.parametrize("case", MADE["cases"], ids=lambda case: case["message"])
def test_no_vector_counts_for_a_key_that_did_not_sign(case):
    stranger = "p256" if case["keys"] == ["ed25519"] else "ed25519"
    with pytest.raises(SignatureError):
        verify(case["message"], stranger)


def test_the_vectors_say_both():
    assert {case["expect"] for case in MADE["cases"]} == {
        "verified",
        "bad-signature",
        "untrusted-key",
        "payload-invalid",
        "digest-mismatch",
    }


@pytest.mark.parametrize("case", LAB_CASES, ids=lambda case: f"{case['signature']} {'+'.join(case['keys'])}")
def test_a_signature_of_skopeo_s(case):
    def found():
        blob = unframe((LAB / "signatures" / case["signature"]).read_bytes())
        assert isinstance(blob, UntrustedSimpleSignature)
        return verify_simple(blob, trust(*case["keys"], folder=LAB), LAB_DIGESTS, NOW_S)

    if case["expect"] == "verified":
        assert case["skopeo_says"] == "accepted"
        assert found().docker_reference == "registry.example/acme/app:v1"
    else:
        with pytest.raises(SignatureError) as caught:
            found()
        assert caught.value.code == case["expect"]


def test_where_we_are_stricter_than_skopeo_is_a_list():
    stricter = {c["signature"] for c in LAB_CASES if c["skopeo_says"] == "accepted" and c["expect"] != "verified"}
    assert stricter == {"gpg-rsa1024-1", "pgp-sha1-1", "pay-invalid-utf-8-in-optional-1"}


def test_optional_is_handed_on():
    assert verify("compressed-zip", "good").annotations == {"creator": "made by hand", "timestamp": 1748736000}


def test_openpgp_comes_before_the_payload_and_the_payload_before_the_digest():
    nothing = ()
    with pytest.raises(UntrustedKeyError):
        verify("not-json", "other", digests=nothing)
    with pytest.raises(BadSignatureError):
        verify("rubbish-after", "good", digests=nothing)
    with pytest.raises(PayloadError):
        verify("not-json", "good", digests=nothing)
    with pytest.raises(SignedDigestMismatchError, match=str(DIGESTS[0])):
        verify("compressed-zip", "good", digests=nothing)


def test_any_digest_of_the_image_will_do():
    other = Digest.of(b"x", algorithm="sha512")
    assert verify("compressed-zip", "good", digests=(other, *DIGESTS)).digest == DIGESTS[0]
    with pytest.raises(SignedDigestMismatchError):
        verify("compressed-zip", "good", digests=(other,))


def payload(**changes):
    document = {
        "critical": {
            "identity": {"docker-reference": "r.example/a"},
            "image": {"docker-manifest-digest": str(DIGESTS[0])},
            "type": ATOMIC_TYPE,
        },
        "optional": {"creator": None},
    }
    return json.dumps(document | changes).encode()


def test_a_payload_of_each_type_is_read_as_that_type_only():
    assert parse_payload(payload(), expected_type=ATOMIC_TYPE, null_optional=False).optional == {"creator": None}
    with pytest.raises(PayloadError, match=COSIGN_TYPE):
        parse_payload(payload())


def test_optional_may_be_null_where_it_is_said():
    assert parse_payload(payload(optional=None), expected_type=ATOMIC_TYPE).optional == {}
    with pytest.raises(PayloadError, match="null"):
        parse_payload(payload(optional=None), expected_type=ATOMIC_TYPE, null_optional=False)


def test_trust_is_a_value():
    one, same, other = trust("good"), trust("good"), trust("good", "other")
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one != "good"
    for name in ("keyrings", "keyring"):
        with pytest.raises(AttributeError):
            setattr(one, name, ())
    assert repr(other).count(",") == 1


def test_trust_travels_as_the_bytes_of_its_keyrings():
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        pickled = pickle.dumps(trust("good", "other"), protocol)
        assert b"pysequoia" not in pickled
        back = pickle.loads(pickled)
        assert back == trust("good", "other")
        assert verify_simple(untrusted("compressed-zip"), back, DIGESTS, NOW_S).digest == DIGESTS[0]


def test_trust_in_what_is_no_keyring_cannot_be_had():
    with pytest.raises(UnreadableKeyError):
        GpgTrust((key("good"), b"hello"))


def test_trust_in_nobody_finds_nothing_good():
    for keyrings in ((), (b"",)):
        with pytest.raises(UntrustedKeyError):
            verify_simple(untrusted("compressed-zip"), GpgTrust(keyrings), DIGESTS, NOW_S)


@settings(max_examples=200)
@given(st.binary(max_size=300), st.sampled_from([b"", b"\xa3\x01", b"\x90\x0d\x03\0\x0a\x01", b"\xc4"]))
def test_no_bytes_are_a_good_signature_by_accident(data, before):
    with pytest.raises(SignatureError):
        verify_simple(UntrustedSimpleSignature(message=before + data), trust("good", "ed25519"), DIGESTS, NOW_S)
