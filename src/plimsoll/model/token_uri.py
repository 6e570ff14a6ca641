"""``pkcs11:`` URIs (RFC 7512): which object, on which token, by which module, with which PIN.

Stricter than the RFC: what would narrow the choice and is not looked at here is refused, never passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_to_bytes

from plimsoll import limits
from plimsoll.errors import UnreadableKeyError

_PATH: Final = ("token", "manufacturer", "serial", "model", "object", "type", "id", "slot-id")
_QUERY: Final = ("module-path", "pin-value", "pin-source")
_TYPES: Final = ("public", "cert", "private")
_TEXT = re.compile(r"(?:[A-Za-z0-9_.~:\[\]@!$'()*+,=&/-]|%[0-9A-Fa-f]{2})*", re.ASCII)
_QUERY_TEXT = re.compile(r"(?:[A-Za-z0-9_.~:\[\]@!$'()*+,=;/?|-]|%[0-9A-Fa-f]{2})*", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenKey:
    """What identifies one object; None where the URI does not say. ``id`` is CKA_ID, ``label`` CKA_LABEL.

    ``kind`` is the URI's ``type``: public, cert or private. ``pin_source`` is the name of a file.
    """

    token: str | None = None
    manufacturer: str | None = None
    serial: str | None = None
    model: str | None = None
    slot_id: int | None = None
    label: str | None = None
    id: bytes | None = None
    kind: str | None = None
    module_path: str | None = None
    pin_value: str | None = field(default=None, repr=False)
    pin_source: str | None = None


def parse_token_uri(uri: str) -> TokenKey:
    """Read a ``pkcs11:`` URI; raises UnreadableKeyError, naming attributes but never the value of one.

    Refused are attributes given twice, unknown ones, both a PIN and its source, and what names no object.
    """
    if len(uri) > limits.KEY_REFERENCE_CHARS:
        raise UnreadableKeyError(f"a pkcs11: URI of {len(uri)} characters: at most {limits.KEY_REFERENCE_CHARS}")
    path, _, query = uri.partition(":")[2].partition("?")
    named = _attributes(path.split(";"), _PATH, _TEXT)
    asked = _attributes(query.split("&"), _QUERY, _QUERY_TEXT)
    if "pin-value" in asked and "pin-source" in asked:
        raise UnreadableKeyError("a pkcs11: URI has both pin-value and pin-source: one PIN is enough")
    if not named.get("id") and not named.get("object"):
        raise UnreadableKeyError("a pkcs11: URI must name the key: object=LABEL, id=%01, or both")
    return TokenKey(
        token=_text(named, "token"),
        manufacturer=_text(named, "manufacturer"),
        serial=_text(named, "serial"),
        model=_text(named, "model"),
        slot_id=_number(named, "slot-id"),
        label=_text(named, "object"),
        id=named.get("id"),
        kind=_kind(named),
        module_path=_file(asked, "module-path"),
        pin_value=_text(asked, "pin-value"),
        pin_source=_file(asked, "pin-source"),
    )


def shown_token_uri(uri: str) -> str:
    """The URI for messages: of its path the attributes that identify an object, and nothing of the query."""
    path = uri.partition(":")[2].partition("?")[0]
    kept = [part for part in path.split(";") if part.partition("=")[0] in _PATH]
    return f"pkcs11:{';'.join(kept)}"[: limits.KEY_REFERENCE_CHARS]


def _attributes(parts: Iterable[str], known: tuple[str, ...], grammar: re.Pattern[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in filter(None, parts):
        name, equals, value = part.partition("=")
        if name not in known or not equals:
            # Not quoted: it may be a PIN that was written in the wrong place.
            raise UnreadableKeyError(f"a pkcs11: URI has an attribute that is not used here: {', '.join(known)} are")
        if name in found:
            raise UnreadableKeyError(f"a pkcs11: URI has {name} twice")
        if grammar.fullmatch(value) is None:
            raise UnreadableKeyError(f"a pkcs11: URI has a character in {name} that must be written as %XX")
        found[name] = unquote_to_bytes(value)
    return found


def _text(found: dict[str, bytes], name: str) -> str | None:
    value = found.get(name)
    try:
        text = None if value is None else value.decode()
    except UnicodeDecodeError:
        raise UnreadableKeyError(f"{name} of a pkcs11: URI is no UTF-8") from None
    if text is not None and "\0" in text:
        raise UnreadableKeyError(f"{name} of a pkcs11: URI has a null character")
    return text


def _number(found: dict[str, bytes], name: str) -> int | None:
    text = _text(found, name)
    if text is not None and _NUMBER.fullmatch(text) is None:
        raise UnreadableKeyError(f"{name} of a pkcs11: URI is no number")
    return None if text is None else int(text)


def _kind(found: dict[str, bytes]) -> str | None:
    kind = _text(found, "type")
    if kind is not None and kind not in _TYPES:
        raise UnreadableKeyError(f"type of a pkcs11: URI is none of {', '.join(_TYPES)}")
    return kind


def _file(found: dict[str, bytes], name: str) -> str | None:
    """A path, or ``file:`` with one (RFC 8089); never from the current directory, and never a command."""
    text = _text(found, name)
    if text is None:
        return None
    path = text.removeprefix("file:")
    path = "/" + path.lstrip("/") if path.startswith("///") else path
    if not path.startswith("/") or path.startswith("//"):
        raise UnreadableKeyError(f"{name} of a pkcs11: URI is no absolute path of a file")
    return path
