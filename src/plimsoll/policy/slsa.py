"""SLSA in short: a builder, a source and a level, compiled to conditions. Pure.

Sources: slsa.dev, provenance v0.2 and v1, verification summary v1. A provenance does not state a level (who built
decides it), so a level is asked of a verification summary only.
"""

from __future__ import annotations

import re
from typing import Final

from plimsoll.errors import PolicyError
from plimsoll.policy.conditions import Condition, compile_condition
from plimsoll.policy.fields import shown

PROVENANCE_V02: Final = "https://slsa.dev/provenance/v0.2"
PROVENANCE_V1: Final = "https://slsa.dev/provenance/v1"
SUMMARY_V1: Final = "https://slsa.dev/verification_summary/v1"
LEVELS: Final = range(1, 5)

_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?#@!$&()*+,;=%-]{1,1024}", re.ASCII)
_PARAMETERS: Final = "predicate.buildDefinition.externalParameters"
_SOURCES: Final = {
    "workflow": f"{_PARAMETERS}.workflow.repository",
    "source": f"{_PARAMETERS}.source",
    "sourceToBuild": f"{_PARAMETERS}.sourceToBuild.repository",
    "buildConfigSource": f"{_PARAMETERS}.buildConfigSource.repository",
}
"""Where a v1 provenance names what was built: GitHub Actions; GitLab and others; Google Cloud Build (both)."""


def compile_builder(uri: str, *, predicate_type: str, where: str) -> Condition:
    """The condition that ``uri`` built it; raises PolicyError for a type that names no builder."""
    member = {PROVENANCE_V1: "predicate.runDetails.builder.id", PROVENANCE_V02: "predicate.builder.id"}
    if predicate_type not in member:
        raise PolicyError(f"{where}: only provenance names a builder: ask for the type slsaprovenance1")
    return compile_condition(f"{member[predicate_type]} == {_quoted(uri, where)}", where=where)


def compile_source(uri: str, *, predicate_type: str, where: str) -> Condition:
    """The condition that it was built from ``uri``, at any revision.

    A v1 provenance may name its source in several places: all that are there must agree. Raises PolicyError.
    """
    quoted = _quoted(uri, where)
    if predicate_type == PROVENANCE_V02:
        return compile_condition(_is_source("predicate.invocation.configSource.uri", quoted), where=where)
    if predicate_type != PROVENANCE_V1:
        raise PolicyError(f"{where}: only provenance names a source: ask for the type slsaprovenance1")
    some = " || ".join(f"has({_PARAMETERS}.{name})" for name in _SOURCES)
    each = [f"(!has({_PARAMETERS}.{name}) || {_is_source(at, quoted)})" for name, at in _SOURCES.items()]
    return compile_condition(" && ".join([f"({some})", *each]), where=where)


def compile_level(level: int, *, predicate_type: str, where: str) -> Condition:
    """The condition that a verifier found the build track's ``level``, or a higher one; raises PolicyError."""
    if level not in LEVELS:
        raise PolicyError(f"{where}: a SLSA level is from {LEVELS.start} to {LEVELS.stop - 1}, not {level}")
    if predicate_type != SUMMARY_V1:
        raise PolicyError(
            f"{where}: a provenance states no level: name its builder, or ask for the type {SUMMARY_V1}, "
            "in which a verifier does"
        )
    names = ", ".join(f'"SLSA_BUILD_LEVEL_{each}"' for each in LEVELS if each >= level)
    text = f'predicate.verificationResult == "PASSED" && predicate.verifiedLevels.exists(x, x in [{names}])'
    return compile_condition(text, where=where)


def _is_source(at: str, quoted: str) -> str:
    bare = quoted[1:-1]
    return f'({at} == "{bare}" || {at} == "git+{bare}" || {at}.startsWith("{bare}@") || {at}.startsWith("git+{bare}@"))'


def _quoted(uri: str, where: str) -> str:
    """``uri`` as a CEL string; nothing of it can end the string."""
    if _URI.fullmatch(uri) is None:
        raise PolicyError(f"{where}: {shown(uri)} is no URI")
    return f'"{uri}"'
