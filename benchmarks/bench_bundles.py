"""How many bundles a second? Beside sigstore's Verifier and the bare signature checks, on distinct certificates.

Each bundle has a certificate, log entry, checkpoint and (Rekor v2) timestamp of its own, and each pass over them begins
with nothing proven: what is remembered is only that the authorities issued their intermediates. One core: all of it in
this thread, pinned. Two cores: the judging threads of a run (``judge_batch``), one against two.
"""

from __future__ import annotations

import gc
import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial

import pytest

from fakes.pki import OIDC
from plimsoll.model.descriptor import Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.evidence import Attachment, Evidence, Found
from plimsoll.model.identity import Exact, Identity
from plimsoll.model.location import locate_docker
from plimsoll.model.manifest import RawManifest
from plimsoll.model.reference import parse_docker_reference
from plimsoll.model.trusted_root import parse_trusted_root
from plimsoll.model.verdict import Judgement, Outcome
from plimsoll.pipeline.judging import judge_batch
from plimsoll.policy.prepare import prepare
from plimsoll.policy.requirements import AdHoc
from plimsoll.signatures.bundle import parse_bundle
from plimsoll.signatures.formats import Artifact, IdentityTrust, LogByRoot
from plimsoll.signatures.known_formats import BUNDLE
from plimsoll.signatures.sigstore import verify_bundle
from plimsoll.signatures.trust_index import index_root
from private_sigstore import IDENTITY, KINDS, PrivateSigstore

BUNDLES = int(os.environ.get("BENCH_BUNDLES", "64"))
ROUNDS = 7
NOW_S = 1_800_000_000.0
WANTED = Identity(issuer=Exact(text=OIDC), subject=Exact(text=IDENTITY))
REFERENCE = parse_docker_reference("registry.example/team/app:v1")


@cache
def instance():
    return PrivateSigstore()


@cache
def signed(kind):
    return [instance().sign(kind, b"manifest %d of %s" % (number, kind.encode())) for number in range(BUNDLES)]


@contextmanager
def cores(count):
    """This thread, and those that it starts, on ``count`` cores only."""
    before = os.sched_getaffinity(0)
    if len(before) < count:
        pytest.skip(f"{count} cores are needed, {len(before)} are there")
    os.sched_setaffinity(0, sorted(before)[:count])
    gc.collect()
    gc.freeze()  # what pytest and the peer have loaded is walked by nobody's garbage collection
    try:
        yield
    finally:
        gc.unfreeze()
        os.sched_setaffinity(0, before)


def fresh_root():
    return index_root(parse_trusted_root(instance().trusted_root()))


def verify_all(kind):
    """Ours: the root is read and indexed once a pass, as once a run."""
    root = fresh_root()
    trust = IdentityTrust(identities=(WANTED,), root=root, log=LogByRoot(root=root))
    for each in signed(kind):
        artifact = Artifact(digests=(Digest.of(each.artifact),), data=each.artifact)
        verify_bundle(parse_bundle(each.bundle), trust, artifact, NOW_S)


def bare_all(kind):
    for each in signed(kind):
        each.bare()


def sigstores_verifier(folder):
    """What does the same with the ``sigstore`` package, of the same bytes."""
    models = pytest.importorskip("sigstore.models", reason="pip install sigstore: it is the peer")
    from sigstore.verify import Verifier, policy  # noqa: PLC0415

    path = folder / "trusted_root.json"
    path.write_bytes(instance().trusted_root())
    verifier = Verifier(trusted_root=models.TrustedRoot.from_file(str(path)))
    wanted = policy.Identity(identity=IDENTITY, issuer=OIDC)

    def verify(kind):
        for each in signed(kind):
            bundle = models.Bundle.from_json(each.bundle)
            if kind.endswith("dsse"):
                verifier.verify_dsse(bundle, wanted)
            else:
                verifier.verify_artifact(each.artifact, bundle, wanted)

    return verify


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore")  # the peer's own
def bench_bundles_on_one_core(against, benchmark, tmp_path, kind):
    sigstore = sigstores_verifier(tmp_path)
    with cores(1):
        against(partial(verify_all, kind), sigstore=partial(sigstore, kind), bare_cryptography=partial(bare_all, kind))
    if not benchmark.disabled:
        benchmark.extra_info["bundles/s"] = round(BUNDLES / benchmark.stats.stats.median)


def evidence(each):
    raw = RawManifest(data=each.artifact)
    layer = Descriptor(
        media_type="application/vnd.dev.sigstore.bundle.v0.3+json",
        digest=Digest.of(each.bundle),
        size=len(each.bundle),
    )
    (place,) = BUNDLE.places((raw.digest,))
    return Evidence(
        image=str(REFERENCE),
        location=locate_docker(REFERENCE),
        manifest=raw,
        digests=(raw.digest,),
        now_s=NOW_S,
        answers={place: Found(attachments=(Attachment(descriptor=layer, data=each.bundle),))},
    )


def judge_all(kind, threads):
    ready = prepare((AdHoc(identities=(WANTED,)),), read_key=lambda _: b"", trust_root=fresh_root(), attachments=True)
    cases = [(ready, found) for found in evidences(kind)]
    lists = [cases[at : at + 8] for at in range(0, len(cases), 8)]
    with ThreadPoolExecutor(max_workers=threads) as pool:
        found = [judged for judgements in pool.map(judge_batch, lists) for judged in judgements]
    assert all(isinstance(each, Judgement) and each.outcome is Outcome.ACCEPTED for each in found), found[0]


@cache
def evidences(kind):
    return [evidence(each) for each in signed(kind)]


def _seconds(kind, count):
    with cores(count):
        begin = time.perf_counter()
        judge_all(kind, count)
        return time.perf_counter() - begin


@pytest.mark.parametrize("kind", KINDS)
def bench_bundles_on_two_cores(benchmark, kind):
    one, two = [], []

    def one_round():
        one.append(_seconds(kind, 1))
        two.append(_seconds(kind, 2))

    benchmark.pedantic(one_round, rounds=1 if benchmark.disabled else ROUNDS, warmup_rounds=1)
    ratios = [single / double for single, double in zip(one, two, strict=True)]
    benchmark.extra_info["times faster than on one core"] = round(statistics.median(ratios), 2)
    benchmark.extra_info["bundles/s on two"] = round(BUNDLES / statistics.median(two))
