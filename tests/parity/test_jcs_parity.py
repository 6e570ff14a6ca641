from __future__ import annotations

import json
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.errors import CanonicalizationError
from plimsoll.native import _jcs, _jcs_py

any_text = st.text(st.characters(codec=None, exclude_categories=()), max_size=20)  # surrogates too
doubles = st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack(">d", bits.to_bytes(8, "big"))[0])
scalars = st.none() | st.booleans() | st.integers() | st.integers(-(2**53) - 2, 2**53 + 2) | doubles | any_text
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(any_text, inner, max_size=25)
        | st.dictionaries(st.integers() | any_text, inner, max_size=2)
    ),
    max_leaves=30,
)


def outcome(module, value, **options):
    try:
        return module.jcs_encode(value, **options)
    except CanonicalizationError as error:
        return type(error)


@given(values)
def test_both_give_the_same_bytes_or_both_refuse(value):
    assert outcome(_jcs, value) == outcome(_jcs_py, value)


@given(doubles)
def test_every_double_has_one_form_that_reads_back(number):
    found = outcome(_jcs, number)
    assert found == outcome(_jcs_py, number)
    if math.isfinite(number):
        assert json.loads(found, parse_int=float) == number


@given(
    st.floats(allow_nan=False, allow_infinity=False, width=32) | st.integers(-400, 400).map(lambda e: float(f"1e{e}"))
)
def test_short_doubles_too(number):
    assert outcome(_jcs, number) == outcome(_jcs_py, number)


@given(
    st.lists(
        st.text(st.sampled_from("a\x7f\u0080\u07ff\u0800\ud7ff\ue000\ufb33\uffff\U00010000\U0010ffff"), max_size=4)
    )
)
def test_names_sort_by_utf16_code_units(names):
    members = dict.fromkeys(names, 1)
    encoded = _jcs.jcs_encode(members)
    assert encoded == _jcs_py.jcs_encode(members)
    assert list(json.loads(encoded)) == sorted(members, key=lambda name: name.encode("utf-16-be"))


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 18, 100, 1000])
def test_objects_of_any_size_are_sorted(count):
    members = {f"{(7919 * n) % 1009:x}\U0001f600"[: n % 5 + 1] + str(n): n for n in range(count)}
    assert _jcs.jcs_encode(members) == _jcs_py.jcs_encode(members)


@given(st.integers(0, 12), st.integers(1, 8), st.booleans())
def test_the_depth_cap_is_the_same(depth, cap, in_objects):
    value = 1
    for _ in range(depth):
        value = {"a": value} if in_objects else [value]
    assert outcome(_jcs, value, max_depth=cap) == outcome(_jcs_py, value, max_depth=cap)
    assert (outcome(_jcs, value, max_depth=cap) is CanonicalizationError) == (depth > cap)


@pytest.mark.parametrize("module", [_jcs, _jcs_py], ids=["cython", "python"])
@pytest.mark.parametrize("cap", [-1, 0, 257])
def test_a_senseless_cap_is_refused(module, cap):
    with pytest.raises(ValueError, match="max_depth must be 1 to 256"):
        module.jcs_encode(1, max_depth=cap)


@pytest.mark.parametrize("module", [_jcs, _jcs_py], ids=["cython", "python"])
def test_the_deepest_cap_does_not_exhaust_the_stack(module):
    value = []
    for _ in range(255):
        value = [value]
    assert module.jcs_encode(value, max_depth=256) == b"[" * 256 + b"]" * 256
    with pytest.raises(CanonicalizationError):
        module.jcs_encode([value], max_depth=256)
