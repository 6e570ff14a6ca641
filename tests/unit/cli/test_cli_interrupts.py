"""Runs that end before their time, as processes of their own: signals, full disks, closed pipes, silent registries."""

import fcntl
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

VECTORS = Path(__file__).parents[2] / "vectors" / "cosign"
IMAGE = f"oci:{VECTORS / 'cosign-k1'}:v1"
UNSIGNED = f"oci:{VECTORS / 'unsigned'}:v1"
TRUST = ("--key", str(VECTORS / "keys" / "k1.pub"), "--insecure-ignore-tlog")
WAIT_S = 30
LONG = 300
"""Images whose report fills a pipe."""


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
def started(*words, home, stdin=None, stdout=subprocess.PIPE, stderr=subprocess.PIPE, shell='exec "$@"'):
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("REGISTRY_", "CONTAINERS_", "XDG_"))
    }
    process = subprocess.Popen(
        ["sh", "-c", shell, "sh", sys.executable, "-m", "plimsoll", "verify", *TRUST, *words],
        env=env | {"HOME": str(home)},
        stdin=stdin or subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
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
    assert (code, err) == (130 if send is signal.SIGINT else 143, "")
    assert [(verdict["position"], verdict["verdict"]) for verdict in verdicts] == [(1, "accepted")]
    assert (summary["images"], summary["accepted"], summary["not_judged"]) == (1, 1, 2)


@pytest.mark.parametrize("form", ["json", "jsonl"])
@pytest.mark.parametrize(("image", "verdict", "expected"), [(IMAGE, "accepted", 4), (UNSIGNED, "rejected", 3)])
def test_a_run_whose_time_is_over_prints_what_is_done(silent, tmp_path, form, image, verdict, expected):
    first, last = silent(), silent()
    words = ["--command-timeout", "1h", "-j2", "--format", form, first.image, image, last.image]
    with started(*words, home=tmp_path) as process:
        first.wait_for_a_request()
        last.wait_for_a_request()
        code, out, err = end(process, signal.SIGALRM)  # which the system sends when the time is over
    verdicts, summary = parse(form, out)
    assert (code, [found["verdict"] for found in verdicts], summary["not_judged"]) == (expected, [verdict], 2)
    assert err == "plimsoll: the time of --command-timeout is over: what is left is not judged\n"


BEFORE = 'python=$1; shift 3; exec "$python" -m plimsoll --command-timeout 300ms "$@"'


@pytest.mark.parametrize(("words", "shell"), [(["--command-timeout=300ms"], 'exec "$@"'), ([], BEFORE)])
def test_the_time_of_a_command_comes_to_its_end(silent, tmp_path, words, shell):
    """On a slow machine that may be before the run has begun; it ends, and nothing is accepted."""
    with started(*words, silent().image, home=tmp_path, shell=shell) as process:
        code, out, err = end(process)
    assert code in (1, 4)
    assert "ACCEPTED" not in out
    assert err.startswith("plimsoll: the time of --command-timeout is over: ")


def test_other_commands_are_bounded_too(silent, tmp_path):
    explain = 'python=$1; shift 7; exec "$python" -m plimsoll --command-timeout 300ms policy explain "$@"'
    with started("--insecure-policy", silent().image, home=tmp_path, shell=explain) as process:
        code, out, err = end(process)
    assert (code, out) == (1, "")
    assert err == "plimsoll: the time of --command-timeout is over: the command was ended\n"


def test_one_that_is_not_reached_changes_nothing(tmp_path):
    with started("--command-timeout", "0", "--command-timeout", "1h", IMAGE, home=tmp_path) as process:
        code, _, err = end(process)
    assert (code, err) == (0, "")


@pytest.mark.parametrize(("send", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_listing_that_is_cut_counts_its_repository_as_not_judged(silent, tmp_path, send, expected):
    registry = silent()
    repository = registry.image.removesuffix(":v1")
    with started("--all-tags", "--format", "jsonl", repository, home=tmp_path) as process:
        registry.wait_for_a_request()
        code, out, _ = end(process, send)
    verdicts, summary = parse("jsonl", out)
    assert (code, verdicts, summary["images"], summary["not_judged"]) == (expected, [], 0, 1)


@pytest.mark.parametrize(("form", "send", "expected"), [("text", signal.SIGINT, 130), ("jsonl", signal.SIGTERM, 143)])
def test_a_reader_that_stalls_does_not_make_ctrl_c_dead(silent, tmp_path, form, send, expected):
    registry = silent()
    reading, writing = os.pipe()
    held = fill(writing)
    with (
        open(reading, "rb") as reader,
        open(writing, "wb") as pipe,
        started("-j1", "--format", form, IMAGE, registry.image, home=tmp_path, stdout=pipe) as process,
    ):
        registry.wait_for_a_request()
        pipe.close()
        code, _, err = end(process, send)
        assert reader.read(held) == bytes(held)
    assert code == expected
    assert err == (
        "plimsoll: stdout: nobody reads it; 0 verdicts were written, "
        "2 more references had been read and are not reported\n"
    )


def fill(writing):
    """Write until nothing more goes in: how much that was."""
    held = 0
    os.set_blocking(writing, False)
    for size in (4096, 1):  # the last page takes the rest
        with suppress(BlockingIOError):
            while True:
                held += os.write(writing, bytes(size))
    os.set_blocking(writing, True)
    return held


def test_nor_while_two_policies_are_compared(tmp_path, long_list):
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text('{"default":[{"type":"insecureAcceptAnything"}]}')
    new.write_text('{"default":[{"type":"reject"}]}')
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    diff = 'python=$1; shift 7; exec "$python" -m plimsoll policy diff "$@"'
    with (
        open(reading, "rb"),
        open(writing, "wb") as pipe,
        started(str(old), str(new), "--from", long_list, home=tmp_path, stdout=pipe, shell=diff) as process,
    ):
        wait_until_full(pipe)
        pipe.close()
        code, _, err = end(process, signal.SIGINT)
    assert (code, err) == (130, "")


def wait_until_full(pipe):
    """As long as somebody could write to it at once; the run then waits for who reads it."""
    asked = select.poll()
    asked.register(pipe, select.POLLOUT)
    for _ in range(WAIT_S * 20):
        if not asked.poll(0):
            return
        time.sleep(0.05)
    raise AssertionError("the pipe never filled")


def test_a_reader_that_goes_on_after_a_while_gets_all(tmp_path, long_list):
    reading, writing = os.pipe()
    with (
        open(reading, "rb") as reader,
        open(writing, "wb") as pipe,
        started("--from", long_list, "--format", "jsonl", home=tmp_path, stdout=pipe) as process,
    ):
        wait_until_full(pipe)
        pipe.close()
        lines = reader.read().splitlines()
        code, _, err = end(process)
    assert (code, err) == (0, "")
    assert len(lines) == LONG + 1


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
    path.write_text(f"{IMAGE}\n" * LONG)
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


def test_a_bar_and_verdicts_on_one_terminal_do_not_run_into_each_other(tmp_path):
    ours, theirs = os.openpty()
    with started("--from", "-", home=tmp_path, stdin=subprocess.PIPE, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while b" images/s" not in shown:  # the bar, before any verdict
            shown += os.read(ours, 65536)
        process.stdin.write(f"{IMAGE}\n" * 3)
        process.stdin.close()
        with suppress(OSError):  # the terminal's end
            while data := os.read(ours, 65536):
                shown += data
        code = process.wait(WAIT_S)
    os.close(ours)
    # What a terminal shows of a line: what follows the last clearing of it.
    lines = [line.rpartition("\x1b[K")[2] for line in shown.decode().replace("\r\n", "\n").split("\n")]
    assert code == 0
    assert lines.pop() == ""
    assert [line.split()[0] for line in lines] == ["ACCEPTED", "image:", "cosign"] * 3 + ["3"]


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


def test_ctrl_c_while_the_command_is_being_read_is_no_traceback(tmp_path):
    """As the first import of it sees it, whenever that is."""
    (tmp_path / "argparse.py").write_text("raise KeyboardInterrupt\n")
    done = subprocess.run(
        [sys.executable, "-m", "plimsoll", "version"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
