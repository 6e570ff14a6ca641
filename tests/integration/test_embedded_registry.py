import asyncio
import io
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from plimsoll import limits
from plimsoll.embedded.registry import application
from plimsoll.embedded.server import RegistryServer, is_loopback
from plimsoll.embedded.store import Store
from plimsoll.errors import UsageError
from plimsoll.model.descriptor import OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST
from plimsoll.model.digest import Digest

VECTORS = Path(__file__).parents[1] / "vectors" / "cosign"


class Reply:
    def __init__(self, status: int, headers, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def code(self) -> str:
        return json.loads(self.body)["errors"][0]["code"]

    @property
    def refusal(self) -> tuple[int, str]:
        return self.status, self.code


class Client:
    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self.address = address
        self._session = session

    async def send(self, method: str, path: str, **options) -> Reply:
        url = URL(f"http://{self.address}{path}", encoded=True)
        data = options.get("data")
        if isinstance(data, bytes) and len(data) > limits.MIB:
            options["data"] = io.BytesIO(options["data"])  # aiohttp warns of large bytes
        async with self._session.request(method, url, allow_redirects=False, **options) as reply:
            return Reply(reply.status, reply.headers, await reply.read())

    async def push_blob(self, repository: str, data: bytes) -> Digest:
        digest = Digest.of(data)
        reply = await self.send("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", data=data)
        assert reply.status == 201, reply.body
        assert reply.headers["Location"] == f"/v2/{repository}/blobs/{digest}"
        return digest

    async def push_manifest(
        self, repository: str, reference: str, data: bytes, media_type: str = OCI_MANIFEST
    ) -> Reply:
        return await self.send(
            "PUT", f"/v2/{repository}/manifests/{reference}", data=data, headers={"Content-Type": media_type}
        )

    async def push_image(self, repository: str, tag: str, **more: object) -> Digest:
        await self.push_blob(repository, b"{}")
        reply = await self.push_manifest(repository, tag, image(**more))
        assert reply.status == 201, reply.body
        return Digest.parse(reply.headers["Docker-Content-Digest"])


def describe(data: bytes, media_type: str = OCI_LAYER_GZIP) -> dict:
    return {"mediaType": media_type, "digest": str(Digest.of(data)), "size": len(data)}


def image(*layers: bytes, **more: object) -> bytes:
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": describe(b"{}", OCI_CONFIG),
            "layers": [describe(layer) for layer in layers],
            **more,
        }
    ).encode()


@asynccontextmanager
async def serving(root: Path, *, allow_push: bool) -> AsyncIterator[Client]:
    with Store(root, writable=allow_push) as store:
        async with RegistryServer(store, allow_push=allow_push) as address, aiohttp.ClientSession() as session:
            yield Client(session, address)


def on_registry(root: Path, work: Callable[[Client], Awaitable[None]], *, allow_push: bool = True) -> None:
    async def run() -> None:
        async with serving(root, allow_push=allow_push) as client:
            await work(client)

    asyncio.run(run())


def test_it_says_that_it_is_a_registry(tmp_path: Path):
    async def work(client: Client) -> None:
        reply = await client.send("GET", "/v2/")
        assert reply.status == 200
        assert reply.headers["Docker-Distribution-API-Version"] == "registry/2.0"
        assert (await client.send("GET", "/other")).status == 404

    on_registry(tmp_path, work)


def test_an_image_goes_in_and_comes_out_byte_for_byte(tmp_path: Path):
    layer = os.urandom(3 * limits.SERVED_AT_ONCE_BYTES)
    data = image(layer) + b"\n"

    async def work(client: Client) -> None:
        await client.push_blob("a/b", b"{}")
        await client.push_blob("a/b", layer)
        pushed = await client.push_manifest("a/b", "v1", data)
        assert pushed.status == 201
        assert pushed.headers["Docker-Content-Digest"] == str(Digest.of(data))
        for reference in ("v1", str(Digest.of(data))):
            got = await client.send("GET", f"/v2/a/b/manifests/{reference}")
            assert (got.status, got.body, got.headers["Content-Type"]) == (200, data, OCI_MANIFEST)
            assert got.headers["Docker-Content-Digest"] == str(Digest.of(data))
            head = await client.send("HEAD", f"/v2/a/b/manifests/{reference}")
            assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(data)))
        for blob in (layer, b"{}"):
            path = f"/v2/a/b/blobs/{Digest.of(blob)}"
            assert (await client.send("GET", path)).body == blob
            head = await client.send("HEAD", path)
            assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(blob)))
        assert json.loads((await client.send("GET", "/v2/_catalog")).body) == {"repositories": ["a/b"]}

    on_registry(tmp_path, work)


