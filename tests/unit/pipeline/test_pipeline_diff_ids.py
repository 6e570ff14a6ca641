from __future__ import annotations

import asyncio
import bz2
import hashlib
import json
import lzma
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.layers import (
    DOCKER,
    DOCKER_CONFIG,
    OCI,
    OCI_CONFIG,
    OTHER,
    PACKED,
    TAR,
    chunked,
    config_of,
    digest_of,
    gzipped,
    layer,
    members,
    plain,
    skippable,
    zstd,
)
from fakes.sources import Memory, MemorySource, describe, index_bytes, manifest_bytes
from plimsoll import limits
from plimsoll.errors import UnreachableError
from plimsoll.model.descriptor import OCI_INDEX
from plimsoll.model.manifest import RawManifest, parse_manifest
from plimsoll.model.reference import parse_reference
from plimsoll.pipeline import layer_contents
from plimsoll.pipeline.batching import Batcher
from plimsoll.pipeline.diff_ids import DiffIdHasher, advance_each
from plimsoll.pipeline.layers import SMALL_BLOB_BYTES, hash_batch

REFERENCE = parse_reference("registry.example/team/app:v1")
GZIP, ZSTD = f"{OCI}+gzip", f"{OCI}+zstd"
LARGE = layer("large", hashlib.shake_256(b"large").digest(3 * SMALL_BLOB_BYTES))
"""One that no packing makes small enough to be read whole."""
IN_TOTO = "application/vnd.in-toto+json"
BAD = ["diffid-mismatch"]


def hasher(executor):
    lanes = Batcher(hash_batch, executor=executor, workers=2, most=64)
    return DiffIdHasher(lanes, Batcher(advance_each, executor=executor, workers=2, most=1))


def check(memory, data):
    async def run():
        with ThreadPoolExecutor(max_workers=2) as executor:
            async with asyncio.timeout(20):
                manifest = parse_manifest(RawManifest(data=data))
                return await hasher(executor).check_image(MemorySource(memory, REFERENCE), manifest)

    return asyncio.run(run())


def codes(memory, data):
    return [reason.code for reason in check(memory, data)]


def image(memory, *layers, diff_ids=None, config_type=OCI_CONFIG, **more):
    """The manifest of an image; a layer is its type, its tar, and how it is packed where that is not by its type."""
    packed = [(kind, (how[0] if how else PACKED[kind])(tar)) for kind, tar, *how in layers]
    ids = [digest_of(tar) for _, tar, *_ in layers] if diff_ids is None else diff_ids
    config = memory.put_blob(config_of(ids, **more), config_type)
    return manifest_bytes(config=config, layers=[memory.put_blob(data, kind) for kind, data in packed])


# ---- what is right, and its twin -------------------------------------------------------------------------------------


@pytest.mark.parametrize("tar", [TAR, LARGE, b""], ids=["small", "large", "empty"])
@pytest.mark.parametrize("kind", PACKED)
def test_a_layer_that_is_what_the_config_says_and_one_that_is_not(kind, tar):
    memory = Memory()
    config = DOCKER_CONFIG if kind.startswith(DOCKER) else OCI_CONFIG
    assert check(memory, image(memory, (kind, tar), (kind, OTHER), config_type=config)) == ()
    for wrong in ([TAR[1:], OTHER], [OTHER, tar], [tar, tar]):
        diff_ids = [digest_of(each) for each in wrong]
        assert BAD[0] in codes(memory, image(memory, (kind, tar), (kind, OTHER), diff_ids=diff_ids))


def test_the_message_names_the_place_and_both_digests():
    memory = Memory()
    diff_ids = [digest_of(TAR), digest_of(TAR)]
    (reason,) = check(memory, image(memory, (GZIP, TAR), (GZIP, OTHER), diff_ids=diff_ids))
    assert reason.code == "diffid-mismatch"
    assert f"layers[1] {digest_of(gzipped(OTHER))} unpacks to {digest_of(OTHER)}" in reason.message
    assert f"the config says {digest_of(TAR)}" in reason.message


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("kind", [OCI, GZIP, ZSTD])
def test_diff_ids_of_every_algorithm(kind, algorithm):
    memory = Memory()
    right, wrong = (f"{algorithm}:{hashlib.new(algorithm, tar).hexdigest()}" for tar in (TAR, OTHER))
    assert check(memory, image(memory, (kind, TAR), diff_ids=[right])) == ()
    assert codes(memory, image(memory, (kind, TAR), diff_ids=[wrong])) == BAD


