"""``plimsoll policy test``: do images get the verdicts that a file expects of them."""

from __future__ import annotations

import argparse
import sys

from plimsoll.cli import event_loop
from plimsoll.cli.arguments import Parser
from plimsoll.cli.trust import add_trust_arguments, trust_of
from plimsoll.cli.verify import add_summary_arguments, configure_logging, settings_of
from plimsoll.model.comparison import CaseResult, PolicyCase
from plimsoll.model.settings import Settings
from plimsoll.model.trusted_root import TrustRoot
from plimsoll.pipeline.policies import Policy
from plimsoll.report.policy_cases import cases_exit_code, cases_record, cases_text
from plimsoll.report.records import json_line

USAGE = "plimsoll policy test --cases FILE [OPTIONS]"


def add_arguments(parser: Parser) -> None:
    """The options of ``policy test``: the cases, and those of ``verify`` that a verdict may depend on."""
    parser.add_argument("--cases", required=True, metavar="FILE", help="images with their verdicts, in JSON or YAML")
    add_trust_arguments(parser)
    add_summary_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Judge every case and print those that differ: 3 where there is one, 4 where all of them are undetermined."""
    from plimsoll.pipeline.policy_cases import read_cases  # noqa: PLC0415  # aiohttp: only for a real run

    configure_logging(debug=arguments.debug)
    cases = read_cases(arguments.cases)
    policy, root = trust_of(arguments)
    results = event_loop.run(_judge(cases, policy, root, settings_of(arguments)))
    if arguments.format == "json":
        sys.stdout.write(json_line(cases_record(results, file=arguments.cases, policy=policy.digest)))
    else:
        sys.stdout.write(cases_text(results))
    return cases_exit_code(results)


async def _judge(
    cases: tuple[PolicyCase, ...], policy: Policy, root: TrustRoot | None, settings: Settings
) -> list[CaseResult]:
    from plimsoll.pipeline.policy_cases import run_cases  # noqa: PLC0415  # as above
    from plimsoll.pipeline.verifier import Verifier  # noqa: PLC0415  # as above

    async with Verifier(policy, trust=root, settings=settings) as verifier:
        return await run_cases(verifier, cases, settings=settings)
