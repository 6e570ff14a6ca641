"""fulcio and pki trust through verify_signature: good ones, and each condition falsified alone."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.pki import EMAIL, HOST, ISSUER_V2, OIDC, YEAR_S, authority, bundle, issuers, leaf, unknown, utf8
from fakes.signing import BUNDLE, LOGGED_AT_S, SIGNATURE, attachment, b64, hashedrekord, payload_bytes, rekor, signer
from plimsoll import limits
from plimsoll.errors import (
    BadSignatureError,
    CertificateExpiredError,
    CertificateUntrustedError,
    IdentityMismatchError,
    LogProofInvalidError,
    LogProofMissingError,
    PayloadError,
    SignatureError,
    SignedDigestMismatchError,
    UntrustedKeyError,
)
from plimsoll.model.digest import Digest
from plimsoll.signatures.certificates import (
    FulcioCertificates,
    PkiCertificates,
    matches_host,
    parse_intermediates,
    parse_leaf,
    verify_certificate,
)
from plimsoll.signatures.cosign import CERTIFICATE_ANNOTATION, CHAIN_ANNOTATION, parse_attachment, verify_signature
from plimsoll.signatures.formats import KeyTrust, LogByKeys, LogIgnored

DIGEST = Digest.of(b"the image")
NOW_S = LOGGED_AT_S + YEAR_S / 2
ROOT = authority("root")
BETWEEN = authority("between", parent=ROOT)
EVIL = authority("root", by=signer("p256", "evil"))
EVIL_BETWEEN = authority("between", parent=EVIL, by=signer("p256", "evil between"))
LOG = rekor()

FULCIO = FulcioCertificates(
    ca=(ROOT.value,), oidc_issuer=OIDC, subject_email=EMAIL, rekor_keys=(signer("p256", "spare").key, LOG.signer.key)
)
PKI = PkiCertificates(roots=(ROOT.value,), subject_email=EMAIL)


def short(parent=BETWEEN, *, more=None, **changes):
    """A leaf as Fulcio makes them: good for ten minutes."""
    changes = {"first": LOGGED_AT_S - 60, "last": LOGGED_AT_S + 540} | changes
    return leaf(parent, more=issuers() if more is None else more, **changes)


def signed(end, *, chain=(BETWEEN, ROOT), log=LOG, by=None, payload=None, at_s=LOGGED_AT_S, logged=None):
    """A signature by a leaf's key; ``logged`` replaces the verifier that the log entry names."""
    payload = payload_bytes(DIGEST) if payload is None else payload
    signature = (by or end.by).sign(payload)
    annotations = {SIGNATURE: b64(signature), CERTIFICATE_ANNOTATION: end.pem, CHAIN_ANNOTATION: bundle(*chain)}
    if log is not None:
        annotations[BUNDLE] = log.log(payload, signature, logged or end.pem.encode(), at_s=at_s)
    return parse_attachment(attachment(payload, annotations=annotations))


def prove(found, trust=FULCIO, *, now_s=NOW_S, digests=(DIGEST,)):
    return verify_signature(found, trust, digests, now_s)


def refused(error, found, trust=FULCIO, *, match=None, **more):
    with pytest.raises(error, match=match) as raised:
        prove(found, trust, **more)
    assert type(raised.value) is error


SHORT = short()
LONG = leaf(BETWEEN)
GOOD = signed(SHORT)
GOOD_PKI = signed(LONG, log=None)


# ---- good ones -------------------------------------------------------------------------------------------------------


def test_fulcio():
    found = prove(GOOD)
    assert found.key == SHORT.by.fingerprint
    assert (found.digest, found.docker_reference) == (DIGEST, "registry.example/team/app")
    assert (found.format, found.signed_at_s) == ("cosign", LOGGED_AT_S)


def test_pki():
    found = prove(GOOD_PKI, PKI)
    assert (found.key, found.digest, found.signed_at_s) == (LONG.by.fingerprint, DIGEST, None)


@pytest.mark.parametrize("kind", ["p384", "p521", "rsa2048", "ed25519"])
def test_every_kind_of_key(kind):
    end = short(kind=kind)
    assert prove(signed(end)).key == end.by.fingerprint
    refused(BadSignatureError, signed(end, by=signer(kind, "mallory")))


