"""Signing one image: what is claimed of it, the signatures, and where they are stored.

``copy`` needs the parts by themselves: a Signer makes a signature of a Claim, and ``attach`` or the writers of
``transport.lookaside_writing`` store it. A new kind of signature is a new Signer.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from importlib import metadata
from typing import Final, Protocol

from plimsoll import limits
from plimsoll.config.registries_d import RegistriesD, read_registries_d
from plimsoll.errors import ConfigError, InvalidReferenceError, NotFoundError, UnsupportedError, UsageError
from plimsoll.model.bundle import UntrustedEnvelope
from plimsoll.model.descriptor import OCI_MANIFEST, Descriptor
from plimsoll.model.digest import Digest
from plimsoll.model.manifest import RawManifest, parse_manifest
from plimsoll.model.reference import (
    DirectoryReference,
    DockerReference,
    LayoutReference,
    Reference,
    split_docker_reference,
)
from plimsoll.model.settings import Settings
from plimsoll.pipeline.notary import Notary
from plimsoll.pipeline.reach import Reach
from plimsoll.pipeline.referrers import attach_bundle
from plimsoll.signatures.attachments import (
    MadeSignature,
    SigstoreSignature,
    SimpleSignature,
    appended_manifest,
    new_manifest,
    parse_signature_manifest,
    sign_sigstore,
    stored_form,
)
from plimsoll.signatures.formats import Artifact
from plimsoll.signatures.made_bundles import (
    MadeBundle,
    envelope_bytes,
    image_statement,
    sign_blob,
    sign_statement,
)
from plimsoll.signatures.payloads import Claim, sigstore_payload, simple_payload
from plimsoll.signatures.signing import SigningKey
from plimsoll.signatures.statement import COSIGN_SIGN_TYPE
from plimsoll.transport.base import Destination, Source
from plimsoll.transport.gpg import Gpg
from plimsoll.transport.layout_push import LayoutDestination
from plimsoll.transport.lookaside_writing import write_beside, write_lookaside

CREATOR: Final = "plimsoll"


class Signer(Protocol):
    """Makes one kind of signature of whatever is claimed."""

    async def sign(self, claim: Claim) -> MadeSignature:
        """The signature; raises SigningError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySigner:
    """Signs as cosign and skopeo do with a sigstore key."""

    key: SigningKey

    async def sign(self, claim: Claim) -> SigstoreSignature:
        """The signature of what is claimed."""
        return sign_sigstore(sigstore_payload(claim), self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class GpgSigner:
    """Signs with the user's gpg; ``key`` is a fingerprint, a key id or a user id."""

    gpg: Gpg
    key: str

    async def sign(self, claim: Claim) -> SimpleSignature:
        """The OpenPGP message; raises SigningError."""
        return SimpleSignature(message=await self.gpg.sign(simple_payload(claim), key=self.key))


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSigner:
    """Signs as cosign does: a bundle, or with ``as_layer`` a ``.sig`` layer; ``name`` goes into the statement."""

    notary: Notary
    as_layer: bool = False
    name: str = ""

    async def sign(self, claim: Claim) -> SigstoreSignature | MadeBundle:
        """The signature of what is claimed, with its proofs."""
        by = self.notary.credential
        if self.as_layer:
            payload = sigstore_payload(claim)
            return await self.notary.layer(sign_blob(payload, by), payload=payload, digest=claim.digest, kind="")
        statement = image_statement(
            claim.digest, predicate_type=COSIGN_SIGN_TYPE, name=self.name, annotations=claim.annotations
        )
        data = await self.notary.bundle(sign_statement(statement, by), artifact=Artifact(digests=(claim.digest,)))
        return MadeBundle(data=data, predicate_type=COSIGN_SIGN_TYPE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attester:
    """Signs a statement about the image: a bundle, or with ``as_layer`` an ``.att`` layer (in-toto v0.1, as cosign).

    ``predicate`` is a JSON object's text. ``name`` is the subject's; "" takes the image's repository, where it has one.
    """

    notary: Notary
    predicate_type: str
    predicate: bytes
    as_layer: bool = False
    name: str = ""

    async def sign(self, claim: Claim) -> SigstoreSignature | MadeBundle:
        """The attestation, with its proofs; raises UsageError for a predicate that is no JSON object."""
        statement = image_statement(
            claim.digest,
            predicate_type=self.predicate_type,
            predicate=self.predicate,
            name=self.name or _repository_in(claim.reference),
            version="v0.1" if self.as_layer else "v1",
        )
        made = sign_statement(statement, self.notary.credential)
        if self.as_layer:
            assert isinstance(made.content, UntrustedEnvelope)  # what sign_statement makes
            payload = envelope_bytes(made.content)
            return await self.notary.layer(made, payload=payload, digest=claim.digest, kind=self.predicate_type)
        data = await self.notary.bundle(made, artifact=Artifact(digests=(claim.digest,)))
        return MadeBundle(data=data, predicate_type=self.predicate_type)


def _repository_in(reference: str) -> str:
    if not reference:
        return ""
    domain, path, _, _ = split_docker_reference(reference)
    return f"{domain}/{path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSignature:
    """A signature that was made: what of, under which name, and where it is now."""

    digest: Digest
    reference: str
    """Empty for a bundle that was given no name: it names a digest."""
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningOrder:
    """One image, the signers, the name that they are to sign (None: the image's own), and when (seconds since 1970).

    ``needs_name`` False lets an image without a name of its own be signed without one; ``annotations`` are signed too.
    """

    image: Reference
    signers: tuple[Signer, ...]
    identity: str | None
    now_s: float
    needs_name: bool = True
    annotations: Mapping[str, str] = field(default_factory=dict)


async def sign_image(
    order: SigningOrder, *, settings: Settings, environ: Mapping[str, str]
) -> tuple[StoredSignature, ...]:
    """Sign the manifest that a reference names, an index as itself, and store what was made.

    Registries: sigstore signatures on the ``.sig`` or ``.att`` tag, bundles as referrers, GPG's in the lookaside of
    registries.d. Layouts: likewise, without GPG's. ``dir:``: ``signature-N`` files. Raises PlimsollError; what was
    stored before an error stays.
    """
    if not order.signers:
        raise UsageError("nothing to sign with: name a key")
    reference = _reference(order)
    match order.image:
        case DockerReference() as image:
            lookasides = read_registries_d(settings.registries_d, environ)
            async with Reach(settings, environ=environ) as reach:
                return await _sign_in_registry(order, image, reference, reach=reach, lookasides=lookasides)
        case LayoutReference() as image:
            with LayoutDestination(image.path) as destination:
                async with Reach(settings, environ=environ) as reach:
                    return await _sign_in_layout(order, image, reference, reach=reach, destination=destination)
        case DirectoryReference() as image:
            async with Reach(settings, environ=environ) as reach:
                return await _sign_in_directory(order, image, reference, reach=reach)
        case image:
            raise UnsupportedError(f"{image}: signatures cannot be put into an archive: sign the layout, then pack it")


def _reference(order: SigningOrder) -> str:
    if order.identity is None and not order.needs_name and not isinstance(order.image, DockerReference):
        return ""
    return checked_identity(order.image, order.identity)


async def _sign_in_registry(
    order: SigningOrder, image: DockerReference, reference: str, *, reach: Reach, lookasides: RegistriesD
) -> tuple[StoredSignature, ...]:
    source, destination = reach.registry(image)
    async with aclosing(source):
        signed = _signed(await source.manifest(), reference, order)
        claim = signed.claim
        stored = []
        # Files first: what is wrong with a lookaside shows before anything goes to the registry.
        for signature in sorted(await _made(order, claim), key=lambda made: not isinstance(made, SimpleSignature)):
            if isinstance(signature, SigstoreSignature | MadeBundle):
                where = await _attach(signature, signed, source=source, destination=destination, now_s=order.now_s)
                place = f"docker://{image.repository}{where}"
            else:
                base = _written_base(lookasides, image)
                place = write_lookaside(base, path=image.path, digest=claim.digest, data=signature.message)
            stored.append(_stored(order, claim, signature, place))
    return tuple(stored)


def _written_base(lookasides: RegistriesD, image: DockerReference) -> str:
    base = lookasides.written_lookaside(image)
    if base is None:
        raise ConfigError(f"registries.d names no place for the signatures of {image.repository}: add a lookaside")
    return base


async def _sign_in_layout(
    order: SigningOrder, image: LayoutReference, reference: str, *, reach: Reach, destination: LayoutDestination
) -> tuple[StoredSignature, ...]:
    async with aclosing(await reach.transports.open(image)) as source:
        signed = _signed(await source.manifest(), reference, order)
    claim = signed.claim
    stored = []
    for signature in await _made(order, claim):
        if isinstance(signature, SimpleSignature):
            raise UnsupportedError(f"{image}: an OCI layout has no place for GPG signatures: sign with a sigstore key")
        # Opened anew for each: what the one before it wrote must be seen.
        async with aclosing(await reach.transports.open(image)) as source:
            where = await _attach(signature, signed, source=source, destination=destination, now_s=order.now_s)
        stored.append(_stored(order, claim, signature, f"oci:{image.path}{where}"))
    return tuple(stored)


async def _sign_in_directory(
    order: SigningOrder, image: DirectoryReference, reference: str, *, reach: Reach
) -> tuple[StoredSignature, ...]:
    if not order.needs_name:
        raise UnsupportedError(
            f"{image}: a dir: folder has no place for bundles and attestations: sign a layout instead"
        )
    async with aclosing(await reach.transports.open(image)) as source:
        claim = _signed(await source.manifest(), reference, order).claim
    made = [signature for signature in await _made(order, claim) if not isinstance(signature, MadeBundle)]
    return tuple([_stored(order, claim, one, write_beside(image, stored_form(one))) for one in made])


async def _made(order: SigningOrder, claim: Claim) -> list[MadeSignature]:
    """All signatures, before any is stored: a wrong passphrase leaves nothing behind."""
    return [await signer.sign(claim) for signer in order.signers]


async def _attach(
    signature: SigstoreSignature | MadeBundle,
    signed: _Signed,
    *,
    source: Source,
    destination: Destination,
    now_s: float,
) -> str:
    """Store it beside the image; gives ``:TAG`` or ``@DIGEST`` of what holds it."""
    if isinstance(signature, SigstoreSignature):
        return f":{await attach(signature, signed.claim.digest, source=source, destination=destination)}"
    subject = signed.descriptor
    return f"@{await attach_bundle(signature, subject=subject, source=source, destination=destination, now_s=now_s)}"


async def attach(signature: SigstoreSignature, digest: Digest, *, source: Source, destination: Destination) -> str:
    """Add a signature to the image's ``.sig`` or ``.att`` tag, behind those that are there; gives the tag.

    The distribution API knows no compare-and-swap: of two who add at the same moment one may be lost.
    Raises TransportError, ContentError for a ``.sig`` manifest that cannot grow, SigningError.
    """
    tag = f"{digest.tag}.{signature.suffix}"
    try:
        raw = await source.manifest_by_tag(tag)
    except NotFoundError:
        made = new_manifest(signature)
    else:
        known = parse_signature_manifest(raw)
        config = await source.blob(known.config, limit=limits.CONFIG_BYTES)
        grown = appended_manifest(raw, config, signature)
        if grown is None:
            return tag
        made = grown
    for blob in (signature.payload, made.config):
        await destination.put_blob(blob)
    await destination.put_manifest(made.manifest, tag=tag, media_type=OCI_MANIFEST)
    return tag


def checked_identity(image: Reference, identity: str | None) -> str:
    """The name that signatures of ``image`` give it: ``identity``, else the image's own, with tag or digest.

    Raises UsageError for one that is not written in full, or where there is none.
    """
    if identity is None:
        if isinstance(image, DockerReference):
            return image.identity
        raise UsageError(
            f"Cannot determine canonical Docker reference for destination {image}: give --sign-identity HOST/PATH:TAG"
        )
    try:
        domain, path, tag, digest = split_docker_reference(identity)
    except InvalidReferenceError as error:
        raise UsageError(f"Could not parse --sign-identity: {error}") from None
    name = f"{domain}/{path}"
    if not identity.startswith(name):
        raise UsageError("Could not parse --sign-identity: repository name must be canonical")
    if tag is None and digest is None:
        raise UsageError(f"Sign identity must be a fully specified reference {identity}: add a tag or a digest")
    return identity


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    """The image's manifest, as what refers to it describes it, and what is claimed of it."""

    descriptor: Descriptor
    claim: Claim


def _signed(raw: RawManifest, reference: str, order: SigningOrder) -> _Signed:
    found = parse_manifest(raw)  # what no verifier would read is not signed
    claim = make_claim(raw.digest, reference, now_s=order.now_s)
    return _Signed(
        descriptor=Descriptor(media_type=found.media_type, digest=raw.digest, size=len(raw.data)),
        claim=replace(claim, annotations=order.annotations),
    )


def make_claim(digest: Digest, reference: str, *, now_s: float) -> Claim:
    """What plimsoll claims of an image at ``now_s`` (seconds since 1970)."""
    return Claim(
        digest=digest,
        reference=reference,
        creator=f"{CREATOR} {metadata.version('plimsoll')}",
        timestamp=int(now_s),
    )


def _stored(order: SigningOrder, claim: Claim, signature: MadeSignature, place: str) -> StoredSignature:
    nameless = isinstance(signature, MadeBundle) and order.identity is None
    return StoredSignature(digest=claim.digest, reference="" if nameless else claim.reference, place=place)
