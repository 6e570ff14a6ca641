"""What refers to an image: which of it is read, how often, and what a listing that fails or lies amounts to."""

import asyncio
from dataclasses import replace

import pytest

from fakes.sources import Memory, MemorySource, index_bytes, manifest_bytes
from plimsoll import limits
from plimsoll.errors import NotFoundError, RegistryError, UnauthorizedError, UnreachableError
from plimsoll.model.descriptor import OCI_INDEX, OCI_MANIFEST, Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.evidence import Absent, Failed, Found, Needs, ReferrersPlace
from plimsoll.model.reference import parse_reference
from plimsoll.pipeline.gather import gather
from plimsoll.pipeline.shared_source import SharedSource

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
DOCKER = parse_reference("registry.example/team/app:v1")


def memory_with_image():
    memory = Memory()
    return memory, memory.put_image("v1")


def place_of(image):
    return ReferrersPlace(digest=Digest.parse(image["digest"]), artifact_type="application/vnd.dev.sigstore.bundle")


def answer(memory, image):
    place = place_of(image)

    async def run():
        async with asyncio.timeout(10):
            return await gather(MemorySource(memory, DOCKER), Needs(places=(place,)))

    return asyncio.run(run())[place]


def data_of(found):
    assert isinstance(found, Found)
    return [item.data for item in found.attachments]


@pytest.mark.parametrize("whole", [False, True])
def test_the_source_is_told_that_none_may_be_missed(whole):
    memory, image = memory_with_image()
    needs = Needs(places=(place_of(image),), whole=whole)

    async def run():
        source = SharedSource(MemorySource(memory, DOCKER))
        return [await gather(source, each) for each in (needs, needs, replace(needs, whole=not whole))]

    asyncio.run(run())
    assert memory.wholes == [whole, not whole]


def test_nothing_that_refers_is_absent():
    memory, image = memory_with_image()
    assert answer(memory, image) == Absent()


def test_one_bundle_costs_a_listing_a_manifest_and_a_blob():
    memory, image = memory_with_image()
    listed = memory.refer(image, b"bundle", BUNDLE)
    assert data_of(answer(memory, image)) == [b"bundle"]
    layer = Digest.of(b"bundle")
    assert memory.asked == [f"referrers of {image['digest']}", str(listed.digest), str(layer)]


def test_bundles_of_every_version_are_found_in_order():
    memory, image = memory_with_image()
    memory.refer(image, b"one", BUNDLE)
    memory.refer(image, b"two", "application/vnd.dev.sigstore.bundle+json;version=0.1")
    assert data_of(answer(memory, image)) == [b"one", b"two"]


def test_artifacts_of_another_type_are_not_read():
    memory, image = memory_with_image()
    memory.refer(image, b"sbom", "application/spdx+json")
    assert answer(memory, image) == Absent()
    assert memory.asked == [f"referrers of {image['digest']}"]


@pytest.mark.parametrize("listed_as", ["", BUNDLE])
def test_what_is_listed_without_a_type_is_looked_at(listed_as):
    memory, image = memory_with_image()
    memory.refer(image, b"bundle", BUNDLE, listed_as=listed_as)
    memory.refer(image, b"other", "application/x", listed_as="")
    assert data_of(answer(memory, image)) == [b"bundle"]


def test_a_listing_that_calls_something_else_a_bundle_finds_none():
    memory, image = memory_with_image()
    memory.refer(image, b"other", "application/x", listed_as=BUNDLE)
    assert answer(memory, image) == Absent()


def test_an_unknown_media_type_does_not_hide_what_is_listed_as_a_bundle():
    memory, image = memory_with_image()
    listed = memory.refer(image, b"bundle", BUNDLE)
    memory.referrers[image["digest"]] = (replace(listed, media_type="application/json"),)
    assert data_of(answer(memory, image)) == [b"bundle"]
    memory.referrers[image["digest"]] = (replace(listed, media_type="application/json", artifact_type=""),)
    assert answer(memory, image) == Absent()


def test_an_artifact_of_two_layers_is_no_bundle():
    memory, image = memory_with_image()
    layers = [memory.put_blob(data, BUNDLE) for data in (b"one", b"two")]
    raw = manifest_bytes(layers=layers, subject=image, artifactType=BUNDLE)
    found = memory.put_manifest(raw)
    listed = Descriptor(media_type=found["mediaType"], digest=Digest.of(raw), size=len(raw), artifact_type=BUNDLE)
    memory.referrers[image["digest"]] = (listed,)
    assert answer(memory, image) == Absent()


def test_an_index_among_the_referrers_is_no_bundle():
    memory, image = memory_with_image()
    raw = index_bytes(image, artifactType=BUNDLE)
    memory.put_manifest(raw, media_type=OCI_INDEX)
    listed = Descriptor(media_type=OCI_INDEX, digest=Digest.of(raw), size=len(raw), artifact_type=BUNDLE)
    memory.referrers[image["digest"]] = (listed,)
    assert answer(memory, image) == Absent()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (UnreachableError("gone"), "unreachable"),
        (UnauthorizedError("401"), "unauthorized"),
        (RegistryError("500", status=500), "server-error"),
        (NotFoundError("page 2"), "server-error"),
    ],
)
def test_a_listing_that_fails_is_never_absent(fault, code):
    memory, image = memory_with_image()
    memory.faults[f"referrers of {image['digest']}"] = fault
    found = answer(memory, image)
    assert isinstance(found, Failed)
    assert found.reason.code == code


