"""Certificates and paths: each check of the path falsified alone, and rubbish that is only ever refused."""

from __future__ import annotations

import base64
import math
import pickle
import warnings
from dataclasses import dataclass, replace
from functools import cache
from ipaddress import ip_address, ip_network

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.pki import YEAR_S, Issued, authority, bundle, extended, leaf, name, unknown, usage
from fakes.signing import LOGGED_AT_S, signer
from plimsoll import limits
from plimsoll.errors import CertificateExpiredError, CertificateUntrustedError, SignatureError, UnreadableKeyError
from plimsoll.signatures.certificate_paths import find_path
from plimsoll.signatures.x509 import CODE_SIGNING, Certificate, parse_pem_certificates

SERVER = ExtendedKeyUsageOID.SERVER_AUTH
ROOT = authority("root")
BETWEEN = authority("between", parent=ROOT)
LEAF = leaf(BETWEEN)
EVIL = authority("root", by=signer("p256", "evil"))


@dataclass(frozen=True)
class World:
    """What find_path is given; the default is good."""

    leaf: Issued = LEAF
    roots: tuple[Issued, ...] = (ROOT,)
    between: tuple[Issued, ...] = (BETWEEN,)
    at_s: float = LOGGED_AT_S
    usages: tuple[str, ...] = (CODE_SIGNING,)

    def find(self):
        return find_path(
            self.leaf.value,
            roots=tuple(each.value for each in self.roots),
            intermediates=tuple(each.value for each in self.between),
            at_s=self.at_s,
            usages=self.usages,
        )


GOOD = World()


def chain_of(*, root=None, between=None, end=None):
    """A world of three, made with these changes."""
    top = authority("root", **(root or {}))
    middle = authority("between", parent=top, **(between or {}))
    return World(leaf=leaf(middle, **(end or {})), roots=(top,), between=(middle,))


def refused(world, error=CertificateUntrustedError, match=None):
    with pytest.raises(error, match=match) as raised:
        world.find()
    assert type(raised.value) is error


# ---- paths -----------------------------------------------------------------------------------------------------------


def test_the_path_runs_from_the_leaf_to_the_root():
    assert GOOD.find() == (LEAF.value, BETWEEN.value, ROOT.value)
    assert World(leaf=leaf(ROOT), between=()).find()[1:] == (ROOT.value,)


def test_no_root_trusts_nothing():
    refused(replace(GOOD, roots=()), match="no certificate authority is trusted")


def test_a_missing_intermediate():
    refused(replace(GOOD, between=()), match=r"no certificate of 'CN=between', which issued .*, is at hand")
    refused(replace(GOOD, between=(authority("other", parent=ROOT),)))


def test_order_and_company_mean_nothing():
    others = (authority("other", parent=ROOT), EVIL, leaf(ROOT), BETWEEN, BETWEEN)
    for between in ((*others, BETWEEN), (BETWEEN, *others)):
        assert replace(GOOD, between=between, roots=(EVIL, ROOT)).find() == GOOD.find()


def test_an_intermediate_is_never_a_root():
    refused(replace(GOOD, roots=(EVIL,), between=(BETWEEN, ROOT)), match="did not sign")
    assert replace(GOOD, roots=(BETWEEN,), between=()).find() == (LEAF.value, BETWEEN.value)  # unless it is trusted


def test_a_leaf_that_is_trusted_itself():
    """As Go's crypto/x509; every other check still holds."""
    pinned = replace(GOOD, roots=(LEAF,), between=())
    assert pinned.find() == (LEAF.value,)
    refused(replace(pinned, roots=(leaf(BETWEEN),)))  # the same subject and key, another certificate
    refused(replace(pinned, at_s=LOGGED_AT_S + 2 * YEAR_S), CertificateExpiredError)
    refused(replace(pinned, usages=(SERVER.dotted_string,)))


def test_a_self_signed_leaf_is_nobodys():
    refused(replace(GOOD, leaf=leaf(None)))
    refused(replace(GOOD, leaf=leaf(None, subject="root", by=signer("p256", "mallory"))))


def test_the_name_alone_proves_nothing():
    refused(replace(GOOD, roots=(EVIL,)), match="CN=root did not sign CN=between")
    refused(
        replace(GOOD, between=(authority("between", parent=ROOT, by=signer("p256", "mallory")),)), match="did not sign"
    )


