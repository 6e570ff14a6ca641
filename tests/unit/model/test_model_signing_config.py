"""Signing configs: read strictly, and the services that they choose at a time."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.config.signing_config import (
    VENDORED_SIGNING_CONFIG_SHA256,
    read_signing_config,
    vendored_signing_config,
)
from plimsoll.errors import SigningConfigError, UsageError
from plimsoll.model.identity_token import OidcToken
from plimsoll.model.signing_config import SIGNING_CONFIG_TYPE, parse_signing_config

NOW_S = 1_800_000_000.0
PAST, FUTURE = "2020-01-01T00:00:00Z", "2040-01-01T00:00:00Z"


def service(url, *, version=1, start=PAST, end=None, operator=None, **more):
    window = {"start": start} if end is None else {"start": start, "end": end}
    found = {"url": url, "majorApiVersion": version, "validFor": window, **more}
    return found if operator is None else found | {"operator": operator}


def config(**members):
    return {"mediaType": SIGNING_CONFIG_TYPE, "rekorTlogConfig": {"selector": "ANY"}, **members}


def logs(*services, selector="ANY", **more):
    document = config(rekorTlogUrls=list(services), rekorTlogConfig={"selector": selector, **more})
    return [each.url for each in parse_signing_config(json.dumps(document).encode()).at(NOW_S).logs]


def test_the_public_good_instance_s_came_unchanged_and_can_be_used():
    data = vendored_signing_config()
    assert hashlib.sha256(data).hexdigest() == VENDORED_SIGNING_CONFIG_SHA256
    found = parse_signing_config(data).at(NOW_S)
    assert found.authority.url == "https://fulcio.sigstore.dev"
    assert [(log.url, log.version) for log in found.logs] == [("https://rekor.sigstore.dev", 1)]
    assert [each.url for each in found.timestampers] == ["https://timestamp.sigstore.dev/api/v1/timestamp"]


def test_a_config_without_services_wants_none():
    found = parse_signing_config(json.dumps({"mediaType": SIGNING_CONFIG_TYPE}).encode()).at(NOW_S)
    assert (found.authority, found.logs, found.timestampers) == (None, (), ())


def test_any_takes_the_newest_of_the_highest_version_that_is_valid():
    old, new = service("https://old"), service("https://new", start="2024-01-01T00:00:00Z")
    assert logs(old, new) == ["https://new"]
    assert logs(new, service("https://two", version=2)) == ["https://two"]
    assert logs(new, service("https://three", version=3)) == ["https://new"]
    assert logs(old, service("https://later", start=FUTURE), service("https://past", end=PAST)) == ["https://old"]


def test_all_and_exact_take_one_of_each_operator():
    one, two, three = (service(f"https://{at}", operator=at[0]) for at in ("a1", "b1", "a2"))
    assert sorted(logs(one, two, three, selector="ALL")) in (["https://a1", "https://b1"], ["https://a2", "https://b1"])
    assert len(logs(one, two, three, selector="EXACT", count=2)) == 2
    with pytest.raises(SigningConfigError, match="fewer than 3"):
        logs(one, two, three, selector="EXACT", count=3)


def test_a_config_whose_services_are_all_over_is_no_config_without_services():
    with pytest.raises(SigningConfigError, match="rekorTlogUrls valid now"):
        logs(service("https://past", end=PAST))


def test_the_schema_s_names_are_legal_too():
    document = config(rekor_tlog_urls=[service("https://a", valid_for={"start": PAST})])
    del document["rekor_tlog_urls"][0]["validFor"]
    assert parse_signing_config(json.dumps(document).encode()).logs[0].url == "https://a"


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.1+json"},
        config(surprise=1),
        config(caUrls={}),
        config(caUrls=[{}]),
        config(caUrls=[service("")]),
        config(caUrls=[service("https://a", version=0)]),
        config(caUrls=[service("https://a", version=True)]),
        config(caUrls=[service("https://a", start=None)]),
        config(caUrls=[service("https://a", start="yesterday")]),
        config(caUrls=[service("https://a", start="2024-13-01T00:00:00Z")]),
        config(caUrls=[service("https://a", operator=1)]),
        config(caUrls=[service("https://a")] * 65),
        config(rekorTlogUrls=[service("https://a")], rekorTlogConfig=None),
        config(rekorTlogConfig={"selector": "SOME"}),
        config(rekorTlogConfig={"selector": "EXACT"}),
        config(rekorTlogConfig={"selector": "EXACT", "count": 0}),
        config(rekorTlogConfig={"selector": "ANY", "count": 2}),
        config(ca_urls=[], caUrls=[]),
    ],
)
def test_anything_else_is_refused(document):
    with pytest.raises(SigningConfigError):
        parse_signing_config(json.dumps(document).encode())


@settings(max_examples=60)
@given(st.binary(max_size=200))
def test_no_bytes_make_anything_else_than_a_refusal(data):
    with pytest.raises(SigningConfigError):
        parse_signing_config(data)


def test_a_file_that_is_missing_or_too_large_is_named(tmp_path, monkeypatch):
    with pytest.raises(SigningConfigError, match="/no/such"):
        read_signing_config("/no/such")
    (tmp_path / "c").write_bytes(bytes(1024 * 1024 + 1))
    with pytest.raises(SigningConfigError, match="more than"):
        read_signing_config(str(tmp_path / "c"))


# --- identity tokens ---------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.text(max_size=60) | st.from_regex(r"\A[A-Za-z0-9_-]{1,20}\.[A-Za-z0-9_-]{1,60}\.[A-Za-z0-9_-]{0,20}\Z"))
def test_no_text_makes_anything_else_than_a_refusal_that_does_not_quote_it(text):
    with pytest.raises(UsageError) as caught:
        OidcToken.parse(text)
    assert len(text) < 12 or text not in str(caught.value)
