"""A sigstore trusted_root.json named by ``--trusted-root``."""

from __future__ import annotations

from plimsoll import limits
from plimsoll.config.files import ConfigFile, read_file
from plimsoll.errors import TrustRootError


def read_trusted_root(path: str) -> ConfigFile:
    """Read the file; raises TrustRootError for one that is missing, no regular file, unreadable or too large."""
    try:
        return read_file(path, limit=limits.TRUSTED_ROOT_BYTES, error=TrustRootError)
    except (FileNotFoundError, TrustRootError) as error:
        raise TrustRootError(f"the trusted root {error}, which --trusted-root names") from None
