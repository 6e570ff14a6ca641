"""Is a certificate for whom the policy wants? Issuer, subject and every claim, each refused with what was found.

The certificate must have exactly one subject alternative name: Fulcio writes one, and of several no two readers choose
the same (cosign's legacy path tries all, its bundle path the first URI, else the first e-mail address).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from plimsoll.errors import IdentityMismatchError
from plimsoll.model.identity import Identity
from plimsoll.signatures.fulcio import CertificateClaims, San

GITHUB_WORKFLOW_CLAIMS: Final[Mapping[str, str]] = {
    "trigger": "githubWorkflowTrigger",
    "sha": "githubWorkflowSHA",
    "name": "githubWorkflowName",
    "repository": "githubWorkflowRepository",
    "ref": "githubWorkflowRef",
}
"""What follows ``--certificate-github-workflow-`` in cosign's options -> the claim."""
ISSUER_PRESETS: Final[Mapping[str, str]] = {
    "github-actions": "https://token.actions.githubusercontent.com",
    "gitlab": "https://gitlab.com",
}
"""A preset of the policy document -> the OIDC issuer that it stands for."""

_SHOWN_FAULTS: Final = 3


def check_identity(identity: Identity, claims: CertificateClaims) -> None:
    """Raise IdentityMismatchError unless all of ``identity`` matches; the certificate itself is proven elsewhere."""
    subject = _only_subject(claims.subjects)
    if not claims.issuer:
        raise IdentityMismatchError("the certificate names no OIDC issuer, as Fulcio's do")
    if not identity.issuer.matches(claims.issuer):
        raise IdentityMismatchError(f"the certificate's OIDC issuer is {claims.issuer!r:.160}, not {identity.issuer}")
    if not identity.subject.matches(subject.value):
        raise IdentityMismatchError(
            f"the certificate is for the {subject.kind} {subject.value!r:.160}, not for {identity.subject}"
        )
    for name, wanted in identity.claims:
        found = claims.extensions.get(name)
        if found is None:
            raise IdentityMismatchError(f"the certificate does not say {name}, which must be {wanted}")
        if not wanted.matches(found):
            raise IdentityMismatchError(f"the certificate's {name} is {found!r:.160}, not {wanted}")


def first_match(identities: tuple[Identity, ...], claims: CertificateClaims) -> Identity:
    """The first of ``identities`` that matches; raises IdentityMismatchError where none does, or there is none."""
    return all_matches(identities, claims)[0]


def all_matches(identities: tuple[Identity, ...], claims: CertificateClaims) -> tuple[Identity, ...]:
    """Those of ``identities`` that match; raises IdentityMismatchError where none does, or there is none."""
    faults: list[str] = []
    matching: list[Identity] = []
    for identity in identities:
        try:
            check_identity(identity, claims)
        except IdentityMismatchError as error:
            faults.append(str(error))
        else:
            matching.append(identity)
    if matching:
        return tuple(matching)
    if not faults:
        raise IdentityMismatchError("no identity is trusted here")
    different = list(dict.fromkeys(faults))  # the same fault of each, such as a second subject, is said once
    more = f"; and {len(different) - _SHOWN_FAULTS} more" if len(different) > _SHOWN_FAULTS else ""
    raise IdentityMismatchError("; ".join(different[:_SHOWN_FAULTS]) + more)


def _only_subject(subjects: tuple[San, ...]) -> San:
    if not subjects:
        raise IdentityMismatchError("the certificate is for nobody: it has no subject alternative name")
    if len(subjects) > 1:
        shown = ", ".join(f"{subject.value!r:.80}" for subject in subjects[:4])
        raise IdentityMismatchError(
            f"the certificate has {len(subjects)} subject alternative names, {shown}: exactly one is accepted"
        )
    (subject,) = subjects
    if subject.kind == "unknown" or not subject.value:
        raise IdentityMismatchError("the certificate's subject alternative name is empty or of a kind not understood")
    return subject
