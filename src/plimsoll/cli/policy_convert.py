"""``plimsoll policy convert``: another tool's policy as a plimsoll document, and what could not be carried over."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path
from typing import Final

from plimsoll.cli.arguments import Parser
from plimsoll.cli.deliver import Delivery
from plimsoll.cli.foreign_documents import read_documents
from plimsoll.config.trusted_root import read_trusted_root
from plimsoll.errors import PolicyError, TrustRootError, UsageError
from plimsoll.model.trusted_root import parse_trusted_root
from plimsoll.policy.conversion import Conversion
from plimsoll.policy.convert_cluster_image_policy import convert_cluster_image_policies
from plimsoll.policy.convert_cosign import convert_cosign
from plimsoll.policy.convert_kyverno import convert_kyverno
from plimsoll.policy.document_writing import write_document
from plimsoll.policy.foreign import Findings
from plimsoll.policy.scope_globs import parse_scope
from plimsoll.report.conversion import conversion_exit_code, conversion_record, finding_lines
from plimsoll.report.records import json_line

USAGE: Final = (
    'plimsoll policy convert (--from-cosign "ARGS" | --cluster-image-policy FILE | --kyverno FILE) [--output FILE]'
)


def add_arguments(parser: Parser) -> None:
    """The options of ``policy convert``."""
    parser.add_argument("--from-cosign", metavar="ARGS", help="a command line: cosign verify ... IMAGE, as one word")
    for option, what in (("--cluster-image-policy", "a ClusterImagePolicy"), ("--kyverno", "a policy of Kyverno's")):
        parser.add_argument(
            option, action="append", default=[], metavar="FILE", help=f"{what}, in YAML; again: all hold together"
        )
    parser.add_argument(
        "--scope",
        action="append",
        default=[],
        metavar="SCOPE",
        help="with --from-cosign: images it is for; again: more",
    )
    parser.add_argument(
        "--registry",
        action="append",
        default=[],
        metavar="HOST",
        help="a registry that a wildcard stands for; again: more",
    )
    parser.add_argument(
        "--trusted-root", metavar="FILE", help="verify will be given this root: it stands for private instances"
    )
    parser.add_argument("--output", metavar="FILE", help="write the document here instead of to stdout")
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="the report: text on stderr, or json"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the document and tell what was lost: 3 where anything was, else 0."""
    source, conversion = _convert(arguments)
    document = write_document(conversion, source=source)
    if arguments.format == "json":
        record = conversion_record(conversion.findings, source=source, rules=len(conversion.rules), document=document)
        if arguments.output is not None:
            _deliver(document, arguments.output)
        sys.stdout.write(json_line(record))
    else:
        _deliver(document, arguments.output)
        sys.stderr.write(finding_lines(conversion.findings))
    return conversion_exit_code(conversion.findings)


def _convert(arguments: argparse.Namespace) -> tuple[str, Conversion]:
    given = [
        name
        for name, value in (
            ("--from-cosign", arguments.from_cosign),
            ("--cluster-image-policy", arguments.cluster_image_policy),
            ("--kyverno", arguments.kyverno),
        )
        if value not in (None, [])
    ]
    if len(given) != 1:
        raise UsageError(f"one of --from-cosign, --cluster-image-policy and --kyverno is needed, not {len(given)}")
    if arguments.trusted_root is not None:
        _check_root(arguments.trusted_root)
    if arguments.from_cosign is not None:
        return "a cosign command line", _from_cosign(arguments)
    if arguments.scope:
        raise UsageError(f"--scope is for --from-cosign: {given[0]} says which images it is for")
    paths: list[str] = arguments.cluster_image_policy or arguments.kyverno
    findings = Findings()
    convert = convert_cluster_image_policies if arguments.cluster_image_policy else convert_kyverno
    try:
        return ", ".join(paths), convert(
            read_documents(paths, findings),
            registries=tuple(_registry(host) for host in arguments.registry),
            root_given=arguments.trusted_root is not None,
            findings=findings,
        )
    except PolicyError as error:
        raise PolicyError(f"{', '.join(paths)} cannot be converted: {error}") from None


def _from_cosign(arguments: argparse.Namespace) -> Conversion:
    if arguments.registry:
        raise UsageError("--registry is for patterns with wildcards: a command line names its images, or see --scope")
    try:
        words = tuple(shlex.split(arguments.from_cosign))
    except ValueError as error:
        raise UsageError(f"--from-cosign: {error}") from None
    for scope in arguments.scope:
        parse_scope(scope, where="--scope", folder="/")
    return convert_cosign(words, scopes=tuple(arguments.scope), key_path=_seen_from(arguments.output))


def _seen_from(output: str | None) -> _KeyPath:
    return _KeyPath(folder=None if output is None else Path(output).absolute().parent)


class _KeyPath:
    """How a document calls a key file that the command line names: its paths count from its own folder."""

    def __init__(self, *, folder: Path | None) -> None:
        self._folder = folder

    def __call__(self, path: str) -> str:
        if self._folder is None or Path(path).is_absolute():
            return path
        return os.path.relpath(Path(path).absolute(), self._folder)


def _registry(host: str) -> str:
    try:
        parse_scope(f"docker://{host}/**", where="--registry", folder="/")
    except PolicyError as error:
        raise UsageError(str(error)) from None
    return host


def _check_root(path: str) -> None:
    try:
        parse_trusted_root(read_trusted_root(path).data)
    except TrustRootError as error:
        raise TrustRootError(f"--trusted-root {path}: {error}") from error


def _deliver(document: str, path: str | None) -> None:
    delivery = Delivery.to(path)
    try:
        delivery.write(document)
    finally:
        delivery.close()
