"""LayerContents: one pass over a layer's bytes, which hashes them and what they unpack to."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Final

from plimsoll import limits
from plimsoll.errors import ContentError, DiffIdMismatchError, LimitExceededError, PlimsollError, UnsupportedError
from plimsoll.model.descriptor import Descriptor
from plimsoll.model.digest import Algorithm
from plimsoll.pipeline.layer_types import HEAD_BYTES, packing_to_read
from plimsoll.pipeline.layers import Step, hash_batch, new_hash, refuse_other_digest
from plimsoll.transport.unpacking import Unpacker

STEP_BYTES: Final = 4 * limits.MIB
"""Unpacked bytes of one turn on a thread: some 15 ms, however much a chunk unpacks to and in however many streams."""


class Allowance:
    """What the layers of one image may still unpack to, whichever threads they are on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left = limits.IMAGE_UNPACKED_BYTES

    def take(self, size: int) -> None:
        """Count ``size`` bytes; raises LimitExceededError where there are too many."""
        with self._lock:
            self._left -= size
            if self._left < 0:
                raise LimitExceededError(
                    f"the layers of the image unpack to more than {limits.IMAGE_UNPACKED_BYTES} bytes"
                )


class LayerContents:
    """Takes a layer chunk by chunk, then its end; used by one thread at a time.

    What is wrong inside the packing is kept until the end: bytes that are not the layer's at all come first.
    """

    def __init__(self, layer: Descriptor, *, algorithms: frozenset[Algorithm], allowance: Allowance) -> None:
        self._layer = layer
        self._what = f"the layer {layer.digest} ({layer.media_type[: limits.TEXT_CHARS]})"
        self._algorithms = algorithms
        self._allowance = allowance
        self._bytes = new_hash(layer.digest.algorithm)
        self._contents = {each: new_hash(each) for each in algorithms}
        self._head: bytes | None = b""
        self._unpacker: Unpacker | None = None
        self._size = 0
        self._failure: PlimsollError | None = None
        self._turns: Iterator[int] = iter(())

    def take(self, chunk: bytes) -> None:
        """Let ``advance`` work on the next chunk; the one before must be done."""
        self._turns = self._chunk(chunk)

    def end(self) -> None:
        """Let ``advance`` work on what is left once all chunks were taken."""
        self._turns = self._end()

    def advance(self) -> bool:
        """Work for one turn; whether there is more to do. Raises LimitExceededError for what unpacks to too much."""
        done = 0
        for size in self._turns:
            done += size
            if done >= STEP_BYTES:
                return True
        return False

    def diff_ids(self) -> Mapping[Algorithm, str]:
        """The hashes of what the layer unpacked to, by algorithm, once its end was taken.

        Raises LayerDigestMismatchError where the bytes are not the layer's, DiffIdMismatchError where they are broken
        or can be read in two ways, UnsupportedError where they cannot be read here.
        """
        refuse_other_digest(self._bytes, self._layer.digest)
        if self._failure is not None:
            raise self._failure
        return {algorithm: stream.hexdigest() for algorithm, stream in self._contents.items()}

    def _chunk(self, chunk: bytes) -> Iterator[int]:
        streams = [(self._bytes, chunk)]
        for piece in self._unpacked(chunk):
            # In one call, for the lanes: the layer's bytes beside the first of what they unpack to.
            hash_batch([*streams, *self._to_hash(piece)])
            streams = []
            yield _weight(piece)
        hash_batch(streams)

    def _end(self) -> Iterator[int]:
        if self._head is not None:
            yield from self._hashed(self._begin(self._head))
        if self._unpacker is not None and self._failure is None:
            try:
                self._unpacker.finish()
            except ContentError as error:
                self._failure = DiffIdMismatchError(str(error))

    def _hashed(self, pieces: Iterator[bytes]) -> Iterator[int]:
        for piece in pieces:
            hash_batch(self._to_hash(piece))
            yield _weight(piece)

    def _to_hash(self, piece: bytes) -> list[Step]:
        return [(stream, piece) for stream in self._contents.values()] if piece else []

    def _unpacked(self, chunk: bytes) -> Iterator[bytes]:
        """The pieces of what a chunk unpacks to; none after a failure, and none before the head is known."""
        if self._failure is not None:
            return
        if self._head is None:
            yield from self._pieces(chunk)
            return
        self._head += chunk
        if len(self._head) >= HEAD_BYTES:
            yield from self._begin(self._head)

    def _begin(self, head: bytes) -> Iterator[bytes]:
        self._head = None
        try:
            packing = packing_to_read(self._layer.media_type, head[:HEAD_BYTES], self._what)
        except (DiffIdMismatchError, UnsupportedError) as error:
            self._failure = error
            return
        if packing is not None:
            self._unpacker = Unpacker(packing, self._what, padded=False)
        yield from self._pieces(head)

    def _pieces(self, chunk: bytes) -> Iterator[bytes]:
        if self._unpacker is None:
            yield chunk
            return
        try:
            for piece in self._unpacker.pieces(chunk):
                self._count(_weight(piece))
                yield piece
        except LimitExceededError:
            raise
        except UnsupportedError as error:
            self._failure = error
        except ContentError as error:
            self._failure = DiffIdMismatchError(str(error))

    def _count(self, size: int) -> None:
        self._size += size
        by_ratio = max(limits.UNPACKED_ALWAYS_BYTES, limits.UNPACKING_RATIO * self._layer.size)
        most = min(limits.LAYER_UNPACKED_BYTES, by_ratio)
        if self._size > most:
            raise LimitExceededError(
                f"{self._what} unpacks to more than {most} bytes, from {self._layer.size} "
                f"(each packed stream behind the first counts as {limits.STREAM_COUNTS_AS_BYTES})"
            )
        self._allowance.take(size)


def _weight(piece: bytes) -> int:
    """The unpacked bytes that a piece counts as; an empty one stands for the beginning of another stream."""
    return len(piece) or limits.STREAM_COUNTS_AS_BYTES
