"""explain: the real verification of one image, watched, and told with all that led to its verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from plimsoll.config.auth_file import read_auth_files
from plimsoll.config.registries_conf import RegistryIndex
from plimsoll.config.registries_d import read_registries_d
from plimsoll.config.registries_files import read_registries_conf
from plimsoll.errors import PlimsollError
from plimsoll.model.evidence import Evidence
from plimsoll.model.explanation import ConfigurationFile, Explanation, JudgedManifest, RequirementFinding
from plimsoll.model.location import Location, locate_docker
from plimsoll.model.reference import DockerReference, Reference, parse_docker_reference
from plimsoll.model.settings import Settings
from plimsoll.model.verdict import Judgement, Verdict
from plimsoll.pipeline.judging import internal_error
from plimsoll.pipeline.policies import Policy
from plimsoll.pipeline.verifier import Verifier
from plimsoll.policy.evaluate import assess
from plimsoll.policy.fields import member
from plimsoll.policy.plimsoll_document import Chosen
from plimsoll.policy.prepare import Ready, ReadyRequirement
from plimsoll.policy.requirements import (
    AcceptAnything,
    AdHoc,
    AllOf,
    AnyOf,
    AttestationsRequired,
    Reject,
    Requirement,
    SignaturesRequired,
    SignedBaseLayer,
    SignedBy,
    SigstoreSigned,
)
from plimsoll.transport.opening import locate

_KINDS: Final[dict[type[Requirement], str]] = {
    AcceptAnything: "insecureAcceptAnything",
    Reject: "reject",
    SignedBaseLayer: "signedBaseLayer",
    SignedBy: "signedBy",
    SigstoreSigned: "sigstoreSigned",
    SignaturesRequired: "signatures",
    AttestationsRequired: "attestation",
    AllOf: "allOf",
    AnyOf: "anyOf",
}


async def explain(
    verifier: Verifier, reference: Reference, *, policy: Policy, settings: Settings, environ: Mapping[str, str]
) -> Explanation:
    """Verify ``reference`` with an entered ``verifier`` of the same policy and settings; raises ConfigError."""
    cases: list[tuple[Ready, Evidence]] = []
    verdict = await verifier.verify(reference, watch=lambda ready, evidence: cases.append((ready, evidence)))
    chosen = _chosen(policy, reference)
    contacted = _contacted(verdict, reference)
    return Explanation(
        verdict=verdict,
        policy=policy.digest,
        scope=None if chosen is None else chosen.selected.scope,
        passed_over=() if chosen is None else chosen.selected.passed_over,
        manifests=tuple([_manifest(ready, evidence) for ready, evidence in cases]),
        contacted=contacted,
        files=(
            *_policy_files(policy),
            *_files(chosen, reference, settings=settings, environ=environ, contacted=contacted),
        ),
    )


def _chosen(policy: Policy, reference: Reference) -> Chosen | None:
    try:
        return policy.choose(locate(reference))
    except PlimsollError:  # there is no such path: the verdict says so, and no scope was ever chosen
        return None if policy.document is not None else policy.choose(Location(transport="", identity="", parents=()))


def _contacted(verdict: Verdict, reference: Reference) -> tuple[str, ...]:
    if verdict.contacted or not isinstance(reference, DockerReference):
        return verdict.contacted
    return (reference.repository,) if verdict.requests else ()


def _manifest(ready: Ready, evidence: Evidence) -> JudgedManifest:
    return JudgedManifest(
        digest=evidence.digests[-1],
        attachments=ready.attachments,
        store=None if ready.store is None else ready.store.partition("?")[0],  # a query may be a secret
        findings=tuple(_finding_list(ready, evidence)),
    )


def _finding_list(ready: Ready, evidence: Evidence) -> Iterator[RequirementFinding]:
    """Each requirement, and behind an allOf or anyOf its parts."""
    for at, item in enumerate(_with_parts(ready.requirements)):
        try:
            found = assess(item, ready, evidence)
        except Exception as error:  # noqa: BLE001  # as in judging: a fault of ours is shown as one, and hides no other
            found = internal_error(error, image=evidence.image)
        yield RequirementFinding(
            place=item.requirement.where or f"{ready.scope}[{at}]",
            kind=_kind(item.requirement),
            judgement=found if isinstance(found, Judgement) else None,
        )


def _with_parts(items: tuple[ReadyRequirement, ...]) -> Iterator[ReadyRequirement]:
    for item in items:
        yield item
        yield from _with_parts(item.parts)


def _kind(requirement: Requirement) -> str:
    return requirement.where if isinstance(requirement, AdHoc) else _KINDS[type(requirement)]


def _policy_files(policy: Policy) -> Iterator[ConfigurationFile]:
    """The policy's file, and the policy.json that it extends."""
    if policy.document is not None:
        yield ConfigurationFile(role="policy", path=policy.document.origin)
    if policy.policy_json is not None and policy.policy_json is not policy.document:
        yield ConfigurationFile(role="policy", path=policy.policy_json.origin)


def _files(
    chosen: Chosen | None,
    reference: Reference,
    *,
    settings: Settings,
    environ: Mapping[str, str],
    contacted: tuple[str, ...],
) -> Iterator[ConfigurationFile]:
    """The files that said something about this image; one that was read and is silent about it is not among them."""
    if not isinstance(reference, DockerReference):
        return
    if chosen is not None and chosen.by_policy_json:
        yield from _registries_d(_physical(reference, contacted), settings, environ)
    conf = read_registries_conf(settings.registries_conf, environ)
    registry = RegistryIndex(conf.registries).find(reference.repository)
    if registry is not None:
        yield ConfigurationFile(role="registries.conf", path=registry.origin, place=f"prefix {registry.prefix}")
    names = [parse_docker_reference(name) for name in contacted]
    for file in read_auth_files(authfile=settings.authfile, environ=environ).files:
        if any(file.find(name.domain, name.path) is not None for name in names):
            yield ConfigurationFile(role="credentials", path=file.origin)


def _physical(reference: DockerReference, contacted: tuple[str, ...]) -> DockerReference:
    """The name that registries.d is asked for: that of the repository which had the image."""
    if not contacted:
        return reference
    return parse_docker_reference(contacted[-1] + reference.identity[len(reference.repository) :])


def _registries_d(
    physical: DockerReference, settings: Settings, environ: Mapping[str, str]
) -> Iterator[ConfigurationFile]:
    found = read_registries_d(settings.registries_d, environ)
    location = locate_docker(physical)
    for scope in (location.identity, *location.parents):
        if scope in found.docker:
            yield ConfigurationFile(role="registries.d", path=found.docker[scope].origin, place=member("docker", scope))
    if found.default is not None:
        yield ConfigurationFile(role="registries.d", path=found.default.origin, place="default-docker")
