"""Signing beside verifying: keys from given bytes, nothing drawn at random."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.signing import b64
from plimsoll.errors import UntrustedKeyError
from plimsoll.model.digest import Digest
from plimsoll.model.signature import UntrustedCosignSignature
from plimsoll.model.trust import parse_pem_key
from plimsoll.signatures.cosign import verify_signature
from plimsoll.signatures.formats import KeyTrust, LogIgnored
from plimsoll.signatures.signing import cosign_payload, signing_key_from_seed

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@settings(deadline=None, max_examples=30)
@given(st.binary(min_size=32, max_size=64))
def test_what_is_signed_here_verifies_here(seed):
    key = signing_key_from_seed(seed)
    digest = Digest.of(seed)
    payload = cosign_payload(repository="r.example/a", digest=digest, annotations={"a": "b"})
    found = UntrustedCosignSignature(
        payload=payload, signature=b64(key.sign(payload)), log_entry=None, certificate=None
    )
    trust = KeyTrust(keys=(parse_pem_key(key.public_pem),), log=LogIgnored())
    assert verify_signature(found, trust, (digest,), 0.0).key == key.public_key.fingerprint
    other = signing_key_from_seed(bytes(64)) if seed.strip(b"\0") else signing_key_from_seed(b"\1" * 64)
    with pytest.raises(UntrustedKeyError):
        verify_signature(found, KeyTrust(keys=(other.public_key,), log=LogIgnored()), (digest,), 0.0)


def test_a_seed_gives_one_key_and_one_signature():
    one, again = signing_key_from_seed(b"s" * 48), signing_key_from_seed(b"s" * 48)
    assert one.public_key == again.public_key
    assert one.sign(b"x") == again.sign(b"x")
    assert signing_key_from_seed(b"t" * 48).public_key != one.public_key


@pytest.mark.parametrize("number", [0, 1, ORDER - 2, ORDER - 1, ORDER, 2**256 - 1])
def test_every_seed_is_in_the_group(number):
    key = signing_key_from_seed(number.to_bytes(32, "big"))
    assert 1 <= key.private.private_numbers().private_value < ORDER


def test_a_short_seed_is_refused():
    with pytest.raises(ValueError, match="31 bytes is too short"):
        signing_key_from_seed(bytes(31))


def test_the_private_half_is_never_shown():
    key = signing_key_from_seed(b"s" * 32)
    assert "private" not in repr(key)
    assert key.public_key.fingerprint in repr(key)