def test_keys_and_certificates_are_two_kinds_of_trust():
    by_key = KeyTrust(keys=(signer("p256", "alice").key,), log=LogIgnored())
    refused(UntrustedKeyError, GOOD, by_key)
    assert prove(GOOD, replace(by_key, keys=(SHORT.by.key,))).key == SHORT.by.fingerprint
    refused(CertificateUntrustedError, replace(GOOD_PKI, certificate=None), PKI, match="has no certificate")


@pytest.mark.parametrize("trust", [FULCIO, PKI, replace(PKI, intermediates=(BETWEEN.value,), subject_hostname=HOST)])
def test_trust_travels_as_der_bytes(trust):
    pickled = pickle.dumps(trust)
    assert ROOT.der in pickled
    assert b"cryptography" not in pickled
    assert pickle.loads(pickled) == trust
    assert hash(pickle.loads(pickled)) == hash(trust)


# ---- the log and the time --------------------------------------------------------------------------------------------


def test_the_time_is_the_logs_and_nobody_elses():
    for now_s in (0.0, LOGGED_AT_S, NOW_S, LOGGED_AT_S + 50 * YEAR_S):
        assert prove(GOOD, now_s=now_s)
    for at_s in (LOGGED_AT_S - 60, LOGGED_AT_S + 540):
        assert prove(signed(SHORT, at_s=at_s)).signed_at_s == at_s
    for at_s in (LOGGED_AT_S - 61, LOGGED_AT_S + 541, 0, 2**53 - 1):
        refused(CertificateExpiredError, signed(SHORT, at_s=at_s), now_s=LOGGED_AT_S)


@pytest.mark.parametrize("part", ["root", "between"])
def test_the_whole_chain_is_valid_at_the_logs_time(part):
    window = {"first": LOGGED_AT_S - 30, "last": LOGGED_AT_S + 30}
    top = authority("root", **(window if part == "root" else {}))
    middle = authority("between", parent=top, **(window if part == "between" else {}))
    trust, end = replace(FULCIO, ca=(top.value,)), short(middle)
    assert prove(signed(end, chain=(middle, top)), trust)
    for at_s in (LOGGED_AT_S - 31, LOGGED_AT_S + 31):
        refused(CertificateExpiredError, signed(end, chain=(middle, top), at_s=at_s), trust, now_s=LOGGED_AT_S)


def test_fulcio_needs_a_log_entry():
    refused(LogProofMissingError, signed(SHORT, log=None))
    refused(LogProofMissingError, replace(GOOD, log_entry=None, certificate=None))
    refused(LogProofInvalidError, replace(GOOD, log_entry=""))
    refused(LogProofInvalidError, GOOD, replace(FULCIO, rekor_keys=()))
    refused(LogProofInvalidError, signed(SHORT, log=rekor("impostor")))


def test_the_entry_is_about_this_certificate():
    twin = short()  # the same key, names and issuer
    assert twin.by == SHORT.by
    assert prove(signed(twin))
    for other in (twin.pem.encode(), SHORT.by.pem, b"rubbish", b"x" + SHORT.der, bundle(SHORT, BETWEEN).encode()):
        refused(LogProofInvalidError, signed(SHORT, logged=other), match="by another key")
    lines = SHORT.pem.replace("\n", "\r\n").encode()
    assert prove(signed(SHORT, logged=lines))  # the bytes inside count, not the text around them


def test_a_keyed_signature_is_logged_with_its_key():
    alice = signer("p256", "alice")
    payload = payload_bytes(DIGEST)
    signature = alice.sign(payload)
    entry = LOG.log(payload, signature, leaf(BETWEEN, by=alice).pem.encode())
    found = replace(GOOD, payload=payload, signature=b64(signature), log_entry=entry, certificate=None)
    by_key = KeyTrust(keys=(alice.key,), log=LogIgnored())
    assert prove(found, by_key)
    logged = replace(by_key, log=LogByKeys(keys=(LOG.signer.key,)))
    refused(LogProofInvalidError, found, logged, match="by another key")


def test_the_entry_of_another_signature():
    """CVE-2022-36056, CVE-2026-22703."""
    refused(LogProofInvalidError, replace(GOOD, log_entry=signed(SHORT).log_entry), match="another signature")
    other = signed(SHORT, payload=payload_bytes(Digest.of(b"another image")))
    refused(LogProofInvalidError, replace(GOOD, log_entry=other.log_entry), match="another payload")


