from __future__ import annotations

import json
import logging
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll import limits
from plimsoll.config import yaml_document
from plimsoll.config.registries_d import RegistriesD, read_registries_d
from plimsoll.config.yaml_document import Map, Scalar, read_yaml
from plimsoll.errors import ConfigError
from plimsoll.model.reference import parse_docker_reference

DIGEST = "sha256:" + "a" * 64


def read(folder: Path, **files: str) -> RegistriesD:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return read_registries_d(str(folder), {})


def uses(found: RegistriesD, image: str) -> bool:
    return found.uses_sigstore_attachments(parse_docker_reference(image))


def test_nothing_is_used_where_nothing_is_said(tmp_path: Path):
    assert not uses(read(tmp_path), "r.example/a")
    assert not uses(read(tmp_path, a="", b="docker: {}", c="# only words\n", d="docker:\n"), "r.example/a")
    assert not uses(read(tmp_path, e="docker:\n  r.example:\n    lookaside: file:///x\n"), "r.example/a")


SECTIONS = """
default-docker:
  use-sigstore-attachments: {default}
docker:
  r.example:
    use-sigstore-attachments: {host}
  r.example/ns/app:
    use-sigstore-attachments: {repository}
  r.example/ns/app:v1:
    use-sigstore-attachments: {tag}
  "*.wild.example":
    use-sigstore-attachments: true
  "127.0.0.1:5000":
    use-sigstore-attachments: true
"""


@pytest.mark.parametrize(
    ("image", "section"),
    [
        ("r.example/ns/app:v1", "tag"),
        ("r.example/ns/app:v2", "repository"),
        (f"r.example/ns/app@{DIGEST}", "repository"),
        (f"r.example/ns/app:v1@{DIGEST}", "repository"),
        ("r.example/ns/other:v1", "host"),
        ("r.example.evil.io/ns/app:v1", "default"),
        ("r.example:5000/ns/app:v1", "default"),
        ("app", "default"),
    ],
)
def test_the_most_specific_section_decides(tmp_path: Path, image: str, section: str):
    for decides, others in (("true", "false"), ("false", "true")):
        values = {**dict.fromkeys(("default", "host", "repository", "tag"), others), section: decides}
        assert uses(read(tmp_path, a=SECTIONS.format(**values)), image) is (decides == "true")


def test_wildcards_and_ports(tmp_path: Path):
    found = read(tmp_path, a=SECTIONS.format(default="false", host="false", repository="false", tag="false"))

    assert uses(found, "a.wild.example/x")
    assert uses(found, "a.b.wild.example:5000/x")
    assert not uses(found, "wild.example/x")
    assert uses(found, "127.0.0.1:5000/x")
    assert not uses(found, "127.0.0.1:5001/x")
    assert not uses(found, "127.0.0.1/x")


def test_each_key_falls_through_by_itself(tmp_path: Path):
    found = read(
        tmp_path,
        a="docker:\n  r.example/ns:\n    lookaside: file:///ns\n  r.example:\n    use-sigstore-attachments: true\n",
        b="default-docker:\n  lookaside: https://all.example\n  use-sigstore-attachments: false\n",
    )

    assert uses(found, "r.example/ns/app")
    assert not uses(found, "other.example/ns/app")
    assert found.lookaside(parse_docker_reference("r.example/ns/app")) == "file:///ns"
    assert found.lookaside(parse_docker_reference("r.example/app")) == "https://all.example"


def test_old_names_are_read_where_the_new_one_is_empty(tmp_path: Path):
    found = read(
        tmp_path,
        a="docker:\n  a.example:\n    sigstore: file:///old\n    sigstore-staging: file:///put\n"
        "  b.example:\n    sigstore: file:///old\n    lookaside: file:///new\n"
        "  c.example:\n    sigstore: file:///old\n    lookaside: ''\n",
    )

    assert [found.lookaside(parse_docker_reference(f"{host}.example/x")) for host in "abcd"] == [
        "file:///old",
        "file:///new",
        "file:///old",
        found.default_lookaside,
    ]
    assert found.docker["a.example"].lookaside_staging == "file:///put"


@pytest.mark.parametrize("text", ["true", "True", "yes", "on", "Y"])
def test_truths_as_yaml_writes_them(tmp_path: Path, text: str):
    assert uses(read(tmp_path, a=f"default-docker:\n  use-sigstore-attachments: {text}\n"), "a")


