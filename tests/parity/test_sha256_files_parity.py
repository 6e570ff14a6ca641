from __future__ import annotations

import contextlib
import errno
import hashlib
import mmap
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from plimsoll.errors import FileHashError
from plimsoll.native import _sha256, _sha256_py

WINDOW = 2 << 20  # sha256_files.c
SIZES = (0, 1, 63, 64, 65, 4095, 4096, 4097, 131071, 131072, WINDOW - 1, WINDOW, WINDOW + 1, 2 * WINDOW + 77)

both = pytest.mark.parametrize("sha", [_sha256, _sha256_py], ids=["cython", "python"])


@contextlib.contextmanager
def opened(*paths):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(open(path, "rb", buffering=0)).fileno() for path in paths]


@pytest.fixture
def files(tmp_path):
    paths = []
    for position, size in enumerate(SIZES):
        path = tmp_path / f"{position}"
        path.write_bytes(os.urandom(4099) * (size // 4099) + bytes(size % 4099))
        paths.append(path)
    return paths


@both
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, len(SIZES)])
def test_files_of_border_sizes(sha, files, count):
    for chosen in (files[:count], files[::-1][:count]):
        with opened(*chosen) as descriptors:
            assert sha.sha256_files(descriptors) == [hashlib.sha256(p.read_bytes()).digest() for p in chosen]


@pytest.mark.parametrize("name", _sha256.implementations())
def test_every_implementation_reads_files(files, name):
    _sha256.force(name)
    try:
        with opened(*files) as descriptors:
            assert _sha256.sha256_files(descriptors) == [hashlib.sha256(p.read_bytes()).digest() for p in files]
    finally:
        _sha256.force(_sha256.implementations()[0])


@both
def test_a_file_is_hashed_from_its_start_and_its_position_stays(sha, files):
    with opened(files[-1]) as (descriptor,):
        os.lseek(descriptor, 100, os.SEEK_SET)
        assert sha.sha256_files([descriptor, descriptor]) == [hashlib.sha256(files[-1].read_bytes()).digest()] * 2
        assert os.lseek(descriptor, 0, os.SEEK_CUR) == 100


@both
def test_a_file_without_a_stated_size_is_read_to_its_end(sha):
    with opened("/proc/version") as descriptors:
        assert sha.sha256_files(descriptors) == [hashlib.sha256(Path("/proc/version").read_bytes()).digest()]


@both
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="sysfs is Linux's")
def test_a_file_whose_stated_size_is_not_that_of_its_content_is_read_to_its_end(sha):
    path = Path("/sys/devices/system/cpu/possible")
    content = path.read_bytes()
    assert len(content) != path.stat().st_size
    with opened(path, "/proc/version", path) as descriptors:
        digest, _, again = sha.sha256_files(descriptors)
    assert digest == again == hashlib.sha256(content).digest()


