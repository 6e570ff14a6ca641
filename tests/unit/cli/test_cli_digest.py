import hashlib
import os
import re
import resource
import signal
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.cli.digest import _line
from plimsoll.cli.main import main

X = hashlib.sha256(b"x").hexdigest()
EMPTY = hashlib.sha256().hexdigest()


def run(capfd, *words):
    code = main(["digest", *words])
    return code, *capfd.readouterr()


def started(*words, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "plimsoll", "digest", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def finished(*words, **options):
    with started(*words, **options) as process:
        out, err = process.communicate(timeout=50)
    return process.returncode, out, err


class TestStandardInput:
    def test_a_dash_is_what_stands_there(self, tmp_path):
        (tmp_path / "file").write_bytes(b"x")
        reader, writer = os.pipe()
        os.write(writer, b"abc")
        os.close(writer)
        with open(reader, "rb") as stdin:
            found = finished("file", "-", "file", "-", stdin=stdin, cwd=tmp_path)
        abc = hashlib.sha256(b"abc").hexdigest()
        # Named again it is at its end, as for sha256sum.
        assert found == (0, f"sha256:{X}  file\nsha256:{abc}  -\nsha256:{X}  file\nsha256:{EMPTY}  -\n", "")

    def test_a_file_there_is_read_from_where_it_stands(self, tmp_path):
        (tmp_path / "file").write_bytes(b"yyyx")
        with open(tmp_path / "file", "rb", buffering=0) as stdin:
            stdin.seek(3)
            assert finished("-", stdin=stdin) == (0, f"sha256:{X}  -\n", "")

    def test_a_file_of_that_name_has_a_path(self, tmp_path):
        (tmp_path / "-").write_bytes(b"x")
        assert finished("./-", stdin=subprocess.DEVNULL, cwd=tmp_path) == (0, f"sha256:{X}  ./-\n", "")

    def test_what_cannot_be_read_there_is_one_file_that_failed(self, tmp_path):
        (tmp_path / "file").write_bytes(b"x")
        with open(os.devnull, "wb") as stdin:
            code, out, err = finished("-", "file", stdin=stdin, cwd=tmp_path)
        assert (code, out) == (1, f"sha256:{X}  file\n")
        assert re.fullmatch(r"plimsoll: -: [^\n]+\n", err)


def test_what_follows_two_dashes_is_a_file(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("-x", "y", "--help"):
        (tmp_path / name).write_bytes(b"x")
    for words in (["--", "-x"], ["--", "y", "-x"], ["y", "--", "--help", "-x"]):
        files = [word for word in words if word != "--"]
        assert run(capfd, *words) == (0, "".join([f"sha256:{X}  {name}\n" for name in files]), "")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a b", "a b"),
        ("été", "été"),
        ("a\\nb", "\\a\\\\nb"),
        ("a\nb", "\\a\\nb"),
        ("a\rb", "\\a\\rb"),
        ("\\", "\\\\\\"),
        ("\x1b[2J", "\\\\x1b[2J"),
        ("\udcff", "\\\\udcff"),
        ("\u202e", "\\\\u202e"),
    ],
)
def test_a_name_that_is_escaped_has_a_backslash_before_its_line(capfd, tmp_path, monkeypatch, name, shown):
    monkeypatch.chdir(tmp_path)
    with open(name, "wb") as file:
        file.write(b"x")
    lead = "\\" if shown != name else ""
    assert run(capfd, name) == (0, f"{lead}sha256:{X}  {shown.removeprefix(lead)}\n", "")


def named(line):
    """The name on a line, read as sha256sum --check reads its own."""
    escaped, name = line.startswith("\\"), line.split("  ", 1)[1].removesuffix("\n")
    return name.encode("latin-1", "backslashreplace").decode("unicode_escape") if escaped else name


names = st.text(st.sampled_from("\\\n\r\tanxu0é \u202e\x1b\udcff\U000e0001") | st.characters(exclude_characters="\0"))


@given(names)
def test_a_line_names_its_file_without_doubt(name):
    line = _line(b"\0" * 32, name)
    assert named(line) == name
    assert line.count("\n") == 1
    assert line.endswith("\n")
    assert line.removesuffix("\n").isprintable() or not name.isprintable()
    assert (re.match(rf"\\?sha256:{'0' * 64}  ", line) or [""])[0]


@pytest.mark.parametrize("free", [1, 2, 5, 30])
def test_no_more_files_are_open_at_once_than_the_process_may_open(tmp_path, free):
    paths = []
    for at in range(100):
        paths.append(tmp_path / f"{at}")
        paths[-1].write_bytes(b"%d" % at)
    # To import what it needs Python opens files too, one or two at a time: below the limit of 6 it does not start.
    script = f'ulimit -Sn {5 + free} && exec "$0" -m plimsoll digest "$@"'
    done = subprocess.run(
        ["sh", "-c", script, sys.executable, *paths], capture_output=True, text=True, timeout=50, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "".join(
        [f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}  {path}\n" for path in paths]
    )


def test_where_somebody_else_takes_the_descriptors_what_is_open_is_hashed_first(capfd, tmp_path, monkeypatch):
    monkeypatch.setattr("plimsoll.cli.digest._free_descriptors", lambda: 1_000_000)
    paths = [tmp_path / f"{at}" for at in range(60)]
    for path in paths:
        path.write_bytes(b"x")
    held = len(os.listdir("/dev/fd"))
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    resource.setrlimit(resource.RLIMIT_NOFILE, (held + 10, before[1]))
    try:
        found = run(capfd, *map(str, paths))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert found == (0, "".join([f"sha256:{X}  {path}\n" for path in paths]), "")


def test_a_pipe_beside_a_file_that_fails_is_hashed_whole(capfd, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    (tmp_path / "file").write_bytes(b"x")
    reader, writer = os.pipe()
    try:
        os.write(writer, b"x")
        os.close(writer)
        code, out, err = run(capfd, str(tmp_path / "file"), f"/dev/fd/{reader}", str(tmp_path), str(tmp_path / "file"))
    finally:
        os.close(reader)
    assert (code, [line.split()[0] for line in out.splitlines()]) == (1, [f"sha256:{X}"] * 3)
    assert re.fullmatch(r"plimsoll: [^\n]+: Is a directory\n", err)


def test_an_interrupt_waits_for_no_thread_that_reads(tmp_path):
    pipes = [tmp_path / f"{at}" for at in range(8)]
    for path in pipes:
        os.mkfifo(path)
    process = started(*pipes)
    writers = []
    try:
        # Opened only when it is read: of each thread one, or the first of the only one.
        writers.append(os.open(pipes[0], os.O_WRONLY))
        for _ in range(200):
            process.send_signal(signal.SIGINT)
            try:
                out, err = process.communicate(timeout=0.2)
                break
            except subprocess.TimeoutExpired:
                continue
        assert (process.returncode, out, err) == (130, "", "")
    finally:
        process.kill()
        process.communicate()
        for writer in writers:
            os.close(writer)
