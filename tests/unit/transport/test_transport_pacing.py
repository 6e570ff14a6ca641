from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.clock import Clock
from plimsoll import limits
from plimsoll.errors import (
    NotConnectedError,
    NotFoundError,
    NoTLSError,
    RateLimitedError,
    RegistryError,
    RequestTimeoutError,
    UnauthorizedError,
    UnreachableError,
    UntrustedHostError,
)
from plimsoll.transport.budget import ByteBudget
from plimsoll.transport.limiter import Limiter
from plimsoll.transport.retry import retry_wait_s


def limiter(clock, *, connections=8, requests_per_s=None):
    return Limiter(connections=connections, requests_per_s=requests_per_s, sleep=clock.sleep, monotonic=clock.monotonic)


def test_no_more_than_its_connections_are_let_in():
    async def story():
        clock = Clock()
        gate = limiter(clock, connections=2)
        await gate.enter()
        await gate.enter()
        third = asyncio.create_task(gate.enter())
        await asyncio.sleep(0)
        assert not third.done()
        gate.leave()
        await third
        assert clock.slept == []

    asyncio.run(story())


def test_requests_are_spaced_to_the_rate():
    async def story():
        clock = Clock()
        gate = limiter(clock, requests_per_s=4)
        for _ in range(5):
            await gate.enter()
            gate.leave()
        assert clock.now == pytest.approx(1001.0)
        clock.now += 100
        await gate.enter()
        assert len(clock.slept) == 4

    asyncio.run(story())


@pytest.mark.parametrize(
    ("replies", "held"),
    [
        ([True] * 19, False),
        ([True] * 20, True),
        ([True] * 2 + [False] * 18, False),
        ([True] * 3 + [False] * 17, True),
        ([False] * 90 + [True] * 10, False),
        ([False] * 89 + [True] * 11, True),
        ([True] * 11 + [False] * 89, True),
        ([True] * 11 + [False] * 90, False),
        ([True] * 50 + [False] * 100, False),
    ],
)
def test_a_host_is_held_when_more_than_a_tenth_of_its_last_hundred_replies_were_429(replies, held):
    async def story():
        clock = Clock()
        gate = limiter(clock)
        for refused in replies:
            gate.note(refused=refused)
        gate.hold(7.0)
        await gate.enter()
        assert clock.slept == ([7.0] if held else [])
        await gate.enter()
        assert len(clock.slept) == held

    asyncio.run(story())


def test_a_cancelled_wait_gives_its_place_back():
    async def story():
        clock = Clock()
        gate = limiter(clock, connections=1)
        for _ in range(20):
            gate.note(refused=True)
        gate.hold(7.0)
        clock.freeze()
        waiting = asyncio.create_task(gate.enter())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        clock.thaw()
        await asyncio.wait_for(gate.enter(), 5)

    asyncio.run(story())


# --- bytes -------------------------------------------------------------------------------------------------------


def test_bytes_are_taken_and_given_back():
    async def story():
        budget = ByteBudget(10)
        assert await budget.take(6) == 6
        assert not budget.take_now(5)
        late = asyncio.create_task(budget.take(5))
        await asyncio.sleep(0)
        assert not late.done()
        # Small wishes do not overtake a large one that waits.
        assert not budget.take_now(1)
        budget.give(6)
        assert await late == 5
        assert budget.take_now(5)

    asyncio.run(story())


def test_a_clock_stands_still_while_bytes_are_waited_for():
    async def story():
        budget = ByteBudget(10)
        async with asyncio.timeout(60) as clock:
            due = clock.when()
            assert await budget.take_beside(6, clock) == 6
            assert clock.when() == due
            waiting = asyncio.create_task(budget.take_beside(50, clock))
            await asyncio.sleep(0)
            assert clock.when() is None
            budget.give(6)
            assert await waiting == 10
            assert clock.when() >= due
            budget.give(10)
            cancelled = asyncio.create_task(budget.take_beside(10, clock))
            await cancelled
            cancelled = asyncio.create_task(budget.take_beside(10, clock))
            await asyncio.sleep(0)
            cancelled.cancel()
            await asyncio.gather(cancelled, return_exceptions=True)
            budget.give(10)
            assert budget.take_now(10)
        async with asyncio.timeout(None) as clock:
            budget.give(10)
            assert await budget.take_beside(4, clock) == 4

    asyncio.run(story())


