"""cosign's command line, ``verify`` and ``verify-attestation``, converted. Pure.

Flags and their defaults: cosign v3.1.2, cmd/cosign/cli/options. What cosign itself would refuse is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, get_args

from plimsoll.errors import InvalidReferenceError, PolicyError, UnreadableKeyError, UsageError
from plimsoll.model.conversion import Effect
from plimsoll.model.identity import Exact, TextMatch
from plimsoll.model.reference import split_docker_reference
from plimsoll.model.trust import HashName
from plimsoll.policy.conversion import (
    Attested,
    Conversion,
    ConvertedRule,
    IdentityEntry,
    KeyEntry,
    Refused,
    Signed,
    SignerEntry,
    Wanted,
)
from plimsoll.policy.fields import shown
from plimsoll.policy.foreign import Findings
from plimsoll.policy.foreign_identities import read_pair
from plimsoll.policy.foreign_rules import Signers
from plimsoll.policy.plimsoll_signers import checked_reference
from plimsoll.signatures.identities import GITHUB_WORKFLOW_CLAIMS
from plimsoll.signatures.statement import predicate_type_of

_WORKFLOW: Final = {f"certificate-github-workflow-{name}": claim for name, claim in GITHUB_WORKFLOW_CLAIMS.items()}
_IDENTITY: Final = (
    "certificate-identity",
    "certificate-identity-regexp",
    "certificate-oidc-issuer",
    "certificate-oidc-issuer-regexp",
)
_TRUST: Final = frozenset({"key", "annotations", "type", "signature-digest-algorithm", *_IDENTITY, *_WORKFLOW})
_SWITCHES: Final = frozenset({"insecure-ignore-tlog", "private-infrastructure"})
_OTHER_TRUST: Final = "it trusts what a plimsoll document cannot name"
_REACH: Final = "it says how registries are reached or what is printed; see the options of verify"
_VALUES: Final = {
    **dict.fromkeys(
        ("certificate", "certificate-chain", "ca-roots", "ca-intermediates", "timestamp-certificate-chain", "slot"),
        (Effect.REJECTS, _OTHER_TRUST),
    ),
    **dict.fromkeys(
        ("sct", "signature", "payload", "attachment"),
        (Effect.REJECTS, "it verifies something else than what is stored as the image's signature"),
    ),
    "policy": (Effect.REJECTS, "CUE and Rego cannot be said: write the condition anew in CEL, as where"),
    "attachment-tag-prefix": (Effect.STRICTER, "tags with a prefix are not looked at"),
    "trusted-root": (Effect.DIFFERS, "a document names no trusted root: give verify the same --trusted-root"),
    "rekor-url": (Effect.DIFFERS, "no log is searched; its key is that of verify's --trusted-root"),
    **dict.fromkeys(
        ("registry-username", "registry-password", "registry-token", "registry-cacert", "registry-server-name"),
        (Effect.NOTE, _REACH),
    ),
    **dict.fromkeys(
        ("registry-client-cert", "registry-client-key", "max-workers", "output", "output-file", "timeout"),
        (Effect.NOTE, _REACH),
    ),
}
"""Flag with a value -> what becomes of it."""
_BOOLEANS: Final = {
    "sk": (Effect.REJECTS, _OTHER_TRUST),
    "use-signed-timestamps": (Effect.REJECTS, "a timestamp beside a log entry cannot be demanded"),
    "insecure-ignore-sct": (Effect.STRICTER, "a certificate's timestamp is demanded all the same"),
    "allow-certificate-chain": (Effect.NOTE, "intermediate certificates in a bundle lead to the same roots"),
    "offline": (Effect.NOTE, "verify asks no log; its --offline bans every other connection too"),
    **dict.fromkeys(
        ("new-bundle-format", "experimental-oci11"), (Effect.NOTE, "all formats are looked at, each as strictly")
    ),
    **dict.fromkeys(
        ("local-image", "allow-http-registry", "allow-insecure-registry", "k8s-keychain", "verbose"),
        (Effect.NOTE, _REACH),
    ),
}
"""Boolean flag -> what becomes of it where it is on."""
_SHORT: Final = {"a": "annotations", "o": "output", "t": "timeout", "d": "verbose"}
_LISTS: Final = frozenset({"annotations", "policy"})
_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_ALL_BOOLEANS: Final = frozenset({*_BOOLEANS, *_SWITCHES, "check-claims"})
_ALL_VALUES: Final = frozenset({*_VALUES, *_TRUST})


@dataclass(slots=True, kw_only=True)
class _Line:
    """A command line taken apart as pflag does it: of a flag given twice the last counts, but for lists."""

    attestation: bool = False
    flags: dict[str, list[str]] = field(default_factory=dict)
    images: list[str] = field(default_factory=list)

    def text(self, name: str) -> str | None:
        """The flag's value; None where it is not given, or empty, which cosign cannot tell from not given."""
        return self.flags.get(name, [""])[-1] or None

    def on(self, name: str) -> bool:
        return self.flags.get(name, ["false"])[-1] in _TRUE