def test_the_key_alone_proves_nothing():
    forged = leaf(BETWEEN, issuer=name("nobody"))
    refused(replace(GOOD, leaf=forged), match="nobody")


def test_of_two_authorities_with_one_name_the_one_that_signed_is_found():
    twin = authority("between", parent=ROOT, by=signer("p256", "twin"))
    for between in ((twin, BETWEEN), (BETWEEN, twin)):
        assert replace(GOOD, between=between).find() == GOOD.find()


@pytest.mark.parametrize("kind", ["p384", "p521", "rsa2048", "ed25519"])
def test_every_kind_of_key(kind):
    world = chain_of(root={"kind": kind}, between={"kind": kind}, end={"kind": kind})
    assert len(world.find()) == 3
    assert world.find()[0].key == world.leaf.by.key
    refused(replace(world, roots=(authority("root", kind=kind, by=signer(kind, "mallory")),)))


@pytest.mark.parametrize("algorithm", [hashes.SHA384(), hashes.SHA512()])
def test_longer_hashes(algorithm):
    assert chain_of(end={"algorithm": algorithm}).find()


@pytest.mark.parametrize("algorithm", [hashes.SHA224(), hashes.SHA3_256()])
@pytest.mark.parametrize("part", ["between", "end"])
def test_hashes_that_are_not_trusted(algorithm, part):
    refused(chain_of(**{part: {"algorithm": algorithm}}), match="did not sign")


def test_pss():
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    assert chain_of(between={"kind": "rsa2048"}, end={"rsa_padding": pss}).find()
    weak = padding.PSS(padding.MGF1(hashes.SHA224()), 28)
    refused(chain_of(between={"kind": "rsa2048"}, end={"rsa_padding": weak, "algorithm": hashes.SHA224()}))


@pytest.mark.parametrize("kind", ["rsa1024", "secp256k1", "rsa5120"])
@pytest.mark.parametrize("part", ["root", "between", "end"])
def test_keys_that_are_not_trusted(kind, part):
    by = signer(kind)
    refused(chain_of(**{part: {"by": by}}), match="a key of a kind that is not trusted")


# ---- who may issue ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["root", "between"])
def test_an_issuer_says_that_it_is_an_authority(part):
    assert chain_of(**{part: {"allowed": None}}).find()  # no key usage forbids nothing
    refused(chain_of(**{part: {"ca": False}}), match="is no certificate authority")
    refused(chain_of(**{part: {"allowed": ("digital_signature", "crl_sign")}}), match="is no certificate authority")


def test_a_leaf_issues_nothing():
    """The classic: a good certificate, for whatever one asks for, used as an authority."""
    refused(World(leaf=leaf(LEAF), between=(LEAF, BETWEEN)))
    subordinate = leaf(BETWEEN, subject="sub")
    refused(World(leaf=leaf(subordinate), between=(subordinate, BETWEEN)), match="CN=sub is no certificate authority")
    bare = leaf(BETWEEN, subject="sub", usages=None)
    refused(World(leaf=leaf(bare), between=(bare, BETWEEN)), match="is no certificate authority")


def test_path_length():
    assert chain_of(root={"path_length": 1}, between={"path_length": 0}).find()
    refused(chain_of(root={"path_length": 0}), match="allows 0 authorities below it, and there are 1")
    assert World(leaf=leaf(authority("root", path_length=0)), roots=(authority("root", path_length=0),), between=())
    second = authority("second", parent=BETWEEN)
    assert World(leaf=leaf(second), between=(second, BETWEEN)).find()
    tight = authority("between", parent=ROOT, path_length=0)
    below = authority("second", parent=tight)
    refused(World(leaf=leaf(below), between=(below, tight)), match="allows 0")
    roomy = authority("between", parent=ROOT, path_length=1)
    assert World(
        leaf=leaf(authority("second", parent=roomy)), between=(authority("second", parent=roomy), roomy)
    ).find()


def row_of_authorities(number):
    row = [ROOT]
    for at in range(number):
        row.append(authority(f"row {at}", parent=row[-1]))
    return World(leaf=leaf(row[-1]), between=tuple(row[1:]))


