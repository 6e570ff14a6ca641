"""Refreshing a trusted root from its TUF repository, by python-tuf's client: what ``plimsoll trust update`` does.

The only place that imports ``tuf``, and only when it is called: no verification comes here. Rollback, freeze, expiry,
thresholds and key rotation are the client's checks (TUF specification 1.0, section 5); ours is that what it brought is
a trusted root that we can read, before it takes the place of the one in use.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from plimsoll import limits
from plimsoll.config.files import read_file
from plimsoll.config.trust_store import RECORD, RefreshRecord, parse_record, root_name, write_record
from plimsoll.errors import ConfigError, TrustRootError, UnreachableError, UnsupportedError
from plimsoll.model.trusted_root import TrustRoot, parse_trusted_root
from plimsoll.signatures.trust_index import index_root

TARGET: Final = "trusted_root.json"
"""The target's name in sigstore's TUF repositories."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustUpdate:
    """What an update found: the file's ``path``, its record, what is in it, and whether it replaced another."""

    path: str
    record: RefreshRecord
    root: TrustRoot
    changed: bool


def update_trust(mirror: str, *, tuf_root: bytes, folder: str, now_s: float) -> TrustUpdate:
    """Refresh the store in ``folder`` from ``mirror``, trusting ``tuf_root`` and what its keys signed since.

    Raises UnsupportedError where python-tuf is not installed, UnreachableError where the mirror cannot be had,
    TrustRootError for metadata or a target that do not verify, have expired or go back, and for a trusted root that
    cannot be read; ConfigError where the folder cannot be written. Whatever is raised, the former copy stays in use.
    """
    _need_tuf()
    try:
        with _alone(folder):
            data, ends = _refresh(mirror, tuf_root, folder)
            root = _readable(data, mirror)
            record = RefreshRecord(
                mirror=mirror,
                sha256=hashlib.sha256(data).hexdigest(),
                refreshed_s=int(now_s),
                expires_s=ends.expires_s,
                root_version=ends.root_version,
                targets_version=ends.targets_version,
            )
            path = Path(folder, root_name(record.sha256))
            changed = _former(folder) != record.sha256
            _replace(path, data)
            _replace(Path(folder, RECORD), write_record(record))
    except OSError as error:
        raise ConfigError(f"the trust store {folder!r} cannot be written: {error.strerror or error}") from error
    return TrustUpdate(path=str(path), record=record, root=root, changed=changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ends:
    expires_s: int
    root_version: int
    targets_version: int


def _need_tuf() -> None:
    try:
        import tuf.ngclient  # noqa: PLC0415  # an optional extra
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "tuf":
            raise
        raise UnsupportedError(
            "plimsoll trust update needs python-tuf: install plimsoll[trust]; verification does without it"
        ) from None
    del tuf


def _refresh(mirror: str, tuf_root: bytes, folder: str) -> tuple[bytes, _Ends]:
    """The target's bytes as the repository's metadata say they are, and until when these say so."""
    from tuf.api.exceptions import DownloadError, RepositoryError  # noqa: PLC0415  # an optional extra
    from tuf.ngclient.config import UpdaterConfig  # noqa: PLC0415  # as above
    from tuf.ngclient.updater import Updater  # noqa: PLC0415  # as above

    kept = Path(folder, "metadata")
    kept.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        updater = Updater(
            metadata_dir=str(kept),
            metadata_base_url=mirror,
            target_base_url=f"{mirror}/targets",
            config=UpdaterConfig(app_user_agent=f"plimsoll/{metadata.version('plimsoll')}"),
            bootstrap=tuf_root,
        )
        updater.refresh()
        target = updater.get_targetinfo(TARGET)
        if target is None:
            raise TrustRootError(f"the TUF repository {mirror} has no target {TARGET}")
        if target.length > limits.TRUSTED_ROOT_BYTES:
            raise TrustRootError(f"{TARGET} of {target.length} bytes: at most {limits.TRUSTED_ROOT_BYTES}")
        with tempfile.TemporaryDirectory(dir=folder) as arriving:
            data = Path(updater.download_target(target, filepath=f"{arriving}/{TARGET}")).read_bytes()
    except RepositoryError as error:
        raise TrustRootError(f"the TUF repository {mirror} is refused: {error}") from error
    except DownloadError as error:
        raise UnreachableError(f"the TUF repository {mirror} cannot be had: {error}") from error
    return data, _ends(kept)


def _ends(kept: Path) -> _Ends:
    """Read from the metadata that the client has just verified and kept."""
    from tuf.api.metadata import Metadata  # noqa: PLC0415  # an optional extra

    root, targets = [Metadata.from_file(str(kept / f"{role}.json")).signed for role in ("root", "targets")]
    return _Ends(
        expires_s=int(min(root.expires, targets.expires).timestamp()),
        root_version=root.version,
        targets_version=targets.version,
    )


def _former(folder: str) -> str | None:
    """The hash of the copy in use until now; None where there is none, or none that can be read."""
    try:
        found = read_file(f"{folder}/{RECORD}", limit=limits.TRUST_RECORD_BYTES, error=TrustRootError)
        return parse_record(found.data).sha256
    except (FileNotFoundError, TrustRootError):
        return None  # about to be replaced by what was verified just now


def _readable(data: bytes, mirror: str) -> TrustRoot:
    try:
        root = parse_trusted_root(data)
        index_root(root)
    except TrustRootError as error:
        raise TrustRootError(f"what the TUF repository {mirror} signs as {TARGET} cannot be used: {error}") from error
    return root


@contextmanager
def _alone(folder: str) -> Iterator[None]:
    """One update at a time: the client's files are not made for two."""
    Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(f"{folder}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _replace(path: Path, data: bytes) -> None:
    """Write whole or not at all, on the disk before it counts."""
    handle, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
