from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.errors import PolicyError
from plimsoll.model.location import locate_docker
from plimsoll.model.reference import parse_reference
from plimsoll.policy.foreign_patterns import ImagePattern, Syntax, meet, references_of, scopes_of
from plimsoll.policy.scope_globs import parse_scope


def scopes(syntax, text, *registries):
    found = scopes_of(ImagePattern(text=text, syntax=syntax), registries=registries)
    return [scope.removeprefix("docker://") for scope in found.scopes], found.lost != ""


@pytest.mark.parametrize(
    ("text", "expected", "narrower"),
    [
        ("ghcr.io/acme/**", ["ghcr.io/acme/**"], False),
        ("ghcr.io/acme/*", ["ghcr.io/acme/*"], False),
        ("ghcr.io/acme/*:**", ["ghcr.io/acme/*"], False),
        ("ghcr.io/acme/app*", ["ghcr.io/acme/app", "ghcr.io/acme/app*"], False),
        ("ghcr.io/acme/app:*", ["ghcr.io/acme/app"], False),
        ("index.docker.io/library/*", ["docker.io/library/*"], False),
        ("*", ["docker.io/library/*"], False),
        ("*/*", ["docker.io/*/*"], False),
        ("*.example.com/**", ["*.example.com/**"], False),
        ("localhost:5000/**", ["localhost:5000/**"], False),
        ("ghcr.io/**/app:*", ["ghcr.io/*/app"], True),
        ("ghcr.io**", ["ghcr.io/**"], True),
        ("ghcr.io/acme/app", [], True),
        ("ghcr.io/acme/app:v1", [], True),
        ("ghcr.io/acme/*-dev", [], True),
        ("acme/**", [], True),
        ("**", [], True),
        ("ghcr.io/Acme/**", [], True),
        ("ghcr.io/a*b*c*d*/**", [], True),
    ],
)
def test_policy_controllers_globs(text, expected, narrower):
    assert scopes(Syntax.SIGSTORE, text) == (expected, narrower)


@pytest.mark.parametrize(
    ("text", "expected", "narrower"),
    [
        ("ghcr.io/acme/*", ["ghcr.io/acme/**"], False),
        ("ghcr.io/acme/app:*", ["ghcr.io/acme/app"], False),
        (
            "ghcr.io/acme/app*",
            ["ghcr.io/acme/app", "ghcr.io/acme/app*", "ghcr.io/acme/app/**", "ghcr.io/acme/app*/**"],
            False,
        ),
        ("docker.io/*", ["docker.io/**"], False),
        ("docker.io/nginx:*", ["docker.io/library/nginx"], False),
        ("*.example.com/*", ["*.example.com/**"], True),
        ("ghcr.io/*/app:*", ["ghcr.io/*/app"], True),
        ("*", [], True),
        ("ghcr.io/a?c/*", [], True),
        ("ghcr.io/acme/app@sha256:*", [], True),
    ],
)
def test_kyvernos_wildcards(text, expected, narrower):
    assert scopes(Syntax.KYVERNO, text) == (expected, narrower)


def test_a_wildcard_for_a_host_stands_for_the_registries_that_are_named_and_fit():
    assert scopes(Syntax.KYVERNO, "*", "ghcr.io", "docker.io") == (["ghcr.io/**", "docker.io/**"], True)
    assert scopes(Syntax.SIGSTORE, "gcr*/acme/**", "gcr.io", "ghcr.io") == (["gcr.io/acme/**"], True)
    assert scopes(Syntax.SIGSTORE, "gcr*/acme/**", "quay.io") == ([], True)


@pytest.mark.parametrize("text", ["", "ghcr.io/a b", "ghcr.io/a@b", "a" * 1025])
def test_what_policy_controller_refuses_is_no_glob(text):
    with pytest.raises(PolicyError):
        ImagePattern(text=text, syntax=Syntax.SIGSTORE)


def matched_there(pattern, reference):
    """What the tool itself does: its pattern as a regexp over the whole reference."""
    text = pattern.meant
    if pattern.syntax is Syntax.SIGSTORE:
        body = "".join({"**": ".*", "*": "[^/]*"}.get(piece, re.escape(piece)) for piece in re.findall(r"\*\*|.", text))
    else:
        body = "".join({"*": ".*", "?": ".", ".": "."}.get(c, re.escape(c)) for c in text)
    return re.fullmatch(body, reference, re.DOTALL) is not None


PARTS = st.sampled_from(["a", "ab", "b", "*", "a*", "*b", "**", "a**", "?", "a?"])
HOSTS = st.sampled_from(["r.io", "*.io", "x.r.io", "*", "**", "r.i*", "docker.io", "index.docker.io"])
TAILS = st.sampled_from(["", ":*", ":**", ":v1", "*"])
TEXTS = st.builds(lambda host, parts, tail: "/".join([host, *parts]) + tail, HOSTS, st.lists(PARTS, max_size=3), TAILS)
NAMES = st.builds(
    lambda host, parts, end: "/".join([host, *parts]) + end,
    st.sampled_from(["r.io", "x.r.io", "s.io", "docker.io"]),
    st.lists(st.sampled_from(["a", "ab", "aab", "b", "bb"]), min_size=1, max_size=4),
    st.sampled_from([":v1", ":ab", "@sha256:" + "a" * 64]),
)


@settings(max_examples=100)
@given(TEXTS, st.sampled_from(list(Syntax)), st.lists(NAMES, min_size=1, max_size=20))
def test_a_scope_is_for_no_image_that_the_pattern_is_not_for(text, syntax, names):
    if syntax is Syntax.SIGSTORE and "?" in text:
        return
    pattern = ImagePattern(text=text, syntax=syntax)
    reading = scopes_of(pattern, registries=("r.io",))
    written = [parse_scope(scope, where="scope", folder="/") for scope in reading.scopes]
    for name in names:
        location = locate_docker(parse_reference(f"docker://{name}"))
        repository = location.docker.repository
        end = name[name.index("@") :] if "@" in name else ":" + name.rpartition(":")[2]
        short = repository.replace("docker.io/library/", "docker.io/")
        spellings = {f"{found}{end}" for found in (repository, short)}
        spellings |= {found.replace("docker.io/", "index.docker.io/", 1) for found in spellings if found[0] == "d"}
        if any(scope.matches(location) for scope in written):
            by_tag = {f"{found.partition('@')[0].partition(':')[0]}:v1" for found in spellings}
            assert any(matched_there(pattern, found) for found in spellings | (by_tag if reading.tags_only else set()))
        for found in spellings:
            if matched_there(pattern, found):
                references = references_of(f"docker://{repository}", short=True)
                assert any(meet(pattern.tokens, tokens) for tokens in references)


def test_patterns_of_different_places_do_not_meet():
    one = ImagePattern(text="ghcr.io/acme/**", syntax=Syntax.SIGSTORE)
    assert not any(meet(one.tokens, each) for each in references_of("docker://ghcr.io/other/**", short=False))
    assert not any(meet(one.tokens, each) for each in references_of("docker://docker.io/**", short=False))
    assert any(meet(one.tokens, each) for each in references_of("docker://ghcr.io/*/app", short=False))
    assert not one.may_be_short
    assert ImagePattern(text="acme/**", syntax=Syntax.SIGSTORE).may_be_short
