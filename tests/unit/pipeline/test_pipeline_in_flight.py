import asyncio

import pytest

from plimsoll.pipeline.in_flight import InFlight


async def forever(log, name):
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        log.append(name)


def test_ending_nothing_ends():
    async def run():
        flight = InFlight()
        await flight.end()
        await flight.end()

    asyncio.run(run())


def test_a_wait_that_ends_by_itself_is_not_cut():
    async def run():
        flight = InFlight()
        with flight.wait() as wait:
            await asyncio.sleep(0)
        with pytest.raises(KeyError), flight.wait():
            raise KeyError
        await flight.end()
        return wait.cut

    assert asyncio.run(run()) is False


def test_end_returns_when_all_waits_are_undone_and_their_tasks_go_on():
    async def run():
        flight, log = InFlight(), []

        async def wait_twice(name):
            with flight.wait() as wait:
                await forever(log, name)
            assert wait.cut
            await asyncio.sleep(0)
            return asyncio.current_task().cancelling()

        tasks = [asyncio.create_task(wait_twice(at)) for at in range(3)]
        await asyncio.sleep(0)
        await flight.end()
        assert sorted(log) == [0, 1, 2]
        return await asyncio.gather(*tasks)

    assert asyncio.run(run()) == [0, 0, 0]


@pytest.mark.parametrize("first", ["end", "cancel"])
def test_a_cancellation_of_the_task_itself_passes(first):
    async def run():
        flight, log = InFlight(), []

        async def wait():
            with flight.wait():
                await forever(log, "cut")

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        if first == "cancel":
            task.cancel()
            await flight.end()
        else:
            ending = asyncio.create_task(flight.end())
            await asyncio.sleep(0)
            task.cancel()
            await ending
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())


def test_an_outer_time_out_passes_too():
    async def run():
        async with asyncio.timeout(0):
            with InFlight().wait():
                await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        asyncio.run(run())


def test_what_is_given_until_the_end_is_given_whole():
    async def numbers():
        for number in range(5):
            await asyncio.sleep(0)
            yield number

    async def run():
        return [number async for number in InFlight().until_left(numbers())]

    assert asyncio.run(run()) == [0, 1, 2, 3, 4]


def test_two_runs_are_closed_though_one_is_taken_from_while_the_other_is_closed():
    closed = []

    async def numbers(name):
        try:
            while True:
                yield 1
        finally:
            await asyncio.sleep(0.01)
            closed.append(name)

    async def run():
        flight = InFlight()
        runs = [flight.until_left(numbers(name)) for name in "ab"]
        for each in runs:
            await anext(each)
        ending = asyncio.create_task(flight.end())
        await asyncio.sleep(0)
        found = await asyncio.gather(*[anext(each) for each in runs], return_exceptions=True)
        await ending
        return found

    assert [str(error) for error in asyncio.run(run()) if isinstance(error, RuntimeError)] == [
        "the Verifier was left before the end of what it was to give: take all inside"
    ] * 2
    assert sorted(closed) == ["a", "b"]
