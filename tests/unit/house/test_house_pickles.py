"""Everything in model and errors pickles, key-bearing values as their DER bytes: a worker is given bytes."""

from __future__ import annotations

import dataclasses
import enum
import importlib
import inspect
import pickle
import pkgutil
from functools import cache
from itertools import product

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import plimsoll.model
from plimsoll import errors
from plimsoll.errors import PlimsollError, RejectedError
from plimsoll.model import (
    attestation,
    bundle,
    comparison,
    conversion,
    descriptor,
    digest,
    evidence,
    explanation,
    identity,
    identity_token,
    key_reference,
    location,
    manifest,
    reference,
    settings,
    signature,
    signing_config,
    token_uri,
    trust,
    trusted_root,
    verdict,
)

PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)


def classes_of(module):
    """The classes that a module defines, private and structural (Protocol) ones aside."""
    return [
        found
        for name, found in inspect.getmembers(module, inspect.isclass)
        if found.__module__ == module.__name__
        and not name.startswith("_")
        and not getattr(found, "_is_protocol", False)
    ]


MODEL_MODULES = [
    importlib.import_module(f"plimsoll.model.{info.name}") for info in pkgutil.iter_modules(plimsoll.model.__path__)
]
MODEL_CLASSES = sorted(
    (found for module in MODEL_MODULES for found in classes_of(module)), key=lambda found: found.__qualname__
)
ERROR_CLASSES = [found for found in classes_of(errors) if issubclass(found, BaseException)]

SHA256 = digest.Digest.of(b"one")
SHA512 = digest.Digest.of(b"two", algorithm="sha512")
PLATFORM = descriptor.Platform(os="linux", architecture="arm64", variant="v8")
BLOB = descriptor.Descriptor(
    media_type="application/x",
    digest=SHA256,
    size=3,
    annotations={"a": "b"},
    platform=PLATFORM,
    urls=("https://x.example/",),
)
DOCKER = reference.DockerReference(domain="registry.example", path="team/app", tag="v1")
PLACE = evidence.TagPlace(tag="sha256-0.sig", media_types=frozenset({"application/x"}))
REASON = verdict.Reason(code="not-found", message="no such manifest")
RECORD = verdict.SignatureRecord(format="cosign", verified=False, key=str(SHA256), reason=REASON)
JUDGEMENT = verdict.Judgement(outcome=verdict.Outcome.REJECTED, reasons=(REASON,), signatures=(RECORD,))
INSTANCE = verdict.Instance(digest=SHA256, platform=str(PLATFORM), judgement=JUDGEMENT, inherited=True)
RAW = manifest.RawManifest(data=b"{}", content_type="application/json")


