from __future__ import annotations

import shlex

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.foreign_policies import effects, parsed
from plimsoll.errors import PolicyError
from plimsoll.model.identity import Exact, Regexp
from plimsoll.policy.convert_cosign import convert_cosign
from plimsoll.policy.document_writing import write_document
from plimsoll.policy.requirements import AttestationsRequired, LogDemand, Reject, SignaturesRequired

KEYLESS = "--certificate-identity me@x.example --certificate-oidc-issuer https://issuer.example"


def convert(text, *, scopes=()):
    return convert_cosign(tuple(shlex.split(text)), scopes=scopes, key_path=lambda path: path)


def requirements(text):
    conversion = convert(text)
    _, policy = parsed(conversion)
    return policy.rules[0].requirements, effects(conversion)


def test_a_key():
    (found,), said = requirements("cosign verify --key keys/release.pub -a env=prod ghcr.io/acme/app")
    assert isinstance(found, SignaturesRequired)
    assert [(signer.name, signer.source.paths) for signer in found.signers] == [
        ("release", ("/policies/keys/release.pub",))
    ]
    assert (found.log, found.annotations, said) == (LogDemand.REQUIRED, (("env", "prod"),), {})


@pytest.mark.parametrize("flag", ["--insecure-ignore-tlog", "-insecure-ignore-tlog=true", "--private-infrastructure"])
def test_the_log_is_ignored_only_where_that_is_asked(flag):
    (found,), _ = requirements(f"verify --key k.pub {flag} ghcr.io/acme/app")
    assert found.log is LogDemand.IGNORED
    (found,), _ = requirements("verify --key k.pub --insecure-ignore-tlog=false ghcr.io/acme/app")
    assert found.log is LogDemand.REQUIRED


def test_an_identity_with_claims():
    (found,), said = requirements(
        "cosign verify --certificate-identity-regexp '^https://github.com/acme/' "
        "--certificate-oidc-issuer=https://token.actions.githubusercontent.com "
        "--certificate-github-workflow-ref refs/heads/main ghcr.io/acme/app:v1"
    )
    (signer,) = found.signers
    assert signer.identity.issuer == Exact(text="https://token.actions.githubusercontent.com")
    assert signer.identity.subject == Regexp(pattern="(?s:.*)(?:^https://github.com/acme/)(?s:.*)")
    assert signer.identity.claims == (("githubWorkflowRef", Exact(text="refs/heads/main")),)
    assert set(said.values()) == {"note"}


def test_an_attestation():
    (found,), said = requirements(f"cosign verify-attestation --type slsaprovenance1 {KEYLESS} ghcr.io/acme/app")
    assert isinstance(found, AttestationsRequired)
    assert (found.type, said) == ("https://slsa.dev/provenance/v1", {})
    (found,), _ = requirements(f"cosign verify-attestation {KEYLESS} ghcr.io/acme/app")
    assert found.type == "https://cosign.sigstore.dev/attestation/v1"


@pytest.mark.parametrize(
    "more",
    [
        "verify-attestation --key k.pub --policy p.rego",
        "verify-attestation --key k.pub --policy p.cue --policy q.cue",
        "verify --key https://keys.example/k.pub",
        "verify --key gitlab://KEY",
        "verify --key k.pub --use-signed-timestamps",
        "verify --key k.pub --attachment sbom",
        "verify --sk",
        f"verify {KEYLESS} --ca-roots roots.pem",
        f"verify {KEYLESS} --certificate-chain chain.pem",
        "verify --certificate-identity a --certificate-oidc-issuer-regexp '('",
        "verify --certificate-identity a --certificate-identity-regexp '^b' --certificate-oidc-issuer x",
    ],
)
def test_what_cannot_be_said_rejects(more):
    if "--sk" in more:
        more += " --key k.pub"
    (found,), said = requirements(f"cosign {more} ghcr.io/acme/app")
    assert isinstance(found, Reject)
    assert "rejects" in said.values()


