from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.config.files import ConfigFile
from plimsoll.config.pull_sources import PullSources
from plimsoll.config.registries_toml import parse_registries_conf
from plimsoll.errors import BlockedError, InvalidReferenceError
from plimsoll.model.reference import parse_docker_reference

DIGEST = "sha256:" + "0" * 64


def sources(text: str) -> PullSources:
    return PullSources(parse_registries_conf(ConfigFile(origin="x.conf", data=text.encode())))


def asked(found: PullSources, name: str) -> list[str]:
    return [
        f"{source.reference.identity}{' insecure' if source.insecure else ''}"
        for source in found.of_image(parse_docker_reference(name))
    ]


def test_without_configuration_a_name_leads_to_itself():
    assert asked(sources(""), "r.example/app:v1") == ["r.example/app:v1"]
    assert asked(sources(""), "app") == ["docker.io/library/app:latest"]


# configuration, name, where it leads
WAYS = [
    ("prefix='r.example'\nlocation='l.example'", "r.example/ns/app:v1", ["l.example/ns/app:v1"]),
    ("prefix='r.example'\nlocation='l.example:5000/x'", "r.example/app:v1", ["l.example:5000/x/app:v1"]),
    ("prefix='r.example/ns'\nlocation='l.example/x/y'", "r.example/ns/app:v1", ["l.example/x/y/app:v1"]),
    ("prefix='r.example/app'\nlocation='l.example/other'", "r.example/app:v1", ["l.example/other:v1"]),
    ("prefix='r.example'\nlocation='l.example'", f"r.example/app@{DIGEST}", [f"l.example/app@{DIGEST}"]),
    ("prefix='r.example'\nlocation='l.example'", f"r.example/app:v1@{DIGEST}", [f"l.example/app@{DIGEST}"]),
    ("prefix='r.example'\nlocation='l.example'\ninsecure=true", "r.example/app:v1", ["l.example/app:v1 insecure"]),
    ("prefix='r.example'\nlocation='l.example'", "q.example/app:v1", ["q.example/app:v1"]),
    ("prefix='*.example'", "r.example/app:v1", ["r.example/app:v1"]),
    ("prefix='*.example'\ninsecure=true", "r.example:5000/app:v1", ["r.example:5000/app:v1 insecure"]),
    ("prefix='*.example'\nlocation='l.example'", "r.example/app:v1", ["l.example/app:v1"]),
    ("prefix='*.example'\nlocation='l.example/x'", "r.example/app:v1", ["l.example/x/app:v1"]),
    # containers/image keeps the port: the prefix stands for the host alone.
    ("prefix='*.example'\nlocation='l.test'", "r.example:5000/app:v1", ["l.test:5000/app:v1"]),
    ("prefix='r.example'\nlocation='l.test'", "r.example:5000/app:v1", ["l.test:5000/app:v1"]),
    ("prefix='docker.io/library'\nlocation='m.example/hub'", "busybox", ["m.example/hub/busybox:latest"]),
]


@pytest.mark.parametrize(("conf", "name", "leads_to"), WAYS)
def test_where_a_location_leads(conf: str, name: str, leads_to: list[str]):
    assert asked(sources(f"[[registry]]\n{conf}"), name) == leads_to


MIRRORED = """
[[registry]]
prefix = "r.example"
location = "l.example"
[[registry.mirror]]
location = "all.example/m"
insecure = true
[[registry.mirror]]
location = "tags.example"
pull-from-mirror = "tag-only"
[[registry.mirror]]
location = "digests.example"
pull-from-mirror = "digest-only"
"""


def test_mirrors_come_before_the_primary():
    assert asked(sources(MIRRORED), "r.example/app:v1") == [
        "all.example/m/app:v1 insecure",
        "tags.example/app:v1",
        "l.example/app:v1",
    ]
    assert asked(sources(MIRRORED), f"r.example/app@{DIGEST}") == [
        f"all.example/m/app@{DIGEST} insecure",
        f"digests.example/app@{DIGEST}",
        f"l.example/app@{DIGEST}",
    ]


def test_tags_are_listed_at_the_registry_that_is_named():
    source = sources(MIRRORED).of_repository(parse_docker_reference("r.example/app"))
    assert (source.reference.repository, source.insecure) == ("r.example/app", False)
    insecure = sources("[[registry]]\nlocation='r.example'\ninsecure=true")
    assert insecure.of_repository(parse_docker_reference("r.example/app")).insecure


