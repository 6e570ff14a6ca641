from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.errors import PolicyError
from plimsoll.model.location import Location, locate_docker, locate_path
from plimsoll.model.reference import DockerReference, parse_docker_reference
from plimsoll.policy.document import parse_policy
from plimsoll.policy.requirements import Policy, Reject, Requirement
from plimsoll.policy.scope import is_scope, scope_hint, select

DIGEST = "sha256:" + "a" * 64


def mark(name: str) -> tuple[Requirement, ...]:
    return (Reject(where=name),)


def policy(**transports: tuple[str, ...]) -> Policy:
    return Policy(
        default=mark("default"),
        transports={
            name.replace("_", "-"): {scope: mark(f"{name.replace('_', '-')} {scope}") for scope in scopes}
            for name, scopes in transports.items()
        },
        digest="sha256:0",
        origin="p.json",
    )


def chosen(found: Policy, location: Location) -> str:
    return select(found, location).requirements[0].where


def docker(text: str) -> Location:
    return locate_docker(parse_docker_reference(text))


@pytest.mark.parametrize(
    ("scopes", "image", "scope"),
    [
        ((), "r.example/a/b:v1", "default"),
        (("",), "r.example/a/b:v1", "docker "),
        (("r.example", ""), "r.example/a/b:v1", "docker r.example"),
        (("r.example", "r.example/a"), "r.example/a/b:v1", "docker r.example/a"),
        (("r.example/a", "r.example/a/b"), "r.example/a/b:v1", "docker r.example/a/b"),
        (("r.example/a/b", "r.example/a/b:v1"), "r.example/a/b:v1", "docker r.example/a/b:v1"),
        (("r.example/a/b", "r.example/a/b:v1"), "r.example/a/b:v2", "docker r.example/a/b"),
        (
            ("r.example/a/b:v1", f"r.example/a/b@{DIGEST}"),
            f"r.example/a/b:v1@{DIGEST}",
            f"docker r.example/a/b@{DIGEST}",
        ),
        (("r.example/a/b:v1",), f"r.example/a/b:v1@{DIGEST}", "default"),
        ((f"r.example/a/b@{DIGEST}",), "r.example/a/b:v1", "default"),
        (("r.example/a/b:latest",), "r.example/a/b", "docker r.example/a/b:latest"),
        (("docker.io/library/app", "app"), "app:v1", "docker docker.io/library/app"),
        (("app", "library/app"), "app:v1", "default"),
        (("*.example",), "r.example/a:v1", "docker *.example"),
        (("*.b.example", "*.example"), "r.b.example/a:v1", "docker *.b.example"),
        (("*.example", "r.example"), "r.example/a:v1", "docker r.example"),
        (("*.r.example", "*.*"), "r.example/a:v1", "default"),
        (("example",), "r.example/a:v1", "default"),
        (("r.example",), "r.example:5000/a:v1", "default"),
        (("r.example:5000",), "r.example:5000/a:v1", "docker r.example:5000"),
        (("*.example",), "r.example:5000/a:v1", "docker *.example"),
        (("r.example",), "r.example.evil.io/a:v1", "default"),
        (("r.example/a",), "r.example/ab/c:v1", "default"),
        (("r.example/a/",), "r.example/a/b:v1", "default"),
    ],
)
def test_docker_scopes(scopes: tuple[str, ...], image: str, scope: str):
    assert chosen(policy(docker=scopes), docker(image)) == scope


@pytest.mark.parametrize(
    ("scopes", "path", "scope"),
    [
        ((), "/a/b", "default"),
        (("",), "/a/b", "dir "),
        (("/a", ""), "/a/b", "dir /a"),
        (("/a", "/a/b"), "/a/b", "dir /a/b"),
        (("/a/b/c",), "/a/b", "default"),
        (("/a",), "/ab", "default"),
        (("/",), "/a/b", "default"),
    ],
)
def test_path_scopes(scopes: tuple[str, ...], path: str, scope: str):
    assert chosen(policy(dir=scopes), locate_path("dir", path)) == scope


def test_scopes_of_another_transport_do_not_count():
    assert chosen(policy(dir=("/a", ""), oci_archive=("",)), locate_path("oci", "/a/b")) == "default"
    assert chosen(policy(dir=("/a", ""), oci_archive=("",)), locate_path("oci-archive", "/a/b")) == "oci-archive "


def test_the_lists_passed_over_are_named_most_specific_first():
    found = select(policy(docker=("", "r.example", "r.example/a/b", "other")), docker("r.example/a/b:v1"))

    assert found.scope == 'transports.docker["r.example/a/b"]'
    assert found.passed_over == ('transports.docker["r.example"]', 'transports.docker[""]', "default")


def test_the_places_of_two_long_scopes_differ():
    scopes = [f"/{'x' * 2000}/{end}" for end in "ab"]
    found = policy(dir=tuple(scopes))

    assert select(found, locate_path("dir", scopes[0])).scope != select(found, locate_path("dir", scopes[1])).scope


