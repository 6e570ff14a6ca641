"""Verdicts under generated policies: plimsoll's, skopeo's and a second telling of the rules must be one.

Of policy.json these are left out, as Debian 12's skopeo (1.9.3) refuses them in a policy: ``keyPaths``, ``keyDatas``,
``fulcio``, ``pki``, and every ``rekorPublicKey...``. Left out for other reasons: ``signedBaseLayer`` and ``keyType``
other than GPGKeys, which nobody satisfies; names with tag and digest, which that version refuses; what
docs/adr/0007-stricter-than-skopeo.md lists.
"""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
import threading
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fakes import openpgp as pgp
from fakes import restated
from fakes.signing import signature_manifest, signed_attachment, signer
from plimsoll import HttpSettings, Policy, Settings, Verifier
from plimsoll.model.descriptor import OCI_CONFIG, OCI_MANIFEST
from plimsoll.model.digest import Digest

pytestmark = pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")

CONFIG = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"config":{}}'
IMAGE = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": str(Digest.of(CONFIG)), "size": len(CONFIG)},
        "layers": [],
    }
).encode()
DIGEST, OTHER = Digest.of(IMAGE), Digest.of(b"another image")
SIGNED_S = 1_760_000_000
WHO = ("alice", "bob")
SOMEBODY = st.sampled_from(["alice", "alice", "alice", "bob"])
SETTINGS = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,  # an image costs skopeo a tenth of a second: always the same ones, and none in search of less
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


class AnyImage(ThreadingHTTPServer):
    """A registry in which every name is the one image, and a lookaside; what they hold of signatures is set."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answering)
        self.stored = ()
        self.attached = ()

    @property
    def address(self):
        return f"127.0.0.1:{self.server_address[1]}"

    def answer(self, path):
        """(body, type) for a path, None for what is not there."""
        _, _, last = path.rpartition("/")
        if path == "/v2/":
            return b"{}", "application/json"
        if path.startswith("/sigs/"):
            at = int(last.removeprefix("signature-"))
            return (self.stored[at - 1], "application/octet-stream") if at <= len(self.stored) else None
        blobs = {str(Digest.of(CONFIG)): CONFIG} | {str(each.descriptor.digest): each.data for each in self.attached}
        if "/blobs/" in path:
            return (blobs[last], "application/octet-stream") if last in blobs else None
        if last.endswith(".sig"):
            return (signature_manifest(*self.attached)[0], OCI_MANIFEST) if self.attached else None
        return IMAGE, OCI_MANIFEST


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        found = self.server.answer(self.path)
        missing = b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"not here"}]}'
        body, kind = found or (missing, "application/json")
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing is said of requests."""


@contextmanager
def serving():
    server = AnyImage()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join(20)
        server.server_close()


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """A registry under every host's name, keys in files, and what both programs are configured with."""
    folder = tmp_path_factory.mktemp("differential")
    for who in WHO:
        (folder / f"{who}.gpg").write_bytes(certificate(who))
        (folder / f"{who}.pub").write_bytes(signer(name=who).pem)
    (folder / "registries.d").mkdir()
    with serving() as server:
        hosts = [
            f'[[registry]]\nprefix = "{host}"\nlocation = "{server.address}"\ninsecure = true\n'
            for host in restated.HOSTS
        ]
        (folder / "registries.conf").write_text("\n".join(hosts))
        section = {"lookaside": f"http://{server.address}/sigs", "use-sigstore-attachments": True}
        (folder / "registries.d" / "x.yaml").write_text(json.dumps({"default-docker": section}))
        yield server, folder


def certificate(who):
    return pgp.certificate(pgp.key(name=who), user=f"{who} <{who}@acme.example>".encode())


@cache
def simple(who, name, digest):
    payload = {
        "critical": {
            "identity": {"docker-reference": name},
            "image": {"docker-manifest-digest": str(digest)},
            "type": "atomic container signature",
        },
        "optional": {},
    }
    return pgp.signed_message(pgp.key(name=who), json.dumps(payload).encode(), at_s=SIGNED_S)


@cache
def attached(who, name, digest):
    return signed_attachment(digest, by=signer(name=who), reference=name)