@pytest.mark.parametrize("text", ["false", "No", "off", "n", "", "~", "null"])
def test_untruths(tmp_path: Path, text: str):
    assert not uses(read(tmp_path, a=f"default-docker:\n  use-sigstore-attachments: {text}\n"), "a")


@pytest.mark.parametrize("text", ["'true'", "1", "tRUE", "[true]", "{}", "yes please", "!!bool true", "!!str true"])
def test_what_is_neither_is_refused(tmp_path: Path, text: str):
    with pytest.raises(ConfigError, match="neither true nor false"):
        read(tmp_path, a=f"default-docker:\n  use-sigstore-attachments: {text}\n")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("docker: [", "line 1|line 2"),
        ("docker: {}\ndocker: {}\n", "the key 'docker' twice"),
        ("docker:\n  a:\n    lookaside: x\n  a:\n    lookaside: y\n", "line 4, column 3: the key 'a' twice"),
        ("docker:\n  a:\n    lookaside: x\n  'a':\n    lookaside: y\n", "twice"),
        ("docker: {}\n---\ndocker: {}\n", "a second document"),
        ("- docker\n", "the document is no map"),
        ("docker: text\n", "docker is no map"),
        ("docker:\n  a: text\n", "docker.'a' is no map"),
        ("docker:\n  a:\n    lookaside: [x]\n", "lookaside of docker.'a' is no text"),
        ("docker:\n  ? [a]\n  : {}\n", "a key that is no text"),
        ("docker:\n  a: &x\n    y: *x\n", "not complete"),
        ("docker:\n  a: *nobody\n", "undefined alias|not complete"),
        ("x: &x {lookaside: y}\ndocker:\n  a:\n    <<: *x\n", "merge key"),
        ("a: " + "[" * 500 + "]" * 500, "levels"),
        ("\x01", "is no YAML"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, text: str, why: str):
    with pytest.raises(ConfigError, match=why) as caught:
        read(tmp_path, a=text)
    assert "a.yaml" in str(caught.value)


def test_bytes_that_are_no_utf_8_are_refused(tmp_path: Path):
    (tmp_path / "a.yaml").write_bytes(b"docker:\n  \xff\xff: {}\n")

    with pytest.raises(ConfigError, match="is no YAML"):
        read(tmp_path)


def test_the_same_section_in_two_files_is_refused_naming_both(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"one\.yaml.*two\.yaml"):
        read(tmp_path, one="docker:\n  r.example: {}\n", two="docker:\n  'r.example': {}\n")


def test_the_default_in_two_files_is_refused_naming_both(tmp_path: Path):
    text = "default-docker:\n  lookaside: file:///x\n"
    with pytest.raises(ConfigError, match=r"one\.yaml.*two\.yaml"):
        read(tmp_path, one=text, two=text)


def test_sections_of_two_files_add_up(tmp_path: Path):
    on = "\n    use-sigstore-attachments: true\n"
    found = read(tmp_path, one=f"docker:\n  a.example:{on}", two=f"docker:\n  b.example:{on}")

    assert [uses(found, f"{host}.example/x") for host in "abc"] == [True, True, False]


def test_only_yaml_files_of_the_folder_itself_are_read(tmp_path: Path):
    broken = "docker: ["
    (tmp_path / "a.yml").write_text(broken)
    (tmp_path / "a.yaml.bak").write_text(broken)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.yaml").write_text(broken)

    assert read_registries_d(str(tmp_path), {}).docker == {}


def test_an_alias_shares_a_section(tmp_path: Path):
    found = read(tmp_path, a="docker:\n  a.example: &on\n    use-sigstore-attachments: true\n  b.example: *on\n")

    assert uses(found, "b.example/x")


def test_aliases_cannot_multiply(tmp_path: Path):
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))

    assert read(tmp_path, a=bomb).docker == {}


def test_caps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "YAML_NODES", 10)
    with pytest.raises(ConfigError, match="more than 10 values"):
        read(tmp_path, a="x: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n")
    monkeypatch.setattr(limits, "REGISTRIES_D_FILES", 1)
    with pytest.raises(ConfigError, match="holds 2 files"):
        read(tmp_path, a="", b="")
    monkeypatch.setattr(limits, "REGISTRIES_D_FILES", 2)
    monkeypatch.setattr(limits, "REGISTRIES_D_BYTES", 3)
    with pytest.raises(ConfigError, match="more than 3 bytes"):
        read(tmp_path, a="####", b="")


