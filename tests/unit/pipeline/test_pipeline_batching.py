import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from plimsoll.pipeline.batching import Batcher


def on_threads(run, *, threads=2):
    with ThreadPoolExecutor(max_workers=threads) as executor:
        return asyncio.run(run(executor))


def square_all(items):
    return [item * item for item in items]


def test_every_item_gets_its_own_result():
    async def run(executor):
        batcher = Batcher(square_all, executor=executor, workers=2, most=8)
        return await asyncio.gather(*[batcher.submit(item) for item in range(100)])

    assert on_threads(run) == [item * item for item in range(100)]


def test_what_arrives_together_goes_together_and_no_list_is_too_long():
    lists = []

    def work(items):
        lists.append(len(items))
        return items

    async def run(executor):
        batcher = Batcher(work, executor=executor, workers=2, most=8)
        await asyncio.gather(*[batcher.submit(item) for item in range(50)])

    on_threads(run)
    assert sum(lists) == 50
    assert max(lists) == 8
    assert len(lists) == 7


def test_what_arrives_while_the_workers_are_busy_waits_and_goes_together():
    go, entered, lists = threading.Event(), threading.Event(), []

    def work(items):
        lists.append(list(items))
        entered.set()
        go.wait(10)
        return items

    async def run(executor):
        batcher = Batcher(work, executor=executor, workers=1, most=64)
        first = asyncio.create_task(batcher.submit(0))
        await asyncio.to_thread(entered.wait, 10)
        rest = [asyncio.create_task(batcher.submit(item)) for item in range(1, 20)]
        await asyncio.sleep(0)
        go.set()
        return await asyncio.gather(first, *rest)

    assert on_threads(run) == list(range(20))
    assert lists == [[0], list(range(1, 20))]


def test_no_more_lists_run_than_there_are_workers():
    lock, running, most = threading.Lock(), 0, 0
    barrier = threading.Barrier(2, timeout=10)

    def work(items):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        barrier.wait()
        with lock:
            running -= 1
        return items

    async def run(executor):
        batcher = Batcher(work, executor=executor, workers=2, most=1)
        await asyncio.gather(*[batcher.submit(item) for item in range(10)])

    on_threads(run, threads=8)
    assert most == 2


class WorkError(Exception):
    pass


def test_an_exception_reaches_every_item_of_the_list_and_later_lists_go_on():
    def work(items):
        if "bad" in items:
            raise WorkError
        return items

    async def run(executor):
        batcher = Batcher(work, executor=executor, workers=1, most=8)
        found = await asyncio.gather(*map(batcher.submit, ["one", "bad", "two"]), return_exceptions=True)
        return found, await batcher.submit("three")

    found, later = on_threads(run)
    assert [type(item) for item in found] == [WorkError] * 3
    assert later == "three"


@pytest.mark.parametrize("results", [[], [1, 2, 3]])
def test_a_wrong_number_of_results_is_an_error_and_no_hang(results):
    async def run(executor):
        batcher = Batcher(lambda _: results, executor=executor, workers=1, most=8)
        async with asyncio.timeout(10):
            await asyncio.gather(batcher.submit("one"), batcher.submit("two"))

    with pytest.raises(RuntimeError, match="results for 2 items"):
        on_threads(run)


def test_a_cancelled_callers_item_is_not_worked_on_and_hurts_nobody():
    go, entered, seen = threading.Event(), threading.Event(), []

    def work(items):
        seen.extend(items)
        entered.set()
        go.wait(10)
        return items

    async def run(executor):
        batcher = Batcher(work, executor=executor, workers=1, most=8)
        tasks = [asyncio.create_task(batcher.submit("in work"))]
        await asyncio.to_thread(entered.wait, 10)
        tasks += [asyncio.create_task(batcher.submit(item)) for item in ("waiting", "kept")]
        await asyncio.sleep(0)
        tasks[0].cancel()
        tasks[1].cancel()
        await asyncio.sleep(0)
        go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = on_threads(run)
    assert [type(found[0]), type(found[1]), found[2]] == [asyncio.CancelledError, asyncio.CancelledError, "kept"]
    assert seen == ["in work", "kept"]


def test_an_executor_that_is_gone_is_an_error_and_no_hang():
    async def run():
        executor = ThreadPoolExecutor(max_workers=1)
        batcher = Batcher(square_all, executor=executor, workers=1, most=8)
        executor.shutdown()
        async with asyncio.timeout(10):
            await batcher.submit(2)

    with pytest.raises(RuntimeError, match="shutdown"):
        asyncio.run(run())
