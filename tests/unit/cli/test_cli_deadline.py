import signal
import time

import pytest

from plimsoll.cli import deadline


def wait_for_the_alarm():
    end = time.monotonic() + 30
    while time.monotonic() < end:
        time.sleep(0.01)
    raise AssertionError("no alarm came")


def test_what_takes_too_long_is_left_where_it_is():
    def wait():
        with deadline.within(0.05):
            assert deadline.is_set()
            wait_for_the_alarm()

    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(deadline.OutOfTime):
        wait()
    assert signal.getsignal(signal.SIGALRM) is before


@pytest.mark.parametrize("seconds", [None, 3600.0])
def test_what_is_quick_is_not(seconds):
    before = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)[0] > 0  # pytest-timeout's, maybe
    with deadline.within(seconds):
        assert deadline.is_set() is (seconds is not None)
        assert (signal.getitimer(signal.ITIMER_REAL)[0] > 100) is (seconds is not None)
    assert (signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)[0] > 0) == before


def test_a_bound_that_is_lifted_does_not_come():
    with deadline.within(3600.0):
        deadline.lift()
        assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
