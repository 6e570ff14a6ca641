"""RFC 8785 (JCS) in plain Python: the specification that ext/_jcs.pyx must equal byte for byte."""

from __future__ import annotations

import json
import math
from typing import Final

from plimsoll import limits
from plimsoll.errors import CanonicalizationError
from plimsoll.native.fields import JsonValue

_SAFE_INTEGER: Final = 2**53 - 1  # RFC 8785, appendix D; I-JSON, RFC 7493 section 2.2


def jcs_encode(value: JsonValue, /, *, max_depth: int = limits.JSON_DEPTH * 2) -> bytes:
    """The canonical bytes of a JSON value (RFC 8785); CanonicalizationError where it has none.

    Only the exact built-in types are JSON values here, tuples count as arrays; ValueError for a max_depth out of range.
    """
    if not 1 <= max_depth <= limits.JSON_DEPTH_MOST:
        raise ValueError(f"max_depth must be 1 to {limits.JSON_DEPTH_MOST}, not {max_depth}")
    return _value(value, max_depth).encode()


def _value(value: object, depth: int) -> str:
    kind = type(value)
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    if isinstance(value, str) and kind is str:
        return _string(value)
    if isinstance(value, int) and kind is int:
        return _integer(value)
    if isinstance(value, float) and kind is float:
        return _number(value)
    if isinstance(value, dict) and kind is dict:
        return _object(value, depth)
    if isinstance(value, (list, tuple)) and kind in (list, tuple):
        _enter(depth)
        return "[" + ",".join(_value(item, depth - 1) for item in value) + "]"
    raise CanonicalizationError(f"a {kind.__name__} is no JSON value")


def _enter(depth: int) -> None:
    if depth == 0:
        raise CanonicalizationError("the value is nested too deeply")


def _object(members: dict[object, object], depth: int) -> str:
    _enter(depth)
    names: list[str] = []
    for name in members:
        if not (isinstance(name, str) and type(name) is str):
            raise CanonicalizationError(f"a member's name is a {type(name).__name__}, not a str")
        _refuse_surrogates(name)
        names.append(name)
    names.sort(key=lambda name: name.encode("utf-16-be"))  # section 3.2.3
    return "{" + ",".join(f"{_string(name)}:{_value(members[name], depth - 1)}" for name in names) + "}"


def _refuse_surrogates(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise CanonicalizationError(f"a string has a lone surrogate at character {error.start}") from error


def _string(text: str) -> str:
    _refuse_surrogates(text)
    return json.dumps(text, ensure_ascii=False)  # the escapes of section 3.2.2.2 are exactly json's


def _integer(number: int) -> str:
    if not -_SAFE_INTEGER <= number <= _SAFE_INTEGER:
        raise CanonicalizationError("an integer beyond 2**53 - 1 has no exact form in JSON numbers")
    return str(number)


def _number(number: float) -> str:
    """ECMA-262, Number::toString: the same shortest digits as repr, laid out by its rules for k, n and s."""
    if not math.isfinite(number):
        raise CanonicalizationError("NaN and infinity have no form in JSON")
    if number == 0:
        return "0"
    sign = "-" if number < 0 else ""
    mantissa, _, exponent = repr(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    n = len(digits) - len(fraction) + int(exponent or 0)
    s = digits.rstrip("0")
    k = len(s)
    if k <= n <= 21:
        return sign + s + "0" * (n - k)
    if 0 < n <= 21:
        return f"{sign}{s[:n]}.{s[n:]}"
    if -6 < n <= 0:
        return f"{sign}0.{'0' * -n}{s}"
    point = "." if k > 1 else ""
    return f"{sign}{s[0]}{point}{s[1:]}e{n - 1:+d}"
