"""OidcToken: the identity token that a certificate authority is shown; a secret until it expires.

Source: RFC 7519, OpenID Connect Core section 2. Its signature is the authority's to check, not ours: what is read here
serves to ask for the right thing, and to say early what the authority would refuse.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Final, Self

from plimsoll import limits
from plimsoll.errors import UsageError
from plimsoll.native import JsonValue, ReadError, read_json

_JWT = re.compile(r"[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]*", re.ASCII)
_LEEWAY_S: Final = 60.0
"""Clocks differ; the authority has the last word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcToken:
    """A token, whom it is about as the authority will see it, who issued it, and until when (seconds since 1970)."""

    value: str = field(repr=False)
    subject: str
    issuer: str
    expires_s: float | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a JWT; raises UsageError for what is none, in words that quote nothing of it."""
        found = _JWT.fullmatch(text) if len(text) <= limits.IDENTITY_TOKEN_CHARS else None
        if found is None:
            raise UsageError("the identity token is no JWT: three parts of base64url with dots between them")
        claims = _claims(found[1])
        issuer, expires = claims.get("iss"), claims.get("exp")
        if not isinstance(issuer, str) or not issuer:
            raise UsageError("the identity token names no issuer (iss)")
        return cls(
            value=text,
            subject=_subject(claims),
            issuer=issuer,
            expires_s=None if isinstance(expires, bool) or not isinstance(expires, int | float) else float(expires),
        )

    def expired_at(self, time_s: float) -> bool:
        """Whether it has surely expired then."""
        return self.expires_s is not None and time_s > self.expires_s + _LEEWAY_S


def _subject(claims: dict[str, JsonValue]) -> str:
    """What Fulcio has signed as proof that the key is held: the e-mail address where there is one, else ``sub``."""
    email, subject = claims.get("email"), claims.get("sub")
    if isinstance(email, str) and email:
        if claims.get("email_verified") is False:
            raise UsageError("the identity token's e-mail address is not verified, so no authority will certify it")
        return email
    if not isinstance(subject, str) or not subject:
        raise UsageError("the identity token says neither email nor sub: it is about nobody")
    return subject


def _claims(part: str) -> dict[str, JsonValue]:
    try:
        data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        claims = read_json(data, max_depth=limits.JSON_DEPTH)
    except (binascii.Error, ReadError):
        raise UsageError("the identity token's claims cannot be read") from None
    if not isinstance(claims, dict):
        raise UsageError("the identity token's claims are no JSON object")
    return claims
