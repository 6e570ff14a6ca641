"""Effort: what checking the signatures of one image may cost, and the refusal beyond it.

Every check under a key says so here before it is made, at the one place where it is made: a format cannot forget it.
Who judges an image opens a limit around its work (a context variable, so each thread has its own); without one, as
where a user names the one file to check, nothing is limited. Units are P-256 checks: how long another key takes was
measured (OpenSSL 3, x86-64: P-256 0.09 ms, P-384 0.9, P-521 0.6, RSA 4096 0.1, Ed25519 0.16).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, TypeVar, cast

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from plimsoll import limits
from plimsoll.errors import EffortExceededError, SignatureError

_Read = TypeVar("_Read")
_Source = TypeVar("_Source")

_CURVES: Final = {"secp256r1": 1, "secp384r1": 10, "secp521r1": 10}
_DEAREST: Final = 10
_OTHERS: Final = 2
_HASHED_BYTES: Final = 128 * 1024
"""Bytes that are hashed in the time of one P-256 check."""
_SCANNED_BYTES: Final = 64 * 1024
"""Bytes of a bundle, or of the statement in it, that are checked in that time."""


class Effort:
    """How many P-256 checks were ``spent``, what was counted before included; ``exceeded`` says that more were asked.

    Once exceeded it stays so, whoever catches the error: the one who opened it asks at the end.
    """

    __slots__ = ("_most", "_read", "exceeded", "spent")

    def __init__(self, *, most: int, spent: int = 0) -> None:
        self._most = most
        self.spent = spent
        self.exceeded = False
        self._read: dict[str, tuple[object, object]] = {}

    def once(self, kind: str, source: object, read: Callable[[], _Read]) -> _Read:
        """What ``read`` made of ``source``, or raised, where that was the last one of its kind: see ``read_once``."""
        known = self._read.get(kind)
        if known is None or known[0] is not source:
            try:
                known = (source, read())
            except SignatureError as error:
                known = (source, error)
            self._read[kind] = known
        if isinstance(known[1], SignatureError):
            raise known[1].with_traceback(None)
        return cast("_Read", known[1])

    def spend(self, units: int) -> None:
        """Count ``units``; raises EffortExceededError where there are not as many left."""
        if self.exceeded or self.spent + units > self._most:
            self.exceeded = True
            raise EffortExceededError(
                f"to check all signatures at hand would cost more than {self._most} P-256 checks: the rest is unread, "
                "and nothing is accepted"
            )
        self.spent += units


_limit: Final[ContextVar[Effort | None]] = ContextVar("plimsoll effort", default=None)


@contextmanager
def limited(*, spent: int = 0, most: int | None = None) -> Iterator[Effort]:
    """Count all checks inside the block, beyond those ``spent`` before, up to ``most``.

    By default that is ``limits.SIGNATURE_CHECKS_PER_IMAGE``.
    """
    effort = Effort(most=limits.SIGNATURE_CHECKS_PER_IMAGE if most is None else most, spent=spent)
    token = _limit.set(effort)
    try:
        yield effort
    finally:
        _limit.reset(token)


def spend_check(key: object, *, hashed_bytes: int = 0) -> None:
    """Count one check under ``key`` (cryptography's) over ``hashed_bytes``; raises EffortExceededError."""
    effort = _limit.get()
    if effort is not None:
        effort.spend(_cost(key) + hashed_bytes // _HASHED_BYTES)


def spend_hash(hashed_bytes: int) -> None:
    """Count the hashing of so many bytes; raises EffortExceededError."""
    effort = _limit.get()
    if effort is not None:
        effort.spend(hashed_bytes // _HASHED_BYTES)


def spend_scan(scanned_bytes: int) -> None:
    """Count the strict reading of so many bytes of JSON; raises EffortExceededError."""
    effort = _limit.get()
    if effort is not None:
        effort.spend(scanned_bytes // _SCANNED_BYTES)


def spend_reading(certificates: int) -> None:
    """Count the reading of so many certificates, each as long as a check; raises EffortExceededError."""
    effort = _limit.get()
    if effort is not None:
        effort.spend(certificates)


def read_once(kind: str, source: _Source, read: Callable[[_Source], _Read]) -> _Read:
    """``read(source)``, where many signers in turn are asked about one signature: it is the same for each.

    A pure function is meant, which raises SignatureError. Inside a limit the last answer of each ``kind`` is kept, for
    this very ``source`` and no equal one; only the last, as a document of 16 MiB fills a hundred when it is read.
    """
    effort = _limit.get()
    return read(source) if effort is None else effort.once(kind, source, lambda: read(source))


def _cost(key: object) -> int:
    """In P-256 checks."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _CURVES.get(key.curve.name, _DEAREST)
    return _OTHERS if isinstance(key, rsa.RSAPublicKey | ed25519.Ed25519PublicKey) else _DEAREST
