"""What is written locally: numbered signatures that replace none, and layouts in which all else stays."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from fakes.layouts import REF_NAME, LayoutWriter
from plimsoll import limits
from plimsoll.errors import ConfigError, LimitExceededError, MalformedManifestError, SigningError
from plimsoll.model.descriptor import OCI_MANIFEST
from plimsoll.model.digest import Digest
from plimsoll.model.reference import DirectoryReference
from plimsoll.transport.layout_push import LayoutDestination
from plimsoll.transport.lookaside_writing import write_beside, write_lookaside

DIGEST = Digest.of(b"an image")
FOLDER = f"team/app@sha256={DIGEST.hex}"


def write(base, data=b"signature"):
    return write_lookaside(base, path="team/app", digest=DIGEST, data=data)


def test_signatures_take_the_first_free_number_and_replace_none(tmp_path):
    folder = tmp_path / "look aside" / FOLDER
    base = (tmp_path / "look aside").as_uri()
    assert write(base, b"1") == str(folder / "signature-1")
    assert write(f"{base}/", b"2") == str(folder / "signature-2")
    (folder / "signature-1").unlink()
    assert write(base, b"3") == str(folder / "signature-1")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"signature-1": b"3", "signature-2": b"2"}
    assert stat.S_IMODE((folder / "signature-1").stat().st_mode) & 0o777 == 0o644 & ~umask()


def umask():
    found = os.umask(0)
    os.umask(found)
    return found


def test_writers_at_once_lose_nothing(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        names = list(threads.map(lambda at: write(tmp_path.as_uri(), b"%d" % at), range(32)))
    assert len(set(names)) == 32
    assert sorted(int(path.read_bytes()) for path in (tmp_path / FOLDER).iterdir()) == list(range(32))


@pytest.mark.parametrize("there", ["link", "folder", "fifo"])
def test_what_is_there_is_passed_over_whatever_it_is(tmp_path, there):
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    taken = folder / "signature-1"
    {"link": lambda: taken.symlink_to("/no/such"), "folder": taken.mkdir, "fifo": lambda: os.mkfifo(taken)}[there]()
    assert write(tmp_path.as_uri()) == str(folder / "signature-2")


@pytest.mark.parametrize(
    "base",
    [
        "",
        "/srv/x",
        "http://h/x",
        "https://u:canary@h/x",
        "file://other/x",
        "file:x",
        "file:///a%00b",
        "http://[x",
        "ftp:/x",
    ],
)
def test_other_urls_are_not_written_to(base):
    with pytest.raises(ConfigError) as caught:
        write(base)
    assert "canary" not in str(caught.value)


def test_no_more_are_written_than_are_read(tmp_path):
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    for at in range(1, limits.SIGNATURES_PER_PLACE + 1):
        (folder / f"signature-{at}").touch()
    with pytest.raises(LimitExceededError, match="128"):
        write(tmp_path.as_uri())
    assert len(list(folder.iterdir())) == limits.SIGNATURES_PER_PLACE


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SigningError, match="cannot be written"):
        write((tmp_path / "file").as_uri())
    with pytest.raises(SigningError, match="no such file"):
        write_beside(DirectoryReference(path=str(tmp_path / "none")), b"x")


def test_a_directory_gets_them_beside_its_manifest(tmp_path):
    image = DirectoryReference(path=str(tmp_path))
    assert [write_beside(image, b"x"), write_beside(image, b"y")] == [
        str(tmp_path / "signature-1"),
        str(tmp_path / "signature-2"),
    ]


# --- layouts --------------------------------------------------------------------------------------------------------


def layout(folder):
    writer = LayoutWriter()
    writer.image("one", name="v1")
    writer.image("two")
    writer.write(folder)
    return json.loads((folder / "index.json").read_bytes())


def put(folder, data, tag="sha256-0.sig"):
    async def run():
        with LayoutDestination(str(folder)) as destination:
            await destination.put_blob(b"a blob")
            await destination.put_manifest(data, tag=tag, media_type=OCI_MANIFEST)

    asyncio.run(run())


def test_a_manifest_joins_the_index_and_all_else_stays(tmp_path):
    before = layout(tmp_path)
    before["annotations"] = {"kept": "é", "number": "1"}
    (tmp_path / "index.json").write_text(json.dumps(before))
    put(tmp_path, b"{}")
    after = json.loads((tmp_path / "index.json").read_bytes())
    entry = {
        "mediaType": OCI_MANIFEST,
        "digest": str(Digest.of(b"{}")),
        "size": 2,
        "annotations": {REF_NAME: "sha256-0.sig"},
    }
    assert after == {**before, "manifests": [*before["manifests"], entry]}
    for data in (b"{}", b"a blob"):
        assert (tmp_path / "blobs/sha256" / Digest.of(data).hex).read_bytes() == data


def test_the_tag_s_old_manifest_is_listed_no_more(tmp_path):
    before = layout(tmp_path)
    put(tmp_path, b"{}")
    put(tmp_path, b"[]")
    put(tmp_path, b"[]")
    found = json.loads((tmp_path / "index.json").read_bytes())["manifests"]
    assert found[:-1] == before["manifests"]
    assert found[-1]["digest"] == str(Digest.of(b"[]"))


def test_two_writers_at_once_are_one_and_a_refusal(tmp_path):
    layout(tmp_path)
    before = (tmp_path / "index.json").read_bytes()
    handle = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(SigningError, match="by somebody else"):
        put(tmp_path, b"{}")
    assert (tmp_path / "index.json").read_bytes() == before
    os.close(handle)
    put(tmp_path, b"{}")


def test_a_layout_is_not_made(tmp_path):
    with pytest.raises(SigningError, match="no such file"):
        put(tmp_path / "none", b"{}")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("index", [b"", b"{}", b'{"schemaVersion":2,"manifests":[],"manifests":[]}', b"\xff"])
def test_an_index_that_is_none_is_left_alone(tmp_path, index):
    layout(tmp_path)
    (tmp_path / "index.json").write_bytes(index)
    with pytest.raises(MalformedManifestError):
        put(tmp_path, b"{}")
    assert (tmp_path / "index.json").read_bytes() == index


def test_a_link_among_the_blobs_is_not_written_through(tmp_path):
    layout(tmp_path / "layout")
    (tmp_path / "layout/blobs").rename(tmp_path / "blobs")
    (tmp_path / "layout/blobs").symlink_to(tmp_path / "blobs")
    with pytest.raises(SigningError):
        put(tmp_path / "layout", b"{}")


def test_nothing_temporary_is_left_behind(tmp_path):
    layout(tmp_path)
    put(tmp_path, b"{}")
    assert [path for path in tmp_path.rglob("*") if path.name.startswith(".")] == []
