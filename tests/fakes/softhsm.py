"""A PKCS#11 token in software (SoftHSM 2), with a P-256, an RSA and an Ed25519 pair and what else tests name.

One token folder a process: the module reads ``SOFTHSM2_CONF`` when it is loaded, and is loaded once.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

PIN = "5678"
LABEL = "plimsoll test"
ESCAPED = "token=plimsoll%20test"
_MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so", "/usr/lib64/libsofthsm2.so",
            "/usr/local/lib/softhsm/libsofthsm2.so")  # fmt: skip


@dataclass(frozen=True)
class SoftToken:
    """``module`` is the library's path, ``api`` python-pkcs11; ``open`` logs in for writing."""

    module: str
    api: object

    def open(self, label=LABEL):
        return self.api.lib(self.module).get_token(token_label=label).open(user_pin=PIN, rw=True)

    def uri(self, *path, pin=True, query=""):
        asked = [f"module-path={self.module}", *([f"pin-value={PIN}"] if pin else []), *([query] if query else [])]
        return f"pkcs11:{';'.join([ESCAPED, *path])}?{'&'.join(asked)}"


def soft_token():
    """The token of this process, made at first; skips, naming what is missing."""
    api = pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed (the extra pkcs11)")
    module = next(filter(os.path.exists, _MODULES), None)
    if module is None or shutil.which("softhsm2-util") is None:
        pytest.skip("SoftHSM is not installed (Debian's softhsm2)")
    return _made(module, api)


@functools.cache
def _made(module, api):
    folder = tempfile.mkdtemp(prefix="softhsm-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    Path(folder, "tokens").mkdir()
    conf = Path(folder, "softhsm2.conf")
    conf.write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(conf)
    for label in (LABEL, "another"):
        subprocess.run(
            ["softhsm2-util", "--module", module, "--init-token", "--free", "--label", label]  # noqa: RUF005
            + ["--so-pin", "1234", "--pin", PIN],
            check=True,
            capture_output=True,
            timeout=30,
        )
    token = SoftToken(module, api)
    with token.open() as session:
        _fill(session, api)
    return token


def _fill(session, api):
    kinds = api.KeyType

    def curve(kind, name):
        named = {api.Attribute.EC_PARAMS: api.util.ec.encode_named_curve_parameters(name)}
        return session.create_domain_parameters(kind, named, local=True)

    curve(kinds.EC, "secp256r1").generate_keypair(id=b"\x01", label="ec", store=True)
    curve(kinds.EC, "secp384r1").generate_keypair(id=b"\x04", label="twin", store=True)
    curve(kinds.EC, "secp256r1").generate_keypair(id=b"\x05", label="twin", store=True)
    curve(kinds.EC, "secp256k1").generate_keypair(id=b"\x06", label="koblitz", store=True)
    session.generate_keypair(kinds.RSA, 2048, id=b"\x02", label="rsa", store=True)
    curve(kinds.EC_EDWARDS, "1.3.101.112").generate_keypair(
        mechanism=api.Mechanism.EC_EDWARDS_KEY_PAIR_GEN, id=b"\x03", label="ed", store=True
    )
