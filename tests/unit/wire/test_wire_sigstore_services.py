"""Requests to sigstore's services, and what their refusals say: never a secret."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from plimsoll import limits
from plimsoll.errors import NotFoundError, RegistryError, TransportError, UnauthorizedError, UsageError
from plimsoll.model.digest import Digest
from plimsoll.transport.sigstore_services import ServiceUrl
from plimsoll.wire import (
    Reply,
    certificate_request,
    entry_of_conflict,
    entry_request,
    github_token_request,
    lists_referrers,
    log_request,
    parse_github_token,
    put_manifest_by_digest,
    service_refusal,
    timestamp_request,
)
from plimsoll.wire.replies import shown

SECRET = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJjYW5hcnkgb2YgdGhlIG1pbmUifQ.c2lnbmF0dXJlIG9mIG5vYm9keQ"


def reply(status, body=b"", **headers):
    return Reply(status=status, headers=CIMultiDict({k.replace("_", "-"): v for k, v in headers.items()}), body=body)


def test_what_holds_a_token_is_a_form_that_no_redirect_gets():
    found = certificate_request("/base", SECRET.encode())
    assert (found.target, found.form, found.is_read) == ("/base/api/v2/signingCert", SECRET.encode(), False)
    assert SECRET not in repr(found)


def test_what_is_asked_of_whom():
    assert log_request("", b"{}", version=1).target == "/api/v1/log/entries"
    assert log_request("/a", b"{}", version=2).target == "/a/api/v2/log/entries"
    assert entry_request("/a", "ab" * 32).target == f"/a/api/v1/log/entries/{'ab' * 32}"
    assert timestamp_request("/api/v1/timestamp", b"q").headers[0] == ("Content-Type", "application/timestamp-query")
    assert github_token_request("/t?a=b").target == "/t?a=b&audience=sigstore"
    assert github_token_request("/t").target == "/t?audience=sigstore"
    found = put_manifest_by_digest("a/b", b"{}", media_type="m")
    assert (found.method, found.target) == ("PUT", f"/v2/a/b/manifests/{Digest.of(b'{}')}")


def test_only_the_very_subject_counts_as_listed():
    subject = Digest.of(b"image")
    assert lists_referrers(f" {subject} ", subject=subject)
    for field in (None, "", "yes", str(Digest.of(b"another"))):
        assert not lists_referrers(field, subject=subject)


@pytest.mark.parametrize("location", ["/api/v1/log/entries/" + "ab" * 32, "https://l/x/api/v1/log/entries/" + "0" * 80])
def test_a_conflict_says_where_the_entry_is(location):
    assert entry_of_conflict(reply(409, Location=location), asked="it") == location.rpartition("/")[2]


@pytest.mark.parametrize("location", [None, "", "/api/v1/log/entries/../../x", "/api/v1/log/entries/" + "AB" * 32])
def test_a_conflict_that_leads_elsewhere_is_not_followed(location):
    with pytest.raises(RegistryError, match="does not say where"):
        entry_of_conflict(reply(409, **({} if location is None else {"Location": location})), asked="it")


def test_a_refusal_says_what_the_service_says():
    body = json.dumps({"code": 3, "message": "no such\nissuer \u202e"}).encode()
    error = service_refusal(reply(401, body), asked="a certificate of f.example")
    assert isinstance(error, UnauthorizedError)
    assert "no such\\u000aissuer \\u202e" in str(error)
    assert isinstance(service_refusal(reply(404, b"<html>"), asked="it"), NotFoundError)


@settings(max_examples=60)
@given(st.integers(0, 2), st.integers(16, 40))
def test_a_refusal_repeats_no_part_of_the_secret(part, size):
    told = SECRET.split(".")[part][:size]
    body = json.dumps({"message": f"refused: {told}"}).encode()
    if len(told) >= 16:
        assert told not in str(service_refusal(reply(400, body), asked="it", secret=SECRET))


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"value": 1}', b'{"value": "a b"}', b'{"value": ""}'])
def test_no_token_is_a_refusal(body):
    with pytest.raises(UnauthorizedError, match="id-token: write"):
        parse_github_token(body)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://f.example", "/"),
        ("https://F.example:8443/a/b/", "/a/b"),
        ("http://127.0.0.1:8080/x?y=z", "/x?y=z"),
        ("http://localhost", "/"),
        ("http://[::1]:80/", "/"),
    ],
)
def test_a_service_is_https_or_on_this_machine(url, target):
    found = ServiceUrl.parse(url, what="it")
    assert (found.target, found.netloc) == (target, found.netloc.lower())


@pytest.mark.parametrize(
    "url",
    [
        "",
        "f.example",
        "ftp://f.example",
        "https://",
        "https://u:p@f.example",
        "https://f.example/#x",
        "https://f.example/a b",
        "https://f.example:port",
        "http://f.example",
        "http://127.0.0.1.f.example",
        "http://localhost.f.example",
    ],
)
def test_a_token_goes_nowhere_else(url):
    with pytest.raises(UsageError):
        ServiceUrl.parse(url, what="it")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text() | st.just(SECRET),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["value", "message", "code", "count"]), inner, max_size=3)
    ),
    max_leaves=6,
)
BODIES = st.binary(max_size=80) | JSON.map(lambda document: json.dumps(document).encode())
NO_TOKEN = "GitHub's answer has no identity token: is `id-token: write` among the permissions?"
TOKENS = st.text("abcXYZ019_.=-", min_size=1, max_size=60)


@settings(max_examples=100)
@given(TOKENS, st.dictionaries(st.sampled_from(["count", "code"]), JSON, max_size=2))
def test_the_token_of_an_answer_is_read_whatever_else_it_says(token, more):
    assert parse_github_token(json.dumps({**more, "value": token}).encode()) == token


@settings(max_examples=100)
@given(BODIES)
def test_any_answer_is_a_token_or_a_refusal_that_quotes_nothing(body):
    try:
        token = parse_github_token(body)
    except UnauthorizedError as error:
        said = str(error)
    else:
        said = NO_TOKEN
        assert json.loads(body)["value"] == token
        assert re.fullmatch(r"[A-Za-z0-9_.=-]+", token, re.ASCII)
    assert said == NO_TOKEN


ENTRY_PATHS = st.builds(
    lambda host, name, more: f"{host}/api/v1/log/entries/{name}{more}",
    st.sampled_from(["", "https://l.example", "https://l.example/a", "//x", "api/v1/log/entries"]),
    st.text("0123456789abcdef", min_size=62, max_size=82) | st.sampled_from(["ab" * 32, "ab" * 40]),
    st.sampled_from(["", "?a=b", "#f", "/", "/..", "\n", "%0a"]),
)


@settings(max_examples=100)
@given(st.text() | ENTRY_PATHS)
def test_any_location_of_a_conflict_is_an_entry_s_id_or_refused(location):
    try:
        found = entry_of_conflict(reply(409, Location=location), asked="it")
    except RegistryError:
        return
    assert re.fullmatch(r"[0-9a-f]{64}|[0-9a-f]{80}", found, re.ASCII)
    assert location.partition("?")[0].endswith(f"api/v1/log/entries/{found}")


@settings(max_examples=100)
@given(st.integers(400, 599), BODIES, st.sampled_from(["", SECRET]))
def test_any_refusal_is_an_error_in_words_that_can_be_shown(status, body, secret):
    error = service_refusal(reply(status, body), asked="it", secret=secret)
    assert isinstance(error, TransportError)
    assert str(error).isprintable()
    assert len(str(error)) < 1000
    assert not secret or secret not in str(error)


@settings(max_examples=100)
@given(st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=80))
def test_what_a_service_says_is_in_the_refusal(message):
    said = str(service_refusal(reply(400, json.dumps({"message": message}).encode()), asked="it"))
    assert said.startswith(f"it ({shown(message)})")


@pytest.mark.parametrize("size", [limits.ERROR_BYTES, limits.ERROR_BYTES + 1])
def test_a_longer_body_than_the_cap_is_not_read(size):
    body = json.dumps({"message": "no such issuer", "more": ""})
    body = body.replace('"more": ""', f'"more": "{"x" * (size - len(body))}"').encode()
    assert len(body) == size
    assert ("no such issuer" in str(service_refusal(reply(400, body), asked="it"))) == (size == limits.ERROR_BYTES)
