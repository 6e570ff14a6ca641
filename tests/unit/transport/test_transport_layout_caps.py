"""A layout's index.json lists more than an image's index may, and has caps of its own."""

import json

import pytest

from plimsoll import limits
from plimsoll.embedded.layout_index import parse_layout_index as parse_served
from plimsoll.errors import MalformedManifestError
from plimsoll.model.descriptor import OCI_MANIFEST
from plimsoll.model.digest import Digest
from plimsoll.transport.layout_index import parse_layout_index


def index(count, **more):
    entries = [
        {"mediaType": OCI_MANIFEST, "digest": str(Digest.of(b"%d" % at)), "size": 1}
        | {"annotations": {"org.opencontainers.image.ref.name": f"v{at}"}}
        for at in range(count)
    ]
    return json.dumps({"schemaVersion": 2, "manifests": entries} | more).encode()


def test_more_entries_than_an_images_index_has_are_read():
    data = index(limits.INDEX_CHILDREN + 1)
    assert parse_layout_index(data, where="index.json")
    assert len(parse_served(data).entries) == limits.INDEX_CHILDREN + 1


def test_its_entries_have_a_cap(monkeypatch):
    monkeypatch.setattr(limits, "INDEX_JSON_ENTRIES", 3)
    assert parse_layout_index(index(3), where="index.json")
    with pytest.raises(MalformedManifestError, match="more manifests than allowed begin"):
        parse_layout_index(index(4), where="index.json")


@pytest.mark.parametrize("parse", [lambda data: parse_layout_index(data, where="index.json"), parse_served])
def test_its_values_have_a_cap(parse, monkeypatch):
    monkeypatch.setattr(limits, "INDEX_JSON_VALUES", 200)
    data = index(1)  # the document, two members, the entry, its four members and the one of the last: 9
    assert parse(data)
    assert parse(index(1, x=[0] * 190))
    with pytest.raises(MalformedManifestError, match="more values than allowed begin"):
        parse(index(1, x=[0] * 191))
