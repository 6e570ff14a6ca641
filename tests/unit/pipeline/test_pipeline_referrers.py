"""The fallback tag's index: added to, never overwritten unread, and written again where another writer undid it."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll import limits
from plimsoll.errors import LimitExceededError, NotFoundError, SigningError, TransportError
from plimsoll.model.descriptor import OCI_INDEX, OCI_MANIFEST, Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.manifest import RawManifest
from plimsoll.pipeline.referrers import attach_bundle, list_by_tag
from plimsoll.signatures.made_bundles import MadeBundle

SUBJECT = Descriptor(media_type=OCI_MANIFEST, digest=Digest.of(b"image"), size=5)
BUNDLE = MadeBundle(data=b"{}", predicate_type="https://sigstore.dev/cosign/sign/v1")


def entry(name):
    digest = str(Digest.of(name.encode()))
    return {"mediaType": OCI_MANIFEST, "digest": digest, "size": len(name), "annotations": {"name": name}}


def index(*names, **more):
    return json.dumps(
        {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry(name) for name in names], **more}
    ).encode()


class Repository:
    """A Source and a Destination in one; ``undo`` are writers that follow each of ours."""

    def __init__(self, data=None, *, undo=(), media_type=OCI_INDEX, lists=False, failure=None):
        self.data, self.media_type, self.lists, self.failure = data, media_type, lists, failure
        self.undo = list(undo)
        self.blobs, self.writings, self.stored = [], 0, []

    async def manifest_by_tag(self, tag):
        assert tag == SUBJECT.digest.tag
        if self.failure is not None:
            raise self.failure
        if self.data is None:
            raise NotFoundError("no such tag")
        return RawManifest(data=self.data, content_type=self.media_type)

    async def put_blob(self, data):
        self.blobs.append(data)

    async def put_referrer(self, data, *, subject, listed):
        assert subject == SUBJECT.digest
        self.stored.append((data, listed))
        return self.lists

    async def put_manifest(self, data, *, tag, media_type):
        assert (tag, media_type) == (SUBJECT.digest.tag, OCI_INDEX)
        self.writings += 1
        self.data = self.undo.pop(0) if self.undo else data

    @property
    def names(self):
        return [each.get("annotations", {}).get("name") for each in json.loads(self.data)["manifests"]]


def add(repository, name="ours"):
    asyncio.run(list_by_tag(entry(name), subject=SUBJECT.digest, source=repository, destination=repository))


def test_the_first_referrer_makes_the_index():
    repository = Repository()
    add(repository)
    assert (repository.names, repository.writings) == (["ours"], 1)


def test_what_is_listed_stays_with_all_that_the_index_says():
    repository = Repository(index("a", "b", annotations={"kept": "as it is"}))
    add(repository)
    assert repository.names == ["a", "b", "ours"]
    assert json.loads(repository.data)["annotations"] == {"kept": "as it is"}


def test_what_is_listed_already_is_not_written():
    repository = Repository(index("ours", "a"))
    add(repository)
    assert repository.writings == 0


def test_a_writer_who_undoes_ours_loses_nothing_and_hides_nothing():
    repository = Repository(index("a"), undo=[index("a", "theirs"), index("a", "theirs", "more")])
    add(repository)
    assert (repository.names, repository.writings) == (["a", "theirs", "more", "ours"], 3)


def test_one_who_undoes_every_writing_is_told_of():
    repository = Repository(index("a"), undo=[index("a")] * limits.REFERRER_TRIES)
    with pytest.raises(SigningError, match="others keep writing"):
        add(repository)


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b"not JSON", OCI_INDEX),
        (b"", OCI_INDEX),
        (index("a")[:-2], OCI_INDEX),
        (index("a").replace(b'"schemaVersion": 2', b'"schemaVersion": 3'), OCI_INDEX),
        (
            json.dumps(
                {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": entry("c"), "layers": [entry("l")]}
            ).encode(),
            OCI_MANIFEST,  # GitLab serves the image itself there
        ),
        (index("a"), "text/html"),
        (
            index("a").replace(OCI_INDEX.encode(), b"application/vnd.docker.distribution.manifest.list.v2+json"),
            "application/vnd.docker.distribution.manifest.list.v2+json",
        ),
    ],
)
def test_a_list_that_cannot_be_read_is_never_overwritten(data, media_type):
    repository = Repository(data, media_type=media_type)
    with pytest.raises(SigningError, match="should list referrers"):
        add(repository)
    assert (repository.data, repository.writings) == (data, 0)


def test_a_list_that_cannot_be_had_is_not_taken_for_absent():
    repository = Repository(failure=TransportError("down"))
    with pytest.raises(TransportError, match="down"):
        add(repository)
    assert repository.writings == 0


def test_a_full_list_grows_no_more(monkeypatch):
    monkeypatch.setattr(limits, "REFERRERS", 2)
    repository = Repository(index("a", "b"))
    with pytest.raises(LimitExceededError):
        add(repository)
    assert repository.writings == 0


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_of_a_registry_make_anything_else_than_a_refusal_or_an_index(data):
    repository = Repository(data)
    try:
        add(repository)
    except SigningError:
        assert repository.data == data


@pytest.mark.parametrize("lists", [True, False])
def test_only_a_registry_that_says_nothing_gets_the_tag(lists):
    repository = Repository(lists=lists)
    digest = asyncio.run(
        attach_bundle(BUNDLE, subject=SUBJECT, source=repository, destination=repository, now_s=1_700_000_000.5)
    )
    [(manifest, listed)] = repository.stored
    assert digest == Digest.of(manifest)
    assert repository.blobs == [b"{}", b"{}"]
    assert repository.writings == (0 if lists else 1)
    assert listed["annotations"]["org.opencontainers.image.created"] == "2023-11-14T22:13:20Z"
    assert json.loads(manifest)["subject"] == {
        "mediaType": OCI_MANIFEST,
        "digest": str(SUBJECT.digest),
        "size": SUBJECT.size,
    }
