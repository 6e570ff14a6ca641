"""Where a command takes a passphrase from: a file, else cosign's variable where it counts, else the terminal."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Mapping

from plimsoll.cli.arguments import Parser
from plimsoll.errors import UsageError
from plimsoll.pipeline.signing_keys import read_passphrase_file


def add_passphrase_argument(parser: Parser, *names: str) -> None:
    """``--passphrase-file``, and by which other ``names`` it goes."""
    parser.add_argument(
        "--passphrase-file", *names, dest="passphrase_file", metavar="FILE", help="the key's passphrase, its first line"
    )


def passphrase_of(path: str, *, file: str | None, environ: Mapping[str, str]) -> bytes:
    """The passphrase of the key at ``path``: of ``file``, else ``COSIGN_PASSWORD`` in ``environ``, else asked for.

    Raises UsageError where nobody can be asked, ConfigError for a file that cannot be read.
    """
    if file is not None:
        return read_passphrase_file(file)
    named = environ.get("COSIGN_PASSWORD")
    if named is not None:
        return os.fsencode(named)
    return _ask(path)


def new_passphrase(path: str, *, file: str | None) -> bytes:
    """The passphrase for a new key: of ``file``, else asked for twice; raises as ``passphrase_of`` does."""
    if file is not None:
        return read_passphrase_file(file)
    first = _ask(path)
    if getpass.getpass(f"Passphrase for key {path} again: ").encode("utf-8", "surrogateescape") != first:
        raise UsageError("the two passphrases differ")
    return first


def _ask(path: str) -> bytes:
    if not sys.stdin.isatty():
        raise UsageError(
            f"Cannot prompt for a passphrase for key {path}, standard input is not a TTY: give --passphrase-file FILE"
        )
    return getpass.getpass(f"Passphrase for key {path}: ").encode("utf-8", "surrogateescape")
