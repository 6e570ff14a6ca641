"""sigstore policy-controller's ClusterImagePolicy converted. Pure.

Source: sigstore/policy-controller, pkg/apis/policy/v1beta1/clusterimagepolicy_types.go and _defaults.go. Any authority
of a policy will do; all policies whose globs match must be met. An authority with attestations demands all of these,
and no signature beside them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from plimsoll.errors import PolicyError, UsageError
from plimsoll.model.conversion import Effect
from plimsoll.policy.conversion import (
    Accepted,
    Attested,
    Conversion,
    Refused,
    Signed,
    SignerEntry,
    Wanted,
    either,
    every,
)
from plimsoll.policy.fields import shown
from plimsoll.policy.foreign import Findings, Section
from plimsoll.policy.foreign_patterns import Syntax
from plimsoll.policy.foreign_rules import Selection, Signers, read_pattern, rules_of
from plimsoll.policy.foreign_signers import (
    PUBLIC_FULCIO,
    PUBLIC_REKOR,
    private,
    read_hash_name,
    read_identities,
    read_key_field,
    read_secret,
    url_lost,
)
from plimsoll.signatures.statement import predicate_type_of

VERSIONS: Final = frozenset({"policy.sigstore.dev/v1alpha1", "policy.sigstore.dev/v1beta1"})
KIND: Final = "ClusterImagePolicy"
_CONTROLLER_NAMESPACE: Final = "cosign-system"


def convert_cluster_image_policies(
    documents: Iterable[Section], *, registries: tuple[str, ...], root_given: bool, findings: Findings
) -> Conversion:
    """Convert policies that hold together; ``registries`` stand for a wildcard, ``root_given`` for private instances.

    Raises PolicyError for another kind of document, and for one that policy-controller would not read.
    """
    signers = Signers()
    selections: list[Selection] = []
    for document in documents:
        _check_kind(document)
        reader = _Reader(signers=signers, root_given=root_given)
        selections += _selections(document, reader, registries)
    return Conversion(rules=rules_of(selections), findings=findings.all, names=signers.names)


def _check_kind(document: Section) -> None:
    version, kind = document.text("apiVersion"), document.text("kind")
    if kind != KIND or version not in VERSIONS:
        said = f"{version} {kind}"
        raise PolicyError(f"{document.where or 'the document'}: {shown(said)} is no {KIND} of sigstore's")


def _selections(document: Section, reader: _Reader, registries: tuple[str, ...]) -> list[Selection]:
    spec = document.section("spec")
    if spec is None:
        raise PolicyError(f"{document.place('spec')}: a policy without a spec")
    document.say_nothing("metadata", "status")
    wanted = reader.policy(spec, more=document.close())
    selections = []
    for image in spec.sections("images"):
        glob = image.text("glob")
        if glob is None:
            raise PolicyError(f"{image.where}, line {image.line}: a glob is needed")
        found = read_pattern(
            glob,
            image.place("glob"),
            image.line,
            syntax=Syntax.SIGSTORE,
            registries=registries,
            findings=spec.findings,
        )
        lost = image.close()
        found = replace(found, wanted=Refused(places=lost) if lost else wanted)
        if isinstance(wanted, Accepted) and found.tags_only and found.scopes:
            image.find("glob", Effect.STRICTER, "lets nothing through: its scope would be for images by digest too")
            found = replace(found, scopes=())
        selections.append(found)
    if not selections:
        raise PolicyError(f"{spec.place('images')}: the policy is for no image")
    return selections


class _Reader:
    """Reads what one policy demands."""

    def __init__(self, *, signers: Signers, root_given: bool) -> None:
        self._signers = signers
        self._root_given = root_given

    def policy(self, spec: Section, *, more: tuple[str, ...]) -> Wanted:
        """What the policy demands, its authorities being alternatives; ``more`` are places already lost."""
        authorities = spec.sections("authorities")
        parts = [self._authority(found, at) for at, found in enumerate(authorities)]
        mode = spec.text("mode")
        if mode not in (None, "enforce", "warn"):
            raise PolicyError(f"{spec.place('mode')}: {shown(mode)} is neither enforce nor warn")
        if mode == "warn":
            spec.note("images that only lead to a warning there are rejected here", "mode", effect=Effect.STRICTER)
        spec.note("it holds for all images, whatever resource runs them", "match", effect=Effect.STRICTER)
        lost = spec.refuse("CUE and Rego over all authorities cannot be said", "policy")
        spec.say_nothing("images")
        lost += (*spec.close(), *more)
        return Refused(places=lost) if lost else either(parts, empty=spec.place("authorities"))

    def _authority(self, section: Section, at: int) -> Wanted:
        hint = section.text("name") or f"authority-{at}"
        section.note("all formats are looked at, each as strictly", "signatureFormat")
        lost = self._sources(section)
        kinds = [name for name in ("key", "keyless", "static") if name in section]
        if len(kinds) != 1:
            raise PolicyError(f"{section.where}, line {section.line}: one of key, keyless and static is needed")
        static = section.section("static")
        if static is not None:
            return self._static(static, section)
        key, keyless = section.section("key"), section.section("keyless")
        signers: list[SignerEntry] = []
        if key is not None:
            found, missing = self._key(key, hint)
            signers += found
            lost += missing
        if keyless is not None:
            found, missing = self._keyless(keyless, hint)
            signers += found
            lost += missing
        log_ignored, missing = self._log(section, by_key=key is not None)
        lost += missing
        attestations = [
            self._attestation(each, tuple(signers), log_ignored=log_ignored)
            for each in section.sections("attestations")
        ]
        lost += section.close()
        if lost or not signers:
            return Refused(places=tuple(lost) or (section.where,))
        if attestations:
            return every(attestations, empty=section.where)
        return Signed(signers=tuple(signers), log_ignored=log_ignored)

    def _static(self, static: Section, section: Section) -> Wanted:
        action = static.text("action")
        static.say_nothing("message")
        lost = (*static.close(), *section.close())
        if action not in ("pass", "fail"):
            raise PolicyError(f"{static.place('action')}: {shown(action or '')} is neither pass nor fail")
        if lost or action == "fail":
            return Refused(places=lost or (static.place("action"),))
        static.find("action", Effect.NOTE, "images are accepted unseen, as in the source")
        return Accepted()

    def _sources(self, section: Section) -> list[str]:
        lost: list[str] = []
        for source in section.sections("source"):
            message = "signatures are looked for beside the image only"
            source.note(message, "oci", "tagPrefix", effect=Effect.STRICTER)
            source.note("credentials are verify's --authfile or --creds", "signaturePullSecrets")
            lost += source.close()
        return lost

    def _key(self, key: Section, hint: str) -> tuple[list[SignerEntry], list[str]]:
        hash_name = read_hash_name(key, "hashAlgorithm")
        given = [name for name in ("data", "kms", "secretRef") if name in key]
        if len(given) != 1:
            raise PolicyError(f"{key.where}, line {key.line}: one of data, kms and secretRef is needed")
        if hash_name is None:
            return [], [key.place("hashAlgorithm")]
        secret = key.section("secretRef")
        if secret is not None:
            entry = read_secret(secret, namespace=_CONTROLLER_NAMESPACE, hash_name=hash_name)
            key.find("secretRef", Effect.NOTE, "the secret must hold the key as cosign.pub")
        else:
            entry = read_key_field(key, given[0], hash_name=hash_name)
        lost = [*key.close(), *([] if entry is not None else [key.place(given[0])])]
        return ([] if entry is None else [self._signers.named(entry, hint)]), lost

    def _keyless(self, keyless: Section, hint: str) -> tuple[list[SignerEntry], list[str]]:
        signers, missing = read_identities(keyless, self._signers, hint=hint)
        lost = [] if signers else missing  # of several identities the ones that can be said are enough
        lost += url_lost(keyless, "url", public=PUBLIC_FULCIO, root_given=self._root_given)
        lost += private(keyless, "ca-cert", "trustRootRef", root_given=self._root_given)
        if keyless.truth("insecureIgnoreSCT"):
            message = "a certificate's timestamp is demanded all the same"
            keyless.find("insecureIgnoreSCT", Effect.STRICTER, message)
        lost += keyless.close()
        return signers, lost

    def _log(self, section: Section, *, by_key: bool) -> tuple[bool, list[str]]:
        """Whether no log entry is needed, and what was lost. A key without ctlog, or with an empty one, needs none."""
        ctlog, timestamp = section.section("ctlog"), section.section("rfc3161timestamp")
        demanded = False
        lost: list[str] = []
        if ctlog is not None:
            demanded = "url" in ctlog or "trustRootRef" in ctlog
            lost += url_lost(ctlog, "url", public=PUBLIC_REKOR, root_given=self._root_given)
            lost += private(ctlog, "trustRootRef", root_given=self._root_given)
            lost += ctlog.close()
        if timestamp is not None:
            if demanded:
                message = "a timestamp beside a log entry cannot be demanded"
                lost.append(section.find("rfc3161timestamp", Effect.REJECTS, message))
            else:
                section.find("rfc3161timestamp", Effect.DIFFERS, "a log entry will do in place of the timestamp")
            lost += private(timestamp, "trustRootRef", root_given=self._root_given)
            lost += timestamp.close()
        if not by_key and ctlog is not None and not demanded and timestamp is None:
            message = "a certificate needs a log entry or a timestamp all the same: it lives for minutes"
            section.find("ctlog", Effect.STRICTER, message)
        return by_key and not demanded and timestamp is None, lost

    def _attestation(self, section: Section, signers: tuple[SignerEntry, ...], *, log_ignored: bool) -> Wanted:
        section.say_nothing("name")
        kind = section.text("predicateType") or ""
        lost = list(section.refuse("CUE and Rego cannot be said: write the condition anew in CEL, as where", "policy"))
        try:
            kind = predicate_type_of(kind)
        except UsageError as error:
            lost.append(section.find("predicateType", Effect.REJECTS, str(error)))
        lost += section.close()
        if lost or not signers:
            return Refused(places=tuple(lost) or (section.where,))
        return Attested(type=kind, signers=signers, log_ignored=log_ignored)
