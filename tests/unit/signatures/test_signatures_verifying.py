"""One signature under one key, and canonical base64: what is good, and the nearest thing that is not."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.signing import CURVES, HASHES, b64, signer
from plimsoll import limits
from plimsoll.errors import BadSignatureError, UntrustedKeyError
from plimsoll.signatures.verifying import decode_base64, find_signer, verify_by_key

PAYLOAD = b'{"critical":1}'
KINDS = ["p256", "p384", "p521", "rsa2048", "rsa3072", "rsa4096", "ed25519"]
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def verify(by, signature, *, signed=PAYLOAD, hash_name="sha256"):
    verify_by_key(by.key, signature=signature, signed=signed, hash_name=hash_name)


@pytest.mark.parametrize("hash_name", HASHES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_key_with_every_hash(kind, hash_name):
    by = signer(kind)
    signature = by.sign(PAYLOAD, hash_name=hash_name)
    verify(by, signature, hash_name=hash_name)
    with pytest.raises(UntrustedKeyError, match="did not make this signature"):
        verify(by, signature, signed=PAYLOAD + b" ", hash_name=hash_name)
    other = "sha512" if hash_name != "sha512" else "sha256"
    if kind == "ed25519":
        verify(by, signature, hash_name=other)  # RFC 8032 hashes by itself
    else:
        with pytest.raises(UntrustedKeyError):
            verify(by, signature, hash_name=other)


@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "rsa2048", "ed25519"])
def test_another_key_of_the_same_kind_is_refused(kind):
    signature = signer(kind, "alice").sign(PAYLOAD)
    verify(signer(kind, "alice"), signature)
    with pytest.raises(UntrustedKeyError):
        verify(signer(kind, "mallory"), signature)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("made_by", ["p256", "rsa2048", "ed25519"])
def test_a_signature_of_one_kind_under_a_key_of_another(kind, made_by):
    if kind == made_by:
        verify(signer(kind), signer(kind).sign(PAYLOAD))
        return
    with pytest.raises(UntrustedKeyError):
        verify(signer(kind), signer(made_by).sign(PAYLOAD))


def test_rsa_pss_is_not_pkcs1():
    by = signer("rsa2048")
    pss = by.private.sign(PAYLOAD, padding.PSS(padding.MGF1(HASHES["sha256"]), 32), HASHES["sha256"])
    with pytest.raises(UntrustedKeyError):
        verify(by, pss)
    verify(by, by.sign(PAYLOAD))


@pytest.mark.parametrize("change", ["leading zero", "cut", "trailing", "plus modulus", "empty", "zero"])
def test_rsa_signatures_have_one_form(change):
    by = signer("rsa2048")
    good = by.sign(PAYLOAD)
    modulus = by.private.public_key().public_numbers().n
    bad = {
        "leading zero": b"\0" + good,
        "cut": good[:-1],
        "trailing": good + b"\0",
        "plus modulus": (int.from_bytes(good, "big") + modulus).to_bytes(257, "big"),
        "empty": b"",
        "zero": bytes(256),
    }[change]
    verify(by, good)
    with pytest.raises(UntrustedKeyError):
        verify(by, bad)


def length(size):
    if size < 128:
        return bytes([size])
    count = (size.bit_length() + 7) // 8
    return bytes([0x80 | count]) + size.to_bytes(count, "big")


def tlv(tag, *parts):
    content = b"".join(parts)
    return bytes([tag]) + length(len(content)) + content


def integer(value):
    return tlv(2, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def raw_integer(content):
    return tlv(2, content)


@pytest.mark.parametrize("kind", ["p256", "p384", "p521"])
def test_der_is_read_strictly(kind):
    """CVE-2019-14859: signatures that are not DER were accepted; CVE-2019-14853: odd exceptions on garbage."""
    by = signer(kind)
    good = by.sign(PAYLOAD)
    r, s = decode_dss_signature(good)
    assert tlv(0x30, integer(r), integer(s)) == good  # the tools of this test write what signers write
    body = integer(r) + integer(s)
    width = r.bit_length() // 8 + 1
    bad = {
        "trailing byte": good + b"\0",
        "trailing byte inside": tlv(0x30, body, b"\0"),
        "third integer": tlv(0x30, body, integer(1)),
        "only r": tlv(0x30, integer(r)),
        "BER long length": b"\x30\x82" + len(body).to_bytes(2, "big") + body,
        "BER long length of r": tlv(
            0x30, b"\x02\x82" + width.to_bytes(2, "big") + r.to_bytes(width, "big"), integer(s)
        ),
        "BER indefinite length": b"\x30\x80" + body + b"\0\0",
        "padded r": tlv(0x30, raw_integer(b"\0\0" + r.to_bytes(width, "big")), integer(s)),
        "padded s": tlv(0x30, integer(r), raw_integer(b"\0\0" + s.to_bytes(s.bit_length() // 8 + 1, "big"))),
        "empty r": tlv(0x30, raw_integer(b""), integer(s)),
        "negative r": tlv(0x30, integer(-r), integer(s)),
        "negative s": tlv(0x30, integer(r), integer(-s)),
        "zero r": tlv(0x30, integer(0), integer(s)),
        "zero s": tlv(0x30, integer(r), integer(0)),
        "both zero": tlv(0x30, integer(0), integer(0)),
        "swapped": tlv(0x30, integer(s), integer(r)),
        "a set": tlv(0x31, body),
        "an octet string of r": tlv(0x30, tlv(4, r.to_bytes(width, "big")), integer(s)),
        "raw r and s": r.to_bytes(66, "big") + s.to_bytes(66, "big"),
        "cut": good[:-1],
        "empty": b"",
        "garbage": b"\xff" * len(good),
    }
    verify(by, good)
    for name, signature in bad.items():
        assert signature != good, name
        with pytest.raises(UntrustedKeyError):
            verify(by, signature)


def test_r_and_s_are_below_the_order():
    by = signer("p256")
    r, s = decode_dss_signature(by.sign(PAYLOAD))
    verify(by, encode_dss_signature(r, s))
    for bad in (encode_dss_signature(r + P256_ORDER, s), encode_dss_signature(r, s + P256_ORDER)):
        with pytest.raises(UntrustedKeyError):
            verify(by, bad)


def test_high_s_is_the_same_signature_by_the_same_key():
    """ECDSA is malleable: (r, n - s) is good too. It proves the same, so both count once (threshold counts keys)."""
    by = signer("p256")
    r, s = decode_dss_signature(by.sign(PAYLOAD))
    verify(by, encode_dss_signature(r, s))
    verify(by, encode_dss_signature(r, P256_ORDER - s))


@settings(deadline=None)
@given(kind=st.sampled_from(["p256", "p384", "p521", "rsa2048", "ed25519"]), signature=st.binary(max_size=300))
def test_garbage_raises_one_exception(kind, signature):
    """CVE-2019-14853: one type of exception, whatever the bytes."""
    with pytest.raises(UntrustedKeyError):
        verify(signer(kind), signature)


@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "rsa2048", "ed25519"])
def test_no_changed_bit_of_a_signature_verifies(kind):
    by = signer(kind)
    good = by.sign(PAYLOAD)
    verify(by, good)
    for at in range(len(good) * 8):
        bad = bytearray(good)
        bad[at // 8] ^= 1 << at % 8
        with pytest.raises(UntrustedKeyError):
            verify(by, bytes(bad))


def test_a_foreign_curve_cannot_even_become_a_key():
    private = ec.generate_private_key(CURVES["secp256k1"]())
    assert private.sign(PAYLOAD, ec.ECDSA(HASHES["sha256"]))
    with pytest.raises(Exception, match="not trusted"):
        _ = signer("secp256k1").key


# ---- find_signer -----------------------------------------------------------------------------------------------------


def find(keys, signature):
    return find_signer(keys, signature=signature, signed=PAYLOAD, hash_name="sha256")


def test_no_key_is_no_signer():
    with pytest.raises(UntrustedKeyError, match="no key is trusted here"):
        find((), signer().sign(PAYLOAD))


def test_the_key_that_signed_is_found_among_others():
    others = [signer("rsa2048").key, signer("ed25519").key, signer("p256", "mallory").key]
    signature = signer().sign(PAYLOAD)
    assert find([*others, signer().key], signature) == signer().key
    with pytest.raises(UntrustedKeyError, match="any of the 3 trusted keys"):
        find(others, signature)
    with pytest.raises(UntrustedKeyError, match="not signed by the trusted key"):
        find(others[:1], signature)


# ---- base64 ----------------------------------------------------------------------------------------------------------


@given(st.binary(min_size=1, max_size=200))
def test_base64_comes_back(data):
    assert decode_base64(b64(data), what="x") == data


@pytest.mark.parametrize(
    "text",
    [
        "",
        "=",
        "====",
        "QQ",
        "QQ=",
        "QQ===",
        "QR==",  # stray bits: decodes to the bytes of QQ==
        "QUJ=",
        "QQ==QQ==",
        " QQ==",
        "QQ==\n",
        "QQ\n==",
        "QUJD\r\n",
        "QU JD",
        "QUJ-",
        "QUJ_",
        "QUJD\0",
        "QUJ\u0661",
        "\uff31\uff31==",
        "Q===",
        "QUJDR",
    ],
)
def test_base64_has_one_form(text):
    assert decode_base64("QQ==", what="x") == b"A"
    with pytest.raises(BadSignatureError, match="the field is no"):
        decode_base64(text, what="the field")


def test_base64_has_a_cap():
    assert len(decode_base64(b64(bytes(limits.SIGNATURE_BYTES)), what="x")) == limits.SIGNATURE_BYTES
    with pytest.raises(BadSignatureError, match="at most 2048 bytes"):
        decode_base64(b64(bytes(limits.SIGNATURE_BYTES + 8)), what="x")
    assert decode_base64(b64(bytes(3000)), what="x", limit=3000) == bytes(3000)


@given(st.one_of(st.text(), st.text(alphabet="ABCDwxyz0189+/=-_ \n", max_size=40)))
def test_base64_is_canonical_or_refused(text):
    try:
        data = decode_base64(text, what="x")
    except BadSignatureError:
        return
    assert base64.b64encode(data).decode() == text