BLOCKED = [
    ("[[registry]]\nlocation='r.example'\nblocked=true", "r.example/app:v1"),
    ("[[registry]]\nlocation='r.example'\nblocked=true", "r.example:5000/app:v1"),
    ("[[registry]]\nlocation='r.example'\nblocked=true", f"r.example/app@{DIGEST}"),
    ("[[registry]]\nprefix='*.example'\nblocked=true", "r.example/app:v1"),
    # skopeo looks at the endpoint alone: the next four it lets through.
    ("[[registry]]\nprefix='r.example'\nlocation='l.example'\nblocked=true", "r.example/app:v1"),
    ("[[registry]]\nlocation='r.example'\nblocked=true\n[[registry.mirror]]\nlocation='m.example'", "r.example/app"),
    ("[[registry]]\nlocation='r.example'\nblocked=true", "R.Example/app:v1"),
    ("[[registry]]\nlocation='R.Example'\nblocked=true", "r.example/app:v1"),
    # Where the way leads is looked at too, as in skopeo.
    ("[[registry]]\nprefix='r.example'\nlocation='l.example'\n[[registry]]\nlocation='l.example/x'\nblocked=true",
     "r.example/x/app:v1"),
]  # fmt: skip


@pytest.mark.parametrize(("conf", "name"), BLOCKED)
def test_a_blocked_name_leads_nowhere(conf: str, name: str):
    with pytest.raises(BlockedError, match=r"'x.conf' has blocked = true for the prefix") as caught:
        asked(sources(conf), name)
    assert caught.value.code == "policy-reject"


def test_the_message_names_what_is_blocked_and_by_which_prefix():
    with pytest.raises(BlockedError, match=r"^r.example/ns/app is blocked: .* the prefix 'r.example/ns'$"):
        asked(sources("[[registry]]\nlocation='r.example/ns'\nblocked=true"), "r.example/ns/app:v1")


def test_what_stands_beside_a_block_is_not_blocked():
    found = sources("[[registry]]\nlocation='r.example/ns'\nblocked=true\n[[registry]]\nlocation='r.example/ns/ok'")
    for name in ("r.example/nsx/app:v1", "r.example/ns/ok/app:v1", "r.example.io/ns/app:v1"):
        assert asked(found, name) == [name]


def test_the_tags_of_a_blocked_repository_are_not_listed():
    with pytest.raises(BlockedError):
        sources("[[registry]]\nlocation='r.example'\nblocked=true").of_repository(parse_docker_reference("r.example/a"))


def test_a_blocked_mirror_is_passed_over():
    found = sources(f"{MIRRORED}\n[[registry]]\nlocation='all.example'\nblocked=true")
    assert asked(found, "r.example/app:v1") == ["tags.example/app:v1", "l.example/app:v1"]
    everywhere = "".join(
        f"\n[[registry]]\nprefix='{h}.example'\nlocation='z/{h}'\nblocked=true" for h in ("all", "tags", "l")
    )
    with pytest.raises(BlockedError, match=r"all.example/m/app is blocked: .*; tags.example/app .*; l.example/app"):
        asked(sources(MIRRORED + everywhere), "r.example/app:v1")


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("docker.io", "short for 'docker.io/library/app:v1'"),
        ("L.example/UP", "amiss"),
        ("l_example", "short for"),
        ("x", "short for"),
    ],
)
def test_a_rewrite_to_no_full_name_is_an_error_of_the_image(location: str, said: str):
    with pytest.raises(InvalidReferenceError, match=said) as caught:
        asked(sources(f"[[registry]]\nprefix='r.example'\nlocation='{location}'"), "r.example/app:v1")
    assert "'x.conf'" in str(caught.value)


def test_whole_hosts_marked_insecure():
    found = sources(
        "[[registry]]\nlocation='r.example'\ninsecure=true\n[[registry]]\nlocation='q.example/ns'\ninsecure=true"
    )
    assert [found.is_insecure(host) for host in ("r.example", "r.example:5000", "q.example", "xr.example")] == [
        True,
        True,
        False,
        False,
    ]


LOCATIONS = st.sampled_from(["l.example", "m.example:5000/x", "r.example", "docker.io", "l.example/UP"])


@given(
    prefix=st.sampled_from(["r.example", "r.example/ns", "r.example:5000", "*.example", "q.example"]),
    location=LOCATIONS,
    mirrors=st.lists(LOCATIONS, max_size=2),
    blocked=st.sampled_from([None, "l.example", "r.example", "m.example", "r.example:5000/ns"]),
    name=st.sampled_from(["r.example/app:v1", "r.example/ns/app:v1", f"r.example:5000/ns/app@{DIGEST}", "busybox"]),
)
def test_no_way_leads_to_what_is_blocked_nor_away_from_it(prefix, location, mirrors, blocked, name):
    text = f"[[registry]]\nprefix='{prefix}'\nlocation='{location}'\n"
    text += "".join(f"[[registry.mirror]]\nlocation='{mirror}'\n" for mirror in mirrors)
    if blocked not in (None, prefix):
        text += f"[[registry]]\nprefix='{blocked}'\nlocation='never.example'\nblocked=true\n"
    logical = parse_docker_reference(name)
    try:
        found = sources(text).of_image(logical)
    except (BlockedError, InvalidReferenceError):
        return
    assert found
    for source in found:
        assert (source.reference.tag, source.reference.digest) == (logical.tag, logical.digest)
    if blocked not in (None, prefix) and len(blocked) > len(prefix):
        for each in (logical, *[source.reference for source in found]):
            assert each.repository != blocked
            assert not each.repository.startswith((f"{blocked}/", f"{blocked}:"))
