import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.embedded.layout_index import (
    LAYOUT_FILE,
    REF_NAME,
    LayoutEntry,
    LayoutIndex,
    parse_layout_file,
    parse_layout_index,
)
from plimsoll.errors import ContentError, MalformedManifestError
from plimsoll.model.descriptor import OCI_INDEX, OCI_MANIFEST
from plimsoll.model.digest import Digest

ONE, TWO = Digest.of(b"one"), Digest.of(b"two")


def entry(digest: Digest, name: str | None = None) -> LayoutEntry:
    return LayoutEntry.of(media_type=OCI_MANIFEST, digest=digest, size=3, name=name)


def document(*manifests: dict, **more: object) -> bytes:
    return json.dumps({"schemaVersion": 2, "manifests": list(manifests), **more}).encode()


def raw(digest: Digest, name: str | None = None, **more: object) -> dict:
    annotations = {} if name is None else {"annotations": {REF_NAME: name}}
    return {"mediaType": OCI_MANIFEST, "digest": str(digest), "size": 3, **annotations, **more}


def test_an_empty_index_is_written_and_read():
    data = LayoutIndex().to_bytes()
    assert json.loads(data) == {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    assert parse_layout_index(data).entries == ()


def test_what_is_not_understood_is_written_again():
    platform = {"os": "linux", "architecture": "riscv64", "os.features": ["x"]}
    data = document(raw(ONE, "v1", platform=platform, future=[1, 2.5, None]), annotations={"a": "b"}, future=True)
    again = json.loads(parse_layout_index(data).with_entries([entry(TWO, "v2")]).to_bytes())
    assert again["future"] is True
    assert again["annotations"] == {"a": "b"}
    assert again["manifests"][0] == raw(ONE, "v1", platform=platform, future=[1, 2.5, None])


def test_a_tag_that_moves_leaves_its_manifest_known_by_digest():
    index = LayoutIndex().with_entries([entry(ONE, "v1")]).with_entries([entry(TWO, "v1")])
    assert index.by_tag["v1"].digest == TWO
    assert index.by_digest[ONE].name is None
    assert index.tags == ("v1",)


def test_an_unnamed_entry_goes_when_its_manifest_gets_a_name():
    index = LayoutIndex().with_entries([entry(ONE)]).with_entries([entry(ONE, "v1")])
    assert [found.name for found in index.entries] == ["v1"]
    assert len(index.with_entries([entry(ONE)]).entries) == 1


def test_pushing_the_same_again_keeps_what_was_said_besides():
    index = parse_layout_index(document(raw(ONE, "v1", artifactType="x/y")))
    assert index.with_entries([entry(ONE, "v1")]).to_bytes() == index.to_bytes()


def test_untagging_keeps_other_annotations():
    index = parse_layout_index(document(raw(ONE, "v1") | {"annotations": {REF_NAME: "v1", "other": "kept"}}))
    assert json.loads(index.without_tag("v1").to_bytes())["manifests"][0]["annotations"] == {"other": "kept"}


def test_untagging_one_of_two_tags_leaves_no_idle_entry():
    index = LayoutIndex().with_entries([entry(ONE, "a"), entry(ONE, "b")]).without_tag("a")
    assert [found.name for found in index.entries] == ["b"]


def test_deleting_a_digest_takes_all_its_tags():
    index = LayoutIndex().with_entries([entry(ONE, "a"), entry(ONE, "b"), entry(TWO, "c")]).without_digest(ONE)
    assert index.tags == ("c",)
    assert ONE not in index.by_digest


def test_a_name_outside_the_tag_grammar_is_no_tag_and_is_kept():
    index = parse_layout_index(document(raw(ONE, "docker.io/library/x:v1")))
    assert index.tags == ()
    assert index.by_digest[ONE].name == "docker.io/library/x:v1"
    assert b"docker.io/library/x:v1" in index.with_entries([entry(TWO, "v2")]).to_bytes()


def test_one_name_for_two_manifests_is_refused_and_for_one_twice_is_not():
    with pytest.raises(MalformedManifestError, match="two manifests"):
        parse_layout_index(document(raw(ONE, "v1"), raw(TWO, "v1")))
    assert parse_layout_index(document(raw(ONE, "v1"), raw(ONE, "v1"))).tags == ("v1",)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"schemaVersion":2}',
        b'{"schemaVersion":1,"manifests":[]}',
        b'{"schemaVersion":2,"manifests":{}}',
        b'{"schemaVersion":2,"manifests":[],"manifests":[]}',
        b'{"schemaVersion":2,"manifests":[]}x',
        document({"mediaType": OCI_MANIFEST, "size": 3}),
        document(raw(ONE) | {"digest": "md5:d41d8cd98f00b204e9800998ecf8427e"}),
        document(raw(ONE) | {"size": -1}),
        document(raw(ONE) | {"size": True}),
        document(raw(ONE) | {"size": "3"}),
        document(raw(ONE) | {"annotations": {REF_NAME: 1}}),
        document(raw(ONE) | {"annotations": []}),
        document("x"),  # type: ignore[arg-type]
    ],
)
def test_a_broken_index_is_refused(data: bytes):
    with pytest.raises(ContentError):
        parse_layout_index(data)


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda below: st.lists(below) | st.dictionaries(st.text(), below),
    ).map(lambda value: json.dumps({"schemaVersion": 2, "manifests": value}).encode())
)
def test_any_bytes_are_an_index_or_refused(data: bytes):
    try:
        index = parse_layout_index(data)
    except ContentError:
        return
    assert parse_layout_index(index.to_bytes()).entries == index.entries


DIGESTS = st.sampled_from([Digest.of(bytes([at])) for at in range(4)])
TAGS = st.sampled_from(["a", "b", "c"])
STEPS = st.lists(
    st.tuples(st.just("put"), DIGESTS, TAGS | st.none())
    | st.tuples(st.just("untag"), TAGS)
    | st.tuples(st.just("delete"), DIGESTS),
    max_size=20,
)


@given(STEPS)
def test_an_index_is_a_map_of_tags_and_a_set_of_digests_whatever_is_done_to_it(steps):
    index, tags, digests = LayoutIndex(), {}, set()
    for step in steps:
        match step:
            case ("put", digest, tag):
                index = index.with_entries([entry(digest, tag)])
                digests.add(digest)
                if tag is not None:
                    tags[tag] = digest
            case ("untag", tag):
                index = index.without_tag(tag)
                tags.pop(tag, None)
            case ("delete", digest):
                index = index.without_digest(digest)
                digests.discard(digest)
                tags = {tag: known for tag, known in tags.items() if known != digest}
        index = parse_layout_index(index.to_bytes())
        assert {tag: found.digest for tag, found in index.by_tag.items()} == tags
        assert set(index.by_digest) == digests


def test_the_layout_file_is_read_strictly():
    parse_layout_file(LAYOUT_FILE)
    for data in (b"", b"{}", b'{"imageLayoutVersion":"2.0.0"}', b"[]", LAYOUT_FILE + b"x"):
        with pytest.raises(MalformedManifestError):
            parse_layout_file(data)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_layout_file_or_refused(data: bytes):
    try:
        parse_layout_file(data)
    except MalformedManifestError:
        return
    assert json.loads(data)["imageLayoutVersion"] == "1.0.0"
