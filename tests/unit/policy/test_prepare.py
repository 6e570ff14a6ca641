"""prepare: keys read once, and a key that cannot be had is remembered, never skipped."""

from __future__ import annotations

import pytest

from fakes.signing import rekor, signer, trusted_root_bytes
from plimsoll.errors import UnreadableKeyError
from plimsoll.model.trusted_root import TrustRoot, parse_trusted_root
from plimsoll.model.verdict import Outcome, Reason
from plimsoll.policy.identity import MatchRepository
from plimsoll.policy.prepare import prepare
from plimsoll.policy.requirements import (
    AcceptAnything,
    AdHoc,
    FulcioTrust,
    KeySource,
    KeyType,
    LogDemand,
    PkiTrust,
    Reject,
    SignedBaseLayer,
    SignedBy,
    SigstoreSigned,
)
from plimsoll.signatures.formats import KeyTrust, LogByKeys, LogByRoot, LogIgnored
from plimsoll.signatures.known_formats import FORMATS
from plimsoll.signatures.trust_index import index_root

ALICE, BOB = signer("p256", "alice"), signer("p256", "bob")
ROOT = index_root(parse_trusted_root(trusted_root_bytes(rekor().trusted())))


class Files:
    """Key files, and what was read of them."""

    def __init__(self, **files):
        self.files = files
        self.read = []

    def __call__(self, path):
        self.read.append(path)
        if path not in self.files:
            raise UnreadableKeyError(f"no such file: {path}")
        return self.files[path]


def sigstore(*, paths=(), data=(), rekor_keys=None, fulcio=None, pki=None, keyed=True):
    return SigstoreSigned(
        keys=KeySource(paths=paths, data=data, where="default[0].keyPaths") if keyed else None,
        fulcio=fulcio,
        pki=pki,
        rekor_keys=rekor_keys,
        identity=MatchRepository(),
        where="default[0]",
    )


def trust_of(requirement, *, files=None, root=ROOT):
    (item,) = prepare((requirement,), read_key=files or Files(), trust_root=root, attachments=True).requirements
    assert item.requirement == requirement
    return item.trust


def test_the_list_stays_as_it_is():
    requirements = (AcceptAnything(), Reject(), sigstore(data=(ALICE.pem,)))
    found = prepare(
        requirements, read_key=Files(), trust_root=None, attachments=False, scope="docker/x", require_signed=True
    )
    assert tuple(item.requirement for item in found.requirements) == requirements
    assert (found.attachments, found.scope, found.require_signed) == (False, "docker/x", True)
    assert found.formats == FORMATS


def test_nothing_asked_stays_nothing():
    assert prepare((), read_key=Files(), trust_root=None, attachments=True).requirements == ()


@pytest.mark.parametrize(
    "requirement", [AcceptAnything(), Reject(), SignedBaseLayer(base_layer_identity=MatchRepository())]
)
def test_what_uses_no_key_reads_none(requirement):
    files = Files()
    assert trust_of(requirement, files=files) is None
    assert files.read == []


def test_keys_from_files_and_from_the_policy():
    files = Files(a=ALICE.pem)
    found = trust_of(sigstore(paths=("a",), data=(BOB.pem,)), files=files)
    assert found == KeyTrust(keys=(ALICE.key, BOB.key), log=LogIgnored())
    assert files.read == ["a"]


def test_one_key_in_two_files_is_one_key():
    """CVE-2020-6174: key material counts, not its names."""
    files = Files(a=ALICE.pem, b=ALICE.pem.replace(b"\n", b"\r\n"))
    assert trust_of(sigstore(paths=("a", "b"), data=(ALICE.pem,)), files=files).keys == (ALICE.key,)


def test_an_empty_source_holds_no_key():
    assert trust_of(sigstore()) == KeyTrust(keys=(), log=LogIgnored())


def test_log_keys():
    log_pem = rekor().signer.pem
    found = trust_of(sigstore(data=(ALICE.pem,), rekor_keys=KeySource(paths=("log",))), files=Files(log=log_pem))
    assert found == KeyTrust(keys=(ALICE.key,), log=LogByKeys(keys=(rekor().signer.key,)))
    empty = trust_of(sigstore(data=(ALICE.pem,), rekor_keys=KeySource()))
    assert empty.log == LogByKeys(keys=())  # demanded, and satisfied by nothing; never ignored


