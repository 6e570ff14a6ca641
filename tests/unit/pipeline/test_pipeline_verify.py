import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest

from fakes.signing import signer
from fakes.sources import Memory, MemoryTransports, describe, index_bytes
from plimsoll import errors, limits
from plimsoll.errors import PlimsollError
from plimsoll.model.descriptor import OCI_INDEX
from plimsoll.model.digest import Digest
from plimsoll.model.reference import parse_reference
from plimsoll.model.settings import Layers, Settings
from plimsoll.model.verdict import Outcome
from plimsoll.pipeline.batching import Batcher
from plimsoll.pipeline.judging import judge_batch
from plimsoll.pipeline.layers import BlobHasher, hash_batch
from plimsoll.pipeline.platforms import IndexRule
from plimsoll.pipeline.verify import Bench, judgement_of, verify_reference
from plimsoll.policy.prepare import Ready, prepare
from plimsoll.policy.requirements import AcceptAnything, AdHoc, LogDemand, Reject

NAME = "registry.example/team/app"
ALICE = signer(name="alice")
MALLORY = signer(name="mallory")


def trusting(*signers, threshold=1):
    return (AdHoc(keys=tuple(s.key for s in signers), threshold=threshold, log=LogDemand.IGNORED),)


def ready(requirements):
    def no_key(path):
        raise errors.UnreadableKeyError(path)

    return prepare(requirements, read_key=no_key, trust_root=None, attachments=True)


def always(chosen):
    async def ready_for(*_):
        return chosen

    return ready_for


@asynccontextmanager
async def bench(memory, *, requirements=None, layers=Layers.NONE, platform=None, ready_for=None, opening=None):
    chosen = ready(trusting(ALICE) if requirements is None else requirements)
    clock = iter(range(1000))
    with ThreadPoolExecutor(max_workers=2) as executor:
        yield Bench(
            transports=MemoryTransports(memory, opening=opening),
            ready_for=ready_for or always(chosen),
            judges=Batcher(judge_batch, executor=executor, workers=2, most=8),
            hasher=BlobHasher(Batcher(hash_batch, executor=executor, workers=2, most=8)),
            layers=layers,
            indexes=IndexRule.of(Settings(platform=platform)),
            now=lambda: 1_800_000_000.0,
            monotonic=lambda: float(next(clock)),
        )


def verify(memory, text=f"{NAME}:v1", *, position=0, **options):
    async def run():
        async with bench(memory, **options) as made, asyncio.timeout(20):
            return await verify_reference(made, parse_reference(text), position=position)

    return asyncio.run(run())


def codes(verdict):
    return [reason.code for reason in verdict.reasons]


def signed(*signers, **changes):
    memory = Memory()
    memory.sign(memory.put_image("v1"), *(signers or (ALICE,)), **changes)
    return memory


def test_a_signed_image_is_accepted_in_three_requests():
    memory = signed()
    verdict = verify(memory, position=7)
    digest = Digest.of(memory.tags["v1"])
    assert verdict.outcome is Outcome.ACCEPTED
    assert verdict.image == f"docker://{NAME}:v1"
    assert (verdict.position, verdict.judged, verdict.reasons, verdict.instances) == (7, "image", (), None)
    assert verdict.digest == digest
    assert verdict.pinned == f"{NAME}@{digest}"
    assert verdict.requests == 3
    assert verdict.bytes == sum(len(memory.tags[tag]) for tag in ("v1", f"{digest.tag}.sig")) + len(
        memory.blobs[memory.asked[-1]]
    )
    assert verdict.seconds == 1.0
    (signature,) = verdict.signatures
    assert (signature.format, signature.verified, signature.key) == ("cosign", True, ALICE.fingerprint)
    assert memory.closed == 1


def test_an_unsigned_image_is_rejected_in_two_requests():
    memory = Memory()
    memory.put_image("v1")
    verdict = verify(memory)
    assert (verdict.outcome, codes(verdict), verdict.requests) == (Outcome.REJECTED, ["no-signature"], 2)


def test_a_strangers_signature_is_rejected():
    verdict = verify(signed(MALLORY))
    assert (verdict.outcome, codes(verdict)) == (Outcome.REJECTED, ["untrusted-key"])


def test_another_images_signature_is_rejected():
    memory = Memory()
    other, image = memory.put_image("other", layers=(b"other",)), memory.put_image("v1")
    memory.sign(other, ALICE, tag=f"{Digest.parse(image['digest']).tag}.sig")
    verdict = verify(memory)
    assert (verdict.outcome, codes(verdict)) == (Outcome.REJECTED, ["digest-mismatch"])


