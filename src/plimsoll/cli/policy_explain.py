"""``plimsoll policy explain``: why one image gets the verdict it gets."""

from __future__ import annotations

import argparse
import os
import sys

from plimsoll.cli import event_loop
from plimsoll.cli.arguments import Parser
from plimsoll.cli.trust import add_trust_arguments, trust_of
from plimsoll.cli.verify import (
    add_access_arguments,
    add_index_arguments,
    check_image,
    configure_logging,
    settings_of,
)
from plimsoll.model.explanation import Explanation
from plimsoll.model.reference import Reference, parse_reference
from plimsoll.model.settings import DEFAULT_RETRIES, DEFAULT_TIMEOUT_S, Settings
from plimsoll.model.trusted_root import TrustRoot
from plimsoll.pipeline.policies import Policy
from plimsoll.report.exit_codes import exit_code
from plimsoll.report.explanation import explanation_record, explanation_text
from plimsoll.report.records import json_line
from plimsoll.report.summary import Summary

USAGE = "plimsoll policy explain [OPTIONS] IMAGE"


def add_arguments(parser: Parser) -> None:
    """The options of ``policy explain``: those of ``verify`` that say who is trusted and how registries are reached."""
    parser.add_argument(
        "image", metavar="IMAGE", help="docker://, oci:PATH[:REF], oci:PATH@DIGEST, oci-archive:, docker-archive:, dir:"
    )
    add_trust_arguments(parser)
    add_access_arguments(parser)
    add_index_arguments(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="text or json (text)")
    parser.add_boolean("--debug", help="log to stderr")
    parser.set_defaults(
        concurrency=1,
        layers="none",
        retry_times=DEFAULT_RETRIES,
        retry_delay=None,
        timeout=DEFAULT_TIMEOUT_S,
        req_per_sec=None,
    )


def run(arguments: argparse.Namespace) -> int:
    """Verify the image and print all that led to its verdict; the exit code is that of ``verify`` for it."""
    configure_logging(debug=arguments.debug)
    check_image(arguments.image)
    policy, root = trust_of(arguments)
    found = event_loop.run(_explain(parse_reference(arguments.image), policy, root, settings_of(arguments)))
    printed = json_line(explanation_record(found)) if arguments.format == "json" else explanation_text(found)
    sys.stdout.write(printed)
    summary = Summary()
    summary.add(found.verdict)
    return exit_code(summary, single=True)


async def _explain(reference: Reference, policy: Policy, root: TrustRoot | None, settings: Settings) -> Explanation:
    from plimsoll.pipeline.explain import explain  # noqa: PLC0415  # aiohttp: only for a real run
    from plimsoll.pipeline.verifier import Verifier  # noqa: PLC0415  # as above

    async with Verifier(policy, trust=root, settings=settings) as verifier:
        return await explain(verifier, reference, policy=policy, settings=settings, environ=os.environ)