def test_what_was_pushed_is_an_oci_layout(tmp_path: Path):
    async def work(client: Client) -> None:
        await client.push_image("a/b", "v1")

    on_registry(tmp_path, work)
    layout = tmp_path / "a/b"
    assert json.loads((layout / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    assert entry["annotations"] == {"org.opencontainers.image.ref.name": "v1"}
    assert (layout / "blobs" / entry["digest"].replace(":", "/")).read_bytes() == image()
    assert not list((tmp_path / ".uploads").iterdir())


@pytest.mark.parametrize("size", [0, 1, 5000, 700_000])
def test_a_blob_goes_in_by_chunks(tmp_path: Path, size: int):
    data = os.urandom(size)
    half = size // 2

    async def work(client: Client) -> None:
        begun = await client.send("POST", "/v2/a/b/blobs/uploads/")
        assert (begun.status, begun.headers["Range"]) == (202, "0-0")
        where = begun.headers["Location"]
        if half:
            headers = {"Content-Range": f"0-{half - 1}"}
            chunk = await client.send("PATCH", where, data=data[:half], headers=headers)
            assert (chunk.status, chunk.headers["Range"]) == (202, f"0-{half - 1}")
            again = await client.send("PATCH", where, data=data[:half], headers=headers)
            assert again.refusal == (416, "BLOB_UPLOAD_INVALID")
            assert again.headers["Range"] == f"0-{half - 1}"
            progress = await client.send("GET", where)
            assert (progress.status, progress.headers["Range"]) == (204, f"0-{half - 1}")
        done = await client.send("PUT", f"{where}?digest={Digest.of(data)}", data=data[half:])
        assert (done.status, done.headers["Docker-Content-Digest"]) == (201, str(Digest.of(data)))
        assert (await client.send("GET", done.headers["Location"])).body == data
        assert (await client.send("GET", where)).refusal == (404, "BLOB_UPLOAD_UNKNOWN")

    on_registry(tmp_path, work)


def test_a_chunk_that_lies_about_its_range_is_refused(tmp_path: Path):
    async def work(client: Client) -> None:
        where = (await client.send("POST", "/v2/a/blobs/uploads/")).headers["Location"]
        for lie in ("0-9", "x", "5-0"):
            reply = await client.send("PATCH", where, data=b"12345", headers={"Content-Range": lie})
            assert reply.code == "BLOB_UPLOAD_INVALID"
        assert (await client.send("PATCH", where, data=b"12345", headers={"Content-Range": "0-4"})).status == 202

    on_registry(tmp_path, work)


@pytest.mark.parametrize("claim", ["0-99", "0-3", "0-0"])
def test_a_chunked_body_that_lies_about_its_range_is_refused_and_forgotten(tmp_path: Path, claim: str):
    async def body() -> AsyncIterator[bytes]:
        yield b"1234"
        yield b"5"

    async def work(client: Client) -> None:
        where = (await client.send("POST", "/v2/a/blobs/uploads/")).headers["Location"]
        lie = await client.send("PATCH", where, data=body(), headers={"Content-Range": claim})
        assert lie.refusal == (409, "BLOB_UPLOAD_INVALID")
        assert (await client.send("GET", where)).headers["Range"] == "0-0"
        written = (tmp_path / ".uploads" / where.rpartition("/")[2]).stat().st_size
        assert written == (5 if claim == "0-99" else 0)
        end = f"{where}?digest={Digest.of(b'12345')}"
        assert (await client.send("PUT", end, data=body(), headers={"Content-Range": claim})).code == lie.code
        told = await client.send("PATCH", where, data=body(), headers={"Content-Range": "0-4"})
        assert (told.status, told.headers["Range"]) == (202, "0-4")
        assert (await client.send("PUT", end)).status == 201
        assert (await client.send("GET", f"/v2/a/blobs/{Digest.of(b'12345')}")).body == b"12345"

    on_registry(tmp_path, work)


def test_bytes_that_are_forgotten_do_not_stay_behind_a_shorter_blob(tmp_path: Path):
    async def body() -> AsyncIterator[bytes]:
        yield b"a long chunk"

    async def work(client: Client) -> None:
        where = (await client.send("POST", "/v2/a/blobs/uploads/")).headers["Location"]
        lie = await client.send("PATCH", where, data=body(), headers={"Content-Range": "0-99"})
        assert lie.refusal == (409, "BLOB_UPLOAD_INVALID")
        assert (await client.send("PUT", f"{where}?digest={Digest.of(b'short')}", data=b"short")).status == 201
        assert (await client.send("GET", f"/v2/a/blobs/{Digest.of(b'short')}")).body == b"short"

    on_registry(tmp_path, work)


def test_abandoned_uploads_cost_no_descriptors_and_give_way_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "UPLOADS", 50)

    async def work(client: Client) -> None:
        path = "/v2/a/blobs/uploads/"
        await client.send("POST", path)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(49):
            begun = await client.send("POST", path)
            assert (await client.send("PATCH", begun.headers["Location"], data=b"1")).status == 202
        assert len(os.listdir("/proc/self/fd")) < before + 10
        assert (await client.send("POST", path)).refusal == (429, "TOOMANYREQUESTS")
        monkeypatch.setattr(limits, "UPLOAD_IDLE_S", 0.0)
        where = (await client.send("POST", path)).headers["Location"]
        assert (await client.send("PUT", f"{where}?digest={Digest.of(b'x')}", data=b"x")).status == 201

    on_registry(tmp_path, work)


def test_bytes_that_are_not_their_digest_are_refused_and_leave_nothing(tmp_path: Path):
    wrong = Digest.of(b"right")

    async def work(client: Client) -> None:
        whole = await client.send("POST", f"/v2/a/blobs/uploads/?digest={wrong}", data=b"wrong")
        assert whole.refusal == (400, "DIGEST_INVALID")
        where = (await client.send("POST", "/v2/a/blobs/uploads/")).headers["Location"]
        assert (await client.send("PUT", where, data=b"wrong")).refusal == (400, "DIGEST_INVALID")
        assert (await client.send("PUT", f"{where}?digest=md5:1", data=b"wrong")).refusal == (400, "DIGEST_INVALID")
        put = await client.send("PUT", f"{where}?digest={wrong}", data=b"wrong")
        assert put.refusal == (400, "DIGEST_INVALID")
        assert (await client.send("GET", f"/v2/a/blobs/{wrong}")).refusal == (404, "BLOB_UNKNOWN")
        await client.push_blob("a", b"{}")
        manifest = await client.push_manifest("a", str(wrong), image())
        assert manifest.refusal == (400, "DIGEST_INVALID")

    on_registry(tmp_path, work)
    assert not list((tmp_path / ".uploads").iterdir())
    assert [path.name for path in (tmp_path / "a/blobs/sha256").iterdir()] == [Digest.of(b"{}").hex]


def test_a_body_is_stored_as_it_was_sent_whatever_its_encoding_says(tmp_path: Path):
    async def work(client: Client) -> None:
        data = b"\x1f\x8b no gzip at all"
        path = f"/v2/a/blobs/uploads/?digest={Digest.of(data)}"
        assert (await client.send("POST", path, data=data, headers={"Content-Encoding": "gzip"})).status == 201

    on_registry(tmp_path, work)


def test_an_upload_can_be_cancelled_and_belongs_to_its_repository(tmp_path: Path):
    async def work(client: Client) -> None:
        where = (await client.send("POST", "/v2/a/blobs/uploads/")).headers["Location"]
        await client.push_image("b", "v1")
        other = where.replace("/v2/a/", "/v2/b/")
        assert (await client.send("PATCH", other, data=b"x")).refusal == (404, "BLOB_UPLOAD_UNKNOWN")
        assert (await client.send("DELETE", where)).status == 204
        assert (await client.send("DELETE", where)).refusal == (404, "BLOB_UPLOAD_UNKNOWN")
        assert (await client.send("PATCH", "/v2/a/blobs/uploads/..", data=b"x")).status == 404

    on_registry(tmp_path, work)
    assert not list((tmp_path / ".uploads").iterdir())


def test_a_client_that_goes_away_in_a_whole_push_leaves_nothing(tmp_path: Path):
    async def work(client: Client) -> None:
        host, port = client.address.split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        digest = Digest.of(b"x" * 1000)
        head = f"POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
        writer.write(head.encode() + b"x" * 10)
        await writer.drain()
        while not (tmp_path / ".uploads").exists() or not list((tmp_path / ".uploads").iterdir()):
            await asyncio.sleep(0.01)
        writer.close()
        while list((tmp_path / ".uploads").iterdir()):
            await asyncio.sleep(0.01)
        assert (await client.send("GET", f"/v2/a/blobs/{digest}")).refusal == (404, "BLOB_UNKNOWN")

    on_registry(tmp_path, work)


def test_a_blob_is_mounted_from_where_it_is_and_uploaded_from_where_it_is_not(tmp_path: Path):
    async def work(client: Client) -> None:
        digest = await client.push_blob("a", b"shared")
        mounted = await client.send("POST", f"/v2/b/blobs/uploads/?mount={digest}&from=a")
        assert (mounted.status, mounted.headers["Location"]) == (201, f"/v2/b/blobs/{digest}")
        assert (await client.send("GET", f"/v2/b/blobs/{digest}")).body == b"shared"
        for source in ("&from=nowhere", "&from=b/../a", "", f"&from={quote('../a', safe='')}"):
            refused = await client.send("POST", f"/v2/c/blobs/uploads/?mount={digest}{source}")
            assert refused.status == 202
            assert "/blobs/uploads/" in refused.headers["Location"]

    on_registry(tmp_path, work)


@pytest.mark.parametrize("size", [1000, 3 * limits.SERVED_AT_ONCE_BYTES])
def test_ranges_of_a_blob(tmp_path: Path, size: int):
    data = os.urandom(size)

    async def work(client: Client) -> None:
        path = f"/v2/a/blobs/{await client.push_blob('a', data)}"
        for asked, start, stop in (
            ("bytes=0-0", 0, 1),
            ("bytes=10-", 10, size),
            ("bytes=-10", size - 10, size),
            (f"bytes=5-{size * 2}", 5, size),
        ):
            reply = await client.send("GET", path, headers={"Range": asked})
            assert (reply.status, reply.body) == (206, data[start:stop])
            assert reply.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{size}"
        beyond = await client.send("GET", path, headers={"Range": f"bytes={size}-"})
        assert beyond.refusal == (416, "RANGE_INVALID")
        assert beyond.headers["Content-Range"] == f"bytes */{size}"
        for ignored in ("bytes=5-1", "lines=1-2", "bytes=0-1,3-4"):
            assert (await client.send("GET", path, headers={"Range": ignored})).body == data

    on_registry(tmp_path, work)


def test_a_blob_that_shrinks_while_it_is_served_never_looks_whole(tmp_path: Path):
    data = os.urandom(64 * limits.MIB)

    async def work(client: Client) -> None:
        digest = await client.push_blob("a", data)
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{client.address}/v2/a/blobs/{digest}") as reply,
        ):
            assert reply.headers["Content-Length"] == str(len(data))
            await reply.content.read(1)
            os.truncate(tmp_path / "a/blobs/sha256" / digest.hex, 1000)
            with pytest.raises(aiohttp.ClientError):
                await reply.read()

    on_registry(tmp_path, work)


