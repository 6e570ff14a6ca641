from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.errors import PlimsollError, UnreadableKeyError
from plimsoll.model.location import locate_docker
from plimsoll.model.reference import parse_docker_reference
from plimsoll.policy.document import parse_policy
from plimsoll.policy.lint import lint
from plimsoll.policy.lint_scopes import is_asked, lint_scopes

KEYS = Path(__file__).parents[2] / "vectors" / "policy" / "keys"
REJECT = {"type": "reject"}
ACCEPT = {"type": "insecureAcceptAnything"}
HEX = "a" * 64
REPOSITORY = {"signedIdentity": {"type": "matchRepository"}}
EXACT = {"signedIdentity": {"type": "exactRepository", "dockerRepository": "registry.example/acme/app"}}


def found(document, **options):
    return lint(parse_policy(json.dumps(document).encode(), origin="p.json"), **options)


def codes(document, **options):
    return [(warning.place, warning.code) for warning in found(document, **options)]


def default(*requirements):
    return {"default": list(requirements)}


def scoped(transport, *requirements, scope=""):
    return {"default": [REJECT], "transports": {transport: {scope: list(requirements)}}}


def sigstore(**fields):
    return {"type": "sigstoreSigned", "keyPath": "k.pub"} | fields


def signed_by(**fields):
    return {"type": "signedBy", "keyType": "GPGKeys", "keyPath": "k.gpg"} | fields


@pytest.mark.parametrize(
    "document",
    [
        default(REJECT),
        default(signed_by()),
        scoped("docker", signed_by()),
        scoped("docker", ACCEPT, scope="registry.example/acme"),
        scoped("docker", sigstore(**REPOSITORY), scope="*.example"),
        scoped("docker", sigstore(**EXACT), scope="docker.io/library/busybox:1"),
        scoped("dir", sigstore(**EXACT), scope="/images"),
        scoped("oci", signed_by(**EXACT), scope="/images/app"),
        scoped("docker", signed_by(), sigstore(**REPOSITORY), scope=f"localhost:5000/app@sha256:{HEX}"),
    ],
)
def test_a_policy_that_can_be_meant_has_no_warning(document):
    assert codes(document) == []


@pytest.mark.parametrize(
    ("document", "place", "code"),
    [
        (default(ACCEPT), "default", "accept-anything"),
        (default(ACCEPT, ACCEPT), "default", "accept-anything"),
        (scoped("docker", ACCEPT), 'transports.docker[""]', "accept-anything"),
        (default(signed_by(), ACCEPT), "default[1]", "accept-beside-others"),
        (default(REJECT, signed_by()), "default[0]", "reject-beside-others"),
        (scoped("dokcer", REJECT), "transports.dokcer", "transport-unknown"),
        (scoped("dir", signed_by()), 'transports.dir[""][0].signedIdentity', "identity-never-matches"),
        (scoped("oci", sigstore(**REPOSITORY)), 'transports.oci[""][0].signedIdentity', "identity-never-matches"),
        (scoped("docker", sigstore()), 'transports.docker[""][0].signedIdentity', "identity-needs-a-tag"),
        (default(sigstore(signedIdentity={"type": "matchExact"})), "default[0].signedIdentity", "identity-needs-a-tag"),
        (default(signed_by(keyType="X509Certificates")), "default[0].keyType", "key-type-not-implemented"),
        (
            default({"type": "signedBaseLayer", "baseLayerIdentity": {"type": "matchExact"}}),
            "default[0]",
            "never-satisfied",
        ),
        (
            default({"type": "signedBy", "keyType": "GPGKeys", "keyPaths": []}),
            "default[0].keyPaths",
            "never-satisfied",
        ),
    ],
)
def test_what_is_hardly_meant_is_one_warning_at_its_place(document, place, code):
    assert (place, code) in codes(document)
    assert all(warning.message and warning.hint for warning in found(document))


@pytest.mark.parametrize("identity", ["matchExact", "matchRepoDigestOrExact", "matchRepository", "remapIdentity"])
@pytest.mark.parametrize("transport", ["dir", "oci", "oci-archive"])
def test_an_identity_that_needs_a_name_never_matches_where_there_is_none(transport, identity):
    fields = {"prefix": "a.example", "signedPrefix": "b.example"} if identity == "remapIdentity" else {}
    document = scoped(transport, signed_by(signedIdentity={"type": identity, **fields}))
    assert codes(document) == [(f'transports.{transport}[""][0].signedIdentity', "identity-never-matches")]