def test_one_layer_at_two_places_is_read_once_and_compared_at_both_by_whatever_algorithm():
    memory = Memory()
    by_512 = f"sha512:{hashlib.sha512(LARGE).hexdigest()}"
    data = image(memory, (GZIP, LARGE), (GZIP, LARGE), diff_ids=[digest_of(LARGE), by_512])
    assert check(memory, data) == ()
    assert len(memory.asked) == 2
    for wrong in ([digest_of(LARGE), by_512[:-1] + "x"], [digest_of(TAR), by_512]):
        ids = [each.replace("x", "0" if by_512[-1] != "0" else "1") for each in wrong]
        assert codes(memory, image(memory, (GZIP, LARGE), (GZIP, LARGE), diff_ids=ids)) == BAD


@pytest.mark.parametrize("count", [0, 1, 3])
def test_as_many_diff_ids_as_layers_or_nothing_more_is_fetched(count):
    memory = Memory()
    data = image(memory, (GZIP, TAR), (GZIP, OTHER), diff_ids=[digest_of(TAR)] * count)
    assert codes(memory, data) == BAD
    assert len(memory.asked) == 1


def test_an_image_without_layers():
    memory = Memory()
    assert check(memory, image(memory)) == ()
    assert codes(memory, image(memory, diff_ids=[digest_of(TAR)])) == BAD


def test_history_of_empty_layers_does_not_count():
    history = [{"created_by": "ENV a=b", "empty_layer": True}, {"created_by": "COPY"}, {"empty_layer": True}]
    memory = Memory()
    assert check(memory, image(memory, (GZIP, TAR), history=history)) == ()
    data = image(memory, (GZIP, TAR), history=history, diff_ids=[digest_of(TAR)] * 3)
    assert codes(memory, data) == BAD


# ---- type and bytes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [each for each in PACKED if each.endswith(("gzip", "zstd"))])
def test_a_plain_tar_that_is_announced_as_packed_is_read_as_all_read_it(kind):
    memory = Memory()
    assert check(memory, image(memory, (kind, TAR, plain))) == ()
    assert codes(memory, image(memory, (kind, TAR, plain), diff_ids=[digest_of(OTHER)])) == BAD
    rubbish = b"neither packed nor a tar" * 100
    assert codes(memory, image(memory, (kind, rubbish, plain))) == BAD
    assert codes(memory, image(memory, (kind, TAR[:511], plain))) == BAD


@pytest.mark.parametrize(
    ("kind", "pack"),
    [
        *((kind, pack) for kind in (OCI, DOCKER) for pack in (gzipped, zstd.compress, bz2.compress, lzma.compress)),
        *((GZIP, pack) for pack in (zstd.compress, bz2.compress, lzma.compress, chunked)),
        (GZIP, lambda tar: skippable() + zstd.compress(tar)),
        (OCI, lambda tar: skippable() + zstd.compress(tar)),
        *((ZSTD, pack) for pack in (gzipped, bz2.compress, lzma.compress)),
    ],
)
def test_a_type_that_contradicts_the_bytes_is_refused_whichever_the_config_means(kind, pack):
    memory = Memory()
    for tar in (TAR, LARGE):
        assert codes(memory, image(memory, (kind, tar, pack))) == BAD
        (reason,) = check(memory, image(memory, (kind, tar, pack), diff_ids=[digest_of(pack(tar))]))
        assert reason.code == "diffid-mismatch"
        assert "two layers" in reason.message


def test_zstd_that_begins_with_a_frame_to_skip():
    memory = Memory()
    assert check(memory, image(memory, (ZSTD, TAR, lambda tar: skippable() + zstd.compress(tar)))) == ()
    data = image(memory, (ZSTD, TAR, lambda tar: skippable() + zstd.compress(tar)), diff_ids=[digest_of(OTHER)])
    assert codes(memory, data) == BAD


