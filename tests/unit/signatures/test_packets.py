"""The shape of a signed message: the one that counts, in every encoding, and all that stand beside it refused."""

from __future__ import annotations

import bz2
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll import limits
from plimsoll.errors import BadSignatureError
from plimsoll.signatures.packets import SignedMessage, read_signed_message

MESSAGES = Path(__file__).parents[2] / "vectors/simple/messages"

ONE_PASS = bytes([3, 0, 8, 1]) + b"signerid" + b"\1"
SIGNATURE = bytes([4, 0, 1, 8]) + b"the rest of a signature"
DATA = b'{"critical":{}}'


def literal(data=DATA, *, form=b"b", name=b"", date=b"\0\0\0\0"):
    return form + bytes([len(name)]) + name + date + data


def new(tag, body):
    """A packet with a new-format header of five length octets."""
    return bytes([0xC0 | tag, 0xFF]) + len(body).to_bytes(4) + body


def old(tag, body, size=2):
    return bytes([0x80 | tag << 2 | {1: 0, 2: 1, 4: 2}[size]]) + len(body).to_bytes(size) + body


def parts(tag, *bodies):
    """A packet in parts, each but the last of a power of two."""
    lengths = [bytes([224 + len(body).bit_length() - 1]) for body in bodies[:-1]]
    assert all(1 << (length[0] & 31) == len(body) for length, body in zip(lengths, bodies[:-1], strict=True))
    last = b"\xff" + len(bodies[-1]).to_bytes(4)
    return bytes([0xC0 | tag]) + b"".join(a + b for a, b in zip([*lengths, last], bodies, strict=True))


def message(one_pass=ONE_PASS, text=None, signature=SIGNATURE, header=new):
    return header(4, one_pass) + header(11, literal() if text is None else text) + header(2, signature)


def deflated(data):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def refused(data, match=None):
    with pytest.raises(BadSignatureError, match=match):
        read_signed_message(data)


EXPECTED = SignedMessage(data=DATA, signature=new(2, SIGNATURE))


@pytest.mark.parametrize("size", [1, 2, 4])
def test_old_headers(size):
    assert read_signed_message(message(header=lambda tag, body: old(tag, body, size))) == EXPECTED


def test_new_headers():
    assert read_signed_message(message()) == EXPECTED
    assert read_signed_message(message(header=lambda tag, body: bytes([0xC0 | tag, len(body)]) + body)) == EXPECTED


@pytest.mark.parametrize("length", [192, 193, 8383])
def test_two_length_octets(length):
    text = literal(b"x" * (length - 6))
    header = bytes([0xCB, (length - 192 >> 8) + 192, length - 192 & 255])
    found = read_signed_message(new(4, ONE_PASS) + header + text + new(2, SIGNATURE))
    assert found.data == b"x" * (length - 6)


def test_a_literal_in_parts():
    text = literal(b"y" * 2000)
    blob = new(4, ONE_PASS) + parts(11, text[:1024], text[1024:1026], text[1026:]) + new(2, SIGNATURE)
    assert read_signed_message(blob).data == b"y" * 2000


def test_a_literal_s_first_part_is_not_small():
    text = literal(b"y" * 600)
    refused(new(4, ONE_PASS) + parts(11, text[:256], text[256:]) + new(2, SIGNATURE), "parts")


def test_a_signature_comes_in_one_part():
    signature = SIGNATURE + b"z" * 600
    refused(new(4, ONE_PASS) + new(11, literal()) + parts(2, signature[:512], signature[512:]), "parts")


def test_a_literal_s_name_and_date_are_passed_over():
    assert read_signed_message(message(text=literal(name=b"n" * 255, date=b"\1\2\3\4"))) == EXPECTED


@pytest.mark.parametrize("form", [b"t", b"u", b"l", b"1", b"B", b"\0", b"m"])
def test_a_literal_that_is_not_binary(form):
    refused(message(text=literal(form=form)), "binary")


@pytest.mark.parametrize("text", [b"", b"b", b"b\0", b"b\0\0\0\0", b"b\xff" + b"n" * 40])
def test_a_literal_that_is_cut(text):
    refused(message(text=text))


def test_a_literal_may_be_empty():
    assert read_signed_message(message(text=literal(b""))).data == b""


COMPRESSED = {
    "none": b"\0" + message(),
    "zip": b"\1" + deflated(message()),
    "zlib": b"\2" + zlib.compress(message()),
    "bzip2": b"\3" + bz2.compress(message()),
}


@pytest.mark.parametrize("name", COMPRESSED)
def test_compressed(name):
    assert read_signed_message(new(8, COMPRESSED[name])) == EXPECTED
    assert read_signed_message(b"\xa3" + COMPRESSED[name]) == EXPECTED


@pytest.mark.parametrize("name", COMPRESSED)
@pytest.mark.parametrize("after", [b"\0", b"rubbish", message(), new(11, literal())])
def test_nothing_stands_after_what_is_compressed(name, after):
    refused(b"\xa3" + COMPRESSED[name] + after)
    refused(new(8, COMPRESSED[name]) + after)


@pytest.mark.parametrize("name", ["zip", "zlib", "bzip2"])
def test_a_compressed_message_that_is_cut(name):
    for end in range(1, len(COMPRESSED[name])):
        refused(b"\xa3" + COMPRESSED[name][:end])


