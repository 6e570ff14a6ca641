"""Numbered signatures: ``signature-1``, ``signature-2``, ... as ``dir:`` and lookasides keep them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from plimsoll import limits
from plimsoll.errors import LimitExceededError, NotFoundError

ReadOne = Callable[[int], Awaitable[bytes]]
"""N -> the bytes of signature-N; raises NotFoundError where there is none."""


async def read_numbered(read: ReadOne, *, where: str) -> tuple[bytes, ...]:
    """``signature-1``, ``signature-2``, ... up to the first that is missing.

    Raises LimitExceededError, naming ``where``, for too many of them.
    """
    found: list[bytes] = []
    size = 0
    while True:
        try:
            blob = await read(len(found) + 1)
        except NotFoundError:
            return tuple(found)
        size += len(blob)
        if len(found) == limits.SIGNATURES_PER_PLACE or size > limits.EVIDENCE_BYTES:
            raise LimitExceededError(
                f"{where} has more than {limits.SIGNATURES_PER_PLACE} signatures of one image, "
                f"or more than {limits.EVIDENCE_BYTES} bytes of them"
            )
        found.append(blob)
