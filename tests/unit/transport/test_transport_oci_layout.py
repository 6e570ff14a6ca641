from __future__ import annotations

import asyncio
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.layouts import LayoutWriter, fields
from plimsoll import limits
from plimsoll.errors import (
    ContentError,
    DigestMismatchError,
    InvalidReferenceError,
    LimitExceededError,
    MalformedManifestError,
    NotFoundError,
    TransportError,
    UnreachableError,
)
from plimsoll.model.descriptor import OCI_INDEX, OCI_MANIFEST, Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.reference import LayoutReference
from plimsoll.transport.layout_index import LayoutCache, check_layout_version, parse_layout_index
from plimsoll.transport.oci_layout import open_layout


def opened(folder, *, cache=None, **which):
    return open_layout(LayoutReference(path=str(folder), **which), cache or LayoutCache())


def read(source):
    async def story():
        try:
            return await source.manifest()
        finally:
            await source.aclose()

    return asyncio.run(story())


def test_an_image_is_read_by_name_position_digest_or_because_it_is_the_only_one(tmp_path):
    layout = LayoutWriter()
    one, two = layout.image("one", name="v1"), layout.image("two", name="team/app:v2")
    layout.write(tmp_path)
    assert read(opened(tmp_path, name="v1")).digest == one.digest
    assert read(opened(tmp_path, name="team/app:v2")).digest == two.digest
    assert read(opened(tmp_path, index=1)).digest == two.digest
    assert read(opened(tmp_path, digest=one.digest)).digest == one.digest
    with pytest.raises(InvalidReferenceError, match="more than one image"):
        read(opened(tmp_path))


def test_what_it_costs_is_bytes_and_no_requests(tmp_path):
    layout = LayoutWriter()
    one = layout.image("one")
    source = opened(layout.write(tmp_path))
    assert read(source).data
    assert source.meter.requests == 0
    assert source.meter.bytes >= one.size


@pytest.mark.parametrize("name", [f"sha256-{'0' * 64}", f"sha256-{'0' * 64}.sig", f"sha512-{'0' * 128}.att"])
def test_an_entry_named_as_an_attachment_does_not_count_when_one_image_is_meant(tmp_path, name):
    layout = LayoutWriter()
    image = layout.image("image", name="v1")
    layout.image("signature", name=name)
    assert read(opened(layout.write(tmp_path))).digest == image.digest


def test_an_entry_with_a_subject_does_not_count_either(tmp_path):
    layout = LayoutWriter()
    image = layout.image("image")
    layout.image("referrer", subject=image)
    assert read(opened(layout.write(tmp_path))).digest == image.digest


def with_referrers(folder, *, entries, manifests):
    """A layout of one image, and of entries without a name that refer to it, some to the same manifest."""
    layout = LayoutWriter()
    image = layout.image("image", name="v1")
    referrers = [layout.image(f"referrer {number}", subject=image) for number in range(manifests)]
    for number in range(entries - manifests):
        layout.list(referrers[number % manifests])
    layout.write(folder)
    return image, sum(each.size for each in referrers)


def test_what_many_entries_name_is_read_once(tmp_path):
    image, referred = with_referrers(tmp_path, entries=40, manifests=2)
    source = opened(tmp_path)
    assert read(source).digest == image.digest
    # The image itself once to see that it refers to nothing, and once to be judged.
    assert source.meter.bytes == referred + 2 * image.size


@pytest.mark.parametrize("ask", ["manifest", "referrers"])
def test_what_many_ask_for_at_once_is_read_once(tmp_path, ask):
    image, referred = with_referrers(tmp_path, entries=12, manifests=12)

    async def story():
        source = opened(tmp_path)
        asked = [
            source.manifest() if ask == "manifest" else source.referrers(image.digest, whole=False) for _ in range(8)
        ]
        answers = await asyncio.gather(*asked)
        assert all(answer == answers[0] for answer in answers)
        await source.aclose()
        return source.meter.bytes

    # To be judged, the image is read by each that asks.
    assert asyncio.run(story()) == referred + (9 * image.size if ask == "manifest" else 0)


