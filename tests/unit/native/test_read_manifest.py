from __future__ import annotations

import json

import pytest

from plimsoll.errors import ReadError
from plimsoll.native import DescriptorFields, ManifestFields, PlatformFields, read_manifest

EMPTY = ManifestFields(None, None, None, None, None, None, None, None, ())
DESCRIPTOR = DescriptorFields(None, None, None, None, None, None, (), None)


def read(value):
    return read_manifest(json.dumps(value).encode())


def test_an_empty_document_has_no_members():
    assert read({}) == EMPTY


def test_an_image_manifest():
    found = read(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": "application/example",
            "config": {"mediaType": "c", "digest": "sha256:c", "size": 3, "data": "e30="},
            "layers": [
                {"mediaType": "l", "digest": "sha256:l", "size": 2**40, "urls": ["https://a", "https://b"]},
                {"mediaType": "l", "digest": "sha256:m", "size": 0, "annotations": {"k": "v", "": ""}},
            ],
            "subject": {"mediaType": "s", "digest": "sha256:s", "size": 7, "artifactType": "t"},
            "annotations": {"a": "\u20ac"},
        }
    )
    assert found == ManifestFields(
        schema_version=2,
        media_type="application/vnd.oci.image.manifest.v1+json",
        artifact_type="application/example",
        config=DESCRIPTOR._replace(media_type="c", digest="sha256:c", size=3, data="e30="),
        layers=(
            DESCRIPTOR._replace(media_type="l", digest="sha256:l", size=2**40, urls=("https://a", "https://b")),
            DESCRIPTOR._replace(media_type="l", digest="sha256:m", size=0, annotations={"k": "v", "": ""}),
        ),
        manifests=None,
        subject=DESCRIPTOR._replace(media_type="s", digest="sha256:s", size=7, artifact_type="t"),
        annotations={"a": "\u20ac"},
        members=("schemaVersion", "mediaType", "artifactType", "config", "layers", "subject", "annotations"),
    )
    assert type(found) is ManifestFields
    assert type(found.config) is DescriptorFields


def test_an_index():
    platform = {"os": "linux", "architecture": "arm", "variant": "v7", "os.version": "1", "os.features": ["x", "y"]}
    found = read({"manifests": [{"digest": "d", "platform": platform}, {"digest": "e", "platform": {}}]})
    assert found.manifests == (
        DESCRIPTOR._replace(digest="d", platform=PlatformFields("linux", "arm", "v7", "1", ("x", "y"))),
        DESCRIPTOR._replace(digest="e", platform=PlatformFields(None, None, None, None, ())),
    )
    assert type(found.manifests[0].platform) is PlatformFields
    assert found.layers is None


def test_absent_null_and_empty_are_told_apart():
    assert read({"layers": None, "config": None, "annotations": None}) == EMPTY._replace(
        members=("layers", "config", "annotations")
    )
    assert read({"layers": [], "annotations": {}}) == EMPTY._replace(
        layers=(), annotations={}, members=("layers", "annotations")
    )
    assert read({"config": {"urls": None, "platform": None, "size": None}}).config == DESCRIPTOR


def test_unknown_members_are_passed_over():
    found = read({"x": {"y": [1, 2.5, {"layers": 3, "Layers": 4}]}, "config": {"more": [None, True]}, "layerss": 1})
    assert found == EMPTY._replace(config=DESCRIPTOR, members=("x", "config", "layerss"))


def test_an_escaped_name_is_the_name():
    assert read_manifest(b'{"\\u006cayers":[]}').layers == ()


