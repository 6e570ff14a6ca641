"""The trusted root of a run where none is given."""

from __future__ import annotations

from collections.abc import Mapping

from plimsoll.config.trusted_root import public_good_root
from plimsoll.errors import TrustRootError
from plimsoll.model.trusted_root import TrustRoot, parse_trusted_root


def read_public_good_root(environ: Mapping[str, str], *, now_s: float) -> TrustRoot:
    """The public-good instance's root, refreshed or as it came with plimsoll; raises TrustRootError, no network."""
    found = public_good_root(environ, now_s=now_s)
    try:
        return parse_trusted_root(found.data)
    except TrustRootError as error:
        raise TrustRootError(f"the public-good trusted root of {found.origin}: {error}") from error
