from __future__ import annotations

import asyncio
import bz2
import gzip
import json
import lzma
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes.saved import SavedWriter, config_of, digest_of, layer
from plimsoll import limits
from plimsoll.errors import (
    ContentError,
    DigestMismatchError,
    InvalidReferenceError,
    LimitExceededError,
    MalformedManifestError,
    NotFoundError,
    PlimsollError,
    UnsupportedError,
)
from plimsoll.model.descriptor import Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.manifest import parse_manifest
from plimsoll.model.reference import parse_reference
from plimsoll.transport.archive import ArchiveCache
from plimsoll.transport.docker_archive import SavedCache, open_docker_archive, parse_saved

ONE, TWO = layer("one", b"1" * 3000), layer("two", b"2")
BIG = layer("big", bytes(range(256)) * 20_000)
PACKERS = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}


def opened(file, *, which="", archives=None, saved=None):
    reference = parse_reference(f"docker-archive:{file}{which}")
    return open_docker_archive(reference, archives or ArchiveCache(), saved or SavedCache())


def read(file, which=""):
    async def story():
        source = opened(file, which=which)
        try:
            return await source.manifest()
        finally:
            await source.aclose()

    return asyncio.run(story())


def two_images():
    writer = SavedWriter()
    return writer, writer.image(ONE, TWO, tags=("app:v1", "r.example/x/app:v2")), writer.image(TWO, tags=None)


def test_the_manifest_is_made_as_skopeo_makes_it(tmp_path):
    writer = SavedWriter()
    config = writer.image(ONE, TWO)
    assert read(writer.write(tmp_path / "a.tar")).data == (
        b'{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",'
        b'"config":{"mediaType":"application/vnd.docker.container.image.v1+json","size":%d,"digest":"%s"},"layers":['
        b'{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","size":10240,"digest":"%s"},'
        b'{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","size":10240,"digest":"%s"}]}'
    ) % (len(config), *(digest_of(data).encode() for data in (config, ONE, TWO)))


@pytest.mark.parametrize(
    ("which", "at"),
    [(":app:v1", 0), (":docker.io/library/app:v1", 0), (":r.example/x/app:v2", 0), (":@0", 0), (":@1", 1)],
)
def test_an_image_is_named_by_tag_or_position(tmp_path, which, at):
    writer, *configs = two_images()
    manifest = parse_manifest(read(writer.write(tmp_path / "a.tar"), which))
    assert manifest.config.digest == Digest.of(configs[at])


@pytest.mark.parametrize(
    ("which", "error"),
    [
        (":app", NotFoundError),
        (":app:v2", NotFoundError),
        (":r.example/app:v2", NotFoundError),
        (":@2", NotFoundError),
        ("", InvalidReferenceError),
    ],
)
def test_what_names_no_image_or_several(tmp_path, which, error):
    writer, *_ = two_images()
    with pytest.raises(error):
        read(writer.write(tmp_path / "a.tar"), which)


def test_an_archive_without_images_has_none(tmp_path):
    with pytest.raises(NotFoundError, match="no image"):
        read(SavedWriter().write(tmp_path / "a.tar"))
    (tmp_path / "b.tar").write_bytes(b"\0" * 10240)
    with pytest.raises(NotFoundError, match=r"manifest\.json"):
        read(tmp_path / "b.tar")
    with pytest.raises(NotFoundError):
        read(tmp_path / "nowhere.tar")


def test_one_name_for_two_images_is_refused(tmp_path):
    writer = SavedWriter()
    config = writer.image(ONE)
    writer.items.append(dict(writer.items[0]))
    assert parse_manifest(read(writer.write(tmp_path / "a.tar"), ":app:v1")).config.digest == Digest.of(config)
    writer.image(TWO)
    with pytest.raises(MalformedManifestError, match="different images"):
        read(writer.write(tmp_path / "a.tar"), ":app:v1")


def test_a_name_that_is_none_matters_only_where_names_are_asked_for(tmp_path):
    writer = SavedWriter()
    config = writer.image(ONE, tags=("App:v1",))
    file = writer.write(tmp_path / "a.tar")
    assert parse_manifest(read(file)).config.digest == Digest.of(config)
    with pytest.raises(MalformedManifestError, match="lower case"):
        read(file, ":app:v1")


