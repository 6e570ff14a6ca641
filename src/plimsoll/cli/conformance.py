"""``plimsoll conformance``: the protocol by which the sigstore conformance suite drives a client.

Its arguments are the suite's, in its own order; an exit code is all that it looks at. Source: the protocol page
of sigstore-conformance (cli_protocol.md).
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Final

from plimsoll.cli.arguments import Parser
from plimsoll.config.trusted_root import read_trusted_root
from plimsoll.errors import TrustRootError, UsageError
from plimsoll.model.trusted_root import TrustRoot, parse_trusted_root
from plimsoll.pipeline.trusted_root import read_public_good_root

ACTIONS: Final = {
    "verify-bundle": "verify a bundle about a file, or about a digest",
    "sign-bundle": "sign a file, keyless, and write the bundle",
}
"""Action -> what it does; each is the module ``conformance_ACTION`` beside this one."""


def add_root_arguments(parser: Parser) -> None:
    """The options that say which instance of sigstore is meant."""
    parser.add_boolean("--staging", help="sigstore's staging instance; its root is --trusted-root's to name")
    parser.add_argument("--trusted-root", metavar="FILE", help="this root instead of the public-good instance's")


def root_of(arguments: argparse.Namespace) -> TrustRoot:
    """The trusted root that is meant; raises TrustRootError, UsageError for a staging instance without one."""
    if arguments.trusted_root is not None:
        found = read_trusted_root(arguments.trusted_root)
        try:
            return parse_trusted_root(found.data)
        except TrustRootError as error:
            raise TrustRootError(f"--trusted-root {arguments.trusted_root}: {error}") from error
    if arguments.staging:
        raise UsageError("the staging instance's root does not come with plimsoll: name its file with --trusted-root")
    return read_public_good_root(os.environ, now_s=time.time())
