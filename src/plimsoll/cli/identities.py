"""The options that trust certificates: for whom, by which authority (cosign's names)."""

from __future__ import annotations

import argparse
from typing import Final

from plimsoll.cli.arguments import Parser
from plimsoll.config.keys import read_key_file
from plimsoll.errors import UnreadableKeyError, UsageError
from plimsoll.model.identity import Exact, Identity, Regexp, RegexpReading, TextMatch
from plimsoll.model.trusted_root import CertificateAuthority
from plimsoll.signatures.x509 import parse_pem_certificates

PAIR: Final = {
    "certificate_identity": "--certificate-identity",
    "certificate_identity_regexp": "--certificate-identity-regexp",
    "certificate_oidc_issuer": "--certificate-oidc-issuer",
    "certificate_oidc_issuer_regexp": "--certificate-oidc-issuer-regexp",
}
"""Of the first two one is needed, and of the last two one."""
WORKFLOW: Final = {
    "trigger": "githubWorkflowTrigger",
    "sha": "githubWorkflowSHA",
    "name": "githubWorkflowName",
    "repository": "githubWorkflowRepository",
    "ref": "githubWorkflowRef",
}
"""cosign's ``--certificate-github-workflow-...`` -> what Fulcio calls it."""
NARROWING: Final = {
    **{f"certificate_github_workflow_{name}": f"--certificate-github-workflow-{name}" for name in WORKFLOW},
    "ca_roots": "--ca-roots",
    "ca_intermediates": "--ca-intermediates",
}
"""What says more about certificates, and means nothing without the pair."""


def add_identity_arguments(parser: Parser) -> None:
    """Whom a certificate must be for, and who may have issued it."""
    parser.add_argument("--certificate-identity", metavar="TEXT", help="trust certificates of this subject")
    parser.add_argument("--certificate-identity-regexp", metavar="RE2", help="... of a subject that matches as a whole")
    parser.add_argument("--certificate-oidc-issuer", metavar="URL", help="for which this issuer vouched")
    parser.add_argument("--certificate-oidc-issuer-regexp", metavar="RE2", help="... an issuer that matches as a whole")
    for name in WORKFLOW:
        parser.add_argument(
            f"--certificate-github-workflow-{name}", metavar="TEXT", help=f"of a workflow with this {name}"
        )
    parser.add_argument("--ca-roots", metavar="FILE", help="trust these authorities (PEM) and not the trusted root's")
    parser.add_argument("--ca-intermediates", metavar="FILE", help="certificates (PEM) between them and the signers'")
    parser.add_boolean("--insecure-ignore-sct", default=None, help="demand no certificate timestamp")


def identity_of(arguments: argparse.Namespace, *, reading: RegexpReading) -> Identity | None:
    """The identity asked for; None where no option of the pair is given. Raises UsageError for half of it."""
    if all(getattr(arguments, name) is None for name in PAIR):
        return None
    subject = _match(arguments, "certificate_identity", reading)
    issuer = _match(arguments, "certificate_oidc_issuer", reading)
    claims = [
        (claim, Exact(text=value))
        for name, claim in WORKFLOW.items()
        if (value := getattr(arguments, f"certificate_github_workflow_{name}")) is not None
    ]
    return Identity(issuer=issuer, subject=subject, claims=tuple(claims))


def _match(arguments: argparse.Namespace, name: str, reading: RegexpReading) -> TextMatch:
    option, exact, pattern = PAIR[name], getattr(arguments, name), getattr(arguments, f"{name}_regexp")
    if (exact is None) == (pattern is None):
        raise UsageError(f"a certificate is trusted for a subject and its issuer: give one of {option}[-regexp]")
    if exact is not None:
        return Exact(text=exact)
    return Regexp(pattern=pattern, reading=reading)


def authorities_of(arguments: argparse.Namespace) -> tuple[CertificateAuthority, ...]:
    """The authorities of --ca-roots, each with all intermediates; raises UsageError, UnreadableKeyError."""
    if arguments.ca_roots is None:
        if arguments.ca_intermediates is not None:
            raise UsageError("--ca-intermediates lead to authorities: name those with --ca-roots")
        return ()
    between = () if arguments.ca_intermediates is None else _certificates("--ca-intermediates", arguments)
    return tuple(
        [
            CertificateAuthority(chain=(*between, root), valid_from_s=float("-inf"), valid_until_s=None)
            for root in _certificates("--ca-roots", arguments)
        ]
    )


def _certificates(option: str, arguments: argparse.Namespace) -> tuple[bytes, ...]:
    path: str = getattr(arguments, option.removeprefix("--").replace("-", "_"))
    try:
        return tuple([found.der for found in parse_pem_certificates(read_key_file(path).data)])
    except UnreadableKeyError as error:
        raise UnreadableKeyError(f"{option} {path}: {error}") from error
