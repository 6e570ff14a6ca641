"""What a Fulcio certificate says: every kind of name, every extension, and each of them in one form only."""

from __future__ import annotations

import base64
import json
import os
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.pki import OIDC, authority, issuers, leaf, unknown, utf8
from plimsoll import limits
from plimsoll.errors import CertificateUntrustedError, IdentityMismatchError, UnreadableKeyError
from plimsoll.model.identity import CLAIM_OIDS
from plimsoll.signatures.certificate_paths import find_path
from plimsoll.signatures.fulcio import CertificateClaims, San, read_claims, read_issuer
from plimsoll.signatures.x509 import CODE_SIGNING, Certificate

ROOT = authority("root")
USERNAME = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.7")
CONFORMANCE = Path(
    os.environ.get("PLIMSOLL_CONFORMANCE") or Path(__file__).parents[4] / "shared/labs/sigstore-conformance"
)


def claims(*, names=None, more=(), issuer=None):
    names = [x509.UniformResourceIdentifier("https://ci.example/build")] if names is None else names
    return read_claims(leaf(ROOT, names=names, more=(*(issuers() if issuer is None else issuer), *more)).value)


def extension(name, value):
    return (unknown(CLAIM_OIDS[name], value), False)


def der(text):
    """A DER UTF8String of any length up to 65535."""
    data = text.encode()
    if len(data) < 128:
        return utf8(text)
    return (
        b"\x0c\x82" + len(data).to_bytes(2, "big") + data
        if len(data) > 255
        else b"\x0c\x81" + bytes([len(data)]) + data
    )


# ---- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [
        (
            x509.UniformResourceIdentifier("https://ci.example/x@refs/tags/v1"),
            "uri",
            "https://ci.example/x@refs/tags/v1",
        ),
        (x509.RFC822Name("build@acme.example"), "email", "build@acme.example"),
        (x509.DNSName("build.acme.example"), "dns", "build.acme.example"),
        (x509.IPAddress(ip_address("192.0.2.1")), "ip", "192.0.2.1"),
        (x509.IPAddress(ip_address("2001:db8::1")), "ip", "2001:db8::1"),
        (x509.OtherName(USERNAME, utf8("alice!acme.example")), "username", "alice!acme.example"),
        (x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), utf8("alice")), "unknown", ""),
        (x509.RegisteredID(x509.ObjectIdentifier("1.2.3")), "unknown", ""),
        (x509.DirectoryName(x509.Name([])), "unknown", ""),
    ],
)
def test_every_kind_of_name(name, kind, value):
    assert claims(names=[name]).subjects == (San(kind=kind, value=value),)


def test_names_keep_their_order_and_number():
    found = claims(names=[x509.RFC822Name("a@b.example"), x509.DNSName("c.example"), x509.RFC822Name("a@b.example")])
    assert [each.value for each in found.subjects] == ["a@b.example", "c.example", "a@b.example"]
    assert claims(names=[]).subjects == ()


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (b"\x16" + utf8("alice")[1:], "user name is no DER UTF8String"),
        (b"\x0c\x02\xff\xfe", "user name is no UTF-8"),
        (b"\x05\x00", "user name is no DER UTF8String"),
    ],
)
def test_a_user_name_is_one_utf8_string(value, match):
    with pytest.raises(IdentityMismatchError, match=match):
        claims(names=[x509.OtherName(USERNAME, value)])


def raw_username(value):
    """A leaf whose OtherName holds any bytes at all: the builder of certificates would refuse them."""
    oid = b"\x06\x0a\x2b\x06\x01\x04\x01\x83\xbf\x30\x01\x07"
    inner = oid + b"\xa0" + bytes([len(value)]) + value
    names = b"\xa0" + bytes([len(inner)]) + inner
    extension_value = b"\x30" + bytes([len(names)]) + names
    return leaf(ROOT, names=[], more=[*issuers(), (unknown("2.5.29.17", extension_value), True)])


@pytest.mark.parametrize("value", [utf8("alice") + utf8("bob"), b"\x0c\x81\x05alice", b"\x0c\x09alice", b"\x0c", b""])
def test_a_user_name_that_is_no_der_is_refused_with_its_certificate(value):
    assert read_claims(raw_username(utf8("alice")).value).subjects == (San(kind="username", value="alice"),)
    with pytest.raises((UnreadableKeyError, IdentityMismatchError)):
        read_claims(raw_username(value).value)


@pytest.mark.parametrize("mark", ["\n", "\0", "\x7f", "\r"])
def test_a_name_has_no_control_character(mark):
    for name in (
        x509.OtherName(USERNAME, utf8(f"alice{mark}")),
        x509.UniformResourceIdentifier(f"https://good.example{mark}"),
        x509.RFC822Name(f"a{mark}@b.example"),
        x509.DNSName(f"{mark}a.example"),
    ):
        with pytest.raises(IdentityMismatchError, match="control character"):
            claims(names=[name])
    with pytest.raises(IdentityMismatchError, match="control character"):
        claims(issuer=issuers(OIDC + mark, OIDC + mark))


def test_a_user_name_is_read_and_its_certificate_can_be_trusted():
    end = leaf(ROOT, names=[x509.OtherName(USERNAME, utf8("alice!acme.example"))], more=issuers())
    found = find_path(
        end.value, roots=(ROOT.value,), intermediates=(), at_s=end.value.not_before_s, usages=(CODE_SIGNING,)
    )
    assert read_claims(found[0]).subjects[0].value == "alice!acme.example"


