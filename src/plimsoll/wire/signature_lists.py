"""The signature extension of OpenShift's registry: GET /extensions/v2/NAME/signatures/DIGEST.

Source: containers/image, which asks it of every registry that says ``X-Registry-Supports-Signatures: 1``; there is no
other specification. Entries of other versions and types are passed over, as there.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from plimsoll import limits
from plimsoll.errors import LimitExceededError, RegistryError
from plimsoll.model.digest import Digest
from plimsoll.native import ReadError, read_json
from plimsoll.wire.replies import Headers
from plimsoll.wire.requests import Request

_SCHEMA_VERSION: Final = 2
_ATOMIC: Final = "atomic"
_BODY_BYTES: Final = limits.PAYLOAD_BYTES


def has_signature_lists(headers: Headers) -> bool:
    """Whether a registry's answer says that it keeps signatures itself."""
    return headers.get("X-Registry-Supports-Signatures") == "1"


def signature_list_request(path: str, digest: Digest) -> Request:
    """Ask for all signatures of the manifest ``digest``; the answer has at most ``limits.PAYLOAD_BYTES``."""
    return Request(target=f"/extensions/v2/{path}/signatures/{digest}", headers=(("Accept", "application/json"),))


def parse_signature_list(data: bytes) -> tuple[bytes, ...]:
    """Read ``{"signatures": [{"schemaVersion": 2, "name": ..., "type": "atomic", "content": BASE64}, ...]}``.

    The contents of the atomic ones, which are OpenPGP messages if anything; a list that is null is empty. Raises
    RegistryError for any other document, LimitExceededError past the caps.
    """
    if len(data) > _BODY_BYTES:
        raise LimitExceededError(f"a list of signatures of {len(data)} bytes: at most {_BODY_BYTES}")
    try:
        document = read_json(data, max_depth=limits.JSON_DEPTH, max_values=limits.PAYLOAD_VALUES)
    except ReadError as error:
        raise RegistryError(f"the registry's list of signatures is refused: {error}", status=200) from error
    if not isinstance(document, dict):
        raise RegistryError("the registry's list of signatures is no JSON object", status=200)
    if "signatures" not in document:
        raise RegistryError("the registry's list of signatures has no signatures: it is another document", status=200)
    listed = document["signatures"]
    if listed is None:
        return ()
    if not isinstance(listed, list):
        raise RegistryError("signatures in the registry's list of signatures is no list", status=200)
    if len(listed) > limits.SIGNATURES_PER_PLACE:
        raise LimitExceededError(
            f"the registry lists {len(listed)} signatures of one image: at most {limits.SIGNATURES_PER_PLACE}"
        )
    contents = [_content(entry, at) for at, entry in enumerate(listed)]
    return tuple([content for content in contents if content is not None])


def _content(entry: object, at: int) -> bytes | None:
    """The bytes of an atomic signature, None for one of another make."""
    where = f"signatures[{at}] of the registry's list of signatures"
    if not isinstance(entry, dict):
        raise RegistryError(f"{where} is no JSON object", status=200)
    version, kind, content = entry.get("schemaVersion"), entry.get("type"), entry.get("content")
    if isinstance(version, bool) or not isinstance(version, int) or not isinstance(kind, str):
        raise RegistryError(f"{where} has no whole number schemaVersion and text type", status=200)
    if version != _SCHEMA_VERSION or kind != _ATOMIC:
        return None
    if not isinstance(content, str):
        raise RegistryError(f"{where} has no text named content", status=200)
    text = content.replace("\r", "").replace("\n", "")  # as Go's decoder passes over them
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = None
    if data is None or base64.b64encode(data).decode() != text:  # Python takes superfluous padding, too
        raise RegistryError(f"content of {where} is no standard base64", status=200)
    return data