def test_more_entries_that_refer_to_others_than_the_cap_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "REFERRERS", 2)
    image, _ = with_referrers(tmp_path / "few", entries=9, manifests=2)
    assert read(opened(tmp_path / "few")).digest == image.digest
    with_referrers(tmp_path / "many", entries=9, manifests=3)
    with pytest.raises(LimitExceededError, match="name one"):
        read(opened(tmp_path / "many"))
    assert read(opened(tmp_path / "many", name="v1")).digest == image.digest


@pytest.mark.parametrize("ask", ["manifest", "referrers"])
def test_a_layout_of_many_entries_can_be_left(tmp_path, ask):
    image, referred = with_referrers(tmp_path, entries=20, manifests=20)

    async def story():
        source = opened(tmp_path)
        asked = source.manifest() if ask == "manifest" else source.referrers(image.digest, whole=False)
        task = asyncio.create_task(asked)
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert 0 < source.meter.bytes < referred / 2
        await source.aclose()

    asyncio.run(story())


def test_attachments_alone_are_no_image(tmp_path):
    layout = LayoutWriter()
    layout.image("referrer", subject=layout.blob(b"x"))
    layout.image("signature", name=f"sha256-{'0' * 64}.sig")
    with pytest.raises(NotFoundError, match="no image"):
        read(opened(layout.write(tmp_path)))


def test_what_cannot_be_read_counts_as_an_image_never_as_an_attachment(tmp_path):
    layout = LayoutWriter()
    layout.image("image")
    layout.list(Descriptor(media_type=OCI_MANIFEST, digest=Digest.of(b"missing"), size=7))
    with pytest.raises(InvalidReferenceError):
        read(opened(layout.write(tmp_path)))


def test_the_same_image_listed_twice_is_one(tmp_path):
    layout = LayoutWriter()
    image = layout.image("image", name="v1")
    layout.list(image, name="latest")
    layout.list(image, name="v1")
    layout.write(tmp_path)
    assert read(opened(tmp_path)).digest == image.digest
    assert read(opened(tmp_path, name="v1")).digest == image.digest


def test_a_name_given_to_two_images_is_refused(tmp_path):
    layout = LayoutWriter()
    layout.image("one", name="v1")
    layout.image("two", name="v1")
    with pytest.raises(MalformedManifestError, match="different images"):
        read(opened(layout.write(tmp_path), name="v1"))


@pytest.mark.parametrize("which", [{"name": "v2"}, {"index": 1}, {"digest": Digest.of(b"nowhere")}])
def test_what_is_not_there_is_not_found(tmp_path, which):
    layout = LayoutWriter()
    layout.image("one", name="v1")
    with pytest.raises(NotFoundError):
        read(opened(layout.write(tmp_path), **which))


def test_tags_are_the_names_each_once(tmp_path):
    layout = LayoutWriter()
    one = layout.image("one", name="b")
    layout.image("two", name="a")
    layout.list(one, name="b")
    layout.image("three")

    async def story():
        source = opened(layout.write(tmp_path))
        assert [tag async for tag in source.tags()] == ["b", "a"]
        assert (await source.manifest_by_tag("b")).digest == one.digest
        with pytest.raises(NotFoundError):
            await source.manifest_by_tag("c")
        await source.aclose()

    asyncio.run(story())


# --- digests and sizes -------------------------------------------------------------------------------------------


def test_a_manifest_whose_bytes_were_changed_is_refused_however_it_is_named(tmp_path):
    layout = LayoutWriter()
    image = layout.image("one", name="v1")
    layout.files[f"blobs/sha256/{image.digest.hex}"] = layout.files[f"blobs/sha256/{image.digest.hex}"] + b" "
    layout.write(tmp_path)
    for which in ({"name": "v1"}, {"digest": image.digest}, {"index": 0}, {}):
        with pytest.raises(DigestMismatchError):
            read(opened(tmp_path, **which))


