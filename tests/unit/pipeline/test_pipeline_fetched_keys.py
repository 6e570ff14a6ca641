"""Keys that are no files: each read once, beside the loop, and what came of it remembered."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from plimsoll.config.files import ConfigFile
from plimsoll.errors import UnreadableKeyError
from plimsoll.pipeline.fetched_keys import FetchedKeys

DEADLINE_S = 20


class Service:
    """Answers ``up``'s references, when its ``gate`` is open; ``asked`` says for what, and by which threads."""

    def __init__(self, *up, closed=False):
        self.up = up
        self.asked = []
        self.threads = set()
        self.gate = threading.Event()
        if not closed:
            self.gate.set()

    def __call__(self, reference):
        self.asked.append(reference)
        self.threads.add(threading.get_ident())
        assert self.gate.wait(DEADLINE_S)
        if reference not in self.up:
            raise UnreadableKeyError(f"the key {reference!r}: down")
        return ConfigFile(origin=reference, data=reference.encode())


def run(service, work):
    async def within(pool):
        async with asyncio.timeout(DEADLINE_S):
            return await work(FetchedKeys(service, executor=pool))

    with ThreadPoolExecutor(max_workers=1) as pool:
        try:
            return asyncio.run(within(pool))
        finally:
            service.gate.set()


def test_each_is_read_once_and_never_on_this_thread():
    async def work(keys):
        await keys.fetch([])
        await asyncio.gather(keys.fetch(["a", "b", "a"]), keys.fetch(["b"]))
        await keys.fetch(["a"])
        return keys.read("a"), keys.read("b")

    service = Service("a", "b")
    assert run(service, work) == (b"a", b"b")
    assert service.asked == ["a", "b"]
    assert threading.get_ident() not in service.threads


def test_a_failure_is_remembered():
    async def work(keys):
        for _ in range(2):
            await keys.fetch(["lost", "a"])
            with pytest.raises(UnreadableKeyError, match="'lost': down"):
                keys.read("lost")
        return keys.read("a")

    service = Service("a")
    assert run(service, work) == b"a"
    assert service.asked == ["lost", "a"]


def test_the_loop_runs_on_meanwhile_and_a_cancelled_caller_takes_nothing_from_the_others():
    service = Service("a", closed=True)

    async def work(keys):
        first, second = (asyncio.ensure_future(keys.fetch(["a"])) for _ in range(2))
        while not service.asked:
            await asyncio.sleep(0.001)
        first.cancel()
        assert await asyncio.gather(first, return_exceptions=True) != [None]
        assert not second.done()
        service.gate.set()
        await second
        return keys.read("a")

    assert run(service, work) == b"a"
    assert service.asked == ["a"]


def test_a_fault_of_ours_is_no_missing_key():
    def broken(_):
        raise ZeroDivisionError

    async def work():
        with ThreadPoolExecutor(max_workers=1) as pool:
            keys = FetchedKeys(broken, executor=pool)
            await keys.fetch(["a"])
            with pytest.raises(ZeroDivisionError):
                keys.read("a")

    asyncio.run(work())
