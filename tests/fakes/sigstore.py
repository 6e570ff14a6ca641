"""A whole sigstore of one's own: authority, CT log, transparency log, timestamp authority, and the root that trusts them.

Everything is really signed. What it makes is a ``Made``: all the parts of one bundle as values, so that a test falsifies
one part (``made.changed(...)``) or takes it from another bundle, and ``made.data`` is the bundle's bytes. Nothing is
checked here. Keys come from ``fakes.signing.signer``: one and the same for each name and kind.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from fakes.bundles import IN_TOTO, bundle_document, envelope_document, make_bundle, statement_bytes
from fakes.ctlog import CtLog, logged
from fakes.pki import AUTHORITY, Issued, authority, issuers, leaf
from fakes.pki import bundle as pem_bundle
from fakes.rekor import KEY_DETAILS, FakeLog, dsse, hashedrekord_v2, intoto, intoto_v1
from fakes.signing import (
    BUNDLE,
    LOGGED_AT_S,
    SIGNATURE,
    SIMPLE_SIGNING,
    RekorLog,
    Signer,
    attachment,
    b64,
    hashedrekord,
    payload_bytes,
    signer,
)
from fakes.timestamping import Stamp, timestamper, tlv
from plimsoll.model.bundle import UntrustedEnvelope, UntrustedMessageSignature
from plimsoll.model.trusted_root import parse_trusted_root
from plimsoll.signatures.dsse import pae
from plimsoll.signatures.trust_index import index_root

SUBJECT = "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main"
OIDC = "https://token.actions.githubusercontent.com"
LEAF_S = 600.0
"""How long a leaf is valid, as Fulcio's are."""
YEAR_S = 365 * 24 * 3600.0
TREE = 9
"""Other people's leaves in the log beside one's own: enough for an audit path on both sides."""
OWN_HASH = {"p384": "sha384", "p521": "sha512"}
PH = "PKIX_ED25519_PH"
CERTIFICATE = "dev.sigstore.cosign/certificate"
CHAIN = "dev.sigstore.cosign/chain"
TIMESTAMP = "dev.sigstore.cosign/rfc3161timestamp"
DSSE_ENVELOPE = "application/vnd.dsse.envelope.v1+json"


