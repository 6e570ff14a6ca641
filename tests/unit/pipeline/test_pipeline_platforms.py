import asyncio

import pytest

from fakes.sources import Memory, MemorySource, describe, index_bytes
from plimsoll import limits
from plimsoll.errors import LimitExceededError, MalformedManifestError, NotFoundError, UsageError
from plimsoll.model.descriptor import OCI_INDEX, OCI_MANIFEST, Platform
from plimsoll.model.manifest import RawManifest, parse_manifest
from plimsoll.model.reference import parse_reference
from plimsoll.pipeline import platforms
from plimsoll.pipeline.platforms import PlatformChoice, find_instances, host_platform

DOCKER = parse_reference("registry.example/team/app:v1")


ATTESTATION = {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
OCTETS = {"media_type": "application/octet-stream"}
ZSTD = {"annotations": {"io.github.containers.compression.zstd": "true"}}


def entry(name, platform=None, media_type=OCI_MANIFEST, **more):
    if platform is not None:
        parts = platform.split("/")
        more["platform"] = dict(zip(("os", "architecture", "variant"), parts, strict=False))
    return describe(name.encode(), media_type, **more)


def found(choice, *entries, memory=None):
    index = parse_manifest(RawManifest(data=index_bytes(*entries)))
    source = MemorySource(memory or Memory(), DOCKER)
    return asyncio.run(find_instances(source, index, PlatformChoice.parse(choice)))


def names(choice, entries):
    by_digest = {entry(name)["digest"]: name for name, *_ in entries}
    chosen = found(choice, *[entry(name, platform, **dict(*more)) for name, platform, *more in entries])
    return [by_digest[str(child.digest)] for child in chosen]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux/amd64", Platform(os="linux", architecture="amd64")),
        ("linux/arm64/v8", Platform(os="linux", architecture="arm64", variant="v8")),
    ],
)
def test_a_platform_is_read(text, expected):
    assert PlatformChoice.parse(text).wanted == expected


def test_all_and_host_are_words():
    assert PlatformChoice.parse("all").wanted is None
    assert PlatformChoice.parse("host").wanted == host_platform()


@pytest.mark.parametrize(
    "text",
    ["", "linux", "linux/", "/amd64", "linux//v8", "a/b/c/d", "ALL", "linux/arm64 x", "linux/arm64\n", "linux/amd64/"],
)
def test_what_is_no_platform_is_wrong_usage(text):
    with pytest.raises(UsageError, match="--platform"):
        PlatformChoice.parse(text)


@pytest.mark.parametrize(
    ("machine", "expected"),
    [("x86_64", "amd64"), ("aarch64", "arm64/v8"), ("armv7l", "arm/v7"), ("s390x", "s390x"), ("sw_64", "sw_64")],
)
def test_the_host_is_named_as_go_names_it(monkeypatch, machine, expected):
    monkeypatch.setattr(platforms.machine_platform, "machine", lambda: machine)
    monkeypatch.setattr(platforms.machine_platform, "system", lambda: "Linux")
    assert str(host_platform()) == f"linux/{expected}"


MULTIARCH = [("a", "linux/amd64"), ("b", "linux/arm64/v8"), ("c", "windows/amd64"), ("d", "linux/s390x")]


@pytest.mark.parametrize(
    ("wanted", "entries", "expected"),
    [
        ("all", MULTIARCH, ["a", "b", "c", "d"]),
        ("linux/amd64", MULTIARCH, ["a"]),
        ("windows/amd64", MULTIARCH, ["c"]),
        ("linux/arm64", MULTIARCH, ["b"]),
        ("linux/arm64/v8", MULTIARCH, ["b"]),
        # The first of equals.
        ("linux/amd64", [("a", "linux/amd64"), ("b", "linux/amd64")], ["a"]),
        # The variant that is asked for before the entry without one, which is before no entry.
        ("linux/arm64/v8", [("a", "linux/arm64")], ["a"]),
        # A machine runs what is built for older ones, the newest of them first.
        ("linux/arm/v7", [("a", "linux/arm/v5"), ("b", "linux/arm/v6")], ["b"]),
        ("linux/arm/v6", [("a", "linux/arm/v7"), ("b", "linux/arm/v5")], ["b"]),
        ("linux/arm/v8", [("b", "linux/arm/v7"), ("a", "linux/arm")], ["b"]),
        # Without a wish: no variant, then the known ones.
        ("linux/arm", [("a", "linux/arm/v6"), ("c", "linux/arm"), ("b", "linux/arm/v7")], ["c"]),
        ("linux/arm", [("a", "linux/arm/v7"), ("b", "linux/arm/v8")], ["b", "a"]),
        ("linux/arm", [("a", "linux/arm/v6"), ("b", "linux/arm/v7")], ["b"]),
        ("linux/amd64", [("a", "linux/amd64/v3"), ("b", "linux/amd64")], ["b"]),
        ("linux/amd64/v3", [("a", "linux/amd64"), ("b", "linux/amd64/v3")], ["b"]),
        # Where readers do not agree, each one's choice: containerd takes linux/arm to mean v7, and linux/arm64 v8.
        ("linux/arm", [("a", "linux/arm/v6"), ("b", "linux/arm/v7"), ("c", "linux/arm")], ["c", "b"]),
        ("linux/arm64/v8", [("a", "linux/arm64"), ("b", "linux/arm64/v8")], ["b", "a"]),
        ("linux/arm/v7", [("a", "linux/arm/v5"), ("b", "linux/arm/v6"), ("c", "linux/arm")], ["b", "c"]),
        ("linux/arm64", [("b", "linux/arm64/v8"), ("a", "linux/arm64")], ["a", "b"]),
        # A new containers/image prefers what says that it is compressed with zstd, an old one and containerd do not.
        ("linux/amd64", [("a", "linux/amd64"), ("b", "linux/amd64", ZSTD)], ["a", "b"]),
        ("linux/amd64", [("a", "linux/amd64", ZSTD), ("b", "linux/amd64")], ["a"]),
        ("linux/arm/v7", [("a", "linux/arm/v7"), ("b", "linux/arm/v6", ZSTD)], ["a"]),
        # None of them looks at the media type of an entry.
        ("linux/amd64", [("a", "linux/amd64", OCTETS), ("b", "linux/amd64")], ["a"]),
        ("all", [("a", "linux/amd64", OCTETS), ("b", "linux/amd64")], ["a", "b"]),
        # What is for no platform is taken where nothing else is.
        ("linux/amd64", [("a", None), ("b", None)], ["a"]),
        ("linux/amd64", [("a", None), ("b", "linux/amd64")], ["b"]),
        # BuildKit's attestations are no instances; what only says that it runs nowhere is one.
        ("all", [("a", "linux/amd64"), ("b", "unknown/unknown", ATTESTATION)], ["a"]),
        ("all", [("a", "linux/amd64"), ("b", "unknown/unknown")], ["a", "b"]),
        ("all", [("a", "linux/amd64", ATTESTATION)], ["a"]),
        ("all", [("a", None)], ["a"]),
    ],
)
def test_the_instances_that_are_meant_are_chosen(wanted, entries, expected):
    assert names(wanted, entries) == expected


