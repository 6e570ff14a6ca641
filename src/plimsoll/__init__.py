"""Plimsoll verifies container images: it answers whether one may be run, and why (not).

The library's public names, imported when they are first used (PEP 562): ``import plimsoll`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

_HOMES: Final = {
    "Credentials": "plimsoll.model.settings",
    "Exact": "plimsoll.model.identity",
    "Glob": "plimsoll.model.identity",
    "HttpSettings": "plimsoll.model.settings",
    "Identity": "plimsoll.model.identity",
    "IndexPolicy": "plimsoll.model.settings",
    "Layers": "plimsoll.model.settings",
    "LogDemand": "plimsoll.policy.requirements",
    "Outcome": "plimsoll.model.verdict",
    "PlimsollError": "plimsoll.errors",
    "Policy": "plimsoll.pipeline.policies",
    "Reason": "plimsoll.model.verdict",
    "Reference": "plimsoll.model.reference",
    "Regexp": "plimsoll.model.identity",
    "RegistryToken": "plimsoll.model.settings",
    "RejectedError": "plimsoll.errors",
    "Settings": "plimsoll.model.settings",
    "TrustRoot": "plimsoll.model.trusted_root",
    "Verdict": "plimsoll.model.verdict",
    "Verifier": "plimsoll.pipeline.verifier",
    "parse_reference": "plimsoll.model.reference",
    "parse_trusted_root": "plimsoll.model.trusted_root",
    "verify": "plimsoll.pipeline.verifier",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605  # a sorted list of literals


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'plimsoll' has no attribute {name!r}")
    found = getattr(import_module(home), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
