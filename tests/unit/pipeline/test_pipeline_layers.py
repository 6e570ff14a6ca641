import asyncio
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from fakes.sources import Memory, MemorySource, describe, index_bytes, manifest_bytes
from plimsoll import limits
from plimsoll.errors import UnreachableError
from plimsoll.model.descriptor import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from plimsoll.model.manifest import RawManifest, parse_manifest
from plimsoll.model.reference import parse_reference
from plimsoll.native import Sha256
from plimsoll.pipeline.batching import Batcher
from plimsoll.pipeline.layers import BLOBS_AT_ONCE, SMALL_BLOB_BYTES, BlobHasher, hash_batch

DOCKER = parse_reference("registry.example/team/app:v1")
LARGE = bytes(range(251)) * (SMALL_BLOB_BYTES // 100)
SMALL = b"small"


def check(memory, data):
    async def run():
        with ThreadPoolExecutor(max_workers=2) as executor:
            hasher = BlobHasher(Batcher(hash_batch, executor=executor, workers=2, most=64))
            async with asyncio.timeout(20):
                return await hasher.check_image(MemorySource(memory, DOCKER), parse_manifest(RawManifest(data=data)))

    return asyncio.run(run())


def codes(memory, data):
    return [reason.code for reason in check(memory, data)]


def image(memory, *layers):
    return manifest_bytes(config=memory.put_blob(b"{}", OCI_CONFIG), layers=layers)


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("content", [b"", SMALL, LARGE, b"x" * SMALL_BLOB_BYTES, b"x" * (SMALL_BLOB_BYTES + 1)])
def test_a_whole_image_gives_no_reason_and_every_blob_was_fetched(algorithm, content):
    memory = Memory()
    layers = [memory.put_blob(content, algorithm=algorithm), memory.put_blob(b"two"), memory.put_blob(LARGE[::-1])]
    assert check(memory, image(memory, *layers)) == ()
    assert sorted(memory.asked) == sorted(memory.blobs)


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("content", [SMALL, LARGE])
def test_one_changed_byte_anywhere_is_found(algorithm, content):
    for at in (0, len(content) // 2, len(content) - 1):
        memory = Memory()
        layer = memory.put_blob(content, algorithm=algorithm)
        changed = bytearray(content)
        changed[at] ^= 1
        memory.blobs[layer["digest"]] = bytes(changed)
        assert codes(memory, image(memory, layer)) == ["layer-digest-mismatch"]


@pytest.mark.parametrize("content", [SMALL, LARGE])
@pytest.mark.parametrize("by", [-1, 1, -len(SMALL), 1000])
def test_a_size_that_lies_is_found_though_the_bytes_hash_as_said(content, by):
    memory = Memory()
    layer = memory.put_blob(content, size=len(content) + by)
    assert codes(memory, image(memory, layer)) == ["layer-digest-mismatch"]


def test_a_stream_that_is_longer_than_said_is_not_read_to_its_end():
    memory = Memory()
    layer = memory.put_blob(LARGE * 20, size=len(LARGE))
    (reason,) = check(memory, image(memory, layer))
    assert reason.code == "layer-digest-mismatch"
    assert "more than" in reason.message
    assert memory.streaming == 0


def test_a_wrong_config_is_found():
    memory = Memory()
    data = manifest_bytes(config=memory.put_blob(b"{}", OCI_CONFIG))
    memory.blobs[describe(b"{}")["digest"]] = b"[]"
    assert codes(memory, data) == ["layer-digest-mismatch"]


@pytest.mark.parametrize("lie_first", [True, False])
@pytest.mark.parametrize("content", [SMALL, LARGE])
def test_two_layers_of_one_digest_with_different_sizes_are_found(lie_first, content):
    memory = Memory()
    true, lie = memory.put_blob(content), memory.put_blob(content, size=len(content) - 1)
    assert codes(memory, image(memory, *([lie, true] if lie_first else [true, lie]))) == ["layer-digest-mismatch"]


def test_a_blob_that_is_listed_twice_is_fetched_once():
    memory = Memory()
    layer = memory.put_blob(SMALL)
    assert check(memory, image(memory, layer, layer, layer)) == ()
    assert memory.asked.count(layer["digest"]) == 1


def test_a_missing_blob_is_undetermined_and_does_not_hide_a_wrong_one():
    memory = Memory()
    missing, wrong = describe(b"missing"), memory.put_blob(SMALL)
    memory.blobs[wrong["digest"]] = b"SMALL"
    assert codes(memory, image(memory, missing)) == ["not-found"]
    assert sorted(codes(memory, image(memory, missing, wrong))) == ["layer-digest-mismatch", "not-found"]


def test_a_broken_connection_is_undetermined():
    memory = Memory()
    layer = memory.put_blob(LARGE)
    memory.faults[layer["digest"]] = UnreachableError("reset")
    assert codes(memory, image(memory, layer)) == ["unreachable"]


def test_after_a_wrong_blob_the_rest_is_not_fetched():
    memory = Memory()
    layers = [memory.put_blob(b"%d" % at) for at in range(100)]
    memory.blobs[layers[0]["digest"]] = b"!"
    assert codes(memory, image(memory, *layers)) == ["layer-digest-mismatch"]
    assert len(memory.asked) <= 2 + BLOBS_AT_ONCE


def test_a_few_blobs_of_one_image_are_in_flight_together():
    memory = Memory()
    layers = [memory.put_blob(b"%d" % at) for at in range(20)]

    async def run():
        gate = asyncio.Event()
        memory.holds = {layer["digest"]: gate for layer in layers}
        with ThreadPoolExecutor(max_workers=1) as executor:
            hasher = BlobHasher(Batcher(hash_batch, executor=executor, workers=1, most=64))
            manifest = parse_manifest(RawManifest(data=manifest_bytes(config=layers[0], layers=layers)))
            task = asyncio.create_task(hasher.check_image(MemorySource(memory, DOCKER), manifest))
            for _ in range(30):
                await asyncio.sleep(0)
            asked = len(memory.asked)
            gate.set()
            return asked, await task

    assert asyncio.run(run()) == (BLOBS_AT_ONCE, ())


def test_cancellation_gives_the_streams_back():
    memory = Memory()
    layers = [memory.put_blob(LARGE + bytes([at])) for at in range(3)]

    async def run():
        memory.holds = {layer["digest"]: asyncio.Event() for layer in layers}
        with ThreadPoolExecutor(max_workers=1) as executor:
            hasher = BlobHasher(Batcher(hash_batch, executor=executor, workers=1, most=64))
            manifest = parse_manifest(RawManifest(data=manifest_bytes(config=layers[0], layers=layers)))
            task = asyncio.create_task(hasher.check_image(MemorySource(memory, DOCKER), manifest))
            while memory.streaming < 3:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert memory.streaming == 0

    asyncio.run(run())


def test_every_child_of_an_index_is_descended_into():
    memory = Memory()
    children = [memory.put_image(layers=(b"a",)), memory.put_image(layers=(b"b", LARGE))]
    assert check(memory, index_bytes(*children)) == ()
    assert set(memory.asked) == {*(child["digest"] for child in children), *memory.blobs}


def test_layers_that_children_share_are_fetched_once():
    memory = Memory()
    children = [memory.put_image(layers=(b"base", own)) for own in (b"a", b"b", b"c")]
    assert check(memory, index_bytes(*children)) == ()
    assert memory.asked.count(describe(b"base")["digest"]) == 1


def test_a_wrong_layer_of_any_child_is_found():
    for bad in (b"a", b"b"):
        memory = Memory()
        children = [memory.put_image(layers=(b"a",)), memory.put_image(layers=(b"b",))]
        memory.blobs[describe(bad)["digest"]] = b"!"
        assert codes(memory, index_bytes(*children)) == ["layer-digest-mismatch"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda memory, child: memory.manifests.clear(), "not-found"),
        (lambda memory, child: memory.manifests.update({child["digest"]: b"{}"}), "digest-mismatch"),
        (lambda memory, child: memory.faults.update({child["digest"]: UnreachableError("reset")}), "unreachable"),
        (lambda memory, child: child.update(size=1), "digest-mismatch"),
    ],
)
def test_a_child_that_cannot_be_had_is_named(change, code):
    memory = Memory()
    child = memory.put_image()
    change(memory, child)
    (reason,) = check(memory, index_bytes(child))
    assert reason.code == code
    assert child["digest"] in reason.message


