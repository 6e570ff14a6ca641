"""Notary: sigstore signatures with their proofs, made step by step and verified by our own verification at the end.

Whatever a service answers is judged by the trusted root before anything of it is stored: a log, an authority or a
timestamp authority that is not trusted there ends the signing, and nothing is left behind but in their logs.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from plimsoll.config.proxies import Proxies
from plimsoll.errors import SignatureError, SigningError, UnsupportedError, UsageError
from plimsoll.model.bundle import UntrustedTlogEntry
from plimsoll.model.descriptor import Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.evidence import Attachment
from plimsoll.model.identity import Exact, Identity
from plimsoll.model.settings import Settings
from plimsoll.model.signing_config import Service, SigningServices
from plimsoll.model.trusted_root import TrustRoot
from plimsoll.pipeline.identity_tokens import find_token
from plimsoll.signatures.annotations import (
    CERTIFICATE_ANNOTATION,
    CHAIN_ANNOTATION,
    DSSE_ENVELOPE,
    LOG_ANNOTATION,
    SIGNATURE_ANNOTATION,
    SIMPLE_SIGNING,
    TIMESTAMP_ANNOTATION,
)
from plimsoll.signatures.attachments import SigstoreSignature
from plimsoll.signatures.bundle import parse_bundle
from plimsoll.signatures.certificate_request import certificate_query, parse_issued
from plimsoll.signatures.formats import Artifact, IdentityTrust, KeyTrust, LogByRoot, LogIgnored, SctDemand
from plimsoll.signatures.fulcio import read_claims
from plimsoll.signatures.known_formats import ATTESTATION, COSIGN
from plimsoll.signatures.log_proposals import parse_logged, proposal
from plimsoll.signatures.made_bundles import Credential, MadeSignatureOver, Proofs, bundle_bytes, pem_of
from plimsoll.signatures.signing import SigningKey, signing_key_from_seed
from plimsoll.signatures.sigstore import verify_bundle
from plimsoll.signatures.timestamp import verify_timestamp
from plimsoll.signatures.timestamp_request import NONCE_BYTES, check_answer, timestamp_query
from plimsoll.signatures.trust_index import TrustIndex, index_root
from plimsoll.transport.sigstore_services import SigstoreServices

_SEED_BYTES: Final = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenGiven:
    """Signing without a key of one's own: ``text`` is the identity token or its file's name, None the ambient one."""

    text: str | None = None

    def __repr__(self) -> str:
        return "TokenGiven()"  # the token is a secret


@dataclass(frozen=True, slots=True, kw_only=True)
class NotaryOrder:
    """Who signs, by which services, and by which root their answers are judged; ``now_s`` is since 1970."""

    signer: SigningKey | TokenGiven
    services: SigningServices
    root: TrustRoot | None
    now_s: float
    sct: SctDemand = SctDemand.REQUIRED


@asynccontextmanager
async def open_notary(
    order: NotaryOrder, *, settings: Settings, environ: Mapping[str, str], random: Callable[[int], bytes] = os.urandom
) -> AsyncIterator[Notary]:
    """A Notary, with a certificate where there is no key; raises UsageError, SigningError, TransportError."""
    if order.root is None and order.services != SigningServices():
        raise UsageError("the services' answers are judged by a trusted root, and none is given")
    async with SigstoreServices(
        settings.http, cert_dir=settings.cert_dir, proxy_for=Proxies(environ).proxy_for
    ) as services:
        root = index_root(order.root or TrustRoot())
        if isinstance(order.signer, SigningKey):
            credential = Credential(key=order.signer)
        else:
            credential = await _certified(order, order.signer, services=services, environ=environ, random=random)
        yield Notary(order=order, credential=credential, services=services, root=root, random=random)


async def _certified(
    order: NotaryOrder,
    given: TokenGiven,
    *,
    services: SigstoreServices,
    environ: Mapping[str, str],
    random: Callable[[int], bytes],
) -> Credential:
    authority = order.services.authority
    if authority is None:
        raise UsageError("nobody is named to issue the certificate: --fulcio-url, or a signing config with caUrls")
    if not order.services.logs and not order.services.timestampers:
        raise UsageError("a certificate lives for minutes: a log or a timestamp authority must say when it signed")
    token = await find_token(given.text, environ=environ, services=services, now_s=order.now_s)
    key = signing_key_from_seed(random(_SEED_BYTES))
    reply = await services.certify(authority.url, certificate_query(token, key), token=token)
    with _judged(f"the certificate of {authority.url}"):
        return parse_issued(reply, key=key)


class _judged:  # noqa: N801  # a context manager, used as a word
    """Turns what our verification says of an answer into a SigningError: nothing is wrong with any image."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, SignatureError):
            raise SigningError(f"{self._what} is refused, so nothing was stored: {error.code}: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Notary:
    """Makes signatures of one signer; ``open_notary`` makes it."""

    order: NotaryOrder
    credential: Credential
    services: SigstoreServices
    root: TrustIndex
    random: Callable[[int], bytes]

    @property
    def signer(self) -> str:
        """Whom a verifier will see: the certificate's subject and issuer, or the key's fingerprint."""
        if self.credential.certificate is None:
            return self.credential.key.public_key.fingerprint
        issuer, subject = self._certified_as()
        return f"{subject} (vouched for by {issuer})"

    async def bundle(self, made: MadeSignatureOver, *, artifact: Artifact) -> bytes:
        """The bundle v0.3 of a signature about ``artifact``, logged, stamped and verified.

        Raises SigningError where our own verification refuses it, UnsupportedError, TransportError.
        """
        entries = await self._logged(made)
        data = bundle_bytes(made, Proofs(entries=entries, timestamps=await self._stamped(made.signature)))
        with _judged("what was made"):
            verify_bundle(parse_bundle(data), self._trust(logged=bool(entries)), artifact, self.order.now_s)
        return data

    async def layer(self, made: MadeSignatureOver, *, payload: bytes, digest: Digest, kind: str) -> SigstoreSignature:
        """The ``.sig`` layer of a ``payload``, or with the predicate type ``kind`` the ``.att`` layer of an envelope.

        Raises as ``bundle`` does; UnsupportedError for Rekor v2, whose proofs have no place there.
        """
        if any(log.version != 1 for log in self.order.services.logs) or len(self.order.services.logs) > 1:
            raise UnsupportedError("a .sig or .att tag holds one entry of Rekor v1 only: --format bundle holds others")
        entries = await self._logged(made)
        # cosign stamps a payload's signature, but of an attestation the whole envelope.
        stamped = await self._stamped(payload if kind else made.signature)
        annotations = {SIGNATURE_ANNOTATION: "" if kind else _b64(made.signature)}
        if kind:
            annotations["predicateType"] = kind
        annotations |= _certificates(made.by) | _proofs(entries, stamped)
        layer = SigstoreSignature(
            payload=payload, annotations=annotations, media_type=DSSE_ENVELOPE if kind else SIMPLE_SIGNING
        )
        self._check_layer(layer, digest, logged=bool(entries))
        return layer

    def _check_layer(self, layer: SigstoreSignature, digest: Digest, *, logged: bool) -> None:
        descriptor = Descriptor(
            media_type=layer.media_type,
            digest=Digest.of(layer.payload),
            size=len(layer.payload),
            annotations=layer.annotations,
        )
        attachment = Attachment(descriptor=descriptor, data=layer.payload)
        trust, artifact = self._trust(logged=logged), Artifact(digests=(digest,))
        with _judged("what was made"):
            if layer.media_type == DSSE_ENVELOPE:
                attestation = ATTESTATION.parse(attachment)
                assert attestation is not None  # an attachment with a descriptor is one
                ATTESTATION.verify(attestation, trust, artifact, self.order.now_s)
            else:
                signature = COSIGN.parse(attachment)
                assert signature is not None  # as above
                COSIGN.verify(signature, trust, artifact, self.order.now_s)

    async def _logged(self, made: MadeSignatureOver) -> tuple[UntrustedTlogEntry, ...]:
        # Asked of all before anything is sent to any: what one log cannot take is published in none.
        proposals = [(log, proposal(made, version=log.version)) for log in self.order.services.logs]
        return tuple([await self._log(log, body) for log, body in proposals])

    async def _log(self, log: Service, body: bytes) -> UntrustedTlogEntry:
        reply = await self.services.log(log.url, body, version=log.version)
        with _judged(f"the answer of the log {log.url}"):
            entry = parse_logged(reply, version=log.version)
        if not self.root.tlogs(entry.log_id):
            raise SigningError(
                f"the log {log.url} is not in the trusted root ({entry.log_id.hex()}): name the root that has it with"
                " --trusted-root; nothing was stored"
            )
        return entry

    async def _stamped(self, signature: bytes) -> tuple[bytes, ...]:
        found = []
        for authority in self.order.services.timestampers:
            nonce = self.random(NONCE_BYTES)
            response = await self.services.stamp(authority.url, timestamp_query(signature, nonce=nonce))
            with _judged(f"the timestamp of {authority.url}"):
                check_answer(response, nonce=nonce)
                verify_timestamp(response, signature=signature, trust=self.root)
            found.append(response)
        return tuple(found)

    def _trust(self, *, logged: bool) -> KeyTrust | IdentityTrust:
        log = LogByRoot(root=self.root) if logged else LogIgnored()
        if self.credential.certificate is None:
            return KeyTrust(keys=(self.credential.key.public_key,), log=log)
        issuer, subject = self._certified_as()
        who = Identity(issuer=Exact(text=issuer), subject=Exact(text=subject))
        return IdentityTrust(identities=(who,), root=self.root, log=log, sct=self.order.sct)

    def _certified_as(self) -> tuple[str, str]:
        assert self.credential.certificate is not None  # asked of certified signers only
        with _judged("the certificate"):
            claims = read_claims(self.credential.certificate)
        subjects = [each.value for each in claims.subjects if each.value]
        if not claims.issuer or not subjects:
            raise SigningError("the certificate names no issuer or no subject: nobody could ask for it")
        return claims.issuer, subjects[0]


def without_log(services: SigningServices) -> SigningServices:
    """The same services but for the logs: ``--tlog-upload=false``."""
    return replace(services, logs=())


def _certificates(by: Credential) -> dict[str, str]:
    if by.certificate is None:
        return {}
    chain = b"".join([pem_of(each) for each in by.chain])
    return {CERTIFICATE_ANNOTATION: pem_of(by.certificate).decode(), CHAIN_ANNOTATION: chain.decode()}


def _proofs(entries: tuple[UntrustedTlogEntry, ...], stamped: tuple[bytes, ...]) -> dict[str, str]:
    found = {}
    for entry in entries:
        payload = {
            "body": _b64(entry.body),
            "integratedTime": entry.integrated_time_s,
            "logIndex": entry.log_index,
            "logID": entry.log_id.hex(),
        }
        promise = {"SignedEntryTimestamp": _b64(entry.promise or b""), "Payload": payload}
        found[LOG_ANNOTATION] = json.dumps(promise, separators=(",", ":"))
    for response in stamped[:1]:  # the annotation holds one
        found[TIMESTAMP_ANNOTATION] = json.dumps({"SignedRFC3161Timestamp": _b64(response)}, separators=(",", ":"))
    return found


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
