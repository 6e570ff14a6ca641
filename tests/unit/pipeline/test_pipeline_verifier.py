import asyncio
from contextlib import aclosing

import pytest

import plimsoll
from fakes.signing import signer
from fakes.sources import Memory, MemoryTransports
from plimsoll.errors import ConfigError, RejectedError, UnreadableKeyError, UsageError
from plimsoll.model.settings import Settings
from plimsoll.model.trusted_root import CertificateAuthority
from plimsoll.model.verdict import Outcome, Reason
from plimsoll.pipeline import reach as reach_module
from plimsoll.pipeline.intake import Unread
from plimsoll.pipeline.policies import Policy
from plimsoll.pipeline.verifier import Verifier, verify
from plimsoll.policy.requirements import LogDemand

NAME = "registry.example/team/app"
ALICE = signer(name="alice")


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "alice.pub"
    path.write_bytes(ALICE.pem)
    return path


@pytest.fixture
def policy(key):
    return Policy.from_keys(key, log=LogDemand.IGNORED)


@pytest.fixture
def memory(monkeypatch):
    """A repository of ten images, every third unsigned, that every Verifier reaches."""
    found = Memory()
    for at in range(10):
        image = found.put_image(f"v{at}", layers=(b"%d" % at,))
        if at % 3:
            found.sign(image, ALICE)
    monkeypatch.setattr(reach_module, "Transports", lambda *_, **__: MemoryTransports(found))
    return found


REFERENCES = [f"{NAME}:v{at}" for at in range(10)]
EXPECTED = [Outcome.ACCEPTED if at % 3 else Outcome.REJECTED for at in range(10)]


def test_one_image(memory, policy):
    async def run():
        async with Verifier(policy) as verifier:
            return await verifier.verify(REFERENCES[1])

    verdict = asyncio.run(run())
    assert (verdict.outcome, verdict.position, verdict.requests) == (Outcome.ACCEPTED, 0, 3)


def test_many_images_each_with_its_position(memory, policy):
    async def run():
        async with Verifier(policy) as verifier:
            return [verdict async for verdict in verifier.verify_many(iter(REFERENCES))]

    found = sorted(asyncio.run(run()), key=lambda verdict: verdict.position)
    assert [verdict.outcome for verdict in found] == EXPECTED
    assert [verdict.image for verdict in found] == [f"docker://{text}" for text in REFERENCES]


def test_a_reference_an_async_iterable_and_duplicates_are_fine(memory, policy):
    async def references():
        for text in (REFERENCES[1], plimsoll.parse_reference(REFERENCES[1]), REFERENCES[1], "A"):
            yield text

    async def run():
        async with Verifier(policy) as verifier:
            return [verdict async for verdict in verifier.verify_many(references())]

    found = sorted(asyncio.run(run()), key=lambda verdict: verdict.position)
    assert [verdict.outcome.value for verdict in found] == ["accepted"] * 3 + ["undetermined"]


@pytest.mark.parametrize("text", ["", "A", "sif:x", "\udcff", "x" * 9999])
def test_a_text_that_is_no_reference_is_an_undetermined_verdict(memory, policy, text):
    async def run():
        async with Verifier(policy) as verifier:
            return await verifier.verify(text, position=3)

    verdict = asyncio.run(run())
    shown = text.encode("utf-8", "backslashreplace").decode()
    assert (verdict.outcome, verdict.position, verdict.image) == (Outcome.UNDETERMINED, 3, shown)
    assert [reason.code for reason in verdict.reasons] == ["invalid-reference"]


def test_an_unread_entry_is_its_reasons_verdict(memory, policy):
    async def run(code):
        async with Verifier(policy) as verifier:
            return await verifier.verify(Unread(text="x", reason=Reason(code=code, message="m")))

    assert asyncio.run(run("unreachable")).outcome is Outcome.UNDETERMINED
    assert asyncio.run(run("limit-exceeded")).outcome is Outcome.REJECTED


