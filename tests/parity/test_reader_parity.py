from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plimsoll import limits
from plimsoll.errors import ReadError
from plimsoll.native import _reader, _reader_py

FOLDED = {"s": "s\u017fS", "k": "k\u212aK"}
KNOWN = (*_reader_py._MANIFEST, *_reader_py._DESCRIPTOR, *_reader_py._PLATFORM)


def outcome(read, data, **options):
    """The value with its types, or the kind of the error and where."""
    try:
        return repr(read(data, **options))
    except ReadError as error:
        return error.kind, error.offset


def assert_same(data, **options):
    for name in ("read_json", "read_manifest"):
        found = outcome(getattr(_reader, name), data, **options)
        assert found == outcome(getattr(_reader_py, name), data, **options), (name, data)


# ---- documents -------------------------------------------------------------------------------------------------------

texts = st.text(max_size=12)
numbers = (
    st.integers()
    | st.sampled_from([0, -0.0, 10**19, 10**20 - 1, 10**20, -(10**20), 2**63, 1e308, 5e-324, 1e-400])
    | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=20),
    max_leaves=20,
)
spaces = st.sampled_from(["", " ", "\n\t\r "])


@st.composite
def spellings(draw, text):
    """One string in one of its many JSON forms."""
    out = []
    for character in text:
        units = character.encode("utf-16-be").hex()
        escaped = "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))
        plain = json.dumps(character, ensure_ascii=False)[1:-1]
        out.append(draw(st.sampled_from([plain, plain, plain, escaped, escaped.upper().replace("U", "u")])))
    return '"' + "".join(out) + '"'


@st.composite
def documents(draw, value, duplicates=False):
    """A value written with odd spaces and escapes; with duplicates, some members are written twice."""
    if isinstance(value, str):
        return draw(spellings(value))
    if isinstance(value, dict):
        pairs = list(value.items())
        if duplicates and pairs and draw(st.booleans()):
            pairs.insert(draw(st.integers(0, len(pairs))), draw(st.sampled_from(pairs)))
        inner = [f"{draw(spellings(k))}{draw(spaces)}:{draw(documents(v, duplicates))}" for k, v in pairs]
        return draw(spaces) + "{" + ",".join(inner) + draw(spaces) + "}"
    if isinstance(value, list):
        return "[" + ",".join(draw(spaces) + draw(documents(v, duplicates)) for v in value) + draw(spaces) + "]"
    return json.dumps(value) + draw(spaces)


@given(values.flatmap(documents))
def test_valid_documents(text):
    assert_same(text.encode())


@given(values.flatmap(lambda value: documents(value, duplicates=True)))
def test_duplicate_names_however_they_are_spelled(text):
    assert_same(text.encode())


@given(st.lists(texts, min_size=1, max_size=40, unique=True), st.data())
def test_a_duplicate_is_found_at_every_position(names, data):
    again = data.draw(st.sampled_from(names))
    members = ",".join(f"{json.dumps(name)}:0" for name in names)
    text = "{" + members + "," + data.draw(spellings(again)) + ":1}"
    for document in (text, '{"unknown":' + text + "}"):
        assert_same(document.encode())
        for read in (_reader.read_json, _reader.read_manifest):
            with pytest.raises(ReadError) as refused:
                read(document.encode())
            assert refused.value.kind == "duplicate-key"


# ---- what a hostile registry sends -----------------------------------------------------------------------------------

