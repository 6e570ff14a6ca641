"""JSON objects whose specs tell readers to pass over members they do not know: DSSE envelopes, in-toto statements.

Passed over is not misread: a name that differs from a known one only in case is refused, because Go's encoding/json,
which cosign reads these with, would take it for the known one.
"""

from __future__ import annotations

from collections.abc import Callable

from plimsoll import limits
from plimsoll.errors import PayloadError
from plimsoll.native import JsonValue, ReadError, read_json, read_outline
from plimsoll.signatures.effort import spend_scan


def read_document(data: bytes, *, max_depth: int, max_values: int, what: str) -> JsonValue:
    """The value of one strict JSON document within the caps; raises PayloadError."""
    return _read(data, lambda: read_json(data, max_depth=max_depth, max_values=max_values), what=what)


def read_document_outline(
    data: bytes, *, unread: str, max_depth: int, max_values: int, max_unread: int, what: str
) -> JsonValue:
    """The same, its member ``unread`` checked but empty where it is an object or list (``native.read_outline``)."""
    spend_scan(len(data))
    return _read(
        data,
        lambda: read_outline(data, unread=unread, max_depth=max_depth, max_values=max_values, max_unread=max_unread),
        what=what,
    )


def _read(data: bytes, read: Callable[[], JsonValue], *, what: str) -> JsonValue:
    if len(data) > limits.BUNDLE_BYTES:
        raise PayloadError(f"{what} has {len(data)} bytes: at most {limits.BUNDLE_BYTES}")
    try:
        return read()
    except ReadError as error:
        raise PayloadError(f"{what} is refused: {error}") from error


def known_members(value: JsonValue, names: frozenset[str], *, where: str) -> dict[str, JsonValue]:
    """The object itself, if no other member could be taken for one of ``names``; raises PayloadError."""
    if not isinstance(value, dict):
        raise PayloadError(f"{where} is no JSON object")
    if not value.keys() <= names:
        folded = {name.casefold() for name in names}
        for name in value:
            if name not in names and name.casefold() in folded:
                raise PayloadError(f"{where} has a member {name!r:.160}, which is a known one but for its case")
    return value


def text_member(value: dict[str, JsonValue], name: str, *, where: str, limit: int = limits.TEXT_CHARS) -> str:
    """A string of 1 to ``limit`` characters; raises PayloadError."""
    found = value.get(name)
    if not isinstance(found, str) or not 0 < len(found) <= limit:
        raise PayloadError(f"{where}.{name} is no text of 1 to {limit} characters")
    return found


def optional_text(value: dict[str, JsonValue], name: str, *, where: str) -> str:
    """A string, "" where it is absent or null; raises PayloadError."""
    found = value.get(name)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise PayloadError(f"{where}.{name} is no text")
    return found
