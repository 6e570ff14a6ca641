from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.config.registries_conf import (
    Mirror,
    PullFromMirror,
    RegistriesConf,
    Registry,
    RegistryIndex,
    matched_length,
)


def registry(prefix: str, **more: object) -> Registry:
    return Registry(origin="x.conf", prefix=prefix, **{"location": "l.example", **more})


# What a prefix fits, one row a rule: prefix, repository's name, how much of it the prefix stands for.
FITS = [
    ("r.example", "r.example", "r.example"),
    ("r.example", "r.example/app", "r.example"),
    ("r.example", "r.example/ns/app", "r.example"),
    ("r.example", "r.example:5000/app", "r.example"),
    ("r.example", "r.example.evil.io/app", None),
    ("r.example", "xr.example/app", None),
    ("r.example", "sub.r.example/app", None),
    ("r.example:5000", "r.example:5000/app", "r.example:5000"),
    ("r.example:5000", "r.example/app", None),
    ("r.example:500", "r.example:5000/app", None),
    ("r.example/ns", "r.example/ns", "r.example/ns"),
    ("r.example/ns", "r.example/ns/app", "r.example/ns"),
    ("r.example/ns", "r.example/nsx/app", None),
    ("r.example/ns/app", "r.example/ns", None),
    ("r.example/app:v1", "r.example/app", None),
    ("*.example", "r.example/app", "r.example"),
    ("*.example", "a.b.example:5000/app", "a.b.example"),
    ("*.b.example", "a.b.example/app", "a.b.example"),
    ("*.b.example", "b.example/app", None),
    ("*.b.example", "xb.example/app", None),
    ("*.b.example", "a.b.example.io/app", None),
    ("*.b.example", "evil.io/a.b.example/app", None),
]


@pytest.mark.parametrize(("prefix", "name", "stands_for"), FITS)
def test_which_names_a_prefix_fits(prefix: str, name: str, stands_for: str | None):
    found = RegistryIndex((registry(prefix),)).find(name)
    assert (found is not None) is (stands_for is not None)
    if stands_for is not None:
        assert name[: matched_length(name, prefix)] == stands_for


def fits(prefix: str, name: str) -> bool:
    """The rule restated: by comparing, where the index looks up."""
    if prefix.startswith("*."):
        host = name.split("/", maxsplit=1)[0].split(":", maxsplit=1)[0]
        return host.endswith(prefix[1:])
    return name == prefix or (name.startswith(prefix) and name[len(prefix)] in ":/")


HOSTS = st.sampled_from(["example", "b.example", "a.b.example", "a.b.example:5000", "example:5000", "localhost"])
PATHS = st.lists(st.sampled_from(["a", "b", "ns", "app"]), max_size=3)
NAMES = st.builds(lambda host, path: "/".join([host, *path]), HOSTS, PATHS)
PREFIXES = NAMES | st.sampled_from(["*.example", "*.b.example", "*.a.b.example", "*.io"])


@given(st.lists(PREFIXES, max_size=8), NAMES)
def test_the_longest_prefix_wins_and_of_two_alike_the_first(prefixes: list[str], name: str):
    registries = tuple(registry(prefix, location=f"l{at}") for at, prefix in enumerate(prefixes))
    best = None
    for candidate in registries:
        if fits(candidate.prefix, name) and (best is None or len(candidate.prefix) > len(best.prefix)):
            best = candidate
    assert RegistryIndex(registries).find(name) == best


@pytest.mark.parametrize(
    ("by_digest_only", "when", "for_digest", "for_tag"),
    [
        (False, PullFromMirror.ALL, True, True),
        (False, PullFromMirror.DIGEST_ONLY, True, False),
        (False, PullFromMirror.TAG_ONLY, False, True),
        (True, PullFromMirror.ALL, True, False),
    ],
)
def test_when_a_mirror_is_asked(by_digest_only: bool, when: PullFromMirror, for_digest: bool, for_tag: bool):
    mirror = Mirror(location="m.example", pull_from_mirror=when)
    found = registry("r.example", mirrors=(mirror,), mirror_by_digest_only=by_digest_only)

    assert found.mirrors_for(digest=True) == ((mirror,) if for_digest else ())
    assert found.mirrors_for(digest=False) == ((mirror,) if for_tag else ())


def test_what_is_laid_over_replaces_by_prefix_and_by_name():
    below = RegistriesConf(
        registries=(registry("b"), registry("a", blocked=True)),
        unqualified_search_registries=("q",),
        short_name_mode="enforcing",
        aliases={"x": "r.example/x", "y": "r.example/y"},
        credential_helpers=("h",),
    )
    over = RegistriesConf(
        registries=(registry("a"), registry("*.c")), aliases={"x": "", "z": "r.example/z"}, credential_helpers=()
    )

    assert below.overlaid(over) == RegistriesConf(
        registries=(registry("*.c"), registry("a"), registry("b")),
        unqualified_search_registries=("q",),
        short_name_mode="enforcing",
        aliases={"y": "r.example/y", "z": "r.example/z"},
        credential_helpers=("h",),
    )
    assert below.overlaid(RegistriesConf(unqualified_search_registries=())).unqualified_search_registries == ()
