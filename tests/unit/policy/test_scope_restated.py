"""Scope selection and signed identities against a second telling of their rules."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import restated
from plimsoll.errors import InvalidReferenceError
from plimsoll.model.location import locate_docker, locate_path
from plimsoll.model.reference import parse_docker_reference
from plimsoll.policy.document import parse_policy
from plimsoll.policy.identity import accepts, parse_identity, parse_named
from plimsoll.policy.scope import select

KEY_DATA = "cHVibGlj"
MARKS = ("insecureAcceptAnything", "reject")


def marked(at):
    """Lists that can be told apart: by their length and their end."""
    return [{"type": MARKS[at % 2]}] * (at + 1)


def chosen(policy, location):
    found = select(parse_policy(json.dumps(policy).encode(), origin="p"), location)
    return len(found.requirements)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_the_list_of_a_docker_image(data):
    image = data.draw(restated.IMAGES | restated.SHORT_IMAGES)
    scopes = data.draw(st.lists(restated.scopes_for(image), max_size=5, unique=True))
    listed = {scope: marked(at) for at, scope in enumerate(scopes, 1)}
    others = data.draw(st.sampled_from([{}, {"oci": {"": marked(7)}}, {"dir": {"": marked(8)}}]))
    policy = {"default": marked(0), "transports": {**others, **({"docker": listed} if scopes else {})}}
    expected = restated.applying(policy, "docker", image)
    assert chosen(policy, locate_docker(parse_docker_reference(image))) == len(expected)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_the_list_of_a_local_image(data):
    transport = data.draw(st.sampled_from(["dir", "oci", "oci-archive"]))
    names = st.lists(st.sampled_from(["a", "b", "a b", "a.b", "..a", "é"]), min_size=1, max_size=4)
    path = "/" + "/".join(data.draw(names))
    other = st.builds(lambda parts: "/" + "/".join(parts), names)
    scopes = data.draw(st.lists(st.sampled_from(restated.scopes_of(transport, path)) | other, max_size=4, unique=True))
    listed = {scope: marked(at) for at, scope in enumerate(scopes, 1)}
    policy = {"default": marked(0), "transports": {transport: listed, "docker": {"": marked(8)}}}
    assert chosen(policy, locate_path(transport, path)) == len(restated.applying(policy, transport, path))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_which_signed_names_count(data):
    image = data.draw(restated.IMAGES | restated.SHORT_IMAGES)
    identity = data.draw(restated.identities_for(image))
    signed = data.draw(restated.signed_for(image))
    named = data.draw(st.booleans())
    parsed = parse_identity(identity, "signedIdentity")
    found = accepts(parsed, image=parse_docker_reference(image) if named else None, signed=signed)
    assert found is restated.takes(identity, image if named else None, signed)


@settings(deadline=None)
@given(restated.SIGNED | st.text(alphabet="abA0.:/@_-", max_size=20) | st.text(max_size=8))
def test_which_names_are_names(text):
    try:
        found = str(parse_named(text))
    except InvalidReferenceError:
        found = None
    expected = restated.read(text)
    assert found == (None if expected is None else restated.written(expected))


def test_the_restatement_tells_them_apart():
    """What the strategies make is neither all accepted nor all refused, for every kind of identity."""
    image = "registry.example/team/app:v1"
    for kind in restated.IDENTITIES:
        fields = {"type": kind}
        fields |= {"dockerReference": image} if kind == "exactReference" else {}
        fields |= {"dockerRepository": image} if kind == "exactRepository" else {}
        fields |= {"prefix": "other", "signedPrefix": "other"} if kind == "remapIdentity" else {}
        assert restated.takes(fields, image, image)
        assert not restated.takes(fields, image, "registry.example/team/other:v1")


@pytest.mark.parametrize(
    ("image", "scope"),
    [
        ("registry.example:5000/team/app:v1", "*.example"),
        ("registry.example:5000/team/app:v1", "registry.example:5000"),
        ("registry.example/team/app", "registry.example/team/app:latest"),
        (f"registry.example/team/app@{restated.DIGEST}", f"registry.example/team/app@{restated.DIGEST}"),
        ("app", "docker.io/library/app:latest"),
    ],
)
def test_scopes_that_the_restatement_must_know(image, scope):
    assert scope in restated.scopes_of("docker", image)
    assert "registry.example" not in restated.scopes_of("docker", "registry.example:5000/team/app:v1")
