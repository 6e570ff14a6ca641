"""``plimsoll conformance verify-bundle``: whether a bundle is good, for this artifact and this signer."""

from __future__ import annotations

import argparse
import re
import time
from pathlib import Path
from typing import Final

from plimsoll import limits
from plimsoll.cli.arguments import Parser
from plimsoll.cli.conformance import add_root_arguments, root_of
from plimsoll.config.files import read_file
from plimsoll.config.keys import read_key_file
from plimsoll.errors import ConfigError, PlimsollError, UnreadableKeyError, UsageError
from plimsoll.model.digest import Digest
from plimsoll.model.identity import Exact, Identity
from plimsoll.model.trust import PublicKey, parse_pem_key
from plimsoll.pipeline.blobs import Blob, open_blob, verify_blob

USAGE: Final = (
    "plimsoll conformance verify-bundle [--staging] --bundle FILE "
    "(--certificate-identity TEXT --certificate-oidc-issuer URL | --key FILE) [--trusted-root FILE] FILE|sha256:HEX"
)
_DIGEST = re.compile(r"sha256:[0-9a-fA-F]{64}", re.ASCII)


def add_arguments(parser: Parser) -> None:
    """The arguments of ``verify-bundle``."""
    parser.add_argument("--bundle", metavar="FILE", required=True, help="the bundle")
    parser.add_argument("--certificate-identity", metavar="TEXT", help="trust a certificate of this subject")
    parser.add_argument("--certificate-oidc-issuer", metavar="URL", help="for which this issuer vouched")
    parser.add_argument("--key", metavar="FILE", help="trust this public key instead")
    add_root_arguments(parser)
    parser.add_argument("artifact", metavar="FILE|sha256:HEX", help="what was signed, or its digest")


def run(arguments: argparse.Namespace) -> int:
    """Verify; a refusal is raised, its message beginning with the reason code."""
    signer_is_a_key = _check(arguments)
    try:
        signer = _key(arguments.key) if signer_is_a_key else _identity(arguments)
        root = root_of(arguments)
        verify_blob(_bundle(arguments.bundle), _blob(arguments.artifact), signer=signer, root=root, now_s=time.time())
    except UsageError:
        raise
    except PlimsollError as error:
        raise type(error)(f"{error.code}: {error}") from error
    return 0


def _check(arguments: argparse.Namespace) -> bool:
    """Whether a key is trusted; raises UsageError unless it is either a key or a subject with its issuer."""
    pair = (arguments.certificate_identity is not None, arguments.certificate_oidc_issuer is not None)
    if arguments.key is not None and not any(pair):
        return True
    if arguments.key is None and all(pair):
        return False
    raise UsageError("give --certificate-identity with --certificate-oidc-issuer, or --key instead of both")


def _key(path: str) -> PublicKey:
    try:
        return parse_pem_key(read_key_file(path, where="--key").data)
    except UnreadableKeyError as error:
        raise UnreadableKeyError(f"--key {path}: {error}") from error


def _identity(arguments: argparse.Namespace) -> Identity:
    return Identity(
        issuer=Exact(text=arguments.certificate_oidc_issuer), subject=Exact(text=arguments.certificate_identity)
    )


def _bundle(path: str) -> bytes:
    try:
        return read_file(path, limit=limits.BUNDLE_BYTES).data
    except FileNotFoundError as error:
        raise ConfigError(f"the bundle {error}") from error


def _blob(word: str) -> Blob:
    """A digest only where the word looks like one and there is no file of that name."""
    if _DIGEST.fullmatch(word) and not Path(word).exists():
        return Blob(digest=Digest.parse(word.lower()))
    return open_blob(word)