def test_an_entry_of_another_type_is_hashed_as_a_blob():
    memory = Memory()
    entry = memory.put_blob(b"anything", "application/x")
    assert check(memory, index_bytes(entry)) == ()
    memory.blobs[entry["digest"]] = b"another!"
    assert codes(memory, index_bytes(entry)) == ["layer-digest-mismatch"]


def test_a_manifest_that_is_listed_as_something_else_is_read():
    memory = Memory()
    inner = memory.put_blob(b"inner")
    data = image(memory, inner)
    for other in (data, index_bytes(memory.put_manifest(data))):
        entry = memory.put_blob(b" \n" + other, "application/octet-stream")
        memory.blobs[inner["digest"]] = b"inner"
        assert check(memory, index_bytes(entry)) == ()
        memory.blobs[inner["digest"]] = b"other"
        assert codes(memory, index_bytes(entry)) == ["layer-digest-mismatch"]
        # What nobody takes for an image is hashed only.
        nowhere = {**entry, "platform": {"os": "unknown", "architecture": "unknown"}}
        assert check(memory, index_bytes(nowhere)) == ()


@pytest.mark.parametrize(
    "data", [b'{"schemaVersion": 2, "Layers": []}', b"{", b'{"schemaVersion": 1}', b'{"manifests": [], "layers": []}']
)
def test_what_others_may_read_as_a_manifest_is_undetermined(data):
    memory = Memory()
    assert codes(memory, index_bytes(memory.put_blob(data, "application/x"))) == ["unsupported"]
    assert check(memory, index_bytes(memory.put_blob(b"[" + data, "application/x"))) == ()


