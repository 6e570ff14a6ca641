"""The programs that meet here: cosign, plimsoll, a private sigstore, and the two registries between them."""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from fakes.docker_registry import Pusher, docker_registry

HERE = Path(__file__).parent
STARTED_WITHIN_S = 60.0
COMMAND_WITHIN_S = 120.0
CLAIMS = {
    "event_name": "push",
    "sha": "0123456789abcdef0123456789abcdef01234567",
    "workflow": "release",
    "repository": "acme/app",
    "ref": "refs/heads/main",
}
"""What GitHub says of a workflow in its tokens, and Fulcio repeats in its certificates."""


@dataclass(frozen=True)
class Answer:
    """How a program ended."""

    command: tuple[str, ...]
    code: int
    out: str
    err: str

    def __str__(self):
        return f"{' '.join(self.command)}\nexit {self.code}\n{self.out[-3000:]}\n{self.err[-3000:]}"


def quiet_environment(home):
    """PATH and a home of its own: no user's registries, policies, TUF roots or tokens."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "COSIGN_PASSWORD": ""}


@dataclass(frozen=True)
class Program:
    """A command line to which arguments are added."""

    command: tuple[str, ...]
    home: Path

    def run(self, *args):
        command = (*self.command, *map(str, args))
        done = subprocess.run(  # the programs of this test, with arguments of this test
            command,
            env=quiet_environment(self.home),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_WITHIN_S,
            check=False,
        )
        return Answer(command=command, code=done.returncode, out=done.stdout, err=done.stderr)

    def do(self, *args):
        """Run what must succeed."""
        answer = self.run(*args)
        assert answer.code == 0, str(answer)
        return answer


@contextmanager
def _listening(command, *, home, stream, log):
    """Run a server that prints one line on ``stream`` once it listens; gives that line. It ends with the block."""
    with log.open("wb") as sink:
        other = {"stdout": "stderr", "stderr": "stdout"}[stream]
        process = subprocess.Popen(
            command,
            env=quiet_environment(home),
            stdin=subprocess.PIPE,
            **{stream: subprocess.PIPE, other: sink},
        )
        said = getattr(process, stream)
        try:
            ready, _, _ = select.select([said], [], [], STARTED_WITHIN_S)
            line = said.readline().decode() if ready else ""
            if not line:
                raise RuntimeError(f"{command[0]} does not listen: {log.read_text()[-2000:]}")
            yield line.strip()
        finally:
            process.stdin.close()
            process.terminate()
            process.wait(STARTED_WITHIN_S)
            said.close()


@dataclass(frozen=True)
class PrivateSigstore:
    """Fulcio, CT log, both Rekors and a timestamp authority, and the folder that its trust is written to."""

    url: str
    folder: Path

    @property
    def trusted_root(self):
        return self.folder / "trusted_root.json"

    def token(self, subject, issuer):
        """A file with an identity token; nobody checks its signature."""
        now = int(time.time())
        claims = {"iss": issuer, "sub": subject, "aud": "sigstore", "iat": now, "exp": now + 3600, **CLAIMS}
        parts = [json.dumps(part).encode() for part in ({"alg": "ES256", "typ": "JWT"}, claims)] + [bytes(64)]
        file = self.folder / "token"
        file.write_text(".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts))
        return file

    def signing_config(self, *services):
        """A file that names of ``fulcio``, ``rekor1``, ``rekor2``, ``tsa`` those that are asked for."""
        service = {"validFor": {"start": "2020-01-01T00:00:00Z"}, "operator": "sigstore.mock"}
        document = {"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json"}
        document |= {"rekorTlogConfig": {"selector": "ANY"}, "tsaConfig": {"selector": "ANY"}}
        for name, (member, version, path) in _SERVICES.items():
            if name in services:
                entry = {"url": self.url + path, "majorApiVersion": version, **service}
                document.setdefault(member, []).append(entry)
        file = self.folder / f"signing-{'-'.join(('config', *services))}.json"
        file.write_text(json.dumps(document))
        return file


_SERVICES = {
    "fulcio": ("caUrls", 1, ""),
    "rekor1": ("rekorTlogUrls", 1, ""),
    "rekor2": ("rekorTlogUrls", 2, ""),
    "tsa": ("tsaUrls", 1, "/api/v1/timestamp"),
}


@contextmanager
def private_sigstore(installed, folder):
    """Run one; ``installed`` is the folder whose node_modules have @sigstore/mock."""
    command = ["node", str(HERE / "private_sigstore.cjs"), str(installed), str(folder)]
    with _listening(command, home=folder, stream="stdout", log=folder / "log") as url:
        yield PrivateSigstore(url=url, folder=folder)


@contextmanager
def embedded_registry(folder):
    """``plimsoll serve --allow-push``: answers the referrers API."""
    command = [sys.executable, "-m", "plimsoll", "serve", "--allow-push", "--listen", "127.0.0.1:0", str(folder)]
    with _listening(command, home=folder, stream="stderr", log=folder.with_suffix(".log")) as said:
        yield Pusher(address=said.rpartition("http://")[2])


REGISTRIES = {"referrers API": embedded_registry, "fallback tag": docker_registry}
"""How a registry keeps what refers to an image -> who runs one. Debian's docker-registry has no referrers API."""


@dataclass(frozen=True)
class World:
    """All that the tests share; what is signed stays as it is."""

    cosign: Program
    plimsoll: Program
    sigstore: PrivateSigstore
    stranger: PrivateSigstore
    registries: dict[str, Pusher]
    keys: Path


KEYS = {
    "p384": partial(ec.generate_private_key, ec.SECP384R1()),
    "p521": partial(ec.generate_private_key, ec.SECP521R1()),
    "rsa3072": partial(rsa.generate_private_key, 65537, 3072),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}
"""Kinds that cosign makes no keys of, but takes."""


def make_keys(folder, *, cosign, plimsoll):
    """NAME.key and NAME.pub of each: ``k1``, ``k2`` by cosign, ``own`` by plimsoll, and KEYS as cosign keeps them."""
    for name in ("k1", "k2"):
        cosign.do("generate-key-pair", "--output-key-prefix", folder / name)
    for name, make in KEYS.items():
        pem = folder / f"{name}.pem"
        pem.write_bytes(make().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        cosign.do("import-key-pair", "--key", pem, "--output-key-prefix", folder / name)
    passphrase = folder / "passphrase"
    passphrase.write_text("\n")
    passphrase.chmod(0o600)
    plimsoll.do("generate-sigstore-key", "--output-prefix", folder / "own", "--passphrase-file", passphrase)
    (folder / "own.private").rename(folder / "own.key")


@contextmanager
def open_world(installed, make_folder):
    """Start everything; ``make_folder`` gives a new folder by a word."""
    with ExitStack() as stack:
        registries = {name: stack.enter_context(run(make_folder("registry"))) for name, run in REGISTRIES.items()}
        sigstore, stranger = (
            stack.enter_context(private_sigstore(installed / "node", make_folder(name)))
            for name in ("sigstore", "stranger")
        )
        home, keys = make_folder("home"), make_folder("keys")
        cosign = Program(command=(str(installed / "bin" / "cosign"),), home=home)
        plimsoll = Program(command=(sys.executable, "-m", "plimsoll"), home=home)
        make_keys(keys, cosign=cosign, plimsoll=plimsoll)
        yield World(
            cosign=cosign, plimsoll=plimsoll, sigstore=sigstore, stranger=stranger, registries=registries, keys=keys
        )