def test_tags_come_sorted_and_in_pages(tmp_path: Path):
    tags = sorted([f"v{at}" for at in range(25)] + ["A", "_", "z.z-z"])

    async def work(client: Client) -> None:
        for tag in reversed(tags):
            await client.push_image("a/b", tag)
        whole = await client.send("GET", "/v2/a/b/tags/list")
        assert json.loads(whole.body) == {"name": "a/b", "tags": tags}
        assert "Link" not in whole.headers
        found, path, pages = [], "/v2/a/b/tags/list?n=7", 0
        while path:
            page = await client.send("GET", path)
            found += json.loads(page.body)["tags"]
            pages += 1
            link = page.headers.get("Link", "")
            path = link.partition("<")[2].partition(">")[0]
            assert not link or link.endswith('>; rel="next"')
        assert (found, pages) == (tags, 4)
        between = await client.send("GET", "/v2/a/b/tags/list?last=v1zzz&n=1")
        assert json.loads(between.body)["tags"] == ["v2"]
        assert json.loads((await client.send("GET", "/v2/a/b/tags/list?n=0")).body)["tags"] == []
        assert (await client.send("GET", "/v2/a/b/tags/list?n=-1")).refusal == (400, "PAGINATION_NUMBER_INVALID")
        assert (await client.send("GET", "/v2/nowhere/tags/list")).refusal == (404, "NAME_UNKNOWN")

    on_registry(tmp_path, work)


