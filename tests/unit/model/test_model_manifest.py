"""Manifests and configs: one strict reading of the bytes as served, and only the declared errors."""

from __future__ import annotations

import copy
import json
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll import limits
from plimsoll.errors import ContentError, LimitExceededError, MalformedManifestError, UnsupportedError
from plimsoll.model.descriptor import (
    DOCKER_CONFIG,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    DOCKER_SCHEMA1,
    DOCKER_SCHEMA1_SIGNED,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Platform,
)
from plimsoll.model.digest import Digest
from plimsoll.model.manifest import ImageConfig, Index, Manifest, RawManifest, parse_image_config, parse_manifest

A, B = Digest.of(b"a"), Digest.of(b"b", algorithm="sha512")
DECLARED = (MalformedManifestError, LimitExceededError, UnsupportedError)


def listed(digest=A, *, media_type="application/x", size=1, **more):
    return {"mediaType": media_type, "digest": str(digest), "size": size} | more


def image(**changes):
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": listed(media_type=OCI_CONFIG),
        "layers": [listed(), listed(B, size=0)],
    } | changes
    return {name: value for name, value in document.items() if value is not ...}


def index(**changes):
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [listed(media_type=OCI_MANIFEST)]} | changes
    return {name: value for name, value in document.items() if value is not ...}


def parse(document, content_type=None):
    return parse_manifest(RawManifest(data=json.dumps(document).encode(), content_type=content_type))


def refused(document, content_type=None, *, error=MalformedManifestError, match=None):
    with pytest.raises(error, match=match) as raised:
        parse(document, content_type)
    assert type(raised.value) is error


# ---- what is read ----------------------------------------------------------------------------------------------------


def test_an_image():
    found = parse(
        image(subject=listed(B), artifactType="application/y", annotations={"a": "b"}, unknown=[1], layers=[listed()])
    )
    assert found == Manifest(
        media_type=OCI_MANIFEST,
        config=Descriptor(media_type=OCI_CONFIG, digest=A, size=1),
        layers=(Descriptor(media_type="application/x", digest=A, size=1),),
        subject=Descriptor(media_type="application/x", digest=B, size=1),
        artifact_type="application/y",
        annotations={"a": "b"},
    )


def test_an_index():
    platform = {"os": "linux", "architecture": "arm64", "variant": "v8", "os.version": "1", "os.features": ["x"]}
    child = listed(B, media_type=OCI_MANIFEST, platform=platform, annotations={"a": "b"}, urls=["https://x.example"])
    found = parse(index(manifests=[child, listed(media_type=OCI_INDEX)]))
    assert isinstance(found, Index)
    assert found.manifests[0] == Descriptor(
        media_type=OCI_MANIFEST,
        digest=B,
        size=1,
        annotations={"a": "b"},
        platform=Platform(os="linux", architecture="arm64", variant="v8", os_version="1", os_features=("x",)),
        urls=("https://x.example",),
    )
    assert found.manifests[1].platform is None
    assert str(found.manifests[0].platform) == "linux/arm64/v8"
    assert str(Platform()) == "unknown/unknown"


def test_the_digest_is_of_the_bytes_as_served():
    data = b" " + json.dumps(image()).encode() + b"\n"
    raw = RawManifest(data=data)
    assert raw.digest == Digest.of(data) != RawManifest(data=data.strip()).digest
    assert parse_manifest(raw) == parse(image())


def test_an_empty_list_is_a_list():
    assert parse(image(layers=[])).layers == ()
    assert parse(index(manifests=[])).manifests == ()


# ---- which of the two ------------------------------------------------------------------------------------------------

IMAGES, INDEXES = [OCI_MANIFEST, DOCKER_MANIFEST], [OCI_INDEX, DOCKER_LIST]
SILENT = [
    None,
    "",
    "application/json",
    "text/plain",
    "application/octet-stream",
    "binary/octet-stream",
    "Application/JSON; charset=utf-8",
]


@pytest.mark.parametrize(("written", "served"), list(product([*IMAGES, ...], [*IMAGES, *INDEXES, *SILENT])))
def test_the_kind_of_an_image(written, served):
    """CVE-2021-41190 (GHSA-77vh-xpmg-72qh): the field, the Content-Type and the shape must all say the same."""
    document = image(mediaType=written)
    if served in SILENT:
        assert parse(document, served).media_type == (OCI_MANIFEST if written is ... else written)
    elif served in INDEXES or written not in (..., served):
        refused(document, served)
    else:
        assert parse(document, served).media_type == served


