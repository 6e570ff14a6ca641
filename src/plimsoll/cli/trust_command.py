"""``plimsoll trust``: what sigstore's public-good instance, or another, is trusted for; its first word says what to do.

``cli.trust`` is the module of the options that say who is trusted; this is the command of the same name.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Final

from plimsoll.cli.arguments import Parser
from plimsoll.config.trusted_root import FoundRoot, private_root, public_good_root, read_trusted_root
from plimsoll.errors import UsageError

ACTIONS: Final = {
    "show": "the logs and authorities of the trusted root in use, and what has ended",
    "export": "the trusted root in use, byte for byte",
    "update": "refresh the trusted root from its TUF repository (needs plimsoll[trust])",
}
"""Action -> what it does; each is the module ``trust_ACTION`` beside this one."""


def add_root_arguments(parser: Parser) -> None:
    """The options that say which trusted root is meant."""
    parser.add_argument("--trusted-root", metavar="FILE", help="this file instead of the public-good instance's")
    parser.add_argument("--tuf-mirror", metavar="URL", help="what was refreshed from this private instance")


def root_of(arguments: argparse.Namespace) -> FoundRoot:
    """The trusted root that is meant; raises UsageError for two at once, TrustRootError for one that is not there."""
    if arguments.trusted_root is not None and arguments.tuf_mirror is not None:
        raise UsageError("--trusted-root and --tuf-mirror exclude each other: one root at a time")
    if arguments.trusted_root is not None:
        found = read_trusted_root(arguments.trusted_root)
        return FoundRoot(origin=found.origin, data=found.data, kind="file")
    if arguments.tuf_mirror is not None:
        return private_root(arguments.tuf_mirror, environ=os.environ, now_s=time.time())
    return public_good_root(os.environ, now_s=time.time())
