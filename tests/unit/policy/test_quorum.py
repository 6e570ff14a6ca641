"""N of M against the plainest reading: every subset of edges in which nothing is used twice."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll import limits
from plimsoll.policy.quorum import Count, Edge, count_entries


def edge(entry, signature, key=None, pair=None):
    return Edge(entry=entry, signature=signature, key=f"key {signature}" if key is None else key, pair=pair)


def counted(*edges, enough=99):
    return count_entries(edges, enough=enough).least


def plainly(edges):
    for size in range(len(edges), 0, -1):
        for chosen in combinations(edges, size):
            apart = [[e.entry for e in chosen], [e.signature for e in chosen], [e.key for e in chosen]]
            apart.append([e.pair for e in chosen if e.pair is not None])
            if all(len(set(used)) == len(used) for used in apart):
                return size
    return 0


EDGES = st.lists(
    st.builds(
        Edge,
        entry=st.sampled_from("abcd"),
        signature=st.integers(0, 3),
        key=st.sampled_from(["k1", "k2", "k3"]),
        pair=st.sampled_from([None, "p1", "p2", "p3"]),
    ),
    max_size=8,
)


@settings(max_examples=100)
@given(EDGES)
def test_the_count_is_that_of_the_largest_choice(edges):
    most = plainly(edges)
    assert count_entries(edges, enough=99) == Count(least=most, most=most)
    assert counted(*edges, enough=2) == min(most, 2)


def test_nothing_counts_twice():
    assert counted() == 0
    assert counted(edge("a", 1), edge("b", 2)) == 2
    assert counted(edge("a", 1), edge("a", 2)) == 1
    assert counted(edge("a", 1), edge("b", 1)) == 1
    assert counted(edge("a", 1, "k"), edge("b", 2, "k")) == 1
    assert counted(edge("a", 1, pair="p"), edge("b", 2, pair="p")) == 1


def test_an_entry_with_a_choice_gives_way_to_one_without():
    assert counted(edge("a", 1), edge("a", 2), edge("b", 1)) == 2
    assert counted(edge("b", 1), edge("a", 1), edge("a", 2)) == 2


def test_one_signers_extra_signature_takes_nothing_from_the_others():
    # By key the first and second are one signer, by name the second and third: the first and third still count.
    edges = [edge("a", 1, "k1", "p1"), edge("a", 2, "k1", "p2"), edge("b", 2, "k1", "p2"), edge("b", 3, "k2", "p2")]
    assert counted(*edges) == 2


def test_a_search_that_is_too_long_proves_nothing_and_excludes_nothing(monkeypatch):
    monkeypatch.setattr(limits, "QUORUM_STEPS", 3)
    edges = [edge(entry, at, key=at % 5) for entry in "abcdef" for at in range(5)]
    found = count_entries(edges, enough=6)
    assert found.least < 6
    assert found.most == 6


def test_many_signatures_by_few_signers_do_not_take_long():
    edges = [edge(f"e{at % 8}", at, key=f"k{at % 8}", pair=f"p{at % 7}") for at in range(1024)]
    assert counted(*edges, enough=7) == 7
