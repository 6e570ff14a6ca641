"""Do lanes pay? Several SHA-256 streams at once, against hashlib one after the other and against `openssl dgst`."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess

import pytest

from plimsoll.native import SHA256_IMPLEMENTATION, Sha256, sha256_files, sha256_many, sha256_update_many

MIB = 1 << 20
LARGE_FILES, LARGE_FILE_BYTES = 4, 256 * MIB


@pytest.mark.parametrize(
    ("count", "size"), [(1, MIB), (2, MIB), (4, MIB), (16, MIB), (1000, 600), (100, 5000)], ids=str
)
def bench_many_buffers(against, benchmark, count, size):
    buffers = [os.urandom(size) for _ in range(count)]
    benchmark.extra_info["implementation"] = SHA256_IMPLEMENTATION

    def peer():
        return [hashlib.sha256(data).digest() for data in buffers]

    assert sha256_many(buffers) == peer()
    against(lambda: sha256_many(buffers), hashlib=peer)


def bench_many_buffers_of_mixed_lengths(against):
    buffers = [os.urandom(size) for size in (300, 70_000, 1_000, 2 * MIB, 5_000, 300_000, 64, 900_000) * 4]
    against(lambda: sha256_many(buffers), hashlib=lambda: [hashlib.sha256(data).digest() for data in buffers])


@pytest.mark.parametrize("count", [1, 2, 4])
def bench_streams_advanced_together(against, count):
    chunks = [os.urandom(256 * 1024) for _ in range(count)]
    streams, peers = [Sha256() for _ in chunks], [hashlib.sha256() for _ in chunks]
    pairs = list(zip(streams, chunks, strict=True))

    def one_after_the_other():
        for peer, chunk in zip(peers, chunks, strict=True):
            peer.update(chunk)

    against(lambda: sha256_update_many(pairs), hashlib=one_after_the_other)


@pytest.fixture(scope="module")
def large_files(tmp_path_factory, request):
    folder = tmp_path_factory.mktemp("large")
    noise = os.urandom(MIB)
    size = LARGE_FILE_BYTES if request.config.getoption("--benchmark-enable") else MIB
    for number in range(LARGE_FILES):
        with (folder / str(number)).open("wb") as file:
            for _ in range(size // MIB):
                file.write(noise)
            file.flush()
            os.fsync(file.fileno())  # no write-back while the clock runs
    yield sorted(folder.iterdir())
    shutil.rmtree(folder)


def bench_large_cached_files_on_one_core(against, large_files):
    """The question of `plimsoll digest`: four large files, one core, in the page cache; openssl reads them too."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.fail("this benchmark compares with the openssl command: install it")
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})  # the child inherits it
    descriptors = [os.open(path, os.O_RDONLY) for path in large_files]

    def by_openssl():
        done = subprocess.run([openssl, "dgst", "-sha256", "-r", *large_files], check=True, capture_output=True)
        return [bytes.fromhex(line.split()[0].decode()) for line in done.stdout.splitlines()]

    def by_hashlib():
        digests = []
        for path in large_files:
            with path.open("rb", buffering=0) as file:
                digests.append(hashlib.file_digest(file, "sha256").digest())
        return digests

    try:
        assert sha256_files(descriptors) == by_openssl()
        against(lambda: sha256_files(descriptors), openssl=by_openssl, hashlib=by_hashlib)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
        os.sched_setaffinity(0, allowed)
