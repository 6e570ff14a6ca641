from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from fakes.layouts import LayoutWriter
from fakes.saved import SavedWriter
from plimsoll import transport
from plimsoll.errors import NotFoundError
from plimsoll.model.reference import parse_reference
from plimsoll.model.settings import HttpSettings, TLSSettings
from plimsoll.transport import archive
from plimsoll.transport.opening import Transports, locate
from plimsoll.transport.registry import RegistrySource


async def nothing(*_, **__):
    return None


def transports():
    return Transports(HttpSettings(), credentials_for=nothing, tls_for=lambda _: TLSSettings())


def test_every_transport_is_opened_by_its_reference(tmp_path):
    layout = LayoutWriter()
    image = layout.image("one", name="v1")
    layout.write(tmp_path / "layout")
    layout.tar(tmp_path / "layout.tar")
    folder = tmp_path / "dir"
    folder.mkdir()
    (folder / "manifest.json").write_bytes(layout.files[f"blobs/sha256/{image.digest.hex}"])

    async def story():
        opener = transports()
        for text in (f"oci:{tmp_path}/layout:v1", f"oci-archive:{tmp_path}/layout.tar:v1", f"dir:{folder}"):
            source = await opener.open(parse_reference(text))
            assert (await source.manifest()).digest == image.digest
            assert source.location == locate(parse_reference(text))
            await source.aclose()
        saved = SavedWriter()
        saved.image(b"layer")
        saved.write(tmp_path / "saved.tar")
        for text in (f"docker-archive:{tmp_path}/saved.tar", f"docker-archive:{tmp_path}/saved.tar:app:v1"):
            source = await opener.open(parse_reference(text))
            assert (await source.manifest()).data.startswith(b'{"schemaVersion":2')
            assert source.location == locate(parse_reference(text))
            await source.aclose()
        source = await opener.open(parse_reference("docker://registry.example/app:v1"))
        assert isinstance(source, RegistrySource)
        assert source.location == locate(parse_reference("registry.example/app:v1"))
        assert source.meter.requests == 0
        await source.aclose()
        with pytest.raises(NotFoundError):
            await opener.open(parse_reference(f"oci-archive:{tmp_path}/nowhere.tar"))
        await opener.aclose()

    asyncio.run(story())


def test_a_compressed_archive_is_unpacked_once_for_all_who_want_it(tmp_path, monkeypatch):
    unpacked = []
    monkeypatch.setattr(archive, "_unpacked", lambda *what, real=archive._unpacked: unpacked.append(1) or real(*what))
    layout = LayoutWriter()
    image = layout.image("one", name="v1")
    layout.tar(tmp_path / "a.tar", packed=True)

    async def story():
        opener = transports()
        sources = await asyncio.gather(
            *(opener.open(parse_reference(f"oci-archive:{tmp_path}/a.tar:v1")) for _ in range(8))
        )
        assert {(await source.manifest()).digest for source in sources} == {image.digest}
        for source in sources:
            await source.aclose()
        await opener.aclose()

    asyncio.run(story())
    assert unpacked == [1]


def test_local_paths_are_located_without_links(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    for text in ("oci", "oci-archive", "dir"):
        location = locate(parse_reference(f"{text}:{tmp_path}/link/not-yet"))
        assert location.transport == text
        assert location.identity == f"{tmp_path.resolve()}/real/not-yet"


def test_docker_hub_is_asked_at_its_registrys_host():
    async def story():
        opener = transports()
        source = opener.open_registry(parse_reference("busybox"))
        assert source._repository.host.name == "registry-1.docker.io"
        assert source._repository.domain == "docker.io"
        assert source.location.identity == "docker.io/library/busybox:latest"
        await opener.aclose()

    asyncio.run(story())


def test_local_images_load_no_http(tmp_path):
    layout = LayoutWriter()
    layout.image("one")
    layout.write(tmp_path)
    code = f"""
import asyncio, sys
import plimsoll.transport
from plimsoll.transport import Transports
from plimsoll.model.reference import parse_reference
from plimsoll.model.settings import HttpSettings, TLSSettings
async def story():
    opener = Transports(HttpSettings(), credentials_for=None, tls_for=lambda _: TLSSettings())
    source = await opener.open(parse_reference("oci:{tmp_path}"))
    await source.manifest()
    await source.aclose()
    await opener.aclose()
asyncio.run(story())
assert "aiohttp" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_rooms_names_load_when_they_are_used():
    assert transport.Transports is Transports
    for name in transport.__all__:
        assert getattr(transport, name).__module__.startswith("plimsoll.transport.")
    with pytest.raises(AttributeError):
        _ = transport.Nothing
    code = "import sys, plimsoll.transport; assert 'asyncio' not in sys.modules and 'aiohttp' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
