"""When another try is worth it, and how long to wait before it."""

from __future__ import annotations

from collections.abc import Callable

from plimsoll import limits
from plimsoll.errors import (
    NoTLSError,
    RateLimitedError,
    RegistryError,
    RequestTimeoutError,
    TransportError,
    UnreachableError,
    UntrustedHostError,
)


def retry_wait_s(
    error: TransportError, *, tried: int, retries: int, random: Callable[[], float], delay_s: float | None = None
) -> float | None:
    """Seconds to wait before the next try after ``tried`` failures; None where the error is final.

    Back-off doubles from 0.1 s to 30 s, of which between a half and the whole is waited, so that requests that
    failed together do not return together. ``delay_s``, and at most a tenth more, stands in for that (skopeo's
    ``--retry-delay``). A Retry-After lengthens either. Raises RateLimitedError for a Retry-After
    beyond the cap (cli.md, "Defaults").
    """
    if not _is_worth(error):
        return None
    asked_s = error.retry_after_s if isinstance(error, RateLimitedError | RegistryError) else None
    if asked_s is not None and asked_s > limits.RETRY_AFTER_S:
        raise RateLimitedError(
            f"{error}; it asks to wait {asked_s:.0f} s, more than {limits.RETRY_AFTER_S:.0f} s: try again later",
            retry_after_s=asked_s,
        ) from error
    if tried >= retries:
        return None
    # 2.0 ** 1024 would overflow, and 30 s is reached at the ninth try.
    backoff_s = min(limits.BACKOFF_MOST_S, limits.BACKOFF_FIRST_S * 2.0 ** min(tried, 32))
    jittered_s = backoff_s * (0.5 + random() / 2) if delay_s is None else delay_s * (1 + random() / 10)
    return jittered_s if asked_s is None else max(jittered_s, asked_s + limits.BACKOFF_FIRST_S * random())


def _is_worth(error: TransportError) -> bool:
    match error:
        case UntrustedHostError() | NoTLSError():
            return False
        case UnreachableError() | RequestTimeoutError() | RateLimitedError():
            return True
        case RegistryError():
            return error.worth_a_retry
        case _:
            return False