def test_any_number_of_tasks_share_one_verifier(memory, policy):
    async def run():
        async with Verifier(policy, settings=Settings(concurrency=2)) as verifier:

            async def one():
                return [await verifier.verify(text) for text in REFERENCES]

            async def many():
                found = [verdict async for verdict in verifier.verify_many(REFERENCES)]
                return sorted(found, key=lambda verdict: verdict.position)

            return await asyncio.gather(*[one() for _ in range(5)], *[many() for _ in range(5)])

    for verdicts in asyncio.run(run()):
        assert [verdict.outcome for verdict in verdicts] == EXPECTED


def test_closing_verify_many_cancels_the_requests_in_flight(memory, policy):
    async def run():
        memory.holds = {f"v{at}": asyncio.Event() for at in range(1, 10)}
        async with Verifier(policy, settings=Settings(concurrency=4)) as verifier:
            async with aclosing(verifier.verify_many(REFERENCES)) as found:
                async for verdict in found:
                    assert verdict.position == 0
                    break
            return len(asyncio.all_tasks())

    assert asyncio.run(run()) == 1
    assert memory.closed == len([name for name in memory.asked if name.startswith("v")])


def test_outside_async_with_it_refuses(memory, policy):
    verifier = Verifier(policy)

    async def run():
        with pytest.raises(RuntimeError, match="async with"):
            await verifier.verify(REFERENCES[1])
        with pytest.raises(RuntimeError, match="async with"):
            verifier.verify_many(REFERENCES)
        async with verifier:
            await verifier.verify(REFERENCES[1])
        with pytest.raises(RuntimeError, match="async with"):
            await verifier.verify(REFERENCES[1])

    asyncio.run(run())


async def until_asked(memory, *names):
    async with asyncio.timeout(10):
        while not set(names) <= set(memory.asked):
            await asyncio.sleep(0)


class TestLeaving:
    """Nothing that a Verifier began goes on once it is left."""

    def test_a_verify_in_flight_is_not_judged_and_its_task_goes_on(self, memory, policy):
        memory.holds["v1"] = asyncio.Event()

        async def task_of_its_own(verifier):
            verdict = await verifier.verify(REFERENCES[1], position=7)
            await asyncio.sleep(0)  # a cancellation that leaked would strike here
            return verdict, asyncio.current_task().cancelling()

        async def run():
            async with Verifier(policy) as verifier:
                task = asyncio.create_task(task_of_its_own(verifier))
                await until_asked(memory, "v1")
            closed = memory.closed
            return closed, *await task

        closed, verdict, cancelling = asyncio.run(run())
        assert (verdict.outcome, [reason.code for reason in verdict.reasons]) == (Outcome.UNDETERMINED, ["not-judged"])
        assert (verdict.image, verdict.position) == (f"docker://{REFERENCES[1]}", 7)
        assert (closed, cancelling) == (1, 0)

    def test_a_cancellation_at_the_same_time_passes(self, memory, policy):
        memory.holds["v1"] = asyncio.Event()

        async def run():
            async with Verifier(policy) as verifier:
                task = asyncio.create_task(verifier.verify(REFERENCES[1]))
                await until_asked(memory, "v1")
                task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(run())

    def test_a_run_that_was_broken_off_and_kept_is_ended(self, memory, policy):
        memory.holds = {f"v{at}": asyncio.Event() for at in range(1, 10)}

        async def run():
            async with Verifier(policy, settings=Settings(concurrency=4)) as verifier:
                verdicts = verifier.verify_many(REFERENCES)
                async for _ in verdicts:
                    break
                assert len(asyncio.all_tasks()) > 1
            assert len(asyncio.all_tasks()) == 1
            assert memory.closed == len([name for name in memory.asked if name.startswith("v")])
            with pytest.raises(RuntimeError, match="was left"):
                await anext(verdicts)
            with pytest.raises(StopAsyncIteration):
                await anext(verdicts)

        asyncio.run(run())

    def test_who_still_takes_from_a_run_is_told_that_it_is_not_all(self, memory, policy):
        memory.holds = {f"v{at}": asyncio.Event() for at in range(1, 10)}

        async def take(verifier, begun):
            verdicts = verifier.verify_many(REFERENCES)
            first = await anext(verdicts)
            begun.set()
            with pytest.raises(RuntimeError, match="was left"):
                await anext(verdicts)
            await asyncio.sleep(0)  # a cancellation that leaked would strike here
            return first.position

        async def run():
            async with Verifier(policy, settings=Settings(concurrency=4)) as verifier:
                begun = [asyncio.Event() for _ in range(2)]
                takers = [asyncio.create_task(take(verifier, event)) for event in begun]
                await asyncio.gather(*[event.wait() for event in begun])
            return await asyncio.gather(*takers), len(asyncio.all_tasks())

        assert asyncio.run(run()) == ([0, 0], 1)

    def test_a_run_that_was_never_begun_gives_nothing(self, memory, policy):
        async def run():
            async with Verifier(policy) as verifier:
                verdicts, tags = verifier.verify_many(REFERENCES), verifier.tags(plimsoll.parse_reference(NAME))
            for left in (verdicts, tags):
                with pytest.raises(RuntimeError, match="was left"):
                    await anext(left)

        asyncio.run(run())
        assert memory.asked == []

    def test_a_second_entry_is_refused_and_the_first_goes_on(self, memory, policy):
        async def run():
            async with Verifier(policy) as verifier:
                with pytest.raises(RuntimeError, match="entered already"):
                    await verifier.__aenter__()
                return await verifier.verify(REFERENCES[1])

        assert asyncio.run(run()).outcome is Outcome.ACCEPTED

    def test_it_can_be_entered_again_after_it_was_left(self, memory, policy):
        verifier = Verifier(policy)

        async def run():
            async with verifier:
                return [verdict.outcome async for verdict in verifier.verify_many(REFERENCES[1:3])]

        assert asyncio.run(run()) == asyncio.run(run()) == [Outcome.ACCEPTED] * 2