def test_the_path_has_a_longest_length():
    assert len(row_of_authorities(limits.PATH_CERTIFICATES - 2).find()) == limits.PATH_CERTIFICATES
    refused(row_of_authorities(limits.PATH_CERTIFICATES - 1), match="longer than 10")


def test_a_circle_ends():
    one, other = (authority("one"), authority("other"))
    crossed = authority("one", parent=other), authority("other", parent=one)
    refused(World(leaf=leaf(one), between=(*crossed, one, other)), match="is at hand")
    with_way_out = authority("other", parent=ROOT)
    assert World(leaf=leaf(one), between=(*crossed, one, other, with_way_out)).find()[-1] == ROOT.value


def test_many_candidates_end():
    """Same names, same keys: each could have issued each."""
    first, second = signer("p256", "first"), signer("p256", "second")
    one, other = authority("one", by=first), authority("other", by=second)
    crowd = [authority("one", by=first, parent=other) for _ in range(20)]
    crowd += [authority("other", by=second, parent=one) for _ in range(20)]
    refused(World(leaf=leaf(one), between=tuple(crowd)), match="within 100 signature checks")


@pytest.mark.parametrize("part", ["root", "between", "end"])
def test_a_critical_extension_that_is_not_understood(part):
    odd = unknown("1.2.3.4", b"\x05\x00")
    assert chain_of(**{part: {"more": ((odd, False),)}}).find()
    refused(
        chain_of(**{part: {"more": ((odd, True),)}}), match=r"critical extension 1\.2\.3\.4, which is not understood"
    )
    policies = x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3"), None)])
    assert chain_of(**{part: {"more": ((policies, True),)}}).find()
    constrained = x509.PolicyConstraints(require_explicit_policy=0, inhibit_policy_mapping=None)
    refused(chain_of(**{part: {"more": ((constrained, True),)}}), match="not understood")


# ---- usage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["root", "between"])
def test_the_usage_is_nested(part):
    for usages in (
        [ExtendedKeyUsageOID.CODE_SIGNING],
        [SERVER, ExtendedKeyUsageOID.CODE_SIGNING],
        [ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE],
    ):
        assert chain_of(**{part: {"more": ((extended(*usages), True),)}}).find()
    refused(chain_of(**{part: {"more": ((extended(SERVER), False),)}}), match="may not be used for this")


def test_the_usage_of_the_leaf():
    assert chain_of(end={"usages": (SERVER, ExtendedKeyUsageOID.CODE_SIGNING)}).find()
    assert chain_of(end={"usages": None}).find()  # RFC 5280: an absent extension restricts nothing; so in Go
    assert chain_of(end={"usages": (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)}).find()
    refused(chain_of(end={"usages": (SERVER,)}), match="may not be used for this")
    refused(chain_of(end={"usages": (ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.EMAIL_PROTECTION)}))


def test_the_usages_are_the_callers():
    both = replace(GOOD, leaf=leaf(BETWEEN, usages=(SERVER, ExtendedKeyUsageOID.CODE_SIGNING)))
    assert replace(both, usages=(SERVER.dotted_string, CODE_SIGNING)).find()
    assert replace(GOOD, usages=()).find()
    refused(replace(GOOD, usages=(SERVER.dotted_string, CODE_SIGNING)))


# ---- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["root", "between", "end"])
def test_every_certificate_is_valid_at_the_time(part):
    """CVE-2026-24122: an expired intermediate counts as much as an expired leaf."""
    world = chain_of(**{part: {"first": LOGGED_AT_S - 60, "last": LOGGED_AT_S + 60}})
    for at_s in (LOGGED_AT_S - 60, LOGGED_AT_S, LOGGED_AT_S + 60):
        assert replace(world, at_s=at_s).find()
    for at_s in (LOGGED_AT_S - 60.5, LOGGED_AT_S - 61, LOGGED_AT_S + 60.5, LOGGED_AT_S + 61):
        refused(replace(world, at_s=at_s), CertificateExpiredError, match="is valid from")


@pytest.mark.parametrize("at_s", [math.nan, math.inf, -math.inf, 0.0, -1.0, 2**53 - 1])
def test_odd_times_are_outside(at_s):
    refused(replace(GOOD, at_s=at_s), CertificateExpiredError)


