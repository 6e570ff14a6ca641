from __future__ import annotations

import array
import hashlib
import itertools
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.native import _sha256, _sha256_py

BORDERS = (0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 129, 1000)
ENGINES = [*((_sha256, name) for name in _sha256.implementations()), *((_sha256_py, n) for n in ("hashlib",))]


@pytest.fixture(params=ENGINES, ids=lambda engine: engine[1].replace(" ", "-"))
def sha(request):
    module, name = request.param
    if module is _sha256:
        _sha256.force(name)
    yield module
    _sha256.force(_sha256.implementations()[0])


def expected(buffers):
    return [hashlib.sha256(data).digest() for data in buffers]


# FIPS 180-4 examples and NIST CAVP SHA256ShortMsg.
VECTORS = [
    (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
        b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    ),
    (
        b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
        "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1",
    ),
    (b"a" * 1_000_000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
    (bytes.fromhex("d3"), "28969cdfa74a12c82f3bad960b0b000aca2ac329deea5c2328ebc6f2ba9802c1"),
    (bytes.fromhex("c98c8e55"), "7abc22c0ae5af26ce93dbb94433a0e0b2e119d014f8e7f65bd56c61ccccd9504"),
]


@pytest.mark.parametrize(("message", "digest"), VECTORS, ids=lambda v: str(len(v)))
def test_known_vectors(sha, message, digest):
    stream = sha.Sha256()
    stream.update(message)
    assert stream.hexdigest() == digest
    assert stream.digest().hex() == digest
    assert [found.hex() for found in sha.sha256_many([message] * 5)] == [digest] * 5


def test_every_set_of_up_to_four_border_lengths(sha):
    noise = bytes(range(256)) * 4
    for count in range(4):
        for lengths in itertools.product(BORDERS, repeat=count):
            buffers = [noise[i : i + length] for i, length in enumerate(lengths)]
            assert sha.sha256_many(buffers) == expected(buffers), lengths


@pytest.mark.parametrize("count", range(21))
def test_every_count_of_lanes(sha, count):
    buffers = [os.urandom(BORDERS[(7 * i + count) % len(BORDERS)]) for i in range(count)]
    assert sha.sha256_many(buffers) == expected(buffers)
    assert sha.sha256_many(buffers[::-1]) == expected(buffers[::-1])


@given(st.lists(st.integers(0, 9000), max_size=24), st.randoms(use_true_random=False))
def test_lanes_are_refilled_whatever_the_lengths(lengths, random):
    buffers = [random.randbytes(length) for length in lengths]
    for name in _sha256.implementations():
        _sha256.force(name)
        assert _sha256.sha256_many(buffers) == expected(buffers)
    _sha256.force(_sha256.implementations()[0])


@given(st.data())
def test_streams_advanced_together_equal_streams_advanced_alone(data):
    count = data.draw(st.integers(1, 9))
    rounds = data.draw(st.lists(st.lists(st.integers(0, 200), min_size=count, max_size=count), max_size=6))
    for module, name in ENGINES:
        if module is _sha256:
            _sha256.force(name)
        streams = [module.Sha256() for _ in range(count)]
        peers = [hashlib.sha256() for _ in range(count)]
        for lengths in rounds:
            chunks = [bytes([i + length & 255]) * length for i, length in enumerate(lengths)]
            module.sha256_update_many(list(zip(streams, chunks, strict=True)))
            for peer, chunk in zip(peers, chunks, strict=True):
                peer.update(chunk)
            assert [s.digest() for s in streams] == [p.digest() for p in peers]
    _sha256.force(_sha256.implementations()[0])


def test_a_stream_named_twice_is_refused_and_nothing_is_appended(sha):
    first, second = sha.Sha256(), sha.Sha256()
    with pytest.raises(ValueError, match=r"twice|already"):
        sha.sha256_update_many([(first, b"a"), (second, b"b"), (first, b"c")])
    assert first.digest() == second.digest() == hashlib.sha256().digest()
    sha.sha256_update_many([(first, b"a"), (second, b"b")])
    assert first.digest() == hashlib.sha256(b"a").digest()


def test_any_contiguous_buffer_is_hashed_by_its_bytes(sha):
    numbers = array.array("I", range(1000))
    buffers = [b"x" * 100, bytearray(b"y" * 100), memoryview(b"z" * 300)[100:200], numbers]
    assert sha.sha256_many(buffers) == expected(buffers)
    stream = sha.Sha256()
    stream.update(numbers)
    assert stream.digest() == hashlib.sha256(numbers).digest()


@pytest.mark.parametrize("wrong", ["text", None, 7, memoryview(b"abcdef")[::2]])
def test_what_is_no_contiguous_buffer_is_refused(sha, wrong):
    with pytest.raises((TypeError, BufferError)):
        sha.sha256_many([b"good", wrong])
    stream = sha.Sha256()
    with pytest.raises((TypeError, BufferError)):
        stream.update(wrong)
    with pytest.raises((TypeError, BufferError)):
        sha.sha256_update_many([(stream, b"good"), (sha.Sha256(), wrong)])
    assert stream.digest() == hashlib.sha256().digest()


def test_a_copy_goes_on_by_itself(sha):
    stream = sha.Sha256()
    stream.update(b"a" * 70)
    twin = stream.copy()
    twin.update(b"b")
    assert stream.digest() == hashlib.sha256(b"a" * 70).digest()
    assert twin.digest() == hashlib.sha256(b"a" * 70 + b"b").digest()


def test_a_buffer_is_released_when_the_call_is_over(sha):
    data = bytearray(b"x" * 10_000)
    stream = sha.Sha256()
    stream.update(data)
    sha.sha256_many([data])
    with pytest.raises((TypeError, BufferError)):
        sha.sha256_many([data, "no buffer"])
    data.extend(b"y")  # BufferError while exported


def test_threads_hash_side_by_side(sha):
    results = {}

    def work(number):
        results[number] = sha.sha256_many([bytes([number, i]) * 5000 for i in range(9)])

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: expected([bytes([n, i]) * 5000 for i in range(9)]) for n in range(4)}


