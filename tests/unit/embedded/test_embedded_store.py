import json
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll import limits
from plimsoll.embedded import folder
from plimsoll.embedded.relations import Relations
from plimsoll.embedded.repository import Push, Repository
from plimsoll.embedded.store import Store, parse_name
from plimsoll.embedded.uploads import Uploads
from plimsoll.errors import LimitExceededError, MalformedManifestError, StoreError
from plimsoll.model.descriptor import OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST
from plimsoll.model.digest import Digest


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path, writable=True) as opened:
        yield opened


@pytest.fixture
def repository(store: Store) -> Repository:
    return store.repository("a/b", create=True)


def refusal(error: pytest.ExceptionInfo[StoreError]) -> str:
    return error.value.refusal


def descriptor(data: bytes, media_type: str = OCI_LAYER_GZIP, **more: object) -> dict:
    return {"mediaType": media_type, "digest": str(Digest.of(data)), "size": len(data), **more}


def manifest(*layers: dict, config: bytes = b"{}", **more: object) -> bytes:
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(config, OCI_CONFIG),
            "layers": list(layers),
            **more,
        }
    ).encode()


def index_of(child: bytes) -> bytes:
    return json.dumps(
        {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor(child, OCI_MANIFEST)]}
    ).encode()


def push(repository: Repository, data: bytes, reference: str, content_type: str = OCI_MANIFEST) -> Digest:
    return repository.put_manifest(Push(data=data, reference=reference, content_type=content_type)).entry.digest


# --- names and paths --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["a", "a/b/c", "library/alpine", "a.b/c__d/e-f", "0"])
def test_names_of_the_grammar_are_names(name: str):
    assert parse_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "a/..",
        "../a",
        "a/../b",
        "/a",
        "a/",
        "a//b",
        "A",
        "a:b",
        "a@b",
        "a\x00",
        "a\n",
        ".uploads",
        "a/.uploads",
        "blobs",
        "a/blobs",
        "a/blobs/sha256",
        "a/index.json",
        "a/oci-layout",
        "a" * 300,
        "localhost/..",
        "é",
        "a b",
        "-a",
        "a%2e",
    ],
)
def test_other_names_are_refused(name: str):
    with pytest.raises(StoreError) as refused:
        parse_name(name)
    assert refusal(refused) == "NAME_INVALID"


@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from(["a", "..", ".", "/", "blobs", ":", "@", "index.json", "%2f"]), max_size=6).map("".join)
)
def test_no_name_leads_out_of_the_folder(name: str):
    try:
        parse_name(name)
    except StoreError:
        return
    assert os.path.normpath(f"/root/{name}") == f"/root/{name}"
    assert not {"..", ".", "", "blobs"} & set(name.split("/"))


def test_a_link_in_the_place_of_a_repository_leads_nowhere(store: Store, tmp_path: Path):
    with Store(tmp_path_outside := _mkdir(tmp_path.parent / "outside"), writable=True) as outside:
        outside.repository("secret", create=True)
    (tmp_path / "link").symlink_to(tmp_path_outside)
    (tmp_path / "direct").symlink_to(tmp_path_outside / "secret")
    for name in ("link/secret", "direct"):
        with pytest.raises(StoreError) as refused:
            store.repository(name)
        assert refusal(refused) == "NAME_UNKNOWN"
        with pytest.raises(StoreError, match="a link or a file"):
            store.repository(name, create=True)
    assert store.names() == ()


def _mkdir(path: Path) -> Path:
    path.mkdir()
    return path


def test_a_link_in_the_place_of_a_blob_or_of_its_folder_leads_nowhere(repository: Repository, tmp_path: Path):
    secret = tmp_path.parent / "secret.txt"
    secret.write_bytes(b"secret")
    digest = repository.put_blob(b"blob")
    path = tmp_path / "a/b/blobs/sha256" / digest.hex
    path.unlink()
    path.symlink_to(secret)
    assert repository.blob_size(digest) is None
    with pytest.raises(StoreError, match="no blob"), repository.open_blob(digest):
        pass
    path.unlink()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / digest.hex).write_bytes(b"blob")
    path.parent.rmdir()
    path.parent.symlink_to(tmp_path / "elsewhere")
    assert repository.blob_size(digest) is None


def test_a_fifo_in_the_place_of_a_blob_does_not_hang(repository: Repository, tmp_path: Path):
    digest = repository.put_blob(b"blob")
    path = tmp_path / "a/b/blobs/sha256" / digest.hex
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(StoreError, match="no blob"), repository.open_blob(digest):
        pass


