"""N of M: how many entries of ``from`` are met at once, when nothing may count twice. Pure.

A signature can meet an entry where an ``Edge`` joins them. Of the edges that count together no two share the entry, the
signature, the public key, or the (issuer, subject) pair. With keys alone that is a matching; with certificates it is
harder, but M is small and a policy's author chose it: it is searched through, up to ``limits.QUORUM_STEPS``.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from plimsoll import limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One signature that meets one entry; ``pair`` is the certificate's (issuer, subject), None for a key."""

    entry: Hashable
    signature: Hashable
    key: Hashable
    pair: Hashable | None = None

    @property
    def taken(self) -> frozenset[tuple[str, Hashable]]:
        """What no other edge may use beside this one."""
        pair = () if self.pair is None else (("pair", self.pair),)
        return frozenset({("signature", self.signature), ("key", self.key), *pair})


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """``least`` entries are met for sure, ``most`` at best; they differ only where the search was too long."""

    least: int
    most: int


def count_entries(edges: Iterable[Edge], *, enough: int) -> Count:
    """How many entries are met at once, counted no further than ``enough``."""
    listed = tuple(edges)
    keys: dict[Hashable, set[Hashable]] = {}
    for edge in listed:
        keys.setdefault(edge.signature, set()).add(edge.key)
    by_entry: dict[Hashable, dict[frozenset[tuple[str, Hashable]], None]] = {}
    for edge in listed:
        # Who shares a signature that one key alone made shares the key: so a thousand copies of it are one choice.
        spare = {("signature", edge.signature)} if len(keys[edge.signature]) == 1 else set()
        by_entry.setdefault(edge.entry, {})[edge.taken - spare] = None
    # Entries with few choices first: what they need is taken from those that have more.
    choices = sorted((tuple(found) for found in by_entry.values()), key=len)
    search = _Search(choices, enough=min(enough, len(choices)))
    search.go(0, frozenset(), 0)
    cut = search.steps > limits.QUORUM_STEPS
    return Count(least=search.best, most=search.enough if cut else search.best)


class _Search:
    """Depth first over the entries; ends as soon as enough are met."""

    def __init__(self, choices: list[tuple[frozenset[tuple[str, Hashable]], ...]], *, enough: int) -> None:
        self._choices = choices
        self.enough = enough
        self.best = 0
        self.steps = 0

    def go(self, at: int, taken: frozenset[tuple[str, Hashable]], met: int) -> None:
        """Try every choice for the entry ``at``, none too, beside what is taken already."""
        self.best = max(self.best, met)
        self.steps += 1
        if self.best >= self.enough or met + len(self._choices) - at <= self.best or self.steps > limits.QUORUM_STEPS:
            return
        for needed in self._choices[at]:
            if not needed & taken:
                self.go(at + 1, taken | needed, met + 1)
        self.go(at + 1, taken, met)
