"""How an index counts: each policy in three values, what is inherited, and what is fetched for it."""

import asyncio
import os
from itertools import product

import pytest

from fakes.signing import signer
from fakes.sources import Memory, MemoryTransports, describe, index_bytes
from plimsoll import limits
from plimsoll.errors import UnreachableError, UsageError
from plimsoll.model.descriptor import OCI_INDEX, OCI_MANIFEST
from plimsoll.model.digest import Digest
from plimsoll.model.settings import IndexPolicy, Layers, Settings
from plimsoll.model.verdict import Judgement, Outcome
from plimsoll.pipeline import reach as reach_module
from plimsoll.pipeline.instances import combine_index, combine_instances
from plimsoll.pipeline.platforms import IndexRule, PlatformChoice
from plimsoll.pipeline.policies import Policy
from plimsoll.pipeline.verifier import Verifier
from plimsoll.policy.requirements import LogDemand

NAME = "registry.example/team/app"
ALICE, MALLORY = signer(name="alice"), signer(name="mallory")
GOOD, BAD, UNKNOWN = 1.0, 0.0, 0.5
OUTCOMES = {GOOD: Outcome.ACCEPTED, BAD: Outcome.REJECTED, UNKNOWN: Outcome.UNDETERMINED}
PLATFORMS = ("linux/amd64", "linux/arm64")


