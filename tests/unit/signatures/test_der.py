"""DER: the one form of each value, and every other form of it refused."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fakes.timestamping import integer, octets, seq, tlv
from plimsoll import limits
from plimsoll.errors import BadSignatureError
from plimsoll.signatures.der import GENERALIZED_TIME, INTEGER, OCTET_STRING, SEQUENCE, DerReader, read_der


def reader(data):
    return DerReader(data, what="it")


def refused(act, match):
    with pytest.raises(BadSignatureError, match=match):
        act()


@given(st.binary(max_size=300))
@example(b"x" * 127)
@example(b"x" * 128)
@example(b"x" * 255)
@example(b"x" * 256)
@example(b"x" * 65_536)
def test_an_element_is_its_content_and_its_whole(content):
    data = octets(content) + b"rest"
    assert reader(data).take(OCTET_STRING, "a") == content
    assert reader(data).take_whole(OCTET_STRING, "a") == octets(content)


def test_elements_come_in_their_order():
    found = reader(seq(integer(1), octets(b"x")) + integer(-3)).inside(SEQUENCE, "list")
    assert found.next_is(INTEGER)
    assert found.take_integer("first") == 1
    assert not found.next_is(INTEGER)
    assert not found.at_end()
    assert found.take(OCTET_STRING, "second") == b"x"
    assert found.at_end()
    found.end()


def test_end_refuses_what_is_left():
    found = reader(integer(1) + integer(2))
    found.take_integer("a")
    refused(found.end, "it has 3 bytes too many")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x04",
        b"\x04\x01",
        b"\x04\x81",
        b"\x04\x81\x80" + b"x" * 127,
        b"\x04\x82\x01",
        b"\x04\x80x\0\0",  # indefinite
        b"\x04\xffx",  # reserved
        b"\x04\x81\x01x",  # longer than needed
        b"\x04\x81\x7f" + b"x" * 127,
        b"\x04\x82\0\x80" + b"x" * 128,
        b"\x04\x85\0\0\0\0\x80" + b"x" * 128,
        b"\x04\x85\1\0\0\0\0x",  # no input is that long
        b"\x24\x03\x04\x01x",  # constructed
        b"\x05\0",
        b"\x1f\x81\0x",
    ],
)
def test_other_forms_of_an_element_are_refused(data):
    refused(lambda: reader(data).take(OCTET_STRING, "a"), r"it\.a is (absent|cut)")


def test_a_level_has_a_limit():
    found = reader(integer(0) * (limits.DER_ELEMENTS + 1))
    for _ in range(limits.DER_ELEMENTS):
        found.take_integer("n")
    refused(lambda: found.take_integer("n"), "more than 256 elements")


def test_messages_name_the_place():
    refused(
        lambda: reader(seq(seq())).inside(SEQUENCE, "outer").inside(SEQUENCE, "inner").take(4, "x"), "it.outer.inner.x"
    )


@given(st.integers(-(2**200), 2**200))
@example(127)
@example(128)
@example(-128)
@example(-129)
def test_integers(value):
    shortest = value.to_bytes((value + (value < 0)).bit_length() // 8 + 1, "big", signed=True)
    assert reader(tlv(2, shortest)).take_integer("n") == value
    longer = (b"\xff" if value < 0 else b"\0") + shortest
    refused(lambda: reader(tlv(2, longer)).take_integer("n"), "shortest form")


@pytest.mark.parametrize("content", [b"", b"\1" * 65])
def test_integers_have_bytes_but_not_too_many(content):
    refused(lambda: reader(tlv(2, content)).take_integer("n"), f"an integer of {len(content)} bytes")


def test_an_integer_of_the_most_bytes():
    assert reader(tlv(2, b"\1" * 64)).take_integer("n") == int("01" * 64, 16)


def test_booleans():
    assert reader(b"\1\1\xff").take_boolean("b") is True
    assert reader(b"\1\1\0").take_boolean("b") is False
    for other in (b"\1\1\1", b"\1\0", b"\1\2\xff\xff"):
        refused(lambda data=other: reader(data).take_boolean("b"), "neither true nor false")


def time(text):
    return reader(tlv(GENERALIZED_TIME, text)).take_time("t")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"20231114221320Z", 1_700_000_000),
        (b"20231114221320.5Z", 1_700_000_000.5),
        (b"20231114221320.001953125Z", 1_700_000_000.001953125),
        (b"20000229000000Z", 951_782_400),
        (b"00010101000000Z", -62_135_596_800),
        (b"99991231235959Z", 253_402_300_799),
    ],
)
def test_times(text, expected):
    assert time(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"20231114221320",  # local
        b"20231114221320+0100",
        b"202311142213Z",  # without seconds
        b"20231114221320.Z",
        b"20231114221320.50Z",  # a zero at the end
        b"20231114221320.0Z",
        b"20231114221320,5Z",
        b"20231114221320.1234567891Z",
        b"231114221320Z",
        b"20231114221320Z\n",
        b"2023111422132\xb2Z",
        b" 0231114221320Z",
        b"20231314221320Z",
        b"20230229000000Z",
        b"20231114241320Z",
        b"20231114221360Z",
        b"00000101000000Z",
    ],
)
def test_other_times_are_refused(text):
    refused(lambda: time(text), "no time|no UTC time")


def test_one_document():
    read_der(seq(), tag=SEQUENCE, what="a document", most=2).end()
    refused(lambda: read_der(seq(), tag=SEQUENCE, what="a document", most=1), "a document has 2 bytes: at most 1")
    refused(lambda: read_der(seq() + b"\0", tag=SEQUENCE, what="a document", most=9), "a document has 1 bytes too many")
    refused(lambda: read_der(seq(), tag=OCTET_STRING, what="a document", most=9), "another type")


@settings(max_examples=100)
@given(
    st.binary(max_size=40),
    st.sampled_from(["take", "take_whole", "inside", "take_integer", "take_boolean", "take_time"]),
)
def test_any_bytes_are_read_or_refused(data, method):
    found = reader(data)
    arguments = (data[0] if data else 4, "a") if method in ("take", "take_whole", "inside") else ("a",)
    try:
        getattr(found, method)(*arguments)
    except BadSignatureError:
        return
    assert data
