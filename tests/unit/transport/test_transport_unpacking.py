from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.layers import skippable, zstd
from plimsoll import limits
from plimsoll.errors import ContentError, LimitExceededError, UnsupportedError
from plimsoll.transport.stores import FILE_CHUNK_BYTES
from plimsoll.transport.unpacking import MAGIC_BYTES, SLICE_BYTES, Unpacker, packing_of, packing_told, unpacked

PACKERS = {"gzip": gzip.compress, "zstd": zstd.compress, "bzip2": bz2.compress, "xz": lzma.compress}


def unpack(data, packing, *, at_once=1000):
    file = io.BytesIO(data)
    return b"".join(unpacked(lambda: file.read(at_once), packing, "a.tar"))


@pytest.mark.parametrize("packing", PACKERS)
@settings(max_examples=40)
@given(parts=st.lists(st.binary(max_size=3000), min_size=1, max_size=3), at_once=st.sampled_from([1, 7, 1000, 10**6]))
def test_what_was_packed_comes_out(packing, parts, at_once):
    packed = b"".join(PACKERS[packing](part) for part in parts)
    assert packing_told(packed[:MAGIC_BYTES]) == packing
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


@pytest.mark.parametrize("packing", PACKERS)
def test_zeros_behind_a_stream_are_refused_where_they_are_no_padding(packing):
    packed = PACKERS[packing](b"text")
    for data, at_once in ((packed + bytes(4), 1), (packed + bytes(512), 10**6), (packed + bytes(1) + packed, 7)):
        unpacker = Unpacker(packing, "a layer", padded=False)
        with pytest.raises(ContentError, match=rf"a layer is broken {packing}"):  # noqa: PT012
            for at in range(0, len(data), at_once):
                assert b"".join(unpacker.pieces(data[at : at + at_once])) in b"text"
            unpacker.finish()


@pytest.mark.parametrize("packing", PACKERS)
def test_nothing_is_no_stream(packing):
    with pytest.raises(ContentError, match="ends too early"):
        Unpacker(packing, "a layer", padded=False).finish()


@pytest.mark.parametrize("packing", PACKERS)
def test_many_small_streams_are_copied_a_slice_at_a_time(packing, monkeypatch):
    packed = PACKERS[packing](b"x")
    count = 3 * SLICE_BYTES // len(packed)
    given_in = []
    real = Unpacker._piece

    def piece(self, engine, data):
        given_in.append(len(data))
        return real(self, engine, data)

    monkeypatch.setattr(Unpacker, "_piece", piece)
    assert unpack(packed * count, packing, at_once=10**7) == b"x" * count
    assert max(given_in) <= SLICE_BYTES


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("content", [b"text", b""])
def test_an_empty_piece_comes_before_each_stream_behind_the_first_and_none_from_an_archive(packing, content):
    packed = PACKERS[packing](content) * 3
    one = [content] if content else []
    assert list(Unpacker(packing, "a layer", padded=False).pieces(packed)) == [*one, b"", *one, b"", *one]
    file = io.BytesIO(packed)
    assert list(unpacked(lambda: file.read(10**6), packing, "a.tar")) == one * 3


def test_frames_of_zstd_that_hold_nothing_are_passed_over():
    packed = skippable() + zstd.compress(b"one") + skippable(b"") + zstd.compress(b"two") + skippable(b"x" * 50_000)
    assert packing_told(packed[:MAGIC_BYTES]) == "zstd"
    for at_once in (1, 1000):
        assert unpack(packed, "zstd", at_once=at_once) == b"onetwo"
    with pytest.raises(ContentError, match="ends too early"):
        unpack(packed[:-1], "zstd")


def test_zstd_that_wants_a_larger_window_than_the_cap_is_refused(monkeypatch):
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 22})
    packed = packer.compress(b"text" * 2_000_000) + packer.flush()
    assert len(unpack(packed, "zstd")) == 8_000_000
    monkeypatch.setattr(limits, "ZSTD_WINDOW_LOG", 21)
    with pytest.raises(LimitExceededError, match="window of more than 2097152"):
        unpack(packed, "zstd")


def test_zstd_checks_its_checksum():
    packed = zstd.compress(b"text" * 100, options={zstd.CompressionParameter.checksum_flag: 1})
    assert unpack(packed, "zstd") == b"text" * 100
    with pytest.raises(ContentError, match="checksum"):
        unpack(packed[:-1] + bytes([packed[-1] ^ 1]), "zstd")


def test_zstd_without_its_library_names_the_extra(monkeypatch):
    for name in ("backports", "backports.zstd", "compression", "compression.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UnsupportedError, match=r"a\.tar is packed with zstd.*plimsoll\[zstd\]"):
        unpack(zstd.compress(b"text"), "zstd")
    assert unpack(gzip.compress(b"text"), "gzip") == b"text"


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
        assert packing_told(head) is None
    with pytest.raises(UnsupportedError, match=r"a\.tar is compressed with zstd"):
        packing_of(b"\x28\xb5\x2f\xfd", "a.tar")
