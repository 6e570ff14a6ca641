"""Does native JCS pay? A log entry, a statement and numbers, against the `rfc8785` package and the twin."""

from __future__ import annotations

import base64
import random

import pytest

from plimsoll.native import jcs_encode
from plimsoll.native._jcs_py import jcs_encode as jcs_encode_py

rfc8785 = pytest.importorskip("rfc8785", reason="pip install rfc8785: it is the peer")

NOISE = random.Random(8785)

# The payload of Rekor's signed entry timestamp: the value that is canonicalised once an image.
LOG_ENTRY = {
    "body": base64.b64encode(NOISE.randbytes(700)).decode(),
    "integratedTime": 1_700_000_000,
    "logIndex": 123_456_789,
    "logID": NOISE.randbytes(32).hex(),
}
STATEMENT = {
    "_type": "https://in-toto.io/Statement/v1",
    "predicateType": "https://slsa.dev/provenance/v1",
    "subject": [
        {"name": f"registry.example/app-{n}", "digest": {"sha256": NOISE.randbytes(32).hex()}} for n in range(10)
    ],
    "predicate": {
        "buildDefinition": {
            "buildType": "https://example.com/build/v1",
            "externalParameters": {
                "repository": "https://example.com/r\u00e9po",
                "ref": "refs/heads/main",
                "nested": [1, 2.5, None],
            },
            "resolvedDependencies": [
                {"uri": f"git+https://example.com/{n}", "digest": {"gitCommit": NOISE.randbytes(20).hex()}}
                for n in range(40)
            ],
        },
        "runDetails": {
            "builder": {"id": "https://example.com/b"},
            "metadata": {"startedOn": "2026-01-01T00:00:00Z", "ok": True},
        },
    },
}
NUMBERS = [NOISE.uniform(-1, 1) * 10.0 ** NOISE.randint(-30, 30) for _ in range(500)]


@pytest.mark.parametrize("value", [LOG_ENTRY, STATEMENT, NUMBERS], ids=["log entry", "statement", "numbers"])
def bench_canonical_bytes(against, value):
    assert jcs_encode(value) == rfc8785.dumps(value) == jcs_encode_py(value)
    against(lambda: jcs_encode(value), rfc8785=lambda: rfc8785.dumps(value), twin=lambda: jcs_encode_py(value))
