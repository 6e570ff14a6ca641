"""The library as a program uses it: ``import plimsoll`` against the embedded registry, in one event loop."""

import asyncio
from contextlib import aclosing, asynccontextmanager

import pytest

import plimsoll
from plimsoll.embedded.demo_images import EXPECTED, build_demo
from plimsoll.embedded.server import RegistryServer
from plimsoll.embedded.store import Store


@asynccontextmanager
async def demo_registry(folder, *, count=20):
    root = folder / "images"
    root.mkdir()
    with Store(root, writable=True) as store:
        async with RegistryServer(store) as registry:
            demo = build_demo(store, root=root, registry=registry, seed=b"\x05" * 32, count=count)
            keys = []
            for at, pem in enumerate(demo.trusted_keys):
                keys.append(folder / f"{at}.pub")
                keys[-1].write_bytes(pem)
            policy = plimsoll.Policy.from_keys(*keys, log=plimsoll.LogDemand.IGNORED)
            yield policy, [f"{registry}/{image.repository}:{image.tag}" for image in demo.images], demo


def settings(**changes):
    return plimsoll.Settings(tls_verify=False, **changes)


@asynccontextmanager
async def verifying(folder, *, count=20, **changes):
    async with (
        demo_registry(folder, count=count) as (policy, references, demo),
        plimsoll.Verifier(policy, settings=settings(**changes)) as verifier,
    ):
        yield verifier, references, demo


def got(verdict):
    return verdict.outcome.value, "+".join(reason.code for reason in verdict.reasons) or None


def test_many_images_by_one_verifier(tmp_path):
    async def run():
        async with verifying(tmp_path, layers=plimsoll.Layers.DIGEST) as (verifier, references, demo):
            found = [verdict async for verdict in verifier.verify_many(references)]
            again = await verifier.verify(references[0])
            assert again.outcome is plimsoll.Outcome.ACCEPTED
            verdicts = sorted(found, key=lambda verdict: verdict.position)
            assert [got(verdict) for verdict in verdicts] == [EXPECTED[image.kind] for image in demo.images]

    asyncio.run(run())


def test_the_verdicts_outlive_the_verifier_and_can_be_raised(tmp_path):
    async def run():
        async with verifying(tmp_path, count=7) as (verifier, references, demo):
            return [await verifier.verify(reference) for reference in references], demo

    verdicts, demo = asyncio.run(run())
    for verdict, image in zip(verdicts, demo.images, strict=True):
        if image.kind in ("signed", "signed by cosign", "corrupt layer"):
            verdict.raise_unless_accepted()
        else:
            with pytest.raises(plimsoll.RejectedError) as raised:
                verdict.raise_unless_accepted()
            assert raised.value.verdict is verdict


def test_closing_early_leaves_no_task_behind(tmp_path):
    async def run():
        async with verifying(tmp_path, concurrency=8) as (verifier, references, _):
            async with aclosing(verifier.verify_many(references * 20)) as verdicts:
                async for verdict in verdicts:
                    assert verdict.position < 8
                    break
            names = [task.get_coro().__qualname__ for task in asyncio.all_tasks()]
            assert [name for name in names if "_Run" in name] == []
            assert (await verifier.verify(references[0])).outcome is plimsoll.Outcome.ACCEPTED

    asyncio.run(run())


def test_a_cancelled_verify_passes_the_cancellation_and_the_verifier_goes_on(tmp_path):
    async def run():
        async with verifying(tmp_path) as (verifier, references, _):
            tasks = [asyncio.create_task(verifier.verify(reference)) for reference in references]
            await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            found = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(item, asyncio.CancelledError) for item in found[::2])
            assert all(isinstance(item, plimsoll.Verdict) for item in found[1::2])
            assert (await verifier.verify(references[0])).outcome is plimsoll.Outcome.ACCEPTED

    asyncio.run(run())


def test_the_blocking_form_works_from_another_thread(tmp_path):
    async def run():
        async with demo_registry(tmp_path) as (policy, references, demo):
            found = await asyncio.to_thread(plimsoll.verify, references, policy=policy, settings=settings())
            assert [verdict.position for verdict in found] == list(range(len(references)))
            expected = ["accepted" if image.kind == "corrupt layer" else image.outcome for image in demo.images]
            assert [verdict.outcome.value for verdict in found] == expected
            with pytest.raises(RuntimeError, match="running event loop"):
                plimsoll.verify(references, policy=policy)

    asyncio.run(run())
