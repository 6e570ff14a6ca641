"""An image whose signatures would cost too much to check is rejected, whatever was found; an honest one never is."""

from __future__ import annotations

import pytest

from fakes.documents import (
    ATT,
    CI,
    DIGEST,
    NOW_S,
    RAW,
    REFERRERS,
    SIG,
    attested,
    bundles,
    codes,
    document,
    ready,
    signed,
)
from fakes.signing import signed_attachment, signer
from plimsoll import limits
from plimsoll.errors import EffortExceededError, UntrustedKeyError
from plimsoll.model.evidence import Absent, Evidence, Found, Needs
from plimsoll.model.location import locate_docker
from plimsoll.model.reference import parse_docker_reference
from plimsoll.model.verdict import Outcome
from plimsoll.policy.evaluate import assess, judge
from plimsoll.policy.prepare import prepare
from plimsoll.policy.requirements import AdHoc, LogDemand
from plimsoll.signatures import cosign, verifying

ALICE = signer(name="alice")
STRANGER = signer(name="stranger")
IMAGE = "registry.example/team/app:v1"


def trusting(*keys, threshold=1, parts=1):
    def no_file(path):
        raise AssertionError(path)

    asked = AdHoc(keys=tuple(by.key for by in keys), threshold=threshold, log=LogDemand.IGNORED)
    return prepare((asked,) * parts, read_key=no_file, trust_root=None, attachments=True)


def evidence(answers=None, *, spent=0):
    return Evidence(
        image=IMAGE,
        location=locate_docker(parse_docker_reference(IMAGE)),
        manifest=RAW,
        digests=(DIGEST,),
        now_s=NOW_S,
        answers=answers or {},
        spent=spent,
    )


def layers(*by):
    return Found(attachments=tuple(signed_attachment(DIGEST, by=each) for each in by))


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(limits, "SIGNATURE_CHECKS_PER_IMAGE", 10)


@pytest.mark.usefixtures("few")
def test_a_place_that_is_too_dear_rejects_the_image_though_a_good_signature_is_there():
    for by in ([STRANGER] * 9 + [ALICE], [ALICE] + [STRANGER] * 9):
        assert judge(trusting(ALICE), evidence({SIG: layers(*by)})).outcome is Outcome.ACCEPTED
    for by in ([STRANGER] * 10 + [ALICE], [ALICE] + [STRANGER] * 10):
        found = judge(trusting(ALICE), evidence({SIG: layers(*by)}))
        assert (found.outcome, codes(found)) == (Outcome.REJECTED, ["limit-exceeded"])


@pytest.mark.usefixtures("few")
def test_nothing_is_checked_beyond_the_limit(monkeypatch):
    checks = []

    real = verifying.spend_check
    monkeypatch.setattr(verifying, "spend_check", lambda *key, **how: (real(*key, **how), checks.append(key)))
    judge(trusting(ALICE), evidence({SIG: layers(*[STRANGER] * 100)}))
    assert len(checks) == 10


@pytest.mark.usefixtures("few")
def test_what_the_turns_before_cost_counts():
    first = judge(trusting(ALICE), evidence({SIG: layers(*[STRANGER] * 4)}))
    assert isinstance(first, Needs)
    assert (first.places, first.spent) == ((REFERRERS,), 4)
    again = evidence({SIG: layers(*[STRANGER] * 4)}).with_answers({REFERRERS: Absent()}, spent=first.spent)
    assert again.spent == 4
    assert codes(judge(trusting(ALICE), again)) == ["untrusted-key"]
    dear = evidence({SIG: layers(*[STRANGER] * 4), REFERRERS: Absent()}, spent=7)
    assert codes(judge(trusting(ALICE), dear)) == ["limit-exceeded"]
    assert codes(assess(trusting(ALICE).requirements[0], trusting(ALICE), dear)) == ["limit-exceeded"]


@pytest.mark.usefixtures("few")
def test_all_requirements_of_an_image_share_the_limit():
    answers = {SIG: layers(ALICE, *[STRANGER] * 4)}
    assert judge(trusting(ALICE, parts=2), evidence(answers)).outcome is Outcome.ACCEPTED
    assert codes(judge(trusting(ALICE, parts=3), evidence(answers))) == ["limit-exceeded"]


@pytest.mark.usefixtures("few")
def test_who_catches_the_error_accepts_nothing_all_the_same(monkeypatch):
    def swallowing(*signature, **how):
        try:
            return cosign.verify_signature(*signature, **how)
        except EffortExceededError:
            raise UntrustedKeyError("some fault") from None

    monkeypatch.setattr("plimsoll.signatures.known_formats.verify_signature", swallowing)
    found = judge(trusting(ALICE), evidence({SIG: layers(ALICE, *[STRANGER] * 20)}))
    assert (found.outcome, codes(found)) == (Outcome.REJECTED, ["limit-exceeded"])


@pytest.mark.parametrize(
    ("most", "code"), [(5, "limit-exceeded"), (20, "limit-exceeded"), (500, "attestation-forbidden")]
)
def test_a_document_that_forbids_is_never_met_by_what_was_not_read(most, code, monkeypatch):
    """The attestation that must not be there stands behind junk that is too dear."""
    forbidding = document(
        {"attestation": {"type": "vuln", "from": ["ci"], "forbidden": True}}, keys=(), identities={"ci": CI}
    )
    monkeypatch.setattr(limits, "SIGNATURE_CHECKS_PER_IMAGE", most)
    junk = [attested(None, digest=DIGEST, predicate_type="https://x.example") for _ in range(4)]
    answers = {REFERRERS: bundles(*junk, attested(None)), ATT: Absent()}
    found = judge(ready(forbidding), evidence(answers))
    assert (found.outcome, codes(found)[0]) == (Outcome.REJECTED, code)


def test_64_keys_and_128_signatures_fit():
    """The largest honest image: the last of the signatures is by the last of the keys."""
    keys = [signer(name=f"key {at}") for at in range(64)]
    found = judge(trusting(*keys), evidence({SIG: layers(*[STRANGER] * 127, keys[-1])}))
    assert found.outcome is Outcome.ACCEPTED
    assert limits.SIGNATURE_CHECKS_PER_IMAGE >= 64 * 128 * 2  # with the turn before it


def test_128_bundles_by_an_identity_fit(monkeypatch):
    monkeypatch.setattr(limits, "SIGNATURE_CHECKS_PER_IMAGE", limits.SIGNATURE_CHECKS_PER_IMAGE // 16)
    asked = document({"signatures": {"from": ["ci"]}}, keys=(), identities={"ci": CI})
    made = signed(None)
    found = judge(ready(asked), evidence({REFERRERS: bundles(*[made] * 128)}))
    assert found.outcome is Outcome.ACCEPTED
