"""YAML as strict as JSON: one document of maps, lists and texts, nothing twice, nothing endless.

Built from PyYAML's event stream, which does not recurse and constructs no objects. Scalars stay texts: what reads them
knows what they should be. An alias shares its node, so aliases cannot multiply; ``<<`` merges are refused, they could.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from plimsoll import limits
from plimsoll.errors import ConfigError

if TYPE_CHECKING:
    import yaml

_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = re.compile(r"y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON")
_FALSE: Final = re.compile(r"n|N|no|No|NO|false|False|FALSE|off|Off|OFF")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """A text, and whether it was written plain (then it may mean a boolean or nothing)."""

    text: str
    plain: bool
    line: int
    column: int = 1

    @property
    def is_null(self) -> bool:
        """Whether it stands for nothing (YAML 1.1 tag:yaml.org,2002:null)."""
        return self.plain and self.text in _NULLS

    @property
    def truth(self) -> bool | None:
        """True or False as YAML 1.1 writes them and go-yaml reads them into a bool; None for any other text."""
        if not self.plain:
            return None
        if _TRUE.fullmatch(self.text):
            return True
        return False if _FALSE.fullmatch(self.text) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """A list."""

    items: list[Node] = field(default_factory=list)
    line: int
    column: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """A map of texts to nodes, in the order of the file; ``keys`` are the nodes of its keys."""

    entries: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, Scalar] = field(default_factory=dict)
    line: int
    column: int = 1


Node = Scalar | Sequence | Map


def read_yaml(data: bytes, *, origin: str) -> Node | None:
    """Read one YAML document, None for an empty one; raises ConfigError naming file and line."""
    import yaml  # noqa: PLC0415  # 20 ms that only runs which have YAML to read should pay

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    builder = _Builder(origin)
    try:
        for event in yaml.parse(data, Loader=loader):
            builder.take(event)
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin!r} is no YAML: {_first_line(error)}") from None
    except (ValueError, OverflowError):  # PyYAML's scanner in Python: an escape beyond Unicode
        raise ConfigError(f"{origin!r} is no YAML: a character that does not exist") from None
    return builder.root


@dataclass(slots=True)
class _Open:
    """A collection being read; ``key`` waits for its value."""

    node: Sequence | Map
    anchor: str | None
    key: str | None = None


class _Builder:
    """Takes events one by one; its depth is the length of a list, not of the call stack."""

    def __init__(self, origin: str) -> None:
        self.root: Node | None = None
        self._origin = origin
        self._open: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._documents = 0
        self._nodes = 0
        self._at = (0, 0)

    def take(self, event: yaml.Event) -> None:
        """Take the next event; raises ConfigError for what this reader does not allow."""
        import yaml  # noqa: PLC0415  # already imported by the only caller

        mark = event.start_mark
        self._at = (0, 0) if mark is None else (mark.line + 1, mark.column + 1)
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise self._refusal("a second document")
            case yaml.AliasEvent(anchor=anchor):
                found = self._anchors.get(anchor or "")
                if found is None:
                    raise self._refusal("an alias of something that is not complete")
                self._place(found)
            case yaml.ScalarEvent():
                self._scalar(event.value, anchor=event.anchor, plain=not event.style and event.tag is None)
            case yaml.MappingStartEvent():
                self._begin(Map(line=self._at[0], column=self._at[1]), anchor=event.anchor)
            case yaml.SequenceStartEvent():
                self._begin(Sequence(line=self._at[0], column=self._at[1]), anchor=event.anchor)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                done = self._open.pop()
                self._finish(done.node, done.anchor)
            case _:
                pass  # the stream's and the document's own ends hold nothing

    def _scalar(self, text: str, *, anchor: str | None, plain: bool) -> None:
        if plain and text == "<<" and self._awaits_key():
            raise self._refusal("a merge key <<, which is not supported")
        scalar = Scalar(text=text, plain=plain, line=self._at[0], column=self._at[1])
        self._place(scalar)
        self._finish(scalar, anchor)

    def _begin(self, node: Sequence | Map, *, anchor: str | None) -> None:
        if len(self._open) >= limits.JSON_DEPTH:
            raise self._refusal(f"more than {limits.JSON_DEPTH} levels")
        self._place(node)
        self._open.append(_Open(node=node, anchor=anchor))

    def _finish(self, node: Node, anchor: str | None) -> None:
        """Make ``node`` known to aliases only now that it is complete: no node contains itself."""
        if anchor is not None:
            self._anchors[anchor] = node

    def _awaits_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].node, Map) and self._open[-1].key is None

    def _place(self, node: Node) -> None:
        self._nodes += 1
        if self._nodes > limits.YAML_NODES:
            raise self._refusal(f"more than {limits.YAML_NODES} values")
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        match parent.node:
            case Sequence(items=items):
                items.append(node)
            case Map(entries=entries) if parent.key is not None:
                entries[parent.key] = node
                parent.key = None
            case Map(entries=entries, keys=keys):
                if not isinstance(node, Scalar):
                    raise self._refusal("a key that is no text")
                if node.text in entries:
                    raise self._refusal(f"the key {node.text[: limits.TEXT_CHARS]!r} twice")
                parent.key = node.text
                keys[node.text] = node

    def _refusal(self, what: str) -> ConfigError:
        line, column = self._at
        return ConfigError(f"{self._origin!r} is refused: line {line}, column {column}: {what}")


def _first_line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or "it cannot be read")[:200]
    return problem if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: {problem}"
