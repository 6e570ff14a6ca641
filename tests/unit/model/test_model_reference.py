"""References: the docker grammar against an independent restatement, and print-then-parse for every transport."""

from __future__ import annotations

import pickle
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plimsoll import limits
from plimsoll.errors import InvalidReferenceError, UnsupportedTransportError, UsageError
from plimsoll.model.digest import Digest
from plimsoll.model.reference import (
    SKOPEO_TRANSPORTS,
    ArchiveReference,
    DirectoryReference,
    DockerArchiveReference,
    DockerReference,
    LayoutReference,
    is_attachment_tag,
    is_host,
    is_path,
    is_tag,
    parse_docker_reference,
    parse_reference,
    split_docker_reference,
)

HEX = "0123456789abcdef" * 4
SHA256 = Digest("sha256", HEX)
SHA512 = Digest("sha512", HEX * 2)

# ---- the grammar, restated -------------------------------------------------------------------------------------------
# As github.com/distribution/reference does it: the name is completed first, then one anchored expression reads the
# whole text, and the digest is validated last. Nothing here is shared with the code under test.

COMPONENT = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
PORTS = {str(port) for port in range(1, 65536)}  # stricter than distribution/reference: one port in one spelling
HOST = rf"{COMPONENT}(?:\.{COMPONENT})*(?::(?P<port>[0-9]+))?"
PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
WHOLE = re.compile(
    rf"(?P<host>{HOST})/(?P<path>{PART}(?:/{PART})*)(?::(?P<tag>[0-9A-Za-z_][0-9A-Za-z_.-]{{0,127}}))?"
    r"(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?"
)
HEX_OF = {"sha256": 64, "sha384": 96, "sha512": 128}


def restated(text):
    """(host, path, tag, digest text), or None for a text that is no docker reference."""
    if re.fullmatch("[a-f0-9]{64}", text):
        return None
    first, slash, rest = text.partition("/")
    if not slash or not (set(first) & set(".:") or first == "localhost"):
        first, rest = "docker.io", text
    if first == "index.docker.io":
        first = "docker.io"
    if first == "docker.io" and "/" not in rest:
        rest = "library/" + rest
    found = WHOLE.fullmatch(f"{first}/{rest}")
    if found is None or found["port"] not in {None, *PORTS}:
        return None
    if len(found["host"] + "/" + found["path"]) > 255:
        return None
    if found["digest"] is not None:
        algorithm, _, value = found["digest"].partition(":")
        if HEX_OF.get(algorithm) != len(value) or value != value.lower():
            return None
    return found["host"], found["path"], found["tag"], found["digest"]


PIECES = st.sampled_from(
    [
        *"aAz0_-./:@",
        "docker.io",
        "index.docker.io",
        "localhost",
        "localhost:5000",
        "registry.example",
        "library",
        "team/app",
        "__",
        "--",
        "..",
        ":latest",
        ":v1.0",
        "@sha256:",
        HEX,
        HEX[:32],
        HEX.upper(),
        "@sha512:" + HEX * 2,
        "@sha256:" + HEX,
        "@md5:" + HEX[:32],
        "a" * 100,
        "\u00e9",
        "\u0661",
        " ",
    ]
)
TEXTS = st.lists(PIECES, max_size=8).map("".join)


@given(TEXTS)
@example(HEX)
@example(f"{HEX}:v1")
@example(f"{HEX}@sha256:{HEX}")
@example("localhost/app")
@example("Localhost/app")
@example("a:1/b:2@sha256:" + HEX)
@example("a/b:" + "v" * 128)
@example("a/b:" + "v" * 129)
@example("r.example/" + "a" * 245)
@example("r.example/" + "a" * 246)
@example("")
@example("docker.io")
@example("docker.io/")
@example("index.docker.io/docker.io/x")
@example("a@sha256:" + HEX + "/b")
@example("[::1]:5000/app")
def test_docker_references_against_the_restated_grammar(text):
    wanted = restated(text)
    try:
        host, path, tag, digest = split_docker_reference(text)
    except InvalidReferenceError:
        assert wanted is None
        return
    assert (host, path, tag, None if digest is None else str(digest)) == wanted


@pytest.mark.parametrize("port", ["1", "80", "5000", "9999", "10000", "65535"])
def test_a_port_has_one_spelling(port):
    assert is_host(f"localhost:{port}")
    assert parse_docker_reference(f"localhost:{port}/app").domain == f"localhost:{port}"


