from __future__ import annotations

import asyncio
import bz2
import gzip
import io
import lzma
import os
import tarfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes.layouts import LayoutWriter
from plimsoll import limits
from plimsoll.errors import (
    ContentError,
    DigestMismatchError,
    InvalidReferenceError,
    LimitExceededError,
    NotFoundError,
    PlimsollError,
    UnsupportedError,
)
from plimsoll.model.descriptor import Descriptor
from plimsoll.model.reference import ArchiveReference
from plimsoll.transport import archive
from plimsoll.transport.archive import ArchiveCache, open_archive
from plimsoll.transport.layout_index import LayoutCache


def opened(file, *, archives=None, layouts=None, name=None):
    return open_archive(
        ArchiveReference(path=str(file), name=name), archives or ArchiveCache(), layouts or LayoutCache()
    )


def read(source):
    async def story():
        try:
            return await source.manifest()
        finally:
            await source.aclose()

    return asyncio.run(story())


def layout_of_two():
    layout = LayoutWriter()
    return layout, layout.image("one", name="v1"), layout.image("two", name="v2")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("prefix", ["", "./"])
def test_images_are_read_in_place(tmp_path, packed, prefix):
    layout, one, two = layout_of_two()
    file = layout.tar(tmp_path / "a.tar", packed=packed, prefix=prefix)
    archives = ArchiveCache()
    assert read(opened(file, archives=archives, name="v1")).digest == one.digest
    assert read(opened(file, archives=archives, name="v2")).digest == two.digest
    with pytest.raises(NotFoundError):
        read(opened(file, archives=archives, name="v3"))
    with pytest.raises(InvalidReferenceError):
        read(opened(file, archives=archives))
    archives.close()
    assert os.listdir(tmp_path) == ["a.tar"]


@pytest.mark.parametrize("packed", [False, True])
def test_blobs_are_read_checked_or_streamed(tmp_path, packed):
    layout, *_ = layout_of_two()
    big = layout.blob(os.urandom(3 * limits.MIB))
    bad = layout.blob(b"good")
    layout.files[f"blobs/sha256/{bad.digest.hex}"] = b"evil"
    file = layout.tar(tmp_path / "a.tar", packed=packed)

    async def story():
        archives = ArchiveCache()
        source = opened(file, archives=archives)
        data = layout.files[f"blobs/sha256/{big.digest.hex}"]
        assert b"".join([chunk async for chunk in source.stream(big)]) == data
        assert await source.blob(big, limit=big.size) == data
        with pytest.raises(DigestMismatchError):
            await source.blob(bad, limit=4)
        short = Descriptor(media_type="x", digest=big.digest, size=5)
        assert sum([len(chunk) async for chunk in source.stream(short)]) < 2 * limits.MIB
        assert source.location.transport == "oci-archive"
        assert source.location.identity == str(file.resolve())
        # A source that is read survives the end of the cache.
        archives.close()
        assert await source.blob(big, limit=big.size) == data
        await source.aclose()

    asyncio.run(story())


def test_an_archive_is_indexed_and_unpacked_once_while_it_is_the_same(tmp_path, monkeypatch):
    unpacked = []
    monkeypatch.setattr(archive, "_unpacked", lambda *what, real=archive._unpacked: unpacked.append(1) or real(*what))
    layout, one, _ = layout_of_two()
    file = layout.tar(tmp_path / "a.tar", packed=True)
    archives = ArchiveCache()
    for _ in range(3):
        assert read(opened(file, archives=archives, name="v1")).digest == one.digest
    assert len(unpacked) == 1
    other = LayoutWriter()
    three = other.image("three", name="v1")
    other.tar(file, packed=True)
    assert read(opened(file, archives=archives, name="v1")).digest == three.digest
    assert len(unpacked) == 2
    archives.close()


def test_no_handle_is_left_open(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "LAYOUT_CACHE", 1)
    layout, *_ = layout_of_two()
    files = [layout.tar(tmp_path / f"{at}.tar", packed=True) for at in range(3)]
    (tmp_path / "bad.tar").write_bytes(b"x" * 5000)
    archives = ArchiveCache()
    before = len(os.listdir("/proc/self/fd"))
    for file in files:
        read(opened(file, archives=archives, name="v1"))
    with pytest.raises(ContentError):
        opened(tmp_path / "bad.tar", archives=archives)
    assert len(os.listdir("/proc/self/fd")) == before + 1
    archives.close()
    assert len(os.listdir("/proc/self/fd")) == before


