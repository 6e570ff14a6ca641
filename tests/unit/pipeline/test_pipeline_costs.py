"""What a run has cost when it was cut: everything that was sent is in some count."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing

import pytest

from fakes import hostile
from fakes.hostile import HostileRegistry
from plimsoll.errors import ConfigError
from plimsoll.model.settings import Settings
from plimsoll.pipeline.batch import run_many
from plimsoll.pipeline.policies import Policy
from plimsoll.pipeline.verifier import Verifier

DOCUMENT = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": hostile.MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": f"sha256:{'0' * 64}",
            "size": 2,
        },
        "layers": [],
    }
).encode()


@pytest.fixture
def policy(tmp_path):
    (tmp_path / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    return Policy.from_file(tmp_path / "policy.json")


def test_the_requests_of_images_that_were_cut_are_counted(policy):
    async def story():
        async with HostileRegistry(frank=True) as registry:
            registry.on("/v2/slow/manifests/v1", hostile.silence())
            registry.on("/v2/app/manifests/v1", hostile.manifest(DOCUMENT))
            async with Verifier(policy, settings=Settings(tls_verify=False)) as verifier:

                async def images():
                    for _ in range(3):
                        yield f"{registry.host}/slow:v1"
                    async with asyncio.timeout(10):
                        while len(registry.seen) < 3:
                            await asyncio.sleep(0.001)
                    yield f"{registry.host}/app:v1"

                async with aclosing(verifier.verify_many(images())) as verdicts:
                    first = await anext(verdicts)
                assert (first.requests, first.bytes) == (1, len(DOCUMENT))
                assert first.requests + verifier.listing.requests == len(registry.seen) == 4

    asyncio.run(story())


def test_results_that_nobody_took_are_told_and_those_that_were_taken_are_not():
    async def story():
        all_done = asyncio.Event()
        untaken = []

        async def work(item, _):
            if item == 4:
                all_done.set()
            return item

        async with aclosing(run_many(work, range(5), concurrency=5, untaken=untaken.append)) as results:
            taken = [await anext(results)]
            await all_done.wait()
            taken.append(await anext(results))
        assert sorted(taken + untaken) == [0, 1, 2, 3, 4]
        assert len(untaken) == 3

    asyncio.run(story())


def test_certificates_that_are_of_no_use_are_found_out_on_entry(policy, tmp_path):
    certs = tmp_path / "certs"
    certs.mkdir()

    async def enter():
        async with Verifier(policy, settings=Settings(cert_dir=str(certs))):
            pass

    asyncio.run(enter())
    (certs / "me.cert").write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"missing key me\.key"):
        asyncio.run(enter())