@pytest.mark.parametrize("tag", ["app", f"app:v1@sha256:{'a' * 64}"])
def test_a_listed_name_without_a_tag_or_with_a_digest_is_no_images(tmp_path, tag):
    writer = SavedWriter()
    writer.image(ONE, tags=(tag,))
    for which in (":app", ":app:v1"):
        with pytest.raises(NotFoundError):
            read(writer.write(tmp_path / "a.tar"), which)


@pytest.mark.parametrize("kind", ["symlink", "hard"])
def test_a_layer_that_comes_again_may_be_a_link(tmp_path, kind):
    writer = SavedWriter()
    writer.add("x/layer.tar", ONE)
    writer.add("y/layer.tar", (kind, "../x/layer.tar" if kind == "symlink" else "x/layer.tar"))
    config = config_of(ONE)
    writer.add(f"{digest_of(config)[7:]}.json", config)
    writer.item(config, "y/layer.tar")
    plain = SavedWriter()
    plain.image(ONE)
    assert read(writer.write(tmp_path / "a.tar")) == read(plain.write(tmp_path / "b.tar"))
    again = SavedWriter()
    again.add("x/layer.tar", ONE)
    again.add("y/layer.tar", (kind, "../x/layer.tar" if kind == "symlink" else "x/layer.tar"))
    config = config_of(ONE, ONE)
    again.add(f"{digest_of(config)[7:]}.json", config)
    again.item(config, "x/layer.tar", "y/layer.tar")
    layers = parse_manifest(read(again.write(tmp_path / "c.tar"))).layers
    assert [(each.size, str(each.digest)) for each in layers] == [(len(ONE), digest_of(ONE))] * 2


@pytest.mark.parametrize(
    ("name", "what", "said"),
    [
        ("../x", b"", "outside the archive"),
        ("/etc/passwd", b"", "outside the archive"),
        ("a/../../x", b"", "outside the archive"),
        ("a/../manifest.json", b"", "outside the archive"),
        ("./manifest.json", b"[]", "two members"),
        ("manifest.json", ("symlink", "other.json"), "two members"),
        ("x", ("symlink", "/etc/passwd"), "outside the archive"),
        ("x", ("symlink", "../etc/passwd"), "outside the archive"),
        ("x/y", ("symlink", "../../etc/passwd"), "outside the archive"),
        ("x/y", ("hard", "../etc/passwd"), "outside the archive"),
        ("x", ("hard", "/etc/passwd"), "outside the archive"),
        ("x", ("fifo", ""), "device"),
    ],
)
def test_what_two_readers_could_unpack_differently_is_refused(tmp_path, name, what, said):
    writer = SavedWriter()
    writer.image(ONE)
    read(writer.write(tmp_path / "good.tar"))
    writer.add(name, what)
    with pytest.raises(ContentError, match=said):
        read(writer.write(tmp_path / "bad.tar"))


def test_folders_links_inside_and_legacy_files_are_no_hindrance(tmp_path):
    writer = SavedWriter()
    writer.image(ONE)
    plain = read(writer.write(tmp_path / "a.tar"))
    writer.add("id", ("folder", ""))
    writer.add("id/VERSION", b"1.0")
    writer.add("id/layer.tar", ("symlink", f"../{digest_of(ONE)[7:]}.tar"))
    writer.add("repositories", b"{}")
    assert read(writer.write(tmp_path / "b.tar")) == plain


