"""A Vault and an AWS KMS on loopback: they serve one reading each, over plain HTTP, and write down what they were asked."""

from __future__ import annotations

import base64
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "hvs.the-token-of-these-tests"


@dataclass
class KeyService:
    """``answers`` by path (Vault) or key id (KMS): a status and a document; ``asked`` lists path, headers and body."""

    answers: dict
    asked: list = field(default_factory=list)
    netloc: str = ""


def transit_key(*pems, kind="ecdsa-p256", latest=None):
    """Vault's answer for a key with these versions."""
    keys = {str(number): {"name": kind, "public_key": pem} for number, pem in enumerate(pems, 1)}
    return {"request_id": "1", "data": {"type": kind, "keys": keys, "latest_version": latest or len(pems)}}


def kms_key(spki, usage="SIGN_VERIFY"):
    """KMS's answer for a key."""
    return {"KeyId": "arn:aws:kms:x:1:key/1", "PublicKey": base64.b64encode(spki).decode(), "KeyUsage": usage}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        return

    def do_GET(self):
        self._answer(self.path, b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(json.loads(body)["KeyId"], body)

    def _answer(self, named, body):
        service = self.server.service
        service.asked.append((self.path, dict(self.headers), body))
        status, document = service.answers.get(named, (404, {"__type": "NotFoundException", "errors": []}))
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if 300 <= status < 400:
            self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def serving(answers):
    """Serve until the block ends."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.service = KeyService(answers=answers, netloc=f"127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.service
        finally:
            server.shutdown()
            thread.join()