def test_expired_is_said_only_of_what_would_else_be_trusted():
    late = LOGGED_AT_S + 10 * YEAR_S
    refused(replace(GOOD, at_s=late), CertificateExpiredError)
    refused(replace(GOOD, at_s=late, roots=(EVIL,)))
    refused(replace(GOOD, at_s=late, leaf=leaf(BETWEEN, usages=(SERVER,))))


def test_another_path_that_is_valid_is_found():
    old = authority("between", parent=ROOT, last=LOGGED_AT_S - 60)
    assert replace(GOOD, between=(old, BETWEEN)).find() == GOOD.find()
    refused(replace(GOOD, between=(old,)), CertificateExpiredError)


# ---- name constraints ------------------------------------------------------------------------------------------------

DNS, URI, IP = x509.DNSName, x509.UniformResourceIdentifier, x509.IPAddress
MAIL = x509.RFC822Name._init_without_validation  # certificates hold what their makers like


def net(text):
    return IP(ip_network(text))


def host(text):
    return IP(ip_address(text))


def constrained(names, *, permitted=None, excluded=None, part="between", critical=True):
    constraints = x509.NameConstraints(permitted, excluded)
    return chain_of(**{part: {"more": ((constraints, critical),)}, "end": {"names": names}})


COVERED = [
    (DNS("acme.example"), DNS("acme.example")),
    (DNS("acme.example"), DNS("a.b.acme.example")),
    (DNS("ACME.example"), DNS("x.acme.EXAMPLE")),
    (DNS("acme.example"), DNS("*.acme.example")),
    (DNS(".acme.example"), DNS("x.acme.example")),
    (DNS(".acme.example"), DNS("*.acme.example")),
    (DNS(""), DNS("anything.example")),
    (MAIL("acme.example"), MAIL("a@acme.example")),
    (MAIL("acme.example"), MAIL("a@ACME.example")),
    (MAIL(".acme.example"), MAIL("a@x.acme.example")),
    (MAIL("a@acme.example"), MAIL("a@acme.example")),
    (MAIL("a@acme.example"), MAIL("a@ACME.example")),
    (MAIL(""), MAIL("a@any.example")),
    (URI("acme.example"), URI("https://acme.example/x")),
    (URI(".acme.example"), URI("https://u:p@x.acme.example:444/x")),
    (net("192.0.2.0/24"), host("192.0.2.77")),
    (net("2001:db8::/32"), host("2001:db8::1")),
]
NOT_COVERED = [
    (DNS("acme.example"), DNS("evilacme.example")),
    (DNS("acme.example"), DNS("acme.example.evil")),
    (DNS("acme.example"), DNS("example")),
    (DNS(".acme.example"), DNS("acme.example")),
    (MAIL(".acme.example"), MAIL("a@acme.example")),
    (MAIL("acme.example"), MAIL("a@evilacme.example")),
    (MAIL("acme.example"), MAIL("acme.example@evil.example")),
    (MAIL("a@acme.example"), MAIL("b@acme.example")),
    (URI("acme.example"), URI("https://evil.example/acme.example")),
    (URI(".acme.example"), URI("https://acme.example/")),
    (URI("acme.example"), URI("https://acme.example@evil.example/")),
    (net("192.0.2.0/24"), host("192.0.3.1")),
    (net("192.0.2.0/24"), host("2001:db8::1")),
]
NOT_COMPARABLE = [
    (DNS("acme.example"), DNS("a..acme.example")),
    (DNS("acme.example"), DNS("acme.example.")),
    (MAIL("acme.example"), MAIL('"a"@acme.example')),
    (MAIL("acme.example"), MAIL("acme.example")),
    (MAIL("acme.example"), MAIL("a@b@acme.example")),
    (URI("acme.example"), URI("mailto:a@acme.example")),
    (URI("acme.example"), URI("https://192.0.2.1/")),
    (URI("acme.example"), URI("https://[::1/")),
]
"""Neither permitted nor left alone by an exclusion: nobody can say."""
NARROW_AND_WIDE = [
    (DNS("x.acme.example"), DNS("*.acme.example")),  # CVE-2025-61727: a wildcard stands for excluded names too
    (MAIL("acme.example"), MAIL("a@x.acme.example")),  # RFC 5280: one host; Go: all below it
    (URI("acme.example"), URI("https://x.acme.example/")),
    (MAIL("a@acme.example"), MAIL("A@acme.example")),
]
"""Not permitted by the narrow reading, excluded by the wide one."""