@pytest.mark.parametrize(
    ("scopes", "image", "lists"),
    [
        # Another spelling of the host leads past no scope: its list and the one that the spelling led to both count.
        (("localhost:5000",), "LOCALHOST:5000/a:v1", ["docker localhost:5000", "default"]),
        (("r.example",), "R.example/a:v1", ["docker r.example", "default"]),
        (("r.example",), "r.example:443/a:v1", ["docker r.example", "default"]),
        (("r.example", ""), "r.EXAMPLE:443/a:v1", ["docker r.example", "docker "]),
        (("r.example/a", "R.example"), "R.example/a:v1", ["docker r.example/a", "docker R.example"]),
        (("*.b.example",), "r.B.example/a:v1", ["docker *.b.example", "default"]),
        (("docker.io",), "INDEX.docker.io/a:v1", ["docker docker.io", "default"]),
        (("docker.io/library/a",), "index.docker.io:443/a:v1", ["docker docker.io/library/a", "default"]),
        # A scope that is spelled so itself, and is no less specific, is what was meant.
        (("R.example", "r.example"), "R.example/a:v1", ["docker r.example", "docker R.example"]),
        (("R.example/a", "r.example"), "R.example/a:v1", ["docker R.example/a"]),
        (("r.example:443",), "r.example:443/a:v1", ["docker r.example:443"]),
        # Another port is another registry, and the default is one list however the host is spelled.
        (("r.example",), "R.example:5000/a:v1", ["default"]),
        (("r.example:443",), "r.example/a:v1", ["default"]),
        ((), "R.example/a:v1", ["default"]),
    ],
)
def test_a_respelled_host_leads_past_no_scope(scopes: tuple[str, ...], image: str, lists: list[str]):
    found = select(policy(docker=scopes), docker(image))

    assert [requirement.where for requirement in found.requirements] == lists
    assert found.scope.count(" and ") == len(lists) - 1


def test_the_default_passes_nothing_over():
    found = select(policy(docker=("other",)), docker("r.example/a/b:v1"))

    assert (found.scope, found.passed_over) == ("default", ())


# --- against the fact sheet's table, restated -----------------------------------------------------------------------

LABEL = st.sampled_from(["a", "b", "c1"])
HOST = st.builds(
    lambda labels, port: ".".join(labels) + port,
    st.lists(LABEL, min_size=2, max_size=4),
    st.sampled_from(["", ":5000"]),
)
NAME = st.builds(lambda host, path: f"{host}/{'/'.join(path)}", HOST, st.lists(LABEL, min_size=1, max_size=4))
END = st.sampled_from([":v1", ":v2", "@" + DIGEST])


def _table(name: str, end: str) -> list[str]:
    """Identity, then host/path and each shorter path, then the host, then its wildcards without the port, then ""."""
    parts = name.split("/")
    rows = [name + end] + ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]
    labels = parts[0].split(":")[0].split(".")
    return [*rows, *["*." + ".".join(labels[skip:]) for skip in range(1, len(labels))], ""]


@given(NAME, END, st.data())
def test_selection_agrees_with_the_table(name: str, end: str, data: st.DataObject):
    rows = _table(name, end)
    strange = data.draw(st.lists(NAME | HOST, max_size=3))
    present = data.draw(st.lists(st.sampled_from(rows), max_size=len(rows), unique=True))
    held = policy(docker=tuple(dict.fromkeys([*present, *[scope for scope in strange if scope not in rows]])))

    found = select(held, docker(name + end))

    expected = [row for row in rows if row in present]
    assert found.requirements[0].where == (f"docker {expected[0]}" if expected else "default")
    assert len(found.passed_over) == len(expected)


@given(NAME, NAME, END)
def test_a_scope_of_another_repository_never_applies(name: str, other: str, end: str):
    applies = chosen(policy(docker=(other,)), docker(name + end)) != "default"

    assert applies == (name == other or name.startswith(other + "/"))


# --- which scopes may be written ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transport", "scope"),
    [
        ("docker", "anything at all"),
        ("docker-daemon", "%"),
        ("ostree", "x"),
        ("nobody-knows", "x"),
        *[(transport, "") for transport in ("dir", "oci", "docker-archive", "tarball", "containers-storage", "atomic")],
        *[(transport, "/a/b.c/..d") for transport in ("dir", "oci", "oci-archive", "sif")],
        ("oci", "/a:b"),
        ("atomic", "host/ns/stream:tag"),
        ("atomic", "host"),
        ("containers-storage", "[/var/lib]registry.example/a:v1"),
        ("containers-storage", "[overlay@/var/lib]"),
    ],
)
def test_scopes_that_may_be_written(transport: str, scope: str):
    assert is_scope(transport, scope)


@pytest.mark.parametrize(
    ("transport", "scope"),
    [
        *[
            (transport, scope)
            for transport in ("dir", "oci", "oci-archive", "sif")
            for scope in ("/", "a", "a/b", "/a/", "/a//b", "//a", "/a/./b", "/a/..", "/.", "/..")
        ],
        ("docker-archive", "/a"),
        ("tarball", "/a"),
        ("atomic", "host/ns/stream/more"),
        ("atomic", "host/ns:x"),
        ("containers-storage", "registry.example/a:v1"),
        ("containers-storage", "[relative]a"),
        ("containers-storage", "[overlay@relative]"),
        ("containers-storage", "[@/var/lib]"),
        ("containers-storage", "[/var/lib]@id"),
        ("containers-storage", "[/var/lib"),
    ],
)
def test_scopes_that_may_not_be_written(transport: str, scope: str):
    document = f'{{"default":[{{"type":"reject"}}],"transports":{{"{transport}":{{"{scope}":[{{"type":"reject"}}]}}}}}}'

    assert not is_scope(transport, scope)
    assert scope_hint(transport)
    with pytest.raises(PolicyError, match=f"is no scope of {transport}"):
        parse_policy(document.encode(), origin="p.json")


def test_an_image_name_without_tag_and_digest_has_its_repository_as_identity():
    bare = DockerReference(domain="r.example", path="a")

    assert chosen(policy(docker=("r.example/a",)), locate_docker(bare)) == "docker r.example/a"
