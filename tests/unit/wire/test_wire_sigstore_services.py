"""Requests to sigstore's services, and what their refusals say: never a secret."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from plimsoll.errors import NotFoundError, RegistryError, UnauthorizedError, UsageError
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