@pytest.mark.parametrize(
    "port",
    ["", "0", "00", "05000", "015999", "65536", "70536", "81979", "99999", "100000", "9" * 400, "+5000", "\u0665"],
)
def test_another_spelling_of_a_port_is_refused_so_that_no_scope_is_passed_by(port):
    assert not is_host(f"localhost:{port}")
    for text in (f"localhost:{port}/app:v1", f"docker://localhost:{port}/app", f"registry.example:{port}/app@{SHA256}"):
        with pytest.raises(InvalidReferenceError, match="no registry host"):
            parse_reference(text)


@pytest.mark.parametrize(
    "host",
    [
        "127.1",
        "127.0.1",
        "0x7f.1",
        "0X7F.0.0.1",
        "127.0.0.01",
        "0177.0.0.1",
        "127.0.0.0x1",
        "1.2.3.4.5",
        "a.0x",
        "256.1.1.1",
    ],
)
def test_another_spelling_of_an_address_is_refused_so_that_no_scope_is_passed_by(host):
    for text in (f"{host}:5000/app", f"{host}/app"):
        with pytest.raises(InvalidReferenceError, match="an address is four decimal numbers"):
            parse_docker_reference(text)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "10.0.0.255:5000", "1.example", "0x7f.example:443", "a.b1", "2130706433.example"]
)
def test_addresses_and_names_with_numbers_are_hosts(host):
    assert parse_docker_reference(f"{host}/app").domain == host


def test_a_number_is_no_host():
    with pytest.raises(InvalidReferenceError, match="an address"):
        parse_docker_reference("2130706433:5000/app")


def test_the_message_says_how_a_port_is_written():
    with pytest.raises(InvalidReferenceError, match="a port is 1 to 65535, without zeros before it"):
        parse_reference("docker://localhost:81979/x:1")
    with pytest.raises(InvalidReferenceError) as caught:
        parse_reference("docker://registry_example.com/x:1")
    assert "port" not in str(caught.value)


def test_the_restatement_knows_good_and_bad():
    assert restated("app") == ("docker.io", "library/app", None, None)
    assert restated("r.example:5000/a/b:v1@sha256:" + HEX) == ("r.example:5000", "a/b", "v1", "sha256:" + HEX)
    assert restated("r.example/A") is None


# ---- docker ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "identity"),
    [
        ("app", "docker.io/library/app:latest"),
        ("team/app", "docker.io/team/app:latest"),
        ("index.docker.io/app:v1", "docker.io/library/app:v1"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("app:5000", "docker.io/library/app:5000"),
        ("r.example/a/b:V1", "r.example/a/b:V1"),
        (f"r.example/a@{SHA256}", f"r.example/a@{SHA256}"),
        (f"r.example/a@{SHA512}", f"r.example/a@{SHA512}"),
        (f"r.example/a:v1@{SHA256}", f"r.example/a@{SHA256}"),
    ],
)
def test_what_a_policy_matches(text, identity):
    for written in (text, f"docker://{text}"):
        assert parse_reference(written).identity == identity


def test_a_tag_beside_a_digest_is_only_echoed():
    """GHSA-qv35-3gw6-8q4j: the pinned digest was ignored where a tag stood beside it."""
    found = parse_reference(f"r.example/a:v1@{SHA256}")
    assert (found.tag, found.digest, found.echo_tag) == (None, SHA256, "v1")
    assert str(found) == f"docker://r.example/a:v1@{SHA256}"
    assert found.pinned(SHA256) == found.identity == f"r.example/a@{SHA256}"


def test_another_tag_of_the_repository():
    found = parse_docker_reference(f"r.example/a:v1@{SHA256}").with_tag("v2")
    assert found == DockerReference(domain="r.example", path="a", tag="v2")
    for tag in ("", "-v", ".v", "v" * 129, "a/b", "v@x", "v\n", "\u0661"):
        with pytest.raises(InvalidReferenceError, match="tag grammar"):
            found.with_tag(tag)


@pytest.mark.parametrize(
    "text",
    [
        HEX,
        "A",
        "r.example/App",
        "r.example/a:",
        "r.example/a@",
        "r.example/a:v1@",
        "r.example/a@sha256:abc",
        f"r.example/a@sha256:{HEX.upper()}",
        f"r.example/a@md5:{HEX[:32]}",
        f"r.example/a@{SHA256}@{SHA256}",
        f"r.example/a@{SHA256}:v1",
        "r.example//a",
        "/a",
        "a/",
        "r.example/",
        "-r.example/a",
        "r-.example/a",
        "r..example/a",
        "r.example:/a",
        "r.example:x/a",
        "a___b",
        "a._b",
        "a-",
        "_a",
        "../a",
        "r.example/../a",
        "a b",
        " a",
        "a ",
        "\u00e9",
        "a:\u0661",
        "r.example/a?x=1",
        "r.example/a#x",
        "user:pass@r.example/a",
        "r.example/a%2f",
    ],
)
def test_what_is_no_docker_reference(text):
    for written in (text, f"docker://{text}"):
        with pytest.raises(InvalidReferenceError):
            parse_reference(written)


