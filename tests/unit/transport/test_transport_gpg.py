"""gpg as a process: what it is told and by which way, and what is made of one that fails, floods or hangs."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from functools import cache
from pathlib import Path

import pytest

from plimsoll import limits
from plimsoll.errors import BadSignatureError, SigningError
from plimsoll.transport.gpg import Gpg

SECRET = b"correct horse"
PAYLOAD = b'{"critical":{}}'
KEY = "A" * 40


def packet(tag, body):
    return bytes([0xC0 | tag, 0xFF]) + len(body).to_bytes(4) + body


@cache
def message(data=PAYLOAD):
    """A message in the form that gpg makes; its signature proves nothing, and nobody here asks it to."""
    key_id = b"12345678"
    return (
        packet(4, b"\x03\x00\x08\x01" + key_id + b"\x01")
        + packet(11, b"b\x00\0\0\0\0" + data)
        + packet(2, b"\x04\x00\x01\x08" + b"\0" * 8)
    )


@pytest.fixture
def fake(tmp_path):
    """Put a program named gpg into a PATH of its own: Python ``code``, with ``out`` as the bytes to print."""

    def make(code, **settings):
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        program = folder / "gpg"
        program.write_text(
            f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I {shlex.quote(str(tmp_path / "gpg.py"))} "$@"\n'
        )
        program.chmod(0o755)
        (tmp_path / "out").write_bytes(settings.pop("out", message()))
        (tmp_path / "gpg.py").write_text(
            f"import os, sys, time\nfolder = {str(tmp_path)!r}\nout = open(folder + '/out', 'rb').read()\n"
            f"def note(name, data): open(folder + '/' + name, 'wb').write(data)\n{code}\n"
        )
        return Gpg(environ={"PATH": str(folder), "GNUPGHOME": "/home/of/gpg"}, **settings)

    return make


def sign(gpg, key=KEY, payload=PAYLOAD):
    return asyncio.run(gpg.sign(payload, key=key))


HONEST = """
note('stdin', sys.stdin.buffer.read())
note('argv', repr(sys.argv).encode())
note('environ', repr(dict(os.environ)).encode())
if '--passphrase-fd' in sys.argv:
    note('secret', os.read(int(sys.argv[sys.argv.index('--passphrase-fd') + 1]), 4096))