def test_a_file_past_its_cap_is_not_read(tmp_path: Path):
    (tmp_path / "f").write_bytes(b"12345")
    handle = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(LimitExceededError):
            folder.read_file(handle, "f", limit=4)
        assert folder.read_file(handle, "f", limit=5)[0] == b"12345"
    finally:
        os.close(handle)


def test_a_file_that_cannot_be_put_in_place_leaves_nothing(tmp_path: Path):
    (tmp_path / "taken").mkdir()
    handle = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(OSError):
            folder.replace_file(handle, "taken", b"data", durable=False)
    finally:
        os.close(handle)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


# --- stores ------------------------------------------------------------------------------------------------------
def test_two_writers_of_one_folder_are_refused_and_readers_are_not(store: Store, tmp_path: Path):
    with pytest.raises(StoreError, match="another registry"):
        Store(tmp_path, writable=True)
    Store(tmp_path).close()
    store.close()
    Store(tmp_path, writable=True).close()


def test_an_absent_repository_is_unknown(store: Store):
    with pytest.raises(StoreError) as refused:
        store.repository("a/b")
    assert refusal(refused) == "NAME_UNKNOWN"


def test_names_lists_nested_repositories(store: Store):
    for name in ("b/c", "b", "a/deep/er"):
        store.repository(name, create=True)
    assert store.names() == ("a/deep/er", "b", "b/c")


def test_left_over_uploads_go_when_the_folder_is_next_written(tmp_path: Path):
    (tmp_path / ".uploads").mkdir()
    (tmp_path / ".uploads" / "old").write_bytes(b"x")
    with Store(tmp_path):
        assert list((tmp_path / ".uploads").iterdir())
    with Store(tmp_path, writable=True):
        assert not list((tmp_path / ".uploads").iterdir())


def test_a_layout_of_another_tool_is_served_and_seen_when_it_changes(store: Store, tmp_path: Path):
    repository = store.repository("a/b", create=True)
    repository.put_blob(b"{}")
    first, second = push(repository, manifest(), "v1"), push(repository, manifest(annotations={"x": "y"}), "v2")
    index = tmp_path / "a/b/index.json"
    document = json.loads(index.read_bytes())
    document["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"] = "renamed"
    index.write_bytes(json.dumps(document).encode())
    assert repository.index().tags == ("renamed", "v2")
    assert repository.manifest("renamed").digest == first
    assert repository.manifest("v2").digest == second


def test_index_json_is_parsed_once_while_it_stays_as_it_is(repository: Repository):
    assert repository.index() is repository.index()
    repository.put_blob(b"{}")
    push(repository, manifest(), "v1")
    assert repository.index() is repository.index()


def test_pushes_from_many_threads_keep_every_tag(repository: Repository):
    repository.put_blob(b"{}")

    def work(number: int) -> None:
        for at in range(10):
            push(repository, manifest(annotations={"n": f"{number}.{at}"}), f"t{number}.{at}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(repository.index().tags) == {f"t{number}.{at}" for number in range(8) for at in range(10)}


# --- manifests ---------------------------------------------------------------------------------------------------
def test_a_manifest_is_served_as_it_was_pushed(repository: Repository):
    repository.put_blob(b"{}")
    data = manifest() + b"\n "
    digest = push(repository, data, "v1")
    assert digest == Digest.of(data)
    for reference in ("v1", str(digest)):
        assert repository.manifest_bytes(repository.manifest(reference)) == data


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "MANIFEST_INVALID"),
        (b"{}", "MANIFEST_INVALID"),
        (manifest()[:-1] + b',"config":{}}', "MANIFEST_INVALID"),
        (manifest(manifests=[]), "MANIFEST_INVALID"),
        (manifest(mediaType=OCI_INDEX), "MANIFEST_INVALID"),
        (manifest(descriptor(b"absent")), "MANIFEST_BLOB_UNKNOWN"),
        (manifest(config=b"absent"), "MANIFEST_BLOB_UNKNOWN"),
        (manifest(descriptor(b"{}") | {"size": 3}), "MANIFEST_INVALID"),
        (b'{"schemaVersion":1,"fsLayers":[],"history":[]}', "MANIFEST_INVALID"),
    ],
)
def test_a_manifest_read_with_doubt_is_not_stored(repository: Repository, data: bytes, why: str):
    repository.put_blob(b"{}")
    with pytest.raises(StoreError) as refused:
        repository.put_manifest(Push(data=data, reference="v1"))
    assert refusal(refused) == why
    assert repository.index().entries == ()