def test_accept_anything_asks_for_no_signature():
    memory = signed()
    verdict = verify(memory, requirements=(AcceptAnything(),))
    assert (verdict.outcome, verdict.requests) == (Outcome.ACCEPTED, 1)


@pytest.mark.parametrize("requirements", [(), (Reject(),)])
def test_nothing_and_reject_reject(requirements):
    verdict = verify(signed(), requirements=requirements)
    assert (verdict.outcome, codes(verdict)) == (Outcome.REJECTED, ["policy-reject"])


ERRORS = [
    (errors.UnreachableError("x"), Outcome.UNDETERMINED, "unreachable"),
    (errors.UntrustedHostError("x"), Outcome.UNDETERMINED, "unreachable"),
    (errors.RequestTimeoutError("x"), Outcome.UNDETERMINED, "timeout"),
    (errors.ConnectTimeoutError("x"), Outcome.UNDETERMINED, "timeout"),
    (errors.UnauthorizedError("x"), Outcome.UNDETERMINED, "unauthorized"),
    (errors.NotFoundError("x"), Outcome.UNDETERMINED, "not-found"),
    (errors.RateLimitedError("x"), Outcome.UNDETERMINED, "rate-limited"),
    (errors.RegistryError("x", status=500), Outcome.UNDETERMINED, "server-error"),
    (errors.UnsupportedError("x"), Outcome.UNDETERMINED, "unsupported"),
    (errors.InvalidReferenceError("x"), Outcome.UNDETERMINED, "invalid-reference"),
    (errors.UnreadableKeyError("x"), Outcome.UNDETERMINED, "key-unreadable"),
    (errors.DigestMismatchError("x"), Outcome.REJECTED, "digest-mismatch"),
    (errors.LayerDigestMismatchError("x"), Outcome.REJECTED, "layer-digest-mismatch"),
    (errors.MalformedManifestError("x"), Outcome.REJECTED, "manifest-invalid"),
    (errors.LimitExceededError("x"), Outcome.REJECTED, "limit-exceeded"),
    # What has no place here is a fault of ours, never a rejection and never a pass.
    (errors.ConfigError("x"), Outcome.UNDETERMINED, "internal-error"),
    (errors.BadSignatureError("x"), Outcome.UNDETERMINED, "internal-error"),
    (errors.StoreError("x"), Outcome.UNDETERMINED, "internal-error"),
    (PlimsollError("x"), Outcome.UNDETERMINED, "internal-error"),
    (ValueError("x"), Outcome.UNDETERMINED, "internal-error"),
    (RecursionError("x"), Outcome.UNDETERMINED, "internal-error"),
    (MemoryError(), Outcome.UNDETERMINED, "internal-error"),
    (OSError(24, "Too many open files"), Outcome.UNDETERMINED, "internal-error"),
    (ExceptionGroup("x", [ValueError("y")]), Outcome.UNDETERMINED, "internal-error"),
]


@pytest.mark.parametrize(("error", "outcome", "code"), ERRORS, ids=[type(error).__name__ for error, _, _ in ERRORS])
class TestEveryErrorBecomesAVerdict:
    def test_while_opening(self, error, outcome, code):
        verdict = verify(signed(), opening=error)
        assert (verdict.outcome, codes(verdict), verdict.requests) == (outcome, [code], 0)
        assert (verdict.digest, verdict.pinned, verdict.judged) == (None, None, None)

    def test_while_reading_the_manifest(self, error, outcome, code):
        memory = signed()
        memory.faults["v1"] = error
        verdict = verify(memory)
        assert (verdict.outcome, codes(verdict), verdict.requests) == (outcome, [code], 1)
        assert (verdict.digest, verdict.pinned, verdict.judged) == (None, None, None)
        assert memory.closed == 1

    def test_while_selecting_the_requirements(self, error, outcome, code):
        async def ready_for(*_):
            raise error

        verdict = verify(signed(), ready_for=ready_for)
        assert (verdict.outcome, codes(verdict)) == (outcome, [code])
        assert verdict.digest is not None

    def test_judgement_of_alone(self, error, outcome, code):
        if isinstance(error, PlimsollError):
            found = judgement_of(error)
            assert (found.outcome, [reason.code for reason in found.reasons]) == (outcome, [code])


@pytest.mark.parametrize("error", [errors.UnreachableError("x"), errors.RegistryError("x", status=503)])
def test_a_signature_that_could_not_be_had_is_undetermined(error):
    memory = signed()
    memory.faults[next(tag for tag in memory.tags if tag.endswith(".sig"))] = error
    verdict = verify(memory)
    assert (verdict.outcome, codes(verdict), verdict.judged) == (Outcome.UNDETERMINED, [error.code], "image")