@pytest.mark.parametrize(("written", "served"), list(product([*INDEXES, ...], [*IMAGES, *INDEXES, *SILENT])))
def test_the_kind_of_an_index(written, served):
    document = index(mediaType=written)
    if served in SILENT:
        assert parse(document, served).media_type == (OCI_INDEX if written is ... else written)
    elif served in IMAGES or written not in (..., served):
        refused(document, served)
    else:
        assert parse(document, served).media_type == served


def test_a_content_types_parameters_and_case_say_nothing():
    for served in (OCI_MANIFEST.upper(), f" {OCI_MANIFEST} ; charset=utf-8"):
        assert parse(image(), served).media_type == OCI_MANIFEST


@pytest.mark.parametrize(
    "served", ["text/html", "application/vnd.oci.image.config.v1+json", "x", f"{OCI_MANIFEST}, {OCI_INDEX}"]
)
def test_another_content_type_is_refused(served):
    refused(image(), served)
    refused(image(mediaType=...), served)


@pytest.mark.parametrize("written", ["", "application/json", "text/html", OCI_CONFIG, OCI_MANIFEST.upper()])
def test_another_media_type_is_refused(written):
    refused(image(mediaType=written))


def test_a_config_of_docker_tells_a_docker_manifest():
    assert parse(image(mediaType=..., config=listed(media_type=DOCKER_CONFIG))).media_type == DOCKER_MANIFEST


# ---- never both ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, [], {}, "x"])
@pytest.mark.parametrize("name", ["manifests", "fsLayers", "history", "signatures", "FSLAYERS", "Signatures"])
def test_an_image_is_nothing_else(name, value):
    """CVE-2021-41190: index and manifest at once; null counts, two readers may differ on it."""
    refused(image() | {name: value})


@pytest.mark.parametrize("value", [None, [], {}, "x"])
@pytest.mark.parametrize("name", ["config", "layers", "fsLayers", "history", "signatures", "HISTORY"])
def test_an_index_is_nothing_else(name, value):
    refused(index() | {name: value})


@pytest.mark.parametrize(
    "name", ["Layers", "LAYERS", "Config", "MediaType", "schemaversion", "\u017fubject", "Manifests"]
)
def test_a_twin_in_another_case_is_refused(name):
    refused(image() | {name: []})
    refused(index() | {name: []})


@pytest.mark.parametrize("name", ["mediaType", "config", "layers", "schemaVersion", "digest", "size", "annotations"])
def test_a_duplicate_member_is_refused(name):
    text = json.dumps(image(annotations={"a": "b"}))
    doubled = text.replace(f'"{name}":', f'"{name}": null, "{name}":', 1)
    assert json.loads(doubled) == json.loads(text)
    parse_manifest(RawManifest(data=text.encode()))
    with pytest.raises(MalformedManifestError, match="already has"):
        parse_manifest(RawManifest(data=doubled.encode()))


# ---- what is missing or of another type ------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [..., None, 0, 1, 3, -2])
def test_schema_version_is_two(version):
    refused(image(schemaVersion=version))
    refused(index(schemaVersion=version))


@pytest.mark.parametrize("kind", [DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED])
def test_schema_1_is_unsupported_and_not_guessed(kind):
    schema1 = {"schemaVersion": 1, "name": "a", "tag": "b", "fsLayers": [], "history": []}
    refused(schema1, kind, error=UnsupportedError)
    refused(schema1, error=UnsupportedError)


@pytest.mark.parametrize("name", ["config", "layers"])
@pytest.mark.parametrize("value", [..., None])
def test_an_image_has_a_config_and_layers(name, value):
    refused(image(**{name: value}), match=name)


@pytest.mark.parametrize("value", [..., None])
def test_an_index_has_manifests(value):
    refused(index(manifests=value))


@pytest.mark.parametrize("name", ["mediaType", "digest", "size"])
def test_a_descriptor_is_whole(name):
    for document in (image(), index(), image(subject=listed())):
        parent = (
            document.get("manifests", document.get("layers"))[0] if "subject" not in document else document["subject"]
        )
        del parent[name]
        refused(document, match=name)


@pytest.mark.parametrize(
    "change", [{"size": -1}, {"size": 1.0}, {"size": "1"}, {"size": True}, {"digest": ""}, {"digest": 1}]
)
@pytest.mark.parametrize(
    "digest", [None, "md5:d41d8cd98f00b204e9800998ecf8427e", str(A).upper(), str(A) + "\n", "sha256:../../x"]
)
def test_a_descriptor_of_another_form_is_refused(change, digest):
    parse(image(layers=[listed()]))
    refused(image(layers=[listed() | change]))
    refused(image(layers=[listed() | {"digest": digest}]))
    refused(index(manifests=[listed() | {"digest": digest}]))
    refused(image(config=listed() | {"digest": digest}))


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"1", b"{", b"\xff", b"\xef\xbb\xbf{}", b"{}{}"])
def test_what_is_no_document_is_refused(data):
    with pytest.raises(MalformedManifestError):
        parse_manifest(RawManifest(data=data))


