"""Timestamps: each check of a response, of its signer and of the path falsified alone; each name says what it guards."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import timestamping as tsa
from fakes.pki import YEAR_S, authority, extended
from fakes.signing import LOGGED_AT_S, signer
from fakes.timestamping import Stamp, attribute, digest_id, integer, octets, oid, pss, seq, timestamper, tlv
from plimsoll import limits
from plimsoll.errors import BadSignatureError, CertificateExpiredError, CertificateUntrustedError, TimestampInvalidError
from plimsoll.signatures.timestamp import VerifiedTimestamp, check_timestamper, verify_timestamp
from plimsoll.signatures.timestamp_token import parse_timestamp, parse_timestamp_token

VECTORS = Path(__file__).parents[2] / "vectors/timestamps"
SIGNATURE = b"the signature"
ROOT = authority("tsa root")
BETWEEN = authority("tsa between", parent=ROOT)
LEAF = timestamper(BETWEEN)
STAMP = Stamp(by=LEAF, signature=SIGNATURE)
NAMED = tsa.timestamp_authority(LEAF, BETWEEN, ROOT)
"""The trusted root's record that names its leaf; ANY takes each leaf of the authority."""
ANY = tsa.timestamp_authority(BETWEEN, ROOT)
GOOD = VerifiedTimestamp(time_s=LOGGED_AT_S, authority=tsa.URI)
EXTENSION = (oid("1.2.3.4"), octets(b"x"))


def verify(stamp, *authorities, signature=SIGNATURE, **changes):
    response = stamp.response if isinstance(stamp, Stamp) else stamp
    return verify_timestamp(response, signature=signature, trust=tsa.trusting(*(authorities or (NAMED,))), **changes)


def refused(stamp, *authorities, match, **changes):
    with pytest.raises(TimestampInvalidError, match=match):
        verify(stamp, *authorities, **changes)


def stamp_of(leaf, **changes):
    return Stamp(by=leaf, signature=SIGNATURE, **changes)


# --- what is accepted ---


@pytest.mark.parametrize("trusted", [NAMED, ANY], ids=["leaf in the root", "leaf not in the root"])
def test_an_embedded_certificate(trusted):
    assert verify(STAMP, trusted) == GOOD


@pytest.mark.parametrize("changes", [{"certificates": ()}, {"no_bag": True}], ids=["empty bag", "no bag"])
def test_a_detached_certificate(changes):
    assert verify(STAMP.changed(**changes)) == GOOD


@pytest.mark.parametrize("changes", [{"certificates": ()}, {"no_bag": True}], ids=["empty bag", "no bag"])
def test_a_detached_certificate_that_nobody_has(changes):
    refused(STAMP.changed(**changes), ANY, match="neither in it nor in the trusted root")


def test_an_anchor_that_is_an_intermediate():
    assert verify(STAMP, tsa.timestamp_authority(LEAF, BETWEEN)) == GOOD


def test_an_authority_without_address_is_called_by_its_anchor():
    assert verify(STAMP, replace(NAMED, uri="")).authority == "CN=tsa root"


@cache
def leaf_of(kind):
    return timestamper(BETWEEN, kind=kind)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("p256", {"hash_name": "sha512"}),
        ("p384", {"hash_name": "sha384"}),
        ("p384", {"hash_name": "sha256"}),
        ("p521", {"hash_name": "sha512"}),
        ("ed25519", {"hash_name": "sha512"}),
        ("rsa2048", {}),
        ("rsa2048", {"algorithm": seq(oid(tsa.RSA))}),
        ("rsa2048", {"hash_name": "sha384", "algorithm": seq(oid(tsa.RSA_WITH["sha384"]), tlv(5))}),
        ("rsa2048", {"pss_salt": 32}),
        ("rsa2048", {"pss_salt": 64, "hash_name": "sha512"}),
        ("rsa2048", {"pss_salt": 0, "algorithm": pss("sha256", salt=0, null=False)}),
    ],
)
def test_keys_and_algorithms(kind, changes):
    good = stamp_of(leaf_of(kind), **changes)
    assert verify(good, ANY) == GOOD
    other = timestamper(BETWEEN, kind=kind, by=signer(kind, "other"))
    refused(good.changed(signed_by=other), ANY, match="did not make this")
    refused(good.changed(unsigned=tlv(0xA1), signature=b"other", imprint=b"\0" * 32), ANY, match="another signature")