def by_skopeo(folder, image):
    """Whether skopeo takes the image, and what it says."""
    command = [
        "skopeo",
        f"--policy={folder}/policy.json",
        f"--registries.d={folder}/registries.d",
        f"--registries-conf={folder}/registries.conf",
        *("copy", "--remove-signatures", image, f"dir:{folder}/copied"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    rejected = any(said in done.stderr for said in ("Source image rejected", "Running image"))
    assert done.returncode == 0 or rejected, done.stderr  # a fault of another kind decides nothing
    return done.returncode == 0, done.stderr


def by_plimsoll(folder, image):
    async def run():
        given = Settings(
            http=HttpSettings(retries=0),
            registries_d=str(folder / "registries.d"),
            registries_conf=str(folder / "registries.conf"),
        )
        policy = Policy.from_file(str(folder / "policy.json"))
        async with asyncio.timeout(60), Verifier(policy, settings=given) as verifier:
            return await verifier.verify(image)

    found = asyncio.run(run())
    assert found.outcome.value != "undetermined", found.reasons
    return found.outcome.value == "accepted", found.reasons


def requirements_for(folder, image):
    """Lists of one or two requirements; keys by path or by data."""
    identity = st.none() if image is None else st.none() | restated.identities_for(image)
    if image is None:
        identity = restated.identities_for("registry.example/team/app:v1").filter(
            lambda found: "exact" in found["type"]
        )

    def signed_by(who, asked, inline):
        key = {"keyData": base64.b64encode(certificate(who)).decode()} if inline else {"keyPath": f"{folder}/{who}.gpg"}
        return {"type": "signedBy", "keyType": "GPGKeys", **key, **({"signedIdentity": asked} if asked else {})}

    def sigstore(who, asked, inline):
        pem = base64.b64encode(signer(name=who).pem).decode()
        key = {"keyData": pem} if inline else {"keyPath": f"{folder}/{who}.pub"}
        return {"type": "sigstoreSigned", **key, **({"signedIdentity": asked} if asked else {})}

    signed = st.builds(signed_by, SOMEBODY, identity, st.booleans())
    kinds = [signed, signed, st.builds(sigstore, SOMEBODY, identity, st.booleans())][: 3 if image else 2]
    plain = st.sampled_from([{"type": "reject"}, {"type": "insecureAcceptAnything"}])
    return st.lists(st.one_of(*kinds, *kinds, plain), min_size=1, max_size=2)


def signatures_for(image):
    """(who, name, digest) of up to two signatures: mostly of this image, and for a name close to its own."""
    digests = st.sampled_from([DIGEST, DIGEST, DIGEST, OTHER])
    return st.lists(st.tuples(SOMEBODY, restated.signed_for(image), digests), min_size=1, max_size=2)


def who_of(requirement):
    """The key's owner, found by the file's name or by the data."""
    for who in WHO:
        data = (certificate(who), signer(name=who).pem)
        if f"/{who}." in requirement.get("keyPath", "") or base64.b64decode(requirement.get("keyData", "")) in data:
            return who
    raise AssertionError(requirement)


def restated_verdict(listed, image, *, stored, attachments):
    """All requirements of the list, each by one signature of its kind."""

    def met(requirement):
        kind = requirement["type"]
        if kind in ("reject", "insecureAcceptAnything"):
            return kind != "reject"
        identity = requirement.get("signedIdentity", {"type": "matchRepoDigestOrExact"})
        return any(
            who == who_of(requirement) and digest == DIGEST and restated.takes(identity, image, name)
            for who, name, digest in (stored if kind == "signedBy" else attachments)
        )

    return all(map(met, listed))


def compare(folder, policy, *, image, expected):
    (folder / "policy.json").write_text(json.dumps(policy))
    theirs, said = by_skopeo(folder, image)
    ours, reasons = by_plimsoll(folder, image)
    assert (ours, expected) == (theirs, theirs), (image, policy, said, reasons)


DOCKER_IMAGES = st.builds(
    "{}{}".format, restated.REPOSITORIES, st.sampled_from(["", ":v1", ":v1", ":v2", f"@{DIGEST}", f"@{DIGEST}"])
)


@SETTINGS
@given(data=st.data())
def test_docker_images(bench, data):
    server, folder = bench
    image = data.draw(DOCKER_IMAGES)
    requirements = requirements_for(folder, image)
    scopes = data.draw(st.dictionaries(restated.scopes_for(image), requirements, max_size=3))
    policy = {"default": data.draw(requirements), "transports": {"docker": scopes}}
    stored, attachments = data.draw(signatures_for(image)), data.draw(signatures_for(image))
    server.stored = tuple([simple(*each) for each in stored])
    server.attached = tuple([attached(*each) for each in attachments])
    listed = restated.applying(policy, "docker", image)
    expected = restated_verdict(listed, image, stored=stored, attachments=attachments)
    compare(folder, policy, image=f"docker://{image}", expected=expected)


@SETTINGS
@given(data=st.data())
def test_identities_of_docker_images(bench, data):
    """One requirement, one signature by the right key: only the name decides."""
    server, folder = bench
    image = data.draw(DOCKER_IMAGES)
    identity = data.draw(restated.identities_for(image))
    requirement = {"type": "signedBy", "keyType": "GPGKeys", "keyPath": f"{folder}/alice.gpg"}
    policy = {"default": [{**requirement, "signedIdentity": identity}]}
    name = data.draw(restated.signed_for(image))
    server.stored, server.attached = (simple("alice", name, DIGEST),), ()
    compare(folder, policy, image=f"docker://{image}", expected=restated.takes(identity, image, name))


APP = "registry.example/team/app"
REMAP = {"type": "remapIdentity", "prefix": "registry.example", "signedPrefix": "localhost:5000/team"}
BORDERS = [
    ("matchExact", f"{APP}:v1", APP),
    ("matchExact", APP, f"{APP}:latest"),
    ("matchExact", f"{APP}@{DIGEST}", f"{APP}:v1@{DIGEST}"),
    ("matchRepoDigestOrExact", f"{APP}:v1", f"{APP}@{DIGEST}"),
    ("matchRepoDigestOrExact", f"{APP}@{DIGEST}", f"{APP}:v7"),
    ("matchRepoDigestOrExact", f"{APP}@{DIGEST}", f"{APP}@{OTHER}"),
    ("matchRepoDigestOrExact", f"{APP}@{DIGEST}", APP),
    ("matchRepository", f"{APP}:v1", APP),
    ("matchRepository", "registry.example:5000/team/app:v1", f"{APP}:v1"),
    (REMAP, f"{APP}:v1", "localhost:5000/team/team/app:v1"),
    (REMAP, "registry.example:5000/team/app:v1", "localhost:5000/team:5000/team/app:v1"),
    (REMAP | {"signedPrefix": "docker.io"}, "registry.example/team:v1", "team:v1"),
    ({"type": "exactRepository", "dockerRepository": f"{APP}:v9"}, "localhost:5000/team:v1", APP),
    ({"type": "exactReference", "dockerReference": f"{APP}:v1"}, "localhost:5000/team:v1", f"{APP}:v1@{DIGEST}"),
]


@pytest.mark.parametrize(("identity", "image", "name"), BORDERS)
def test_borders_of_identities(bench, identity, image, name):
    server, folder = bench
    identity = {"type": identity} if isinstance(identity, str) else identity
    requirement = {"type": "signedBy", "keyType": "GPGKeys", "keyPath": f"{folder}/alice.gpg"}
    server.stored, server.attached = (simple("alice", name, DIGEST),), ()
    policy = {"default": [{**requirement, "signedIdentity": identity}]}
    compare(folder, policy, image=f"docker://{image}", expected=restated.takes(identity, image, name))


@SETTINGS
@given(data=st.data())
def test_scopes_of_local_images(bench, data, tmp_path_factory):
    _, folder = bench
    transport = data.draw(st.sampled_from(["dir", "dir", "oci"]))
    root = tmp_path_factory.mktemp("local")
    real = root / "/".join(data.draw(st.lists(st.sampled_from(["a", "b", "a.b"]), min_size=1, max_size=3)))
    stored = data.draw(signatures_for("registry.example/team/app:v1")) if transport == "dir" else []
    lay_out(real, transport, stored)
    named = real
    if data.draw(st.booleans()):  # the policy sees where a symbolic link leads
        named = root / "link"
        named.symlink_to(real)
    requirements = requirements_for(folder, None)
    scopes = st.sampled_from([*restated.scopes_of(transport, str(real))[:5], "", str(root / "link"), f"{root}/c"])
    listed = data.draw(st.dictionaries(scopes, requirements, max_size=3))
    policy = {"default": data.draw(requirements), "transports": {transport: listed, "docker": {}}}
    applying = restated.applying(policy, transport, str(real))
    expected = restated_verdict(applying, None, stored=stored, attachments=())
    compare(folder, policy, image=f"{transport}:{named}", expected=expected)


def lay_out(path, transport, stored):
    """The image as a folder of that kind, with its signatures."""
    path.mkdir(parents=True)
    if transport == "dir":
        (path / "version").write_text("Directory Transport Version: 1.1\n")
        (path / "manifest.json").write_bytes(IMAGE)
        (path / Digest.of(CONFIG).hex).write_bytes(CONFIG)
        for at, each in enumerate(stored, 1):
            (path / f"signature-{at}").write_bytes(simple(*each))
        return
    blobs = path / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for blob in (IMAGE, CONFIG):
        (blobs / Digest.of(blob).hex).write_bytes(blob)
    (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    entry = {"mediaType": OCI_MANIFEST, "digest": str(DIGEST), "size": len(IMAGE)}
    (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
