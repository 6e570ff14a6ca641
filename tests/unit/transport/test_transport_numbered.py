"""Numbered signatures: where reading stops, and what it never reads."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll import limits
from plimsoll.errors import ContentError, LimitExceededError, NotFoundError, UnreachableError
from plimsoll.transport.numbered import read_numbered


def numbered(files, *, faults=None):
    """What read_numbered gives for these files, and every number it asked for."""
    asked = []

    async def read(at):
        asked.append(at)
        if at in (faults or {}):
            raise faults[at]
        if at not in files:
            raise NotFoundError(f"signature-{at} does not exist")
        return files[at]

    return asyncio.run(read_numbered(read, where="the store")), asked


def endless(blob):
    asked = []

    async def read(at):
        asked.append(at)
        return blob

    with pytest.raises(LimitExceededError) as caught:
        asyncio.run(read_numbered(read, where="the store"))
    return str(caught.value), asked


def test_none_is_an_empty_tuple():
    assert numbered({}) == ((), [1])


def test_they_are_read_from_one_on():
    assert numbered({0: b"zero", 1: b"one", 2: b"two"}) == ((b"one", b"two"), [1, 2, 3])


def test_the_first_gap_ends_them():
    assert numbered({1: b"one", 3: b"three"}) == ((b"one",), [1, 2])
    assert numbered({2: b"two"}) == ((), [1])


@pytest.mark.parametrize("fault", [UnreachableError("no route"), ContentError("a symbolic link")])
def test_one_that_fails_fails_them_all(fault):
    with pytest.raises(type(fault)):
        numbered({1: b"one", 3: b"three"}, faults={2: fault})


def test_as_many_as_are_allowed_are_read():
    most = limits.SIGNATURES_PER_PLACE
    blobs, asked = numbered(dict.fromkeys(range(1, most + 1), b"x"))
    assert (len(blobs), asked[-1]) == (most, most + 1)


def test_one_more_is_too_many_and_nothing_is_asked_after_it():
    message, asked = endless(b"x")
    assert asked[-1] == limits.SIGNATURES_PER_PLACE + 1
    assert message.startswith(f"the store has more than {limits.SIGNATURES_PER_PLACE} signatures")


def test_empty_files_count_too():
    _, asked = endless(b"")
    assert asked[-1] == limits.SIGNATURES_PER_PLACE + 1


def test_all_together_have_a_cap_of_bytes():
    large = bytes(limits.PAYLOAD_BYTES)
    fit = limits.EVIDENCE_BYTES // limits.PAYLOAD_BYTES
    assert len(numbered(dict.fromkeys(range(1, fit + 1), large))[0]) == fit
    message, asked = endless(large)
    assert asked[-1] == fit + 1
    assert str(limits.EVIDENCE_BYTES) in message


@given(st.sets(st.integers(1, 12)))
def test_what_is_read_is_the_run_that_begins_at_one(present):
    blobs, asked = numbered({at: str(at).encode() for at in present})
    run = next(length for length in range(13) if length + 1 not in present)
    assert blobs == tuple([str(at).encode() for at in range(1, run + 1)])
    assert asked == list(range(1, run + 2))
