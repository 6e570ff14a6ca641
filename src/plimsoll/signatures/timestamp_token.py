"""RFC 3161 time-stamp responses, read strictly: what a token says, and nothing of it proven.

Source: RFC 3161 section 2.4.2, RFC 5816.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from plimsoll import limits
from plimsoll.errors import BadSignatureError
from plimsoll.signatures.cms import SignedData, parse_signed_data
from plimsoll.signatures.cms_algorithms import Sha2, read_hash_algorithm
from plimsoll.signatures.der import (
    BOOLEAN,
    CONSTRUCTED_0,
    CONSTRUCTED_1,
    INTEGER,
    OBJECT_ID,
    OCTET_STRING,
    SEQUENCE,
    DerReader,
    read_der,
)

_TST_INFO: Final = bytes.fromhex("2a864886f70d0109100104")  # id-ct-TSTInfo, 1.2.840.113549.1.9.16.1.4
_GRANTED: Final = frozenset({0, 1})
"""granted, and grantedWithMods: what was changed is the token's to say, and the token is checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UntrustedTimestamp:
    """A token: the ``imprint`` that was stamped (a hash), when (seconds since 1970), and the CMS message around it.

    ``nonce`` is the request's, None where it had none.
    """

    message: SignedData
    hash_name: Sha2
    imprint: bytes
    time_s: float
    nonce: int | None = None


def parse_timestamp(response: bytes) -> UntrustedTimestamp:
    """Read a DER TimeStampResp that was granted; raises BadSignatureError."""
    outer = read_der(response, tag=SEQUENCE, what="the timestamp response", most=limits.TIMESTAMP_BYTES)
    status = outer.inside(SEQUENCE, "status")
    granted = status.take_integer("status")
    if granted not in _GRANTED:
        raise BadSignatureError(f"the timestamp was not granted: its status is {granted}")
    if status.next_is(SEQUENCE):
        status.take(SEQUENCE, "statusString")
    status.end()  # failInfo has no place beside a grant
    token = outer.take_whole(SEQUENCE, "timeStampToken")
    outer.end()
    return parse_timestamp_token(token)


def parse_timestamp_token(token: bytes) -> UntrustedTimestamp:
    """Read a DER TimeStampToken, the part of a response that is signed; raises BadSignatureError."""
    message = parse_signed_data(token, what="the timestamp")
    if message.content_type != _TST_INFO:
        raise BadSignatureError("the timestamp's content is no TSTInfo")
    info = read_der(message.content, tag=SEQUENCE, what="TSTInfo", most=limits.TIMESTAMP_BYTES)
    version = info.take_integer("version")
    if version != 1:
        raise BadSignatureError(f"a TSTInfo of version {version}: only 1 is known")
    info.take(OBJECT_ID, "policy")  # any will do: whom to trust is the trusted root's to say
    hash_name, imprint = _read_imprint(info.inside(SEQUENCE, "messageImprint"))
    info.take_integer("serialNumber")
    time_s = info.take_time("genTime")
    nonce = _read_rest(info)
    return UntrustedTimestamp(message=message, hash_name=hash_name, imprint=imprint, time_s=time_s, nonce=nonce)


def _read_imprint(found: DerReader) -> tuple[Sha2, bytes]:
    hash_name = read_hash_algorithm(found.inside(SEQUENCE, "hashAlgorithm"))
    imprint = found.take(OCTET_STRING, "hashedMessage")
    found.end()
    return hash_name, imprint


def _read_rest(info: DerReader) -> int | None:
    """The nonce among what may follow the time: no more of it is used, and nothing may be there that must be."""
    nonce = None
    if info.next_is(SEQUENCE):
        info.take(SEQUENCE, "accuracy")
    if info.next_is(BOOLEAN):
        info.take_boolean("ordering")
    if info.next_is(INTEGER):
        nonce = info.take_integer("nonce")  # for who asked for the timestamp
    if info.next_is(CONSTRUCTED_0):
        info.take(CONSTRUCTED_0, "tsa")  # a hint; the signer is who signed
    if info.next_is(CONSTRUCTED_1):
        _read_extensions(info.inside(CONSTRUCTED_1, "extensions"))
    info.end()
    return nonce


def _read_extensions(found: DerReader) -> None:
    while not found.at_end():
        extension = found.inside(SEQUENCE, "extension")
        extension.take(OBJECT_ID, "extnID")
        critical = extension.next_is(BOOLEAN) and extension.take_boolean("critical")
        extension.take(OCTET_STRING, "extnValue")
        extension.end()
        if critical:
            raise BadSignatureError("the timestamp has a critical extension, and none is understood here")
