"""DSSE: the bytes that are signed, and ``.att`` layers' envelopes."""

from __future__ import annotations

import base64
import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.bundles import envelope_document
from plimsoll import limits
from plimsoll.errors import BadSignatureError, PayloadError, SignatureError
from plimsoll.model.bundle import UntrustedEnvelope
from plimsoll.signatures.dsse import pae, parse_envelope

ENVELOPE = UntrustedEnvelope(payload_type="application/x", payload=b"{}", signatures=(("k", b"one"), ("", b"two")))


def document(**changes):
    return envelope_document(ENVELOPE) | changes


def parse(value):
    return parse_envelope(json.dumps(value).encode())


@pytest.mark.parametrize(
    ("payload_type", "payload", "expected"),
    [
        # The first is the worked example of protocol.md.
        ("http://example.com/HelloWorld", b"hello world", b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"),
        ("", b"", b"DSSEv1 0  0 "),
        ("\u00e9", b"\xff\x00\n", b"DSSEv1 2 \xc3\xa9 3 \xff\x00\n"),
        ("a 1", b" b", b"DSSEv1 3 a 1 2  b"),
    ],
)
def test_what_is_signed(payload_type, payload, expected):
    assert pae(payload_type, payload) == expected


@settings(deadline=None, max_examples=60)
@given(st.tuples(st.text(max_size=8), st.binary(max_size=8)), st.tuples(st.text(max_size=8), st.binary(max_size=8)))
def test_two_contents_never_have_one_encoding(first, second):
    assert (pae(*first) == pae(*second)) == (first == second)


def test_what_was_written_is_read():
    assert parse(document()) == ENVELOPE


def test_what_dsse_does_not_know_is_passed_over():
    found = document(extra={"deep": [1]}, keyid=None)
    found["signatures"][0] |= {"cert": "PEM", "extra": 7}
    found["signatures"][1] |= {"cert": None, "keyid": None}
    assert parse(found) == ENVELOPE


@pytest.mark.parametrize("name", ["Payload", "payloadtype", "PAYLOADTYPE", "Signatures", "\u017fignatures"])
def test_a_member_that_go_would_take_for_a_known_one_is_refused(name):
    with pytest.raises(PayloadError, match="but for its case"):
        parse(document(**{name: None}))


@pytest.mark.parametrize("name", ["Sig", "KeyID", "keyId", "\u212aeyid", "CERT"])
def test_a_signatures_member_that_go_would_take_for_a_known_one_is_refused(name):
    found = document()
    found["signatures"][1][name] = "x"
    with pytest.raises(PayloadError, match=r"signatures\[1\] has a member"):
        parse(found)


@pytest.mark.parametrize("name", ["payload", "payloadType", "signatures"])
@pytest.mark.parametrize("value", [None, 7, "", {}, [], True, ["x"], [None], ["e30="]])
def test_a_member_of_another_type_is_refused(name, value):
    with pytest.raises(PayloadError, match=name):
        parse(document(**{name: value}))


@pytest.mark.parametrize("name", ["payload", "payloadType", "signatures"])
def test_a_missing_member_is_refused(name):
    found = document()
    del found[name]
    with pytest.raises(PayloadError, match=name):
        parse(found)


@pytest.mark.parametrize("payload", ["e30", "e31=", "e30=\n", "-_8=", "e3*=", "e30==", "===="])
def test_a_payload_that_is_no_canonical_base64_is_refused(payload):
    with pytest.raises(PayloadError, match=r"envelope\.payload is no"):
        parse(document(payload=payload))


@pytest.mark.parametrize("sig", ["", "e30", "e31=", "-_8=", "QQ==\n", base64.b64encode(b"x" * 2050).decode()])
def test_a_signature_that_is_no_canonical_base64_is_refused(sig):
    with pytest.raises(BadSignatureError, match=r"signatures\[0\]\.sig"):
        parse(document(signatures=[{"sig": sig}]))


@pytest.mark.parametrize(
    "members", [{}, {"sig": None}, {"sig": 7}, {"sig": "QQ==", "keyid": 7}, {"sig": "QQ==", "cert": {}}, []]
)
def test_a_signature_of_another_shape_is_refused(members):
    with pytest.raises(PayloadError, match=r"signatures\[0\]"):
        parse(document(signatures=[members]))


def test_a_signature_is_there_once_and_not_too_many_are():
    many = [{"sig": base64.b64encode(bytes([index])).decode()} for index in range(limits.ENVELOPE_SIGNATURES + 1)]
    assert len(parse(document(signatures=many[1:])).signatures) == limits.ENVELOPE_SIGNATURES
    with pytest.raises(PayloadError, match="signatures is no list of 1 to"):
        parse(document(signatures=many))
    with pytest.raises(PayloadError, match="same signature twice"):
        parse(document(signatures=[*many[:2], many[0] | {"keyid": "other"}]))


def test_an_envelope_has_a_cap():
    data = json.dumps(document()).encode()
    assert parse_envelope(data.ljust(limits.BUNDLE_BYTES)) == ENVELOPE
    with pytest.raises(PayloadError, match="at most"):
        parse_envelope(data.ljust(limits.BUNDLE_BYTES + 1))
    with pytest.raises(PayloadError, match="payloadType"):
        parse(document(payloadType="x" * (limits.MEDIA_TYPE_CHARS + 1)))


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"{", b"\xff", b'{"payload":"","payload":""}', b"[" * 99])
def test_what_is_no_document_is_refused(data):
    with pytest.raises(PayloadError):
        parse_envelope(data)


ENVELOPES = st.builds(
    UntrustedEnvelope,
    payload_type=st.text(min_size=1, max_size=8),
    payload=st.binary(min_size=1, max_size=8),
    signatures=st.lists(
        st.tuples(st.text(max_size=4), st.binary(min_size=1, max_size=4)),
        min_size=1,
        max_size=4,
        unique_by=lambda pair: pair[1],
    ).map(tuple),
)


@settings(deadline=None, max_examples=60)
@given(ENVELOPES)
def test_any_value_comes_back_equal(envelope):
    assert parse(envelope_document(envelope)) == envelope


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_no_changed_byte_makes_anything_but_a_signature_error(data):
    found = bytearray(json.dumps(document()).encode())
    index = data.draw(st.integers(0, len(found) - 1))
    found[index : index + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    with contextlib.suppress(SignatureError):
        parse_envelope(bytes(found))


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from(["payload", "payloadType", "signatures", "x"]),
        st.recursive(
            st.none() | st.integers() | st.sampled_from(["", "e30=", "QQ=="]),
            lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["sig", "keyid", "cert", "x"]), inner),
            max_leaves=6,
        ),
    )
)
def test_no_document_makes_anything_but_a_signature_error(value):
    with contextlib.suppress(SignatureError):
        parse(value)