PIECES = [
    b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\\u", b"\\ud800", b"\\udc00", b"\\u0000", b"\\n", b"\\x", b"null",
    b"true", b"false", b"nul", b"NaN", b"Infinity", b"-Infinity", b"0", b"-0", b"01", b"1.", b".5", b"1e5", b"1e", b"1E+",
    b"-", b"1e999", b"-1e999", b"1e-999", b"9" * 20, b"9" * 21, b"1." + b"3" * 126, b"1." + b"3" * 127, b"\x00", b"\x1f",
    b"\x7f", b"\x80", b"\xc0\x80", b"\xc3\xa9", b"\xc3", b"\xe2\x82\xac", b"\xe2\x82", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80",
    b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xef\xbb\xbf", b" ", b"\n", b"\t", b"\r", b"\x0b", b"\xc2\xa0", b"/", b"'",
    b'"a":', b'"a"', b'"\\u0061":1', b"[]", b"{}", b'"layers":', b'"config":', b'"size":', b'"Layers":', b'"annotations":',
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=25).map(b"".join))
@settings(max_examples=600)
def test_pieces_of_json_in_any_order(data):
    assert_same(data)


@given(st.lists(st.sampled_from(PIECES), max_size=25).map(lambda pieces: b'{"x":"' + b"".join(pieces) + b'"}'))
@settings(max_examples=300)
def test_pieces_of_json_in_a_string(data):
    assert_same(data)


@given(st.binary(max_size=60))
@settings(max_examples=300)
def test_random_bytes(data):
    assert_same(data)
    assert_same(b'["' + data + b'"]')


@st.composite
def mutated(draw):
    data = bytearray(draw(values.flatmap(documents)).encode())
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 3))] = draw(st.sampled_from(PIECES) | st.binary(max_size=3))
    return bytes(data)


@given(mutated())
@settings(max_examples=600)
def test_mutated_documents(data):
    assert_same(data)


@given(values.flatmap(documents), st.data())
def test_cut_documents(text, data):
    whole = text.encode()
    assert_same(whole[: data.draw(st.integers(0, len(whole)))])


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"b":'])
@pytest.mark.parametrize("depth", [1, 2, 31, 32, 33, 63, 64, 65, 255, 256, 257, 5000])
def test_nesting(opening, depth):
    closing = opening.translate(bytes.maketrans(b"[{", b"]}"), b'"ab:')[::-1]
    for data in (opening * depth + b"1" + closing * depth, opening * depth):
        assert_same(data)
        assert_same(data, max_depth=256)
        assert_same(data, max_depth=1)


# ---- manifests -------------------------------------------------------------------------------------------------------


@st.composite
def names(draw):
    """A known name, one that is mistakable for it, or another."""
    name = draw(st.sampled_from(KNOWN))
    how = draw(st.sampled_from(["known", "known", "known", "known", "folded", "longer", "other"]))
    if how == "folded":
        return "".join(draw(st.sampled_from(FOLDED.get(c.lower(), c + c.swapcase()))) for c in name)
    return {"known": name, "longer": name + "s", "other": draw(texts)}[how]


platforms = st.fixed_dictionaries(
    {},
    optional={"os": texts | values, "architecture": texts, "variant": texts | st.none(), "os.version": texts}
    | {"os.features": st.lists(texts, max_size=3) | values},
)
descriptors = st.fixed_dictionaries(
    {"digest": texts, "size": st.integers(0, 2**63) | st.floats(0, 10)},
    optional={
        "mediaType": texts | st.none(),
        "annotations": st.dictionaries(texts, texts | st.none(), max_size=4) | values,
    }
    | {"platform": platforms | values, "urls": st.lists(texts, max_size=2) | values, "data": texts, "unknown": values}
    | {"artifactType": texts | values},
)
manifests = st.fixed_dictionaries(
    {"schemaVersion": st.just(2) | values},
    optional={"mediaType": texts | values, "config": descriptors | values, "subject": descriptors | st.none()}
    | {"layers": st.lists(descriptors, max_size=3) | values, "manifests": st.lists(descriptors | values, max_size=3)}
    | {"annotations": st.dictionaries(texts, texts, max_size=3) | values, "artifactType": texts, "unknown": values},
)
loose = st.recursive(
    st.none() | st.integers(0, 9) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names(), inner, max_size=6),
    max_leaves=15,
)


@given(manifests.flatmap(documents))
@settings(max_examples=300)
@example("{}")
@example('{"layers":[{}, {"platform":{"os.features":[]}}]}')
def test_manifests(text):
    assert_same(text.encode())


