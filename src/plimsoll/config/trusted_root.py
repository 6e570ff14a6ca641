"""Trusted roots: the one that ``--trusted-root`` names, and the public-good instance's, vendored or refreshed.

``public_good_root.json`` and ``public_good_tuf_root.json`` lie beside this module, byte for byte as the PyPI package
``sigstore`` 4.5.1 carries them for https://tuf-repo-cdn.sigstore.dev (its ``_store`` folder; the wheel's SHA-256 is
02e000197b34980f1d382741d6f83c2fecbcef7debf7304f36a5253f3c892cd9, published between 16 and 24 October 2026; taken on
22 November 2026). Nothing here opens a socket: ``plimsoll trust update`` does, and nobody else.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from plimsoll import limits
from plimsoll.config.files import ConfigFile, read_file
from plimsoll.config.trust_store import RefreshedRoot, checked_mirror, instant, read_refreshed, store_folder
from plimsoll.errors import TrustRootError

_log = logging.getLogger(__name__)

VENDORED_FROM: Final = "sigstore 4.5.1 (PyPI)"
VENDORED_AS_OF_S: Final = int(datetime(2026, 10, 16, tzinfo=UTC).timestamp())
"""The earliest day on which that package can have been published."""
VENDORED_ROOT_SHA256: Final = "6494e21ea73fa7ee769f85f57d5a3e6a08725eae1e38c755fc3517c9e6bc0b66"
VENDORED_TUF_ROOT_SHA256: Final = "73747011d0857ada15479a16c4cae0f3ed03aac698b523b97e1de314ac9d9ca8"
WARN_BEFORE_S: Final = 14 * 86_400
"""How long before the end of a refreshed root it is said: time enough for a job that runs once a week."""
VENDORED_STALE_S: Final = 180 * 86_400
"""The age from which the vendored root is said to be old: TUF signs the public-good one for half a year."""
_FOLDER: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRoot:
    """A trusted root's bytes, where they are from, and as of when (seconds since 1970; None: nobody says).

    ``expires_s`` is when the TUF metadata that vouched for it end; a root that no metadata came with has None.
    """

    origin: str
    data: bytes = field(repr=False)
    kind: Literal["file", "refreshed", "vendored"]
    as_of_s: int | None = None
    expires_s: int | None = None


def read_trusted_root(path: str) -> ConfigFile:
    """Read the file; raises TrustRootError for one that is missing, no regular file, unreadable or too large."""
    try:
        return read_file(path, limit=limits.TRUSTED_ROOT_BYTES, error=TrustRootError)
    except (FileNotFoundError, TrustRootError) as error:
        raise TrustRootError(f"--trusted-root: {error}") from None


def public_good_root(environ: Mapping[str, str], *, now_s: float) -> FoundRoot:
    """The public-good instance's trusted root: the refreshed copy, else the one that came with plimsoll.

    A refreshed copy whose metadata have expired gives way to a vendored root that is newer, and to no older one: that
    would trust again what was withdrawn since. A warning is logged from two weeks before the end. Raises TrustRootError
    for a refreshed copy that is there and not whole. Never any network.
    """
    folder = store_folder(environ, instance=None)
    refreshed = read_refreshed(folder) if folder else None
    if refreshed is None:
        return _vendored_root(now_s)
    record = refreshed.record
    if now_s > record.expires_s and record.refreshed_s <= VENDORED_AS_OF_S:
        _log.warning(
            "the trusted root refreshed on %s expired on %s; the one that came with plimsoll is newer, and is used: "
            "run plimsoll trust update",
            instant(record.refreshed_s),
            instant(record.expires_s),
        )
        return vendored_root()
    _warn_of_the_end(refreshed, now_s)
    return _found(refreshed)


def private_root(mirror: str, *, environ: Mapping[str, str], now_s: float) -> FoundRoot:
    """The refreshed root of a private instance, by the address of its TUF repository.

    Raises TrustRootError where it was never refreshed, is not whole, or has expired: nothing else stands for it.
    """
    folder = store_folder(environ, instance=checked_mirror(mirror))
    refreshed = read_refreshed(folder) if folder else None
    if refreshed is None:
        raise TrustRootError(f"nothing was refreshed from {mirror!r:.160}: run plimsoll trust update --tuf-mirror")
    end = refreshed.record.expires_s
    if now_s > end:
        raise TrustRootError(f"what was refreshed from {mirror!r:.160} expired on {instant(end)}: refresh it again")
    _warn_of_the_end(refreshed, now_s)
    return _found(refreshed)


def vendored_root() -> FoundRoot:
    """The root that came with plimsoll."""
    return FoundRoot(
        origin=VENDORED_FROM,
        data=(_FOLDER / "public_good_root.json").read_bytes(),
        kind="vendored",
        as_of_s=VENDORED_AS_OF_S,
    )


def vendored_tuf_root() -> bytes:
    """The public-good repository's TUF root (version 15), from which ``plimsoll trust update`` goes on.

    It expired on 20 November 2026, which hinders nothing: a TUF client judges the newest root that this one leads to.
    """
    return (_FOLDER / "public_good_tuf_root.json").read_bytes()


def _found(refreshed: RefreshedRoot) -> FoundRoot:
    return FoundRoot(
        origin=refreshed.file.origin,
        data=refreshed.file.data,
        kind="refreshed",
        as_of_s=refreshed.record.refreshed_s,
        expires_s=refreshed.record.expires_s,
    )


def _vendored_root(now_s: float) -> FoundRoot:
    found = vendored_root()
    if now_s > VENDORED_AS_OF_S + VENDORED_STALE_S:
        _log.warning(
            "the trusted root that came with plimsoll is of %s: run plimsoll trust update", instant(VENDORED_AS_OF_S)
        )
    return found


def _warn_of_the_end(refreshed: RefreshedRoot, now_s: float) -> None:
    end = refreshed.record.expires_s
    if now_s > end:
        _log.warning(
            "the refreshed trusted root expired on %s; it is still newer than the one that came with plimsoll, and is "
            "used: run plimsoll trust update",
            instant(end),
        )
    elif now_s > end - WARN_BEFORE_S:
        _log.warning("the refreshed trusted root expires on %s: run plimsoll trust update", instant(end))
