"""What is gathered and not judged yet is bounded over all images, and none of them waits for ever."""

from __future__ import annotations

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest

from fakes.signing import SIGNATURE, SIMPLE_SIGNING, b64, payload_bytes, signer
from fakes.sources import Memory, MemorySource, MemoryTransports, manifest_bytes
from plimsoll.model.digest import Digest
from plimsoll.model.evidence import Needs, ReferrersPlace, StorePlace, TagPlace
from plimsoll.model.reference import parse_reference
from plimsoll.model.settings import Layers, Settings
from plimsoll.model.verdict import Outcome
from plimsoll.pipeline.batching import Batcher
from plimsoll.pipeline.evidence_budget import EvidenceBudget
from plimsoll.pipeline.gather import gather
from plimsoll.pipeline.judging import judge_batch
from plimsoll.pipeline.layers import BlobHasher, hash_batch
from plimsoll.pipeline.platforms import IndexRule
from plimsoll.pipeline.verify import Bench, verify_reference
from plimsoll.policy.prepare import prepare
from plimsoll.policy.requirements import AdHoc, LogDemand

ALICE = signer(name="alice")
NAME = "registry.example/team/app"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"


def run(work):
    async def limited():
        async with asyncio.timeout(30):
            return await work

    return asyncio.run(limited())


async def settled(task):
    """Whether a task is done after everybody else had many turns."""
    for _ in range(50):
        await asyncio.sleep(0)
    return task.done()


def test_what_fits_waits_for_nothing_and_what_does_not_goes_on_beyond_one_at_a_time():
    async def work():
        budget = EvidenceBudget(100)
        with ExitStack() as images:
            first, second, third = (images.enter_context(budget.share()) for _ in range(3))
            await first.take(60)
            await second.take(40)
            await second.take(1000)  # the first that finds no room: beyond
            await second.take(1000)
            waiting = asyncio.create_task(first.take(1))
            behind = asyncio.create_task(third.take(0))
            assert not await settled(waiting)
            assert not await settled(behind)  # in the order of asking
            for task in (waiting, behind):
                task.cancel()
            await asyncio.gather(waiting, behind, return_exceptions=True)

    run(work())


def test_whoever_is_judged_lets_others_go_on():
    async def work():
        budget = EvidenceBudget(100)
        order = []

        async def image(name, *wishes):
            with budget.share() as share:
                for wanted in wishes:
                    await share.take(wanted)
                    await asyncio.sleep(0)
                order.append(name)

        async with asyncio.TaskGroup() as group:
            for name, wishes in (("a", (90,)), ("b", (90,)), ("c", (90,)), ("d", (1000,)), ("e", (1,))):
                group.create_task(image(name, *wishes))
        assert sorted(order) == ["a", "b", "c", "d", "e"]
        with budget.share() as share:
            await share.take(100)  # all of it came back
            with budget.share() as beyond:
                await beyond.take(1)
                assert beyond.held == 0

    run(work())


def test_an_image_that_holds_some_waits_for_no_other_that_holds_some():
    """Without a way beyond these would wait for one another: each holds a half, and wants another half."""

    async def work():
        budget, done = EvidenceBudget(100), []

        async def image(at):
            with budget.share() as share:
                await share.take(50)
                await asyncio.sleep(0)
                await share.take(50)
                await asyncio.sleep(0)
                done.append(at)

        async with asyncio.TaskGroup() as group:
            for at in range(20):
                group.create_task(image(at))
        assert sorted(done) == list(range(20))

    run(work())


