import errno
import os
import resource
import subprocess
import sys
import threading

import pytest

from plimsoll.cli.deliver import Delivery
from plimsoll.errors import ConfigError, DeliveryError, UsageError

LINE = "x" * 99 + "\n"


class small_files:
    """Files end at so many bytes, as on a full disk; Python ignores SIGXFSZ, so write() says EFBIG."""

    def __init__(self, size):
        self.size = size

    def __enter__(self):
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, self.before[1]))

    def __exit__(self, *_):
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)


def test_lines_replace_what_the_file_held(tmp_path):
    path = tmp_path / "report"
    path.write_text("earlier\n" * 100)
    delivery = Delivery.to(str(path))
    delivery.write("one\n")
    delivery.write("zwei: ü\udc80\n")
    delivery.close()
    assert path.read_bytes() == "one\nzwei: ü\\udc80\n".encode()


@pytest.mark.parametrize("where", ["/", "/no/such/folder/report", ""])
def test_a_place_that_cannot_be_opened_is_named(where):
    with pytest.raises(ConfigError, match=f"--output {where}: "):
        Delivery.to(where)


def test_a_list_that_is_read_is_not_written_over(tmp_path):
    path, other = tmp_path / "list", tmp_path / "other"
    path.write_text("registry.example/app\n")
    other.write_text("earlier\n")
    (tmp_path / "link").symlink_to("list")
    os.link(path, tmp_path / "hard")
    with path.open("rb") as reading:
        for name in ("list", "link", "hard"):
            with pytest.raises(UsageError, match="the list that --from reads"):
                Delivery.to(str(tmp_path / name), reading=(reading,))
        Delivery.to(str(other), reading=(reading,)).close()
    assert path.read_text() == "registry.example/app\n"
    assert other.read_text() == ""


def test_what_is_no_file_may_be_read_and_written():
    with open("/dev/null", "rb") as reading:
        delivery = Delivery.to("/dev/null", reading=(reading,))
        delivery.write("gone\n")
        delivery.close()


def test_a_line_that_does_not_fit_is_taken_back_whole(tmp_path):
    path = tmp_path / "report"
    delivery = Delivery.to(str(path))
    with small_files(250):
        delivery.write(LINE)
        delivery.write(LINE)
        with pytest.raises(DeliveryError, match=f"{path}.*could not be written") as raised:
            delivery.write(LINE)
    delivery.close()
    assert raised.value.__cause__.errno == errno.EFBIG
    assert path.read_text() == LINE * 2


@pytest.mark.parametrize("flags", [0, os.O_APPEND])
def test_so_it_is_where_stdout_is_a_file(tmp_path, flags):
    path = tmp_path / "report"
    path.write_text("earlier\n" if flags else "")
    descriptor = os.open(path, os.O_WRONLY | flags)
    delivery = Delivery(descriptor, name="stdout", owned=False)
    with small_files(250):
        delivery.write(LINE)
        delivery.write(LINE)
        with pytest.raises(DeliveryError):
            delivery.write(LINE)
    os.write(descriptor, b"after\n")
    delivery.close()
    os.close(descriptor)
    assert path.read_text() == ("earlier\n" if flags else "") + LINE * 2 + "after\n"


def test_what_somebody_else_has_written_since_is_not_cut(tmp_path):
    path = tmp_path / "report"
    path.write_text("z" * 400)
    descriptor = os.open(path, os.O_WRONLY)
    delivery = Delivery(descriptor, name="stdout", owned=False)
    with small_files(250):
        delivery.write(LINE)
        delivery.write(LINE)
        with pytest.raises(DeliveryError):
            delivery.write(LINE)
    os.close(descriptor)
    assert len(path.read_text()) == 400


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_device_is_an_error():
    delivery = Delivery.to("/dev/full")
    with pytest.raises(DeliveryError, match="/dev/full: No space left on device"):
        delivery.write(LINE)
    delivery.close()


def test_a_closed_pipe_is_an_error():
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(DeliveryError, match="Broken pipe"):
        Delivery(writing, name="stdout", owned=True).write(LINE)
    os.close(writing)


def test_a_pipe_that_is_full_and_does_not_block_is_waited_for():
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    text = LINE * 10_000
    read = []

    def drain():
        with open(reading, "rb") as pipe:
            read.append(pipe.read())

    drainer = threading.Thread(target=drain)
    drainer.start()
    delivery = Delivery(writing, name="stdout", owned=True)
    delivery.write(text)
    delivery.close()
    drainer.join(10)
    assert read == [text.encode()]


def test_a_close_that_fails_is_told(tmp_path):
    descriptor = os.open(tmp_path / "report", os.O_WRONLY | os.O_CREAT)
    delivery = Delivery(descriptor, name="report", owned=True)
    os.close(descriptor)
    with pytest.raises(DeliveryError, match="report"):
        delivery.close()


@pytest.mark.parametrize(("closed", "code"), [(">&-", 1), ("2>&-", 0), ("<&-", 0), ("<&- >&- 2>&-", 1)])
def test_what_the_shell_closed_is_neither_a_traceback_nor_a_sockets_number(closed, code):
    words = f'"{sys.executable}" -m plimsoll version {closed}'
    done = subprocess.run(["/bin/sh", "-c", words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert done.stdout.startswith("plimsoll version") is (code == 0)