@pytest.mark.parametrize("name", ["sha256", "sha384", "sha512"])
def test_hashes_of_the_imprint(name):
    assert verify(STAMP.changed(imprint_hash=name)) == GOOD
    refused(STAMP.changed(imprint_hash=name), signature=b"another", match="about another signature")


@pytest.mark.parametrize(
    "rest",
    [
        seq(integer(1)),
        tlv(1, b"\xff"),
        tlv(1, b"\0"),
        integer(2**63),
        tlv(0xA0, tlv(0xA4, seq())),
        tlv(0xA1, seq(*EXTENSION), seq(oid("1.2.3.5"), tlv(1, b"\0"), octets(b""))),
        seq(integer(1)) + tlv(1, b"\xff") + integer(7) + tlv(0xA0, tlv(0xA4, seq())) + tlv(0xA1, seq(*EXTENSION)),
    ],
)
def test_what_may_follow_the_time(rest):
    assert verify(STAMP.changed(rest=rest)) == GOOD


def test_granted_with_modifications_and_a_text():
    assert verify(STAMP.changed(status=seq(integer(1), seq(tlv(0x0C, b"policy"))))) == GOOD


def test_a_fraction_of_a_second():
    assert verify(STAMP.changed(time=tlv(0x18, b"20231114221320.125Z"))).time_s == LOGGED_AT_S + 0.125


def test_unsigned_parts_say_nothing():
    assert verify(STAMP.changed(unsigned=tlv(0xA1, attribute("1.2.3", integer(1))), crls=tlv(0xA1, seq()))) == GOOD


def key_id(leaf):
    return leaf.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest


@pytest.mark.parametrize("changes", [{}, {"no_bag": True}], ids=["embedded", "detached"])
def test_a_signer_named_by_key_id(changes):
    named = STAMP.changed(by_key_id=key_id(LEAF), **changes)
    assert verify(named) == GOOD
    refused(named.changed(by_key_id=b"\0" * 20), match="neither in it nor in the trusted root")


def test_the_last_of_several_authorities():
    evil = authority("tsa root", by=signer("p256", "evil"))
    others = (
        tsa.timestamp_authority(timestamper(evil, by=signer("p256", "evil tsa")), evil),
        replace(ANY, uri="second"),
    )
    assert verify(STAMP, *others).authority == "second"


@pytest.mark.parametrize(("name", "time_s"), [("embedded", 1_795_340_670.943), ("detached", 1_795_340_670.979)])
def test_responses_of_a_peer(name, time_s):
    leaf, root = ((VECTORS / f"openssl-{part}.der").read_bytes() for part in ("leaf", "root"))
    trusted = replace(NAMED, chain=(leaf, root), valid_from_s=time_s - 1, valid_until_s=time_s + 1)
    response = (VECTORS / f"openssl-{name}.tsr").read_bytes()
    assert verify(response, trusted) == VerifiedTimestamp(time_s=time_s, authority=tsa.URI)
    refused(response, trusted, signature=b"the signature\n", match="another signature")
    another = replace(NAMED, valid_from_s=time_s, valid_until_s=None)
    refused(response, another, match="neither in it" if name == "detached" else "the trusted root names")


# --- who signed (CVE-2026-39984) ---


def test_a_forged_certificate_first_in_the_bag_is_not_the_signer():
    forged = timestamper(BETWEEN, by=signer("p256", "forger"))
    assert verify(STAMP.changed(certificates=(forged.der, LEAF.der)), ANY) == GOOD
    assert verify(STAMP.changed(certificates=(LEAF.der, forged.der)), ANY) == GOOD


def test_a_good_certificate_first_in_the_bag_does_not_vouch_for_another_signer():
    other = timestamper(BETWEEN, usages=(ExtendedKeyUsageOID.CODE_SIGNING,), by=signer("p256", "other"))
    for bag in ((LEAF.der, other.der), (other.der, LEAF.der)):
        refused(stamp_of(other, certificates=bag), ANY, match="not for timestamps alone")


