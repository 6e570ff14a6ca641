"""A private sigstore that serves HTTP: Fulcio's API v2, Rekor v1 and v2, and a timestamp authority, over ``fakes.sigstore``.

It checks what the real ones check: the proof that the key is held, the signature of what is logged, the fields of each
request; Rekor v1 says 409 for an entry that it has. Everything happens at ``LOGGED_AT_S``. ``broken`` lets one service
answer something else, by a callable from its good answer.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key

from fakes.rekor import FakeLog, dsse, hashedrekord_v2
from fakes.signing import LOGGED_AT_S
from fakes.sigstore import OIDC, SUBJECT, PrivateSigstore
from fakes.timestamping import Stamp, integer
from plimsoll.native._jcs_py import jcs_encode

PASSWORDLESS_EXPIRY_S = 4_000_000_000
BEARER = "the-bearer-of-this-job"


def token(subject=SUBJECT, issuer=OIDC, **claims):
    """An identity token; nobody here checks its signature."""
    said = {"iss": issuer, "sub": subject, "aud": "sigstore", "exp": PASSWORDLESS_EXPIRY_S} | claims
    parts = [json.dumps(part).encode() for part in ({"alg": "none"}, said)] + [b"no signature at all"]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def claims_of(text):
    part = text.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


@dataclass
class SigstoreServer:
    """The handlers; ``asked`` lists (path, body) of every request, ``sct`` False certifies without a CT log."""

    name: str = "acme"
    sct: bool = True
    broken: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)
    url: str = ""

    def __post_init__(self):
        self.ours = PrivateSigstore(name=self.name)
        self.v2 = FakeLog(kind="v2", host=f"log2.{self.name}.example", name=self.name).fill(3)
        self.ours.rekor.fill(5)
        self.known = {}

    # --- trust ----------------------------------------------------------------------------------------------------

    def root_bytes(self):
        """The trusted root of all of it."""
        document = self.ours.root_document()
        document["tlogs"].append(self.v2.trust())
        return json.dumps(document).encode()

    def signing_config(self, *services):
        """A signing config of these: ``fulcio``, ``rekor1``, ``rekor2``, ``tsa``."""
        document = {"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json"}
        document |= {"rekorTlogConfig": {"selector": "ANY"}, "tsaConfig": {"selector": "ANY"}}
        for name, (member, version, path) in {
            "fulcio": ("caUrls", 1, "/fulcio"),
            "rekor1": ("rekorTlogUrls", 1, "/one"),
            "rekor2": ("rekorTlogUrls", 2, "/two"),
            "tsa": ("tsaUrls", 1, "/tsa/api/v1/timestamp"),
        }.items():
            if name in services:
                entry = {
                    "url": self.url + path,
                    "majorApiVersion": version,
                    "validFor": {"start": "2020-01-01T00:00:00Z"},
                }
                document.setdefault(member, []).append(entry)
        return json.dumps(document).encode()

    # --- services -------------------------------------------------------------------------------------------------

    def application(self):
        app = web.Application()
        app.add_routes(
            [
                web.post("/fulcio/api/v2/signingCert", self.handler("fulcio", self.certify)),
                web.post("/one/api/v1/log/entries", self.handler("rekor1", self.log_v1)),
                web.get("/one/api/v1/log/entries/{id}", self.handler("rekor1", self.entry)),
                web.post("/two/api/v2/log/entries", self.handler("rekor2", self.log_v2)),
                web.post("/tsa/api/v1/timestamp", self.handler("tsa", self.stamp)),
                web.get("/github/token", self.handler("github", self.github)),
            ]
        )
        return app

    def handler(self, service, answer):
        async def handle(request):
            body = await request.read()
            self.asked.append((request.path, body))
            try:
                reply = answer(request, body)
            except (InvalidSignature, KeyError, ValueError) as error:
                reply = web.json_response({"code": 400, "message": f"refused: {error!r}"}, status=400)
            return self.broken.get(service, lambda good: good)(reply)

        return handle

    def certify(self, _request, body):
        asked = json.loads(body)
        claims = claims_of(asked["credentials"]["oidcIdentityToken"])
        wanted = asked["publicKeyRequest"]
        key = load_pem_public_key(wanted["publicKey"]["content"].encode())
        subject = claims.get("email") or claims["sub"]
        key.verify(base64.b64decode(wanted["proofOfPossession"]), subject.encode(), ec.ECDSA(hashes.SHA256()))
        kind = x509.RFC822Name if "email" in claims else x509.UniformResourceIdentifier
        issued = self.ours.certificate(
            issuer=claims["iss"], by=_Asked(key), names=[kind(subject)], sct=self.sct, at_s=LOGGED_AT_S
        )
        chain = [issued.pem, self.ours.intermediate.pem, self.ours.anchor.pem]
        return web.json_response({"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}})

    def log_v1(self, _request, body):
        document = _canonical(json.loads(body))
        leaf = jcs_encode(document)
        entry_id = hashlib.sha256(b"\0" + leaf).hexdigest()
        if entry_id in self.known:
            where = {"Location": f"/api/v1/log/entries/{entry_id}"}
            return web.json_response({"code": 409, "message": "it is there already"}, status=409, headers=where)
        entry = self.ours.rekor.add(leaf)
        proof = entry["inclusionProof"]
        self.known[entry_id] = {
            "body": entry["canonicalizedBody"],
            "integratedTime": int(entry["integratedTime"]),
            "logID": _hex(entry["logId"]["keyId"]),
            "logIndex": int(entry["logIndex"]),
            "verification": {
                "inclusionProof": {
                    "checkpoint": proof["checkpoint"]["envelope"],
                    "hashes": [_hex(each) for each in proof["hashes"]],
                    "logIndex": int(proof["logIndex"]),
                    "rootHash": _hex(proof["rootHash"]),
                    "treeSize": int(proof["treeSize"]),
                },
                "signedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
            },
        }
        return web.json_response({entry_id: self.known[entry_id]}, status=201)

    def entry(self, request, _body):
        entry_id = request.match_info["id"]
        return web.json_response({entry_id: self.known[entry_id]})

    def log_v2(self, _request, body):
        asked = json.loads(body)["hashedRekordRequestV002"]
        signature, digest = (
            base64.b64decode(asked[a][b] if b else asked[a]) for a, b in (("signature", "content"), ("digest", ""))
        )
        verifier = asked["signature"]["verifier"]
        ((form, raw),) = ((name, each["rawBytes"]) for name, each in verifier.items() if name != "keyDetails")
        der = base64.b64decode(raw)
        key = (
            x509.load_der_x509_certificate(der).public_key() if form == "x509Certificate" else load_der_public_key(der)
        )
        _verify(key, signature, digest)
        document = hashedrekord_v2(signature, der, digest=digest, details=verifier["keyDetails"], form=form)
        return web.json_response(self.v2.add(document), status=201)

    def stamp(self, request, body):
        if request.content_type != "application/timestamp-query":
            raise ValueError(request.content_type)
        at = body.index(b"\x04\x20") + 2
        size = body[at + 33]
        nonce = int.from_bytes(body[at + 34 : at + 34 + size], "big")
        assert body[at + 34 + size :] == b"\x01\x01\xff"
        response = Stamp(by=self.ours.tsa, imprint=body[at : at + 32], rest=integer(nonce)).response
        return web.Response(body=response, content_type="application/timestamp-reply", status=201)

    def github(self, request, _body):
        if request.headers.get("Authorization") != f"Bearer {BEARER}" or request.query.get("audience") != "sigstore":
            return web.json_response({"message": f"no job has {request.headers.get('Authorization')}"}, status=401)
        return web.json_response({"value": token()})


@dataclass(frozen=True)
class _Asked:
    """A public key in the place of a Signer, for a certificate."""

    public: object
    kind: str = "p256"

    @property
    def private(self):
        return self

    def public_key(self):
        return self.public


def _canonical(proposed):
    """What Rekor v1 makes of a proposal; raises InvalidSignature for a signature that is not of its key."""
    spec = proposed["spec"]
    if proposed["kind"] == "dsse":
        envelope, verifiers = spec["proposedContent"]["envelope"], spec["proposedContent"]["verifiers"]
        parsed = json.loads(envelope)
        payload = base64.b64decode(parsed["payload"])
        made = [base64.b64decode(each["sig"]) for each in parsed["signatures"]]
        pems = [base64.b64decode(each) for each in verifiers]
        kind = parsed["payloadType"].encode()
        signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
        for signature, pem in zip(made, pems, strict=True):
            _verify(_key(pem), signature, hashlib.sha256(signed).digest(), signed=signed)
        return dsse(payload, *zip(made, pems, strict=True), envelope=envelope.encode())
    signature = base64.b64decode(spec["signature"]["content"])
    pem = base64.b64decode(spec["signature"]["publicKey"]["content"])
    _verify(_key(pem), signature, bytes.fromhex(spec["data"]["hash"]["value"]))
    return proposed


def _key(pem):
    if b"BEGIN CERTIFICATE" in pem:
        return x509.load_pem_x509_certificate(pem).public_key()
    return load_pem_public_key(pem)


def _verify(key, signature, digest, *, signed=None):
    algorithm = Prehashed(hashes.SHA256())
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, digest, ec.ECDSA(algorithm))
    elif isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, digest, padding.PKCS1v15(), algorithm)
    elif signed is None:
        raise ValueError("Ed25519 signs no digest")
    else:
        key.verify(signature, signed)


def _hex(text):
    return base64.b64decode(text).hex()


@contextmanager
def serving(application):
    """Serve an application on loopback, in a thread of its own; gives its URL."""
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)

    async def start():
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(start(), loop).result(20)
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


@contextmanager
def sigstore_server(**parts):
    """Run one; the SigstoreServer knows its ``url``."""
    server = SigstoreServer(**parts)
    with serving(server.application()) as url:
        server.url = url
        yield server
