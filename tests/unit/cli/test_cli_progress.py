import io
import os
import socket
from contextlib import suppress

import pytest

from plimsoll.cli import progress as progress_module
from plimsoll.cli.formats import FORMATS
from plimsoll.cli.main import main
from plimsoll.cli.progress import BAR_EVERY_S, PLAIN_EVERY_S, Progress
from plimsoll.report.summary import Summary
from plimsoll.signatures.signing import signing_key_from_seed


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    return now


def watch(monkeypatch, clock, kind, *, every, total=None, terminal=False, updates=3):
    stderr = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(progress_module.sys, "stderr", stderr)
    progress = Progress(kind, total=total)
    for at in range(updates):
        clock[0] += every
        progress.update(Summary(images=at + 1, accepted=at + 1))
    progress.close()
    return stderr.getvalue()


def test_plain_says_a_line_every_ten_seconds(monkeypatch, clock):
    out = watch(monkeypatch, clock, "plain", every=PLAIN_EVERY_S / 2, updates=6)
    assert len(out.splitlines()) == 3
    assert out.splitlines()[0].startswith("2 images, 2 accepted, 0 rejected, 0 undetermined")
    assert "\x1b" not in out


def test_a_bar_is_drawn_over_itself_and_cleared(monkeypatch, clock):
    out = watch(monkeypatch, clock, "bar", every=BAR_EVERY_S * 1.01, total=3)
    assert "\n" not in out
    assert "1/3 images" in out
    assert out.endswith("\r\x1b[K")


@pytest.mark.parametrize(("terminal", "kind"), [(True, "bar"), (False, "plain")])
def test_auto_asks_the_terminal(monkeypatch, clock, terminal, kind):
    options = {"every": PLAIN_EVERY_S, "terminal": terminal}
    assert watch(monkeypatch, clock, "auto", **options) == watch(monkeypatch, clock, kind, **options)


def test_a_text_takes_the_place_of_a_bar_that_is_shown(monkeypatch, clock):
    monkeypatch.setattr(progress_module.sys, "stderr", Terminal())
    bar, plain = Progress("bar", total=None), Progress("plain", total=None)
    assert bar.over("x\n") == "x\n"
    clock[0] += PLAIN_EVERY_S
    bar.update(Summary(images=1))
    plain.update(Summary(images=1))
    assert [bar.over("x\n"), bar.over("y\n"), plain.over("x\n")] == ["\r\x1b[Kx\n", "y\n", "x\n"]


def test_a_stderr_that_is_full_is_not_waited_for(monkeypatch, clock):
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, bytes(65536))
    os.set_blocking(writing, True)
    with open(reading, "rb"), open(writing, "w") as full:
        monkeypatch.setattr(progress_module.sys, "stderr", full)
        progress = Progress("plain", total=None)
        clock[0] += PLAIN_EVERY_S
        progress.update(Summary(images=1))  # would never return
        os.read(reading, 65536)
        progress.update(Summary(images=1))
        full.flush()
        os.set_blocking(reading, False)
        data = b""
        with suppress(BlockingIOError):
            while chunk := os.read(reading, 65536):
                data += chunk
    assert data.strip(b"\0").startswith(b"1 images")


def test_none_says_nothing_and_a_short_run_needs_no_word(monkeypatch, clock):
    assert watch(monkeypatch, clock, "none", every=100) == ""
    assert watch(monkeypatch, clock, "plain", every=1) == ""
    assert watch(monkeypatch, clock, "bar", every=0.01) == ""


def test_the_formats_and_their_order():
    assert list(FORMATS) == ["text", "json", "jsonl", "junit", "sarif"]
    assert [name for name, made in FORMATS.items() if not made.ordered] == ["jsonl"]


def test_a_run_that_stalls_still_tells_where_it_is(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("plimsoll.cli.progress.PLAIN_EVERY_S", 0.02)
    monkeypatch.setattr("plimsoll.cli.verify_run.TICK_S", 0.02)
    key = tmp_path / "key.pub"
    key.write_bytes(signing_key_from_seed(bytes(48)).public_pem)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        options = ["--insecure-ignore-tlog", "--timeout", "300ms", "--retry-times", "0", "--progress", "plain"]
        code = main(["verify", "--key", str(key), *options, f"docker://{address}/app:v1"])
    assert code == 4
    assert "0/1 images" in capsys.readouterr().err