def test_referrers_are_listed_filtered_and_paged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "SERVED_REFERRERS_BYTES", 600)

    async def work(client: Client) -> None:
        subject = await client.push_image("a", "v1")
        path = f"/v2/a/referrers/{subject}"
        empty = await client.send("GET", path)
        assert (empty.status, empty.headers["Content-Type"]) == (200, OCI_INDEX)
        assert json.loads(empty.body)["manifests"] == []
        about = describe(image(), OCI_MANIFEST)
        for at in range(4):
            kind = {"artifactType": "x/sbom"} if at % 2 else {}
            data = image(subject=about, annotations={"at": str(at)}, **kind)
            pushed = await client.push_manifest("a", str(Digest.of(data)), data)
            assert (pushed.status, pushed.headers["OCI-Subject"]) == (201, str(subject))
        found, pages = await _follow(client, path)
        assert sorted(entry["annotations"]["at"] for entry in found) == ["0", "1", "2", "3"]
        assert pages > 1
        assert {entry["artifactType"] for entry in found} == {"x/sbom", OCI_CONFIG}
        only = await client.send("GET", f"{path}?artifactType=x/sbom")
        assert only.headers["OCI-Filters-Applied"] == "artifactType"
        filtered, _ = await _follow(client, f"{path}?artifactType=x/sbom")
        assert sorted(entry["annotations"]["at"] for entry in filtered) == ["1", "3"]
        assert (await client.send("GET", "/v2/a/referrers/latest")).refusal == (400, "DIGEST_INVALID")
        unknown = await client.send("GET", f"/v2/a/referrers/{Digest.of(b'unknown')}")
        assert json.loads(unknown.body)["manifests"] == []

    on_registry(tmp_path, work)


