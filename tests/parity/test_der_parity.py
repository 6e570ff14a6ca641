"""DER and certificates on both back ends: the same values, or the same refusal in the same words."""

from __future__ import annotations

from functools import cache

import pytest
from cryptography import x509
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fakes.ctlog import CtLog, embedded
from fakes.pki import OIDC, authority, issuers, leaf, unknown
from fakes.timestamping import seq, tlv
from plimsoll.errors import BadSignatureError
from plimsoll.native import _der, _der_py

TAGS = (0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x18, 0x30, 0x31, 0xA0)
STEPS = st.one_of(
    st.tuples(st.sampled_from(["take", "take_whole", "inside"]), st.sampled_from(TAGS)),
    st.tuples(st.sampled_from(["take_integer", "take_boolean", "take_time", "end", "at_end"]), st.none()),
    st.tuples(st.just("next_is"), st.sampled_from(TAGS)),
)
times = st.sampled_from([b"20260101000000Z", b"20260101000000.5Z", b"20260230000000Z", b"20260101000000.50Z", b""])
leaves = st.one_of(
    st.tuples(st.sampled_from(TAGS), st.binary(max_size=3)),
    st.tuples(st.just(0x18), times),
    st.tuples(st.just(0x01), st.sampled_from([b"\0", b"\xff", b"\1"])),
    st.tuples(st.just(0x02), st.sampled_from([b"\0\x80", b"\0\x7f", b"\xff\x80", b"\1", b"x" * 65])),
).map(lambda pair: tlv(*pair))
elements = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4).map(lambda parts: seq(*parts)), max_leaves=6)
data = st.lists(elements, max_size=4).map(b"".join)


def spoilt(source):
    """What ``source`` makes, with one byte of it changed, added or gone."""
    return st.builds(
        lambda whole, at, byte, kind: {
            0: whole,
            1: whole[: at % (len(whole) + 1)] + bytes([byte]) + whole[at % (len(whole) + 1) + 1 :],
            2: whole[: at % (len(whole) + 1)] + bytes([byte]) + whole[at % (len(whole) + 1) :],
            3: whole[: at % (len(whole) + 1)],
        }[kind],
        source,
        st.integers(0, 5000),
        st.integers(0, 255),
        st.integers(0, 3),
    )


def told(module, content, steps):
    """All that a reader says on the way; ``inside`` goes on with what is inside."""
    found, said = module.DerReader(content, what="it"), []
    try:
        for name, tag in steps:
            arguments = ([] if tag is None else [tag]) + ([] if name in ("next_is", "end", "at_end") else ["field"])
            answer = getattr(found, name)(*arguments)
            if name == "inside":
                found = answer
            else:
                said.append((answer, type(answer)))
    except BadSignatureError as error:
        said.append(str(error))
    return said


@settings(max_examples=300)
@given(spoilt(data) | st.binary(max_size=12), st.lists(STEPS, max_size=8))
def test_readers_tell_the_same(content, steps):
    assert told(_der, content, steps) == told(_der_py, content, steps)


@pytest.mark.parametrize(
    "content",
    [b"\x04\x84\xff\xff\xff\xff", b"\x04\x85\1\0\0\0\0", b"\x04\x80", b"\x04\x82\0\xff", b"\x04\x81\x7f", b"\x04"],
)
def test_lengths_are_refused_alike(content):
    (refusal,) = told(_der, content, [("take", 4)])
    assert [refusal] == told(_der_py, content, [("take", 4)])
    assert "cut" in refusal


def test_both_count_the_elements_of_a_level():
    content, steps = b"\x05\0" * 300, [("take", 5)] * 300
    assert told(_der, content, steps) == told(_der_py, content, steps)
    assert told(_der, content, steps)[-1] == "it has more than 256 elements"


@cache
def certificates():
    """Of the plain shape, or beside it in one respect."""
    top = authority("root")
    uri = [x509.UniformResourceIdentifier("https://acme.example/" + "x" * 200)]
    sct = CtLog().sct(top.certificate.tbs_certificate_bytes, issuer=top)
    plain = {"names": uri, "more": (*issuers(OIDC, OIDC), embedded(sct))}
    return (
        leaf(top, **plain).der,
        leaf(top, subject="someone", names=uri).der,
        leaf(top, names=uri, first=-86400.0, more=((unknown("1.2.3", b"x" * 300), False),)).der,
        leaf(top, names=uri, last=4e9).der,
        leaf(top, names=uri, serial=1).der,
        leaf(top, names=uri, subject="a*b").der,
        leaf(top, names=uri, first=951782400.0).der,  # 29 February 2000
        authority("other", parent=top).der,
        authority("rsa", kind="rsa2048").der,
        authority("p384", kind="p384").der,
    )


@settings(max_examples=400)
@given(spoilt(st.integers(0, 9).map(lambda at: certificates()[at])))
@example(b"")
@example(b"\x30\0")
def test_certificates_are_read_alike(der):
    assert _der.read_certificate(der) == _der_py.read_certificate(der)


def test_the_plain_shape_is_read_and_others_are_left():
    read = [_der.read_certificate(der) for der in certificates()]
    assert [each is None for each in read] == [False, False, True, True, False, True, False, False, True, False]
    for found, der in zip(read, certificates(), strict=True):
        assert found == _der_py.read_certificate(der)
    assert read[0].precertificate is not None
    assert read[1].precertificate is None


DAYS = ["000229", "010229", "240229", "230228", "230229", "490131", "500101", "691231", "700101", "991231", "240431", "240430",
        "241301", "240001", "240100", "240132"]  # fmt: skip


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("clock", ["000000", "235959", "240000", "006000", "000060"])
def test_times_are_read_alike(day, clock):
    der = certificates()[0]
    start = der.index(b"\x17\x0d") + 2
    changed = der[:start] + (day + clock).encode() + der[start + 12 :]
    assert _der.read_certificate(changed) == _der_py.read_certificate(changed)
