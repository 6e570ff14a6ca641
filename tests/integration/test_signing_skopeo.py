"""What plimsoll signs skopeo verifies, and the other way round: files, lookasides, attachments, keys."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import shutil
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from fakes.docker_registry import PASSWORD, USER, docker_registry
from fakes.gnupg import PASSPHRASE, gnupg_home, skopeo
from plimsoll.cli.main import main
from plimsoll.embedded.server import RegistryServer
from plimsoll.embedded.store import Store

VECTORS = Path(__file__).parents[1] / "vectors" / "cosign"
MANIFEST = VECTORS / "unsigned/index.json"  # standalone-sign takes any bytes
NAME = "registry.example/team/app:v1"
TAG = ("--format", "sig", "--tlog-upload=false")
needs_skopeo = pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")


@pytest.fixture(scope="module")
def home():
    with gnupg_home() as found:
        yield found


@pytest.fixture
def plimsoll(tmp_path, monkeypatch, capfd):
    """Run the command in this process; gives the exit code and both outputs."""
    for name in list(os.environ):
        if name.startswith(("REGISTRY_", "CONTAINERS_", "XDG_", "COSIGN_")):
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


@pytest.fixture
def gpg(home, monkeypatch):
    monkeypatch.setenv("GNUPGHOME", str(home.path))
    home.forget()
    return home


@contextmanager
def embedded_registry(root):
    """The embedded registry with one unsigned image at team/app:v1, taking pushes, in a thread."""
    shutil.copytree(VECTORS / "unsigned", root / "team/app")
    ready, stop, said = threading.Event(), threading.Event(), []

    async def serve():
        with Store(root, writable=True) as store:
            async with RegistryServer(store, allow_push=True) as address:
                said.append(address)
                ready.set()
                await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(30)
        yield said[0]
    finally:
        stop.set()
        thread.join(30)


@pytest.fixture
def registry(tmp_path):
    with embedded_registry(tmp_path / "registry") as address:
        yield address


def configure(folder, registry, *requirements):
    """A policy.json for one registry, and a registries.d with a lookaside and attachments."""
    policy, registries_d = folder / "policy.json", folder / "registries.d"
    scope = {registry: list(requirements)}
    policy.write_text(json.dumps({"default": [{"type": "reject"}], "transports": {"docker": scope}}))
    registries_d.mkdir(exist_ok=True)
    (registries_d / "all.yaml").write_text(
        # The key's old name, which skopeo 1.9 reads too.
        f"docker:\n  {registry}:\n    sigstore: file://{folder}/lookaside\n    use-sigstore-attachments: true\n"
    )
    return policy, registries_d


def signed_by(home):
    return {"type": "signedBy", "keyType": "GPGKeys", "keyPath": home.public_key_file}


def sigstore_signed(path):
    return {"type": "sigstoreSigned", "keyPath": str(path)}


def pull(image, into, *, policy, registries_d):
    """Copy an image to a dir: with skopeo under a policy; gives the exit code and what it said."""
    code, _, err = skopeo(
        "copy",
        f"--policy={policy}",
        f"--registries.d={registries_d}",
        "--src-tls-verify=false",
        f"docker://{image}",
        f"dir:{into}",
    )
    return code, err


# --- standalone-sign, standalone-verify -----------------------------------------------------------------------------


@needs_skopeo
def test_skopeo_verifies_what_standalone_sign_signs(plimsoll, gpg, tmp_path):
    made = tmp_path / "signature"
    words = ("standalone-sign", MANIFEST, NAME, gpg.fingerprint)
    assert plimsoll(*words, "-o", made, "--passphrase-file", gpg.passphrase_file) == (0, "", "")
    code, out, err = skopeo("standalone-verify", MANIFEST, NAME, gpg.fingerprint, made, environ=gpg.environ)
    assert code == 0, err
    assert "Signature verified" in out
    other = VECTORS / "multiarch/index.json"
    for manifest, name in [(other, NAME), (MANIFEST, f"{NAME}2")]:
        assert skopeo("standalone-verify", manifest, name, gpg.fingerprint, made, environ=gpg.environ)[0] == 1


@needs_skopeo
def test_standalone_verify_verifies_what_skopeo_signs(plimsoll, gpg, tmp_path):
    made = tmp_path / "signature"
    words = ("standalone-sign", MANIFEST, NAME, gpg.fingerprint, "-o", made, "--passphrase-file", gpg.passphrase_file)
    code, _, err = skopeo(*words, environ=gpg.environ)
    assert code == 0, err
    verify = ("standalone-verify", MANIFEST, NAME)
    code, out, err = plimsoll(*verify, gpg.fingerprint, made)
    assert (code, err) == (0, "")
    pattern = rf"Signature verified using fingerprint {gpg.fingerprint}, digest sha256:[0-9a-f]{{64}}\n"
    assert re.fullmatch(pattern, out)
    with_file = ("--public-key-file", gpg.public_key_file)
    assert plimsoll(*verify, "any", made, *with_file) == (0, out, "")
    assert plimsoll(*verify, f"{'A' * 40},{gpg.fingerprint}", made, *with_file) == (0, out, "")


def refusals(home, made):
    name, other = NAME, VECTORS / "multiarch/index.json"
    file = ("--public-key-file", home.public_key_file)
    yield (other, name, home.fingerprint, made), "another image"
    yield (MANIFEST, f"{name}2", home.fingerprint, made), f'Docker reference "{name}" does not match "{name}2"'
    yield (MANIFEST, "UPPER", home.fingerprint, made), "is no docker reference"
    yield (MANIFEST, name, home.fingerprint.lower(), made), "is not accepted"
    yield (MANIFEST, name, "A" * 40, made), "Key not found"
    yield (MANIFEST, name, "A" * 40, made, *file), f"signature by key {home.fingerprint} is not accepted"
    yield (MANIFEST, name, f"any,{'A' * 40}", made, *file), "is not accepted"
    yield (MANIFEST, name, "any", made), "Cannot use any fingerprint without a public key file"
    yield (MANIFEST, name, home.fingerprint, MANIFEST), "Error verifying signature: "
    yield ("/no/such", name, home.fingerprint, made), "Error reading manifest from /no/such"
    yield (MANIFEST, name, home.fingerprint, "/no/such"), "Error reading signature from /no/such"
    yield (MANIFEST, name, "any", made, "--public-key-file", "/no/such"), "Error reading public keys from /no/such"
    yield (MANIFEST, name, home.fingerprint), "Usage: plimsoll standalone-verify"


def test_standalone_verify_refuses_everything_else(plimsoll, gpg, tmp_path):
    made = tmp_path / "signature"
    words = ("standalone-sign", MANIFEST, NAME, gpg.fingerprint, "-o", made, "--passphrase-file", gpg.passphrase_file)
    assert plimsoll(*words)[0] == 0
    assert plimsoll("standalone-verify", MANIFEST, NAME, gpg.fingerprint, made)[0] == 0
    for arguments, message in refusals(gpg, made):
        code, out, err = plimsoll("standalone-verify", *arguments)
        assert (code, out) == (1, ""), arguments
        assert message in err, (arguments, err)


def test_a_wrong_passphrase_signs_nothing_and_is_not_shown(plimsoll, gpg, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.write_text("not the passphrase\n")
    words = ("standalone-sign", MANIFEST, NAME, gpg.fingerprint, "-o", tmp_path / "made", "--passphrase-file", wrong)
    code, out, err = plimsoll(*words)
    assert (code, out) == (1, "")
    assert "Error creating signature: gpg could not sign with the key" in err
    assert "not the passphrase" not in err
    assert not (tmp_path / "made").exists()


# --- sign -----------------------------------------------------------------------------------------------------------


def skip_without_sigstore(err):
    """Debian builds skopeo 1.9 without sigstore signatures: then there is no peer to compare with."""
    if "Debian-local change: sigstore disabled" in err:
        pytest.skip("the installed skopeo was built without sigstore signatures")


def generate(plimsoll, folder, passphrase="open"):
    secret = folder / "secret"
    secret.touch(0o600)
    secret.write_text(f"{passphrase}\n")
    prefix = folder / "key"
    code, out, err = plimsoll("generate-sigstore-key", "--output-prefix", prefix, "--passphrase-file", secret)
    assert (code, out, err) == (0, f'Key written to "{prefix}.private" and "{prefix}.pub"\n', "")
    return prefix.with_suffix(".private"), prefix.with_suffix(".pub"), secret


def test_a_key_signs_in_a_registry_and_a_second_one_beside_it(plimsoll, registry, tmp_path):
    image = f"docker://{registry}/team/app:v1"
    private, public, secret = generate(plimsoll, tmp_path)
    verify = ("verify", "--tls-verify=false", "--insecure-ignore-tlog", image)
    assert plimsoll(*verify, "--key", public)[0] == 3
    sign = ("sign", *TAG, "--tls-verify=false", image, "--key")
    code, out, err = plimsoll(*sign, private, "--passphrase-file", secret)
    assert (code, err) == (0, "")
    line = rf"(sha256:[0-9a-f]{{64}}) signed as {registry}/team/app:v1: docker://{registry}/team/app:sha256-\w+\.sig\n"
    assert re.fullmatch(line, out)
    assert plimsoll(*verify, "--key", public)[0] == 0
    k1 = VECTORS / "keys/k1.key"
    assert plimsoll(*verify, "--key", VECTORS / "keys/k1.pub")[0] == 3
    (tmp_path / "empty").touch(0o600)
    code, _, err = plimsoll(*sign, k1, "--passphrase-file", tmp_path / "empty")
    assert code == 0
    assert f"'{k1}' holds a private key and others may read or write it" in err
    both = ("--key", public, "--key", VECTORS / "keys/k1.pub", "--threshold", "2")
    assert plimsoll(*verify, *both)[0] == 0


@needs_skopeo
def test_skopeo_accepts_our_attachments_under_a_policy(plimsoll, registry, tmp_path):
    private, public, secret = generate(plimsoll, tmp_path)
    policy, registries_d = configure(tmp_path, registry, sigstore_signed(public))
    image = f"{registry}/team/app:v1"
    assert pull(image, tmp_path / "no", policy=policy, registries_d=registries_d)[0] == 1
    sign = ("sign", *TAG, "--tls-verify=false", "--key", private, "--passphrase-file", secret)
    assert plimsoll(*sign, f"docker://{image}")[0] == 0
    ours = ("--tls-verify=false", "--policy", policy, "--registries.d", registries_d)
    assert plimsoll("verify", *ours, f"docker://{image}")[0] == 0
    code, err = pull(image, tmp_path / "yes", policy=policy, registries_d=registries_d)
    skip_without_sigstore(err)
    assert code == 0, err
    # Under another name it is another image: the signed identity holds it back.
    other = ("--sign-identity", f"{registry}/team/app:v2")
    with embedded_registry(tmp_path / "second") as second:
        policy, registries_d = configure(tmp_path, second, sigstore_signed(public))
        assert plimsoll(*sign, *other, f"docker://{second}/team/app:v1")[0] == 0
        code, err = pull(f"{second}/team/app:v1", tmp_path / "no2", policy=policy, registries_d=registries_d)
        assert code == 1
        assert "is not accepted" in err


@needs_skopeo
def test_skopeo_accepts_our_lookaside_under_a_policy(plimsoll, gpg, registry, tmp_path):
    policy, registries_d = configure(tmp_path, registry, signed_by(gpg))
    image = f"{registry}/team/app:v1"
    assert pull(image, tmp_path / "no", policy=policy, registries_d=registries_d)[0] == 1
    sign = ("sign", "--tls-verify=false", "--registries.d", registries_d, "--sign-by", gpg.fingerprint)
    for number in (1, 2):
        code, out, err = plimsoll(*sign, "--passphrase-file", gpg.passphrase_file, f"docker://{image}")
        assert (code, err) == (0, "")
        assert re.fullmatch(rf".*: {tmp_path}/lookaside/team/app@sha256=[0-9a-f]{{64}}/signature-{number}\n", out)
    code, err = pull(image, tmp_path / "yes", policy=policy, registries_d=registries_d)
    assert code == 0, err
    ours = ("--tls-verify=false", "--policy", policy, "--registries.d", registries_d)
    assert plimsoll("verify", *ours, f"docker://{image}")[0] == 0


@needs_skopeo
def test_skopeo_signs_with_a_key_that_we_generated(plimsoll, registry, tmp_path):
    private, public, secret = generate(plimsoll, tmp_path)
    policy, registries_d = configure(tmp_path, registry, sigstore_signed(public))
    open_policy = tmp_path / "open.json"
    open_policy.write_text('{"default":[{"type":"insecureAcceptAnything"}]}')
    code, _, err = skopeo(
        "copy",
        f"--policy={open_policy}",
        f"--registries.d={registries_d}",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        f"--sign-by-sigstore-private-key={private}",
        f"--sign-passphrase-file={secret}",
        f"docker://{registry}/team/app:v1",
        f"docker://{registry}/team/app:v2",
    )
    skip_without_sigstore(err)
    assert code == 0, err
    ours = ("--tls-verify=false", "--policy", policy, "--registries.d", registries_d)
    assert plimsoll("verify", *ours, f"docker://{registry}/team/app:v2")[0] == 0
    # Ours goes beside skopeo's, whose layer stays.
    k1 = VECTORS / "keys/k1.pub"
    (tmp_path / "empty").touch(0o600)
    sign = (
        "sign",
        *TAG,
        "--tls-verify=false",
        "--key",
        VECTORS / "keys/k1.key",
        "--passphrase-file",
        tmp_path / "empty",
    )
    assert plimsoll(*sign, f"docker://{registry}/team/app:v2")[0] == 0
    both = ("--key", public, "--key", k1, "--threshold", "2", "--insecure-ignore-tlog")
    assert plimsoll("verify", "--tls-verify=false", *both, f"docker://{registry}/team/app:v2")[0] == 0
    assert pull(f"{registry}/team/app:v2", tmp_path / "yes", policy=policy, registries_d=registries_d)[0] == 0


@needs_skopeo
def test_skopeo_reads_what_we_put_beside_a_directory(plimsoll, gpg, tmp_path):
    policy, folder = tmp_path / "policy.json", tmp_path / "image"
    policy.write_text('{"default":[{"type":"insecureAcceptAnything"}]}')
    assert skopeo("copy", f"--policy={policy}", f"oci:{VECTORS / 'unsigned'}:v1", f"dir:{folder}")[0] == 0
    private, public, secret = generate(plimsoll, tmp_path)
    identity = ("--sign-identity", NAME)
    by_gpg = ("--sign-by", gpg.fingerprint, "--passphrase-file", gpg.passphrase_file)
    assert plimsoll("sign", *identity, *by_gpg, f"dir:{folder}")[0] == 0
    assert plimsoll("sign", *TAG, *identity, "--key", private, "--passphrase-file", secret, f"dir:{folder}")[0] == 0
    assert (folder / "signature-2").read_bytes().startswith(b"\0sigstore-json\n")
    exact = {"signedIdentity": {"type": "exactReference", "dockerReference": NAME}}
    gpg_alone = [{**signed_by(gpg), **exact}]
    policy.write_text(json.dumps({"default": gpg_alone}))
    code, _, err = skopeo(
        "copy", f"--policy={policy}", "--remove-signatures", f"dir:{folder}", f"oci:{tmp_path}/out:v1"
    )
    assert code == 0, err
    policy.write_text(json.dumps({"default": [*gpg_alone, {**sigstore_signed(public), **exact}]}))
    assert plimsoll("verify", "--policy", policy, f"dir:{folder}")[0] == 0


@pytest.mark.registry
def test_a_registry_that_wants_a_login_is_signed_in(plimsoll, tmp_path):
    private, public, secret = generate(plimsoll, tmp_path)
    with docker_registry(tmp_path, htpasswd=True) as pusher:
        pusher.push_layout(VECTORS / "unsigned", "team/app")
        image = f"docker://{pusher.address}/team/app:v1"
        sign = ("sign", *TAG, "--tls-verify=false", "--key", private, "--passphrase-file", secret)
        code, _, err = plimsoll(*sign, image)
        assert code == 1
        assert "401" in err
        login = ("--creds", f"{USER}:{PASSWORD}")
        code, _, err = plimsoll(*sign, *login, image)
        assert (code, err) == (0, "")
        verify = ("verify", "--tls-verify=false", "--insecure-ignore-tlog", *login, "--key", public, image)
        assert plimsoll(*verify)[0] == 0
        # A second signature of the same image at another second is another payload, so another layer.
        assert plimsoll(*sign, *login, "--sign-identity", NAME, image)[0] == 0
        assert plimsoll(*verify)[0] == 0


def test_the_passphrase_is_that_of_the_agent_too(plimsoll, gpg, tmp_path):
    """Once the agent knows it, no passphrase file is needed: gpg is the user's own."""
    words = ("standalone-sign", MANIFEST, NAME, gpg.fingerprint, "-o", tmp_path / "made")
    assert plimsoll(*words, "--passphrase-file", gpg.passphrase_file)[0] == 0
    (tmp_path / "made").unlink()
    assert plimsoll(*words) == (0, "", "")
    assert (tmp_path / "made").exists()
    assert PASSPHRASE.encode() not in (tmp_path / "made").read_bytes()


def test_a_lookaside_that_is_not_written_to_is_found_first(plimsoll, gpg, registry, tmp_path, monkeypatch):
    _, registries_d = configure(tmp_path, registry)
    (registries_d / "all.yaml").write_text(f"docker:\n  {registry}:\n    lookaside: https://signatures.example/\n")
    image = f"docker://{registry}/team/app:v1"
    private = VECTORS / "keys/k1.key"
    words = (
        "sign",
        *TAG,
        "--tls-verify=false",
        "--registries.d",
        registries_d,
        "--key",
        private,
        "--sign-by",
        gpg.fingerprint,
    )
    unlock = ("standalone-sign", MANIFEST, NAME, gpg.fingerprint, "-o", tmp_path / "x")
    assert plimsoll(*unlock, "--passphrase-file", gpg.passphrase_file)[0] == 0  # the agent knows it from now on
    monkeypatch.setenv("COSIGN_PASSWORD", "")
    code, out, err = plimsoll(*words, image)
    assert (code, out) == (1, "")
    assert "written to file:///PATH only" in err
    verify = ("verify", "--tls-verify=false", "--insecure-ignore-tlog", "--key", VECTORS / "keys/k1.pub", image)
    assert plimsoll(*verify)[0] == 3
