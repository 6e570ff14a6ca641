"""What a CEL expression may cost, read from its checked tree: its loops, what they look at, its regexps.

cel-expr-python gives the tree as protobuf bytes only (cel.expr.CheckedExpr: cel-spec's checked.proto, syntax.proto). Of
them those fields are read that say so; a kind of node that is not known here refuses the expression.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

_ANY_VALUE: Final = 2
_CHECKED_EXPR: Final = 4
_CONSTANT, _NAME, _SELECT, _CALL, _LIST, _STRUCT, _LOOP = range(3, 10)
"""Fields of cel.expr.Expr, one of which is set; a number where a message should be is the node's id."""
_CONSTANT_TEXT: Final = 6
_CALL_TARGET, _CALL_FUNCTION, _CALL_ARGUMENT = 1, 2, 3
_LOOP_NAMES: Final = (1, 3, 8)
"""The element's name, the accumulator's, and the second name of loops over maps."""
_LOOP_RANGE, _LOOP_START = 2, 4
_LOOP_BODY: Final = (5, 6, 7)
"""Condition, step and result."""


@dataclass(slots=True, kw_only=True)
class Shape:
    """``nesting`` is the most loops inside one another; ``regexps`` are the literal patterns of ``matches``.

    ``looks_outside`` says whether a loop's body looks at anything but its own element: then each turn may cost as much
    as the whole statement, else all turns together do. ``computed_regexps`` counts patterns that are no literals.
    """

    nesting: int = 0
    looks_outside: bool = False
    regexps: list[str] = field(default_factory=list)
    computed_regexps: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scope:
    """Where in the tree: inside how many loops, whether one of them is over data, and which names are the innermost's.

    A loop over a list that is written out turns as often as the condition's author wrote: it joins the scope around it.
    """

    loops: int
    over_data: bool
    own: frozenset[str]
    outside: frozenset[str]


def read_shape(serialized: bytes, *, variables: frozenset[str]) -> Shape:
    """The shape of an expression as ``Expression.serialize`` gives it; raises ValueError for what is not understood."""
    trees = [tree for checked in _messages(serialized, _ANY_VALUE) for tree in _messages(checked, _CHECKED_EXPR)]
    if len(trees) != 1:
        raise ValueError(f"{len(trees)} expressions where one is")
    shape = Shape()
    _visit(trees[0], shape, _Scope(loops=0, over_data=False, own=frozenset(), outside=variables))
    return shape


def _visit(node: bytes, shape: Shape, scope: _Scope) -> None:
    """Go through a node and all below it; the parser's cap of 32 bounds how deep they nest."""
    kinds = [(number, value) for number, value in _fields(node) if isinstance(value, bytes)]
    if len(kinds) != 1:
        raise ValueError(f"a node of {len(kinds)} kinds")
    ((kind, value),) = kinds
    if kind == _CONSTANT:
        return
    if kind == _NAME:
        name = "".join(map(_text, _messages(value, 1)))
        shape.looks_outside |= scope.over_data and name in scope.outside
    elif kind == _SELECT:
        _visit_all(_messages(value, 1), shape, scope)
    elif kind == _CALL:
        _visit_call(value, shape, scope)
    elif kind == _LIST:
        _visit_all(_messages(value, 1), shape, scope)
    elif kind == _STRUCT:
        for entry in _messages(value, 2):
            _visit_all([*_messages(entry, 3), *_messages(entry, 4)], shape, scope)
    elif kind == _LOOP:
        _visit_loop(value, shape, scope)
    else:
        raise ValueError(f"a node of the unknown kind {kind}")


def _visit_all(nodes: list[bytes], shape: Shape, scope: _Scope) -> None:
    for node in nodes:
        _visit(node, shape, scope)


def _visit_call(call: bytes, shape: Shape, scope: _Scope) -> None:
    arguments = _messages(call, _CALL_ARGUMENT)
    if [_text(name) for name in _messages(call, _CALL_FUNCTION)] == ["matches"]:
        constants = _messages(arguments[-1], _CONSTANT)
        literal = [_text(text) for constant in constants for text in _messages(constant, _CONSTANT_TEXT)]
        shape.regexps += literal
        shape.computed_regexps += not literal
    _visit_all([*_messages(call, _CALL_TARGET), *arguments], shape, scope)


def _visit_loop(loop: bytes, shape: Shape, scope: _Scope) -> None:
    own = frozenset(_text(name) for number in _LOOP_NAMES for name in _messages(loop, number))
    ranges = _messages(loop, _LOOP_RANGE)
    if all(_messages(found, _LIST) for found in ranges):
        inside = replace(scope, loops=scope.loops + 1, own=scope.own | own, outside=scope.outside - own)
    else:
        outside = (scope.outside | scope.own) - own
        inside = _Scope(loops=scope.loops + 1, over_data=True, own=own, outside=outside)
    shape.nesting = max(shape.nesting, inside.loops)
    _visit_all([*ranges, *_messages(loop, _LOOP_START)], shape, scope)
    _visit_all([node for number in _LOOP_BODY for node in _messages(loop, number)], shape, inside)


def _messages(data: bytes, wanted: int) -> list[bytes]:
    return [value for number, value in _fields(data) if number == wanted and isinstance(value, bytes)]


def _text(data: bytes) -> str:
    return data.decode()


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protobuf message: number and value; the value of a fixed width is left out as 0."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, width = tag >> 3, tag & 7
        value: int | bytes = 0
        if width == 0:
            value, at = _varint(data, at)
        elif width == 1:
            at += 8
        elif width == 2:
            size, at = _varint(data, at)
            value, at = data[at : at + size], at + size
        else:
            raise ValueError(f"a field of the unknown width {width}")
        if at > len(data):
            raise ValueError("a field that is cut")
        yield number, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value, at
    raise ValueError("a number that is cut")
