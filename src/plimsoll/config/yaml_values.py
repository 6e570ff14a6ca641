"""A YAML document as the values that JSON would have, for readers of both: strict, and with the place of each.

Of plain scalars those of JSON are taken as JSON has them (``null``, ``true``, ``false``, numbers) with YAML's ``~`` and
nothing; all else is a text, ``yes`` and ``on`` too. What two readers of YAML take for different values is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from plimsoll import limits
from plimsoll.config.yaml_document import Map, Node, Scalar, Sequence, read_yaml
from plimsoll.errors import ConfigError

Path: TypeAlias = tuple[str | int, ...]

_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)", re.ASCII)
_FLOAT: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)
_DOUBTFUL: Final = re.compile(
    r"[+-]?0[0-9_]+|[+-]?0[xob][0-9a-fA-F_]+|\+[0-9].*|[+-]?[0-9][0-9_]*_[0-9_.]*"  # octal or not, hexadecimal or not
    r"|[-+]?[0-9][0-9]*(?::[0-5]?[0-9])+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",  # base 60 or not
    re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlValues:
    """``value`` is of dict, list, str, int, float, bool and None; ``places`` has line and column by path, from 1.

    A member stands where its key does; the root has the empty path.
    """

    value: object
    places: Mapping[Path, tuple[int, int]]


def read_yaml_values(data: bytes, *, origin: str) -> YamlValues:
    """Read one YAML document; raises ConfigError, naming the line, also for a number in a form that JSON has not.

    An alias counts as all that it stands for: of ``limits.YAML_NODES``.
    """
    reader = _Values(origin)
    node = read_yaml(data, origin=origin)
    value = None if node is None else reader.value(node, (), (node.line, node.column))
    return YamlValues(value=value, places=reader.places or {(): (1, 1)})


class _Values:
    """Goes through a tree, which by its aliases may be far larger than its text."""

    def __init__(self, origin: str) -> None:
        self.places: dict[Path, tuple[int, int]] = {}
        self._origin = origin

    def value(self, node: Node, path: Path, place: tuple[int, int]) -> object:
        if len(self.places) >= limits.YAML_NODES or len(path) > limits.JSON_DEPTH:
            raise ConfigError(f"{self._origin!r} is refused: with its aliases it is too large")
        self.places[path] = place
        match node:
            case Scalar():
                return self._scalar(node)
            case Sequence(items=items):
                return [self.value(item, (*path, at), (item.line, item.column)) for at, item in enumerate(items)]
            case Map(entries=entries, keys=keys):
                return {
                    name: self.value(item, (*path, name), (keys[name].line, keys[name].column))
                    for name, item in entries.items()
                }

    def _scalar(self, node: Scalar) -> object:
        if node.is_null:
            return None
        if not node.plain:
            return node.text
        if node.text in ("true", "false"):
            return node.text == "true"
        if _DOUBTFUL.fullmatch(node.text) is not None:
            raise ConfigError(
                f"{self._origin!r} is refused: line {node.line}, column {node.column}: {node.text[:64]!r} is a number "
                "to some readers of YAML and a text to others: quote it, or write the number as JSON does"
            )
        if _FLOAT.fullmatch(node.text) is not None:
            return self._number(node)
        return node.text

    def _number(self, node: Scalar) -> int | float:
        if len(node.text) > limits.JSON_INTEGER_DIGITS:
            where = f"line {node.line}, column {node.column}"
            raise ConfigError(f"{self._origin!r} is refused: {where}: a number of {len(node.text)} characters")
        return int(node.text) if _INTEGER.fullmatch(node.text) is not None else float(node.text)
