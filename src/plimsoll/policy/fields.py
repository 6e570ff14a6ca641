"""The strict fields of a JSON object: a key that is unknown, missing or of another type refuses the whole document.

``where`` is the place in the document (``transports.docker["host/ns"][0].keyPath``); every message begins with it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable

from plimsoll import limits
from plimsoll.errors import PolicyError

_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", re.ASCII)


def member(where: str, key: str) -> str:
    """The place of ``key`` in the object at ``where``."""
    if _PLAIN.fullmatch(key) is None:
        return subscript(where, key)
    return f"{where}.{key}" if where else key


def subscript(where: str, key: str) -> str:
    """The place of ``key`` in the map at ``where``, quoted and never cut: different keys are different places."""
    return f"{where}[{json.dumps(key)}]"


def shown(text: str) -> str:
    """``text`` as a JSON string for a message: ASCII, on one line, of bounded length."""
    return json.dumps(text if len(text) <= limits.TEXT_CHARS else text[: limits.TEXT_CHARS] + "...")


def object_at(value: object, where: str, *, known: frozenset[str], needed: frozenset[str]) -> dict[str, object]:
    """The object at ``where``, holding all keys ``needed`` and none beyond those and ``known``; raises PolicyError."""
    found = map_at(value, where)
    allowed = known | needed
    for key in found:
        if key not in allowed:
            raise PolicyError(f"{where}: unknown key {shown(key)}; known here: {_list(allowed)}")
    for key in sorted(needed):
        if key not in found:
            raise PolicyError(f"{where}: the key {shown(key)} is missing")
    return found


def map_at(value: object, where: str) -> dict[str, object]:
    """The object at ``where``, whatever its keys; raises PolicyError."""
    if not isinstance(value, dict):
        raise PolicyError(f"{where or 'the document'}: an object {{...}} is needed, not {kind(value)}")
    return value


def list_at(value: object, where: str) -> list[object]:
    """The list at ``where``; raises PolicyError."""
    if not isinstance(value, list):
        raise PolicyError(f"{where}: a list [...] is needed, not {kind(value)}")
    return value


def text_at(value: object, where: str) -> str:
    """The string at ``where``, possibly empty; raises PolicyError."""
    if not isinstance(value, str):
        raise PolicyError(f"{where}: a string is needed, not {kind(value)}")
    return value


def filled_text_at(value: object, where: str) -> str:
    """The string at ``where``; raises PolicyError for an empty one, which skopeo takes for no string at all."""
    text = text_at(value, where)
    if not text:
        raise PolicyError(f"{where}: the string is empty; give a value or leave the key out")
    return text


def texts_at(value: object, where: str) -> tuple[str, ...]:
    """The strings listed at ``where``; raises PolicyError, also for more than ``limits.POLICY_KEYS``."""
    return tuple([text_at(entry, at) for at, entry in _entries(value, where)])


def data_at(value: object, where: str) -> bytes:
    """The bytes at ``where``, in standard base64 (RFC 4648 section 4; line breaks are passed over as Go does)."""
    text = text_at(value, where).replace("\r", "").replace("\n", "")
    if _BASE64.fullmatch(text) is None:  # b64decode takes superfluous padding, which Go refuses
        raise PolicyError(f"{where}: not standard base64 with padding")
    return base64.b64decode(text)


def datas_at(value: object, where: str) -> tuple[bytes, ...]:
    """The bytes listed at ``where``; raises PolicyError, also for more than ``limits.POLICY_KEYS``."""
    return tuple([data_at(entry, at) for at, entry in _entries(value, where)])


def kind(value: object) -> str:
    """What a JSON value is, in a reader's words."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "a string"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case _:
            return "an object"


def _entries(value: object, where: str) -> Iterable[tuple[str, object]]:
    entries = list_at(value, where)
    if len(entries) > limits.POLICY_KEYS:
        raise PolicyError(f"{where}: {len(entries)} entries; at most {limits.POLICY_KEYS}")
    return [(f"{where}[{at}]", entry) for at, entry in enumerate(entries)]


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
