from __future__ import annotations

import json

import pytest
from hypothesis import given
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
from plimsoll.model.descriptor import DOCKER_LIST, OCI_INDEX, OCI_MANIFEST
from plimsoll.model.digest import Digest
from plimsoll.wire import next_page, parse_referrers, parse_retry_after, parse_tags_page, refusal

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


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda v: st.lists(v) | st.dictionaries(st.sampled_from(["errors", "code", "message"]), v),
    )
)
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
        ("9999999999", None),
        ("soon", None),
        ("Tue, 14 Foo 2023 22:13:20 GMT", None),
        ("Tue, 31 Feb 2023 22:13:20 GMT", None),
        ("Tue, 14 Nov 0000 22:13:20 GMT", None),
        ("Tue, 14 Nov 2023 25:13:20 GMT", None),
        ("Tuesday, 14-Nov-23 22:13:20 GMT", None),
    ],
)
def test_a_retry_after_is_seconds_or_a_date(field, seconds):
    assert parse_retry_after(field, now_s=NOW_S) == seconds


@given(st.text() | st.from_regex(r"Mon, \d\d [A-Z][a-z][a-z] \d{4} \d\d:\d\d:\d\d GMT"))
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
        (["</v2/x>"], None),
        (["rel=next"], None),
        ([""], None),
        ([], None),
    ],
)
def test_the_next_page_is_a_path_of_this_host(fields, page):
    assert next_page(fields, target=TARGET) == page


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


@pytest.mark.parametrize("content_type", [OCI_INDEX, None])
def test_referrers_are_an_index(content_type):
    [found] = parse_referrers(index(), content_type) or ()
    assert found.digest == Digest.of(b"x")
    assert found.artifact_type == "application/x"
    assert parse_referrers(index(manifests=[]), content_type) == ()


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (index(), "application/json"),
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


def test_more_referrers_than_the_cap_are_refused():
    with pytest.raises(LimitExceededError):
        parse_referrers(index(manifests=[CHILD] * (limits.INDEX_CHILDREN + 1)), OCI_INDEX)
