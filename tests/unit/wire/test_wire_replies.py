from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll import limits
from plimsoll.errors import (
    LimitExceededError,
    MalformedManifestError,
    NotFoundError,
    RateLimitedError,
    RegistryError,
    TransportError,
    UnauthorizedError,
)
from plimsoll.model.descriptor import DOCKER_LIST, OCI_INDEX, OCI_MANIFEST, Descriptor
from plimsoll.model.digest import Digest
from plimsoll.wire import contradiction, next_page, parse_referrers, parse_retry_after, parse_tags_page, refusal

# 2023-11-14 22:13:20 UTC
NOW_S = 1_700_000_000.0


def errors(*pairs):
    return json.dumps({"errors": [{"code": code, "message": message} for code, message in pairs]}).encode()


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, RegistryError, "server-error"),
        (401, UnauthorizedError, "unauthorized"),
        (403, UnauthorizedError, "unauthorized"),
        (404, NotFoundError, "not-found"),
        (405, RegistryError, "server-error"),
        (418, RegistryError, "server-error"),
        (429, RateLimitedError, "rate-limited"),
        (500, RegistryError, "server-error"),
        (503, RegistryError, "server-error"),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>", errors(("SOME_CODE", "some words")), b"\xff\xfe"])
def test_a_status_is_an_error_of_its_kind_whatever_its_body(status, kind, code, body):
    error = refusal(status, body, asked="h/v2/app", retry_after_s=3.0)
    assert type(error) is kind
    assert error.code == code
    assert str(error).startswith("h/v2/app")
    assert ("SOME_CODE some words" in str(error)) == body.startswith(b'{"errors')
    if isinstance(error, RegistryError):
        assert error.status == status
    if isinstance(error, RegistryError | RateLimitedError):
        assert error.retry_after_s == 3.0


def test_a_strangers_words_are_bounded_and_escaped():
    body = errors(*[("CODE", "\x1b[31m\u202e" + "x" * 1000)] * 50)
    said = str(refusal(500, body, asked="a"))
    assert said.isprintable()
    assert "\\u001b[31m\\u202exxx" in said
    assert len(said) < 1500


@given(st.integers(100, 599), st.binary() | st.text().map(str.encode))
def test_any_body_gives_a_printable_error(status, body):
    error = refusal(status, body, asked="a")
    assert isinstance(error, TransportError)
    assert str(error).isprintable()


JSON_OF_ERRORS = st.recursive(
    st.none() | st.integers() | st.text() | st.just("DENIED"),
    lambda v: st.lists(v) | st.dictionaries(st.sampled_from(["errors", "code", "message"]), v),
)


@given(JSON_OF_ERRORS)
def test_any_json_body_gives_a_printable_error(document):
    assert str(refusal(500, json.dumps(document).encode(), asked="a")).isprintable()


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
        ("Tue, 14 Nov 2023 22:13:20 GMT", 0.0),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 0.0),
        ("Tue, 14 Nov 2023 22:13:60 GMT", 39.0),
        (None, None),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("1e3", None),
        ("٣", None),
        ("9999999999", 1e9),
        ("9" * 5000, 1e9),
        ("0000000007", 7.0),
        ("Tuesday, 14-Nov-23 22:13:50 GMT", 30.0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 0.0),
        ("Wednesday, 14-Nov-73 22:13:20 GMT", 1_577_923_200.0),
        ("Wednesday, 14-Nov-74 22:13:20 GMT", 0.0),
        ("Tue Nov 14 22:13:50 2023", 30.0),
        ("Sun Nov  6 08:49:37 1994", 0.0),
        ("Tue Nov 14 22:13:50 2023 GMT", None),
        ("Tueday, 14-Nov-23 22:13:20 GMT", None),
        ("Tuesday, 14 Nov 2023 22:13:20 GMT", None),
        ("soon", None),
        ("Tue, 14 Foo 2023 22:13:20 GMT", None),
        ("Tue, 31 Feb 2023 22:13:20 GMT", None),
        ("Tue, 14 Nov 0000 22:13:20 GMT", None),
        ("Tue, 14 Nov 2023 25:13:20 GMT", None),
    ],
)
def test_a_retry_after_is_seconds_or_a_date(field, seconds):
    assert parse_retry_after(field, now_s=NOW_S) == seconds


DATES = (
    r"Mon, [0-9]{2} (Jan|Feb|Xyz) [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT"
    r"|Monday, [0-9]{2}-(Jan|Feb|Xyz)-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT"
    r"|Mon (Jan|Feb|Xyz) [0-9 ][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2} [0-9]{4}"
)


@given(st.text() | st.from_regex(DATES, fullmatch=True))
def test_any_retry_after_is_a_time_or_none(field):
    seconds = parse_retry_after(field, now_s=NOW_S)
    assert seconds is None or seconds >= 0


TARGET = "/v2/app/tags/list?n=2"


