from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.config.proxies import Proxies
from plimsoll.errors import UntrustedHostError
from plimsoll.model.settings import ProxyFor

PROXY = "http://proxy.example:3128"


def goes_through(environ: dict[str, str], host: str, *, scheme: str = "https") -> str | None:
    ask: ProxyFor = Proxies(environ).proxy_for
    found = ask(scheme, host)
    return None if found is None else found.url


def test_each_scheme_has_its_own_and_upper_case_comes_first():
    environ = {"HTTPS_PROXY": PROXY, "https_proxy": "http://lower.example", "http_proxy": "plain.example:8080"}

    assert goes_through(environ, "r.example") == PROXY
    assert goes_through(environ, "r.example", scheme="http") == "http://plain.example:8080"
    assert goes_through({"HTTPS_PROXY": "", "https_proxy": PROXY}, "r.example") == PROXY
    assert goes_through({"HTTP_PROXY": PROXY}, "r.example") is None
    assert goes_through({"ALL_PROXY": PROXY}, "r.example") is None
    assert goes_through({}, "r.example") is None


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:5000", "LOCALHOST", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000"]
)
def test_this_machine_is_never_behind_a_proxy(host: str):
    assert goes_through({"HTTPS_PROXY": PROXY, "HTTP_PROXY": PROXY}, host) is None
    assert goes_through({"HTTPS_PROXY": PROXY, "HTTP_PROXY": PROXY}, host, scheme="http") is None


@pytest.mark.parametrize(
    ("no_proxy", "host", "direct"),
    [
        ("r.example", "r.example", True),
        ("r.example", "R.Example:5000", True),
        ("r.example", "sub.r.example", True),
        ("r.example", "xr.example", False),
        ("r.example", "r.example.evil.io", False),
        (".r.example", "r.example", False),
        (".r.example", "sub.r.example", True),
        ("*.r.example", "r.example", False),
        ("*.r.example", "sub.r.example", True),
        ("r.example:443", "r.example", True),
        ("r.example:443", "r.example:5000", False),
        ("r.example:5000", "r.example:5000", True),
        ("10.0.0.0/8", "10.1.2.3:5000", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "r.example", False),
        ("10.1.2.3", "10.1.2.3:5000", True),
        ("10.1.2.3:443", "10.1.2.3:5000", False),
        ("fd00::/8", "[fd00::1]:5000", True),
        ("fd00::1", "[fd00::1]", True),
        ("[fd00::1]:443", "[fd00::1]:5000", False),
        ("*", "r.example", True),
        (" q.example , r.example ", "r.example", True),
        ("q.example,,*", "r.example", True),
        ("", "r.example", False),
        (":443", "r.example", False),
        ("r.example:x", "r.example", False),
    ],
)
def test_what_no_proxy_exempts(no_proxy: str, host: str, direct: bool):
    assert (goes_through({"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy}, host) is None) is direct
    assert (goes_through({"HTTPS_PROXY": PROXY, "no_proxy": no_proxy}, host) is None) is direct


def test_a_cgis_http_proxy_is_its_clients():
    environ = {"HTTP_PROXY": PROXY, "HTTPS_PROXY": PROXY, "REQUEST_METHOD": "GET"}

    assert goes_through(environ, "r.example", scheme="http") is None
    assert goes_through(environ, "r.example") == PROXY


@pytest.mark.parametrize(
    "value", ["socks5://user:s3cr3t@p.example", "http://", "http://s3cr3t:x@p:port", "http://[", "ftp://s3cr3t"]
)
def test_a_proxy_that_cannot_be_used_is_an_error_that_does_not_show_it(value: str):
    with pytest.raises(UntrustedHostError, match="HTTPS_PROXY") as caught:
        goes_through({"HTTPS_PROXY": value}, "r.example")
    assert "s3cr3t" not in str(caught.value)
    assert goes_through({"HTTPS_PROXY": value}, "localhost") is None


def test_a_password_does_not_show_itself():
    found = Proxies({"HTTPS_PROXY": "http://user:s3cr3t@p.example"}).proxy_for("https", "r.example")
    assert found is not None
    assert found.url == "http://user:s3cr3t@p.example"
    assert "s3cr3t" not in repr(found)


@given(st.text(max_size=40), st.sampled_from(["r.example", "r.example:5000", "10.1.2.3", "[fd00::1]:5000"]))
def test_any_no_proxy_is_read(no_proxy: str, host: str):
    assert goes_through({"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy}, host) in (None, PROXY)


@given(st.text(max_size=40))
def test_any_proxy_is_one_or_an_error(value: str):
    try:
        found = goes_through({"HTTPS_PROXY": value}, "r.example")
    except UntrustedHostError:
        return
    assert found is None if not value else found is not None