def test_a_broken_link_is_an_error_and_no_missing_section(tmp_path: Path):
    (tmp_path / "a.yaml").symlink_to(tmp_path / "nowhere")

    with pytest.raises(ConfigError, match="broken link"):
        read(tmp_path)


def test_which_folder_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    on = "default-docker:\n  use-sigstore-attachments: true\n"
    system, environ = (f"{tmp_path}/etc", f"{tmp_path}/usr"), {"HOME": f"{tmp_path}/home"}
    own = tmp_path / "home/.config/containers/registries.d"
    (tmp_path / "etc/registries.d").mkdir(parents=True)
    (tmp_path / "etc/registries.d/a.yaml").write_text(on)

    assert uses(read_registries_d(None, environ, system=system), "a")
    own.mkdir(parents=True)
    assert not uses(read_registries_d(None, environ, system=system), "a")
    (own / "a.yaml").write_text(on)
    assert uses(read_registries_d(None, environ, system=system), "a")
    with caplog.at_level(logging.WARNING):
        assert read_registries_d(str(tmp_path / "missing"), environ, system=system).docker == {}
    assert "missing" in caplog.text
    assert read_registries_d(None, {"HOME": f"{tmp_path}/nobody"}, system=(f"{tmp_path}/none",)).docker == {}


# --- the YAML reader ------------------------------------------------------------------------------------------------


def plain(node: yaml_document.Node | None) -> object:
    match node:
        case None:
            return None
        case Scalar(text=text):
            return text
        case Map(entries=entries):
            return {key: plain(value) for key, value in entries.items()}
        case yaml_document.Sequence(items=items):
            return [plain(item) for item in items]


