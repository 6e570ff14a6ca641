"""Canonical standard base64 by binascii: what ext/_base64.pyx must equal."""

from __future__ import annotations

import binascii


def base64_decode(text: str, /) -> bytes | None:
    """The bytes that ``text`` is the canonical standard base64 of (RFC 4648 section 3.5), None where it is of none."""
    try:
        data = binascii.a2b_base64(text)
    except ValueError:  # binascii.Error is one, and what it raises for text that is not ASCII
        return None
    # The decoder passes over what is no base64, and over stray bits.
    return data if binascii.b2a_base64(data, newline=False) == text.encode() else None
