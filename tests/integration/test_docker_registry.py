"""``plimsoll verify`` against Debian's docker-registry, filled with images that cosign signed."""

import base64
import hashlib
import json
import logging
import os
import socket
from pathlib import Path

import pytest

from fakes.docker_registry import PASSWORD, USER, docker_registry
from plimsoll.cli.main import main

pytestmark = pytest.mark.registry

VECTORS = Path(__file__).parents[1] / "vectors" / "cosign"
K1 = ("--key", str(VECTORS / "keys" / "k1.pub"), "--insecure-ignore-tlog")
ROOT = ("--trusted-root", str(VECTORS / "trust" / "trusted_root.json"))
LAYOUTS = sorted(path.parent.name for path in VECTORS.glob("*/index.json"))


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    with docker_registry(tmp_path_factory.mktemp("registry")) as pusher:
        for name in LAYOUTS:
            pusher.push_layout(VECTORS / name, f"vectors/{name}")
        yield pusher.address


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    with docker_registry(tmp_path_factory.mktemp("locked"), htpasswd=True) as pusher:
        pusher.push_layout(VECTORS / "cosign-k1", "team/app")
        yield pusher.address


@pytest.fixture
def verify(tmp_path, monkeypatch, capfd):
    """Run the command in this process; gives the exit code and the verdicts by position."""
    for name in list(os.environ):
        if name.startswith(("REGISTRY_", "CONTAINERS_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    logger = logging.getLogger("plimsoll")
    before = logger.handlers[:], logger.level

    def run(*words):
        code = main(["verify", "--tls-verify=false", "--format", "jsonl", *words])
        out, err = capfd.readouterr()
        assert err == ""
        *verdicts, _ = [json.loads(line) for line in out.splitlines()]
        return code, sorted(verdicts, key=lambda verdict: verdict["position"])

    yield run
    logger.handlers[:], logger.level = before


def codes(verdict):
    return [reason["code"] for reason in verdict["reasons"]]


def image_digest(name, tag="v1"):
    entries = json.loads((VECTORS / name / "index.json").read_text())["manifests"]
    ref_name = "org.opencontainers.image.ref.name"
    return next(entry["digest"] for entry in entries if entry.get("annotations", {}).get(ref_name) == tag)


@pytest.mark.parametrize(
    ("name", "trust", "expected", "requests"),
    # What is refused was also looked for among what refers to the image: by the API, which is not there, and by tag.
    [
        ("cosign-k1", K1, [], 3),
        ("cosign-multi", K1, [], 3),  # both sign one payload, which is one blob
        ("cosign-annotated", (*K1, "-a", "env=prod"), [], 3),
        ("cosign-annotated", (*K1, "-a", "env=test"), ["identity-mismatch"], 3 + 2),
        ("cosign-logged", (*K1[:2], *ROOT), [], 3),
        ("cosign-k1", (*K1[:2], *ROOT), ["log-proof-missing"], 3 + 2),
        ("forged-foreign-log-entry", (*K1[:2], *ROOT), ["log-proof-invalid"], 3 + 2),
        ("unsigned", K1, ["no-signature"], 2 + 2),
        ("cosign-rsa3072", K1, ["untrusted-key"], 3 + 2),
        ("forged-replay", K1, ["digest-mismatch"], 3 + 2),
        ("forged-digest", K1, ["untrusted-key"], 3 + 2),
        ("forged-empty", K1, ["no-signature"], 2 + 2),
        ("multiarch", K1, [], 3),
    ],
)
def test_what_cosign_signed_and_what_was_forged(registry, verify, name, trust, expected, requests):
    code, (verdict,) = verify(*trust, f"{registry}/vectors/{name}:v1")
    assert (code, codes(verdict)) == (3 if expected else 0, expected)
    assert verdict["requests"] == requests
    assert verdict["digest"] == image_digest(name)
    assert verdict["pinned"] == f"{registry}/vectors/{name}@{image_digest(name)}"


def test_the_keyed_cases_of_the_lab_are_judged_as_in_their_layouts(registry, verify):
    cases = [
        case
        for case in json.loads((VECTORS / "cases.json").read_text())
        if "--key" in case["args"] and "@" not in case["image"] and not case["image"].startswith("oci:bundle")
    ]
    assert len(cases) > 10
    for case in cases:
        name, _, tag = case["image"].removeprefix("oci:").partition(":")
        paths = [str(VECTORS / word) if "/" in word and (VECTORS / word).exists() else word for word in case["args"]]
        _, (verdict,) = verify(*paths, f"{registry}/vectors/{name}:{tag}")
        assert verdict["verdict"] == case["expect"], case["name"]


def test_layers_are_fetched_and_hashed(registry, verify):
    code, (verdict,) = verify(*K1, "--layers", "digest", f"{registry}/vectors/cosign-k1:v1")
    assert (code, codes(verdict)) == (0, [])
    assert verdict["requests"] > 3


def test_a_pin_is_verified_by_its_digest_and_its_tag_is_only_echoed(registry, verify):
    digest = image_digest("cosign-k1")
    name = f"{registry}/vectors/cosign-k1"
    code, (verdict, echoed) = verify(*K1, "-j1", f"{name}@{digest}", f"{name}:nope@{digest}")
    assert code == 0
    assert (verdict["image"], echoed["image"]) == (f"docker://{name}@{digest}", f"docker://{name}:nope@{digest}")
    assert verdict["digest"] == echoed["digest"] == digest
    assert (verdict["requests"], echoed["requests"]) == (3, 3)


def test_a_pin_of_another_image_is_not_this_one(registry, verify):
    other = image_digest("unsigned")
    code, (verdict,) = verify(*K1, f"{registry}/vectors/cosign-k1:v1@{other}")
    assert (code, codes(verdict), verdict["requests"]) == (2, ["not-found"], 1)


def test_bytes_that_changed_on_the_registrys_disk_are_refused(tmp_path, verify):
    with docker_registry(tmp_path) as pusher:
        pusher.push_layout(VECTORS / "cosign-k1", "team/app")
        digest = image_digest("cosign-k1")
        stored = tmp_path / "data/docker/registry/v2/blobs/sha256" / digest[7:9] / digest[7:] / "data"
        stored.write_bytes(stored.read_bytes() + b"\n")
        name = f"{pusher.address}/team/app"
        code, (verdict,) = verify(*K1, "--retry-times", "0", f"{name}@{digest}")
        # distribution checks itself and answers 500 or the bytes; neither is ever the image that was pinned.
        assert code in (3, 4)
        assert codes(verdict)[0] in ("digest-mismatch", "server-error", "manifest-invalid")


@pytest.mark.parametrize("algorithm", ["sha384", "sha512"])
def test_a_longer_pin_that_the_registry_does_not_know_is_undetermined(registry, verify, algorithm):
    blob = VECTORS / "cosign-k1/blobs" / image_digest("cosign-k1").replace(":", "/")
    pin = f"{algorithm}:{hashlib.new(algorithm, blob.read_bytes()).hexdigest()}"
    code, (verdict,) = verify(*K1, f"{registry}/vectors/cosign-k1@{pin}")
    assert code in (2, 4)
    assert verdict["verdict"] == "undetermined"


def test_a_missing_tag_and_a_missing_repository_are_exit_2(registry, verify):
    for name in ("vectors/cosign-k1:missing", "no/such/repository:v1"):
        code, (verdict,) = verify(*K1, f"{registry}/{name}")
        assert (code, codes(verdict)) == (2, ["not-found"])


def test_an_index_is_judged_itself_and_its_instances_where_asked(registry, verify):
    name = f"{registry}/vectors/multiarch"
    code, (verdict,) = verify(*K1, f"{name}:v1")
    assert (code, verdict["judged"], "instances" in verdict) == (0, "index", False)
    code, (verdict,) = verify(*K1, "--platform", "all", f"{name}:v1")
    assert (code, verdict["judged"]) == (0, "instances")
    assert {item["verdict"] for item in verdict["instances"]} == {"accepted"}
    platforms = [item["platform"] for item in verdict["instances"]]
    assert len(platforms) > 1
    for platform in platforms:
        code, (verdict,) = verify(*K1, "--platform", platform, f"{name}:v1")
        assert (code, [item["platform"] for item in verdict["instances"]]) == (0, [platform])
    # Of v2 only the index is signed.
    assert verify(*K1, f"{name}:v2")[0] == 0
    code, (verdict,) = verify(*K1, "--platform", "all", f"{name}:v2")
    assert (code, set(codes(verdict))) == (3, {"no-signature"})
    code, (verdict,) = verify(*K1, "--platform", "plan9/mips", f"{name}:v1")
    assert (code, codes(verdict)) == (2, ["not-found"])


def test_all_tags_of_a_repository(registry, verify):
    code, verdicts = verify(*K1, "--all-tags", f"{registry}/vectors/multiarch")
    assert (code, [verdict["image"].rpartition(":")[2] for verdict in verdicts]) == (0, ["v1", "v2"])


def test_a_refused_connection_is_unreachable(verify):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    code, (verdict,) = verify(*K1, "--retry-times", "0", f"127.0.0.1:{port}/app:v1")
    assert (code, codes(verdict), verdict["verdict"]) == (4, ["unreachable"], "undetermined")


def auth_file(path, address, user=USER, password=PASSWORD):
    secret = base64.b64encode(f"{user}:{password}".encode()).decode()
    path.write_text(json.dumps({"auths": {address: {"auth": secret}}}))
    path.chmod(0o600)
    return str(path)


def test_a_registry_with_a_login_wants_one(locked, verify):
    code, (verdict,) = verify(*K1, f"{locked}/team/app:v1")
    assert (code, codes(verdict), verdict["verdict"]) == (4, ["unauthorized"], "undetermined")


def test_credentials_by_option_and_by_file(locked, verify, tmp_path):
    image = f"{locked}/team/app:v1"
    assert verify(*K1, "--creds", f"{USER}:{PASSWORD}", image)[0] == 0
    assert verify(*K1, "--authfile", auth_file(tmp_path / "auth.json", locked), image)[0] == 0
    assert verify(*K1, "--authfile", auth_file(tmp_path / "auth.json", "other.example"), image)[0] == 4


def test_a_wrong_password_is_unauthorized_and_never_shown(locked, verify, tmp_path):
    image = f"{locked}/team/app:v1"
    wrong = "hunter2hunter2"
    for words in (
        ["--creds", f"{USER}:{wrong}"],
        ["--authfile", auth_file(tmp_path / "auth.json", locked, password=wrong)],
    ):
        code, (verdict,) = verify(*K1, *words, image)
        assert (code, codes(verdict)) == (4, ["unauthorized"])
        assert wrong not in json.dumps(verdict)


def test_credentials_are_sent_without_asking_twice_for_each_image(locked, verify):
    image = f"{locked}/team/app:v1"
    _, verdicts = verify(*K1, "-j1", "--creds", f"{USER}:{PASSWORD}", *[image] * 5)
    assert [verdict["verdict"] for verdict in verdicts] == ["accepted"] * 5
    assert [verdict["requests"] for verdict in verdicts[1:]] == [3] * 4
    assert verdicts[0]["requests"] <= 5