def test_a_manifest_under_another_digest_is_refused(repository: Repository):
    repository.put_blob(b"{}")
    with pytest.raises(StoreError) as refused:
        push(repository, manifest(), str(Digest.of(b"other")))
    assert refusal(refused) == "DIGEST_INVALID"
    assert push(repository, manifest(), str(Digest.of(manifest(), algorithm="sha512"))).algorithm == "sha512"


def test_a_tag_outside_the_grammar_is_refused(repository: Repository):
    repository.put_blob(b"{}")
    with pytest.raises(StoreError) as refused:
        push(repository, manifest(), "-v1")
    assert refusal(refused) == "MANIFEST_INVALID"


def test_foreign_layers_and_subjects_need_not_be_here(repository: Repository):
    repository.put_blob(b"{}")
    layer = descriptor(b"far", urls=["https://example.com/x"])
    old = descriptor(b"far", "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip")
    data = manifest(layer, old, subject=descriptor(b"absent", OCI_MANIFEST))
    assert push(repository, data, "v1") == Digest.of(data)


def test_a_child_of_an_index_is_known_by_digest_only_through_its_index(repository: Repository, tmp_path: Path):
    repository.put_blob(b"{}")
    child = manifest(annotations={"child": "yes"})
    repository.put_blob(child)
    with pytest.raises(StoreError) as refused:
        repository.manifest(str(Digest.of(child)))
    assert refusal(refused) == "MANIFEST_UNKNOWN"
    index = json.dumps(
        {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor(child, OCI_MANIFEST)]}
    ).encode()
    push(repository, index, "multi", OCI_INDEX)
    assert repository.manifest_bytes(repository.manifest(str(Digest.of(child)))) == child
    assert repository.index().tags == ("multi",)


@pytest.mark.parametrize("settled", [True, False], ids=["after-a-while", "at-once"])
@pytest.mark.parametrize("copied", [True, False], ids=["by-another-tool", "by-us"])
def test_what_comes_after_it_was_missed_is_found(store: Store, tmp_path: Path, settled: bool, copied: bool):
    subject = Digest.of(b"some image")
    child = manifest(subject=descriptor(b"some image", OCI_MANIFEST))
    sparse = store.repository("sparse", create=True)
    sparse.put_blob(index_of(child))
    blobs = tmp_path / "sparse/blobs/sha256"
    document = {"schemaVersion": 2, "manifests": [descriptor(index_of(child), OCI_INDEX)]}
    (tmp_path / "sparse/index.json").write_text(json.dumps(document))

    changed_s = 1_700_000_000 if settled else 4_000_000_000  # in 2096, which has not settled yet
    os.utime(blobs, (changed_s, changed_s))
    looked_ns = blobs.stat().st_mtime_ns
    with pytest.raises(StoreError) as refused:
        sparse.manifest(str(Digest.of(child)))
    assert refusal(refused) == "MANIFEST_UNKNOWN"
    assert sparse.referrers(subject) == ()
    if copied:
        (blobs / Digest.of(child).hex).write_bytes(child)
    else:
        sparse.put_blob(child)
    if not settled:  # the tick of the file system's clock in which we looked is not over
        os.utime(blobs, ns=(looked_ns, looked_ns))
    assert [referrer.entry.digest for referrer in sparse.referrers(subject)] == [Digest.of(child)]
    assert sparse.manifest(str(Digest.of(child))).digest == Digest.of(child)


def test_a_gap_is_looked_for_again_only_where_blobs_came(repository: Repository, tmp_path: Path):
    child = manifest()
    repository.put_blob(index_of(child))
    document = {"schemaVersion": 2, "manifests": [descriptor(index_of(child), OCI_INDEX)]}
    (tmp_path / "a/b/index.json").write_text(json.dumps(document))
    os.utime(tmp_path / "a/b/blobs/sha256", (1_700_000_000, 1_700_000_000))
    asked: list[Digest] = []

    def read(digest: Digest) -> bytes | None:
        asked.append(digest)
        return repository._small_blob(digest)

    relations = Relations(read=read, stamp=repository._blobs_stamp)
    index = repository.index()
    for _ in range(3):
        relations.of(index)
    assert asked == [Digest.of(index_of(child)), Digest.of(child)]
    repository.put_blob(child)
    whole = relations.of(index)
    repository.put_blob(b"something else")
    assert relations.of(index) is whole
    assert asked == [Digest.of(index_of(child)), Digest.of(child), Digest.of(child)]


def test_an_index_of_what_is_not_here_is_refused(repository: Repository):
    index = json.dumps(
        {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor(b"x", OCI_MANIFEST)]}
    ).encode()
    with pytest.raises(StoreError) as refused:
        push(repository, index, "multi", OCI_INDEX)
    assert refusal(refused) == "MANIFEST_BLOB_UNKNOWN"


