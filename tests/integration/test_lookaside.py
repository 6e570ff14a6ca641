"""``plimsoll verify`` with a registry and a lookaside on loopback: good signatures, and everything that is no such."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import threading
from contextlib import contextmanager

import pytest
from aiohttp import web

from fakes.policy_lab import lay_out, push
from fakes.served import served
from fakes.signing import SIGNATURE, SIMPLE_SIGNING, b64, payload_bytes, signer
from plimsoll import limits
from plimsoll.cli.main import main

APP = "acme-pol/app@sha256=e361f81963feb7c146e2c10a83eb7a0f51d2ffd520270e8496a6299bf44e90f8"
STRANGER = "acme-pol/stranger@sha256=7a312a50c245dd2a4d47f269277c49582544cdaba028d0b6ab210aa73265c6ce"
APP_DIGEST = APP.partition("@")[2].replace("=", ":")
NAMED = {"type": "exactReference", "dockerReference": "registry.example/acme-pol/app:v1"}


class StaticServer:
    """Files below a folder over HTTP, save for paths that have a handler of their own; ``asked`` is every request."""

    def __init__(self):
        self.folder = None
        self.handlers = {}
        self.asked = []

    async def handle(self, request):
        self.asked.append((request.path, dict(request.headers)))
        handler = next((each for end, each in self.handlers.items() if request.path.endswith(end)), None)
        if handler is not None:
            return await handler(request)
        path = self.folder / request.path.lstrip("/")
        return web.Response(body=path.read_bytes()) if path.is_file() else web.Response(status=404)


@contextmanager
def listening(server):
    """The server in a thread with a loop of its own; gives HOST:PORT."""

    async def start():
        runner = web.ServerRunner(web.Server(server.handle), shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return runner, f"127.0.0.1:{runner.addresses[0][1]}"

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    runner, address = asyncio.run_coroutine_threadsafe(start(), loop).result(20)
    try:
        yield address
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lookaside")
    root = folder / "repositories"
    root.mkdir()
    server = StaticServer()
    with served(root) as registry, listening(server) as address:
        lab = lay_out(folder, registry=registry)
        push(lab, root)
        yield lab, registry, server, address


class Bench:
    """One test's lookaside: ``folder`` is what the file and HTTP lookasides serve."""

    def __init__(self, place, folder, capfd):
        self.lab, self.registry, self.server, self.address = place
        self.folder = folder / "sigs"
        shutil.copytree(self.lab / "lookaside", self.folder)
        self.http = f"http://{self.address}/"
        self.file = f"file://{self.folder}"
        self._configured = folder
        self._capfd = capfd
        self.server.folder, self.server.handlers, self.server.asked = self.folder, {}, []

    def at(self, number, image=APP):
        return self.folder / image / f"signature-{number}"

    def policy(self, *requirements):
        path = self._configured / "policy.json"
        path.write_text(json.dumps({"default": list(requirements)}))
        return path

    def verify(self, base, *words, image="acme-pol/app:v1", key="rsa", policy=None):
        """The exit code, the verdict and all that was printed."""
        section = {"lookaside": base}
        registries_d = self._configured / "registries.d"
        registries_d.mkdir(exist_ok=True)
        (registries_d / "x.yaml").write_text(json.dumps({"docker": {self.registry: section}}))
        policy = policy or self.policy(self.signed_by(key))
        options = ["--tls-verify=false", "--retry-times", "1", "--format", "jsonl"]
        options += ["--policy", str(policy), "--registries.d", str(registries_d)]
        code = main(["verify", *options, *words, f"docker://{self.registry}/{image}"])
        out, err = self._capfd.readouterr()
        assert err == ""
        return code, json.loads(out.splitlines()[0]), out

    def signed_by(self, key, identity=None):
        path = str(self.lab / "keys" / f"{key}.gpg")
        return {"type": "signedBy", "keyType": "GPGKeys", "keyPath": path, "signedIdentity": identity or NAMED}

    def refused(self, base, *words, **how):
        """The exit code and the codes of the reasons."""
        code, verdict, _ = self.verify(base, *words, **how)
        assert not [signature for signature in verdict["signatures"] if signature["verified"]]
        return code, [reason["code"] for reason in verdict["reasons"]]


