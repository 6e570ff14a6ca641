"""``plimsoll standalone-sign``: sign a manifest in a file with GPG."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Final

from plimsoll import limits
from plimsoll.cli import event_loop
from plimsoll.cli.arguments import Parser
from plimsoll.cli.passphrases import add_passphrase_argument
from plimsoll.config.files import read_file
from plimsoll.errors import ConfigError, PlimsollError, UsageError
from plimsoll.pipeline.signing import GpgSigner
from plimsoll.pipeline.signing_keys import read_passphrase_file
from plimsoll.pipeline.standalone import sign_manifest
from plimsoll.transport.gpg import Gpg

USAGE: Final = (
    "plimsoll standalone-sign MANIFEST DOCKER-REFERENCE KEY-FINGERPRINT --output SIGNATURE [--passphrase-file FILE]"
)


def add_arguments(parser: Parser) -> None:
    """The options of ``standalone-sign``."""
    parser.add_argument("words", nargs="*", metavar="MANIFEST DOCKER-REFERENCE KEY-FINGERPRINT", help="what to sign")
    parser.add_argument("-o", "--output", metavar="SIGNATURE", help="write the signature to this file")
    add_passphrase_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the signature; prints nothing."""
    if len(arguments.words) != 3 or not arguments.output:
        raise UsageError("Usage: plimsoll standalone-sign manifest docker-reference key-fingerprint -o signature")
    path, reference, key = arguments.words
    manifest = read_input(path, what="", limit=limits.MANIFEST_BYTES)
    passphrase = None if arguments.passphrase_file is None else read_passphrase_file(arguments.passphrase_file)
    signer = GpgSigner(gpg=Gpg(environ=os.environ, passphrase=passphrase), key=key)
    try:
        message = event_loop.run(sign_manifest(manifest, reference=reference, signer=signer, now_s=time.time()))
    except PlimsollError as error:
        raise type(error)(f"Error creating signature: {error}") from error
    try:
        Path(arguments.output).write_bytes(message)
    except (OSError, ValueError) as error:
        raise ConfigError(f"Error writing signature to {arguments.output}: {error}") from error
    return 0


def read_input(path: str, *, what: str, limit: int) -> bytes:
    """A file that a command is given; ``what`` stands before its name in the ConfigError of one that is not read."""
    try:
        return read_file(path, limit=limit).data
    except (FileNotFoundError, ConfigError) as error:
        raise ConfigError(f"Error reading {what}{path}: {error}") from None