@pytest.mark.parametrize(
    ("fault", "code"), [(UnreachableError("gone"), "unreachable"), (NotFoundError("gone"), "server-error")]
)
@pytest.mark.parametrize("which", ["manifest", "blob"])
def test_one_that_cannot_be_had_does_not_hide_the_others(which, fault, code):
    memory, image = memory_with_image()
    lost = memory.refer(image, b"lost", BUNDLE)
    memory.refer(image, b"kept", BUNDLE)
    memory.faults[str(lost.digest if which == "manifest" else Digest.of(b"lost"))] = fault
    found = answer(memory, image)
    assert [(item.data, item.failure and item.failure.code) for item in found.attachments] == [
        (None, code),
        (b"kept", None),
    ]


def test_a_manifest_of_another_size_than_listed_fails():
    memory, image = memory_with_image()
    listed = memory.refer(image, b"bundle", BUNDLE)
    memory.referrers[image["digest"]] = (replace(listed, size=listed.size + 1),)
    (item,) = answer(memory, image).attachments
    assert (item.data, item.failure.code) == (None, "digest-mismatch")


def test_one_that_is_listed_twice_is_read_once():
    memory, image = memory_with_image()
    listed = memory.refer(image, b"bundle", BUNDLE)
    memory.referrers[image["digest"]] = (listed, listed)
    assert data_of(answer(memory, image)) == [b"bundle"]
    assert memory.asked.count(str(listed.digest)) == 1


@pytest.mark.parametrize("lie_first", [True, False])
def test_a_lie_about_the_size_does_not_hide_what_is_listed_with_the_right_one(lie_first):
    memory, image = memory_with_image()
    listed = memory.refer(image, b"bundle", BUNDLE)
    both = (replace(listed, size=listed.size + 1), listed)
    memory.referrers[image["digest"]] = both if lie_first else both[::-1]
    found = [(item.data, item.failure and item.failure.code) for item in answer(memory, image).attachments]
    expected = [(None, "digest-mismatch"), (b"bundle", None)]
    assert found == (expected if lie_first else expected[::-1])


def test_more_than_the_cap_are_not_read():
    memory, image = memory_with_image()
    for at in range(limits.SIGNATURES_PER_PLACE + 1):
        memory.refer(image, b"%d" % at, BUNDLE)
    found = answer(memory, image)
    assert isinstance(found, Failed)
    assert found.reason.code == "limit-exceeded"
    assert len(memory.asked) == 1


def test_a_bundle_past_its_cap_is_not_fetched():
    memory, image = memory_with_image()
    memory.refer(image, b"bundle", BUNDLE, size=limits.BUNDLE_BYTES + 1)
    (item,) = answer(memory, image).attachments
    assert item.failure.code == "limit-exceeded"


def test_all_bundles_together_have_a_cap():
    memory, image = memory_with_image()
    count = limits.EVIDENCE_BYTES // limits.BUNDLE_BYTES
    for at in range(count + 1):
        memory.refer(image, b"%d" % at, BUNDLE, size=limits.BUNDLE_BYTES)
    codes = [item.failure.code for item in answer(memory, image).attachments]
    assert codes == ["digest-mismatch"] * count + ["limit-exceeded"]


@pytest.mark.parametrize("claimed", [limits.BUNDLE_BYTES + 1, 2**62])
def test_a_size_that_is_merely_claimed_crowds_nothing_out(claimed):
    memory, image = memory_with_image()
    memory.refer(image, b"liar", BUNDLE, size=claimed)
    memory.refer(image, b"honest", BUNDLE)
    liar, honest = answer(memory, image).attachments
    assert (liar.failure.code, honest.data) == ("limit-exceeded", b"honest")


def refer_padded(memory, image, data, *, size):
    """A referrer whose manifest has ``size`` bytes."""
    layer = memory.put_blob(data, BUNDLE)
    bare = manifest_bytes(layers=[layer], subject=image, artifactType=BUNDLE)
    raw = bare[:-1] + b" " * (size - len(bare)) + bare[-1:]
    memory.put_manifest(raw)
    listed = Descriptor(media_type=OCI_MANIFEST, digest=Digest.of(raw), size=len(raw), artifact_type=BUNDLE)
    memory.referrers[image["digest"]] = (*memory.referrers.get(image["digest"], ()), listed)
    return listed


def test_a_manifest_past_a_referrers_cap_is_not_fetched_and_hides_no_other():
    memory, image = memory_with_image()
    large = refer_padded(memory, image, b"large", size=limits.REFERRER_MANIFEST_BYTES + 1)
    refer_padded(memory, image, b"at the cap", size=limits.REFERRER_MANIFEST_BYTES)
    refused, kept = answer(memory, image).attachments
    assert (refused.data, refused.failure.code, kept.data) == (None, "limit-exceeded", b"at the cap")
    assert str(large.digest) not in memory.asked