def test_data_behind_the_document_is_refused():
    with pytest.raises(MalformedManifestError):
        parse_manifest(RawManifest(data=json.dumps(image()).encode() + b"{}"))


# ---- caps ------------------------------------------------------------------------------------------------------------


def test_a_manifest_has_a_cap():
    data = json.dumps(image()).encode()
    assert parse_manifest(RawManifest(data=data.ljust(limits.MANIFEST_BYTES)))
    with pytest.raises(LimitExceededError):
        parse_manifest(RawManifest(data=data.ljust(limits.MANIFEST_BYTES + 1)))


def test_layers_and_children_have_caps():
    assert len(parse(image(layers=[listed()] * limits.LAYERS)).layers) == limits.LAYERS
    refused(image(layers=[listed()] * (limits.LAYERS + 1)), error=LimitExceededError)
    assert len(parse(index(manifests=[listed()] * limits.INDEX_CHILDREN)).manifests) == limits.INDEX_CHILDREN
    refused(index(manifests=[listed()] * (limits.INDEX_CHILDREN + 1)), error=LimitExceededError)


def text_of(count, form):
    return ",".join([form % at if "%" in form else form for at in range(count)])


BOMBS = {
    "layers": '"layers":[' + text_of(limits.LAYERS + 1, "{}"),
    "manifests": '"manifests":[' + text_of(limits.INDEX_CHILDREN + 1, '{"platform":{}}'),
    "annotations": '"annotations":{' + text_of(limits.MANIFEST_VALUES, '"%x":""'),
    "a layer's annotations": '"layers":[{"annotations":{' + text_of(limits.MANIFEST_VALUES, '"%x":""'),
    "urls": '"config":{"urls":[' + text_of(limits.MANIFEST_VALUES, '""'),
    "members": text_of(limits.MANIFEST_VALUES, '"%x":0'),
    "members of an unknown one": '"x":{' + text_of(limits.MANIFEST_VALUES, '"%x":0'),
    "values of an unknown one": '"x":[' + text_of(limits.MANIFEST_VALUES, "{}"),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_what_is_too_much_is_refused_before_the_rest_is_read(bomb):
    with pytest.raises(
        LimitExceededError, match=r"more (layers|manifests|values) than allowed begin at byte .*: at most"
    ):
        parse_manifest(RawManifest(data=b"{" + bomb.encode() + b",!"))


def test_a_manifest_has_as_many_values_as_it_may():
    # The document, its five members (the new one too), a layer, and three members of each of the two descriptors.
    document = image(layers=[listed()], x=...)
    rest = limits.MANIFEST_VALUES - 1 - 12
    assert parse({**document, "x": [0] * rest}) == parse(document)
    refused({**document, "x": [0] * (rest + 1)}, error=LimitExceededError)


def test_depth_has_a_cap():
    for depth in (limits.JSON_DEPTH, 100_000):
        data = json.dumps(image(unknown=0)).replace('"unknown": 0', '"unknown": ' + "[" * depth + "]" * depth)
        with pytest.raises(MalformedManifestError, match="too deep"):
            parse_manifest(RawManifest(data=data.encode()))


# ---- configs ---------------------------------------------------------------------------------------------------------

CONFIG = {
    "os": "linux",
    "architecture": "arm64",
    "variant": "v8",
    "rootfs": {"type": "layers", "diff_ids": [str(A), str(B)]},
    "history": [],
}


def test_a_config_has_as_many_values_as_it_may():
    rest = limits.CONFIG_VALUES - 11  # the document, its five members and what is in them, and the new one
    assert parse_image_config(json.dumps({**CONFIG, "x": [0] * rest}).encode()).os == "linux"
    with pytest.raises(LimitExceededError, match="more values than allowed begin"):
        parse_image_config(json.dumps({**CONFIG, "x": [0] * (rest + 1)}).encode())


def test_a_config():
    found = parse_image_config(json.dumps(CONFIG).encode())
    assert found == ImageConfig(os="linux", architecture="arm64", variant="v8", diff_ids=(A, B))
    for variant in (None, 8):
        assert parse_image_config(json.dumps(CONFIG | {"variant": variant}).encode()).variant is None


@pytest.mark.parametrize(
    "change",
    [
        {"os": None},
        {"os": 1},
        {"architecture": None},
        {"rootfs": None},
        {"rootfs": {}},
        {"rootfs": {"type": "tree", "diff_ids": []}},
        {"rootfs": {"diff_ids": []}},
        {"rootfs": {"type": "layers"}},
        {"rootfs": {"type": "layers", "diff_ids": None}},
        {"rootfs": {"type": "layers", "diff_ids": [None]}},
        {"rootfs": {"type": "layers", "diff_ids": ["x"]}},
        {"rootfs": {"type": "layers", "diff_ids": [str(A).upper()]}},
        {"rootfs": {"type": "layers", "diff_ids": [[str(A)]]}},
        {"rootfs": {"type": "layers", "diff_ids": {str(A): 1}}},
    ],
)
def test_what_is_no_config(change):
    with pytest.raises(MalformedManifestError):
        parse_image_config(json.dumps(CONFIG | change).encode())


@pytest.mark.parametrize("name", ["OS", "Architecture", "Variant", "RootFS", "rootf\u017f"])
def test_a_config_with_a_member_that_go_takes_for_another_is_refused(name):
    with pytest.raises(MalformedManifestError, match="two readers"):
        parse_image_config(json.dumps(CONFIG | {name: CONFIG["rootfs"]}).encode())
    assert parse_image_config(json.dumps(CONFIG | {f"x{name}": 1}).encode()).os == "linux"


@pytest.mark.parametrize("name", ["Type", "DIFF_IDS", "diff_id\u017f"])
def test_a_rootfs_with_a_member_that_go_takes_for_another_is_refused(name):
    with pytest.raises(MalformedManifestError, match="two readers"):
        parse_image_config(json.dumps(CONFIG | {"rootfs": {**CONFIG["rootfs"], name: []}}).encode())
    assert parse_image_config(json.dumps(CONFIG | {"rootfs": {**CONFIG["rootfs"], f"x{name}": []}}).encode())


@pytest.mark.parametrize("data", [b"", b"{}", b"null", b"[]", b"{", b"\xff", json.dumps(CONFIG).encode() + b"x"])
def test_bytes_that_are_no_config(data):
    with pytest.raises(MalformedManifestError):
        parse_image_config(data)


def test_a_config_has_a_cap():
    data = json.dumps(CONFIG).encode()
    assert parse_image_config(data.ljust(limits.CONFIG_BYTES))
    with pytest.raises(LimitExceededError):
        parse_image_config(data.ljust(limits.CONFIG_BYTES + 1))


# ---- whatever the bytes ----------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**19), 10**19)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text() | st.sampled_from(["size", "Layers", "urls"]), inner, max_size=4)
    ),
    max_leaves=10,
)
TYPES = st.none() | st.text() | st.sampled_from([*IMAGES, *INDEXES, DOCKER_SCHEMA1, "text/plain"])
FIELDS = [
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "manifests",
    "subject",
    "annotations",
    "fsLayers",
]
INNER = ["mediaType", "digest", "size", "annotations", "platform", "artifactType", "urls", "data"]


