"""How images are signed here, and what is asked about them: data for the tests, and the command lines made of it."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from interop.images import push_image
from interop.peers import World

SUBJECT = "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main"
ISSUER = "https://token.actions.githubusercontent.com"
PREDICATES = {
    "custom": {"kept": "as it is"},
    "vuln": {
        "invocation": {"parameters": None, "uri": "", "event_id": "", "builder.id": ""},
        "scanner": {"uri": "pkg:example/scanner", "version": "1", "db": {"uri": "", "version": ""}, "result": {}},
        "metadata": {"scanStartedOn": "2026-01-01T00:00:00Z", "scanFinishedOn": "2026-01-01T00:00:01Z"},
    },
    "slsaprovenance": {"builder": {"id": "https://builder.example/"}, "buildType": "https://builder.example/make"},
    "slsaprovenance1": {
        "buildDefinition": {"buildType": "https://builder.example/make", "externalParameters": {}},
        "runDetails": {"builder": {"id": "https://builder.example/"}},
    },
    "spdxjson": {"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "app"},
    "cyclonedx": {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1},
    "openvex": {"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://vex.example/1", "version": 1},
    "link": {
        "_type": "link",
        "name": "build",
        "command": ["make"],
        "materials": {},
        "products": {},
        "byproducts": {},
        "environment": {},
    },
    "https://predicates.example/own/v1": {"own": True},
}
"""Type as cosign names it -> a predicate of that type."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """One way to sign: by whom, with what, and where it is kept."""

    by: str = "cosign"
    key: bool = True
    with_key: str = "k1"
    bundle: bool = True
    log: str | None = None
    stamped: bool = False
    attestation: str | None = None

    def __str__(self):
        kind = "bundle" if self.bundle else (".sig" if self.attestation is None else ".att")
        how = f"{'keyed' if self.key else 'keyless'} {kind} by {self.by}"
        key = self.with_key if self.with_key != "k1" else None
        return ", ".join(filter(None, [how, key, self.attestation, self.log, "stamped" if self.stamped else None]))


@dataclass(frozen=True, kw_only=True)
class Question:
    """The options that both programs are given, and what only one of them needs."""

    args: tuple[str, ...]
    cosign: tuple[str, ...] = ()
    plimsoll: tuple[str, ...] = ()
    attestation: str | None = None


KEY = ("--key", "{key}")
ROOT = ("--trusted-root", "{root}")
OTHER_ROOT = ("--trusted-root", "{stranger}")
UNLOGGED = ("--insecure-ignore-tlog",)
WHO = ("--certificate-identity", SUBJECT)
VOUCHED = ("--certificate-oidc-issuer", ISSUER)
STAMPED = ("--use-signed-timestamps",)
"""plimsoll takes a timestamp's time wherever there is one, so it has no such option."""

OF_KEYS = {
    "the key": Question(args=(*KEY, *ROOT, *UNLOGGED)),
    "the key, logged": Question(args=(*KEY, *ROOT)),
    "the key, logged elsewhere": Question(args=(*KEY, *OTHER_ROOT)),
    "another key": Question(args=("--key", "{other_key}", *ROOT, *UNLOGGED)),
    "an identity": Question(args=(*WHO, *VOUCHED, *ROOT, *UNLOGGED)),
}
OF_IDENTITIES = {
    "who": Question(args=(*WHO, *VOUCHED, *ROOT)),
    "who, not logged": Question(args=(*WHO, *VOUCHED, *ROOT, *UNLOGGED)),
    "who, by another root": Question(args=(*WHO, *VOUCHED, *OTHER_ROOT)),
    "another identity": Question(args=("--certificate-identity", SUBJECT + "x", *VOUCHED, *ROOT)),
    "another issuer": Question(args=(*WHO, "--certificate-oidc-issuer", "https://gitlab.com", *ROOT)),
    "identity by pattern": Question(
        args=("--certificate-identity-regexp", r"https://github\.com/acme/.*", *VOUCHED, *ROOT)
    ),
    "part of the identity": Question(args=("--certificate-identity-regexp", "acme", *VOUCHED, *ROOT)),
    "part of the identity, as cosign": Question(
        args=("--certificate-identity-regexp", "acme", *VOUCHED, *ROOT), plimsoll=("--cosign-compatible",)
    ),
    "issuer by pattern": Question(args=(*WHO, "--certificate-oidc-issuer-regexp", "https://token.*com", *ROOT)),
    "its branch": Question(args=(*WHO, *VOUCHED, *ROOT, "--certificate-github-workflow-ref", "refs/heads/main")),
    "another branch": Question(args=(*WHO, *VOUCHED, *ROOT, "--certificate-github-workflow-ref", "refs/heads/x")),
    "a key": Question(args=(*KEY, *ROOT)),
}
OF_TIMESTAMPS = {
    "who, stamped": Question(args=(*WHO, *VOUCHED, *ROOT), cosign=STAMPED),
    "who, stamped and not logged": Question(args=(*WHO, *VOUCHED, *ROOT, *UNLOGGED), cosign=STAMPED),
}
OF_SIGNATURES = {
    "its annotation": ("-a", "by=us"),
    "another annotation": ("-a", "by=them"),
}