def convert_cosign(words: tuple[str, ...], *, scopes: tuple[str, ...], key_path: Callable[[str], str]) -> Conversion:
    """Convert a command line; ``scopes`` are for images beside those that it names, as our documents write them.

    ``key_path`` says how the document calls a key file that the command line names. Raises PolicyError for what cosign
    would refuse, an unknown flag, and a line for no image.
    """
    line = _read(words)
    findings, signers = Findings(), Signers()
    lost = _tell(line, findings)
    signer = _signer(line, findings, signers, key_path)
    if signer is None:
        lost.append("--key" if line.text("key") else "--certificate-identity")
    wanted = Refused(places=tuple(lost)) if lost or signer is None else _wanted(line, signer)
    rules = [ConvertedRule(scope=scope, wanted=wanted, places=("the command line",)) for scope in scopes]
    if not line.on("local-image"):
        rules += [_rule(image, wanted, findings) for image in line.images]
    if not rules:
        raise PolicyError("the command line names no image: add one, or say for which images it is with --scope")
    unique = {rule.scope: rule for rule in reversed(rules)}
    return Conversion(rules=tuple(reversed(unique.values())), findings=findings.all, names=signers.names)


def _read(words: tuple[str, ...]) -> _Line:
    line, left = _Line(), list(words)
    if left and re.search(r"(?:^|/)cosign$", left[0]):
        left = left[1:]
    if left and left[0] in ("verify", "verify-attestation"):
        line.attestation = left.pop(0) == "verify-attestation"
    while left:
        word = left.pop(0)
        if word == "--":
            line.images += left
            break
        if word == "-" or not word.startswith("-"):
            line.images.append(word)
            continue
        name, value = _flag(word)
        if name in _ALL_BOOLEANS:
            value = "true" if value is None else value
            if value not in _TRUE | _FALSE:
                raise PolicyError(f"--{name}: {shown(value)} is no boolean")
        elif name not in _ALL_VALUES:
            raise PolicyError(f"{shown(word)} is no flag of cosign verify or verify-attestation that is known here")
        elif value is None:
            if not left:
                raise PolicyError(f"--{name} needs a value")
            value = left.pop(0)
        line.flags.setdefault(name, []).append(value)
    return line


def _flag(word: str) -> tuple[str, str | None]:
    """A flag's name and the value in the same word; cosign takes a long flag with one dash too."""
    name, equals, value = word.lstrip("-").partition("=")
    if not word.startswith("--") and word[1] in _SHORT and name not in _ALL_BOOLEANS | _ALL_VALUES:
        rest = word[2:].removeprefix("=")
        return _SHORT[word[1]], rest or None
    return name, value if equals else None


def _tell(line: _Line, findings: Findings) -> list[str]:
    """Say what becomes of each flag; returns those that make the whole reject."""
    lost = []
    for name, values in line.flags.items():
        place = f"--{name}"
        if len(values) > 1 and name not in _LISTS:
            findings.add(place, Effect.NOTE, "given more than once: the last one counts, as for cosign")
        effect, message = _VALUES.get(name) or (_BOOLEANS.get(name) if line.on(name) else None) or (None, "")
        if effect is not None:
            findings.add(place, effect, message)
        if effect is Effect.REJECTS:
            lost.append(place)
    if "check-claims" in line.flags and not line.on("check-claims"):
        findings.add("--check-claims", Effect.STRICTER, "what was signed must name this image's digest all the same")
    if line.attestation and "annotations" in line.flags:
        raise PolicyError("--annotations: cosign verify-attestation has no such flag")
    if not line.attestation and ("type" in line.flags or "policy" in line.flags):
        raise PolicyError("--type and --policy: cosign verify has no such flags")
    return lost


