"""Private keys and passphrases from files, and new key pairs into files."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

from plimsoll import limits
from plimsoll.config.files import ConfigFile, read_file
from plimsoll.config.keys import read_key_file
from plimsoll.errors import ConfigError, SigningError, UnreadableKeyError
from plimsoll.signatures.private_keys import (
    NONCE_BYTES,
    SALT_BYTES,
    EncryptedKey,
    encrypt_private_key,
    parse_private_key,
)
from plimsoll.signatures.signing import SigningKey, signing_key_from_seed

_log = logging.getLogger(__name__)
_SEED_BYTES = 48
_OTHERS = 0o077


def read_signing_key(path: str, *, passphrase: Callable[[], bytes]) -> SigningKey:
    """The private key in a file; ``passphrase`` is asked only for one that is encrypted.

    Raises UnreadableKeyError naming the file, and what ``passphrase`` raises. A key that others may read is warned of.
    """
    found = read_key_file(path)
    _warn_of_others(found, what="a private key")
    try:
        key = parse_private_key(found.data)
    except UnreadableKeyError as error:
        raise UnreadableKeyError(f"the private key {path!r}: {error}") from None
    if not isinstance(key, EncryptedKey):
        return key
    word = passphrase()
    try:
        return key.unlock(word)
    except UnreadableKeyError as error:
        raise UnreadableKeyError(f"the private key {path!r}: {error}") from None


def read_passphrase_file(path: str) -> bytes:
    """The first line of a file, without its newline, as skopeo reads it; raises ConfigError."""
    try:
        found = read_file(path, limit=limits.KEY_BYTES)
    except FileNotFoundError as error:
        raise ConfigError(f"the passphrase file {error}") from None
    _warn_of_others(found, what="a passphrase")
    line = found.data.partition(b"\n")[0]
    if len(line) > limits.PASSPHRASE_BYTES:
        raise ConfigError(f"the first line of {path!r} is no passphrase: at most {limits.PASSPHRASE_BYTES} bytes")
    return line


def _warn_of_others(file: ConfigFile, *, what: str) -> None:
    if file.mode & _OTHERS:
        _log.warning(
            "%r holds %s and others may read or write it (mode %04o): chmod 600 it", file.origin, what, file.mode
        )


def refuse_existing(prefix: str) -> tuple[str, str]:
    """The names of a new key pair's files, private and public; raises SigningError where one exists."""
    private, public = f"{prefix}.private", f"{prefix}.pub"
    for path in (public, private):
        if os.path.lexists(path):
            raise SigningError(f'Refusing to overwrite existing "{path}"')
    return private, public


def generate_key_files(prefix: str, *, passphrase: bytes) -> tuple[str, str]:
    """Write a new P-256 pair: PREFIX.private, encrypted, for its owner alone (0600), and PREFIX.pub (0644).

    Raises SigningError where either exists already or cannot be written; then neither is left behind.
    """
    private, public = refuse_existing(prefix)
    key = signing_key_from_seed(os.urandom(_SEED_BYTES))
    sealed = encrypt_private_key(key, passphrase=passphrase, salt=os.urandom(SALT_BYTES), nonce=os.urandom(NONCE_BYTES))
    _create(private, sealed, mode=0o600)
    try:
        _create(public, key.public_pem, mode=0o644)
    except BaseException:
        Path(private).unlink()
        raise
    return private, public


def _create(path: str, data: bytes, *, mode: int) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    except FileExistsError:
        raise SigningError(f'Refusing to overwrite existing "{path}"') from None
    except (OSError, ValueError) as error:
        raise _unwritten(path, error) from error
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(handle)
    except OSError as error:
        Path(path).unlink()
        raise _unwritten(path, error) from error


def _unwritten(path: str, error: OSError | ValueError) -> SigningError:
    why = error.strerror if isinstance(error, OSError) and error.strerror else "its name is no path"
    return SigningError(f"{path!r} cannot be written: {why.lower()}")