@pytest.mark.parametrize("body", [b"", b"\4xx", b"\xff", b"\1\xff\xff", b"\2no zlib", b"\3no bzip2"])
def test_compressed_in_no_known_way(body):
    refused(new(8, body))


def test_compressed_twice():
    refused(new(8, b"\2" + zlib.compress(new(8, b"\2" + zlib.compress(message())))), "compressed twice")


@pytest.mark.parametrize(
    "pack",
    [
        lambda data: b"\1" + deflated(data),
        lambda data: b"\2" + zlib.compress(data),
        lambda data: b"\3" + bz2.compress(data),
    ],
)
def test_a_message_that_unpacks_past_the_cap(pack):
    most = limits.OPENPGP_MESSAGE_BYTES - len(message(text=literal(b"")))
    assert len(read_signed_message(new(8, pack(message(text=literal(b" " * most))))).data) == most
    refused(new(8, pack(message(text=literal(b" " * (most + 1))))), "unpacks to more")
    refused(new(8, pack(message(text=literal(b" " * 16 * limits.MIB)))), "unpacks to more")


def test_a_message_past_the_cap():
    refused(message(text=literal(b" " * limits.OPENPGP_MESSAGE_BYTES)), "more than")


def test_a_message_that_is_cut():
    whole = message()
    for end in range(len(whole)):
        refused(whole[:end])


@pytest.mark.parametrize(
    "beside", [b"\0", b"\n", b"rubbish", new(11, literal()), new(10, b"PGP"), new(21, b"\0\0"), message()]
)
def test_nothing_stands_beside_a_message(beside):
    refused(beside + message())
    refused(message() + beside)
    refused(new(4, ONE_PASS) + beside + new(11, literal()) + new(2, SIGNATURE))


@pytest.mark.parametrize(
    ("blob", "match"),
    [
        (b"", "empty"),
        (new(11, literal()), "nothing in this OpenPGP message is signed"),
        (new(8, b"\2" + zlib.compress(new(11, literal()))), "nothing in this OpenPGP message is signed"),
        (new(2, SIGNATURE), "detached"),
        (new(4, ONE_PASS) + new(2, SIGNATURE), "detached"),
        (new(2, SIGNATURE) + new(11, literal()), "packets"),  # the form of PGP 2, which gpg never writes
        (new(4, ONE_PASS) * 2 + new(11, literal()) + new(2, SIGNATURE) * 2, "several"),
        (new(4, ONE_PASS) + new(11, literal()) + new(2, SIGNATURE) * 2, "several"),
        (new(4, ONE_PASS) + new(11, literal()) * 2 + new(2, SIGNATURE), "packets"),
        (new(1, b"key") + new(18, b"secret"), "encrypted"),
        (new(3, b"key") + parts(20, b"s" * 512, b""), "encrypted"),
        (new(6, b"key"), "nothing"),
        (new(63, b"") * 9, "more than 8 packets"),
        (b"\xaf" + literal(), "without a length"),
        (b"-----BEGIN PGP MESSAGE-----\n", "armored"),
        (b"-----BEGIN PGP SIGNED MESSAGE-----\n", "cleartext"),
    ],
)
def test_other_forms_are_named(blob, match):
    refused(blob, match)


@pytest.mark.parametrize("at", range(len(ONE_PASS)))
def test_what_is_announced_is_what_is_carried(at):
    changed = bytearray(ONE_PASS)
    changed[at] = 0 if at == len(ONE_PASS) - 1 else changed[at] + 1
    if 4 <= at < 12:  # the key id is a hint; the signature names its key itself
        assert read_signed_message(message(one_pass=bytes(changed))) == EXPECTED
    else:
        refused(message(one_pass=bytes(changed)))


@pytest.mark.parametrize("at", range(4))
def test_what_is_carried_is_what_was_announced(at):
    changed = bytearray(SIGNATURE)
    changed[at] += 1
    refused(message(signature=bytes(changed)))


@pytest.mark.parametrize("kind", [1, 2, 0x10, 0x40])
def test_a_signature_over_text_or_over_something_else(kind):
    one_pass, signature = bytearray(ONE_PASS), bytearray(SIGNATURE)
    one_pass[1] = signature[1] = kind
    refused(message(one_pass=bytes(one_pass), signature=bytes(signature)), "binary document")


@pytest.mark.parametrize("version", [2, 3, 5, 6])
def test_a_signature_of_another_version(version):
    refused(message(signature=bytes([version]) + SIGNATURE[1:]), "version")


@pytest.mark.parametrize("one_pass", [b"", ONE_PASS[:-1], ONE_PASS + b"\1"])
def test_a_one_pass_signature_of_another_length(one_pass):
    refused(message(one_pass=one_pass))


@pytest.mark.parametrize("signature", [b"", b"\4", b"\4\0", b"\4\0\1"])
def test_a_signature_that_is_too_short(signature):
    refused(message(signature=signature))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_refused(data):
    for blob in (data, b"\xa3\0" + data, new(4, ONE_PASS) + new(11, literal()) + data):
        try:
            found = read_signed_message(blob)
        except BadSignatureError:
            continue
        assert isinstance(found, SignedMessage)


@given(st.data())
def test_a_changed_message_is_a_message_or_refused(data):
    blob = bytearray((MESSAGES / "compressed-none.sig").read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = read_signed_message(bytes(blob))
    except BadSignatureError:
        return
    assert isinstance(found, SignedMessage)
