"""``--layers diffid`` from every place that images are read from: honest images, and forged ones beside them.

The forgeries keep every digest of the manifest right: only what the layers unpack to shows them.
"""

from __future__ import annotations

import bz2
import gzip
import json
import os
import shutil
import subprocess

import pytest

from fakes.layers import DOCKER, OCI, TAR, config_of, digest_of, gzipped, layer, zstd
from fakes.layouts import LayoutWriter, fields
from fakes.saved import SavedWriter
from fakes.served import served
from plimsoll.cli.main import main
from plimsoll.model.descriptor import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST

BASE = TAR
OWN = layer("own", os.urandom(300_000))
TARS = [BASE, OWN]
CASES = {
    "good": (TARS, TARS, None),
    "other contents": (TARS, [BASE, layer("own", b"harmless")], "diffid-mismatch"),
    "swapped": (TARS, TARS[::-1], "diffid-mismatch"),
    "one more layer": ([*TARS, layer("more", b"")], TARS, "diffid-mismatch"),
    "one layer less": ([BASE], TARS, "diffid-mismatch"),
}
"""The layers that the manifest lists, the tars whose diff IDs the config has, and the reason that is due."""


@pytest.fixture(autouse=True)
def quiet_environment(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.lower().startswith(("registry_", "containers_", "xdg_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def add(writer, layers, diffs, *, packed=gzipped, kind=f"{OCI}+gzip", name="v1"):
    config = writer.blob(config_of(map(digest_of, diffs)), OCI_CONFIG)
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": fields(config),
        "layers": [fields(writer.blob(packed(tar), kind)) for tar in layers],
    }
    manifest = writer.blob(json.dumps(document).encode(), OCI_MANIFEST)
    if name is not None:
        writer.list(manifest, name=name)
    return manifest


def layout(layers, diffs, **how):
    writer = LayoutWriter()
    add(writer, layers, diffs, **how)
    return writer


def as_directory(writer, folder):
    """A layout of one image as skopeo's ``dir:`` would have it."""
    folder.mkdir()
    (folder / "version").write_bytes(b"Directory Transport Version: 1.1\n")
    manifest = writer.entries[0]["digest"].removeprefix("sha256:")
    for name, data in writer.files.items():
        if name.startswith("blobs/sha256/"):
            (folder / name.removeprefix("blobs/sha256/")).write_bytes(data)
    (folder / manifest).rename(folder / "manifest.json")
    return folder


def places(folder, layers, diffs):
    """The same image in a layout, in a plain and a packed archive, and in a directory."""
    writer = layout(layers, diffs)
    (folder / "layout").mkdir()
    writer.write(folder / "layout")
    writer.tar(folder / "plain.tar")
    writer.tar(folder / "packed.tar", packed=True)
    as_directory(writer, folder / "dir")
    return [
        f"oci:{folder}/layout:v1",
        f"oci-archive:{folder}/plain.tar:v1",
        f"oci-archive:{folder}/packed.tar:v1",
        f"dir:{folder}/dir",
    ]


def verdicts(capfd, *words, depth="diffid"):
    """Exit code and records; for references as they are given."""
    code = main(["verify", "--insecure-policy", "--layers", depth, "--format=jsonl", *words])
    *records, _ = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    return code, sorted(records, key=lambda record: record["position"])


def codes(record):
    return {reason["code"] for reason in record["reasons"]}


@pytest.mark.parametrize("case", CASES)
def test_a_forgery_is_found_wherever_it_lies_and_only_by_looking_so_deep(tmp_path, capfd, case):
    layers, diffs, due = CASES[case]
    images = places(tmp_path, layers, diffs)
    code, records = verdicts(capfd, *images)
    assert code == (0 if due is None else 3)
    assert [codes(record) for record in records] == [set() if due is None else {due}] * len(images)
    assert verdicts(capfd, *images, depth="digest")[0] == 0


@pytest.mark.parametrize("case", CASES)
def test_a_registry_is_asked_once_for_each_blob(tmp_path, capfd, case):
    layers, diffs, due = CASES[case]
    (tmp_path / "root/team/app").mkdir(parents=True)
    layout(layers, diffs).write(tmp_path / "root/team/app")
    with served(tmp_path / "root") as registry:
        words = ["--tls-verify=false", f"docker://{registry}/team/app:v1"]
        code, (record,) = verdicts(capfd, *words)
        hashed, (other,) = verdicts(capfd, *words, depth="digest")
    assert (code, codes(record)) == ((0, set()) if due is None else (3, {due}))
    assert (hashed, codes(other)) == (0, set())
    blobs = 1 + len(layers)
    assert other["requests"] == 1 + blobs
    # Where the numbers differ no layer is fetched.
    assert record["requests"] == (1 + blobs if len(layers) == len(diffs) else 2)


def test_a_corrupt_blob_of_a_registry_is_its_own_reason(tmp_path, capfd):
    root = tmp_path / "root/team/app"
    root.mkdir(parents=True)
    layout(TARS, TARS).write(root)
    blob = root / "blobs/sha256" / digest_of(gzipped(OWN))[7:]
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.write_bytes(data)
    with served(tmp_path / "root") as registry:
        code, (record,) = verdicts(capfd, "--tls-verify=false", f"docker://{registry}/team/app:v1")
    assert (code, codes(record)) == (3, {"layer-digest-mismatch"})


@pytest.mark.parametrize(("kind", "packed"), [(f"{OCI}+zstd", zstd.compress), (OCI, bytes), (f"{DOCKER}.gzip", bytes)])
def test_other_packings(tmp_path, capfd, kind, packed):
    for name, diffs, code in (("good", TARS, 0), ("bad", TARS[::-1], 3)):
        (tmp_path / name).mkdir()
        layout(TARS, diffs, kind=kind, packed=packed).write(tmp_path / name)
        assert verdicts(capfd, f"oci:{tmp_path}/{name}:v1")[0] == code


@pytest.mark.parametrize("packed", [bytes, gzip.compress, bz2.compress])
def test_archives_of_docker_whose_layers_lie_there_in_any_packing(tmp_path, capfd, packed):
    for name, own, due in (("good", OWN, set()), ("bad", OWN[:-1] + b"x", {"layer-digest-mismatch"})):
        # The made manifest names layers by their diff IDs, so that their digests show all that diff IDs can.
        writer = SavedWriter()
        config = config_of([digest_of(BASE), digest_of(OWN)])
        writer.add(f"{digest_of(config)[7:]}.json", config)
        writer.item(config, writer.add("base.tar", packed(BASE)), writer.add("own.tar", packed(own)))
        code, (record,) = verdicts(capfd, f"docker-archive:{writer.write(tmp_path / name)}")
        assert (code, codes(record)) == (3 if due else 0, due)


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
def test_what_skopeo_writes_from_an_archive_announces_gzip_and_is_plain(tmp_path, capfd):
    writer = SavedWriter()
    writer.image(BASE, OWN)
    source = f"docker-archive:{writer.write(tmp_path / 'saved.tar')}"
    subprocess.run(
        ["skopeo", "copy", "--insecure-policy", "-q", source, f"dir:{tmp_path}/dir"], check=True, capture_output=True
    )
    layers = json.loads((tmp_path / "dir/manifest.json").read_bytes())["layers"]
    assert {each["mediaType"] for each in layers} == {f"{DOCKER}.gzip"}
    assert (tmp_path / "dir" / digest_of(BASE)[7:]).read_bytes() == BASE
    code, (record,) = verdicts(capfd, f"dir:{tmp_path}/dir")
    assert (code, record["reasons"]) == (0, [])


def test_an_index_by_itself_and_by_platform(tmp_path, capfd):
    writer = LayoutWriter()
    good, bad = add(writer, TARS, TARS, name=None), add(writer, TARS, TARS[::-1], name=None)
    listed = [
        {**fields(good), "platform": {"os": "linux", "architecture": "amd64"}},
        {**fields(bad), "platform": {"os": "linux", "architecture": "arm64"}},
    ]
    for name, children in (("both", listed), ("one", listed[:1])):
        data = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children}).encode()
        writer.list(writer.blob(data, OCI_INDEX), name=name)
    writer.write(tmp_path)
    for words, code in (
        ([f"oci:{tmp_path}:both"], 3),
        ([f"oci:{tmp_path}:one"], 0),
        (["--platform=linux/amd64", f"oci:{tmp_path}:both"], 0),
        (["--platform=linux/arm64", f"oci:{tmp_path}:both"], 3),
    ):
        assert verdicts(capfd, *words)[0] == code
    _, (record,) = verdicts(capfd, "--platform=all", f"oci:{tmp_path}:both")
    assert [instance["verdict"] for instance in record["instances"]] == ["accepted", "rejected"]
    assert codes(record) == {"diffid-mismatch"}


def test_an_artifact_is_undetermined_and_says_what_to_do(tmp_path, capfd):
    writer = LayoutWriter()
    config = writer.blob(b"{}", "application/vnd.cncf.helm.config.v1+json")
    chart = writer.blob(gzipped(BASE), "application/vnd.cncf.helm.chart.content.v1.tar+gzip")
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": fields(config), "layers": [fields(chart)]}
    writer.list(writer.blob(json.dumps(document).encode(), OCI_MANIFEST), name="v1")
    writer.write(tmp_path)
    code, (record,) = verdicts(capfd, f"oci:{tmp_path}:v1")
    assert (code, codes(record)) == (4, {"unsupported"})
    assert verdicts(capfd, f"oci:{tmp_path}:v1", depth="digest")[0] == 0