@pytest.fixture(autouse=True)
def no_configuration(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.lower().startswith(("registry_", "containers_", "xdg_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def verify(tmp_path, monkeypatch):
    key = tmp_path / "alice.pub"
    key.write_bytes(ALICE.pem)
    policy = Policy.from_keys(key, log=LogDemand.IGNORED)

    def run(memory, how=None, *, image=f"{NAME}:v1", platform=None, layers=Layers.NONE):
        monkeypatch.setattr(reach_module, "Transports", lambda *_, **__: MemoryTransports(memory))
        settings = Settings(index_policy=how and IndexPolicy(how), platform=platform, layers=layers)

        async def one():
            async with Verifier(policy, settings=settings) as verifier, asyncio.timeout(20):
                return await verifier.verify(image)

        return asyncio.run(one())

    return run


def give(memory, described, state):
    """Sign what is described so that it comes out in this state."""
    if state is UNKNOWN:
        memory.faults[f"{Digest.parse(described['digest']).tag}.sig"] = UnreachableError("no way")
    else:
        memory.sign(described, ALICE if state is GOOD else MALLORY)
    return described


def multi(index, *children, tag="v1"):
    """An index and its children, each in a state."""
    memory = Memory()
    listed = []
    for state, platform in zip(children, PLATFORMS, strict=False):
        os_name, architecture = platform.split("/")
        image = give(memory, memory.put_image(layers=(platform.encode(),)), state)
        listed.append({**image, "platform": {"os": os_name, "architecture": architecture}})
    give(memory, memory.put_manifest(index_bytes(*listed), tag, media_type=OCI_INDEX), index)
    return memory


def codes(verdict):
    return [reason.code for reason in verdict.reasons]


def layer_of(platform):
    return describe(platform.encode())["digest"]


def manifest_of(memory, platform):
    return next(digest for digest, data in memory.manifests.items() if layer_of(platform).encode() in data)


WANTED = {
    "index": lambda index, _: index,
    "children": lambda _, children: min(children),
    "both": lambda index, children: min(index, *children),
    "either": lambda index, children: max(index, min(children)),
}
"""The combinations restated as numbers: all-of is the least of them, any-of the most."""


@pytest.mark.parametrize("how", WANTED)
@pytest.mark.parametrize("index", OUTCOMES)
def test_every_combination_in_three_values(verify, how, index):
    for children in product(OUTCOMES, repeat=2):
        verdict = verify(multi(index, *children), how)
        assert verdict.outcome is OUTCOMES[WANTED[how](index, children)], (how, index, children)
        assert all(reason.outcome is verdict.outcome for reason in verdict.reasons)
        assert bool(verdict.reasons) == (verdict.outcome is not Outcome.ACCEPTED)
        judged_by_itself = {OUTCOMES[state] for state in children} if verdict.instances else set()
        if verdict.instances and not verdict.instances[0].inherited:
            assert {instance.judgement.outcome for instance in verdict.instances} == judged_by_itself


def test_the_index_is_judged_itself_without_any_option(verify):
    assert verify(multi(GOOD, BAD)).outcome is Outcome.ACCEPTED
    verdict = verify(multi(BAD, GOOD))
    assert (verdict.outcome, verdict.judged, verdict.index) == (Outcome.REJECTED, "index", None)


def test_with_platform_the_instances_are(verify):
    assert verify(multi(BAD, GOOD, BAD), platform="linux/amd64").outcome is Outcome.ACCEPTED
    verdict = verify(multi(GOOD, GOOD, BAD), platform="linux/arm64")
    assert (verdict.outcome, verdict.judged, verdict.index) == (Outcome.REJECTED, "instances", None)


@pytest.mark.parametrize("how", ["children", "both"])
def test_platform_narrows_which_instances_count(verify, how):
    memory = multi(GOOD, GOOD, BAD)
    assert verify(memory, how, platform="linux/amd64").outcome is Outcome.ACCEPTED
    assert verify(memory, how, platform="linux/arm64").outcome is Outcome.REJECTED
    assert verify(memory, how).outcome is Outcome.REJECTED


def test_what_is_inherited_is_said_and_not_fetched(verify):
    memory = multi(GOOD, BAD, UNKNOWN)
    verdict = verify(memory, "either")
    assert (verdict.outcome, verdict.judged, verdict.requests) == (Outcome.ACCEPTED, "instances", 3)
    assert verdict.index.outcome is Outcome.ACCEPTED
    assert [(instance.platform, instance.inherited) for instance in verdict.instances] == [
        (platform, True) for platform in PLATFORMS
    ]
    assert [signature.key for signature in verdict.signatures] == [ALICE.fingerprint]
    assert not {manifest_of(memory, platform) for platform in PLATFORMS} & set(memory.asked)


def test_nothing_is_inherited_from_an_index_that_is_not_accepted(verify):
    for state in (BAD, UNKNOWN):
        verdict = verify(multi(state, GOOD, GOOD), "either")
        assert verdict.outcome is Outcome.ACCEPTED
        assert verdict.index.outcome is OUTCOMES[state]
        assert [instance.inherited for instance in verdict.instances] == [False, False]
    refused = verify(multi(BAD, GOOD, BAD), "either")
    assert codes(refused) == ["untrusted-key", "untrusted-key"]
    assert refused.reasons[0].message.startswith("the index: ")
    assert refused.reasons[1].message.startswith("linux/arm64: ")


@pytest.mark.parametrize("how", ["children", "both"])
def test_nothing_is_inherited_where_nobody_asked_for_it(verify, how):
    verdict = verify(multi(GOOD, GOOD, BAD), how)
    assert verdict.outcome is Outcome.REJECTED
    assert [instance.inherited for instance in verdict.instances] == [False, False]


def test_what_is_inherited_does_not_cover_the_layers(verify):
    def read(change, how="either"):
        memory = multi(GOOD, BAD, BAD)
        change(memory)
        return verify(memory, how, layers=Layers.DIGEST)

    assert read(lambda memory: None).outcome is Outcome.ACCEPTED
    wrong = read(lambda memory: memory.blobs.update({layer_of("linux/arm64"): b"LINUX/ARM64"}))
    assert (wrong.outcome, codes(wrong)) == (Outcome.REJECTED, ["layer-digest-mismatch"])
    assert [instance.judgement.outcome.value for instance in wrong.instances] == ["accepted", "rejected"]
    missing = read(lambda memory: memory.manifests.pop(manifest_of(memory, "linux/arm64")))
    assert (missing.outcome, codes(missing)) == (Outcome.UNDETERMINED, ["not-found"])


@pytest.mark.parametrize("how", ["children", "both", "either"])
def test_layers_of_the_chosen_instances_are_read(verify, how):
    memory = multi(GOOD, GOOD, GOOD)
    assert verify(memory, how, layers=Layers.DIGEST).outcome is Outcome.ACCEPTED
    memory.blobs[layer_of("linux/arm64")] = b"LINUX/ARM64"
    memory.asked.clear()
    assert verify(memory, how, layers=Layers.DIGEST, platform="linux/amd64").outcome is Outcome.ACCEPTED
    assert layer_of("linux/amd64") in memory.asked
    assert layer_of("linux/arm64") not in memory.asked
    verdict = verify(memory, how, layers=Layers.DIGEST)
    assert (verdict.outcome, codes(verdict)) == (Outcome.REJECTED, ["layer-digest-mismatch"])


@pytest.mark.parametrize("state", [BAD, UNKNOWN])
def test_no_layer_is_read_below_an_index_that_must_be_accepted_and_is_not(verify, state):
    memory = multi(state, GOOD, GOOD)
    verdict = verify(memory, "both", layers=Layers.DIGEST)
    assert verdict.outcome is OUTCOMES[state]
    assert not {layer_of(platform) for platform in PLATFORMS} & set(memory.asked)
    assert verify(memory, "either", layers=Layers.DIGEST).outcome is Outcome.ACCEPTED
    assert {layer_of(platform) for platform in PLATFORMS} <= set(memory.asked)


@pytest.mark.parametrize(
    ("how", "index", "outcome", "expected"),
    [
        ("index", GOOD, Outcome.ACCEPTED, []),
        ("index", BAD, Outcome.REJECTED, ["untrusted-key"]),
        ("children", GOOD, Outcome.UNDETERMINED, ["not-found"]),
        ("both", GOOD, Outcome.UNDETERMINED, ["not-found"]),
        ("both", BAD, Outcome.REJECTED, ["untrusted-key"]),
        ("either", GOOD, Outcome.UNDETERMINED, ["not-found"]),
        ("either", BAD, Outcome.UNDETERMINED, ["not-found"]),
    ],
)
def test_an_index_without_instances(verify, how, index, outcome, expected):
    verdict = verify(multi(index), how)
    assert (verdict.outcome, codes(verdict), verdict.instances) == (outcome, expected, None)


@pytest.mark.parametrize("how", ["children", "both", "either"])
def test_a_platform_that_is_not_offered_is_not_found(verify, how):
    verdict = verify(multi(GOOD, GOOD), how, platform="linux/s390x")
    assert (verdict.outcome, codes(verdict)) == (Outcome.UNDETERMINED, ["not-found"])


def nested(index, child):
    """An index of an index of one image; gives the memory and the inner index's digest."""
    memory = Memory()
    image = give(memory, memory.put_image(layers=(b"linux/amd64",)), child)
    image["platform"] = {"os": "linux", "architecture": "amd64"}
    inner = memory.put_manifest(index_bytes(image), media_type=OCI_INDEX)
    give(memory, memory.put_manifest(index_bytes(inner), "v1", media_type=OCI_INDEX), index)
    return memory, inner["digest"]


@pytest.mark.parametrize("how", WANTED)
def test_instances_below_a_nested_index_count(verify, how):
    for index, child in product(OUTCOMES, repeat=2):
        verdict = verify(nested(index, child)[0], how)
        assert verdict.outcome is OUTCOMES[WANTED[how](index, (child,))], (index, child)


def test_a_nested_index_that_cannot_be_read_does_not_hide_a_sure_rejection(verify):
    for state, how, outcome in (
        (BAD, "both", Outcome.REJECTED),
        (GOOD, "both", Outcome.UNDETERMINED),
        (GOOD, "either", Outcome.UNDETERMINED),
        (BAD, "either", Outcome.UNDETERMINED),
        (BAD, "children", Outcome.UNDETERMINED),
    ):
        memory, inner = nested(state, GOOD)
        memory.manifests.pop(inner)
        assert verify(memory, how).outcome is outcome, (state, how)


@pytest.mark.parametrize("how", WANTED)
def test_an_image_that_is_no_index_is_judged_as_ever(verify, how):
    for state, outcome in OUTCOMES.items():
        memory = Memory()
        give(memory, memory.put_image("v1"), state)
        verdict = verify(memory, how)
        assert (verdict.outcome, verdict.judged, verdict.index) == (outcome, "image", None)


def test_a_pin_is_what_the_verdict_names(verify):
    memory = multi(GOOD, GOOD, GOOD)
    pin = Digest.of(memory.tags["v1"])
    verdict = verify(memory, "both", image=f"{NAME}@{pin}")
    assert (verdict.outcome, verdict.digest, verdict.pinned) == (Outcome.ACCEPTED, pin, f"{NAME}@{pin}")


@pytest.mark.parametrize("platform", ["all", "linux/amd64"])
def test_a_platform_for_an_index_that_counts_alone_is_wrong_usage(verify, platform):
    with pytest.raises(UsageError, match="--index-policy index judges none"):
        verify(multi(GOOD, GOOD), "index", platform=platform)


@pytest.mark.parametrize(
    ("settings", "policy", "wanted"),
    [
        (Settings(), IndexPolicy.INDEX, None),
        (Settings(platform="all"), IndexPolicy.CHILDREN, None),
        (Settings(platform="linux/arm64"), IndexPolicy.CHILDREN, "linux/arm64"),
        (Settings(index_policy=IndexPolicy.BOTH), IndexPolicy.BOTH, None),
        (Settings(index_policy=IndexPolicy.EITHER, platform="linux/arm64"), IndexPolicy.EITHER, "linux/arm64"),
    ],
)
def test_what_the_two_options_come_to(settings, policy, wanted):
    choice = PlatformChoice.parse("all" if wanted is None else wanted)
    assert IndexRule.of(settings) == IndexRule(policy=policy, choice=choice)


def test_no_instance_and_no_judgement_accept_nothing():
    assert combine_instances(()).outcome is Outcome.REJECTED
    for policy in (IndexPolicy.BOTH, IndexPolicy.EITHER):
        with pytest.raises(ValueError, match="must have been judged"):
            combine_index(policy, index=None, below=Judgement(outcome=Outcome.ACCEPTED))


@pytest.mark.parametrize(("most", "outcome"), [(3, Outcome.ACCEPTED), (2, Outcome.REJECTED), (1, Outcome.REJECTED)])
def test_an_index_and_its_instances_share_what_checking_may_cost(verify, monkeypatch, most, outcome):
    monkeypatch.setattr(limits, "SIGNATURE_CHECKS_PER_IMAGE", most)
    verdict = verify(multi(GOOD, GOOD, GOOD), "both")
    assert verdict.outcome is outcome
    last = verdict.instances[-1].judgement
    assert [reason.code for reason in last.reasons] == ([] if outcome is Outcome.ACCEPTED else ["limit-exceeded"])


@pytest.mark.parametrize(
    ("platform", "more"),
    [("linux/amd64", {}), ("all", {}), ("all", {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}})],
)
def test_an_instance_of_another_type_is_never_passed_over(verify, platform, more):
    memory = Memory()
    evil = {**memory.put_image(layers=(b"evil",)), **more, "mediaType": "application/octet-stream"}
    good = give(memory, memory.put_image(layers=(b"good",)), GOOD)
    amd64 = {"os": "linux", "architecture": "amd64"}
    memory.put_manifest(
        index_bytes({**evil, "platform": amd64}, {**good, "platform": amd64}), "v1", media_type=OCI_INDEX
    )
    verdict = verify(memory, platform=platform)
    assert (verdict.outcome, codes(verdict)) == (Outcome.UNDETERMINED, ["unsupported"])
    # Its twin, with the type that it has: signed by nobody.
    memory.put_manifest(
        index_bytes({**evil, "mediaType": OCI_MANIFEST, "platform": amd64}, {**good, "platform": amd64}),
        "v1",
        media_type=OCI_INDEX,
    )
    assert verify(memory, platform=platform).outcome is Outcome.REJECTED


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("listed", [{"architecture": "x86_64", "os": "linux"}, {"architecture": "amd64"}, None])
def test_what_containerd_would_run_instead_is_judged_too(verify, listed, nested):
    memory = Memory()
    evil = memory.put_image(layers=(b"evil",))
    good = give(memory, memory.put_image(layers=(b"good",)), GOOD)
    amd64 = {"os": "linux", "architecture": "amd64"}
    if nested:
        evil = memory.put_manifest(index_bytes({**evil, "platform": amd64}), media_type=OCI_INDEX)
    first = evil if listed is None else {**evil, "platform": listed}
    memory.put_manifest(index_bytes(first, {**good, "platform": amd64}), "v1", media_type=OCI_INDEX)
    harmless = listed is None and not nested  # an image without a platform is taken where none fits
    verdict = verify(memory, platform="linux/amd64")
    assert verdict.outcome is (Outcome.ACCEPTED if harmless else Outcome.REJECTED)
    assert len(verdict.instances) == (1 if harmless else 2)