def test_deleting_a_tag_keeps_the_manifest_and_deleting_the_digest_does_not(repository: Repository):
    repository.put_blob(b"{}")
    digest = push(repository, manifest(), "v1")
    repository.delete_manifest("v1")
    assert repository.index().tags == ()
    assert repository.manifest(str(digest)).digest == digest
    repository.delete_manifest(str(digest))
    for reference in ("v1", str(digest)):
        with pytest.raises(StoreError) as refused:
            repository.delete_manifest(reference)
        assert refusal(refused) == "MANIFEST_UNKNOWN"
    assert repository.blob_size(digest) is None


def test_referrers_are_found_also_below_a_fallback_tag_and_gone_when_deleted(repository: Repository):
    repository.put_blob(b"{}")
    subject = push(repository, manifest(), "v1")
    subject_descriptor = descriptor(manifest(), OCI_MANIFEST)
    pushed = push(
        repository, manifest(subject=subject_descriptor, artifactType="x/direct", annotations={"k": "v"}), "direct"
    )
    below = manifest(subject=subject_descriptor)
    repository.put_blob(below)
    index = json.dumps(
        {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor(below, OCI_MANIFEST)]}
    ).encode()
    push(repository, index, subject.tag, OCI_INDEX)
    found = {referrer.entry.digest: referrer for referrer in repository.referrers(subject)}
    assert {digest: referrer.artifact_type for digest, referrer in found.items()} == {
        pushed: "x/direct",
        Digest.of(below): OCI_CONFIG,
    }
    assert found[pushed].annotations == {"k": "v"}
    assert repository.referrers(Digest.of(b"nobody's subject")) == ()
    repository.delete_manifest(str(pushed))
    assert [referrer.entry.digest for referrer in repository.referrers(subject)] == [Digest.of(below)]
    repository.delete_manifest(str(Digest.of(below)))
    assert repository.referrers(subject) == ()


# --- blobs -------------------------------------------------------------------------------------------------------
def test_an_upload_becomes_a_blob_only_with_its_digest(store: Store, repository: Repository, tmp_path: Path):
    upload = store.uploads.begin("a/b")
    with store.uploads.taken(upload):
        upload.append(b"hel")
    with store.uploads.taken(upload):
        upload.append(b"lo")
        with pytest.raises(StoreError) as refused:
            repository.take_upload(store.uploads, upload, digest=Digest.of(b"other"))
    assert refusal(refused) == "DIGEST_INVALID"
    assert repository.blob_size(Digest.of(b"hello")) is None
    for algorithm in ("sha256", "sha512"):
        upload = store.uploads.begin("a/b")
        digest = Digest.of(b"hello", algorithm=algorithm)
        with store.uploads.taken(upload):
            upload.append(b"hello")
            repository.take_upload(store.uploads, upload, digest=digest)
        assert (tmp_path / "a/b/blobs" / algorithm / digest.hex).read_bytes() == b"hello"
        with pytest.raises(StoreError):
            store.uploads.find("a/b", upload.name)


def test_an_upload_belongs_to_its_repository_and_to_one_request_at_a_time(store: Store, tmp_path: Path):
    upload = store.uploads.begin("a/b")
    assert store.uploads.find("a/b", upload.name) is upload
    with pytest.raises(StoreError):
        store.uploads.find("a/c", upload.name)
    with store.uploads.taken(upload), pytest.raises(StoreError) as refused, store.uploads.taken(upload):
        pass
    assert refusal(refused) == "BLOB_UPLOAD_INVALID"
    store.uploads.cancel(upload)
    assert not list((tmp_path / ".uploads").iterdir())


def test_uploads_and_their_bytes_are_capped(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "UPLOADS", 1)
    monkeypatch.setattr(limits, "PUSHED_BLOB_BYTES", 4)
    upload = store.uploads.begin("a/b")
    with pytest.raises(StoreError) as refused:
        store.uploads.begin("a/b")
    assert refusal(refused) == "TOOMANYREQUESTS"
    with store.uploads.taken(upload):
        upload.append(b"1234")
        with pytest.raises(StoreError) as refused:
            upload.append(b"5")
    assert refusal(refused) == "SIZE_INVALID"


