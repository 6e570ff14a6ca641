"""A throw-away GnuPG home with one secret key, or a skip that says why; and skopeo run beside us."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PASSPHRASE = "correct horse battery"


@dataclass(frozen=True)
class GnuPGHome:
    """``fingerprint`` is its secret key's, whose passphrase is PASSPHRASE; ``environ`` names the home."""

    path: Path
    fingerprint: str

    @property
    def environ(self):
        return {**os.environ, "GNUPGHOME": str(self.path)}

    @property
    def passphrase_file(self):
        return str(self.path / "passphrase")

    @property
    def public_key_file(self):
        return str(self.path / "public.gpg")

    def forget(self):
        """End the agent, so that it remembers no passphrase."""
        subprocess.run(["gpgconf", "--kill", "all"], env=self.environ, capture_output=True, check=True, timeout=30)


@contextmanager
def gnupg_home():
    """Make one; its agent ends with the block. Its path is short, as the agent's socket must fit 108 bytes."""
    if shutil.which("gpg") is None or shutil.which("gpgconf") is None:
        pytest.skip("gpg is not installed (Debian: apt-get install gpg gpg-agent)")
    path = Path(tempfile.mkdtemp(prefix="gpg"))
    home = GnuPGHome(path=path, fingerprint="")
    try:
        secret = Path(home.passphrase_file)
        secret.touch(0o600)
        secret.write_text(f"{PASSPHRASE}\nnot this line\n")
        made = _gpg(
            home, "--passphrase", PASSPHRASE, "--quick-gen-key", "Tester <t@example.com>", "rsa2048", "sign", "never"
        )
        fingerprint = made.partition("KEY_CREATED P ")[2].split()[0]
        _gpg(home, "--output", home.public_key_file, "--export", fingerprint)
        yield GnuPGHome(path=path, fingerprint=fingerprint)
    finally:
        home.forget()
        shutil.rmtree(path, ignore_errors=True)  # the ending agent takes its sockets away itself


def _gpg(home, *words):
    done = subprocess.run(
        ["gpg", "--batch", "--pinentry-mode", "loopback", "--status-fd", "1", *words],
        env=home.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def skopeo(*words, environ=None):
    """Run the installed skopeo; gives its exit code and both outputs."""
    done = subprocess.run(
        ["skopeo", *map(str, words)], env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stdout, done.stderr
