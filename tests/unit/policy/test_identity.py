from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.errors import InvalidReferenceError
from plimsoll.model.reference import DockerReference, parse_docker_reference
from plimsoll.policy.identity import (
    DEFAULT_IDENTITY,
    ExactReference,
    ExactRepository,
    MatchExact,
    MatchRepoDigestOrExact,
    MatchRepository,
    RemapIdentity,
    SignedIdentity,
    accepts,
    parse_named,
)

D1 = "sha256:" + "1" * 64
D2 = "sha256:" + "2" * 64
APP = "registry.example/acme/app"


def exact(text: str) -> ExactReference:
    return ExactReference(reference=parse_named(text))


def check(identity: SignedIdentity, image: str | None, signed: str) -> bool:
    return accepts(identity, image=None if image is None else parse_docker_reference(image), signed=signed)


REMAP = RemapIdentity(prefix="mirror.example:5000/up", signed_prefix="registry.example")
TO_HUB = RemapIdentity(prefix="mirror.example", signed_prefix="docker.io")

ROWS: list[tuple[SignedIdentity, str | None, str, bool]] = [
    # both need a tag or digest, and the whole strings are equal
    (MatchExact(), f"{APP}:v1", f"{APP}:v1", True),
    (MatchExact(), f"{APP}:v1", f"{APP}:v2", False),
    (MatchExact(), f"{APP}:v1", APP, False),
    (MatchExact(), f"{APP}:v1", f"{APP}@{D1}", False),
    (MatchExact(), f"{APP}:v1", f"{APP}:v1@{D1}", False),
    (MatchExact(), f"{APP}@{D1}", f"{APP}@{D1}", True),
    (MatchExact(), f"{APP}@{D1}", f"{APP}@{D2}", False),
    (MatchExact(), f"{APP}@{D1}", f"{APP}:v1@{D1}", False),
    (MatchExact(), f"{APP}@{D1}", f"{APP}:v1", False),
    (MatchExact(), APP, f"{APP}:latest", True),
    (MatchExact(), APP, APP, False),
    (MatchExact(), "app:v1", "docker.io/library/app:v1", True),
    (MatchExact(), "docker.io/app:v1", "index.docker.io/app:v1", True),
    (MatchExact(), "app:v1", "other/app:v1", False),
    (MatchExact(), None, f"{APP}:v1", False),
    # an image by tag: whole strings; an image by digest: the repository, with any tag or digest in the signature
    (MatchRepoDigestOrExact(), f"{APP}:v1", f"{APP}:v1", True),
    (MatchRepoDigestOrExact(), f"{APP}:v1", f"{APP}:v2", False),
    (MatchRepoDigestOrExact(), f"{APP}:v1", f"{APP}@{D1}", False),
    (MatchRepoDigestOrExact(), f"{APP}:v1", f"{APP}:v1@{D1}", False),
    (MatchRepoDigestOrExact(), f"{APP}:v1", APP, False),
    (MatchRepoDigestOrExact(), f"{APP}@{D1}", f"{APP}:v7", True),
    (MatchRepoDigestOrExact(), f"{APP}@{D1}", f"{APP}@{D2}", True),
    (MatchRepoDigestOrExact(), f"{APP}@{D1}", f"{APP}:v1@{D2}", True),
    (MatchRepoDigestOrExact(), f"{APP}@{D1}", APP, False),
    (MatchRepoDigestOrExact(), f"{APP}@{D1}", f"{APP}2:v1", False),
    (MatchRepoDigestOrExact(), f"{APP}:v1@{D1}", f"{APP}:v2", True),
    (MatchRepoDigestOrExact(), None, f"{APP}:v1", False),
    # the repository alone
    (MatchRepository(), f"{APP}:v1", APP, True),
    (MatchRepository(), f"{APP}:v1", f"{APP}:v2", True),
    (MatchRepository(), f"{APP}@{D1}", f"{APP}:v1@{D2}", True),
    (MatchRepository(), f"{APP}:v1", "registry.example/acme", False),
    (MatchRepository(), f"{APP}:v1", "registry.example/acme/app/more", False),
    (MatchRepository(), f"{APP}:v1", "registry.example:443/acme/app", False),
    (MatchRepository(), "app", "library/app", True),
    (MatchRepository(), None, APP, False),
    # what the policy says, whatever the image is called
    (exact(f"{APP}:v1"), "other.example/x:y", f"{APP}:v1", True),
    (exact(f"{APP}:v1"), None, f"{APP}:v1", True),
    (exact(f"{APP}:v1"), f"{APP}:v1", f"{APP}:v2", False),
    (exact(f"{APP}:v1"), None, APP, False),
    (exact(f"{APP}:latest"), None, APP, False),
    (exact(APP), None, APP, False),
    (exact(f"{APP}:v1"), None, f"{APP}:v1@{D1}", False),
    (exact(f"{APP}:v1@{D1}"), None, f"{APP}:v1@{D1}", True),
    (exact(f"{APP}:v1@{D1}"), None, f"{APP}@{D1}", False),
    (exact(f"{APP}@{D1}"), None, f"{APP}@{D1}", True),
    (exact("index.docker.io/library/app:v1"), None, "app:v1", True),
    (ExactRepository(repository=APP), None, APP, True),
    (ExactRepository(repository=APP), None, f"{APP}:any@{D1}", True),
    (ExactRepository(repository=APP), None, f"{APP}le:v1", False),
    (ExactRepository(repository=APP), f"{APP}:v1", "other.example/acme/app:v1", False),
    (ExactRepository(repository="docker.io/library/app"), None, "app", True),
    # the image's name with another beginning, then as matchRepoDigestOrExact
    (REMAP, "mirror.example:5000/up/acme/app:v1", f"{APP}:v1", True),
    (REMAP, "mirror.example:5000/up/acme/app:v1", f"{APP}:v2", False),
    (REMAP, "mirror.example:5000/up/acme/app:v1", APP, False),
    (REMAP, "mirror.example:5000/up/acme/app:v1", "mirror.example:5000/up/acme/app:v1", False),
    (REMAP, f"mirror.example:5000/up/acme/app@{D1}", f"{APP}:v2", True),
    (REMAP, "mirror.example:5000/upper/app:v1", "registry.example/per/app:v1", False),
    (REMAP, "mirror.example:5000/upper/app:v1", "mirror.example:5000/upper/app:v1", True),
    (REMAP, "mirror.example:5000/up:v1", "registry.example:v1", False),
    (REMAP, f"{APP}:v1", f"{APP}:v1", True),
    (REMAP, None, f"{APP}:v1", False),
    (RemapIdentity(prefix=APP, signed_prefix="a.example/b"), f"{APP}:v1", "a.example/b:v1", True),
    (TO_HUB, "mirror.example/acme/app:v1", "acme/app:v1", True),
    (TO_HUB, "mirror.example/app:v1", "app:v1", False),
    (RemapIdentity(prefix="mirror.example", signed_prefix="busybox"), "mirror.example/a:v1", "busybox/a:v1", False),
    (RemapIdentity(prefix="mirror.example", signed_prefix="index.docker.io"), "mirror.example/a/b:v1", "a/b:v1", False),
    (
        RemapIdentity(prefix="mirror.example", signed_prefix="a.example/" + "x" * 245),
        "mirror.example/yyyy:v1",
        "mirror.example/yyyy:v1",
        False,
    ),
    (RemapIdentity(prefix="busybox", signed_prefix="a.example"), "busybox:v1", "a.example:v1", False),
    (
        RemapIdentity(prefix="a.example", signed_prefix="b.example/a.example"),
        "a.example/a.example/x:1",
        "b.example/a.example/a.example/x:1",
        True,
    ),
]