async def _follow(client: Client, path: str) -> tuple[list[dict], int]:
    found, pages = [], 0
    while path:
        page = await client.send("GET", path)
        found += json.loads(page.body)["manifests"]
        pages += 1
        path = page.headers.get("Link", "").partition("<")[2].partition(">")[0]
    return found, pages


def test_deleting_tags_manifests_and_blobs(tmp_path: Path):
    async def work(client: Client) -> None:
        digest = await client.push_image("a", "v1")
        child = image(annotations={"child": "of an index"})
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [describe(child, OCI_MANIFEST)]}
        await client.push_blob("a", child)
        assert (await client.push_manifest("a", "multi", json.dumps(index).encode(), OCI_INDEX)).status == 201
        for manifest in (digest, Digest.of(child)):
            assert (await client.send("DELETE", f"/v2/a/blobs/{manifest}")).refusal == (403, "DENIED")
            assert (await client.send("GET", f"/v2/a/manifests/{manifest}")).status == 200
        assert (await client.send("DELETE", "/v2/a/manifests/v1")).status == 202
        assert (await client.send("GET", "/v2/a/manifests/v1")).refusal == (404, "MANIFEST_UNKNOWN")
        assert (await client.send("GET", f"/v2/a/manifests/{digest}")).status == 200
        assert (await client.send("DELETE", f"/v2/a/manifests/{digest}")).status == 202
        assert (await client.send("GET", f"/v2/a/manifests/{digest}")).refusal == (404, "MANIFEST_UNKNOWN")
        assert (await client.send("DELETE", f"/v2/a/manifests/{digest}")).refusal == (404, "MANIFEST_UNKNOWN")
        blob = f"/v2/a/blobs/{Digest.of(b'{}')}"
        assert (await client.send("DELETE", blob)).status == 202
        assert (await client.send("DELETE", blob)).refusal == (404, "BLOB_UNKNOWN")

    on_registry(tmp_path, work)


