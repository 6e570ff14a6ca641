"""Which trust a command line asks for: a policy, or keys at hand; the two exclude each other."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from typing import Final, get_args

from plimsoll.cli.arguments import Parser, count, pair
from plimsoll.config.trusted_root import read_trusted_root
from plimsoll.errors import TrustRootError, UsageError
from plimsoll.model.trusted_root import TrustRoot, parse_trusted_root
from plimsoll.pipeline.policies import Policy
from plimsoll.policy.requirements import LogDemand
from plimsoll.signatures.formats import HashName

_NOT_BUILT: Final = {
    "certificate_identity": "--certificate-identity",
    "certificate_identity_regexp": "--certificate-identity-regexp",
    "certificate_oidc_issuer": "--certificate-oidc-issuer",
    "certificate_oidc_issuer_regexp": "--certificate-oidc-issuer-regexp",
    "ca_roots": "--ca-roots",
    "ca_intermediates": "--ca-intermediates",
    "attestation_type": "--attestation-type",
}
"""Options of the contract whose meaning is not there yet: refused, never ignored."""
_AD_HOC: Final = {
    "annotation": "--annotations",
    "threshold": "--threshold",
    "insecure_ignore_tlog": "--insecure-ignore-tlog",
    "insecure_ignore_sct": "--insecure-ignore-sct",
    "signature_digest_algorithm": "--signature-digest-algorithm",
}
_POLICY: Final = {
    "policy": "--policy",
    "insecure_policy": "--insecure-policy",
    "require_signed": "--require-signed",
    "registries_d": "--registries.d",
}


def add_trust_arguments(parser: Parser) -> None:
    """The options that say who is trusted."""
    parser.add_argument("--policy", metavar="FILE", help="a containers policy.json instead of the one that is found")
    parser.add_argument(
        "--registries.d", dest="registries_d", metavar="DIR", help="the folder that says where signatures are"
    )
    parser.add_boolean("--insecure-policy", help="accept every image; nothing is verified")
    parser.add_boolean("--require-signed", help="reject images for which the policy verifies no signature")
    parser.add_argument(
        "--key", action="append", default=[], metavar="FILE", help="trust this public key; again: any of them"
    )
    parser.add_argument("--trusted-root", metavar="FILE", help="a sigstore trusted_root.json")
    parser.add_boolean("--insecure-ignore-tlog", help="demand no transparency-log entry")
    parser.add_boolean("--insecure-ignore-sct", help="demand no certificate timestamp (a key has none)")
    parser.add_argument(
        "--signature-digest-algorithm", choices=get_args(HashName), help="what the payload was hashed with (sha256)"
    )
    parser.add_argument(
        "-a",
        "--annotations",
        dest="annotation",
        action="append",
        default=[],
        type=pair,
        metavar="KEY=VALUE",
        help="the signature must carry this; again: all of them",
    )
    parser.add_argument("--threshold", type=count, metavar="N", help="so many distinct keys must have signed (1)")
    parser.add_boolean(
        "--offline", help="no connection but to registries and their token services (there is none other yet)"
    )
    for name, option in _NOT_BUILT.items():
        parser.add_argument(option, dest=name, metavar="VALUE", help=argparse.SUPPRESS)


def trust_of(arguments: argparse.Namespace) -> tuple[Policy, TrustRoot | None]:
    """The policy and root asked for; raises UsageError for what excludes each other, ConfigError for bad files."""
    for name, option in _NOT_BUILT.items():
        if getattr(arguments, name) is not None:
            raise UsageError(f"{option} is not built yet, so nothing can be verified with it")
    ad_hoc = _given(arguments, _AD_HOC)
    by_policy = _given(arguments, _POLICY)
    if ad_hoc and not arguments.key:
        raise UsageError(f"{ad_hoc[0]} says how to trust a key, and no --key is given")
    if arguments.key and by_policy:
        raise UsageError(f"--key and {by_policy[0]} exclude each other: trust keys, or follow a policy")
    if arguments.insecure_policy and (arguments.require_signed or arguments.policy is not None):
        raise UsageError("--insecure-policy excludes --require-signed and --policy")
    root = None if arguments.trusted_root is None else _root(arguments.trusted_root)
    return (_keys(arguments) if arguments.key else _policy(arguments)), root


def _given(arguments: argparse.Namespace, options: Mapping[str, str]) -> list[str]:
    # An empty text is given: `--policy "$UNSET"` must not fall through to another policy in silence.
    return [option for name, option in options.items() if getattr(arguments, name) not in (None, False, [])]


def _root(path: str) -> TrustRoot:
    found = read_trusted_root(path)
    try:
        return parse_trusted_root(found.data)
    except TrustRootError as error:
        raise TrustRootError(f"--trusted-root {path}: {error}") from error


def _keys(arguments: argparse.Namespace) -> Policy:
    return Policy.from_keys(
        *arguments.key,
        threshold=arguments.threshold or 1,
        annotations=arguments.annotation,
        log=LogDemand.IGNORED if arguments.insecure_ignore_tlog else LogDemand.REQUIRED,
        digest_algorithm=arguments.signature_digest_algorithm or "sha256",
    )


def _policy(arguments: argparse.Namespace) -> Policy:
    if arguments.insecure_policy:
        return Policy.accept_anything()
    return Policy.found(path=arguments.policy, environ=os.environ, require_signed=arguments.require_signed)
