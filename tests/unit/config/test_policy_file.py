from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll import limits
from plimsoll.config.policy_file import find_policy
from plimsoll.errors import PolicyError


class Machine:
    """The places of a machine, all below a folder of the test's."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.system = (f"{root}/etc/containers", f"{root}/usr/share/containers")
        self.environ = {"HOME": f"{root}/home"}

    def put(self, place: str, text: str) -> str:
        path = self.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    def find(self, policy: str | None = None) -> str:
        return find_policy(policy=policy, environ=self.environ, system=self.system).data.decode()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.chdir(tmp_path)
    return Machine(tmp_path)


def test_the_order_of_the_places(machine: Machine):
    machine.put("usr/share/containers/policy.json", "vendor")
    assert machine.find() == "vendor"
    machine.put("etc/containers/policy.json", "system")
    assert machine.find() == "system"
    machine.put("home/.config/containers/policy.json", "user")
    assert machine.find() == "user"
    machine.put("xdg/containers/policy.json", "xdg")
    machine.environ["XDG_CONFIG_HOME"] = str(machine.root / "xdg")
    assert machine.find() == "xdg"
    machine.environ["CONTAINERS_POLICY_JSON"] = machine.put("named.json", "variable")
    assert machine.find() == "variable"
    assert machine.find(machine.put("option.json", "option")) == "option"


def test_a_config_home_without_a_policy_hides_the_one_in_the_home(machine: Machine):
    machine.put("home/.config/containers/policy.json", "user")
    machine.put("etc/containers/policy.json", "system")
    machine.environ["XDG_CONFIG_HOME"] = str(machine.root / "xdg")

    assert machine.find() == "system"


@pytest.mark.parametrize("config_home", ["", ".", "sub"])
def test_the_current_directory_is_never_a_source(machine: Machine, config_home: str):
    machine.put("containers/policy.json", "trap")
    machine.put("sub/containers/policy.json", "trap")
    machine.put("etc/containers/policy.json", "system")
    machine.environ["XDG_CONFIG_HOME"] = config_home

    assert machine.find() == "system"


def test_an_empty_variable_names_nothing(machine: Machine):
    machine.put("etc/containers/policy.json", "system")
    machine.environ["CONTAINERS_POLICY_JSON"] = ""

    assert machine.find() == "system"


def test_without_any_all_places_are_named(machine: Machine):
    with pytest.raises(PolicyError) as caught:
        machine.find()

    for place in (f"{machine.root}/home/.config/containers", *machine.system):
        assert f"{place}/policy.json" in str(caught.value)
    assert "--policy" in str(caught.value)


def test_a_named_file_that_is_missing_is_never_replaced_by_another(machine: Machine):
    machine.put("etc/containers/policy.json", "system")

    with pytest.raises(PolicyError, match="--policy"):
        machine.find("missing.json")
    with pytest.raises(PolicyError, match="--policy"):
        machine.find("")
    machine.environ["CONTAINERS_POLICY_JSON"] = "missing.json"
    with pytest.raises(PolicyError, match="CONTAINERS_POLICY_JSON"):
        machine.find()


def test_a_place_that_cannot_be_read_is_never_replaced_by_the_next(machine: Machine):
    machine.put("etc/containers/policy.json", "system")
    (machine.root / "home/.config/containers/policy.json").mkdir(parents=True)

    with pytest.raises(PolicyError, match="is a directory"):
        machine.find()


def test_a_policy_beyond_the_cap_is_refused(machine: Machine):
    path = machine.put("big.json", " " * (limits.POLICY_BYTES + 1))

    with pytest.raises(PolicyError, match="more than"):
        machine.find(path)


def test_the_origin_is_the_path(machine: Machine):
    path = machine.put("etc/containers/policy.json", "system")

    assert find_policy(policy=None, environ=machine.environ, system=machine.system).origin == path