NO_ROOM_FOR_A_WINDOW = """
    import os, resource, sys
    from plimsoll.native import _sha256
    file = os.open(sys.argv[1], os.O_RDONLY)
    _sha256.sha256_files([])
    held = int(open("/proc/self/statm").read().split()[0]) * os.sysconf("SC_PAGESIZE")
    resource.setrlimit(resource.RLIMIT_AS, (held + (1 << 20), resource.RLIM_INFINITY))
    print(_sha256.sha256_files([file])[0].hex())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it reads Linux's /proc, and sets a limit of its own")
def test_a_file_that_cannot_be_mapped_is_read(files):
    script = textwrap.dedent(NO_ROOM_FOR_A_WINDOW)
    done = subprocess.run(
        [sys.executable, "-c", script, files[-1]], capture_output=True, text=True, timeout=50, check=False
    )
    assert (done.stdout, done.stderr) == (hashlib.sha256(files[-1].read_bytes()).hexdigest() + "\n", "")


@both
@pytest.mark.parametrize("size", [0, 1, 64, 131072, 300_001])
def test_a_pipe_is_read_to_its_end(sha, size):
    reader, writer = os.pipe()
    data = os.urandom(size)

    def write():
        with open(writer, "wb") as stream:
            stream.write(data)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert sha.sha256_files([reader]) == [hashlib.sha256(data).digest()]
    finally:
        thread.join()
        os.close(reader)


@both
def test_the_file_that_fails_is_named(sha, files, tmp_path):
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        with opened(files[-1], files[3]) as descriptors:
            with pytest.raises(FileHashError) as refused:
                sha.sha256_files([*descriptors, directory])
            assert (refused.value.index, refused.value.errno) == (2, errno.EISDIR)
            with pytest.raises(FileHashError) as refused:
                sha.sha256_files([descriptors[0], -1, directory])
            assert (refused.value.index, refused.value.errno) == (1, errno.EBADF)
            assert isinstance(refused.value, OSError)
    finally:
        os.close(directory)


@both
@pytest.mark.parametrize("wrong", ["3", None, 2.5, 1 << 40])
def test_what_is_no_descriptor_is_refused(sha, wrong):
    with pytest.raises((TypeError, OverflowError)):
        sha.sha256_files([wrong])


def wait_until_mapped(path):
    """Until the hashing thread has mapped the file: it does so before it reads the pipe that comes next."""
    while str(path) not in Path("/proc/self/maps").read_text(encoding="ascii"):
        time.sleep(0.001)


def hash_while(change, path):
    """Hash a file and, beside it in another lane, a pipe that stays open until the file was changed."""
    reader, writer = os.pipe()
    caught = []

    def work():
        try:
            with opened(path) as (descriptor,):
                caught.append(_sha256.sha256_files([descriptor, reader]))
        except FileHashError as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        wait_until_mapped(path)
        change()
    finally:
        os.close(writer)
        thread.join()
        os.close(reader)
    return caught[0]


@pytest.mark.parametrize(
    ("size", "left"),
    [
        *((10_000, left) for left in (0, 1, 4096, 5000, 9_999)),
        *((WINDOW, left) for left in (0, WINDOW - 4096, WINDOW - 1)),
        *((3 * WINDOW + 5, left) for left in (0, 1, WINDOW, 2 * WINDOW + 1, 3 * WINDOW, 3 * WINDOW + 4)),
    ],
)
def test_a_file_that_shrinks_while_mapped_is_an_error_and_no_crash(tmp_path, size, left):
    path = tmp_path / "shrinking"
    path.write_bytes(b"x" * size)
    error = hash_while(lambda: os.truncate(path, left), path)
    assert isinstance(error, FileHashError)
    assert (error.index, error.errno) == (0, errno.EIO)
    assert "changed its size" in str(error)
    with opened(path) as descriptors:  # and the hasher works on
        assert _sha256.sha256_files(descriptors) == [hashlib.sha256(b"x" * left).digest()]


def test_a_file_that_grows_meanwhile_is_an_error(tmp_path):
    path = tmp_path / "growing"
    path.write_bytes(b"x" * 10_000)
    error = hash_while(lambda: os.truncate(path, 10_001), path)
    assert isinstance(error, FileHashError)
    assert error.index == 0


def test_a_file_that_stays_is_hashed_beside_a_pipe(tmp_path):
    path = tmp_path / "steady"
    path.write_bytes(b"x" * 10_000)
    digests = hash_while(lambda: None, path)
    assert digests == [hashlib.sha256(b"x" * 10_000).digest(), hashlib.sha256().digest()]


def test_the_twin_refuses_a_file_that_changes_too(tmp_path, monkeypatch):
    path = tmp_path / "shrinking"
    path.write_bytes(b"x" * 10_000)
    monkeypatch.setattr(_sha256_py, "_CHUNK_BYTES", 4096)
    pread = os.pread

    def shrink_first(descriptor, count, offset):
        if offset:
            os.truncate(path, 4096)
        return pread(descriptor, count, offset)

    monkeypatch.setattr(os, "pread", shrink_first)
    with opened(path) as descriptors, pytest.raises(FileHashError, match="changed its size"):
        _sha256_py.sha256_files(descriptors)


def test_an_interrupt_ends_a_read_that_waits():
    reader, writer = os.pipe()
    over = threading.Event()

    def interrupt():
        while not over.wait(0.02):
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    before = signal.getsignal(signal.SIGINT)

    def once(number, frame):
        over.set()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, once)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            _sha256.sha256_files([reader])
    finally:
        over.set()
        thread.join()
        signal.signal(signal.SIGINT, before)
        os.close(reader)
        os.close(writer)


FOREIGN_FAULT = """
    import faulthandler, mmap, os, signal, sys, tempfile, threading
    from plimsoll.native import _sha256
    file = tempfile.TemporaryFile()
    file.write(b"x" * 10_000)
    file.flush()
    foreign = mmap.mmap(file.fileno(), 10_000, prot=mmap.PROT_READ)
    reader, writer = os.pipe()
    {before}
    {call}
    os.truncate(file.fileno(), 0)
    print("now", flush=True)
    foreign[5000]
    print("not reached", flush=True)
"""
AFTER_A_CALL = "_sha256.sha256_files([file.fileno()])"
DURING_A_CALL = """
    thread = threading.Thread(target=_sha256.sha256_files, args=([file.fileno(), reader],), daemon=True)
    thread.start()
    while open("/proc/self/maps").read().count(os.readlink(f"/proc/self/fd/{file.fileno()}")) < 2: pass
"""


@pytest.mark.parametrize("call", [AFTER_A_CALL, DURING_A_CALL], ids=["after", "during"])
@pytest.mark.parametrize("before", ["", "faulthandler.enable()"], ids=["default", "faulthandler"])
def test_a_fault_elsewhere_strikes_as_it_would_without_us(call, before):
    script = FOREIGN_FAULT.format(before=before, call=call.strip())
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.stdout == "now\n", done.stderr
    assert done.returncode == -signal.SIGBUS
    assert ("Bus error" in done.stderr) == bool(before)


def test_a_bus_signal_sent_during_a_call_reaches_the_handler_that_was_there():
    reader, writer = os.pipe()
    seen = []
    before = signal.signal(signal.SIGBUS, lambda number, frame: seen.append(number))
    thread = threading.Thread(target=_sha256.sha256_files, args=([reader],))
    thread.start()
    try:
        while not seen:
            os.kill(os.getpid(), signal.SIGBUS)
            time.sleep(0.01)
    finally:
        os.close(writer)
        thread.join()
        assert signal.signal(signal.SIGBUS, before) is not None
        os.close(reader)
    assert set(seen) == {signal.SIGBUS}


def test_the_page_size_divides_the_window():
    assert WINDOW % mmap.ALLOCATIONGRANULARITY == 0
