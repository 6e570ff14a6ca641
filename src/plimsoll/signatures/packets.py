"""The shape of a signed OpenPGP message, read without any cryptography: exactly one signature over one binary text.

Source: RFC 9580 sections 4.2 (packet headers), 5.2.3, 5.4, 5.6, 5.9 and 10.3. What is read here is what is verified:
the literal's bytes and the signature go on as two values, so no second reader can see another message in them.
"""

from __future__ import annotations

import bz2
import zlib
from dataclasses import dataclass
from typing import Final, Protocol

from plimsoll import limits
from plimsoll.errors import BadSignatureError

_SIGNATURE: Final = 2
_ONE_PASS: Final = 4
_COMPRESSED: Final = 8
_LITERAL: Final = 11
_ENCRYPTED: Final = frozenset({1, 3, 9, 18, 20})
_IN_PARTS: Final = _ENCRYPTED | {_COMPRESSED, _LITERAL}
"""Packets whose body may come in parts (section 4.2.1.4)."""
_LEAST_FIRST_PART: Final = 512
_BINARY_DOCUMENT: Final = 0
"""The signature type over bytes as they are (section 5.2.1.1)."""
_ONE_PASS_BYTES: Final = 13
_HEADER_BYTES: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedMessage:
    """What a message says is signed, and the signature packet (header and body) that says so; nothing is proven yet."""

    data: bytes
    signature: bytes

    @property
    def signature_body(self) -> bytes:
        """The signature packet without its header, which is always as ``_with_header`` writes it."""
        return self.signature[_HEADER_BYTES:]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Packet:
    tag: int
    body: bytes


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def read_signed_message(message: bytes) -> SignedMessage:
    """Read a one-pass signature, a binary literal and its version 4 signature, as they are or in one compressed packet.

    Raises BadSignatureError for every other form: armored, cleartext-signed, detached, encrypted, not signed, signed
    twice, with anything before, between or after, or past the size caps.
    """
    if message.startswith(b"-----BEGIN PGP"):
        raise BadSignatureError("an armored or cleartext-signed text; a binary OpenPGP message is needed")
    packets = _read_packets(message)
    if [packet.tag for packet in packets] == [_COMPRESSED]:
        packets = _read_packets(_decompress(packets[0].body))
    if [packet.tag for packet in packets] != [_ONE_PASS, _LITERAL, _SIGNATURE]:
        raise BadSignatureError(_unwanted(packets))
    one_pass, literal, signature = packets
    _check_pair(one_pass.body, signature.body)
    return SignedMessage(data=_literal_data(literal.body), signature=_with_header(signature))


def _unwanted(packets: list[_Packet]) -> str:
    """Why packets are no message that is signed once."""
    tags = [packet.tag for packet in packets]
    if _ENCRYPTED.intersection(tags):
        return "an encrypted OpenPGP message; a signed one is needed"
    if _COMPRESSED in tags:
        return "an OpenPGP message that is compressed twice or in part"
    if not {_ONE_PASS, _SIGNATURE}.intersection(tags):
        return "nothing in this OpenPGP message is signed"
    if _LITERAL not in tags:
        return "a detached or incomplete OpenPGP signature: the signed payload is not in it"
    if max(tags.count(_ONE_PASS), tags.count(_SIGNATURE)) > 1:
        return "an OpenPGP message with several signatures; exactly one is allowed"
    return f"an OpenPGP message of the packets {tags}; a one-pass signature, a literal and a signature are needed"


def _read_packets(data: bytes) -> list[_Packet]:
    if len(data) > limits.OPENPGP_MESSAGE_BYTES:
        raise BadSignatureError(f"an OpenPGP message of more than {limits.OPENPGP_MESSAGE_BYTES} bytes")
    packets: list[_Packet] = []
    at = 0
    while at < len(data):
        if len(packets) == limits.OPENPGP_PACKETS:
            raise BadSignatureError(f"more than {limits.OPENPGP_PACKETS} packets; a signed OpenPGP message has 3")
        packet, at = _read_packet(data, at)
        packets.append(packet)
    if not packets:
        raise BadSignatureError("an empty OpenPGP message")
    return packets


