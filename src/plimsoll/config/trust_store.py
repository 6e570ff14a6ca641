"""What ``plimsoll trust update`` keeps: the refreshed copy of a trusted root, and a record of what vouched for it.

A store is a folder: ``current.json`` (the record), ``trusted_root.SHA256.json`` (the file that it names), ``metadata``
(python-tuf's own). The record is replaced last and whole, so an update that breaks off leaves the former copy in use.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from plimsoll import limits
from plimsoll.config.files import ConfigFile, home, read_file
from plimsoll.errors import ConfigError, ReadError, TrustRootError
from plimsoll.native import read_json

PUBLIC_GOOD_MIRROR: Final = "https://tuf-repo-cdn.sigstore.dev"
"""The TUF repository of the public-good instance."""
RECORD: Final = "current.json"
SCHEMA: Final = "plimsoll.refreshed-root/v1"
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_INSTANT: Final = "%Y-%m-%dT%H:%M:%SZ"
_FIRST_S: Final = datetime(1, 1, 1, tzinfo=UTC).timestamp()
_LAST_S: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()
"""A time zone can put a time of RFC 3339 just outside of what a datetime holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshRecord:
    """Where a refreshed root came from, and until when its TUF metadata stand for it (seconds since 1970).

    ``expires_s`` is the earlier end of TUF's root and targets roles, which sign what the file is; the ends of the
    others (a week for timestamps) say only how long a mirror may hold news back.
    """

    mirror: str
    sha256: str
    refreshed_s: int
    expires_s: int
    root_version: int
    targets_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshedRoot:
    """The file and its record; the bytes have the hash that the record names."""

    file: ConfigFile
    record: RefreshRecord


def data_folder(environ: Mapping[str, str]) -> str:
    """The user's data folder for plimsoll; "" where there is no home.

    ``XDG_DATA_HOME`` counts where it is an absolute path, as its specification asks: set and empty, or relative, it
    would make the current directory a source of trust.
    """
    named = environ.get("XDG_DATA_HOME", "")
    if Path(named).is_absolute():
        return f"{named.rstrip('/')}/plimsoll"
    found = home(environ).rstrip("/")
    return f"{found}/.local/share/plimsoll" if found else ""


def store_folder(environ: Mapping[str, str], *, instance: str | None) -> str:
    """The folder of one instance's store; "" where there is no home.

    ``instance`` is a private instance's TUF address, None the public-good one wherever it is mirrored: a private
    instance's root must never become what stands for the public-good one.
    """
    folder = data_folder(environ)
    name = "public-good" if instance is None else hashlib.sha256(instance.encode()).hexdigest()[:32]
    return f"{folder}/trust/{name}" if folder else ""


def root_name(sha256: str) -> str:
    """The file name of a refreshed root in its store."""
    return f"trusted_root.{sha256}.json"


def read_refreshed(folder: str) -> RefreshedRoot | None:
    """The refreshed copy in a store; None where nothing was refreshed yet.

    Raises TrustRootError for a store that is not whole: an older root never stands in for it in silence.
    """
    path = f"{folder}/{RECORD}"
    try:
        found = read_file(path, limit=limits.TRUST_RECORD_BYTES, error=TrustRootError)
    except FileNotFoundError:
        return None
    except TrustRootError as error:
        raise _not_whole(folder, str(error)) from None
    try:
        record = parse_record(found.data)
        file = read_file(f"{folder}/{root_name(record.sha256)}", limit=limits.TRUSTED_ROOT_BYTES, error=TrustRootError)
    except (FileNotFoundError, TrustRootError) as error:
        raise _not_whole(folder, str(error)) from None
    if hashlib.sha256(file.data).hexdigest() != record.sha256:
        raise _not_whole(folder, f"{file.origin!r} has other bytes than its name says")
    return RefreshedRoot(file=file, record=record)


def _not_whole(folder: str, what: str) -> TrustRootError:
    return TrustRootError(f"the refreshed trusted root: {what}; run plimsoll trust update, or remove {folder!r}")


def write_record(record: RefreshRecord) -> bytes:
    """The record as it is kept."""
    document = {
        "schema": SCHEMA,
        "mirror": record.mirror,
        "sha256": record.sha256,
        "refreshed": instant(record.refreshed_s),
        "expires": instant(record.expires_s),
        "rootVersion": record.root_version,
        "targetsVersion": record.targets_version,
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def parse_record(data: bytes) -> RefreshRecord:
    """Read a record; raises TrustRootError for anything but what ``write_record`` writes."""
    try:
        document = read_json(data, max_depth=2)
    except ReadError as error:
        raise TrustRootError(f"{RECORD}: {error}") from error
    match document:
        case {
            "schema": "plimsoll.refreshed-root/v1",
            "mirror": str(mirror),
            "sha256": str(sha256),
            "refreshed": str(refreshed),
            "expires": str(expires),
            "rootVersion": int(root_version),
            "targetsVersion": int(targets_version),
            **rest,
        } if not rest and _SHA256.fullmatch(sha256):
            return RefreshRecord(
                mirror=mirror,
                sha256=sha256,
                refreshed_s=_seconds(refreshed),
                expires_s=_seconds(expires),
                root_version=root_version,
                targets_version=targets_version,
            )
        case _:
            raise TrustRootError(f"{RECORD} is no record of a refreshed root")


def instant(time_s: float) -> str:
    """A time as the record and ``plimsoll trust show`` write it; fractions of a second are left out."""
    return datetime.fromtimestamp(min(max(time_s, _FIRST_S), _LAST_S), tz=UTC).strftime(_INSTANT)


def _seconds(text: str) -> int:
    try:
        return int(datetime.strptime(text, _INSTANT).replace(tzinfo=UTC).timestamp())
    except ValueError as error:
        raise TrustRootError(f"{RECORD}: {text[:64]!r} is no time") from error


def checked_mirror(url: str) -> str:
    """A TUF address without the slash at its end; raises ConfigError for one that is no plain http(s) address.

    Plain HTTP is fine: TUF's signatures, not the way, vouch for what comes. A name and password in it would be kept.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError as error:
        raise ConfigError(f"the TUF mirror {url[:160]!r} is no address: {error}") from error
    if parts.username is not None or parts.password is not None:
        raise ConfigError("the TUF mirror has a name or a password in its address: leave them out")
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise ConfigError(f"the TUF mirror {url[:160]!r} is no http:// or https:// address of a folder")
    return url.rstrip("/")
