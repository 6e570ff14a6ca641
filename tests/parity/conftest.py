"""Both back ends under the same input.

A build without extensions has nothing to compare: where PLIMSOLL_BACKEND=python asks for the twins the files skip and
say so, else they fail for want of the compiled modules.
"""

from __future__ import annotations

import os

import pytest

from plimsoll.native._build import EXTENSIONS

TWINS_ALONE = not EXTENSIONS and os.environ.get("PLIMSOLL_BACKEND") == "python"


class NothingToCompare(pytest.Module):
    def collect(self):
        pytest.skip("plimsoll was built without extensions: there is one back end", allow_module_level=True)


def pytest_pycollect_makemodule(module_path, parent):
    return NothingToCompare.from_parent(parent, path=module_path) if TWINS_ALONE else None
