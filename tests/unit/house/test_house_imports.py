"""What is imported when: nobody who asks for --help waits for asyncio, and nobody is given another back end in silence."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from plimsoll import native

HEAVY = ("aiohttp", "asyncio", "cryptography", "ssl", "uvloop", "hypothesis", "cython", "Cython")

NOT_TO_VERIFY = ("sigstore", "sigstore_models", "tuf", "securesystemslib", "pydantic", "rfc3161_client", "re2",
                 "cel_expr_python", "nacl", "pysequoia", "pkcs11", "asn1crypto", "boto3", "botocore")  # fmt: skip


def run(code, **environment):
    """Run `code` in an interpreter of its own, isolated from this one's folder and variables."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "COV_"))}
    env.pop("PLIMSOLL_BACKEND", None)
    return subprocess.run(
        [sys.executable, "-I", "-c", code],
        env=env | environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def loaded(statement):
    found = run(f"import sys; before = set(sys.modules); {statement}; print(*sorted(set(sys.modules) - before))")
    assert found.returncode == 0, found.stderr
    return set(found.stdout.split())


@pytest.mark.parametrize("statement", ["import plimsoll", "import plimsoll.cli.main", "import plimsoll.__main__"])
def test_the_way_in_is_light(statement):
    modules = loaded(statement)
    assert "plimsoll" in modules
    assert sorted(modules & set(HEAVY)) == []


def test_a_verification_needs_no_other_client_of_sigstore():
    """Half a second of imports, and a second reading of what is signed (issue: speed)."""
    modules = loaded("import plimsoll.signatures.known_formats, plimsoll.pipeline.verifier, plimsoll.cli.verify")
    assert "plimsoll.signatures.sigstore" in modules
    assert sorted({name.partition(".")[0] for name in modules} & set(NOT_TO_VERIFY)) == []


def test_the_search_sees_a_heavy_import():
    assert {"plimsoll.model.trust", "cryptography"} <= loaded("import plimsoll.model.trust")


def test_the_back_end_is_compiled_unless_asked_otherwise():
    found = run("from plimsoll import native; print(native.BACKEND)")
    assert (found.stdout.strip(), found.stderr) == ("cython", "")


def test_the_pure_back_end_is_used_when_asked_for():
    found = run("from plimsoll import native; print(native.BACKEND)", PLIMSOLL_BACKEND="python")
    assert (found.stdout.strip(), found.stderr) == ("python", "")


def test_an_unknown_back_end_is_an_error():
    found = run("import plimsoll.native", PLIMSOLL_BACKEND="fortran")
    assert found.returncode != 0
    assert "fortran" in found.stderr


def test_this_run_uses_the_back_end_it_was_asked_to():
    asked_for = os.environ.get("PLIMSOLL_BACKEND") or "cython"
    assert asked_for == native.BACKEND
