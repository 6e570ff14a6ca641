from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.model.descriptor import OCI_INDEX, OCI_MANIFEST, Descriptor, Platform
from plimsoll.model.digest import Digest
from plimsoll.pipeline.platform_readers import opened, taken

ZSTD = {"io.github.containers.compression.zstd": "true"}


def platform(text):
    """``linux/arm/v7``, with nothing between slashes for what is absent; None for no platform."""
    if text is None:
        return None
    parts = [part or None for part in text.split("/")]
    return Platform(**dict(zip(("os", "architecture", "variant"), parts, strict=False)))


def entry(name, text, media_type=OCI_MANIFEST, **more):
    return Descriptor(media_type=media_type, digest=Digest.of(name.encode()), size=1, platform=platform(text), **more)


def names(wanted, entries, *, in_list=False):
    given = {name: entry(name, text, **dict(*more)) for name, text, *more in entries}
    picked = taken(tuple(given.values()), platform(wanted), in_list=in_list)
    return [name for child in picked for name in given if given[name] is child]


@pytest.mark.parametrize(
    ("wanted", "entries", "expected"),
    [
        # containerd knows more than one spelling, and takes the first of equals.
        ("linux/amd64", [("evil", "linux/x86_64"), ("good", "linux/amd64")], ["good", "evil"]),
        ("linux/amd64", [("evil", "linux/x86-64"), ("good", "linux/amd64")], ["good", "evil"]),
        ("linux/amd64", [("evil", "Linux/AMD64"), ("good", "linux/amd64")], ["good", "evil"]),
        ("linux/amd64", [("evil", "l\u0130nux/amd64"), ("good", "linux/amd64")], ["good", "evil"]),
        ("linux/amd64", [("evil", "/amd64"), ("good", "linux/amd64")], ["good", "evil"]),
        ("linux/386", [("evil", "linux/i386/v9"), ("good", "linux/386")], ["good", "evil"]),
        ("linux/arm64", [("evil", "linux/aarch64"), ("good", "linux/arm64")], ["good", "evil"]),
        ("linux/arm64", [("evil", "linux/arm64/8"), ("good", "linux/arm64")], ["good", "evil"]),
        ("linux/arm64", [("evil", "linux/arm64/V8"), ("good", "linux/arm64")], ["good", "evil"]),
        ("linux/arm/v7", [("evil", "linux/arm/7"), ("good", "linux/arm/v7")], ["good", "evil"]),
        ("linux/arm/v7", [("evil", "linux/armhf"), ("good", "linux/arm/v7")], ["good", "evil"]),
        ("linux/arm/v6", [("evil", "linux/armel/v7"), ("good", "linux/arm/v6")], ["good", "evil"]),
        ("darwin/arm64", [("evil", "macos/arm64"), ("good", "darwin/arm64")], ["good", "evil"]),
        # It falls back further than containers/image, to other architectures too.
        ("linux/amd64", [("good", None), ("evil", "linux/386")], ["good", "evil"]),
        ("linux/amd64", [("evil", "linux/386"), ("good", "linux/amd64")], ["good"]),
        ("linux/386", [("good", None), ("other", "linux/amd64")], ["good"]),
        ("linux/amd64/v3", [("good", "linux/amd64"), ("evil", "linux/amd64/v2")], ["good", "evil"]),
        ("linux/amd64/v3", [("evil", "linux/amd64/v1"), ("good", "linux/amd64")], ["good", "evil"]),
        ("linux/amd64/v3", [("evil", "linux/386"), ("good", "linux/amd64")], ["good", "evil"]),  # older ones
        ("linux/amd64/v3", [("good", "linux/amd64/v3"), ("other", "linux/amd64/v4")], ["good"]),
        ("linux/amd64", [("evil", "linux/amd64/v1"), ("good", "linux/amd64")], ["good", "evil"]),
        ("linux/amd64", [("evil", "linux/x86_64/v3"), ("good", "linux/amd64")], ["good", "evil"]),  # older ones
        ("linux/arm64", [("good", None), ("evil", "linux/arm/v5"), ("worse", "linux/arm")], ["good", "worse"]),
        ("linux/arm64/v9", [("good", "linux/arm64/v9"), ("other", "linux/arm64/v8.5")], ["good"]),
        ("linux/arm64/v9", [("good", "linux/arm64"), ("evil", "linux/arm64/v8.5")], ["good", "evil"]),
        ("linux/arm64/v9.1", [("good", "linux/arm64"), ("evil", "linux/arm64/v8.6")], ["good", "evil"]),
        ("linux/arm64/v8.2", [("good", "linux/arm64"), ("evil", "linux/arm64/v8.1")], ["good", "evil"]),
        ("linux/arm64/v8.2", [("good", None), ("evil", "linux/arm/v8")], ["good", "evil"]),
        ("linux/arm/v7", [("good", "linux/arm/v6"), ("evil", "linux/arm")], ["good", "evil"]),
        # An unknown level is itself, and no endless list of lower ones.
        ("linux/amd64/v999999999", [("good", "linux/amd64"), ("other", "linux/amd64/v2")], ["good"]),
        # Where nothing fits: the first without a platform, by containers/image one that says zstd; docker takes an
        # empty platform for none.
        ("linux/amd64", [("good", None), ("other", None), ("evil", None, {"annotations": ZSTD})], ["good", "evil"]),
        ("linux/amd64", [("evil", "//"), ("good", None)], ["good", "evil"]),
        ("linux/amd64", [("other", "//v1"), ("good", "linux/amd64")], ["good"]),
        ("linux/amd64", [("other", "linux/arm64")], []),
        ("linux/amd64", [], []),
    ],
)
def test_what_each_reader_takes_is_taken(wanted, entries, expected):
    assert names(wanted, entries) == expected


