"""Positions: line and column of every place in a JSON document, for those who must mend it. Pure.

Read a second time and without haste: only a policy that is refused, or linted, comes here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

_Path = tuple[str | int, ...]

_STRING: Final = r'"(?:[^"\\]|\\.)*"'
_SPACE: Final = re.compile(rb"[ \t\n\r]*")
_TEXT: Final = re.compile(_STRING.encode(), re.DOTALL)
_PLAIN: Final = re.compile(rb"[^\s,\]}]*")
_STEP: Final = re.compile(rf"\.?(?P<name>[A-Za-z_][A-Za-z0-9_-]*)|\[(?P<at>[0-9]+)\]|\[(?P<key>{_STRING})\]", re.ASCII)
_NAMED: Final = re.compile(rf": (?:unknown key )?(?P<key>{_STRING})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where something stands in a text; both count from 1, columns in characters."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


def position_at(data: bytes, offset: int) -> Position:
    """The position of the byte ``offset`` of UTF-8 text."""
    start = data.rfind(b"\n", 0, offset) + 1
    return Position(line=data.count(b"\n", 0, offset) + 1, column=len(data[start:offset].decode(errors="replace")) + 1)


Path: TypeAlias = _Path
"""From the document's root: the names of members, and places in lists."""


class Positions:
    """Finds places of a document that ``read_json`` has taken; a member stands where its key does."""

    def __init__(self, data: bytes) -> None:
        self._known: Mapping[_Path, int | Position] = dict(_Scan(data).document())
        self._data = data

    @classmethod
    def of_places(cls, places: Mapping[Path, tuple[int, int]]) -> Positions:
        """For a document of another form, whose places are known already: lines and columns by path, the root's too."""
        found = cls(b"{}")
        found._known = {path: Position(line=line, column=column) for path, (line, column) in places.items()}
        return found

    def of(self, place: str) -> Position:
        """Where ``place`` (``transports.docker["host/ns"][0]``) is; if it was not written, what it would stand in."""
        return self._nearest(_steps(place)[0])

    def of_message(self, message: str) -> Position:
        """Where a message about the document belongs: at the place it begins with, and there at the key it names."""
        path, end = _steps(message)
        if not message.startswith(":", end):
            path, end = (), message.find(":") if message.startswith("the document:") else 0
        named = _NAMED.match(message, end)
        if named is not None and (*path, json.loads(named["key"])) in self._known:
            path = (*path, json.loads(named["key"]))
        return self._nearest(path)

    def _nearest(self, path: _Path) -> Position:
        while path and path not in self._known:
            path = path[:-1]
        found = self._known[path]
        return found if isinstance(found, Position) else position_at(self._data, found)


def _steps(text: str) -> tuple[_Path, int]:
    """The path that ``text`` begins with, and where it ends."""
    path: list[str | int] = []
    end = 0
    while (step := _STEP.match(text, end)) is not None:
        if step["name"] is not None and path and not step[0].startswith("."):
            break
        if step["at"] is not None:
            path.append(int(step["at"]))
        else:
            path.append(step["name"] if step["name"] is not None else json.loads(step["key"]))
        end = step.end()
    return tuple(path), end


class _Scan:
    """One walk over a document that is known to be JSON."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def document(self) -> Iterator[tuple[_Path, int]]:
        """Every path with its offset."""
        self._skip_space()
        yield (), self._at
        yield from self._value(())

    def _value(self, path: _Path) -> Iterator[tuple[_Path, int]]:
        match self._data[self._at : self._at + 1]:
            case b"{":
                yield from self._object(path)
            case b"[":
                yield from self._list(path)
            case b'"':
                self._text()
            case _:
                self._at = self._end(_PLAIN)

    def _object(self, path: _Path) -> Iterator[tuple[_Path, int]]:
        while self._more(b"}"):
            inner = self._at
            member = (*path, self._text())
            yield member, inner
            self._skip_space()
            self._at += 1  # the colon
            self._skip_space()
            yield from self._value(member)

    def _list(self, path: _Path) -> Iterator[tuple[_Path, int]]:
        count = 0
        while self._more(b"]"):
            yield (*path, count), self._at
            yield from self._value((*path, count))
            count += 1

    def _more(self, close: bytes) -> bool:
        """Step over the opening sign or a comma; False, and past the end, where nothing follows."""
        self._skip_space()
        if not self._data.startswith(close, self._at):
            self._at += 1
            self._skip_space()
        if self._data.startswith(close, self._at):
            self._at += 1
            return False
        return True

    def _text(self) -> str:
        start, self._at = self._at, self._end(_TEXT)
        return str(json.loads(self._data[start : self._at]))

    def _skip_space(self) -> None:
        self._at = self._end(_SPACE)

    def _end(self, what: re.Pattern[bytes]) -> int:
        found = what.match(self._data, self._at)
        return self._at if found is None else found.end()
