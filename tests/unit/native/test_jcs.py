from __future__ import annotations

import enum
import math
import struct

import pytest

from plimsoll.errors import CanonicalizationError, PlimsollError
from plimsoll.native import jcs_encode

# RFC 8785, appendix B.
NUMBERS = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}


@pytest.mark.parametrize(("bits", "form"), NUMBERS.items())
def test_numbers_of_rfc_8785_appendix_b(bits, form):
    assert jcs_encode(struct.unpack(">d", bytes.fromhex(bits))[0]) == form.encode()


@pytest.mark.parametrize("bits", ["7fffffffffffffff", "7ff0000000000000", "fff0000000000000"])
def test_numbers_that_appendix_b_refuses(bits):
    with pytest.raises(CanonicalizationError, match="NaN and infinity"):
        jcs_encode([struct.unpack(">d", bytes.fromhex(bits))[0]])


@pytest.mark.parametrize(
    ("number", "form"),
    [
        (1.0, "1"), (-1.5, "-1.5"), (100.0, "100"), (0.1, "0.1"), (1e20, "1" + "0" * 20), (1e-6, "0.000001"),
        (1e-7, "1e-7"), (1.5e-7, "1.5e-7"), (123456789012345680000.0, "123456789012345680000"), (-1e21, "-1e+21"),
    ],
)  # fmt: skip
def test_numbers_on_the_borders_of_the_forms(number, form):
    assert jcs_encode(number) == form.encode()


def test_the_sample_of_section_3_2_2():
    sample = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"\u002f",
        "literals": [None, True, False],
    }
    assert jcs_encode(sample) == (
        b'{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        b'"string":"\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


def test_the_sorting_of_section_3_2_3():
    members = {"\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
               "\U0001f600": "Emoji: Grinning Face", "\x80": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"}  # fmt: skip
    order = ["\\r", "1", "\x80", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    encoded = jcs_encode(members).decode()
    assert [encoded.index(f'"{name}":') for name in order] == sorted(encoded.index(f'"{name}":') for name in order)


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (None, b"null"), (True, b"true"), (False, b"false"), (0, b"0"), (-7, b"-7"), ("", b'""'), ([], b"[]"), ({}, b"{}"),
        ((1, "a"), b'[1,"a"]'), (2**53 - 1, b"9007199254740991"), (1 - 2**53, b"-9007199254740991"),
        ("\x00\x1f\x7f\b\t\n\f\r", b'"\\u0000\\u001f\x7f\\b\\t\\n\\f\\r"'), ("\u2028</script>", '"\u2028</script>"'.encode()),
        ({"b": {"d": 1, "c": 2}, "a": [{}]}, b'{"a":[{}],"b":{"c":2,"d":1}}'),
    ],
)  # fmt: skip
def test_every_kind_of_value(value, form):
    assert jcs_encode(value) == form


class Colour(enum.StrEnum):
    RED = "red"


class Number(int):
    pass


@pytest.mark.parametrize(
    "value",
    [
        2**53,
        -(2**53),
        10**400,
        math.nan,
        math.inf,
        -math.inf,
        "\ud800",
        "a\udfffb",
        {"\ud800": 1},
        {1: 2},
        {None: 1},
        b"x",
        {"a": {1}},
        Colour.RED,
        {Colour.RED: 1},
        Number(1),
        type("D", (dict,), {})(),
        object(),
    ],
    ids=lambda value: type(value).__name__ if type(value) is object else repr(value),
)
def test_values_that_have_no_canonical_form(value):
    with pytest.raises(CanonicalizationError) as refused:
        jcs_encode([value])
    assert isinstance(refused.value, ValueError)
    assert isinstance(refused.value, PlimsollError)


def test_nesting_is_capped_at_64_by_default():
    value = []
    for _ in range(63):
        value = [value]
    assert jcs_encode(value) == b"[" * 64 + b"]" * 64
    with pytest.raises(CanonicalizationError, match="too deeply"):
        jcs_encode([value])


def test_a_value_that_holds_itself_is_refused():
    value = []
    value.append(value)
    with pytest.raises(CanonicalizationError, match="too deeply"):
        jcs_encode(value)
