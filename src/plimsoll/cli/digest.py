"""``plimsoll digest``: SHA-256 of files, several at a time on each core."""

from __future__ import annotations

import argparse
import errno
import os
import resource
import stat
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from plimsoll import limits
from plimsoll.cli.arguments import Parser
from plimsoll.native import Sha256, sha256_files
from plimsoll.report.escape import printable

if TYPE_CHECKING:
    from queue import SimpleQueue

USAGE = "plimsoll digest FILE..."
FILES_AT_ONCE = 64
"""Files open together in each thread; lanes are refilled as files end, so more would not hash faster."""
STDIN = "-"
"""As a name: what stands on standard input, read from where it stands; a file of this name is ``./-``."""
_NO_DESCRIPTOR = frozenset({errno.EMFILE, errno.ENFILE})

Result = bytes | OSError
"""A file's digest, or why there is none."""


def add_arguments(parser: Parser) -> None:
    """The arguments of ``digest``."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="a file to hash; - is stdin, ./- a file named so")


def run(arguments: argparse.Namespace) -> int:
    """Print ``sha256:HEX  FILE`` a line in input order; 1 if any file could not be read."""
    files: list[str] = arguments.files
    if not files:
        sys.stderr.write("plimsoll: no file is given; write plimsoll digest FILE...\n")
        return 1
    failed = False
    hashed = _hash_all([path for path in files if path != STDIN])
    for path in files:
        result = _hash_stdin() if path == STDIN else next(hashed)
        if isinstance(result, bytes):
            sys.stdout.write(_line(result, path))
        else:
            failed = True
            sys.stderr.write(f"plimsoll: {printable(path)}: {result.strerror or result}\n")
    sys.stdout.flush()
    return 1 if failed else 0


def _line(digest: bytes, path: str) -> str:
    r"""As sha256sum has it: a line that begins with ``\`` names its file escaped (``\\``, ``\n``), any other as it is.

    What a terminal would obey or hide (``printable``) is escaped too.
    """
    if path.isascii() and path.isprintable() and "\\" not in path:
        return f"sha256:{digest.hex()}  {path}\n"
    shown = "".join(["\\\\" if character == "\\" else printable(character) for character in path])
    return f"{'' if shown == path else chr(92)}sha256:{digest.hex()}  {shown}\n"


def _hash_stdin() -> Result:
    """Only here, in the main thread and in its turn: named twice it is at its end the second time."""
    stream = Sha256()
    try:
        while chunk := os.read(0, limits.CHUNK_BYTES):
            stream.update(chunk)
    except OSError as error:
        return error
    return stream.digest()


def _hash_all(files: Sequence[str]) -> Iterator[Result]:
    """Shares the files among the processors in runs; results in order."""
    free = _free_descriptors()
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = min(processors, free)
    run_length = min(FILES_AT_ONCE, free // threads, max(1, -(-len(files) // threads)))
    runs = [files[at : at + run_length] for at in range(0, len(files), run_length)]
    if len(runs) <= 1 or threads == 1:
        return (result for run in runs for result in _hash_run(run))
    return _hash_in_threads(runs, threads=min(threads, len(runs)))


def _free_descriptors() -> int:
    """How many files may be opened beside those that are; at least one, which then fails if none may."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        held = len(os.listdir("/dev/fd"))  # noqa: PTH208  # pathlib costs start-up; the listing's own counts too
    except OSError:
        held = 3
    return max(1, (sys.maxsize if soft == resource.RLIM_INFINITY else soft) - held)


def _hash_in_threads(runs: Sequence[Sequence[str]], *, threads: int) -> Iterator[Result]:
    """The results of run after run, hashed by so many threads.

    They are daemons: one that hashes, or waits for a pipe, hears of no Ctrl-C, and the process need not wait for it
    (a pool of ``concurrent.futures`` would).
    """
    from queue import SimpleQueue  # noqa: PLC0415  # it is for several threads only, and costs start-up
    from threading import Thread  # noqa: PLC0415  # as above

    done: list[SimpleQueue[list[Result] | BaseException]] = [SimpleQueue() for _ in runs]
    waiting = deque(zip(runs, done, strict=True))
    for _ in range(threads):
        Thread(target=_work_off, args=(waiting,), name="plimsoll-digest", daemon=True).start()
    try:
        for results in done:
            found = results.get()
            if isinstance(found, BaseException):
                raise found
            yield from found
    finally:
        waiting.clear()


def _work_off(waiting: deque[tuple[Sequence[str], SimpleQueue[list[Result] | BaseException]]]) -> None:
    while True:
        try:
            run, results = waiting.popleft()
        except IndexError:
            return
        try:
            results.put(_hash_run(run))
        except BaseException as error:  # noqa: BLE001  # raised again where the results are taken
            results.put(error)


def _hash_run(files: Sequence[str]) -> list[Result]:
    results: list[Result] = []
    while len(results) < len(files):
        results += _hash_first(files[len(results) :])
    return results


def _hash_first(files: Sequence[str]) -> list[Result]:
    """The results of the first of ``files``, at least one: as many as there are descriptors for."""
    opened: dict[int, int] = {}
    results: dict[int, Result] = {}
    try:
        for at, path in enumerate(files):
            try:
                opened[at] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                if error.errno in _NO_DESCRIPTOR and opened:
                    break
                results[at] = error
        # What can be read only once must not be in a call that is made again without another file that failed.
        together = {at: descriptor for at, descriptor in opened.items() if stat.S_ISREG(os.fstat(descriptor).st_mode)}
        results.update(_hash_open(together))
        for at in opened.keys() - together.keys():
            results.update(_hash_open({at: opened[at]}))
    finally:
        for descriptor in opened.values():
            os.close(descriptor)
    return [results[at] for at in range(len(results))]


def _hash_open(opened: dict[int, int]) -> dict[int, Result]:
    """Hash together; a file that fails is set aside and the others are hashed without it."""
    results: dict[int, Result] = {}
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