def test_pki_is_verified_now():
    """A log entry proves no time where no log is trusted."""
    assert prove(signed(LONG), PKI).signed_at_s is None
    for now_s in (LOGGED_AT_S - YEAR_S, LOGGED_AT_S + YEAR_S):
        assert prove(GOOD_PKI, PKI, now_s=now_s)
    for now_s in (LOGGED_AT_S - YEAR_S - 1, LOGGED_AT_S + YEAR_S + 1, float("nan"), 0.0):
        refused(CertificateExpiredError, signed(LONG), PKI, now_s=now_s)


# ---- the certificate -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "certificate",
    [
        None,
        "",
        "rubbish",
        SHORT.pem + SHORT.pem,
        SHORT.pem + BETWEEN.pem,
        SHORT.by.pem.decode(),
        SHORT.pem[:-40],
        SHORT.pem + " " * 200_000,
        "\ud800",
    ],
)
@pytest.mark.parametrize("trust", [FULCIO, PKI])
def test_exactly_one_certificate(certificate, trust):
    refused(CertificateUntrustedError, replace(GOOD, certificate=certificate), trust)


def test_another_leaf_is_another_signer():
    """The certificate is swapped for a trusted one of somebody else's."""
    other = leaf(BETWEEN, by=signer("p256", "victim"))
    refused(BadSignatureError, replace(GOOD_PKI, certificate=other.pem), PKI, match="did not sign")
    refused(LogProofInvalidError, replace(GOOD, certificate=short(by=signer("p256", "victim")).pem))


@pytest.mark.parametrize(
    ("good", "trust", "end"), [(GOOD, FULCIO, SHORT), (GOOD_PKI, PKI, LONG)], ids=["fulcio", "pki"]
)
def test_the_chain_is_only_tried(good, trust, end):
    assert prove(replace(good, chain=bundle(BETWEEN, ROOT)), trust)
    assert prove(replace(good, chain=bundle(EVIL_BETWEEN, BETWEEN, EVIL)), trust)
    refused(
        CertificateUntrustedError, replace(good, chain=bundle(ROOT, BETWEEN)), trust
    )  # its last is the root, unused
    for chain in (None, "", bundle(BETWEEN), bundle(ROOT)):
        refused(CertificateUntrustedError, replace(good, chain=chain), trust, match="CN=between")
    for chain in ("rubbish", BETWEEN.pem + "-----BEGIN X-----", BETWEEN.pem + BETWEEN.by.pem.decode()):
        refused(CertificateUntrustedError, replace(good, chain=chain), trust, match="chain is refused")
    assert end.value


def test_the_chains_root_is_not_trusted():
    evil = short(EVIL_BETWEEN)
    chain = (EVIL_BETWEEN, EVIL)
    assert prove(signed(evil, chain=chain), replace(FULCIO, ca=(EVIL.value,)))
    refused(CertificateUntrustedError, signed(evil, chain=chain))
    refused(CertificateUntrustedError, signed(evil, chain=(*chain, EVIL)))
    refused(CertificateUntrustedError, signed(evil, chain=chain), replace(FULCIO, ca=()))
    evil = leaf(EVIL_BETWEEN)
    assert prove(signed(evil, chain=chain), replace(PKI, roots=(EVIL.value,)))
    refused(CertificateUntrustedError, signed(evil, chain=(*chain, EVIL)), PKI)
    refused(CertificateUntrustedError, signed(evil, chain=(*chain, EVIL)), replace(PKI, roots=()))
    refused(CertificateUntrustedError, signed(evil), replace(PKI, intermediates=(EVIL_BETWEEN.value, EVIL.value)))


def test_intermediates_of_the_policy():
    bare = replace(GOOD_PKI, chain=None)
    known = replace(PKI, intermediates=(BETWEEN.value,))
    assert prove(bare, known)
    assert prove(GOOD_PKI, replace(PKI, intermediates=(EVIL_BETWEEN.value,)))  # the chain's are tried beside them
    refused(CertificateUntrustedError, bare, PKI)
    refused(CertificateUntrustedError, bare, replace(known, roots=(EVIL.value,)))


def test_the_chain_has_caps():
    crowd = tuple(authority(f"other {at}") for at in range(limits.CHAIN_CERTIFICATES - 2))
    assert prove(replace(GOOD, chain=bundle(*crowd, BETWEEN, ROOT)))
    refused(CertificateUntrustedError, replace(GOOD, chain=bundle(*crowd, ROOT, BETWEEN, ROOT)), match="at most 16")
    refused(CertificateUntrustedError, replace(GOOD, chain="x" * (limits.CHAIN_BYTES + 1)), match="at most 262144")


