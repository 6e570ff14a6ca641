from __future__ import annotations

import pickle

import pytest

from plimsoll.errors import PlimsollError, ReadError
from plimsoll.native import read_json


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"null", None), (b"true", True), (b" false\n", False), (b"0", 0), (b"-0", 0), (b'""', ""), (b"[]", []), (b"{}", {}),
        (b"-12.5e-1", -1.25), (b"1e3", 1000.0), (b"18446744073709551615", 2**64 - 1), (b"99999999999999999999", 10**20 - 1),
        (b"1e-999", 0.0), (b'"\\u20ac\\ud83d\\ude00\\"\\\\\\/\\b\\f\\n\\r\\t"', '\u20ac\U0001f600"\\/\b\f\n\r\t'),
        ('"\u20ac\U0001f600\x7f\u2028"'.encode(), "\u20ac\U0001f600\x7f\u2028"), (b'"\\u0000"', "\x00"),
        (b' [ 1 , [ ] , { "a" : { } } ] ', [1, [], {"a": {}}]), (b'{"":0,"a":1,"A":2}', {"": 0, "a": 1, "A": 2}),
        (b'{"\\ud83d\\ude00":1,"\xe2\x82\xac":2}', {"\U0001f600": 1, "\u20ac": 2}),
    ],
)  # fmt: skip
def test_accepted(data, value):
    found = read_json(data)
    assert (found, type(found)) == (value, type(value))
    assert read_json(bytearray(data)) == read_json(memoryview(data)) == value


# Each beside the neighbour that is accepted above.
@pytest.mark.parametrize(
    ("data", "kind", "offset"),
    [
        (b"", "syntax", 0), (b"  ", "syntax", 2), (b"nul", "syntax", 0), (b"True", "syntax", 0), (b"NaN", "syntax", 0),
        (b"-Infinity", "syntax", 0), (b"01", "syntax", 1), (b"+1", "syntax", 0), (b"1.", "syntax", 1), (b".5", "syntax", 0),
        (b"1e", "syntax", 1), (b"-", "syntax", 0), (b"0x1", "syntax", 1), (b"'a'", "syntax", 0), (b"{}{}", "syntax", 2),
        (b"[1,]", "syntax", 3), (b"[1 2]", "syntax", 3), (b"[1", "syntax", 2), (b"[", "syntax", 1), (b"]", "syntax", 0),
        (b'{"a":1,}', "syntax", 7), (b'{"a"}', "syntax", 4), (b"{1:2}", "syntax", 1), (b'{"a":}', "syntax", 5),
        (b'{"a":1]', "syntax", 6), (b'["a"}', "syntax", 4), (b"//a\n1", "syntax", 0), (b"\x0c1", "syntax", 0),
        (b'"a', "syntax", 2), (b'"a\\', "syntax", 3), (b'"\\x"', "syntax", 1), (b'"\\u12g4"', "syntax", 1),
        (b'"\n"', "syntax", 1), (b'"\x00"', "syntax", 1), (b'"\\ud800\\u00"', "utf-8", 1), (b"1\x00", "syntax", 1),
        (b"\xef\xbb\xbf1", "utf-8", 0), (b'"\xff"', "utf-8", 1), (b'"a\xc0\xaf"', "utf-8", 2), (b'"\xed\xa0\x80"', "utf-8", 1),
        (b'"\xf4\x90\x80\x80"', "utf-8", 1), (b'"\xe2\x82"', "utf-8", 1), (b'"\\ud800"', "utf-8", 1), (b"\xc3\xa9", "syntax", 0),
        (b'"\\udc00\\ud800"', "utf-8", 1), (b'"\\ud800\\ud800"', "utf-8", 1), (b'{"\\ud800":1}', "utf-8", 2),
        (b'{"a":1,"a":1}', "duplicate-key", 7), (b'{"a":1,"\\u0061":1}', "duplicate-key", 7),
        (b'[{"a":{"b":1,"b":2}}]', "duplicate-key", 13), (b'{"":0,"":0}', "duplicate-key", 6),
        (b"999999999999999999999", "number", 0), (b"[-1e309]", "number", 1), (b"1." + b"0" * 127, "number", 0),
        (b"[" * 65 + b"]" * 65, "depth", 64), (b'{"a":' * 65, "depth", 320),
    ],
)  # fmt: skip
def test_refused(data, kind, offset):
    with pytest.raises(ReadError) as refused:
        read_json(data)
    assert (refused.value.kind, refused.value.offset) == (kind, offset)
    assert str(offset) in str(refused.value)


def test_the_size_cap_counts_bytes():
    assert read_json(b"[1,2]", max_bytes=5) == [1, 2]
    with pytest.raises(ReadError, match="more bytes than allowed") as refused:
        read_json(b"[1,2] ", max_bytes=5)
    assert (refused.value.kind, refused.value.offset) == ("too-large", 5)


def test_the_depth_cap_counts_containers():
    assert read_json(b"[{}]", max_depth=2) == [{}]
    assert read_json(b"1", max_depth=1) == 1
    with pytest.raises(ReadError) as refused:
        read_json(b"[{}]", max_depth=1)
    assert refused.value.kind == "depth"


def test_many_members_are_read_in_a_time_that_grows_with_their_number():
    members = ",".join(f'"{n:07d}":0' for n in range(60_000))
    assert len(read_json(("{" + members + "}").encode())) == 60_000
    with pytest.raises(ReadError, match="already has"):
        read_json(("{" + members + ',"0000000":0}').encode())


def test_a_read_error_is_one_of_ours_and_survives_a_pickle():
    with pytest.raises(ReadError) as refused:
        read_json(b"[1,")
    again = pickle.loads(pickle.dumps(refused.value))
    assert isinstance(again, PlimsollError)
    assert isinstance(again, ValueError)
    assert (str(again), again.kind, again.offset) == (str(refused.value), "syntax", 3)