@pytest.mark.parametrize("what", [("symlink", "z"), ("symlink", "x"), ("symlink", "gone"), ("folder", "")])
def test_a_layer_that_is_no_file_after_one_link_is_refused(tmp_path, what):
    writer = SavedWriter()
    writer.add("x", what)
    writer.add("z", ("symlink", "real"))
    writer.add("real", ONE)
    config = config_of(ONE)
    writer.add(f"{digest_of(config)[7:]}.json", config)
    writer.item(config, "x")
    with pytest.raises(MalformedManifestError, match="not there"):
        read(writer.write(tmp_path / "a.tar"))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"Config": None}, "no Config"),
        ({"Config": "gone.json"}, "not there"),
        ({"Config": "../gone.json"}, "not there"),
        ({"Layers": None}, "lists 0 layers"),
        ({"Layers": []}, "lists 0 layers"),
        ({"Layers": "x"}, "no list of strings"),
        ({"Layers": [1]}, "no list of strings"),
        ({"Layers": ["gone", "gone"]}, "not there"),
        ({"Layers": [f"{digest_of(ONE)[7:]}.tar"] * 2}, "different diff_ids"),
        ({"RepoTags": [None]}, "no list of strings"),
    ],
)
def test_an_item_that_is_not_whole_is_refused(tmp_path, more, said):
    writer = SavedWriter()
    writer.image(ONE, TWO)
    writer.items[0] |= more
    with pytest.raises(MalformedManifestError, match=said):
        read(writer.write(tmp_path / "a.tar"))


@pytest.mark.parametrize("rootfs", [None, {"type": "layers"}, {"type": "layers", "diff_ids": ["sha256:../x"]}])
def test_a_config_without_proper_diff_ids_is_refused(tmp_path, rootfs):
    writer = SavedWriter()
    config = config_of(rootfs=rootfs)
    writer.add(f"{digest_of(config)[7:]}.json", config)
    writer.item(config)
    with pytest.raises(MalformedManifestError):
        read(writer.write(tmp_path / "a.tar"))


@pytest.mark.parametrize("data", [b"", b"{}", b"null", b"[1]", b'[{"Config": "a", "Config": "b"}]', b"[] x"])
def test_a_list_that_is_none_is_refused(data):
    with pytest.raises(MalformedManifestError):
        parse_saved(data, where="here")


def test_huge_parts_are_refused(tmp_path, monkeypatch):
    writer = SavedWriter()
    config = writer.image(ONE, TWO)
    file = writer.write(tmp_path / "a.tar")
    for cap, most in (("CONFIG_BYTES", len(config)), ("LAYERS", 2), ("SAVED_MANIFEST_BYTES", 4096)):
        with monkeypatch.context() as patched:
            patched.setattr(limits, cap, most)
            read(file)
            patched.setattr(limits, cap, 1)
            with pytest.raises(LimitExceededError):
                read(file)


@pytest.mark.parametrize("packing", [None, *PACKERS])
@pytest.mark.parametrize("inside", [False, True])
def test_blobs_are_read_checked_or_streamed(tmp_path, packing, inside):
    pack = PACKERS.get(packing, bytes)
    writer = SavedWriter()
    writer.add("big.tar", pack(BIG) if inside else BIG)
    writer.add("one.tar", pack(ONE) if inside else ONE)
    config = config_of(BIG, ONE)
    writer.add(f"{digest_of(config)[7:]}.json", config)
    writer.item(config, "big.tar", "one.tar")
    (tmp_path / "a.tar").write_bytes(writer.data() if inside else pack(writer.data()))
    before = len(os.listdir("/proc/self/fd"))

    async def story():
        archives = ArchiveCache()
        source = opened(tmp_path / "a.tar", archives=archives)
        manifest = parse_manifest(await source.manifest())
        big, one = manifest.layers
        assert (big.size, one.size) == (len(BIG), len(ONE))
        assert b"".join([chunk async for chunk in source.stream(big)]) == BIG
        assert await source.blob(one, limit=one.size) == ONE
        assert await source.blob(manifest.config, limit=limits.CONFIG_BYTES) == config
        with pytest.raises(LimitExceededError):
            await source.blob(big, limit=big.size - 1)
        with pytest.raises(NotFoundError):
            await source.blob(Descriptor(media_type="x", digest=Digest.of(b"?"), size=1), limit=1)
        short = Descriptor(media_type="x", digest=big.digest, size=5)
        assert 5 < sum([len(chunk) async for chunk in source.stream(short)]) < len(BIG)
        with pytest.raises(LimitExceededError):
            await source.blob(short, limit=5)
        await source.aclose()
        archives.close()

    asyncio.run(story())
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_layer_that_is_not_what_the_config_says_shows_when_it_is_read(tmp_path):
    writer = SavedWriter()
    writer.image(ONE)
    writer.entries[0] = (writer.entries[0][0], TWO)

    async def story():
        source = opened(writer.write(tmp_path / "a.tar"))
        (one,) = parse_manifest(await source.manifest()).layers
        with pytest.raises(DigestMismatchError):
            await source.blob(one, limit=one.size)
        await source.aclose()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("packed", "error"),
    [
        (gzip.compress(ONE)[:-4], ContentError),
        (bz2.compress(ONE)[:-4], ContentError),
        (lzma.compress(ONE)[:-4], ContentError),
        (b"\x1f\x8b\x08rubbish", ContentError),
        (b"\x28\xb5\x2f\xfdx", UnsupportedError),
    ],
)
def test_a_layer_that_cannot_be_unpacked_is_refused(tmp_path, packed, error):
    writer = SavedWriter()
    writer.add("one.tar", packed)
    config = config_of(ONE)
    writer.add(f"{digest_of(config)[7:]}.json", config)
    writer.item(config, "one.tar")
    with pytest.raises(error):
        read(writer.write(tmp_path / "a.tar"))


