"""Two policies over one image: the same bytes, asked for once, at one time."""

import asyncio
import os
from dataclasses import replace

import pytest

from fakes.signing import signer
from fakes.sources import Memory, MemorySource, MemoryTransports, describe
from plimsoll.errors import NotFoundError, UnreachableError
from plimsoll.model.comparison import Change
from plimsoll.model.descriptor import OCI_MANIFEST, Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.reference import parse_reference
from plimsoll.model.settings import Settings
from plimsoll.pipeline import policy_diff
from plimsoll.pipeline import reach as reach_module
from plimsoll.pipeline.policies import Policy
from plimsoll.pipeline.policy_diff import compare, compare_many
from plimsoll.pipeline.shared_source import SharedSource
from plimsoll.pipeline.verifier import Verifier
from plimsoll.policy.requirements import LogDemand

NAME = "registry.example/team/app"
ALICE, BOB = signer(name="alice"), signer(name="bob")


@pytest.fixture(autouse=True)
def no_configuration(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.lower().startswith(("registry_", "containers_", "xdg_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def policies(tmp_path):
    found = {}
    for name, by in (("alice", ALICE), ("bob", BOB)):
        path = tmp_path / f"{name}.pub"
        path.write_bytes(by.pem)
        found[name] = Policy.from_keys(path, log=LogDemand.IGNORED)
    return found


@pytest.fixture
def diff(monkeypatch, policies):
    def run(memory, old, new, *images, transports=MemoryTransports):
        monkeypatch.setattr(reach_module, "Transports", lambda *_, **__: transports(memory))

        async def compared():
            async with (
                Verifier(policies[old], settings=Settings()) as before,
                Verifier(policies[new], settings=Settings()) as after,
                asyncio.timeout(20),
            ):
                if len(images) == 1:
                    return [await compare(before, after, images[0])]
                return [pair async for pair in compare_many(before, after, images, concurrency=4)]

        return sorted(asyncio.run(compared()), key=lambda pair: pair.old.position)

    return run


def signed(*signers):
    memory = Memory()
    image = memory.put_image("v1")
    if signers:
        memory.sign(image, *signers)
    return memory


@pytest.mark.parametrize(
    ("signers", "change", "outcomes"),
    [
        ((ALICE,), Change.CHANGED, ("accepted", "rejected")),
        ((BOB,), Change.CHANGED, ("rejected", "accepted")),
        ((ALICE, BOB), Change.NONE, ("accepted", "accepted")),
        ((), Change.NONE, ("rejected", "rejected")),
    ],
)
def test_whose_verdict_changes(diff, signers, change, outcomes):
    (pair,) = diff(signed(*signers), "alice", "bob", f"{NAME}:v1")
    assert pair.change is change
    assert (pair.old.outcome.value, pair.new.outcome.value) == outcomes


def test_what_both_ask_for_is_asked_once(diff):
    memory = signed(ALICE)
    (pair,) = diff(memory, "alice", "alice", f"{NAME}:v1")
    assert (pair.old.requests, pair.new.requests, pair.new.bytes) == (3, 0, 0)
    assert len(memory.asked) == 3
    assert memory.closed == 1
    other = signed(ALICE)
    (pair,) = diff(other, "alice", "bob", f"{NAME}:v1")
    assert pair.change is Change.CHANGED
    assert sorted(other.asked) == sorted(set(other.asked))


class Moving(MemorySource):
    """A tag that names another image each time it is asked for."""

    async def manifest(self):
        found = await super().manifest()
        self._memory.tags["v1"] = self._memory.tags["v2"]
        return found


class MovingTransports(MemoryTransports):
    async def open(self, reference):
        return Moving(self.memory, reference)


def test_a_tag_that_moves_in_between_is_judged_once(diff):
    memory = signed(ALICE)
    memory.sign(memory.put_image("v2", layers=(b"other",)), BOB)
    first = Digest.of(memory.tags["v1"])
    (pair,) = diff(memory, "alice", "bob", f"{NAME}:v1", transports=MovingTransports)
    assert (pair.old.digest, pair.new.digest) == (first, first)
    assert (pair.old.outcome.value, pair.new.outcome.value) == ("accepted", "rejected")


def test_a_failure_is_the_same_for_both_and_decides_nothing(diff):
    memory = signed(ALICE)
    tag = f"{Digest.of(memory.tags['v1']).tag}.sig"
    memory.faults[tag] = UnreachableError("no way")
    (pair,) = diff(memory, "alice", "bob", f"{NAME}:v1")
    assert pair.change is Change.UNDECIDED
    assert [verdict.reasons[0].code for verdict in (pair.old, pair.new)] == ["unreachable", "unreachable"]
    assert memory.asked.count(tag) == 1
    (gone,) = diff(signed(ALICE), "alice", "bob", f"{NAME}:v9")
    assert gone.change is Change.UNDECIDED
    assert (gone.old.requests, gone.new.requests) == (1, 0)


def test_an_image_that_cannot_be_opened_is_tried_once(diff):
    tried = []

    class Closed(MemoryTransports):
        async def open(self, reference):
            tried.append(reference)
            raise NotFoundError("there is no such layout")

    (pair,) = diff(Memory(), "alice", "bob", f"{NAME}:v1", transports=Closed)
    assert pair.change is Change.UNDECIDED
    assert len(tried) == 1
    assert pair.old.reasons == pair.new.reasons


def test_a_fault_of_ours_is_two_verdicts_and_no_crash(diff):
    memory = signed(ALICE)
    memory.faults["v1"] = ValueError("x")
    (pair,) = diff(memory, "alice", "bob", f"{NAME}:v1")
    assert [verdict.reasons[0].code for verdict in (pair.old, pair.new)] == ["internal-error", "internal-error"]
    assert memory.closed == 1


def test_many_images_each_with_its_position_and_what_is_none(diff):
    memory = signed(ALICE)
    memory.put_image("v2", layers=(b"other",))
    found = diff(memory, "alice", "bob", f"{NAME}:v1", "A B", f"{NAME}:v2", f"{NAME}:v1")
    assert [pair.change.value for pair in found] == ["changed", "undecided", "none", "changed"]
    assert [pair.new.position for pair in found] == [0, 1, 2, 3]
    assert found[1].new.reasons[0].code == "invalid-reference"


def test_both_are_judged_at_one_time(monkeypatch, diff):
    times = []
    verifying = policy_diff.verify_reference

    async def noted(bench, *what, **how):
        times.append((bench.now(), bench.now()))
        return await verifying(bench, *what, **how)

    monkeypatch.setattr(policy_diff, "verify_reference", noted)
    diff(signed(ALICE), "alice", "bob", f"{NAME}:v1")
    assert len(times) == 2
    assert len({now for pair in times for now in pair}) == 1


def test_a_shared_source_gives_what_the_one_below_gives_and_closes_nothing():
    memory = signed(ALICE)
    image = Descriptor(media_type=OCI_MANIFEST, digest=Digest.of(memory.tags["v1"]), size=len(memory.tags["v1"]))
    layer = describe(b"layer")
    blob = Descriptor(media_type=layer["mediaType"], digest=Digest.parse(layer["digest"]), size=layer["size"])

    async def run():
        below = MemorySource(memory, parse_reference(f"{NAME}:v1"))
        source = SharedSource(below)
        assert (source.location, source.physical, source.contacted) == (
            below.location,
            below.physical,
            below.contacted,
        )
        for _ in range(2):
            assert (await source.manifest()).data == memory.tags["v1"]
            assert (await source.manifest_by_digest(image)).data == memory.tags["v1"]
            assert await source.blob(blob, limit=100) == b"layer"
            with pytest.raises(NotFoundError):
                await source.manifest_by_tag("v9")
            assert await source.referrers(image.digest, whole=False) == ()
            assert await source.stored_signatures("", image.digest) == ()
        # Another question is never answered with a remembered answer.
        with pytest.raises(Exception, match="bytes"):
            await source.manifest_by_digest(replace(image, size=1))
        assert [chunk async for chunk in source.stream(blob)] == [b"layer"]
        await source.aclose()
        return source.meter.requests

    assert asyncio.run(run()) == 6
    assert sum(name.startswith("referrers") for name in memory.asked) == 1
    assert memory.closed == 0
