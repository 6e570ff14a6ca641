"""What the sources of images on this machine have in common: they cost bytes and no requests, and have no registry."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import cast

from plimsoll.model.descriptor import Descriptor
from plimsoll.transport.base import OneImage


class LocalImage(OneImage):
    """An image in a folder or an archive."""

    @property
    def physical(self) -> None:
        """No docker reference: the image is a local one, whatever it is named."""

    @property
    def contacted(self) -> tuple[str, ...]:
        """No registry."""
        return ()

    def _counted(self, data: bytes) -> bytes:
        self.meter.bytes += len(data)
        return data

    async def _streamed(self, found: AsyncIterator[bytes], descriptor: Descriptor) -> AsyncIterator[bytes]:
        """What a store streams, counted, up to one chunk beyond the descriptor's size."""
        read = 0
        async with aclosing(cast("AsyncGenerator[bytes, None]", found)) as chunks:
            async for chunk in chunks:
                yield self._counted(chunk)
                read += len(chunk)
                if read > descriptor.size:
                    return
