"""``plimsoll demo``: an embedded registry with good images and forgeries, all verified over HTTP."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from plimsoll.cli import event_loop
from plimsoll.cli.arguments import Parser, count
from plimsoll.embedded.demo_images import (
    DEFAULT_IMAGES,
    EXPECTED,
    MIN_IMAGES,
    Demo,
    DemoImage,
    build_demo,
)
from plimsoll.embedded.server import RegistryServer
from plimsoll.embedded.store import Store
from plimsoll.errors import UsageError
from plimsoll.model.settings import Layers, Settings
from plimsoll.model.verdict import Outcome, Verdict
from plimsoll.pipeline.policies import Policy
from plimsoll.pipeline.verifier import Verifier
from plimsoll.policy.requirements import LogDemand
from plimsoll.report.escape import printable

USAGE = "plimsoll demo [--images N] [--keep DIR]"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """The demo's outcome; ``verdicts`` are in the order of the images, ``seconds`` is the verification alone."""

    registry: str
    demo: Demo
    verdicts: Sequence[Verdict]
    seconds: float


def add_arguments(parser: Parser) -> None:
    """The options of ``demo``."""
    parser.add_argument(
        "--images",
        type=count,
        default=DEFAULT_IMAGES,
        metavar="N",
        help=f"how many images to build and verify (default {DEFAULT_IMAGES}, at least {MIN_IMAGES})",
    )
    parser.add_argument(
        "--keep", metavar="DIR", help="keep the images in DIR, which must be new or empty, and serve them again later"
    )


def run(arguments: argparse.Namespace) -> int:
    """Build, serve, verify and print; 0 only if every verdict is the one it should be, else 1."""
    if arguments.images < MIN_IMAGES:
        raise UsageError(f"--images {arguments.images} cannot show every kind: at least {MIN_IMAGES} are needed")
    try:
        with _folder(arguments.keep) as root:
            outcome = event_loop.run(_demo(root, images=arguments.images))
    except OSError as error:
        where = arguments.keep or tempfile.gettempdir()
        raise UsageError(
            f"the demo cannot work in {where}: {error.strerror or error}; name a folder with --keep"
        ) from error
    wrong = _differing(outcome)
    sys.stdout.write("".join([*_table(outcome), *_examples(outcome), *_rate(outcome), *_closing(outcome, wrong)]))
    sys.stdout.flush()
    if arguments.keep is not None:
        sys.stderr.write(f"kept: plimsoll serve {printable(arguments.keep)} serves these images again\n")
    return 1 if wrong else 0


@contextlib.contextmanager
def _folder(keep: str | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="plimsoll-demo-") as temporary:
            yield Path(temporary)
        return
    root = Path(keep)
    root.mkdir(parents=True, exist_ok=True)
    if any(root.iterdir()):
        raise UsageError(f"--keep {keep} is not empty: name a new folder")
    yield root


async def _demo(root: Path, *, images: int) -> _Run:
    with Store(root, writable=True) as store, tempfile.TemporaryDirectory(prefix="plimsoll-keys-") as keys:
        async with RegistryServer(store) as registry:
            sys.stderr.write(f"building {images} images in {root}, served on http://{registry}\n")
            demo = await asyncio.to_thread(
                build_demo, store, root=root, registry=registry, seed=os.urandom(32), count=images
            )
            paths = _write_keys(Path(keys), demo)
            begun = time.perf_counter()
            verdicts = await _verify(
                paths, [f"docker://{registry}/{image.repository}:{image.tag}" for image in demo.images]
            )
            seconds = time.perf_counter() - begun
    return _Run(registry=registry, demo=demo, verdicts=verdicts, seconds=seconds)


def _write_keys(folder: Path, demo: Demo) -> list[Path]:
    paths = []
    for at, pem in enumerate(demo.trusted_keys):
        path = folder / f"trusted-{at}.pub"
        path.write_bytes(pem)
        paths.append(path)
    return paths