def _signer(line: _Line, findings: Findings, signers: Signers, key_path: Callable[[str], str]) -> SignerEntry | None:
    key, pair = line.text("key"), [name for name in (*_IDENTITY, *_WORKFLOW) if line.text(name)]
    if key is not None and pair:
        raise PolicyError(f"--key and --{pair[0]} exclude each other, for cosign too")
    if key is None:
        return _identity(line, findings, signers)
    if not _is_file(key):
        try:
            return signers.named(KeyEntry(reference=checked_reference(key), hash_name=_hash_name(line)), "key")
        except UnreadableKeyError as error:
            findings.add("--key", Effect.REJECTS, f"{error}; or save the public key to a file, and name that")
            return None
    name = re.sub(r"\.(?:pub|pem|key)$", "", key.rpartition("/")[2])
    return signers.named(KeyEntry(path=key_path(key), hash_name=_hash_name(line)), name or "key")


def _is_file(key: str) -> bool:
    return "://" not in key and not key.startswith("pkcs11:")


def _hash_name(line: _Line) -> HashName:
    given = line.text("signature-digest-algorithm") or "sha256"
    known: dict[str, HashName] = {name: name for name in get_args(HashName)}
    if given not in known:
        raise PolicyError(f"--signature-digest-algorithm: {shown(given)} is none of {', '.join(known)}")
    return known[given]


def _identity(line: _Line, findings: Findings, signers: Signers) -> SignerEntry | None:
    subject = _match(line, "certificate-identity", findings)
    issuer = _match(line, "certificate-oidc-issuer", findings)
    if subject is None or issuer is None:
        return None
    claims = tuple([(claim, Exact(text=text)) for name, claim in _WORKFLOW.items() if (text := line.text(name))])
    return signers.named(IdentityEntry(issuer=issuer, subject=subject, claims=claims), "signer")


def _match(line: _Line, name: str, findings: Findings) -> TextMatch | None:
    found = read_pair(line.text(name), line.text(f"{name}-regexp"))
    if found is None:
        raise PolicyError(f"--{name} or --{name}-regexp is needed, or --key, for cosign too")
    place = f"--{name}-regexp" if line.text(f"{name}-regexp") else f"--{name}"
    if found.match is None:
        findings.add(place, Effect.REJECTS, found.message)
    elif found.message:
        findings.add(place, Effect.STRICTER if found.stricter else Effect.NOTE, found.message)
    return found.match


def _wanted(line: _Line, signer: SignerEntry) -> Wanted:
    log_ignored = line.on("insecure-ignore-tlog") or line.on("private-infrastructure")
    if line.attestation:
        try:
            kind = predicate_type_of(line.text("type") or "custom")
        except UsageError as error:
            raise PolicyError(f"--type: {error}") from None
        return Attested(type=kind, signers=(signer,), log_ignored=log_ignored)
    pairs = [text.partition("=") for text in line.flags.get("annotations", [])]
    if any(not key or not equals for key, equals, _ in pairs):
        raise PolicyError("--annotations: write KEY=VALUE")
    annotations = {key: value for key, _, value in pairs}
    return Signed(signers=(signer,), log_ignored=log_ignored, annotations=tuple(annotations.items()))


def _rule(image: str, wanted: Wanted, findings: Findings) -> ConvertedRule:
    try:
        domain, path, tag, digest = split_docker_reference(image)
    except InvalidReferenceError as error:
        raise PolicyError(f"the image {shown(image)}: {error}") from None
    if tag is not None or digest is not None:
        findings.add(image, Effect.NOTE, "a scope has no tag and no digest: the rule is for the whole repository")
    return ConvertedRule(scope=f"docker://{domain.lower()}/{path}", wanted=wanted, places=(image,))
