"""Kyverno's ImageValidatingPolicy converted: as far as its validations are the documented forms. Pure.

Source: kyverno/kyverno, api/policies.kyverno.io/v1alpha1. ``validations`` are CEL programs over images; read are those
that ask of all images that a signature, or an attestation, by one of some attestors verifies.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from plimsoll import limits
from plimsoll.errors import PolicyError
from plimsoll.model.conversion import Effect
from plimsoll.policy.conversion import Attested, Refused, Signed, SignerEntry, Wanted, either, every
from plimsoll.policy.fields import shown
from plimsoll.policy.foreign import Section
from plimsoll.policy.foreign_patterns import Syntax
from plimsoll.policy.foreign_rules import Selection, Signers, everywhere, read_pattern
from plimsoll.policy.foreign_signers import (
    PUBLIC_REKOR,
    is_predicate_uri,
    private,
    read_hash_name,
    read_identities,
    read_key_field,
    url_lost,
)

KINDS: Final = frozenset({"ImageValidatingPolicy", "NamespacedImageValidatingPolicy"})
_VERSIONS: Final = re.compile(r"policies\.kyverno\.io/v1(?:alpha1|beta1)?", re.ASCII)
_ATTESTORS: Final = r"\[(?P<attestors>attestors[\w.,'\" \[\]-]*)\]"
_CALL: Final = (
    rf"(?:verifyImageSignatures\(image, {_ATTESTORS}\)"
    r"|verifyAttestationSignatures\(image, attestations\.(?P<attestation>\w+), \[(?P<by>attestors[\w.,'\" \[\]-]*)\]\))"
)
_VALIDATION: Final = re.compile(
    rf"\(?images\.[\w.?()\[\]+ ]*\.map\( ?image, {_CALL}"
    r"(?: ?\) ?\.all\((?P<e>\w+), (?P=e) > 0\)| > 0 ?\) ?\.all\((?P<o>\w+), (?P=o)\))",
    re.ASCII,
)
_NAME: Final = re.compile(r"attestors(?:\.(\w+)|\[['\"]([\w-]+)['\"]\])", re.ASCII)
_SPEC_NOTES: Final = ("failurePolicy", "webhookConfiguration", "evaluation", "autogen", "auditAnnotations", "images")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attestor:
    """One of ``attestors``: its signers and how they must have signed, or why it is lost."""

    signers: tuple[SignerEntry, ...] = ()
    log_ignored: bool = False
    annotations: tuple[tuple[str, str], ...] = ()
    lost: tuple[str, ...] = ()

    def wanted(self, attestation: str | None) -> Wanted:
        """A signature by it, or an attestation of the type ``attestation``."""
        if self.lost or not self.signers:
            return Refused(places=self.lost or ("attestors",))
        if attestation is None:
            return Signed(signers=self.signers, log_ignored=self.log_ignored, annotations=self.annotations)
        return Attested(type=attestation, signers=self.signers, log_ignored=self.log_ignored)


def read_image_validating_policy(
    document: Section, *, signers: Signers, registries: tuple[str, ...], root_given: bool
) -> list[Selection]:
    """What the policy wants of which images; raises PolicyError for a document that is none."""
    version, spec = document.text("apiVersion") or "", document.section("spec")
    if _VERSIONS.fullmatch(version) is None or spec is None:
        raise PolicyError(f"{document.where or 'the document'}: {shown(version)} has no such policy, or it has no spec")
    document.text("kind")
    document.say_nothing("metadata", "status")
    lost = list(document.close())
    _settings(spec)
    attestors = {
        name: found for each in spec.sections("attestors") for name, found in [_attestor(each, signers, root_given)]
    }
    attestations = {name: kind for each in spec.sections("attestations") for name, kind in [_attestation(each)]}
    parts = [_validation(each, attestors, attestations) for each in spec.sections("validations")]
    matched = spec.sections("matchImageReferences")
    place = spec.place("matchImageReferences")
    lost += spec.close()
    wanted = Refused(places=tuple(lost)) if lost else every(parts, empty=spec.place("validations"))
    if not matched:
        found = read_pattern("*", place, None, syntax=Syntax.KYVERNO, registries=registries, findings=spec.findings)
        return [replace(found, wanted=wanted)]
    return [_selection(each, wanted, registries) for each in matched]


def _settings(spec: Section) -> None:
    spec.say_nothing(*_SPEC_NOTES)
    spec.note("it holds for all images, whatever resource runs them", "matchConstraints")
    spec.note("it holds for all images, whatever resource runs them", "matchConditions", effect=Effect.STRICTER)
    spec.note("variables have no value here", "variables")
    spec.note("credentials are verify's --authfile or --creds", "credentials")
    actions = [text for text, _, _ in spec.texts("validationActions")]
    if actions and "Deny" not in actions:
        spec.find("validationActions", Effect.STRICTER, "images that are only reported there are rejected here")
    settings = spec.section("validationConfigurations")
    if settings is None:
        return
    if settings.truth("mutateDigest") is False and settings.truth("verifyDigest") is not False:
        message = "references by tag are judged too: deploy the digest that the report names (pinned)"
        spec.find("validationConfigurations", Effect.DIFFERS, message)
    if settings.truth("required") is False:
        settings.find("required", Effect.STRICTER, "all images of the scopes must be verified here")
    settings.say_nothing("verifyDigest")
    for place in settings.close():
        spec.findings.add(place, Effect.STRICTER, "what it asks for beside signatures is not known")


def _selection(entry: Section, wanted: Wanted, registries: tuple[str, ...]) -> Selection:
    glob, expression = entry.text("glob"), entry.text("expression")
    lost = entry.close()
    wanted = Refused(places=lost) if lost else wanted
    if glob is None:
        if expression is None:
            raise PolicyError(f"{entry.where}, line {entry.line}: a glob or an expression is needed")
        message = "which images it matches cannot be told here: its demands are added to every rule"
        entry.find("expression", Effect.STRICTER, message)
        return everywhere(wanted, entry.place("expression"))
    found = read_pattern(
        glob, entry.place("glob"), entry.line, syntax=Syntax.KYVERNO, registries=registries, findings=entry.findings
    )
    return replace(found, wanted=wanted)


def _attestor(section: Section, signers: Signers, root_given: bool) -> tuple[str, _Attestor]:  # noqa: FBT001
    name = section.text("name") or section.where
    lost = list(section.refuse("Notary signatures cannot be asked for in a plimsoll document", "notary"))
    cosign = section.section("cosign")
    lost += section.close()
    if cosign is None:
        return name, _Attestor(lost=tuple(lost) or (section.where,))
    key, keyless = cosign.section("key"), cosign.section("keyless")
    found: list[SignerEntry] = []
    if key is not None:
        hash_name = read_hash_name(key, "hashAlgorithm")
        field = "kms" if "kms" in key else "data"
        entry = None if hash_name is None else read_key_field(key, field, hash_name=hash_name)
        lost += [*key.close(), *([] if entry is not None else [key.place(field)])]
        found += [] if entry is None else [signers.named(entry, name)]
    if keyless is not None:
        named, missing = read_identities(keyless, signers, hint=name)
        found += named
        lost += [] if named else missing
        lost += private(keyless, "roots", root_given=root_given)
        lost += keyless.close()
    if (key is None) == (keyless is None):
        lost.append(cosign.where)
    ignored, missing_logs = _logs(cosign, root_given)
    if ignored and keyless is not None:
        message = "a certificate needs a log entry or a timestamp all the same: it lives for minutes"
        cosign.find("ctlog", Effect.STRICTER, message)
        ignored = False
    annotations = cosign.pairs("annotations")
    lost += cosign.refuse("certificates cannot be trusted by themselves in a plimsoll document", "certificate")
    lost += private(cosign, "tuf", root_given=root_given)
    cosign.note("signatures are looked for beside the image only", "source", effect=Effect.STRICTER)
    lost += [*missing_logs, *cosign.close()]
    return name, _Attestor(signers=tuple(found), log_ignored=ignored, annotations=annotations, lost=tuple(lost))


def _logs(cosign: Section, root_given: bool) -> tuple[bool, list[str]]:  # noqa: FBT001
    ctlog = cosign.section("ctlog")
    if ctlog is None:
        return False, []
    ignored = ctlog.truth("insecureIgnoreTlog") is True
    lost: list[str] = []
    if ignored:
        ctlog.say_nothing("url", "rekorPubKey")
    else:
        lost += url_lost(ctlog, "url", public=PUBLIC_REKOR, root_given=root_given)
        lost += private(ctlog, "rekorPubKey", root_given=root_given)
    if ctlog.truth("insecureIgnoreSCT"):
        ctlog.find("insecureIgnoreSCT", Effect.STRICTER, "a certificate's timestamp is demanded all the same")
    lost += private(ctlog, "ctLogPubKey", "tsaCertChain", root_given=root_given)
    return ignored, [*lost, *ctlog.close()]


def _attestation(section: Section) -> tuple[str, str | None]:
    """An attestation's name and predicate type; None where it cannot be asked for."""
    name, intoto = section.text("name") or section.where, section.section("intoto")
    lost = section.refuse("only in-toto attestations can be asked for", "referrer")
    kind = None if intoto is None else intoto.text("type")
    lost += section.close() if intoto is None else (*intoto.close(), *section.close())
    if lost or kind is None or intoto is None:
        return name, None
    if not is_predicate_uri(kind):
        intoto.find("type", Effect.REJECTS, f"{shown(kind)} is no predicate type: write its URI")
        return name, None
    return name, kind