def test_idle_uploads_give_way_and_those_in_use_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "UPLOADS", 4)
    now = [0.0]
    root = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    uploads = Uploads(root, monotonic=lambda: now[0])
    abandoned, held, touched, late = (uploads.begin("a") for _ in range(4))
    with uploads.taken(held):
        now[0] = limits.UPLOAD_IDLE_S - 1
        uploads.find("a", touched.name)
        with uploads.taken(late):
            pass
        with pytest.raises(StoreError) as refused:
            uploads.begin("a")
        assert refusal(refused) == "TOOMANYREQUESTS"
        now[0] = limits.UPLOAD_IDLE_S
        new = uploads.begin("a")
        held.append(b"still here")
    assert {path.name for path in (tmp_path / ".uploads").iterdir()} == {held.name, touched.name, late.name, new.name}
    with pytest.raises(StoreError) as refused:
        uploads.find("a", abandoned.name)
    assert refusal(refused) == "BLOB_UPLOAD_UNKNOWN"
    now[0] += limits.UPLOAD_IDLE_S - 1
    assert uploads.find("a", held.name).offset == len(b"still here")
    uploads.close()
    os.close(root)
    assert not list((tmp_path / ".uploads").iterdir())


def test_an_upload_whose_file_is_gone_is_none(store: Store, tmp_path: Path):
    for upload in [store.uploads.begin("a"), store.uploads.begin("a")]:
        (tmp_path / ".uploads" / upload.name).unlink()
        with pytest.raises(StoreError) as refused, store.uploads.taken(upload):
            pass
        assert refusal(refused) == "BLOB_UPLOAD_UNKNOWN"
        with pytest.raises(StoreError):
            store.uploads.find("a", upload.name)
        store.uploads.cancel(upload)
    store.uploads.begin("a")
    shutil.rmtree(tmp_path / ".uploads")


def test_what_a_failed_write_left_is_no_part_of_the_blob(store: Store, repository: Repository, tmp_path: Path):
    upload = store.uploads.begin("a/b")
    with store.uploads.taken(upload):
        upload.append(b"whole")
    (tmp_path / ".uploads" / upload.name).write_bytes(b"whole, and what went in before the disk was full")
    with store.uploads.taken(upload):
        repository.take_upload(store.uploads, upload, digest=Digest.of(b"whole"))
    with repository.open_blob(Digest.of(b"whole")) as (_, size):
        assert size == len(b"whole")


def test_a_mounted_blob_is_there_and_an_absent_one_is_not(store: Store, repository: Repository):
    digest = repository.put_blob(b"shared")
    other = store.repository("other", create=True)
    assert not other.mount_blob(Digest.of(b"absent"), source=repository)
    assert other.mount_blob(digest, source=repository)
    assert other.mount_blob(digest, source=repository)
    assert other.blob_size(digest) == len(b"shared")


def test_a_manifest_is_not_deleted_as_a_blob(repository: Repository):
    blob = repository.put_blob(b"{}")
    digest = push(repository, manifest(), "v1")
    with pytest.raises(StoreError) as refused:
        repository.delete_blob(digest)
    assert refusal(refused) == "DENIED"
    repository.delete_blob(blob)
    with pytest.raises(StoreError) as refused:
        repository.delete_blob(blob)
    assert refusal(refused) == "BLOB_UNKNOWN"


def test_a_child_of_an_index_is_not_deleted_as_a_blob(repository: Repository):
    repository.put_blob(b"{}")
    child = repository.put_blob(manifest(annotations={"child": "yes"}))
    push(repository, index_of(manifest(annotations={"child": "yes"})), "multi", OCI_INDEX)
    with pytest.raises(StoreError) as refused:
        repository.delete_blob(child)
    assert refusal(refused) == "DENIED"
    repository.delete_manifest("multi")
    repository.delete_manifest(str(Digest.of(index_of(manifest(annotations={"child": "yes"})))))
    repository.delete_blob(child)


def test_what_is_durable_is_stored_alike(tmp_path: Path):
    with Store(tmp_path, writable=True, durable=True) as store:
        repository = store.repository("a", create=True)
        repository.put_blob(b"{}")
        upload = store.uploads.begin("a")
        with store.uploads.taken(upload):
            upload.append(b"layer")
            repository.take_upload(store.uploads, upload, digest=Digest.of(b"layer"))
        digest = push(repository, manifest(descriptor(b"layer")), "v1")
    with Store(tmp_path) as again:
        assert again.repository("a").manifest("v1").digest == digest


def test_a_broken_layout_is_an_error_and_not_an_empty_one(repository: Repository, tmp_path: Path):
    (tmp_path / "a/b/index.json").write_bytes(b'{"schemaVersion":2,"manifests":[],"manifests":[]}')
    with pytest.raises(MalformedManifestError):
        repository.index()