@pytest.mark.parametrize(("make", "trust"), [(short, FULCIO), (leaf, PKI)], ids=["fulcio", "pki"])
def test_the_usage_is_code_signing(make, trust):
    both = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CODE_SIGNING)
    assert prove(signed(make(BETWEEN, usages=both)), trust)
    refused(CertificateUntrustedError, signed(make(BETWEEN, usages=both[:1])), trust, match="may not be used for this")


@pytest.mark.parametrize("critical", [True, False])
def test_the_criticality_of_the_names_does_not_matter(critical):
    assert prove(signed(short(critical=critical)))
    assert prove(signed(leaf(BETWEEN, critical=critical)), PKI)
    refused(IdentityMismatchError, signed(short(critical=critical, names=[])))


def test_a_key_of_a_kind_that_is_not_trusted():
    refused(CertificateUntrustedError, signed(short(by=signer("rsa1024"))), match="a key of a kind")
    with pytest.raises(CertificateUntrustedError, match="a key of a kind"):
        verify_certificate(
            leaf(BETWEEN, by=signer("rsa1024")).value, intermediates=(BETWEEN.value,), trust=PKI, at_s=NOW_S
        )


# ---- whom it is for --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [issuers(), issuers(second=None), issuers(first=None)])
def test_either_issuer_extension(more):
    assert prove(signed(short(more=more)))
    refused(IdentityMismatchError, signed(short(more=more)), replace(FULCIO, oidc_issuer="https://other.example"))


OTHER = "https://other.example"


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ((), "names no OIDC issuer"),
        (issuers(OTHER, OTHER), "is 'https://other.example'"),
        (issuers(OIDC, OTHER), "two OIDC issuers"),
        (issuers(OTHER, OIDC), "two OIDC issuers"),
        (issuers(OIDC, ""), "two OIDC issuers"),
        (issuers("", OIDC), "two OIDC issuers"),
        (issuers(utf8(OIDC), None), "is '"),  # DER where raw text belongs
        (issuers(None, OIDC.encode()), "no DER UTF8String"),
        (issuers(None, b"\x16" + utf8(OIDC)[1:]), "no DER UTF8String"),
        (issuers(None, utf8(OIDC) + b"\x00"), "no DER UTF8String"),
        (issuers(None, utf8(OIDC)[:-1]), "no DER UTF8String"),
        (issuers(None, b"\x0c\x81" + utf8(OIDC)[1:]), "no DER UTF8String"),
        (issuers(None, b"\x0c"), "no DER UTF8String"),
        (issuers(None, b"\x0c\x80"), "no DER UTF8String"),
        (issuers(None, b"\x0c\xff\x01"), "no DER UTF8String"),
        (issuers(OIDC, b"\x05\x00"), "no DER UTF8String"),
        (issuers(b"\xff", None), "is '\ufffd'"),
        (issuers(OIDC + "/", OIDC + "/"), "not 'https://accounts"),
        (issuers(OIDC.upper(), None), "not 'https://accounts"),
        (issuers(OIDC + "\0", None), "not 'https://accounts"),
        (issuers(OIDC + ".evil.example", None), "not 'https://accounts"),
    ],
)
def test_the_issuer_is_exact(more, match):
    """CVE-2026-22772: nothing of it is a pattern."""
    refused(IdentityMismatchError, signed(short(more=more)), match=match)


def test_a_long_issuer():
    """Beyond 127 bytes DER has another form of length."""
    for size in (127, 128, 255, 256, 5000):
        text = "x" * size
        long = b"\x0c" + (b"" if size < 128 else b"\x81" if size < 256 else b"\x82")
        long += size.to_bytes(1 if size < 256 else 2, "big") + text.encode()
        end = short(more=((unknown(ISSUER_V2, long), False),))
        assert prove(signed(end), replace(FULCIO, oidc_issuer=text))
        refused(IdentityMismatchError, signed(end), replace(FULCIO, oidc_issuer=text[:-1]))


def test_an_issuer_of_pki_does_not_matter():
    assert prove(signed(leaf(BETWEEN, more=issuers(OIDC, OTHER))), PKI)


@pytest.mark.parametrize(
    "wanted", ["other@acme.example", EMAIL.upper(), f"{EMAIL} ", f"x{EMAIL}", EMAIL[:-1], "", "acme.example", "*", HOST]
)
def test_the_email_is_exact(wanted):
    refused(IdentityMismatchError, GOOD, replace(FULCIO, subject_email=wanted))
    refused(IdentityMismatchError, GOOD_PKI, replace(PKI, subject_email=wanted))
    refused(IdentityMismatchError, GOOD_PKI, replace(PKI, subject_email=wanted, subject_hostname=HOST))