@pytest.mark.parametrize(
    ("fields", "page"),
    [
        (['</v2/app/tags/list?n=2&last=b>; rel="next"'], "/v2/app/tags/list?n=2&last=b"),
        (["</v2/x>; rel=next"], "/v2/x"),
        (['</v2/x>; title="a, b"; rel="next"'], "/v2/x"),
        (['</v2/x> ; REL="NEXT"'], "/v2/x"),
        (['</first>; rel="first", </v2/x>; rel="next"'], "/v2/x"),
        (['</first>; rel="first"', '</v2/x>; rel="next"'], "/v2/x"),
        (['<https://evil.example/v2/x?a=b>; rel="next"'], "/v2/x?a=b"),
        (['<//evil.example/v2/x>; rel="next"'], "/v2/x"),
        (['<?last=c>; rel="next"'], "/v2/app/tags/list?last=c"),
        (['<other>; rel="next"'], "/v2/app/tags/other"),
        (['</v2/x>; rel="prev"'], None),
        (["</v2/x>; rel=prev, </v2/y>"], "/v2/y"),
        (["</v2/x>"], "/v2/x"),
        (['</v2/x>; rel = "next"'], "/v2/x"),
        (['</v2/x>; rel="last Next"'], "/v2/x"),
        (['</v2/x>; rel="next-archive"'], None),
        (["</v2/x>; rel=prev,"], None),
        ([""], None),
        ([], None),
    ],
)
def test_the_next_page_is_a_path_of_this_host(fields, page):
    assert next_page(fields, target=TARGET) == page


@pytest.mark.parametrize(
    "field",
    ["rel=next", "/v2/x; rel=next", '</v2/x; rel="next"', '</v2/x>; rel="next', "</a>; rel=prev </b>; rel=next"],
)
def test_a_link_that_cannot_be_read_does_not_end_a_list(field):
    with pytest.raises(RegistryError, match="cannot be read"):
        next_page([field], target=TARGET)


@pytest.mark.parametrize(
    "link",
    ["/a b", "/é", "/a\x00b", "mailto:x", "https://[evil/x", "/" + "x" * limits.HEADER_BYTES, "https://evil.example"],
)
def test_a_next_page_that_cannot_be_asked_for_is_refused(link):
    with pytest.raises(RegistryError):
        next_page([f'<{link}>; rel="next"'], target=TARGET)


@given(st.text().map(lambda text: f'<{text}>; rel="next"') | st.text())
def test_any_link_gives_a_target_none_or_a_registry_error(field):
    try:
        page = next_page([field], target=TARGET)
    except RegistryError:
        return
    assert page is None or (page.startswith("/") and page.isascii() and page.isprintable() and " " not in page)


@pytest.mark.parametrize(
    ("data", "tags"),
    [
        (b'{"name": "app", "tags": ["a", "b"]}', ("a", "b")),
        (b'{"tags": []}', ()),
        (b'{"name": "app", "tags": null}', ()),
        (b'{"tags": ["not a tag", "\\u202e"], "extra": 1}', ("not a tag", "\u202e")),
    ],
)
def test_a_page_of_tags_is_read(data, tags):
    assert parse_tags_page(data) == tags


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b'{"tags": {}}', b'{"tags": "a"}', b'{"tags": [1]}', b'{"tags": ["a", null]}',
     b'{"tags": ["a"], "tags": ["b"]}', b'{"tags": ["a"]} trailing', b"<html>"],
)  # fmt: skip
def test_a_page_that_is_no_list_of_tags_is_refused(data):
    with pytest.raises(RegistryError):
        parse_tags_page(data)


def test_a_page_of_tags_past_the_cap_is_refused():
    with pytest.raises(LimitExceededError):
        parse_tags_page(b" " * (limits.TAG_PAGE_BYTES + 1))


@given(
    st.binary()
    | st.dictionaries(
        st.sampled_from(["name", "tags"]), st.none() | st.text() | st.lists(st.text() | st.integers())
    ).map(lambda v: json.dumps(v).encode())
)
def test_any_page_gives_texts_or_a_registry_error(data):
    try:
        tags = parse_tags_page(data)
    except RegistryError:
        return
    assert all(isinstance(tag, str) for tag in tags)


CHILD = {"mediaType": OCI_MANIFEST, "digest": str(Digest.of(b"x")), "size": 1, "artifactType": "application/x"}


def index(**changes):
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [CHILD], **changes}).encode()


@pytest.mark.parametrize("content_type", [OCI_INDEX, None, "application/json", "application/octet-stream"])
def test_referrers_are_an_index(content_type):
    [found] = parse_referrers(index(), content_type) or ()
    assert found.digest == Digest.of(b"x")
    assert found.artifact_type == "application/x"
    assert parse_referrers(index(manifests=[]), content_type) == ()


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b'{"errors":[]}', "application/json"),
        (b"[]", "application/json"),
        (b"<html>", "text/plain"),
        (index(), "text/html"),
        (index(), OCI_MANIFEST),
        (index(mediaType=DOCKER_LIST), None),
        (b"<html>", "text/html"),
    ],
)
def test_another_type_says_that_the_api_is_not_there(data, content_type):
    assert parse_referrers(data, content_type) is None