def test_manifests_are_read_strictly_and_capped(tmp_path: Path):
    async def work(client: Client) -> None:
        await client.push_blob("a", b"{}")
        twice = image()[:-1] + b',"layers":[]}'
        assert (await client.push_manifest("a", "v1", twice)).refusal == (400, "MANIFEST_INVALID")
        absent = await client.push_manifest("a", "v1", image(b"absent"))
        assert absent.refusal == (404, "MANIFEST_BLOB_UNKNOWN")
        other = await client.push_manifest("a", "v1", image(), OCI_INDEX)
        assert other.refusal == (400, "MANIFEST_INVALID")
        huge = image(annotations={"a": "x" * limits.MANIFEST_BYTES})
        assert (await client.push_manifest("a", "v1", huge)).refusal == (413, "SIZE_INVALID")
        assert json.loads((await client.send("GET", "/v2/a/tags/list")).body)["tags"] == []

    on_registry(tmp_path, work)


def test_a_manifest_just_below_the_cap_goes_in_and_out(tmp_path: Path):
    data = image(annotations={"a": ""})
    data = image(annotations={"a": "x" * (limits.MANIFEST_BYTES - len(data))})

    async def work(client: Client) -> None:
        await client.push_blob("a", b"{}")
        assert (await client.push_manifest("a", "v1", data)).status == 201
        assert (await client.send("GET", "/v2/a/manifests/v1")).body == data

    assert len(data) == limits.MANIFEST_BYTES
    on_registry(tmp_path, work)


def test_nothing_is_written_without_allow_push(tmp_path: Path):
    async def fill(client: Client) -> None:
        await client.push_image("a", "v1")

    on_registry(tmp_path, fill)
    before = _contents(tmp_path)

    async def work(client: Client) -> None:
        digest, blob = Digest.of(image()), Digest.of(b"{}")
        for method, path in (
            ("PUT", "/v2/a/manifests/v2"),
            ("DELETE", "/v2/a/manifests/v1"),
            ("DELETE", f"/v2/a/manifests/{digest}"),
            ("DELETE", f"/v2/a/blobs/{blob}"),
            ("POST", "/v2/a/blobs/uploads/"),
            ("POST", f"/v2/b/blobs/uploads/?mount={blob}&from=a"),
            ("PATCH", "/v2/a/blobs/uploads/x"),
            ("PUT", f"/v2/a/blobs/uploads/x?digest={digest}"),
            ("DELETE", "/v2/a/blobs/uploads/x"),
        ):
            reply = await client.send(method, path, data=image(), headers={"Content-Type": OCI_MANIFEST})
            assert reply.refusal == (405, "UNSUPPORTED"), (method, path)
        assert (await client.send("GET", "/v2/a/manifests/v1")).body == image()

    on_registry(tmp_path, work, allow_push=False)
    assert _contents(tmp_path) == before


def _contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_pushing_needs_a_store_that_writes(tmp_path: Path):
    with Store(tmp_path) as store, pytest.raises(ValueError, match="writable"):
        application(store, allow_push=True)


