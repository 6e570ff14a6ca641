"""A run that may hardly open a file says so, with exit 1: uvloop would end it halfway, with a traceback."""

import errno
import os
import subprocess
import sys

import pytest

from plimsoll.cli import open_files
from plimsoll.errors import UsageError

VERIFY = ("-m", "plimsoll", "verify", "--insecure-policy", "--retry-times", "0", "dir:/nowhere/at/all")


def verify_with(most):
    script = f'ulimit -Sn {most} && exec "$0" "$@"'
    return subprocess.run(
        ["sh", "-c", script, sys.executable, *VERIFY], capture_output=True, text=True, timeout=50, check=False
    )


@pytest.mark.parametrize("most", [9, 11, 12])
def test_too_few_files_are_exit_1_with_one_line(most):
    done = verify_with(most)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert f"a run needs {open_files.LEAST} at least: see ulimit -n" in done.stderr


def test_a_few_more_are_enough():
    done = verify_with(open_files.LEAST + 6)
    assert "not-found: /nowhere/at/all does not exist" in done.stdout
    assert done.returncode != 1


def test_what_was_opened_to_see_is_closed_again(monkeypatch):
    before = len(os.listdir("/dev/fd"))
    open_files.require_room()
    opened = []

    def open_few(path, flags):
        if len(opened) == 3:
            raise OSError(errno.EMFILE, "too many open files")
        opened.append(os.dup(2))
        return opened[-1]

    monkeypatch.setattr(open_files.os, "open", open_few)
    with pytest.raises(UsageError, match="only 3 more files"):
        open_files.require_room()
    monkeypatch.undo()
    assert len(os.listdir("/dev/fd")) == before


def test_any_other_fault_is_none_of_its():
    def fail(path, flags):
        raise PermissionError(errno.EACCES, "no", path)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(open_files.os, "open", fail)
        with pytest.raises(PermissionError):
            open_files.require_room()
