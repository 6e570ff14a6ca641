import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from plimsoll.cli import main as cli
from plimsoll.embedded import demo_images
from plimsoll.embedded.demo_images import EXPECTED, REPOSITORY, build_demo
from plimsoll.embedded.store import Store

COMMAND = [sys.executable, "-m", "plimsoll"]


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """The command in a process of its own, its address, and what stood on stderr before the address."""
    process = subprocess.Popen([*COMMAND, "serve", *arguments], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    before = []
    try:
        for line in process.stderr:
            found = re.fullmatch(r"serving (.*) on (http://\S+)\n", line)
            if found:
                assert found[1] == arguments[-1]
                yield process, found[2], before
                return
            before.append(line)
        raise AssertionError(f"it did not serve: {before}")
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def ask(method: str, url: str) -> int:
    try:
        with urlopen(Request(url, method=method)) as reply:
            return reply.status
    except HTTPError as error:
        error.close()
        return error.code


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    with Store(tmp_path, writable=True) as store:
        build_demo(store, root=tmp_path, registry="x:1", seed=bytes(32), count=7)
    return tmp_path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_reads_and_refuses_writes_until_a_signal(filled: Path, number: signal.Signals):
    with serving("--listen", "127.0.0.1:0", str(filled)) as (process, url, before):
        assert before == []
        assert ask("GET", f"{url}/v2/{REPOSITORY}/manifests/v0") == 200
        assert ask("POST", f"{url}/v2/{REPOSITORY}/blobs/uploads/") == 405
        process.send_signal(number)
        assert process.wait(20) == 0


def test_serve_writes_with_allow_push_and_only_once(filled: Path):
    with serving("--listen", "localhost:0", "--allow-push", str(filled)) as (_, url, _):
        assert ask("POST", f"{url}/v2/{REPOSITORY}/blobs/uploads/") == 202
        second = subprocess.run(
            [*COMMAND, "serve", "--listen", "127.0.0.1:0", "--allow-push", str(filled)],
            check=False,
            capture_output=True,
            text=True,
        )
        assert second.returncode == 1
        assert "another registry" in second.stderr
        assert "Traceback" not in second.stderr


def test_serve_beyond_loopback_warns(filled: Path):
    with serving("--listen", "0.0.0.0:0", str(filled)) as (_, _, before):
        assert [line for line in before if "warning" in line and "no login" in line]


@pytest.mark.parametrize(("name", "cure"), [("app", "where it is the repository app"), ("App", "in lower case")])
def test_serve_refuses_a_layout_and_says_what_to_serve(
    tmp_path: Path, name: str, cure: str, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / name).mkdir()
    (tmp_path / name / "oci-layout").write_bytes(b'{"imageLayoutVersion":"1.0.0"}')
    # A port that cannot be had ends the run where the layout does not.
    assert cli.main(["serve", "--listen", "203.0.113.1:1", str(tmp_path / name)]) == 1
    said = capsys.readouterr().err
    assert "is an OCI layout itself" in said
    assert cure in said
    assert cli.main(["serve", "--listen", "203.0.113.1:1", str(tmp_path)]) == 1
    assert "is an OCI layout itself" not in capsys.readouterr().err


@pytest.mark.parametrize("address", ["nope", "127.0.0.1", ":5000", "127.0.0.1:70000", "127.0.0.1:x", "::1:5000", ""])
def test_serve_refuses_what_is_no_address(tmp_path: Path, address: str, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["serve", "--listen", address, str(tmp_path)]) == 1
    assert "HOST:PORT" in capsys.readouterr().err


def test_serve_refuses_a_folder_that_is_none_and_a_port_that_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert cli.main(["serve", str(tmp_path / "absent")]) == 1
    assert "No such file" in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert cli.main(["serve", "--listen", f"127.0.0.1:{taken.getsockname()[1]}", str(tmp_path)]) == 1
    assert "in use" in capsys.readouterr().err


def test_demo_verifies_every_kind_as_it_should_be(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["demo", "--images", "20"]) == 0
    out = capsys.readouterr().out
    for kind, (outcome, code) in EXPECTED.items():
        (line,) = [line for line in out.splitlines() if line.startswith(f"{kind:<22}") and line.endswith(" ok")]
        assert line.count(outcome if code is None else f"{outcome}: {code}") == 2
        if code is not None:
            assert f"    {code}: " in out
    assert re.search(r"20 images in .* images/s, .* requests an image, .* MB/s", out)
    assert "every one of 20 verdicts is as it should be" in out


def test_demo_fails_where_one_verdict_is_not_the_expected_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(demo_images, "_flip", lambda path: None)
    assert cli.main(["demo", "--images", "7"]) == 1
    out = capsys.readouterr().out
    assert "1 of 7 verdicts are NOT as they should be" in out
    assert re.search(r"corrupt layer: docker://\S+: rejected: layer-digest-mismatch expected, accepted found", out)


def test_demo_keeps_its_images_where_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    keep = tmp_path / "kept"
    assert cli.main(["demo", "--images", "7", "--keep", str(keep)]) == 0
    assert (keep / REPOSITORY / "index.json").is_file()
    assert cli.main(["demo", "--images", "7", "--keep", str(keep)]) == 1
    assert "not empty" in capsys.readouterr().err


def test_demo_refuses_too_few_images_and_a_folder_that_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["demo", "--images", "6"]) == 1
    assert "at least 7" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert cli.main(["demo", "--keep", os.fspath(tmp_path / "file" / "below")]) == 1
    assert "--keep" in capsys.readouterr().err