def ids(pair):
    return str(getattr(pair, "value", pair))


@pytest.mark.parametrize(("subtree", "found"), COVERED, ids=ids)
@pytest.mark.parametrize("part", ["root", "between"])
def test_covered_names(subtree, found, part):
    assert constrained([found], permitted=[subtree], part=part).find()
    refused(constrained([found], excluded=[subtree], part=part), match="excluded")
    refused(constrained([found], permitted=[subtree], excluded=[subtree], part=part), match="excluded")


@pytest.mark.parametrize(("subtree", "found"), NOT_COVERED, ids=ids)
@pytest.mark.parametrize("critical", [True, False])
def test_names_that_are_not_covered(subtree, found, critical):
    assert constrained([found], excluded=[subtree], critical=critical).find()
    refused(constrained([found], permitted=[subtree], critical=critical), match="not among the permitted")


@pytest.mark.parametrize(("subtree", "found"), NOT_COMPARABLE, ids=ids)
def test_names_that_cannot_be_compared(subtree, found):
    refused(constrained([found], permitted=[subtree]), match="cannot compare")
    refused(constrained([found], excluded=[subtree]), match="cannot compare")


@pytest.mark.parametrize(("subtree", "found"), NARROW_AND_WIDE, ids=ids)
def test_names_of_which_readers_differ(subtree, found):
    refused(constrained([found], permitted=[subtree]), match="not among the permitted")
    refused(constrained([found], excluded=[subtree]), match="excluded")


def test_one_name_of_many_is_enough_to_refuse():
    good = [DNS("a.acme.example"), MAIL("x@other.example"), DNS("b.acme.example")]
    assert constrained(
        good, permitted=[DNS("x.example"), DNS("acme.example")]
    ).find()  # kinds without constraint are free
    refused(constrained([*good, DNS("other.example")], permitted=[DNS("x.example"), DNS("acme.example")]))


def test_names_of_the_authorities_below_count_too():
    fenced = authority("fenced", parent=ROOT, more=((x509.NameConstraints([DNS("acme.example")], None), True),))
    for dns, good in (("ca.acme.example", True), ("ca.other.example", False)):
        below = authority("below", parent=fenced, more=((x509.SubjectAlternativeName([DNS(dns)]), False),))
        world = World(leaf=leaf(below, names=[DNS("x.acme.example")]), between=(below, fenced))
        if good:
            assert world.find()
        else:
            refused(world, match="not among the permitted")


@pytest.mark.parametrize("critical", [True, False])
def test_constraints_of_another_kind_are_never_met(critical):
    for subtree in (x509.DirectoryName(name("x")), x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))):
        refused(constrained([DNS("a.example")], permitted=[subtree], critical=critical), match="not understood")
        refused(constrained([DNS("a.example")], excluded=[subtree], critical=critical), match="not understood")


def test_a_way_around_the_constraints_is_only_another_authority():
    fenced = authority("between", parent=ROOT, more=((x509.NameConstraints([DNS("acme.example")], None), True),))
    end = leaf(BETWEEN, names=[DNS("other.example")])
    assert World(leaf=end, between=(fenced, BETWEEN)).find()
    refused(World(leaf=end, between=(fenced,)))


# ---- reading ---------------------------------------------------------------------------------------------------------


def test_certificates_in_their_order():
    assert parse_pem_certificates(bundle(LEAF, BETWEEN, ROOT).encode()) == (LEAF.value, BETWEEN.value, ROOT.value)
    commented = f"# acme\r\n{LEAF.pem}\nsubject: x\n{ROOT.pem}-- \n".replace("\n", "\r\n")
    assert parse_pem_certificates(commented.encode()) == (LEAF.value, ROOT.value)


SECRET = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rubbish",
        SECRET,
        ROOT.pem + SECRET,
        SECRET + ROOT.pem,
        ROOT.pem[:-30],
        ROOT.pem[:200] + "\n" + ROOT.pem,
        ROOT.pem.replace("CERTIFICATE", "TRUSTED CERTIFICATE"),
        ROOT.pem.replace("END CERTIFICATE", "END PUBLIC KEY"),
        signer().pem.decode(),
        ROOT.pem + signer().pem.decode(),
        "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nQQ==QQ==\n-----END CERTIFICATE-----\n",
    ],
)
def test_anything_else_is_refused(text):
    assert parse_pem_certificates(ROOT.pem.encode()) == (ROOT.value,)
    with pytest.raises(UnreadableKeyError):
        parse_pem_certificates(text.encode())


