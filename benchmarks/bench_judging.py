"""What does judging one image cost beyond its bare cryptography? Pure judge, no I/O, beside OpenSSL's own checks."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding

from fakes.signing import BUNDLE, SIGNATURE, rekor, signed_attachment, signer, trusted_root_bytes
from plimsoll.model.evidence import Absent, Evidence, Found, Needs
from plimsoll.model.location import locate_docker
from plimsoll.model.manifest import RawManifest
from plimsoll.model.reference import parse_docker_reference
from plimsoll.model.trusted_root import parse_trusted_root
from plimsoll.model.verdict import Judgement, Outcome
from plimsoll.native import jcs_encode
from plimsoll.policy.evaluate import judge
from plimsoll.policy.prepare import Ready, prepare
from plimsoll.policy.requirements import AdHoc, LogDemand
from plimsoll.signatures.known_formats import COSIGN
from plimsoll.signatures.trust_index import index_root
from plimsoll.signatures.verifying import decode_base64

RAW = RawManifest(data=b"an image's manifest")
REFERENCE = parse_docker_reference("registry.example/team/app:v1")
SHA256 = ec.ECDSA(hashes.SHA256())


@dataclass(frozen=True)
class Case:
    """One image to judge, and the checks that nobody can do without."""

    ready: Ready
    evidence: Evidence
    checks: list[tuple[object, bytes, bytes]]

    def judge(self) -> Judgement:
        return judge(self.ready, self.evidence)

    def bare(self) -> None:
        for key, signature, signed in self.checks:
            if isinstance(key, ed25519.Ed25519PublicKey):
                key.verify(signature, signed)
            elif isinstance(key, ec.EllipticCurvePublicKey):
                key.verify(signature, signed, SHA256)
            else:
                key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())


def _case(*, kind: str, log: LogDemand) -> Case:
    by = signer(kind)
    required = log is LogDemand.REQUIRED
    made = signed_attachment(RAW.digest, by=by, log=rekor() if required else None)
    annotations = made.descriptor.annotations
    checks = [(by.key.crypto, decode_base64(annotations[SIGNATURE], what="signature"), made.data)]
    if required:
        bundle = json.loads(annotations[BUNDLE])
        signed = jcs_encode(bundle["Payload"])
        checks.append((rekor().signer.key.crypto, decode_base64(bundle["SignedEntryTimestamp"], what="SET"), signed))
    evidence = Evidence(
        image=str(REFERENCE),
        location=locate_docker(REFERENCE),
        manifest=RAW,
        digests=(RAW.digest,),
        now_s=0.0,
        answers={COSIGN.places((RAW.digest,))[0]: Found(attachments=(made,))},
    )
    root = index_root(parse_trusted_root(trusted_root_bytes(rekor().trusted())))
    asked = AdHoc(keys=(by.key,), log=log)
    ready = prepare((asked,), read_key=lambda _: b"", trust_root=root, attachments=True)
    return Case(ready=ready, evidence=evidence, checks=checks)


@pytest.mark.parametrize("log", [LogDemand.IGNORED, LogDemand.REQUIRED], ids=["unlogged", "logged"])
@pytest.mark.parametrize("kind", ["p256", "p384", "rsa2048", "ed25519"])
def bench_judging_one_image(against, kind, log):
    case = _case(kind=kind, log=log)
    assert case.judge().outcome is Outcome.ACCEPTED
    against(case.judge, bare_cryptography=case.bare)


def _unsigned(case: Case) -> Evidence:
    """Every place that judge asks for is answered: there is nothing."""
    evidence = replace(case.evidence, answers={})
    while isinstance(needs := judge(case.ready, evidence), Needs):
        assert needs.places
        evidence = evidence.with_answers(dict.fromkeys(needs.places, Absent()))
    assert needs.outcome is Outcome.REJECTED
    return evidence


def bench_judging_an_unsigned_image(against):
    case = _case(kind="p256", log=LogDemand.IGNORED)
    unsigned = _unsigned(case)
    against(lambda: judge(case.ready, unsigned), one_signature_check=case.bare)
