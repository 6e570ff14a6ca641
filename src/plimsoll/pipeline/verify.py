"""One image: open, read, select, gather and judge in turns, read the layers if asked, and give one Verdict.

Nothing raises here but cancellation: whatever goes wrong is a verdict with its reason.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from plimsoll import limits
from plimsoll.errors import BlockedError, ContentError, PlimsollError
from plimsoll.model.descriptor import Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.evidence import Evidence, Needs
from plimsoll.model.location import Location
from plimsoll.model.manifest import Index, Manifest, RawManifest, parse_manifest
from plimsoll.model.reference import DockerReference, LayoutReference, Reference
from plimsoll.model.settings import IndexPolicy, Layers
from plimsoll.model.verdict import UNDETERMINED_CODES, Instance, Judgement, Outcome, Reason, Verdict
from plimsoll.pipeline.batching import Batcher
from plimsoll.pipeline.evidence_budget import EvidenceBudget, EvidenceShare
from plimsoll.pipeline.gather import gather
from plimsoll.pipeline.instances import combine_index, combine_instances
from plimsoll.pipeline.judging import Case, internal_error
from plimsoll.pipeline.layers import BlobHasher
from plimsoll.pipeline.platforms import IndexRule, find_instances, refuse_other_types
from plimsoll.policy.evaluate import judge
from plimsoll.policy.prepare import Ready
from plimsoll.transport.base import Meter, Source
from plimsoll.transport.opening import Transports

TURNS: Final = 16
"""Rounds of gather and judge; each asks new places, so more is a fault of ours."""

ReadyFor = Callable[[Location, DockerReference | None], Awaitable[Ready]]
"""Where an image lies, and its name where its bytes come from -> the requirements that apply there, keys read."""


Watch = Callable[[Ready, Evidence], None]
"""Is told by what, and on which evidence, each manifest was judged at last."""
OpenSource = Callable[[Reference], Awaitable[Source]]
"""Reference -> its Source; raises PlimsollError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What verifying an image works with: made once a run, shared by all images of it."""

    transports: Transports
    ready_for: ReadyFor
    judges: Batcher[Case, Judgement | Needs]
    hasher: BlobHasher
    layers: Layers
    indexes: IndexRule
    now: Callable[[], float]
    monotonic: Callable[[], float]
    watch: Watch | None = None
    evidence: EvidenceBudget = field(default_factory=EvidenceBudget)
    unjudged: Meter = field(default_factory=Meter)
    """What was spent on images whose verdict a cancellation prevented."""


@dataclass(slots=True, kw_only=True)
class _Examination:
    """One image on the bench, and what has been learnt of it so far: shown even where judgement fails later."""

    bench: Bench
    image: str
    pin: Digest | None
    ready: Ready | None = None
    digest: Digest | None = None
    judged: str | None = None
    instances: tuple[Instance, ...] | None = None
    index: Judgement | None = None
    spent: int = 0


async def verify_reference(
    bench: Bench, reference: Reference, *, position: int, open_source: OpenSource | None = None
) -> Verdict:
    """The verdict for one reference; never raises but for cancellation.

    ``open_source`` stands in for the bench's transports.
    """
    started = bench.monotonic()
    pin = reference.digest if isinstance(reference, DockerReference | LayoutReference) else None
    seen = _Examination(bench=bench, image=str(reference), pin=pin)
    meter = Meter()
    source: Source | None = None
    try:
        source = await (open_source or bench.transports.open)(reference)
        meter = source.meter
        async with aclosing(source):
            judgement = await _examine(seen, source)
    except PlimsollError as error:
        judgement = judgement_of(error)
    except Exception as error:  # noqa: BLE001  # a fault of ours is an undetermined verdict, never a lost image
        judgement = internal_error(error, image=seen.image)
    except BaseException:
        bench.unjudged.requests += meter.requests
        bench.unjudged.bytes += meter.bytes
        raise
    pinned = seen.digest is not None and isinstance(reference, DockerReference)
    return Verdict(
        image=seen.image,
        position=position,
        outcome=judgement.outcome,
        reasons=judgement.reasons[: limits.REASONS],
        digest=seen.digest,
        pinned=reference.pinned(seen.digest) if pinned else None,  # type: ignore[union-attr,arg-type]  # by pinned
        judged=seen.judged,
        signatures=judgement.signatures,
        instances=seen.instances,
        index=seen.index,
        contacted=_contacted(reference, source),
        requests=meter.requests,
        bytes=meter.bytes,
        seconds=bench.monotonic() - started,
    )


def _contacted(reference: Reference, source: Source | None) -> tuple[str, ...]:
    """What was asked, where it is not just what the reference names."""
    if source is None or not isinstance(reference, DockerReference):
        return ()
    return () if source.contacted == (reference.repository,) else source.contacted


def judgement_of(error: PlimsollError) -> Judgement:
    """What an error amounts to: bytes that are not what they say, or a blocked registry, are a rejection."""
    if isinstance(error, ContentError | BlockedError):
        return Judgement(outcome=Outcome.REJECTED, reasons=(Reason.of(error),))
    code = error.code if error.code in UNDETERMINED_CODES else "internal-error"
    return Judgement(outcome=Outcome.UNDETERMINED, reasons=(Reason(code=code, message=str(error)),))


async def _examine(seen: _Examination, source: Source) -> Judgement:
    raw = await source.manifest()
    pin = seen.pin
    seen.digest = pin or raw.digest
    manifest = parse_manifest(raw)
    seen.ready = await seen.bench.ready_for(source.location, source.physical)
    if isinstance(manifest, Index) and seen.bench.indexes.policy is not IndexPolicy.INDEX:
        seen.judged = "instances"
        return await _judge_index(seen, source, raw, manifest)
    seen.judged = "index" if isinstance(manifest, Index) else "image"
    return await _judge_manifest(seen, source, raw, manifest, pin)


async def _judge_index(seen: _Examination, source: Source, raw: RawManifest, index: Index) -> Judgement:
    """Judge the chosen instances by the requirements of the reference, and the index where it counts beside them."""
    rule = seen.bench.indexes
    if rule.policy is not IndexPolicy.CHILDREN:
        seen.index = await _take_turns(seen, source, raw, seen.pin)
    try:
        children = await find_instances(source, index, rule.choice)
    except PlimsollError as error:
        below = judgement_of(error)
    else:
        seen.instances = tuple([await _judge_instance(seen, source, child) for child in children])
        below = combine_instances(seen.instances)
    return combine_index(rule.policy, index=seen.index, below=below)


async def _judge_instance(seen: _Examination, source: Source, child: Descriptor) -> Instance:
    good_index = seen.index is not None and seen.index.outcome is Outcome.ACCEPTED
    inherited = good_index and seen.bench.indexes.policy is IndexPolicy.EITHER
    try:
        judgement = await _judge_child(seen, source, child, inherited=inherited, good_index=good_index)
    except PlimsollError as error:
        judgement = judgement_of(error)
    return Instance(
        digest=child.digest, platform=str(child.platform or "unknown"), judgement=judgement, inherited=inherited
    )


async def _judge_child(
    seen: _Examination, source: Source, child: Descriptor, *, inherited: bool, good_index: bool
) -> Judgement:
    if inherited and seen.bench.layers is Layers.NONE:
        return Judgement(outcome=Outcome.ACCEPTED)  # the accepted bytes name its digest: there is nothing to fetch
    refuse_other_types(child)
    raw = await source.manifest_by_digest(child)
    manifest = parse_manifest(raw)
    if inherited:
        return await _read_layers(seen, source, manifest, Judgement(outcome=Outcome.ACCEPTED))
    judgement = await _take_turns(seen, source, raw, child.digest)
    if seen.bench.indexes.policy is IndexPolicy.BOTH and not good_index:
        return judgement  # nothing is accepted here any more, so no layer is fetched
    return await _read_layers(seen, source, manifest, judgement)


async def _judge_manifest(
    seen: _Examination, source: Source, raw: RawManifest, manifest: Manifest | Index, pin: Digest | None
) -> Judgement:
    return await _read_layers(seen, source, manifest, await _take_turns(seen, source, raw, pin))


async def _read_layers(
    seen: _Examination, source: Source, manifest: Manifest | Index, judgement: Judgement
) -> Judgement:
    """``judgement``, or what the layers make of it; only those of an accepted image are read."""
    if judgement.outcome is not Outcome.ACCEPTED or seen.bench.layers is Layers.NONE:
        return judgement
    reasons = await seen.bench.hasher.check_image(source, manifest)
    if not reasons:
        return judgement
    rejected = any(reason.outcome is Outcome.REJECTED for reason in reasons)
    outcome = Outcome.REJECTED if rejected else Outcome.UNDETERMINED
    ranked = sorted(reasons, key=lambda reason: reason.outcome is not outcome)
    return Judgement(outcome=outcome, reasons=tuple(ranked), signatures=judgement.signatures)


async def _take_turns(seen: _Examination, source: Source, raw: RawManifest, pin: Digest | None) -> Judgement:
    """Judge, gather what judge needs, judge again."""
    with seen.bench.evidence.share() as share:
        return await _take_turns_within(share, seen, source, raw, pin)


async def _take_turns_within(
    share: EvidenceShare, seen: _Examination, source: Source, raw: RawManifest, pin: Digest | None
) -> Judgement:
    assert seen.ready is not None
    await share.take(len(raw.data))
    digests = (raw.digest,) if pin is None or pin == raw.digest else (raw.digest, pin)
    evidence = Evidence(
        image=seen.image,
        location=source.location,
        manifest=raw,
        digests=digests,
        now_s=seen.bench.now(),
        spent=seen.spent,
    )
    # The first turn only says what is needed: no signature is checked before any was fetched, so no thread is woken.
    found = judge(seen.ready, evidence)
    for _ in range(TURNS):
        seen.spent = max(seen.spent, found.spent)  # an index and its instances share one limit
        if isinstance(found, Judgement):
            if seen.bench.watch is not None:
                seen.bench.watch(seen.ready, evidence)
            return found
        evidence = evidence.with_answers(await gather(source, found, share=share), spent=seen.spent)
        found = await seen.bench.judges.submit((seen.ready, evidence))
    raise RuntimeError(f"judge still asks after {TURNS} turns")