def test_a_secret_is_never_told():
    with pytest.raises(UnreadableKeyError) as raised:
        parse_pem_certificates(SECRET.encode())
    assert "AAAA" not in str(raised.value)


def test_caps():
    with pytest.raises(UnreadableKeyError, match="2 PEM blocks where at most 1"):
        parse_pem_certificates(bundle(ROOT, LEAF).encode(), most=1)
    with pytest.raises(UnreadableKeyError, match="at most 1048576"):
        parse_pem_certificates(ROOT.pem.encode() + b" " * limits.KEY_BYTES)
    with pytest.raises(UnreadableKeyError, match="at most 65536"):
        Certificate(ROOT.der + bytes(limits.CERTIFICATE_BYTES))
    assert len(leaf(ROOT, names=[DNS(f"a{at}.example") for at in range(limits.CERTIFICATE_NAMES)]).value.names) == 512
    with pytest.raises(UnreadableKeyError, match="more than 512 names"):
        _ = leaf(ROOT, names=[DNS(f"a{at}.example") for at in range(limits.CERTIFICATE_NAMES + 1)]).value
    many = x509.NameConstraints([DNS("a.example")] * 300, [DNS("b.example")] * 300)
    with pytest.raises(UnreadableKeyError, match="more than 512 names"):
        _ = authority("x", more=((many, True),)).value


def test_a_hostile_pem_takes_no_time():
    for text in (b"-----BEGIN CERTIFICATE-----" + b"\n" * 1_000_000, b"-----BEGIN CERTIFICATE-----" * 30_000):
        with pytest.raises(UnreadableKeyError):
            parse_pem_certificates(text)


@pytest.mark.parametrize(
    "more",
    [
        ((unknown("2.5.29.19", b"\x30\x03\x01\x01"), True),),
        ((unknown("2.5.29.15", b"\x04\x00"), True),),
        ((unknown("2.5.29.37", b"\x30\x00\x00"), False),),
        ((unknown("2.5.29.17", b"\x30\x03\x82\x01\xff"), False),),
        ((unknown("2.5.29.17", b"\x30\x02\xa3\x00"), False),),  # x400Address
        ((unknown("2.5.29.30", b"\x30\x00\x30"), True),),
    ],
)
def test_a_part_that_cannot_be_read_spoils_the_certificate(more):
    with pytest.raises(UnreadableKeyError):
        _ = (
            leaf(ROOT, names=[], usages=None, more=more).value
            if more[0][0].oid.dotted_string != "2.5.29.15"
            else Certificate(_without_usage(more))
        )


def _without_usage(more):
    return authority("x", allowed=None, more=more).der


def test_equal_bytes_are_equal_certificates():
    again = Certificate(LEAF.der)
    assert again == LEAF.value
    assert hash(again) == hash(LEAF.value)
    assert again != BETWEEN.value
    assert again != LEAF.der
    assert len({again, LEAF.value, BETWEEN.value}) == 2


def test_a_certificate_travels_as_its_der_bytes():
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        pickled = pickle.dumps(LEAF.value, protocol)
        assert LEAF.der in pickled or protocol == 2  # which has no bytes and spells them as text
        assert b"cryptography" not in pickled
        assert pickle.loads(pickled) == LEAF.value


def test_a_certificate_cannot_be_changed():
    found = LEAF.value
    with pytest.raises(AttributeError):
        found.der = b""
    assert repr(ROOT.value) == "Certificate('CN=root')"
    assert LEAF.value.title.startswith("serial ")


def test_what_a_certificate_says():
    found = authority(
        "x", path_length=3, more=((extended(SERVER), False), (unknown("1.2.3.4", b"\x05\x00"), True))
    ).value
    assert (found.is_authority, found.path_length, found.unknown_critical) == (True, 3, ("1.2.3.4",))
    assert (found.allows(SERVER.dotted_string), found.allows(CODE_SIGNING)) == (True, False)
    assert (found.raw_extension("1.2.3.4"), found.raw_extension("1.2.3.5")) == (b"\x05\x00", None)
    assert (LEAF.value.is_authority, LEAF.value.path_length, LEAF.value.constraints) == (False, None, None)
    assert usage("key_cert_sign").key_cert_sign


