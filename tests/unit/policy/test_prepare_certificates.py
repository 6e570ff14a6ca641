"""prepare and judge with certificates: files to trust, a failure to a Reason, and the verdict that comes of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fakes.pki import EMAIL, HOST, OIDC, YEAR_S, authority, bundle, issuers, leaf
from fakes.signing import BUNDLE, LOGGED_AT_S, SIGNATURE, attachment, b64, payload_bytes, rekor, signer
from plimsoll.errors import UnreadableKeyError
from plimsoll.model.evidence import Evidence, Found
from plimsoll.model.location import locate_docker
from plimsoll.model.manifest import RawManifest
from plimsoll.model.reference import parse_docker_reference
from plimsoll.model.verdict import Judgement, Outcome, Reason
from plimsoll.policy.evaluate import judge
from plimsoll.policy.identity import MatchRepository
from plimsoll.policy.prepare import prepare
from plimsoll.policy.requirements import FulcioTrust, KeySource, PkiTrust, SigstoreSigned
from plimsoll.signatures.certificates import FulcioCertificates, PkiCertificates
from plimsoll.signatures.cosign import CERTIFICATE_ANNOTATION, CHAIN_ANNOTATION

ROOT = authority("root")
BETWEEN = authority("between", parent=ROOT)
EVIL = authority("root", by=signer("p256", "evil"))
LOG_KEY = rekor().signer
RAW = RawManifest(data=b"the image")
IMAGE = "registry.example/team/app:v1"
NOW_S = LOGGED_AT_S + YEAR_S / 2
SECRET = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
FILES = {
    "root": ROOT.pem.encode(),
    "evil": EVIL.pem.encode(),
    "both": bundle(EVIL, ROOT).encode(),
    "between": BETWEEN.pem.encode(),
    "log": LOG_KEY.pem,
    "empty": b"",
    "junk": b"junk",
    "secret": ROOT.pem.encode() + SECRET,
}


def read_key(path):
    if path not in FILES:
        raise UnreadableKeyError(f"no such file: {path}")
    return FILES[path]


def source(*paths, data=(), where="default[0].x"):
    return KeySource(paths=paths, data=data, where=where)


def fulcio(ca=None, *, rekor_keys=None, issuer=OIDC, email=EMAIL):
    return SigstoreSigned(
        keys=None,
        fulcio=FulcioTrust(ca=ca or source("root"), oidc_issuer=issuer, subject_email=email),
        pki=None,
        rekor_keys=rekor_keys or source("log"),
        identity=MatchRepository(),
        where="default[0]",
    )


def pki(roots=None, *, intermediates=None, email=EMAIL, hostname=None):
    return SigstoreSigned(
        keys=None,
        fulcio=None,
        pki=PkiTrust(
            roots=roots or source("root"), intermediates=intermediates, subject_email=email, subject_hostname=hostname
        ),
        rekor_keys=None,
        identity=MatchRepository(),
        where="default[0]",
    )


def ready(*requirements):
    return prepare(requirements, read_key=read_key, trust_root=None, attachments=True)


def trust_of(requirement):
    return ready(requirement).requirements[0].trust


def test_fulcio():
    wanted = FulcioCertificates(ca=(ROOT.value,), oidc_issuer=OIDC, subject_email=EMAIL, rekor_keys=(LOG_KEY.key,))
    assert trust_of(fulcio()) == wanted
    assert trust_of(fulcio(source(data=(ROOT.pem.encode(),)))) == wanted
    assert trust_of(fulcio(source("both"))) == replace(wanted, ca=(EVIL.value, ROOT.value))
    assert trust_of(replace(fulcio(), rekor_keys=None)) == replace(wanted, rekor_keys=())  # demanded, met by nothing


def test_pki():
    wanted = PkiCertificates(roots=(ROOT.value,), subject_email=EMAIL)
    assert trust_of(pki()) == wanted
    assert trust_of(pki(hostname=HOST, email=None)) == replace(wanted, subject_email=None, subject_hostname=HOST)
    between = source("between", data=(ROOT.pem.encode(),))
    assert trust_of(pki(intermediates=between)) == replace(wanted, intermediates=(BETWEEN.value, ROOT.value))
    assert trust_of(pki(source("root", "root"))) == wanted


@pytest.mark.parametrize("name", ["missing", "empty", "junk", "secret", "log"])
@pytest.mark.parametrize(
    "make",
    [
        lambda name: fulcio(source("root", name)),
        lambda name: fulcio(source(name, "root")),
        lambda name: pki(source(name)),
        lambda name: pki(intermediates=source("between", name)),
    ],
)
def test_one_unreadable_file_spoils_all(make, name):
    found = trust_of(make(name))
    assert isinstance(found, Reason)
    assert (found.code, found.outcome) == ("key-unreadable", Outcome.UNDETERMINED)
    assert f"{name!r}" in found.message
    assert "default[0].x" in found.message
    assert "AAAA" not in found.message


def test_a_certificate_is_no_log_key():
    found = trust_of(fulcio(rekor_keys=source("root")))
    assert isinstance(found, Reason)
    assert found.code == "key-unreadable"


def test_what_stands_in_the_policy_is_named_by_its_place():
    found = trust_of(fulcio(source(data=(ROOT.pem.encode(), b"junk"))))
    assert isinstance(found, Reason)
    assert "certificate 1 given inline at default[0].x" in found.message


# ---- to the verdict --------------------------------------------------------------------------------------------------


def signed(end, *, at_s=LOGGED_AT_S, logged=True, image="registry.example/team/app"):
    payload = payload_bytes(RAW.digest, reference=image)
    signature = end.by.sign(payload)
    annotations = {
        SIGNATURE: b64(signature),
        CERTIFICATE_ANNOTATION: end.pem,
        CHAIN_ANNOTATION: bundle(BETWEEN, ROOT),
    }
    if logged:
        annotations[BUNDLE] = rekor().log(payload, signature, end.pem.encode(), at_s=at_s)
    return attachment(payload, annotations=annotations)


def verdict(requirement, *attachments, now_s=NOW_S):
    prepared = ready(requirement)
    evidence = Evidence(
        image=IMAGE,
        location=locate_docker(parse_docker_reference(IMAGE)),
        manifest=RAW,
        digests=(RAW.digest,),
        now_s=now_s,
        answers={},
    )
    asked = judge(prepared, evidence)
    assert not isinstance(asked, Judgement)
    found = judge(
        prepared, replace(evidence, answers={place: Found(attachments=attachments) for place in asked.places})
    )
    assert isinstance(found, Judgement)
    return found


def codes(judged):
    return [reason.code for reason in judged.reasons]


SHORT = leaf(BETWEEN, more=issuers(), first=LOGGED_AT_S - 60, last=LOGGED_AT_S + 540)
LONG = leaf(BETWEEN)


def test_accepted():
    judged = verdict(fulcio(), signed(SHORT))
    assert (judged.outcome, judged.reasons) == (Outcome.ACCEPTED, ())
    assert [record.key for record in judged.signatures] == [SHORT.by.fingerprint]
    assert verdict(pki(), signed(LONG, logged=False)).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize(
    ("requirement", "found", "code"),
    [
        (fulcio(), signed(SHORT, at_s=LOGGED_AT_S + 541), "certificate-expired"),
        (fulcio(), signed(SHORT, logged=False), "log-proof-missing"),
        (fulcio(rekor_keys=source(data=(signer().pem,))), signed(SHORT), "log-proof-invalid"),
        (fulcio(source("evil")), signed(SHORT), "certificate-untrusted"),
        (fulcio(issuer="https://other.example"), signed(SHORT), "identity-mismatch"),
        (fulcio(email="other@acme.example"), signed(SHORT), "identity-mismatch"),
        (fulcio(), signed(SHORT, image="registry.example/other"), "identity-mismatch"),
        (pki(source("evil")), signed(LONG), "certificate-untrusted"),
        (pki(), signed(SHORT), "certificate-expired"),
        (pki(hostname="other.example"), signed(LONG), "identity-mismatch"),
        (pki(), signed(LONG, image="registry.example/other"), "identity-mismatch"),
    ],
)
def test_rejected(requirement, found, code):
    judged = verdict(requirement, found)
    assert (judged.outcome, codes(judged)) == (Outcome.REJECTED, [code])


def test_the_present_is_the_evidences():
    late = NOW_S + YEAR_S
    assert codes(verdict(pki(), signed(LONG), now_s=late)) == ["certificate-expired"]
    assert verdict(fulcio(), signed(SHORT), now_s=late).outcome is Outcome.ACCEPTED


def test_one_good_signature_of_many_is_enough():
    bad = signed(SHORT, at_s=LOGGED_AT_S + 541)
    assert verdict(fulcio(), bad, signed(SHORT), bad).outcome is Outcome.ACCEPTED
    assert verdict(fulcio(), bad, bad).outcome is Outcome.REJECTED


def test_an_unreadable_authority_never_hides_that_there_is_no_signature():
    assert codes(verdict(fulcio(source("missing")))) == ["no-signature"]
    assert verdict(fulcio(source("missing")), signed(SHORT)).outcome is Outcome.UNDETERMINED
