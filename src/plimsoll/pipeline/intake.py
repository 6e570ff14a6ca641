"""What is to be verified, read one reference at a time: given by name, listed in files, or as all tags of repositories.

Every reference read becomes exactly one record later, so what cannot be a reference is handed on as Unread.
"""

from __future__ import annotations

import asyncio
import codecs
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import BinaryIO, Final

from plimsoll import limits
from plimsoll.errors import ConfigError, ContentError, InvalidReferenceError, PlimsollError, UsageError
from plimsoll.model.reference import DockerReference, Reference, is_attachment_tag, parse_reference
from plimsoll.model.verdict import Reason

_LINE_BYTES: Final = limits.REFERENCE_CHARS * 4
"""UTF-8 takes at most four bytes a character."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A text in the input that leads to no image: it gets an undetermined record with this reason."""

    text: str
    reason: Reason


Entry = Reference | Unread


def read_entry(text: str) -> Entry:
    """A reference, or why the text is none."""
    try:
        return parse_reference(text)
    except UsageError as error:
        return _unread(text, error)


def _unread(text: str, error: PlimsollError) -> Unread:
    """Lone surrogates, which no JSON may hold, are written as escapes, as they are on a terminal."""
    return Unread(text=text.encode("utf-8", "backslashreplace").decode(), reason=Reason.of(error))


async def lines_of(stream: BinaryIO) -> AsyncGenerator[str, None]:
    """The references of ``numbered_lines_of`` alone."""
    async with aclosing(numbered_lines_of(stream)) as lines:
        async for _, line in lines:
            yield line


async def numbered_lines_of(stream: BinaryIO) -> AsyncGenerator[tuple[int, str], None]:
    """The references a file lists, and their lines, counted from 1: one a line, blank lines and ``#`` comments skipped.

    Bytes that are no UTF-8 come as lone surrogates, which no reference has. What follows the cap on a line is dropped
    and the line, too long to be a reference, is refused as one. Raises ConfigError for what cannot be read on.
    """
    lines = _pipe_lines(stream) if _is_waited_for(stream.fileno()) else _file_lines(stream)
    mark, number = codecs.BOM_UTF8, 0
    try:
        async with aclosing(lines):
            async for raw in lines:
                number += 1
                # Only ASCII's white space goes: what Unicode calls a space, a control character say, is in no name.
                line = raw.removeprefix(mark).strip()
                mark = b""
                if len(raw) > _LINE_BYTES:
                    line = raw.lstrip() or raw  # cut: the spaces at its end may have stood before more
                if line and not line.startswith(b"#"):
                    yield number, line.decode("utf-8", "surrogateescape")
    except OSError as error:
        raise ConfigError(f"--from {_name_of(stream)}: {error.strerror or error}") from error


def _name_of(stream: BinaryIO) -> str:
    """As on the command line; stdin, a descriptor, has a number for its name."""
    return stream.name if isinstance(stream.name, str) else "-"


class Listing:
    """The texts of a run: those given, then those that files list.

    ``broken`` is why a list could not be read to its end: the texts end there, and what came before is still judged.
    ``place`` is where the last text stands: the list, as the command line names it, and the line; None for one given.
    """

    def __init__(self, given: tuple[str, ...], lists: tuple[BinaryIO, ...]) -> None:
        self._given = given
        self._lists = lists
        self.broken: ConfigError | None = None
        self.place: tuple[str, int] | None = None

    async def texts(self) -> AsyncGenerator[str, None]:
        """Each text, in order."""
        for text in self._given:
            yield text
        for stream in self._lists:
            try:
                async with aclosing(numbered_lines_of(stream)) as lines:
                    async for number, text in lines:
                        self.place = _name_of(stream), number
                        yield text
            except ConfigError as error:
                self.broken = error
                return


def _is_waited_for(descriptor: int) -> bool:
    """Whether what is read there comes when somebody writes it; /dev/null, as a file, answers at once."""
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)