@cache
def keys():
    made = (
        *(ec.generate_private_key(curve()) for curve in (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    )
    return tuple(
        trust.PublicKey(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)) for key in made
    )


def log():
    return trusted_root.TransparencyLog(
        log_id=b"\1" * 32, key=keys()[0], valid_from_s=1.5, valid_until_s=None, base_url="https://l.example"
    )


PROOF = bundle.UntrustedInclusionProof(log_index=1, root_hash=b"r", tree_size=2, hashes=(b"h",), checkpoint="note")
ENTRY = bundle.UntrustedTlogEntry(
    log_index=3, log_id=b"l", kind="hashedrekord", version="0.0.1", body=b"{}", integrated_time_s=4, proof=PROOF
)
ENVELOPE = bundle.UntrustedEnvelope(payload_type="application/x", payload=b"{}", signatures=(("k", b"s"),))
MESSAGE = bundle.UntrustedMessageSignature(signature=b"s", digest_algorithm="SHA2_256", digest=b"d")
SUBJECT = attestation.Subject(name="app", digests={"sha256": SHA256.hex}, annotations={"env": "prod"})
AUTHORITY = trusted_root.CertificateAuthority(chain=(b"leaf", b"root"), valid_from_s=1.5, valid_until_s=2.5)


def a_verdict():
    return verdict.Verdict(
        image=str(DOCKER),
        position=7,
        outcome=verdict.Outcome.UNDETERMINED,
        reasons=(REASON,),
        digest=SHA512,
        pinned=DOCKER.pinned(SHA256),
        judged="instances",
        signatures=(RECORD,),
        instances=(INSTANCE,),
        index=JUDGEMENT,
        contacted=("mirror.example/team/app",),
        requests=3,
        bytes=1811,
        seconds=0.25,
    )


# Callables, because keys take time to make and not every run needs them.
FINDING = explanation.RequirementFinding(place="default[0]", kind="reject", judgement=JUDGEMENT)
JUDGED = explanation.JudgedManifest(digest=SHA256, attachments=True, store=None, findings=(FINDING,))
CASE = comparison.PolicyCase(
    image=str(DOCKER), expect=verdict.Outcome.REJECTED, name="n", reasons=("no-signature",), platform="all"
)
CONFIGURATION = explanation.ConfigurationFile(role="policy", path="/p.json")


SAMPLES = {
    attestation.Statement: lambda: [
        attestation.Statement(
            type="https://in-toto.io/Statement/v1",
            subjects=(SUBJECT,),
            predicate_type="https://slsa.dev/provenance/v1",
            predicate={"deep": [1, None]},
        )
    ],
    attestation.Subject: lambda: [SUBJECT],
    bundle.UntrustedBundle: lambda: [
        bundle.UntrustedBundle(version="0.3", content=ENVELOPE, certificates=(b"c",), entries=(ENTRY,)),
        bundle.UntrustedBundle(version="0.3", content=MESSAGE, key_hint="k", timestamps=(b"t",)),
    ],
    bundle.UntrustedEnvelope: lambda: [ENVELOPE],
    bundle.UntrustedInclusionProof: lambda: [PROOF],
    bundle.UntrustedMessageSignature: lambda: [MESSAGE],
    bundle.UntrustedTlogEntry: lambda: [ENTRY],
    trusted_root.CertificateAuthority: lambda: [AUTHORITY],
    comparison.CaseResult: lambda: [comparison.CaseResult(case=CASE, verdict=a_verdict())],
    comparison.Change: lambda: list(comparison.Change),
    conversion.Effect: lambda: list(conversion.Effect),
    conversion.Finding: lambda: [
        conversion.Finding(place="spec.mode", line=3, effect=conversion.Effect.NOTE, message="said")
    ],
    comparison.PolicyCase: lambda: [CASE],
    comparison.VerdictPair: lambda: [comparison.VerdictPair(old=a_verdict(), new=a_verdict())],
    descriptor.Descriptor: lambda: [BLOB],
    descriptor.Platform: lambda: [PLATFORM, descriptor.Platform()],
    digest.Digest: lambda: [SHA256, SHA512],
    evidence.Absent: lambda: [evidence.Absent()],
    evidence.Attachment: lambda: [
        evidence.Attachment(descriptor=BLOB, data=b"one"),
        evidence.Attachment(descriptor=BLOB, failure=REASON),
    ],
    evidence.Evidence: lambda: [
        evidence.Evidence(
            image=str(DOCKER),
            location=location.locate_docker(DOCKER),
            manifest=RAW,
            digests=(SHA256, SHA512),
            now_s=1.25,
            answers={PLACE: evidence.Failed(reason=REASON)},
        )
    ],
    explanation.ConfigurationFile: lambda: [CONFIGURATION],
    explanation.Explanation: lambda: [
        explanation.Explanation(
            verdict=a_verdict(),
            policy="sha256:00",
            scope=None,
            passed_over=("default",),
            manifests=(JUDGED,),
            contacted=("registry.example/app",),
            files=(CONFIGURATION,),
        )
    ],
    explanation.JudgedManifest: lambda: [JUDGED],
    explanation.RequirementFinding: lambda: [
        FINDING,
        explanation.RequirementFinding(place="default[1]", kind="signedBy", judgement=None),
    ],
    evidence.Failed: lambda: [evidence.Failed(reason=REASON)],
    evidence.Found: lambda: [evidence.Found(attachments=(evidence.Attachment(descriptor=BLOB, data=b"one"),))],
    evidence.Needs: lambda: [evidence.Needs(places=(PLACE,)), evidence.Needs(places=(PLACE,), whole=True)],
    evidence.ReferrersPlace: lambda: [evidence.ReferrersPlace(digest=SHA256, artifact_type="application/x")],
    evidence.StorePlace: lambda: [evidence.StorePlace(base="https://sigs.example/", digest=SHA256)],
    evidence.TagPlace: lambda: [PLACE],
    identity.Exact: lambda: [identity.Exact(text="a")],
    identity.Glob: lambda: [identity.Glob(pattern="a/*")],
    identity.Identity: lambda: [
        identity.Identity(issuer=identity.Exact(text="a"), subject=identity.Glob(pattern="*")),
        identity.Identity(
            issuer=identity.Regexp(pattern="a+"),
            subject=identity.Exact(text="b"),
            claims=(("buildTrigger", identity.Exact(text="push")),),
        ),
    ],
    identity.Regexp: lambda: [
        identity.Regexp(pattern="a+"),
        identity.Regexp(pattern="a+", reading=identity.RegexpReading.SEARCH),
    ],
    identity.RegexpReading: lambda: list(identity.RegexpReading),
    location.Location: lambda: [location.locate_docker(DOCKER), location.locate_path("oci", "/srv/images")],
    manifest.ImageConfig: lambda: [
        manifest.ImageConfig(os="linux", architecture="amd64", variant=None, diff_ids=(SHA256, SHA512))
    ],
    manifest.Index: lambda: [
        manifest.Index(media_type=descriptor.OCI_INDEX, manifests=(BLOB,), annotations={"a": "b"})
    ],
    manifest.Manifest: lambda: [
        manifest.Manifest(media_type=descriptor.OCI_MANIFEST, config=BLOB, layers=(BLOB, BLOB), subject=BLOB)
    ],
    manifest.RawManifest: lambda: [RAW],
    reference.ArchiveReference: lambda: [reference.ArchiveReference(path="/a.tar", name="v1")],
    reference.DirectoryReference: lambda: [reference.DirectoryReference(path="/d")],
    reference.DockerArchiveReference: lambda: [
        reference.DockerArchiveReference(path="/a.tar", image=DOCKER),
        reference.DockerArchiveReference(path="/a.tar", index=1),
    ],
    reference.DockerReference: lambda: [
        DOCKER,
        reference.DockerReference(domain="registry.example", path="app", digest=SHA256, echo_tag="v1"),
    ],
    reference.LayoutReference: lambda: [
        reference.LayoutReference(path="/l", index=0),
        reference.LayoutReference(path="/l", digest=SHA256),
    ],
    settings.Credentials: lambda: [settings.Credentials(username="u", password="not-a-secret")],
    settings.HttpSettings: lambda: [
        settings.HttpSettings(retries=0, requests_per_s=2.5, auth_realms=frozenset({"a.example"}))
    ],
    settings.IndexPolicy: lambda: list(settings.IndexPolicy),
    settings.Layers: lambda: list(settings.Layers),
    settings.Settings: lambda: [
        settings.Settings(),
        settings.Settings(layers=settings.Layers.DIGEST, credentials=settings.Credentials(username="u", password="p")),
    ],
    settings.Endpoint: lambda: [settings.Endpoint(reference=DOCKER, tls=settings.TLSSettings(), stands_in=True)],
    settings.IdentityToken: lambda: [settings.IdentityToken(value="not-a-secret")],
    settings.RegistryToken: lambda: [settings.RegistryToken(value="not-a-secret")],
    settings.Proxy: lambda: [settings.Proxy(url="http://proxy.example:3128")],
    settings.Routes: lambda: [settings.Routes(), settings.Routes(endpoints_for=classes_of)],
    settings.TLSSettings: lambda: [settings.TLSSettings(verify=False, cert_dir="/c")],
    signature.UntrustedCosignSignature: lambda: [
        signature.UntrustedCosignSignature(
            payload=b"{}", signature="MEU=", log_entry=None, certificate="leaf", chain="root"
        )
    ],
    signature.UntrustedAttestation: lambda: [
        signature.UntrustedAttestation(envelope=b"{}", log_entry=None, certificate="leaf", timestamp="{}")
    ],
    signature.UnknownStoredSignature: lambda: [signature.UnknownStoredSignature(mime_type="application/x")],
    signature.UntrustedSimpleSignature: lambda: [signature.UntrustedSimpleSignature(message=b"\xa3\x01")],
    trust.PublicKey: lambda: list(keys()),
    trusted_root.TransparencyLog: lambda: [log()],
    key_reference.FileKey: lambda: [key_reference.FileKey(path="k.pub")],
    key_reference.VariableKey: lambda: [key_reference.VariableKey(name="K")],
    key_reference.VaultKey: lambda: [key_reference.VaultKey(name="release")],
    key_reference.AwsKey: lambda: [
        key_reference.AwsKey(key_id="alias/a", endpoint="localhost:4566", region="eu-west-1")
    ],
    key_reference.NamedReference: lambda: [key_reference.parse_key_reference("env://K")],
    token_uri.TokenKey: lambda: [token_uri.parse_token_uri("pkcs11:token=t;id=%01?pin-value=1&module-path=/m.so")],
    identity_token.OidcToken: lambda: [
        identity_token.OidcToken(value="a.b.c", subject="s", issuer="i"),
        identity_token.OidcToken(value="a.b.c", subject="s", issuer="i", expires_s=1.5),
    ],
    signing_config.Service: lambda: [signing_config.Service(url="https://log.example", version=2, operator="o")],
    signing_config.Selection: lambda: [signing_config.Selection(), signing_config.Selection(selector="ALL")],
    signing_config.SigningServices: lambda: [signing_config.SigningServices()],
    signing_config.SigningConfig: lambda: [
        signing_config.SigningConfig(),
        signing_config.SigningConfig(logs=(signing_config.Service(url="https://log.example"),)),
    ],
    trusted_root.TrustRoot: lambda: [trusted_root.TrustRoot(), trusted_root.TrustRoot(tlogs=(log(),))],
    verdict.Instance: lambda: [INSTANCE],
    verdict.Judgement: lambda: [JUDGEMENT],
    verdict.Outcome: lambda: list(verdict.Outcome),
    verdict.Reason: lambda: [REASON],
    verdict.SignatureRecord: lambda: [RECORD, verdict.SignatureRecord(format="cosign", verified=True)],
    verdict.Verdict: lambda: [a_verdict()],
}


def test_every_class_of_the_model_has_a_sample():
    assert {found.__qualname__ for found in MODEL_CLASSES} == {found.__qualname__ for found in SAMPLES}


@pytest.mark.parametrize(
    "found", sorted(SAMPLES, key=lambda found: found.__qualname__), ids=lambda found: found.__qualname__
)
def test_a_value_of_the_model_comes_back_equal(found):
    for value, protocol in product(SAMPLES[found](), PROTOCOLS):
        back = pickle.loads(pickle.dumps(value, protocol))
        assert type(back) is found
        assert back == value


@pytest.mark.parametrize("found", MODEL_CLASSES, ids=lambda found: found.__qualname__)
def test_a_value_of_the_model_cannot_be_changed(found):
    if issubclass(found, enum.Enum):
        return  # its members are constants by language
    for value in SAMPLES[found]():
        names = [field.name for field in dataclasses.fields(value)] if dataclasses.is_dataclass(value) else ["spki"]
        for name in names:
            with pytest.raises(AttributeError):
                setattr(value, name, None)


def test_a_key_travels_as_its_der_bytes():
    for key in keys():
        pickled = pickle.dumps(key)
        assert key.spki in pickled
        assert b"cryptography" not in pickled


def field_values(found):
    """A value for each keyword field of an error class: the names are few, and a new one must be given a sample here."""
    samples = {
        "retry_after_s": 2.5,
        "status": 503,
        "undelivered": 9,
        "verdict": a_verdict(),
        "kind": "depth",
        "offset": 12,
        "index": 3,
        "refusal": "DENIED",
    }
    parameters = inspect.signature(found.__init__).parameters.values()
    return {p.name: samples[p.name] for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def test_the_errors_are_found():
    assert {PlimsollError, RejectedError} < set(ERROR_CLASSES)
    assert all(issubclass(found, PlimsollError) for found in ERROR_CLASSES)


@pytest.mark.parametrize("found", ERROR_CLASSES, ids=lambda found: found.__qualname__)
def test_an_error_comes_back_with_its_fields(found):
    errors_of_it = [found("what was wrong"), found("what was wrong", **field_values(found))]
    for error, protocol in product(errors_of_it, PROTOCOLS):
        back = pickle.loads(pickle.dumps(error, protocol))
        assert type(back) is found
        assert (str(back), back.args, vars(back)) == (str(error), error.args, vars(error))


@pytest.mark.parametrize("found", ERROR_CLASSES, ids=lambda found: found.__qualname__)
def test_an_error_is_drawn_in_the_tree_and_has_a_code(found):
    assert found.__name__ in (errors.__doc__ or "")
    assert found.code
    assert found.code == found.code.lower()
