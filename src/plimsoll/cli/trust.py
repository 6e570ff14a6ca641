"""Which trust a command line asks for: a policy, or keys or identities at hand; they exclude each other."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from typing import Final, get_args

from plimsoll.cli.arguments import Parser, count
from plimsoll.cli.identities import NARROWING, PAIR, add_identity_arguments, authorities_of, identity_of
from plimsoll.config.trusted_root import read_trusted_root
from plimsoll.errors import TrustRootError, UsageError
from plimsoll.model.identity import Identity, RegexpReading
from plimsoll.model.trust import HashName
from plimsoll.model.trusted_root import TrustRoot, parse_trusted_root
from plimsoll.pipeline.policies import Policy
from plimsoll.policy.requirements import CountsAs, LogDemand
from plimsoll.signatures.formats import SctDemand

_OF_KEYS: Final = {"signature_digest_algorithm": "--signature-digest-algorithm"}
_AD_HOC: Final = {
    "annotation": "--annotations",
    "threshold": "--threshold",
    "insecure_ignore_tlog": "--insecure-ignore-tlog",
    "insecure_ignore_sct": "--insecure-ignore-sct",
    "attestation_type": "--attestation-type",
    "cosign_compatible": "--cosign-compatible",
    **NARROWING,
    **_OF_KEYS,
}
_POLICY: Final = {
    "policy": "--policy",
    "insecure_policy": "--insecure-policy",
    "require_signed": "--require-signed",
    "registries_d": "--registries.d",
}


def add_trust_arguments(parser: Parser) -> None:
    """The options that say who is trusted."""
    parser.add_argument(
        "--policy", metavar="FILE", help="a policy.json or a plimsoll document, not the one that is found"
    )
    parser.add_argument(
        "--registries.d", dest="registries_d", metavar="DIR", help="the folder that says where signatures are"
    )
    parser.add_boolean("--insecure-policy", default=None, help="accept every image; nothing is verified")
    parser.add_boolean(
        "--require-signed", default=None, help="reject images for which the policy verifies no signature"
    )
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        metavar="FILE|URI",
        help="trust this public key (env:, pkcs11:, hashivault:, openbao: and awskms: too); again: any of them",
    )
    add_identity_arguments(parser)
    parser.add_argument(
        "--trusted-root", metavar="FILE", help="a sigstore trusted_root.json (the public-good instance's)"
    )
    parser.add_boolean("--insecure-ignore-tlog", default=None, help="demand no transparency-log entry")
    parser.add_argument(
        "--signature-digest-algorithm", choices=get_args(HashName), help="what the payload was hashed with (sha256)"
    )
    parser.add_pairs("-a", "--annotations", dest="annotation", help="the signature must carry this; again: all of them")
    parser.add_argument("--threshold", type=count, metavar="N", help="so many distinct keys must have signed (1)")
    add_offline_argument(parser)
    parser.add_argument(
        "--attestation-type",
        action="append",
        default=[],
        metavar="TYPE",
        help="ask for an attestation of this type instead of a signature; again: all of them",
    )
    parser.add_boolean(
        "--cosign-compatible",
        default=None,
        help="regexps find, and an attestation counts as a signature, as in cosign",
    )


def add_offline_argument(parser: Parser) -> None:
    """The option that bans KMSs, in ``--key`` and in a policy."""
    parser.add_boolean("--offline", help="no connection but to registries and their token services: none to a KMS")


def trust_of(arguments: argparse.Namespace) -> tuple[Policy, TrustRoot | None]:
    """The policy and root asked for; raises UsageError for what excludes each other, ConfigError for bad files."""
    reading = RegexpReading.SEARCH if arguments.cosign_compatible else RegexpReading.FULL
    identity = identity_of(arguments, reading=reading)
    ad_hoc = _given(arguments, _AD_HOC)
    by_policy = _given(arguments, _POLICY)
    if ad_hoc and not arguments.key and identity is None:
        raise UsageError(f"{ad_hoc[0]} says how to trust a key, and no --key is given (nor a certificate's identity)")
    if (arguments.key or identity) and by_policy:
        asked = "--key" if arguments.key else "--certificate-identity"
        raise UsageError(f"{asked} and {by_policy[0]} exclude each other: trust keys, or follow a policy")
    if arguments.key and (identity is not None or _given(arguments, NARROWING)):
        given = [*_given(arguments, PAIR), *_given(arguments, NARROWING)]
        raise UsageError(f"--key and {given[0]} exclude each other: trust a key, or certificates")
    if arguments.insecure_policy and (arguments.require_signed or arguments.policy is not None):
        raise UsageError("--insecure-policy excludes --require-signed and --policy")
    root = None if arguments.trusted_root is None else _root(arguments.trusted_root)
    if arguments.key:
        return _keys(arguments), root
    return (_policy(arguments) if identity is None else _identity(arguments, identity)), root


def _given(arguments: argparse.Namespace, options: Mapping[str, str]) -> list[str]:
    # An empty text is given, and so is `=false`: neither may fall through to another policy in silence.
    return [option for name, option in options.items() if getattr(arguments, name) not in (None, [])]


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
        attestation_types=arguments.attestation_type,
        counts_as=_counts_as(arguments),
        environ=os.environ,
        offline=arguments.offline,
    )


def _identity(arguments: argparse.Namespace, identity: Identity) -> Policy:
    of_keys = _given(arguments, _OF_KEYS)
    if of_keys:
        raise UsageError(f"{of_keys[0]} is for keys: a certificate's says how it signs")
    if arguments.threshold not in (None, 1):
        raise UsageError(f"--threshold {arguments.threshold}: one identity is one signer, so at most 1")
    return Policy.from_identities(
        identity,
        annotations=arguments.annotation,
        log=LogDemand.IGNORED if arguments.insecure_ignore_tlog else LogDemand.REQUIRED,
        sct=SctDemand.IGNORED if arguments.insecure_ignore_sct else SctDemand.REQUIRED,
        authorities=authorities_of(arguments),
        attestation_types=arguments.attestation_type,
        counts_as=_counts_as(arguments),
    )


def _counts_as(arguments: argparse.Namespace) -> CountsAs:
    return CountsAs.ANYTHING_SIGNED if arguments.cosign_compatible else CountsAs.SIGNATURE


def _policy(arguments: argparse.Namespace) -> Policy:
    if arguments.insecure_policy:
        return Policy.accept_anything()
    return Policy.found(path=arguments.policy, environ=os.environ, require_signed=arguments.require_signed or False)
