r"""Signatures that were made, and how they are stored: a layer of a ``.sig`` or ``.att`` manifest, a numbered file.

Sources: cosign's signature specification; containers/image's sigstore attachments (config, order of layers) and its
``\0FORMAT\nDATA`` files, which ``framing`` reads.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from plimsoll import limits
from plimsoll.errors import LimitExceededError, MalformedManifestError, ReadError
from plimsoll.model.descriptor import OCI_CONFIG, OCI_MANIFEST
from plimsoll.model.digest import Digest
from plimsoll.model.manifest import Manifest, RawManifest, parse_manifest
from plimsoll.native import read_json
from plimsoll.signatures.annotations import DSSE_ENVELOPE, SIGNATURE_ANNOTATION, SIMPLE_SIGNING
from plimsoll.signatures.made_bundles import MadeBundle
from plimsoll.signatures.signing import SigningKey

_NEW_CONFIG: Final = '{"architecture":"","os":"","rootfs":{"type":"layers","diff_ids":[]}}'


@dataclass(frozen=True, slots=True, kw_only=True)
class SimpleSignature:
    """An OpenPGP message around a payload: stored as it is."""

    message: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SigstoreSignature:
    """A payload and the annotations that carry its signature; or an attestation's envelope, by its ``media_type``."""

    payload: bytes
    annotations: Mapping[str, str]
    media_type: str = SIMPLE_SIGNING

    @property
    def layer(self) -> dict[str, object]:
        """Its descriptor in a ``.sig`` or ``.att`` manifest."""
        return _descriptor(self.media_type, self.payload, annotations=dict(sorted(self.annotations.items())))

    @property
    def suffix(self) -> str:
        """How the tag ends that it belongs on."""
        return "att" if self.media_type == DSSE_ENVELOPE else "sig"


MadeSignature = SimpleSignature | SigstoreSignature | MadeBundle


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureManifest:
    """The bytes of a ``.sig`` manifest and of its config, both new."""

    manifest: bytes
    config: bytes


def sign_sigstore(payload: bytes, key: SigningKey) -> SigstoreSignature:
    """Sign ``payload`` with ``key``."""
    signature = base64.b64encode(key.sign(payload)).decode()
    return SigstoreSignature(payload=payload, annotations={SIGNATURE_ANNOTATION: signature})


def new_manifest(signature: SigstoreSignature) -> SignatureManifest:
    """The ``.sig`` manifest of an image that has no signature yet."""
    return _appended({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": []}, json.loads(_NEW_CONFIG), signature)


def parse_signature_manifest(raw: RawManifest) -> Manifest:
    """Read an existing ``.sig`` manifest that is to grow.

    Raises MalformedManifestError for what is no OCI image manifest with an image config (nothing of it would be
    lost, but nobody would read it either), LimitExceededError where it lists as many signatures as are ever read.
    """
    found = parse_manifest(raw)
    if not isinstance(found, Manifest) or found.media_type != OCI_MANIFEST or found.config.media_type != OCI_CONFIG:
        raise MalformedManifestError(
            "what the signatures' tag names is no OCI image manifest with an image config: remove that tag first"
        )
    if len(found.layers) >= limits.SIGNATURES_PER_PLACE:
        raise LimitExceededError(
            f"the image has {len(found.layers)} signatures: at most {limits.SIGNATURES_PER_PLACE} are read"
        )
    return found


def appended_manifest(raw: RawManifest, config: bytes, signature: SigstoreSignature) -> SignatureManifest | None:
    """An existing ``.sig`` manifest with one more layer, the last; None where it has that very signature already.

    Everything else that manifest and config say stays. Raises MalformedManifestError for a config without
    rootfs.diff_ids.
    """
    read = read_json(raw.data, max_depth=limits.JSON_DEPTH, max_values=limits.MANIFEST_VALUES)
    document = cast("dict[str, object]", read)
    if signature.layer in cast("list[object]", document["layers"]):
        return None
    try:
        parsed = read_json(config, max_depth=limits.JSON_DEPTH, max_values=limits.CONFIG_VALUES)
    except ReadError as error:
        raise MalformedManifestError(f"the config of the image's signatures is refused: {error}") from error
    match parsed:
        case {"rootfs": {"diff_ids": list()}}:
            return _appended(document, cast("dict[str, object]", parsed), signature)
        case _:
            raise MalformedManifestError("the config of the image's signatures has no rootfs.diff_ids")


def _appended(
    document: Mapping[str, object], config: Mapping[str, object], signature: SigstoreSignature
) -> SignatureManifest:
    rootfs = cast("Mapping[str, object]", config["rootfs"])
    diff_ids = [*cast("list[object]", rootfs["diff_ids"]), str(Digest.of(signature.payload))]
    config_bytes = _json({**config, "rootfs": {**rootfs, "diff_ids": diff_ids}})
    head = {name: document[name] for name in ("schemaVersion", "mediaType") if name in document}
    layers = [*cast("list[object]", document["layers"]), signature.layer]
    manifest = _json({**head, "config": _descriptor(OCI_CONFIG, config_bytes), **_rest(document), "layers": layers})
    if len(manifest) > limits.MANIFEST_BYTES or len(config_bytes) > limits.CONFIG_BYTES:
        raise LimitExceededError(f"the image's signatures need a manifest of more than {limits.MANIFEST_BYTES} bytes")
    return SignatureManifest(manifest=manifest, config=config_bytes)


def _rest(document: Mapping[str, object]) -> Mapping[str, object]:
    return {name: value for name, value in document.items() if name not in ("config", "layers")}


def _descriptor(media_type: str, data: bytes, **more: object) -> dict[str, object]:
    return {"mediaType": media_type, "digest": str(Digest.of(data)), "size": len(data), **more}


def stored_form(signature: SimpleSignature | SigstoreSignature) -> bytes:
    """The signature as a ``signature-N`` file holds it."""
    if isinstance(signature, SimpleSignature):
        return signature.message
    document = {
        "mimeType": signature.media_type,
        "payload": base64.b64encode(signature.payload).decode(),
        "annotations": dict(signature.annotations),
    }
    return b"\0sigstore-json\n" + _json(document)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