def test_in_a_list_of_dockers_only_containerd_takes_what_has_no_platform():
    entries = [("good", None), ("zstd", None, {"annotations": ZSTD})]
    assert names("linux/amd64", entries, in_list=True) == ["good"]
    assert names("linux/amd64", entries) == ["good", "zstd"]


def of(name, text, **more):
    return replace(entry(name, None), platform=replace(platform(text), **more))


def test_what_needs_features_is_passed_over_by_some_and_not_by_others():
    entries = [of("good", "linux/amd64", os_features=("x",)), of("evil", "linux/amd64"), of("third", "linux/amd64")]
    assert taken(entries, platform("linux/amd64"), in_list=False) == tuple(entries[:2])
    assert taken(entries[:1], platform("linux/amd64"), in_list=False) == tuple(entries[:1])


def test_of_windows_one_is_taken_for_each_version():
    versions = ("10.0.17763", "10.0.20348", "10.0.17763", None, "")
    entries = [of(str(at), "windows/amd64", os_version=version) for at, version in enumerate(versions)]
    assert taken(entries, platform("windows/amd64"), in_list=False) == (*entries[:2], entries[3])
    others = [of(str(at), "linux/amd64", os_version=version) for at, version in enumerate(versions)]
    assert taken(others, platform("linux/amd64"), in_list=False) == (others[0],)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, True),
        ("//", True),
        ("linux/amd64", True),
        ("/X86_64", True),
        ("linux/386", True),
        ("linux/amd64/v2", False),
        ("linux/arm64", False),
        ("unknown/unknown", False),
    ],
)
def test_which_nested_indexes_are_opened(text, expected):
    nested = entry("nested", text, media_type=OCI_INDEX)
    assert opened([nested], platform("linux/amd64")) == ((nested,) if expected else ())


OSES = st.sampled_from(["linux", "Linux", "", "windows", "unknown"])
ARCHITECTURES = st.sampled_from(["amd64", "x86_64", "386", "arm", "armhf", "arm64", "AArch64", "", "s390x"])
VARIANTS = st.sampled_from(["", "v1", "v6", "7", "v8", "v8.4", "v9", "V7"])
OFFERED = st.none() | st.tuples(OSES, ARCHITECTURES, VARIANTS).map("/".join)
WANTED = st.tuples(st.just("linux"), ARCHITECTURES.filter(bool), VARIANTS).map("/".join)


@settings(max_examples=100, deadline=None)
@given(WANTED, st.lists(OFFERED, max_size=6))
def test_exactly_what_is_wanted_is_always_taken_and_an_image_is_found_wherever_one_is(wanted, offered):
    entries = [entry(str(at), text) for at, text in enumerate(offered)]
    picked = taken(entries, platform(wanted), in_list=False)
    assert set(map(id, picked)) <= set(map(id, entries))
    same = [child for child in entries if child.platform == platform(wanted)]
    assert not same or same[0] in picked
    assert picked or None not in offered
    assert len(picked) <= 6
