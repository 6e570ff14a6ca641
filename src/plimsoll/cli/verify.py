"""``plimsoll verify``: its options, and what they come to."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Final

from plimsoll.cli.arguments import Parser, count, count_or_none, duration, rate
from plimsoll.cli.skopeo_options import (
    add_credential_arguments,
    add_override_arguments,
    add_process_arguments,
    credentials_of,
    platform_of,
    time_or_none,
)
from plimsoll.cli.trust import add_trust_arguments, trust_of
from plimsoll.errors import ConfigError, UsageError
from plimsoll.model.reference import LayoutReference, parse_reference
from plimsoll.model.settings import (
    DEFAULT_CONCURRENCY,
    DEFAULT_RETRIES,
    DEFAULT_TIMEOUT_S,
    HttpSettings,
    IndexPolicy,
    Layers,
    Settings,
)
from plimsoll.pipeline.intake import parse_repository
from plimsoll.report.escape import printable

USAGE = "plimsoll verify [OPTIONS] [IMAGE...]"
_LAYERS: Final = tuple([layers.value for layers in Layers])
_FORMATS: Final = ("text", "json", "jsonl", "junit", "sarif")


def add_arguments(parser: Parser) -> None:
    """The options of ``verify``."""
    parser.add_argument(
        "images",
        nargs="*",
        metavar="IMAGE",
        help="docker://, oci:PATH[:REF], oci:PATH@DIGEST, oci-archive:, docker-archive:, dir:",
    )
    parser.add_argument(
        "--from",
        dest="lists",
        action="append",
        default=[],
        metavar="FILE",
        help="one reference a line; - is stdin; may be given again",
    )
    parser.add_boolean("--all-tags", help="each IMAGE names a repository: verify all its tags")
    parser.add_argument("--tags", action="append", default=[], metavar="GLOB", help="of these only the tags that match")
    add_trust_arguments(parser)
    add_access_arguments(parser)
    parser.add_argument(
        "--layers",
        choices=_LAYERS,
        default="none",
        help="digest: fetch and hash every blob too; diffid: also unpack layers and compare with the config (none)",
    )
    add_index_arguments(parser)
    add_request_arguments(parser)
    parser.add_boolean("--fail-fast", help="stop at the first image that is not accepted")
    parser.add_argument(
        "--format", choices=_FORMATS, default="text", help="text, json, jsonl (as they fall), junit or sarif"
    )
    parser.add_argument("--output", metavar="FILE", help="write the verdicts here instead of stdout")
    parser.add_argument("--progress", choices=("auto", "bar", "plain", "none"), default="auto", help="on stderr (auto)")
    parser.add_boolean("-q", "--quiet", help="print no verdicts, only the exit code tells; --output is written")
    parser.add_boolean("--debug", help="log to stderr")


def add_index_arguments(parser: Parser) -> None:
    """The options that say how an index counts, and which of its instances."""
    parser.add_argument(
        "--platform", metavar="all|host|OS/ARCH[/VARIANT]", help="which instances of an index are judged (all)"
    )
    add_override_arguments(parser)
    parser.add_argument(
        "--index-policy",
        choices=[policy.value for policy in IndexPolicy],
        help="how an index counts: itself, its instances, both, or itself else its instances "
        "(index; with --platform children)",
    )


def add_request_arguments(parser: Parser) -> None:
    """The options that say how many requests there may be, and how long each is tried."""
    parser.add_argument(
        "-j",
        "--concurrency",
        type=count,
        default=DEFAULT_CONCURRENCY,
        metavar="N",
        help=f"images in flight ({DEFAULT_CONCURRENCY})",
    )
    add_patience_arguments(parser)
    parser.add_argument("--req-per-sec", type=rate, metavar="N", help="requests a second to each registry at most")


def add_patience_arguments(parser: Parser) -> None:
    """The options that say how long each request is tried."""
    parser.add_argument(
        "--retry-times",
        type=count_or_none,
        default=DEFAULT_RETRIES,
        metavar="N",
        help=f"tries after the first of each request ({DEFAULT_RETRIES})",
    )
    parser.add_argument(
        "--retry-delay", type=time_or_none, metavar="DURATION", help="before each of them (from 0.1s, doubling)"
    )
    parser.add_argument(
        "--timeout", type=duration, default=DEFAULT_TIMEOUT_S, metavar="DURATION", help="for each request (30s)"
    )


def add_summary_arguments(parser: Parser) -> None:
    """The options of a command that judges images as ``verify`` does, and reports on all of them at once."""
    add_access_arguments(parser)
    add_index_arguments(parser)
    add_request_arguments(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="text or json (text)")
    parser.add_boolean("--debug", help="log to stderr")
    parser.set_defaults(layers="none")


def add_access_arguments(parser: Parser) -> None:
    """The options that say how registries are reached."""
    parser.add_argument("--registries-conf", metavar="FILE", help="mirrors, rewritten, blocked and insecure registries")
    add_credential_arguments(parser)
    parser.add_argument(
        "--cert-dir", metavar="DIR", help="*.crt to trust, X.cert and X.key to show, for every registry"
    )
    parser.add_boolean("--tls-verify", default=None, help="false: accept any certificate, and plain HTTP")
    parser.add_argument(
        "--auth-realm", action="append", default=[], metavar="HOST", help="credentials may go to this token service too"
    )
    add_process_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Verify what the arguments name; returns the exit code."""
    from plimsoll.cli.verify_run import Order, run_order  # noqa: PLC0415  # asyncio and aiohttp: only for a real run

    configure_logging(debug=arguments.debug)
    with ExitStack() as files:
        _check_images(arguments)
        policy, root = trust_of(arguments)
        lists = tuple([files.enter_context(open_list(path)) for path in arguments.lists])
        return run_order(
            Order(
                policy=policy,
                trust=root,
                settings=settings_of(arguments),
                images=tuple(arguments.images),
                lists=lists,
                all_tags=arguments.all_tags,
                tag_patterns=tuple(arguments.tags),
                fail_fast=arguments.fail_fast,
                format=arguments.format,
                output=arguments.output,
                quiet=arguments.quiet,
                progress="none" if arguments.quiet else arguments.progress,
            )
        )