def test_an_empty_name_is_nobody():
    nameless = [x509.RFC822Name._init_without_validation(""), x509.DNSName("")]
    assert prove(signed(short(names=[*nameless, x509.RFC822Name(EMAIL)])))
    refused(IdentityMismatchError, signed(short(names=nameless)), replace(FULCIO, subject_email=""))
    for trust in (replace(PKI, subject_email=""), replace(PKI, subject_email=None, subject_hostname="")):
        refused(IdentityMismatchError, signed(leaf(BETWEEN, names=nameless)), trust)
    unnamed = short(more=issuers("", None))
    refused(IdentityMismatchError, signed(unnamed), replace(FULCIO, oidc_issuer=""))


@pytest.mark.parametrize(
    "names",
    [
        [],
        [x509.UniformResourceIdentifier(f"mailto:{EMAIL}")],
        [x509.UniformResourceIdentifier("https://github.com/acme/app")],
        [x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.7"), utf8(EMAIL))],
        [x509.RFC822Name("other@acme.example")],
        [x509.DNSName(EMAIL)],
        [x509.RFC822Name._init_without_validation(EMAIL + "\0")],
    ],
)
def test_only_rfc822_names_are_email_addresses(names):
    many = [*names, x509.RFC822Name("b@acme.example"), x509.RFC822Name(EMAIL)]
    assert prove(signed(short(names=many)))
    refused(IdentityMismatchError, signed(short(names=names)), match="not for the e-mail")
    refused(IdentityMismatchError, signed(leaf(BETWEEN, names=names)), PKI)


def test_the_common_name_is_nobody():
    for subject in (EMAIL, HOST):
        refused(IdentityMismatchError, signed(short(names=[], subject=subject)))
        hosted = replace(PKI, subject_email=None, subject_hostname=HOST)
        refused(IdentityMismatchError, signed(leaf(BETWEEN, names=[], subject=subject)), hosted)


def test_both_subjects_must_match():
    both = replace(PKI, subject_hostname=HOST)
    assert prove(GOOD_PKI, both)
    assert prove(GOOD_PKI, replace(both, subject_email=None))
    refused(IdentityMismatchError, GOOD_PKI, replace(both, subject_hostname="other.example"), match="not for the host")
    refused(IdentityMismatchError, GOOD_PKI, replace(both, subject_email="x@acme.example"), match="not for the e-mail")
    refused(IdentityMismatchError, GOOD_PKI, replace(both, subject_email=None, subject_hostname=""))


def test_no_subject_trusts_nobody():
    refused(IdentityMismatchError, GOOD_PKI, replace(PKI, subject_email=None), match="no subject is trusted")


SAME_HOST = [
    ("a.example", "a.example"),
    ("A.Example", "a.eXample"),
    ("a.example", "a.example."),
    ("*.example", "a.example"),
    ("*.b.example", "A.b.example"),
    ("*.b.example", "*.b.example"),
    ("under_score.example", "under_score.example"),
    ("a:b", "A:b"),  # no host names: the same text only
    ("x*.example", "x*.example"),
    ("a.example.", "a.example."),
]
OTHER_HOST = [
    ("a.example", "b.example"),
    ("a.example", "x.a.example"),
    ("x.a.example", "a.example"),
    ("*.example", "example"),
    ("*.example", "a.b.example"),
    ("*.example", ".example"),
    ("*", "example"),
    ("*.*.example", "a.b.example"),
    ("a.*.example", "a.b.example"),
    ("x*.example", "xy.example"),
    ("a.example.", "a.example"),
    ("-a.example", "-b.example"),
    ("", ""),
    (".", "."),
    ("", "a.example"),
    ("a.example", ""),
    ("a..example", "a.example"),
    ("k.example", "\u212a.example"),  # the Kelvin sign is a k in lower case
    ("a.example", "a.example\0"),
]


@pytest.mark.parametrize(("pattern", "wanted"), SAME_HOST)
def test_hosts_that_match(pattern, wanted):
    assert matches_host(pattern, wanted)


@pytest.mark.parametrize(("pattern", "wanted"), OTHER_HOST)
def test_hosts_that_do_not_match(pattern, wanted):
    assert not matches_host(pattern, wanted)


@given(st.text(alphabet="aA*.-_b", max_size=8), st.text(alphabet="aA.-_b", max_size=8))
def test_a_host_matches_its_labels_only(pattern, wanted):
    if matches_host(pattern, wanted):
        bare = wanted.lower() if pattern.endswith(".") else wanted.lower().removesuffix(".")
        assert bare.split(".")[1:] == pattern.lower().split(".")[1:]
        assert pattern.split(".")[0] == "*" or bare.split(".")[0] == pattern.lower().split(".")[0]


@pytest.mark.parametrize(
    ("name", "wanted", "good"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "[192.0.2.1]", True),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("2001:db8::1", "2001:DB8:0::1", True),
        ("2001:db8::1", "[2001:db8::1]", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "192.0.2.01", False),
        ("fe80::1", "fe80::1%eth0", False),
        ("192.0.2.1", "192.0.2.1.", False),
    ],
)
def test_addresses(name, wanted, good):
    found = signed(leaf(BETWEEN, names=[x509.IPAddress(ip_address(name))]))
    trust = replace(PKI, subject_email=None, subject_hostname=wanted)
    if good:
        assert prove(found, trust)
        # As text it is no address, and a host is none: Go's VerifyHostname.
        refused(IdentityMismatchError, signed(leaf(BETWEEN, names=[x509.DNSName(wanted)])), trust, match="the address")
    else:
        refused(IdentityMismatchError, found, trust)


