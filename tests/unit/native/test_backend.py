from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import plimsoll.native
from plimsoll.native import BACKEND, SHA256_IMPLEMENTATION


def test_the_compiled_back_end_is_in_use_unless_plimsoll_backend_asks_otherwise():
    asked = os.environ.get("PLIMSOLL_BACKEND", "")
    # A build without extensions is no way round: its suite runs with PLIMSOLL_BACKEND=python or fails here.
    assert (asked or "cython") == BACKEND
    assert (SHA256_IMPLEMENTATION == "hashlib") == (BACKEND == "python")


def test_every_public_name_is_of_the_back_end_in_use():
    ending = "_py" if BACKEND == "python" else ""
    modules = {
        getattr(plimsoll.native, name).__module__
        for name in (
            "DerReader",
            "Message",
            "Sha256",
            "base64_decode",
            "jcs_encode",
            "read_certificate",
            "read_json",
            "read_manifest",
        )
    }
    assert modules == {
        f"plimsoll.native.{name}{ending}" for name in ("_base64", "_der", "_protojson", "_sha256", "_jcs", "_reader")
    }


@pytest.fixture
def copied(tmp_path):
    """A copy of the package's lowest rooms, as a broken installation would have them."""
    source = Path(plimsoll.native.__file__).parents[1]
    package = tmp_path / "plimsoll"
    package.mkdir()
    (package / "__init__.py").touch()
    for name in ("errors.py", "limits.py"):
        shutil.copy(source / name, package / name)
    shutil.copytree(source / "native", package / "native", ignore=shutil.ignore_patterns("__pycache__"))
    return package


def imported(package, **environment):
    script = "import plimsoll.native as n; print(n.BACKEND, n.__file__)"
    kept = {name: value for name, value in os.environ.items() if name not in ("PLIMSOLL_BACKEND", "LD_PRELOAD")}
    return subprocess.run(
        [sys.executable, "-B", "-c", script],
        env={**kept, "PYTHONPATH": str(package.parent), **environment},
        cwd=package.parent,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_the_twins_are_used_where_the_environment_asks_for_them(copied):
    assert imported(copied, PLIMSOLL_BACKEND="python").stdout.startswith(f"python {copied}")


def test_an_unknown_back_end_is_refused(copied):
    done = imported(copied, PLIMSOLL_BACKEND="rust")
    assert done.returncode == 1
    assert "PLIMSOLL_BACKEND is 'rust'; set it to 'cython' or 'python'" in done.stderr


def test_a_package_that_was_never_built_says_so(copied):
    (copied / "native" / "_build.py").unlink()
    done = imported(copied)
    assert done.returncode == 1
    assert "ImportError: plimsoll was not built: install it" in done.stderr
    assert imported(copied, PLIMSOLL_BACKEND="python").returncode == 0


@pytest.mark.parametrize("damage", ["missing", "broken"])
def test_missing_or_broken_modules_are_an_error_and_no_slow_run(copied, damage):
    (copied / "native" / "_build.py").write_text("EXTENSIONS = True\n")
    for module in (copied / "native").glob("*.so"):
        module.unlink()
        if damage == "broken":
            module.write_bytes(b"no shared object")
    done = imported(copied)
    assert done.returncode == 1
    assert "compiled modules are missing or broken: reinstall plimsoll, or set PLIMSOLL_BACKEND=python" in done.stderr


def test_a_package_built_without_extensions_uses_the_twins(copied):
    (copied / "native" / "_build.py").write_text("EXTENSIONS = False\n")
    assert imported(copied).stdout.startswith("python ")
    done = imported(copied, PLIMSOLL_BACKEND="cython")
    assert done.returncode == 1
    assert "built without extensions" in done.stderr