def instant(time_s):
    """A time as protobuf's JSON writes it."""
    return datetime.fromtimestamp(int(time_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def sign_as(by, data, *, hash_name=None, pss=False, prehashed=False):
    """A signature over ``data`` as sigstore's registry says for that kind of key, or by another hash or padding."""
    name = hash_name or OWN_HASH.get(by.kind, "sha256")
    if prehashed:
        return sign_ed25519ph(by, data)
    if pss:
        algorithm = getattr(hashes, name.upper())()
        return by.private.sign(data, padding.PSS(padding.MGF1(algorithm), algorithm.digest_size), algorithm)
    return by.sign(data, hash_name=name)


def sign_ed25519ph(by, data):
    """Ed25519ph with an empty context (RFC 8032 section 5.1), by libsodium."""
    from nacl import bindings  # noqa: PLC0415  # few tests need it

    _, secret = bindings.crypto_sign_seed_keypair(by.private.private_bytes_raw())
    state = bindings.crypto_sign_ed25519ph_state()
    bindings.crypto_sign_ed25519ph_update(state, data)
    return bindings.crypto_sign_ed25519ph_final_create(state, secret)


@dataclass(frozen=True)
class Made:
    """The parts of one bundle; ``by`` is the leaf, or the key pair where ``certificate`` is None."""

    content: object
    by: Issued | Signer
    certificate: bytes | None
    chain: tuple[bytes, ...] = ()
    hint: str | None = None
    entries: tuple[dict, ...] = ()
    timestamps: tuple[bytes, ...] = ()
    version: str = "0.3"

    def changed(self, **changes):
        return replace(self, **changes)

    @property
    def _parts(self):
        return {
            "certificate": self.certificate,
            "chain": self.chain,
            "hint": self.hint,
            "entries": self.entries,
            "timestamps": self.timestamps,
            "version": self.version,
        }

    @property
    def data(self):
        """The bundle's bytes."""
        return make_bundle(self.content, **self._parts)

    @property
    def document(self):
        """The bundle as JSON value, of one's own: to be falsified at will."""
        return json.loads(json.dumps(bundle_document(self.content, **self._parts)))

    @property
    def signature(self):
        if isinstance(self.content, UntrustedEnvelope):
            return self.content.signatures[0][1]
        return self.content.signature


@dataclass
class PrivateSigstore:
    """One instance; two of different ``name`` share nothing. ``log`` is "v1" or "v2", ``ca`` the authorities' kind of key.

    Rekor v1 promises a time; with v2 a bundle has a timestamp of the TSA instead, unless ``stamped`` says otherwise.
    """

    name: str = "acme"
    log: str = "v1"
    ca: str = "p256"
    log_host: str = ""
    rekor: FakeLog = field(init=False)
    ct: CtLog = field(init=False)
    anchor: Issued = field(init=False)
    intermediate: Issued = field(init=False)
    tsa_anchor: Issued = field(init=False)
    tsa: Issued = field(init=False)

    def __post_init__(self):
        span = {"first": LOGGED_AT_S - YEAR_S, "last": LOGGED_AT_S + YEAR_S}
        self.rekor = FakeLog(kind=self.log, host=self.log_host or f"rekor.{self.name}.example", name=self.name)
        self.ct = CtLog(by=signer("p256", f"{self.name} ct"))
        self.anchor = authority(f"{self.name} root", kind=self.ca, **span)
        self.intermediate = authority(
            f"{self.name} intermediate", parent=self.anchor, kind=self.ca, path_length=0, allowed=AUTHORITY, **span
        )
        self.tsa_anchor = authority(f"{self.name} tsa root", kind=self.ca, **span)
        self.tsa = timestamper(
            self.tsa_anchor, subject=f"{self.name} tsa", by=signer(self.ca, f"{self.name} tsa"), **span
        )

    # --- the root -------------------------------------------------------------------------------------------------

    def root_document(self, *, without=()):
        """The trusted root as JSON value; ``without`` names members to leave out."""
        window = {"start": instant(LOGGED_AT_S - YEAR_S)}
        ct = {
            "baseUrl": f"https://ct.{self.name}.example",
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": b64(self.ct.by.der),
                "keyDetails": KEY_DETAILS[self.ct.by.kind],
                "validFor": dict(window),
            },
            "logId": {"keyId": b64(self.ct.log_id)},
        }
        found = {
            "tlogs": [self.rekor.trust()],
            "ctlogs": [ct],
            "certificateAuthorities": [_authority(self.intermediate, self.anchor, window=window)],
            "timestampAuthorities": [_authority(self.tsa, self.tsa_anchor, window=window)],
        }
        kept = {name: value for name, value in found.items() if name not in without}
        return {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"} | kept

    def root_bytes(self, **parts):
        """The same as bytes."""
        return json.dumps(self.root_document(**parts)).encode()

    def index(self, **parts):
        """The same, parsed and indexed."""
        return index_root(parse_trusted_root(self.root_bytes(**parts)))

    # --- signers --------------------------------------------------------------------------------------------------

    def certificate(
        self, subject=SUBJECT, *, issuer=OIDC, kind="p256", by=None, at_s=LOGGED_AT_S, sct=True, more=(), **changes
    ):
        """A short-lived leaf for a workflow, valid around ``at_s``; ``sct`` False leaves the CT log out."""
        names = changes.pop("names", None) or [x509.UniformResourceIdentifier(subject)]
        parent = changes.pop("parent", self.intermediate)
        changes = {"first": at_s - 60, "last": at_s + LEAF_S - 60, "by": by or signer(kind, "leaf")} | changes
        extensions = (*issuers(issuer, issuer), *more)
        if not sct:
            return leaf(parent, names=names, more=extensions, **changes)
        made_ms = int(at_s) * 1000
        return logged(
            parent,
            lambda body, filed: [self.ct.sct(body, issuer=filed, time_ms=made_ms)],
            before=extensions,
            names=names,
            **changes,
        )

    # --- bundles --------------------------------------------------------------------------------------------------

    def sign(self, data, *, by=None, at_s=LOGGED_AT_S, stated="sha256", details=None, **how):
        """Sign an artifact's own bytes; ``stated`` is the algorithm of messageDigest, None leaves it out.

        ``by`` is a leaf (a new one unless said) or a Signer; ``how`` goes to ``sign_as`` and to ``assembled``.
        """
        by = self.certificate(at_s=at_s) if by is None else by
        pair = by.by if isinstance(by, Issued) else by
        way = {name: how.pop(name) for name in ("hash_name", "pss", "prehashed") if name in how}
        signature = sign_as(pair, data, **way)
        content = UntrustedMessageSignature(
            signature=signature,
            digest_algorithm=None if stated is None else f"SHA2_{stated[3:]}",
            digest=None if stated is None else hashlib.new(stated, data).digest(),
        )
        name = "sha512" if way.get("prehashed") else way.get("hash_name") or OWN_HASH.get(pair.kind, "sha256")
        document = self._record(
            data, signature, by, hash_name=name, details=details or (PH if "prehashed" in way else None)
        )
        return self.assembled(content, by=by, document=document, at_s=at_s, **how)

    def attest(self, payload, *, by=None, at_s=LOGGED_AT_S, payload_type=IN_TOTO, kind="dsse", details=None, **how):
        """Sign an envelope with these bytes; ``kind`` is the entry's in Rekor v1: dsse, or intoto (0.0.2)."""
        by = self.certificate(at_s=at_s) if by is None else by
        pair = by.by if isinstance(by, Issued) else by
        way = {name: how.pop(name) for name in ("hash_name", "pss", "prehashed") if name in how}
        signed = pae(payload_type, payload)
        signature = sign_as(pair, signed, **way)
        content = UntrustedEnvelope(payload_type=payload_type, payload=payload, signatures=(("", signature),))
        if self.log == "v2":
            name = way.get("hash_name") or OWN_HASH.get(pair.kind, "sha256")
            document = self._record(signed, signature, by, hash_name=name, details=details)
        else:
            document = {"dsse": dsse, "intoto": intoto}[kind](payload, (signature, _pem(by)))
        return self.assembled(content, by=by, document=document, at_s=at_s, **how)

    def sign_image(self, *digests, **parts):
        """cosign's signature of an image in bundle form; what is not an envelope's goes to the statement."""
        stated = {name: parts.pop(name) for name in ("predicate_type", "predicate", "annotations") if name in parts}
        return self.attest(statement_bytes(*digests, **stated), **parts)

    def assembled(
        self,
        content,
        *,
        by,
        document,
        at_s=LOGGED_AT_S,
        version="0.3",
        is_logged=True,
        stamped=None,
        hint="hint",
        chain=(),
    ):
        """The bundle of a content; ``document`` is what is logged, unless ``is_logged`` is False."""
        stamped = self.log == "v2" if stamped is None else stamped
        keyed = isinstance(by, Signer)
        signature = content.signatures[0][1] if isinstance(content, UntrustedEnvelope) else content.signature
        return Made(
            content=content,
            by=by,
            certificate=None if keyed else by.der,
            chain=chain if keyed or version == "0.3" else chain or (self.intermediate.der,),
            hint=hint if keyed else None,
            entries=(self.logged(document, at_s=at_s),) if is_logged else (),
            timestamps=(self.stamp(signature, at_s=at_s),) if stamped else (),
            version=version,
        )

    # --- layers of .sig and .att manifests ------------------------------------------------------------------------

    def sig_layer(self, digest, *, by=None, **how):
        """cosign's signature of an image as a layer of a ``.sig`` manifest; ``how`` as in ``layer``."""
        by = self.certificate() if by is None else by
        payload = payload_bytes(digest)
        signature = (by.by if isinstance(by, Issued) else by).sign(payload)
        document = hashedrekord(payload, signature, _pem(by))
        return self.layer(payload, SIMPLE_SIGNING, {SIGNATURE: b64(signature)}, by, document, signature, **how)

    def att_layer(self, statement, *, by=None, kind="dsse", **how):
        """An attestation as a layer of an ``.att`` manifest; its entry is dsse 0.0.1, or intoto 0.0.1."""
        by = self.certificate() if by is None else by
        pair = by.by if isinstance(by, Issued) else by
        made = sign_as(pair, pae(IN_TOTO, statement))
        envelope = UntrustedEnvelope(payload_type=IN_TOTO, payload=statement, signatures=(("", made),))
        data = json.dumps(envelope_document(envelope)).encode()
        document = dsse(statement, (made, _pem(by)), envelope=data) if kind == "dsse" else intoto_v1(data, _pem(by))
        return self.layer(data, DSSE_ENVELOPE, {SIGNATURE: ""}, by, document, data, **how)

    def layer(
        self, data, media_type, own, by, document, stamped_bytes, *, at_s=LOGGED_AT_S, is_logged=True, stamped=False,
        changed=()
    ):  # fmt: skip
        """A layer with its proofs in annotations; ``changed`` replaces annotations, None takes one away."""
        annotations = dict(own)
        if isinstance(by, Issued):
            annotations[CERTIFICATE] = by.pem
            annotations[CHAIN] = pem_bundle(self.intermediate, self.anchor)
        if is_logged:
            annotations[BUNDLE] = json.dumps(RekorLog(self.rekor.signer).promise(document, at_s=int(at_s)))
        if stamped:
            response = self.stamp(stamped_bytes, at_s=at_s)
            annotations[TIMESTAMP] = json.dumps({"SignedRFC3161Timestamp": b64(response)})
        annotations |= dict(changed)
        annotations = {name: value for name, value in annotations.items() if value is not None}
        return attachment(data, annotations=annotations, media_type=media_type)

    def logged(self, document, *, at_s=LOGGED_AT_S):
        """An entry of the log. A new tree of ``TREE`` foreign leaves for each: adding to a long one takes long."""
        self.rekor.leaves.clear()
        self.rekor.fill(TREE)
        return self.rekor.add(document, at_s=int(at_s))

    def stamp(self, signature, *, at_s=LOGGED_AT_S, **changes):
        """A timestamp response over a signature; ``changes`` are those of ``timestamping.Stamp``."""
        time = tlv(0x18, datetime.fromtimestamp(int(at_s), UTC).strftime("%Y%m%d%H%M%SZ").encode())
        hash_name = OWN_HASH.get(self.ca, "sha256")
        return Stamp(
            **{"by": self.tsa, "signature": signature, "time": time, "hash_name": hash_name} | changes
        ).response

    def _record(self, data, signature, by, *, hash_name, details):
        digest = hashlib.new(hash_name, data).digest()
        if self.log == "v1":
            found = hashedrekord(data, signature, _pem(by))
            found["spec"]["data"]["hash"] = {"algorithm": hash_name, "value": digest.hex()}
            return found
        pair, form = (by.by, "x509Certificate") if isinstance(by, Issued) else (by, "publicKey")
        details = details or DETAILS.get((pair.kind, hash_name)) or KEY_DETAILS[pair.kind]
        return hashedrekord_v2(signature, by.der, digest=digest, algorithm=hash_name, details=details, form=form)


DETAILS = {("p384", "sha256"): "PKIX_ECDSA_P384_SHA_256", ("p521", "sha256"): "PKIX_ECDSA_P521_SHA_256"}


def _pem(by):
    return by.pem.encode() if isinstance(by, Issued) else by.pem


def _authority(*chain, window):
    return {
        "uri": "https://authority.example",
        "certChain": {"certificates": [{"rawBytes": b64(each.der)} for each in chain]},
        "validFor": dict(window),
    }