def test_a_fault_of_the_judge_is_an_internal_error():

    broken = Ready(requirements=(object(),), attachments=True)
    verdict = verify(signed(), ready_for=always(broken))
    assert (verdict.outcome, codes(verdict)) == (Outcome.UNDETERMINED, ["internal-error"])
    assert "please report" in verdict.reasons[0].message


def test_the_traceback_of_a_fault_goes_to_the_debug_log_only(caplog):
    caplog.set_level("DEBUG", logger="plimsoll")
    memory = signed()
    memory.faults["v1"] = ValueError("the password is hunter2")
    verdict = verify(memory)
    assert "hunter2" not in verdict.reasons[0].message
    assert "ValueError" in verdict.reasons[0].message
    assert [record.levelname for record in caplog.records] == ["DEBUG"]
    assert caplog.records[0].exc_info is not None


def test_cancellation_passes():
    memory = signed()

    async def run():
        memory.holds["v1"] = asyncio.Event()
        async with bench(memory) as made:
            task = asyncio.create_task(verify_reference(made, parse_reference(f"{NAME}:v1"), position=0))
            while not memory.asked:
                await asyncio.sleep(0)
            task.cancel()
            await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run())
    assert memory.closed == 1


def test_a_pin_is_the_digest_of_the_verdict_and_the_tag_beside_it_is_only_echoed():
    memory = signed()
    digest = Digest.of(memory.tags["v1"])
    verdict = verify(memory, f"{NAME}:other@{digest}")
    assert verdict.outcome is Outcome.ACCEPTED
    assert verdict.image == f"docker://{NAME}:other@{digest}"
    assert (verdict.digest, verdict.pinned) == (digest, f"{NAME}@{digest}")
    assert "other" not in memory.asked


def test_a_pin_that_the_bytes_do_not_have_is_a_mismatch():
    memory = signed()
    pin = Digest.of(b"another image")
    memory.manifests[str(pin)] = memory.tags["v1"]
    verdict = verify(memory, f"{NAME}@{pin}")
    assert (verdict.outcome, codes(verdict), verdict.judged) == (Outcome.REJECTED, ["digest-mismatch"], None)


@pytest.mark.parametrize("algorithm", ["sha384", "sha512"])
@pytest.mark.parametrize("transport", ["docker", "oci"])
def test_a_longer_pin_is_checked_and_a_signature_of_the_same_bytes_counts(algorithm, transport):
    memory = signed()
    pin = Digest.of(memory.tags["v1"], algorithm=algorithm)
    memory.manifests[str(pin)] = memory.tags["v1"]
    verdict = verify(memory, f"oci:/layouts/app@{pin}" if transport == "oci" else f"{NAME}@{pin}")
    assert verdict.outcome is Outcome.ACCEPTED
    assert verdict.digest == pin
    assert verdict.pinned == (None if transport == "oci" else f"{NAME}@{pin}")


@pytest.mark.parametrize("transport", ["docker", "oci"])
def test_a_signature_that_names_the_longer_pin_counts(transport):
    memory = Memory()
    memory.put_image("v1")
    pin = Digest.of(memory.tags["v1"], algorithm="sha384")
    memory.manifests[str(pin)] = memory.tags["v1"]
    memory.sign({"digest": str(pin)}, ALICE)
    text = f"oci:/layouts/app@{pin}" if transport == "oci" else f"{NAME}@{pin}"
    assert verify(memory, text).outcome is Outcome.ACCEPTED
    # By its tag the image has no such name: nobody asked for SHA-384.
    assert codes(verify(memory)) == ["no-signature"]


def test_the_tag_of_a_sha512_signature_is_too_long_for_a_registry_and_fine_in_a_layout():
    memory = Memory()
    memory.put_image("v1")
    pin = Digest.of(memory.tags["v1"], algorithm="sha512")
    memory.manifests[str(pin)] = memory.tags["v1"]
    memory.sign({"digest": str(pin)}, ALICE)
    assert verify(memory, f"oci:/layouts/app@{pin}").outcome is Outcome.ACCEPTED
    assert codes(verify(memory, f"{NAME}@{pin}")) == ["no-signature"]


def test_pinned_is_null_outside_registries():
    verdict = verify(signed(), "oci:/layouts/app:v1")
    assert (verdict.outcome, verdict.pinned) == (Outcome.ACCEPTED, None)
    assert verdict.digest is not None


def index_of(memory, *children, tag="v1"):
    return memory.put_manifest(index_bytes(*children), tag, media_type=OCI_INDEX)