def test_what_is_too_large_for_a_manifest_is_hashed_only(monkeypatch):
    memory = Memory()
    entry = memory.put_blob(image(memory, memory.put_blob(b"gone")), "application/x")
    memory.blobs.pop(describe(b"gone")["digest"])
    assert codes(memory, index_bytes(entry)) == ["not-found"]
    monkeypatch.setattr(limits, "MANIFEST_BYTES", entry["size"] - 1)
    assert check(memory, index_bytes(entry)) == ()


def nested(memory, depth):
    data = index_bytes(memory.put_image())
    for _ in range(depth - 1):
        data = index_bytes(memory.put_manifest(data, media_type=OCI_INDEX))
    return data


def test_indexes_may_nest_to_the_limit_and_no_deeper():
    memory = Memory()
    assert check(memory, nested(memory, limits.INDEX_DEPTH)) == ()
    assert codes(memory, nested(memory, limits.INDEX_DEPTH + 1)) == ["limit-exceeded"]


def test_the_manifests_below_one_index_are_capped_over_all_levels():
    memory = Memory()
    leaf = memory.put_manifest(index_bytes(), media_type=OCI_INDEX)
    wide = memory.put_manifest(index_bytes(*[leaf] * 100), media_type=OCI_INDEX)
    assert check(memory, index_bytes(*[wide] * 40)) == ()  # 40 + 40 * 100
    assert codes(memory, index_bytes(*[wide] * 50)) == ["limit-exceeded"]
    assert len(memory.asked) <= 2 * limits.INDEX_CHILDREN + 1


def test_a_child_that_is_no_manifest_is_refused():
    memory = Memory()
    child = memory.put_manifest(json.dumps({"schemaVersion": 2}).encode(), media_type=OCI_MANIFEST)
    assert codes(memory, index_bytes(child)) == ["manifest-invalid"]


def test_a_batch_advances_every_stream_of_every_kind():
    streams = [Sha256(), hashlib.sha512(), Sha256(), hashlib.sha384()]
    expected = [hashlib.sha256(), hashlib.sha512(), hashlib.sha256(), hashlib.sha384()]
    for turn in range(3):
        steps = [(stream, bytes([turn, at]) * 1000) for at, stream in enumerate(streams)]
        assert hash_batch(steps) == [None] * 4
        for digest, (_, chunk) in zip(expected, steps, strict=True):
            digest.update(chunk)
    assert [stream.hexdigest() for stream in streams] == [digest.hexdigest() for digest in expected]
    assert hash_batch([]) == []
