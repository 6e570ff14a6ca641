from __future__ import annotations

import pytest

from plimsoll.errors import InvalidReferenceError
from plimsoll.model.digest import Digest
from plimsoll.wire import (
    Request,
    blob_request,
    digest_request,
    page_request,
    referrers_request,
    tag_request,
    tags_request,
)

DIGEST = Digest.of(b"x")
FOUR_TYPES = (
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json"
)


def test_a_manifest_is_asked_for_by_tag_or_digest_with_one_accept_field():
    by_tag = tag_request("team/app", "v1.0_x")
    assert by_tag == Request(target="/v2/team/app/manifests/v1.0_x", headers=(("Accept", FOUR_TYPES),))
    by_digest = digest_request("team/app", DIGEST)
    assert by_digest == Request(target=f"/v2/team/app/manifests/sha256:{DIGEST.hex}", headers=(("Accept", FOUR_TYPES),))


@pytest.mark.parametrize("tag", ["", "../x", "a/b", "a?b", "a%2e", "a b", "a\r\nHost: x", "-a", ".a", "a" * 129, "é"])
def test_a_text_that_is_no_tag_becomes_no_request(tag):
    with pytest.raises(InvalidReferenceError):
        tag_request("app", tag)


def test_a_blob_is_asked_for_whole_or_from_an_offset():
    assert blob_request("app", DIGEST) == Request(target=f"/v2/app/blobs/{DIGEST}")
    assert blob_request("app", DIGEST, offset=7).headers == (("Range", "bytes=7-"),)


def test_tags_come_in_pages_of_a_thousand():
    assert tags_request("app") == Request(target="/v2/app/tags/list?n=1000")


def test_referrers_may_be_narrowed_to_a_type_escaped():
    assert referrers_request("app", DIGEST).target == f"/v2/app/referrers/{DIGEST}"
    narrowed = referrers_request("app", DIGEST, artifact_type="application/a+b&c=d")
    assert narrowed.target == f"/v2/app/referrers/{DIGEST}?artifactType=application%2Fa%2Bb%26c%3Dd"
    assert narrowed.headers == (("Accept", "application/vnd.oci.image.index.v1+json"),)


def test_the_path_is_the_target_without_its_query():
    assert Request(target="/a/b?secret=1").path == "/a/b"


def test_a_following_page_is_asked_for_like_the_first():
    first = referrers_request("app", DIGEST)
    assert page_request("/next?x=1", like=first) == Request(target="/next?x=1", headers=first.headers)
