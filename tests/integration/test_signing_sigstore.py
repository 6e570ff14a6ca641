"""What plimsoll signs against a private sigstore, plimsoll verifies: by key, keyless, attested; and what it refuses to store."""

from __future__ import annotations

import base64
import json
import logging
import os
from contextlib import contextmanager

import pytest
from aiohttp import web

from fakes.layouts import LayoutWriter
from fakes.rekor import FakeLog
from fakes.signing import b64
from fakes.sigstore import OIDC, SUBJECT
from fakes.sigstore_server import BEARER, serving, sigstore_server, token
from plimsoll.cli.main import main
from plimsoll.embedded.registry import application
from plimsoll.embedded.store import Store
from plimsoll.signatures.signing import signing_key_from_seed

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
WHO = ("--certificate-identity", SUBJECT, "--certificate-oidc-issuer", OIDC)
PREDICATE = (
    b'{"buildDefinition": {"buildType": "t", "big": 12345678901234567890},\n "runDetails": {"builder": {"id": "b"}}}'
)


@pytest.fixture(scope="module")
def sigstore():
    with sigstore_server() as server:
        yield server


@pytest.fixture
def plimsoll(tmp_path, monkeypatch, capfd):
    """Run the command in this process; gives the exit code and both outputs."""
    for name in list(os.environ):
        if name.startswith(("REGISTRY_", "CONTAINERS_", "XDG_", "COSIGN_", "SIGSTORE_", "ACTIONS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    logger = logging.getLogger("plimsoll")
    before = logger.handlers[:], logger.level

    def run(*words):
        capfd.readouterr()
        code = main([str(word) for word in words])
        return code, *capfd.readouterr()

    yield run
    logger.handlers[:], logger.level = before


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    for name in ("k1", "k2"):
        key = signing_key_from_seed(name.encode() * 24)
        private = folder / f"{name}.key"
        private.touch(0o600)
        private.write_bytes(f"-----BEGIN PRIVATE KEY-----\n{b64(key.pkcs8)}\n-----END PRIVATE KEY-----\n".encode())
        (folder / f"{name}.pub").write_bytes(key.public_pem)
    return folder


@web.middleware
async def without_referrers(request, handler):
    """A registry of the days before the referrers API."""
    if "/referrers/" in request.path:
        return web.json_response({}, status=404)
    reply = await handler(request)
    reply.headers.popall("OCI-Subject", None)
    return reply


@contextmanager
def registry(folder, *middlewares):
    """An embedded registry with one image; gives its reference and the store."""
    folder.mkdir()
    store = Store(folder, writable=True)
    app = application(store, allow_push=True)
    app.middlewares.extend(middlewares)
    writer = LayoutWriter()
    image = writer.image("one", name="v1")
    writer.write(folder / "team/app")
    with serving(app) as url:
        yield f"docker://{url.removeprefix('http://')}/team/app", image.digest
    store.close()


@pytest.fixture(params=["referrers API", "fallback tag"])
def image(request, tmp_path):
    more = () if request.param == "referrers API" else (without_referrers,)
    with registry(tmp_path / "store", *more) as (found, _):
        yield f"{found}:v1"


@pytest.fixture
def material(sigstore, keys, tmp_path):
    """Options to sign and to verify with, by word."""
    root = tmp_path / "root.json"
    root.write_bytes(sigstore.root_bytes())

    def config(*services):
        file = tmp_path / f"config-{'-'.join(services)}.json"
        file.write_bytes(sigstore.signing_config(*services))
        return ("--signing-config", file, "--trusted-root", root, "--tls-verify=false")

    return config, ("--trusted-root", root, "--tls-verify=false"), keys


def words_of(verdict):
    return [reason["code"] for reason in json.loads(verdict.splitlines()[0])["reasons"]]


@pytest.mark.parametrize("services", [(), ("rekor1",), ("rekor2",), ("rekor1", "tsa"), ("rekor2", "tsa")], ids="+".join)
def test_a_bundle_by_key_is_verified_and_another_key_is_not(plimsoll, image, material, services):
    config, trust, keys = material
    how = config(*services) if services else ("--tlog-upload=false", "--tls-verify=false")
    unlogged = () if services else ("--insecure-ignore-tlog",)
    verify = ("verify", "--format", "jsonl", *trust, *unlogged)
    assert plimsoll(*verify, "--key", keys / "k1.pub", image)[0] == 3
    code, out, err = plimsoll("sign", *how, "--key", keys / "k1.key", "-a", "by=us", image)
    assert (code, err) == (0, ""), err
    assert "@sha256:" in out
    code, out, _ = plimsoll(*verify, "--key", keys / "k1.pub", "-a", "by=us", image)
    assert code == 0, out
    assert json.loads(out.splitlines()[0])["signatures"][0]["format"] == "bundle"
    assert plimsoll(*verify, "--key", keys / "k1.pub", "-a", "by=them", image)[0] == 3
    assert plimsoll(*verify, "--key", keys / "k2.pub", image)[0] == 3
    # Both signers' bundles stay.
    assert plimsoll("sign", *how, "--key", keys / "k2.key", image)[0] == 0
    both = ("--key", keys / "k1.pub", "--key", keys / "k2.pub", "--threshold", "2")
    assert plimsoll(*verify, *both, image)[0] == 0


@pytest.mark.parametrize("services", [("rekor1",), ("rekor1", "tsa"), ("rekor2", "tsa")], ids="+".join)
def test_a_keyless_bundle_is_verified_and_another_identity_is_not(plimsoll, image, material, services):
    config, trust, _ = material
    code, out, err = plimsoll("sign", *config("fulcio", *services), "--identity-token", token(), image)
    assert code == 0, err
    assert f"signing as {SUBJECT} (vouched for by {OIDC})" in err
    verify = ("verify", "--format", "jsonl", *trust)
    assert plimsoll(*verify, *WHO, image)[0] == 0
    code, out, _ = plimsoll(*verify, "--certificate-identity", SUBJECT + "x", *WHO[2:], image)
    assert (code, words_of(out)) == (3, ["identity-mismatch"])
    code, out, _ = plimsoll(*verify, *WHO[:2], "--certificate-oidc-issuer", "https://gitlab.com", image)
    assert (code, words_of(out)) == (3, ["identity-mismatch"])


@pytest.mark.parametrize("how", ["bundle", "att"])
@pytest.mark.parametrize("keyless", [False, True], ids=["key", "keyless"])
def test_an_attestation_is_verified_by_its_type_and_is_no_signature(plimsoll, image, material, tmp_path, how, keyless):
    config, trust, keys = material
    (tmp_path / "p.json").write_bytes(PREDICATE)
    by = ("--identity-token", token()) if keyless else ("--key", keys / "k1.key")
    services = config(*(("fulcio",) if keyless else ()), "rekor1", "tsa")
    statement = ("--type", "slsaprovenance1", "--predicate", tmp_path / "p.json", "--format", how)
    code, out, err = plimsoll("attest", *services, *by, *statement, image)
    assert code == 0, err
    assert "attested (https://slsa.dev/provenance/v1)" in out
    verify = ("verify", "--format", "jsonl", *trust, *(WHO if keyless else ("--key", keys / "k1.pub")))
    assert plimsoll(*verify, "--attestation-type", "slsaprovenance1", image)[0] == 0
    assert plimsoll(*verify, "--attestation-type", "vuln", image)[0] == 3
    assert plimsoll(*verify, image)[0] == 3


@pytest.mark.parametrize("keyless", [False, True], ids=["key", "keyless"])
def test_the_sig_tag_holds_the_promise_the_certificate_and_the_timestamp(plimsoll, image, material, sigstore, keyless):
    _, trust, keys = material
    by = (
        ("--identity-token", token(), "--fulcio-url", f"{sigstore.url}/fulcio")
        if keyless
        else ("--key", keys / "k1.key")
    )
    urls = ("--rekor-url", f"{sigstore.url}/one", "--timestamp-server-url", f"{sigstore.url}/tsa/api/v1/timestamp")
    code, out, err = plimsoll("sign", "--format", "sig", *trust, *by, *urls, "-a", "by=us", image)
    assert code == 0, err
    assert out.endswith(".sig\n")
    verify = ("verify", *trust, *(WHO if keyless else ("--key", keys / "k1.pub")))
    assert plimsoll(*verify, "-a", "by=us", image)[0] == 0
    assert plimsoll(*verify, "-a", "by=them", image)[0] == 3


def test_signing_the_same_twice_finds_the_entry_that_the_log_has(plimsoll, image, material, sigstore):
    config, trust, keys = material
    for _ in range(2):
        assert plimsoll("sign", *config("rekor1"), "--key", keys / "k1.key", "-a", f"of={image}", image)[0] == 0
    assert "/one/api/v1/log/entries/" in sigstore.asked[-1][0]  # ECDSA's nonces are RFC 6979's: one and the same entry
    assert plimsoll("verify", *trust, "--key", keys / "k1.pub", image)[0] == 0


def test_a_layout_gets_its_bundle_without_a_name(plimsoll, material, tmp_path):
    config, trust, keys = material
    writer = LayoutWriter()
    writer.image("one", name="v1")
    writer.write(tmp_path / "l")
    image = f"oci:{tmp_path}/l:v1"
    assert plimsoll("sign", *config("rekor1"), "--key", keys / "k1.key", image)[0] == 0
    assert plimsoll("verify", *trust, "--key", keys / "k1.pub", image)[0] == 0
    assert plimsoll("verify", *trust, "--key", keys / "k2.pub", image)[0] == 3
    assert plimsoll("verify", *trust, "--key", keys / "k1.pub", f"oci:{tmp_path}/l")[0] == 0  # it still has one image


def test_the_referrer_is_cosign_s(plimsoll, material, tmp_path):
    config, _, keys = material
    with registry(tmp_path / "store", without_referrers) as (found, digest):
        assert plimsoll("sign", *config("rekor1"), "--key", keys / "k1.key", f"{found}:v1")[0] == 0
        blobs = tmp_path / "store/team/app/blobs/sha256"
        index = json.loads((tmp_path / "store/team/app/index.json").read_bytes())["manifests"]
        [listed] = [e for e in index if e.get("annotations", {}).get("org.opencontainers.image.ref.name") == digest.tag]
        [entry] = json.loads((blobs / listed["digest"][7:]).read_bytes())["manifests"]
        manifest = json.loads((blobs / entry["digest"][7:]).read_bytes())
        assert entry["artifactType"] == manifest["artifactType"] == manifest["layers"][0]["mediaType"] == BUNDLE
        assert manifest["subject"]["digest"] == str(digest)
        assert manifest["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
        assert (blobs / manifest["config"]["digest"][7:]).read_bytes() == b"{}"
        assert entry["annotations"] == manifest["annotations"]
        del manifest["annotations"]["org.opencontainers.image.created"]
        assert manifest["annotations"] == {
            "dev.sigstore.bundle.content": "dsse-envelope",
            "dev.sigstore.bundle.predicateType": "https://sigstore.dev/cosign/sign/v1",
        }


def everything(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def changed(**members):
    def break_(reply):
        ((entry_id, entry),) = json.loads(reply.body).items()
        return web.json_response({entry_id: entry | members}, status=201)

    return break_


def as_another(reply):
    """The log, well proven, but about another artifact."""
    body = json.loads(base64.b64decode(json.loads(reply.body)["canonicalizedBody"]))
    body["spec"]["hashedRekordV002"]["data"]["digest"] = b64(bytes(32))
    log = FakeLog(kind="v2", host="log2.acme.example", name="acme").fill(3)
    return web.json_response(log.add(body), status=201)


BROKEN = {
    "no promise that verifies": ("rekor1", changed(integratedTime=1_700_000_001), "log-proof-invalid"),
    "another log": ("rekor1", changed(logID="00" * 32), "not in the trusted root"),
    "no entry": ("rekor1", lambda _: web.json_response({}, status=201), "log-proof-invalid"),
    "another's entry": ("rekor2", as_another, "log-proof-invalid"),
    "a refusal": ("rekor1", lambda _: web.json_response({"message": "no room"}, status=400), "no room"),
    "no body": ("rekor2", lambda _: web.Response(status=201), "an empty answer"),
    "no timestamp": ("tsa", lambda _: web.Response(body=b"0\x03\x02\x01\x02", status=200), "timestamp-invalid"),
    "no certificate": ("fulcio", lambda _: web.json_response({}, status=201), "certificate-untrusted"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_does_not_verify_is_not_stored(plimsoll, material, sigstore, tmp_path, what, monkeypatch):
    config, _, _ = material
    service, break_, message = BROKEN[what]
    log = "rekor2" if service == "rekor2" else "rekor1"
    monkeypatch.setitem(sigstore.broken, service, break_)
    with registry(tmp_path / "store") as (found, _):
        before = everything(tmp_path / "store")
        code, out, err = plimsoll(
            "sign", *config("fulcio", log, "tsa"), "--retry-times", "0", "--identity-token", token(), f"{found}:v1"
        )
        assert (code, out) == (1, "")
        assert message in err
        assert everything(tmp_path / "store") == before


def test_a_stranger_s_sigstore_is_refused_by_the_trusted_root(plimsoll, material, tmp_path):
    _, trust, keys = material
    with sigstore_server(name="stranger") as stranger, registry(tmp_path / "store") as (found, _):
        (tmp_path / "s.json").write_bytes(stranger.signing_config("fulcio", "rekor1"))
        before = everything(tmp_path / "store")
        for by in (("--key", keys / "k1.key"), ("--identity-token", token())):
            code, _, err = plimsoll("sign", "--signing-config", tmp_path / "s.json", *trust, *by, f"{found}:v1")
            assert code == 1
            assert "not in the trusted root" in err
        assert everything(tmp_path / "store") == before


def test_a_ci_job_signs_by_the_token_that_it_is_offered(plimsoll, image, material, sigstore, monkeypatch):
    config, trust, _ = material
    sign = ("sign", *config("fulcio", "rekor1"), image)
    code, _, err = plimsoll(*sign)
    assert code == 1
    assert "nothing to sign with" in err
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{sigstore.url}/github/token?job=1")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "another-bearer-than-this-job-has")
    code, _, err = plimsoll(*sign)
    assert code == 1
    assert "another-bearer" not in err
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", BEARER)
    assert plimsoll(*sign)[0] == 0
    assert plimsoll("verify", *trust, *WHO, image)[0] == 0
    monkeypatch.setenv("SIGSTORE_ID_TOKEN", token("https://gitlab.com/acme/app//.gitlab-ci.yml@refs/heads/main"))
    code, _, err = plimsoll(*sign)
    assert "signing as https://gitlab.com/acme/app" in err


def test_a_token_is_never_shown(plimsoll, material, sigstore, tmp_path, monkeypatch):
    config, _, _ = material
    secret = token(jti="canary")
    file = tmp_path / "token"
    file.write_text(secret + "\n")
    sign = (
        "sign",
        *config("fulcio", "rekor1"),
        "--debug",
        "--retry-times",
        "0",
        "--identity-token",
        file,
        "oci:/no:v1",
    )
    answers = [
        web.json_response({"message": f"bad token {secret}"}, status=401),
        web.json_response({"errors": [{"code": "X", "message": secret.split(".")[1]}]}, status=503),
        web.json_response({}, status=307, headers={"Location": f"https://f.example/{secret}"}),
    ]
    for answer in answers:
        monkeypatch.setitem(sigstore.broken, "fulcio", lambda _, answer=answer: answer)
        code, out, err = plimsoll(*sign)
        assert code == 1
        for part in secret.split("."):
            assert part[:16] not in out + err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--identity-token", token(), "--fulcio-url", "http://fulcio.example", "--rekor-url", "https://r.example"),
            "only https",
        ),
        (("--identity-token", token(), "--rekor-url", "https://r.example"), "add --fulcio-url"),
        (("--identity-token", token(), "--fulcio-url", "https://f.example"), "add --rekor-url"),
        (
            (
                "--identity-token",
                token(exp=1),
                "--fulcio-url",
                "http://127.0.0.1:9",
                "--rekor-url",
                "https://r.example",
            ),
            "has expired",
        ),
        (("--identity-token", "no.token"), "say --yes"),
        (("--identity-token", "no.token", "--yes"), "no JWT"),
        (("--identity-token", token(email="a@b.c", email_verified=False), "-y"), "is not verified"),
        (("--key", "k1", "--identity-token", token()), "exclude each other"),
        (("--key", "k1"), "say --yes"),
        (("--key", "k1", "--timestamp-server-url", "https://t.example"), "add --rekor-url"),
        (("--key", "k1", "--rekor-url", "ftp://t.example"), "no https URL"),
        (("--key", "k1", "--rekor-url", "https://u@t.example"), "no https URL"),
        (("--key", "k1", "--signing-config", "/no/such"), "/no/such"),
        (("--key", "k1", "--signing-config", "k1", "--rekor-url", "https://r.example"), "exclude each other"),
        (
            ("--identity-token", token(), "--tlog-upload=false", "--fulcio-url", "https://f.example"),
            "lives for minutes",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_sent(plimsoll, material, words, message):
    _, _, keys = material
    words = [keys / "k1.key" if word == "k1" else word for word in words]
    code, out, err = plimsoll("sign", *words, "127.0.0.1:9/team/app:v1")
    assert (code, out) == (1, "")
    assert message in err


def test_the_sig_tag_takes_no_rekor_v2(plimsoll, image, material, sigstore):
    config, _, keys = material
    before = len(sigstore.asked)
    code, _, err = plimsoll("sign", "--format", "sig", *config("rekor2"), "--key", keys / "k1.key", image)
    assert code == 1
    assert "one entry of Rekor v1 only" in err
    assert len(sigstore.asked) == before  # nothing became public


def test_the_conformance_suite_s_way_makes_bundles_that_its_other_way_verifies(plimsoll, material, sigstore, tmp_path):
    config, _, _ = material
    _, file, _, root, _ = config("fulcio", "rekor2", "tsa")
    (tmp_path / "a.txt").write_bytes(b"an artifact")
    words = ("--bundle", tmp_path / "b.json", "--trusted-root", root)
    code, out, err = plimsoll(
        "conformance", "sign-bundle", "--identity-token", token(), *words, "--signing-config", file, tmp_path / "a.txt"
    )
    assert (code, out) == (0, ""), err
    verify = ("conformance", "verify-bundle", *words[:2], *WHO, *words[2:])
    assert plimsoll(*verify, tmp_path / "a.txt")[0] == 0
    (tmp_path / "c.txt").write_bytes(b"another")
    assert plimsoll(*verify, tmp_path / "c.txt")[0] == 1


def test_and_so_it_does_with_statements(plimsoll, material, sigstore, tmp_path):
    config, _, _ = material
    _, file, _, root, _ = config("fulcio", "rekor1")
    digest = "a" * 64
    statement = {"_type": "https://in-toto.io/Statement/v1", "subject": [{"name": "x", "digest": {"sha256": digest}}]}
    statement |= {"predicateType": "https://slsa.dev/provenance/v1", "predicate": {}}
    (tmp_path / "s.json").write_text(json.dumps(statement))
    words = ("--bundle", tmp_path / "b.json", "--trusted-root", root)
    sign = ("conformance", "sign-bundle", "--in-toto", "--identity-token", token(), *words, "--signing-config", file)
    assert plimsoll(*sign, tmp_path / "s.json")[0] == 0
    verify = ("conformance", "verify-bundle", *words[:2], *WHO, *words[2:])
    assert plimsoll(*verify, f"sha256:{digest}")[0] == 0
    assert plimsoll(*verify, f"sha256:{'b' * 64}")[0] == 1
    (tmp_path / "s.json").write_text("{}")
    assert plimsoll(*sign, tmp_path / "s.json")[0] == 1
