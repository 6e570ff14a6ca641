"""Statement: what an in-toto attestation says, about which artifacts; true only if its envelope is proven signed.

Source: in-toto/attestation, spec/v1/statement.md and spec/v0.1/README.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from plimsoll.model.digest import Digest
from plimsoll.native import JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One artifact that a statement is about.

    ``digests`` maps an algorithm's name to its value: of sha256, sha384 and sha512 lower-case hex of full length, of
    others any text. ``name`` is "" where the subject has none.
    """

    name: str
    digests: Mapping[str, str]
    annotations: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """An in-toto statement: ``type`` is its version's URI; ``predicate`` is any JSON object, None where it has none."""

    type: str
    subjects: tuple[Subject, ...]
    predicate_type: str
    predicate: Mapping[str, JsonValue] | None

    def subject_with(self, digest: Digest) -> Subject:
        """The first subject that has ``digest``; raises ValueError where none has."""
        for subject in self.subjects:
            if subject.digests.get(digest.algorithm) == digest.hex:
                return subject
        raise ValueError(f"no subject has {digest}")
