"""``plimsoll digest``: SHA-256 of files, several at a time on each core."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence

from plimsoll import limits
from plimsoll.cli.arguments import Parser
from plimsoll.native import sha256_files
from plimsoll.report.escape import printable

USAGE = "plimsoll digest FILE..."
FILES_AT_ONCE = 64
"""Files open together in each thread; lanes are refilled as files end, so more would not hash faster."""


def add_arguments(parser: Parser) -> None:
    """The arguments of ``digest``."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="a file to hash")


def run(arguments: argparse.Namespace) -> int:
    """Print ``sha256:HEX  FILE`` a line in input order; 1 if any file could not be read."""
    files: list[str] = arguments.files
    if not files:
        sys.stderr.write("plimsoll: no file is given; write plimsoll digest FILE...\n")
        return 1
    failed = False
    for path, result in zip(files, _hash_all(files), strict=True):
        if isinstance(result, bytes):
            sys.stdout.write(f"sha256:{result.hex()}  {printable(path, limit=limits.REFERENCE_CHARS)}\n")
        else:
            failed = True
            sys.stderr.write(f"plimsoll: {printable(path)}: {result.strerror or result}\n")
    sys.stdout.flush()
    return 1 if failed else 0


def _hash_all(files: Sequence[str]) -> Iterator[bytes | OSError]:
    """Shares the files among the processors in runs; results in order."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    run_length = min(FILES_AT_ONCE, max(1, -(-len(files) // processors)))
    runs = [files[at : at + run_length] for at in range(0, len(files), run_length)]
    if len(runs) == 1:
        yield from _hash_run(runs[0])
        return
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  # it costs a quarter of the start-up

    with ThreadPoolExecutor(max_workers=min(processors, len(runs))) as threads:
        for results in threads.map(_hash_run, runs):
            yield from results


def _hash_run(files: Sequence[str]) -> list[bytes | OSError]:
    opened: dict[int, int] = {}
    results: dict[int, bytes | OSError] = {}
    try:
        for at, path in enumerate(files):
            try:
                opened[at] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                results[at] = error
        results.update(_hash_open(opened))
    finally:
        for descriptor in opened.values():
            os.close(descriptor)
    return [results[at] for at in range(len(files))]


def _hash_open(opened: dict[int, int]) -> dict[int, bytes | OSError]:
    """Hash together; a file that fails is set aside and the others are hashed without it."""
    results: dict[int, bytes | OSError] = {}
    left = dict(opened)
    while left:
        try:
            digests = sha256_files(list(left.values()))
        except OSError as error:
            at = list(left)[getattr(error, "index", 0)]
            results[at] = error
            del left[at]
            continue
        return results | dict(zip(left, digests, strict=True))
    return results
