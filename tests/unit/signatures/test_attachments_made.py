"""Signatures that were made, as payloads, layers and files: our own readers and a peer's manifests are the measure."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.signing import signature_manifest, signed_attachment, signer
from plimsoll import limits
from plimsoll.errors import LimitExceededError, MalformedManifestError, UnsupportedError
from plimsoll.model.descriptor import DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from plimsoll.model.digest import Digest
from plimsoll.model.manifest import RawManifest, parse_manifest
from plimsoll.model.signature import UntrustedCosignSignature
from plimsoll.signatures.annotations import SIGNATURE_ANNOTATION, SIMPLE_SIGNING
from plimsoll.signatures.attachments import (
    SimpleSignature,
    appended_manifest,
    new_manifest,
    parse_signature_manifest,
    sign_sigstore,
    stored_form,
)
from plimsoll.signatures.cosign import verify_signature
from plimsoll.signatures.formats import KeyTrust, LogIgnored
from plimsoll.signatures.framing import unframe
from plimsoll.signatures.payloads import Claim, sigstore_payload, simple_payload
from plimsoll.signatures.signing import SigningKey, signing_key_from_seed
from plimsoll.signatures.simple_payload import ATOMIC_TYPE, COSIGN_TYPE, parse_payload

VECTORS = Path(__file__).parents[2] / "vectors/cosign"
DIGEST = Digest.of(b"an image")
CLAIM = Claim(digest=DIGEST, reference="r.example/app:v1", creator="plimsoll 1", timestamp=1_700_000_000)
KEY = signing_key_from_seed(b"k" * 48)


def made(text="x"):
    return sign_sigstore(text.encode(), KEY)


@settings(max_examples=50)
@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 2**53))
def test_payloads_are_read_back_as_they_were_claimed(reference, timestamp):
    claim = Claim(digest=DIGEST, reference=reference, creator="plimsoll 1", timestamp=timestamp)
    for data, kind in ((simple_payload(claim), ATOMIC_TYPE), (sigstore_payload(claim), COSIGN_TYPE)):
        found = parse_payload(data, expected_type=kind, null_optional=False)
        assert (found.digest, found.docker_reference) == (DIGEST, reference)
        assert found.optional == {"creator": "plimsoll 1", "timestamp": timestamp}


def test_a_payload_is_written_to_the_letter():
    assert simple_payload(CLAIM).decode() == (
        '{"critical":{"identity":{"docker-reference":"r.example/app:v1"},'
        f'"image":{{"docker-manifest-digest":"{DIGEST}"}},"type":"atomic container signature"}},'
        '"optional":{"creator":"plimsoll 1","timestamp":1700000000}}'
    )


@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "rsa2048", "ed25519"])
def test_a_signature_of_every_kind_of_key_verifies_as_a_layer_and_as_a_file(kind):
    key = SigningKey.of(signer(kind).private)
    signature = sign_sigstore(sigstore_payload(CLAIM), key)
    trust = KeyTrust(keys=(key.public_key,), log=LogIgnored())
    as_file = unframe(stored_form(signature))
    as_layer = UntrustedCosignSignature(
        payload=signature.payload,
        signature=signature.annotations[SIGNATURE_ANNOTATION],
        log_entry=None,
        certificate=None,
    )
    for found in (as_file, as_layer):
        assert verify_signature(found, trust, (DIGEST,), 0.0).docker_reference == "r.example/app:v1"


def test_a_gpg_signature_is_stored_as_it_is():
    assert stored_form(SimpleSignature(message=b"\xa3\x01")) == b"\xa3\x01"


def test_a_new_manifest_is_the_one_that_skopeo_writes():
    found = new_manifest(made())
    config = {"architecture": "", "os": "", "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(b"x"))]}}
    assert json.loads(found.config) == config
    [signature] = made().annotations.values()
    assert json.loads(found.manifest) == {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": str(Digest.of(found.config)), "size": len(found.config)},
        "layers": [
            {
                "mediaType": SIMPLE_SIGNING,
                "digest": str(Digest.of(b"x")),
                "size": 1,
                "annotations": {SIGNATURE_ANNOTATION: signature},
            }
        ],
    }
    parse_signature_manifest(RawManifest(data=found.manifest, content_type=OCI_MANIFEST))


def peer_manifest(layout):
    """cosign's own ``.sig`` manifest in a layout, and its config."""
    index = json.loads((VECTORS / layout / "index.json").read_bytes())
    [digest] = [
        entry["digest"]
        for entry in index["manifests"]
        if entry["annotations"]["org.opencontainers.image.ref.name"].endswith(".sig")
    ]

    def blob(name):
        return (VECTORS / layout / "blobs" / name.replace(":", "/")).read_bytes()

    return blob(digest), blob(json.loads(blob(digest))["config"]["digest"])


