"""DER, read strictly and one level at a time: definite and shortest lengths, single-byte tags, nothing left over.

Source: X.690 sections 8.1 and 10.1. Nothing here calls itself: how deep bytes nest is up to who reads them, and what
is not asked for is not read.
"""

from __future__ import annotations

from typing import Final

from plimsoll.errors import BadSignatureError
from plimsoll.native import DerReader

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
OCTET_STRING: Final = 0x04
NULL: Final = 0x05
OBJECT_ID: Final = 0x06
GENERALIZED_TIME: Final = 0x18
SEQUENCE: Final = 0x30
SET: Final = 0x31
CONTEXT_0: Final = 0x80
"""A context-specific tag, number 0, primitive; CONSTRUCTED_0 is its constructed twin."""
CONSTRUCTED_0: Final = 0xA0
CONSTRUCTED_1: Final = 0xA1
CONSTRUCTED_2: Final = 0xA2
CONSTRUCTED_3: Final = 0xA3

__all__ = [
    "BOOLEAN",
    "CONSTRUCTED_0",
    "CONSTRUCTED_1",
    "CONSTRUCTED_2",
    "CONSTRUCTED_3",
    "CONTEXT_0",
    "GENERALIZED_TIME",
    "INTEGER",
    "NULL",
    "OBJECT_ID",
    "OCTET_STRING",
    "SEQUENCE",
    "SET",
    "DerReader",
    "read_der",
]


def read_der(data: bytes, *, tag: int, what: str, most: int) -> DerReader:
    """A reader of what is inside the one element that ``data`` is; raises BadSignatureError for more than ``most``."""
    if len(data) > most:
        raise BadSignatureError(f"{what} has {len(data)} bytes: at most {most}")
    outer = DerReader(data, what=what)
    content = outer.take(tag, "content")
    outer.end()
    return DerReader(content, what=what)
