"""Do the native parts of a bundle's verification pay? Each beside its pure twin, and what one would use without it."""

from __future__ import annotations

import base64
import binascii
from functools import cache

import pytest

from plimsoll.native import (
    _base64,
    _base64_py,
    _der,
    _der_py,
    _protojson,
    _protojson_py,
    _sha256,
    _sha256_py,
    read_json,
)
from plimsoll.signatures.bundle import parse_bundle
from plimsoll.signatures.bundle_fields import field_names
from plimsoll.signatures.x509 import _read
from private_sigstore import PrivateSigstore

PROOF = field_names("logIndex", "rootHash", "treeSize", "hashes", "checkpoint")


@cache
def signed():
    return PrivateSigstore().sign("v2 message", b"a manifest").bundle


@pytest.mark.parametrize("size", [32, 1500])
def bench_base64(against, size):
    text = base64.b64encode(bytes(range(256)) * 6)[: size // 3 * 4].decode()

    def checked():
        data = binascii.a2b_base64(text)
        assert binascii.b2a_base64(data, newline=False) == text.encode()

    against(lambda: _base64.base64_decode(text), binascii_checked=checked, twin=lambda: _base64_py.base64_decode(text))


def bench_tree_root(against):
    siblings, leaf = tuple(bytes([at]) * 32 for at in range(26)), bytes(1500)
    against(
        lambda: _sha256.sha256_tree_root(leaf, siblings, left=0x2AAAAAA),
        hashlib=lambda: _sha256_py.sha256_tree_root(leaf, siblings, left=0x2AAAAAA),
    )


def bench_certificate(against):
    (der,) = parse_bundle(signed()).certificates
    assert _der.read_certificate(der) is not None
    against(
        lambda: _der.read_certificate(der),
        twin=lambda: _der_py.read_certificate(der),
        full_reader_with_key=lambda: _read(der),
    )


def bench_der(against):
    (response,) = parse_bundle(signed()).timestamps

    def walk(module):
        outer = module.DerReader(response, what="response").inside(0x30, "content")
        outer.inside(0x30, "status").take_integer("status")
        token = outer.inside(0x30, "token")
        token.take(6, "type")
        content = token.inside(0xA0, "content").inside(0x30, "signed")
        content.take_integer("version")
        while not content.at_end():
            content.take_whole(next(tag for tag in (0x31, 0x30, 0xA0) if content.next_is(tag)), "part")

    against(lambda: walk(_der), twin=lambda: walk(_der_py))


def bench_messages(against):
    proof = read_json(signed())["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]

    def read(module):
        message = module.Message(proof, names=PROOF, where="proof")
        message.count("logIndex"), message.count("treeSize"), message.some_blob("rootHash", limit=64)
        return message.blobs("hashes", limit=64, most=64)

    against(lambda: read(_protojson), twin=lambda: read(_protojson_py))