def _read_packet(data: bytes, at: int) -> tuple[_Packet, int]:
    """The packet at ``at`` and where it ends (section 4.2)."""
    header = data[at]
    if not header & 0x80:
        raise BadSignatureError(f"at byte {at} of the OpenPGP message stands something that is no packet")
    if header & 0x40:
        tag = header & 0x3F
        body, end = _read_body(data, at + 1, in_parts=tag in _IN_PARTS)
        return _Packet(tag=tag, body=body), end
    tag = header >> 2 & 0x0F
    if header & 3 != 3:
        size = 1 << (header & 3)
        start = at + 1 + size
        body = _take(data, start, int.from_bytes(_take(data, at + 1, size)))
        return _Packet(tag=tag, body=body), start + len(body)
    # Of indeterminate length: all that is left. gpg compresses so; a literal would swallow its signature.
    if tag != _COMPRESSED:
        raise BadSignatureError(f"an OpenPGP packet {tag} without a length")
    return _Packet(tag=tag, body=data[at + 1 :]), len(data)


def _read_body(data: bytes, at: int, *, in_parts: bool) -> tuple[bytes, int]:
    """A body with new-format lengths (section 4.2.1), its parts joined, and where it ends."""
    parts: list[bytes] = []
    while True:
        octet = _take(data, at, 1)[0]
        partial = 224 <= octet < 255
        if octet < 192:
            length, start = octet, at + 1
        elif octet < 224:
            length, start = (octet - 192 << 8) + _take(data, at + 1, 1)[0] + 192, at + 2
        elif octet == 255:
            length, start = int.from_bytes(_take(data, at + 1, 4)), at + 5
        else:
            length, start = 1 << (octet & 0x1F), at + 1
            if not in_parts or (not parts and length < _LEAST_FIRST_PART):
                raise BadSignatureError(f"an OpenPGP packet in parts at byte {at} where none may be")
        parts.append(_take(data, start, length))
        at = start + length
        if not partial:
            return b"".join(parts), at


def _take(data: bytes, at: int, length: int) -> bytes:
    if length > len(data) - at:
        raise BadSignatureError(f"the OpenPGP message is cut short: {length} bytes are announced at byte {at}")
    return data[at : at + length]


def _decompress(body: bytes) -> bytes:
    """Unpack a compressed packet's body (sections 5.6 and 9.4): to its last byte, and to no more than the cap."""
    if not body:
        raise BadSignatureError("an empty compressed OpenPGP packet")
    decompressor: _Decompressor
    match body[0]:
        case 0:
            return body[1:]
        case 1:
            decompressor = zlib.decompressobj(-zlib.MAX_WBITS)
        case 2:
            decompressor = zlib.decompressobj()
        case 3:
            decompressor = bz2.BZ2Decompressor()
        case other:
            raise BadSignatureError(f"the OpenPGP message is compressed in the unknown way {other}")
    try:
        data = decompressor.decompress(body[1:], limits.OPENPGP_MESSAGE_BYTES + 1)
    except (zlib.error, OSError) as error:
        raise BadSignatureError(f"the OpenPGP message cannot be unpacked: {error}") from error
    if len(data) > limits.OPENPGP_MESSAGE_BYTES:
        raise BadSignatureError(f"an OpenPGP message that unpacks to more than {limits.OPENPGP_MESSAGE_BYTES} bytes")
    if not decompressor.eof or decompressor.unused_data:
        raise BadSignatureError("the compressed OpenPGP message is cut short, or something stands after it")
    return data


def _check_pair(one_pass: bytes, signature: bytes) -> None:
    """The two packets announce and carry the same kind of signature (sections 5.2.3 and 5.4)."""
    if len(one_pass) != _ONE_PASS_BYTES or one_pass[0] != 3 or signature[:1] != b"\x04":
        raise BadSignatureError("an OpenPGP signature of another version than 4")
    kind, hash_id, key_id = one_pass[1:4]
    if signature[1:4] != bytes([kind, key_id, hash_id]) or not one_pass[-1]:
        raise BadSignatureError("the OpenPGP message announces another signature than it carries")
    if kind != _BINARY_DOCUMENT:
        raise BadSignatureError(f"an OpenPGP signature of the type {kind:#x}; one over a binary document is needed")


def _literal_data(body: bytes) -> bytes:
    """The text of a literal packet (section 5.9); its file name and date are not signed, so they are not looked at."""
    if body[:1] != b"b":
        raise BadSignatureError("the OpenPGP message's literal is not marked as binary")
    named = 2 + _take(body, 1, 1)[0]
    _take(body, named, 4)
    return body[named + 4 :]


def _with_header(packet: _Packet) -> bytes:
    return bytes([0xC0 | packet.tag, 0xFF]) + len(packet.body).to_bytes(4) + packet.body
