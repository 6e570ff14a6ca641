"""What a registry sends is parsed before anything is proven: none of it may cost more than its length."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from fakes.signing import signer
from plimsoll.signatures.x509 import Certificate

ALICE = signer()
NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hostile")])


def length(size):
    if size < 128:
        return bytes([size])
    count = (size.bit_length() + 7) // 8
    return bytes([0x80 | count]) + size.to_bytes(count, "big")


def tlv(tag, *parts):
    content = b"".join(parts)
    return bytes([tag]) + length(len(content)) + content


def integer(value):
    return tlv(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


@cache
def certificate():
    built = x509.CertificateBuilder(
        issuer_name=NAME,
        subject_name=NAME,
        public_key=ALICE.private.public_key(),
        serial_number=5,
        not_valid_before=datetime(2020, 1, 1, tzinfo=UTC),
        not_valid_after=datetime(2040, 1, 1, tzinfo=UTC),
    )
    return built.sign(ALICE.private, hashes.SHA256())


def with_key(spki):
    """The certificate with another key in it: its signature is broken, which is seen only later."""
    good = certificate()
    tbs = good.tbs_certificate_bytes
    content = tbs[2 + (tbs[1] & 0x7F if tbs[1] & 0x80 else 0) :]
    whole = good.public_bytes(Encoding.DER)
    return tlv(0x30, tlv(0x30, content.replace(ALICE.der, spki)), whole[whole.index(tbs) + len(tbs) :])


def test_a_certificate_keeps_its_key():
    assert with_key(ALICE.der) == certificate().public_bytes(Encoding.DER)
    assert Certificate(with_key(ALICE.der)).key == ALICE.key


@pytest.mark.parametrize("bits", [4253, 9689, 9941])
def test_a_certificate_with_a_diffie_hellman_key_takes_no_time(bits):
    """2**bits - 1 is prime: OpenSSL proves it when such a key is loaded, in half a minute for the last."""
    group = tlv(0x30, integer((1 << bits) - 1), integer(2))
    spki = tlv(0x30, tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d010301")), group), tlv(3, b"\0", integer(5)))
    assert Certificate(with_key(spki)).key is None