async def _verify(keys: Sequence[Path], references: Sequence[str]) -> list[Verdict]:
    """As ``verify --key ... --insecure-ignore-tlog --layers digest --tls-verify=false``, in the input's order."""
    policy = Policy.from_keys(*keys, log=LogDemand.IGNORED)
    async with Verifier(policy, settings=Settings(layers=Layers.DIGEST, tls_verify=False)) as verifier:
        found = [verdict async for verdict in verifier.verify_many(references)]
    return sorted(found, key=lambda verdict: verdict.position)


def _got(verdict: Verdict) -> tuple[str, str | None]:
    """Outcome and reason code as the table of expectations writes them; several codes are never an expected one."""
    codes = sorted({reason.code for reason in verdict.reasons})
    return verdict.outcome.value, "+".join(codes) or None


def _word(what: tuple[str, str | None]) -> str:
    outcome, code = what
    return outcome if code is None else f"{outcome}: {code}"


def _by_kind(outcome: _Run) -> Mapping[str, list[tuple[DemoImage, Verdict]]]:
    found: dict[str, list[tuple[DemoImage, Verdict]]] = {kind: [] for kind in EXPECTED}
    for image, verdict in zip(outcome.demo.images, outcome.verdicts, strict=True):
        found[image.kind].append((image, verdict))
    return found


def _table(outcome: _Run) -> Iterator[str]:
    yield f"{'kind':<22} {'images':>6}  {'expected':<33} got\n"
    for kind, found in _by_kind(outcome).items():
        got = sorted({_word(_got(verdict)) for _, verdict in found})
        mark = "ok" if got == [_word(EXPECTED[kind])] else "WRONG"
        yield f"{kind:<22} {len(found):>6}  {_word(EXPECTED[kind]):<33} {', '.join(got)}  {mark}\n"


def _examples(outcome: _Run) -> Iterator[str]:
    yield "\none of each refusal:\n"
    for kind, found in _by_kind(outcome).items():
        refused = next(((image, verdict) for image, verdict in found if verdict.outcome is not Outcome.ACCEPTED), None)
        if refused is None:
            continue
        image, verdict = refused
        yield f"  {kind}: {image.repository}:{image.tag}\n"
        for reason in verdict.reasons:
            yield f"    {reason.code}: {printable(reason.message)}\n"


def _rate(outcome: _Run) -> Iterator[str]:
    images, seconds = len(outcome.verdicts), max(outcome.seconds, 1e-9)
    requests = sum(verdict.requests for verdict in outcome.verdicts) / images
    megabytes = sum(verdict.bytes for verdict in outcome.verdicts) / 1e6
    yield f"\n{images} images in {seconds:.2f} s: {images / seconds:.0f} images/s, {requests:.2f} requests an image, "
    yield f"{megabytes / seconds:.1f} MB/s read and hashed (registry and verifier share one process)\n"


def _differing(outcome: _Run) -> list[tuple[DemoImage, Verdict]]:
    """The images whose verdict is not the one they are due; a missing verdict stops the run in ``zip``."""
    pairs = zip(outcome.demo.images, outcome.verdicts, strict=True)
    return [(image, verdict) for image, verdict in pairs if _got(verdict) != (image.outcome, image.code)]


def _closing(outcome: _Run, wrong: Sequence[tuple[DemoImage, Verdict]]) -> Iterator[str]:
    if not wrong:
        yield f"every one of {len(outcome.verdicts)} verdicts is as it should be\n"
        return
    yield f"{len(wrong)} of {len(outcome.verdicts)} verdicts are NOT as they should be:\n"
    for image, verdict in wrong:
        due = _word((image.outcome, image.code))
        yield f"  {image.kind}: {verdict.image}: {due} expected, {printable(_word(_got(verdict)))} found\n"
        for reason in verdict.reasons:
            yield f"    {reason.code}: {printable(reason.message)}\n"
