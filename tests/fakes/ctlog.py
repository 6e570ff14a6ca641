"""A certificate-transparency log of one's own: it signs timestamps, and puts them into a leaf of ``fakes.pki``.

What it signs is the body of a certificate that was really made without timestamps, never one computed by leaving them
out: so the reader's reconstruction is checked against the real thing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from cryptography import x509

from fakes.pki import leaf, unknown
from fakes.signing import LOGGED_AT_S, Signer, signer
from fakes.timestamping import octets
from plimsoll.model.trusted_root import TransparencyLog, TrustRoot
from plimsoll.signatures.trust_index import index_root

SCT_LIST = "1.3.6.1.4.1.11129.2.4.2"
PRECERTIFICATE_SIGNING = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.4")
LOGGED_AT_MS = LOGGED_AT_S * 1000 + 123


def opaque(data, size=2):
    """A TLS vector."""
    return len(data).to_bytes(size, "big") + data


@dataclass(frozen=True)
class CtLog:
    """A log and its key."""

    by: Signer = field(default_factory=lambda: signer("p256", "ct log"))

    @property
    def log_id(self):
        return hashlib.sha256(self.by.der).digest()

    def record(self, *, first=LOGGED_AT_S - 3600.0, last=LOGGED_AT_S + 3600.0):
        """The trusted root's record of this log."""
        return TransparencyLog(log_id=self.log_id, key=self.by.key, valid_from_s=first, valid_until_s=last)

    def sct(self, body, *, issuer, time_ms=LOGGED_AT_MS, extensions=b"", **changes):
        """A timestamp for the body of a certificate by ``issuer``; ``changes`` falsify what is written after signing."""
        signed = (
            b"\0\0"
            + time_ms.to_bytes(8, "big")
            + changes.get("entry_type", b"\0\1")
            + hashlib.sha256(issuer.by.der).digest()
            + opaque(body, 3)
            + opaque(extensions)
        )
        algorithm = b"\4\1" if self.by.kind.startswith("rsa") else b"\4\3"
        return (
            changes.get("version", b"\0")
            + changes.get("log_id", self.log_id)
            + changes.get("said_ms", time_ms).to_bytes(8, "big")
            + opaque(changes.get("said_extensions", extensions))
            + changes.get("algorithm", algorithm)
            + opaque(changes.get("signature") or self.by.sign(signed))
            + changes.get("after", b"")
        )


def logged(parent, scts, *, before=(), after=(), issuer=None, **changes):
    """A leaf of ``parent`` with timestamps inside: ``scts`` makes them of its body and the issuer it is filed under.

    ``before`` and ``after`` are extensions around the timestamps.
    """
    changes.setdefault("serial", x509.random_serial_number())
    plain = leaf(parent, more=(*before, *after), **changes)
    made = scts(plain.certificate.tbs_certificate_bytes, issuer or parent)
    return leaf(parent, more=(*before, embedded(*made), *after), **changes)


def embedded(*scts, **changes):
    """The extension with these timestamps."""
    listed = b"".join(map(opaque, scts))
    return unknown(SCT_LIST, octets(changes.get("content", opaque(listed)))), False


def trusting_logs(*logs):
    """A trust index with these CT logs."""
    return index_root(TrustRoot(ctlogs=logs))
