"""Signing configs: the one that ``--signing-config`` names, and the public-good instance's, vendored.

``public_good_signing_config.json`` is, byte for byte, the one that the PyPI package ``sigstore`` 4.5.1 carries for
https://tuf-repo-cdn.sigstore.dev (``config.trusted_root`` says more of that package; taken on 22 November 2026). It
names addresses only: what they answer is judged by the trusted root.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from plimsoll import limits
from plimsoll.config.files import ConfigFile, read_file
from plimsoll.errors import SigningConfigError

VENDORED_SIGNING_CONFIG_SHA256: Final = "9711a6d5375706957a4859af31c5866a4474f81f0544f9f4b76c9c4f4c8a539c"


def read_signing_config(path: str) -> ConfigFile:
    """Read the file; raises SigningConfigError for one that is missing, no regular file, unreadable or too large."""
    try:
        return read_file(path, limit=limits.SIGNING_CONFIG_BYTES, error=SigningConfigError)
    except (FileNotFoundError, SigningConfigError) as error:
        raise SigningConfigError(f"the signing config {error}, which --signing-config names") from None


def vendored_signing_config() -> bytes:
    """The public-good instance's signing config that came with plimsoll."""
    return (Path(__file__).parent / "public_good_signing_config.json").read_bytes()