def test_an_address_with_a_zone_is_a_text():
    trust = replace(PKI, subject_email=None, subject_hostname="fe80::1%eth0")
    assert prove(signed(leaf(BETWEEN, names=[x509.DNSName("fe80::1%eth0")])), trust)
    refused(IdentityMismatchError, signed(leaf(BETWEEN, names=[x509.DNSName("fe80::1")])), trust, match="the host")


# ---- what is left of the signature -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("end", "trust"), [(SHORT, FULCIO), (LONG, PKI)], ids=["fulcio", "pki"])
def test_the_other_steps_hold_as_well(end, trust):
    refused(BadSignatureError, replace(signed(end), signature=None), trust)
    refused(BadSignatureError, signed(end, by=signer("p256", "mallory")), trust, match="did not sign")
    refused(PayloadError, signed(end, payload=b"{}"), trust)
    other = signed(end, payload=payload_bytes(Digest.of(b"another image")))
    refused(SignedDigestMismatchError, other, trust)
    refused(SignedDigestMismatchError, signed(end), trust, digests=())
    changed = replace(GOOD_PKI, payload=GOOD_PKI.payload.replace(b"team", b"evil"))
    refused(BadSignatureError, changed, PKI)


def test_only_the_annotations_of_the_layer_are_used():
    layer = attachment(b"p", annotations={CERTIFICATE_ANNOTATION: "c", CHAIN_ANNOTATION: "d"})
    found = parse_attachment(layer)
    assert (found.certificate, found.chain) == ("c", "d")


def test_reading():
    assert parse_leaf(SHORT.pem) == SHORT.value
    assert parse_intermediates(bundle(BETWEEN, SHORT, ROOT)) == (BETWEEN.value, SHORT.value)
    assert parse_intermediates(None) == parse_intermediates("") == parse_intermediates(ROOT.pem) == ()


texts = st.none() | st.text(max_size=60) | st.sampled_from([SHORT.pem, bundle(BETWEEN, ROOT)])


@settings(deadline=None)
@given(certificate=texts, chain=texts, trust=st.sampled_from([FULCIO, PKI, replace(PKI, roots=())]), now_s=st.floats())
def test_nothing_but_a_signature_error(certificate, chain, trust, now_s):
    try:
        prove(replace(GOOD, certificate=certificate, chain=chain), trust, now_s=now_s)
    except SignatureError:
        return
    assert certificate == SHORT.pem
    assert chain == bundle(BETWEEN, ROOT)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_nothing_but_a_signature_error_from_what_a_trusted_log_signed(pem):
    entry = json.dumps(LOG.promise(hashedrekord(GOOD.payload, b"x", pem or b"x")))
    with pytest.raises(LogProofInvalidError):
        prove(replace(GOOD, log_entry=entry))


@settings(deadline=None)
@given(st.binary(max_size=40), st.binary(max_size=40))
def test_nothing_but_a_mismatch_from_odd_issuers(first, second):
    with pytest.raises(IdentityMismatchError):
        prove(signed(short(more=issuers(first, second))))