DAMAGES = {
    "trailing byte": lambda packed: packed + b"x",
    "trailing zeros": lambda packed: packed + bytes(512),
    "trailing member, cut": lambda packed: packed + packed[:5],
    "last byte gone": lambda packed: packed[:-1],
    "half": lambda packed: packed[: len(packed) // 2],
    "head only": lambda packed: packed[:4],
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", [GZIP, ZSTD])
@pytest.mark.parametrize("tar", [TAR, LARGE], ids=["small", "large"])
def test_a_stream_that_is_not_one_whole_is_refused_though_its_digest_is_right(kind, tar, damage):
    memory = Memory()
    damaged = DAMAGES[damage](PACKED[kind](tar))
    assert codes(memory, image(memory, (kind, tar, lambda _: damaged))) == BAD


@pytest.mark.parametrize("at", [-8, -4], ids=["CRC", "length"])
def test_a_wrong_checksum_is_refused(at):
    memory = Memory()
    packed = bytearray(gzipped(TAR))
    packed[at] ^= 1
    (reason,) = check(memory, image(memory, (GZIP, TAR, lambda _: bytes(packed))))
    assert reason.code == "diffid-mismatch"
    assert "broken gzip" in reason.message


def test_a_wrong_zstd_checksum_is_refused():
    memory = Memory()
    packed = bytearray(zstd.compress(TAR, options={zstd.CompressionParameter.checksum_flag: 1}))
    assert check(memory, image(memory, (ZSTD, TAR, lambda _: bytes(packed)))) == ()
    packed[-1] ^= 1
    assert codes(memory, image(memory, (ZSTD, TAR, lambda _: bytes(packed)))) == BAD


@settings(max_examples=60)
@given(data=st.data())
def test_any_tar_any_packing_any_damage(data):
    tar = layer("x", data.draw(st.binary(max_size=3000)) * data.draw(st.integers(1, 60)))
    kind, pack = data.draw(
        st.sampled_from([(OCI, plain), (GZIP, gzipped), (GZIP, members), (ZSTD, zstd.compress), (ZSTD, chunked)])
    )
    packed = pack(tar)
    memory = Memory()
    assert check(memory, image(memory, (kind, tar, lambda _: packed))) == ()
    how = data.draw(st.sampled_from(["cut", "flip", "more"]))
    at = data.draw(st.integers(0, len(packed) - 1))
    flipped = bytes([packed[at] ^ data.draw(st.integers(1, 255))])
    damaged = {
        "cut": packed[:at],
        "flip": packed[:at] + flipped + packed[at + 1 :],
        "more": packed + data.draw(st.binary(min_size=1, max_size=20)),
    }[how]
    found = codes(memory, image(memory, (kind, tar, lambda _: damaged)))
    # A byte may be changed that no packing covers (a gzip header's time): then the tar is still the same.
    # And zstd:chunked may be cut just before its table of contents, which unpacks to nothing.
    same = (how == "flip" and pack is not plain) or (how == "cut" and pack is chunked)
    assert found in ((BAD, []) if same else (BAD,))
    # The same damage behind the manifest's back is the registry's, and says so.
    memory.blobs[digest_of(packed)] = damaged
    assert codes(memory, image_again(memory, kind, packed, tar)) == ["layer-digest-mismatch"]


def image_again(memory, kind, packed, tar):
    config = memory.put_blob(config_of([digest_of(tar)]), OCI_CONFIG)
    return manifest_bytes(config=config, layers=[describe(packed, kind)])


@pytest.mark.parametrize("tar", [TAR, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("kind", [OCI, GZIP, ZSTD])
def test_bytes_that_are_not_the_layer_come_before_what_they_unpack_to(kind, tar):
    packed = PACKED[kind](tar)
    for at in (0, len(packed) // 2, len(packed) - 1):
        memory = Memory()
        data = image(memory, (kind, tar))
        changed = bytearray(packed)
        changed[at] ^= 0x10
        memory.blobs[digest_of(packed)] = bytes(changed)
        assert codes(memory, data) == ["layer-digest-mismatch"]


@pytest.mark.parametrize("by", [-1, 1])
def test_a_size_that_lies_is_found(by):
    memory = Memory()
    packed = gzipped(LARGE)
    config = memory.put_blob(config_of([digest_of(LARGE)]), OCI_CONFIG)
    lying = memory.put_blob(packed, GZIP, size=len(packed) + by)
    assert codes(memory, manifest_bytes(config=config, layers=[lying])) == ["layer-digest-mismatch"]


# ---- bombs -----------------------------------------------------------------------------------------------------------


def test_a_layer_may_unpack_to_so_much_and_no_more(monkeypatch):
    bomb = layer("zeros", bytes(8 * limits.MIB))
    memory = Memory()
    data = image(memory, (GZIP, bomb))
    assert check(memory, data) == ()
    monkeypatch.setattr(limits, "LAYER_UNPACKED_BYTES", len(bomb))
    assert check(memory, data) == ()
    monkeypatch.setattr(limits, "LAYER_UNPACKED_BYTES", len(bomb) - 1)
    (reason,) = check(memory, data)
    assert reason.code == "limit-exceeded"
    assert f"more than {len(bomb) - 1} bytes" in reason.message


@pytest.mark.parametrize("kind", [GZIP, ZSTD])
def test_a_layer_may_unpack_to_so_many_times_its_size_and_no_more(monkeypatch, kind):
    bomb = layer("zeros", bytes(8 * limits.MIB))
    ratio = len(bomb) // len(PACKED[kind](bomb))
    monkeypatch.setattr(limits, "UNPACKED_ALWAYS_BYTES", limits.MIB)
    memory = Memory()
    data = image(memory, (kind, bomb))
    monkeypatch.setattr(limits, "UNPACKING_RATIO", ratio + 1)
    assert check(memory, data) == ()
    monkeypatch.setattr(limits, "UNPACKING_RATIO", ratio - 1)
    assert codes(memory, data) == ["limit-exceeded"]
    monkeypatch.setattr(limits, "UNPACKED_ALWAYS_BYTES", len(bomb))
    assert check(memory, data) == ()


def test_the_layers_of_an_image_and_of_all_images_of_an_index_have_one_limit(monkeypatch):
    tars = [layer(str(at), bytes(limits.MIB)) for at in range(3)]
    memory = Memory()
    monkeypatch.setattr(limits, "IMAGE_UNPACKED_BYTES", sum(map(len, tars)))
    assert check(memory, image(memory, *((GZIP, tar) for tar in tars))) == ()
    children = [memory.put_manifest(image(memory, (GZIP, tar))) for tar in tars]
    assert check(memory, index_bytes(*children)) == ()
    assert check(memory, index_bytes(*children, *children)) == ()
    monkeypatch.setattr(limits, "IMAGE_UNPACKED_BYTES", sum(map(len, tars)) - 1)
    assert codes(memory, image(memory, *((GZIP, tar) for tar in tars))) == ["limit-exceeded"]
    assert codes(memory, index_bytes(*children)) == ["limit-exceeded"]


def test_a_bomb_is_not_fetched_to_its_end(monkeypatch):
    tar = layer("zeros", bytes(64 * limits.MIB))
    packed = gzipped(tar) + bytes(range(256)) * 4096
    monkeypatch.setattr(limits, "LAYER_UNPACKED_BYTES", 2 * limits.MIB)
    memory = Memory()
    source_bytes = []

    class Counting(MemorySource):
        async def stream(self, descriptor):
            async for chunk in super().stream(descriptor):
                source_bytes.append(len(chunk))
                yield chunk

    async def run():
        with ThreadPoolExecutor(max_workers=1) as executor:
            manifest = parse_manifest(RawManifest(data=image(memory, (GZIP, tar, lambda _: packed))))
            return await hasher(executor).check_image(Counting(memory, REFERENCE), manifest)

    (reason,) = asyncio.run(run())
    assert reason.code == "limit-exceeded"
    assert sum(source_bytes) < len(packed) // 10
    assert memory.streaming == 0


EMPTY = {
    "gzip": (GZIP, gzipped(b"")),
    "zstd": (ZSTD, bytes.fromhex("28b52ffd2000010000")),
    "zstd, skipped": (ZSTD, skippable(b"")),
}
"""Streams that unpack to nothing."""


def followed_by(stream, count):
    return lambda tar: (gzipped if stream == EMPTY["gzip"][1] else zstd.compress)(tar) + stream * count


@pytest.mark.parametrize(("kind", "stream"), EMPTY.values(), ids=EMPTY)
def test_streams_that_hold_nothing_count_for_a_layer_and_for_its_image(monkeypatch, kind, stream):
    memory = Memory()
    data = image(memory, (kind, TAR, followed_by(stream, 50)))
    most = len(TAR) + 50 * limits.STREAM_COUNTS_AS_BYTES
    for cap in ("LAYER_UNPACKED_BYTES", "IMAGE_UNPACKED_BYTES"):
        monkeypatch.setattr(limits, cap, most)
        assert check(memory, data) == ()
        monkeypatch.setattr(limits, cap, most - 1)
        (reason,) = check(memory, data)
        assert reason.code == "limit-exceeded"
        assert f"more than {most - 1} bytes" in reason.message
        monkeypatch.undo()


def test_many_small_streams_stay_below_the_ratio_and_streams_that_hold_nothing_do_not(monkeypatch):
    monkeypatch.setattr(limits, "UNPACKED_ALWAYS_BYTES", 0)
    memory = Memory()
    noise = layer("noise", hashlib.shake_256(b"noise").digest(20_000))
    parts = [noise[at : at + 100] for at in range(0, len(noise), 100)]
    assert check(memory, image(memory, (ZSTD, noise, lambda _: b"".join(map(zstd.compress, parts))))) == ()
    found = image(memory, (ZSTD, TAR, followed_by(EMPTY["zstd"][1], 1000)))
    assert codes(memory, found) == ["limit-exceeded"]


@pytest.mark.parametrize(
    ("tar", "pack", "least"),
    [
        (layer("zeros", bytes(64 * limits.MIB)), zstd.compress, 64 * limits.MIB),
        (TAR, followed_by(EMPTY["zstd"][1], 5000), 5000 * limits.STREAM_COUNTS_AS_BYTES),
        (TAR, followed_by(EMPTY["zstd, skipped"][1], 5000), 5000 * limits.STREAM_COUNTS_AS_BYTES),
    ],
    ids=["zeros", "empty frames", "skipped frames"],
)
def test_a_turn_on_a_thread_is_short_however_much_a_chunk_unpacks_to(tar, pack, least):
    turns = []

    def counted(batch):
        turns.append(threading.current_thread())
        return advance_each(batch)

    async def run():
        with ThreadPoolExecutor(max_workers=1) as executor:
            deep = DiffIdHasher(
                Batcher(hash_batch, executor=executor, workers=1, most=64),
                Batcher(counted, executor=executor, workers=1, most=1),
            )
            memory = Memory()
            manifest = parse_manifest(RawManifest(data=image(memory, (ZSTD, tar, pack))))
            return await deep.check_image(MemorySource(memory, REFERENCE), manifest)

    assert asyncio.run(run()) == ()
    assert len(turns) >= least // (layer_contents.STEP_BYTES + limits.MIB)
    assert threading.main_thread() not in turns


def test_a_zstd_window_has_a_cap(monkeypatch):
    memory = Memory()
    wide = {zstd.CompressionParameter.window_log: 21}
    noise = hashlib.shake_256(b"noise").digest(3 * limits.MIB)

    def pack(tar):
        packer = zstd.ZstdCompressor(options=wide)
        return packer.compress(tar) + packer.flush()

    data = image(memory, (ZSTD, layer("noise", noise), pack))
    assert check(memory, data) == ()
    monkeypatch.setattr(limits, "ZSTD_WINDOW_LOG", 20)
    (reason,) = check(memory, data)
    assert reason.code == "limit-exceeded"
    assert "window" in reason.message


def test_memory_for_unpacking_is_waited_for_before_anything_is_asked(monkeypatch):
    monkeypatch.setattr(limits, "UNPACKING_IN_FLIGHT", 1)
    memory = Memory()
    layers = [(ZSTD, layer(str(at), LARGE)) for at in range(6)]
    data = image(memory, *layers)
    most = []

    class Watching(MemorySource):
        async def stream(self, descriptor):
            async for chunk in super().stream(descriptor):
                most.append(memory.streaming)
                yield chunk

    async def run():
        with ThreadPoolExecutor(max_workers=2) as executor:
            manifest = parse_manifest(RawManifest(data=data))
            return await hasher(executor).check_image(Watching(memory, REFERENCE), manifest)

    assert asyncio.run(run()) == ()
    assert max(most) == 1
    monkeypatch.undo()
    most.clear()
    assert asyncio.run(run()) == ()
    assert max(most) > 1


# ---- what cannot be read ---------------------------------------------------------------------------------------------


def test_without_the_library_zstd_is_undetermined_and_names_the_extra(monkeypatch):
    memory = Memory()
    data = image(memory, (ZSTD, LARGE), (GZIP, TAR))
    for name in ("backports", "backports.zstd", "compression", "compression.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    (reason,) = check(memory, data)
    assert reason.code == "unsupported"
    assert "plimsoll[zstd]" in reason.message
    memory.blobs[digest_of(gzipped(TAR))] = gzipped(OTHER)
    assert "layer-digest-mismatch" in codes(memory, data)
    assert check(memory, image(memory, (GZIP, OTHER))) == ()


def test_a_type_that_is_not_known_is_accepted_only_where_its_bytes_are_what_the_config_says():
    memory = Memory()
    payload = b'{"_type":"https://in-toto.io/Statement/v1"}'
    assert check(memory, image(memory, (IN_TOTO, payload, plain))) == ()
    encrypted = f"{GZIP}+encrypted"
    assert codes(memory, image(memory, (encrypted, TAR, lambda tar: b"sealed" + tar))) == ["unsupported"]
    for pack in (gzipped, zstd.compress, bz2.compress):
        for tar in (TAR, pack(TAR)):
            found = image(memory, (encrypted, TAR, pack), diff_ids=[digest_of(tar)])
            assert codes(memory, found) == ["unsupported"]
    wrong = image(memory, (encrypted, TAR, plain))
    memory.blobs[digest_of(TAR)] = OTHER
    assert codes(memory, wrong) == ["layer-digest-mismatch"]


@pytest.mark.parametrize("kind", [each for each in PACKED if "foreign" in each or "nondistributable" in each])
def test_a_foreign_layer_is_asked_where_all_layers_are_and_nowhere_else(kind):
    memory = Memory()
    packed = PACKED[kind](TAR)
    config = memory.put_blob(config_of([digest_of(TAR)]), DOCKER_CONFIG)
    foreign = describe(packed, kind, urls=["https://elsewhere.example/layer"])
    data = manifest_bytes(config=config, layers=[foreign])
    assert codes(memory, data) == ["not-found"]
    memory.put_blob(packed)
    assert check(memory, data) == ()


@pytest.mark.parametrize(
    "config_type", ["application/vnd.cncf.helm.config.v1+json", "application/vnd.oci.empty.v1+json"]
)
def test_what_is_no_image_is_hashed_and_undetermined(config_type):
    memory = Memory()
    data = manifest_bytes(config=memory.put_blob(b"{}", config_type), layers=[memory.put_blob(LARGE, "application/x")])
    (reason,) = check(memory, data)
    assert reason.code == "unsupported"
    assert config_type in reason.message
    assert "--layers digest" in reason.message
    assert len(memory.asked) == 2
    memory.blobs[digest_of(LARGE)] = LARGE[::-1]
    assert "layer-digest-mismatch" in codes(memory, data)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"{}", "manifest-invalid"),
        (b"[]", "manifest-invalid"),
        (config_of([digest_of(TAR)])[:-1], "manifest-invalid"),
        (config_of([digest_of(TAR)], RootFS={"type": "layers", "diff_ids": []}), "manifest-invalid"),
        (config_of([digest_of(TAR).upper()]), "manifest-invalid"),
        (config_of([f"md5:{hashlib.md5(TAR).hexdigest()}"]), "manifest-invalid"),
        (config_of([digest_of(TAR)]).ljust(limits.CONFIG_BYTES + 1), "limit-exceeded"),
    ],
)
def test_a_config_that_cannot_be_read_is_refused_and_no_layer_fetched(data, code):
    memory = Memory()
    layers = [memory.put_blob(gzipped(TAR), GZIP)]
    assert codes(memory, manifest_bytes(config=memory.put_blob(data, OCI_CONFIG), layers=layers)) == [code]
    assert len(memory.asked) <= 1


def test_a_config_of_the_largest_size_is_read():
    memory = Memory()
    config = memory.put_blob(config_of([digest_of(TAR)]).ljust(limits.CONFIG_BYTES), OCI_CONFIG)
    assert check(memory, manifest_bytes(config=config, layers=[memory.put_blob(gzipped(TAR), GZIP)])) == ()


def test_a_config_is_proven_before_it_is_believed():
    memory = Memory()
    data = image(memory, (GZIP, TAR))
    other = config_of([digest_of(OTHER)])
    memory.blobs[digest_of(config_of([digest_of(TAR)]))] = other
    assert codes(memory, data) == ["layer-digest-mismatch"]


def test_a_missing_layer_or_config_is_undetermined_and_does_not_hide_a_wrong_one():
    memory = Memory()
    missing = image(memory, (GZIP, TAR), (GZIP, OTHER), diff_ids=[digest_of(TAR), digest_of(TAR)])
    del memory.blobs[digest_of(gzipped(TAR))]
    assert sorted(codes(memory, missing)) == ["diffid-mismatch", "not-found"]
    memory.faults[digest_of(gzipped(OTHER))] = UnreachableError("reset")
    assert sorted(codes(memory, missing)) == ["not-found", "unreachable"]
    memory.blobs.clear()
    assert codes(memory, missing) == ["not-found"]


# ---- how much is asked -----------------------------------------------------------------------------------------------


def test_every_blob_is_asked_for_once_the_config_first():
    memory = Memory()
    data = image(memory, (GZIP, TAR), (GZIP, LARGE), (OCI, OTHER), (GZIP, TAR))
    assert check(memory, data) == ()
    assert len(memory.asked) == len(set(memory.asked)) == 4
    assert memory.asked[0] == json.loads(data)["config"]["digest"]


def test_children_share_configs_and_layers():
    memory = Memory()
    base, own = layer("base", LARGE), [layer("a", b"a"), layer("b", b"b")]
    children = [memory.put_manifest(image(memory, (GZIP, base), (GZIP, tar))) for tar in own]
    # The same image once more, its own layer in another packing: config and base are known.
    children.append(memory.put_manifest(image(memory, (GZIP, base), (ZSTD, own[0]))))
    assert check(memory, index_bytes(*children)) == ()
    assert len(memory.asked) == len(set(memory.asked)) == 3 + 2 + 1 + 3


# ---- indexes ---------------------------------------------------------------------------------------------------------

UNKNOWN = {"os": "unknown", "architecture": "unknown"}
AMD64 = {"os": "linux", "architecture": "amd64"}


def artifact(memory, **listed):
    data = manifest_bytes(config=memory.put_blob(b"{}", "application/x"), layers=[memory.put_blob(b"x", "text/x")])
    return memory.put_manifest(data, **listed)


def test_a_wrong_child_is_found_wherever_it_is():
    memory = Memory()
    good = memory.put_manifest(image(memory, (GZIP, TAR)), platform=AMD64)
    bad = memory.put_manifest(image(memory, (GZIP, TAR), diff_ids=[digest_of(OTHER)]), platform=UNKNOWN)
    nested = memory.put_manifest(index_bytes(bad), media_type=OCI_INDEX)
    assert check(memory, index_bytes(good)) == ()
    for other in (bad, nested):
        assert codes(memory, index_bytes(good, other)) == BAD
        assert codes(memory, index_bytes(other, good)) == BAD


def test_attestations_stand_beside_images_and_an_offered_artifact_does_not():
    memory = Memory()
    good = memory.put_manifest(image(memory, (GZIP, TAR)), platform=AMD64)
    statement = memory.put_manifest(image(memory, (IN_TOTO, b"{}", plain)), platform=UNKNOWN)
    assert check(memory, index_bytes(good, statement)) == ()
    nowhere = {"platform": UNKNOWN}
    for harmless in (
        artifact(memory, **nowhere),
        memory.put_blob(b"anything", "application/y", **nowhere),
        memory.put_blob(b'{"any": "thing"}', "application/y", **nowhere),
        memory.put_blob(b"anything", "application/y"),
    ):
        assert check(memory, index_bytes(good, harmless)) == ()
    for wrong, where in (
        (artifact(memory, platform=AMD64), "linux/amd64"),
        (memory.put_blob(b"anything", "application/y", platform=AMD64), "linux/amd64"),
        (artifact(memory), "any platform"),
    ):
        (reason,) = check(memory, index_bytes(good, wrong))
        assert reason.code == "unsupported"
        assert where in reason.message


@pytest.mark.parametrize("listed", [{}, {"platform": AMD64}])
def test_a_manifest_that_is_listed_as_something_else_is_compared(listed):
    memory = Memory()
    good = memory.put_manifest(image(memory, (GZIP, TAR)), platform=AMD64)
    evil = image(memory, (GZIP, TAR), diff_ids=[digest_of(OTHER)])
    true = image(memory, (GZIP, OTHER))
    assert codes(memory, index_bytes(good, memory.put_blob(evil, "application/octet-stream", **listed))) == BAD
    assert check(memory, index_bytes(good, memory.put_blob(true, "application/octet-stream", **listed))) == ()
    nested = index_bytes(memory.put_manifest(evil))
    assert codes(memory, index_bytes(good, memory.put_blob(nested, "application/octet-stream", **listed))) == BAD


def test_an_index_in_which_nothing_can_be_compared_is_undetermined():
    memory = Memory()
    good = memory.put_manifest(image(memory, (GZIP, TAR)), platform=AMD64)
    empty = memory.put_manifest(index_bytes(), media_type=OCI_INDEX, platform=AMD64)
    others = memory.put_manifest(index_bytes(artifact(memory)), media_type=OCI_INDEX)
    for data in (
        index_bytes(),
        index_bytes(artifact(memory, platform=UNKNOWN)),
        index_bytes(good, empty),
        index_bytes(good, others),
    ):
        assert codes(memory, data) == ["unsupported"]


# ---- ends ------------------------------------------------------------------------------------------------------------


def test_cancellation_gives_streams_and_memory_back():
    memory = Memory()
    layers = [(GZIP, layer(str(at), LARGE)) for at in range(3)]
    data = image(memory, *layers)

    async def run():
        memory.holds = {digest_of(gzipped(tar)): asyncio.Event() for _, tar in layers}
        with ThreadPoolExecutor(max_workers=1) as executor:
            deep = hasher(executor)
            manifest = parse_manifest(RawManifest(data=data))
            task = asyncio.create_task(deep.check_image(MemorySource(memory, REFERENCE), manifest))
            while memory.streaming < 3:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert memory.streaming == 0
            memory.holds = {}
            assert deep._memory.take_now(limits.UNPACKING_IN_FLIGHT)
            deep._memory.give(limits.UNPACKING_IN_FLIGHT)
            assert await deep.check_image(MemorySource(memory, REFERENCE), manifest) == ()

    asyncio.run(run())


def test_cancellation_in_the_middle_of_a_turn_leaves_no_thread_behind():
    memory = Memory()
    data = image(memory, (GZIP, layer("zeros", bytes(32 * limits.MIB))))
    inside, go_on = threading.Event(), threading.Event()

    def slow(batch):
        inside.set()
        assert go_on.wait(20)
        return advance_each(batch)

    async def run():
        with ThreadPoolExecutor(max_workers=1) as executor:
            lanes = Batcher(hash_batch, executor=executor, workers=1, most=64)
            deep = DiffIdHasher(lanes, Batcher(slow, executor=executor, workers=1, most=1))
            manifest = parse_manifest(RawManifest(data=data))
            task = asyncio.create_task(deep.check_image(MemorySource(memory, REFERENCE), manifest))
            assert await asyncio.get_running_loop().run_in_executor(None, inside.wait, 20)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            go_on.set()
        return deep

    deep = asyncio.run(run())
    assert deep._memory.take_now(limits.UNPACKING_IN_FLIGHT)
