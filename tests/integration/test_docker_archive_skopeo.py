"""Archives of ``docker save``: our manifest, verdict and refusals beside skopeo's."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import json
import lzma
import shutil
import subprocess

import pytest

from fakes.saved import SavedWriter, config_of, digest_of, layer
from plimsoll.cli.main import main
from plimsoll.model.reference import parse_reference
from plimsoll.model.settings import HttpSettings, TLSSettings
from plimsoll.transport.opening import Transports

pytestmark = pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
ONE, TWO = layer("one", b"1" * 3000), layer("two", b"2")
ACCEPT = [{"type": "insecureAcceptAnything"}]


def skopeo(*words):
    return subprocess.run(["skopeo", *words], capture_output=True, check=False)


def ours(image):
    async def story():
        transports = Transports(HttpSettings(), credentials_for=None, tls_for=lambda _: TLSSettings())
        source = await transports.open(parse_reference(image))
        try:
            return (await source.manifest()).data
        finally:
            await source.aclose()
            await transports.aclose()

    return asyncio.run(story())


def item(writer, config, *names, **how):
    writer.add(f"{digest_of(config)[7:]}.json", config)
    writer.item(config, *names, **how)
    return writer


def one():
    writer = SavedWriter()
    writer.image(ONE, TWO, tags=("app:v1", "r.example:5000/team/app:v2"))
    return writer


def several():
    writer = one()
    writer.image(TWO, tags=None)
    return writer


def a_layer_again():
    writer = SavedWriter()
    writer.add("x/layer.tar", ONE)
    writer.add("y/layer.tar", ("symlink", "../x/layer.tar"))
    return item(writer, config_of(ONE, ONE), "x/layer.tar", "y/layer.tar")


def packed_layers():
    writer = SavedWriter()
    writer.add("a", gzip.compress(ONE))
    writer.add("b", lzma.compress(TWO))
    return item(writer, config_of(ONE, TWO), "a", "b")


def no_layers():
    return item(SavedWriter(), config_of())


def dotted():
    writer = SavedWriter()
    writer.add("./one.tar", ONE)
    return item(writer, config_of(ONE), "one.tar")


@pytest.mark.parametrize("make", [one, a_layer_again, packed_layers, no_layers, dotted])
@pytest.mark.parametrize("pack", [bytes, bz2.compress, lzma.compress])  # Debian's skopeo 1.9.3 fails on its own gzip
def test_the_manifest_is_skopeos_to_the_byte(tmp_path, make, pack):
    (tmp_path / "a.tar").write_bytes(pack(make().data()))
    image = f"docker-archive:{tmp_path}/a.tar"
    assert ours(image) == skopeo("inspect", "--raw", image).stdout != b""


@pytest.mark.parametrize("which", [":app:v1", ":docker.io/library/app:v1", ":r.example:5000/team/app:v2", ":@0", ":@1"])
def test_so_it_is_of_several_images(tmp_path, which):
    image = f"docker-archive:{several().write(tmp_path / 'a.tar')}{which}"
    assert ours(image) == skopeo("inspect", "--raw", image).stdout != b""


@pytest.mark.parametrize(
    ("which", "code"),
    [
        ("", 4),
        (":app", 2),
        (":app:v3", 2),
        (":@2", 2),
        (":@-1", 1),
        (":", 1),
        (":App:v1", 1),
        (f":app@sha256:{'a' * 64}", 1),
    ],
)
def test_what_names_no_image_is_refused_by_both(tmp_path, capfd, which, code):
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps({"default": ACCEPT}))
    image = f"docker-archive:{several().write(tmp_path / 'a.tar')}{which}"
    assert skopeo("inspect", "--raw", image).returncode == 1
    assert main(["verify", "--policy", str(policy), image]) == code, capfd.readouterr()


POLICIES = {
    "the whole transport": ({"default": [{"type": "reject"}], "transports": {"docker-archive": {"": ACCEPT}}}, 0),
    "the default": ({"default": ACCEPT}, 0),
    "docker's scopes are not asked": (
        {"default": [{"type": "reject"}], "transports": {"docker": {"docker.io/library/app": ACCEPT}}},
        3,
    ),
    "a path is no scope": ({"default": ACCEPT, "transports": {"docker-archive": {"/a.tar": ACCEPT}}}, 1),
    "reject": ({"default": ACCEPT, "transports": {"docker-archive": {"": [{"type": "reject"}]}}}, 3),
    "signed": (
        {
            "default": [{"type": "signedBy", "keyType": "GPGKeys", "keyData": "AAAA"}],
        },
        3,
    ),
}


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("which", ["", ":app:v1"])
def test_a_policy_says_the_same_to_both(tmp_path, capfd, name, which):
    document, code = POLICIES[name]
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps(document))
    image = f"docker-archive:{one().write(tmp_path / 'a.tar')}{which}"
    theirs = skopeo("--policy", str(policy), "copy", image, f"dir:{tmp_path}/out")
    assert (theirs.returncode == 0) == (code == 0), theirs.stderr
    assert main(["verify", "--policy", str(policy), "--layers", "digest", image]) == code, capfd.readouterr()
    if name == "signed":
        assert "docker-archive: has no attached ones" in capfd.readouterr().out


def test_a_layer_with_other_bytes_is_found_by_both(tmp_path, capfd):
    writer = one()
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps({"default": ACCEPT}))
    writer.entries[0] = (writer.entries[0][0], layer("one", b"3" * 3000))
    image = f"docker-archive:{writer.write(tmp_path / 'a.tar')}"
    assert b"Digest did not match" in skopeo("--policy", str(policy), "copy", image, f"dir:{tmp_path}/out").stderr
    assert main(["verify", "--policy", str(policy), image]) == 0
    capfd.readouterr()
    assert main(["verify", "--policy", str(policy), "--layers", "digest", image]) == 3
    assert "layer-digest-mismatch" in capfd.readouterr().out


@pytest.mark.parametrize("kind", ["symlink", "hard"])
def test_a_link_to_another_images_layer_has_its_size(tmp_path, capfd, kind):
    """ADR 0007: skopeo states the size 0, and cannot copy such an image itself."""
    writer = SavedWriter()
    writer.image(ONE, tags=None)
    target = f"{digest_of(ONE)[7:]}.tar"
    writer.add("again.tar", (kind, target))
    item(writer, config_of(ONE, config={"Env": ["A=b"]}), "again.tar")
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps({"default": ACCEPT}))
    image = f"docker-archive:{writer.write(tmp_path / 'a.tar')}:@1"
    assert json.loads(skopeo("inspect", "--raw", image).stdout)["layers"][0]["size"] == 0
    assert skopeo("--policy", str(policy), "copy", image, f"dir:{tmp_path}/out").returncode == 1
    assert json.loads(ours(image))["layers"][0]["size"] == len(ONE)
    assert main(["verify", "--policy", str(policy), "--layers", "digest", image]) == 0, capfd.readouterr()
