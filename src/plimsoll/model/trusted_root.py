"""TrustRoot: the logs and authorities of a sigstore ``trusted_root.json``, parsed once a run into immutable values."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from plimsoll import limits
from plimsoll.errors import TrustRootError, UnreadableKeyError
from plimsoll.model.trust import PublicKey
from plimsoll.native import ReadError, read_json

TRUSTED_ROOT_TYPES: Final = frozenset(
    {
        "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "application/vnd.dev.sigstore.trustedroot.v0.1+json",
        "application/vnd.dev.sigstore.trustedroot+json;version=0.2",
        "application/vnd.dev.sigstore.trustedroot.v0.2+json",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransparencyLog:
    """One Rekor log: its id, its key, and when it was in use (seconds since 1970; both ends count)."""

    log_id: bytes
    key: PublicKey
    valid_from_s: float
    valid_until_s: float | None
    base_url: str = ""

    def valid_at(self, time_s: float) -> bool:
        """Whether the log was in use then (protobuf-specs TimeRange: a closed interval)."""
        return self.valid_from_s <= time_s and (self.valid_until_s is None or time_s <= self.valid_until_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateAuthority:
    """One authority and when it was in use: for code-signing certificates, or for timestamps.

    ``chain`` is DER, the anchor last; a timestamp authority's chain may begin with the one leaf that it signs with.
    """

    chain: tuple[bytes, ...]
    valid_from_s: float
    valid_until_s: float | None
    uri: str = ""

    def valid_at(self, time_s: float) -> bool:
        """Whether it was in use then (a closed interval)."""
        return self.valid_from_s <= time_s and (self.valid_until_s is None or time_s <= self.valid_until_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRoot:
    """What is trusted beside the keys that a requirement names; empty trusts no log and no authority."""

    tlogs: tuple[TransparencyLog, ...] = ()
    ctlogs: tuple[TransparencyLog, ...] = ()
    certificate_authorities: tuple[CertificateAuthority, ...] = ()
    timestamp_authorities: tuple[CertificateAuthority, ...] = ()

    def logs(self, log_id: bytes) -> tuple[TransparencyLog, ...]:
        """The transparency logs of that id: none, one, or one for each validity window."""
        return tuple([log for log in self.tlogs if log.log_id == log_id])


def parse_trusted_root(data: bytes) -> TrustRoot:
    """Read a sigstore ``trusted_root.json`` (protobuf-specs sigstore_trustroot.proto, v0.1 and v0.2).

    Of it the transparency logs are used so far. A log without a start of validity, or that cannot be read, makes the
    whole file unusable. Raises TrustRootError.
    """
    if len(data) > limits.TRUSTED_ROOT_BYTES:
        raise TrustRootError(f"a trusted root of {len(data)} bytes: at most {limits.TRUSTED_ROOT_BYTES}")
    try:
        document = read_json(data, max_depth=limits.JSON_DEPTH)
    except ReadError as error:
        raise TrustRootError(f"the trusted root is refused: {error}") from error
    if not isinstance(document, dict):
        raise TrustRootError("the trusted root is no JSON object")
    media_type = document.get("mediaType")
    if not isinstance(media_type, str) or media_type not in TRUSTED_ROOT_TYPES:
        raise TrustRootError(f"mediaType {media_type!r:.160} is no trusted root that is known")
    tlogs = document.get("tlogs", [])
    if not isinstance(tlogs, list) or len(tlogs) > limits.TLOGS:
        raise TrustRootError(f"tlogs is no list of at most {limits.TLOGS} logs")
    return TrustRoot(tlogs=tuple([_tlog(entry, f"tlogs[{at}]") for at, entry in enumerate(tlogs)]))


def _tlog(entry: object, where: str) -> TransparencyLog:
    match entry:
        case {
            "publicKey": {"rawBytes": str(raw), "validFor": {"start": str(start), **span}},
            "logId": {"keyId": str(key_id)},
            **rest,
        }:
            end = span.get("end")
            if end is not None and not isinstance(end, str):
                raise TrustRootError(f"{where}.publicKey.validFor.end is no text")
            return TransparencyLog(
                log_id=_base64(key_id, f"{where}.logId.keyId"),
                key=_key(raw, f"{where}.publicKey.rawBytes"),
                valid_from_s=_instant(start, f"{where}.publicKey.validFor.start"),
                valid_until_s=None if end is None else _instant(end, f"{where}.publicKey.validFor.end"),
                base_url=str(cast("dict[str, object]", rest).get("baseUrl", "")),
            )
        case _:
            raise TrustRootError(f"{where} lacks publicKey.rawBytes, publicKey.validFor.start or logId.keyId")


def _key(raw: str, where: str) -> PublicKey:
    try:
        return PublicKey(_base64(raw, where))
    except UnreadableKeyError as error:
        raise TrustRootError(f"{where}: {error}") from error


def _base64(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise TrustRootError(f"{where} is not base64: {error}") from error


def _instant(text: str, where: str) -> float:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise TrustRootError(f"{where}: {text[:64]!r} is no time: {error}") from error
    if found.tzinfo is None:
        raise TrustRootError(f"{where}: {text[:64]!r} has no time zone")
    return found.timestamp()