def test_a_pin_is_checked_under_its_own_algorithm(tmp_path):
    layout = LayoutWriter()
    good = layout.blob(b'{"schemaVersion": 2}', OCI_MANIFEST, "sha512")
    bad = layout.blob(b"other", OCI_MANIFEST, "sha384")
    layout.files[f"blobs/sha384/{bad.digest.hex}"] = b"changed"
    layout.write(tmp_path)
    assert read(opened(tmp_path, digest=good.digest)).data == b'{"schemaVersion": 2}'
    with pytest.raises(DigestMismatchError):
        read(opened(tmp_path, digest=bad.digest))


def test_blobs_are_checked_and_streams_are_not(tmp_path):
    layout = LayoutWriter()
    layout.image("one")
    good, bad = layout.blob(b"good" * 1000), layout.blob(b"bad" * 1000)
    layout.files[f"blobs/sha256/{bad.digest.hex}"] = b"BAD" * 1000
    layout.write(tmp_path)

    async def story():
        source = opened(tmp_path)
        assert await source.blob(good, limit=4000) == b"good" * 1000
        with pytest.raises(LimitExceededError):
            await source.blob(good, limit=3999)
        with pytest.raises(DigestMismatchError):
            await source.blob(bad, limit=3000)
        for size in (2999, 2998):
            with pytest.raises((DigestMismatchError, LimitExceededError)):
                await source.blob(Descriptor(media_type="x", digest=good.digest, size=size), limit=4000)
        assert b"".join([chunk async for chunk in source.stream(bad)]) == b"BAD" * 1000
        assert source.meter.bytes >= 3000
        with pytest.raises(NotFoundError):
            _ = [chunk async for chunk in source.stream(Descriptor(media_type="x", digest=Digest.of(b"?"), size=1))]
        await source.aclose()

    asyncio.run(story())


def test_a_stream_ends_one_chunk_after_the_size_it_should_have(tmp_path):
    layout = LayoutWriter()
    layout.image("one")
    blob = layout.blob(b"x" * (20 * limits.MIB))
    layout.write(tmp_path)

    async def story():
        source = opened(tmp_path)
        short = Descriptor(media_type="x", digest=blob.digest, size=10)
        got = [len(chunk) async for chunk in source.stream(short)]
        assert sum(got) < 2 * limits.MIB
        assert sum([len(chunk) async for chunk in source.stream(blob)]) == blob.size
        await source.aclose()

    asyncio.run(story())


def test_a_stream_that_is_left_or_cancelled_closes_its_file(tmp_path):
    layout = LayoutWriter()
    layout.image("one")
    blob = layout.blob(b"x" * (8 * limits.MIB))
    layout.write(tmp_path)

    async def story():
        source = opened(tmp_path)
        before = len(os.listdir("/proc/self/fd"))
        stream = source.stream(blob)
        await anext(stream)
        await stream.aclose()

        async def drain():
            async for _ in source.stream(blob):
                await asyncio.sleep(0)

        task = asyncio.create_task(drain())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_default_executor()
        await asyncio.sleep(0)
        # The folder of the blobs stays open until the source is closed.
        assert len(os.listdir("/proc/self/fd")) <= before + 2
        await source.aclose()

    asyncio.run(story())


# --- what lies on the disk ---------------------------------------------------------------------------------------


def test_the_location_is_the_path_without_links_and_need_not_exist(tmp_path):
    layout = LayoutWriter()
    layout.image("one")
    real = layout.write(tmp_path / "real")
    (tmp_path / "link").symlink_to(real)
    source = opened(tmp_path / "link")
    assert source.location.transport == "oci"
    assert source.location.identity == str(real.resolve())
    assert source.location.docker is None
    asyncio.run(source.aclose())
    with pytest.raises(NotFoundError):
        opened(tmp_path / "nowhere")
    with pytest.raises(NotFoundError):
        opened(tmp_path / "nowhere" / "below")


