"""The signed payload: the exact document, and every document beside it refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.signing import payload_bytes, payload_document
from plimsoll import limits
from plimsoll.errors import PayloadError
from plimsoll.model.digest import Digest
from plimsoll.signatures.signing import cosign_payload
from plimsoll.signatures.simple_payload import parse_payload

DIGEST = Digest.of(b"the image")


def document(**changes):
    return payload_document(DIGEST, **changes)


def parse(value):
    return parse_payload(json.dumps(value).encode())


def test_the_exact_document():
    found = parse(document(optional={"env": "prod", "n": [1, {"deep": None}]}))
    assert found.digest == DIGEST
    assert found.docker_reference == "registry.example/team/app"
    assert found.optional == {"env": "prod", "n": [1, {"deep": None}]}


def test_our_own_signing_writes_it():
    written = cosign_payload(repository="r.example/a", digest=DIGEST, annotations={"env": "prod"})
    found = parse_payload(written)
    assert (found.digest, found.docker_reference, found.optional) == (DIGEST, "r.example/a", {"env": "prod"})
    assert parse_payload(cosign_payload(repository="r.example/a", digest=DIGEST)).optional == {}
    assert written == payload_bytes(DIGEST, reference="r.example/a", optional={"env": "prod"})


def test_members_may_stand_in_any_order_and_white_space():
    turned = dict(reversed(document().items()))
    assert parse(turned) == parse(document())
    assert parse_payload(b"\n " + json.dumps(document(), indent=3).encode() + b"\t\n") == parse(document())


def at(value, path):
    for name in path:
        value = value[name]
    return value


OBJECTS = [(), ("critical",), ("critical", "identity"), ("critical", "image")]
MEMBERS = [
    ("critical",),
    ("optional",),
    ("critical", "identity"),
    ("critical", "image"),
    ("critical", "type"),
    ("critical", "identity", "docker-reference"),
    ("critical", "image", "docker-manifest-digest"),
]


@pytest.mark.parametrize("path", MEMBERS, ids=".".join)
def test_a_missing_member_is_refused(path):
    changed = document()
    del at(changed, path[:-1])[path[-1]]
    with pytest.raises(PayloadError, match=f"has no member '{path[-1]}'"):
        parse(changed)


@pytest.mark.parametrize("path", OBJECTS, ids=".".join)
@pytest.mark.parametrize("name", ["extra", "", "Critical", "TYPE", "\u212a", "docker-Reference"])
def test_an_unknown_member_is_refused(path, name):
    changed = document()
    at(changed, path)[name] = 1
    with pytest.raises(PayloadError, match="has an unknown member"):
        parse(changed)


@pytest.mark.parametrize("path", MEMBERS, ids=".".join)
def test_another_case_is_another_member(path):
    """Go decodes without regard to case, so a twin could say something else to another reader."""
    changed = document()
    parent = at(changed, path[:-1])
    parent[path[-1].title()] = parent.pop(path[-1])
    with pytest.raises(PayloadError, match="member"):
        parse(changed)


@pytest.mark.parametrize("path", MEMBERS, ids=".".join)
def test_a_duplicate_member_is_refused(path):
    text = json.dumps(document())
    name = json.dumps(path[-1])
    escaped = f'"\\u{ord(path[-1][0]):04x}{name[2:]}'  # the same name, written differently
    for twin in (name, escaped):
        doubled = text.replace(f"{name}:", f"{twin}: null, {name}:", 1)
        assert json.loads(doubled) == document()
        with pytest.raises(PayloadError, match="the object already has"):
            parse_payload(doubled.encode())


def test_a_duplicate_inside_optional_is_refused():
    text = json.dumps(document(optional={"env": "prod"}))
    doubled = text.replace('"env":', '"env": "dev", "env":')
    assert parse_payload(text.encode()).optional == {"env": "prod"}
    with pytest.raises(PayloadError, match="already has"):
        parse_payload(doubled.encode())


@pytest.mark.parametrize("path", MEMBERS, ids=".".join)
@pytest.mark.parametrize("value", [None, True, 1, 1.5, "text", [], {}, [{}]], ids=repr)
def test_a_member_of_another_type_is_refused(path, value):
    changed = document()
    right = at(changed, path)
    at(changed, path[:-1])[path[-1]] = value
    fits = (path == ("optional",) and value in (None, {})) or (path[-1] == "docker-reference" and value == "text")
    if fits:
        assert parse(changed).digest == DIGEST
    else:
        assert value != right
        with pytest.raises(PayloadError):
            parse(changed)


@pytest.mark.parametrize(
    "kind",
    [
        "atomic container signature",
        "Cosign container image signature",
        "cosign container image signature ",
        "https://sigstore.dev/cosign/sign/v1",
        "",
    ],
)
def test_another_type_of_signature_is_refused(kind):
    """CVE-2022-35929: a statement of one type must not pass for another."""
    changed = document()
    changed["critical"]["type"] = kind
    with pytest.raises(PayloadError, match=r"critical\.type"):
        parse(changed)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256:",
        f"sha256:{DIGEST.hex.upper()}",
        f"SHA256:{DIGEST.hex}",
        f"sha256:{DIGEST.hex[:-1]}",
        f"sha256:{DIGEST.hex}0",
        f"sha256:{DIGEST.hex}\n",
        f" sha256:{DIGEST.hex}",
        f"sha256-{DIGEST.hex}",
        DIGEST.hex,
        f"sha512:{DIGEST.hex}",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709",
    ],
)
def test_a_bad_digest_is_refused(text):
    """CVE-2025-59354: a weak digest carries no trust."""
    changed = document()
    changed["critical"]["image"]["docker-manifest-digest"] = text
    with pytest.raises(PayloadError, match="docker-manifest-digest"):
        parse(changed)


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_the_three_algorithms_are_read(algorithm):
    digest = Digest.of(b"the image", algorithm=algorithm)
    assert parse(payload_document(digest)).digest == digest


@pytest.mark.parametrize("creator", [None, "", "cosign 3"])
def test_a_creator_is_text_or_null(creator):
    assert parse(document(optional={"creator": creator})).optional == {"creator": creator}


@pytest.mark.parametrize("creator", [1, True, [], {}])
def test_another_creator_is_refused(creator):
    with pytest.raises(PayloadError, match=r"optional\.creator"):
        parse(document(optional={"creator": creator}))


@pytest.mark.parametrize(
    "timestamp", ["0", "-1", "1458239713", "1e3", "1.0", "9223372036854775807", "-9223372036854775808"]
)
def test_a_timestamp_is_a_whole_number(timestamp):
    text = json.dumps(document(optional={"timestamp": 0})).replace('"timestamp": 0', f'"timestamp": {timestamp}')
    assert parse_payload(text.encode()).optional["timestamp"] == json.loads(timestamp)


@pytest.mark.parametrize(
    "timestamp",
    [
        "1.5",
        "1e-1",
        "true",
        "null",
        '"1"',
        "[]",
        "{}",
        "1e300",
        "-1e300",
        "9223372036854775808",
        "-9223372036854775809",
    ],
)
def test_another_timestamp_is_refused(timestamp):
    """As containers/image: a number that is not exactly an int64 is none."""
    text = json.dumps(document(optional={"timestamp": 0})).replace('"timestamp": 0', f'"timestamp": {timestamp}')
    with pytest.raises(PayloadError, match=r"optional\.timestamp"):
        parse_payload(text.encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b"1",
        b'"critical"',
        b"{",
        b"\xff",
        b"\xef\xbb\xbf" + payload_bytes(DIGEST),
        payload_bytes(DIGEST) + b"{}",
        payload_bytes(DIGEST) + b"\0",
        payload_bytes(DIGEST) + b",",
        payload_bytes(DIGEST)[:-1],
        payload_bytes(DIGEST).decode().encode("utf-16"),
        b"// c\n" + payload_bytes(DIGEST),
        payload_bytes(DIGEST).replace(b":null", b":NaN"),
        payload_bytes(DIGEST, optional={"a": "b"}).replace(b'"b"', b'"\\ud800"'),
        payload_bytes(DIGEST, optional={"a": "b"}).replace(b'"b"', b'"\n"'),
        payload_bytes(DIGEST, optional={"a": "b"}).replace(b'"b"', b"'b'"),
        payload_bytes(DIGEST, optional={"a": "b"}).replace(b'"b"', b'"b",'),
    ],
)
def test_what_is_no_json_document_is_refused(data):
    """CVE-2026-39395: a payload that cannot be read was called verified."""
    with pytest.raises(PayloadError):
        parse_payload(data)


def nested(depth):
    return payload_bytes(DIGEST, optional={"a": 0}).replace(b":0", b":" + b"[" * depth + b"]" * depth)


def test_depth_has_a_cap():
    assert parse_payload(nested(limits.JSON_DEPTH - 2)).digest == DIGEST
    for depth in (limits.JSON_DEPTH - 1, 100_000):
        with pytest.raises(PayloadError, match="too deep"):
            parse_payload(nested(depth))


def test_size_has_a_cap():
    data = payload_bytes(DIGEST)
    assert parse_payload(data.ljust(limits.PAYLOAD_BYTES)).digest == DIGEST
    with pytest.raises(PayloadError, match="at most"):
        parse_payload(data.ljust(limits.PAYLOAD_BYTES + 1))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**19), 10**19)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
def test_nothing_but_a_payload_error(data):
    with pytest.raises(PayloadError):
        parse_payload(data)


@given(st.sampled_from(MEMBERS), JSON)
def test_any_value_anywhere_is_read_or_refused(path, value):
    changed = document()
    at(changed, path[:-1])[path[-1]] = value
    try:
        found = parse(changed)
    except PayloadError:
        return
    assert path[-1] in ("docker-reference", "optional")
    assert found.digest == DIGEST


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_optional_comes_back_as_it_was_signed(optional):
    optional = {name: value for name, value in optional.items() if name not in ("creator", "timestamp")}
    assert parse(document(optional=optional)).optional == optional
