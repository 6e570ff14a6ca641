"""How many images a second, at how many requests and how much memory? Against wrk and a bare aiohttp loop, in turn.

The limit is what ``wrk -t1 -c16`` gets from the same nginx for one of the same manifests; the floor of a client on
aiohttp is the same three GETs without any check (``bare_client.py``). Each round runs all three, one after the other.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from static_registry import Corpus, free_port, start_nginx, write_corpus

IMAGES = int(os.environ.get("BENCH_IMAGES", "2000"))
ROUNDS = 5
PLIMSOLL = [sys.executable, "-m", "plimsoll"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    if shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        pytest.skip("nginx is missing: apt-get install nginx-light")
    folder = tmp_path_factory.mktemp("bulk")
    port = free_port()
    made = write_corpus(folder, address=f"127.0.0.1:{port}", images=IMAGES, bad=20)
    nginx = start_nginx(folder, port=port)
    yield made
    nginx.terminate()
    nginx.wait()


def _wrk(corpus: Corpus) -> float | None:
    if shutil.which("wrk") is None:
        return None
    url = f"http://{corpus.address}/v2/bench/app/manifests/v1"
    said = subprocess.run(["wrk", "-t1", "-c16", "-d2", url], capture_output=True, text=True, check=True).stdout
    return float(re.search(r"Requests/sec:\s*([0-9.]+)", said)[1])


def _bare(corpus: Corpus) -> float:
    script = Path(__file__).with_name("bare_client.py")
    said = subprocess.run(
        [sys.executable, script, corpus.references], capture_output=True, text=True, check=True
    ).stdout
    return float(said)


def _verify(corpus: Corpus) -> tuple[dict[str, object], int, float]:
    """One run: its summary, the requests nginx counted, the peak memory in MB."""
    output = corpus.references.with_name("verdicts.jsonl")
    before = corpus.requests()
    process = subprocess.Popen(
        [*PLIMSOLL, "verify", "--key", corpus.key, "--insecure-ignore-tlog", "--tls-verify=false", "--progress", "none",
         "--from", corpus.references, "--format", "jsonl", "--output", output]
    )  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    *records, summary = [json.loads(line) for line in output.read_text().splitlines()]
    assert {record["image"]: record["verdict"] for record in records} == corpus.expected
    return summary, corpus.requests() - before - 1, usage.ru_maxrss / 1024


def bench_bulk_verification(benchmark, corpus):
    measured = []

    def one_round():
        wrk, bare = _wrk(corpus), _bare(corpus)
        measured.append((wrk, bare, *_verify(corpus)))

    benchmark.pedantic(one_round, rounds=ROUNDS, warmup_rounds=0)
    median = statistics.median
    rate = median([row[2]["images_per_second"] for row in measured])
    requests_s = median([row[2]["requests"] / row[2]["seconds"] for row in measured])
    info = benchmark.extra_info
    info["images/s"] = rate
    info["bare aiohttp images/s"] = round(median([row[1] for row in measured]))
    info["share of bare aiohttp"] = round(median([row[2]["images_per_second"] / row[1] for row in measured]), 2)
    if measured[0][0] is not None:
        info["wrk requests/s"] = round(median([row[0] for row in measured]))
        info["wrk is so many times faster"] = round(median([row[0] for row in measured]) / requests_s, 1)
    info["requests an image (ours)"] = round(measured[0][2]["requests"] / IMAGES, 3)
    info["requests an image (nginx)"] = round(measured[0][3] / IMAGES, 3)
    info["peak MB"] = round(max(row[4] for row in measured), 1)
