"""AdHoc with identities and a threshold: each identity counts once, and so does each signer, by whatever they match."""

from __future__ import annotations

from itertools import permutations

import pytest

from fakes.documents import DIGEST, codes, evidence, root, sigstore
from fakes.signing import signer
from fakes.sigstore import OIDC
from plimsoll.model.identity import Exact, Identity, Regexp, RegexpReading
from plimsoll.model.verdict import Outcome
from plimsoll.policy.evaluate import judge
from plimsoll.policy.prepare import prepare
from plimsoll.policy.requirements import AdHoc

WORKFLOW = "https://github.com/acme/{}/.github/workflows/release.yml@refs/heads/main"
APP, LIB, OTHER = (WORKFLOW.format(name) for name in ("app", "lib", "other"))


def identity(subject):
    return Identity(issuer=Exact(text=OIDC), subject=Exact(text=subject))


ACME = Identity(
    issuer=Exact(text=OIDC),
    subject=Regexp(pattern="https://github.com/acme/.*", reading=next(iter(RegexpReading))),
)


def made_by(subject, key="leaf"):
    by = sigstore().certificate(subject, by=signer(name=key))
    return sigstore().sign_image(DIGEST, by=by)


def judged(identities, threshold, *made):
    def no_file(path):
        raise AssertionError(path)

    asked = AdHoc(identities=tuple(identities), threshold=threshold)
    ready = prepare((asked,), read_key=no_file, trust_root=root(), attachments=True)
    return judge(ready, evidence(*made))


@pytest.mark.parametrize("identities", list(permutations((ACME, identity(OTHER)))), ids=["first", "last"])
def test_two_subjects_of_one_identity_count_once(identities):
    found = judged(identities, 2, made_by(APP, "a"), made_by(LIB, "b"))
    assert (found.outcome, codes(found)[0]) == (Outcome.REJECTED, "threshold-not-met")
    assert "1 of the trusted" in found.reasons[0].message
    assert judged(identities, 2, made_by(APP, "a"), made_by(OTHER, "b")).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize("made", list(permutations(((APP, "a"), (OTHER, "b")))))
def test_who_matches_two_identities_counts_for_the_one_that_needs_it(made):
    both = (ACME, identity(APP))
    assert judged(both, 2, *[made_by(*each) for each in made]).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize(
    "made", [[(APP, "a")], [(APP, "a"), (APP, "b")], [(APP, "a"), (OTHER, "a")]], ids=["one", "one signer", "one key"]
)
def test_one_signer_and_one_key_count_once_for_whatever_they_match(made):
    found = judged((ACME, identity(APP)), 2, *[made_by(*each) for each in made])
    assert (found.outcome, codes(found)[0]) == (Outcome.REJECTED, "threshold-not-met")


def test_one_is_enough_for_one():
    assert judged((ACME,), 1, made_by(APP)).outcome is Outcome.ACCEPTED
    assert judged((identity(OTHER),), 1, made_by(APP)).outcome is Outcome.REJECTED
