import asyncio
import os
import signal

import pytest

from plimsoll.cli import event_loop


def test_the_result_is_given_and_so_is_what_was_raised():
    async def main(error=None):
        if error is not None:
            raise error
        return 7

    assert event_loop.run(main()) == 7
    with pytest.raises(ValueError, match="so"):
        event_loop.run(main(ValueError("so")))
    with pytest.raises(asyncio.CancelledError):
        event_loop.run(main(asyncio.CancelledError()))


def test_a_signal_wakes_the_loop_even_if_it_comes_before_the_loop_waits():
    async def main():
        wake_up = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(wake_up)
        return wake_up

    before = signal.getsignal(signal.SIGINT)
    assert event_loop.run(main()) >= 0
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_ends_it_once_all_is_undone():
    undone = []

    async def main():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            undone.append("main")

    with pytest.raises(KeyboardInterrupt):
        event_loop.run(main())
    assert undone == ["main"]


def test_a_second_ctrl_c_does_not_wait_for_that():
    async def main():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()

    with pytest.raises(KeyboardInterrupt):
        event_loop.run(main())