def test_a_stream_in_use_by_another_thread_is_refused():
    stream, data = _sha256.Sha256(), bytes(192 << 20)
    refused = []
    thread = threading.Thread(target=stream.update, args=(data,))
    thread.start()
    while thread.is_alive() and not refused:
        try:
            stream.digest()
        except RuntimeError as error:
            refused.append(error)
    thread.join()
    assert refused
    assert stream.digest() == hashlib.sha256(data).digest()


def test_an_unknown_implementation_is_refused():
    with pytest.raises(ValueError, match="portable x1"):
        _sha256.force("abacus")
    assert _sha256.implementation() == _sha256.implementations()[0]


@given(
    st.binary(max_size=200),
    st.lists(st.binary(min_size=32, max_size=32), max_size=65),
    st.integers(0, 2**64 - 1),
)
def test_tree_roots_are_the_same(leaf, siblings, left):
    def root(module):
        try:
            return module.sha256_tree_root(leaf, tuple(siblings), left=left)
        except ValueError as error:
            return str(error)

    assert root(_sha256) == root(_sha256_py)


@pytest.mark.parametrize("module", [_sha256, _sha256_py])
@pytest.mark.parametrize("sibling", [b"", b"x" * 31, b"x" * 33, "x" * 32, bytearray(32)])
def test_a_tree_has_hashes_of_32_bytes_alone(module, sibling):
    with pytest.raises(ValueError, match="no hash of 32 bytes"):
        module.sha256_tree_root(b"leaf", (b"x" * 32, sibling), left=1)


@pytest.mark.parametrize("module", [_sha256, _sha256_py])
@pytest.mark.parametrize("left", [-1, 2**64])
def test_a_tree_has_64_levels_at_most(module, left):
    with pytest.raises(OverflowError):
        module.sha256_tree_root(b"leaf", (), left=left)
