import asyncio
import os
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll import limits
from plimsoll.cli.deliver import CHUNK_BYTES, Delivery
from plimsoll.cli.outbox import Outbox
from plimsoll.errors import DeliveryError

LINE = "x" * 99 + "\n"
WAIT_S = 30


class pipe:
    """A pipe whose reader reads when it is told to."""

    def __enter__(self):
        self.reading, writing = os.pipe()
        self.delivery = Delivery(writing, name="stdout", owned=True)
        self._writing = writing
        self.data = b""
        return self

    def read_all(self):
        with open(self.reading, "rb", closefd=False) as file:
            self.data += file.read()

    def __exit__(self, *_):
        os.close(self.reading)


def test_texts_come_in_order_and_the_file_is_given_back():
    async def story(end):
        outbox = Outbox(end.delivery)
        for at in range(1000):
            outbox.put(f"{at}\n")
            assert await outbox.room()
        assert await outbox.sent()
        assert outbox.is_empty
        outbox.close()

    with pipe() as end:
        asyncio.run(story(end))
        end.read_all()
        assert end.data.decode().split() == [str(at) for at in range(1000)]
        assert end.delivery.texts == 1000


def test_nothing_at_all_ends_too():
    async def story(end):
        outbox = Outbox(end.delivery)
        assert await outbox.room()
        assert await outbox.sent(patience_s=0.01)
        outbox.close()

    with pipe() as end:
        asyncio.run(story(end))
        end.read_all()
        assert end.data == b""


def test_a_reader_that_stalls_holds_up_the_taking_and_not_the_loop():
    async def story(end):
        outbox = Outbox(end.delivery)
        turns = 0

        async def tick():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        put = 0
        while outbox._chars < limits.REPORT_WAITING_CHARS + 4 * CHUNK_BYTES:  # more than the pipe takes
            outbox.put(LINE * 100)
            put += 1
        assert not await outbox.room(patience_s=0.05)
        assert not await outbox.sent(patience_s=0.05)
        before = turns
        reader = threading.Thread(target=end.read_all)
        reader.start()
        assert await outbox.room()
        assert await outbox.sent()
        ticking.cancel()
        outbox.close()
        reader.join(WAIT_S)
        assert before > 10
        assert end.data == (LINE * 100 * put).encode()

    with pipe() as end:
        asyncio.run(story(end))


def test_the_wait_for_a_reader_can_be_cancelled_and_given_up():
    async def story(end):
        outbox = Outbox(end.delivery)
        outbox.put(LINE * 10_000)
        waiting = asyncio.create_task(outbox.sent())
        await asyncio.sleep(0.05)
        assert not waiting.done()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        outbox.close()  # returns, though the thread still waits
        assert not outbox.is_empty
        end.read_all_of = len(LINE) * 10_000

    with pipe() as end:
        asyncio.run(story(end))
        while len(end.data) < end.read_all_of:  # lets the thread end
            end.data += os.read(end.reading, CHUNK_BYTES)


def test_what_could_not_be_written_is_raised_at_the_next_word():
    async def story(delivery):
        outbox = Outbox(delivery)
        outbox.put(LINE)
        with pytest.raises(DeliveryError, match="Broken pipe"):
            await outbox.sent()
        with pytest.raises(DeliveryError, match="Broken pipe"):
            outbox.put(LINE)
        with pytest.raises(DeliveryError, match="Broken pipe"):
            await outbox.room()
        outbox.close()

    reading, writing = os.pipe()
    os.close(reading)
    delivery = Delivery(writing, name="stdout", owned=True)
    asyncio.run(story(delivery))
    assert delivery.texts == 0
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(writing)


def test_a_fault_of_the_thread_ends_the_wait_for_it():
    class Faulty(Delivery):
        def write(self, *texts):
            raise MemoryError

    async def story():
        outbox = Outbox(Faulty(1, name="stdout", owned=False))
        outbox.put(LINE)
        with pytest.raises(DeliveryError, match="MemoryError"):
            await outbox.sent()
        outbox.close()

    asyncio.run(story())


@settings(max_examples=50)
@given(st.lists(st.text(max_size=50).map(lambda text: f"{text}\n"), max_size=20), st.integers(1, 40))
def test_whole_texts_are_counted_however_they_are_cut(texts, at_once):
    class Slow(Delivery):
        def _write_some(self, data):
            return super()._write_some(data[:at_once])

    reading, writing = os.pipe()
    delivery = Slow(writing, name="stdout", owned=True)
    delivery.write(*texts)
    delivery.close()
    with open(reading, "rb") as file:
        data = file.read()
    assert data == "".join(texts).encode("utf-8", "backslashreplace")
    assert (delivery.texts, delivery.bytes) == (len(texts), len(data))


@settings(max_examples=50)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=20), st.integers(0, 200), st.integers(1, 40))
def test_a_disk_that_is_full_keeps_whole_texts(tmp_path_factory, sizes, room, at_once):
    class Full(Delivery):
        def _write_some(self, data):
            left = room - self.bytes
            if left <= 0:
                raise OSError(28, "No space left on device")
            return super()._write_some(data[: min(left, at_once)])

    path = tmp_path_factory.mktemp("full") / "report"
    texts = ["x" * (size - 1) + "\n" for size in sizes]
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    delivery = Full(descriptor, name="report", owned=True)
    try:
        delivery.write(*texts)
    except DeliveryError:
        assert sum(sizes) > room
    else:
        assert sum(sizes) <= room
    delivery.close()
    assert path.read_text() == "".join(texts[: delivery.texts])
    assert sum(sizes[: delivery.texts]) <= room
