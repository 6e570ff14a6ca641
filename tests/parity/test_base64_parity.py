"""Canonical base64 on both back ends: the same bytes, or None from both."""

from __future__ import annotations

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plimsoll.native import _base64, _base64_py

BOTH = pytest.mark.parametrize("module", [_base64, _base64_py])
near = st.text("AQgw/+=-_ \n\x00é", max_size=12)


@given(near | st.text(max_size=9) | st.binary(max_size=40).map(lambda data: base64.b64encode(data).decode()))
@example("AAAA=")
@example("AA==AAAA")
@example("A===")
@example("====")
@example("AB==")
@example("AAB=")
@example("AAC=")
@example("\ud800AAA")
def test_both_decode_alike(text):
    assert _base64.base64_decode(text) == _base64_py.base64_decode(text)


@BOTH
@given(data=st.binary(max_size=300))
def test_what_base64_writes_is_read(module, data):
    assert module.base64_decode(base64.b64encode(data).decode()) == data


@BOTH
@pytest.mark.parametrize(
    "text", ["A", "AA", "AAA", "AA=", "AB==", "AAB=", "AA==\n", "AAAA====", "AA=A", "-_-_", "=", "AAAAA==="]
)
def test_nothing_else_is(module, text):
    assert module.base64_decode(text) is None
