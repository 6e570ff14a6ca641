r"""Stored signatures: what the ``signature-N`` files of a lookaside or a ``dir:`` hold, told apart by the first byte.

Source: containers/image's signature blobs: a bare OpenPGP message, known by its first packet, or ``\0FORMAT\nDATA``.
The wrapper around a sigstore attachment is not signed; members it does not need are passed over.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from plimsoll import limits
from plimsoll.errors import BadSignatureError
from plimsoll.model.signature import UnknownStoredSignature, UntrustedCosignSignature, UntrustedSimpleSignature
from plimsoll.native import ReadError, read_json
from plimsoll.signatures.annotations import (
    CERTIFICATE_ANNOTATION,
    CHAIN_ANNOTATION,
    LOG_ANNOTATION,
    SIGNATURE_ANNOTATION,
    SIMPLE_SIGNING,
)

StoredSignature = UntrustedSimpleSignature | UntrustedCosignSignature | UnknownStoredSignature

_OPENPGP: Final = frozenset(
    {
        *(0xA0, 0xA1, 0xA2, 0xA3, 0xC8),  # compressed data around a signed message
        *(0x90, 0x91, 0x92, 0xC4),  # a one-pass signature
        0x3D,  # containers/image lists it beside the one-pass signatures; no packet begins so, and none will verify
        *(0x88, 0x89, 0x8A, 0x8B, 0xC2),  # a signature
    }
)


def unframe(blob: bytes) -> StoredSignature:
    """Tell what a stored signature is; raises BadSignatureError for one that is empty, unknown or broken."""
    if not blob:
        raise BadSignatureError("an empty signature file")
    if blob[0] in _OPENPGP:
        return UntrustedSimpleSignature(message=blob)
    if blob[0] != 0:
        raise BadSignatureError(f"no known form of signature: it begins with the byte {blob[0]:#04x}")
    name, newline, data = blob[1:].partition(b"\n")
    if not newline:
        raise BadSignatureError("no newline ends the name of the signature's format")
    match name:
        case b"simple-signing":
            return UntrustedSimpleSignature(message=data)
        case b"sigstore-json":
            return _unwrap(data)
        case _:
            raise BadSignatureError(f"a signature in the unknown format {name[:64].decode('latin-1')!r}")


def _unwrap(data: bytes) -> StoredSignature:
    """Open the wrapper around a sigstore attachment."""
    try:
        wrapper = read_json(data, max_depth=limits.JSON_DEPTH, max_values=limits.PAYLOAD_VALUES)
    except ReadError as error:
        raise BadSignatureError(f"the stored sigstore signature is refused: {error}") from error
    match wrapper:
        case dict():
            mime_type = _text(wrapper.get("mimeType"), "mimeType")
            annotations = _annotations(wrapper.get("annotations"))
            payload = _payload(wrapper.get("payload"))
        case _:
            raise BadSignatureError("the stored sigstore signature is no JSON object")
    if mime_type != SIMPLE_SIGNING:
        return UnknownStoredSignature(mime_type=mime_type)
    return UntrustedCosignSignature(
        payload=payload,
        signature=annotations.get(SIGNATURE_ANNOTATION),
        log_entry=annotations.get(LOG_ANNOTATION),
        certificate=annotations.get(CERTIFICATE_ANNOTATION),
        chain=annotations.get(CHAIN_ANNOTATION),
    )


def _text(value: object, where: str) -> str:
    """A text; null and absent are empty, as in the wrapper's other reader."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadSignatureError(f"{where} of the stored sigstore signature is no text")
    return value


def _payload(value: object) -> bytes:
    text = _text(value, "payload")
    if len(text) > limits.PAYLOAD_BYTES * 4 // 3 + 4:
        raise BadSignatureError(f"payload of the stored sigstore signature: at most {limits.PAYLOAD_BYTES} bytes")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadSignatureError(f"payload of the stored sigstore signature is no base64: {error}") from error


def _annotations(value: object) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadSignatureError("annotations of the stored sigstore signature are no JSON object")
    return {name: _text(text, f"annotations.{name[:64]}") for name, text in value.items()}
