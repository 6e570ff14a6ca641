"""Locations: what a policy matches, most specific first."""

from __future__ import annotations

import pytest

from plimsoll.model.digest import Digest
from plimsoll.model.location import locate_docker, locate_docker_archive, locate_path
from plimsoll.model.reference import parse_docker_reference, parse_reference

DIGEST = Digest.of(b"x")


@pytest.mark.parametrize(
    ("text", "identity", "parents"),
    [
        (
            "registry.example:5000/team/sub/app:v1",
            "registry.example:5000/team/sub/app:v1",
            [
                "registry.example:5000/team/sub/app",
                "registry.example:5000/team/sub",
                "registry.example:5000/team",
                "registry.example:5000",
                "*.example",
            ],
        ),
        ("app", "docker.io/library/app:latest", ["docker.io/library/app", "docker.io/library", "docker.io", "*.io"]),
        ("localhost/app:v1", "localhost/app:v1", ["localhost/app", "localhost"]),
        ("a.b.c/x:v1", "a.b.c/x:v1", ["a.b.c/x", "a.b.c", "*.b.c", "*.c"]),
        (f"a.b/x:v1@{DIGEST}", f"a.b/x@{DIGEST}", ["a.b/x", "a.b", "*.b"]),
    ],
)
def test_a_docker_reference(text, identity, parents):
    reference = parse_docker_reference(text)
    found = locate_docker(reference)
    assert (found.transport, found.identity, list(found.parents)) == ("docker", identity, parents)
    assert found.docker == reference


@pytest.mark.parametrize(
    ("path", "parents"),
    [("/a/b/c", ["/a/b", "/a"]), ("/a", []), ("/a b/c:d", ["/a b"]), ("/", [])],
)
def test_a_local_path(path, parents):
    found = locate_path("oci", path)
    assert (found.transport, found.identity, list(found.parents), found.docker) == ("oci", path, parents, None)


@pytest.mark.parametrize("which", ["", ":@0", ":r.example/app:v1"])
def test_an_archive_of_docker_save_has_no_scope_but_its_transport(which):
    location = locate_docker_archive(parse_reference(f"docker-archive:/a/b.tar{which}"))
    assert (location.transport, location.identity, location.parents) == ("docker-archive", "", ())
    assert location.docker == (parse_docker_reference("r.example/app:v1") if "app" in which else None)
