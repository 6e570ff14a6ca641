"""A registry that keeps signatures itself (X-Registry-Supports-Signatures), as plimsoll and skopeo read it."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil

import pytest

from fakes import openpgp as pgp
from fakes.hostile import HostileRegistry, endless_body, hang_up, manifest, needs, refused, reply
from plimsoll import Policy, Verifier
from plimsoll.model.descriptor import OCI_CONFIG, OCI_MANIFEST
from plimsoll.model.digest import Digest
from plimsoll.model.settings import HttpSettings, Settings

CONFIG = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"config":{}}'
IMAGE = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": str(Digest.of(CONFIG)), "size": len(CONFIG)},
        "layers": [],
    }
).encode()
DIGEST = Digest.of(IMAGE)
KEPT = f"/extensions/v2/team/app/signatures/{DIGEST}"
MANIFESTS = "/v2/team/app/manifests/v1"
NAME = "registry.example/team/app:v1"
SIGNED_S = 1_760_000_000
SAYS_SO = {"X_Registry_Supports_Signatures": "1"}


def signature(*, by="signer", digest=DIGEST):
    payload = {
        "critical": {
            "identity": {"docker-reference": NAME},
            "image": {"docker-manifest-digest": str(digest)},
            "type": "atomic container signature",
        },
        "optional": {},
    }
    return pgp.signed_message(pgp.key(name=by), json.dumps(payload).encode(), at_s=SIGNED_S)


def listing(*signatures, **changes):
    entries = [
        {"schemaVersion": 2, "name": f"{DIGEST}@{at}", "type": "atomic", "content": base64.b64encode(each).decode()}
        | changes
        for at, each in enumerate(signatures)
    ]
    return reply(json.dumps({"signatures": entries}).encode(), Content_Type="application/json")


def registry(kept, *, says_so=True):
    server = HostileRegistry()
    more = SAYS_SO if says_so else {}
    server.on("/v2/", reply(b"{}", **more))
    for path in (MANIFESTS, f"/v2/team/app/manifests/{DIGEST}"):
        server.on(path, reply(IMAGE, Content_Type=OCI_MANIFEST, **more))
    server.on(f"/v2/team/app/blobs/{Digest.of(CONFIG)}", reply(CONFIG))
    server.on(KEPT, kept)
    return server


@pytest.fixture
def files(tmp_path):
    """A policy that wants the signer's key, a registries.d without lookaside, and a folder for one."""
    (tmp_path / "key.gpg").write_bytes(pgp.certificate(pgp.key()))
    wanted = {"type": "exactReference", "dockerReference": NAME}
    requirement = {
        "type": "signedBy",
        "keyType": "GPGKeys",
        "keyPath": str(tmp_path / "key.gpg"),
        "signedIdentity": wanted,
    }
    (tmp_path / "policy.json").write_text(json.dumps({"default": [requirement]}))
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x.yaml").write_text(json.dumps({"default-docker": {"lookaside": f"file://{tmp_path}/sigs"}}))
    return tmp_path


def keep_aside(files, *signatures):
    folder = files / "sigs" / "team" / f"app@sha256={DIGEST.hex}"
    folder.mkdir(parents=True)
    for at, each in enumerate(signatures, 1):
        (folder / f"signature-{at}").write_bytes(each)


async def verdict(server, files):
    http = HttpSettings(retries=0, timeout_s=10.0)
    plain = Settings(http=http, tls_verify=False, registries_d=str(files / "d"))
    async with asyncio.timeout(30), Verifier(Policy.from_file(str(files / "policy.json")), settings=plain) as verifier:
        return await verifier.verify(f"docker://{server.host}/team/app:v1")


def verify(server, files):
    async def run():
        async with server:
            return await verdict(server, files)

    found = asyncio.run(run())
    return found.outcome.value, [reason.code for reason in found.reasons]


def test_what_the_registry_keeps_counts(files):
    server = registry(listing(signature()))
    assert verify(server, files) == ("accepted", [])
    assert [seen.method for seen in server.asked(KEPT)] == ["GET"]


def test_one_good_one_among_others_is_enough(files):
    others = signature(by="stranger"), b"rubbish", signature(digest=Digest.of(b"x"))
    assert verify(registry(listing(*others, signature())), files)[0] == "accepted"
    assert verify(registry(listing(*others)), files)[0] == "rejected"