@pytest.mark.parametrize(
    ("flag", "effect"),
    [
        ("--trusted-root root.json", "differs"),
        ("--insecure-ignore-sct", "stricter"),
        ("--check-claims=false", "stricter"),
        ("--offline", "note"),
        ("--new-bundle-format=true", "note"),
        ("-o json", "note"),
        ("-t=3m", "note"),
    ],
)
def test_each_other_flag_is_told(flag, effect):
    (found,), said = requirements(f"cosign verify {KEYLESS} {flag} ghcr.io/acme/app")
    assert isinstance(found, SignaturesRequired)
    assert list(said.values()) == [effect]


@pytest.mark.parametrize(
    "text",
    [
        "verify ghcr.io/acme/app",
        "verify --key k.pub",
        "verify --certificate-identity a ghcr.io/acme/app",
        f"verify --key k.pub {KEYLESS} ghcr.io/acme/app",
        "verify --key k.pub --no-such-flag ghcr.io/acme/app",
        "verify --key k.pub --insecure-ignore-tlog=perhaps ghcr.io/acme/app",
        "verify --key k.pub ghcr.io/acme/app --type",
        "verify --key k.pub --type vuln ghcr.io/acme/app",
        "verify-attestation --key k.pub --type nonsense ghcr.io/acme/app",
        "verify-attestation --key k.pub -a a=b ghcr.io/acme/app",
        "verify --key k.pub -a ab ghcr.io/acme/app",
        "verify --key k.pub --signature-digest-algorithm md5 ghcr.io/acme/app",
        "verify --key k.pub GHCR.io/Acme/app",
    ],
)
def test_what_cosign_refuses_is_refused(text):
    with pytest.raises(PolicyError):
        convert(text)


def test_the_last_of_a_flag_counts_and_images_share_a_rule():
    conversion = convert("verify --key a.pub --key b.pub ghcr.io/acme/app:v1 ghcr.io/acme/app:v2 -- busybox")
    value, _ = parsed(conversion)
    assert value["keys"] == {"b": {"path": "b.pub"}}
    assert [rule["scope"] for rule in value["rules"]] == [
        "docker://ghcr.io/acme/app",
        "docker://docker.io/library/busybox",
    ]
    assert value["default"] == "reject"


def test_a_kms_key_keeps_its_name_and_digest():
    value, _ = parsed(convert("verify --key awskms:///alias/x --signature-digest-algorithm sha512 ghcr.io/acme/app"))
    assert value["keys"] == {"key": {"uri": "awskms:///alias/x", "digestAlgorithm": "sha512"}}


@pytest.mark.parametrize("uri", ["k8s://ns/name", "env://KEY", "pkcs11:object=k", "openbao://k"])
def test_a_key_from_elsewhere_keeps_its_name(uri):
    value, _ = parsed(convert(f"verify --key {uri} ghcr.io/acme/app"))
    assert value["keys"] == {"key": {"uri": uri}}


@pytest.mark.parametrize(
    "uri",
    ["gitlab://x", "awskms:///a", "pkcs11:object=k?module-path=/usr/lib/x.so", "pkcs11:object=k?pin-value=24680"],
)
def test_a_key_that_a_document_cannot_name_rejects_and_shows_no_pin(uri):
    conversion = convert(f"verify --key '{uri}' ghcr.io/acme/app")
    value, _ = parsed(conversion)
    assert "keys" not in value
    assert [finding.effect.value for finding in conversion.findings if finding.place == "--key"] == ["rejects"]
    assert "24680" not in repr(conversion)


WORDS = st.sampled_from(
    [
        "verify",
        "--key",
        "k.pub",
        "--key=k",
        "-a",
        "a=b",
        "--sk",
        "--type",
        "vuln",
        "ghcr.io/a/b",
        "--",
        "-",
        "-o",
        "x",
        "--certificate-identity=\u202ea",
        "--certificate-oidc-issuer",
        "https://x\n# y",
        "--certificate-identity-regexp=^a",
    ]
)


@settings(max_examples=100)
@given(st.lists(WORDS | st.text(max_size=6), max_size=8))
def test_any_words_are_refused_or_converted_to_what_parses(words):
    try:
        conversion = convert_cosign(tuple(words), scopes=("docker://r.example/**",), key_path=lambda path: path)
        text = write_document(conversion, source="\n\u202e")
    except PolicyError:
        return
    assert text.isascii()
    assert set(yaml.safe_load(text)) <= {"apiVersion", "keys", "identities", "rules", "default"}
    parsed(conversion)
