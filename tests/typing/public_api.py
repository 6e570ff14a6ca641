"""What a program that uses the library sees of its types; checked by mypy in `make check`, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import assert_type

import plimsoll


async def one(reference: str) -> plimsoll.Verdict:
    policy = plimsoll.Policy.from_file("policy.json")
    async with plimsoll.Verifier(policy) as verifier:
        assert_type(verifier, plimsoll.Verifier)
        verdict = await verifier.verify(reference)
        assert_type(verdict, plimsoll.Verdict)
        assert_type(verdict.pinned, str | None)
        verdict.raise_unless_accepted()
        return verdict


async def many(references: AsyncIterator[str]) -> int:
    keys = plimsoll.Policy.from_keys("release.pub", "backup.pub")
    count = 0
    async with plimsoll.Verifier(keys) as verifier:
        async for verdict in verifier.verify_many(references):
            assert_type(verdict, plimsoll.Verdict)
            count += verdict.requests
        async for verdict in verifier.verify_many(["registry.example/app:v1"]):
            count += verdict.requests
    return count


def blocking() -> list[plimsoll.Verdict]:
    verdicts = plimsoll.verify(["registry.example/app:v1"], policy=plimsoll.Policy.from_file("policy.json"))
    assert_type(verdicts, list[plimsoll.Verdict])
    return verdicts