sys.stdout.buffer.write(out)
"""


def test_gpg_gets_the_payload_the_key_and_the_passphrase_by_a_pipe(fake, tmp_path):
    assert sign(fake(HONEST, passphrase=SECRET)) == message()
    assert (tmp_path / "stdin").read_bytes() == PAYLOAD
    assert (tmp_path / "secret").read_bytes() == SECRET + b"\n"
    for name in ("argv", "environ"):
        assert SECRET.decode() not in (tmp_path / name).read_text()
    argv = (tmp_path / "argv").read_text()
    for word in ("--batch", "--no-tty", "--local-user", KEY, "--sign", "loopback"):
        assert repr(word) in argv
    assert "/home/of/gpg" in (tmp_path / "environ").read_text()


def test_without_a_passphrase_the_agent_is_left_to_ask(fake, tmp_path):
    assert sign(fake(HONEST)) == message()
    assert "loopback" not in (tmp_path / "argv").read_text()
    assert not (tmp_path / "secret").exists()


def test_the_passphrase_is_not_shown(fake):
    gpg = fake("sys.exit('gpg: signing failed: Bad passphrase')", passphrase=SECRET)
    assert SECRET.decode() not in repr(gpg)
    with pytest.raises(SigningError, match="signing failed: Bad passphrase") as caught:
        sign(gpg)
    assert SECRET.decode() not in str(caught.value)


@pytest.mark.parametrize("secret", [b"two\nlines", b"nul\0", b"x" * (limits.PASSPHRASE_BYTES + 1)])
def test_what_is_no_passphrase_is_refused(fake, secret):
    with pytest.raises(SigningError, match="passphrase is one line"):
        sign(fake(HONEST, passphrase=secret))


def test_an_empty_passphrase_and_the_longest_one_are_taken(fake, tmp_path):
    for secret in (b"", b"x" * limits.PASSPHRASE_BYTES):
        assert sign(fake(HONEST, passphrase=secret)) == message()
        assert (tmp_path / "secret").read_bytes() == secret + b"\n"


@pytest.mark.parametrize("key", ["", "-v", "--output=/tmp/x", " x", "x\n", "a\0b", "x" * 2000])
def test_what_names_no_key_is_not_given_to_gpg(fake, tmp_path, key):
    with pytest.raises(SigningError, match="names no OpenPGP key"):
        sign(fake(HONEST), key=key)
    assert not (tmp_path / "argv").exists()


def test_a_user_id_names_a_key(fake, tmp_path):
    assert sign(fake(HONEST), key="Alice (work) <a@example.com>") == message()
    assert "Alice (work) <a@example.com>" in (tmp_path / "argv").read_text()


@pytest.mark.parametrize("code", ["sys.exit(2)", "os.close(0); sys.exit(2)"])
def test_gpg_that_fails_is_a_refusal_with_its_exit_code(fake, code):
    with pytest.raises(SigningError, match=r"could not sign.*: exit code 2"):
        sign(fake(code), payload=PAYLOAD * 10_000)


def test_a_message_that_came_with_a_failure_is_not_used(fake):
    with pytest.raises(SigningError):
        sign(fake("sys.stdout.buffer.write(out); sys.exit(1)"))


def test_gpg_that_signs_something_else_is_caught(fake):
    with pytest.raises(SigningError, match="something else"):
        sign(fake(HONEST, out=message(b"another payload")))


@pytest.mark.parametrize("out", [b"", b"-----BEGIN PGP MESSAGE-----\n", b"rubbish"])
def test_a_message_that_no_reader_takes_is_refused(fake, out):
    with pytest.raises(BadSignatureError):
        sign(fake(HONEST, out=out))


def test_gpg_that_floods_is_read_to_the_cap_only(fake):
    with pytest.raises(SigningError, match="printed more than"):
        sign(fake("for _ in range(40): sys.stdout.buffer.write(b'x' * 100_000)"))
    with pytest.raises(SigningError, match="exit code 3"):
        sign(fake("for _ in range(40): sys.stderr.buffer.write(b'x' * 100_000)\nsys.exit(3)"))


def test_gpg_that_hangs_is_ended(fake, tmp_path):
    code = "note('pid', str(os.getpid()).encode()); time.sleep(600)"
    with pytest.raises(SigningError, match=r"gave no answer in 2 s"):
        sign(fake(code, timeout_s=2.0))
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_bytes()), 0)


@pytest.mark.parametrize("path", ["", "relative", ".", "/no/such/folder"])
def test_gpg_is_found_in_absolute_folders_of_path_alone(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path, tmp_path / "relative"):
        folder.mkdir(exist_ok=True)
        (folder / "gpg").write_text("#!/bin/sh\ntouch ran\n")
        (folder / "gpg").chmod(0o755)
    with pytest.raises(SigningError, match="no gpg in PATH"):
        sign(Gpg(environ={"PATH": path}))
    assert not Path("ran").exists()


def test_a_program_that_cannot_be_run_is_a_refusal(tmp_path):
    (tmp_path / "gpg").write_text("#!/no/such/interpreter\n")
    (tmp_path / "gpg").chmod(0o755)
    with pytest.raises(SigningError, match="cannot be run"):
        sign(Gpg(environ={"PATH": str(tmp_path)}))


def test_no_handle_is_left_open(fake):
    before = set(os.listdir("/proc/self/fd"))
    sign(fake(HONEST, passphrase=SECRET))
    assert set(os.listdir("/proc/self/fd")) == before


def test_keys_are_exported_by_name(fake, tmp_path):
    gpg = fake(HONEST, out=b"keys")
    assert asyncio.run(gpg.export((KEY, "B" * 40))) == b"keys"
    assert f"'--export', '{KEY}', '{'B' * 40}'" in (tmp_path / "argv").read_text()
    assert asyncio.run(gpg.export(())) == b""
    with pytest.raises(SigningError):
        asyncio.run(gpg.export((KEY, "--export-secret-keys")))
