"""Hostile text made showable: everything that came from a registry or a signature passes here before a terminal."""

from __future__ import annotations

import unicodedata
from typing import Final

from plimsoll import limits

_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Control, format (bidi overrides, zero-width), surrogates, private use, unassigned, line and paragraph separators."""


def printable(text: str, *, limit: int = limits.TEXT_CHARS) -> str:
    """``text`` with every character that a terminal would obey or hide escaped, cut at ``limit`` characters."""
    if text.isascii() and text.isprintable() and len(text) <= limit:
        return text
    shown = "".join([_shown(character) for character in text[:limit]])
    return shown if len(text) <= limit else f"{shown}... ({len(text)} characters)"


def _shown(character: str) -> str:
    if unicodedata.category(character) not in _HIDDEN:
        return character
    return character.encode("unicode_escape").decode("ascii")
