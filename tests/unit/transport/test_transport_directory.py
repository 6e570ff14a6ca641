from __future__ import annotations

import asyncio
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plimsoll import limits
from plimsoll.errors import ContentError, DigestMismatchError, LimitExceededError, NotFoundError
from plimsoll.model.descriptor import Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.reference import DirectoryReference
from plimsoll.transport.directory import open_directory


def descriptor(data, algorithm="sha256"):
    return Descriptor(media_type="x", digest=Digest.of(data, algorithm=algorithm), size=len(data))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "manifest.json").write_bytes(b"the manifest")
    (tmp_path / "version").write_bytes(b"Directory Transport Version: 1.1\n")
    (tmp_path / Digest.of(b"blob").hex).write_bytes(b"blob")
    (tmp_path / f"sha512-{Digest.of(b'long', algorithm='sha512').hex}").write_bytes(b"long")
    (tmp_path / f"{Digest.of(b'child').hex}.manifest.json").write_bytes(b"child")
    return tmp_path


def told(folder, story):
    async def main():
        source = open_directory(DirectoryReference(path=str(folder)))
        try:
            return await story(source)
        finally:
            await source.aclose()

    return asyncio.run(main())


def test_the_manifest_blobs_and_instances_are_read(folder):
    async def story(source):
        assert (await source.manifest()).data == b"the manifest"
        assert await source.blob(descriptor(b"blob"), limit=4) == b"blob"
        assert await source.blob(descriptor(b"long", "sha512"), limit=4) == b"long"
        assert (await source.manifest_by_digest(descriptor(b"child"))).data == b"child"
        assert b"".join([chunk async for chunk in source.stream(descriptor(b"blob"))]) == b"blob"
        assert source.location.transport == "dir"
        assert source.location.identity == str(folder.resolve())
        assert (source.meter.requests, source.meter.bytes) == (0, 12 + 4 + 4 + 5 + 4)

    told(folder, story)


def test_what_is_not_there_is_not_found(folder):
    async def story(source):
        with pytest.raises(NotFoundError):
            await source.blob(descriptor(b"missing"), limit=10)
        with pytest.raises(NotFoundError):
            await source.manifest_by_digest(descriptor(b"missing"))
        with pytest.raises(NotFoundError):
            await source.manifest_by_tag("sha256-x.sig")

    told(folder, story)


def test_what_is_not_what_it_says_is_refused(folder):
    (folder / Digest.of(b"blob").hex).write_bytes(b"BLOB")
    (folder / f"{Digest.of(b'child').hex}.manifest.json").write_bytes(b"CHILD")

    async def story(source):
        with pytest.raises(DigestMismatchError):
            await source.blob(descriptor(b"blob"), limit=10)
        with pytest.raises(DigestMismatchError):
            await source.manifest_by_digest(descriptor(b"child"))
        with pytest.raises(LimitExceededError):
            await source.blob(descriptor(b"blob"), limit=3)
        wrong = Descriptor(media_type="x", digest=Digest.of(b"BLOB"), size=3)
        with pytest.raises((DigestMismatchError, NotFoundError)):
            await source.blob(wrong, limit=10)

    told(folder, story)


def test_a_stream_ends_one_chunk_after_the_size_it_should_have(folder):
    big = b"x" * (5 * limits.MIB)
    (folder / Digest.of(big).hex).write_bytes(big)

    async def story(source):
        short = Descriptor(media_type="x", digest=Digest.of(big), size=1)
        assert sum([len(chunk) async for chunk in source.stream(short)]) < 2 * limits.MIB

    told(folder, story)


def test_a_folder_without_a_manifest_is_no_image(tmp_path):
    async def story(source):
        await source.manifest()

    with pytest.raises(NotFoundError, match=r"manifest\.json"):
        told(tmp_path, story)
    with pytest.raises(NotFoundError):
        told(tmp_path / "nowhere", story)


def test_a_manifest_past_the_cap_or_behind_a_link_is_refused(folder):
    async def story(source):
        await source.manifest()

    with open(folder / "manifest.json", "wb") as file:
        file.truncate(limits.MANIFEST_BYTES + 1)
    with pytest.raises(LimitExceededError):
        told(folder, story)
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").symlink_to("version")
    with pytest.raises(ContentError, match="symbolic link"):
        told(folder, story)


@pytest.mark.parametrize(
    "version", [b"Directory Transport Version: 1.0\n", b"Directory Transport Version: 1.2\n", None]
)
def test_directories_of_version_one_are_read_and_so_are_those_that_say_nothing(folder, version):
    if version is None:
        os.unlink(folder / "version")
    else:
        (folder / "version").write_bytes(version)

    async def story(source):
        return (await source.manifest()).data

    assert told(folder, story) == b"the manifest"


@pytest.mark.parametrize(
    "version", [b"", b"Directory Transport Version: 2.0\n", b"1.1", b"Directory Transport Version: 1.1\nmore"]
)
def test_other_directories_are_refused(folder, version):
    (folder / "version").write_bytes(version)
    with pytest.raises(ContentError, match="version"):
        open_directory(DirectoryReference(path=str(folder)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary())
def test_any_version_is_read_or_refused_as_content(folder, version):
    (folder / "version").write_bytes(version)

    async def story(source):
        return (await source.manifest()).data

    try:
        assert told(folder, story) == b"the manifest"
    except ContentError:
        return