def questions(form):
    """All that is asked about an image of this form, by name."""
    asked = OF_KEYS if form.key else OF_IDENTITIES
    if not form.key and form.stamped:
        asked = asked | OF_TIMESTAMPS
    if form.attestation is None:
        usual = asked["the key, logged" if form.log else "the key"] if form.key else asked["who"]
        more = {name: replace(usual, args=(*usual.args, *args)) for name, args in OF_SIGNATURES.items()}
        return asked | more
    usual = next(iter(asked.values()))
    other = "vuln" if form.attestation != "vuln" else "link"
    return {name: replace(each, attestation=form.attestation) for name, each in asked.items()} | {
        "another type": replace(usual, attestation=other),
        "a signature": usual,
        "a signature, as cosign": replace(usual, plimsoll=("--cosign-compatible",)),
    }


@dataclass(frozen=True)
class Images:
    """Signed images, each made when first asked for."""

    world: World
    made: dict = field(default_factory=dict)

    def signed(self, form, registry):
        """The reference of an image that is signed in this form only, by digest."""
        if (form, registry) not in self.made:
            image = self.unsigned(str(form), registry)
            sign(form, image, self.world)
            self.made[form, registry] = image
        return self.made[form, registry]

    def unsigned(self, text, registry):
        """A new image."""
        folder = self.world.sigstore.folder / f"image-{len(list(self.world.sigstore.folder.glob('image-*')))}"
        return push_image(self.world.registries[registry], "team/app", f"{text} in {registry}", folder=folder)


def sign(form, image, world, *more):
    """Sign in this form by the real command."""
    if form.by == "cosign":
        return world.cosign.do(*_cosign_signs(form, world), "--allow-http-registry", *more, "--yes", image)
    return world.plimsoll.do(*_plimsoll_signs(form, world), "--tls-verify=false", *more, "--yes", f"docker://{image}")


def _plimsoll_signs(form, world):
    """cosign's options under cosign's names, save ``--format``."""
    how = ("--format", "bundle" if form.bundle else ("sig" if form.attestation is None else "att"))
    services = _as_bundle(form, world) if form.bundle else _as_tag(form, world)
    return (*_what(form, world), *how, *_whose(form, world), *services, "--trusted-root", world.sigstore.trusted_root)


def _cosign_signs(form, world):
    how = () if form.bundle else ("--new-bundle-format=false", "--use-signing-config=false")
    services = _as_bundle(form, world) if form.bundle else _as_tag(form, world)
    return (*_what(form, world), *how, *_whose(form, world), *services, "--trusted-root", world.sigstore.trusted_root)


def _what(form, world):
    return ("sign", "-a", "by=us") if form.attestation is None else _attest(form, world)


def _whose(form, world):
    if form.key:
        return ("--key", world.keys / f"{form.with_key}.key")
    return ("--identity-token", world.sigstore.token(SUBJECT, ISSUER))


def _attest(form, world):
    file = world.sigstore.folder / "predicate.json"
    file.write_text(json.dumps(PREDICATES[form.attestation]))
    return ("attest", "--type", form.attestation, "--predicate", file)


def _as_bundle(form, world):
    services = (*(() if form.key else ("fulcio",)), *filter(None, [form.log]), *(["tsa"] if form.stamped else []))
    return ("--signing-config", world.sigstore.signing_config(*services))


def _as_tag(form, world):
    url = world.sigstore.url
    return (
        *(() if form.key else ("--fulcio-url", url)),
        *(("--rekor-url", url) if form.log else ("--tlog-upload=false",)),
        *(("--timestamp-server-url", f"{url}/api/v1/timestamp") if form.stamped else ()),
    )


def ask(question, image, world, *, with_key="k1", root=None):
    """What cosign and plimsoll say of an image, each by its own command; ``with_key`` is the key that is meant."""
    words = {
        "key": world.keys / f"{with_key}.pub",
        "other_key": world.keys / ("k2.pub" if with_key != "k2" else "k1.pub"),
        "root": world.sigstore.trusted_root if root is None else root,
        "stranger": world.stranger.trusted_root,
    }
    args = [arg.format_map(words) for arg in question.args]
    wanted = question.attestation
    verb = ("verify",) if wanted is None else ("verify-attestation", "--type", wanted)
    cosign = world.cosign.run(*verb, "--allow-http-registry", "--offline", *args, *question.cosign, image)
    asked = () if wanted is None else ("--attestation-type", wanted)
    more = [arg.format_map(words) for arg in question.plimsoll]
    how = ("verify", "--tls-verify=false", "--format", "jsonl", *asked)
    return cosign, world.plimsoll.run(*how, *args, *more, f"docker://{image}")


def ask_all(asked, image, world, **how):
    """The answers to many questions, by name; ``asked`` maps names to pairs of a question and what else ``ask`` takes."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        pending = {
            name: pool.submit(ask, question, image, world, **(how | more)) for name, (question, more) in asked.items()
        }
        return {name: answers.result() for name, answers in pending.items()}
