"""The signed payload of simple signing, which cosign's ``.sig`` layers share with a type of their own, read strictly.

Sources: containers-signature(5); cosign's SIGNATURE_SPEC. Unknown, duplicate and case-twin members are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from plimsoll import limits
from plimsoll.errors import InvalidReferenceError, PayloadError
from plimsoll.model.digest import Digest
from plimsoll.native import ReadError, read_json

COSIGN_TYPE: Final = "cosign container image signature"
ATOMIC_TYPE: Final = "atomic container signature"
"""The type of payloads that GPG signs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UntrustedPayload:
    """What a payload says; true only if the bytes it was read from are proven signed."""

    digest: Digest
    docker_reference: str
    optional: Mapping[str, object]


def parse_payload(data: bytes, *, expected_type: str = COSIGN_TYPE, null_optional: bool = True) -> UntrustedPayload:
    """Read a payload of ``expected_type``; raises PayloadError for any document but the exact one.

    ``null_optional`` says whether ``optional`` may be null: cosign writes it so, containers/image refuses it of GPG.
    """
    if len(data) > limits.PAYLOAD_BYTES:
        raise PayloadError(f"a payload of {len(data)} bytes: at most {limits.PAYLOAD_BYTES}")
    try:
        document = read_json(data, max_depth=limits.JSON_DEPTH, max_values=limits.PAYLOAD_VALUES)
    except ReadError as error:
        raise PayloadError(f"the signed payload is refused: {error}") from error
    top = _members(document, ("critical", "optional"), "the signed payload")
    critical = _members(top["critical"], ("identity", "image", "type"), "critical")
    identity = _members(critical["identity"], ("docker-reference",), "critical.identity")
    image = _members(critical["image"], ("docker-manifest-digest",), "critical.image")
    if critical["type"] != expected_type:
        raise PayloadError(f"critical.type is {critical['type']!r:.160}, not {expected_type!r}")
    if top["optional"] is None and not null_optional:
        raise PayloadError("optional is null, not a JSON object")
    return UntrustedPayload(
        digest=_digest(image["docker-manifest-digest"]),
        docker_reference=_text(identity["docker-reference"], "critical.identity.docker-reference"),
        optional=_optional(top["optional"]),
    )


def _members(value: object, names: tuple[str, ...], where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise PayloadError(f"{where} is no JSON object")
    if set(value) != set(names):
        odd = min(set(value) ^ set(names))
        raise PayloadError(f"{where} has {'an unknown' if odd in value else 'no'} member {odd!r:.160}")
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise PayloadError(f"{where} is no text")
    return value


def _digest(value: object) -> Digest:
    try:
        return Digest.parse(_text(value, "critical.image.docker-manifest-digest"))
    except InvalidReferenceError as error:
        raise PayloadError(f"critical.image.docker-manifest-digest: {error}") from error


def _optional(value: object) -> Mapping[str, object]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise PayloadError("optional is neither null nor a JSON object")
    if not isinstance(value.get("creator"), str | None):
        raise PayloadError("optional.creator is no text")
    if not _is_int64(value.get("timestamp", 0)):
        raise PayloadError("optional.timestamp is no whole number of 64 bits")
    return value


def _is_int64(value: object) -> bool:
    """Whether containers/image takes it for a timestamp: 1e3 is one, 1.5, true and 1e300 are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return value == int(value) and -(2**63) <= value < 2**63