def entry(name, *, kind=tarfile.REGTYPE, size=0, target=""):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.size = size
    info.linkname = target
    return info


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (entry("index.json", size=1), "two members"),
        (entry("./index.json", size=1), "two members"),
        (entry("blobs//sha256/../x", size=1), "outside"),
        (entry("blobs/sha256/x/../../../index.json", size=1), "outside"),
        (entry("../x", size=1), "outside"),
        (entry("/etc/passwd", size=1), "outside"),
        (entry("x", kind=tarfile.SYMTYPE, target="/etc/passwd"), "link"),
        (entry("x", kind=tarfile.LNKTYPE, target="nowhere"), "link"),
        (entry("x", kind=tarfile.LNKTYPE, target="../index.json"), "outside"),
        (entry("index.json", kind=tarfile.LNKTYPE, target="oci-layout"), "two members"),
        (entry("x", kind=tarfile.CHRTYPE), "device"),
        (entry("x", kind=tarfile.FIFOTYPE), "device"),
    ],
)
def test_what_two_readers_could_unpack_differently_is_refused(tmp_path, more, said):
    layout, *_ = layout_of_two()
    with pytest.raises(ContentError, match=said):
        opened(layout.tar(tmp_path / "a.tar", more=(more,)), name="v1")


def hard_linked(tmp_path, *names):
    """A layout whose files of these names have another name too, which comes first: tar(1) writes them as links."""
    layout, one, _ = layout_of_two()
    folder = layout.write(tmp_path / "layout")
    names = [name or f"blobs/sha256/{one.digest.hex}" for name in names]
    for at, name in enumerate(names):
        os.link(folder / name, folder / f"a{at}")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            tar.add(path, str(path.relative_to(folder)))
        assert sorted(entry.name for entry in tar.getmembers() if entry.islnk()) == sorted(names)
    return tmp_path / "a.tar", one


@pytest.mark.parametrize("names", [("index.json",), ("oci-layout",), ("",), ("index.json", "oci-layout", "")])
def test_a_hard_link_is_another_name_of_a_file(tmp_path, names):
    file, one = hard_linked(tmp_path, *names)
    assert read(opened(file, name="v1")).digest == one.digest


def test_folders_and_other_files_are_no_hindrance(tmp_path):
    layout, one, _ = layout_of_two()
    more = (entry("blobs/", kind=tarfile.DIRTYPE), entry("blobs/sha256", kind=tarfile.DIRTYPE), entry("README", size=3))
    assert read(opened(layout.tar(tmp_path / "a.tar", more=more), name="v1")).digest == one.digest


def test_long_names_are_read_and_endless_headers_refused(tmp_path):
    layout, one, _ = layout_of_two()
    file = layout.tar(tmp_path / "a.tar", more=(entry("x" * 300, size=1),))
    assert read(opened(file, name="v1")).digest == one.digest
    huge = tarfile.TarInfo("pax")
    huge.type = tarfile.XHDTYPE
    huge.size = 8 * 1024**3
    file.write_bytes(huge.tobuf(tarfile.GNU_FORMAT) + file.read_bytes())
    with pytest.raises(ContentError):
        opened(file, name="v1")


def negative_size():
    head = bytearray(entry("x").tobuf(tarfile.GNU_FORMAT))
    head[124:136] = b"\xff" * 11 + b"\x00"
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head)


def test_a_member_that_leads_backwards_is_refused(tmp_path):
    # CVE-2025-8194
    file = tmp_path / "a.tar"
    file.write_bytes(entry("a").tobuf() + negative_size() + b"\0" * 10240)
    with pytest.raises(ContentError):
        opened(file)


def test_a_chain_of_headers_that_never_comes_to_a_member_is_refused(tmp_path):
    file = tmp_path / "a.tar"
    pax = tarfile.TarInfo("pax")
    pax.type = tarfile.XHDTYPE
    pax.size = 10
    file.write_bytes((pax.tobuf() + b"9 a=bcde\n".ljust(512, b"\0")) * 5000 + b"\0" * 10240)
    with pytest.raises(ContentError):
        opened(file)


