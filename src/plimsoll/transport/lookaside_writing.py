"""Numbered signatures written: the next free ``signature-N`` of a ``file:`` lookaside, or beside a ``dir:`` image.

No signature that is there is ever touched: the new one takes the first number that is free, which is where readers
stop looking (containers-registries.d(5)).
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from plimsoll import limits
from plimsoll.errors import ConfigError, LimitExceededError
from plimsoll.model.digest import Digest
from plimsoll.model.reference import DirectoryReference
from plimsoll.transport.stores import resolve
from plimsoll.transport.writing import add_file, folder


def write_lookaside(base: str, *, path: str, digest: Digest, data: bytes) -> str:
    """Add a signature of ``digest`` in the repository ``path`` below the URL ``base``; gives the file's name.

    Raises ConfigError for a URL that is not written to, SigningError where the file cannot be, LimitExceededError
    where there are as many as are ever read.
    """
    where = f"{_root(base, path)}/{path}@{digest.algorithm}={digest.hex}"
    with folder(where, create=True) as handle:
        return _add(handle, data, where=where)


def write_beside(reference: DirectoryReference, data: bytes) -> str:
    """Add a signature of the image of a ``dir:``; gives the file's name; the errors are those of write_lookaside."""
    where = resolve(reference.path)
    with folder(where) as handle:
        return _add(handle, data, where=where)


def _root(base: str, path: str) -> str:
    # The URL may hold a password, so a message shows no more of it than the scheme.
    try:
        url = urlsplit(base)
    except ValueError:
        raise ConfigError(f"the lookaside of {path} is no URL: mend it in registries.d") from None
    root = unquote(url.path)
    if url.scheme != "file" or url.netloc not in ("", "localhost") or not root.startswith("/") or "\0" in root:
        raise ConfigError(
            f"new signatures of {path} would go to a {url.scheme or 'relative'} URL; they are written to "
            "file:///PATH only: name such a place as lookaside-staging in registries.d"
        )
    return root.rstrip("/")


def _add(handle: int, data: bytes, *, where: str) -> str:
    names = (f"signature-{at}" for at in range(1, limits.SIGNATURES_PER_PLACE + 1))
    name = add_file(handle, names, data, path=where)
    if name is not None:
        return f"{where}/{name}"
    raise LimitExceededError(f"{where} holds {limits.SIGNATURES_PER_PLACE} signatures: no more are read")
