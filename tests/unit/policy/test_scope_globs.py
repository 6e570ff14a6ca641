from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.errors import PolicyError
from plimsoll.model.location import locate_docker, locate_path
from plimsoll.model.reference import parse_docker_reference
from plimsoll.policy.scope_globs import parse_scope


def scope(text):
    return parse_scope(text, where="w", folder="/srv/p")


def docker(name):
    return locate_docker(parse_docker_reference(name))


@pytest.mark.parametrize(
    ("text", "image", "expected"),
    [
        ("docker://r.example/team/app", "r.example/team/app", True),
        ("docker://r.example/team/app", "r.example/team/app:v1", True),
        ("docker://r.example/team/app", f"r.example/team/app@sha256:{'a' * 64}", True),
        ("docker://r.example/team/app", "R.Example/team/app", True),
        ("docker://r.example/team/app", "r.example/team/app/x", False),
        ("docker://r.example/team/app", "r.example/team/app2", False),
        ("docker://r.example/team/app", "r.example:5000/team/app", False),
        ("docker://r.example:5000/team/app", "r.example:5000/team/app", True),
        ("docker://r.example/team/*", "r.example/team/app", True),
        ("docker://r.example/team/*", "r.example/team/app/x", False),
        ("docker://r.example/team/*", "r.example/team", False),
        ("docker://r.example/*/app", "r.example/team/app", True),
        ("docker://r.example/*/app", "r.example/a/b/app", False),
        ("docker://r.example/team-*/app-*-x", "r.example/team-a/app-b-x", True),
        ("docker://r.example/team-*/app-*-x", "r.example/team-a/app-x", False),
        ("docker://r.example/a*b*", "r.example/abx", False),
        ("docker://r.example/a*b*", "r.example/axbx", True),
        ("docker://r.example/app*", "r.example/app", False),
        ("docker://r.example/a*a", "r.example/aa", False),
        ("docker://r.example/a*a", "r.example/aaa", True),
        ("docker://r.example/team/**", "r.example/team/app", True),
        ("docker://r.example/team/**", "r.example/team/app/x/y", True),
        ("docker://r.example/team/**", "r.example/team", False),
        ("docker://r.example/team/**", "r.example/teams/app", False),
        ("docker://r.example/**", "r.example/app", True),
        ("docker://*.example/app", "r.example/app", True),
        ("docker://*.example/app", "a.b.example/app", True),
        ("docker://*.example/app", "evil-example/app", False),
        ("docker://*.example/app", "r.example.evil/app", False),
        ("docker://*.example/app", "r.example:5000/app", False),
        ("docker://*.example:5000/app", "r.example:5000/app", True),
        ("docker://docker.io/library/*", "busybox", True),
        ("docker://docker.io/library/*", "acme/busybox", False),
        ("docker://localhost/app", "localhost/app", True),
    ],
)
def test_a_scope_is_a_glob_over_the_completed_name(text, image, expected):
    assert scope(text).matches(docker(image)) is expected


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("oci:/images/app", "/images/app", True),
        ("oci:/images/app", "/images/app2", False),
        ("oci:/images/*", "/images/app", True),
        ("oci:/images/*", "/images/a/b", False),
        ("oci:/images/**", "/images/a/b", True),
        ("oci:/images/**", "/images", False),
        ("oci:/**", "/images/a", True),
        ("oci:app", "/srv/p/app", True),
        ("oci:./app", "/srv/p/app", True),
        ("oci:**", "/srv/p/a/b", True),
        ("oci:**", "/srv/q", False),
    ],
)
def test_a_path_scope_counts_from_the_documents_folder(text, path, expected):
    assert scope(text).matches(locate_path("oci", path)) is expected
    assert not scope(text).matches(locate_path("dir", path))
    assert not scope(text).matches(docker("r.example/app"))


@pytest.mark.parametrize(
    "text",
    [
        "", "app", "r.example/team/app", "http://r.example/app", "docker:r.example/app", "docker://", "docker://r.example",
        "docker://r.example/", "docker://busybox", "docker://acme/app", "docker://index.docker.io/library/app",
        "docker://r.example/team/app:v1", "docker://r.example/app@sha256:00", "docker://R.example/app",
        "docker://r.example/App", "docker://r.example//app", "docker://*/app", "docker://r.*/app", "docker://*r.example/app",
        "docker://a.*.example/app", "docker://**", "docker://r.example/**/app", "docker://r.example/a**",
        "docker://r.example/***", "docker://r.example/team/**/**", "oci:", "oci:/", "oci:/a//b", "oci:/a/../b", "oci:a/",
        "oci:/a/**/b", "nope:/a", "docker://[::1]:5000/app",
    ],
)  # fmt: skip
def test_what_no_image_could_match_is_refused(text):
    with pytest.raises(PolicyError, match=r"^w: "):
        scope(text)


def test_the_longest_wins_then_no_deep_star_then_fewer_stars():
    ordered = [
        "r.example/team/ab",
        "r.example/team/a*",
        "r.example/team/*",
        "r.example/team/**",
        "r.example/*/*",
        "r.example/**",
    ]
    ranks = [scope(f"docker://{each}").rank for each in ordered]
    assert ranks == sorted(ranks, reverse=True)
    assert len(set(ranks)) == len(ranks)


PART = st.text("ab*", min_size=1, max_size=4).filter(lambda part: "**" not in part)
SCOPES = st.builds(
    lambda parts, deep: scope("docker://r.example/" + "/".join([*parts, *(["**"] if deep else [])])),
    st.lists(PART, min_size=1, max_size=3),
    st.booleans(),
)


def regexp(found):
    parts = [re.escape(part).replace(r"\*", "[^/]+") for part in found.parts]
    return re.compile("/".join(parts) + ("(/[^/]+)+" if found.deep else ""))


@settings(max_examples=100)
@given(SCOPES, st.lists(st.text("ab", min_size=1, max_size=5), min_size=1, max_size=4))
def test_matching_is_that_of_the_regexp_that_a_glob_means(found, parts):
    name = "/".join(["r.example", *parts])
    assert found.matches(docker(name)) == (regexp(found).fullmatch(name) is not None)


@settings(max_examples=100)
@given(SCOPES, SCOPES, st.lists(st.text("ab", min_size=1, max_size=5), min_size=1, max_size=4))
def test_scopes_that_match_one_name_meet(one, other, parts):
    location = docker("/".join(["r.example", *parts]))
    assert one.meets(other) == other.meets(one)
    if one.matches(location) and other.matches(location):
        assert one.meets(other)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("r.example/a*", "r.example/*b", True),
        ("r.example/a*", "r.example/b*", False),
        ("r.example/a*c", "r.example/*b*", True),
        ("r.example/a", "r.example/*", True),
        ("r.example/ab", "r.example/a*b", False),
        ("r.example/a/**", "r.example/a/b", True),
        ("r.example/a/b", "r.example/a/**", True),
        ("r.example/a/**", "r.example/a", False),
        ("r.example/a/**", "r.example/b/**", False),
        ("*.example/a", "r.example/a", True),
    ],
)
def test_scopes_meet_where_a_name_could_match_both(one, other, expected):
    assert scope(f"docker://{one}").meets(scope(f"docker://{other}")) is expected
