"""Does the one-pass reader pay? Manifests, against json.loads, against strict reading built on it, and the twin.

json.loads alone is no peer: it accepts duplicate names, NaN, lone surrogates and any depth. It is listed as the floor
that everything built on it stands on. msgspec, where it is installed, is listed too: fast, but not strict either.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import math

import pytest

from plimsoll.native import _reader_py, read_json, read_manifest

OCI = "application/vnd.oci.image"
DIGEST = "sha256:" + hashlib.sha256(b"benchmark").hexdigest()


def image(layers):
    return {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": {"mediaType": f"{OCI}.config.v1+json", "digest": DIGEST, "size": 7023},
        "layers": [
            {"mediaType": f"{OCI}.layer.v1.tar+gzip", "digest": DIGEST, "size": 32654 + n} for n in range(layers)
        ],
        "annotations": {"org.opencontainers.image.created": "2026-01-01T00:00:00Z"},
    }


def index(children):
    return {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.index.v1+json",
        "manifests": [
            {"mediaType": f"{OCI}.manifest.v1+json", "digest": DIGEST, "size": 7143 + n}
            | {"platform": {"architecture": f"arch{n}", "os": "linux", "variant": "v8"}}
            for n in range(children)
        ],
    }


def signature():
    bundle = {
        "SignedEntryTimestamp": "MEUCIQ" * 16,
        "Payload": {"body": "eyJ" * 300, "integratedTime": 1, "logIndex": 2},
    }
    annotations = {
        "dev.cosignproject.cosign/signature": "MEUCIQ" * 16,
        "dev.sigstore.cosign/bundle": json.dumps(bundle),
    }
    layer = {"mediaType": "application/vnd.dev.cosign.simplesigning.v1+json", "digest": DIGEST, "size": 243}
    return image(0) | {"layers": [layer | {"annotations": annotations}]}


DOCUMENTS = {
    "image of 1 layer": image(1),
    "image of 10 layers": image(10),
    "image of 100 layers": image(100),
    "index of 10": index(10),
    "cosign signature": signature(),
}


def unique(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate")
    return members


def refuse(word):
    raise ValueError(word)


STRICT = json.JSONDecoder(object_pairs_hook=unique, parse_constant=refuse)


def check(value, depth):
    """What the decoder lets through: depth, lone surrogates, infinite numbers."""
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, float) and math.isinf(value):
        raise ValueError("infinite")
    elif isinstance(value, dict | list):
        if depth == 0:
            raise ValueError("depth")
        for name in value if isinstance(value, dict) else ():
            name.encode()
        for item in value.values() if isinstance(value, dict) else value:
            check(item, depth - 1)


def strict_by_json(data):
    value = STRICT.decode(data.decode("utf-8"))
    check(value, 32)
    return value


def msgspec_decoder():
    """None where msgspec is not installed: it is no dependency, not even of the benchmarks."""
    try:
        return importlib.import_module("msgspec").json.Decoder()
    except ImportError:
        return None


def peers(data):
    found = {"json_loads": lambda: json.loads(data), "strict_json": lambda: strict_by_json(data)}
    decoder = msgspec_decoder()
    return found | ({"msgspec": lambda: decoder.decode(data)} if decoder else {})


@pytest.mark.parametrize("name", DOCUMENTS)
def bench_read_json(against, name):
    data = json.dumps(DOCUMENTS[name]).encode()
    assert read_json(data) == strict_by_json(data) == DOCUMENTS[name]
    against(lambda: read_json(data), **peers(data), twin=lambda: _reader_py.read_json(data))


@pytest.mark.parametrize("name", DOCUMENTS)
def bench_read_manifest(against, name):
    """strict_fields is the fair peer: the same checks by json and the same result, by the twin's own projection."""
    data = json.dumps(DOCUMENTS[name]).encode()
    assert read_manifest(data) == _reader_py.read_manifest(data) == _reader_py.manifest_fields(strict_by_json(data))
    against(
        lambda: read_manifest(data),
        **peers(data),
        strict_fields=lambda: _reader_py.manifest_fields(strict_by_json(data)),
        twin=lambda: _reader_py.read_manifest(data),
    )