@given(manifests.flatmap(lambda value: documents(value, duplicates=True)))
def test_manifests_with_duplicates(text):
    assert_same(text.encode())


@given(loose.flatmap(documents))
@settings(max_examples=400)
def test_known_names_in_any_place_and_case(text):
    assert_same(text.encode())


# ---- judged by another reader -----------------------------------------------------------------------------------------


def refuse(word):
    raise ValueError(word)


@given(mutated() | st.lists(st.sampled_from(PIECES), max_size=25).map(b"".join))
@settings(max_examples=400)
def test_what_is_accepted_the_standard_library_reads_alike(data):
    try:
        value = _reader.read_json(data)
    except ReadError:
        return
    assert repr(json.loads(data, parse_constant=refuse)) == repr(value)


def has_long_integer(value):
    if isinstance(value, dict | list):
        return any(map(has_long_integer, value.values() if isinstance(value, dict) else value))
    return isinstance(value, int) and len(str(abs(value))) > limits.JSON_INTEGER_DIGITS


@given(values)
@example([10**20])
@example({"a": -(10**20) + 1})
def test_what_the_standard_library_writes_is_read_back(value):
    data = json.dumps(value).encode()
    if has_long_integer(value):
        with pytest.raises(ReadError) as refused:
            _reader.read_json(data)
        assert refused.value.kind == "number"
    else:
        assert repr(_reader.read_json(data)) == repr(value)


@pytest.mark.parametrize("module", [_reader, _reader_py], ids=["cython", "python"])
@pytest.mark.parametrize("cap", [0, -1, 257])
def test_a_senseless_cap_is_refused(module, cap):
    for read in (module.read_json, module.read_manifest):
        with pytest.raises(ValueError, match="max_depth must be 1 to 256"):
            read(b"{}", max_depth=cap)


@pytest.mark.parametrize("module", [_reader, _reader_py], ids=["cython", "python"])
@pytest.mark.parametrize("wrong", ["text", None, 3, memoryview(b"abcd")[::2]])
def test_what_is_no_contiguous_buffer_is_refused(module, wrong):
    for read in (module.read_json, module.read_manifest):
        with pytest.raises((TypeError, BufferError)):
            read(wrong)


# ---- how many values -------------------------------------------------------------------------------------------------


def values_in(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(values_in, inner))


@given(values.flatmap(lambda value: st.tuples(st.just(value), documents(value))))
@example(([], "[ ]"))
@example(([[], {}], "[[],{}]"))
def test_as_many_values_as_allowed_are_read_and_not_one_more(pair):
    value, text = pair
    data, most = text.encode(), values_in(value)
    if has_long_integer(value):
        return
    assert_same(data, max_values=most)
    assert_same(data, max_values=most - 1)
    for reader in (_reader, _reader_py):
        assert repr(reader.read_json(data, max_values=most)) == repr(reader.read_json(data))
        with pytest.raises(ReadError) as refused:
            reader.read_json(data, max_values=most - 1)
        assert refused.value.kind == "too-large"


@given(manifests.flatmap(documents), st.integers(0, 30), st.integers(0, 3), st.integers(0, 3))
@settings(max_examples=100)
def test_manifests_within_and_beyond_their_caps(text, max_values, max_layers, max_manifests):
    caps = {"max_values": max_values, "max_layers": max_layers, "max_manifests": max_manifests}
    found = outcome(_reader.read_manifest, text.encode(), **caps)
    assert found == outcome(_reader_py.read_manifest, text.encode(), **caps)


OUTLINED = [*PIECES, b'"layers":[', b'"a":{', b"{}", b"[{", b"}]"]