async def _file_lines(stream: BinaryIO) -> AsyncGenerator[bytes, None]:
    while line := stream.readline(_LINE_BYTES + 2):
        rest = line
        while not rest.endswith(b"\n") and (rest := stream.readline(_LINE_BYTES)):
            pass
        yield line


async def _pipe_lines(stream: BinaryIO) -> AsyncGenerator[bytes, None]:
    """Lines of a pipe or terminal without a thread: Ctrl-C must not wait for one that blocks in read()."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_LINE_BYTES)
    with _as_found(stream.fileno()):
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), stream)
        try:
            while line := await _pipe_line(reader):
                yield line
        finally:
            transport.close()


@contextmanager
def _as_found(descriptor: int) -> Iterator[None]:
    """The loop makes it non-blocking for everybody who has this pipe or terminal open: undone at the end."""
    kept = os.dup(descriptor)  # the loop closes its own when the pipe ends
    blocking = os.get_blocking(kept)
    try:
        yield
    finally:
        os.set_blocking(kept, blocking)
        os.close(kept)


async def _pipe_line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError as error:
        line = await reader.readexactly(error.consumed)
        while True:
            try:
                await reader.readuntil(b"\n")
            except asyncio.LimitOverrunError as more:
                await reader.readexactly(more.consumed)
                continue
            except asyncio.IncompleteReadError:
                pass
            return line[: _LINE_BYTES + 2]


TagsOf = Callable[[DockerReference], AsyncGenerator[str, None]]


class TagExpansion:
    """``--all-tags``: each text names a repository and stands for its tags; ``attachments`` counts tags left out.

    ``cut`` says whether the run ended before a repository had been listed to its end.
    """

    def __init__(self, tags_of: TagsOf, *, patterns: tuple[str, ...]) -> None:
        self._tags_of = tags_of
        self._patterns = patterns
        self.attachments = 0
        self.cut = False

    async def expand(self, texts: AsyncIterator[str]) -> AsyncGenerator[Entry, None]:
        """One entry a tag; one Unread for a repository that gives none, or cannot be listed."""
        async for text in texts:
            try:
                repository = parse_repository(text)
            except UsageError as error:
                yield _unread(text, error)
                continue
            self.cut = True
            async with aclosing(self._tags(repository)) as entries:
                async for entry in entries:
                    yield entry
            self.cut = False

    async def _tags(self, repository: DockerReference) -> AsyncGenerator[Entry, None]:
        name = f"docker://{repository.repository}"
        found = False
        try:
            async with aclosing(self._tags_of(repository)) as tags:
                async for tag in tags:
                    if is_attachment_tag(tag):
                        self.attachments += 1
                    elif not self._patterns or any(fnmatchcase(tag, pattern) for pattern in self._patterns):
                        found = True
                        yield _tagged(repository, tag)
        except PlimsollError as error:
            # A list that is no list, or has no end, says nothing of any image: that rejects none.
            code = "server-error" if isinstance(error, ContentError) else error.code
            yield Unread(text=name, reason=Reason(code=code, message=f"the tags could not be listed: {error}"))
            return
        if not found:
            which = f" that matches {' or '.join(self._patterns)}" if self._patterns else ""
            yield Unread(text=name, reason=Reason(code="not-found", message=f"the repository has no tag{which}"))


def _tagged(repository: DockerReference, tag: str) -> Entry:
    try:
        return repository.with_tag(tag)
    except InvalidReferenceError as error:
        return Unread(text=f"docker://{repository.repository}:{tag}", reason=Reason.of(error))


def parse_repository(text: str) -> DockerReference:
    """Read the name of a repository; raises InvalidReferenceError for one with a tag or digest, or elsewhere."""
    reference = parse_reference(text)
    if not isinstance(reference, DockerReference):
        raise InvalidReferenceError(f"{text!r}: --all-tags lists registries' repositories, docker://HOST/PATH")
    name = text.removeprefix("docker://")
    if "@" in name or ":" in name.rpartition("/")[2]:
        raise InvalidReferenceError(f"{text!r}: with --all-tags name the repository alone, without tag or digest")
    return reference
