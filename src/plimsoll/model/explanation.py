"""Explanation: a verdict with all that led to it, for people who write policies."""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.model.digest import Digest
from plimsoll.model.verdict import Judgement, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class RequirementFinding:
    """One requirement: its place in the policy, its type, and what it came to.

    ``judgement`` None means that it was left open: another requirement of the list is surely unmet, or another part of
    an anyOf is met.
    """

    place: str
    kind: str
    judgement: Judgement | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedManifest:
    """One manifest that requirements were applied to, and which signatures they could see.

    ``attachments`` says whether tags beside the image are looked at; ``store`` is the lookaside's URL without its
    query, "" beside the image, None for no store.
    """

    digest: Digest
    attachments: bool
    store: str | None
    findings: tuple[RequirementFinding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationFile:
    """A file that had a say: ``role`` is what kind it is, ``path`` where it lies, ``place`` what in it applied."""

    role: str
    path: str
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """``scope`` is the place of the list that applies, None where not even that could be found out.

    ``passed_over`` are the less specific lists that the image matches too. ``policy`` is the digest that reports name.
    ``contacted`` are the repositories that were asked, also where there is but the image's own.
    """

    verdict: Verdict
    policy: str
    scope: str | None
    passed_over: tuple[str, ...]
    manifests: tuple[JudgedManifest, ...]
    contacted: tuple[str, ...]
    files: tuple[ConfigurationFile, ...]