def test_a_signer_that_is_named_but_did_not_sign():
    other = timestamper(BETWEEN, by=signer("p256", "other"))
    refused(
        STAMP.changed(signed_by=other, certificates=(LEAF.der, other.der)), ANY, match="did not make this signature"
    )


def test_a_signer_that_signed_but_is_not_in_the_bag():
    other = timestamper(BETWEEN, by=signer("p256", "other"))
    refused(STAMP.changed(certificates=(other.der,)), ANY, match="neither in it nor in the trusted root")


def test_two_certificates_of_one_name():
    twin = timestamper(BETWEEN, by=signer("p256", "twin"), serial=LEAF.certificate.serial_number)
    for bag in ((LEAF.der, twin.der), (twin.der, LEAF.der)):
        refused(STAMP.changed(certificates=bag), match="two certificates that its signer's name fits")


def test_a_serial_number_of_another_issuer():
    other = timestamper(ROOT, by=LEAF.by, serial=LEAF.certificate.serial_number)
    refused(STAMP.changed(certificates=(other.der,)), ANY, match="neither in it nor in the trusted root")


def test_the_trusted_root_names_another_leaf():
    other = timestamper(BETWEEN, by=signer("p256", "other"))
    refused(stamp_of(other), match="not the certificate that the trusted root names")
    assert verify(stamp_of(other), ANY) == GOOD


# --- the response and its message ---