@pytest.mark.parametrize(
    "path",
    [
        "/v2/../../etc/passwd",
        "/v2/../manifests/v1",
        "/v2/a/../../outside/manifests/v1",
        "/v2/..%2f..%2foutside/manifests/v1",
        "/v2/%2e%2e/outside/manifests/v1",
        "/v2/a/manifests/..%2f..%2fsecret",
        "/v2/a/manifests/sha256:..%2f..%2fsecret",
        "/v2/a/blobs/sha256:..%2f..%2f..%2fsecret",
        "/v2/a/blobs/..%2findex.json",
        "/v2//etc/manifests/passwd",
        "/v2/a%00b/manifests/v1",
        "/v2/a/blobs/sha256/manifests/v1",
        "/v2/.uploads/manifests/v1",
        "/v2/link/manifests/v1",
        "/v2/link/deep/manifests/v1",
    ],
)
def test_no_path_leads_out_of_the_folder(tmp_path: Path, path: str):
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()

    async def fill(client: Client) -> None:
        await client.push_image("deep", "v1")
        await client.push_image("a", "v1")

    on_registry(outside, fill)
    (tmp_path / "secret").write_bytes(b"secret")
    (root / "link").symlink_to(outside)
    before = _contents(outside)

    async def work(client: Client) -> None:
        await client.push_image("a", "v1")
        for method in ("GET", "HEAD", "PUT", "DELETE"):
            reply = await client.send(method, path, data=image() if method == "PUT" else None)
            assert reply.status in {400, 404, 405, 500}, (method, reply.status)
            assert b"secret" not in reply.body.replace(path.encode(), b"").replace(b"../../secret", b"").replace(
                b"../../../secret", b""
            )

    on_registry(root, work)
    assert _contents(outside) == before


def test_concurrent_pushes_to_one_repository_keep_every_tag(tmp_path: Path):
    tags = {f"t{at}" for at in range(60)}

    async def work(client: Client) -> None:
        await client.push_blob("a", b"{}")
        replies = await asyncio.gather(
            *(client.push_manifest("a", tag, image(annotations={"tag": tag})) for tag in sorted(tags))
        )
        assert {reply.status for reply in replies} == {201}
        assert set(json.loads((await client.send("GET", "/v2/a/tags/list")).body)["tags"]) == tags
        for tag in tags:
            got = await client.send("GET", f"/v2/a/manifests/{tag}")
            assert json.loads(got.body)["annotations"] == {"tag": tag}

    on_registry(tmp_path, work)


def test_layouts_that_cosign_filled_are_served_with_signatures_and_referrers(tmp_path: Path):
    (tmp_path / "cosign").symlink_to(VECTORS)

    async def work(client: Client) -> None:
        index = json.loads((VECTORS / "bundle-k1" / "index.json").read_bytes())
        names = {
            entry["annotations"]["org.opencontainers.image.ref.name"]: entry["digest"] for entry in index["manifests"]
        }
        tags = json.loads((await client.send("GET", "/v2/bundle-k1/tags/list")).body)["tags"]
        assert tags == sorted(names)
        referrers = json.loads((await client.send("GET", f"/v2/bundle-k1/referrers/{names['v1']}")).body)["manifests"]
        assert [entry["artifactType"] for entry in referrers] == ["application/vnd.dev.sigstore.bundle.v0.3+json"]
        bundle = await client.send("GET", f"/v2/bundle-k1/manifests/{referrers[0]['digest']}")
        assert str(Digest.of(bundle.body)) == referrers[0]["digest"]

    # ROOT itself may be a link: the user named it
    on_registry(tmp_path / "cosign", work, allow_push=False)


def test_a_broken_layout_is_a_server_error(tmp_path: Path):
    async def work(client: Client) -> None:
        await client.push_image("a", "v1")
        (tmp_path / "a/index.json").write_bytes(b"{")
        reply = await client.send("GET", "/v2/a/manifests/v1")
        assert reply.refusal == (500, "UNKNOWN")

    on_registry(tmp_path, work)


def test_other_machines_are_served_only_where_that_was_said(tmp_path: Path):
    with Store(tmp_path) as store:
        for host in ("0.0.0.0", "::", "192.0.2.1", "registry.example"):
            assert not is_loopback(host)
            with pytest.raises(UsageError, match="no login"):
                RegistryServer(store, host=host)
            RegistryServer(store, host=host, beyond_loopback=True)
        for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost"):
            assert is_loopback(host)


def test_a_taken_port_is_an_error(tmp_path: Path):
    async def work(client: Client) -> None:
        with Store(tmp_path / "a") as store, pytest.raises(OSError):
            await RegistryServer(store, port=int(client.address.split(":")[1])).start()

    (tmp_path / "a").mkdir()
    on_registry(tmp_path, work)
