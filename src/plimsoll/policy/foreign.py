"""A foreign policy as it is read: every field that nobody asked for is found when a section is closed. Pure.

The YAML itself is read by ``config``; its texts, lists and maps come here as ``Foreign`` with their lines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from plimsoll import limits
from plimsoll.errors import PolicyError
from plimsoll.model.conversion import Effect, Finding
from plimsoll.policy.fields import member, shown

_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUTHS: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WHOLE: Final = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A text, a list or a map; ``plain`` texts may mean a boolean, a number or nothing."""

    value: str | tuple[Foreign, ...] | Mapping[str, Foreign]
    line: int
    plain: bool = False

    @property
    def is_null(self) -> bool:
        """Whether it stands for nothing."""
        return self.plain and self.value in _NULLS


class Findings:
    """What was found so far, in the order of the source."""

    def __init__(self) -> None:
        self._found: list[Finding] = []
        self._sections = 0

    def add(self, place: str, effect: Effect, message: str, *, line: int | None = None) -> None:
        """Remember one; raises PolicyError for more than ``limits.CONVERSION_FINDINGS``."""
        if len(self._found) >= limits.CONVERSION_FINDINGS:
            raise PolicyError(f"{place}: more than {limits.CONVERSION_FINDINGS} findings: this is no policy to convert")
        found = Finding(place=place, line=line, effect=effect, message=message)
        if found not in self._found:
            self._found.append(found)

    def count_section(self, place: str) -> None:
        """Count a map that is read; raises PolicyError where aliases make too many of few (``limits.YAML_NODES``)."""
        self._sections += 1
        if self._sections > limits.YAML_NODES:
            raise PolicyError(f"{place}: more than {limits.YAML_NODES} maps to read: this is no policy to convert")

    @property
    def all(self) -> tuple[Finding, ...]:
        """All of them."""
        return tuple(self._found)


class Section:
    """A map of the source at ``where``; what is asked for by name counts as read."""

    def __init__(self, node: Foreign, where: str, findings: Findings) -> None:
        if not isinstance(node.value, Mapping):
            raise PolicyError(f"{where or 'the document'}, line {node.line}: a map is needed")
        findings.count_section(where)
        self.where = where
        self.line = node.line
        self.findings = findings
        self._fields = {name: found for name, found in node.value.items() if not found.is_null}
        self._read: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that are there, null ones not among them."""
        return tuple(self._fields)

    def place(self, name: str) -> str:
        """The place of the field ``name``."""
        return member(self.where, name)

    def find(self, name: str, effect: Effect, message: str) -> str:
        """Remember a finding about the field ``name``, which counts as read; returns its place."""
        found = self._take(name)
        place = self.place(name)
        self.findings.add(place, effect, message, line=self.line if found is None else found.line)
        return place

    def text(self, name: str) -> str | None:
        """A text; None where there is none, or an empty one, which Go cannot tell from none. Raises PolicyError."""
        found = self._take(name)
        if found is None:
            return None
        if not isinstance(found.value, str):
            raise self._wrong(name, found, "a text")
        return found.value or None

    def truth(self, name: str) -> bool | None:
        """A boolean, None where there is none; raises PolicyError."""
        found = self._take(name)
        if found is None:
            return None
        if not found.plain or not isinstance(found.value, str) or found.value not in _TRUTHS:
            raise self._wrong(name, found, "true or false")
        return _TRUTHS[found.value]

    def whole(self, name: str) -> int | None:
        """A whole number from 0, None where there is none; raises PolicyError."""
        found = self._take(name)
        if found is None:
            return None
        if not found.plain or not isinstance(found.value, str) or _WHOLE.fullmatch(found.value) is None:
            raise self._wrong(name, found, "a whole number")
        return int(found.value)

    def section(self, name: str) -> Section | None:
        """A map, None where there is none; raises PolicyError."""
        found = self._take(name)
        return None if found is None else Section(found, self.place(name), self.findings)

    def sections(self, name: str) -> tuple[Section, ...]:
        """A list of maps, empty where there is none; raises PolicyError."""
        return tuple([Section(found, place, self.findings) for place, found in self._items(name)])

    def texts(self, name: str) -> tuple[tuple[str, str, int], ...]:
        """A list of texts as (text, place, line), empty where there is none; raises PolicyError."""
        listed = []
        for place, found in self._items(name):
            if not isinstance(found.value, str) or not found.value:
                raise PolicyError(f"{place}, line {found.line}: a text is needed")
            listed.append((found.value, place, found.line))
        return tuple(listed)

    def pairs(self, name: str) -> tuple[tuple[str, str], ...]:
        """A map of texts, empty where there is none; raises PolicyError."""
        found = self._take(name)
        if found is None:
            return ()
        if not isinstance(found.value, Mapping):
            raise self._wrong(name, found, "a map of texts")
        pairs = []
        for key, entry in found.value.items():
            if not isinstance(entry.value, str):
                raise self._wrong(name, entry, "a map of texts")
            pairs.append((key, entry.value))
        return tuple(pairs)

    def scalar(self, name: str) -> Foreign | None:
        """A text with how it was written, None where there is none or something else is there."""
        found = self._take(name)
        return found if found is not None and isinstance(found.value, str) else None

    def say_nothing(self, *names: str) -> None:
        """Pass over fields that say nothing about an image's verdict, without a finding."""
        self._read.update(names)

    def note(self, message: str, *names: str, effect: Effect = Effect.NOTE) -> None:
        """Remember that those of the fields ``names`` that are there have this to be said of them."""
        for name in names:
            if name in self._fields:
                self.find(name, effect, message)

    def refuse(self, message: str, *names: str) -> tuple[str, ...]:
        """Remember that those of the fields ``names`` that are there reject; returns their places."""
        return tuple([self.find(name, Effect.REJECTS, message) for name in names if name in self._fields])

    def close(self) -> tuple[str, ...]:
        """Refuse every field that was not read; returns their places."""
        unread = [name for name in self._fields if name not in self._read]
        return self.refuse("this field is not known here, and what it demands is not carried over", *unread)

    def _take(self, name: str) -> Foreign | None:
        self._read.add(name)
        return self._fields.get(name)

    def _items(self, name: str) -> list[tuple[str, Foreign]]:
        found = self._take(name)
        if found is None:
            return []
        if not isinstance(found.value, tuple):
            raise self._wrong(name, found, "a list")
        if len(found.value) > limits.POLICY_KEYS:
            raise self._wrong(name, found, f"a list of at most {limits.POLICY_KEYS}")
        return [(f"{self.place(name)}[{at}]", entry) for at, entry in enumerate(found.value)]

    def _wrong(self, name: str, found: Foreign, wanted: str) -> PolicyError:
        said = f", not {shown(found.value)}" if isinstance(found.value, str) else ""
        return PolicyError(f"{self.place(name)}, line {found.line}: {wanted} is needed{said}")