@pytest.mark.parametrize(
    ("scope", "hint"),
    [
        ("https://registry.example/a", 'write "registry.example/a"'),
        ("docker://registry.example", 'write "registry.example"'),
        ("registry.example/a/", 'write "registry.example/a"'),
        ("busybox", 'write "docker.io/library/busybox"'),
        ("acme/app:v1", 'write "docker.io/acme/app:v1"'),
        ("index.docker.io", 'write "docker.io"'),
        ("index.docker.io/acme/app", 'write "docker.io/acme/app"'),
        (f"registry.example/a:v1@sha256:{HEX}", f'write "registry.example/a@sha256:{HEX}"'),
        ("*.example:5000", 'write "*.example"'),
        ("*", "write HOST"),
        ("registry.example/Acme", "write HOST"),
        ("*example", "write HOST"),
    ],
)
def test_a_docker_scope_that_no_image_asks_for(scope, hint):
    ((where, code, _, advice),) = lint_scopes("docker", (scope,))
    assert (where, code) == (scope, "scope-never-asked")
    assert advice.startswith(hint)


@pytest.mark.parametrize("scope", ["registry.example/a/", "https://registry.example/a", "Registry.example/a"])
def test_a_scope_that_means_another_one_of_the_file_is_its_duplicate(scope):
    found = list(lint_scopes("docker", ("registry.example/a", scope)))
    assert [(where, code) for where, code, _, _ in found] == [(scope, "scope-duplicate")]


def test_capital_letters_in_a_host_are_named():
    ((_, code, _, hint),) = lint_scopes("docker", ("Registry.Example:5000/a",))
    assert (code, hint) == ("scope-upper-case", 'write "registry.example:5000/a"')


@pytest.mark.parametrize("transport", ["oci", "oci-archive"])
def test_a_path_scope_with_a_reference_is_never_asked(transport):
    ((_, code, _, _),) = lint_scopes(transport, ("/images/app:v1", "/images/app"))
    assert code == "scope-never-asked"


_LABELS = st.text(alphabet="abz09", min_size=1, max_size=5)
_IMAGES = st.builds(
    "{}{}/{}{}".format,
    st.one_of(
        st.just("localhost"),
        st.builds("{}.{}".format, _LABELS, _LABELS.filter(lambda label: not label.isdecimal())),
        st.just("docker.io"),
    ),
    st.sampled_from(["", ":5000"]),
    st.lists(_LABELS, min_size=1, max_size=3).map("/".join),
    st.sampled_from(["", ":v1", f"@sha256:{HEX}"]),
)


@given(_IMAGES)
def test_every_scope_that_verification_asks_for_is_asked(image):
    location = locate_docker(parse_docker_reference(image))
    for scope in (location.identity, *location.parents):
        assert is_asked("docker", scope)


@given(st.text(alphabet="aA.:/@*-h_1", max_size=12), st.lists(_IMAGES, max_size=5))
def test_a_scope_that_is_never_asked_is_asked_by_no_image(scope, images):
    if is_asked("docker", scope):
        return
    for text in (*images, scope, f"{scope}/a"):
        try:
            location = locate_docker(parse_docker_reference(text))
        except PlimsollError:
            continue
        assert scope not in (location.identity, *location.parents)


@given(st.text(max_size=20))
def test_any_text_of_a_scope_is_answered(scope):
    for transport in ("docker", "oci", "oci-archive", "dir", "docker-daemon"):
        assert len(list(lint_scopes(transport, (scope,)))) <= 1


def missing(path):
    raise UnreadableKeyError(f"the key file {path!r} does not exist")


def test_keys_are_read_only_where_asked():
    document = default(sigstore(**REPOSITORY))
    assert codes(document) == []
    (warning,) = found(document, read_key=missing)
    assert (warning.place, warning.code) == ("default[0]", "key-unusable")
    assert "'k.pub'" in warning.message


@pytest.mark.parametrize(
    ("requirement", "name", "warned"),
    [
        (sigstore(**REPOSITORY), "s1.pub", False),
        (sigstore(**REPOSITORY), "rsa.gpg", True),
        (signed_by(), "rsa.gpg", False),
        (signed_by(), "not-a-key.gpg", True),
        (signed_by(), "empty.gpg", True),
        (sigstore(**REPOSITORY), "s1-then-s2.pub", True),
    ],
)
def test_a_key_file_must_hold_such_keys(requirement, name, warned):
    read = found(default(requirement), read_key=lambda _: (KEYS / name).read_bytes())
    assert [warning.code for warning in read] == (["key-unusable"] if warned else [])


def test_a_key_type_that_nobody_implements_is_not_read():
    assert [code for _, code in codes(default(signed_by(keyType="signedByX509CAs")), read_key=missing)] == [
        "key-type-not-implemented"
    ]
