"""Key files: read whole when first named, never waiting for a pipe or a device."""

from __future__ import annotations

from plimsoll import limits
from plimsoll.config.files import ConfigFile, read_file
from plimsoll.errors import UnreadableKeyError


def read_key_file(path: str, *, where: str = "") -> ConfigFile:
    """Read a key file; ``where`` is the option or the place in the policy that names it.

    Raises UnreadableKeyError for a file that is missing, no regular file, unreadable or too large.
    """
    named_by = f", which {where} names" if where else ""
    try:
        return read_file(path, limit=limits.KEY_BYTES, error=UnreadableKeyError)
    except (FileNotFoundError, UnreadableKeyError) as error:
        raise UnreadableKeyError(f"the key file {error}{named_by}") from None
