"""Debian's docker-registry (distribution 2.8) on a free loopback port, and a pusher of OCI layouts into it."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import time
from base64 import b64encode
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

STARTED_WITHIN_S = 20.0
USER, PASSWORD = "alice", "correct horse"
# bcrypt of PASSWORD at the least cost, which htpasswd files need and the standard library cannot make.
HTPASSWD = "alice:$2y$04$dc4IUiZMUy073Ik7iuS5d.ee9a.XT7G3UrWYaro7VX/m1TY.9PAUi\n"
REF_NAME = "org.opencontainers.image.ref.name"


def find_docker_registry():
    """The program, or a skip that says why: only Debian's package is looked for, nothing is fetched."""
    found = shutil.which("docker-registry", path=f"{os.environ.get('PATH', '')}:/usr/bin:/usr/sbin")
    if found is None:
        pytest.skip("docker-registry is not installed (Debian: apt-get install docker-registry)")
    return found


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@contextmanager
def docker_registry(folder, *, htpasswd=False):
    """Run one over ``folder`` and give its Pusher; it ends with the block."""
    program = find_docker_registry()
    folder = Path(folder)
    address = f"127.0.0.1:{_free_port()}"
    config = folder / "config.yml"
    auth = ""
    if htpasswd:
        (folder / "htpasswd").write_text(HTPASSWD)
        auth = f"auth: {{htpasswd: {{realm: tests, path: {folder / 'htpasswd'}}}}}\n"
    config.write_text(
        "version: 0.1\nlog: {level: error}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'data'}}}, delete: {{enabled: true}}}}\n"
        f"http: {{addr: '{address}'}}\n" + auth
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _wait_until_it_listens(process, address, folder / "log")
        yield Pusher(address=address, credentials=f"{USER}:{PASSWORD}" if htpasswd else None)
    finally:
        process.terminate()
        process.wait(STARTED_WITHIN_S)


def _wait_until_it_listens(process, address, log):
    host, port = address.split(":")
    until = time.monotonic() + STARTED_WITHIN_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"docker-registry ended with {process.returncode}: {log.read_text()[-2000:]}")
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"docker-registry does not listen on {address}: {log.read_text()[-2000:]}")


@dataclass(frozen=True)
class Pusher:
    """Pushes into one registry, a request at a time; anything but success is an error."""

    address: str
    credentials: str | None = None

    def _send(self, connection, method, target, body=None, content_type="application/octet-stream"):
        headers = {"Content-Type": content_type}
        if self.credentials is not None:
            headers["Authorization"] = f"Basic {b64encode(self.credentials.encode()).decode()}"
        connection.request(method, target, body=body, headers=headers)
        reply = connection.getresponse()
        text = reply.read()
        if reply.status not in (201, 202):
            raise RuntimeError(f"{method} {target}: {reply.status} {text[:500]!r}")
        return reply

    def push_layout(self, layout, repository):
        """Push all of a layout that its manifests reach: each entry by its name, or by its digest where it has none."""
        layout = Path(layout)
        connection = http.client.HTTPConnection(self.address, timeout=STARTED_WITHIN_S)
        try:
            for entry in json.loads((layout / "index.json").read_text())["manifests"]:
                name = entry.get("annotations", {}).get(REF_NAME)
                self._push_manifest(connection, layout, repository, entry, name or entry["digest"])
        finally:
            connection.close()

    def _push_manifest(self, connection, layout, repository, entry, reference):
        data = _blob(layout, entry["digest"])
        document = json.loads(data)
        for child in document.get("manifests", ()):
            self._push_manifest(connection, layout, repository, child, child["digest"])
        for blob in (*([document["config"]] if "config" in document else ()), *document.get("layers", ())):
            self._push_blob(connection, repository, blob["digest"], _blob(layout, blob["digest"]))
        target = f"/v2/{repository}/manifests/{reference}"
        self._send(connection, "PUT", target, data, document.get("mediaType", entry["mediaType"]))

    def _push_blob(self, connection, repository, digest, data):
        begun = self._send(connection, "POST", f"/v2/{repository}/blobs/uploads/")
        where = begun.headers["Location"].removeprefix(f"http://{self.address}")
        self._send(connection, "PUT", f"{where}{'&' if '?' in where else '?'}digest={digest}", data)


def _blob(layout, digest):
    return (layout / "blobs" / digest.replace(":", "/")).read_bytes()