@pytest.mark.parametrize("layout", ["cosign-k1", "cosign-multi", "cosign-logged"])
def test_a_layer_joins_those_that_cosign_wrote_and_all_else_stays(layout):
    manifest, config = peer_manifest(layout)
    before, before_config = json.loads(manifest), json.loads(config)
    raw = RawManifest(data=manifest)
    parse_signature_manifest(raw)
    grown = appended_manifest(raw, config, made())
    after, after_config = json.loads(grown.manifest), json.loads(grown.config)
    assert after == {**before, "config": after["config"], "layers": [*before["layers"], made().layer]}
    assert after["config"]["digest"] == str(Digest.of(grown.config))
    rootfs = before_config["rootfs"]
    diff_ids = [*rootfs["diff_ids"], str(Digest.of(b"x"))]
    assert after_config == {**before_config, "rootfs": {**rootfs, "diff_ids": diff_ids}}
    # Our layers have the members that cosign's have.
    assert set(made().layer) == set(before["layers"][0])
    assert parse_manifest(RawManifest(data=grown.manifest)).layers[:-1] == parse_manifest(raw).layers


def test_the_very_same_signature_is_not_added_twice():
    first = new_manifest(made())
    raw = RawManifest(data=first.manifest)
    assert appended_manifest(raw, first.config, made()) is None
    second = appended_manifest(raw, first.config, made("y"))
    assert len(json.loads(second.manifest)["layers"]) == 2
    assert appended_manifest(RawManifest(data=second.manifest), second.config, made()) is None


def other_manifest(**changes):
    return json.dumps({**json.loads(new_manifest(made()).manifest), **changes}).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).encode(),
        other_manifest(mediaType=DOCKER_MANIFEST),
        other_manifest(config={"mediaType": "application/vnd.oci.empty.v1+json", "digest": str(DIGEST), "size": 2}),
        other_manifest()[:-1] + b',"layers":[]}',
    ],
)
def test_what_is_no_signature_manifest_does_not_grow(data):
    with pytest.raises(MalformedManifestError):
        parse_signature_manifest(RawManifest(data=data))


@pytest.mark.parametrize("config", [b"", b"[]", b"{}", b'{"rootfs":{}}', b'{"rootfs":{"diff_ids":1}}', b"\xff"])
def test_a_config_that_lists_no_layers_is_refused(config):
    with pytest.raises(MalformedManifestError):
        appended_manifest(RawManifest(data=new_manifest(made()).manifest), config, made("y"))


def test_no_more_are_listed_than_are_read():
    def listing(count):
        manifest, _ = signature_manifest(*[signed_attachment(DIGEST)] * count)
        return RawManifest(data=manifest)

    parse_signature_manifest(listing(limits.SIGNATURES_PER_PLACE - 1))
    with pytest.raises(LimitExceededError):
        parse_signature_manifest(listing(limits.SIGNATURES_PER_PLACE))


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_no_config_makes_anything_but_a_manifest_or_a_refusal(config):
    raw = RawManifest(data=new_manifest(made()).manifest)
    try:
        grown = appended_manifest(raw, config, made("y"))
    except MalformedManifestError:
        return
    assert grown is not None


def test_a_file_names_its_form():
    name, _, data = stored_form(made()).partition(b"\n")
    assert name == b"\0sigstore-json"
    assert json.loads(data) == {
        "mimeType": SIMPLE_SIGNING,
        "payload": base64.b64encode(b"x").decode(),
        "annotations": dict(made().annotations),
    }


@settings(max_examples=100)
@given(
    st.integers(1, 3),
    st.sampled_from(["schemaVersion", "mediaType", "config", "layers", "manifests", "subject", "annotations", "x"]),
    st.none() | st.integers(-1, 3) | st.text(max_size=5) | st.lists(st.none(), max_size=2) | st.just({}),
)
def test_any_member_of_a_signature_manifest_is_read_or_refused(count, name, value):
    manifest, _ = signature_manifest(*[signed_attachment(DIGEST)] * count)
    document = json.loads(manifest) | {name: value}
    try:
        found = parse_signature_manifest(RawManifest(data=json.dumps(document).encode()))
    except (MalformedManifestError, UnsupportedError):
        assert name != "x"
        return
    assert (found.media_type, found.config.media_type) == (OCI_MANIFEST, OCI_CONFIG)
    assert len(found.layers) == len(document["layers"])


@settings(max_examples=100)
@given(st.data(), st.binary(max_size=3))
def test_a_signature_manifest_of_any_bytes_is_one_or_refused(data, damage):
    whole = new_manifest(made()).manifest
    at, to = sorted(data.draw(st.tuples(st.integers(0, len(whole)), st.integers(0, len(whole)))))
    raw = RawManifest(data=whole[:at] + damage + whole[to:])
    try:
        found = parse_signature_manifest(raw)
    except (MalformedManifestError, UnsupportedError):
        return
    assert found == parse_manifest(raw)
    assert (found.media_type, found.config.media_type) == (OCI_MANIFEST, OCI_CONFIG)
