import base64
import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

from plimsoll.embedded.demo_images import (
    EXPECTED,
    MIN_IMAGES,
    REPOSITORY,
    SIGNATURE_ANNOTATION,
    Demo,
    DemoImage,
    build_demo,
    kinds_of,
    load_peer,
)
from plimsoll.embedded.repository import Repository
from plimsoll.embedded.store import Store
from plimsoll.errors import StoreError, UntrustedKeyError
from plimsoll.model.digest import Digest
from plimsoll.model.trust import parse_pem_key
from plimsoll.signatures.verifying import verify_by_key

VECTORS = Path(__file__).parents[2] / "vectors" / "cosign"
SEED = bytes(range(32))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def demo(root: Path) -> Demo:
    with Store(root, writable=True) as store:
        return build_demo(store, root=root, registry="127.0.0.1:5000", seed=SEED, count=40)


class Seen:
    """One built image as anybody would read it from disk."""

    def __init__(self, root: Path, image: DemoImage) -> None:
        with Store(root) as store:
            repository = store.repository(image.repository)
            entry = repository.manifest(image.tag)
            self.manifest = json.loads(repository.manifest_bytes(entry))
            self.digest = entry.digest
            self.blobs = [
                (layer, _read(repository, layer)) for layer in (self.manifest["config"], *self.manifest["layers"])
            ]
            self.signature: tuple[bytes, bytes] | None = None
            try:
                found = json.loads(repository.manifest_bytes(repository.manifest(f"{self.digest.tag}.sig")))
            except StoreError:
                return
            (layer,) = found["layers"]
            self.signature = (_read(repository, layer), base64.b64decode(layer["annotations"][SIGNATURE_ANNOTATION]))

    @property
    def claims(self) -> str:
        assert self.signature is not None
        return json.loads(self.signature[0])["critical"]["image"]["docker-manifest-digest"]

    def verifies(self, pem: bytes) -> bool:
        assert self.signature is not None
        try:
            verify_by_key(parse_pem_key(pem), signature=self.signature[1], signed=self.signature[0], hash_name="sha256")
        except UntrustedKeyError:
            return False
        return True

    @property
    def broken(self) -> list[dict]:
        return [about for about, data in self.blobs if f"sha256:{hashlib.sha256(data).hexdigest()}" != about["digest"]]


def _read(repository: Repository, about: dict) -> bytes:
    with repository.open_blob(Digest.parse(about["digest"])) as (_, size):
        assert size == about["size"]
    data = repository._small_blob(Digest.parse(about["digest"]))
    assert data is not None
    return data


def of_kind(demo: Demo, root: Path, kind: str) -> list[Seen]:
    found = [Seen(root, image) for image in demo.images if image.kind == kind]
    assert found
    return found


def test_the_due_verdicts_are_these():
    assert EXPECTED == {
        "signed": ("accepted", None),
        "signed by cosign": ("accepted", None),
        "unsigned": ("rejected", "no-signature"),
        "signed by a stranger": ("rejected", "untrusted-key"),
        "replayed signature": ("rejected", "digest-mismatch"),
        "forged payload": ("rejected", "untrusted-key"),
        "corrupt layer": ("rejected", "layer-digest-mismatch"),
    }


def test_every_kind_is_there_and_most_are_signed():
    assert set(kinds_of(MIN_IMAGES)) == set(EXPECTED)
    counts = Counter(kinds_of(240))
    assert sum(counts.values()) == 240
    assert counts["signed"] > 160
    assert min(count for kind, count in counts.items() if kind != "signed by cosign") > 10
    with pytest.raises(ValueError, match="every kind"):
        kinds_of(MIN_IMAGES - 1)


def test_each_image_carries_the_verdict_of_its_kind(demo: Demo):
    assert len(demo.images) == 40
    assert len({(image.repository, image.tag) for image in demo.images}) == 40
    assert all((image.outcome, image.code) == EXPECTED[image.kind] for image in demo.images)


@pytest.mark.parametrize("kind", ["signed", "corrupt layer"])
def test_signed_ones_are_signed_by_the_trusted_key_for_themselves(demo: Demo, root: Path, kind: str):
    for seen in of_kind(demo, root, kind):
        assert seen.claims == str(seen.digest)
        assert seen.verifies(demo.trusted_keys[0])


def test_only_corrupt_ones_have_a_broken_layer(demo: Demo, root: Path):
    for kind in EXPECTED:
        for seen in of_kind(demo, root, kind):
            assert len(seen.broken) == (1 if kind == "corrupt layer" else 0)


def test_unsigned_ones_have_no_signature(demo: Demo, root: Path):
    assert all(seen.signature is None for seen in of_kind(demo, root, "unsigned"))


def test_a_strangers_signature_is_good_under_no_trusted_key(demo: Demo, root: Path):
    for seen in of_kind(demo, root, "signed by a stranger"):
        assert seen.claims == str(seen.digest)
        assert not any(seen.verifies(pem) for pem in demo.trusted_keys)


def test_a_replayed_signature_is_good_for_another_image(demo: Demo, root: Path):
    for seen in of_kind(demo, root, "replayed signature"):
        assert seen.verifies(demo.trusted_keys[0])
        assert seen.claims != str(seen.digest)


def test_a_forged_payload_claims_the_image_under_a_signature_of_other_bytes(demo: Demo, root: Path):
    for seen in of_kind(demo, root, "forged payload"):
        assert seen.claims == str(seen.digest)
        assert not any(seen.verifies(pem) for pem in demo.trusted_keys)


def test_the_same_seed_builds_the_same_images(demo: Demo, root: Path, tmp_path: Path):
    with Store(tmp_path, writable=True) as store:
        again = build_demo(store, root=tmp_path, registry="127.0.0.1:5000", seed=SEED, count=40)
    assert again == demo
    assert (tmp_path / REPOSITORY / "index.json").read_bytes() == (root / REPOSITORY / "index.json").read_bytes()


def test_a_short_seed_is_refused(tmp_path: Path):
    with Store(tmp_path, writable=True) as store, pytest.raises(ValueError, match="32 random bytes"):
        build_demo(store, root=tmp_path, registry="x:1", seed=b"short")
    assert not (tmp_path / REPOSITORY).exists()


def test_the_peers_image_is_cosigns_own_bytes(demo: Demo, root: Path):
    peer, lab = load_peer(), VECTORS / "cosign-k1"
    assert peer.key == (VECTORS / "keys" / "k1.pub").read_bytes()
    assert set(peer.blobs) | {data for _, data in peer.manifests} == {
        path.read_bytes() for path in (lab / "blobs/sha256").iterdir()
    }
    index = json.loads((lab / "index.json").read_bytes())["manifests"]
    assert {tag: str(Digest.of(data)) for tag, data in peer.manifests} == {
        entry["annotations"]["org.opencontainers.image.ref.name"]: entry["digest"] for entry in index
    }
    (seen,) = of_kind(demo, root, "signed by cosign")
    assert demo.trusted_keys[1] == peer.key
    assert seen.verifies(peer.key)
    assert not seen.verifies(demo.trusted_keys[0])
