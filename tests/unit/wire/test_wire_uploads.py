from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.errors import InvalidReferenceError, RegistryError
from plimsoll.model.digest import Digest
from plimsoll.wire import Request, begin_upload, finish_upload, push_scope, put_manifest, upload_target

ASKED = "/v2/team/app/blobs/uploads/"
HOST = "registry.example:5000"


def test_a_blob_goes_in_two_requests_that_are_no_reads():
    begin = begin_upload("team/app")
    assert begin == Request(method="POST", target=ASKED)
    end = finish_upload("/u/1?state=a", b"data", digest=Digest.of(b"data"))
    assert end.method == "PUT"
    assert end.target == f"/u/1?state=a&digest=sha256%3A{Digest.of(b'data').hex}"
    assert finish_upload("/u/1", b"", digest=Digest.of(b"")).target.startswith("/u/1?digest=")
    assert end.body == b"data"
    assert not begin.is_read
    assert not end.is_read
    assert not Request(target="/", form=b"secret").is_read
    assert Request(target="/").is_read


def test_a_manifest_goes_under_a_tag_with_its_type():
    found = put_manifest("team/app", b"{}", tag="v1", media_type="application/x")
    assert (found.method, found.target, found.body) == ("PUT", "/v2/team/app/manifests/v1", b"{}")
    assert found.headers == (("Content-Type", "application/x"),)


@pytest.mark.parametrize("tag", ["", "a/b", "../x", "a?b", "a b", "a" * 129])
def test_a_text_that_is_no_tag_becomes_no_request(tag):
    with pytest.raises(InvalidReferenceError):
        put_manifest("app", b"{}", tag=tag, media_type="application/x")


def test_the_body_is_not_shown():
    assert "secret" not in repr(finish_upload("/u", b"secret", digest=Digest.of(b"")))


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/v2/team/app/blobs/uploads/1", "/v2/team/app/blobs/uploads/1"),
        ("/u?_state=abc%3D", "/u?_state=abc%3D"),
        ("1", "/v2/team/app/blobs/uploads/1"),
        ("http://registry.example:5000/u", "/u"),
        ("https://registry.example/u?a=b", "/u?a=b"),
        ("HTTP://REGISTRY.EXAMPLE/u", "/u"),
        ("//registry.example/u", "/u"),
        ("/u#fragment", "/u"),
    ],
)
def test_a_location_of_the_registry_s_own_is_followed_there(location, target):
    assert upload_target(location, asked=ASKED, host=HOST) == target


@pytest.mark.parametrize(
    "location",
    [
        None,
        "",
        "https://evil.example/u",
        "https://registry.example.evil.example/u",
        "//evil.example/u",
        "https://registry.example@evil.example/u",
        "http://[::1/u",
        "/u v",
        "/é",
        "mailto:x@registry.example",
        f"/{'x' * 40_000}",
    ],
)
def test_any_other_location_is_refused(location):
    with pytest.raises(RegistryError):
        upload_target(location, asked=ASKED, host=HOST)


@given(st.text(max_size=60))
def test_no_location_makes_anything_but_a_target_or_a_refusal(location):
    try:
        found = upload_target(location, asked=ASKED, host=HOST)
    except RegistryError:
        return
    assert found.startswith("/")
    assert found.isascii()
    assert not set(found) & set(" \r\n\t#\0")


def test_the_scope_names_both_rights():
    assert push_scope("team/app") == "repository:team/app:pull,push"