@pytest.fixture
def bench(place, tmp_path, monkeypatch, capfd):
    for name in list(os.environ):
        if name.lower().startswith(("registry_", "containers_", "xdg_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return Bench(place, tmp_path, capfd)


@pytest.fixture(params=["file", "http"])
def base(request, bench):
    return getattr(bench, request.param)


def test_a_signature_in_a_lookaside_is_found_and_counts(bench, base):
    code, verdict, _ = bench.verify(base)
    assert (code, verdict["verdict"], verdict["reasons"]) == (0, "accepted", [])
    (signature,) = verdict["signatures"]
    assert signature == {"format": "simple", "key": "063F8BA6356EA693678D22B730DBCFA7F029BB0B", "verified": True}


def test_over_http_exactly_the_signatures_are_asked_for(bench):
    _, verdict, _ = bench.verify(bench.http)
    assert [path for path, _ in bench.server.asked] == [f"/{APP}/signature-1", f"/{APP}/signature-2"]
    assert verdict["requests"] >= 3


def test_another_key_is_not_trusted(bench, base):
    assert bench.refused(base, key="rsa2") == (3, ["untrusted-key"])


def test_another_name_is_not_accepted(bench, base):
    policy = bench.policy(bench.signed_by("rsa", {"type": "matchRepoDigestOrExact"}))
    assert bench.refused(base, policy=policy) == (3, ["identity-mismatch"])


def test_a_good_signature_of_another_image_does_not_match(bench, base):
    bench.at(1, STRANGER).replace(bench.at(1))
    assert bench.refused(base) == (3, ["digest-mismatch"])


def test_changed_bytes_are_no_signature(bench, base):
    data = bytearray(bench.at(1).read_bytes())
    data[-40] ^= 1
    bench.at(1).write_bytes(data)
    code, codes = bench.refused(base)
    assert code == 3
    assert set(codes) <= {"bad-signature", "untrusted-key"}


def test_an_empty_lookaside_has_none(bench, base):
    bench.at(1).unlink()
    assert bench.refused(base) == (3, ["no-signature"])


def test_a_gap_ends_the_signatures(bench, base):
    bench.at(1).rename(bench.at(2))
    assert bench.refused(base) == (3, ["no-signature"])


@pytest.mark.parametrize("page", [b"<html>", b"", b"\0unheard-of\nx"])
def test_one_unreadable_signature_spoils_all(bench, base, page):
    bench.at(2).write_bytes(page)
    assert bench.refused(base) == (3, ["bad-signature"])


def test_a_readable_signature_that_does_not_count_spoils_nothing(bench, base):
    bench.at(1).rename(bench.at(2))
    shutil.copyfile(bench.at(1, STRANGER), bench.at(1))
    code, verdict, _ = bench.verify(base)
    assert code == 0
    assert [signature["verified"] for signature in verdict["signatures"]] == [False, True]


def test_too_many_signatures_are_refused(bench, base):
    for at in range(2, limits.SIGNATURES_PER_PLACE + 2):
        bench.at(at).write_bytes(bench.at(1).read_bytes())
    assert bench.refused(base) == (3, ["limit-exceeded"])


def test_a_signature_that_is_too_large_is_refused(bench, base):
    os.truncate(bench.at(1), limits.PAYLOAD_BYTES + 1)
    assert bench.refused(base) == (3, ["limit-exceeded"])


def test_each_instance_has_its_own(bench, base):
    how = {"image": "acme-pol/multi:v1", "policy": bench.lab / "policies" / "docker-lookaside-remapped.json"}
    assert bench.verify(base, "--platform", "linux/arm64", **how)[0] == 0
    for path in bench.folder.glob("acme-pol/multi@*/signature-1"):
        path.unlink()
    assert bench.refused(base, "--platform", "linux/arm64", **how) == (3, ["no-signature"])


def stored_cosign(by):
    payload = payload_bytes(APP_DIGEST, reference="registry.example/acme-pol/app:v1")
    wrapper = {"mimeType": SIMPLE_SIGNING, "payload": b64(payload), "annotations": {SIGNATURE: b64(by.sign(payload))}}
    return b"\0sigstore-json\n" + json.dumps(wrapper).encode()


@pytest.mark.parametrize(("by", "expected"), [("alice", (0, [])), ("mallory", (3, ["untrusted-key"]))])
def test_a_sigstore_signature_in_a_lookaside(bench, base, by, expected):
    bench.at(2).write_bytes(stored_cosign(signer(name=by)))
    key = base64.b64encode(signer(name="alice").pem).decode()
    policy = bench.policy({"type": "sigstoreSigned", "keyData": key, "signedIdentity": NAMED})
    code, verdict, _ = bench.verify(base, policy=policy)
    assert (code, [reason["code"] for reason in verdict["reasons"]]) == expected


# --- a lookaside that lies ---


async def endless(request):
    response = web.StreamResponse()
    await response.prepare(request)
    while request.transport is not None and not request.transport.is_closing():
        try:
            await response.write(bytes(65536))
        except ConnectionError:
            break
    return response


async def fails(_request):
    return web.Response(status=500)


async def page(_request):
    return web.Response(text="<html>please log in</html>", content_type="text/html")


async def challenge(_request):
    return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="sigs"'})


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (endless, (3, ["limit-exceeded"])),
        (page, (3, ["bad-signature"])),
        (fails, (4, ["server-error"])),
        (challenge, (4, ["unauthorized"])),
    ],
)
@pytest.mark.parametrize("at", [1, 2])
def test_a_lookaside_that_misbehaves_accepts_nothing(bench, handler, expected, at):
    bench.server.handlers[f"/signature-{at}"] = handler
    assert bench.refused(bench.http) == expected


def test_signatures_without_end_are_given_up(bench):
    good = bench.at(1).read_bytes()

    async def always(_request):
        return web.Response(body=good)

    bench.server.handlers = {f"/signature-{at}": always for at in range(1, 1000)}
    assert bench.refused(bench.http) == (3, ["limit-exceeded"])
    assert len(bench.server.asked) == limits.SIGNATURES_PER_PLACE + 1


def test_a_lookaside_that_is_down_leaves_it_open(bench):
    assert bench.refused("http://127.0.0.1:1/") == (4, ["unreachable"])


def test_the_registrys_credentials_never_go_to_a_lookaside(bench):
    bench.server.handlers["/signature-1"] = challenge
    assert bench.refused(bench.http, "--creds", "alice:hush") == (4, ["unauthorized"])
    ((_, headers),) = bench.server.asked
    assert "Authorization" not in headers


@pytest.mark.parametrize(
    "unreadable", ["ftp://sigs.example/", "http://alice:hush@{}/", "file://elsewhere/sigs", "sigs"]
)
def test_a_lookaside_that_is_no_url_of_ours_is_no_place_for_signatures(bench, unreadable):
    code, verdict, out = bench.verify(unreadable.format(bench.address))
    assert (code, [reason["code"] for reason in verdict["reasons"]]) == (3, ["no-signature"])
    assert "hush" not in out
    assert bench.server.asked == []


def test_a_folder_in_place_of_a_signature_is_refused(bench):
    bench.at(1).unlink()
    bench.at(1).mkdir()
    code, codes = bench.refused(bench.file)
    assert code == 3
    assert codes != ["no-signature"]
