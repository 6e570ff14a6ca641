"""The user's own ``gpg``, run as a process: only it reaches the agent and smartcards.

No shell; the passphrase goes through a pipe of its own, never into arguments, environment or messages. GNUPGHOME and
gpg.conf are the user's. What gpg prints is bounded, and so is its time.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from plimsoll import limits
from plimsoll.errors import SigningError
from plimsoll.signatures.packets import read_signed_message

_KEY_NAME: Final = re.compile(r"[^\x00-\x20\x7f-][^\x00-\x1f\x7f]*")
"""A fingerprint, a key id or a user id; nothing that gpg could take for an option."""
_SIGN: Final = ("--no-armor", "--no-textmode", "--no-encrypt-to", "--output", "-", "--sign")
_BASE: Final = ("--batch", "--no-tty")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpg:
    """How to run gpg: in which environment, and with which passphrase (None: its agent asks, or has it)."""

    environ: Mapping[str, str] = field(repr=False)
    passphrase: bytes | None = field(default=None, repr=False)
    timeout_s: float = limits.GPG_S

    async def sign(self, payload: bytes, *, key: str) -> bytes:
        """``payload`` as a binary OpenPGP message signed by the secret key that ``key`` names.

        Raises SigningError with gpg's last word where it fails, hangs, or made another message than a reader takes.
        """
        named = _checked_name(key)
        message = await self._run(
            (*_BASE, "--local-user", named, *_SIGN),
            payload,
            limit=limits.OPENPGP_MESSAGE_BYTES,
            doing=f"sign with the key {named!r}",
        )
        # gpg.conf may hold options that change what is made: what cannot be read again is not given out.
        if read_signed_message(message).data != payload:
            raise SigningError(
                f"gpg signed something else than it was given, with the key {named!r}: see your gpg.conf"
            )
        return message

    async def export(self, keys: tuple[str, ...]) -> bytes:
        """The public keys that ``keys`` name, as one binary keyring; those that gpg does not have are not in it."""
        names = tuple([_checked_name(key) for key in keys])
        if not names:
            return b""
        return await self._run(
            (*_BASE, "--no-armor", "--export", *names), b"", limit=limits.KEY_BYTES, doing="export public keys"
        )

    async def _run(self, arguments: tuple[str, ...], data: bytes, *, limit: int, doing: str) -> bytes:
        program = self._found()
        try:
            async with asyncio.timeout(self.timeout_s):
                async with self._started(program, arguments) as process:
                    printed, said = await _converse(process, data, limit=limit)
                    status = await process.wait()
        except TimeoutError:
            raise SigningError(f"gpg was asked to {doing} and gave no answer in {self.timeout_s:g} s") from None
        except OSError as error:
            raise SigningError(f"gpg cannot be run to {doing}: {error.strerror}") from None
        except _TooMuchError:
            raise SigningError(f"gpg was asked to {doing} and printed more than {limit} bytes") from None
        if status:
            raise SigningError(f"gpg could not {doing}: {_last_line(said) or f'exit code {status}'}")
        return printed

    def _found(self) -> str:
        """The program, in absolute folders of PATH alone: the current directory is never a source."""
        listed = self.environ.get("PATH", os.defpath).split(os.pathsep)
        folders = [folder for folder in listed if Path(folder).is_absolute()]
        found = shutil.which("gpg", path=os.pathsep.join(folders)) if folders else None
        if found is None:
            raise SigningError("there is no gpg in PATH: install GnuPG, or sign with a sigstore key")
        return found

    @asynccontextmanager
    async def _started(self, program: str, arguments: tuple[str, ...]) -> AsyncIterator[asyncio.subprocess.Process]:
        """The running program, ended if we leave before it does."""
        secret = None if self.passphrase is None else _pipe_with(self.passphrase)
        loopback = () if secret is None else ("--pinentry-mode", "loopback", "--passphrase-fd", str(secret))
        try:
            process = await asyncio.create_subprocess_exec(
                program,
                *loopback,
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=dict(self.environ),
                pass_fds=() if secret is None else (secret,),
            )
        finally:
            if secret is not None:
                os.close(secret)
        try:
            yield process
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()


class _TooMuchError(Exception):
    """More was printed than is read."""


def _checked_name(key: str) -> str:
    if not _KEY_NAME.fullmatch(key) or len(key) > limits.TEXT_CHARS:
        raise SigningError(f"{key[:160]!r} names no OpenPGP key: write its fingerprint")
    return key


def _pipe_with(passphrase: bytes) -> int:
    """The reading end of a pipe that holds the passphrase, which fits its buffer, and ends after it."""
    if len(passphrase) > limits.PASSPHRASE_BYTES or b"\n" in passphrase or b"\0" in passphrase:
        raise SigningError(f"a passphrase is one line of at most {limits.PASSPHRASE_BYTES} bytes")
    reading, writing = os.pipe()
    try:
        os.write(writing, passphrase + b"\n")
    finally:
        os.close(writing)
    return reading


async def _converse(process: asyncio.subprocess.Process, data: bytes, *, limit: int) -> tuple[bytes, bytes]:
    """Feed the program and read both its outputs at once; raises _TooMuchError past ``limit``."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    _, printed, said = await asyncio.gather(
        _feed(process.stdin, data), _read(process.stdout, limit), _read(process.stderr, limits.GPG_SAID_BYTES)
    )
    if printed is None:
        raise _TooMuchError
    return printed, said or b""


async def _feed(stream: asyncio.StreamWriter, data: bytes) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):  # one that has failed already reads nothing, and says why
        stream.write(data)
        await stream.drain()
        stream.close()
        await stream.wait_closed()


async def _read(stream: asyncio.StreamReader, limit: int) -> bytes | None:
    """All of an output, None past ``limit``: the rest is read and thrown away, so that nobody waits for room."""
    kept = bytearray()
    while part := await stream.read(limits.CHUNK_BYTES):
        if len(kept) <= limit:
            kept += part
    return bytes(kept) if len(kept) <= limit else None


def _last_line(said: bytes) -> str:
    lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1][: limits.TEXT_CHARS] if lines else ""
