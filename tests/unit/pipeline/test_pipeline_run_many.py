import asyncio
from contextlib import aclosing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.pipeline.batch import OrderedWindow, run_many


async def double(item, position):
    return position, item * 2


async def collect(results):
    return [result async for result in results]


async def asynchronous(items):
    for item in items:
        await asyncio.sleep(0)
        yield item


async def settle():
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.mark.parametrize("kind", [list, iter, tuple, asynchronous])
@pytest.mark.parametrize("concurrency", [1, 2, 64, 1_000_000])
def test_every_item_gives_one_result_with_its_position(kind, concurrency):
    async def run():
        return await collect(run_many(double, kind([1, 2, 3, 4, 5]), concurrency=concurrency))

    assert sorted(asyncio.run(run())) == [(0, 2), (1, 4), (2, 6), (3, 8), (4, 10)]


@pytest.mark.parametrize("kind", [list, asynchronous])
def test_an_empty_input_gives_nothing(kind):
    async def run():
        return await collect(run_many(double, kind([]), concurrency=8))

    assert asyncio.run(run()) == []


def test_a_concurrency_of_one_works_in_order():
    async def run():
        return await collect(run_many(double, range(20), concurrency=1))

    assert asyncio.run(run()) == [(at, at * 2) for at in range(20)]


def test_a_concurrency_below_one_is_refused():
    async def run():
        await collect(run_many(double, [1], concurrency=0))

    with pytest.raises(ValueError, match="at least 1"):
        asyncio.run(run())


@pytest.mark.parametrize("concurrency", [1, 3, 7])
def test_the_input_is_never_more_than_the_concurrency_ahead_of_the_consumer(concurrency):
    pulled = taken = 0

    def items():
        nonlocal pulled
        for item in range(30):
            pulled += 1
            assert pulled - taken <= concurrency
            yield item

    async def run():
        nonlocal taken
        results = run_many(double, items(), concurrency=concurrency)
        async with aclosing(results):
            while True:
                try:
                    await anext(results)
                except StopAsyncIteration:
                    return
                taken += 1
                await settle()

    asyncio.run(run())
    assert pulled == taken == 30


def test_it_works_on_as_many_at_once_as_it_may():
    running = most = 0

    async def work(item, position):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await settle()
        running -= 1
        return item

    async def run():
        return await collect(run_many(work, range(40), concurrency=5))

    assert sorted(asyncio.run(run())) == list(range(40))
    assert most == 5


def test_results_come_as_they_finish():
    async def run():
        last = asyncio.Event()

        async def work(item, position):
            if item == 0:
                await last.wait()
            if item == 3:
                last.set()
            return item

        return await collect(run_many(work, range(4), concurrency=4))

    assert asyncio.run(run())[-1] == 0


def test_closing_cancels_what_is_in_flight_and_waits_for_it():
    started, cancelled = [], []

    async def work(item, position):
        if item == 0:
            return item
        started.append(item)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await settle()  # cleaning up takes a while, and is waited for
            cancelled.append(item)
            raise

    async def run():
        before = asyncio.all_tasks()
        async with aclosing(run_many(work, range(100), concurrency=4)) as results:
            async for _ in results:
                await settle()
                break
        assert sorted(cancelled) == sorted(started)
        assert asyncio.all_tasks() == before

    asyncio.run(run())
    assert len(started) == 4


def test_cancelling_the_consumer_cancels_what_is_in_flight():
    cancelled = []

    async def work(item, position):
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(item)

    async def run():
        task = asyncio.create_task(collect(run_many(work, range(100), concurrency=3)))
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert sorted(cancelled) == [0, 1, 2]


class BrokenInputError(Exception):
    pass


def test_an_error_of_the_input_is_raised_where_the_results_are_taken():
    def items():
        yield 1
        raise BrokenInputError("line 2")

    async def run():
        await collect(run_many(double, items(), concurrency=4))

    with pytest.raises(BrokenInputError, match="line 2"):
        asyncio.run(run())


def test_an_error_of_the_work_ends_the_run():
    async def work(item, position):
        raise BrokenInputError(str(item))

    async def run():
        await collect(run_many(work, range(9), concurrency=4))

    with pytest.raises(BrokenInputError):
        asyncio.run(run())


def test_work_that_somebody_else_cancels_is_an_error_and_no_hang():
    async def work(item, position):
        if item == 2:
            raise asyncio.CancelledError
        return item

    async def run():
        await collect(run_many(work, range(9), concurrency=2))

    with pytest.raises(RuntimeError, match="not by this run"):
        asyncio.run(run())


async def ordered(count, *, size, concurrency, delays=None, pulled=None):
    """Positions as the window gives them out, with ``delays`` in turns of the loop."""
    window = OrderedWindow(size)

    async def work(item, position):
        for _ in range(delays[item] if delays else 0):
            await asyncio.sleep(0)
        return position

    def items():
        for item in range(count):
            if pulled is not None:
                pulled.append(item)
            yield item

    results = run_many(work, window.gate(items()), concurrency=concurrency)
    return [found async for found in window.order(results, position=lambda found: found)]


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_the_window_gives_the_input_order_for_any_delays_and_never_hangs(data):
    delays = data.draw(st.lists(st.integers(0, 12), max_size=40))
    size, concurrency = data.draw(st.integers(1, 10)), data.draw(st.integers(1, 10))

    async def run():
        async with asyncio.timeout(20):
            return await ordered(len(delays), size=size, concurrency=concurrency, delays=delays)

    assert asyncio.run(run()) == list(range(len(delays)))


def test_a_slow_first_item_pauses_the_intake_at_the_window():
    pulled = []

    async def run():
        window, release = OrderedWindow(5), asyncio.Event()

        async def work(item, position):
            if item == 0:
                await release.wait()
            return position

        def items():
            for item in range(100):
                pulled.append(item)
                yield item

        async def consume():
            found = run_many(work, window.gate(items()), concurrency=3)
            return [result async for result in window.order(found, position=lambda found: found)]

        task = asyncio.create_task(consume())
        await settle()
        stalled_at = len(pulled)
        release.set()
        return stalled_at, await task

    stalled_at, found = asyncio.run(run())
    assert 5 <= stalled_at <= 6  # the window, and the one item that waits at its gate
    assert found == list(range(100))


def test_a_run_that_is_cut_still_shows_what_waited_for_its_turn():
    async def results():
        for position in (4, 0, 2, 1, 7):
            yield position

    async def run():
        return await collect(OrderedWindow(10).order(results(), position=lambda found: found))

    assert asyncio.run(run()) == [0, 1, 2, 4, 7]
