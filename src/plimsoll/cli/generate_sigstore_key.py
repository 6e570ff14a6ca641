"""``plimsoll generate-sigstore-key``: a new key pair, its private half encrypted."""

from __future__ import annotations

import argparse
import sys

from plimsoll.cli.arguments import Parser
from plimsoll.cli.passphrases import add_passphrase_argument, new_passphrase
from plimsoll.errors import UsageError
from plimsoll.pipeline.signing_keys import generate_key_files, refuse_existing
from plimsoll.report.escape import printable

USAGE = "plimsoll generate-sigstore-key --output-prefix PREFIX [--passphrase-file FILE]"


def add_arguments(parser: Parser) -> None:
    """The options of ``generate-sigstore-key``."""
    parser.add_argument("--output-prefix", metavar="PREFIX", help="write PREFIX.private and PREFIX.pub")
    add_passphrase_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write both files and say so; nothing is ever overwritten."""
    if not arguments.output_prefix:
        raise UsageError("Usage: generate-sigstore-key --output-prefix PREFIX")
    private, _ = refuse_existing(arguments.output_prefix)
    passphrase = new_passphrase(private, file=arguments.passphrase_file)
    private, public = generate_key_files(arguments.output_prefix, passphrase=passphrase)
    sys.stdout.write(f'Key written to "{printable(private)}" and "{printable(public)}"\n')
    return 0