def test_small_grammars():
    assert is_tag("v1")
    assert is_host("r.example:5000")
    assert is_path("a/b")
    assert not any(
        [is_tag("v1\n"), is_tag(""), is_host("r.example/"), is_host("r.example\n"), is_path("a/b\n"), is_path("A")]
    )
    for tag in (f"sha256-{HEX}", f"sha256-{HEX}.sig", f"sha512-{HEX * 2}.att", f"sha256-{HEX}.sbom"):
        assert is_attachment_tag(tag)
    for tag in (
        "v1",
        "sha256-abc.sig",
        f"sha256-{HEX}.sig2",
        f"sha256-{HEX}.sig\n",
        f"x.sha256-{HEX}",
        f"sha256-{HEX.upper()}.sig",
    ):
        assert not is_attachment_tag(tag)


# ---- transports ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("oci:/l", LayoutReference(path="/l")),
        ("oci:l:v1", LayoutReference(path="l", name="v1")),
        ("oci:/l:r.example/a:v1", LayoutReference(path="/l", name="r.example/a:v1")),
        ("oci:/l:@0", LayoutReference(path="/l", index=0)),
        (f"oci:/l@{SHA256}", LayoutReference(path="/l", digest=SHA256)),
        (f"oci:/l@x@{SHA512}", LayoutReference(path="/l@x", digest=SHA512)),
        ("oci:/l@sha256", LayoutReference(path="/l@sha256")),
        ("oci-archive:/a.tar", ArchiveReference(path="/a.tar")),
        ("oci-archive:/a.tar:v1", ArchiveReference(path="/a.tar", name="v1")),
        ("docker-archive:/a.tar", DockerArchiveReference(path="/a.tar")),
        ("docker-archive:/a.tar:@7", DockerArchiveReference(path="/a.tar", index=7)),
        (
            "docker-archive:/a.tar:r.example:5000/a:v1",
            DockerArchiveReference(path="/a.tar", image=DockerReference(domain="r.example:5000", path="a", tag="v1")),
        ),
        ("dir:/d", DirectoryReference(path="/d")),
        ("dir:/d:with:colons", DirectoryReference(path="/d:with:colons")),
        ("dir:r\u00e9p ertoire", DirectoryReference(path="r\u00e9p ertoire")),
    ],
)
def test_local_transports(text, found):
    assert parse_reference(text) == found
    assert str(found) == text


@pytest.mark.parametrize("text", ["oci:/l", "oci-archive:/a.tar"])
def test_an_empty_name_of_a_layout_is_none_as_in_skopeo(text):
    assert parse_reference(f"{text}:") == parse_reference(text)


@pytest.mark.parametrize(
    "text",
    [
        "oci:",
        "oci::v1",
        "oci:/l:-v1",
        "oci:/l:v1!",
        "oci:/l:@",
        "oci:/l:@-1",
        "oci:/l:@1x",
        "oci:/l:@\u0661",
        "oci:/l:@" + "1" * 10,
        "oci:/l@sha256:abc",
        "oci:/l@sha256:",
        f"oci:/l@sha256:{HEX.upper()}",
        f"oci:/l@{SHA256}:v1",
        "oci-archive:",
        "oci-archive:/a.tar:@0",
        "docker-archive:",
        "docker-archive::app",
        "docker-archive:/a.tar:",
        "docker-archive:/a.tar:App",
        "docker-archive:/a.tar:@",
        "docker-archive:/a.tar:@-1",
        "docker-archive:/a.tar:@+1",
        f"docker-archive:/a.tar:app@{SHA256}",
        f"docker-archive:/a.tar:app:v1@{SHA256}",
        "dir:",
        "docker:app",
        "docker:",
        "docker:/app",
        "docker://",
    ],
)
def test_what_is_no_local_reference(text):
    with pytest.raises(InvalidReferenceError):
        parse_reference(text)


def test_a_name_in_an_archive_is_read_as_dockers():
    for name in ("app", "docker.io/app", "index.docker.io/library/app:latest"):
        assert str(parse_reference(f"docker-archive:/a.tar:{name}")) == (
            "docker-archive:/a.tar:docker.io/library/app:latest"
        )