REFUSED = {
    "status rejection": ({"status": seq(integer(2))}, "not granted: its status is 2"),
    "status waiting": ({"status": seq(integer(3))}, "status is 3"),
    "status negative": ({"status": seq(integer(-1))}, "status is -1"),
    "failure beside the grant": ({"status": seq(integer(0), tlv(3, b"\0\1"))}, "bytes too many"),
    "bytes after the response": ({"after": b"\0"}, "bytes too many"),
    "no SignedData": ({"wrapper_type": "1.2.840.113549.1.7.1"}, "no CMS SignedData"),
    "no TSTInfo": ({"content_type": "1.2.840.113549.1.7.1"}, "no TSTInfo"),
    "TSTInfo version": ({"info_version": 2}, "TSTInfo of version 2"),
    "SHA-1 imprint": ({"imprint_hash": "sha1"}, "none of SHA-256"),
    "SHA-1 digest": ({"hash_name": "sha1", "algorithm": seq(oid(tsa.ECDSA["sha256"]))}, "none of SHA-256"),
    "imprint of something else": ({"imprint": hashlib.sha256(b"other").digest()}, "about another signature"),
    "imprint cut": ({"imprint": hashlib.sha256(SIGNATURE).digest()[:16]}, "about another signature"),
    "imprint empty": ({"imprint": b""}, "about another signature"),
    "local time": ({"time": tlv(0x18, b"20231114221320")}, "no UTC time"),
    "UTCTime": ({"time": tlv(0x17, b"231114221320Z")}, "genTime is absent"),
    "critical extension": (
        {"rest": tlv(0xA1, seq(EXTENSION[0], tlv(1, b"\xff"), EXTENSION[1]))},
        "critical extension",
    ),
    "unknown part of TSTInfo": ({"rest": tlv(0xA2)}, "bytes too many"),
    "parts out of order": ({"rest": integer(7) + seq(integer(1))}, "bytes too many"),
    "no signer": ({"signers": 0}, "signerInfo is absent"),
    "two signers": ({"signers": 2}, "bytes too many"),
    "signer version": ({"signer_version": 3}, "version 3 names its signer"),
    "no signed attributes": ({"no_attributes": True}, "no signed attributes"),
    "empty signed attributes": ({"attributes": ()}, "content-type is absent"),
    "attribute twice": ({"more_attributes": (attribute(tsa.CONTENT_TYPE, oid(tsa.TST_INFO)),)}, "there twice"),
    "unknown part of SignerInfo": ({"unsigned": tlv(0xA2)}, "bytes too many"),
    "other certificates": ({"certificates": (tlv(0xA1),)}, "certificate is absent"),
    "unreadable certificate": ({"certificates": (seq(),)}, "no certificate can be read"),
    "many certificates": ({"certificates": (seq(),) * 17}, "more than 16 certificates"),
    "algorithm unknown": ({"algorithm": seq(oid("1.2.3"))}, "signature algorithm that is not known"),
    "algorithm of another hash": ({"algorithm": seq(oid(tsa.ECDSA["sha384"]))}, "another hash"),
    "algorithm of another key": ({"algorithm": seq(oid(tsa.RSA), tlv(5))}, "not of the key's kind"),
    "Ed25519 by an ECDSA key": ({"algorithm": seq(oid(tsa.ED25519))}, "not of the key's kind"),
    "parameters": ({"algorithm": seq(oid(tsa.ECDSA["sha256"]), tlv(5, b"x"))}, "NULL that is not empty"),
    "unknown parameters": ({"algorithm": seq(oid(tsa.ECDSA["sha256"]), seq())}, "bytes too many"),
    "PSS of another hash": ({"algorithm": pss("sha384", salt=32)}, "PSS signature with other hashes"),
    "PSS of another mask hash": ({"algorithm": pss("sha256", salt=32, mask_hash="sha512")}, "other hashes"),
    "PSS of another mask": ({"algorithm": pss("sha256", salt=32, mask="1.2.3")}, "another mask"),
    "PSS with SHA-1 by default": ({"algorithm": seq(oid(tsa.PSS), seq())}, "hashAlgorithm is absent"),
    "PSS with a long salt": ({"algorithm": pss("sha256", salt=65)}, "salt of 65"),
    "PSS with a negative salt": ({"algorithm": pss("sha256", salt=-1)}, "salt of -1"),
    "PSS by an ECDSA key": ({"algorithm": pss("sha256", salt=32)}, "not of the key's kind"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    changes, match = REFUSED[name]
    refused(STAMP.changed(**changes), match=match)


def digest_attribute(content, name="sha256"):
    return attribute(tsa.MESSAGE_DIGEST, octets(hashlib.new(name, content).digest()))


TYPE = attribute(tsa.CONTENT_TYPE, oid(tsa.TST_INFO))
DIGEST = digest_attribute(STAMP.info)


@pytest.mark.parametrize(
    ("attributes", "match"),
    [
        ((TYPE,), "message-digest is absent"),
        ((DIGEST,), "content-type is absent"),
        ((attribute(tsa.CONTENT_TYPE, oid("1.2.840.113549.1.7.1")), DIGEST), "not that of the content"),
        ((TYPE, digest_attribute(STAMP.changed(time=tlv(0x18, b"20231114221321Z")).info)), "not that of the content"),
        ((TYPE, digest_attribute(STAMP.info, "sha512")), "not that of the content"),
        ((TYPE, attribute(tsa.MESSAGE_DIGEST)), "value is absent"),
        ((attribute(tsa.CONTENT_TYPE, *[oid(tsa.TST_INFO)] * 2), DIGEST), "bytes too many"),
        ((TYPE, seq(oid(tsa.MESSAGE_DIGEST), tlv(0x31), tlv(5))), "bytes too many"),
    ],
)
def test_signed_attributes(attributes, match):
    assert verify(STAMP.changed(attributes=(TYPE, DIGEST))) == GOOD
    refused(STAMP.changed(attributes=attributes), match=match)


def certificate_v1(der):
    named = seq(octets(hashlib.sha1(der).digest()))
    return attribute(tsa.SIGNING_CERTIFICATE, seq(seq(named)))


def certificate_v2(der, name="sha256", *, said=True):
    named = seq(*([digest_id(name)] if said else []), octets(hashlib.new(name, der).digest()), seq())
    return attribute(tsa.SIGNING_CERTIFICATE_V2, seq(seq(named)))


@pytest.mark.parametrize(
    "made",
    [
        certificate_v1,
        lambda der: certificate_v2(der, said=False),
        certificate_v2,
        lambda der: certificate_v2(der, "sha512"),
    ],
)
@pytest.mark.parametrize("changes", [{}, {"no_bag": True}], ids=["embedded", "detached"])
def test_the_signing_certificate_attribute(made, changes):
    assert verify(STAMP.changed(more_attributes=(made(LEAF.der),), **changes)) == GOOD
    refused(STAMP.changed(more_attributes=(made(BETWEEN.der),), **changes), match="names another certificate")


def test_both_signing_certificate_attributes_count():
    refused(
        STAMP.changed(more_attributes=(certificate_v1(LEAF.der), certificate_v2(ROOT.der))), match="V2 names another"
    )
    refused(STAMP.changed(more_attributes=(certificate_v1(ROOT.der), certificate_v2(LEAF.der))), match="names another")


def test_a_certificate_for_the_same_key_is_not_the_named_one():
    same_key = timestamper(BETWEEN, by=LEAF.by, serial=LEAF.certificate.serial_number)
    stamp = STAMP.changed(more_attributes=(certificate_v2(LEAF.der),), certificates=(same_key.der,))
    refused(stamp, ANY, match="names another certificate")
    assert verify(stamp.changed(more_attributes=()), ANY) == GOOD


def test_what_was_signed_may_not_change():
    later = STAMP.changed(time=tlv(0x18, b"20231114221321Z"))
    swapped = later.token.replace(later.info, STAMP.info)
    refused(seq(STAMP.status, swapped), match="message-digest is not that of the content")
    attributes = digest_attribute(later.info)
    refused(
        seq(STAMP.status, later.token.replace(later.info, STAMP.info).replace(attributes, DIGEST)), match="did not make"
    )


def test_a_response_has_a_size():
    refused(STAMP.changed(unsigned=tlv(0xA1, octets(bytes(limits.TIMESTAMP_BYTES)))), match="at most 65536")


def test_a_token_alone():
    token = STAMP.token
    assert parse_timestamp_token(token) == parse_timestamp(seq(STAMP.status, token))
    refused(token, match="status is absent|of another type")


# --- the authority and its leaf ---


def test_no_authority_is_trusted():
    with pytest.raises(TimestampInvalidError, match="no timestamp authority is trusted"):
        verify_timestamp(STAMP.response, signature=SIGNATURE, trust=tsa.trusting())


@pytest.mark.parametrize("trusted", [NAMED, ANY])
def test_the_window_of_the_authority_is_closed(trusted):
    assert verify(STAMP, replace(trusted, valid_from_s=LOGGED_AT_S, valid_until_s=LOGGED_AT_S)) == GOOD
    assert verify(STAMP, replace(trusted, valid_until_s=None)) == GOOD
    refused(STAMP, replace(trusted, valid_from_s=LOGGED_AT_S + 0.5), match="not in use")
    refused(STAMP, replace(trusted, valid_until_s=LOGGED_AT_S - 0.5), match="not in use")


def test_a_fraction_after_the_window():
    late = STAMP.changed(time=tlv(0x18, b"20231114221320.001Z"))
    refused(late, replace(NAMED, valid_until_s=LOGGED_AT_S), match="not in use")


@pytest.mark.parametrize("who", ["leaf", "between", "root"])
@pytest.mark.parametrize("end", ["first", "last"])
def test_every_certificate_is_valid_at_that_time(who, end):
    def world(time_s):
        changes = {who: {end: time_s}}
        root = authority("tsa root", **changes.get("root", {}))
        between = authority("tsa between", parent=root, **changes.get("between", {}))
        leaf = timestamper(between, **changes.get("leaf", {}))
        return stamp_of(leaf), tsa.timestamp_authority(leaf, between, root)

    assert verify(*world(LOGGED_AT_S)) == GOOD
    refused(*world(LOGGED_AT_S + (1 if end == "first" else -1)), match="is valid from")


def test_an_expired_certificate_that_was_valid_then():
    leaf = timestamper(BETWEEN, first=LOGGED_AT_S - 2, last=LOGGED_AT_S + 2)
    assert verify(stamp_of(leaf), tsa.timestamp_authority(leaf, BETWEEN, ROOT)) == GOOD


TIME_STAMPING = ExtendedKeyUsageOID.TIME_STAMPING
CODE_SIGNING = ExtendedKeyUsageOID.CODE_SIGNING
CA = (x509.BasicConstraints(ca=True, path_length=None), True)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"usages": None}, "not for timestamps alone"),
        ({"critical": False}, "not for timestamps alone"),
        ({"usages": (CODE_SIGNING,)}, "not for timestamps alone"),
        ({"usages": (TIME_STAMPING, CODE_SIGNING)}, "not for timestamps alone"),
        ({"usages": (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)}, "not for timestamps alone"),
        ({"more": (CA,)}, "is a certificate authority"),
        ({"kind": "secp256k1"}, "key of a kind that is not trusted"),
        ({"more": ((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0"), True),)}, "not understood"),
    ],
)
@pytest.mark.parametrize("named", [True, False], ids=["named", "any"])
def test_a_leaf_that_may_not_sign_timestamps(changes, match, named):
    leaf = timestamper(BETWEEN, **changes)
    refused(stamp_of(leaf), tsa.timestamp_authority(leaf, BETWEEN, ROOT) if named else ANY, match=match)


def test_a_leaf_that_says_it_is_no_authority():
    leaf = timestamper(BETWEEN, more=((x509.BasicConstraints(ca=False, path_length=None), True),))
    assert verify(stamp_of(leaf), ANY) == GOOD


def test_an_authority_may_not_sign_itself():
    alone = authority("tsa root", more=((extended(TIME_STAMPING), True),))
    refused(stamp_of(alone), tsa.timestamp_authority(alone), match="is a certificate authority")


@pytest.mark.parametrize(
    ("usages", "good"),
    [
        ((), True),
        ((TIME_STAMPING,), True),
        ((ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,), True),
        ((CODE_SIGNING, TIME_STAMPING), True),
        ((CODE_SIGNING,), False),
    ],
)
def test_the_usages_of_an_intermediate(usages, good):
    between = authority("tsa between", parent=ROOT, more=((extended(*usages), False),) if usages else ())
    stamp, trusted = stamp_of(timestamper(between)), tsa.timestamp_authority(between, ROOT)
    if good:
        assert verify(stamp, trusted) == GOOD
    else:
        refused(stamp, trusted, match="may not be used for this")


def test_a_leaf_of_another_root():
    evil = authority("tsa root", by=signer("p256", "evil"))
    between = authority("tsa between", parent=evil, by=BETWEEN.by)
    leaf = timestamper(between)
    refused(stamp_of(leaf, certificates=(leaf.der, between.der, evil.der)), tsa.timestamp_authority(ROOT), match="root")


def test_a_leaf_that_the_anchor_did_not_sign():
    forged = timestamper(BETWEEN, signed_by=signer("p256", "evil"))
    refused(stamp_of(forged), ANY, match="did not sign")


def test_the_bag_is_no_source_of_intermediates():
    refused(STAMP.changed(certificates=(LEAF.der, BETWEEN.der)), tsa.timestamp_authority(ROOT), match="is at hand")


def test_a_path_signed_with_sha1_hashes():
    weak = timestamper(BETWEEN, algorithm=hashes.SHA224())
    refused(stamp_of(weak), ANY, match="did not sign")


def test_the_leaf_check_alone():
    found = tsa.trusting(NAMED).timestampers[0]
    path = check_timestamper(LEAF.value, authority=found, at_s=LOGGED_AT_S)
    assert path == (LEAF.value, BETWEEN.value, ROOT.value)
    long_ago = replace(found, window=replace(NAMED, valid_from_s=0.0))
    with pytest.raises(CertificateExpiredError):
        check_timestamper(LEAF.value, authority=long_ago, at_s=LOGGED_AT_S - 2 * YEAR_S)
    with pytest.raises(CertificateUntrustedError):
        check_timestamper(LEAF.value, authority=replace(found, others=()), at_s=LOGGED_AT_S)


def test_the_leaf_check_is_asked_each_time_and_may_refuse():
    asked = []

    def check(leaf, *, authority, at_s):
        asked.append((leaf, authority.leaf, at_s))
        if len(asked) > 1:
            raise CertificateUntrustedError("remembered")

    assert verify(STAMP, check=check) == GOOD
    refused(STAMP, match="remembered", check=check)
    assert asked == [(LEAF.value, LEAF.value, LOGGED_AT_S)] * 2


def test_a_remembered_leaf_check_does_not_replace_the_signature():
    other = timestamper(BETWEEN, by=signer("p256", "other"))
    refused(STAMP.changed(signed_by=other), match="did not make", check=lambda leaf, *, authority, at_s: None)


def test_a_remembered_leaf_check_does_not_make_a_key_trusted():
    odd = timestamper(BETWEEN, kind="secp256k1")
    refused(stamp_of(odd), ANY, match="key of a kind that is not trusted", check=lambda leaf, *, authority, at_s: None)


# --- bad input ---

JUNK = tlv(0x82, b"x")


def elements(data):
    """The elements of one level; raises IndexError for bytes that are none."""
    while data:
        size = data[1] & 0x7F if data[1] > 0x7F else 0
        end = 2 + size + (int.from_bytes(data[2 : 2 + size]) if size else data[1])
        yield data[0], data[2 + size : end], data[end:]
        data = data[end:]


def longer(data, path=()):
    """Each way to put one more element at the end of a level: where, as positions from the outermost, and the bytes."""
    done = b""
    for at, (tag, content, rest) in enumerate(elements(data)):
        if tag & 0x20 or (tag == 4 and content[:1] == b"\x30" and len(content) > 64):
            yield (*path, at), done + tlv(tag, content + JUNK) + rest
            for place, changed in longer(content, (*path, at)):
                yield place, done + tlv(tag, changed) + rest
        done = data[: len(data) - len(rest)]


def test_no_level_has_room_for_more():
    """Every ``end()``: only what is opaque to the parser takes one element more."""
    stamp = stamp_of(leaf_of("rsa2048"), pss_salt=32, no_bag=True, rest=tlv(0xA1, seq(*EXTENSION)))
    # The signature must not look like a level itself; its bytes do not matter here.
    token = stamp.token
    response = seq(STAMP.status, token[:-256] + bytes(256))
    parse_timestamp(response)
    signed_data, opaque = (0, 1, 1, 0), set()
    for place, changed in longer(response):
        try:
            parse_timestamp(changed)
        except BadSignatureError:
            continue
        assert place[:4] == signed_data
        opaque.add(place[4:])
    issuer, attributes = (3, 0, 1, 0), (3, 0, 3)
    assert opaque == {
        (1,), (1, 0),  # digestAlgorithms
        issuer, (*issuer, 0), (*issuer, 0, 0),  # compared as a whole
        (*attributes, 0, 1), (*attributes, 1, 1),  # values: test_signed_attributes
    }  # fmt: skip


CORPUS = (
    STAMP.changed(more_attributes=(certificate_v2(LEAF.der),), rest=seq(integer(1)) + integer(7)).response,
    STAMP.changed(no_bag=True, by_key_id=key_id(LEAF)).response,
)


@settings(max_examples=100)
@given(st.sampled_from(CORPUS), st.data())
def test_a_changed_response_says_the_same_or_nothing(response, data):
    changed = bytearray(response)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, max(len(changed) - 1, 0)))  # two changes may have left nothing
        match data.draw(st.sampled_from(["set", "cut", "put", "end"])):
            case "set":
                changed[at : at + 1] = bytes([data.draw(st.integers(0, 255))])
            case "cut":
                del changed[at : at + 1]
            case "put":
                changed.insert(at, data.draw(st.integers(0, 255)))
            case _:
                del changed[at + 1 :]
    try:
        found = verify(bytes(changed))
    except TimestampInvalidError:
        return
    assert found == GOOD


ELEMENTS = st.recursive(
    st.builds(tlv, st.sampled_from([1, 2, 4, 5, 6, 0x18, 0x80]), st.binary(max_size=12)),
    lambda inner: st.builds(
        lambda tag, parts: tlv(tag, *parts),
        st.sampled_from([0x30, 0x31, 0xA0, 0xA1]),
        st.lists(inner, max_size=5),
    ),
    max_leaves=20,
)


@settings(max_examples=60)
@given(st.one_of(st.binary(max_size=80), ELEMENTS, ELEMENTS.map(lambda part: seq(STAMP.status, part))))
def test_any_bytes_are_refused(data):
    refused(data, match="the timestamp")


@settings(max_examples=60)
@given(
    st.sampled_from(
        ["time", "rest", "status", "unsigned", "crls", "algorithm", "attributes", "more_attributes", "certificates"]
    ),
    st.one_of(st.binary(max_size=40), ELEMENTS),
)
def test_any_part_is_refused_or_says_nothing(name, part):
    value = (part,) if name in ("attributes", "more_attributes", "certificates") else part
    try:
        found = verify(STAMP.changed(**{name: value}))
    except TimestampInvalidError:
        return
    assert found == GOOD or name == "time"
