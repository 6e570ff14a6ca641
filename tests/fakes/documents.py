"""plimsoll documents as values, judged on evidence that a private sigstore really signed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache

from fakes.bundles import statement_bytes
from fakes.signing import LOGGED_AT_S, signer
from fakes.sigstore import OIDC, SUBJECT, PrivateSigstore
from plimsoll.model.descriptor import Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.evidence import Absent, Attachment, Evidence, Found
from plimsoll.model.location import locate_docker
from plimsoll.model.manifest import RawManifest
from plimsoll.model.reference import parse_docker_reference
from plimsoll.model.verdict import Judgement
from plimsoll.policy.evaluate import judge
from plimsoll.policy.plimsoll_document import choose, parse_plimsoll
from plimsoll.policy.prepare import prepare
from plimsoll.signatures.known_formats import ATTESTATION, BUNDLE, COSIGN

IMAGE = "registry.example/team/app:v1"
RAW = RawManifest(data=b"the image")
DIGEST = RAW.digest
OTHER = Digest.of(b"another image")
DAY_S = 86_400.0
NOW_S = LOGGED_AT_S + 30 * DAY_S
(SIG,), (REFERRERS,), (ATT,) = (each.places((DIGEST,)) for each in (COSIGN, BUNDLE, ATTESTATION))
VULN = "https://cosign.sigstore.dev/attestation/vuln/v1"
CI = {"issuer": OIDC, "subject": SUBJECT}


def sigstore(log="v1", name="acme"):
    """The instance of that name, one and the same for the whole run."""
    return _instance(log, name)


def root(log="v1"):
    """The index of the instance's trusted root."""
    return _index(log)


@cache
def _instance(log, name):
    return PrivateSigstore(log=log, name=name)


@cache
def _index(log):
    return sigstore(log).index()


def pem(name):
    """The PEM of the P-256 key of that name, as a document's ``data``."""
    return signer(name=name).pem.decode()


def document(*require, keys=("alice", "bob"), identities=None, **more):
    """A document of one list, its default; ``keys`` are names of signers, or a mapping."""
    named = keys if isinstance(keys, dict) else {name: {"data": pem(name)} for name in keys}
    found = {"apiVersion": "plimsoll/v1", "default": list(require)}
    if named:
        found["keys"] = named
    if identities:
        found["identities"] = identities
    return found | more


def parsed(value, *, extended=None):
    """The document, read."""
    return parse_plimsoll(
        json.loads(json.dumps(value)), folder="/srv/policies", extended=extended, digest="sha256:0", origin="p.yaml"
    )


def signed(name, *, log="v1", at_s=LOGGED_AT_S, digest=DIGEST, **how):
    """cosign's signature of the image as a bundle, by that key; by the identity CI where ``name`` is None."""
    by = None if name is None else signer(name=name)
    return sigstore(log).sign_image(digest, by=by, at_s=at_s, **how)


def moment(time_s):
    """RFC 3339, in UTC."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def scanned(predicate=None, *, at_s=LOGGED_AT_S):
    """A predicate of the type vuln, with the time of the scan."""
    return {"metadata": {"scanFinishedOn": moment(at_s)}, **(predicate or {})}


def attested(name, predicate=None, *, log="v1", at_s=LOGGED_AT_S, digest=DIGEST, predicate_type=VULN, **how):
    """An attestation of the image as a bundle, by that key or the identity CI; of the type vuln it states its time."""
    by = None if name is None else signer(name=name)
    stated = scanned(predicate, at_s=at_s) if predicate_type == VULN else predicate or {}
    payload = statement_bytes(digest, predicate_type=predicate_type, predicate=stated)
    return sigstore(log).attest(payload, by=by, at_s=at_s, **how)


def bundles(*made):
    """What a referrers listing holds: bundles, or attachments as they are."""
    return Found(attachments=tuple([each if isinstance(each, Attachment) else _attached(each.data) for each in made]))


def _attached(data):
    descriptor = Descriptor(
        media_type="application/vnd.dev.sigstore.bundle.v0.3+json", digest=Digest.of(data), size=len(data)
    )
    return Attachment(descriptor=descriptor, data=data)


def unread(reason):
    """A referrer whose bytes could not be had."""
    return Attachment(descriptor=_attached(b"{}").descriptor, failure=reason)


def evidence(*made, image=IMAGE, now_s=NOW_S, **places):
    """All places answered: these bundles refer to the image; ``sig``, ``att`` and ``referrers`` replace an answer."""
    answers = {SIG: Absent(), REFERRERS: bundles(*made) if made else Absent(), ATT: Absent()}
    named = {"sig": SIG, "att": ATT, "referrers": REFERRERS}
    answers |= {named[name]: answer for name, answer in places.items()}
    return Evidence(
        image=image,
        location=locate_docker(parse_docker_reference(image)),
        manifest=RAW,
        digests=(DIGEST,),
        now_s=now_s,
        answers={place: answer for place, answer in answers.items() if answer is not None},
    )


def ready(value, *, image=IMAGE, log="v1", read_key=None, **more):
    """The list that applies to the image, keys read."""
    chosen = choose(parsed(value), locate_docker(parse_docker_reference(image))).selected
    return prepare(
        chosen.requirements,
        read_key=read_key or _no_file,
        trust_root=root(log),
        attachments=True,
        scope=chosen.scope,
        **more,
    )


def _no_file(path):
    raise AssertionError(f"{path} was read")


def judged(value, *made, log="v1", read_key=None, **places):
    """The judgement of the image by the document, where these bundles refer to it."""
    found = judge(ready(value, log=log, read_key=read_key), evidence(*made, **places))
    assert isinstance(found, Judgement), found
    return found


def outcome(value, *made, **how):
    """Its outcome, as a word."""
    return judged(value, *made, **how).outcome.value


def codes(judgement):
    """Its reason codes, the decisive first."""
    return [reason.code for reason in judgement.reasons]
