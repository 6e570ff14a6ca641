from __future__ import annotations

import json
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll import limits
from plimsoll.errors import UnauthorizedError
from plimsoll.wire import Challenge, Token, parse_token, pull_scope, refresh_request, token_request


def bearer(**parameters):
    return Challenge(scheme="bearer", parameters=parameters)


def test_our_own_scope_is_asked_for_however_wide_the_challenge_is():
    asked = token_request(
        bearer(realm="https://auth.example/token", service="the registry", scope="repository:app:*"),
        scope=pull_scope("team/app"),
    )
    assert (asked.scheme, asked.host) == ("https", "auth.example")
    path, _, query = asked.request.target.partition("?")
    assert path == "/token"
    assert parse_qs(query) == {"service": ["the registry"], "scope": ["repository:team/app:pull"]}


def test_a_realms_own_query_port_and_missing_path_are_kept():
    asked = token_request(bearer(realm="http://Auth.Example:5001?account=x"), scope="s")
    assert (asked.scheme, asked.host) == ("http", "auth.example:5001")
    assert asked.request.target == "/?account=x&scope=s"


def test_a_service_cannot_smuggle_parameters():
    target = token_request(bearer(realm="https://a/t", service="x&scope=repository:evil:*"), scope="s").request.target
    assert parse_qs(target.partition("?")[2])["scope"] == ["s"]


@pytest.mark.parametrize(
    "realm",
    ["", "auth", "ftp://a/", "https://", "https:///x", "https://user:pass@a/", "https://a:99999/", "https://a/ b", "https://a/\r\nX:",
     "https://é/", "https://[::1/", "file:///etc/passwd"],
)  # fmt: skip
def test_a_realm_that_is_no_plain_url_is_refused(realm):
    with pytest.raises(UnauthorizedError):
        token_request(bearer(realm=realm), scope="s")


def test_a_refused_realm_is_shown_without_its_query():
    with pytest.raises(UnauthorizedError) as caught:
        token_request(bearer(realm="ftp://a/?password=canary"), scope="s")
    assert "canary" not in str(caught.value)


@given(st.text())
def test_any_realm_gives_a_request_or_unauthorized(realm):
    try:
        asked = token_request(bearer(realm=realm), scope="s")
    except UnauthorizedError:
        return
    assert asked.request.target.startswith("/") or "?" in asked.request.target
    assert asked.request.target.isascii()
    assert asked.request.target.isprintable()


@pytest.mark.parametrize(
    ("document", "token"),
    [
        ({"token": "a"}, Token(value="a", lifetime_s=60)),
        ({"access_token": "b"}, Token(value="b", lifetime_s=60)),
        ({"token": "a", "access_token": "b", "expires_in": 300}, Token(value="a", lifetime_s=300)),
        ({"token": "", "access_token": "b", "expires_in": 5}, Token(value="b", lifetime_s=60)),
        ({"token": "a", "expires_in": -1}, Token(value="a", lifetime_s=60)),
        ({"token": "a", "expires_in": "300"}, Token(value="a", lifetime_s=60)),
        ({"token": "a", "expires_in": True}, Token(value="a", lifetime_s=60)),
        ({"token": "a", "expires_in": None, "issued_at": "2000-01-01T00:00:00Z"}, Token(value="a", lifetime_s=60)),
        ({"token": "a", "expires_in": 10**15}, Token(value="a", lifetime_s=limits.TOKEN_LIFETIME_S)),
    ],
)
def test_a_token_reply_is_read(document, token):
    assert parse_token(json.dumps(document).encode()) == token


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"null", b"{}", b'{"token": null}', b'{"token": 1}', b'{"token": "a b"}', b'{"token": "a\\r\\nX: y"}',
     b'{"token": "\\u00e9"}', b'{"token": "a"} x', b'{"token": "a", "token": "b"}', b'{"token": "a"', b"\xff"],
)  # fmt: skip
def test_a_reply_without_a_usable_token_is_refused(data):
    with pytest.raises(UnauthorizedError):
        parse_token(data)


def test_a_token_past_the_cap_is_refused():
    with pytest.raises(UnauthorizedError):
        parse_token(b'{"token": "' + b"a" * limits.TOKEN_BYTES + b'"}')


@given(
    st.binary()
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda v: st.lists(v) | st.dictionaries(st.sampled_from(["token", "access_token", "expires_in"]), v),
    ).map(lambda v: json.dumps(v).encode())
)
def test_any_reply_gives_a_token_or_unauthorized(data):
    try:
        token = parse_token(data)
    except UnauthorizedError:
        return
    assert 60 <= token.lifetime_s <= limits.TOKEN_LIFETIME_S
    assert token.value.isascii()


def test_a_token_does_not_show_itself():
    assert "canary" not in repr(Token(value="canary", lifetime_s=60))


def test_a_refresh_token_goes_in_the_form_and_shows_nowhere():
    asked = refresh_request(
        bearer(realm="https://Auth.Example:5001/token?a=b", service="x&y"), scope="s", refresh_token="canary"
    )
    assert (asked.scheme, asked.host, asked.request.target) == ("https", "auth.example:5001", "/token?a=b")
    assert parse_qs(asked.request.form.decode()) == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["canary"],
        "client_id": ["plimsoll"],
        "scope": ["s"],
        "service": ["x&y"],
    }
    assert asked.request.headers == (("Content-Type", "application/x-www-form-urlencoded"),)
    assert "canary" not in repr(asked)


@given(st.text(), st.text())
def test_any_refresh_token_comes_through_and_any_realm_is_a_request_or_unauthorized(realm, token):
    asked = refresh_request(bearer(realm="https://a/"), scope="s", refresh_token=token)
    assert parse_qs(asked.request.form.decode("ascii"), keep_blank_values=True)["refresh_token"] == [token]
    try:
        other = refresh_request(bearer(realm=realm), scope="s", refresh_token="t")
    except UnauthorizedError:
        return
    assert other.scheme in ("http", "https")
