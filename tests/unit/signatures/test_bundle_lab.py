"""Bundles and envelopes that other programs wrote: cosign's in tests/vectors, and the conformance suite's where it lies."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from plimsoll.errors import BundleInvalidError, LogProofMissingError
from plimsoll.model.bundle import UntrustedEnvelope, UntrustedMessageSignature
from plimsoll.model.digest import Digest
from plimsoll.model.trust import parse_pem_key
from plimsoll.signatures.bundle import parse_bundle
from plimsoll.signatures.dsse import IN_TOTO, pae, parse_envelope
from plimsoll.signatures.statement import PREDICATE_TYPES, statement_in, subject_matches
from plimsoll.signatures.verifying import find_signer
from plimsoll.signatures.x509 import Certificate

VECTORS = Path(__file__).parents[2] / "vectors" / "cosign"
CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus"
CONFORMANCE = Path(
    os.environ.get("PLIMSOLL_CONFORMANCE") or Path(__file__).parents[4] / "shared/labs/sigstore-conformance"
)
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
ENVELOPE = "application/vnd.dsse.envelope.v1+json"

# The images of two layouts of the same lab, of which the fuzz corpus has a part.
KEYLESS = "sha256:88965aee91a6fa9aa1183dfb4d7947bde9da57f2630625cc412b0f6e5cb3f0ec"
ATTESTED = "sha256:5eb07bc3dac38b10b9c0bdb22edd59d958b587fb115fac0378d58fd6f01d3586"


def of_the_corpus(name, about):
    return pytest.param((CORPUS / name).read_bytes(), about, id=name)


def blob(layout, digest):
    return (layout / "blobs" / digest.replace(":", "/")).read_bytes()


def stored(media_type):
    """Each layer of that type in cosign's layouts, with the digest of the image that it should be about."""
    for layout in sorted(path.parent for path in VECTORS.glob("*/index.json")):
        for entry in json.loads((layout / "index.json").read_bytes())["manifests"]:
            tag = entry.get("annotations", {}).get("org.opencontainers.image.ref.name", "")
            document = json.loads(blob(layout, entry["digest"]))
            for referrer in document.get("manifests", ()):
                yield from layers(layout, json.loads(blob(layout, referrer["digest"])), tag, media_type)
            yield from layers(layout, document, tag, media_type)


def layers(layout, manifest, tag, media_type):
    for layer in manifest.get("layers", ()):
        if layer["mediaType"] == media_type:
            about = manifest["subject"]["digest"] if "subject" in manifest else tag.split(".")[0].replace("-", ":")
            yield pytest.param(blob(layout, layer["digest"]), about, id=f"{layout.name}-{layer['digest'][7:15]}")


def signed_with(envelope):
    ((_, signature),) = envelope.signatures
    return {"signature": signature, "signed": pae(envelope.payload_type, envelope.payload), "hash_name": "sha256"}


def lab_keys():
    return [parse_pem_key(path.read_bytes()) for path in sorted((VECTORS / "keys").glob("*.pub"))]


@pytest.mark.parametrize(
    ("data", "about"),
    [
        *stored(BUNDLE),
        of_the_corpus("bundle/good-keyless-sign-v1.json", KEYLESS),
        of_the_corpus("bundle/good-keyless-provenance-v1.json", KEYLESS),
    ],
)
def test_cosigns_bundles(data, about):
    found = parse_bundle(data)
    assert found.version == "0.3"
    assert isinstance(found.content, UntrustedEnvelope)
    statement = statement_in(found.content)
    assert subject_matches(statement, (Digest.parse(about),)) == Digest.parse(about)
    assert subject_matches(statement, (Digest.of(b"another image"),)) is None
    assert statement.predicate_type in {"https://sigstore.dev/cosign/sign/v1", *PREDICATE_TYPES.values()}
    assert (found.key_hint is None) == bool(found.certificates)
    leaf_keys = [Certificate(der).key for der in found.certificates]
    assert find_signer([key for key in leaf_keys if key] or lab_keys(), **signed_with(found.content))


@pytest.mark.parametrize(
    ("data", "about"), [*stored(ENVELOPE), of_the_corpus("envelope/good-attested-legacy-vuln.json", ATTESTED)]
)
def test_cosigns_envelopes(data, about):
    found = parse_envelope(data)
    assert found.payload_type == IN_TOTO
    assert subject_matches(statement_in(found), (Digest.parse(about),)) == Digest.parse(about)
    assert find_signer(lab_keys(), **signed_with(found))


def test_there_are_bundles_of_cosigns():
    assert list(stored(BUNDLE))


REFUSED = {
    "bundle-empty-certificate-chain_fail": (BundleInvalidError, "certificates is empty"),
    "bundle-invalid-base64-signature_fail": (BundleInvalidError, r"messageSignature\.signature is no base64"),
    "bundle-malformed-json_fail": (BundleInvalidError, "refused"),
    "bundle-negative-log-index_fail": (BundleInvalidError, "no whole number"),
    "bundle-unknown-version_fail": (BundleInvalidError, "mediaType"),
    "bundle-with-root-cert_fail": (BundleInvalidError, "is a root"),
    "intoto-missing-inclusion-proof_fail": (LogProofMissingError, "inclusionProof"),
    "invalid-inclusion-proof_fail": (LogProofMissingError, r"inclusionProof\.checkpoint"),
    "rekor2-no-inclusion-proof_fail": (LogProofMissingError, "inclusionProof"),
}
"""Folder -> what parsing already refuses it with. The other ``_fail`` folders hold documents in good order."""

FOLDERS = sorted(path.parent for path in CONFORMANCE.glob("*/bundle.sigstore.json"))


@pytest.mark.skipif(not FOLDERS, reason="the conformance suite's data is not beside this tree")
def test_the_conformance_suite_has_enough_of_both_kinds():
    names = {path.name for path in FOLDERS}
    assert len(names - set(REFUSED)) >= 40
    assert len(names & set(REFUSED)) >= 4


@pytest.mark.skipif(not FOLDERS, reason="the conformance suite's data is not beside this tree")
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_the_conformance_suites_bundles(folder):
    data = (folder / "bundle.sigstore.json").read_bytes()
    if folder.name in REFUSED:
        refusal, message = REFUSED[folder.name]
        with pytest.raises(refusal, match=message):
            parse_bundle(data)
        return
    found = parse_bundle(data)
    assert found.entries
    if isinstance(found.content, UntrustedMessageSignature):
        assert found.content.digest_algorithm == "SHA2_256"
    else:
        assert statement_in(found.content).subjects