TREES = st.recursive(
    st.text("abc: #&*!|>'\"%@`{}[],-?\n\té€", max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab:-é", max_size=4), inner, max_size=4),
    max_leaves=20,
)


def written(tree: object) -> str:
    """YAML's flow style with double-quoted texts, as JSON writes it."""
    return json.dumps(tree)


@given(TREES)
def test_what_json_writes_is_read_back(tree: object):
    assert plain(read_yaml(written(tree).encode(), origin="x")) == tree


LOADERS = ["CSafeLoader", "SafeLoader"]
DOCUMENTS = st.binary(max_size=120) | st.text("a:-[]{}&*!|>'\"\n #?,<~%@\\Ux0F", max_size=60).map(str.encode)


@pytest.mark.parametrize("loader", LOADERS)
@given(data=DOCUMENTS)
def test_any_bytes_are_a_document_or_refused(loader: str, data: bytes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml, "CSafeLoader", getattr(yaml, loader))
        try:
            found = read_yaml(data, origin="x")
        except ConfigError:
            return
    plain(found)


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("text", ['"\\UFFFFFFFF"', '"\\U00110000"', "'", "\ta: b: c", "%YAML 9.9 x\n---\n"])
def test_both_of_pyyaml_s_readers_refuse_alike(loader: str, text: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(yaml, "CSafeLoader", getattr(yaml, loader))

    with pytest.raises(ConfigError, match="'x' is no YAML"):
        read_yaml(text.encode(), origin="x")


def test_a_folder_that_cannot_be_listed_is_an_error_and_no_empty_one():
    with pytest.raises(ConfigError, match="cannot be listed"):
        read_registries_d("x" * 5000, {})


@pytest.mark.parametrize(
    ("user", "environ", "place"),
    [
        (0, {"HOME": "/h"}, "file:///var/lib/containers/sigstore"),
        (1000, {"HOME": "/h"}, "file:///h/.local/share/containers/sigstore"),
    ],
)
def test_the_default_lookaside_is_the_users_or_the_systems(tmp_path: Path, monkeypatch, user, environ, place):
    monkeypatch.setattr("os.geteuid", lambda: user)

    found = read_registries_d(str(tmp_path), environ)

    assert found.lookaside(parse_docker_reference("r.example/app")) == place
    assert not uses(found, "r.example/app")


def test_new_signatures_go_to_the_staging_place_of_the_most_specific_section_that_has_a_place(tmp_path):
    (tmp_path / "a.yaml").write_text(
        "default-docker:\n  lookaside: file:///default\n"
        "docker:\n"
        "  r.example: {lookaside: 'https://read/', lookaside-staging: 'file:///write'}\n"
        "  r.example/only: {lookaside: 'file:///only'}\n"
        "  r.example/none: {use-sigstore-attachments: true}\n"
        "  r.example/old: {sigstore-staging: 'file:///old'}\n"
    )
    found = read_registries_d(str(tmp_path), {"HOME": "/h"})

    def written(name):
        return found.written_lookaside(parse_docker_reference(name))

    assert written("r.example/app:v1") == "file:///write"
    assert found.lookaside(parse_docker_reference("r.example/app:v1")) == "https://read/"
    assert written("r.example/only/app") == "file:///only"
    assert written("r.example/none/app") == "file:///write"
    assert written("r.example/old/app") == "file:///old"
    assert written("other.example/app") == "file:///default"
    assert read_registries_d(str(tmp_path / "none"), {"HOME": "/h"}).written_lookaside(
        parse_docker_reference("a/b")
    ) == read_registries_d(str(tmp_path / "none"), {"HOME": "/h"}).lookaside(parse_docker_reference("a/b"))


# --- any sections ------------------------------------------------------------------------------------------------
URLS = st.sampled_from(["file:///a", "https://r.example/b", "é: #"])
SECTION = st.fixed_dictionaries(
    {},
    optional={
        "use-sigstore-attachments": st.booleans() | st.none(),
        "lookaside": URLS | st.none() | st.just(""),
        "lookaside-staging": URLS | st.none(),
        "sigstore": URLS,
        "sigstore-staging": URLS,
        "unknown": st.integers(),
    },
)
SCOPES = ["r.example", "r.example/ns", "r.example/ns/app", "r.example/ns/app:v1", "other.example"]
FILE = st.fixed_dictionaries(
    {},
    optional={
        "default-docker": st.none() | SECTION,
        "docker": st.none() | st.dictionaries(st.sampled_from(SCOPES), st.none() | SECTION, max_size=3),
    },
)


def read_files(files: list[object]) -> RegistriesD:
    with tempfile.TemporaryDirectory() as folder:
        for at, document in enumerate(files):
            # JSON is YAML.
            Path(folder, f"{at}.yaml").write_text(json.dumps(document), encoding="utf-8")
        return read_registries_d(folder, {"HOME": "/home/a"})


def first(files: list[dict], *names: str) -> object:
    """What the most specific section says that has one of ``names``."""
    sections = [(file.get("docker") or {}).get(scope) for scope in reversed(SCOPES[:4]) for file in files]
    for section in [*sections, *[file.get("default-docker") for file in files]]:
        for name in names:
            if (section or {}).get(name) not in (None, ""):
                return section[name]
    return None


@settings(max_examples=100)
@given(st.lists(FILE, max_size=3))
def test_any_files_say_what_their_most_specific_section_says_or_are_refused_for_a_twin(files: list[dict]):
    scopes = [scope for file in files for scope in file.get("docker") or {}]
    defaults = [file for file in files if file.get("default-docker") is not None]
    try:
        found = read_files(files)
    except ConfigError:
        assert len(set(scopes)) < len(scopes) or len(defaults) > 1
        return
    assert len(set(scopes)) == len(scopes)
    assert len(defaults) <= 1
    assert set(found.docker) == set(scopes)
    image = parse_docker_reference("r.example/ns/app:v1")
    assert found.uses_sigstore_attachments(image) is (first(files, "use-sigstore-attachments") or False)
    assert found.lookaside(image) == (first(files, "lookaside", "sigstore") or found.default_lookaside)
    written = first(files, "lookaside-staging", "sigstore-staging", "lookaside", "sigstore")
    assert found.written_lookaside(image) == (written or found.default_lookaside)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("ab", max_size=2),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["docker", "default-docker", "use-sigstore-attachments", "lookaside", "sigstore", "a"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=100)
@given(ANY)
def test_any_document_is_sections_or_refused(document: object):
    try:
        found = read_files([document])
    except ConfigError:
        return
    for section in [*found.docker.values(), *([found.default] if found.default else [])]:
        assert section.use_sigstore_attachments in (None, True, False)
        assert section.lookaside is None or section.lookaside
        assert section.lookaside_staging is None or section.lookaside_staging
