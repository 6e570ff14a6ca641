"""Inclusion in a log's Merkle tree: the audit path from one leaf to the root (RFC 6962 section 2.1.1, RFC 9162)."""

from __future__ import annotations

from typing import Final

from plimsoll.errors import LogProofInvalidError
from plimsoll.model.bundle import UntrustedInclusionProof
from plimsoll.native import sha256_tree_root

_HASH_BYTES: Final = 32
_MOST_LEAVES: Final = 2**63 - 1
"""int64 in sigstore_rekor.proto."""
_ALL_LEVELS: Final = 2**64 - 1


def check_inclusion(proof: UntrustedInclusionProof, *, leaf: bytes) -> None:
    """Return if the path leads from ``leaf``, the bytes that were logged, to ``proof.root_hash``, no hash to spare.

    Raises LogProofInvalidError. The caller owes: that a trusted log signed this root and tree size.
    """
    index, size = proof.log_index, proof.tree_size
    if not 0 <= index < size <= _MOST_LEAVES:
        raise LogProofInvalidError(f"the inclusion proof is of leaf {index} in a tree of {size} leaves")
    # Below the level where the paths to this leaf and to the last one part, siblings stand on either side; above it,
    # the last leaf's path takes this one along, and only siblings to the left are left.
    inner = (index ^ (size - 1)).bit_length()
    needed = inner + (index >> inner).bit_count()
    if len(proof.hashes) != needed:
        raise LogProofInvalidError(
            f"the inclusion proof has {len(proof.hashes)} hashes: leaf {index} of {size} needs {needed}"
        )
    if {len(each) for each in (*proof.hashes, proof.root_hash)} != {_HASH_BYTES}:
        raise LogProofInvalidError(f"a hash of the inclusion proof has not {_HASH_BYTES} bytes, as SHA-256 has")
    # Bit by bit from the leaf's level: whether the sibling stands there.
    on_the_left = (index | -1 << inner) & _ALL_LEVELS
    node = sha256_tree_root(leaf, proof.hashes, left=on_the_left)
    if node != proof.root_hash:
        raise LogProofInvalidError("the inclusion proof does not lead from this entry to the root it names")
