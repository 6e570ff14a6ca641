"""Audit paths: every leaf of every small tree is proven, and nothing else is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.rekor import audit_path, sha256, tree_head
from plimsoll.errors import LogProofInvalidError
from plimsoll.model.bundle import UntrustedInclusionProof
from plimsoll.signatures.inclusion import check_inclusion

LEAVES = [b"leaf %d" % at for at in range(33)]


def proof(index, size):
    return UntrustedInclusionProof(
        log_index=index,
        root_hash=tree_head(LEAVES[:size]),
        tree_size=size,
        hashes=tuple(audit_path(index, LEAVES[:size])),
        checkpoint=None,
    )


def refused(found, leaf, match=None):
    with pytest.raises(LogProofInvalidError, match=match):
        check_inclusion(found, leaf=leaf)


@pytest.mark.parametrize("size", range(1, len(LEAVES) + 1))
def test_every_leaf_of_a_tree_is_proven_and_no_other(size):
    for index in range(size):
        found = proof(index, size)
        check_inclusion(found, leaf=LEAVES[index])
        refused(found, b"leaf", "does not lead")
        for other in {0, index - 1, index + 1, size - 1} - {index}:
            # At another place the path has another length, or leads elsewhere.
            refused(replace(found, log_index=other), LEAVES[index])


def test_the_raw_bytes_are_what_is_logged():
    refused(proof(3, 7), LEAVES[3] + b"\n")
    refused(proof(3, 7), b"\x00" + LEAVES[3])


def test_an_inner_node_is_no_leaf():
    """RFC 6962 section 2.1: leaves and nodes are hashed with another first byte, so that one is never the other."""
    node = b"".join(sha256(b"\x00", leaf) for leaf in LEAVES[:2])
    right = tree_head(LEAVES[2:4])
    assert sha256(b"\x01", sha256(b"\x01", node), right) == tree_head(LEAVES[:4])
    refused(replace(proof(0, 4), tree_size=2, hashes=(right,)), node, "does not lead")


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 31, 32, 33])
def test_no_hash_is_missing_or_to_spare(size):
    for index in range(size):
        found = proof(index, size)
        refused(replace(found, hashes=(*found.hashes, sha256(b""))), LEAVES[index], "needs")
        if found.hashes:
            refused(replace(found, hashes=found.hashes[:-1]), LEAVES[index], "needs")
            refused(replace(found, hashes=found.hashes[1:]), LEAVES[index], "needs")


def test_each_hash_counts():
    found = proof(11, 33)
    check_inclusion(found, leaf=LEAVES[11])
    for at in range(len(found.hashes)):
        hashes = list(found.hashes)
        hashes[at] = bytes([hashes[at][0] ^ 1]) + hashes[at][1:]
        refused(replace(found, hashes=tuple(hashes)), LEAVES[11], "does not lead")
    refused(replace(found, root_hash=tree_head(LEAVES[:32])), LEAVES[11], "does not lead")
    refused(replace(found, hashes=found.hashes[::-1]), LEAVES[11], "does not lead")


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (2, 1), (-1, 1), (-1, 0), (0, -1), (0, 2**63)])
def test_a_leaf_outside_the_tree_is_refused(index, size):
    refused(replace(proof(0, 1), log_index=index, tree_size=size), LEAVES[0], "tree of")


def test_the_largest_tree_takes_no_time():
    found = replace(proof(0, 1), log_index=2**63 - 2, tree_size=2**63 - 1)
    refused(found, LEAVES[0], "needs 62")
    refused(replace(found, hashes=(bytes(32),) * 62), LEAVES[0], "does not lead")


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_hash_has_32_bytes(size):
    found = proof(1, 2)
    refused(replace(found, hashes=(bytes(size),)), LEAVES[1], "32 bytes")
    refused(replace(found, root_hash=bytes(size)), LEAVES[1], "32 bytes")


def test_two_hashes_cut_elsewhere_are_not_the_same_path():
    """The bytes behind each other are the same, so is the node's hash: only their length tells."""
    found = proof(0, 2)
    whole = sha256(b"\x00", LEAVES[0])
    refused(replace(found, hashes=(found.hashes[0] + whole[:1],)), LEAVES[0], "32 bytes")


@settings(max_examples=100, deadline=None)
@given(
    st.integers(min_value=-(2**64), max_value=2**64),
    st.integers(min_value=-(2**64), max_value=2**64),
    st.lists(st.binary(max_size=33) | st.binary(min_size=32, max_size=32), max_size=70),
    st.binary(max_size=33),
)
def test_no_proof_gives_anything_but_a_log_proof_error(index, size, hashes, root):
    found = UntrustedInclusionProof(
        log_index=index, root_hash=root, tree_size=size, hashes=tuple(hashes), checkpoint=None
    )
    refused(found, b"leaf")