def test_it_replaces_the_lookaside(files):
    keep_aside(files, signature())
    assert verify(registry(refused(404), says_so=False), files) == ("accepted", [])
    assert verify(registry(listing()), files) == ("rejected", ["no-signature"])


def test_a_registry_that_does_not_say_so_is_not_asked(files):
    server = registry(listing(signature()), says_so=False)
    assert verify(server, files) == ("rejected", ["no-signature"])
    assert server.asked(KEPT) == []


def test_what_it_keeps_is_never_of_another_form(files):
    """A sigstore signature in its frame is read from a lookaside; an atomic one is OpenPGP or nothing."""
    framed = b"\0sigstore-json\n" + json.dumps({"mimeType": "x", "payload": "", "annotations": {}}).encode()
    assert verify(registry(listing(framed)), files) == ("rejected", ["bad-signature"])
    assert verify(registry(listing(b"\0simple-signing\n" + signature())), files) == ("rejected", ["bad-signature"])


@pytest.mark.parametrize(
    ("kept", "code"),
    [
        (refused(404), "server-error"),
        (reply(b'{"errors":[]}'), "server-error"),
        (refused(403), "unauthorized"),
        (refused(500), "server-error"),
        (hang_up(), "unreachable"),
        (reply(b"<html>"), "server-error"),
        (reply(b'{"signatures":[{}]}'), "server-error"),
        (listing(*[b"x"] * 129), "limit-exceeded"),
        (endless_body(), "limit-exceeded"),
    ],
)
def test_a_list_that_cannot_be_had_is_never_an_empty_one(files, kept, code):
    keep_aside(files, signature())
    outcome, codes = verify(registry(kept), files)
    assert outcome != "accepted"
    assert codes == [code]


def test_a_challenge_says_so_too_and_the_list_is_asked_with_the_proof(files):
    server = HostileRegistry()
    challenge = 'Bearer realm="http://HOST/token",service="s"'

    async def run():
        async with server:
            asked = challenge.replace("HOST", server.host)
            server.on("/token", reply(b'{"token":"t"}'))
            server.on(MANIFESTS, needs("Bearer t", manifest(IMAGE), challenge=asked))
            server.on(KEPT, needs("Bearer t", listing(signature()), challenge=asked))
            return await verdict(server, files)

    assert asyncio.run(run()).outcome.value == "rejected"
    server = HostileRegistry()
    server.on("/token", reply(b'{"token":"t"}'))

    async def run_again():
        async with server:
            asked = challenge.replace("HOST", server.host)

            async def first(seen, writer):
                if seen.headers.get("authorization") == "Bearer t":
                    return await manifest(IMAGE)(seen, writer)
                return await refused(401, WWW_Authenticate=asked, **SAYS_SO)(seen, writer)

            server.on(MANIFESTS, first)
            server.on(KEPT, needs("Bearer t", listing(signature()), challenge=asked))
            return await verdict(server, files)

    assert asyncio.run(run_again()).outcome.value == "accepted"
    assert [seen.headers.get("authorization") for seen in server.asked(KEPT)] == ["Bearer t"]


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
@pytest.mark.parametrize(
    ("kept", "aside", "accepted"),
    [
        (listing(signature()), (), True),
        (listing(signature(by="stranger"), b"rubbish", signature()), (), True),
        (listing(signature(by="stranger")), (signature(),), False),
        (listing(), (signature(),), False),
        (listing(signature(), schemaVersion=1), (), False),
        (listing(signature(), type="other"), (), False),
        (refused(404), (signature(),), False),
        (reply(b"{}"), (signature(),), False),
    ],
)
def test_skopeo_reads_it_alike(files, kept, aside, accepted):
    keep_aside(files, *aside)
    server = registry(kept)

    async def run():
        async with server:
            ours = await verdict(server, files)
            process = await asyncio.create_subprocess_exec(
                *("skopeo", f"--policy={files}/policy.json", f"--registries.d={files}/d", "copy", "--src-tls-verify=0"),
                *("--remove-signatures", f"docker://{server.host}/team/app:v1", f"dir:{files}/copied"),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
            _, said = await process.communicate()
            return ours, process.returncode, said.decode()

    ours, status, said = asyncio.run(run())
    assert (ours.outcome.value == "accepted", status == 0) == (accepted, accepted), said
    assert len(server.asked(KEPT)) == 2
