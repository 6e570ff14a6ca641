"""Kyverno's ``verifyImages`` rules converted. Pure.

Source: kyverno/kyverno, api/kyverno/v1/image_verification_types.go and pkg/engine/internal/imageverifier.go. All rules
that match an image must be met, and all lists of attestors of one rule; of a list's entries ``count``, all by default.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from plimsoll.errors import PolicyError
from plimsoll.model.conversion import Effect
from plimsoll.policy.conversion import Accepted, Attested, Conversion, Refused, Wanted, every
from plimsoll.policy.convert_image_validating_policy import KINDS as IMAGE_VALIDATING
from plimsoll.policy.convert_image_validating_policy import read_image_validating_policy
from plimsoll.policy.convert_kyverno_conditions import read_conditions
from plimsoll.policy.fields import shown
from plimsoll.policy.foreign import Findings, Section
from plimsoll.policy.foreign_patterns import Syntax
from plimsoll.policy.foreign_rules import Selection, Signers, read_exempt, read_pattern, rules_of
from plimsoll.policy.foreign_signers import is_predicate_uri
from plimsoll.policy.kyverno_attestors import AttestorReader

KINDS: Final = frozenset({"ClusterPolicy", "Policy"})
_VERSIONS: Final = re.compile(r"kyverno\.io/v(?:1|2beta1|2)", re.ASCII)
_OTHER_RULES: Final = ("validate", "mutate", "generate")
_SPEC_NOTES: Final = (
    "background",
    "failurePolicy",
    "webhookTimeoutSeconds",
    "webhookConfiguration",
    "emitWarning",
    "schemaValidation",
    "useServerSideApply",
    "admission",
)


def convert_kyverno(
    documents: Iterable[Section], *, registries: tuple[str, ...], root_given: bool, findings: Findings
) -> Conversion:
    """Convert policies that hold together; ``registries`` stand for a wildcard, ``root_given`` for private instances.

    Raises PolicyError for another kind of document, and for one without an image rule.
    """
    signers = Signers()
    selections: list[Selection] = []
    for document in documents:
        version, kind = document.text("apiVersion") or "", document.text("kind")
        if kind in IMAGE_VALIDATING:
            selections += read_image_validating_policy(
                document, signers=signers, registries=registries, root_given=root_given
            )
        elif kind in KINDS and _VERSIONS.fullmatch(version):
            reader = _PolicyReader(signers=signers, registries=registries, root_given=root_given)
            selections += reader.policy(document)
        else:
            raise PolicyError(
                f"{document.where or 'the document'}: {shown(f'{version} {kind}')} is no policy of Kyverno's for images"
            )
    if not selections:
        raise PolicyError("no rule with verifyImages is there: nothing to convert")
    return Conversion(rules=rules_of(selections), findings=findings.all, names=signers.names)


class _PolicyReader:
    """Reads one ClusterPolicy or Policy."""

    def __init__(self, *, signers: Signers, registries: tuple[str, ...], root_given: bool) -> None:
        self._registries = registries
        self._attestors = AttestorReader(signers=signers, root_given=root_given)

    def policy(self, document: Section) -> list[Selection]:
        """All that its rules want of which images."""
        spec = document.section("spec")
        if spec is None:
            raise PolicyError(f"{document.place('spec')}: a policy without a spec")
        document.say_nothing("metadata", "status")
        lost = document.close()
        if document.text("kind") == "Policy":
            document.note(
                "it holds for all images, not only for those of its namespace", "kind", effect=Effect.STRICTER
            )
        spec.say_nothing("rules", *_SPEC_NOTES)
        action = spec.text("validationFailureAction")
        if (action or "").lower() == "audit":
            spec.find(
                "validationFailureAction", Effect.STRICTER, "images that are only reported there are rejected here"
            )
        spec.note(
            "exceptions by namespace are not carried over", "validationFailureActionOverrides", effect=Effect.STRICTER
        )
        if spec.text("applyRules") == "One":
            spec.note("all rules that match apply here", "applyRules", effect=Effect.STRICTER)
        lost += spec.close()
        selections = [found for rule in spec.sections("rules") for found in self._rule(rule)]
        return [replace(found, wanted=Refused(places=lost)) for found in selections] if lost else selections

    def _rule(self, rule: Section) -> list[Selection]:
        rule.say_nothing("name", "skipBackgroundRequests", "reportProperties")
        others = [name for name in _OTHER_RULES if name in rule]
        if "verifyImages" not in rule:
            rule.note("it is about other things than signatures, and stays Kyverno's", *others, effect=Effect.DIFFERS)
            return []
        message = "it holds for all images, whatever resource runs them"
        rule.note(message, "exclude", "preconditions", "celPreconditions", effect=Effect.STRICTER)
        rule.note(message, "match", effect=Effect.NOTE if _is_all_pods(rule) else Effect.STRICTER)
        rule.note("variables have no value here", "context")
        rule.note("which fields hold images is the cluster's concern", "imageExtractors")
        entries = rule.sections("verifyImages")
        lost = rule.close()
        selections = [found for entry in entries for found in self._entry(entry)]
        return [replace(found, wanted=Refused(places=lost)) for found in selections] if lost else selections

    def _entry(self, entry: Section) -> list[Selection]:
        """One ``verifyImages``: its patterns, those it skips, and what it wants of the rest."""
        findings = entry.findings
        skipped: list[str] = []
        for text, place, line in entry.texts("skipImageReferences"):
            skipped += read_exempt(
                text, place, line, syntax=Syntax.KYVERNO, registries=self._registries, findings=findings
            )
        patterns = [*entry.texts("imageReferences")]
        image = entry.text("image")
        if image is not None:
            patterns.append((image, entry.place("image"), entry.line))
        if not patterns:
            raise PolicyError(f"{entry.where}, line {entry.line}: imageReferences are needed")
        wanted = self._wanted(entry)
        selections = [
            read_pattern(text, place, line, syntax=Syntax.KYVERNO, registries=self._registries, findings=findings)
            for text, place, line in patterns
        ]
        return [
            replace(
                found,
                wanted=wanted,
                let_through=tuple(skipped),
                scopes=() if isinstance(wanted, Accepted) and found.tags_only else found.scopes,
            )
            for found in selections
        ]

    def _wanted(self, entry: Section) -> Wanted:
        lost = list(_settings(entry))
        parts = [self._attestors.read_set(found) for found in entry.sections("attestors")]
        parts += [self._attestation(found) for found in entry.sections("attestations")]
        if entry.text("key") is not None:
            parts.append(self._attestors.read_old_key(entry))
        message = "a deprecated form: write it as attestors"
        lost += entry.refuse(message, "roots", "subject", "issuer", "additionalExtensions", "annotations")
        lost += entry.close()
        if not parts and not lost:
            entry.findings.add(entry.where, Effect.REJECTS, "it names no attestor, so it verifies nothing")
            lost.append(entry.where)
        return Refused(places=tuple(lost)) if lost else every(parts, empty=entry.where)

    def _attestation(self, section: Section) -> Wanted:
        section.say_nothing("name")
        kind = section.text("type") or section.text("predicateType") or ""
        section.say_nothing("predicateType")
        lost: list[str] = []
        if not is_predicate_uri(kind):
            message = f"{shown(kind)} is no predicate type: write its URI"
            lost.append(section.find("type" if "type" in section else "predicateType", Effect.REJECTS, message))
        where, missing = read_conditions(section)
        lost += missing
        if where is not None:
            message = "of several attestations the newest must meet the conditions here, all of them there"
            section.find("conditions", Effect.DIFFERS, message)
        attestors = section.sections("attestors")
        if not attestors:
            section.findings.add(section.where, Effect.REJECTS, "an attestation needs attestors: whose must it be")
            lost.append(section.where)
        parts = [
            self._attestors.read_set(found, attested=Attested(type=kind, signers=(), where=where))
            for found in attestors
        ]
        lost += section.close()
        return Refused(places=tuple(lost)) if lost else every(parts, empty=section.where)


def _settings(entry: Section) -> tuple[str, ...]:
    """The fields beside the trust itself; returns the places of those that make it reject."""
    kind = entry.text("type")
    lost: tuple[str, ...] = ()
    if kind not in (None, "Cosign", "SigstoreBundle"):
        lost = entry.refuse("Notary signatures cannot be asked for in a plimsoll document", "type")
    if (entry.text("failureAction") or "").lower() == "audit":
        entry.find("failureAction", Effect.STRICTER, "images that are only reported there are rejected here")
    if entry.truth("required") is False:
        entry.find("required", Effect.STRICTER, "all images of the scopes must be verified here")
    mutate, verify = entry.truth("mutateDigest"), entry.truth("verifyDigest")
    if mutate is False and verify is not False:
        message = "references by tag are judged too: deploy the digest that the report names (pinned)"
        entry.find("verifyDigest" if verify else "mutateDigest", Effect.DIFFERS, message)
    entry.note("signatures are looked for beside the image only", "repository", effect=Effect.STRICTER)
    entry.note("credentials are verify's --authfile or --creds", "imageRegistryCredentials")
    entry.note("all formats are looked at, each as strictly", "cosignOCI11")
    entry.say_nothing("useCache")
    return (*lost, *entry.refuse("conditions over several attestations cannot be said", "validate"))


def _is_all_pods(rule: Section) -> bool:
    """Whether a rule is for all pods, which is how an image policy is usually written."""
    match = rule.section("match")
    if match is None or set(match.names) - {"any", "all", "resources"}:
        return False
    entries = [*match.sections("any"), *match.sections("all")]
    resources = [entry.section("resources") for entry in entries if set(entry.names) == {"resources"}]
    if "resources" in match:
        entries, resources = [match, *entries], [match.section("resources"), *resources]
    return len(resources) == len(entries) == 1 and all(
        found is not None
        and set(found.names) <= {"kinds", "operations"}
        and "Pod" in [kind.rpartition("/")[2] for kind, _, _ in found.texts("kinds")]
        for found in resources
    )
