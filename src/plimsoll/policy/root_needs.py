"""Whether a plimsoll document needs a trusted root: for log entries, certificates, or proven times. Pure."""

from __future__ import annotations

from plimsoll.policy.plimsoll_document import PlimsollPolicy
from plimsoll.policy.requirements import (
    ALWAYS,
    AllOf,
    AnyOf,
    AttestationsRequired,
    LogDemand,
    NamedKey,
    NamedSigner,
    Requirement,
    SignaturesRequired,
)


def needs_root(policy: PlimsollPolicy) -> bool:
    """Whether any of its lists does; those of an extended policy.json bring their own log keys."""
    return any(
        _asks(item) for items in (policy.default, *[rule.requirements for rule in policy.rules]) for item in items
    )


def _asks(item: Requirement) -> bool:
    match item:
        case AllOf(parts=parts) | AnyOf(parts=parts):
            return any(_asks(part) for part in parts)
        case SignaturesRequired():
            return item.log is LogDemand.REQUIRED or any(map(_timed, item.signers))
        case AttestationsRequired():
            timed = item.max_age_s is not None or bool(item.conditions)
            return timed or item.log is LogDemand.REQUIRED or any(map(_timed, item.signers))
        case _:
            return False


def _timed(signer: NamedSigner) -> bool:
    return not isinstance(signer, NamedKey) or signer.window != ALWAYS