@pytest.mark.parametrize(
    "value",
    [
        [], "text", 1, None,
        {"schemaVersion": "2"}, {"schemaVersion": 2.0}, {"schemaVersion": True}, {"mediaType": 1}, {"mediaType": ["a"]},
        {"artifactType": {}}, {"config": []}, {"config": "sha256:c"}, {"subject": [{}]}, {"layers": {}}, {"layers": [None]},
        {"layers": [[]]}, {"layers": ["sha256:l"]}, {"manifests": 0}, {"manifests": [{}, 1]}, {"annotations": []},
        {"annotations": {"a": 1}}, {"annotations": {"a": None}}, {"config": {"digest": 1}}, {"config": {"size": "1"}},
        {"config": {"size": 1.5}}, {"config": {"size": False}}, {"layers": [{}, {"urls": "u"}]}, {"layers": [{"urls": [1]}]},
        {"config": {"annotations": {"a": {}}}}, {"config": {"data": 0}}, {"manifests": [{"platform": "linux"}]},
        {"manifests": [{"platform": {"os": 1}}]}, {"manifests": [{"platform": {"os.features": "x"}}]},
        {"Layers": []}, {"LAYERS": 1, "layers": []}, {"layer\u017f": []}, {"\u017fubject": None}, {"schemaversion": 2},
        {"config": {"Digest": "x"}}, {"layers": [{"\u017fize": 1}]}, {"manifests": [{"Platform": {}}]},
        {"manifests": [{"platform": {"OS": "linux"}}]}, {"manifests": [{"platform": {"o\u017f.feature\u017f": []}}]},
    ],
    ids=json.dumps,
)  # fmt: skip
def test_members_of_the_wrong_shape(value):
    with pytest.raises(ReadError) as refused:
        read(value)
    assert refused.value.kind == "shape"


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"layers": [{}, {"size": "1"}]}, "layers[1].size"),
        ({"config": {"digest": 1}}, "config.digest"),
        ({"manifests": [{"platform": {"os": 1}}]}, "manifests[0].platform.os"),
        ({"mediaType": 1}, "mediaType"),
        ({"layers": [{"Digest": 1}]}, "'Digest' of layers[0]"),
    ],
)
def test_the_message_names_the_member(value, named):
    with pytest.raises(ReadError) as refused:
        read(value)
    assert named in str(refused.value)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'{"layers":[],"layers":[]}', "duplicate-key"), (b'{"layers":[],"\\u006cayers":[]}', "duplicate-key"),
        (b'{"x":{"a":1,"\\u0061":1}}', "duplicate-key"), (b'{"config":{"size":1,"size":1}}', "duplicate-key"),
        (b'{"annotations":{"a":"","a":""}}', "duplicate-key"), (b'{"x":1,"x":1}', "duplicate-key"),
        (b'{"manifests":[{"platform":{"os":"a","os":"a"}}]}', "duplicate-key"), (b'{"config":{"x":1,"x":1}}', "duplicate-key"),
        (b'{"x":[1e999]}', "number"), (b'{"x":"\xff"}', "utf-8"), (b'{"x":"\\udead"}', "utf-8"), (b'{"x":01}', "syntax"),
        (b'{"layers":1', "syntax"), (b'{"layers":1} x', "syntax"), (b'{"x":' + b"[" * 32 + b"]" * 32 + b"}", "depth"),
        (b'{"Layers":[], "x":1, "x":2}', "duplicate-key"), (b"[", "syntax"), (b"", "syntax"),
    ],
)  # fmt: skip
def test_the_whole_document_is_checked_before_shapes_are_spoken_of(data, kind):
    with pytest.raises(ReadError) as refused:
        read_manifest(data)
    assert refused.value.kind == kind


def test_a_duplicate_among_many_members_is_found():
    members = ",".join(f'"{n:07d}":{{}}' for n in range(20_000))
    assert len(read_manifest(("{" + members + "}").encode()).members) == 20_000
    for text in ("{" + members + ',"0019999":1}', '{"x":{' + members + ',"\\u0030019999":1}}'):
        with pytest.raises(ReadError) as refused:
            read_manifest(text.encode())
        assert refused.value.kind == "duplicate-key"


def test_the_size_cap():
    assert read_manifest(b"{}", max_bytes=2) == EMPTY
    with pytest.raises(ReadError) as refused:
        read_manifest(b"{} ", max_bytes=2)
    assert refused.value.kind == "too-large"
    with pytest.raises(ReadError):
        read_manifest(b" " * (4 << 20) + b"{}")
