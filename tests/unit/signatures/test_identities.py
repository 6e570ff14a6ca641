"""Identities against certificates: accepted when all of it matches, refused when any part alone does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.pki import OIDC, authority, issuers, leaf, unknown
from plimsoll import limits
from plimsoll.errors import IdentityMismatchError
from plimsoll.model.identity import CLAIM_OIDS, Exact, Glob, Identity, Regexp, RegexpReading
from plimsoll.signatures.fulcio import CertificateClaims, San, read_claims
from plimsoll.signatures.identities import GITHUB_WORKFLOW_CLAIMS, ISSUER_PRESETS, check_identity, first_match

GITHUB = "https://token.actions.githubusercontent.com"
WORKFLOW = "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1"
SUBJECT = San(kind="uri", value=WORKFLOW)
CLAIMS = CertificateClaims(
    subjects=(SUBJECT,), issuer=GITHUB, extensions={"buildTrigger": "push", "runnerEnvironment": "github-hosted"}
)
IDENTITY = Identity(
    issuer=Exact(text=GITHUB),
    subject=Glob(pattern="https://github.com/acme/*/.github/workflows/release.yml@refs/tags/*"),
    claims=(("buildTrigger", Exact(text="push")), ("runnerEnvironment", Regexp(pattern="github-.*"))),
)
NOBODY = Exact(text="nobody")


def refused(identity, claims, match):
    with pytest.raises(IdentityMismatchError, match=match) as raised:
        check_identity(identity, claims)
    assert len(str(raised.value)) < 2 * limits.TEXT_CHARS


def test_all_of_it_matches():
    check_identity(IDENTITY, CLAIMS)
    assert first_match((IDENTITY,), CLAIMS) is IDENTITY


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"issuer": Exact(text="https://gitlab.com")}, f"issuer is '{GITHUB}', not 'https://gitlab.com'"),
        ({"issuer": Regexp(pattern="https://token.actions.githubusercontent.co")}, "not the regexp"),
        ({"subject": Glob(pattern="https://github.com/acme/*")}, "is for the uri 'https://github.com/acme/app/"),
        ({"subject": NOBODY}, "not for 'nobody'"),
        ({"claims": (("buildTrigger", Exact(text="pull_request")),)}, "buildTrigger is 'push', not 'pull_request'"),
        (
            {"claims": (("githubWorkflowRef", Exact(text="main")),)},
            "does not say githubWorkflowRef, which must be 'main'",
        ),
        ({"claims": (("githubWorkflowRef", Regexp(pattern=".*")),)}, "does not say githubWorkflowRef"),
        ({"claims": (*IDENTITY.claims, ("buildConfigURI", NOBODY))}, "does not say buildConfigURI"),
    ],
)
def test_another_identity_is_refused_and_the_message_says_both(changed, match):
    refused(replace(IDENTITY, **changed), CLAIMS, match)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"issuer": None}, "names no OIDC issuer"),
        ({"issuer": ""}, "names no OIDC issuer"),
        ({"issuer": GITHUB + ".evil.example"}, "issuer is"),
        ({"issuer": GITHUB + "\n"}, "issuer is"),
        ({"subjects": ()}, "is for nobody"),
        ({"subjects": (SUBJECT, SUBJECT)}, "2 subject alternative names"),
        ({"subjects": (SUBJECT, San(kind="email", value="evil@evil.example"))}, "exactly one is accepted"),
        ({"subjects": (SUBJECT, San(kind="unknown", value=""))}, "exactly one is accepted"),
        ({"subjects": (San(kind="unknown", value=""),)}, "not understood"),
        ({"subjects": (San(kind="uri", value=""),)}, "empty"),
        ({"subjects": (San(kind="uri", value=WORKFLOW + "/x"),)}, "is for the uri"),
        ({"extensions": {}}, "does not say buildTrigger"),
        ({"extensions": {"buildTrigger": "push"}}, "does not say runnerEnvironment"),
        ({"extensions": CLAIMS.extensions | {"buildTrigger": ""}}, "buildTrigger is ''"),
    ],
)
def test_another_certificate_is_refused(changed, match):
    refused(IDENTITY, replace(CLAIMS, **changed), match)


def test_nothing_is_matched_by_anything_where_there_is_nothing():
    anybody = Identity(issuer=Regexp(pattern=".*"), subject=Regexp(pattern=".*"))
    check_identity(anybody, CLAIMS)
    refused(anybody, replace(CLAIMS, issuer=""), "no OIDC issuer")
    refused(anybody, replace(CLAIMS, subjects=(San(kind="email", value=""),)), "empty")
    refused(anybody, replace(CLAIMS, subjects=(San(kind="unknown", value=""),)), "not understood")


def test_cosigns_reading_is_a_search():
    wanted = "https://github.com/acme/"
    found = replace(IDENTITY, subject=Regexp(pattern=wanted, reading=RegexpReading.SEARCH))
    check_identity(found, CLAIMS)
    refused(replace(found, subject=Regexp(pattern=wanted)), CLAIMS, "not for the regexp")


@pytest.mark.parametrize("kind", ["uri", "email", "dns", "ip", "username"])
def test_every_kind_of_name_can_be_asked_for(kind):
    check_identity(replace(IDENTITY, subject=Exact(text="a")), replace(CLAIMS, subjects=(San(kind=kind, value="a"),)))


def test_messages_are_bounded_and_on_one_line():
    long = Exact(text="w\n" * 2000)
    wanted = Identity(issuer=long, subject=long, claims=tuple((name, long) for name in CLAIM_OIDS))
    many = tuple(replace(wanted, subject=Exact(text=f"{at}" * 500)) for at in range(10))
    said = CertificateClaims(
        subjects=(San(kind="uri", value="s\n" * 5000),), issuer="i\n" * 5000, extensions={"buildTrigger": "t\n" * 5000}
    )
    for claims in (said, replace(said, subjects=said.subjects * 100), replace(said, issuer="w\n" * 2000)):
        with pytest.raises(IdentityMismatchError) as raised:
            first_match(many, claims)
        assert len(str(raised.value)) < 2 * limits.TEXT_CHARS
        assert "\n" not in str(raised.value)


# ---- several identities ----------------------------------------------------------------------------------------------


def test_the_first_that_matches_is_named():
    other = replace(IDENTITY, subject=NOBODY)
    wide = replace(IDENTITY, claims=())
    assert first_match((other, wide, IDENTITY), CLAIMS) is wide


def test_of_several_that_do_not_match_each_reason_is_told():
    others = tuple(replace(IDENTITY, subject=Exact(text=f"other {at}")) for at in range(5))
    with pytest.raises(IdentityMismatchError, match=r"'other 0'; .*'other 1'; .*'other 2'; and 2 more"):
        first_match(others, CLAIMS)
    with pytest.raises(IdentityMismatchError) as raised:
        first_match(others, replace(CLAIMS, issuer=None))
    assert str(raised.value) == "the certificate names no OIDC issuer, as Fulcio's do"


def test_parts_of_two_identities_make_no_identity():
    one = Identity(issuer=Exact(text=GITHUB), subject=NOBODY)
    two = Identity(issuer=Exact(text="https://gitlab.com"), subject=Exact(text=WORKFLOW))
    with pytest.raises(IdentityMismatchError):
        first_match((one, two), CLAIMS)


def test_without_an_identity_nobody_is_trusted():
    with pytest.raises(IdentityMismatchError, match="no identity is trusted"):
        first_match((), CLAIMS)


# ---- every field counts ----------------------------------------------------------------------------------------------

TEXT = st.text("abc/.*@", min_size=1, max_size=8)
KINDS = st.sampled_from(["exact", "regexp", "glob"])


def wanting(kind, text):
    """A match of `text` of the kind asked for."""
    match kind:
        case "exact":
            return Exact(text=text)
        case "regexp":
            return Regexp(pattern="".join(f"[{mark}]" for mark in text))
        case _:
            return Exact(text=text) if "*" in text else Glob(pattern=text)


@settings(max_examples=60, deadline=None)
@given(
    issuer=TEXT,
    subject=TEXT,
    extensions=st.dictionaries(st.sampled_from(sorted(CLAIM_OIDS)), TEXT, max_size=4),
    kinds=st.lists(KINDS, min_size=6, max_size=6),
)
def test_every_field_falsified_alone_flips_the_outcome(issuer, subject, extensions, kinds):
    """CVE-2025-29778: a field of a policy that nobody looks at."""
    claims = CertificateClaims(subjects=(San(kind="uri", value=subject),), issuer=issuer, extensions=extensions)
    wanted = Identity(
        issuer=wanting(kinds[0], issuer),
        subject=wanting(kinds[1], subject),
        claims=tuple((name, wanting(kinds[2 + at], text)) for at, (name, text) in enumerate(extensions.items())),
    )
    check_identity(wanted, claims)
    falsified = [
        (replace(wanted, issuer=wanting(kinds[0], issuer + "x")), claims),
        (replace(wanted, subject=wanting(kinds[1], subject + "x")), claims),
        (wanted, replace(claims, issuer=issuer + "x")),
        (wanted, replace(claims, subjects=(San(kind="uri", value="x" + subject),))),
    ]
    for at, (name, text) in enumerate(extensions.items()):
        others = (*wanted.claims[:at], (name, wanting(kinds[2 + at], "x" + text)), *wanted.claims[at + 1 :])
        falsified.append((replace(wanted, claims=others), claims))
        falsified.append((wanted, replace(claims, extensions=extensions | {name: text + "x"})))
        without = {other: value for other, value in extensions.items() if other != name}
        falsified.append((wanted, replace(claims, extensions=without)))
    for identity, said in falsified:
        with pytest.raises(IdentityMismatchError):
            check_identity(identity, said)


# ---- cosign's options, presets, and a certificate --------------------------------------------------------------------


def test_cosigns_workflow_options_are_claims():
    assert set(GITHUB_WORKFLOW_CLAIMS) == {"trigger", "sha", "name", "repository", "ref"}
    assert [CLAIM_OIDS[name].rpartition(".")[2] for name in GITHUB_WORKFLOW_CLAIMS.values()] == [
        "2",
        "3",
        "4",
        "5",
        "6",
    ]


def test_presets_are_issuers():
    assert ISSUER_PRESETS == {"github-actions": GITHUB, "gitlab": "https://gitlab.com"}


def test_from_a_certificate():
    end = leaf(
        authority("root"),
        names=[x509.UniformResourceIdentifier(WORKFLOW)],
        more=(*issuers(), (unknown(CLAIM_OIDS["githubWorkflowTrigger"], b"push"), False)),
    )
    wanted = replace(IDENTITY, issuer=Exact(text=OIDC), claims=(("githubWorkflowTrigger", Exact(text="push")),))
    check_identity(wanted, read_claims(end.value))
    refused(
        replace(wanted, claims=(("githubWorkflowTrigger", Exact(text="pull")),)), read_claims(end.value), "is 'push'"
    )
