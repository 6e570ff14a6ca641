from __future__ import annotations

import bz2
import gzip
import io
import lzma

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll import limits
from plimsoll.errors import ContentError, UnsupportedError
from plimsoll.transport.stores import FILE_CHUNK_BYTES
from plimsoll.transport.unpacking import MAGIC_BYTES, packing_of, unpacked

PACKERS = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}


def unpack(data, packing, *, at_once=1000):
    file = io.BytesIO(data)
    return b"".join(unpacked(lambda: file.read(at_once), packing, "a.tar"))


@pytest.mark.parametrize("packing", PACKERS)
@settings(max_examples=40)
@given(parts=st.lists(st.binary(max_size=3000), min_size=1, max_size=3), at_once=st.sampled_from([1, 7, 1000, 10**6]))
def test_what_was_packed_comes_out(packing, parts, at_once):
    packed = b"".join(PACKERS[packing](part) for part in parts)
    assert packing_of(packed[:MAGIC_BYTES], "a.tar") == packing
    assert unpack(packed, packing, at_once=at_once) == b"".join(parts)


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("size", [FILE_CHUNK_BYTES - 1, FILE_CHUNK_BYTES, 3 * FILE_CHUNK_BYTES, 5 * limits.MIB + 1])
def test_pieces_are_bounded_however_much_a_byte_unpacks_to(packing, size):
    data = b"\0" * size
    packed = io.BytesIO(PACKERS[packing](data))
    pieces = list(unpacked(lambda: packed.read(10**6), packing, "a.tar"))
    assert max(len(piece) for piece in pieces) <= FILE_CHUNK_BYTES
    assert b"".join(pieces) == data


@pytest.mark.parametrize("packing", PACKERS)
@settings(max_examples=40)
@given(data=st.data())
def test_what_is_cut_or_broken_is_refused(packing, data):
    packed = PACKERS[packing](b"some text " * 50)
    cut = packed[: data.draw(st.integers(0, len(packed) - 1))]
    with pytest.raises(ContentError, match="broken"):
        unpack(cut, packing, at_once=data.draw(st.sampled_from([1, 50, 10**6])))
    with pytest.raises(ContentError, match="broken"):
        unpack(packed + b"rubbish", packing)


@pytest.mark.parametrize("packing", ["gzip", "xz"])
def test_padding_between_and_after_streams_is_passed_over(packing):
    packed = PACKERS[packing](b"text")
    for at_once in (1, 1000):
        assert unpack(packed + b"\0" * 8 + packed + b"\0" * 4, packing, at_once=at_once) == b"texttext"


def test_xz_that_wants_more_memory_than_the_cap_is_refused(monkeypatch):
    packed = lzma.compress(b"text", preset=9)
    assert unpack(packed, "xz") == b"text"
    monkeypatch.setattr(limits, "XZ_MEMORY_BYTES", limits.MIB)
    with pytest.raises(ContentError, match="broken xz"):
        unpack(packed, "xz")


def test_other_bytes_are_not_packed_and_zstd_is_named():
    for head in (b"", b"\x1f\x8b", b"PK\x03\x04", b"manifest.json"):
        assert packing_of(head, "a.tar") is None
    with pytest.raises(UnsupportedError, match=r"a\.tar is compressed with zstd"):
        packing_of(b"\x28\xb5\x2f\xfd", "a.tar")
