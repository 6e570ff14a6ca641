from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.config.files import ConfigFile
from plimsoll.config.registries_conf import Mirror, PullFromMirror, RegistriesConf, Registry
from plimsoll.config.registries_toml import parse_registries_conf
from plimsoll.errors import ConfigError


def parsed(text: str | bytes) -> RegistriesConf:
    data = text.encode() if isinstance(text, str) else text
    return parse_registries_conf(ConfigFile(origin="x.conf", data=data))


def one(text: str) -> Registry:
    [found] = parsed(f"[[registry]]\n{text}").registries
    return found


def test_an_empty_file_says_nothing():
    assert parsed("") == RegistriesConf()


def test_all_keys_of_a_registry():
    found = one(
        """
        prefix = "registry.example/ns/"
        location = "other.example:5000/elsewhere/"
        insecure = true
        blocked = true
        some-key-of-next-year = 1
        [[registry.mirror]]
        location = "m1.example"
        [[registry.mirror]]
        location = "m2.example/x/"
        insecure = true
        pull-from-mirror = "tag-only"
        """
    )
    assert found == Registry(
        origin="x.conf",
        prefix="registry.example/ns",
        location="other.example:5000/elsewhere",
        insecure=True,
        blocked=True,
        mirrors=(
            Mirror(location="m1.example"),
            Mirror(location="m2.example/x", insecure=True, pull_from_mirror=PullFromMirror.TAG_ONLY),
        ),
    )


def test_a_prefix_is_the_location_where_it_is_not_given():
    assert one('location = "r.example/"').prefix == "r.example"


def test_only_a_wildcard_does_without_a_location():
    assert one('prefix = "*.r.example"').location == ""
    with pytest.raises(ConfigError, match=r"'x.conf': \[\[registry\]\] no. 1: .*needs a location"):
        one('prefix = "r.example"')
    with pytest.raises(ConfigError, match="neither prefix nor location"):
        one("blocked = true")


