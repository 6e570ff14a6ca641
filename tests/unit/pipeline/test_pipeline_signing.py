"""Signing an image where it lies: what is claimed, where it goes, and that a failure leaves nothing behind."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from dataclasses import dataclass
from importlib import metadata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.layouts import REF_NAME, LayoutWriter
from plimsoll.errors import (
    MalformedManifestError,
    NotFoundError,
    SigningError,
    UnsupportedError,
    UsageError,
)
from plimsoll.model.reference import DirectoryReference, parse_reference
from plimsoll.model.settings import Settings
from plimsoll.pipeline.policies import Policy
from plimsoll.pipeline.signing import (
    KeySigner,
    SigningOrder,
    checked_identity,
    sign_image,
)
from plimsoll.pipeline.verifier import Verifier
from plimsoll.policy.requirements import LogDemand
from plimsoll.signatures.attachments import SimpleSignature
from plimsoll.signatures.payloads import Claim, simple_payload
from plimsoll.signatures.signing import signing_key_from_seed

NAME = "r.example/team/app:v1"
NOW_S = 1_700_000_000.75


@dataclass(frozen=True)
class Scribe:
    """Signs as GPG would, were its message its payload."""

    async def sign(self, claim: Claim) -> SimpleSignature:
        return SimpleSignature(message=simple_payload(claim))


@dataclass(frozen=True)
class Failing:
    async def sign(self, claim: Claim) -> SimpleSignature:
        raise SigningError("Bad passphrase")


def key_signer(name="k"):
    return KeySigner(key=signing_key_from_seed(name.encode() * 48))


def sign(image, *signers, identity=NAME):
    order = SigningOrder(image=parse_reference(image), signers=signers, identity=identity, now_s=NOW_S)
    return asyncio.run(sign_image(order, settings=Settings(), environ={}))


def verdict(image, folder, *keys, threshold=1):
    paths = []
    for at, key in enumerate(keys):
        path = folder / f"key{at}.pub"
        path.write_bytes(key.key.public_pem)
        paths.append(str(path))
    policy = Policy.from_keys(*paths, threshold=threshold, log=LogDemand.IGNORED)

    async def run():
        async with Verifier(policy) as verifier:
            return await verifier.verify(image)

    return asyncio.run(run()).outcome.value


def layout(folder):
    writer = LayoutWriter()
    image = writer.image("one", name="v1")
    writer.write(folder)
    return image.digest


def test_a_layout_is_signed_on_its_sig_tag_by_one_key_and_by_another(tmp_path):
    digest = layout(tmp_path / "l")
    image = f"oci:{tmp_path}/l:v1"
    one, two = key_signer("1"), key_signer("2")
    assert verdict(image, tmp_path, one) == "rejected"
    [stored] = sign(image, one)
    assert (stored.digest, stored.reference, stored.place) == (digest, NAME, f"oci:{tmp_path}/l:{digest.tag}.sig")
    assert verdict(image, tmp_path, one) == "accepted"
    assert verdict(image, tmp_path, two) == "rejected"
    sign(image, two)
    assert verdict(image, tmp_path, one, two, threshold=2) == "accepted"
    # The layout still has one image, so that it needs no name.
    assert verdict(f"oci:{tmp_path}/l", tmp_path, one) == "accepted"


def test_two_signers_at_once_leave_two_layers(tmp_path):
    layout(tmp_path / "l")
    assert len(sign(f"oci:{tmp_path}/l", key_signer("1"), key_signer("2"))) == 2
    assert verdict(f"oci:{tmp_path}/l", tmp_path, key_signer("1"), key_signer("2"), threshold=2) == "accepted"


def test_the_payload_says_who_when_and_what(tmp_path):
    digest = layout(tmp_path / "l")
    sign(f"oci:{tmp_path}/l:v1", key_signer())
    index = json.loads((tmp_path / "l/index.json").read_bytes())["manifests"]
    [entry] = [entry for entry in index if entry["annotations"][REF_NAME] == f"{digest.tag}.sig"]
    [layer] = json.loads(blob(tmp_path / "l", entry["digest"]))["layers"]
    assert json.loads(blob(tmp_path / "l", layer["digest"])) == {
        "critical": {
            "identity": {"docker-reference": NAME},
            "image": {"docker-manifest-digest": str(digest)},
            "type": "cosign container image signature",
        },
        "optional": {"creator": f"plimsoll {metadata.version('plimsoll')}", "timestamp": 1_700_000_000},
    }


def blob(folder, digest):
    data = (folder / "blobs" / digest.replace(":", "/")).read_bytes()
    assert hashlib.sha256(data).hexdigest() == digest.partition(":")[2]
    return data


def directory(folder):
    writer = LayoutWriter()
    image = writer.image("one")
    folder.mkdir()
    (folder / "version").write_text("Directory Transport Version: 1.1\n")
    data = writer.files[f"blobs/sha256/{image.digest.hex}"]
    (folder / "manifest.json").write_bytes(data)
    return image.digest


def test_a_directory_is_signed_beside_its_manifest(tmp_path):
    digest = directory(tmp_path / "d")
    stored = sign(f"dir:{tmp_path}/d", Scribe(), key_signer())
    assert [made.place for made in stored] == [f"{tmp_path}/d/signature-1", f"{tmp_path}/d/signature-2"]
    first = json.loads((tmp_path / "d/signature-1").read_bytes())
    assert first["critical"]["image"] == {"docker-manifest-digest": str(digest)}
    assert first["critical"]["type"] == "atomic container signature"
    head, _, second = (tmp_path / "d/signature-2").read_bytes().partition(b"\n")
    assert head == b"\0sigstore-json"
    assert (
        json.loads(base64.b64decode(json.loads(second)["payload"]))["critical"]["image"] == first["critical"]["image"]
    )


def everything(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["oci", "dir"])
def test_a_signer_that_fails_leaves_nothing_behind(tmp_path, kind):
    {"oci": layout, "dir": directory}[kind](tmp_path / "image")
    before = everything(tmp_path)
    with pytest.raises(SigningError, match="Bad passphrase"):
        sign(f"{kind}:{tmp_path}/image", key_signer(), Failing())
    assert everything(tmp_path) == before


def test_a_layout_and_an_archive_take_no_gpg_signatures(tmp_path):
    layout(tmp_path / "l")
    before = everything(tmp_path)
    with pytest.raises(UnsupportedError, match="no place for GPG"):
        sign(f"oci:{tmp_path}/l", Scribe())
    assert everything(tmp_path) == before
    with pytest.raises(UnsupportedError, match="archive"):
        sign("oci-archive:/x.tar", key_signer())


def test_nothing_is_signed_without_a_signer_or_an_image(tmp_path):
    layout(tmp_path / "l")
    with pytest.raises(UsageError, match="nothing to sign with"):
        sign(f"oci:{tmp_path}/l")
    with pytest.raises(NotFoundError):
        sign(f"oci:{tmp_path}/l:v2", key_signer())
    with pytest.raises(SigningError):
        sign(f"oci:{tmp_path}/none", key_signer())


def test_what_no_verifier_would_read_is_not_signed(tmp_path):
    directory(tmp_path / "d")
    (tmp_path / "d/manifest.json").write_text('{"schemaVersion":2,"config":{},"config":{}}')
    with pytest.raises(MalformedManifestError):
        sign(f"dir:{tmp_path}/d", key_signer())
    assert not (tmp_path / "d/signature-1").exists()


def test_a_sig_manifest_that_cannot_grow_is_left_alone(tmp_path):
    writer = LayoutWriter()
    image = writer.image("one", name="v1")
    writer.list(
        writer.blob(b'{"schemaVersion":2,"manifests":[]}', "application/vnd.oci.image.index.v1+json"),
        name=f"{image.digest.tag}.sig",
    )
    writer.write(tmp_path / "l")
    before = everything(tmp_path)
    with pytest.raises(MalformedManifestError, match="remove that tag first"):
        sign(f"oci:{tmp_path}/l:v1", key_signer())
    assert everything(tmp_path) == before


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("r.example/team/app:v1", "r.example/team/app:v1"),
        ("r.example/team/app", "r.example/team/app:latest"),
        ("busybox", "docker.io/library/busybox:latest"),
        (f"r.example/app@sha256:{'0' * 64}", f"r.example/app@sha256:{'0' * 64}"),
        (f"r.example/app:v1@sha256:{'0' * 64}", f"r.example/app@sha256:{'0' * 64}"),
    ],
)
def test_a_registry_s_image_is_signed_under_its_own_name(image, name):
    assert checked_identity(parse_reference(image), None) == name


@pytest.mark.parametrize("identity", ["r.example/app:v2", f"r.example/app@sha256:{'0' * 64}", "docker.io/library/x:1"])
def test_another_name_is_signed_where_it_is_given_in_full(identity):
    assert checked_identity(parse_reference("busybox"), identity) == identity


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        ("busybox:1", "must be canonical"),
        ("docker.io/busybox:1", "must be canonical"),
        ("index.docker.io/library/busybox:1", "must be canonical"),
        ("r.example/app", "fully specified"),
        ("", "Could not parse --sign-identity"),
        ("r.example/APP:1", "Could not parse --sign-identity"),
        ("docker://r.example/app:1", "Could not parse --sign-identity"),
        ("r.example/app:1\n", "Could not parse --sign-identity"),
    ],
)
def test_any_other_identity_is_refused(identity, message):
    with pytest.raises(UsageError, match=message):
        checked_identity(parse_reference("busybox"), identity)


def test_a_local_image_has_no_name_of_its_own():
    with pytest.raises(UsageError, match="Cannot determine canonical Docker reference"):
        checked_identity(DirectoryReference(path="/d"), None)


@settings(max_examples=100)
@given(st.text(max_size=40))
def test_an_identity_is_taken_as_it_is_or_refused(identity):
    try:
        assert checked_identity(DirectoryReference(path="/d"), identity) == identity
    except UsageError:
        return
    assert ":" in identity or "@" in identity
