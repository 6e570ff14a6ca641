"""RFC 3161 requests: the DER to send for a signature, and whether an answer is to this very request.

Source: RFC 3161 section 2.4.1; RFC 5754 section 2 (no parameters for SHA-256).
"""

from __future__ import annotations

import hashlib
from typing import Final

from plimsoll.errors import BadSignatureError, TimestampInvalidError
from plimsoll.signatures.timestamp_token import parse_timestamp

NONCE_BYTES: Final = 8
_SHA256: Final = bytes.fromhex("300b0609608648016503040201")


def timestamp_query(signature: bytes, *, nonce: bytes) -> bytes:
    """The TimeStampReq for the SHA-256 of ``signature``, with the authority's certificate in the answer.

    ``nonce`` are random bytes, used once.
    """
    imprint = _element(0x30, _SHA256 + _element(0x04, hashlib.sha256(signature).digest()))
    number = int.from_bytes(nonce, "big")
    digits = number.to_bytes(number.bit_length() // 8 + 1, "big")  # a leading zero bit: it is not negative
    return _element(0x30, b"\x02\x01\x01" + imprint + _element(0x02, digits) + b"\x01\x01\xff")


def check_answer(response: bytes, *, nonce: bytes) -> None:
    """Return if the answer repeats ``nonce``; whether it is good is ``verify_timestamp``'s to say.

    Raises TimestampInvalidError.
    """
    try:
        found = parse_timestamp(response).nonce
    except BadSignatureError as error:
        raise TimestampInvalidError(f"the timestamp authority's answer: {error}") from error
    if found != int.from_bytes(nonce, "big"):
        raise TimestampInvalidError("the timestamp authority answers another request: its nonce is not ours")


def _element(tag: int, content: bytes) -> bytes:
    assert len(content) < 0x80  # a request has 60 bytes
    return bytes([tag, len(content)]) + content