def test_more_members_than_the_cap_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "ARCHIVE_MEMBERS", 5)
    layout, *_ = layout_of_two()
    with pytest.raises(ContentError, match="never end"):
        opened(layout.tar(tmp_path / "a.tar"))


def test_a_gzip_bomb_is_cut_at_the_cap(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "ARCHIVE_SPOOL_BYTES", limits.MIB)
    (tmp_path / "a.tar").write_bytes(gzip.compress(b"\0" * (64 * limits.MIB)))
    with pytest.raises(LimitExceededError):
        opened(tmp_path / "a.tar")


@pytest.mark.parametrize("cut", [1, 9, 100, 2000])
def test_a_cut_packed_archive_gives_no_image(tmp_path, cut):
    layout = LayoutWriter()
    layout.image("one")
    file = layout.tar(tmp_path / "a.tar", packed=True)
    file.write_bytes(file.read_bytes()[:-cut])
    with pytest.raises(ContentError):
        read(opened(file))


def test_a_cut_archive_is_damaged_wherever_it_is_cut_and_never_lacks_a_file(tmp_path):
    layout = LayoutWriter()
    image = layout.image("one")
    file = layout.tar(tmp_path / "a.tar")
    data = file.read_bytes()
    end = len(data.rstrip(b"\0")) // 512 * 512
    refused = 0
    for size in range(0, end, 128):
        file.write_bytes(data[:size])
        try:
            assert read(opened(file)).digest == image.digest
        except ContentError:
            refused += 1
    assert refused > end // 128 // 2


def test_a_damaged_header_does_not_end_an_archive(tmp_path):
    layout = LayoutWriter()
    layout.image("one")
    file = layout.tar(tmp_path / "a.tar")
    data = bytearray(file.read_bytes())
    with tarfile.open(file) as tar:
        last = max(member.offset for member in tar)
    data[last + 150] ^= 1
    file.write_bytes(data)
    with pytest.raises(ContentError, match=f"the header at byte {last} is cut or damaged"):
        opened(file)


def test_an_archive_without_its_end_mark_is_read_while_nothing_is_missing(tmp_path):
    layout = LayoutWriter()
    image = layout.image("one")
    file = layout.tar(tmp_path / "a.tar")
    with tarfile.open(file) as tar:
        last = max(tar.getmembers(), key=lambda member: member.offset)
    whole = file.read_bytes()
    file.write_bytes(whole[: last.offset_data + (last.size + 511) // 512 * 512])
    assert read(opened(file)).digest == image.digest


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress])
def test_bzip2_and_xz_are_unpacked_too(tmp_path, pack):
    layout, one, _ = layout_of_two()
    file = layout.tar(tmp_path / "a.tar")
    file.write_bytes(pack(file.read_bytes()))
    assert read(opened(file, name="v1")).digest == one.digest


def test_zstd_is_not_read(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"\x28\xb5\x2f\xfd" + b"x" * 100)
    with pytest.raises(UnsupportedError, match="compressed"):
        opened(tmp_path / "a.tar")


def test_what_is_no_archive_is_refused(tmp_path):
    with pytest.raises(NotFoundError):
        opened(tmp_path / "nowhere.tar")
    with pytest.raises(ContentError, match="no regular file"):
        opened(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ContentError, match="no regular file"):
        opened(tmp_path / "fifo")
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises((ContentError, NotFoundError)):
        opened(tmp_path / "empty")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_bytes_are_read_or_refused(tmp_path, data):
    layout = LayoutWriter()
    layout.image("one")
    file = tmp_path / "a.tar"
    good = bytearray(layout.tar(file).read_bytes()[:4096])
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 255)), max_size=20)):
        good[at] = value
    mode = data.draw(st.sampled_from(["patched", "packed", "random"]))
    file.write_bytes(
        {"patched": bytes(good), "packed": gzip.compress(bytes(good))[: data.draw(st.integers(1, 400))]}.get(mode)
        or data.draw(st.binary(max_size=2000))
    )
    try:
        read(opened(file))
    except PlimsollError:
        return


def test_a_tar_with_its_index_last_or_first_is_the_same(tmp_path):
    layout, one, _ = layout_of_two()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in sorted(layout.finished().items()):
            tar.addfile(entry(name, size=len(data)), io.BytesIO(data))
    (tmp_path / "a.tar").write_bytes(buffer.getvalue())
    assert read(opened(tmp_path / "a.tar", name="v1")).digest == one.digest
