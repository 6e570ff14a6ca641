"""Digest: an algorithm and its value, as image-spec descriptor.md writes them.

Only the three algorithms that may carry trust are parsed; md5, sha1 and unknown ones are refused (CVE-2025-59354).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final, Literal, Self

from plimsoll.errors import InvalidReferenceError

Algorithm = Literal["sha256", "sha384", "sha512"]

HEX_LENGTH: Final[dict[Algorithm, int]] = {"sha256": 64, "sha384": 96, "sha512": 128}
_DIGEST = re.compile(r"(?:(sha256):([a-f0-9]{64})|(sha384):([a-f0-9]{96})|(sha512):([a-f0-9]{128}))", re.ASCII)


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest whose hex has the length and the lower case that its algorithm asks for.

    Positional, because algorithm and hex are read in that order everywhere.
    """

    algorithm: Algorithm
    hex: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``ALGORITHM:HEX``; raises InvalidReferenceError for anything else."""
        found = _DIGEST.fullmatch(text)
        if found is None:
            raise InvalidReferenceError(
                f"{text[:160]!r} is no digest: write sha256:, sha384: or sha512: and lower-case hex of full length"
            )
        algorithm, _, value = text.partition(":")
        return cls(algorithm, value)  # type: ignore[arg-type]  # the pattern names only the three

    @classmethod
    def of(cls, data: bytes, *, algorithm: Algorithm = "sha256") -> Self:
        """Hash ``data``."""
        return cls(algorithm, hashlib.new(algorithm, data).hexdigest())

    def matches(self, data: bytes) -> bool:
        """Whether ``data`` hashes to this digest, under this digest's own algorithm."""
        return hashlib.new(self.algorithm, data).hexdigest() == self.hex

    @property
    def tag(self) -> str:
        """The form that referrers' fallback tags and cosign's tags use: ``ALGORITHM-HEX``."""
        return f"{self.algorithm}-{self.hex}"

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"