@pytest.mark.parametrize("image", [None, 5, b"registry.example/team/app:v1", ["registry.example/team/app:v1"]])
def test_what_is_neither_a_text_nor_a_reference_is_a_type_error(memory, policy, image):
    async def run():
        async with Verifier(policy) as verifier:
            with pytest.raises(TypeError, match="an image is a text or a Reference"):
                await verifier.verify(image)
            with pytest.raises(TypeError, match="an image is a text or a Reference"):
                [verdict async for verdict in verifier.verify_many([image])]

    asyncio.run(run())
    assert memory.asked == []


@pytest.mark.parametrize("images", [NAME, NAME.encode(), bytearray(NAME.encode()), memoryview(NAME.encode())])
def test_one_text_or_bytes_are_no_list_of_images(memory, policy, images):
    async def run():
        async with Verifier(policy) as verifier:
            with pytest.raises(TypeError, match="one image is no list"):
                verifier.verify_many(images)

    asyncio.run(run())


def enter(policy, **options):
    async def run():
        async with Verifier(policy, **options):
            pass

    asyncio.run(run())


def test_a_log_that_is_demanded_is_the_public_good_one_unless_another_is_given(key):
    enter(Policy.from_keys(key))
    enter(Policy.from_keys(key), trust=plimsoll.TrustRoot())


def test_a_trusted_root_whose_certificates_cannot_be_read_is_refused(key):
    broken = CertificateAuthority(chain=(b"no certificate",), valid_from_s=0.0, valid_until_s=None)
    with pytest.raises(ConfigError, match=r"certificateAuthorities\[0\]"):
        enter(Policy.from_keys(key), trust=plimsoll.TrustRoot(certificate_authorities=(broken,)))


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        (Settings(concurrency=0), UsageError),
        (Settings(http=plimsoll.HttpSettings(connections_per_host=0)), UsageError),
        (Settings(platform="linux"), UsageError),
        (Settings(cert_dir="/no/such/folder"), ConfigError),
        (Settings(authfile="/no/such/file"), ConfigError),
    ],
)
def test_what_cannot_work_at_all_raises_on_entry(policy, settings, error):
    with pytest.raises(error):
        enter(policy, settings=settings)