@pytest.mark.parametrize("side", ["permitted_subtrees", "excluded_subtrees"])
def test_a_constraint_on_user_names_is_never_taken_for_met(side):
    subtrees = {"permitted_subtrees": None, "excluded_subtrees": None}
    subtrees[side] = [x509.OtherName(USERNAME, utf8("alice!acme.example"))]
    top = authority("root", more=[(x509.NameConstraints(**subtrees), True)])
    for name in (x509.OtherName(USERNAME, utf8("alice!acme.example")), x509.DNSName("a.example")):
        end = leaf(top, names=[name], more=issuers()).value
        with pytest.raises(CertificateUntrustedError, match="OtherName"):
            find_path(end, roots=(top.value,), intermediates=(), at_s=end.not_before_s, usages=(CODE_SIGNING,))


# ---- extensions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLAIM_OIDS)
def test_every_extension_is_read_by_its_name(name):
    raw = int(CLAIM_OIDS[name].rpartition(".")[2]) < 7
    for text in ("refs/heads/main", "", "ü" * 40, "ü" * 64, "x" * 300):
        assert claims(more=[extension(name, text.encode() if raw else der(text))]).extensions == {name: text}
    if raw:
        assert claims(more=[extension(name, der("push"))]).extensions == {name: "\x0c\x04push"}
    else:
        with pytest.raises(IdentityMismatchError, match=f"{name} is no DER UTF8String"):
            claims(more=[extension(name, b"push")])


def test_extensions_stand_beside_one_another():
    found = claims(
        more=[extension(name, name.encode() if name.startswith("git") else der(name)) for name in CLAIM_OIDS]
    )
    assert found.extensions == {name: name for name in CLAIM_OIDS}
    assert found == CertificateClaims(subjects=found.subjects, issuer=OIDC, extensions=found.extensions)


def test_an_extension_without_a_name_is_passed_over():
    assert claims(more=[(unknown("1.3.6.1.4.1.57264.1.99", b"anything"), False)]).extensions == {}


@pytest.mark.parametrize("value", [b"\x0c", b"\x0c\x80", b"\x0c\x03ab", b"\x0c\x01ab", b"\x0c\x81\x01a", b"\x13\x01a"])
def test_the_der_is_strict(value):
    with pytest.raises(IdentityMismatchError, match="buildTrigger is no DER UTF8String"):
        claims(more=[extension("buildTrigger", value)])


def test_a_claim_is_utf8_and_has_a_cap():
    for name, value in (("githubWorkflowRef", b"\xff"), ("buildTrigger", b"\x0c\x01\xff")):
        with pytest.raises(IdentityMismatchError, match="no UTF-8"):
            claims(more=[extension(name, value)])
    assert claims(more=[extension("buildTrigger", der("x" * limits.CLAIM_BYTES))])
    with pytest.raises(IdentityMismatchError, match="at most"):
        claims(more=[extension("buildTrigger", der("x" * (limits.CLAIM_BYTES + 1)))])
    with pytest.raises(IdentityMismatchError, match="at most"):
        claims(names=[x509.UniformResourceIdentifier("u:" + "x" * limits.CLAIM_BYTES)])


# ---- the issuer ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("issuer", [issuers(), issuers(first=None), issuers(second=None)])
def test_the_issuer_stands_in_either_extension(issuer):
    assert claims(issuer=issuer).issuer == OIDC


def test_there_may_be_no_issuer():
    found = leaf(ROOT).value
    assert read_issuer(found) is None
    assert read_claims(found).issuer is None


@pytest.mark.parametrize(
    ("issuer", "match"),
    [
        (issuers(OIDC, "https://evil.example"), "two OIDC issuers"),
        (issuers("https://evil.example", OIDC), "two OIDC issuers"),
        (issuers(OIDC, ""), "two OIDC issuers"),
        (issuers(OIDC, OIDC.encode()), "no DER UTF8String"),
        (issuers(b"\xff", None), "no UTF-8"),
    ],
)
def test_two_issuers_agree_or_there_is_none(issuer, match):
    with pytest.raises(IdentityMismatchError, match=match):
        claims(issuer=issuer)


# ---- anything at all -------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(CLAIM_OIDS)), st.binary(max_size=40), max_size=4), st.binary(max_size=20))
def test_any_bytes_are_read_or_refused(values, second):
    with suppress(IdentityMismatchError):
        found = claims(more=[extension(*each) for each in values.items()], issuer=issuers(None, second))
        assert set(found.extensions) == set(values)


def real_leaves():
    for path in sorted(CONFORMANCE.glob("*/bundle.sigstore.json")):
        material = json.loads(path.read_text(encoding="utf-8"))["verificationMaterial"]
        chain = material.get("x509CertificateChain", {}).get("certificates", [])
        for found in [material["certificate"]] if "certificate" in material else chain[:1]:
            yield Certificate(base64.b64decode(found["rawBytes"]))


@pytest.mark.skipif(not CONFORMANCE.is_dir(), reason="the conformance suite's data is not beside this tree")
def test_real_certificates_have_one_name_and_one_issuer():
    found = [read_claims(real) for real in set(real_leaves())]
    assert len(found) > 3
    assert {len(each.subjects) for each in found} == {1}
    assert all(each.issuer for each in found)
    issuer = "https://token.actions.githubusercontent.com"
    github = [each for each in found if each.issuer == issuer and each.extensions]  # one is made by hand, without any
    assert github
    for each in github:
        assert each.extensions["runnerEnvironment"] == "github-hosted"
        assert each.extensions["sourceRepositoryDigest"] == each.extensions["githubWorkflowSHA"]
        assert each.extensions["buildSignerURI"] == each.subjects[0].value
