"""The names under which cosign writes what belongs to a signature (cosign's signature specification)."""

from __future__ import annotations

from typing import Final

SIMPLE_SIGNING: Final = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE_ANNOTATION: Final = "dev.cosignproject.cosign/signature"
LOG_ANNOTATION: Final = "dev.sigstore.cosign/bundle"
CERTIFICATE_ANNOTATION: Final = "dev.sigstore.cosign/certificate"
CHAIN_ANNOTATION: Final = "dev.sigstore.cosign/chain"
TIMESTAMP_ANNOTATION: Final = "dev.sigstore.cosign/rfc3161timestamp"
DSSE_ENVELOPE: Final = "application/vnd.dsse.envelope.v1+json"
