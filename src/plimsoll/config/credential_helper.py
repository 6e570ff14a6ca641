"""Credential helpers: programs named docker-credential-NAME that keep logins (the protocol's ``get`` alone).

The server's name goes in on stdin, JSON comes out on stdout (github.com/docker/docker-credential-helpers). A helper
that is missing, fails or answers rubbish is an error, and no other place is asked instead (CVE-2021-41092).
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import selectors
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from plimsoll import limits
from plimsoll.errors import CredentialHelperError
from plimsoll.model.settings import Credentials, IdentityToken, Login
from plimsoll.native import ReadError, read_json

_log = logging.getLogger(__name__)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_NOT_FOUND: Final = b"credentials not found in native keychain"
_MEANS_TOKEN: Final = "<token>"  # noqa: S105  # the user that says so
_POLL_S: Final = 0.05


def is_helper_name(name: str) -> bool:
    """Whether ``name`` may be the NAME of a program docker-credential-NAME: no path, no option."""
    return _NAME.fullmatch(name) is not None


def parse_answer(data: bytes) -> Login | None:
    """Read what ``get`` printed; None for an empty user and secret. Raises ValueError, never quoting ``data``."""
    try:
        document = read_json(data, max_depth=limits.JSON_DEPTH)
    except ReadError as error:  # its text may quote the answer
        raise ValueError(f"it is no JSON object ({error.kind})") from None
    if not isinstance(document, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004  # the bytes are wrong, not our types
    username, secret = document.get("Username", ""), document.get("Secret", "")
    if not isinstance(username, str) or not isinstance(secret, str):
        raise ValueError("Username or Secret is no text")  # noqa: TRY004  # as above
    if username == _MEANS_TOKEN:
        return IdentityToken(value=secret) if secret else None
    return Credentials(username=username, password=secret) if username or secret else None


class CredentialHelpers:
    """Asks each helper about each server once a run; use from one event loop, ``aclose`` at the end."""

    def __init__(self, environ: Mapping[str, str], *, timeout_s: float = limits.HELPER_S) -> None:
        self._environ = environ
        self._timeout_s = timeout_s
        self._asked: dict[tuple[str, str], asyncio.Task[Login | None]] = {}

    async def get(self, name: str, server: str, *, named_by: str) -> Login | None:
        """What the helper has for ``server``, None where it says that it has nothing.

        Raises CredentialHelperError naming the helper and the file ``named_by`` that names it.
        """
        task = self._asked.get((name, server))
        if task is None:
            # A task of its own: whoever asked first may be cancelled while others wait for the answer.
            task = self._asked[name, server] = asyncio.create_task(self._ask(name, server, named_by))
            task.add_done_callback(_mark_seen)
        return await asyncio.shield(task)

    async def _ask(self, name: str, server: str, named_by: str) -> Login | None:
        call = _Call(name, server, self._environ, self._timeout_s)
        try:
            return await asyncio.to_thread(call.run)
        except _CallError as error:
            raise CredentialHelperError(
                f"docker-credential-{name}, which {named_by!r} names, was asked for the login at {server}: {error}"
            ) from None
        finally:
            call.stopped.set()  # cancelled, we would leave the thread to wait for the program

    async def aclose(self) -> None:
        """End the helpers that still run."""
        tasks = [task for task in self._asked.values() if not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _mark_seen(task: asyncio.Task[Login | None]) -> None:
    if not task.cancelled():
        task.exception()


class _CallError(Exception):
    """Why a helper's answer cannot be used; holds nothing that it printed."""


class _Call:
    """One run of one helper, in a thread; ``stopped`` ends it early."""

    def __init__(self, name: str, server: str, environ: Mapping[str, str], timeout_s: float) -> None:
        self._program = f"docker-credential-{name}"
        self._server = server
        self._environ = environ
        self._timeout_s = timeout_s
        self.stopped = threading.Event()

    def run(self) -> Login | None:
        if not is_helper_name(self._program.removeprefix("docker-credential-")):
            raise _CallError("its name is no program's")
        printed, status = self._execute(self._found())
        if status:
            if printed.strip() == _NOT_FOUND:
                return None
            raise _CallError(f"it failed with exit code {status}")
        try:
            return parse_answer(printed)
        except ValueError as error:
            raise _CallError(f"its answer cannot be read: {error}") from None

    def _found(self) -> str:
        """The program, in absolute folders of PATH alone: the current directory is never a source."""
        listed = self._environ.get("PATH", os.defpath).split(os.pathsep)
        folders = [folder for folder in listed if Path(folder).is_absolute()]
        found = shutil.which(self._program, path=os.pathsep.join(folders)) if folders else None
        if found is None:
            raise _CallError("there is no such program in PATH")
        return found

    def _execute(self, program: str) -> tuple[bytes, int]:
        try:
            # A session of its own, so that what it started ends with it.
            process = subprocess.Popen(  # noqa: S603  # no shell; the name is validated, the program found in PATH
                [program, "get"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                env=dict(self._environ),
                start_new_session=True,
            )
        except OSError as error:
            raise _CallError(f"it cannot be started: {error.strerror}") from None
        ended = False
        try:
            printed, status = self._converse(process)
            ended = True
            return printed, status
        finally:
            if not ended:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):
                    if pipe is not None:
                        pipe.close()

    def _converse(self, process: subprocess.Popen[bytes]) -> tuple[bytes, int]:
        assert process.stdin is not None
        deadline = time.monotonic() + self._timeout_s
        with suppress(BrokenPipeError):  # one that does not read its input may answer all the same
            process.stdin.write(self._server.encode())
            process.stdin.close()
        printed = self._read(process, deadline)
        while (status := process.poll()) is None:
            self._check_time(deadline)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_POLL_S)
        return printed, status

    def _read(self, process: subprocess.Popen[bytes], deadline: float) -> bytes:
        assert process.stdout is not None
        parts: list[bytes] = []
        size = 0
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while True:
                self._check_time(deadline)
                if not selector.select(_POLL_S):
                    continue
                part = os.read(process.stdout.fileno(), limits.CHUNK_BYTES)
                if not part:
                    return b"".join(parts)
                parts.append(part)
                size += len(part)
                if size > limits.HELPER_OUTPUT_BYTES:
                    raise _CallError(f"it printed more than {limits.HELPER_OUTPUT_BYTES} bytes")

    def _check_time(self, deadline: float) -> None:
        if self.stopped.is_set() or time.monotonic() >= deadline:
            raise _CallError(f"it gave no answer in {self._timeout_s:g} s, and was ended")