def test_the_wishes_of_one_image_at_once_do_not_wait_for_each_other():
    """One goes beyond while another, of the same image, stands behind somebody else's in the queue."""

    async def work():
        budget = EvidenceBudget(10)
        with ExitStack() as images:
            holding, many = images.enter_context(budget.share()), images.enter_context(budget.share())
            with budget.share() as other:
                await holding.take(10)
                await other.take(1)  # beyond
                wishes = [asyncio.create_task(each.take(5)) for each in (many, holding, many, many)]
                assert not any([await settled(wish) for wish in wishes])
            # The other is judged: `many` goes beyond, with all that it wished for, and `holding` waits for it.
            assert [await settled(wish) for wish in wishes] == [True, False, True, True]
            wishes[1].cancel()
            await asyncio.gather(*wishes, return_exceptions=True)

    run(work())


@pytest.mark.parametrize("seed", range(10))
def test_every_image_is_judged_and_the_bound_holds(seed):
    """Whatever they wish for, at once or in turn, whoever is cancelled: no more than the total and one image's."""
    chance = random.Random(seed)

    async def work():
        total, budget, done = 100, EvidenceBudget(100), []
        lying: dict[int, int] = {}

        async def wish(share, at, wanted):
            await share.take(wanted)
            lying[at] += wanted
            assert sum(lying.values()) - max(lying.values()) <= total
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)

        async def image(at, wishes, *, at_once):
            with budget.share() as share:
                lying[at] = 0
                try:
                    if at_once:
                        async with asyncio.TaskGroup() as group:
                            for wanted in wishes:
                                group.create_task(wish(share, at, wanted))
                    else:
                        for wanted in wishes:
                            await wish(share, at, wanted)
                finally:
                    del lying[at]
            done.append(at)

        tasks = [
            asyncio.create_task(
                image(
                    at, [chance.choice([0, 1, 10, 60, 100, 300]) for _ in range(chance.randrange(5))],
                    at_once=chance.random() < 0.5,
                )
            )
            for at in range(30)
        ]  # fmt: skip
        await asyncio.sleep(0)
        dropped = set(chance.sample(tasks, 8))
        for task in dropped:
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.cancelled() or task.exception() is None for task in tasks)
        assert all(task in dropped or not task.cancelled() for task in tasks)
        with budget.share() as share:
            await share.take(total)
            assert share.held == total

    run(work())


# --- what gather takes ------------------------------------------------------------------------------------------------


@dataclass
class Recorded:
    """A share that grants everything and remembers it, with what had been asked of the source by then."""

    memory: Memory

    def __post_init__(self):
        self.taken = []

    async def take(self, wanted):
        self.taken.append((wanted, len(self.memory.asked)))


def taken(memory, place):
    share = Recorded(memory)
    run(gather(MemorySource(memory, parse_reference(f"{NAME}:v1")), Needs(places=(place,)), share=share))
    return share.taken


def test_the_layers_of_a_tag_are_taken_before_they_are_read_each_once():
    memory = Memory()
    layer = memory.put_blob(b"x" * 700, SIMPLE_SIGNING)
    lie = memory.put_blob(b"lie", SIMPLE_SIGNING, size=10**12)
    listing = manifest_bytes(layers=[layer, layer])
    memory.put_manifest(listing, "sha256-a.sig")
    place = TagPlace(tag="sha256-a.sig", media_types=frozenset({SIMPLE_SIGNING}))
    assert taken(memory, place) == [(len(listing), 1), (700, 1)]
    listing = manifest_bytes(layers=[lie])
    memory.put_manifest(listing, "sha256-a.sig")
    assert [wanted for wanted, _ in taken(memory, place)] == [len(listing)]  # beyond the cap of a place: not read


def test_what_refers_is_taken_before_it_is_read():
    memory = Memory()
    image = memory.put_image("v1")
    listed = memory.refer(image, b"x" * 900, BUNDLE, annotations={"a": "b" * 5000})
    place = ReferrersPlace(digest=Digest.parse(image["digest"]), artifact_type="application/vnd.dev.sigstore.bundle")
    assert taken(memory, place) == [(listed.size, 1), (900, 2)]


