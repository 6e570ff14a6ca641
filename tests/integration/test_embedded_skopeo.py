"""The embedded registry under a client that is not ours."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from plimsoll.embedded.server import RegistryServer
from plimsoll.embedded.store import Store

pytestmark = pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
VECTORS = Path(__file__).parents[1] / "vectors" / "cosign"


async def skopeo(*arguments: str, policy: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        "skopeo", f"--policy={policy}", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, error = await process.communicate()
    assert process.returncode == 0, error.decode()
    return out.decode()


def test_skopeo_pushes_copies_lists_pulls_and_deletes(tmp_path: Path):
    root, policy, back = tmp_path / "root", tmp_path / "policy.json", tmp_path / "back"
    root.mkdir()
    policy.write_text('{"default":[{"type":"insecureAcceptAnything"}]}')
    both = ("--src-tls-verify=false", "--dest-tls-verify=false")

    async def run() -> None:
        with Store(root, writable=True) as store:
            async with RegistryServer(store, allow_push=True) as address:
                await skopeo(
                    "copy",
                    "-a",
                    both[1],
                    f"oci:{VECTORS / 'multiarch'}:v1",
                    f"docker://{address}/x/multi:v1",
                    policy=policy,
                )
                await skopeo(
                    "copy", "-a", *both, f"docker://{address}/x/multi:v1", f"docker://{address}/y:v2", policy=policy
                )
                await skopeo(
                    "copy",
                    *both,
                    "--format=v2s2",
                    f"docker://{address}/y:v2",
                    f"docker://{address}/y:docker",
                    policy=policy,
                )
                listed = await skopeo("list-tags", "--tls-verify=false", f"docker://{address}/y", policy=policy)
                assert json.loads(listed)["Tags"] == ["docker", "v2"]
                await skopeo("copy", "-a", both[0], f"docker://{address}/y:v2", f"oci:{back}:v1", policy=policy)
                await skopeo("delete", "--tls-verify=false", f"docker://{address}/y:v2", policy=policy)
                listed = await skopeo("list-tags", "--tls-verify=false", f"docker://{address}/y", policy=policy)
                assert json.loads(listed)["Tags"] == ["docker"]

    asyncio.run(run())
    pulled = {path.name: path.read_bytes() for path in (back / "blobs/sha256").iterdir()}
    assert pulled == {name: (VECTORS / "multiarch/blobs/sha256" / name).read_bytes() for name in pulled}
    assert len(pulled) >= 7
