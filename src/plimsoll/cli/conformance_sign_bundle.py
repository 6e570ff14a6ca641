"""``plimsoll conformance sign-bundle``: sign a file, keyless, and write the bundle."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Final

from plimsoll import limits
from plimsoll.cli import event_loop
from plimsoll.cli.arguments import Parser
from plimsoll.cli.conformance import add_root_arguments, root_of
from plimsoll.cli.signing_services import services_in
from plimsoll.config.files import read_file
from plimsoll.config.signing_config import vendored_signing_config
from plimsoll.errors import ConfigError, UsageError
from plimsoll.model.settings import Settings
from plimsoll.model.signing_config import SigningServices, parse_signing_config
from plimsoll.pipeline.blobs import sign_file
from plimsoll.pipeline.notary import NotaryOrder, TokenGiven, open_notary

USAGE: Final = (
    "plimsoll conformance sign-bundle [--staging] [--in-toto] --identity-token TOKEN --bundle FILE "
    "[--trusted-root FILE] [--signing-config FILE] FILE"
)


def add_arguments(parser: Parser) -> None:
    """The arguments of ``sign-bundle``."""
    parser.add_boolean("--in-toto", help="FILE is an in-toto statement, which goes into an envelope")
    parser.add_argument("--identity-token", metavar="TOKEN", required=True, help="sign as whom it names")
    parser.add_argument("--bundle", metavar="FILE", required=True, help="write the bundle here")
    add_root_arguments(parser)
    parser.add_argument("--signing-config", metavar="FILE", help="the services (the public-good instance's)")
    parser.add_argument("artifact", metavar="FILE", help="what is signed")


def run(arguments: argparse.Namespace) -> int:
    """Sign, verify what was made, and write it; prints nothing."""
    now_s = time.time()
    order = NotaryOrder(
        signer=TokenGiven(text=arguments.identity_token),
        services=_services(arguments, now_s),
        root=root_of(arguments),
        now_s=now_s,
    )
    try:
        artifact = read_file(arguments.artifact, limit=limits.ARTIFACT_BYTES).data
    except FileNotFoundError as error:
        raise ConfigError(str(error)) from error
    data = event_loop.run(_sign(order, artifact, is_statement=arguments.in_toto))
    try:
        Path(arguments.bundle).write_bytes(data)
    except (OSError, ValueError) as error:
        raise ConfigError(f"the bundle {arguments.bundle!r} cannot be written: {error}") from error
    return 0


async def _sign(order: NotaryOrder, artifact: bytes, *, is_statement: bool) -> bytes:
    async with open_notary(order, settings=Settings(), environ=os.environ) as notary:
        return await sign_file(artifact, notary=notary, is_statement=is_statement)


def _services(arguments: argparse.Namespace, now_s: float) -> SigningServices:
    if arguments.signing_config is not None:
        return services_in(arguments.signing_config, now_s=now_s)
    if arguments.staging:
        raise UsageError("the staging instance's services do not come with plimsoll: name them with --signing-config")
    return parse_signing_config(vendored_signing_config()).at(now_s)
