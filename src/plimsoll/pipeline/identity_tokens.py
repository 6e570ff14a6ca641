"""Identity tokens for keyless signing: one that is given, or the one that a CI system offers the job that runs."""

from __future__ import annotations

import os
from collections.abc import Mapping

from plimsoll import limits
from plimsoll.config.files import read_file
from plimsoll.errors import ConfigError, SigningError, UsageError
from plimsoll.model.identity_token import OidcToken
from plimsoll.transport.sigstore_services import SigstoreServices

_GITHUB_URL = "ACTIONS_ID_TOKEN_REQUEST_URL"
_GITHUB_BEARER = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
_VARIABLE = "SIGSTORE_ID_TOKEN"


def has_ambient_token(environ: Mapping[str, str]) -> bool:
    """Whether this is a job whose CI system offers a token: ``SIGSTORE_ID_TOKEN`` (GitLab's id_tokens), or GitHub."""
    return bool(environ.get(_VARIABLE)) or all(environ.get(name) for name in (_GITHUB_URL, _GITHUB_BEARER))


async def find_token(
    given: str | None, *, environ: Mapping[str, str], services: SigstoreServices, now_s: float
) -> OidcToken:
    """The token ``given``, by itself or as the name of a file; else the ambient one.

    Raises UsageError for what is no token or where there is none, ConfigError, TransportError, and SigningError for
    one that has expired; none of them quotes it.
    """
    token = OidcToken.parse((await _text(given, environ, services)).strip())
    if token.expired_at(now_s):
        raise SigningError(f"the identity token of {token.issuer[:160]} has expired: get a new one")
    return token


async def _text(given: str | None, environ: Mapping[str, str], services: SigstoreServices) -> str:
    if given is not None:
        return _read(given) if _is_path(given) else given
    if environ.get(_VARIABLE):
        return environ[_VARIABLE]
    if has_ambient_token(environ):
        return await services.github_token(environ[_GITHUB_URL], environ[_GITHUB_BEARER])
    raise UsageError(
        f"no identity token: give --identity-token TOKEN|FILE, or set {_VARIABLE}; GitHub's jobs need `id-token: write`"
    )


def _is_path(given: str) -> bool:
    try:
        return os.path.exists(given)  # noqa: PTH110  # Path.exists raises for a name that is too long
    except ValueError:
        return False


def _read(path: str) -> str:
    found = read_file(path, limit=limits.IDENTITY_TOKEN_CHARS)
    try:
        return found.data.decode("ascii")
    except UnicodeDecodeError:
        raise ConfigError(f"{path!r} holds no identity token: it is no ASCII text") from None
