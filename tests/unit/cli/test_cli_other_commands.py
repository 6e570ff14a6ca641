import hashlib
import os
import re
import subprocess
import sys

import pytest

from plimsoll import native
from plimsoll.cli.main import main


def run(capfd, *words):
    code = main(words)
    return code, *capfd.readouterr()


def test_digest_prints_a_line_a_file_in_order(capfd, tmp_path):
    expected = ""
    paths = []
    for at, size in enumerate((0, 1, 63, 64, 65, 100_000, 3, 1_000_000)):
        path = tmp_path / f"file {at}"
        path.write_bytes(os.urandom(size))
        paths.append(str(path))
        expected += f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}  {path}\n"
    assert run(capfd, "digest", *paths) == (0, expected, "")


def test_digest_of_more_files_than_one_thread_opens(capfd, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x")
    code, out, err = run(capfd, "digest", *[str(path)] * 500)
    assert (code, err, len(out.splitlines())) == (0, "", 500)


def test_digest_goes_on_after_a_file_that_cannot_be_read(capfd, tmp_path):
    good = tmp_path / "good"
    good.write_bytes(b"x")
    code, out, err = run(capfd, "digest", str(good), "/no/such", str(tmp_path), str(good))
    assert code == 1
    assert len(out.splitlines()) == 2
    assert re.fullmatch(r"plimsoll: /no/such: [^\n]+\nplimsoll: [^\n]+: [^\n]+\n", err)


@pytest.mark.parametrize("name", [b"a\nb", b"\xff", b"\x1b[2J", "\u202e".encode()])
def test_digest_escapes_names_that_would_break_the_line(capfd, tmp_path, name):
    path = os.fsencode(tmp_path) + b"/" + name
    with open(path, "wb"):
        pass
    code, out, err = run(capfd, "digest", os.fsdecode(path))
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 1
    assert "\x1b" not in out


def test_version(capfd):
    code, out, err = run(capfd, "version")
    assert (code, err) == (0, "")
    assert re.fullmatch(r"plimsoll version \d+\.\d+\S*\n", out)
    assert run(capfd, "--version") == (0, out, "")
    assert run(capfd, "-v") == (0, out, "")


@pytest.mark.parametrize("words", [["--verbose"], ["--verbose=true"]])
def test_version_verbose_names_the_back_end(capfd, words):
    code, out, err = run(capfd, "version", *words)
    assert (code, err) == (0, "")
    assert f"backend: {native.BACKEND}\n" in out
    assert "cryptography" in out


def full_disk(*words):
    with open("/dev/full", "wb") as full:
        return subprocess.run(
            [sys.executable, "-m", "plimsoll", *words], stdout=full, stderr=subprocess.PIPE, timeout=30, check=False
        )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", [["--help"], ["version"], ["digest", os.devnull]])
def test_a_full_disk_is_exit_1_with_one_line(words, tmp_path):
    if words[0] == "digest":
        words = ["digest", str(tmp_path / "x")]
        (tmp_path / "x").write_bytes(b"x")
    found = full_disk(*words)
    assert found.returncode == 1
    assert re.fullmatch(rb"plimsoll: No space left on device\n", found.stderr)


@pytest.mark.parametrize("words", [["--help"], ["version", "--verbose"]])
def test_a_closed_pipe_is_exit_1_without_a_word(words):
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as pipe:
        found = subprocess.run(
            [sys.executable, "-m", "plimsoll", *words], stdout=pipe, stderr=subprocess.PIPE, timeout=30, check=False
        )
    assert (found.returncode, found.stderr) == (1, b"")
