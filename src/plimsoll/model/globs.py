"""The star of identities and scopes: one or more characters, none of them a slash."""

from __future__ import annotations


def part_matches(pattern: str, text: str) -> bool:
    """Whether one part between slashes is of this form; all but the ``*`` stands for itself."""
    first, *pieces = pattern.split("*")
    if not pieces:
        return pattern == text
    *middle, last = pieces
    if not text.startswith(first):
        return False
    at = len(first)
    for piece in middle:
        # The earliest place for each literal piece leaves the most for those behind it.
        found = text.find(piece, at + 1)
        if found < 0:
            return False
        at = found + len(piece)
    return len(text) - len(last) > at and text.endswith(last)
