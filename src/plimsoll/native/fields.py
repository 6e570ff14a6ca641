"""What the manifest reader hands to the model: members as they were found, their meaning not yet judged.

Named tuples because the compiled reader builds thousands a second. None means absent or null, in all of them.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"


class PlatformFields(NamedTuple):
    """OCI image-index, ``platform``; ``features`` is its ``os.features``."""

    os: str | None
    architecture: str | None
    variant: str | None
    os_version: str | None
    features: tuple[str, ...]


class DescriptorFields(NamedTuple):
    """OCI descriptor; ``data`` is still base64, ``size`` in bytes and not yet known to be sensible."""

    media_type: str | None
    digest: str | None
    size: int | None
    annotations: dict[str, str] | None
    platform: PlatformFields | None
    artifact_type: str | None
    urls: tuple[str, ...]
    data: str | None


class ManifestFields(NamedTuple):
    """Members of a manifest or index; ``members`` names all of the top level, known or not, in the document's order."""

    schema_version: int | None
    media_type: str | None
    artifact_type: str | None
    config: DescriptorFields | None
    layers: tuple[DescriptorFields, ...] | None
    manifests: tuple[DescriptorFields, ...] | None
    subject: DescriptorFields | None
    annotations: dict[str, str] | None
    members: tuple[str, ...]


class CertificateFields(NamedTuple):
    """The parts of a certificate of the plain shape, each as it stands in the DER; times are seconds since 1970.

    ``extensions`` are raw OID, whether it is critical, and value: each OID once. ``signed`` is the tbsCertificate,
    ``precertificate`` the same without the CT timestamps, None where it has none, or nothing else.
    """

    serial: int
    issuer: bytes
    subject: bytes
    not_before_s: int
    not_after_s: int
    spki: bytes
    extensions: tuple[tuple[bytes, bool, bytes], ...]
    signed: bytes
    precertificate: bytes | None
    hash_name: Literal["sha256", "sha384"]
    signature: bytes