def test_a_wish_beyond_the_total_is_served_alone():
    async def story():
        budget = ByteBudget(10)
        assert await budget.take(3) == 3
        large = asyncio.create_task(budget.take(1000))
        await asyncio.sleep(0)
        assert not large.done()
        budget.give(3)
        assert await large == 10
        assert not budget.take_now(1)
        budget.give(10)
        assert budget.take_now(10)

    asyncio.run(story())


def test_a_cancelled_wish_holds_nobody_up_and_loses_nothing():
    async def story():
        budget = ByteBudget(10)
        await budget.take(8)
        large, small = asyncio.create_task(budget.take(9)), asyncio.create_task(budget.take(2))
        await asyncio.sleep(0)
        large.cancel()
        assert await small == 2
        # Cancelled after its bytes were granted, before it ran.
        granted = asyncio.create_task(budget.take(10))
        await asyncio.sleep(0)
        budget.give(10)
        granted.cancel()
        await asyncio.gather(granted, large, return_exceptions=True)
        assert budget.take_now(10)

    asyncio.run(story())


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=30), st.integers(1, 20))
def test_never_more_than_the_total_is_out_and_everybody_is_served(wishes, total):
    async def story():
        budget = ByteBudget(total)
        out = most = 0

        async def use(wanted):
            nonlocal out, most
            taken = await budget.take(wanted)
            out += taken
            most = max(most, out)
            try:
                await asyncio.sleep(0)
            finally:
                out -= taken
                budget.give(taken)

        tasks = [asyncio.create_task(use(wanted)) for wanted, _ in wishes]
        await asyncio.sleep(0)
        for task, (_, cancelled) in zip(tasks, wishes, strict=True):
            if cancelled:
                task.cancel()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        assert most <= total
        assert budget.take_now(total)

    asyncio.run(story())


# --- other tries -------------------------------------------------------------------------------------------------


def wait(error, *, tried=0, retries=5, random=1.0):
    return retry_wait_s(error, tried=tried, retries=retries, random=lambda: random)


def test_the_wait_doubles_to_its_cap():
    waits = [wait(UnreachableError("x"), tried=tried, retries=2000) for tried in (0, 1, 2, 8, 9, 1999)]
    assert waits == pytest.approx([0.1, 0.2, 0.4, 25.6, 30.0, 30.0])
    assert wait(UnreachableError("x"), random=0.0) == pytest.approx(0.05)


@pytest.mark.parametrize(
    "error",
    [
        UnreachableError("x"),
        NotConnectedError("x"),
        RequestTimeoutError("x"),
        RateLimitedError("x"),
        *(RegistryError("x", status=status) for status in (408, 500, 502, 503, 504)),
    ],
)
def test_what_may_mend_is_tried_again_until_the_tries_are_used_up(error):
    assert wait(error, tried=4) is not None
    assert wait(error, tried=5) is None
    assert wait(error, retries=0) is None


@pytest.mark.parametrize(
    "error",
    [
        UntrustedHostError("x"),
        NoTLSError("x"),
        NotFoundError("x"),
        UnauthorizedError("x"),
        *(RegistryError("x", status=status) for status in (0, 200, 400, 405, 501)),
    ],
)
def test_what_does_not_mend_is_not(error):
    assert wait(error) is None


@pytest.mark.parametrize("kind", [RateLimitedError, lambda text, **how: RegistryError(text, status=503, **how)])
def test_a_retry_after_lengthens_the_wait_and_too_long_a_one_ends_the_tries(kind):
    assert wait(kind("x", retry_after_s=7.0), random=0.0) == pytest.approx(7.0)
    assert wait(kind("x", retry_after_s=limits.RETRY_AFTER_S), random=0.0) == pytest.approx(30.0)
    assert wait(kind("x", retry_after_s=0.0), random=1.0) == pytest.approx(0.1)
    with pytest.raises(RateLimitedError) as caught:
        wait(kind("x", retry_after_s=30.5))
    assert caught.value.retry_after_s == 30.5
    with pytest.raises(RateLimitedError):
        wait(kind("x", retry_after_s=3600.0), retries=0)


def test_a_404_with_a_retry_after_is_still_a_404():
    assert wait(RegistryError("x", status=404, retry_after_s=3600.0)) is None
