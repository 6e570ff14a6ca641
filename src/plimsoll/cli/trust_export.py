"""``plimsoll trust export``: the trusted root in use, byte for byte, for another program or another machine."""

from __future__ import annotations

import argparse

from plimsoll.cli.arguments import Parser
from plimsoll.cli.deliver import Delivery
from plimsoll.cli.trust_command import add_root_arguments, root_of
from plimsoll.cli.verify import configure_logging
from plimsoll.errors import TrustRootError
from plimsoll.model.trusted_root import parse_trusted_root

USAGE = "plimsoll trust export [--output FILE] [--trusted-root FILE | --tuf-mirror URL]"


def add_arguments(parser: Parser) -> None:
    """The options of ``trust export``."""
    parser.add_argument("--output", metavar="FILE", help="write there instead of to stdout")
    add_root_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the root, if it can be read; raises TrustRootError, ConfigError, DeliveryError."""
    configure_logging(debug=False)
    found = root_of(arguments)
    try:
        parse_trusted_root(found.data)
        text = found.data.decode()
    except TrustRootError as error:
        raise TrustRootError(f"{found.origin}: {error}") from error
    delivery = Delivery.to(arguments.output)
    try:
        delivery.write(text)
    finally:
        delivery.close()
    return 0
