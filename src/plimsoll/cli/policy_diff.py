"""``plimsoll policy diff``: which images get another verdict under another policy."""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack, aclosing, closing
from dataclasses import dataclass

from plimsoll.cli import event_loop
from plimsoll.cli.arguments import Parser
from plimsoll.cli.deliver import Delivery
from plimsoll.cli.trust import add_offline_argument, add_trust_arguments, trust_of
from plimsoll.cli.verify import (
    add_summary_arguments,
    check_image,
    configure_logging,
    open_list,
    settings_of,
)
from plimsoll.errors import ConfigError, UsageError
from plimsoll.model.comparison import Change, VerdictPair
from plimsoll.model.settings import Settings
from plimsoll.model.trusted_root import TrustRoot
from plimsoll.pipeline.policies import Policy
from plimsoll.report.policy_diff import DiffSummary, diff_head, diff_line, diff_tail, pair_lines, pair_record
from plimsoll.report.records import json_line

USAGE = "plimsoll policy diff [OPTIONS] OLD NEW [--from LIST] [IMAGE...]"
WINDOW = 1024
"""Pairs kept back for their turn: two records of about a kilobyte each."""


def add_arguments(parser: Parser) -> None:
    """The options of ``policy diff``: images as for ``verify``, and how registries are reached."""
    parser.add_argument("old", metavar="OLD", help="the policy as it is")
    parser.add_argument("new", metavar="NEW", help="the policy as it would be")
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="an image, as for verify")
    parser.add_argument(
        "--from",
        dest="lists",
        action="append",
        default=[],
        metavar="LIST",
        help="one reference a line; - is stdin; may be given again",
    )
    parser.add_argument(
        "--registries.d", dest="registries_d", metavar="DIR", help="the folder that says where signatures are"
    )
    parser.add_argument("--trusted-root", metavar="FILE", help="a sigstore trusted_root.json")
    parser.add_boolean("--require-signed", help="reject images for which a policy verifies no signature")
    add_offline_argument(parser)
    add_summary_arguments(parser)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """One of the two policies: its file, and what it says."""

    file: str
    policy: Policy
    root: TrustRoot | None


def run(arguments: argparse.Namespace) -> int:
    """Judge every image under both policies: 3 where a verdict changes, else 4 where one could not be had, else 0."""
    from plimsoll.pipeline.intake import Listing  # noqa: PLC0415  # asyncio: only for a real run

    configure_logging(debug=arguments.debug)
    if not arguments.images and not arguments.lists:
        raise UsageError("no image is given: name one, or --from LIST")
    for image in arguments.images:
        check_image(image)
    with ExitStack() as files:
        old, new = _side(arguments.old, arguments), _side(arguments.new, arguments)
        lists = tuple([files.enter_context(open_list(path)) for path in arguments.lists])
        printer = _Printer(old, new) if arguments.format == "json" else None
        listing = Listing(tuple(arguments.images), lists)
        summary = event_loop.run(
            _judge(
                old,
                new,
                settings=settings_of(arguments),
                texts=listing.texts(),
                shown=pair_lines if printer is None else printer.shown,
            )
        )
    broken = listing.broken
    if summary.images == 0 and broken is None:
        sys.stderr.write("plimsoll: the list is empty: no image was compared\n")
    else:
        sys.stdout.write(diff_line(summary) if printer is None else printer.end(summary))
    if broken is not None:
        raise ConfigError(f"{broken}; what it lists after that is not compared")
    return summary.exit_code()


def _side(path: str, arguments: argparse.Namespace) -> _Side:
    """The policy at ``path``, as ``verify --policy`` reads it."""
    words = [f"--policy={path}"]
    words += [] if arguments.registries_d is None else [f"--registries.d={arguments.registries_d}"]
    words += [] if arguments.trusted_root is None else [f"--trusted-root={arguments.trusted_root}"]
    words += [f"--require-signed={'true' if arguments.require_signed else 'false'}"]
    parser = Parser(prog="plimsoll policy diff", description="")
    add_trust_arguments(parser)
    policy, root = trust_of(parser.read(words))
    return _Side(file=path, policy=policy, root=root)


class _Printer:
    """One JSON document, written as it grows: 100,000 changes are not kept in memory."""

    def __init__(self, old: _Side, new: _Side) -> None:
        self._lead = diff_head(old=(old.file, old.policy.digest), new=(new.file, new.policy.digest))

    def shown(self, pair: VerdictPair) -> str:
        if pair.change is Change.NONE:
            return ""
        lead, self._lead = self._lead, ","
        return lead + json_line(pair_record(pair))

    def end(self, summary: DiffSummary) -> str:
        return ("" if self._lead == "," else self._lead) + diff_tail(summary)


async def _judge(
    old: _Side,
    new: _Side,
    *,
    settings: Settings,
    texts: AsyncGenerator[str, None],
    shown: Callable[[VerdictPair], str],
) -> DiffSummary:
    from plimsoll.cli.outbox import Outbox  # noqa: PLC0415  # asyncio: only for a real run
    from plimsoll.pipeline.batch import OrderedWindow  # noqa: PLC0415  # aiohttp: only for a real run
    from plimsoll.pipeline.policy_diff import compare_many  # noqa: PLC0415  # as above
    from plimsoll.pipeline.verifier import Verifier  # noqa: PLC0415  # as above

    summary = DiffSummary()
    window = OrderedWindow(WINDOW)
    with closing(Outbox(Delivery.to(None))) as outbox:
        async with (
            Verifier(old.policy, trust=old.root, settings=settings) as before,
            Verifier(new.policy, trust=new.root, settings=settings) as after,
            aclosing(texts),
            aclosing(compare_many(before, after, window.gate(texts), concurrency=settings.concurrency)) as pairs,
        ):
            async for pair in window.order(pairs, position=lambda pair: pair.old.position):
                outbox.put(shown(pair))
                summary.add(pair)
                await outbox.room()
        await outbox.sent()
    return summary