@pytest.mark.parametrize(("identity", "image", "signed", "expected"), ROWS)
def test_rows(identity: SignedIdentity, image: str | None, signed: str, expected: bool):
    assert check(identity, image, signed) is expected


ALL: list[SignedIdentity] = [
    MatchExact(),
    MatchRepoDigestOrExact(),
    MatchRepository(),
    exact(f"{APP}:v1"),
    ExactRepository(repository=APP),
    RemapIdentity(prefix="registry.example", signed_prefix="registry.example"),
]
UNREADABLE = ["", " ", "a" * 64, APP.upper(), f"{APP}:v1\n", f" {APP}:v1", f"{APP}:", f"{APP}@", f"{APP}@sha256:12"]
UNREADABLE += [
    f"{APP}@md5:{'a' * 32}",
    f"{APP}@{D1.upper()}",
    f"docker://{APP}:v1",
    "[::1]/a",
    "x" * 5000,
    f"{APP}:v1\x00",
]


@pytest.mark.parametrize("identity", ALL)
@pytest.mark.parametrize("signed", UNREADABLE)
def test_a_signed_name_that_is_no_reference_matches_nothing(identity: SignedIdentity, signed: str):
    assert check(identity, f"{APP}:v1", f"{APP}:v1")
    assert not check(identity, f"{APP}:v1", signed)


