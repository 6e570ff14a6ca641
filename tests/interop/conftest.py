"""One world a run: everything is started once. Only `make interop` has what it takes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from interop.forms import Images
from interop.peers import open_world


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    made = os.environ.get("PLIMSOLL_INTEROP")
    if made is None:
        pytest.skip("needs cosign and a private sigstore: run `make interop`")
    with open_world(Path(made).resolve(), tmp_path_factory.mktemp) as opened:
        yield opened


@pytest.fixture(scope="session")
def images(world):
    return Images(world)
