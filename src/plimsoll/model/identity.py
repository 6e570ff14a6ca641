"""Identity: whom a keyless signature must be by: who vouched for the signer, the signer, and more of the certificate.

Every text is matched as a whole. An issuer and a subject are always asked for: a subject alone says nothing, because
any issuer may write it (cosign asks for both too).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol, TypeAlias

from plimsoll import limits
from plimsoll.errors import UsageError
from plimsoll.model.globs import part_matches

CLAIM_OIDS: Final[Mapping[str, str]] = {
    "githubWorkflowTrigger": "1.3.6.1.4.1.57264.1.2",
    "githubWorkflowSHA": "1.3.6.1.4.1.57264.1.3",
    "githubWorkflowName": "1.3.6.1.4.1.57264.1.4",
    "githubWorkflowRepository": "1.3.6.1.4.1.57264.1.5",
    "githubWorkflowRef": "1.3.6.1.4.1.57264.1.6",
    "buildSignerURI": "1.3.6.1.4.1.57264.1.9",
    "buildSignerDigest": "1.3.6.1.4.1.57264.1.10",
    "runnerEnvironment": "1.3.6.1.4.1.57264.1.11",
    "sourceRepositoryURI": "1.3.6.1.4.1.57264.1.12",
    "sourceRepositoryDigest": "1.3.6.1.4.1.57264.1.13",
    "sourceRepositoryRef": "1.3.6.1.4.1.57264.1.14",
    "sourceRepositoryIdentifier": "1.3.6.1.4.1.57264.1.15",
    "sourceRepositoryOwnerURI": "1.3.6.1.4.1.57264.1.16",
    "sourceRepositoryOwnerIdentifier": "1.3.6.1.4.1.57264.1.17",
    "buildConfigURI": "1.3.6.1.4.1.57264.1.18",
    "buildConfigDigest": "1.3.6.1.4.1.57264.1.19",
    "buildTrigger": "1.3.6.1.4.1.57264.1.20",
    "runInvocationURI": "1.3.6.1.4.1.57264.1.21",
    "sourceRepositoryVisibilityAtSigning": "1.3.6.1.4.1.57264.1.22",
    "deploymentEnvironment": "1.3.6.1.4.1.57264.1.23",
    "tokenSubject": "1.3.6.1.4.1.57264.1.24",
}
"""A claim's name -> Fulcio's extension (sigstore/fulcio's oid-info.md). The issuer, .1 and .8, is no claim here."""


class RegexpReading(enum.Enum):
    """What a regexp must match: the whole text (ours), or any part of it (cosign's)."""

    FULL = "full"
    SEARCH = "search"


class _Compiled(Protocol):
    """What google-re2 makes of a pattern; it brings no types."""

    def fullmatch(self, text: str, /) -> object: ...
    def search(self, text: str, /) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Exact:
    """This text and no other; raises UsageError for an empty one, or one beyond ``limits.IDENTITY_CHARS``."""

    text: str

    def __post_init__(self) -> None:
        _check_text(self.text, "an identity's text")

    def __str__(self) -> str:
        return f"{self.text!r:.160}"

    def matches(self, text: str) -> bool:
        """Whether ``text`` is it, to the letter."""
        return text == self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Glob:
    """A pattern of which each ``*`` stands for one or more characters, none of them ``/``; all else is itself.

    A star that crossed ``/`` would take a branch named ``x@refs/tags/v1`` for a tag. Raises UsageError for an empty
    pattern, one beyond ``limits.IDENTITY_CHARS``, and ``**``, which is a scope's.
    """

    pattern: str

    def __post_init__(self) -> None:
        _check_text(self.pattern, "an identity's pattern")
        if "**" in self.pattern:
            raise UsageError(f"the pattern {self.pattern!r:.160} has '**': in an identity there is only '*'")

    def __str__(self) -> str:
        return f"the pattern {self.pattern!r:.160}"

    def matches(self, text: str) -> bool:
        """Whether the whole of ``text`` is of this form."""
        wanted, found = self.pattern.split("/"), text.split("/")
        return len(wanted) == len(found) and all(map(part_matches, wanted, found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Regexp:
    """A regexp in RE2's syntax, which is Go's: matched in linear time, compiled once.

    Raises UsageError where it is empty, beyond ``limits.IDENTITY_CHARS``, invalid, or too large when compiled.
    """

    pattern: str
    reading: RegexpReading = RegexpReading.FULL
    _compiled: _Compiled = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_text(self.pattern, "an identity's regexp")
        object.__setattr__(self, "_compiled", _compile(self.pattern))

    def __reduce__(self) -> tuple[partial[Regexp], tuple[()]]:
        return (partial(Regexp, pattern=self.pattern, reading=self.reading), ())

    def __str__(self) -> str:
        return f"the regexp {self.pattern!r:.160}"

    def matches(self, text: str) -> bool:
        """Whether the whole of ``text``, or under SEARCH any part of it, is matched."""
        match = self._compiled.fullmatch if self.reading is RegexpReading.FULL else self._compiled.search
        try:
            return match(text) is not None
        except UnicodeEncodeError:
            return False  # a lone surrogate: no text that a certificate can hold


TextMatch: TypeAlias = Exact | Regexp | Glob


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom a certificate must be for: all of it must match.

    ``claims`` are names of CLAIM_OIDS, each once, with what the certificate must say there. Raises UsageError where an
    issuer or a subject is missing, and for an unknown or doubled name.
    """

    issuer: TextMatch
    subject: TextMatch
    claims: tuple[tuple[str, TextMatch], ...] = ()

    def __post_init__(self) -> None:
        names = [name for name, _ in self.claims]
        for name in names:
            if name not in CLAIM_OIDS:
                raise UsageError(f"{name!r:.160} is no claim of a Fulcio certificate; known: {', '.join(CLAIM_OIDS)}")
        if len(set(names)) != len(names):
            raise UsageError(f"an identity names one claim twice: {', '.join(names)}")
        for wanted in (self.issuer, self.subject, *[wanted for _, wanted in self.claims]):
            if not isinstance(wanted, Exact | Regexp | Glob):
                raise UsageError("an identity needs an issuer and a subject, each a text, a regexp or a pattern")

    def __str__(self) -> str:
        more = "".join(f", {name} {wanted}" for name, wanted in self.claims[:4])
        return f"{self.subject} by the issuer {self.issuer}{more}{', ...' if len(self.claims) > 4 else ''}"


def _check_text(text: str, what: str) -> None:
    if not text:
        raise UsageError(f"{what} is empty, which would be nobody's; leave it out or give one")
    if len(text) > limits.IDENTITY_CHARS:
        raise UsageError(f"{what} has {len(text)} characters: at most {limits.IDENTITY_CHARS}")


def _compile(pattern: str) -> _Compiled:
    import re2  # noqa: PLC0415  # late: who gives no regexp does not pay for it

    options = re2.Options()
    options.log_errors = False  # the message below says it; RE2 would write to stderr
    options.max_mem = limits.REGEXP_BYTES
    try:
        compiled: _Compiled = re2.compile(pattern, options)
    except (re2.error, ValueError) as error:
        said = error.args[0] if error.args else error
        reason = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
        raise UsageError(f"{pattern!r:.160} is no regexp in RE2's syntax: {reason!s:.160}") from error
    return compiled
