"""How many keyless images a second, at how many requests? Every image's bundle has a certificate of its own.

Bundles are found by the referrers API (``api``), or by the fallback tag where the registry has none (``tag``). The
floor is the bare signature checks of as many bundles, on one core of the same machine in the same round.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time

import pytest

from fakes.pki import OIDC
from private_sigstore import IDENTITY, PrivateSigstore
from static_registry import OCI, Corpus, Writer, free_port, start_nginx

IMAGES = int(os.environ.get("BENCH_IMAGES", "2000"))
BAD = 20
ROUNDS = 5
BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
KINDS = {"v1": "v1 dsse", "v2": "v2 dsse"}


class KeylessWriter(Writer):
    """Signed images as files; ``listing`` says where what refers to an image is listed."""

    def __init__(self, root, *, address, listing):
        super().__init__(root, address=address)
        self.sigstore = PrivateSigstore()
        self._referrers = root / ("referrers" if listing == "api" else "manifests")
        self._separator = ":" if listing == "api" else "-"
        self._referrers.mkdir(exist_ok=True)
        self.checks = []

    def keyless_image(self, number, *, kind, forged):
        """An image and its bundle; a forged one is about the image before."""
        self.image(number, signed=False)
        data = self.manifest_bytes(f"v{number}")
        image = self.described(data, "manifest.v1+json")
        made = self.sigstore.sign(kind, self.manifest_bytes(f"v{number - 1}") if forged else data)
        self.checks += made.checks
        layer = {**self.blob(made.bundle), "mediaType": BUNDLE_TYPE}
        config = {**self.blob(b"{}"), "mediaType": "application/vnd.oci.empty.v1+json"}
        bundle = self.manifest(None, config, layer, artifactType=BUNDLE_TYPE, subject=image)
        listed = {"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": [
            self.described(bundle, "manifest.v1+json") | {"artifactType": BUNDLE_TYPE}
        ]}  # fmt: skip
        name = image["digest"].replace(":", self._separator)
        (self._referrers / name).write_text(json.dumps(listed, separators=(",", ":")))


def write_keyless(folder, *, address, kind, listing):
    writer = KeylessWriter(folder / "tree" / "v2" / "bench" / "app", address=address, listing=listing)
    expected = {}
    for number in range(IMAGES):
        forged = number % BAD == BAD - 1
        writer.keyless_image(number, kind=kind, forged=forged)
        expected[f"docker://{address}/bench/app:v{number}"] = "rejected" if forged else "accepted"
    references, root = folder / "references.txt", folder / "trusted_root.json"
    references.write_text("".join(f"{name}\n" for name in expected))
    root.write_bytes(writer.sigstore.trusted_root())
    return Corpus(address=address, references=references, key=root, expected=expected), writer.checks


@pytest.fixture(params=[(kind, listing) for kind in KINDS for listing in ("api", "tag")], ids="-".join)
def corpus(tmp_path, request):
    if shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        pytest.skip("nginx is missing: apt-get install nginx-light")
    kind, listing = request.param
    port = free_port()
    made = write_keyless(tmp_path, address=f"127.0.0.1:{port}", kind=KINDS[kind], listing=listing)
    nginx = start_nginx(tmp_path, port=port)
    yield made
    nginx.terminate()
    nginx.wait()


def _verify(corpus):
    """One run: its summary, the requests nginx counted, the peak memory in MB."""
    output = corpus.references.with_name("verdicts.jsonl")
    before = corpus.requests()
    process = subprocess.Popen(
        [sys.executable, "-m", "plimsoll", "verify", "--certificate-identity", IDENTITY, "--certificate-oidc-issuer",
         OIDC, "--trusted-root", corpus.key, "--tls-verify=false", "--progress", "none", "--from", corpus.references,
         "--format", "jsonl", "--output", output]
    )  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    *records, summary = [json.loads(line) for line in output.read_text().splitlines()]
    assert {record["image"]: record["verdict"] for record in records} == corpus.expected
    return summary, corpus.requests() - before - 1, usage.ru_maxrss / 1024


def _bare(checks):
    begin = time.perf_counter()
    for check in checks:
        check.run()
    return time.perf_counter() - begin


def bench_keyless_images(benchmark, corpus):
    made, checks = corpus
    measured = []

    def one_round():
        measured.append((_bare(checks), *_verify(made)))

    benchmark.pedantic(one_round, rounds=ROUNDS, warmup_rounds=0)
    rate = statistics.median([row[1]["images_per_second"] for row in measured])
    info = benchmark.extra_info
    info["images/s"] = rate
    info["bare checks on one core, images/s"] = round(IMAGES / statistics.median([row[0] for row in measured]))
    info["requests an image (ours)"] = round(measured[0][1]["requests"] / IMAGES, 3)
    info["requests an image (nginx)"] = round(measured[0][2] / IMAGES, 3)
    info["peak MB"] = round(max(row[3] for row in measured), 1)