@pytest.mark.parametrize(
    "transport", sorted(SKOPEO_TRANSPORTS - {"docker", "oci", "oci-archive", "docker-archive", "dir"})
)
def test_a_transport_that_is_not_built_is_never_a_docker_name(transport):
    for rest in ("latest", "//app", "/srv/x", ""):
        with pytest.raises(UnsupportedTransportError, match="not built yet"):
            parse_reference(f"{transport}:{rest}")
    assert parse_reference(f"docker://{transport}:latest").path == f"library/{transport}"


@pytest.mark.parametrize(
    "text", ["http://x/y", "https://r.example/a", "DOCKER://a", "Oci://x", "docker+v2://x", "://x"]
)
def test_an_unknown_transport(text):
    with pytest.raises(UsageError):
        parse_reference(text)


@pytest.mark.parametrize("character", ["\0", "\n", "\r", "\t", "\x1b", "\x7f", "\x85", "\x9f", "\u2028", "\u2029"])
@pytest.mark.parametrize(
    "around", ["{}r.example/a", "r.example/a{}", "r.example/{}a", "dir:/d{}", "oci:/l{}x", "oci:/l:v{}"]
)
def test_no_reference_holds_a_control_character(character, around):
    assert parse_reference(around.format(""))
    with pytest.raises(InvalidReferenceError, match="control character"):
        parse_reference(around.format(character))


def test_a_reference_has_a_cap():
    assert parse_reference("dir:/" + "d" * (limits.REFERENCE_CHARS - 5))
    with pytest.raises(InvalidReferenceError, match="at most"):
        parse_reference("dir:/" + "d" * (limits.REFERENCE_CHARS - 4))
    with pytest.raises(InvalidReferenceError, match="empty"):
        parse_reference("")


PATHS = st.text(
    st.characters(blacklist_categories=["Cc", "Cs", "Zl", "Zp"], blacklist_characters=":"), min_size=1, max_size=30
)
NAMES = st.from_regex(r"[A-Za-z0-9]+(?:[-._:@+/][A-Za-z0-9]+){0,4}", fullmatch=True)
DIGESTS = st.builds(
    lambda algorithm, data: Digest.of(data, algorithm=algorithm),
    st.sampled_from(["sha256", "sha384", "sha512"]),
    st.binary(),
)
HOSTS = st.sampled_from(["docker.io", "localhost", "r.example", "r.example:5000", "127.0.0.1:5000", "A.b"])
TAGS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
REPOSITORIES = st.from_regex(r"[a-z0-9]+(?:[._/-][a-z0-9]+){1,4}", fullmatch=True).filter(lambda path: "/" in path)


@given(
    st.one_of(
        st.builds(DockerReference, domain=HOSTS, path=REPOSITORIES, tag=TAGS),
        st.builds(DockerReference, domain=HOSTS, path=REPOSITORIES, digest=DIGESTS, echo_tag=st.none() | TAGS),
        st.builds(LayoutReference, path=PATHS),
        st.builds(LayoutReference, path=PATHS, name=NAMES).filter(
            lambda r: not re.search("@sha(256|384|512)$", r.path)
        ),
        st.builds(LayoutReference, path=PATHS, index=st.integers(0, 10**9 - 1)),
        st.builds(LayoutReference, path=PATHS, digest=DIGESTS),
        st.builds(ArchiveReference, path=PATHS, name=st.none() | NAMES),
        st.builds(DockerArchiveReference, path=PATHS),
        st.builds(DockerArchiveReference, path=PATHS, index=st.integers(0, 10**9 - 1)),
        st.builds(
            DockerArchiveReference,
            path=PATHS,
            image=st.builds(DockerReference, domain=HOSTS, path=REPOSITORIES, tag=TAGS),
        ),
        st.builds(DirectoryReference, path=PATHS),
    )
)
def test_a_printed_reference_is_read_back(reference):
    assert parse_reference(str(reference)) == reference
    assert pickle.loads(pickle.dumps(reference)) == reference


@given(
    st.text(max_size=60)
    | TEXTS
    | st.builds(
        lambda t, s, r: t + s + r,
        st.sampled_from(sorted(SKOPEO_TRANSPORTS)),
        st.sampled_from([":", "://"]),
        st.text(max_size=20) | TEXTS,
    )
)
def test_no_text_gives_anything_but_a_usage_error(text):
    try:
        found = parse_reference(text)
    except UsageError:
        return
    assert parse_reference(str(found)) == found
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", str(found))
