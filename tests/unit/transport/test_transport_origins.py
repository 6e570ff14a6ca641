from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from plimsoll.errors import RegistryError
from plimsoll.transport.origins import Origin, address_of, host_of, is_loopback, may_know, redirect_target


@pytest.mark.parametrize(
    ("realm", "registry"),
    [
        ("registry.example.com", "registry.example.com"),
        ("registry.example.com:5001", "registry.example.com:5000"),
        ("Registry.Example.COM", "registry.example.com"),
        ("auth.docker.io", "registry-1.docker.io"),
        ("docker.io", "registry-1.docker.io"),
        ("a.b.docker.io", "registry-1.docker.io"),
        ("auth.example.com.", "registry.example.com"),
        ("ghcr.io", "ghcr.io"),
        ("127.0.0.1:5001", "127.0.0.1:5000"),
        ("[::1]:5001", "[::1]:5000"),
        ("localhost:1", "localhost:2"),
    ],
)
def test_a_realm_of_the_same_party_may_know(realm, registry):
    assert may_know(realm, registry=registry, allowed=())


@pytest.mark.parametrize(
    ("realm", "registry"),
    [
        ("evil.com", "registry.example.com"),
        ("evil-example.com", "registry.example.com"),
        ("example.com.evil.io", "registry.example.com"),
        ("registry.example.com.evil.io", "registry.example.com"),
        ("xregistry.example.com.evil.io", "registry.example.com"),
        ("other.io", "ghcr.io"),
        ("auth.ghcr.io", "ghcr.io"),
        ("evil.io", "ghcr.io"),
        ("io", "ghcr.io"),
        ("com", "registry.example.com"),
        ("9.0.0.1", "127.0.0.1:5000"),
        ("10.0.0.1", "127.0.0.1"),
        ("1.2.0.1", "9.2.0.1"),
        ("localhost", "127.0.0.1"),
        ("127.0.0.1", "localhost"),
        ("", "registry.example.com"),
        ("", ""),
        ("evil", "localhost"),
        ("[::2]", "[::1]"),
        ("docker.io.", "registry.io"),
    ],
)
def test_another_partys_realm_may_not(realm, registry):
    assert not may_know(realm, registry=registry, allowed=())


@pytest.mark.parametrize(
    ("realm", "allowed", "may"),
    [
        ("auth.other.net", "auth.other.net", True),
        ("AUTH.other.net:443", "auth.OTHER.net", True),
        ("auth.other.net:8443", "auth.other.net", True),
        ("auth.other.net:8443", "auth.other.net:8443", True),
        ("auth.other.net", "auth.other.net:443", True),
        ("auth.other.net", "auth.other.net:8443", False),
        ("x.auth.other.net", "auth.other.net", False),
        ("auth.other.net.evil.io", "auth.other.net", False),
        ("auth.other.net", "other.net", False),
        ("auth.other.net", "*.other.net", False),
        ("auth.other.net", "auth.other.net:port", False),
        ("auth.other.net", "", False),
    ],
)
def test_a_realm_that_is_named_may_know(realm, allowed, may):
    assert may_know(realm, registry="registry.example.com", allowed={allowed}) is may


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_host_gives_an_answer(realm, registry):
    assert may_know(realm, registry=registry, allowed={registry}) in (True, False)
    assert is_loopback(realm) in (True, False)


@pytest.mark.parametrize(
    ("netloc", "loopback"),
    [
        ("localhost", True),
        ("LOCALHOST:5000", True),
        ("127.0.0.1:5000", True),
        ("127.9.9.9", True),
        ("[::1]:5000", True),
        ("localhost.evil.com", False),
        ("127.0.0.1.evil.com", False),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("evil.com", False),
        ("", False),
    ],
)
def test_loopback_is_this_machine_and_nothing_that_looks_like_it(netloc, loopback):
    assert is_loopback(netloc) is loopback


@pytest.mark.parametrize(
    ("netloc", "address"),
    [
        ("registry.example", ("registry.example", 443)),
        ("registry.example:5000", ("registry.example", 5000)),
        ("my_bucket.example:65535", ("my_bucket.example", 65535)),
        ("127.0.0.1:1", ("127.0.0.1", 1)),
        ("[::1]", ("::1", 443)),
        ("[::1]:5000", ("::1", 5000)),
    ],
)
def test_what_is_connected_to_is_read_from_a_name(netloc, address):
    assert address_of(netloc, scheme="https") == address