@pytest.mark.parametrize(
    ("wanted", "entries"),
    [
        ("linux/riscv64", MULTIARCH),
        ("linux/arm/v6", [("a", "linux/arm/v7")]),
        ("linux/amd64", [("a", "linux/amd64/v3")]),
        ("all", []),
        ("all", [("a", "unknown/unknown", ATTESTATION)]),
    ],
)
def test_no_fitting_instance_is_not_found(wanted, entries):
    with pytest.raises(NotFoundError, match="no image for"):
        names(wanted, entries)


def test_the_error_says_what_is_offered():
    with pytest.raises(NotFoundError, match="linux/amd64, linux/arm64/v8, linux/s390x, windows/amd64"):
        names("linux/riscv64", MULTIARCH)


def nest(memory, depth, platform="linux/amd64"):
    child = entry("deep", platform)
    for _ in range(depth):
        child = memory.put_manifest(index_bytes(child), media_type=OCI_INDEX)
    return child


@pytest.mark.parametrize("wanted", ["all", "linux/amd64"])
def test_nested_indexes_are_searched_to_the_limit(wanted):
    memory = Memory()
    (chosen,) = found(wanted, nest(memory, limits.INDEX_DEPTH - 1), memory=memory)
    assert str(chosen.digest) == entry("deep")["digest"]
    with pytest.raises(LimitExceededError):
        found(wanted, nest(memory, limits.INDEX_DEPTH), memory=memory)


@pytest.mark.parametrize("listed", [{}, {"platform": {}}, {"platform": {"os": "linux", "architecture": "x86_64"}}])
def test_a_nested_index_that_fits_is_opened_beside_a_fitting_image(listed):
    memory = Memory()
    inner = {**nest(memory, 1), **listed}
    chosen = found("linux/amd64", inner, entry("near", "linux/amd64"), memory=memory)
    assert [str(child.digest) for child in chosen] == [entry("near")["digest"], entry("deep")["digest"]]


@pytest.mark.parametrize("listed", ["linux/arm64", "windows/amd64", "unknown/unknown", "unknown/amd64"])
def test_a_nested_index_for_another_platform_is_not_opened(listed):
    memory = Memory()
    inner = entry("", listed, media_type=OCI_INDEX) | nest(memory, 1)
    (chosen,) = found("linux/amd64", inner, entry("near", "linux/amd64"), memory=memory)
    assert str(chosen.digest) == entry("near")["digest"]
    assert memory.asked == []


def test_a_nested_index_that_is_none_is_refused():
    memory = Memory()
    liar = memory.put_image(media_type=OCI_INDEX)
    with pytest.raises(MalformedManifestError):
        found("all", liar, memory=memory)


def test_the_instances_below_one_index_are_capped():
    memory = Memory()
    wide = memory.put_manifest(index_bytes(*[entry("x", "linux/amd64")] * 1000), media_type=OCI_INDEX)
    with pytest.raises(LimitExceededError):
        found("all", *[wide] * 5, memory=memory)


def test_indexes_that_hold_nothing_are_capped_too():
    memory = Memory()
    leaf = memory.put_manifest(index_bytes(), media_type=OCI_INDEX)
    wide = memory.put_manifest(index_bytes(*[leaf] * 100), media_type=OCI_INDEX)
    with pytest.raises(LimitExceededError):
        found("all", *[wide] * 100, memory=memory)
    assert len(memory.asked) <= limits.INDEX_CHILDREN