class _EscapingFormatter(logging.Formatter):
    """What a message quotes may come from a registry: it reaches the terminal escaped, and as one line."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """The record in one line."""
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802  # logging's name and type
        """The traceback, line by line."""
        return "\n".join([printable(line) for line in super().formatException(ei).splitlines()])


def configure_logging(*, debug: bool) -> None:
    """Send what plimsoll logs to stderr, escaped."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_EscapingFormatter("%(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("plimsoll")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.DEBUG if debug else logging.WARNING)


def _check_images(arguments: argparse.Namespace) -> None:
    """An image on the command line that cannot be one is wrong usage, found before anything is asked."""
    if not arguments.images and not arguments.lists:
        raise UsageError("no image is given: name one, or --from FILE")
    if arguments.tags and not arguments.all_tags:
        raise UsageError("--tags narrows --all-tags, which is not given")
    for image in arguments.images:
        if arguments.all_tags:
            parse_repository(image)
        else:
            check_image(image)


def check_image(image: str) -> None:
    """Refuse what is no reference, or a layout that could be meant in two ways; raises InvalidReferenceError."""
    from plimsoll.transport.oci_layout import refuse_ambiguous  # noqa: PLC0415  # as in run

    reference = parse_reference(image)
    if isinstance(reference, LayoutReference):
        refuse_ambiguous(reference)


def open_list(path: str) -> BinaryIO:
    """The file that ``--from`` names, ``-`` for stdin; raises ConfigError."""
    try:
        if path == "-":
            os.read(0, 0)  # of one that was closed, see cli.main: no list is not an empty list
        # Closed by the caller's ExitStack.
        return os.fdopen(os.dup(0), "rb") if path == "-" else Path(path).open("rb")
    except OSError as error:
        raise ConfigError(f"--from {path}: {error.strerror}") from error


def settings_of(arguments: argparse.Namespace) -> Settings:
    """How to go about it; raises UsageError for credentials or a platform that are none."""
    return Settings(
        concurrency=arguments.concurrency,
        layers=Layers(arguments.layers),
        platform=platform_of(arguments),
        index_policy=None if arguments.index_policy is None else IndexPolicy(arguments.index_policy),
        http=HttpSettings(
            connections_per_host=arguments.concurrency,
            retries=arguments.retry_times,
            timeout_s=arguments.timeout,
            requests_per_s=arguments.req_per_sec,
            auth_realms=frozenset(arguments.auth_realm),
            retry_delay_s=arguments.retry_delay,
            user_agent_prefix=arguments.user_agent_prefix,
        ),
        tls_verify=arguments.tls_verify,
        cert_dir=arguments.cert_dir,
        authfile=arguments.authfile or None,
        credentials=credentials_of(arguments),
        anonymous=arguments.no_creds,
        registries_d=arguments.registries_d,
        registries_conf=arguments.registries_conf,
        offline=arguments.offline,
        tmpdir=arguments.tmpdir,
    )
