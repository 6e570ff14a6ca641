"""Protobuf's JSON on both back ends: the same values, or the same refusal in the same words."""

from __future__ import annotations

import base64

from hypothesis import example, given, settings
from hypothesis import strategies as st

from plimsoll.errors import BundleInvalidError
from plimsoll.native import _protojson, _protojson_py

NAMES = {"logIndex": "logIndex", "log_index": "logIndex", "inner": "inner", "data": "data"}
texts = st.sampled_from(
    ["", "0", "01", "7", "-1", "9" * 19, "9" * 20, "²", "1.0", "abc", "AA==", "AA", "A-_A", "+-AA", "AB==", "é"]
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 2),
    st.sampled_from([2**63 - 1, 2**63, 1.0, "\ud800"]),
    texts,
    st.binary(max_size=6).map(lambda data: base64.b64encode(data).decode()),
)
fields = st.sampled_from(["logIndex", "log_index", "inner", "data", "other"])
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(fields, inner, max_size=4), max_leaves=12
)
FIELDS = ("logIndex", "inner", "data")


def told(module, value, where):
    """What every method says of every field, and of what is inside."""

    def said(act):
        try:
            return act()
        except BundleInvalidError as error:
            return str(error)

    def look(message, depth):
        if isinstance(message, str) or depth == 3:
            return message if isinstance(message, str) else message.where
        answers = [message.where, said(lambda: message.one_of(*FIELDS))]
        for name in FIELDS:
            answers += [
                message.path(name),
                message.has(name),
                said(lambda name=name: message.text(name, limit=4)),
                said(lambda name=name: message.some_text(name, limit=4)),
                said(lambda name=name: message.count(name)),
                said(lambda name=name: message.known(name, {"7": 7, 1: 1})),
                said(lambda name=name: message.blob(name, limit=2)),
                said(lambda name=name: message.some_blob(name, limit=5)),
                said(lambda name=name: message.blobs(name, limit=2, most=2)),
                look(said(lambda name=name: message.message(name, NAMES)), depth + 1),
            ]
            listed = said(lambda name=name: message.messages(name, NAMES, most=3))
            answers.append(listed if isinstance(listed, str) else [look(each, depth + 1) for each in listed])
        return answers

    return look(said(lambda: module.Message(value, names=NAMES, where=where)), 0)


@settings(max_examples=200)
@given(
    values | st.dictionaries(st.sampled_from(["logIndex", "inner", "data"]), values, max_size=3),
    st.sampled_from(["", "entry"]),
)
@example({"logIndex": 1, "log_index": None}, "")
@example({"data": ["AA==", "!"]}, "a")
def test_messages_tell_the_same(value, where):
    assert told(_protojson, value, where) == told(_protojson_py, value, where)


def test_what_is_told_names_the_place():
    assert "entry.inner.data" in str(told(_protojson, {"inner": {"data": 5}}, "entry"))
    assert "inner[1] is no JSON object" in str(told(_protojson, {"inner": [{}, 5]}, ""))
