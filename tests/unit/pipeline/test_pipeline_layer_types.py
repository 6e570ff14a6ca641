from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.layers import PACKED, TAR, plain
from plimsoll import limits
from plimsoll.errors import DiffIdMismatchError, UnsupportedError
from plimsoll.pipeline.layer_types import HEAD_BYTES, is_layer_type, memory_for, packing_to_read
from plimsoll.transport.unpacking import packing_told

HEADS = {
    "gzip": b"\x1f\x8b\x08\0",
    "zstd": b"\x28\xb5\x2f\xfd",
    "skippable": b"\x5a\x2a\x4d\x18",
    "bzip2": b"BZh9",
    "xz": b"\xfd7zXZ\0",
}


def said(kind):
    return "zstd" if kind.endswith("zstd") else "gzip" if kind.endswith("gzip") else None


@pytest.mark.parametrize("kind", PACKED)
def test_type_and_bytes_must_say_the_same(kind):
    assert is_layer_type(kind)
    for head in HEADS.values():
        if packing_told(head) == said(kind):
            assert packing_to_read(kind, head.ljust(HEAD_BYTES), "it") == said(kind)
            continue
        with pytest.raises(DiffIdMismatchError, match=r"it is .*two layers"):
            packing_to_read(kind, head.ljust(HEAD_BYTES), "it")


@pytest.mark.parametrize("kind", PACKED)
def test_a_plain_tar_is_one_whatever_was_announced(kind):
    for head in (TAR[:HEAD_BYTES], bytes(HEAD_BYTES), b""):
        assert packing_to_read(kind, head, "it") is None


@pytest.mark.parametrize("kind", [kind for kind, pack in PACKED.items() if pack is not plain])
@pytest.mark.parametrize("head", [b"\x1f\x8b", b"x", b"x" * HEAD_BYTES, TAR[: HEAD_BYTES - 1], b"\x80" * HEAD_BYTES])
def test_what_is_announced_as_packed_and_is_neither_that_nor_a_tar_is_refused(kind, head):
    with pytest.raises(DiffIdMismatchError, match="neither packed nor a tar"):
        packing_to_read(kind, head, "it")


@pytest.mark.parametrize("kind", ["", "application/vnd.in-toto+json", next(iter(PACKED)).upper(), "tar+gzip"])
def test_of_other_types_nothing_is_known(kind):
    assert not is_layer_type(kind)
    assert packing_to_read(kind, b"{}", "it") is None
    for head in HEADS.values():
        with pytest.raises(UnsupportedError, match="not known"):
            packing_to_read(kind, head, "it")


@given(kind=st.sampled_from([*PACKED, "application/x"]), head=st.binary(max_size=HEAD_BYTES))
def test_no_bytes_give_anything_but_the_declared_errors(kind, head):
    try:
        found = packing_to_read(kind, head, "it")
    except (DiffIdMismatchError, UnsupportedError):
        return
    assert found is packing_told(head)


def test_memory_counts_what_a_window_may_be():
    assert memory_for("application/vnd.oci.image.layer.v1.tar+gzip") < 8 * limits.MIB
    assert memory_for("application/vnd.oci.image.layer.v1.tar+zstd") > 1 << limits.ZSTD_WINDOW_LOG
