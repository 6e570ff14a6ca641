"""DSSE: the bytes that an envelope's signatures cover, and the envelope as cosign stores it in ``.att`` layers.

Inside a bundle the envelope is protobuf's: see ``bundle``. Sources: secure-systems-lab/dsse, protocol.md, envelope.md.
"""

from __future__ import annotations

from typing import Final

from plimsoll import limits
from plimsoll.errors import BadSignatureError, PayloadError
from plimsoll.model.bundle import UntrustedEnvelope
from plimsoll.native import JsonValue
from plimsoll.signatures.attestation_fields import known_members, optional_text, read_document, text_member
from plimsoll.signatures.verifying import decode_base64

IN_TOTO: Final = "application/vnd.in-toto+json"
"""The payload type of an envelope that holds an in-toto statement."""

_ENVELOPE: Final = frozenset({"payloadType", "payload", "signatures"})
_SIGNATURE: Final = frozenset({"keyid", "sig", "cert"})


def pae(payload_type: str, payload: bytes) -> bytes:
    """The pre-authentication encoding (protocol.md): lengths are decimal and count bytes, the type's in UTF-8."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def parse_envelope(data: bytes) -> UntrustedEnvelope:
    """Read one envelope in JSON, with one signature or more, no two the same.

    Members that DSSE does not know are passed over (envelope.md); a ``cert`` is not used, as in cosign. Raises
    BadSignatureError for a signature in no readable form, PayloadError for everything else.
    """
    document = read_document(data, max_depth=limits.JSON_DEPTH, max_values=limits.BUNDLE_VALUES, what="the envelope")
    envelope = known_members(document, _ENVELOPE, where="envelope")
    listed = envelope.get("signatures")
    if not isinstance(listed, list) or not 0 < len(listed) <= limits.ENVELOPE_SIGNATURES:
        raise PayloadError(f"signatures is no list of 1 to {limits.ENVELOPE_SIGNATURES} signatures")
    signatures = tuple([_signature(entry, where=f"signatures[{at}]") for at, entry in enumerate(listed)])
    if len({signature for _, signature in signatures}) != len(signatures):
        raise PayloadError("signatures has the same signature twice")
    return UntrustedEnvelope(
        payload_type=text_member(envelope, "payloadType", where="envelope", limit=limits.MEDIA_TYPE_CHARS),
        payload=_payload(envelope),
        signatures=signatures,
    )


def _signature(entry: JsonValue, *, where: str) -> tuple[str, bytes]:
    members = known_members(entry, _SIGNATURE, where=where)
    optional_text(members, "cert", where=where)
    text = members.get("sig")
    if not isinstance(text, str):
        raise PayloadError(f"{where}.sig is no text")
    return optional_text(members, "keyid", where=where), decode_base64(text, what=f"{where}.sig")


def _payload(envelope: dict[str, JsonValue]) -> bytes:
    text = envelope.get("payload")
    if not isinstance(text, str):
        raise PayloadError("envelope.payload is no text")
    try:
        return decode_base64(text, what="envelope.payload", limit=limits.BUNDLE_BYTES)
    except BadSignatureError as error:
        raise PayloadError(str(error)) from error