# ---- rubbish ---------------------------------------------------------------------------------------------------------


def read(der):
    try:
        return Certificate(der)
    except UnreadableKeyError:
        return None


def found_or_refused(end, between=None, root=None):
    try:
        return find_path(
            end,
            roots=(root or ROOT.value,),
            intermediates=(between or BETWEEN.value,),
            at_s=LOGGED_AT_S,
            usages=(CODE_SIGNING,),
        )
    except SignatureError:
        return None


@given(st.binary(max_size=2000))
def test_no_bytes_give_anything_but_one_error(data):
    with pytest.raises(UnreadableKeyError):
        Certificate(data)
    with pytest.raises(UnreadableKeyError):
        parse_pem_certificates(data)


@settings(deadline=None)
@given(st.binary(max_size=600), st.booleans())
def test_no_pem_gives_anything_but_one_error(data, lines):
    body = base64.encodebytes(data) if lines else data
    with pytest.raises(UnreadableKeyError):
        parse_pem_certificates(b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n")


@cache
def full():
    """A certificate with every extension that is read."""
    return leaf(
        BETWEEN,
        names=[
            DNS("a.example"),
            MAIL("a@b.example"),
            URI("https://x.example/"),
            host("192.0.2.1"),
            x509.DirectoryName(name("x")),
        ],
        more=(
            (x509.NameConstraints([DNS("a"), net("192.0.2.0/24")], [MAIL("x.example")]), True),
            (x509.BasicConstraints(ca=True, path_length=1), True),
            (x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3"), ["text"])]), False),
            (unknown("1.3.6.1.4.1.57264.1.1", b"x"), False),
        ),
    ).der


@pytest.mark.parametrize("der", [LEAF.der, full()], ids=["leaf", "full"])
def test_no_changed_byte_of_a_certificate_is_trusted(der):
    assert found_or_refused(read(der))
    accepted = []
    for place in range(len(der)):
        for new in {der[place] ^ 1, der[place] ^ 0x20, der[place] ^ 0x80, 0, 0xFF, 0x30} - {der[place]}:
            changed = read(der[:place] + bytes([new]) + der[place + 1 :])
            if changed is not None and found_or_refused(changed):
                accepted.append((place, new))
    assert accepted == []


def test_no_changed_byte_of_an_authority_makes_a_trusted_one():
    """The intermediate is a stranger's text too."""
    der = BETWEEN.der
    accepted = []
    for place in range(len(der)):
        for new in {der[place] ^ 1, der[place] ^ 0x80, 0xFF} - {der[place]}:
            changed = read(der[:place] + bytes([new]) + der[place + 1 :])
            if changed is not None and found_or_refused(LEAF.value, between=changed):
                accepted.append((place, new))
    assert accepted == []


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_nothing_but_these_errors_from_mangled_certificates(data):
    der = bytearray(data.draw(st.sampled_from([LEAF.der, full(), ROOT.der])))
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(der) - 1))
        match data.draw(st.sampled_from(["set", "cut", "add"])):
            case "set":
                der[place] = data.draw(st.integers(0, 255))
            case "cut":
                del der[place : place + data.draw(st.integers(1, 40))]
            case "add":
                der[place:place] = data.draw(st.binary(max_size=10))
        if not der:
            return
    mangled = read(bytes(der))
    if mangled is None:
        return
    assert mangled.title
    found_or_refused(mangled)
    found_or_refused(LEAF.value, between=mangled)
    found_or_refused(LEAF.value, root=mangled)


@pytest.mark.parametrize(("number", "readable"), [(b"\x05", True), (b"\x00", True), (b"\xfb", False)])
def test_serial_numbers(number, readable):
    """cryptography warns of 0 and below; Go takes 0, which roots in use have, and refuses what is negative."""
    der = authority("x", serial=5).der
    at = der.index(b"\x02\x01\x05")
    changed = der[:at] + b"\x02\x01" + number + der[at + 3 :]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert (read(changed) is not None) == readable
