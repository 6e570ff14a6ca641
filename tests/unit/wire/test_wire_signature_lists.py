"""A registry's own list of signatures: the one form, and everything else refused."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from plimsoll import limits
from plimsoll.errors import LimitExceededError, RegistryError
from plimsoll.model.digest import Digest
from plimsoll.wire import has_signature_lists, parse_signature_list, signature_list_request

DIGEST = Digest.of(b"an image")


def entry(content=b"one", **changes):
    text = base64.b64encode(content).decode() if isinstance(content, bytes) else content
    return {"schemaVersion": 2, "name": f"{DIGEST}@1", "type": "atomic", "content": text} | changes


def document(*entries):
    return json.dumps({"signatures": list(entries)}).encode()


def test_what_is_asked():
    request = signature_list_request("team/app", DIGEST)
    assert (request.target, request.form) == (f"/extensions/v2/team/app/signatures/{DIGEST}", None)


@pytest.mark.parametrize(
    ("value", "expected"), [("1", True), ("0", False), ("true", False), ("11", False), (None, False)]
)
def test_the_field_that_says_so(value, expected):
    headers = CIMultiDict() if value is None else CIMultiDict({"x-registry-supports-signatures": value})
    assert has_signature_lists(headers) is expected


def test_the_atomic_ones_in_their_order():
    others = entry(b"x", schemaVersion=1), entry(b"x", type="cosign"), entry(schemaVersion=3, type="", content=7)
    assert parse_signature_list(document(entry(b"one"), *others, entry(b"two"))) == (b"one", b"two")


@pytest.mark.parametrize("data", [b'{"signatures":null}', b'{"signatures":[]}', b'{"signatures":[],"other":1}'])
def test_none(data):
    assert parse_signature_list(data) == ()


def test_line_breaks_in_base64_are_passed_over_as_go_does():
    assert parse_signature_list(document(entry(content="b2\r\n5l\n"))) == (b"one",)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"errors":[]}',
        b"<html>",
        b'{"signatures":{}}',
        b'{"signatures":[],"signatures":[]}',
        document(None),
        document([]),
        document("x"),
        document({}),
        document(entry(schemaVersion="2")),
        document(entry(schemaVersion=True)),
        document(entry(schemaVersion=2.5)),
        document(entry(type=None)),
        document(entry(content=None)),
        document(entry(content=["x"])),
        document(entry(content="b25l=")),
        document(entry(content="b25")),
        document(entry(content="b2 5l")),
        document(entry(content="b2é5")),
        document(entry(), entry(content="-_-_")),
        document(entry())[:-1],
        document(entry()) + b"x",
    ],
)
def test_what_is_no_list(data):
    with pytest.raises(RegistryError, match="list of signatures"):
        parse_signature_list(data)


def test_too_many_and_too_long():
    most = [entry()] * limits.SIGNATURES_PER_PLACE
    assert len(parse_signature_list(document(*most))) == limits.SIGNATURES_PER_PLACE
    with pytest.raises(LimitExceededError, match="129"):
        parse_signature_list(document(*most, entry()))
    with pytest.raises(LimitExceededError, match="at most"):
        parse_signature_list(b" " * (limits.PAYLOAD_BYTES + 1))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "atomic", "b25l", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["signatures", "schemaVersion", "type", "content", "name"]), inner, max_size=5
        )
    ),
    max_leaves=8,
)


@given(JSON | st.fixed_dictionaries({"signatures": st.lists(JSON, max_size=3)}))
def test_any_document_is_read_or_refused(value):
    try:
        found = parse_signature_list(json.dumps(value).encode())
    except RegistryError:
        return
    listed = value.get("signatures") or []
    assert len(found) == sum(each["schemaVersion"] == 2 and each["type"] == "atomic" for each in listed)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data):
    try:
        assert parse_signature_list(data) == ()
    except RegistryError:
        return
