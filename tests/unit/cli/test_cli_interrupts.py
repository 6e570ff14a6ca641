"""Runs that end before their time, as processes of their own: signals, full disks, closed pipes, silent registries."""

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

VECTORS = Path(__file__).parents[2] / "vectors" / "cosign"
IMAGE = f"oci:{VECTORS / 'cosign-k1'}:v1"
UNSIGNED = f"oci:{VECTORS / 'unsigned'}:v1"
TRUST = ("--key", str(VECTORS / "keys" / "k1.pub"), "--insecure-ignore-tlog")
WAIT_S = 30


class Silent:
    """A registry that takes connections and never answers."""

    def __init__(self):
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(WAIT_S)
        self._taken = []
        self.image = f"docker://127.0.0.1:{self._listening.getsockname()[1]}/app:v1"

    def wait_for_a_request(self):
        self._taken.append(self._listening.accept()[0])

    def close(self):
        for connection in (*self._taken, self._listening):
            connection.close()


@pytest.fixture
def silent():
    made = []

    def make():
        made.append(Silent())
        return made[-1]

    yield make
    for registry in made:
        registry.close()


@contextmanager
def started(*words, home, stdin=None, stdout=subprocess.PIPE, shell='exec "$@"'):
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("REGISTRY_", "CONTAINERS_", "XDG_"))
    }
    process = subprocess.Popen(
        ["sh", "-c", shell, "sh", sys.executable, "-m", "plimsoll", "verify", *TRUST, *words],
        env=env | {"HOME": str(home)},
        stdin=stdin or subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def end(process, send=None):
    if send is not None:
        process.send_signal(send)
    out, err = process.communicate(timeout=WAIT_S)
    assert "Traceback" not in err
    return process.returncode, out, err


def parse(form, out):
    """The verdicts and the summary of a report."""
    if form == "json":
        document = json.loads(out)
        return document["verdicts"], document["summary"]
    *verdicts, summary = [json.loads(line) for line in out.splitlines()]
    return verdicts, summary


@pytest.mark.parametrize("send", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_an_interrupted_run_prints_what_is_done_and_counts_the_rest(silent, tmp_path, form, send):
    first, last = silent(), silent()
    # The image between is done, and in ordered output waits for its turn, when the last one is asked for.
    images = [first.image, IMAGE, last.image]
    with started("-j2", "--format", form, *images, home=tmp_path) as process:
        first.wait_for_a_request()
        last.wait_for_a_request()
        code, out, err = end(process, send)
    verdicts, summary = parse(form, out)
    assert (code, err) == (130, "")
    assert [(verdict["position"], verdict["verdict"]) for verdict in verdicts] == [(1, "accepted")]
    assert (summary["images"], summary["accepted"], summary["not_judged"]) == (1, 1, 2)


def test_an_interrupted_text_run_says_how_many_were_not_judged(silent, tmp_path):
    first, last = silent(), silent()
    with started("-j2", first.image, UNSIGNED, last.image, home=tmp_path) as process:
        first.wait_for_a_request()
        last.wait_for_a_request()
        code, out, _ = end(process, signal.SIGINT)
    assert code == 130
    assert out.startswith("REJECTED")
    assert "2 not judged" in out


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_a_run_interrupted_before_the_first_verdict_is_a_whole_document(silent, tmp_path, form):
    registry = silent()
    with started("--format", form, registry.image, home=tmp_path) as process:
        registry.wait_for_a_request()
        code, out, _ = end(process, signal.SIGINT)
    verdicts, summary = parse(form, out)
    assert (code, verdicts, summary["images"], summary["not_judged"]) == (130, [], 0, 1)


def test_a_run_that_waits_for_its_list_can_be_interrupted(tmp_path):
    with started("--from", "-", "--format", "jsonl", home=tmp_path, stdin=subprocess.PIPE) as process:
        process.stdin.write(f"{IMAGE}\n")
        process.stdin.flush()
        line = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out = process.stdout.read()
        code = process.wait(WAIT_S)
    assert json.loads(line)["verdict"] == "accepted"
    assert (code, json.loads(out)["images"]) == (130, 1)
    assert "not_judged" not in json.loads(out)


def test_a_list_that_comes_slowly_is_verified_as_it_comes(tmp_path):
    with started("--from", "-", "--format", "jsonl", home=tmp_path, stdin=subprocess.PIPE) as process:
        for image, expected in ((IMAGE, "accepted"), (UNSIGNED, "rejected")):
            process.stdin.write(f"{image}\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["verdict"] == expected
        code, out, err = end(process)
    assert (code, err, json.loads(out)["images"]) == (3, "", 2)


@pytest.mark.parametrize("form", ["text", "json", "jsonl"])
def test_fail_fast_does_not_wait_for_a_slow_image_before_it(silent, tmp_path, form):
    registry = silent()
    # Whether the silent registry was reached at all before the other image was refused is nobody's promise.
    with started("--fail-fast", "-j2", "--format", form, registry.image, UNSIGNED, home=tmp_path) as process:
        code, out, err = end(process)
    assert (code, err) == (3, "")
    assert "no-signature" in out
    if form != "text":
        verdicts, summary = parse(form, out)
        assert (len(verdicts), summary["images"], summary["not_judged"]) == (1, 1, 1)


@pytest.fixture
def long_list(tmp_path):
    path = tmp_path / "list"
    path.write_text(f"{IMAGE}\n" * 200)
    return str(path)


SMALL_FILES = 'ulimit -f 10; exec "$@"'
"""Files end at some kilobytes, as on a full disk; Python ignores SIGXFSZ, so write() says EFBIG."""


@pytest.mark.parametrize("redirected", [False, True])
def test_a_full_disk_leaves_whole_lines_and_tells_the_count(tmp_path, long_list, redirected):
    report = tmp_path / "report"
    words = ["--from", long_list, "--format", "jsonl", *([] if redirected else ["--output", str(report)])]
    with (
        report.open("wb") as file,
        started(*words, home=tmp_path, stdout=file if redirected else None, shell=SMALL_FILES) as process,
    ):
        code, _, err = end(process)
    lines = report.read_text().splitlines(keepends=True)
    assert code == 1
    assert lines
    assert all(line.endswith("\n") for line in lines)
    assert {json.loads(line)["schema"] for line in lines} == {"plimsoll.verdict/v1"}
    told = re.fullmatch(r"plimsoll: [^\n]+File too large[^\n]+; (\d+) verdicts were written, (\d+) more [^\n]+\n", err)
    assert told, err
    assert int(told[1]) == len(lines)
    assert int(told[2]) >= 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("form", ["text", "json", "jsonl"])
def test_a_full_device_is_exit_1(tmp_path, form):
    with started("--output", "/dev/full", "--format", form, IMAGE, home=tmp_path) as process:
        code, out, err = end(process)
    assert (code, out) == (1, "")
    assert re.fullmatch(
        r"plimsoll: /dev/full: No space left on device[^\n]*; 0 verdicts were written, 1 more [^\n]+\n", err
    )


def test_a_reader_that_leaves_ends_the_run_with_exit_1(tmp_path, long_list):
    reading, writing = os.pipe()
    os.close(reading)
    with (
        open(writing, "wb") as pipe,
        started("--from", long_list, "--format", "jsonl", home=tmp_path, stdout=pipe) as process,
    ):
        code, _, err = end(process)
    assert code == 1
    assert re.fullmatch(r"plimsoll: stdout: Broken pipe[^\n]*\n", err)


def test_stdin_that_is_closed_is_exit_1(tmp_path):
    with started("--from", "-", IMAGE, home=tmp_path, shell='exec "$@" <&-') as process:
        code, out, err = end(process)
    assert (code, out) == (1, "")
    assert re.fullmatch(r"plimsoll: --from -: [^\n]+\n", err)


def test_dev_null_is_an_empty_list(tmp_path):
    with started("--from", "-", home=tmp_path) as process:
        code, _, err = end(process)
    assert (code, err) == (1, "plimsoll: the list is empty: no image was verified\n")


def test_a_terminal_is_read_line_by_line_and_left_as_it_was(tmp_path):
    ours, theirs = os.openpty()
    try:
        with started("--from", "-", "--format", "jsonl", home=tmp_path, stdin=theirs) as process:
            os.write(ours, f"{IMAGE}\n".encode())
            assert json.loads(process.stdout.readline())["verdict"] == "accepted"
            os.write(ours, b"\x04")
            code, _, _ = end(process)
        assert code == 0
        assert os.get_blocking(theirs)
    finally:
        os.close(ours)
        os.close(theirs)


def test_progress_is_written_to_stderr_only(tmp_path):
    ours, theirs = os.openpty()
    try:
        command = [sys.executable, "-m", "plimsoll", "verify", *TRUST, "--progress", "bar", "--format", "jsonl"]
        found = subprocess.run(
            [*command, *[IMAGE] * 400], stdout=subprocess.PIPE, stderr=theirs, timeout=WAIT_S, check=False
        )
        shown = os.read(ours, 65536) if select.select([ours], [], [], 0)[0] else b""
    finally:
        os.close(ours)
        os.close(theirs)
    assert found.returncode == 0
    assert all(line.startswith(b"{") for line in found.stdout.splitlines())
    assert shown == b"" or shown.endswith(b"\r\x1b[K")