def test_keys_are_read_in_any_case_as_skopeo_does():
    assert one('Location = "r.example"\nBLOCKED = true').blocked
    with pytest.raises(ConfigError, match="'blocked' is written twice"):
        one('location = "r.example"\nblocked = true\nBlocked = false')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[registries.search]\nregistries = []", "v2 format but is in v1"),
        ("registry = 1", "registry is no list of tables"),
        ("registry = [1]", "registry is no list of tables"),
        ("[registry]\nlocation = 'r'", "registry is no list of tables"),
        ("[[registry]]\nlocation = 1", "location is no text"),
        ("[[registry]]\nlocation = 'r'\nblocked = 'true'", "blocked is neither"),
        ("[[registry]]\nlocation = 'r'\ninsecure = 1", "insecure is neither"),
        ("[[registry]]\nlocation = 'r'\nmirror = 'm'", "mirror is no list of tables"),
        ("[[registry]]\nlocation = 'https://r.example'", "has a scheme"),
        ("[[registry]]\nprefix = 'http://r'\nlocation = 'r'", "has a scheme"),
        ("[[registry]]\nprefix = '*.r/x'", "no wildcard of the form"),
        ("[[registry]]\nprefix = '*.r:5000'", "no wildcard of the form"),
        ("[[registry]]\nprefix = '*.'\nlocation='r'", "no wildcard of the form"),
        ("[[registry]]\nlocation = 'r'\npull-from-mirror = 'all'", "for [[registry.mirror]] only"),
        (
            "[[registry]]\nlocation = 'r'\n[[registry.mirror]]\ninsecure = true",
            "no. 1, [[registry.mirror]] no. 1: location",
        ),
        ("[[registry]]\nlocation = 'r'\n[[registry.mirror]]\nlocation = 'm'\npull-from-mirror = 'never'", "'never'"),
        (
            "[[registry]]\nlocation='r'\nmirror-by-digest-only=true\nmirror=[{location='m',pull-from-mirror='all'}]",
            "exclude each other",
        ),
        ("[[registry]]\nlocation='r'\n[[registry]]\nprefix='q'\nlocation='r'\nblocked=true", "conflicting 'blocked'"),
        ("[[registry]]\nlocation='r'\n[[registry]]\nprefix='q'\nlocation='r'\ninsecure=true", "conflicting 'insecure'"),
        ("unqualified-search-registries = 'r'", "no list of texts"),
        ("unqualified-search-registries = ['r.example/ns']", "no HOST"),
        ("short-name-mode = 'sometimes'", "'sometimes'"),
        ("credential-helpers = [1]", "no list of texts"),
        ("credential-helpers = ['../x']", "no name of a program"),
        ("[aliases]\nx = 1", "no text"),
        ("[aliases]\nx = 'x'", "no HOST"),
        ("[aliases]\nx = 'r.example/x:v1'", "no HOST"),
        ("aliases = 1", "aliases is no table"),
        ("x = ", "no TOML"),
        ("x = 1\nx = 2", "no TOML"),
        (f"x = {'9' * 5000}", "no TOML"),
        (f"x = {'[' * 100_000}", "no TOML"),
        (b"x = '\xff'", "no TOML"),
        (b"\xef\xbb\xbfx = 1", "no TOML"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_file_and_key(text, said):
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    assert said in str(caught.value)
    assert "'x.conf'" in str(caught.value)


def test_of_one_prefix_in_one_file_the_first_counts():
    found = parsed("[[registry]]\nprefix='p'\nlocation='a'\n[[registry]]\nprefix='p'\nlocation='b'").registries
    assert [registry.location for registry in found] == ["a"]


@pytest.mark.parametrize(
    "prefix", ["r.example/app:v1", "r.example/app@sha256:00", "r.*.example", "r.example//x", "r example"]
)
def test_a_prefix_that_fits_nothing_is_warned_of(prefix: str, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        one(f'prefix = "{prefix}"\nlocation = "r.example"')
    assert "fits no image" in caplog.text
    caplog.clear()
    one('prefix = "r.example:5000/ns"\nlocation = "r.example"')
    one('prefix = "*.r.example"')
    assert caplog.text == ""


def test_the_other_keys():
    found = parsed(
        """
        unqualified-search-registries = ["r.example", "localhost:5000"]
        short-name-mode = "enforcing"
        credential-helpers = ["containers-auth.json", "ecr-login"]
        [aliases]
        app = "r.example/team/app"
        gone = ""
        """
    )
    assert found == RegistriesConf(
        unqualified_search_registries=("r.example", "localhost:5000"),
        short_name_mode="enforcing",
        credential_helpers=("containers-auth.json", "ecr-login"),
        aliases={"app": "r.example/team/app", "gone": ""},
    )


NAMES = st.sampled_from(["r.example", "a.b.example:5000/ns", "*.b.example", "m/x", ""])
TABLES = st.fixed_dictionaries(
    {"location": NAMES},
    optional={
        "prefix": NAMES,
        "blocked": st.booleans() | st.integers(),
        "insecure": st.booleans(),
        "mirror-by-digest-only": st.booleans(),
    },
)


@given(st.lists(TABLES, max_size=4))
def test_any_tables_are_read_or_refused(tables):
    lines = []
    for table in tables:
        lines.append("[[registry]]")
        for key, value in table.items():
            lines.append(f"{key} = {str(value).lower() if not isinstance(value, str) else repr(value)}")
    try:
        found = parsed("\n".join(lines))
    except ConfigError:
        return
    wanted = {table.get("prefix") or table["location"] for table in tables}
    assert {registry.prefix for registry in found.registries} == wanted
    for registry in found.registries:
        first = next(table for table in tables if (table.get("prefix") or table["location"]) == registry.prefix)
        assert (registry.location, registry.blocked) == (first["location"], first.get("blocked", False))


@given(st.binary(max_size=200) | st.text(alphabet="[]registry.=\"'\n tlocaue1{},#", max_size=120).map(str.encode))
def test_no_bytes_are_more_than_refused(data: bytes):
    try:
        found = parsed(data)
    except ConfigError:
        return
    assert isinstance(found, RegistriesConf)