def test_the_trusted_root_is_not_policy_jsons():
    assert trust_of(sigstore(data=(ALICE.pem,)), root=ROOT).log == LogIgnored()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"paths": ("a", "missing")}, ["'missing'", "default[0].keyPaths"]),
        ({"paths": ("missing", "a")}, ["'missing'"]),
        ({"paths": ("a", "junk")}, ["'junk'", "PEM"]),
        ({"paths": ("a",), "data": (BOB.pem, b"junk")}, ["key 1 given inline", "default[0].keyPaths"]),
        ({"data": (ALICE.pem + BOB.pem,)}, ["key 0 given inline", "2 PEM blocks"]),
        ({"data": (b"",)}, ["key 0 given inline"]),
    ],
)
def test_one_unreadable_key_spoils_all(source, said):
    files = Files(a=ALICE.pem, junk=b"junk")
    found = trust_of(sigstore(**source), files=files)
    assert isinstance(found, Reason)
    assert (found.code, found.outcome) == ("key-unreadable", Outcome.UNDETERMINED)
    for part in said:
        assert part in found.message


def test_an_unreadable_log_key_spoils_the_trust():
    for source in (KeySource(paths=("missing",), where="default[0].rekorPublicKeyPath"), KeySource(data=(b"x",))):
        found = trust_of(sigstore(data=(ALICE.pem,), rekor_keys=source))
        assert isinstance(found, Reason)
        assert found.code == "key-unreadable"


def test_ad_hoc_keys_use_the_root():
    asked = AdHoc(keys=(ALICE.key,), digest_algorithm="sha512")
    assert trust_of(asked) == KeyTrust(keys=(ALICE.key,), log=LogByRoot(root=ROOT), hash_name="sha512")
    ignoring = AdHoc(keys=(ALICE.key,), log=LogDemand.IGNORED)
    assert trust_of(ignoring) == KeyTrust(keys=(ALICE.key,), log=LogIgnored())


def test_without_a_root_a_demanded_log_is_still_demanded():
    assert trust_of(AdHoc(keys=(ALICE.key,)), root=None).log == LogByRoot(root=index_root(TrustRoot()))


CA = KeySource(data=(b"ca",))
FULCIO = FulcioTrust(ca=CA, oidc_issuer="https://issuer.example", subject_email="a@example.org")
PKI = PkiTrust(roots=CA, intermediates=None, subject_email="a@example.org", subject_hostname=None)


@pytest.mark.parametrize(
    ("requirement", "what"),
    [
        (sigstore(data=(ALICE.pem,), fulcio=FULCIO), "sigstoreSigned"),
        (sigstore(data=(ALICE.pem,), pki=PKI), "sigstoreSigned"),
        (sigstore(keyed=False, fulcio=FULCIO, pki=PKI), "sigstoreSigned"),
        (sigstore(keyed=False, pki=PKI, rekor_keys=KeySource()), "sigstoreSigned"),
        (sigstore(keyed=False), "sigstoreSigned"),
        (SignedBy(key_type=KeyType.X509_CERTIFICATES, keys=CA, identity=MatchRepository(), where="x"), "signedBy"),
    ],
)
def test_what_cannot_be_judged_is_said(requirement, what):
    """Above all: two kinds of trust in one requirement are not one of them alone."""
    files = Files()
    found = trust_of(requirement, files=files)
    assert isinstance(found, Reason)
    assert (found.code, found.outcome) == ("unsupported", Outcome.UNDETERMINED)
    assert what in found.message
    assert requirement.where in found.message
    assert files.read == []


@pytest.mark.parametrize("requirement", [sigstore(keyed=False, fulcio=FULCIO), sigstore(keyed=False, pki=PKI)])
def test_an_unreadable_authority_spoils_the_trust(requirement):
    found = trust_of(requirement)
    assert isinstance(found, Reason)
    assert (found.code, found.outcome) == ("key-unreadable", Outcome.UNDETERMINED)


def test_a_gpg_requirement_never_becomes_trust_in_keys():
    requirement = SignedBy(key_type=KeyType.GPG_KEYS, keys=KeySource(data=(ALICE.pem,)), identity=MatchRepository())
    assert not isinstance(trust_of(requirement), KeyTrust)
