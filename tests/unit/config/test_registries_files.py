from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll import limits
from plimsoll.config.registries_files import read_registries_conf
from plimsoll.errors import ConfigError


class Places:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.environ = {"HOME": f"{root}/home"}

    def put(self, path: str, location: str, *, prefix: str = "p") -> str:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'[[registry]]\nprefix = "{prefix}"\nlocation = "{location}"\n')
        return str(file)

    def found(self, path: str | None = None, *, uid: int = 1000) -> dict[str, str]:
        system = (f"{self.root}/etc", f"{self.root}/usr")
        conf = read_registries_conf(path, self.environ, system=system, uid=uid)
        return {registry.prefix: registry.location for registry in conf.registries}


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path)


def test_no_file_at_all_is_an_empty_configuration(places: Places):
    assert places.found() == {}


def test_the_order_of_the_main_files(places: Places):
    places.put("usr/registries.conf", "usr")
    assert places.found() == {"p": "usr"}
    places.put("etc/registries.conf", "etc")
    assert places.found() == {"p": "etc"}
    places.put("home/.config/containers/registries.conf", "home")
    assert places.found() == {"p": "home"}
    places.put("xdg/containers/registries.conf", "xdg")
    places.environ["XDG_CONFIG_HOME"] = f"{places.root}/xdg"
    assert places.found() == {"p": "xdg"}
    places.environ["CONTAINERS_REGISTRIES_CONF"] = places.put("var.conf", "variable")
    assert places.found() == {"p": "variable"}
    assert places.found(places.put("option.conf", "option")) == {"p": "option"}
    places.environ["CONTAINERS_REGISTRIES_CONF_OVERRIDE"] = places.put("over.conf", "override")
    assert places.found() == places.found(f"{places.root}/option.conf") == {"p": "override"}


def test_drop_ins_in_the_order_of_their_names_over_all_folders(places: Places):
    places.put("etc/registries.conf", "main")
    places.put("usr/registries.conf.d/20.conf", "usr")
    assert places.found() == {"p": "usr"}
    places.put("home/.config/containers/registries.conf.d/10.conf", "user")
    assert places.found() == {"p": "usr"}  # 20 is read after 10, wherever it lies
    places.put("etc/registries.conf.d/30.conf", "etc")
    places.put("etc/registries.conf.d/40.txt", "no .conf")
    (places.root / "etc/registries.conf.d/50.conf").mkdir()
    assert places.found() == {"p": "etc"}
    assert places.found(places.put("option.conf", "option", prefix="q")) == {"p": "etc", "q": "option"}


def test_a_name_in_a_higher_folder_hides_the_same_name_below(places: Places):
    for rank, folder in enumerate(
        [
            "usr/registries.conf.d",
            "usr/registries.rootless.conf.d",
            "usr/registries.rootless.conf.d/1000",
            "etc/registries.conf.d",
            "etc/registries.rootless.conf.d",
            "etc/registries.rootless.conf.d/1000",
            "home/.config/containers/registries.conf.d",
        ]
    ):
        places.put(f"{folder}/10.conf", f"rank{rank}", prefix=f"p{rank}")
        assert places.found() == {f"p{rank}": f"rank{rank}"}


def test_root_and_others_have_folders_of_their_own(places: Places):
    places.put("etc/registries.rootful.conf.d/a.conf", "root")
    assert (places.found(uid=0), places.found(uid=1000)) == ({"p": "root"}, {})
    places.put("etc/registries.rootless.conf.d/1001/b.conf", "1001")
    assert (places.found(uid=1001), places.found(uid=1000)) == ({"p": "1001"}, {})


def test_the_variable_leaves_the_drop_ins_out(places: Places):
    places.put("etc/registries.conf.d/10.conf", "drop-in")
    places.environ["CONTAINERS_REGISTRIES_CONF"] = places.put("var.conf", "variable", prefix="q")
    assert places.found() == {"q": "variable"}


@pytest.mark.parametrize("value", ["", "."])
def test_the_current_directory_is_never_a_source(places: Places, value: str, monkeypatch: pytest.MonkeyPatch):
    places.put("containers/registries.conf", "trap")
    places.put("containers/registries.conf.d/10.conf", "trap")
    monkeypatch.chdir(places.root)
    places.environ["XDG_CONFIG_HOME"] = value
    assert places.found() == {}


def test_a_named_file_must_exist_and_be_readable(places: Places, monkeypatch: pytest.MonkeyPatch):
    missing = f"{places.root}/missing.conf"
    for path in (missing, ""):
        with pytest.raises(ConfigError, match="--registries-conf"):
            places.found(path)
    with pytest.raises(ConfigError, match="is a directory"):
        places.found(str(places.root))
    for variable in ("CONTAINERS_REGISTRIES_CONF", "CONTAINERS_REGISTRIES_CONF_OVERRIDE"):
        places.environ = {variable: missing}
        with pytest.raises(ConfigError, match=variable):
            places.found()
    monkeypatch.setattr(limits, "REGISTRIES_CONF_BYTES", 10)
    with pytest.raises(ConfigError, match="more than 10 bytes"):
        places.found(places.put("long.conf", "l"))


def test_a_file_that_is_no_configuration_ends_the_look_up(places: Places):
    places.put("etc/registries.conf", "etc")
    broken = Path(places.put("home/.config/containers/registries.conf", "x"))
    broken.write_text("no toml")
    with pytest.raises(ConfigError, match=r"home/.config/containers/registries.conf' is no TOML"):
        places.found()
    broken.unlink()
    broken.parent.joinpath("registries.conf.d").mkdir()
    broken.parent.joinpath("registries.conf.d/x.conf").symlink_to("nowhere")
    with pytest.raises(ConfigError, match="broken link"):
        places.found()


def test_folders_have_their_cap(places: Places, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "REGISTRIES_CONF_FILES", 1)
    for name in "ab":
        places.put(f"etc/registries.conf.d/{name}.conf", name)
    with pytest.raises(ConfigError, match="holds 2 files"):
        places.found()