@pytest.mark.parametrize(
    "content", [None, b"", b"no key", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"]
)
def test_a_key_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "bad.pub"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnreadableKeyError, match=r"bad\.pub"):
        Policy.from_keys(path)


def test_a_threshold_counts_distinct_keys(tmp_path, key):
    copy = tmp_path / "copy.pub"
    copy.write_bytes(key.read_bytes())
    with pytest.raises(UsageError, match="from 1 to 1"):
        Policy.from_keys(key, copy, threshold=2)
    with pytest.raises(UsageError):
        Policy.from_keys(key, threshold=0)
    with pytest.raises(UsageError):
        Policy.from_keys()


def test_a_policy_is_a_document_or_keys(policy):
    assert policy.document is None
    with pytest.raises(ValueError, match="never both"):
        Policy(digest="sha256:x")
    with pytest.raises(ValueError, match="never both"):
        Policy(digest="sha256:x", ad_hoc=policy.ad_hoc, document=Policy.accept_anything().document)


def test_the_digest_of_ad_hoc_trust_names_all_that_was_asked(tmp_path, key):
    other = tmp_path / "bob.pub"
    other.write_bytes(signer(name="bob").pem)
    base = {"log": LogDemand.IGNORED}
    asked = [
        Policy.from_keys(key, **base),
        Policy.from_keys(key),
        Policy.from_keys(other, **base),
        Policy.from_keys(key, other, **base),
        Policy.from_keys(key, other, threshold=2, **base),
        Policy.from_keys(key, annotations=[("a", "b")], **base),
        Policy.from_keys(key, digest_algorithm="sha512", **base),
    ]
    assert len({policy.digest for policy in asked}) == len(asked)
    assert Policy.from_keys(other, key, **base).digest == Policy.from_keys(key, other, **base).digest
    assert all(policy.digest.startswith("sha256:") for policy in asked)


class TestBlocking:
    def test_a_list_in_input_order(self, memory, policy):
        found = verify(REFERENCES, policy=policy, settings=Settings(concurrency=3))
        assert [verdict.outcome for verdict in found] == EXPECTED
        assert [verdict.position for verdict in found] == list(range(10))

    def test_nothing_gives_nothing(self, memory, policy):
        assert verify([], policy=policy) == []

    def test_a_single_text_is_not_taken_letter_by_letter(self, memory, policy):
        with pytest.raises(TypeError, match="one image"):
            verify("registry.example/team/app:v1", policy=policy)

    def test_a_configuration_error_raises(self, key):
        with pytest.raises(ConfigError):
            verify(REFERENCES, policy=Policy.from_keys(key), settings=Settings(authfile="/no/such/file"))

    def test_inside_a_running_loop_it_refuses(self, memory, policy):
        async def run():
            verify(REFERENCES, policy=policy)

        with pytest.raises(RuntimeError, match="running event loop"):
            asyncio.run(run())

    def test_the_loop_is_the_callers_choice(self, memory, policy):
        made = []

        def factory():
            made.append(asyncio.new_event_loop())
            return made[-1]

        assert len(verify(REFERENCES[:2], policy=policy, loop_factory=factory)) == 2
        assert len(made) == 1
        assert made[0].is_closed()


def test_a_verdict_has_no_truth_value_and_can_be_raised(memory, policy):
    rejected, accepted = verify(REFERENCES[:2], policy=policy)
    accepted.raise_unless_accepted()
    with pytest.raises(RejectedError, match="no-signature") as raised:
        rejected.raise_unless_accepted()
    assert raised.value.verdict is rejected
    with pytest.raises(TypeError):
        bool(accepted)
    with pytest.raises(TypeError):
        bool(accepted.outcome)


def test_tags_are_listed_and_their_cost_is_counted_apart(memory, policy):
    async def run():
        async with Verifier(policy) as verifier:
            found = [tag async for tag in verifier.tags(plimsoll.parse_reference(NAME))]
            return found, verifier.listing

    found, listing = asyncio.run(run())
    assert found == list(memory.tags)
    assert (listing.requests, listing.bytes) == (0, 0)