def test_a_folder_replaced_after_opening_is_read_as_it_was(tmp_path):
    layout, other = LayoutWriter(), LayoutWriter()
    image = layout.image("one")
    other.image("two")
    layout.write(tmp_path / "a")
    source = opened(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    other.write(tmp_path / "a")
    assert read(source).digest == image.digest


@pytest.mark.parametrize("part", ["blobs", "blobs/sha256", "index.json", "oci-layout", "blob"])
def test_no_symbolic_link_below_a_layout_is_followed(tmp_path, part):
    layout = LayoutWriter()
    image = layout.image("one")
    layout.write(tmp_path / "layout")
    path = tmp_path / "layout" / (f"blobs/sha256/{image.digest.hex}" if part == "blob" else part)
    path.rename(tmp_path / "outside")
    path.symlink_to(tmp_path / "outside")
    with pytest.raises(ContentError, match="symbolic link"):
        read(opened(tmp_path / "layout"))


@pytest.mark.parametrize("part", ["index.json", "oci-layout", "blob"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["fifo", "folder"])
def test_what_is_no_regular_file_is_refused_without_waiting_for_it(tmp_path, part, make):
    layout = LayoutWriter()
    image = layout.image("one")
    layout.write(tmp_path)
    path = tmp_path / (f"blobs/sha256/{image.digest.hex}" if part == "blob" else part)
    path.unlink()
    make(path)
    with pytest.raises(ContentError, match="no regular file"):
        read(opened(tmp_path))


def test_a_layout_that_does_not_say_what_it_is_is_read(tmp_path):
    layout = LayoutWriter()
    one = layout.image("one", name="v1")
    layout.write(tmp_path)
    (tmp_path / "oci-layout").unlink()
    assert read(opened(tmp_path, name="v1")).digest == one.digest


@pytest.mark.parametrize("missing", ["index.json", "blobs"])
def test_a_folder_that_lacks_a_part_is_no_layout(tmp_path, missing):
    layout = LayoutWriter()
    layout.image("one")
    layout.write(tmp_path)
    (tmp_path / missing).rename(tmp_path / "gone")
    with pytest.raises(NotFoundError, match=missing):
        read(opened(tmp_path, index=0))


def test_a_file_is_no_layout(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(NotFoundError, match="is no folder") as caught:
            opened(path)
        assert "link" not in str(caught.value)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_pin_is_ambiguous_where_skopeo_would_read_another_folder(tmp_path, algorithm):
    layout = LayoutWriter()
    image = layout.image("one")
    layout.write(tmp_path / "layout")
    assert read(opened(tmp_path / "layout", digest=image.digest)).digest == image.digest
    (tmp_path / f"layout@{algorithm}").mkdir()
    if algorithm == "sha256":
        with pytest.raises(InvalidReferenceError, match="ambiguous"):
            opened(tmp_path / "layout", digest=image.digest)
    else:
        assert read(opened(tmp_path / "layout", digest=image.digest)).digest == image.digest


def test_closing_twice_does_no_harm(tmp_path):
    layout = LayoutWriter()
    layout.image("one")
    source = opened(layout.write(tmp_path))

    async def story():
        await source.aclose()
        await source.aclose()

    asyncio.run(story())


def test_a_layout_that_is_refused_leaves_no_handle_open(tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(NotFoundError):
            opened(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before


# --- index.json --------------------------------------------------------------------------------------------------


def test_an_index_is_parsed_once_while_its_file_is_the_same(tmp_path):
    layout = LayoutWriter()
    one = layout.image("one", name="v1")
    layout.write(tmp_path)
    cache = LayoutCache()
    first, second = opened(tmp_path, cache=cache, name="v1"), opened(tmp_path, cache=cache, name="v1")
    assert first._index is second._index
    assert read(first).digest == one.digest
    assert read(second).digest == one.digest
    layout.entries.clear()
    two = layout.image("two", name="v1")
    layout.write(tmp_path)
    assert read(opened(tmp_path, cache=cache, name="v1")).digest == two.digest


def test_the_cache_forgets_the_layout_used_longest_ago(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "LAYOUT_CACHE", 2)
    layout = LayoutWriter()
    layout.image("one")
    folders = [layout.write(tmp_path / str(at)) for at in range(3)]
    cache = LayoutCache()

    def index(folder):
        source = opened(folder, cache=cache)
        asyncio.run(source.aclose())
        return source._index

    first, second = index(folders[0]), index(folders[1])
    assert index(folders[0]) is first
    index(folders[2])
    assert index(folders[0]) is first
    assert index(folders[1]) is not second


def test_a_hundred_thousand_entries_are_no_hindrance():
    digest = str(Digest.of(b"x"))
    entries = ",".join(
        f'{{"mediaType":"{OCI_MANIFEST}","digest":"{digest}","size":1,"annotations":{{"org.opencontainers.image.ref.name":"v{at}"}}}}'
        for at in range(100_000)
    )
    index = parse_layout_index(f'{{"schemaVersion":2,"manifests":[{entries}]}}'.encode(), where="x")
    assert index.named("v99999").digest == Digest.of(b"x")
    assert index.at(99_999).size == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"schemaVersion": 2}',
        b'{"schemaVersion": 1, "manifests": []}',
        b'{"schemaVersion": 2, "manifests": {}}',
        b'{"schemaVersion": 2, "manifests": [], "manifests": []}',
        b'{"schemaVersion": 2, "manifests": [], "layers": []}',
        b'{"schemaVersion": 2, "manifests": [], "config": {}}',
        b'{"schemaVersion": 2, "manifests": []} x',
    ],
)
def test_an_index_that_is_none_is_refused(data):
    with pytest.raises(MalformedManifestError):
        parse_layout_index(data, where="x")


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"mediaType": OCI_MANIFEST, "digest": "sha256:../../etc/passwd", "size": 1},
        {"mediaType": OCI_MANIFEST, "digest": "sha256:" + "A" * 64, "size": 1},
        {"mediaType": OCI_MANIFEST, "digest": "md5:" + "a" * 32, "size": 1},
        {"mediaType": OCI_MANIFEST, "digest": str(Digest.of(b"x")), "size": -1},
        {"digest": str(Digest.of(b"x")), "size": 1},
        {"mediaType": OCI_MANIFEST, "digest": str(Digest.of(b"x"))},
    ],
)
def test_an_entry_that_is_no_descriptor_is_refused_when_chosen(entry):
    index = parse_layout_index(json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode(), where="x")
    with pytest.raises(MalformedManifestError):
        index.at(0)


