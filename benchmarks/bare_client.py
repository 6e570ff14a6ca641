"""The floor for any client built on aiohttp: the three GETs of a keyed signature and nothing else.

Run as ``python bare_client.py REFERENCES``; prints images a second.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import time
from pathlib import Path

import aiohttp
import uvloop


async def fetch_all(references: list[str]) -> float:
    waiting = iter(references)
    begun = time.perf_counter()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64), auto_decompress=False) as session:

        async def worker() -> None:
            for reference in waiting:
                host, _, rest = reference.removeprefix("docker://").partition("/")
                repository, _, tag = rest.rpartition(":")
                base = f"http://{host}/v2/{repository}"
                async with session.get(f"{base}/manifests/{tag}") as reply:
                    manifest = await reply.read()
                digest = hashlib.sha256(manifest).hexdigest()
                async with session.get(f"{base}/manifests/sha256-{digest}.sig") as reply:
                    listed = await reply.read()
                    if reply.status != 200:
                        continue
                async with session.get(f"{base}/blobs/{json.loads(listed)['layers'][0]['digest']}") as reply:
                    await reply.read()

        await asyncio.gather(*(worker() for _ in range(64)))
    return len(references) / (time.perf_counter() - begun)


if __name__ == "__main__":
    print(uvloop.run(fetch_all(Path(sys.argv[1]).read_text().split())))