def child(memory, platform, *signers, layers=(b"layer",)):
    os, architecture = platform.split("/")
    described = memory.put_image(layers=(*layers, platform.encode()))
    if signers:
        memory.sign(described, *signers)
    return {**described, "platform": {"os": os, "architecture": architecture}}


def test_an_index_is_judged_itself_by_default():
    memory = Memory()
    memory.sign(index_of(memory, child(memory, "linux/amd64")), ALICE)
    verdict = verify(memory)
    assert (verdict.outcome, verdict.judged, verdict.requests) == (Outcome.ACCEPTED, "index", 3)


def test_with_platform_the_instances_are_judged_and_the_index_is_not():
    memory = Memory()
    index = index_of(memory, child(memory, "linux/amd64", ALICE), child(memory, "linux/arm64"))
    memory.sign(index, ALICE)
    amd64, arm64 = (verify(memory, platform=wanted) for wanted in ("linux/amd64", "linux/arm64"))
    assert (amd64.outcome, amd64.judged) == (Outcome.ACCEPTED, "instances")
    assert (arm64.outcome, codes(arm64)) == (Outcome.REJECTED, ["no-signature"])
    both = verify(memory, platform="all")
    assert (both.outcome, codes(both)) == (Outcome.REJECTED, ["no-signature"])
    assert [instance.judgement.outcome for instance in both.instances] == [Outcome.ACCEPTED, Outcome.REJECTED]
    assert [instance.platform for instance in both.instances] == ["linux/amd64", "linux/arm64"]
    assert "linux/arm64" in both.reasons[0].message
    assert str(both.digest) == index["digest"]


def test_an_instance_that_cannot_be_had_does_not_hide_a_sure_rejection():
    memory = Memory()
    missing = child(memory, "linux/arm64", ALICE)
    index_of(memory, missing, child(memory, "linux/amd64", ALICE))
    memory.manifests.pop(missing["digest"])
    verdict = verify(memory, platform="all")
    assert (verdict.outcome, codes(verdict)) == (Outcome.UNDETERMINED, ["not-found"])
    index_of(memory, missing, child(memory, "linux/amd64", MALLORY, layers=(b"2",)))
    verdict = verify(memory, platform="all")
    assert (verdict.outcome, codes(verdict)) == (Outcome.REJECTED, ["untrusted-key"])


def test_a_platform_that_is_not_offered_is_not_found():
    memory = Memory()
    index_of(memory, child(memory, "linux/amd64", ALICE))
    verdict = verify(memory, platform="linux/s390x")
    assert (verdict.outcome, codes(verdict), verdict.judged) == (Outcome.UNDETERMINED, ["not-found"], "instances")


def test_a_platform_changes_nothing_for_an_image_that_is_no_index():
    verdict = verify(signed(), platform="linux/s390x")
    assert (verdict.outcome, verdict.judged, verdict.instances) == (Outcome.ACCEPTED, "image", None)


def test_layers_are_read_after_the_signatures_and_only_of_accepted_images():
    memory = signed()
    memory.blobs.pop(describe(b"layer")["digest"])
    assert codes(verify(memory, layers=Layers.DIGEST)) == ["not-found"]
    memory = signed(MALLORY)
    memory.blobs.pop(describe(b"layer")["digest"])
    assert codes(verify(memory, layers=Layers.DIGEST)) == ["untrusted-key"]
    assert describe(b"layer")["digest"] not in memory.asked


def test_a_corrupt_layer_is_a_rejection_that_still_shows_the_signature():
    memory = signed()
    memory.blobs[describe(b"layer")["digest"]] = b"LAYER"
    verdict = verify(memory, layers=Layers.DIGEST)
    assert (verdict.outcome, codes(verdict)) == (Outcome.REJECTED, ["layer-digest-mismatch"])
    assert [signature.verified for signature in verdict.signatures] == [True]


def test_a_sure_rejection_comes_before_what_is_undecided():
    memory = Memory()
    memory.sign(memory.put_image("v1", layers=(b"missing", b"wrong")), ALICE)
    memory.blobs.pop(describe(b"missing")["digest"])
    memory.blobs[describe(b"wrong")["digest"]] = b"WRONG"
    verdict = verify(memory, layers=Layers.DIGEST)
    assert (verdict.outcome, codes(verdict)) == (Outcome.REJECTED, ["layer-digest-mismatch", "not-found"])


def test_the_number_of_reasons_is_bounded():
    memory = Memory()
    memory.sign(memory.put_image("v1", layers=[b"%d" % at for at in range(100)]), ALICE)
    for at in range(100):
        memory.blobs.pop(describe(b"%d" % at)["digest"])
    verdict = verify(memory, layers=Layers.DIGEST)
    assert codes(verdict) == ["not-found"] * limits.REASONS