@given(
    st.binary()
    | st.recursive(
        st.none() | st.integers() | st.text(),
        lambda v: (
            st.lists(v)
            | st.dictionaries(
                st.sampled_from(["schemaVersion", "manifests", "mediaType", "digest", "size", "annotations"]), v
            )
        ),
    ).map(lambda v: json.dumps(v).encode())
)
def test_any_index_is_read_or_refused_as_content(data):
    try:
        index = parse_layout_index(data, where="x")
        asyncio.run(index.only(subject_of=lambda _: None))
    except (ContentError, TransportError, InvalidReferenceError):
        return


@pytest.mark.parametrize("data", [b'{"imageLayoutVersion": "1.0.0"}', b'{"imageLayoutVersion":"1.1.0","x":1}'])
def test_layouts_of_version_one_are_read(data):
    check_layout_version(data, where="x")


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b'{"imageLayoutVersion": 1}', b'{"imageLayoutVersion": "2.0.0"}', b'{"imageLayoutVersion": ""}',
             b'{"imageLayoutVersion": "10.0"}', b'{"imageLayoutVersion": "1.0.0", "imageLayoutVersion": "2.0.0"}'],
)  # fmt: skip
def test_layouts_of_other_versions_are_refused(data):
    with pytest.raises(ContentError):
        check_layout_version(data, where="x")


@given(st.binary())
def test_any_version_file_is_read_or_refused_as_content(data):
    try:
        check_layout_version(data, where="x")
    except ContentError:
        return


# ---- what refers to an image --------------------------------------------------------------------------------------


def referrers(folder, digest):
    async def story():
        source = opened(folder, digest=digest)
        try:
            return [found.digest for found in await source.referrers(digest, whole=False)]
        finally:
            await source.aclose()

    return asyncio.run(story())


