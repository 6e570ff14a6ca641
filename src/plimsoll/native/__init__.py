"""The one door to compiled code: hashing in lanes, canonical JSON, strict reading.

On CPython the compiled back end is required: a missing or broken one is an ImportError, never a slow run in silence.
The pure twins are used where PLIMSOLL_BACKEND=python asks for them, where the package was built with
PLIMSOLL_NO_EXTENSIONS=1 (``_build.py`` says so), and on other interpreters.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final, Literal

from plimsoll.errors import ReadError
from plimsoll.native.fields import CertificateFields, DescriptorFields, JsonValue, ManifestFields, PlatformFields


def _choose_backend() -> Literal["cython", "python"]:
    asked = os.environ.get("PLIMSOLL_BACKEND", "")
    if asked == "python":
        return "python"
    if asked not in {"", "cython"}:
        raise ImportError(f"PLIMSOLL_BACKEND is {asked!r}; set it to 'cython' or 'python', or leave it unset")
    try:
        from plimsoll.native._build import EXTENSIONS  # noqa: PLC0415
    except ImportError as error:
        raise ImportError(
            "plimsoll was not built: install it (pip install .), or set PLIMSOLL_BACKEND=python to use it uncompiled"
        ) from error
    if EXTENSIONS and sys.implementation.name == "cpython":
        return "cython"
    if asked == "cython":
        raise ImportError("PLIMSOLL_BACKEND=cython, but plimsoll was built without extensions; reinstall it with them")
    return "python"


BACKEND: Final = _choose_backend()
"""Which back end is in use."""

if TYPE_CHECKING or BACKEND == "cython":
    try:
        from plimsoll.native._base64 import base64_decode
        from plimsoll.native._der import DerReader, read_certificate
        from plimsoll.native._jcs import jcs_encode
        from plimsoll.native._protojson import Message
        from plimsoll.native._reader import read_json, read_manifest, read_outline
        from plimsoll.native._sha256 import (
            Sha256,
            implementation,
            sha256_files,
            sha256_many,
            sha256_tree_root,
            sha256_update_many,
        )
    except ImportError as error:
        raise ImportError(
            "plimsoll's compiled modules are missing or broken: reinstall plimsoll, or set PLIMSOLL_BACKEND=python to"
            f" use it uncompiled ({error})"
        ) from error
else:
    from plimsoll.native._base64_py import base64_decode
    from plimsoll.native._der_py import DerReader, read_certificate
    from plimsoll.native._jcs_py import jcs_encode
    from plimsoll.native._protojson_py import Message
    from plimsoll.native._reader_py import read_json, read_manifest, read_outline
    from plimsoll.native._sha256_py import (
        Sha256,
        implementation,
        sha256_files,
        sha256_many,
        sha256_tree_root,
        sha256_update_many,
    )

SHA256_IMPLEMENTATION: Final[str] = implementation()
"""The SHA-256 that was chosen for this CPU."""

__all__ = [
    "BACKEND",
    "SHA256_IMPLEMENTATION",
    "CertificateFields",
    "DerReader",
    "DescriptorFields",
    "JsonValue",
    "ManifestFields",
    "Message",
    "PlatformFields",
    "ReadError",
    "Sha256",
    "base64_decode",
    "jcs_encode",
    "read_certificate",
    "read_json",
    "read_manifest",
    "read_outline",
    "sha256_files",
    "sha256_many",
    "sha256_tree_root",
    "sha256_update_many",
]