def _validation(section: Section, attestors: dict[str, _Attestor], attestations: dict[str, str | None]) -> Wanted:
    section.say_nothing("message", "messageExpression", "reason")
    expression = " ".join((section.text("expression") or "").split())
    lost = section.close()
    found = _VALIDATION.fullmatch(expression) if len(expression) <= limits.CONDITION_CHARS else None
    listed = "" if found is None else (found["attestors"] or found["by"])
    names = [first or second for first, second in _NAME.findall(listed)]
    known = bool(names) and not _NAME.sub("", listed).strip(" ,") and all(name in attestors for name in names)
    kind: str | None = None
    if found is not None and found["attestation"] is not None:
        kind = attestations.get(found["attestation"])
        known = known and kind is not None
    if lost or found is None or not known:
        message = "this validation cannot be said; known is images.containers.map(image, verifyImageSignatures(image, "
        message += "[attestors.NAME])).all(e, e > 0), and the same with verifyAttestationSignatures"
        return Refused(places=(*lost, section.find("expression", Effect.REJECTS, message)))
    if kind is not None and any(attestors[name].annotations for name in names):
        message = "annotations cannot be asked of an attestation"
        return Refused(places=(section.find("expression", Effect.REJECTS, message),))
    return either([attestors[name].wanted(kind) for name in names], empty=section.place("expression"))
