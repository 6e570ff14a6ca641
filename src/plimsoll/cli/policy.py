"""``plimsoll policy``: questions about policies; its first word says which."""

from __future__ import annotations

from typing import Final

ACTIONS: Final = {
    "lint": "what is wrong with a policy.json, or hardly meant so",
    "explain": "why one image gets its verdict: scope, requirements, signatures, files",
    "test": "whether images get the verdicts that a file expects of them",
    "diff": "which images get another verdict under another policy",
    "convert": "another tool's policy as a plimsoll document: cosign's flags, sigstore's, Kyverno's",
}
"""Action -> what it answers; each is the module ``policy_ACTION`` beside this one."""
