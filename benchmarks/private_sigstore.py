"""A private sigstore that signs in bulk: each bundle has its own certificate, log entry, checkpoint and timestamp.

The shape is the public-good instance's: P-384 root and intermediate, P-256 leaves, CT log and Rekor v1 with P-256,
Rekor v2 with Ed25519, a timestamp authority with P-384, trees of 2^26 leaves. Beside each bundle stand the signature
checks that nobody can do without: the floor.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from fakes.bundles import IN_TOTO, make_bundle, statement_bytes
from fakes.ctlog import CtLog, embedded
from fakes.pki import OIDC, authority, issuers, leaf
from fakes.rekor import FakeLog, dsse, hashedrekord_v2, sha256
from fakes.signing import LOGGED_AT_S, Signer, b64, hashedrekord, jcs_encode, signer
from fakes.timestamping import Stamp, timestamper
from plimsoll.model.bundle import (
    UntrustedEnvelope,
    UntrustedInclusionProof,
    UntrustedMessageSignature,
    UntrustedTlogEntry,
)
from plimsoll.model.digest import Digest
from plimsoll.signatures.timestamp_token import parse_timestamp

IDENTITY = "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1"
YEAR_S = 365 * 24 * 3600.0
TREE_LEVELS = 26
EARLIER_SHARDS = 4163431
KINDS = ("v1 message", "v1 dsse", "v2 message", "v2 dsse")
ECDSA = {"sha256": ec.ECDSA(hashes.SHA256()), "sha384": ec.ECDSA(hashes.SHA384())}


@dataclass(frozen=True)
class Check:
    """One signature check, everything read beforehand."""

    key: object
    signature: bytes
    signed: bytes
    hash_name: str = "sha256"

    def run(self) -> None:
        if isinstance(self.key, ed25519.Ed25519PublicKey):
            self.key.verify(self.signature, self.signed)
        else:
            self.key.verify(self.signature, self.signed, ECDSA[self.hash_name])


@dataclass(frozen=True)
class Signed:
    """An artifact, a bundle about it, and the checks that it takes."""

    artifact: bytes
    bundle: bytes
    checks: tuple[Check, ...] = field(repr=False)

    def bare(self) -> None:
        for check in self.checks:
            check.run()


class PrivateSigstore:
    """All services of one instance; keys are made anew for each."""

    def __init__(self) -> None:
        years = {"first": LOGGED_AT_S - YEAR_S, "last": LOGGED_AT_S + 9 * YEAR_S, "algorithm": hashes.SHA384()}
        self._random = random.Random(0)
        self.root = authority("fulcio root", kind="p384", more=_subject_id("ca fulcio root"), **years)
        self.intermediate = authority(
            "fulcio",
            kind="p384",
            parent=self.root,
            path_length=0,
            more=(*_subject_id("ca fulcio"), _issuer_id(self.root), _code_signing()),
            **years,
        )
        self.ct_log = CtLog()
        self.logs = {"v1": FakeLog(kind="v1"), "v2": FakeLog(kind="v2", host="log2025.rekor.example")}
        self.tsa_root = authority("tsa root", kind="p384", more=_subject_id("ca tsa root"), **years)
        self.tsa = timestamper(self.tsa_root, kind="p384", more=(_issuer_id(self.tsa_root),), **years)

    def trusted_root(self) -> bytes:
        """trusted_root.json, as protobuf-specs write it."""
        span = {"start": "2021-01-12T11:53:27Z"}
        ct_log = {
            "baseUrl": "https://ctfe.example",
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": b64(self.ct_log.by.der),
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": span,
            },
            "logId": {"keyId": b64(self.ct_log.log_id)},
        }
        return json.dumps(
            {
                "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
                "tlogs": [log.trust() for log in self.logs.values()],
                "certificateAuthorities": [_authority("fulcio", self.intermediate, self.root, span=span)],
                "ctlogs": [ct_log],
                "timestampAuthorities": [_authority("timestamp", self.tsa, self.tsa_root, span=span)],
            }
        ).encode()

    def sign(self, kind: str, artifact: bytes) -> Signed:
        """One of KINDS about ``artifact``, by a certificate of its own."""
        rekor, form = kind.split()
        by = Signer("p256", ec.generate_private_key(ec.SECP256R1()))
        certificate, checks = self._issue(by)
        signed = artifact
        if form == "dsse":
            payload = statement_bytes(Digest.of(artifact))
            signed = b"DSSEv1 %d %s %d %s" % (len(IN_TOTO), IN_TOTO.encode(), len(payload), payload)
        signature = by.sign(signed)
        checks.append(Check(by.private.public_key(), signature, signed))
        if form == "dsse":
            content = UntrustedEnvelope(payload_type=IN_TOTO, payload=payload, signatures=(("", signature),))
        else:
            content = UntrustedMessageSignature(
                signature=signature, digest_algorithm="SHA2_256", digest=hashlib.sha256(artifact).digest()
            )
        if rekor == "v2":
            body = hashedrekord_v2(signature, certificate.der, digest=sha256(signed))
        elif form == "dsse":
            body = dsse(payload, (signature, certificate.pem.encode()))
        else:
            body = hashedrekord(artifact, signature, certificate.pem.encode())
        entry, logged = self._log(self.logs[rekor], jcs_encode(body))
        checks += logged
        stamps = ()
        if rekor == "v2":
            stamps, stamped = self._stamp(signature)
            checks.append(stamped)
        bundle = make_bundle(content, certificate=certificate.der, entries=(entry,), timestamps=stamps)
        return Signed(artifact=artifact, bundle=bundle, checks=tuple(checks))

    def _issue(self, by: Signer):
        names = {
            "names": [x509.UniformResourceIdentifier(IDENTITY)],
            "by": by,
            "serial": x509.random_serial_number(),
            "first": LOGGED_AT_S - 60,
            "last": LOGGED_AT_S + 540,
            "algorithm": hashes.SHA384(),
        }
        before = (*_subject_id(by), _issuer_id(self.intermediate), *issuers(OIDC, OIDC))
        plain = leaf(self.intermediate, more=before, **names).certificate.tbs_certificate_bytes
        sct = self.ct_log.sct(plain, issuer=self.intermediate)
        made = leaf(self.intermediate, more=(*before, embedded(sct)), **names)
        found = made.certificate
        time_ms = sct[33:41]
        issuer_hash = hashlib.sha256(self.intermediate.by.der).digest()
        logged = b"\0\0" + time_ms + b"\0\1" + issuer_hash + len(plain).to_bytes(3, "big") + plain + b"\0\0"
        signature = sct[sct.index(b"\4\3", 41) + 4 :]
        return made, [
            Check(_public(self.ct_log.by), signature, logged),
            Check(_public(self.intermediate.by), found.signature, found.tbs_certificate_bytes, "sha384"),
        ]

    def _log(self, log: FakeLog, body: bytes):
        """The entry at some place of a large tree: the siblings are random, the root is what they lead to."""
        index = self._random.randrange(2 ** (TREE_LEVELS - 1), 2**TREE_LEVELS - 1)
        size = 2**TREE_LEVELS
        siblings = [self._random.randbytes(32) for _ in range(TREE_LEVELS)]
        node = sha256(b"\x00", body)
        for level, sibling in enumerate(siblings):
            node = sha256(b"\x01", sibling, node) if index >> level & 1 else sha256(b"\x01", node, sibling)
        note = log.checkpoint(size=size, root=node)
        signed, _, line = note.rpartition("\n\n")
        signed += "\n"
        made = line.split()[-1]
        checks = [Check(_public(log.signer), _decode(made)[4:], signed.encode())]
        proof = UntrustedInclusionProof(
            log_index=index, root_hash=node, tree_size=size, hashes=tuple(siblings), checkpoint=note
        )
        document = json.loads(body)
        entry = {
            "log_id": log.key_id,
            "kind": document["kind"],
            "version": document["apiVersion"],
            "body": body,
            "proof": proof,
            "log_index": index,
        }
        if log.kind == "v1":
            entry["log_index"] = EARLIER_SHARDS + index
            promised = {
                "body": b64(body),
                "integratedTime": LOGGED_AT_S,
                "logIndex": entry["log_index"],
                "logID": log.key_id.hex(),
            }
            promise = log.signer.sign(jcs_encode(promised))
            entry |= {"integrated_time_s": LOGGED_AT_S, "promise": promise}
            checks.append(Check(_public(log.signer), promise, jcs_encode(promised)))
        return UntrustedTlogEntry(**entry), checks

    def _stamp(self, signature: bytes):
        """A timestamp without the authority's certificate, as sigstore's clients ask for it."""
        stamp = Stamp(by=self.tsa, signature=signature, no_bag=True, hash_name="sha384")
        response = stamp.response  # asked for once: ECDSA signs the same differently each time
        found = parse_timestamp(response).message.signer
        return (response,), Check(_public(self.tsa.by), found.signature, found.signed, "sha384")


def _public(by: Signer):
    return by.private.public_key()


def _decode(text: str) -> bytes:
    return base64.b64decode(text)


def _subject_id(name):
    by = signer("p384", name) if isinstance(name, str) else name
    return ((x509.SubjectKeyIdentifier.from_public_key(_public(by)), False),)


def _issuer_id(issuer):
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(_public(issuer.by)), False


def _code_signing():
    return x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.CODE_SIGNING]), False


def _authority(name, *chain, span):
    return {
        "subject": {"organization": "acme.example", "commonName": name},
        "uri": f"https://{name}.example",
        "certChain": {"certificates": [{"rawBytes": b64(each.der)} for each in chain]},
        "validFor": span,
    }
