import asyncio

import pytest

from fakes.signing import SIGNATURE, SIMPLE_SIGNING
from fakes.sources import Memory, MemorySource, index_bytes, manifest_bytes
from plimsoll import limits
from plimsoll.errors import (
    DigestMismatchError,
    NotFoundError,
    RateLimitedError,
    RegistryError,
    RequestTimeoutError,
    UnauthorizedError,
    UnreachableError,
)
from plimsoll.model.digest import Digest
from plimsoll.model.evidence import Absent, Failed, Found, Needs, TagPlace
from plimsoll.model.reference import parse_reference
from plimsoll.pipeline.gather import gather

SIG = f"sha256-{'a' * 64}.sig"
PLACE = TagPlace(tag=SIG, media_types=frozenset({SIMPLE_SIGNING}))
DOCKER = parse_reference("registry.example/team/app:v1")


def ask(memory, *places, reference=DOCKER):
    async def run():
        async with asyncio.timeout(10):
            return await gather(MemorySource(memory, reference), Needs(places=places or (PLACE,)))

    return asyncio.run(run())


def answer(memory, **options):
    return ask(memory, **options)[PLACE]


def with_layers(memory, *layers):
    memory.put_manifest(manifest_bytes(layers=layers), SIG)
    return memory


def payload(memory, data=b"payload", **changes):
    return memory.put_blob(data, SIMPLE_SIGNING, **changes)


def test_a_tag_that_is_not_there_is_absent():
    assert answer(Memory()) == Absent()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (UnreachableError("no connection"), "unreachable"),
        (RequestTimeoutError("30 s"), "timeout"),
        (UnauthorizedError("401"), "unauthorized"),
        (RateLimitedError("429"), "rate-limited"),
        (RegistryError("500", status=500), "server-error"),
    ],
)
def test_a_place_that_fails_is_never_absent(fault, code):
    found = answer(Memory(faults={SIG: fault}))
    assert isinstance(found, Failed)
    assert found.reason.code == code


def test_all_layers_of_the_asked_type_are_found_in_order():
    memory = Memory()
    layers = [
        payload(memory, b"one", annotations={SIGNATURE: "1"}),
        memory.put_blob(b"other", "application/x"),
        payload(memory, b"two", annotations={SIGNATURE: "2"}),
    ]
    found = answer(with_layers(memory, *layers))
    assert isinstance(found, Found)
    assert [attachment.data for attachment in found.attachments] == [b"one", b"two"]
    assert [attachment.descriptor.annotations[SIGNATURE] for attachment in found.attachments] == ["1", "2"]


def test_layers_of_other_types_are_not_fetched():
    memory = Memory()
    other = memory.put_blob(b"other", "application/x")
    assert answer(with_layers(memory, other)) == Found(attachments=())
    assert memory.asked == [SIG]


def test_one_payload_costs_one_manifest_and_one_blob():
    memory = Memory()
    layer = payload(memory)
    answer(with_layers(memory, layer))
    assert memory.asked == [SIG, layer["digest"]]


def test_two_layers_of_one_blob_are_fetched_once_and_both_found():
    memory = Memory()
    first, second = payload(memory, annotations={SIGNATURE: "1"}), payload(memory, annotations={SIGNATURE: "2"})
    found = answer(with_layers(memory, first, second))
    assert [attachment.data for attachment in found.attachments] == [b"payload", b"payload"]
    assert memory.asked == [SIG, first["digest"]]


