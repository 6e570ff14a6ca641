"""What does ``--layers diffid`` cost? One large layer, and `gzip -dc | sha256sum` of it in the same run."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

MIB = 1 << 20
LAYER_BYTES = int(os.environ.get("BENCH_LAYER_MIB", "1024")) * MIB
KINDS = {"gzip": "application/vnd.oci.image.layer.v1.tar+gzip", "zstd": "application/vnd.oci.image.layer.v1.tar+zstd"}
UNPACK = {"gzip": ["gzip", "-dc"], "zstd": ["zstd", "-dcq"]}
PACK = {"gzip": ["gzip", "-6"], "zstd": ["zstd", "-3", "-q", "-T1"]}


def some_files(wanted):
    """Bytes as layers have them: the files of this machine's interpreter, over and over, each time a bit different."""
    found = [path for path in sorted(Path(os.__file__).parent.rglob("*")) if path.is_file()]
    left, turn = wanted, 0
    while left:
        for path in found:
            data = (b"turn %d\n" % turn + path.read_bytes())[:left]
            left -= len(data)
            yield data
        turn += 1


def store(folder, data):
    digest = hashlib.sha256(data).hexdigest()
    (folder / "blobs/sha256" / digest).write_bytes(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}


def write_layer(folder, packing, size):
    """Pack a layer into the layout; gives its descriptor and its diff ID, both computed by nobody of ours."""
    path, content, blob = folder / "layer", hashlib.sha256(), hashlib.sha256()
    with path.open("wb") as file, subprocess.Popen(PACK[packing], stdin=subprocess.PIPE, stdout=file) as packer:
        for data in some_files(size):
            content.update(data)
            packer.stdin.write(data)
        packer.stdin.close()
        assert packer.wait() == 0
    with path.open("rb") as file:
        while data := file.read(MIB):
            blob.update(data)
        os.fsync(file.fileno())  # no write-back while the clock runs
    layer = {"mediaType": KINDS[packing], "digest": f"sha256:{blob.hexdigest()}", "size": path.stat().st_size}
    path.rename(folder / "blobs/sha256" / blob.hexdigest())
    return layer, f"sha256:{content.hexdigest()}"


def write_layout(folder, packing, size):
    """An OCI layout of one image with one layer; gives the path of the layer and its diff ID."""
    (folder / "blobs/sha256").mkdir(parents=True)
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    layer, diff_id = write_layer(folder, packing, size)
    rootfs = {"type": "layers", "diff_ids": [diff_id]}
    config = store(folder, json.dumps({"os": "linux", "architecture": "amd64", "rootfs": rootfs}).encode())
    kinds = {kind: f"application/vnd.oci.image.{kind}.v1+json" for kind in ("config", "manifest", "index")}
    document = {"schemaVersion": 2, "mediaType": kinds["manifest"]}
    document |= {"config": {"mediaType": kinds["config"], **config}, "layers": [layer]}
    manifest = store(folder, json.dumps(document).encode())
    index = {"schemaVersion": 2, "manifests": [{"mediaType": kinds["manifest"], **manifest}]}
    (folder / "index.json").write_text(json.dumps(index))
    return folder / "blobs/sha256" / layer["digest"][7:], diff_id


@pytest.fixture(scope="module", params=UNPACK)
def large_layer(request, tmp_path_factory):
    if shutil.which(request.param) is None:
        pytest.fail(f"this benchmark compares with the {request.param} command: install it")
    folder = tmp_path_factory.mktemp(request.param)
    size = LAYER_BYTES if request.config.getoption("--benchmark-enable") else MIB
    yield (request.param, folder, size, *write_layout(folder, request.param, size))
    shutil.rmtree(folder)


def peak_kib(process):
    """The largest resident set of a process, read while it runs: what wait4 says counts the process that forked it."""
    most = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            break
        most = max([most, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))])
        time.sleep(0.02)
    return most


def verify(folder, depth):
    words = [sys.executable, "-m", "plimsoll", "verify", "-q", "--insecure-policy", "--layers", depth, f"oci:{folder}"]
    process = subprocess.Popen(words)
    peak = peak_kib(process)
    assert process.wait() == 0, "the layer is good, and was not accepted"
    return peak


def bench_one_large_layer(benchmark, large_layer):
    """Whole processes in turn: ours hashes the blob too, which `gzip -dc | sha256sum` alone does not, so tee does."""
    packing, folder, size, blob, diff_id = large_layer

    def by_tools():
        unpack = " ".join(UNPACK[packing])
        script = f"set -eo pipefail; tee >(sha256sum >&2) <'{blob}' | {unpack} | sha256sum"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout.split()[0] == diff_id[7:]

    def by_unpacking_alone():
        script = f"set -eo pipefail; {' '.join(UNPACK[packing])} <'{blob}' | sha256sum"
        subprocess.run(["bash", "-c", script], capture_output=True, check=True)

    works = {
        "diffid": lambda: verify(folder, "diffid"),
        "digest": lambda: verify(folder, "digest"),
        "tee, unpack, sha256sum": by_tools,
        "unpack, sha256sum": by_unpacking_alone,
    }
    seconds, peaks = {}, {}

    def once():
        for name, work in works.items():
            begin = time.perf_counter()
            peaks[name] = work()
            seconds.setdefault(name, []).append(time.perf_counter() - begin)

    benchmark.pedantic(once, rounds=3 if not benchmark.disabled else 1)
    medians = {name: sorted(each)[len(each) // 2] for name, each in seconds.items()}
    ours = medians.pop("diffid")
    info = benchmark.extra_info
    info["unpacked MB/s"] = round(size / 1e6 / ours)
    info["ratio of packing"] = round(size / blob.stat().st_size, 1)
    for name, peer in medians.items():
        info[f"times faster than {name}"] = round(peer / ours, 2)
    info["peak RSS MiB"] = round(peaks["diffid"] / 1024, 1)
    info["peak RSS MiB of --layers digest"] = round(peaks["digest"] / 1024, 1)
