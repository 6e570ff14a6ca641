"""The short way through a certificate: what it takes the full reader takes too, with the same values."""

from __future__ import annotations

import warnings
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.ctlog import CtLog, embedded
from fakes.pki import OIDC, authority, extended, issuers, leaf, unknown
from fakes.signing import signer
from plimsoll.model.trust import PublicKey
from plimsoll.signatures.certificate_paths import is_issued
from plimsoll.signatures.plain_certificates import read_plain
from plimsoll.signatures.x509 import _FAULTS, CODE_SIGNING, Certificate, _read

URI = [x509.UniformResourceIdentifier("https://acme.example/.github/workflows/release.yml@refs/tags/" + "v" * 90)]
SCT_LIST = "1.3.6.1.4.1.11129.2.4.2"
SAME = (
    "der", "key", "subject", "issuer", "not_before_s", "not_after_s", "is_authority", "path_length", "names",
    "constraints", "unknown_critical", "unread", "_usages",
)  # fmt: skip


@cache
def top():
    return authority("a root", kind="p384")


@cache
def plain(**changes):
    """A leaf with all that Fulcio writes."""
    key = signer("p256", "leaf").private.public_key()
    ids = (
        (x509.SubjectKeyIdentifier.from_public_key(key), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(top().by.private.public_key()), False),
    )
    before = {"names": URI, "algorithm": hashes.SHA384(), "more": (*ids, *issuers(OIDC, OIDC)), "serial": 7}
    found = leaf(top(), **before).certificate.tbs_certificate_bytes
    more = (*before["more"], embedded(CtLog().sct(found, issuer=top())), *changes.pop("more", ()))
    return leaf(top(), **{**before, "more": more, **changes}).der


def full(der):
    """What the full reader says; None where it refuses."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return _read(der)
        except _FAULTS:
            return None


def compare(der):
    """Whether the short way took it; it then agrees with the full reader in everything."""
    short = read_plain(der)
    if short is None:
        return False
    long = full(der)
    assert long is not None
    assert {name: short[name] for name in SAME} == {name: long[name] for name in SAME}
    read, fields = Certificate(der), short["fields"]
    assert read.fields == fields
    crypto = x509.load_der_x509_certificate(der)
    assert read.serial == crypto.serial_number
    assert fields.signed == crypto.tbs_certificate_bytes
    assert fields.signature == crypto.signature
    assert fields.hash_name == crypto.signature_hash_algorithm.name
    assert set(short["_extensions"]) == set(long["_extensions"])
    for oid, value in long["_extensions"].items():
        raw = value.value if isinstance(value, x509.UnrecognizedExtension) else value.public_bytes()
        assert short["_extensions"][oid] == raw
    if SCT_LIST in short["_extensions"]:
        assert read.precertificate == crypto.tbs_precertificate_bytes
    return True


def test_fulcios_leaf_goes_the_short_way():
    assert compare(plain())
    assert is_issued(Certificate(plain()), by=top().value)
    assert not is_issued(Certificate(plain()), by=authority("a root", kind="p384", by=signer("p384", "evil")).value)


@settings(max_examples=400)
@given(st.integers(0, 5000), st.integers(0, 255), st.sampled_from(["change", "insert", "cut", "drop"]))
def test_whatever_the_short_way_takes_the_full_reader_takes_alike(at, byte, how):
    der = plain()
    at %= len(der)
    changed = {
        "change": der[:at] + bytes([byte]) + der[at + 1 :],
        "insert": der[:at] + bytes([byte]) + der[at:],
        "cut": der[:at],
        "drop": der[:at] + der[at + 1 :],
    }[how]
    compare(changed)


def test_every_single_byte_is_compared():
    """Each byte once, by a change that keeps most of DER's lengths whole."""
    der = plain()
    taken = sum(
        compare(der[:at] + bytes([der[at] ^ flip]) + der[at + 1 :]) for at in range(len(der)) for flip in (1, 0x20)
    )
    assert taken > 100  # the serial, the signature, names and claims


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "p384"},
        {"kind": "rsa2048"},
        {"names": [x509.RFC822Name("build@acme.example")]},
        {"names": [*URI, *URI]},
        {"names": [x509.DNSName("acme.example")]},
        {"usages": (x509.ObjectIdentifier(CODE_SIGNING), x509.oid.ExtendedKeyUsageOID.SERVER_AUTH)},
        {"more": ((unknown("1.2.3", b"x"), False),)},
        {"more": ((unknown("1.3.6.1.4.1.57264.1.9", b"x"), True),)},
        {"more": ((x509.BasicConstraints(ca=True, path_length=0), True),)},
        {"more": ((x509.NameConstraints([x509.DNSName("a.example")], None), True),)},
        {"last": 4e9},
        {"first": -1.0},
        {"algorithm": hashes.SHA512()},
        {"subject": "x*"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_all_others_are_left_to_the_full_reader(changes):
    der = plain.__wrapped__(**changes)
    assert read_plain(der) is None
    assert Certificate(der).fields is None


@pytest.mark.parametrize(
    "changes",
    [{"usages": None}, {"names": []}, {"subject": "someone"}, {"critical": False}],
    ids=lambda changes: next(iter(changes)),
)
def test_what_may_be_absent_or_there(changes):
    assert compare(plain.__wrapped__(**changes))


def test_two_timestamps_are_left_to_the_full_reader():
    sct = CtLog().sct(b"x", issuer=top())
    der = plain.__wrapped__()
    one, two = (leaf(top(), names=URI, more=(embedded(*[sct] * count),)).der for count in (1, 2))
    assert compare(der)
    assert compare(one)
    assert read_plain(two) is None


def test_a_key_that_is_off_the_curve_is_no_key():
    der = plain()
    at = der.index(bytes.fromhex("03420004")) + 10
    changed = der[:at] + bytes([der[at] ^ 1]) + der[at + 1 :]
    assert read_plain(changed) is None
    assert Certificate(changed).key is None


def test_a_keys_one_form_is_what_it_is_encoded_as():
    key = signer("p256", "leaf").key
    assert PublicKey(key.spki).spki == key.spki == PublicKey.of(key.crypto).spki


def test_extended_usage_may_be_critical():
    more = ((extended(x509.oid.ExtendedKeyUsageOID.CODE_SIGNING), True),)
    assert compare(plain.__wrapped__(usages=None, more=more))