@pytest.mark.parametrize("lie_first", [True, False])
def test_of_two_layers_of_one_digest_with_different_sizes_only_the_lie_fails(lie_first):
    memory = Memory()
    true, lie = payload(memory), payload(memory, size=3)
    layers = [lie, true] if lie_first else [true, lie]
    found = answer(with_layers(memory, *layers))
    outcomes = [(item.data, item.failure and item.failure.code) for item in found.attachments]
    expected = [(None, "digest-mismatch"), (b"payload", None)]
    assert outcomes == (expected if lie_first else expected[::-1])


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (UnreachableError("gone"), "unreachable"),
        (NotFoundError("gone"), "server-error"),
        (DigestMismatchError("other bytes"), "digest-mismatch"),
    ],
)
def test_a_blob_that_cannot_be_had_does_not_hide_the_others(fault, code):
    memory = Memory()
    layers = [payload(memory, data) for data in (b"one", b"two", b"three")]
    memory.faults[layers[1]["digest"]] = fault
    found = answer(with_layers(memory, *layers))
    assert [item.data for item in found.attachments] == [b"one", None, b"three"]
    failure = found.attachments[1].failure
    assert failure.code == code
    assert SIG in failure.message


def test_a_payload_whose_bytes_are_others_fails():
    memory = Memory()
    layer = payload(memory)
    memory.blobs[layer["digest"]] = b"PAYLOAD"
    (found,) = answer(with_layers(memory, layer)).attachments
    assert (found.data, found.failure.code) == (None, "digest-mismatch")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (index_bytes(), "manifest-invalid"),
        (b"{}", "manifest-invalid"),
        (b"not json", "manifest-invalid"),
        (b'{"schemaVersion":2,"schemaVersion":2}', "manifest-invalid"),
        (b'{"schemaVersion":1,"fsLayers":[],"history":[]}', "unsupported"),
    ],
)
def test_what_is_no_image_manifest_at_the_tag_fails(data, code):
    memory = Memory()
    memory.put_manifest(data, SIG)
    found = answer(memory)
    assert isinstance(found, Failed)
    assert found.reason.code == code
    assert SIG in found.reason.message


@pytest.mark.parametrize(
    ("count", "fits"), [(limits.SIGNATURES_PER_PLACE, True), (limits.SIGNATURES_PER_PLACE + 1, False)]
)
def test_the_number_of_signatures_is_capped_before_one_is_fetched(count, fits):
    memory = Memory()
    with_layers(memory, *[payload(memory)] * count)
    found = answer(memory)
    if fits:
        assert len(found.attachments) == count
    else:
        assert found.reason.code == "limit-exceeded"
        assert memory.asked == [SIG]


def test_the_bytes_of_all_signatures_together_are_capped_before_one_is_fetched():
    memory = Memory()
    count = limits.EVIDENCE_BYTES // limits.PAYLOAD_BYTES + 1
    with_layers(memory, *[payload(memory, bytes([at]), size=limits.PAYLOAD_BYTES) for at in range(count)])
    assert answer(memory).reason.code == "limit-exceeded"
    assert memory.asked == [SIG]


def test_one_payload_that_is_too_large_is_not_read():
    memory = Memory()
    large = payload(memory, b"large", size=limits.PAYLOAD_BYTES + 1)
    found = answer(with_layers(memory, large, payload(memory, b"small")))
    assert [(item.data, item.failure and item.failure.code) for item in found.attachments] == [
        (None, "limit-exceeded"),
        (b"small", None),
    ]


def test_every_place_is_asked():
    memory = Memory()
    with_layers(memory, payload(memory))
    other = TagPlace(tag="other", media_types=frozenset({SIMPLE_SIGNING}))
    assert set(ask(memory, PLACE, other)) == {PLACE, other}


def test_a_tag_longer_than_the_grammar_allows_is_absent_in_every_registry_and_not_asked():
    digest = Digest.of(b"image", algorithm="sha512")
    place = TagPlace(tag=f"{digest.tag}.sig", media_types=frozenset({SIMPLE_SIGNING}))
    memory = Memory()
    memory.put_manifest(manifest_bytes(), place.tag)
    assert ask(memory, place) == {place: Absent()}
    assert memory.asked == []
    # A layout names as it likes.
    assert ask(memory, place, reference=parse_reference("oci:/layouts/app:v1")) == {place: Found(attachments=())}


def test_cancellation_passes():
    async def run():
        memory = Memory(holds={SIG: asyncio.Event()})
        task = asyncio.create_task(gather(MemorySource(memory, DOCKER), Needs(places=(PLACE,))))
        while not memory.asked:
            await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run())