@given(st.binary(max_size=300), TYPES)
def test_no_bytes_give_anything_but_the_declared_errors(data, content_type):
    with pytest.raises(DECLARED):
        parse_manifest(RawManifest(data=data, content_type=content_type))
    with pytest.raises(ContentError):
        parse_image_config(data)


@settings(deadline=None)
@given(st.sampled_from([image(), index()]), st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=3), TYPES)
def test_no_members_give_anything_but_the_declared_errors(document, changes, content_type):
    try:
        found = parse(document | changes, content_type)
    except DECLARED:
        return
    assert isinstance(found, Manifest) is ("layers" in document | changes)
    assert isinstance(found, Index) is ("manifests" in document | changes)


@settings(deadline=None)
@given(st.sampled_from(INNER), JSON)
def test_no_descriptor_gives_anything_but_the_declared_errors(name, value):
    document = copy.deepcopy(image())
    document["layers"][0][name] = value
    try:
        found = parse(document)
    except DECLARED:
        return
    assert isinstance(found.layers[0].digest, Digest)
    assert found.layers[0].size >= 0


@settings(deadline=None)
@given(st.sampled_from(["os", "architecture", "variant", "rootfs"]), JSON)
def test_no_config_gives_anything_but_the_declared_errors(name, value):
    try:
        found = parse_image_config(json.dumps(CONFIG | {name: value}).encode())
    except (MalformedManifestError, LimitExceededError):
        return
    assert name != "rootfs"
    assert isinstance(found.os, str)
