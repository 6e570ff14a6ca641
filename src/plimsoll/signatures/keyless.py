"""A short-lived certificate, proven: for whom it is, who issued it, that it was logged, at the times that count."""

from __future__ import annotations

from plimsoll.errors import CertificateExpiredError, CertificateUntrustedError, SignatureError
from plimsoll.signatures.certificate_paths import find_path
from plimsoll.signatures.formats import CertifiedSigner, IdentityTrust, SctDemand
from plimsoll.signatures.fulcio import read_claims
from plimsoll.signatures.identities import all_matches, first_match
from plimsoll.signatures.sct import verify_sct
from plimsoll.signatures.x509 import CODE_SIGNING, Certificate


def check_wanted(leaf: Certificate, trust: IdentityTrust) -> None:
    """Return if the leaf says that it is for one of the identities; cheap, and proves nothing by itself.

    Raises IdentityMismatchError.
    """
    first_match(trust.identities, read_claims(leaf))


def check_issued(leaf: Certificate, *, chain: tuple[Certificate, ...], trust: IdentityTrust) -> None:
    """Return if the leaf leads to an authority of the root at any time at all; members as of ``verify_leaf``.

    It proves nothing by itself, and is what ``verify_leaf`` asks anyway: asked before, it keeps a certificate that
    somebody made for himself from costing more. Raises CertificateUntrustedError.
    """
    fault: CertificateUntrustedError | None = None
    for authority in trust.root.authorities:
        try:
            find_path(
                leaf,
                roots=(authority.anchor,),
                intermediates=authority.others or chain,
                at_s=None,
                usages=(CODE_SIGNING,),
                issued=trust.root.facts.is_issued,
            )
        except CertificateUntrustedError as error:
            fault = fault or error
        else:
            return
    raise fault or CertificateUntrustedError("no certificate authority is trusted here")


def verify_leaf(
    leaf: Certificate, *, chain: tuple[Certificate, ...], trust: IdentityTrust, times_s: tuple[float, ...]
) -> CertifiedSigner:
    """Whom the leaf was issued to, proven; ``chain`` came with the signature and is only tried, never trusted.

    It is tried for authorities of which the trusted root has the anchor alone, as in cosign: where it names what
    stands between, an intermediate that it no longer names, or names for another window, is not brought back so.
    ``times_s``, in seconds since 1970, are all the times at which it must have been valid, at least one. Raises
    IdentityMismatchError, CertificateUntrustedError, CertificateExpiredError, SctInvalidError.
    """
    if not times_s:
        raise CertificateExpiredError("there is no time at which the certificate is known to have been in use")
    # 1. It is for somebody who is wanted.
    claims = read_claims(leaf)
    matched = all_matches(trust.identities, claims)
    # 2. At each of the times every certificate up to an authority's anchor was valid, and the authority in use.
    paths = [_path(leaf, chain=chain, trust=trust, at_s=at_s) for at_s in times_s]
    # 3. A trusted certificate-transparency log promised to log it.
    if trust.sct is SctDemand.REQUIRED:
        verify_sct(paths[0], trust=trust.root)
    return CertifiedSigner(
        issuer=claims.issuer or "", subject=claims.subjects[0].value, claims=claims.extensions, matched=matched
    )


def _path(
    leaf: Certificate, *, chain: tuple[Certificate, ...], trust: IdentityTrust, at_s: float
) -> tuple[Certificate, ...]:
    fault: SignatureError | None = None
    for authority in trust.root.authorities:
        if not authority.valid_at(at_s):
            fault = fault or CertificateUntrustedError(
                f"the trusted root's authority {authority.anchor.title} was not in use at {at_s:.0f} seconds since 1970"
            )
            continue
        try:
            return find_path(
                leaf,
                roots=(authority.anchor,),
                intermediates=authority.others or chain,
                at_s=at_s,
                usages=(CODE_SIGNING,),
                issued=trust.root.facts.is_issued,
            )
        except (CertificateUntrustedError, CertificateExpiredError) as error:
            # That a certificate had expired says more than that another authority did not issue it.
            if fault is None or isinstance(error, CertificateExpiredError):
                fault = error
    raise fault or CertificateUntrustedError("no certificate authority is trusted here")