def test_what_refers_keeps_no_annotations():
    memory = Memory()
    image = memory.put_image("v1")
    memory.refer(image, b"x", BUNDLE, annotations={"a": "b" * 5000})
    place = ReferrersPlace(digest=Digest.parse(image["digest"]), artifact_type="application/vnd.dev.sigstore.bundle")
    answers = run(gather(MemorySource(memory, parse_reference(f"{NAME}:v1")), Needs(places=(place,))))
    (found,) = answers[place].attachments
    assert (found.data, found.descriptor.annotations) == (b"x", {})


def test_a_store_is_taken_when_it_was_read():
    class Stored(MemorySource):
        async def stored_signatures(self, base, digest):
            return (b"1" * 10, b"2" * 20)

    memory = Memory()
    share = Recorded(memory)
    place = StorePlace(base="https://sigs.example", digest=Digest.of(b"x"))
    run(gather(Stored(memory, parse_reference(f"{NAME}:v1")), Needs(places=(place,)), share=share))
    assert share.taken == [(30, 0)]


# --- a run ------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def bench(memory, *, budget, judges=judge_batch):
    def no_key(path):
        raise AssertionError(path)

    asked = AdHoc(keys=(ALICE.key,), log=LogDemand.IGNORED)
    chosen = prepare((asked,), read_key=no_key, trust_root=None, attachments=True)

    async def ready_for(*_):
        return chosen

    with ThreadPoolExecutor(max_workers=2) as executor:
        yield Bench(
            transports=MemoryTransports(memory),
            ready_for=ready_for,
            judges=Batcher(judges, executor=executor, workers=2, most=8),
            hasher=BlobHasher(Batcher(hash_batch, executor=executor, workers=2, most=8)),
            layers=Layers.NONE,
            indexes=IndexRule.of(Settings()),
            now=lambda: 1_800_000_000.0,
            monotonic=lambda: 0.0,
            evidence=budget,
        )


def put_signed(memory, tag, *, filling):
    """An image whose signature has a payload of some size, of its own."""
    image = memory.put_image(tag, layers=(tag.encode(),))
    digest = Digest.parse(image["digest"])
    payload = payload_bytes(digest, optional={"filling": "x" * filling})
    layer = memory.put_blob(payload, SIMPLE_SIGNING, annotations={SIGNATURE: b64(ALICE.sign(payload))})
    memory.put_manifest(manifest_bytes(layers=[layer]), f"{digest.tag}.sig")
    return str(Digest.of(payload))


def test_the_payloads_of_many_images_are_bounded_until_they_are_judged():
    """Of 40 images no more than some are read while the first are not judged; in the end all are accepted."""
    memory = Memory()
    payloads = {put_signed(memory, f"v{at}", filling=100_000) for at in range(40)}
    read, budget = [], EvidenceBudget(500_000)
    gate = asyncio.Event()

    async def work():
        async with bench(memory, budget=budget) as made:
            submit = made.judges.submit

            async def held(case):
                await gate.wait()
                return await submit(case)

            made.judges.submit = held
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(verify_reference(made, parse_reference(f"{NAME}:v{at}"), position=at))
                    for at in range(40)
                ]
                assert not any([await settled(task) for task in tasks])
                read.append(len(payloads.intersection(memory.asked)))
                gate.set()
            return [task.result().outcome for task in tasks]

    assert run(work()) == [Outcome.ACCEPTED] * 40
    assert 4 <= read[0] <= 6


def test_an_image_larger_than_the_whole_budget_is_judged():
    memory = Memory()
    for at in range(4):
        put_signed(memory, f"v{at}", filling=50_000)

    async def work():
        async with bench(memory, budget=EvidenceBudget(10)) as made:
            found = [verify_reference(made, parse_reference(f"{NAME}:v{at}"), position=at) for at in range(4)]
            return [verdict.outcome for verdict in await asyncio.gather(*found)]

    assert run(work()) == [Outcome.ACCEPTED] * 4