def test_an_image_that_names_only_a_repository_matches_by_repository_at_most():
    bare = DockerReference(domain="registry.example", path="acme/app")

    assert accepts(MatchRepository(), image=bare, signed=f"{APP}:v1")
    assert not accepts(MatchRepoDigestOrExact(), image=bare, signed=f"{APP}:v1")
    assert not accepts(MatchExact(), image=bare, signed=f"{APP}:v1")


def test_the_default_is_match_repo_digest_or_exact():
    assert isinstance(DEFAULT_IDENTITY, MatchRepoDigestOrExact)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("app", "docker.io/library/app"),
        ("acme/app", "docker.io/acme/app"),
        ("index.docker.io/app:v1", "docker.io/library/app:v1"),
        ("localhost/app", "localhost/app"),
        (f"{APP}:v1@{D1}", f"{APP}:v1@{D1}"),
        ("HOST.example/app", "HOST.example/app"),
    ],
)
def test_named_references_are_normalised_without_a_tag_being_added(text: str, normal: str):
    assert str(parse_named(text)) == normal


@given(st.text(max_size=80))
def test_any_text_is_a_name_or_refused(text: str):
    try:
        found = parse_named(text)
    except InvalidReferenceError:
        return
    assert parse_named(str(found)) == found


# --- against the fact sheet's table, restated on plain strings ------------------------------------------------------


@dataclass(frozen=True)
class Name:
    repository: str
    tag: str | None
    digest: str | None

    def __str__(self) -> str:
        return self.repository + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @property
    def bare(self) -> bool:
        return self.tag is None and self.digest is None


REPOSITORIES = [
    "a.example/x",
    "a.example/x/y",
    "a.example/xy",
    "b.example:5000/x",
    "docker.io/library/x",
    "docker.io/x/y",
]
PREFIXES = ["a.example", "a.example/x", "b.example:5000", "docker.io", "docker.io/library", "x", "docker.io/x"]
NAMES = st.builds(
    Name, st.sampled_from(REPOSITORIES), st.sampled_from([None, "v1", "v2"]), st.sampled_from([None, D1, D2])
)
IMAGES = NAMES.filter(lambda name: (name.tag is None) != (name.digest is None))


def _or_exact(image: Name, signed: Name) -> bool:
    if signed.bare:
        return False
    return str(image) == str(signed) if image.tag else image.repository == signed.repository


def _remapped(image: Name, prefix: str, signed_prefix: str) -> Name | None:
    name = image.repository
    if not (name + "/").startswith(prefix + "/"):
        return image
    changed = name.replace(prefix, signed_prefix, 1)
    host, slash, path = changed.partition("/")
    is_host = "." in host or ":" in host or host == "localhost"
    canonical = slash and is_host and host != "index.docker.io" and (host != "docker.io" or "/" in path)
    return Name(changed, image.tag, image.digest) if canonical else None


@given(IMAGES, NAMES, NAMES, st.sampled_from(PREFIXES), st.sampled_from(PREFIXES))
def test_all_kinds_agree_with_the_table(image: Name, signed: Name, named: Name, prefix: str, signed_prefix: str):
    remapped = _remapped(image, prefix, signed_prefix)
    table: list[tuple[SignedIdentity, bool]] = [
        (MatchExact(), not signed.bare and str(image) == str(signed)),
        (MatchRepoDigestOrExact(), _or_exact(image, signed)),
        (MatchRepository(), image.repository == signed.repository),
        (ExactRepository(repository=named.repository), named.repository == signed.repository),
        (
            RemapIdentity(prefix=prefix, signed_prefix=signed_prefix),
            remapped is not None and _or_exact(remapped, signed),
        ),
    ]
    if not named.bare:
        table.append((exact(str(named)), not signed.bare and str(named) == str(signed)))

    for identity, expected in table:
        assert check(identity, str(image), str(signed)) is expected, identity
        if not isinstance(identity, ExactReference | ExactRepository):
            assert not check(identity, None, str(signed))
