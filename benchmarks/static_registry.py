"""A read-only registry that is never the bottleneck: files in nginx's cache, signed images made here."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from plimsoll.model.digest import Digest
from plimsoll.signatures.signing import cosign_payload, signing_key_from_seed

OCI = "application/vnd.oci.image."
# Each cached file is an open descriptor: the cache stays below what the machine allows a process.
CONFIG = """{user}worker_processes 1; pid {run}/nginx.pid; error_log {run}/error.log crit; daemon off;
events {{ worker_connections 1024; }}
http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; types {{ }}
 open_file_cache max={cached} inactive=300s; open_file_cache_valid 300s;
 client_body_temp_path {run}/a; proxy_temp_path {run}/b; fastcgi_temp_path {run}/c;
 uwsgi_temp_path {run}/d; scgi_temp_path {run}/e;
 server {{ listen 127.0.0.1:{port} backlog=1024; root {tree};
  location = /status {{ stub_status; }}
  location ~ "/referrers/|/manifests/sha256-[0-9a-f]{{64}}$" {{
   default_type application/vnd.oci.image.index.v1+json; error_page 404 = @none; }}
  location ~ /manifests/ {{ default_type application/vnd.oci.image.manifest.v1+json; error_page 404 = @none; }}
  location ~ /blobs/ {{ default_type application/octet-stream; error_page 404 = @none; }}
  location @none {{ default_type application/json; return 404 '{{"errors":[{{"code":"MANIFEST_UNKNOWN"}}]}}'; }} }} }}
"""


@dataclass(frozen=True)
class Corpus:
    """Where the images answer, the files that name them, and what each verdict must be."""

    address: str
    references: Path
    key: Path
    expected: dict[str, str]

    def requests(self) -> int:
        """How many requests nginx has counted so far."""
        with urllib.request.urlopen(f"http://{self.address}/status") as reply:
            return int(reply.read().split()[9])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write_corpus(folder: Path, *, address: str, images: int, bad: int) -> Corpus:
    """Write ``images`` signed images as files, every ``bad``-th without a signature."""
    tree = folder / "tree"
    writer = Writer(tree / "v2" / "bench" / "app", address=address)
    expected = {}
    for number in range(images):
        unsigned = number % bad == 0
        writer.image(number, signed=not unsigned)
        expected[f"docker://{address}/bench/app:v{number}"] = "rejected" if unsigned else "accepted"
    references, key = folder / "references.txt", folder / "key.pub"
    references.write_text("".join(f"{name}\n" for name in expected))
    key.write_bytes(writer.key.public_pem)
    return Corpus(address=address, references=references, key=key, expected=expected)


class Writer:
    """Writes one repository as files."""

    def __init__(self, root: Path, *, address: str) -> None:
        self.key = signing_key_from_seed(os.urandom(48))
        self._root = root
        self._repository = f"{address}/bench/app"
        for name in ("manifests", "blobs"):
            (root / name).mkdir(parents=True)

    def image(self, number: int, *, signed: bool) -> None:
        config = self.blob(json.dumps({"os": "linux", "architecture": "amd64", "number": number}).encode())
        layer = self.blob(b"layer %d" % number + b"." * 2000)
        data = self.manifest(
            f"v{number}",
            {**config, "mediaType": OCI + "config.v1+json"},
            {**layer, "mediaType": OCI + "layer.v1.tar+gzip"},
        )
        digest = Digest.of(data)
        if not signed:
            return
        payload = cosign_payload(repository=self._repository, digest=digest)
        signature = base64.b64encode(self.key.sign(payload)).decode()
        listed = {
            **self.blob(payload),
            "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json",
            "annotations": {"dev.cosignproject.cosign/signature": signature},
        }
        self.manifest(f"{digest.tag}.sig", {**self.blob(b"{}"), "mediaType": OCI + "config.v1+json"}, listed)

    def blob(self, data: bytes) -> dict[str, object]:
        digest = Digest.of(data)
        (self._root / "blobs" / str(digest)).write_bytes(data)
        return {"digest": str(digest), "size": len(data)}

    def manifest(self, tag: str | None, config: dict[str, object], *layers: dict[str, object], **more: object) -> bytes:
        """Write a manifest by its tag, or by its digest where it has none."""
        document = {"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json", "config": config, "layers": layers}
        data = json.dumps(document | more, separators=(",", ":")).encode()
        (self._root / "manifests" / (tag or str(Digest.of(data)))).write_bytes(data)
        return data

    def manifest_bytes(self, tag: str) -> bytes:
        return (self._root / "manifests" / tag).read_bytes()

    def described(self, manifest: bytes, kind: str) -> dict[str, object]:
        """The descriptor of a manifest; ``kind`` is the end of its media type."""
        return {"mediaType": OCI + kind, "digest": str(Digest.of(manifest)), "size": len(manifest)}


def start_nginx(folder: Path, *, port: int) -> subprocess.Popen[bytes]:
    """Serve ``folder``/tree on loopback; the caller ends the process."""
    run = folder / "nginx"
    run.mkdir()
    config = run / "nginx.conf"
    user = "user root; " if os.geteuid() == 0 else ""  # else its worker could not read a private temporary folder
    config.write_text(CONFIG.format(run=run, tree=folder / "tree", port=port, cached=12_000, user=user))
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    process = subprocess.Popen([program, "-c", str(config)])
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process
        time.sleep(0.05)
    process.terminate()
    raise RuntimeError("nginx does not answer")
