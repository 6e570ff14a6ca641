"""When an attestation was made: the earlier of the time that is proven and the one that its predicate states. Pure.

A log entry or a timestamp proves "no later than". Whoever can write to a registry can have an old signature by a key
stamped anew; what is signed he cannot change. A short-lived certificate bounds the proven time from below by itself.

Sources: cosign's vulnerability and custom predicates; SLSA provenance v0.1, v0.2, v1 and verification summary v1;
in-toto's vulns v0.1 and v0.2; SPDX 2.3; CycloneDX 1.6; OpenVEX 0.2.0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final, TypeAlias

from plimsoll import limits
from plimsoll.model.attestation import Statement
from plimsoll.signatures.formats import VerifiedAttestation

_Paths: TypeAlias = tuple[tuple[str, ...], ...]

_SCANNED: Final[_Paths] = (("metadata", "scanFinishedOn"), ("metadata", "scanStartedOn"))
_BUILT: Final[_Paths] = (("metadata", "buildFinishedOn"), ("metadata", "buildStartedOn"))
_PATHS: Final[dict[str, _Paths]] = {
    "https://cosign.sigstore.dev/attestation/v1": (("Timestamp",),),
    "https://cosign.sigstore.dev/attestation/vuln/v1": _SCANNED,
    "https://in-toto.io/attestation/vulns/v0.1": _SCANNED,
    "https://in-toto.io/attestation/vulns/v0.2": _SCANNED,
    "https://slsa.dev/provenance/v0.1": _BUILT,
    "https://slsa.dev/provenance/v0.2": _BUILT,
    "https://slsa.dev/provenance/v1": (
        ("runDetails", "metadata", "finishedOn"),
        ("runDetails", "metadata", "startedOn"),
    ),
    "https://slsa.dev/verification_summary/v1": (("timeVerified",),),
    "https://spdx.dev/Document": (("creationInfo", "created"),),
    "https://cyclonedx.org/bom": (("metadata", "timestamp"),),
    "https://openvex.dev/ns": (("last_updated",), ("timestamp",)),
}
"""Predicate type -> where its time is; the first that is there counts."""
_VERSION: Final = re.compile(r"/v[0-9.]+", re.ASCII)
"""What SPDX, CycloneDX and OpenVEX may append to their types."""
_TIME: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)


def states_time(predicate_type: str) -> bool:
    """Whether predicates of this type have a member for the time when they were made."""
    return _paths(predicate_type) is not None


def made_at(found: VerifiedAttestation, now_s: float) -> float | None:
    """When it was made, at the latest, in seconds since 1970; None where that is not known.

    Not known is what has no proven time, or states one that cannot be read or lies in the future. A certificate's
    proven time will do where none is stated; a key's only where the type has no member for it.
    """
    if found.signed_at_s is None:
        return None
    paths = _paths(found.statement.predicate_type)
    if paths is None:
        return found.signed_at_s
    said = _stated(found.statement, paths)
    if said is None:
        return None if found.certified is None else found.signed_at_s
    stated_s = _read(said)
    if stated_s is None or stated_s > now_s + limits.CLOCK_SKEW_S:
        return None
    return min(found.signed_at_s, stated_s)


def _paths(predicate_type: str) -> _Paths | None:
    exact = _PATHS.get(predicate_type)
    if exact is not None:
        return exact
    at = predicate_type.rfind("/")
    return _PATHS.get(predicate_type[:at]) if _VERSION.fullmatch(predicate_type[at:]) else None


def _stated(statement: Statement, paths: _Paths) -> object | None:
    """What stands at the first of ``paths`` that is there and not null."""
    for path in paths:
        value: object = statement.predicate
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        if value is not None:
            return value
    return None


def _read(said: object) -> float | None:
    """An RFC 3339 time with a zone, its fraction of a second left out; None for anything else."""
    found = _TIME.fullmatch(said) if isinstance(said, str) else None
    if found is None:
        return None
    try:
        return datetime.fromisoformat(f"{found[1]}{found[2]}".upper()).timestamp()
    except (ValueError, OverflowError):
        return None