@pytest.mark.parametrize(
    "netloc",
    [
        *(
            "",
            ":5000",
            "h:",
            "h:0",
            "h:05000",
            "h:65536",
            "h:70536",
            "h:5000:5000",
            "h:5000x",
            "h:+5",
            "h:5_0",
            "h:\u0665",
        ),
        *("u@h", "u:p@h:5000", "h/x", "h?x", "h#x", "h\\x", "%68", "h%00", "h\x00", "\xe9.example", "a b"),
        *("::1", "[::1", "::1]", "[::1]x:5000", "x[::1]", "[127.0.0.1]", "[h]", "[]", "[::1%25eth0]", "[v1.x]"),
    ],
)
def test_what_two_readers_could_read_differently_is_no_address(netloc):
    with pytest.raises(ValueError, match=r"HOST\[:PORT\]|address|octet|characters|parts|permitted|Expected"):
        address_of(netloc, scheme="https")


@given(st.text("ab1.:[]@%0-_", max_size=14) | st.from_regex(r"\A(a\.b|\[::1\]):[0-9]{1,6}\Z"))
@example("a.b:65535")
def test_an_address_is_what_a_url_says_too(netloc):
    try:
        host, port = address_of(netloc, scheme="http")
    except ValueError:
        return
    origin = Origin.of("http", netloc)
    assert (host.lower(), port) == (origin.host, origin.port)
    assert URL(f"http://{netloc}/", encoded=True).raw_host == host.lower()
    assert URL(f"http://{netloc}/", encoded=True).port == port
    assert netloc in (host, f"{host}:{port}", f"[{host}]", f"[{host}]:{port}")


def test_origins_are_equal_by_scheme_host_and_port():
    assert Origin.of("https", "Example.com") == Origin.of("https", "example.com:443")
    assert Origin.of("http", "example.com") == Origin.of("http", "example.com:80")
    different = {Origin.of("https", "a"), Origin.of("http", "a"), Origin.of("https", "a:444"), Origin.of("https", "b")}
    assert len(different) == 4
    assert host_of("A.b:5") == "a.b"


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("https://CDN.example/x?sig=1", ("https", "cdn.example", "/x?sig=1")),
        ("http://cdn.example:8080", ("http", "cdn.example:8080", "/")),
        ("/other", ("https", "r.example", "/other")),
        ("?page=2", ("https", "r.example", "/v2/app?page=2")),
        ("//cdn.example/x", ("https", "cdn.example", "/x")),
        ("/x#fragment", ("https", "r.example", "/x")),
    ],
)
def test_a_redirect_leads_where_its_location_says(location, target):
    assert redirect_target("https://r.example", "/v2/app?n=1", location) == target


@pytest.mark.parametrize(
    "location",
    [
        "ftp://x/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://u:p@x/",
        "http://x:99999/",
        "http://x:05000/",
        "http://x:0/",
        "http://x:/",
        "http://%78/",
        "http://[::1]x/",
        "http://y[::1]/",
        "http://[x/",
        "/a b",
        "/é",
        "/\x00",
    ],
)
def test_a_redirect_to_anything_else_is_refused(location):
    with pytest.raises(RegistryError):
        redirect_target("https://r.example", "/v2/app", location)


@given(st.text())
def test_any_location_gives_a_target_or_a_registry_error(location):
    try:
        scheme, netloc, target = redirect_target("https://r.example", "/v2/app", location)
    except RegistryError:
        return
    assert scheme in ("http", "https")
    assert netloc.isascii()
    assert target.startswith("/")
    assert target.isprintable()
    assert " " not in target


@pytest.mark.parametrize("host", ["127.1", "0x7f.1", "2130706433", "127.0.0.01", "127.0.0.1.", "127.1."])
def test_an_address_has_one_spelling(host):
    with pytest.raises(ValueError, match="is no HOST"):
        address_of(f"{host}:5000", scheme="http")
    assert address_of("127.0.0.1:5000", scheme="http") == ("127.0.0.1", 5000)