def index_of(layout, *children):
    raw = json.dumps(
        {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [fields(child) for child in children]}
    ).encode()
    return layout.blob(raw, OCI_INDEX)


def test_what_refers_to_an_image_is_found_by_the_fallback_tag_and_by_entries_without_a_name(tmp_path):
    layout = LayoutWriter()
    one, other = layout.image("one", name="v1"), layout.image("other", name="v2")
    by_subject, of_other = layout.image("by subject", subject=one), layout.image("of the other", subject=other)
    layout.image("named", name="a-name", subject=one)
    by_tag = Descriptor(media_type=OCI_MANIFEST, digest=Digest.of(b"by tag"), size=6)
    layout.list(index_of(layout, by_tag, by_subject), name=one.digest.tag)
    layout.write(tmp_path)
    assert referrers(tmp_path, one.digest) == [by_tag.digest, by_subject.digest]
    assert referrers(tmp_path, other.digest) == [of_other.digest]


def test_a_fallback_tag_that_is_an_image_is_no_empty_list(tmp_path):
    layout = LayoutWriter()
    one = layout.image("one", name="v1")
    layout.list(one, name=one.digest.tag)
    layout.write(tmp_path)
    with pytest.raises(MalformedManifestError, match="should list what refers"):
        referrers(tmp_path, one.digest)


def lost(folder, digest):
    (folder / "blobs" / digest.algorithm / digest.hex).unlink()


def test_what_is_named_and_gone_is_not_absent(tmp_path):
    layout = LayoutWriter()
    one = layout.image("one", name="v1")
    signature = layout.image("signature", name=f"{one.digest.tag}.sig")
    listing = index_of(layout)
    layout.list(listing, name=one.digest.tag)
    layout.write(tmp_path)
    lost(tmp_path, signature.digest)
    lost(tmp_path, listing.digest)

    async def story():
        source = opened(tmp_path, digest=one.digest)
        for ask in (source.manifest_by_tag(f"{one.digest.tag}.sig"), source.referrers(one.digest, whole=False)):
            with pytest.raises(UnreachableError, match=r"index\.json names it"):
                await ask
        with pytest.raises(NotFoundError):
            await source.manifest_by_tag(f"{one.digest.tag}.att")
        await source.aclose()

    asyncio.run(story())


def damaged(folder, digest):
    (folder / "blobs" / digest.algorithm / digest.hex).write_bytes(b"{}")


@pytest.mark.parametrize("harm", [lost, damaged])
def test_a_nameless_entry_that_cannot_be_read_may_refer_to_any_image(tmp_path, harm):
    layout = LayoutWriter()
    one, other = layout.image("one", name="v1"), layout.image("other", name="v2")
    good, bad = layout.image("good", subject=one), layout.image("bad", subject=one)
    layout.list(layout.blob(b"no manifest", "application/xml"))
    layout.write(tmp_path)
    assert referrers(tmp_path, one.digest) == [good.digest, bad.digest]
    assert referrers(tmp_path, other.digest) == []
    harm(tmp_path, bad.digest)
    assert referrers(tmp_path, one.digest) == [good.digest, bad.digest]
    assert referrers(tmp_path, other.digest) == [bad.digest]


def test_a_fallback_tag_that_cannot_be_read_is_not_the_same_as_none(tmp_path):
    layout = LayoutWriter()
    one = layout.image("one", name="v1")
    layout.list(layout.blob(b"{", OCI_INDEX), name=one.digest.tag)
    layout.write(tmp_path)
    with pytest.raises(MalformedManifestError):
        referrers(tmp_path, one.digest)


def test_more_nameless_entries_than_the_cap_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "REFERRERS", 1)
    layout = LayoutWriter()
    one = layout.image("one", name="v1")
    for text in ("a", "b"):
        layout.image(text, subject=one)
    layout.write(tmp_path)
    with pytest.raises(LimitExceededError, match="without a name"):
        referrers(tmp_path, one.digest)