@given(
    loose.flatmap(documents).map(str.encode) | st.lists(st.sampled_from(OUTLINED), max_size=20).map(b"".join),
    st.sampled_from(["layers", "config", "a"]),
    st.integers(0, 12),
    st.integers(0, 12),
)
@settings(max_examples=100)
def test_outlines(data, unread, max_values, max_unread):
    caps = {"unread": unread, "max_values": max_values, "max_unread": max_unread}
    assert outcome(_reader.read_outline, data, **caps) == outcome(_reader_py.read_outline, data, **caps)


@given(values, values)
@settings(max_examples=60)
def test_an_outline_lacks_what_one_member_holds_and_nothing_else(head, inner):
    whole = {"head": head, "unread": inner, "twin": {"unread": inner}}
    if has_long_integer(whole):
        return
    emptied = {} if isinstance(inner, dict) else [] if isinstance(inner, list) else inner
    data = json.dumps(whole).encode()
    # A container there counts with the head, what is in it does not.
    most, unread = values_in(whole) - values_in(inner) + 1, values_in(inner) - 1
    for reader in (_reader, _reader_py):
        found = reader.read_outline(data, unread="unread", max_values=most, max_unread=unread)
        assert repr(found) == repr(whole | {"unread": emptied})
        for fewer in [{"max_values": most - 1, "max_unread": unread}] + (
            [{"max_values": most, "max_unread": unread - 1}] if unread else []
        ):
            with pytest.raises(ReadError) as refused:
                reader.read_outline(data, unread="unread", **fewer)
            assert refused.value.kind == "too-large"


@pytest.mark.parametrize("reader", [_reader, _reader_py])
@pytest.mark.parametrize(
    ("data", "offset"),
    [
        (b"[1, 2, 3]", 7),
        (b'{"a":1,"b": 2,"c":3}', 18),
        (b"[[1],{}]", 5),
        (b"[[[[1]]]]", 3),
        (b'{"a":{"b":{"c":1}}}', 15),
    ],
)
def test_what_is_too_many_is_refused_where_it_begins(reader, data, offset):
    with pytest.raises(ReadError) as refused:
        reader.read_json(data + b"!" * 9, max_values=3)
    assert (refused.value.kind, refused.value.offset) == ("too-large", offset)


@pytest.mark.parametrize("reader", [_reader, _reader_py])
@pytest.mark.parametrize("name", ["layers", "manifests"])
@pytest.mark.parametrize("item", [b"{}", b"7", b'{"digest":"x","urls":["a"]}'])
def test_a_list_of_descriptors_ends_where_it_has_too_many(reader, name, item):
    def document(count):
        return b'{"%b":[' % name.encode() + b",".join([item] * count) + b"]}"

    caps = {f"max_{name}": 3}
    if item == b"7":
        with pytest.raises(ReadError, match="not a list of objects"):
            reader.read_manifest(document(3), **caps)
    else:
        assert len(getattr(reader.read_manifest(document(3), **caps), name)) == 3
    with pytest.raises(ReadError, match=f"more {name} than allowed") as refused:
        reader.read_manifest(document(4) + b"!", **caps)
    assert (refused.value.kind, refused.value.offset) == ("too-large", len(document(3)) - 1)
    # The same name elsewhere is nobody's list of layers.
    assert reader.read_manifest(b'{"x":' + document(4) + b"}", **caps)


def test_the_compiled_reader_makes_nothing_of_what_is_only_checked_or_too_much():
    def memory(read):
        tracemalloc.start()
        try:
            read()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    items = b",".join([b'{"":0}'] * 100_000)
    document = b'{"a":[' + items + b'],"b":1}'
    assert memory(lambda: _reader.read_json(document)) > 20 * len(document)
    assert memory(lambda: _reader.read_outline(document, unread="a")) < 16_384
    for read, data, caps in (
        (_reader.read_json, document, {"max_values": 100}),
        (_reader.read_manifest, b'{"layers":[' + items + b"]}", {"max_layers": 10}),
        (_reader.read_manifest, b'{"manifests":[' + items + b"]}", {"max_manifests": 10}),
    ):
        assert memory(lambda: outcome(read, data, **caps)) < 65_536  # noqa: B023 - called at once