@pytest.mark.parametrize(
    "data", [b"", b"{}", index(layers=[]), index(mediaType=OCI_MANIFEST), index(manifests=[{}]), index(manifests=None)]
)
def test_an_index_that_cannot_be_read_is_not_the_same_as_none(data):
    with pytest.raises(MalformedManifestError):
        parse_referrers(data, OCI_INDEX)


@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain"])
@pytest.mark.parametrize("data", [index()[:-1], b" {", index(layers=[]), index(manifests=None)])
def test_nor_is_half_an_index_whose_type_says_nothing(data, content_type):
    with pytest.raises(MalformedManifestError):
        parse_referrers(data, content_type)


@pytest.mark.parametrize("code", ["DENIED", "NAME_UNKNOWN", "TOOMANYREQUESTS", "UNAUTHORIZED", "UNAVAILABLE"])
def test_a_404_that_says_something_else_is_no_absence(code):
    assert contradiction(errors((code, "x"))) == code
    assert contradiction(errors(("OTHER", "x"), (code, ""))) == code


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>DENIED</html>",
        b'{"errors":"DENIED"}',
        b'{"errors":["DENIED",{"code":7}]}',
        errors(("MANIFEST_UNKNOWN", "DENIED")),
        errors(("NOT_FOUND", "artifact not found")),
        errors(("UNKNOWN", "Not Found")),
    ],
)
def test_any_other_404_is_an_absence(body):
    assert contradiction(body) == ""


@given(st.binary() | JSON_OF_ERRORS.map(lambda document: json.dumps(document).encode()))
def test_any_body_of_a_404_is_read(body):
    assert contradiction(body) in {"", "DENIED"}


def test_more_referrers_than_the_cap_are_refused():
    with pytest.raises(LimitExceededError):
        parse_referrers(index(manifests=[CHILD] * (limits.INDEX_CHILDREN + 1)), OCI_INDEX)


DESCRIPTORS = st.builds(
    lambda data, kind, more: {"mediaType": kind, "digest": str(Digest.of(data)), "size": len(data), **more},
    st.binary(max_size=4),
    st.sampled_from([OCI_MANIFEST, OCI_INDEX]),
    st.fixed_dictionaries({}, optional={"artifactType": st.just("a/b"), "annotations": st.just({"k": "v"})}),
)
CONTENT_TYPES = st.sampled_from([OCI_INDEX, None, "", "application/json", OCI_MANIFEST, DOCKER_LIST, "text/html"])


@settings(max_examples=100)
@given(st.lists(DESCRIPTORS, max_size=4), st.sampled_from([OCI_INDEX, None, "text/plain"]))
def test_every_referrer_of_a_page_is_read_in_order(listed, content_type):
    found = parse_referrers(index(manifests=listed), content_type)
    assert found is not None
    assert [(item.media_type, str(item.digest), item.size) for item in found] == [
        (item["mediaType"], item["digest"], item["size"]) for item in listed
    ]
    assert [(item.artifact_type, dict(item.annotations)) for item in found] == [
        (item.get("artifactType"), item.get("annotations", {})) for item in listed
    ]


@settings(max_examples=100)
@given(st.lists(DESCRIPTORS, max_size=2), st.data())
def test_a_page_of_referrers_that_was_cut_is_never_none_or_a_shorter_one(listed, data):
    whole = index(manifests=listed)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(MalformedManifestError):
        parse_referrers(cut, OCI_INDEX)


@settings(max_examples=100)
@given(st.lists(DESCRIPTORS, max_size=2), st.data(), CONTENT_TYPES, st.binary(max_size=3))
def test_any_page_of_referrers_is_read_is_none_or_is_refused(listed, data, content_type, damage):
    whole = index(manifests=listed)
    at, to = sorted(data.draw(st.tuples(st.integers(0, len(whole)), st.integers(0, len(whole)))))
    try:
        found = parse_referrers(whole[:at] + damage + whole[to:], content_type)
    except (MalformedManifestError, LimitExceededError):
        return
    assert found is None or all(isinstance(item, Descriptor) for item in found)
    assert content_type not in {OCI_MANIFEST, DOCKER_LIST, "text/html"} or found is None


@given(st.binary(max_size=60) | JSON_OF_ERRORS.map(lambda document: json.dumps(document).encode()), CONTENT_TYPES)
def test_no_other_bytes_are_a_page_of_referrers(data, content_type):
    try:
        assert parse_referrers(data, content_type) is None
    except MalformedManifestError:
        return