def test_a_layer_that_unpacks_without_end_is_cut(tmp_path, monkeypatch):
    writer = SavedWriter()
    writer.add("one.tar", gzip.compress(b"\0" * (8 * limits.MIB)))
    config = config_of(ONE)
    writer.add(f"{digest_of(config)[7:]}.json", config)
    writer.item(config, "one.tar")
    monkeypatch.setattr(limits, "ARCHIVE_SPOOL_BYTES", limits.MIB)
    with pytest.raises(LimitExceededError):
        read(writer.write(tmp_path / "a.tar"))


def test_an_archive_is_read_anew_when_it_has_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "LAYOUT_CACHE", 1)
    archives, saved = ArchiveCache(), SavedCache()

    def config(file):
        source = opened(file, archives=archives, saved=saved)
        asyncio.run(source.aclose())
        return json.loads(asyncio.run(source.manifest()).data)["config"]["digest"]

    for data in (ONE, TWO):
        writer = SavedWriter()
        made = writer.image(data)
        file = writer.write(tmp_path / "a.tar")
        assert {config(file) for _ in range(3)} == {digest_of(made)}
    archives.close()


def test_nothing_lies_beside_an_image(tmp_path):
    writer = SavedWriter()
    writer.image(ONE)

    async def story():
        source = opened(writer.write(tmp_path / "a.tar"), which=":app:v1")
        digest = (await source.manifest()).digest
        assert await source.referrers(digest, whole=False) == ()
        assert await source.stored_signatures("", digest) == ()
        with pytest.raises(NotFoundError):
            await source.manifest_by_tag(f"{digest.tag}.sig")
        with pytest.raises(NotFoundError):
            await source.manifest_by_digest(Descriptor(media_type="x", digest=digest, size=1))
        assert source.physical is None
        assert source.contacted == ()
        assert source.location.docker == parse_reference("app:v1")
        assert (source.location.identity, source.location.parents) == ("", ())
        await source.aclose()

    asyncio.run(story())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_any_bytes_are_read_or_refused(tmp_path, data):
    writer = SavedWriter()
    writer.image(TWO)
    good = bytearray(writer.data())
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)), max_size=20)):
        good[at] = value
    file = tmp_path / "a.tar"
    file.write_bytes(good[: data.draw(st.integers(0, len(good)))])
    try:
        parse_manifest(read(file))
    except PlimsollError:
        return


VALUES = st.none() | st.text(max_size=5) | st.lists(st.text(max_size=5) | st.integers(), max_size=3)


@settings(max_examples=100)
@given(st.lists(st.dictionaries(st.sampled_from(["Config", "RepoTags", "Layers", "Parent"]), VALUES)) | VALUES)
def test_any_list_is_read_or_refused(document):
    try:
        parse_saved(json.dumps(document).encode(), where="here")
    except MalformedManifestError:
        return
    assert all(isinstance(item["Config"], str) for item in document)
