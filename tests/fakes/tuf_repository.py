"""A TUF repository that really signs and really serves: python-tuf's metadata over loopback HTTP.

Every part of it can be made wrong; nothing is checked here. ``tuf`` is imported only where a repository is made.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROLES = ("root", "timestamp", "snapshot", "targets")


def in_days(days):
    """So many days from now: python-tuf judges expiry by the system clock."""
    return datetime.now(tz=UTC).replace(microsecond=0) + timedelta(days=days)


def key_pair():
    from securesystemslib.signer import CryptoSigner  # noqa: PLC0415  # an optional extra

    return CryptoSigner.generate_ed25519()


@dataclass
class TufRepository:
    """Four roles with a key each; ``publish`` signs them and puts them where a client looks."""

    files: dict = field(default_factory=dict)
    signers: dict = field(default_factory=lambda: {role: key_pair() for role in ROLES})
    versions: dict = field(default_factory=lambda: dict.fromkeys(ROLES, 1))
    days: dict = field(default_factory=lambda: {"root": 300, "timestamp": 7, "snapshot": 30, "targets": 200})
    asked: list = field(default_factory=list)

    def publish(self, target, *, name="trusted_root.json", **signers):
        """Offer ``target`` (None: no target at all); ``signers`` replace the keys that sign a role."""
        from tuf.api.metadata import MetaFile, Snapshot, TargetFile, Targets, Timestamp  # noqa: PLC0415  # an optional extra

        signing = self.signers | signers
        targets = Targets(version=self.versions["targets"], expires=in_days(self.days["targets"]))
        if target is not None:
            info = TargetFile.from_data(name, target, ["sha256"])
            targets.targets[name] = info
            self.files[f"targets/{info.hashes['sha256']}.{name}"] = target
        snapshot = Snapshot(version=self.versions["snapshot"], expires=in_days(self.days["snapshot"]))
        snapshot.meta["targets.json"] = MetaFile(version=targets.version)
        timestamp = Timestamp(version=self.versions["timestamp"], expires=in_days(self.days["timestamp"]))
        timestamp.snapshot_meta = MetaFile(version=snapshot.version)
        self.files[f"{targets.version}.targets.json"] = self.signed(targets, signing["targets"])
        self.files[f"{snapshot.version}.snapshot.json"] = self.signed(snapshot, signing["snapshot"])
        self.files["timestamp.json"] = self.signed(timestamp, signing["timestamp"])
        return self

    def publish_root(self, *by):
        """Sign the current keys as a root of the current version, with the root key unless ``by`` says otherwise."""
        from tuf.api.metadata import Root  # noqa: PLC0415  # an optional extra

        root = Root(version=self.versions["root"], expires=in_days(self.days["root"]), consistent_snapshot=True)
        for role in ROLES:
            root.add_key(self.signers[role].public_key, role)
        data = self.signed(root, *(by or (self.signers["root"],)))
        self.files[f"{self.versions['root']}.root.json"] = data
        return data

    def signed(self, content, *signers):
        from tuf.api.metadata import Metadata  # noqa: PLC0415  # an optional extra

        metadata = Metadata(content)
        for signer in signers:
            metadata.sign(signer, append=True)
        return metadata.to_bytes()

    def next(self, *roles):
        """Raise the versions of these roles, or of all but the root."""
        for role in roles or ROLES[1:]:
            self.versions[role] += 1
        return self

    @contextmanager
    def served(self):
        """Yield the address on loopback where ``files`` are served as they are at each request."""
        repository = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                repository.asked.append(self.path)
                body = repository.files.get(self.path.lstrip("/"))
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
