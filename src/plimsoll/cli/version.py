"""``plimsoll version``."""

from __future__ import annotations

import argparse
import platform
import sys
from importlib import metadata

from plimsoll.cli.arguments import Parser

USAGE = "plimsoll version [--verbose]"


def add_arguments(parser: Parser) -> None:
    """The options of ``version``."""
    parser.add_boolean("--verbose", help="name the native back end and the libraries in use")


def run(arguments: argparse.Namespace | None) -> int:
    """Print the version on stdout."""
    sys.stdout.write(f"plimsoll version {metadata.version('plimsoll')}\n")
    if arguments is not None and arguments.verbose:
        sys.stdout.write("".join([f"{name}: {value}\n" for name, value in _details()]))
    return 0


def _details() -> list[tuple[str, str]]:
    from plimsoll import native  # noqa: PLC0415  # only asked here; `version` alone stays quick

    libraries = [(name, metadata.version(name)) for name in ("aiohttp", "cryptography", "uvloop")]
    return [
        ("backend", native.BACKEND),
        ("sha256", native.SHA256_IMPLEMENTATION),
        ("python", f"{platform.python_implementation()} {platform.python_version()}"),
        *libraries,
    ]
