"""``plimsoll standalone-verify``: verify a GPG signature of a manifest, both in files."""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import Final

from plimsoll import limits
from plimsoll.cli import event_loop
from plimsoll.cli.arguments import Parser
from plimsoll.cli.standalone_sign import read_input
from plimsoll.errors import PlimsollError, UntrustedKeyError, UsageError
from plimsoll.pipeline.standalone import ANY, verify_manifest
from plimsoll.signatures.openpgp import GpgTrust
from plimsoll.transport.gpg import Gpg

USAGE: Final = (
    "plimsoll standalone-verify MANIFEST DOCKER-REFERENCE KEY-FINGERPRINTS SIGNATURE [--public-key-file FILE]"
)


def add_arguments(parser: Parser) -> None:
    """The options of ``standalone-verify``."""
    parser.add_argument(
        "words",
        nargs="*",
        metavar="MANIFEST DOCKER-REFERENCE KEY-FINGERPRINTS SIGNATURE",
        help="KEY-FINGERPRINTS: joined by commas, or any for every key of --public-key-file",
    )
    parser.add_argument("--public-key-file", metavar="FILE", help="take public keys from here, not from gpg's keyring")


def run(arguments: argparse.Namespace) -> int:
    """Print who signed; an unproven signature is a message and exit 1."""
    if len(arguments.words) != 4:
        raise UsageError("Usage: plimsoll standalone-verify manifest docker-reference key-fingerprint signature")
    path, reference, fingerprints, signature_path = arguments.words
    named = fingerprints.split(",")
    manifest = read_input(path, what="manifest from ", limit=limits.MANIFEST_BYTES)
    signature = read_input(signature_path, what="signature from ", limit=limits.PAYLOAD_BYTES)
    trust = GpgTrust((_keyring(named, arguments.public_key_file),))
    try:
        proof = verify_manifest(
            manifest,
            signature,
            reference=reference,
            trust=trust,
            fingerprints=frozenset(named),
            now_s=time.time(),
        )
    except PlimsollError as error:
        raise type(error)(f"Error verifying signature: {error}") from error
    sys.stdout.write(f"Signature verified using fingerprint {proof.fingerprint}, digest {proof.digest}\n")
    return 0


def _keyring(named: list[str], file: str | None) -> bytes:
    if file is not None:
        return read_input(file, what="public keys from ", limit=limits.KEY_BYTES)
    if ANY in named:
        raise UsageError("Cannot use any fingerprint without a public key file")
    found = event_loop.run(Gpg(environ=os.environ).export(tuple(named)))
    if not found:
        raise UntrustedKeyError(f"Key not found: gpg has no public key {','.join(named)}; import it first")
    return found
