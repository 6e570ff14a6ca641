"""Digests: three algorithms, one way to write each."""

from __future__ import annotations

import hashlib
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.errors import InvalidReferenceError
from plimsoll.model.digest import HEX_LENGTH, Digest

ALGORITHMS = sorted(HEX_LENGTH)


@given(st.sampled_from(ALGORITHMS), st.binary(max_size=100))
def test_a_digest_comes_back(algorithm, data):
    digest = Digest.of(data, algorithm=algorithm)
    assert digest.hex == hashlib.new(algorithm, data).hexdigest()
    assert Digest.parse(str(digest)) == digest == pickle.loads(pickle.dumps(digest))
    assert digest.tag == str(digest).replace(":", "-")
    assert digest.matches(data)
    assert not digest.matches(data + b"\0")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_only_the_full_lower_case_hex_is_a_digest(algorithm):
    size = HEX_LENGTH[algorithm]
    good = f"{algorithm}:{'a' * size}"
    assert Digest.parse(good).algorithm == algorithm
    bad = [
        good.upper(),
        f"{algorithm}:{'A' * size}",
        f"{algorithm.upper()}:{'a' * size}",
        good[:-1],
        good + "a",
        good + "\n",
        good + " ",
        " " + good,
        "\n" + good,
        good.replace(":", "-"),
        good.replace(":", "::"),
        good.replace("a", "g", 2),
        f"{algorithm}:" + "\u0661" * size,
        f"{algorithm}:" + "\uff41" * size,
        f"{algorithm}+b64:{'a' * size}",
        f"{algorithm}:",
        "a" * size,
        f"x{good}",
        f"{good}@{good}",
    ]
    for text in bad:
        with pytest.raises(InvalidReferenceError, match="is no digest"):
            Digest.parse(text)


@pytest.mark.parametrize(
    "algorithm", ["md5", "sha1", "sha224", "sha3-256", "blake2b", "sha512-256", "", "SHA256", "crc32"]
)
def test_a_weak_or_unknown_algorithm_carries_no_trust(algorithm):
    """CVE-2025-59354."""
    for size in (32, 40, 56, 64, 96, 128):
        with pytest.raises(InvalidReferenceError):
            Digest.parse(f"{algorithm}:{'0' * size}")


@pytest.mark.parametrize("one", ALGORITHMS)
@pytest.mark.parametrize("other", ALGORITHMS)
def test_the_length_is_the_algorithms_own(one, other):
    text = f"{one}:{'0' * HEX_LENGTH[other]}"
    if one == other:
        assert Digest.parse(text)
    else:
        with pytest.raises(InvalidReferenceError):
            Digest.parse(text)


@given(st.text() | st.from_regex(r"[a-z0-9]{1,8}[:-]?[0-9a-fA-F\n]{30,130}", fullmatch=True))
def test_no_text_gives_anything_but_an_invalid_reference(text):
    try:
        digest = Digest.parse(text)
    except InvalidReferenceError:
        return
    assert str(digest) == text


def test_digests_of_two_algorithms_are_never_equal():
    assert len({Digest.of(b"", algorithm=algorithm) for algorithm in ALGORITHMS}) == len(ALGORITHMS)
