"""TLS of one host: which certificates are trusted, and which of ours are shown (containers-certs.d(5))."""

from __future__ import annotations

import ssl
import stat
from collections.abc import Callable
from pathlib import Path

from plimsoll import limits
from plimsoll.errors import ConfigError
from plimsoll.model.settings import TLSSettings


def client_context(settings: TLSSettings) -> ssl.SSLContext | bool:
    """What aiohttp's ``ssl`` parameter wants: True for the system's roots, False for no check, else a context.

    Raises ConfigError for a certificate directory that cannot be used.
    """
    if settings.cert_dir is None:
        return settings.verify
    context = ssl.create_default_context()
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    _load_directory(context, Path(settings.cert_dir))
    return context


def _load_directory(context: ssl.SSLContext, folder: Path) -> None:
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        raise ConfigError(f"the certificate directory {folder} cannot be read: {error.strerror}") from error
    if len(files) > limits.CERT_FILES:
        raise ConfigError(f"the certificate directory {folder} holds {len(files)} files: at most {limits.CERT_FILES}")
    for file in files:
        match file.suffix:
            case ".crt":
                _load(context.load_verify_locations, file)
            case ".cert":
                key = _twin(file, ".key", files, f"missing key {file.stem}.key for client certificate {file.name}")
                _load(lambda pair, key: context.load_cert_chain(pair, key, _refuse_encrypted), file, key)
            case ".key":
                _twin(file, ".cert", files, f"missing client certificate {file.stem}.cert for key {file.name}")
            case _:
                pass


class _EncryptedKeyError(Exception):
    """The key wants a pass phrase."""


def _refuse_encrypted() -> str:
    """What ssl asks for a pass phrase: by itself OpenSSL would prompt on the terminal, and all else would wait."""
    raise _EncryptedKeyError


def _twin(file: Path, suffix: str, files: list[Path], missing: str) -> Path:
    twin = file.with_name(f"{file.stem}{suffix}")
    if twin not in files:
        raise ConfigError(f"{missing} in {file.parent}")
    return twin


def _load(load: Callable[..., object], *files: Path) -> None:
    names = " and ".join(str(file) for file in files)
    try:
        for found in [file.stat() for file in files]:
            if not stat.S_ISREG(found.st_mode):
                raise ConfigError(f"{names}: no regular file")  # reading a pipe would wait for its writer
            if found.st_size > limits.CERT_BYTES:
                raise ConfigError(f"{names}: a certificate file has at most {limits.CERT_BYTES} bytes")
        load(*files)
    except _EncryptedKeyError:
        raise ConfigError(f"{names} cannot be used: the key is encrypted; write it without a pass phrase") from None
    except (OSError, ValueError) as error:
        # ssl.SSLError is an OSError; its text names OpenSSL's reason and holds no key material.
        raise ConfigError(f"{names} cannot be used: {error}") from error
